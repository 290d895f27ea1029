"""STUDIES: a Japanese teacher's talks with two students, acted, four emotions (spec 6.18).

Saito, Nishimura, Takamichi, Tachibana, Saruwatari (2022): STUDIES: corpus of Japanese empathetic
dialogue speech towards friendly voice agent. Interspeech 2022, arXiv:2203.14757.
"""

import re
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from affekt.corpora.tree import (
    CheckReport,
    Walk,
    assemble,
    audio_files,
    compare,
    fault,
    files_below,
    read_text,
)
from affekt.corpus import Corpus
from affekt.exceptions import CorpusError
from affekt.scheme import Categories

PATTERN = "{ITA,Long_dialogue,Short_dialogue}/<set>/…/txt/*.txt and …/wav/*<speaker>*.wav"

CARD = {
    "name": "studies",
    "version": "2022",
    "licence": "for research; see its terms of use",
    "citation": "Saito et al. (2022), arXiv:2203.14757",
    "source": "https://sython.org/Corpus/STUDIES/",
    "language": "ja",
}

STUDIES_4 = Categories("studies_4", ("neutral", "happiness", "sadness", "anger"))

EMOTIONS = {"平静": "neutral", "喜び": "happiness", "悲しみ": "sadness", "怒り": "anger"}
SPEAKERS = {"講師": "Teacher", "女子生徒": "FStudent", "男子生徒": "MStudent"}
"""The word of a line -> the word in the names of recordings."""
SEXES = {"Teacher": "female", "FStudent": "female", "MStudent": "male"}
TYPES = ("ita", "long_dialogue", "short_dialogue")

N_LISTED = 5689
"""Samples in the Whisper paper's table 1."""

_SPEAKER = re.compile(rf"(?<![a-z])({'|'.join(SPEAKERS.values())})(?![a-z])", re.IGNORECASE)


@dataclass
class _Turns:
    """What one person says in one set: lines of its texts and recordings, both in order."""

    lines: list[tuple[str, str]] = field(default_factory=list)  # emotion, words
    files: list[str] = field(default_factory=list)


def load(root: str | Path, *, durations: bool = False) -> Corpus:
    """Load STUDIES; the k-th line of a person in a set belongs to their k-th recording in it.

    Nothing else joins the two. Where a set has more lines than recordings or fewer, nothing is
    guessed: its recordings stay, `excluded` and without a label.

    Args:
        root: the folder of `ITA`, `Long_dialogue` and `Short_dialogue`, or one above it.
        durations: fill the column `duration` from the files' headers.

    Returns:
        The corpus; an id is the file's path below the folder of the type. `session` is the set.
        Further column: `kind`, the type (ita, long_dialogue, short_dialogue).

    Raises:
        CorpusError: no texts or recordings in such folders below `root`, a line is cut or says
            another person or emotion, or no set's lines and recordings agree in number.
    """
    found, problems = _read(Path(root))
    card = {**CARD, "notes": problems} if problems else dict(CARD)
    return assemble(root, STUDIES_4, found, card, durations=durations)


def check(root: str | Path) -> CheckReport:
    """Name the sets whose lines and recordings differ in number, and count what is there."""
    found, problems = _read(Path(root))
    report = compare(found.rows, found, problems)
    n_missing = N_LISTED - len(found.rows)
    missing = [f"{n_missing} of {N_LISTED} recordings"] * (n_missing > 0)
    return CheckReport(N_LISTED, report.found, missing, report.extra, problems=report.problems)


def _read(root: Path) -> tuple[Walk, list[str]]:
    turns: dict[tuple[str, str, str], _Turns] = defaultdict(_Turns)  # type, set, speaker
    for path in sorted(files_below(root)):
        place = _place(path.relative_to(root))
        if place and path.suffix.lower() == ".txt" and path.parent.name.lower() == "txt":
            for speaker, emotion, words in _lines(path):
                turns[*place, speaker].lines.append((emotion, words))
    if not turns:
        raise CorpusError(f"{root}: no text as {PATTERN.split(' and ')[0]}")
    ignored = []
    for path in sorted(audio_files(root)):
        relative = path.relative_to(root)
        place, named = _place(relative), _SPEAKER.findall(path.stem)
        who = next((name for name in SEXES if named and name.lower() == named[-1].lower()), None)
        folders = {part.lower() for part in relative.parts[:-1]}
        if place is None or who is None or "wav" not in folders:
            ignored.append(f"{relative.as_posix()}: the name does not read as {PATTERN}")
        else:
            turns[*place, who].files.append(relative.as_posix())
    return _join(root, turns, ignored)


def _join(
    root: Path, turns: dict[tuple[str, str, str], _Turns], ignored: list[str]
) -> tuple[Walk, list[str]]:
    rows: dict[str, dict[str, Any]] = {}
    problems = []
    for (kind, group, speaker), own in sorted(turns.items()):
        n_lines, n_files = len(own.lines), len(own.files)
        agree = n_lines == n_files
        why = f"{kind}/{group}: {n_lines} lines and {n_files} recordings of {speaker}"
        problems += [] if agree else [f"{why}: which is which cannot be known; unpack it anew"]
        pairs = zip(own.files, own.lines if agree else [(None, None)] * n_files, strict=True)
        for file, (emotion, words) in pairs:
            parts = Path(file).with_suffix("").parts
            start = [part.lower() for part in parts].index(kind)
            utterance = "/".join(parts[start:])
            rows[utterance] = {
                "utterance": utterance,
                "file": file,
                "label": emotion,
                "speaker": speaker,
                "session": group,
                "sex": SEXES[speaker],
                "language": "ja",
                "text": words,
                "kind": kind,
                "excluded": "" if agree else why,
            }
    if all(row["label"] is None for row in rows.values()):
        reason = problems[0] if problems else f"no recording as {PATTERN.split(' and ')[1]}"
        raise CorpusError(f"{root}: {reason}")
    rows = dict(sorted(rows.items()))
    faults = {id: fault(root / row["file"]) for id, row in rows.items()}
    broken = {id: reason for id, reason in faults.items() if reason}
    return Walk(rows, tuple(ignored), broken), problems


def _place(path: Path) -> tuple[str, str] | None:
    """Type and set of a file: the folder of a type, and the one in it."""
    parts = [part.lower() for part in path.parts[:-1]]
    start = next((number for number, part in enumerate(parts) if part in TYPES), None)
    if start is None or start + 1 >= len(parts):
        return None
    return parts[start], path.parts[start + 1]


def _lines(path: Path) -> list[tuple[str, str, str]]:
    """Speaker, emotion and words of each line `講師|平静|words|…` of the three people."""
    said = []
    for number, line in enumerate(read_text(path).splitlines(), 1):
        if not line.strip():
            continue
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) < 3 or cells[0] not in SPEAKERS or cells[1] not in EMOTIONS:
            people, words = "、".join(SPEAKERS), "、".join(EMOTIONS)
            raise CorpusError(
                f"{path}, line {number}: does not read as speaker|emotion|words, with one of "
                f"{people} and one of {words}, or is cut"
            )
        said.append((SPEAKERS[cells[0]], EMOTIONS[cells[1]], cells[2]))
    return said
