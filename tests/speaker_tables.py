"""Tables of so many utterances a speaker."""

import pandas as pd


def utterances(counts: dict[str, int], **columns: object) -> pd.DataFrame:
    """A table of so many utterances a speaker."""
    rows = [(f"{s}_{i}", f"{s}/{s}_{i}.wav", s) for s, n in counts.items() for i in range(n)]
    table = pd.DataFrame(rows, columns=["utterance", "file", "speaker"]).set_index("utterance")
    return table.assign(**columns)
