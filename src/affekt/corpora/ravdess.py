"""RAVDESS: 24 actors, two English statements, eight emotions in two strengths (spec 6.5).

Livingstone, Russo (2018): The Ryerson Audio-Visual Database of Emotional Speech and Song.
PLoS ONE 13(5), doi:10.1371/journal.pone.0196391.
"""

import re
from collections.abc import Iterable
from itertools import product
from pathlib import Path
from typing import Any

from affekt.corpora.tree import CheckReport, assemble, compare, walk
from affekt.corpus import Corpus
from affekt.scheme import RAVDESS_8

PATTERN = (
    "03-01-05-02-01-02-12 (modality, channel, emotion, intensity, statement, repetition, actor)"
)

CARD = {
    "name": "ravdess",
    "version": "1.0.0",
    "licence": "CC-BY-NC-SA-4.0",
    "citation": "Livingstone and Russo (2018), doi:10.1371/journal.pone.0196391",
    "source": "https://zenodo.org/records/1188976",
    "language": "en",
}

EMOTIONS = {
    "01": "neutral",
    "02": "calm",
    "03": "happiness",
    "04": "sadness",
    "05": "anger",
    "06": "fear",
    "07": "disgust",
    "08": "surprise",
}
INTENSITIES = {"01": 0.6, "02": 1.0}  # normal, strong (spec 3.3)
STATEMENTS = {"01": "Kids are talking by the door", "02": "Dogs are sitting by the door"}
N_ACTORS = 24
UNSUNG = ("07", "08")
SILENT_ACTOR = 18
"""Who has no song."""

_NAME = re.compile(r"(0[1-3])-(0[12])-(0[1-8])-(0[12])-(0[12])-(0[12])-(0[1-9]|1\d|2[0-4])")
_SPEECH, _SONG = "01", "02"


def load(root: str | Path, *, song: bool = False, durations: bool = False) -> Corpus:
    """Load the audio-only speech of RAVDESS, with `song` its singing too.

    Calm is a category of its own here. Normal strength counts as intensity 0.6, strong as 1.
    Actor_07 has one pair of identical recordings (03-01-03-01-02-01-07 and -02-07); their labels
    agree, so both stay.

    Args:
        root: the folder of `Actor_01` to `Actor_24`, or one above it.
        song: take the sung statements too; the column `channel` then tells them apart.
        durations: fill the column `duration` from the files' headers.

    Raises:
        CorpusError: no recording below `root`.
    """
    found = walk(root, _parse if song else _parse_speech, PATTERN)
    return assemble(root, RAVDESS_8, found, CARD, durations=durations)


def check(root: str | Path, *, song: bool = False) -> CheckReport:
    """Compare the tree with the 1440 names of the speech part, with `song` the 1012 sung too."""
    if song:
        return compare(_speech_names() + _song_names(), walk(root, _parse, PATTERN))
    return compare(_speech_names(), walk(root, _parse_speech, PATTERN))


def load_with_song(root: str | Path, *, durations: bool = False) -> Corpus:
    """`load` with the singing: the 2452 recordings of the Whisper paper."""
    return load(root, song=True, durations=durations)


def check_with_song(root: str | Path) -> CheckReport:
    """`check` with the singing."""
    return check(root, song=True)


def _parse(stem: str) -> dict[str, Any] | None:
    match = _NAME.fullmatch(stem.strip())
    if match is None:
        return None
    modality, channel, emotion, intensity, statement, _, actor = match.groups()
    if modality != "03":
        return {"ignore": "a video's sound; the audio-only files (03-…) hold the same takes"}
    return {
        "utterance": match.group(),
        "label": EMOTIONS[emotion],
        "speaker": actor,
        "sex": "male" if int(actor) % 2 else "female",
        "language": "en",
        "text": STATEMENTS[statement],
        "intensity": INTENSITIES[intensity],
        "channel": "song" if channel == _SONG else "speech",
    }


def _parse_speech(stem: str) -> dict[str, Any] | None:
    columns = _parse(stem)
    if columns is None or columns.get("channel") != "song":
        return columns
    return {"ignore": "sung, not spoken"}


def _speech_names() -> list[str]:
    return _names(_SPEECH, EMOTIONS, range(1, N_ACTORS + 1))


def _song_names() -> list[str]:
    sung = [emotion for emotion in EMOTIONS if emotion not in UNSUNG]
    return _names(_SONG, sung, [actor for actor in range(1, N_ACTORS + 1) if actor != SILENT_ACTOR])


def _names(channel: str, emotions: Iterable[str], actors: Iterable[int]) -> list[str]:
    grid = product(emotions, INTENSITIES, ("01", "02"), ("01", "02"), actors)
    return [
        f"03-{channel}-{emotion}-{intensity}-{statement}-{repetition}-{actor:02d}"
        for emotion, intensity, statement, repetition, actor in grid
        if (emotion, intensity) != ("01", "02")  # nobody is strongly neutral
    ]
