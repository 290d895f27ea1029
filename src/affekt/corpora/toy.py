"""A synthetic corpus: everything runs on it in seconds and without a download.

Voices are buzzes whose pitch, loudness, spectral tilt and pace depend on the emotion, and whose
base pitch and timbre depend on the speaker: learnable, yet no constant answer and no memory of
speakers solves it. Numbers reached on it say that a program works, nothing about emotions.
"""

import re
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from affekt import audio
from affekt.corpora.tree import CheckReport, assemble, audio_files, compare, walk
from affekt.corpus import Corpus
from affekt.scheme import IEMOCAP_4

PATTERN = "s01_anger_1 (speaker, emotion, clip)"
N_SPEAKERS = 6
N_CLIPS = 3  # of each speaker and emotion

CARD = {
    "name": "toy",
    "version": "1",
    "licence": "CC0-1.0",
    "citation": "",
    "source": "affekt.corpora.toy",
    "language": "und",
}


@dataclass(frozen=True)
class Manner:
    """How an emotion sounds in this corpus.

    Attributes:
        pitch: factor on the speaker's base pitch.
        swing: depth of the pitch movement, as a share of the pitch.
        level: root mean square, full scale = 1.
        tilt: partial k has amplitude k ** -tilt.
        pace: syllables a second.
    """

    pitch: float
    swing: float
    level: float
    tilt: float
    pace: float


MANNERS = {
    "anger": Manner(pitch=1.2, swing=0.10, level=0.20, tilt=0.6, pace=6.0),
    "happiness": Manner(pitch=1.5, swing=0.25, level=0.12, tilt=1.0, pace=5.0),
    "neutral": Manner(pitch=1.0, swing=0.05, level=0.07, tilt=1.4, pace=4.0),
    "sadness": Manner(pitch=0.9, swing=0.03, level=0.03, tilt=2.2, pace=2.5),
}

_NAME = re.compile(rf"s(\d\d)_({'|'.join(MANNERS)})_(\d)", re.IGNORECASE)


def make(root: str | Path, *, seed: int = 0) -> None:
    """Write the corpus' 72 recordings (FLAC, 16 kHz, 0.6 to 1.2 s) below `root`.

    The same seed gives the same samples; files that are there already are overwritten.
    """
    clips = product(range(1, N_SPEAKERS + 1), MANNERS, range(1, N_CLIPS + 1))
    for number, (speaker, emotion, clip) in enumerate(clips):
        rng = np.random.default_rng([seed, number])
        folder = Path(root) / f"s{speaker:02d}"
        waveform = _voice(speaker, MANNERS[emotion], rng)
        audio.write(folder / f"s{speaker:02d}_{emotion}_{clip}.flac", waveform)


def load(root: str | Path, *, seed: int = 0, durations: bool = False) -> Corpus:
    """Load the toy corpus from `root`; where there is no audio yet, make it first.

    Args:
        root: its folder.
        seed: for making it; a corpus that is there already is taken as it is.
        durations: fill the column `duration` from the files' headers.

    Raises:
        CorpusError: `root` holds recordings, but none of this corpus.
    """
    if not Path(root).is_dir() or not audio_files(root):
        make(root, seed=seed)
    return assemble(root, IEMOCAP_4, walk(root, _parse, PATTERN), CARD, durations=durations)


def check(root: str | Path) -> CheckReport:
    """Compare the tree with the 72 names the corpus is made of."""
    names = (
        f"s{speaker:02d}_{emotion}_{clip}"
        for speaker, emotion, clip in product(
            range(1, N_SPEAKERS + 1), MANNERS, range(1, N_CLIPS + 1)
        )
    )
    return compare(names, walk(root, _parse, PATTERN))


def _parse(stem: str) -> dict[str, Any] | None:
    match = _NAME.fullmatch(stem.strip().lower())
    if match is None:
        return None
    speaker, emotion, clip = match.groups()
    return {
        "utterance": match.group(),
        "label": emotion,
        "speaker": f"s{speaker}",
        "session": str((int(speaker) + 1) // 2),  # two speakers a session, as in IEMOCAP
        "sex": "female" if int(speaker) % 2 else "male",
        "language": "und",
        "text": clip,
    }


def _voice(speaker: int, manner: Manner, rng: np.random.Generator) -> NDArray[np.float32]:
    """A buzz of up to 30 partials below 7 kHz in syllables, float32 at 16 kHz."""
    n_samples = int(rng.uniform(0.6, 1.2) * audio.SAMPLE_RATE)
    seconds = np.arange(n_samples) / audio.SAMPLE_RATE
    base = (210.0 if speaker % 2 else 115.0) * (1 + 0.04 * speaker)  # Hz
    phase = rng.uniform(0, 2 * np.pi)
    movement = 1 + manner.swing * np.sin(2 * np.pi * manner.pace / 2 * seconds + phase)
    pitch = base * manner.pitch * rng.uniform(0.95, 1.05) * movement
    angle = 2 * np.pi * np.cumsum(pitch) / audio.SAMPLE_RATE
    partials = np.arange(1, 1 + min(30, int(7000 / pitch.max())))
    resonance = 1 + np.exp(-(((partials * base - 450 - 60 * speaker) / 250) ** 2))
    buzz = (resonance * partials**-manner.tilt) @ np.sin(np.outer(partials, angle))
    syllables = 0.15 + np.sin(np.pi * manner.pace * seconds + phase) ** 2
    wave = buzz * syllables
    gain = manner.level * rng.uniform(0.8, 1.25) / np.sqrt(np.mean(wave**2))
    noise = 0.001 * rng.standard_normal(n_samples)
    return np.asarray(gain * wave + noise, dtype=np.float32)
