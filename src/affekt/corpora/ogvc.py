"""OGVC: Japanese players' voice chat, three votes an utterance, and its lines acted (spec 6.17).

Arimoto, Kawatsu, Ohno, Iida (2012): Naturalistic emotional speech collection paradigm with online
game and its psychological and acoustical assessment. Acoustical Science and Technology 33(6),
359-369, doi:10.1250/ast.33.359.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from affekt.corpora.tree import (
    CheckReport,
    Walk,
    assemble,
    audio_files,
    compare,
    fault,
    files_below,
    find_file,
    listed,
    walk_files,
)
from affekt.corpus import Corpus
from affekt.exceptions import CorpusError
from affekt.scheme import Categories

PATTERN = "FOY0101ANT0 (speaker, dialogue, utterance, emotion, intensity) or Natural/trans/*.txt"

CARD = {
    "name": "ogvc",
    "version": "2013",
    "licence": "for research, by agreement with the NII Speech Resources Consortium",
    "citation": "Arimoto et al. (2012), doi:10.1250/ast.33.359",
    "source": "https://research.nii.ac.jp/src/en/OGVC.html",
    "language": "ja",
    "scales": {"intensity": [1, 5]},
}

EMOTIONS = {
    "JOY": "happiness",
    "ACC": "acceptance",
    "FEA": "fear",
    "SUR": "surprise",
    "SAD": "sadness",
    "DIS": "disgust",
    "ANG": "anger",
    "ANT": "anticipation",
    "NEU": "neutral",
    "OTH": "other",
}
OGVC_10 = Categories("ogvc_10", tuple(EMOTIONS.values()))

ACTORS = ("FOY", "FYN", "MOY", "MTY")
N_LEVELS = 4  # 0, without the emotion, to 3
MAX_INTENSITY = 5  # of the ratings of spontaneous utterances

Part = Literal["all", "spontaneous", "acted"]

_CATEGORY, _INTENSITY = "category.txt", "intensity.txt"
_EMOTION = "|".join(EMOTIONS)
_ACTED = re.compile(rf"([FM])([A-Z]{{2}})(\d\d)(\d\d)({_EMOTION})([0-3])")
_FILE = re.compile(r"(\d\d)_(([FM])[A-Z]{2})(?:_\d+)?")


@dataclass
class _Spontaneous:
    """Volume 1: its utterances and what raters said of them; files and lines that fit nothing."""

    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    votes: list[tuple[str, str, str]] = field(default_factory=list)
    ratings: list[tuple[str, str, str, float]] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def load(root: str | Path, *, part: Part = "all", durations: bool = False) -> Corpus:
    """Load OGVC: spontaneous utterances (volume 1), acted ones (volume 2) or both.

    A spontaneous utterance is a stretch of a player's recording. Its label is what at least two of
    the three raters said; without that it has votes, but no label. An acted one has the emotion of
    its name, also at level 0, where the actor left it out: `intensity` is then 0.

    Args:
        root: the folder of `Natural`, of `Acted`, or one above them.
        part: "all", "spontaneous" or "acted".
        durations: fill the column `duration` of acted files; the others are in the transcripts.

    Returns:
        The corpus. Votes are of the raters 1 to 3. Ratings have the dimension intensity, 1 to 5,
        from up to 18 raters, of the utterances that the release has them for. `intensity` is
        their mean over 5, or the acted level over 3. Spontaneous speakers are called `03_FTY`,
        as a code names different people in two dialogues. Further column: `kind`.

    Raises:
        CorpusError: nothing of the corpus below `root`, a line of a table is cut or has an
            unknown emotion, `part` is none of the three.
    """
    if part not in ("all", "spontaneous", "acted"):
        raise CorpusError(f"part must be all, spontaneous or acted, not {part!r}")
    found, said = _read(Path(root), part)
    votes = pd.DataFrame(said.votes, columns=["utterance", "rater", "label"])
    ratings = pd.DataFrame(said.ratings, columns=["utterance", "rater", "dimension", "value"])
    return assemble(
        root,
        OGVC_10,
        found,
        {**CARD, "notes": said.problems} if said.problems else dict(CARD),
        durations=durations,
        votes=None if votes.empty else votes,
        ratings=None if ratings.empty else ratings,
    )


def check(root: str | Path) -> CheckReport:
    """Name what the transcripts have and no file holds, and acted lines that somebody lacks."""
    root = Path(root)
    found, said = _read(root, "all")
    acted = [match for id in found.rows if (match := _ACTED.fullmatch(id))]
    lines = {(match[3] + match[4], match[5]) for match in acted}
    expected = {
        f"{actor}{place}{emotion}{level}"
        for (place, emotion), actor, level in product(lines, ACTORS, range(N_LEVELS))
    }
    problems = list(said.problems)
    if not acted:
        problems.append("no acted recordings (volume 2, Acted/wav) are there")
    if not said.rows:
        problems.append("no transcripts (volume 1, Natural/trans) are there")
    for name, loss in ((_CATEGORY, "labels and votes"), (_INTENSITY, "ratings")):
        if said.rows and find_file(root, name) is None:
            problems.append(f"Natural/eval/{name} is not there: no {loss} of spontaneous speech")
    return compare(expected.union(said.rows), found, problems)


def _read(root: Path, part: Part) -> tuple[Walk, _Spontaneous]:
    said = _Spontaneous() if part == "acted" else _spontaneous(root)
    files = audio_files(root)
    acted = [path for path in files if _ACTED.fullmatch(path.stem.strip().upper())]
    walks = []
    if part != "spontaneous" and (acted or not said.rows):
        walks.append(walk_files(root, acted, _parse, PATTERN))
    elif not said.rows:
        raise CorpusError(f"{root}: no Natural/trans/*.txt with utterances below it")
    others = [path for path in files if path not in set(acted)]
    if said.rows:
        walks.append(listed(root, said.rows, others))
        strays = list(said.empty)
    else:
        strays = [
            f"{path.relative_to(root).as_posix()}: the name does not read as {PATTERN}"
            for path in others
            if not _FILE.fullmatch(path.stem.upper())
        ]
    rows = {id: row for one in walks for id, row in one.rows.items()}
    broken = {id: why for one in walks for id, why in one.broken.items()}
    ignored = (*strays, *(line for one in walks for line in one.ignored))
    return Walk(rows, ignored, broken, tuple(id for one in walks for id in one.absent)), said


def _parse(path: Path) -> dict[str, Any] | None:
    match = _ACTED.fullmatch(path.stem.strip().upper())
    if match is None:
        return None
    folders = [part.upper() for part in path.parts[:-1]]
    return {
        "utterance": match.group(),
        "label": EMOTIONS[match[5]],
        "speaker": match[1] + match[2],
        "session": next((part for part in folders if re.fullmatch(r"[FM]\d", part)), None),
        "sex": "female" if match[1] == "F" else "male",
        "language": "ja",
        "intensity": int(match[6]) / (N_LEVELS - 1),
        "kind": "acted",
    }


def _spontaneous(root: Path) -> _Spontaneous:
    said = _Spontaneous()
    for path in files_below(root):
        match = _FILE.fullmatch(path.stem.upper())
        if match and path.suffix.lower() == ".txt" and path.parent.name.lower() == "trans":
            sound = path.parent.parent.relative_to(root) / "wav" / f"{path.stem}.wav"
            _transcript(path, match, sound.as_posix(), said)
    if said.rows:
        _vote(root, said)
        _rate(root, said)
    return said


def _transcript(path: Path, name: re.Match[str], sound: str, said: _Spontaneous) -> None:
    """The utterances of a player's recording, from lines `number,start,end,channel,words`."""
    for where, line in _lines(path):
        cells = line.split(",", 4)
        try:
            number, start, end = int(cells[0]), float(cells[1]), float(cells[2])
            text = cells[4]
        except (ValueError, IndexError) as problem:
            raise CorpusError(
                f"{where}: does not read as number,start,end,channel,words, or is cut"
            ) from problem
        utterance = f"{path.stem.upper()}_{number}"
        if utterance in said.rows:
            raise CorpusError(f"{where}: the number {number} occurs twice; keep one of the lines")
        if end <= max(start, 0.0):
            said.empty.append(f"{utterance}: an utterance of no length")
            continue
        said.rows[utterance] = {
            "label": None,
            "file": sound,
            "start": max(start, 0.0),
            "end": end,
            "duration": end - max(start, 0.0),
            "speaker": f"{name[1]}_{name[2]}",
            "session": name[1],
            "sex": "female" if name[3] == "F" else "male",
            "language": "ja",
            "text": text.strip(),
            "kind": "spontaneous",
        }


