"""FAU Aibo: German children and a robot dog, in the parts of the 2009 challenge (spec 6.21).

Steidl (2009): Automatic classification of emotion-related user states in spontaneous children's
speech. Logos, Berlin. Schuller, Steidl, Batliner (2009): The INTERSPEECH 2009 emotion challenge.
Interspeech 2009, 312-315, doi:10.21437/Interspeech.2009-103.
"""

import re
from pathlib import Path
from typing import Any, Literal

from affekt.corpora.tree import CheckReport, Walk, assemble, compare, find_file, listed, read_text
from affekt.corpus import Corpus
from affekt.exceptions import CorpusError
from affekt.scheme import Categories

CARD = {
    "name": "aibo",
    "version": "2009 challenge",
    "licence": "for research, by agreement with the FAU Erlangen-Nürnberg",
    "citation": "Steidl (2009); Schuller et al. (2009), doi:10.21437/Interspeech.2009-103",
    "source": "https://www5.cs.fau.de/our-team/steidl-stefan/fau-aibo-emotion-corpus/",
    "language": "de",
}

AIBO_5 = Categories("aibo_5", ("anger", "emphatic", "neutral", "happiness", "rest"))
AIBO_2 = Categories("aibo_2", ("negative", "idle"))

CODES = {
    5: {"A": "anger", "E": "emphatic", "N": "neutral", "P": "happiness", "R": "rest"},
    2: {"NEG": "negative", "IDL": "idle"},
}
"""P is joy and motherese; R what fits none; NEG is A and E, IDL all else."""

SCHEMES = {5: AIBO_5, 2: AIBO_2}
SCHOOLS = {"Ohm": "train", "Mont": "test"}

_CHUNK = re.compile(r"(Ohm|Mont)_(\d+)_\w+")


def load(root: str | Path, *, classes: Literal[5, 2] = 5, durations: bool = False) -> Corpus:
    """Load FAU Aibo; the labels are those of the chunks in the challenge's tables.

    Args:
        root: the folder of `wav` and `labels`, or one above it.
        classes: 5 (anger, emphatic, neutral, positive as happiness, rest) or 2 (negative, idle).
        durations: fill the column `duration` from the files' headers.

    Returns:
        The corpus. `split` is the challenge's: the school Ohm is train, Mont test; `session` is
        the school. Further column: `confidence`, the share of raters' agreement, 0 to 1.

    Raises:
        CorpusError: no `chunk_labels_5cl_corpus.txt` (or 2cl) below `root`, or a line in it that
            is cut, repeats a chunk, or has an unknown code.
    """
    if classes not in CODES:
        raise CorpusError(f"classes must be 5 or 2, not {classes!r}")
    root = Path(root)
    return assemble(root, SCHEMES[classes], _read(root, classes), CARD, durations=durations)


def check(root: str | Path) -> CheckReport:
    """Name the chunks without a recording, and those that one of the two tables lacks."""
    root = Path(root)
    tables = {classes: _table(root, classes) for classes in CODES}
    problems = [
        f"{_name(classes)} is not there: classes={classes} cannot be loaded"
        for classes, path in tables.items()
        if path is None
    ]
    known = [classes for classes, path in tables.items() if path is not None]
    if not known:
        raise CorpusError(f"{root}: no {_name(5)} nor {_name(2)} below it")
    walks = {classes: _read(root, classes) for classes in known}
    found = walks[known[0]]
    if len(known) == 2:
        odd = set(walks[5].rows) ^ set(walks[2].rows)
        problems += [f"{chunk}: in one of the two tables only" for chunk in sorted(odd)]
    return compare(found.rows, found, problems)


def _name(classes: int) -> str:
    return f"chunk_labels_{classes}cl_corpus.txt"


def _table(root: Path, classes: int) -> Path | None:
    return find_file(root, _name(classes))


def _read(root: Path, classes: int) -> Walk:
    path = _table(root, classes)
    if path is None:
        raise CorpusError(f"{root}: no labels/IS2009EmotionChallenge/{_name(classes)} below it")
    rows: dict[str, dict[str, Any]] = {}
    for number, line in enumerate(read_text(path).splitlines(), 1):
        if not line.strip():
            continue
        chunk, row = _row(line, f"{path}, line {number}", classes)
        if chunk in rows:
            raise CorpusError(f"{path}, line {number}: {chunk} occurs twice; keep one of its lines")
        rows[chunk] = row
    return listed(root, rows)


def _row(line: str, where: str, classes: int) -> tuple[str, dict[str, Any]]:
    cells = line.split()
    match = _CHUNK.fullmatch(cells[0])
    if len(cells) != 3 or match is None:
        raise CorpusError(f"{where}: does not read as Ohm_01_000_00 code confidence, or is cut")
    if cells[1] not in CODES[classes]:
        raise CorpusError(f"{where}: code {cells[1]!r} is not one of {', '.join(CODES[classes])}")
    try:
        confidence = float(cells[2])
    except ValueError as problem:
        raise CorpusError(f"{where}: confidence {cells[2]!r} is no number") from problem
    school, child = match.groups()
    return cells[0], {
        "label": CODES[classes][cells[1]],
        "file": f"wav/{cells[0]}.wav",
        "speaker": f"{school}_{child}",
        "session": school,
        "language": "de",
        "split": SCHOOLS[school],
        "confidence": confidence,
    }
