"""AFEW, and films laid out as it is: a folder for each part, in it one for each emotion.

Dhall, Goecke, Lucey, Gedeon (2012): Collecting large, richly annotated facial-expression databases
from movies. IEEE MultiMedia 19(3), 34-41, doi:10.1109/MMUL.2012.26. Layout as in EmotiW 2016.
"""

import re
from collections import Counter
from pathlib import Path
from typing import Any

from affekt.corpora.generic import noun
from affekt.corpora.tree import CheckReport, Walk, assemble, compare, media_files, walk_files
from affekt.corpus import Corpus
from affekt.scheme import EKMAN_7

PATTERN = "Train/Angry/000046280.avi (part, emotion, clip)"

CARD = {
    "name": "afew",
    "version": "that of the tree",
    "licence": "for research, by agreement with its makers; the films belong to their owners",
    "citation": "Dhall et al. (2012), doi:10.1109/MMUL.2012.26",
    "source": "https://sites.google.com/view/emotiw2020",
    "language": "en",
}

PARTS = {"train": "train", "val": "validation", "validation": "validation", "test": "test"}

_PART = re.compile(r"(train|val|validation|test)(?:[ _-]?afew)?")


def load(root: str | Path, *, durations: bool = False) -> Corpus:
    """Load AFEW or a tree like it; sound extracted from the films is preferred to them.

    Films that lie in a part, but in no emotion's folder, have no label: those of the test part.
    Who speaks is unknown, so a split by speaker refuses the corpus; the parts share no film.

    Args:
        root: the folder of `Train`, `Val` and `Test` (or `Train_AFEW`, …), or one above it.
        durations: fill the column `duration`; decodes every film.

    Returns:
        The corpus; ids are `train/000046280`, as names occur again in other parts. `split` is
        train, validation or test.

    Raises:
        CorpusError: no film below a part, or a clip that two emotions of a part have.
    """
    return assemble(root, EKMAN_7, _walk(root), CARD, durations=durations)


def check(root: str | Path) -> CheckReport:
    """Say which part or emotion has no film; how many there must be depends on the edition."""
    found = _walk(root)
    cells = Counter((row["split"], row["label"]) for row in found.rows.values())
    parts = dict.fromkeys(PARTS.values())
    there = {part for part, _ in cells}
    problems = [f"the part {part} has no film" for part in parts if part not in there]
    problems += [
        f"the part {part} has no film of {label}"
        for part in ("train", "validation")
        if part in there
        for label in EKMAN_7
        if not cells[part, label]
    ]
    return compare(found.rows, found, problems)


def _walk(root: str | Path) -> Walk:
    return walk_files(root, media_files(root), _parse, PATTERN, "film or audio file")


def _parse(path: Path) -> dict[str, Any] | None:
    folders = [part.lower() for part in path.parts[:-1]]
    at = [i for i, name in enumerate(folders) if _PART.fullmatch(name)]
    if not at:
        return None
    part = _PART.fullmatch(folders[at[-1]])
    below = folders[at[-1] + 1 :]
    label = noun(below[0]) if below else None
    if part is None or len(below) > 1:
        return None
    if label is not None and label not in EKMAN_7:
        return {"ignore": f"the folder {path.parts[-2]} is none of {', '.join(EKMAN_7)}"}
    split = PARTS[part[1]]
    return {
        "utterance": f"{split}/{path.stem}",
        "label": label,
        "language": "en",
        "split": split,
    }
