"""What exports of annotation tools share: they hold votes, and name recordings by some address."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote

import pandas as pd

from affekt.audio import AUDIO_ENDINGS, VIDEO_ENDINGS
from affekt.corpora.generic import SYNONYMS, noun
from affekt.corpora.tree import CheckReport, Walk, assemble, compare, files_below, listed
from affekt.corpus import Corpus
from affekt.exceptions import CorpusError, TableError
from affekt.scheme import NOUNS, Categories
from affekt.votes.shares import shares

_KNOWN = {*NOUNS, *SYNONYMS.values()}
_UPLOAD = re.compile(r".*/upload/(?:.*/)?(?:[0-9a-f]{8}-)?")  # Label Studio puts a code before


@dataclass(frozen=True, eq=False)
class Export:
    """What an annotation tool knows of each answer.

    Attributes:
        votes: `utterance`, `rater`, `label`; `seconds` where the tool took the time, `gold` where
            it has control tasks.
        ratings: `utterance`, `rater`, `dimension`, `value`; empty where nothing was rated.
        skipped: `utterance`, `rater`, `reason`: answers that are no votes, such as skipped tasks.
        files: utterance -> the address of its recording, "" where the export names none.
    """

    votes: pd.DataFrame
    ratings: pd.DataFrame
    skipped: pd.DataFrame
    files: dict[str, str]


def label_of(word: str) -> str:
    """The noun of a word that names a known emotion; any other word as it is.

    >>> label_of("Happy"), label_of("Anger"), label_of("Not speech ")
    ('happiness', 'anger', 'Not speech')
    """
    known = noun(word)
    return known if known in _KNOWN else word.strip()


def is_recording(value: Any) -> bool:
    """Whether a value is the address of a file with sound.

    >>> is_recording("https://a.org/b.wav?x=1"), is_recording("b.txt"), is_recording(3)
    (True, False, False)
    """
    if not isinstance(value, str) or "." not in value:
        return False
    return PurePosixPath(address(value)).suffix.lower() in AUDIO_ENDINGS | VIDEO_ENDINGS


def address(url: str) -> str:
    """The path in an address, as the file was called before a tool took it up.

    >>> address("/data/local-files/?d=monday/a%201.wav"), address("s3://bucket/b.wav?token=1")
    ('monday/a 1.wav', 'bucket/b.wav')
    >>> address("/data/upload/7/0a1b2c3d-c.wav")
    'c.wav'
    """
    path = re.sub(r"^\w+://", "", url.strip())
    path = path.split("?d=", 1)[1] if "?d=" in path else path.split("?", 1)[0]
    return unquote(_UPLOAD.sub("", path)).lstrip("/")


def find_export(root: str | Path, endings: Iterable[str], what: str) -> Path:
    """The export itself, or the one of these endings that lies in the folder `root`.

    Raises:
        CorpusError: no such file or folder, none in it, or more than one.
    """
    root = Path(root)
    if root.is_file():
        return root
    found = [path for path in files_below(root) if path.suffix.lower() in tuple(endings)]
    if len(found) != 1:
        raise CorpusError(
            f"{root}: {len(found)} files could be the {what}; give the path of the one"
        )
    return found[0]


def corpus_of(root: str | Path, path: Path, export: Export, *, durations: bool = False) -> Corpus:
    """The corpus of an export: recordings found by name below its folder, labels as vote shares.

    Raises:
        CorpusError: there is no vote to make labels of.
    """
    if export.votes.empty:
        raise CorpusError(f"{path}: nobody answered, so there are no labels")
    scheme = Categories(path.stem, tuple(sorted(set(export.votes["label"]))))
    folder = path.parent if Path(root).is_file() else Path(root)
    corpus = assemble(
        folder,
        scheme,
        _walk(folder, export),
        {"name": path.stem, "skipped": len(export.skipped)},
        durations=durations,
        votes=export.votes,
        ratings=None if export.ratings.empty else export.ratings,
    )
    return corpus.relabel(shares(export.votes, scheme, duplicates="keep"), scheme)


def check_export(root: str | Path, path: Path, export: Export) -> CheckReport:
    """Name the utterances without a recording and those that nobody answered on."""
    folder = path.parent if Path(root).is_file() else Path(root)
    found = _walk(folder, export)
    answered = set(export.votes["utterance"]) | set(export.ratings["utterance"])
    problems = [f"{id}: no answer" for id in found.rows if id not in answered]
    return compare(found.rows, found, problems)


def _walk(folder: Path, export: Export) -> Walk:
    rows = {
        utterance: {"file": file or utterance, "label": None, "language": None}
        for utterance, file in export.files.items()
    }
    return listed(folder, rows)


def one_of(given: str | None, there: list[str], what: str, option: str, where: str) -> str:
    """The one asked for, or the only one there is.

    Raises:
        TableError: none, an unknown one, or several and none is asked for.
    """
    if given is not None and given in there:
        return given
    names = ", ".join(repr(name) for name in there) or "none"
    if given is not None:
        raise TableError(f"{where}: no {what} {given!r}; there are {names}")
    if len(there) != 1:
        raise TableError(f"{where}: which {what}? there are {names}; choose with {option}=")
    return there[0]
