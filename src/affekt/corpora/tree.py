"""Walk a corpus' official tree: which recordings are utterances, which are not, and why.

A loader gives a `parse` that decodes one file name; everything that all trees have in common
(any audio ending, any letter case, second copies, junk of other systems, files that cannot hold
audio) is settled here.
"""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from affekt.audio import AUDIO_ENDINGS, VIDEO_ENDINGS
from affekt.corpus import Corpus
from affekt.decode import name_of
from affekt.exceptions import CorpusError
from affekt.scheme import Categories
from affekt.tables import one_hot

Parse = Callable[[str], dict[str, Any] | None]
"""File name without ending -> columns of the utterance (`utterance` and `label` among them)."""
ParsePath = Callable[[Path], dict[str, Any] | None]
"""The same of a file's path, relative to the corpus' folder."""

_LFS_HEAD = b"version https://git-lfs"
_LFS_BYTES = 400  # a pointer has about 130 bytes; no recording is as small as this


@dataclass(frozen=True)
class Walk:
    """What a walk through a corpus' tree came upon.

    Attributes:
        rows: utterance id -> its columns, `file` and `label` among them; sorted by id.
        ignored: audio files that are no utterance of the corpus, as `path: reason`.
        broken: utterance id -> why its file cannot hold a recording.
        absent: utterances that a table of the corpus lists and no file holds.
    """

    rows: dict[str, dict[str, Any]]
    ignored: tuple[str, ...]
    broken: dict[str, str]
    absent: tuple[str, ...] = ()


@dataclass(frozen=True)
class CheckReport:
    """What a corpus' tree lacks, has too much of, and has wrong.

    Attributes:
        expected: number of utterances in the official corpus.
        found: number of utterances in the tree.
        missing: ids (or, where no name can be known, descriptions) of utterances not found.
        extra: files that are not in the official corpus, and second copies.
        problems: anything else that a user should know: empty files, tables that are missing.
    """

    expected: int
    found: int
    missing: list[str]
    extra: list[str]
    problems: list[str]

    @property
    def complete(self) -> bool:
        """Whether there is nothing to report."""
        return not (self.missing or self.extra or self.problems)


def files_below(root: str | Path) -> list[Path]:
    """All files below `root`, links followed, the shallowest first, then by name.

    Left out: names starting with a dot, `__MACOSX`.

    Raises:
        CorpusError: `root` is not a folder.
    """
    root = Path(root)
    if not root.is_dir():
        raise CorpusError(f"{root}: no such folder")
    found: list[Path] = []
    seen: set[str] = set()
    for folder, folders, names in os.walk(root, followlinks=True):
        here = os.path.realpath(folder)
        if here in seen:  # a link that leads back up
            folders.clear()
            continue
        seen.add(here)
        folders[:] = [name for name in folders if name[0] != "." and name != "__MACOSX"]
        found += [Path(folder, name) for name in names if name[0] != "."]
    return sorted(found, key=lambda path: (len(path.parts), path.as_posix()))


def audio_files(root: str | Path) -> list[Path]:
    """All audio files below `root`, the shallowest first, then by name.

    Left out: names starting with a dot (`._*` and `.DS_Store` of macOS among them), `__MACOSX`.

    Raises:
        CorpusError: `root` is not a folder.
    """
    return [path for path in files_below(root) if path.suffix.lower() in AUDIO_ENDINGS]


def media_files(root: str | Path) -> list[Path]:
    """All audio files below `root`, then all videos, each as `audio_files` has them.

    So sound that somebody extracted is found before the video that it was taken from.

    Raises:
        CorpusError: `root` is not a folder.
    """
    files = files_below(root)
    return [
        path
        for endings in (AUDIO_ENDINGS, VIDEO_ENDINGS)
        for path in files
        if path.suffix.lower() in endings
    ]


def find_file(root: str | Path, name: str) -> Path | None:
    """The shallowest file called `name` below `root`, in any letter case; None without one."""
    return next((path for path in files_below(root) if path.name.lower() == name.lower()), None)


def walk(root: str | Path, parse: Parse, pattern: str) -> Walk:
    """Decode the name of every audio file below `root`.

    Of several files with the same id the first is taken (`audio_files` says which is first) and
    the others are listed in `ignored`: copies of RAVDESS are known that contain its tree twice.

    Args:
        root: the corpus' folder, or one that contains it.
        parse: decodes a file name; None where the name is not one of the corpus.
        pattern: what the names look like, for messages.

    Raises:
        CorpusError: no file below `root` fits, or all that do are git-lfs pointers.
    """
    return walk_files(root, audio_files(root), lambda path: parse(path.stem), pattern)


