"""How right decoded sequences of emotions are: by order and by time, with intervals by speaker."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

from affekt.atomic import replacing
from affekt.concatenate import Concatenation
from affekt.protocols.by_speaker import estimate, line, ratios
from affekt.segmenting import Found
from affekt.sequences import Segment, edit_distance, time_errors
from affekt.tables import write_table
from affekt.timeline import Segment as Tile

GROUPS: dict[str, Callable[[pd.DataFrame], pd.Series]] = {
    "2 to 4 emotions": lambda rows: rows["n_labels"] > 1,
    "without neutral between": lambda rows: (rows["n_labels"] > 1) & ~rows["gaps"],
    "neutral between them": lambda rows: (rows["n_labels"] > 1) & rows["gaps"],
    "one emotion": lambda rows: rows["n_labels"] == 1,
}
MEASURES = {  # name -> what stands above and below the line
    "emotion_error_rate": ("edits", "n_labels"),
    "time_error": ("wrong", "total"),
    "time_accuracy": ("right", "labelled"),
    "all_right": ("exact", "n"),
}
HEADER = (
    "| what | split | recordings | emotion error rate | time error | time accuracy"
    " | all right | command |\n|---|---|---|---|---|---|---|---|"
)


@dataclass(frozen=True, eq=False)
class SequenceReport:
    """The scores of every method, decoder and group of recordings; `rows`: one a recording."""

    title: str
    notes: tuple[str, ...]
    scores: pd.DataFrame
    rows: pd.DataFrame

    def to_markdown(self) -> str:
        """The page."""
        lines = [
            *(f"> {note}\n" for note in self.notes),
            f"# {self.title}\n",
            "Emotion error rate: edits between the sequences / labels of the truth. Time error: s"
            " of false alarm, missed emotion and confusion / s (EDER, neutral is no emotion). Time"
            " accuracy: s with the very label / s. All right: recordings without an edit."
            " Intervals: 95 %, bootstrap by speaker.\n",
            "| method | decoder | recordings of | n | emotion error rate | time error"
            " | time accuracy | all right | empty |",
            "|---|---|---|---|---|---|---|---|---|",
        ]
        for _, row in self.scores.iterrows():
            cells = [row["method"], row["decoder"], row["group"], row["n"]]
            cells += [estimate(row, name) for name in MEASURES] + [row["empty"]]
            lines.append(f"| {' | '.join(map(str, cells))} |")
        return "\n".join(lines) + "\n"

    def results_rows(self, corpus: str, split: str, command: str) -> str:
        """Rows for RESULTS.md, one a method and decoder, of all recordings of several emotions."""
        lines = [HEADER]
        first = next(iter(GROUPS))
        for _, row in self.scores[self.scores["group"] == first].iterrows():
            what = f"{corpus}, {row['method']}, {row['decoder']}"
            cells = [what, split, row["n"], *(estimate(row, name) for name in MEASURES)]
            lines.append(f"| {' | '.join(map(str, cells))} | `{command}` |")
        return "\n".join(lines) + "\n"

    def write(self, folder: Path) -> None:
        """Write `report.md`, `scores.csv` and `recordings.csv`."""
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(folder / "report.md") as temporary:
            temporary.write_text(self.to_markdown(), "utf-8")
        write_table(self.scores, folder / "scores.csv")
        write_table(self.rows, folder / "recordings.csv")


def compared(
    one: Concatenation, truth: Sequence[Segment], found: Found, **about: str
) -> dict[str, object]:
    """One row: what was there, what was found, and everything that scores add up."""
    answer = [(tile.start, tile.end, tile.label) for tile in found.segments]
    edits = edit_distance(one.labels, found.labels)
    errors = time_errors(truth, answer, found.duration)
    return {
        **about,
        "recording": one.name,
        "speaker": one.speaker,
        "gaps": one.has_gaps,
        "truth": line(truth),
        "prediction": line(answer),
        "n": 1,
        "n_labels": len(one.labels),
        "edits": edits,
        "exact": int(edits == 0),
        "empty": int(found.empty),
        **asdict(errors),
        "wrong": errors.false_alarm + errors.missed + errors.confusion,
    }


def constant(label: str, duration: float) -> Found:
    """The answer that is always the same."""
    return Found((Tile(0.0, duration, label, 1.0),), None, False, duration)


def report(rows: pd.DataFrame, title: str, notes: Sequence[str], *, seed: int) -> SequenceReport:
    """Score rows of `compared`, each method and decoder on each group of recordings.

    Args:
        rows: with columns `method` and `decoder`.
        title: of the page.
        notes: above everything.
        seed: of the bootstrap.
    """
    scores = []
    for (method, decoder), part in rows.groupby(["method", "decoder"], sort=False):
        for group, chosen in GROUPS.items():
            kept = part[chosen(part)]
            if len(kept):
                about = {"method": method, "decoder": decoder, "group": group}
                counts = {"n": len(kept), "empty": int(kept["empty"].sum())}
                scores.append({**about, **counts, **ratios(kept, MEASURES, seed)})
    return SequenceReport(title, tuple(notes), pd.DataFrame(scores), rows)
