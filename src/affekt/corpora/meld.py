"""MELD: 13,708 utterances of the series Friends, seven emotions, official split (spec 6.20).

Poria, Hazarika, Majumder, Naik, Cambria, Mihalcea (2019): MELD: a multimodal multi-party dataset
for emotion recognition in conversations. ACL 2019, 527-536, doi:10.18653/v1/P19-1050.
"""

import re
from pathlib import Path
from typing import Any

from affekt.corpora.rows import read_rows
from affekt.corpora.tree import CheckReport, Walk, assemble, compare, find_file, listed, media_files
from affekt.corpus import Corpus
from affekt.exceptions import CorpusError
from affekt.scheme import EKMAN_7

CARD = {
    "name": "meld",
    "version": "2019",
    "licence": "GPL-3.0 for the annotations; the series belongs to its makers",
    "citation": "Poria et al. (2019), doi:10.18653/v1/P19-1050",
    "source": "https://github.com/declare-lab/MELD",
    "language": "en",
}

EMOTIONS = {
    "anger": "anger",
    "disgust": "disgust",
    "fear": "fear",
    "joy": "happiness",
    "neutral": "neutral",
    "sadness": "sadness",
    "surprise": "surprise",
}

PARTS = {"train": "train", "dev": "validation", "test": "test"}
"""The release's word for a part -> ours."""

FOLDERS = {
    "train": "train_splits",
    "dev": "dev_splits_complete",
    "test": "output_repeated_splits_test",
}

BROKEN = {"train_dia125_utt3", "dev_dia110_utt7"}
"""Utterances whose film is damaged or not there in the release."""
WHY_BROKEN = "its film is broken in the release"

_COLUMNS = [
    *("Utterance", "Speaker", "Emotion", "Sentiment", "Dialogue_ID", "Utterance_ID"),
    *("Season", "Episode", "StartTime", "EndTime"),
]
_TIME = re.compile(r"\d+:\d\d:\d\d,\d+")
_PART = re.compile(r"(?:\w*_)?(train|dev|test)(?:_\w*)?")


def load(root: str | Path, *, durations: bool = False) -> Corpus:
    """Load MELD; films are decoded as they are, sound extracted from them is preferred.

    A folder below `root` whose name has the word train, dev or test says of which part a file
    is, as names repeat in the parts. An utterance without a file stays, `excluded` as
    "no recording"; of two the film is broken in the release.

    Args:
        root: the folder of `train_sent_emo.csv`, `dev_sent_emo.csv`, `test_sent_emo.csv` and the
            folders of films, or one above it; a part may be absent.
        durations: fill the column `duration`; decodes every film.

    Returns:
        The corpus; ids are `train_dia0_utt3`. `speaker` is the character, `session` the episode
        (s08e21). Further columns: `dialogue` (dia0 of a part) and `sentiment`.

    Raises:
        CorpusError: no table, a column it lacks, a row that is cut or repeats an utterance, a
            word that is none of the seven emotions.
    """
    found, _ = _read(Path(root))
    return assemble(root, EKMAN_7, found, CARD, durations=durations)


def check(root: str | Path) -> CheckReport:
    """Name the utterances without a file; the two that the release broke are not missing."""
    found, absent = _read(Path(root))
    problems = [f"{_table(part)} is not there: the corpus loads without that part"
                for part in absent]  # fmt: skip
    report = compare(found.rows, found, problems)
    lost = [utterance for utterance in report.missing if utterance not in BROKEN]
    return CheckReport(report.expected, report.found, lost, report.extra, problems=report.problems)


def _table(part: str) -> str:
    return f"{part}_sent_emo.csv"


def _read(root: Path) -> tuple[Walk, list[str]]:
    """The utterances of all parts, and the parts without a table."""
    tables = {part: find_file(root, _table(part)) for part in PARTS}
    if not any(tables.values()):
        raise CorpusError(f"{root}: no {', '.join(map(_table, PARTS))} below it")
    files: dict[str | None, list[Path]] = {part: [] for part in (*PARTS, None)}
    for path in media_files(root):
        files[_part_of(path.relative_to(root))].append(path)
    walks = [
        listed(root, _utterances(path, part, root), files[part])
        for part, path in tables.items()
        if path is not None
    ]
    strays = [path for part in (None, *PARTS) if part is None or tables[part] is None
              for path in files[part]]  # fmt: skip
    stray = [f"{path.relative_to(root).as_posix()}: of no part whose table is there"
             for path in strays]  # fmt: skip
    rows = {utterance: row for one in walks for utterance, row in one.rows.items()}
    broken = {utterance: why for one in walks for utterance, why in one.broken.items()}
    ignored = (*(line for one in walks for line in one.ignored), *stray)
    absent = tuple(utterance for one in walks for utterance in one.absent)
    return Walk(rows, ignored, broken, absent), [p for p, path in tables.items() if path is None]


def _part_of(file: Path) -> str | None:
    """The part that the innermost of the folders with one in its name says."""
    for folder in reversed(file.parts[:-1]):
        if match := _PART.fullmatch(folder.lower()):
            return match[1]
    return None


def _utterances(path: Path, part: str, root: Path) -> dict[str, dict[str, Any]]:
    rows: dict[str, dict[str, Any]] = {}
    films = path.parent.relative_to(root) / FOLDERS[part]
    for where, cells in read_rows(path, _COLUMNS):
        dialogue, number = cells["Dialogue_ID"], cells["Utterance_ID"]
        times = (cells["StartTime"], cells["EndTime"])
        if not (dialogue.isdecimal() and number.isdecimal() and all(map(_TIME.fullmatch, times))):
            raise CorpusError(f"{where}: ids or times do not read as 12 or 00:16:16,059, or cut")
        emotion = cells["Emotion"].lower()
        if emotion not in EMOTIONS:
            raise CorpusError(f"{where}: {emotion!r} is none of {', '.join(EMOTIONS)}")
        stem = f"dia{int(dialogue)}_utt{int(number)}"
        utterance = f"{part}_{stem}"
        if utterance in rows:
            raise CorpusError(f"{where}: {stem} occurs twice; keep one of its rows")
        rows[utterance] = {
            "label": EMOTIONS[emotion],
            "file": (films / f"{stem}.mp4").as_posix(),
            "speaker": cells["Speaker"] or None,
            "session": f"s{cells['Season']:0>2}e{cells['Episode']:0>2}",
            "language": "en",
            "text": cells["Utterance"],
            "split": PARTS[part],
            "dialogue": f"{part}_dia{int(dialogue)}",
            "sentiment": cells["Sentiment"].lower(),
            "excluded": WHY_BROKEN if utterance in BROKEN else "",
        }
    return rows
