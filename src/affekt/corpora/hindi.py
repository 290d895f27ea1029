"""A Hindi acted set: eight speakers, five sessions of ten sentences, seven emotions and sarcasm.

From the repository Candyxoxo/Speech-Emotion-Recognition-Hindi, which names neither the speakers
nor a publication.
"""

import re
from itertools import product
from pathlib import Path
from typing import Any

from affekt.corpora.tree import CheckReport, assemble, compare, walk
from affekt.corpus import Corpus
from affekt.scheme import EKMAN_7

PATTERN = "3.5.happy-09 (speaker, session, emotion, sentence)"

CARD = {
    "name": "hindi",
    "version": "16c7b92a",
    "licence": "MIT by the repository, which does not say where the recordings are from",
    "citation": "Candyxoxo/Speech-Emotion-Recognition-Hindi at 16c7b92a",
    "source": "https://github.com/Candyxoxo/Speech-Emotion-Recognition-Hindi",
    "language": "hi",
}

EMOTIONS = {
    "anger": "anger",
    "disgust": "disgust",
    "dusgust": "disgust",  # two names are misspelt
    "fear": "fear",
    "happy": "happiness",
    "happpy": "happiness",
    "neutral": "neutral",
    "sad": "sadness",
    "surprise": "surprise",
}
SARCASM = "sarcastic"
N_SPEAKERS, N_SESSIONS, N_SENTENCES = 8, 5, 10

_NAME = re.compile(rf"([1-8])\.([1-5])\.\s*({'|'.join(EMOTIONS)}|{SARCASM})[- ](0[1-9]|10)")


def load(root: str | Path, *, durations: bool = False) -> Corpus:
    """Load the Hindi set, a corpus for looking at a model, not for training the shipped weights.

    Sarcasm is left aside: it is no emotion. Names decide, not the folders
    `<speaker>/session<n>/<emotion>`: one recording lies in the folder of another session. Two
    neutral recordings of speaker 2 (2.2.neutral-03, 2.5.neutral-03) are one; both stay.

    Args:
        root: the folder of the speakers' folders, or one above it.
        durations: fill the column `duration` from the files' headers.

    Returns:
        The corpus; ids are `3.5.happiness-09`. Further column: `sentence`.

    Raises:
        CorpusError: no recording below `root`.
    """
    return assemble(root, EKMAN_7, walk(root, _parse, PATTERN), CARD, durations=durations)


def check(root: str | Path) -> CheckReport:
    """Compare the tree with the 2800 recordings that are not sarcastic."""
    grid = product(
        range(1, N_SPEAKERS + 1), range(1, N_SESSIONS + 1), EKMAN_7, range(1, N_SENTENCES + 1)
    )
    expected = [
        f"{speaker}.{session}.{emotion}-{number:02d}" for speaker, session, emotion, number in grid
    ]
    return compare(expected, walk(root, _parse, PATTERN))


def _parse(stem: str) -> dict[str, Any] | None:
    match = _NAME.fullmatch(stem.strip().lower())
    if match is None:
        return None
    speaker, session, emotion, number = match.groups()
    if emotion == SARCASM:
        return {"ignore": "sarcasm, which is no emotion"}
    label = EMOTIONS[emotion]
    return {
        "utterance": f"{speaker}.{session}.{label}-{number}",
        "label": label,
        "speaker": speaker,
        "session": session,
        "language": "hi",
        "sentence": number,
    }