def walk_files(
    root: str | Path,
    files: Iterable[Path],
    parse: ParsePath,
    pattern: str,
    what: str = "audio file",
) -> Walk:
    """Decode the path of every file: `walk` where the folders say something too.

    A video whose utterance has an audio file already is passed over in silence: it is where that
    sound came from.

    Args:
        root: the corpus' folder, or one that contains it.
        files: what to look at, in order of preference (`audio_files`, `media_files`).
        parse: decodes a path relative to `root`; None where it is none of the corpus.
        pattern: what the names look like, for messages.
        what: what was looked for, for messages.

    Raises:
        CorpusError: no file fits, all that do are git-lfs pointers, or two files give one
            utterance different labels.
    """
    root = Path(root)
    rows: dict[str, dict[str, Any]] = {}
    ignored: list[str] = []
    for path in files:
        relative = path.relative_to(root)
        file = relative.as_posix()
        columns = parse(relative)
        if columns is None:
            ignored.append(f"{file}: the name does not read as {pattern}")
        elif "ignore" in columns:
            ignored.append(f"{file}: {columns['ignore']}")
        elif columns["utterance"] in rows:
            first = rows[columns["utterance"]]
            if columns["label"] != first["label"]:
                raise CorpusError(
                    f"{root / file}: an utterance of {columns['label']}, but by "
                    f"{first['file']} it is one of {first['label']}: keep one of the two files"
                )
            if not _is_film_of(file, first["file"]):
                ignored.append(f"{file}: another file of the utterance in {first['file']}")
        else:
            rows[columns["utterance"]] = {**columns, "file": file}
    if not rows:
        raise CorpusError(f"{root}: no {what} whose name reads as {pattern}")
    rows = dict(sorted(rows.items()))
    faults = {utterance: fault(root / row["file"]) for utterance, row in rows.items()}
    broken = {utterance: fault for utterance, fault in faults.items() if fault}
    if len(broken) == len(rows) and all("git-lfs" in fault for fault in broken.values()):
        raise CorpusError(f"{root}: every recording is {next(iter(broken.values()))}")
    return Walk(rows, tuple(ignored), broken)


def listed(
    root: str | Path, rows: dict[str, dict[str, Any]], files: Iterable[Path] | None = None
) -> Walk:
    """Find the recordings of utterances that a table of the corpus lists, by the files' stems.

    The table decides what is an utterance: one without a recording keeps its row, so that votes
    can be worked on where there is no audio. Several utterances may lie in one file.

    Args:
        root: the corpus' folder, or one that contains it.
        rows: utterance id -> its columns, `file` (the official place, relative to `root`) and
            `label` (None: nobody knows) among them.
        files: the audio files to look at; all below `root` without it.
    """
    root = Path(root)
    by_stem: dict[str, str] = {}
    ignored: list[str] = []
    wanted = {Path(row["file"]).stem for row in rows.values()}
    wanted_anyhow = {stem.lower(): stem for stem in wanted}
    for path in audio_files(root) if files is None else files:
        file = path.relative_to(root).as_posix()
        stem = path.stem if path.stem in wanted else wanted_anyhow.get(path.stem.lower())
        if stem is None:
            ignored.append(f"{file}: not in the corpus' tables")
        elif stem in by_stem:
            if not _is_film_of(file, by_stem[stem]):
                ignored.append(f"{file}: another file of the utterance in {by_stem[stem]}")
        else:
            by_stem[stem] = file
    faults = {stem: fault(root / file) for stem, file in by_stem.items()}
    placed, absent, broken = {}, [], {}
    for utterance, row in sorted(rows.items()):
        stem = Path(row["file"]).stem
        placed[utterance] = {**row, "utterance": utterance, "file": by_stem.get(stem, row["file"])}
        if stem not in by_stem:
            absent.append(utterance)
        elif faults[stem]:
            broken[utterance] = faults[stem]
    return Walk(placed, tuple(ignored), broken, tuple(absent))


