"""URDU: clips of Urdu talk shows, four emotions (spec 6.9).

Latif, Qayyum, Usman, Qadir (2018): Cross Lingual Speech Emotion Recognition: Urdu vs. Western
Languages. FIT 2018, doi:10.1109/FIT.2018.00023.
"""

import re
from collections import Counter
from itertools import product
from pathlib import Path
from typing import Any

from affekt.corpora.tree import CheckReport, assemble, walk
from affekt.corpus import Corpus
from affekt.scheme import URDU_4

PATTERN = "SM1_F10_A010 (speaker, clip, emotion and number)"

CARD = {
    "name": "urdu",
    "version": "2018",
    "licence": "research use only",
    "citation": "Latif et al. (2018), doi:10.1109/FIT.2018.00023",
    "source": "https://github.com/siddiquelatif/URDU-Dataset",
    "language": "ur",
}

EMOTIONS = {"A": "anger", "H": "happiness", "N": "neutral", "S": "sadness"}
N_PER_EMOTION = 100

_NAME = re.compile(r"(S([MF])\d+)_(F\d+)_([AHNS])0*(\d+)", re.IGNORECASE)


def load(root: str | Path, *, durations: bool = False) -> Corpus:
    """Load URDU; speakers are the 29 codes in the names (its README speaks of 38 people).

    Most speakers show one emotion only, so normalising per speaker would remove the labels.

    Args:
        root: the folder of `Angry`, `Happy`, `Neutral`, `Sad`, or one above it.
        durations: fill the column `duration` from the files' headers.

    Raises:
        CorpusError: no recording below `root`.
    """
    found = walk(root, _parse, PATTERN)
    for row in found.rows.values():
        del row["number"]
    return assemble(root, URDU_4, found, CARD, durations=durations)


def check(root: str | Path) -> CheckReport:
    """Compare the tree with the running numbers 1 to 100 of each emotion."""
    found = walk(root, _parse, PATTERN)
    numbers = Counter(row["number"] for row in found.rows.values())
    expected = [
        f"{code}{number}" for code, number in product(EMOTIONS, range(1, N_PER_EMOTION + 1))
    ]
    wrong = [row["file"] for row in found.rows.values() if row["number"] not in expected]
    twice = [f"the number {number} occurs {n} times" for number, n in numbers.items() if n > 1]
    return CheckReport(
        expected=len(expected),
        found=len(found.rows),
        missing=[
            f"*_{number[0]}{int(number[1:]):03d}" for number in expected if number not in numbers
        ],
        extra=[*(f"{file}: not in the corpus" for file in wrong), *found.ignored],
        problems=[
            *(f"{found.rows[id]['file']}: {why}" for id, why in found.broken.items()),
            *twice,
        ],
    )


def _parse(stem: str) -> dict[str, Any] | None:
    match = _NAME.fullmatch(stem.strip().upper())
    if match is None:
        return None
    speaker, sex, clip, emotion, number = match.groups()
    return {
        "utterance": match.group(),
        "label": EMOTIONS[emotion],
        "speaker": speaker,
        "sex": "male" if sex == "M" else "female",
        "language": "ur",
        "clip": clip,
        "number": f"{emotion}{number}",
    }