def _vote(root: Path, said: _Spontaneous) -> None:
    """Votes and labels from lines `01_MAD_1,12,JOY,NEU,JOY`, one word a rater."""
    path = find_file(root, _CATEGORY)
    seen = set()
    for where, utterance, words in [] if path is None else _table(path):
        strange = [word for word in words if word.upper() not in EMOTIONS]
        if strange or not words:
            raise CorpusError(f"{where}: {strange or 'nothing'} is none of {', '.join(EMOTIONS)}")
        if utterance in seen:
            raise CorpusError(f"{where}: {utterance} occurs twice; keep one of the lines")
        seen.add(utterance)
        if utterance not in said.rows:
            said.problems.append(f"{utterance}: votes, but no line in the transcripts")
            continue
        labels = [EMOTIONS[word.upper()] for word in words]
        said.votes += [(utterance, str(rater), label) for rater, label in enumerate(labels, 1)]
        label, n = Counter(labels).most_common(1)[0]
        said.rows[utterance]["label"] = label if 2 * n > len(labels) else None


def _rate(root: Path, said: _Spontaneous) -> None:
    """Intensities from lines `01_MAD_1,12,JOY,3,4,…`, one number a rater."""
    path = find_file(root, _INTENSITY)
    for where, utterance, cells in [] if path is None else _table(path):
        numbers = {str(rater): cell for rater, cell in enumerate(cells[1:], 1) if cell}
        if not all(cell.isdecimal() and 1 <= int(cell) <= MAX_INTENSITY
                   for cell in numbers.values()):  # fmt: skip
            raise CorpusError(f"{where}: an intensity is no number from 1 to {MAX_INTENSITY}")
        row = said.rows.get(utterance)
        if row is None or not numbers:
            said.problems.append(f"{utterance}: intensities, but no line in the transcripts")
            continue
        label = EMOTIONS.get(cells[0].upper())
        if row["label"] not in (None, label):
            said.problems.append(f"{utterance}: {_INTENSITY} says {label}, votes {row['label']}")
        said.ratings += [(utterance, who, "intensity", float(n)) for who, n in numbers.items()]
        row["intensity"] = sum(map(int, numbers.values())) / len(numbers) / MAX_INTENSITY


def _table(path: Path) -> Iterator[tuple[str, str, list[str]]]:
    """Of each line its place, utterance and further cells; a header is passed over."""
    lines = list(_lines(path))
    head = lines[0][1] if lines else ""
    separator = max((",", "\t", ";"), key=head.count)
    for number, (where, line) in enumerate(lines):
        name, *cells = (cell.strip() for cell in line.split(separator))
        if number == 0 and not (cells and cells[0].isdecimal()):
            continue
        if len(cells) < 2 or not _FILE.fullmatch(name.upper()) or not cells[0].isdecimal():
            raise CorpusError(f"{where}: does not read as 01_MAD_1,12,JOY,…, or is cut")
        yield where, f"{name.upper()}_{int(cells[0])}", cells[1:]


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    """The filled lines of a text, UTF-8 or Shift JIS, each with its place for messages."""
    if reason := fault(path):
        raise CorpusError(f"{path}: {reason}")
    data = path.read_bytes()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        try:
            text = data.decode("cp932")
        except UnicodeDecodeError as problem:
            raise CorpusError(f"{path}: neither UTF-8 nor Shift JIS; unpack it anew") from problem
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            yield f"{path}, line {number}", line
