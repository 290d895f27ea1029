"""ZED, the Zaion Emotion Dataset: English talk in which one emotion begins and ends, with borders.

Wang, Ravanelli, Yacoubi (2023): Speech emotion diarization: which emotion appears when? ASRU 2023,
arXiv:2306.12991. `ZED.json` maps the id of each recording to `wav`, `duration` and `emotion`, a
list of `emo`, `start` and `end`.
"""

import json
from itertools import pairwise, takewhile
from math import isfinite
from pathlib import Path, PurePosixPath
from typing import Any

from affekt.corpora.tree import (
    CheckReport,
    Walk,
    assemble,
    audio_files,
    compare,
    fault,
    find_file,
    read_text,
)
from affekt.corpus import Corpus
from affekt.exceptions import CorpusError
from affekt.scheme import IEMOCAP_4

CARD = {
    "name": "zed",
    "version": "2023",
    "licence": "ask its makers",
    "citation": "Wang et al. (2023), arXiv:2306.12991",
    "source": "https://zaion.ai/en/resources/zaion-lab-blog/zaion-emotion-dataset/",
    "language": "en",
}

EMOTIONS = {"angry": "anger", "happy": "happiness", "neutral": "neutral", "sad": "sadness"}
NEUTRAL = "neutral"
SLACK = 0.05  # s by which an emotion may end behind the recording: times are rounded

_TABLE = "ZED.json"


def load(root: str | Path, *, durations: bool = False) -> Corpus:
    """Load ZED: every stretch of a recording is an utterance, neutral where no emotion is marked.

    So the utterances of a file tile it, and `start` and `end` are the borders that a timeline is
    to find.

    Args:
        root: the folder of `ZED.json` and the recordings, or one above it.
        durations: does nothing more: every length is in `ZED.json`.

    Returns:
        The corpus; ids are the recording's with the number of the stretch, `spk1_1/0`. `session`
        is the recording. `speaker` is what stands before the last underscore of its id; missing
        where there is none. Stretches of a recording that is not there are `excluded`.

    Raises:
        CorpusError: no `ZED.json`, one that is cut, or an entry without recording, length or
            emotions, with a word that is no emotion of ZED, or borders that cannot be.
    """
    return assemble(root, IEMOCAP_4, _read(Path(root)), CARD, durations=False)


def check(root: str | Path) -> CheckReport:
    """Name the stretches whose recording is not there."""
    found = _read(Path(root))
    return compare(found.rows, found)


def _read(root: Path) -> Walk:
    path = find_file(root, _TABLE)
    if path is None:
        raise CorpusError(f"{root}: no {_TABLE} below it")
    try:
        table = json.loads(read_text(path))
    except (ValueError, RecursionError) as problem:
        raise CorpusError(f"{path}: not JSON, or cut ({problem})") from None
    if not isinstance(table, dict) or not table:
        raise CorpusError(f"{path}: holds no recordings by id")
    places = _Places(root)
    rows: dict[str, dict[str, Any]] = {}
    broken: dict[str, str] = {}
    absent: list[str] = []
    for id_, entry in table.items():
        where = f"{path}, {id_}"
        stretches, wav = _stretches(entry, where), entry.get("wav")
        if not isinstance(wav, str) or not wav.strip(" /\\"):
            raise CorpusError(f"{where}: `wav` names no recording")
        official = PurePosixPath(wav.replace("\\", "/").lstrip("/"))
        file = places.take(official)
        reason = "" if file is None else fault(root / file)
        ids = [f"{id_}/{number}" for number in range(len(stretches))]
        absent += ids if file is None else []
        broken |= dict.fromkeys(ids, reason) if reason else {}
        for utterance, (start, end, label) in zip(ids, stretches, strict=True):
            rows[utterance] = {
                "utterance": utterance,
                "label": label,
                "file": str(file or official),
                "start": start,
                "end": end,
                "duration": end - start,
                "speaker": id_.rpartition("_")[0] or None,
                "session": id_,
                "language": "en",
            }
    return Walk(rows, places.left(), broken, tuple(absent))


class _Places:
    """Where recordings lie: `wav` may start with a folder of another machine."""

    def __init__(self, root: Path) -> None:
        found = [PurePosixPath(path.relative_to(root).as_posix()) for path in audio_files(root)]
        self._by_stem: dict[str, list[PurePosixPath]] = {}
        for file in found:
            self._by_stem.setdefault(file.stem, []).append(file)
        self._left = dict.fromkeys(found)

    def take(self, official: PurePosixPath) -> PurePosixPath | None:
        """The file of this stem whose folders agree most, from the innermost on."""

        def agreement(file: PurePosixPath) -> int:
            pairs = zip(reversed(file.parent.parts), reversed(official.parent.parts), strict=False)
            return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))

        place = max(self._by_stem.get(official.stem, []), key=agreement, default=None)
        if place is not None:
            self._left.pop(place, None)
        return place

    def left(self) -> tuple[str, ...]:
        return tuple(f"{file}: not in {_TABLE}" for file in self._left)


def _stretches(entry: Any, where: str) -> list[tuple[float, float, str]]:
    """Tile a recording: its emotions, in order, and neutral between them."""
    duration = _seconds(entry, "duration", where)
    marked = entry.get("emotion")
    if not isinstance(marked, list) or not marked:
        raise CorpusError(f"{where}: `emotion` is no list of emo, start and end")
    spans = []
    for part in marked:
        start, end = _seconds(part, "start", where), _seconds(part, "end", where)
        word = part.get("emo")
        if not isinstance(word, str) or word.lower() not in EMOTIONS:
            raise CorpusError(f"{where}: {word!r} is none of {', '.join(EMOTIONS)}")
        if not (end <= duration + SLACK and start < min(end, duration)):
            raise CorpusError(f"{where}: {word} from {start} to {end} s, of {duration} s in all")
        spans.append((start, min(end, duration), EMOTIONS[word.lower()]))
    spans.sort()
    if any(after[0] < before[1] for before, after in pairwise(spans)):
        raise CorpusError(f"{where}: two emotions overlap: there is one at a time")
    ends = [0.0, *(end for _, end, _ in spans)]
    starts = [*(start for start, _, _ in spans), duration]
    calm = [(a, b, NEUTRAL) for a, b in zip(ends, starts, strict=True) if b > a]
    return sorted(spans + calm)


def _seconds(entry: Any, key: str, where: str) -> float:
    value = entry.get(key) if isinstance(entry, dict) else None
    try:
        seconds = float("nan") if isinstance(value, bool) or value is None else float(value)
    except (TypeError, ValueError):
        seconds = float("nan")
    if not (isfinite(seconds) and seconds >= 0):
        raise CorpusError(f"{where}: `{key}` is {value!r}, not seconds")
    return seconds
