"""eNTERFACE'05: films of 44 people who answer to six situations with an emotion (spec 6.23).

Martin, Kotsia, Macq, Pitas (2006): The eNTERFACE'05 audio-visual emotion database. ICDE workshops
2006, doi:10.1109/ICDEW.2006.145.
"""

import re
from pathlib import Path
from typing import Any

from affekt.corpora.tree import CheckReport, Walk, assemble, compare, media_files, walk_files
from affekt.corpus import Corpus
from affekt.scheme import Categories

PATTERN = "s1_an_1.avi (subject, emotion, sentence)"

CARD = {
    "name": "enterface",
    "version": "2005",
    "licence": "for research; its distribution states no licence",
    "citation": "Martin et al. (2006), doi:10.1109/ICDEW.2006.145",
    "source": "http://www.enterface.net/enterface05/",
    "language": "en",
}

ENTERFACE_6 = Categories(
    "enterface_6", ("anger", "disgust", "fear", "happiness", "sadness", "surprise")
)

EMOTIONS = {
    "an": "anger",
    "di": "disgust",
    "fe": "fear",
    "ha": "happiness",
    "sa": "sadness",
    "su": "surprise",
}
N_SUBJECTS = 44
N_SENTENCES = 5
UNCUT = 6
"""The subject whose five sentences of an emotion lie in one film, so it cannot be used."""
WHY_UNCUT = "the five sentences of an emotion in one film"

_FOLDER = re.compile(r"subject[ _-]*0*(\d+)")
_STEM = re.compile(r"s_?0*(\d+)_(an|di|fe|ha|sa|su)(?:_?0*([1-5]))?(?:\.?avi)?")


def load(root: str | Path, *, durations: bool = False) -> Corpus:
    """Load eNTERFACE'05; films are decoded as they are, sound extracted from them is preferred.

    The folder `subject N` says who speaks (the files of subject 11 are called s12), the name
    only where there is no such folder. Films of subject 6 stay, `excluded`, as each holds five
    sentences.

    Args:
        root: the folder of `subject 1` to `subject 44`, or one above it.
        durations: fill the column `duration`; decodes every film.

    Returns:
        The corpus. Further column: `sentence`, 1 to 5, other sentences for each emotion.

    Raises:
        CorpusError: no film whose name can be read.
    """
    return assemble(root, ENTERFACE_6, _walk(root), CARD, durations=durations)


def check(root: str | Path) -> CheckReport:
    """Compare the tree with five sentences of six emotions by all subjects but the sixth.

    The release lacks a few of them: 1287 such films and six of subject 6 are known.
    """
    found = _walk(root)
    people = [number for number in range(1, N_SUBJECTS + 1) if number != UNCUT]
    expected = {
        f"s{person}_{code}_{sentence}"
        for person in people
        for code in EMOTIONS
        for sentence in range(1, N_SENTENCES + 1)
    }
    known = {
        utterance: row for utterance, row in found.rows.items() if row["speaker"] != f"s{UNCUT}"
    }
    return compare(expected, Walk(known, found.ignored, found.broken), _folders(found))


def _folders(found: Walk) -> list[str]:
    """Files in the folder of another emotion than their name's."""
    problems = []
    for row in found.rows.values():
        folders = {part.lower() for part in Path(row["file"]).parts[:-1]} & set(ENTERFACE_6)
        if folders and row["label"] not in folders:
            problems.append(
                f"{row['file']}: the name says {row['label']}, the folder {folders.pop()}"
            )
    return problems


def _walk(root: str | Path) -> Walk:
    return walk_files(root, media_files(root), _parse, PATTERN, "film or audio file")


def _parse(path: Path) -> dict[str, Any] | None:
    stem = _STEM.fullmatch(path.stem.lower().strip())
    if stem is None:
        return None
    named, code, sentence = stem.groups()
    folders = [match[1] for part in path.parts[:-1] if (match := _FOLDER.fullmatch(part.lower()))]
    subject = int(folders[-1] if folders else named)
    uncut = subject == UNCUT or sentence is None
    return {
        "utterance": f"s{subject}_{code}" + ("" if sentence is None else f"_{sentence}"),
        "label": EMOTIONS[code],
        "speaker": f"s{subject}",
        "language": "en",
        "sentence": None if sentence is None else int(sentence),
        "excluded": WHY_UNCUT if uncut else "",
    }
