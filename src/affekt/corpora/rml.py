"""RML: 720 films of eight people who act six emotions in six languages (spec 6.22).

Wang, Guan (2008): Recognizing human emotional state from audiovisual signals. IEEE Transactions on
Multimedia 10(5), 936-946, doi:10.1109/TMM.2008.927665.
"""

import re
from collections import Counter
from pathlib import Path
from typing import Any

from affekt.corpora.tree import CheckReport, Walk, assemble, media_files, walk_files
from affekt.corpus import Corpus
from affekt.scheme import Categories

PATTERN = "s1/an1.avi (speaker, perhaps language, emotion and number)"

CARD = {
    "name": "rml",
    "version": "2008",
    "licence": "for research, on request to the Ryerson Multimedia Research Laboratory",
    "citation": "Wang, Guan (2008), doi:10.1109/TMM.2008.927665",
    "source": "http://www.rml.ryerson.ca/rml-emotion-database.html",
    "language": "mul",
}

RML_6 = Categories("rml_6", ("anger", "disgust", "fear", "happiness", "sadness", "surprise"))

EMOTIONS = {
    "an": "anger",
    "di": "disgust",
    "fe": "fear",
    "ha": "happiness",
    "sa": "sadness",
    "su": "surprise",
}
LANGUAGES = {
    "english": "en",
    "mandarin": "zh",
    "chinese": "zh",
    "urdu": "ur",
    "punjabi": "pa",
    "persian": "fa",
    "farsi": "fa",
    "italian": "it",
}
"""Words of a language folder, in lower case -> ISO 639-1; any other word is `und`."""

SPEAKERS = {"rml-1": ("s1", "s2", "s3", "s4", "s5"), "rml-2": ("s6", "s7", "s8")}
N_CLIPS = 120  # of each of the six emotions, 720 together

_SPEAKER = re.compile(r"s([1-8])")
_STEM = re.compile(r"(an|di|fe|ha|sa|su)[ _]?0*(\d+)")


def load(root: str | Path, *, durations: bool = False) -> Corpus:
    """Load RML; films are decoded as they are, sound extracted beside or elsewhere is preferred.

    Args:
        root: the folder of `rml-1` and `rml-2`, or one above it.
        durations: fill the column `duration`; decodes every film.

    Returns:
        The corpus. Ids are `s1_an1`, with the language between where its folder is there.
        `session` is the half of the release, rml-1 or rml-2, where it can be known.

    Raises:
        CorpusError: no film below a speaker's folder.
    """
    return assemble(root, RML_6, _walk(root), CARD, durations=durations)


def check(root: str | Path) -> CheckReport:
    """Count the films of each emotion and name the speakers of whom there is none.

    No list of the 720 names is known, so what is missing can be counted only.
    """
    found = _walk(root)
    counts = Counter(row["label"] for row in found.rows.values())
    heard = {row["speaker"] for row in found.rows.values()}
    everyone = [speaker for part in SPEAKERS.values() for speaker in part]
    return CheckReport(
        expected=N_CLIPS * len(RML_6),
        found=len(found.rows),
        missing=[
            *(f"every film of {speaker}" for speaker in everyone if speaker not in heard),
            *(
                f"{N_CLIPS - counts[label]} of {N_CLIPS} films of {label}"
                for label in RML_6
                if counts[label] < N_CLIPS
            ),
        ],
        extra=list(found.ignored),
        problems=[f"{found.rows[id]['file']}: {why}" for id, why in found.broken.items()],
    )


def _walk(root: str | Path) -> Walk:
    return walk_files(root, media_files(root), _parse, PATTERN, "film or audio file")


def _parse(path: Path) -> dict[str, Any] | None:
    folders = [part.lower() for part in path.parts[:-1]]
    stem = _STEM.fullmatch(path.stem.lower())
    at = next((i for i, name in enumerate(folders) if _SPEAKER.fullmatch(name)), None)
    if stem is None or at is None or len(folders) > at + 2:
        return None
    speaker = folders[at]
    language = folders[at + 1] if len(folders) > at + 1 else ""
    emotion, number = stem.groups()
    half = next(half for half, people in SPEAKERS.items() if speaker in people)
    return {
        "utterance": "_".join(filter(None, (speaker, language, f"{emotion}{number}"))),
        "label": EMOTIONS[emotion],
        "speaker": speaker,
        "session": half,
        "language": LANGUAGES.get(language, "und"),
    }
