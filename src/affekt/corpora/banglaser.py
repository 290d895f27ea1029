"""BanglaSER: 34 Bangla speakers, three sentences, five emotions, recorded on phones and laptops.

Das, Islam, Ahmed, Islam, Shatabda, Islam (2022): BanglaSER: A speech emotion recognition dataset
for the Bangla language. Data in Brief 42:108091, doi:10.1016/j.dib.2022.108091.
"""

import re
from itertools import product
from pathlib import Path
from typing import Any

from affekt.corpora.tree import CheckReport, assemble, compare, walk
from affekt.corpus import Corpus
from affekt.scheme import Categories

PATTERN = (
    "03-01-01-01-02-03-07 (modality, kind, emotion, intensity, statement, repetition, speaker)"
)

CARD = {
    "name": "banglaser",
    "version": "ae8b06ba",
    "licence": "not stated by the repository of this copy",
    "citation": "Das et al. (2022), doi:10.1016/j.dib.2022.108091",
    "source": "https://github.com/pritam-banik-roy/Bengali-Speech-Emotion-Recognition-App",
    "language": "bn",
}

EMOTIONS = {
    "01": "happiness",
    "02": "sadness",
    "03": "anger",
    "04": "surprise",
    "05": "neutral",
}
STRONG = ("03", "04")
"""Emotions acted strongly; the others have normal strength."""
BANGLASER_5 = Categories("banglaser_5", tuple(EMOTIONS.values()))
N_SPEAKERS = 34
WITHOUT_NEUTRAL = (11, 12, 13, 16, 18, 20, 29)
"""Speakers who acted the four emotions alone."""

_NAME = re.compile(r"0[13]-(01-(0[1-5])-(0[12])-0[1-3]-0[1-3]-(0[1-9]|[12]\d|3[0-4]))")


def load(root: str | Path, *, durations: bool = False) -> Corpus:
    """Load BanglaSER, a corpus for looking at a model, not one for training the shipped weights.

    Three files of speaker 15 begin with 01 where all others begin with 03; they are the takes
    that would be missing otherwise, so they are read as such. Sex is left open: nothing in this
    copy says it.

    Args:
        root: the folder of the recordings (`dataset`), or one above it.
        durations: fill the column `duration` from the files' headers.

    Returns:
        The corpus; ids begin with 03. Normal strength is intensity 0.6, strong is 1, as in
        RAVDESS, which these names are modelled on.

    Raises:
        CorpusError: no recording below `root`.
    """
    return assemble(root, BANGLASER_5, walk(root, _parse, PATTERN), CARD, durations=durations)


def check(root: str | Path) -> CheckReport:
    """Compare the tree with the 1467 names of the published corpus."""
    takes = product(EMOTIONS, ("01", "02", "03"), ("01", "02", "03"), range(1, N_SPEAKERS + 1))
    expected = [
        f"03-01-{emotion}-{_strength(emotion)}-{statement}-{repetition}-{speaker:02d}"
        for emotion, statement, repetition, speaker in takes
        if not (EMOTIONS[emotion] == "neutral" and speaker in WITHOUT_NEUTRAL)
    ]
    return compare(expected, walk(root, _parse, PATTERN))


def _strength(emotion: str) -> str:
    return "02" if emotion in STRONG else "01"


def _parse(stem: str) -> dict[str, Any] | None:
    match = _NAME.fullmatch(stem.strip())
    if match is None:
        return None
    rest, emotion, intensity, speaker = match.groups()
    return {
        "utterance": f"03-{rest}",
        "label": EMOTIONS[emotion],
        "speaker": speaker,
        "language": "bn",
        "intensity": 1.0 if intensity == "02" else 0.6,
    }