def assemble(
    root: str | Path,
    scheme: Categories,
    found: Walk,
    card: dict[str, Any],
    *,
    durations: bool = False,
    votes: pd.DataFrame | None = None,
    ratings: pd.DataFrame | None = None,
) -> Corpus:
    """The corpus of a walk: its rows as utterances, the label of each as a one-hot row.

    Broken and absent files keep their row, with the reason in `excluded`; what the walk ignored is
    listed in the card as `ignored`. An utterance whose label is None has no row in the labels.
    `durations` reads the header of every file (about 0.2 ms each).

    Raises:
        CorpusError: a file's name is no text, which no table can hold.
    """
    root = Path(root)
    _refuse_names_that_are_no_text(root, [str(row["file"]) for row in found.rows.values()])
    table = pd.DataFrame(list(found.rows.values())).set_index("utterance")
    labels = one_hot(table.pop("label").dropna(), scheme)
    if "excluded" not in table.columns:
        table["excluded"] = ""
    table.loc[list(found.absent), "excluded"] = "no recording"
    for utterance, fault in found.broken.items():
        table.at[utterance, "excluded"] = fault
    corpus = Corpus(
        name=str(card["name"]),
        root=root,
        scheme=scheme,
        utterances=table,
        labels=labels,
        votes=votes,
        ratings=ratings,
        card={**card, "ignored": list(found.ignored)} if found.ignored else dict(card),
    )
    return corpus.with_durations() if durations else corpus


def _refuse_names_that_are_no_text(root: Path, files: Iterable[str]) -> None:
    for file in files:
        try:
            file.encode()
        except UnicodeEncodeError:
            raise CorpusError(
                f"{name_of(root / file)}: the name is not UTF-8, so no table can hold it: rename it"
            ) from None


def compare(expected: Iterable[str], found: Walk, problems: Iterable[str] = ()) -> CheckReport:
    """The report of a walk against the ids of the complete corpus."""
    names = set(expected)
    strange = [
        f"{row['file']}: not in the corpus" for id, row in found.rows.items() if id not in names
    ]
    return CheckReport(
        expected=len(names),
        found=len(found.rows) - len(found.absent),
        missing=sorted(names.difference(found.rows).union(found.absent)),
        extra=[*strange, *found.ignored],
        problems=[*(f"{found.rows[id]['file']}: {fault}" for id, fault in found.broken.items()),
                  *problems],
    )  # fmt: skip


def fault(path: Path) -> str:
    """Why a file cannot hold a recording, "" where nothing speaks against it."""
    if path.stat().st_size == 0:
        return "an empty file"
    return "a git-lfs pointer, run `git lfs pull`" if lfs_pointer(path) else ""


def read_text(path: Path) -> str:
    """The text of a corpus' file, UTF-8 or, as older tools wrote it, Windows-1252.

    Raises:
        CorpusError: the file is empty, a git-lfs pointer, or no text.
    """
    if reason := fault(path):
        raise CorpusError(f"{path}: {reason}")
    data = path.read_bytes()
    if b"\0" in data:
        raise CorpusError(f"{path}: not a text file of the corpus")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


def read_columns(path: Path, columns: Iterable[str], separator: str = ",") -> pd.DataFrame:
    """A corpus' table as text, an empty cell as missing; `NA` and `None` are words.

    Raises:
        CorpusError: empty, a git-lfs pointer, no table, a column is absent, the last line is cut.
    """
    if reason := fault(path):
        raise CorpusError(f"{path}: {reason}")
    try:
        table = pd.read_csv(
            path,
            sep=separator,
            dtype=str,
            keep_default_na=False,
            na_values=[""],
            encoding="utf-8-sig",
        )
    except (ValueError, OSError) as problem:
        reason = str(problem).strip().splitlines()[0]
        raise CorpusError(f"{path}: cannot be read as a table ({reason})") from problem
    missing = [name for name in columns if name not in table.columns]
    if missing:
        raise CorpusError(f"{path}: no column {', '.join(missing)}: not the corpus' table, or cut")
    return table


def lfs_pointer(path: Path) -> bool:
    """Whether a file is the small stand-in that git leaves where git-lfs has not been run."""
    if path.stat().st_size > _LFS_BYTES:
        return False
    with path.open("rb") as file:
        return file.read(len(_LFS_HEAD)) == _LFS_HEAD


def _is_film_of(file: str, first: str) -> bool:
    """Whether a video only has the sound that an audio file holds too."""
    return Path(file).suffix.lower() in VIDEO_ENDINGS and (
        Path(first).suffix.lower() in AUDIO_ENDINGS
    )
