"""EmoV-DB: four English voices that read the same sentences in five ways (spec 6.13).

Adigwe, Tits, El Haddad, Ostadabbas, Dutoit (2018): The emotional voices database: towards
controlling the emotion dimension in voice generation systems. arXiv:1806.09514.
"""

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from affekt.corpora.tree import (
    CheckReport,
    Walk,
    assemble,
    audio_files,
    compare,
    find_file,
    read_text,
    walk_files,
)
from affekt.corpus import Corpus
from affekt.exceptions import CorpusError
from affekt.scheme import Categories

PATTERN = "anger_1-28_0011 (emotion, range of sentences, sentence) in the folder of a speaker"

CARD = {
    "name": "emov-db",
    "version": "2018",
    "licence": "for research that is not commercial; see the licence in its distribution",
    "citation": "Adigwe et al. (2018), arXiv:1806.09514",
    "source": "https://www.openslr.org/115/",
    "language": "en",
}

EMOV_DB_5 = Categories("emov_db_5", ("amusement", "anger", "disgust", "neutral", "sleepiness"))

EMOTIONS = {
    "amused": "amusement",
    "anger": "anger",
    "angry": "anger",
    "disgust": "disgust",
    "disgusted": "disgust",
    "neutral": "neutral",
    "sleepiness": "sleepiness",
    "sleepy": "sleepiness",
}
SPEAKERS = {"bea": "female", "jenie": "female", "josh": "male", "sam": "male"}

LISTED = {
    "bea": {"amusement": 296, "anger": 303, "disgust": 333, "neutral": 355, "sleepiness": 497},
    "jenie": {"amusement": 222, "anger": 496, "disgust": 189, "neutral": 417, "sleepiness": 466},
    "josh": {"amusement": 296, "neutral": 302, "sleepiness": 263},
    "sam": {"amusement": 501, "anger": 468, "disgust": 497, "neutral": 492, "sleepiness": 494},
}
"""Recordings of each speaker and emotion in the list of the EmoBox benchmark: 6887."""

_SENTENCES = "cmuarctic.data"
_NAME = re.compile(rf"({'|'.join(EMOTIONS)})_\d+[-_]\d+_(\d{{4}})")
_FOLDER = re.compile(rf"({'|'.join(SPEAKERS)})(?:_[a-z]+)?")
_SENTENCE = re.compile(r'\(\s*arctic_a(\d{4})\s+"(.*)"\s*\)')


def load(root: str | Path, *, durations: bool = False) -> Corpus:
    """Load EmoV-DB; the folder says who speaks, the name how.

    Args:
        root: the folder of `bea`, `jenie`, `josh`, `sam` or of `bea_Amused`, …, or one above it.
        durations: fill the column `duration` from the files' headers.

    Returns:
        The corpus; ids are `bea_amusement_0057`. `text` is the sentence where `cmuarctic.data`
        lies below `root`. Further column: `sentence`, its number.

    Raises:
        CorpusError: no recording below `root`, or a line of `cmuarctic.data` cannot be read.
    """
    found = _walk(root)
    texts = _texts(root)
    for row in found.rows.values():
        row["text"] = texts.get(row["sentence"])
    return assemble(root, EMOV_DB_5, found, CARD, durations=durations)


def check(root: str | Path) -> CheckReport:
    """Count the recordings of each speaker and emotion; names of missing ones are not known."""
    found = _walk(root)
    counts = Counter((row["speaker"], row["label"]) for row in found.rows.values())
    missing = [
        f"{n - counts[speaker, emotion]} of {n} recordings of {emotion} by {speaker}"
        for speaker, emotions in LISTED.items()
        for emotion, n in emotions.items()
        if counts[speaker, emotion] < n
    ]
    problems = [
        f"{row['file']}: {row['speaker']} recorded no {row['label']}"
        for row in found.rows.values()
        if row["label"] not in LISTED[row["speaker"]]
    ]
    if find_file(root, _SENTENCES) is None:
        problems.append(f"{_SENTENCES} is not there: the corpus loads without texts")
    expected = sum(sum(emotions.values()) for emotions in LISTED.values())
    return replace(compare(found.rows, found, problems), expected=expected, missing=missing)


def _walk(root: str | Path) -> Walk:
    return walk_files(root, audio_files(root), _parse, PATTERN)


def _parse(path: Path) -> dict[str, Any] | None:
    match = _NAME.fullmatch(path.stem.strip().lower())
    if match is None:
        return None
    folders = [found[1] for part in path.parts[:-1] if (found := _FOLDER.fullmatch(part.lower()))]
    if not folders:
        return {"ignore": f"in no folder of a speaker ({', '.join(SPEAKERS)})"}
    speaker, emotion = folders[-1], EMOTIONS[match[1]]
    return {
        "utterance": f"{speaker}_{emotion}_{match[2]}",
        "label": emotion,
        "speaker": speaker,
        "sex": SPEAKERS[speaker],
        "language": "en",
        "sentence": match[2],
    }


def _texts(root: str | Path) -> dict[str, str]:
    """Number of a sentence -> its words; empty where there is no `cmuarctic.data`."""
    path = find_file(root, _SENTENCES)
    if path is None:
        return {}
    texts = {}
    for number, line in enumerate(read_text(path).splitlines(), 1):
        match = _SENTENCE.fullmatch(line.strip())
        if match is not None:
            texts[match[1]] = match[2]
        elif line.strip() and "arctic_b" not in line:
            raise CorpusError(
                f'{path}, line {number}: does not read as ( arctic_a0001 "text" ); load it anew'
            )
    return texts
