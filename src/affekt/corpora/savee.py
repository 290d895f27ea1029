"""SAVEE: four English men, 120 sentences each, seven emotions (spec 6.7).

Haq, Jackson (2009): Speaker-dependent audio-visual emotion recognition. AVSP 2009, 53-58.
"""

import re
from pathlib import Path
from typing import Any

from affekt.corpora.tree import (
    CheckReport,
    Walk,
    assemble,
    audio_files,
    compare,
    walk_files,
)
from affekt.corpus import Corpus
from affekt.scheme import EKMAN_7

PATTERN = "a01 (emotion, number) in the folder DC, JE, JK or KL, or DC_a01"

CARD = {
    "name": "savee",
    "version": "2011",
    "licence": "for research, on registration",
    "citation": "Haq and Jackson (2009), Speaker-dependent audio-visual emotion recognition",
    "source": "http://kahlan.eps.surrey.ac.uk/savee/",
    "language": "en",
}

EMOTIONS = {
    "a": "anger",
    "d": "disgust",
    "f": "fear",
    "h": "happiness",
    "n": "neutral",
    "sa": "sadness",
    "su": "surprise",
}
SPEAKERS = ("DC", "JE", "JK", "KL")
N_SENTENCES = 15
N_NEUTRAL = 30

_NAME = re.compile(rf"(?:({'|'.join(SPEAKERS)})[ _-]?)?(SA|SU|[ADFHN])(\d\d)")


def load(root: str | Path, *, durations: bool = False) -> Corpus:
    """Load SAVEE; all speakers are men, and most sentences differ from emotion to emotion.

    Args:
        root: the folder of `DC`, `JE`, `JK`, `KL` (or of files called `DC_a01`), or one above it.
        durations: fill the column `duration` from the files' headers.

    Returns:
        The corpus; ids are `DC_a01`.

    Raises:
        CorpusError: no recording below `root`.
    """
    return assemble(root, EKMAN_7, _walk(root), CARD, durations=durations)


def check(root: str | Path) -> CheckReport:
    """Compare the tree with 15 sentences of six emotions and 30 neutral ones by each man."""
    names = (
        f"{speaker}_{code}{number:02d}"
        for speaker in SPEAKERS
        for code in EMOTIONS
        for number in range(1, 1 + (N_NEUTRAL if code == "n" else N_SENTENCES))
    )
    return compare(names, _walk(root))


def _walk(root: str | Path) -> Walk:
    return walk_files(root, audio_files(root), _parse, PATTERN)


def _parse(path: Path) -> dict[str, Any] | None:
    match = _NAME.fullmatch(path.stem.strip().upper())
    if match is None:
        return None
    folders = [part.upper() for part in path.parts[:-1] if part.upper() in SPEAKERS]
    speaker = match[1] or (folders[-1] if folders else None)
    if speaker is None:
        return {"ignore": f"neither name nor folder says who speaks ({', '.join(SPEAKERS)})"}
    code = match[2].lower()
    return {
        "utterance": f"{speaker}_{code}{match[3]}",
        "label": EMOTIONS[code],
        "speaker": speaker,
        "sex": "male",
        "language": "en",
    }
