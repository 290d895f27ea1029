"""ASVP-ESD: speech and other sounds of voices in several languages, by emotion (spec 6.16).

Landry, He, Yan, Li (2020): ASVP-ESD: a dataset and its benchmark for emotion recognition using
both speech and non-speech utterances. Global Scientific Journals 8(5), 1793-1798.
"""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from affekt.corpora.tree import CheckReport, assemble, compare, walk
from affekt.corpus import Corpus
from affekt.scheme import Categories

PATTERN = (
    "03-01-05-01-02-36-02-03 (modality, vocal, emotion, intensity, statement, actor, age, "
    "source, then language and more)"
)

CARD = {
    "name": "asvp-esd",
    "version": "with the folder Bonus",
    "licence": "as its page states; the recordings belong to their makers",
    "citation": "Landry et al. (2020), ASVP-ESD: a dataset and its benchmark",
    "source": "https://doi.org/10.5281/zenodo.7132783",
    "language": "mul",
}

EMOTIONS = {
    "01": "boredom",
    "02": "neutral",
    "03": "happiness",
    "04": "sadness",
    "05": "anger",
    "06": "fear",
    "07": "disgust",
    "08": "surprise",
    "09": "excitement",
    "10": "pleasure",
    "11": "pain",
    "12": "disappointment",
    "13": "breath",
}
UNKNOWN = "unknown"
"""The label of any other code; 17 has been seen."""
ASVP_ESD_14 = Categories("asvp_esd_14", (*EMOTIONS.values(), UNKNOWN))

VOCAL = {"01": "speech", "02": "non-speech"}
INTENSITIES = {"01": 0.6, "02": 1.0}  # normal, high: as for RAVDESS, spec 3.3
AGES = {"01": "above 65", "02": "20 to 64", "03": "below 20", "04": "baby"}

N_LISTED = 13_964
"""Recordings in the EmoBox list; names follow no grid, so missing ones have no names."""

_NAME = re.compile(r"03-(0[12])-(\d\d)-(\d+)-(\d+)-(\d+)((?:\s*-\s*\d+)*)\s*[a-z]?")


def load(root: str | Path, *, speech_only: bool = False, durations: bool = False) -> Corpus:
    """Load ASVP-ESD; the name decides, and fields that a name lacks are missing.

    Which number means which language is told in contradicting ways, so `language` is `und` and
    the number is kept.

    Args:
        root: the folder of `Audio` (and `Bonus`), or one above it.
        speech_only: leave out laughter, cries, sighs and other sounds that are no speech.
        durations: fill the column `duration` from the files' headers.

    Returns:
        The corpus. Normal intensity counts as 0.6, high as 1. Further columns: `vocal` (speech,
        non-speech), `age_group`, `source` and `language_code` as in the name.

    Raises:
        CorpusError: no recording below `root`.
    """
    found = walk(root, _parse, PATTERN)
    corpus = assemble(root, ASVP_ESD_14, found, CARD, durations=durations)
    if not speech_only:
        return corpus
    table = corpus.utterances
    spoken = corpus.select(table.index[table["vocal"] == "speech"])
    return replace(spoken, card={**corpus.card, "subset": "speech"})


def check(root: str | Path) -> CheckReport:
    """Count the recordings, and name those whose folder is another actor's than their name's."""
    found = walk(root, _parse, PATTERN)
    missing = [f"{N_LISTED - len(found.rows)} of {N_LISTED} recordings"]
    problems = []
    for row in found.rows.values():
        folder = re.fullmatch(r"actor_0*(\d+)", Path(row["file"]).parent.name.lower())
        if folder and folder[1] != row["speaker"]:
            problems.append(f"{row['file']}: the name says actor {row['speaker']}")
        if row["label"] == UNKNOWN:
            problems.append(f"{row['file']}: an emotion of unknown meaning")
    report = compare(found.rows, found, problems)
    return replace(report, expected=N_LISTED, missing=missing * (len(found.rows) < N_LISTED))


def _parse(stem: str) -> dict[str, Any] | None:
    match = _NAME.fullmatch(stem.strip().lower())
    if match is None:
        return None
    vocal, emotion, intensity, _, actor, rest = match.groups()
    age, source, language = ([*re.findall(r"\d+", rest), None, None, None])[:3]
    return {
        "utterance": re.sub(r"\s", "", match.group()),
        "label": EMOTIONS.get(emotion, UNKNOWN),
        "speaker": str(int(actor)),
        "sex": "female" if int(actor) % 2 else "male",
        "language": "und",
        "intensity": INTENSITIES.get(intensity),
        "vocal": VOCAL[vocal],
        "age_group": AGES.get(age or ""),
        "source": source,
        "language_code": language,
    }
