"""TESS: two English-speaking women, 200 words in a carrier phrase, seven emotions (spec 6.6).

Pichora-Fuller, Dupuis (2020): Toronto emotional speech set. doi:10.5683/SP2/E8H2MF.
"""

import re
from itertools import product
from pathlib import Path
from typing import Any

from affekt.corpora.tree import CheckReport, assemble, compare, walk
from affekt.corpus import Corpus
from affekt.scheme import EKMAN_7

PATTERN = "OAF_back_angry (speaker, word, emotion)"

CARD = {
    "name": "tess",
    "version": "1.0",
    "licence": "CC-BY-NC-ND-4.0",
    "citation": "Pichora-Fuller and Dupuis (2020), doi:10.5683/SP2/E8H2MF",
    "source": "https://doi.org/10.5683/SP2/E8H2MF",
    "language": "en",
}

EMOTIONS = {
    "angry": "anger",
    "disgust": "disgust",
    "fear": "fear",
    "happy": "happiness",
    "neutral": "neutral",
    "ps": "surprise",  # pleasant surprise; harmonise.toml gives part of it to happiness
    "sad": "sadness",
}
AGES = {"OAF": 64, "YAF": 26}  # older and younger actress
N_WORDS = 200

_NAME = re.compile(rf"(OAF|YAF|OA)_([a-z]+)_({'|'.join(EMOTIONS)})", re.IGNORECASE)


def load(root: str | Path, *, durations: bool = False) -> Corpus:
    """Load TESS; `text` is the word that ends the carrier phrase "Say the word …".

    Names decide, not folders. The one misnamed file, `OA_bite_neutral`, is OAF's.

    Args:
        root: the folder of the fourteen emotion folders, one above it, or a flat one.
        durations: fill the column `duration` from the files' headers.

    Raises:
        CorpusError: no recording below `root`.
    """
    found = walk(root, _parse, PATTERN)
    return assemble(root, EKMAN_7, found, CARD, durations=durations)


def check(root: str | Path) -> CheckReport:
    """Compare the tree with every word in it times two speakers times seven emotions."""
    found = walk(root, _parse, PATTERN)
    words = sorted({row["text"] for row in found.rows.values()})
    problems = []
    if len(words) != N_WORDS:
        problems = [f"{len(words)} different words, the corpus has {N_WORDS}"]
    names = (f"{who}_{word}_{code}" for who, word, code in product(AGES, words, EMOTIONS))
    return compare(names, found, problems)


def _parse(stem: str) -> dict[str, Any] | None:
    match = _NAME.fullmatch(stem.strip())
    if match is None:
        return None
    speaker, word, emotion = match[1].upper(), match[2].lower(), match[3].lower()
    speaker = "OAF" if speaker == "OA" else speaker
    return {
        "utterance": f"{speaker}_{word}_{emotion}",
        "label": EMOTIONS[emotion],
        "speaker": speaker,
        "sex": "female",
        "age": AGES[speaker],
        "language": "en",
        "text": word,
    }
