"""JL corpus: four New Zealand voices, five emotions and five attitudes (spec 6.14).

James, Tian, Watson (2018): An open source emotional speech corpus for human robot interaction
applications. Interspeech 2018, 2768-2772, doi:10.21437/Interspeech.2018-1349.
"""

import re
from itertools import product
from pathlib import Path
from typing import Any

from affekt.corpora.tree import (
    CheckReport,
    assemble,
    compare,
    fault,
    files_below,
    read_text,
    walk,
)
from affekt.corpus import Corpus
from affekt.scheme import Categories

PATTERN = "female1_anxious_12b_2 (speaker, emotion, sentence with variant, repetition)"

CARD = {
    "name": "jl",
    "version": "2018",
    "licence": "open; see its distribution",
    "citation": "James et al. (2018), doi:10.21437/Interspeech.2018-1349",
    "source": "https://www.kaggle.com/datasets/tli725/jl-corpus",
    "language": "en",
}

PRIMARY = {
    "angry": "anger",
    "sad": "sadness",
    "neutral": "neutral",
    "happy": "happiness",
    "excited": "excitement",
}
SECONDARY = {
    "anxious": "anxiety",
    "apologetic": "apology",
    "assertive": "assertiveness",
    "concerned": "concern",
    "encouraging": "encouragement",
}
EMOTIONS = {**PRIMARY, **SECONDARY}
JL_10 = Categories("jl_10", tuple(EMOTIONS.values()))

SPEAKERS = {"female1": "female", "female2": "female", "male1": "male", "male2": "male"}
N_SENTENCES = 15

_NAME = re.compile(rf"({'|'.join(SPEAKERS)})_({'|'.join(EMOTIONS)})_0*(\d+)([ab])_([12])")


def load(root: str | Path, *, durations: bool = False) -> Corpus:
    """Load the JL corpus, primary emotions and secondary ones.

    Args:
        root: the folder of `JL(wav+txt)`, or one above it.
        durations: fill the column `duration` from the files' headers.

    Returns:
        The corpus. `text` is what the .txt beside a recording holds. Further columns: `kind`
        (primary, secondary), `sentence` (12b) and `repetition`.

    Raises:
        CorpusError: no recording below `root`.
    """
    found = walk(root, _parse, PATTERN)
    texts = _texts(root)
    for utterance, row in found.rows.items():
        row["text"] = read_text(texts[utterance]).strip() if utterance in texts else None
    return assemble(root, JL_10, found, CARD, durations=durations)


def check(root: str | Path) -> CheckReport:
    """Compare the tree with the 2400 names the corpus is made of."""
    found = walk(root, _parse, PATTERN)
    grid = product(SPEAKERS, EMOTIONS, range(1, N_SENTENCES + 1), "ab", "12")
    names = (f"{who}_{how}_{number}{variant}_{time}" for who, how, number, variant, time in grid)
    silent = sorted(set(found.rows).difference(_texts(root)))
    problems = [f"{silent[0]}: no .txt with its words, as for {len(silent)} in all"] * bool(silent)
    return compare(names, found, problems)


def _parse(stem: str) -> dict[str, Any] | None:
    match = _NAME.fullmatch(stem.strip().lower())
    if match is None:
        return None
    speaker, emotion, number, variant, repetition = match.groups()
    return {
        "utterance": f"{speaker}_{emotion}_{number}{variant}_{repetition}",
        "label": EMOTIONS[emotion],
        "speaker": speaker,
        "sex": SPEAKERS[speaker],
        "language": "en",
        "kind": "primary" if emotion in PRIMARY else "secondary",
        "sentence": number + variant,
        "repetition": int(repetition),
    }


def _texts(root: str | Path) -> dict[str, Path]:
    """Utterance -> the file of its words, empty ones left out."""
    texts: dict[str, Path] = {}
    for path in files_below(root):
        columns = _parse(path.stem) if path.suffix.lower() == ".txt" else None
        if columns is not None and not fault(path):
            texts.setdefault(columns["utterance"], path)
    return texts
