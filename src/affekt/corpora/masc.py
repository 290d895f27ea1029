"""MASC: 68 Mandarin speakers, five emotions, phrases, utterances and paragraphs (spec 6.11).

Wu, Yang, Wu, Li (2006): MASC: a speech corpus in Mandarin for emotion analysis and affective
speaker recognition. Odyssey 2006. Linguistic Data Consortium: Mandarin Affective Speech,
LDC2007S09.
"""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from affekt.audio import AUDIO_ENDINGS
from affekt.corpora.tree import CheckReport, Walk, assemble, compare, files_below, walk_files
from affekt.corpus import Corpus
from affekt.scheme import Categories

PATTERN = "data/<speaker>/<emotion>/<phrase, utterance or paragraph>/<name>"

CARD = {
    "name": "masc",
    "version": "LDC2007S09",
    "licence": "by agreement with the Linguistic Data Consortium",
    "citation": "Wu et al. (2006), MASC: a speech corpus in Mandarin; LDC2007S09",
    "source": "https://catalog.ldc.upenn.edu/LDC2007S09",
    "language": "zh",
}

EMOTIONS = ("neutral", "anger", "elation", "panic", "sadness")
MASC_5 = Categories("masc_5", EMOTIONS)
KINDS = ("phrase", "utterance", "paragraph")

N_SPEAKERS = 68
N_EACH = 75
"""Phrases and utterances of each speaker in each emotion (spec 6.11)."""
N_PARAGRAPHS = 2
"""Of each speaker, neutral only."""

_SPHERE = frozenset({".sph", ".nist", ".sphere"})


def load(root: str | Path, *, durations: bool = False) -> Corpus:
    """Load MASC; the folders say speaker, emotion and kind. NIST sphere and wav are both read.

    Args:
        root: the folder of `data`, or one above it.
        durations: fill the column `duration` from the files' headers.

    Returns:
        The corpus; ids are `001_anger_phrase_2`. Elation and panic are categories of their own,
        which harmonise to happiness and fear. Further column: `kind`.

    Raises:
        CorpusError: no recording in such folders below `root`.
    """
    return assemble(root, MASC_5, _walk(root), CARD, durations=durations)


def check(root: str | Path) -> CheckReport:
    """Count the recordings of each speaker and emotion; names of missing ones are not known."""
    found = _walk(root)
    counts = Counter(
        (row["speaker"], row["label"], row["kind"] == "paragraph") for row in found.rows.values()
    )
    speakers = sorted({row["speaker"] for row in found.rows.values()})
    missing = [f"{N_SPEAKERS - len(speakers)} of {N_SPEAKERS} speakers"] * (
        len(speakers) < N_SPEAKERS
    )
    for speaker in speakers:
        wanted = {(emotion, False): N_EACH for emotion in EMOTIONS}
        wanted["neutral", True] = N_PARAGRAPHS
        missing += [
            f"{n - counts[speaker, emotion, paragraph]} of {n} "
            f"{'paragraphs' if paragraph else 'phrases and utterances'} of {emotion} by {speaker}"
            for (emotion, paragraph), n in wanted.items()
            if counts[speaker, emotion, paragraph] < n
        ]
    n_expected = N_SPEAKERS * (len(EMOTIONS) * N_EACH + N_PARAGRAPHS)
    return replace(compare(found.rows, found), expected=n_expected, missing=missing)


def _walk(root: str | Path) -> Walk:
    endings = AUDIO_ENDINGS | _SPHERE
    files = [path for path in files_below(root) if path.suffix.lower() in endings]
    return walk_files(root, files, _parse, PATTERN)


def _parse(path: Path) -> dict[str, Any] | None:
    if len(path.parts) < 4:
        return None
    speaker, emotion, folder = (part.strip().lower() for part in path.parts[-4:-1])
    kind = next((kind for kind in KINDS if folder.startswith(kind)), None)
    if emotion not in EMOTIONS or kind is None:
        return None
    return {
        "utterance": f"{speaker}_{emotion}_{kind}_{path.stem.strip().lower()}",
        "label": emotion,
        "speaker": speaker,
        "language": "zh",
        "kind": kind,
    }
