"""AESDD: Greek actors, twenty utterances, five emotions, none of them neutral (spec 6.10).

Vryzas, Kotsakis, Liatsou, Dimoulas, Kalliris (2018): Speech emotion recognition for performance
interaction. Journal of the Audio Engineering Society 66(6), 457-467, doi:10.17743/jaes.2018.0036.
"""

import re
from itertools import product
from pathlib import Path
from typing import Any

from affekt.corpora.tree import CheckReport, assemble, compare, walk
from affekt.corpus import Corpus
from affekt.scheme import Categories

PATTERN = "a03 (4) (emotion, utterance, speaker in brackets)"

CARD = {
    "name": "aesdd",
    "version": "2018",
    "licence": "for research; see its site",
    "citation": "Vryzas et al. (2018), doi:10.17743/jaes.2018.0036",
    "source": "http://m3c.web.auth.gr/research/aesdd-speech-emotion-recognition/",
    "language": "el",
}

AESDD_5 = Categories("aesdd_5", ("anger", "disgust", "fear", "happiness", "sadness"))

EMOTIONS = {"a": "anger", "d": "disgust", "f": "fear", "h": "happiness", "s": "sadness"}
N_UTTERANCES = 20
N_SPEAKERS = 6

EXCLUDED = {"s05_3": "a file that the release broke"}
ABSENT = ("d18_5", "f02_4", "h11_3", "s01_5")
"""Never released."""
SECOND = ("a06_5b", "d01_5b", "d03_5b", "d04_5b", "f18_5b", "s01_5a", "s01_5b", "s02_5b", "s04_5b")
"""Second takes that are in the release."""

_NAME = re.compile(r"([adfhs])(\d\d?)\s*\(\s*0*(\d+)\s*\)\s*([a-z]?)")


def load(root: str | Path, *, durations: bool = False) -> Corpus:
    """Load AESDD; a name's emotion decides, whatever folder it lies in.

    Args:
        root: the folder of `anger`, `disgust`, `fear`, `happiness`, `sadness`, or one above it.
        durations: fill the column `duration` from the files' headers.

    Returns:
        The corpus; ids are `a03_4`, `s01_5b` for a second take. The recording `s05 (3)` is
        broken: `excluded`. Further column: `sentence`, the utterance's number.

    Raises:
        CorpusError: no recording below `root`.
    """
    found = walk(root, _parse, PATTERN)
    for utterance, row in found.rows.items():
        row["excluded"] = EXCLUDED.get(utterance, "")
    return assemble(root, AESDD_5, found, CARD, durations=durations)


def check(root: str | Path) -> CheckReport:
    """Compare the tree with the 605 names of the release; the broken one may be missing."""
    found = walk(root, _parse, PATTERN)
    grid = product(EMOTIONS, range(1, N_UTTERANCES + 1), range(1, N_SPEAKERS + 1))
    names = {f"{code}{number:02d}_{speaker}" for code, number, speaker in grid}
    names = names.difference(ABSENT).union(SECOND)
    return compare(names.difference(set(EXCLUDED).difference(found.rows)), found)


def _parse(stem: str) -> dict[str, Any] | None:
    match = _NAME.fullmatch(stem.strip().lower())
    if match is None:
        return None
    code, number, speaker, take = match.groups()
    return {
        "utterance": f"{code}{int(number):02d}_{speaker}{take}",
        "label": EMOTIONS[code],
        "speaker": speaker,
        "sex": "male" if int(speaker) % 2 else "female",
        "language": "el",
        "sentence": int(number),
    }
