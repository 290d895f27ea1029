"""Recordings of one's own: a corpus folder, a table that lists them, or a folder a label."""

from collections import Counter
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd

from affekt.corpora.tree import CheckReport, Walk, assemble, audio_files, compare, fault
from affekt.corpus import Corpus
from affekt.exceptions import CorpusError, TableError
from affekt.scheme import NOUNS, Categories
from affekt.tables import one_hot

SYNONYMS: dict[str, str] = {
    "angry": "anger",
    "annoyed": "annoyance",
    "amused": "amusement",
    "anxious": "anxiety",
    "apologetic": "apology",
    "assertive": "assertiveness",
    "bored": "boredom",
    "calmness": "calm",
    "concerned": "concern",
    "contemptuous": "contempt",
    "disappointed": "disappointment",
    "disgusted": "disgust",
    "encouraging": "encouragement",
    "excited": "excitement",
    "fearful": "fear",
    "afraid": "fear",
    "scared": "fear",
    "frustrated": "frustration",
    "happy": "happiness",
    "joyful": "joy",
    "neutrality": "neutral",
    "normal": "neutral",
    "others": "other",
    "sad": "sadness",
    "sleepy": "sleepiness",
    "surprised": "surprise",
    "tired": "tiredness",
}
"""Label words as they occur in manifests -> the noun. Other words are kept as they are."""

ALIASES: dict[str, str] = {
    "path": "file",
    "wav": "file",
    "audio": "file",
    "filename": "file",
    "file_name": "file",
    "emotion": "label",
    "emo": "label",
    "emoclass": "label",
    "id": "utterance",
    "key": "utterance",
    "gender": "sex",
    "spkrid": "speaker",
    "speaker_id": "speaker",
    "length": "duration",
    "split_set": "split",
    "transcript": "text",
}
"""Column names of other tools' manifests, in lower case -> ours."""

_DELIMITERS = (",", ";", "\t")


def noun(word: str) -> str:
    """The noun of a label word, in lower case: `Angry` is `anger`; unknown words stay.

    >>> noun(" Happy"), noun("schadenfreude")
    ('happiness', 'schadenfreude')
    """
    word = word.strip().lower()
    return SYNONYMS.get(word, word)


def load_csv(path: str | Path, *, name: str | None = None, durations: bool = False) -> Corpus:
    """Load a corpus from a table of one row an utterance, divided by `,`, `;` or tabs.

    Columns, in any letter case and under the names in `ALIASES` too: `file` (relative to the
    table's folder, or absolute), `label`, and any of `UTTERANCE_COLUMNS` and `utterance` (the id;
    without it, the file with its times). In place of `label` one column of numbers a category
    (`anger`, `happy`, …: counts, shares or probabilities) gives soft labels: each row is divided
    by its sum. Further columns are kept. A row without a label stays, `excluded` as "no label".
    A missing speaker stays missing; a split by speaker then refuses the corpus.

    Args:
        path: the table.
        name: the corpus' name; the table's own without it.
        durations: fill the column `duration` where it is missing, from the files' headers, and
            `excluded` where a file is missing or cannot be read.

    Raises:
        CorpusError: no such table, no file column, no labels, no row.
        TableError: ids that occur twice, times that are not numbers, negative shares.
    """
    path = Path(path)
    table = _read(path)
    if "utterance" not in table.columns:
        table["utterance"] = _ids(table)
    _refuse_repeated(table["utterance"], path)
    table = table.set_index("utterance")
    labels = _labels(table, path)
    if "excluded" not in table.columns:
        table["excluded"] = ""
    table.loc[~table.index.isin(labels.index), "excluded"] = "no label"
    name = name or path.stem
    scheme = Categories(name, tuple(labels.columns))
    utterances = table.drop(columns=_label_columns(table))
    corpus = Corpus(name, path.parent, scheme, utterances, labels, None, None, {"name": name})
    return corpus.with_durations() if durations else corpus


def check_csv(path: str | Path) -> CheckReport:
    """Say which files are missing, empty or git-lfs pointers, and which rows have no label.

    No file is decoded: `load_csv(path, durations=True)` says of each whether it can be read.
    """
    return _check_files(load_csv(path))


def load_written(root: str | Path, *, durations: bool = False) -> Corpus:
    """Load a corpus folder in Affekt's own format (docs/format.md); its card gives the name.

    Raises:
        CorpusError, TableError: as `Corpus.read`.
    """
    corpus = Corpus.read(root)
    return corpus.with_durations() if durations else corpus


def check_written(root: str | Path) -> CheckReport:
    """As `check_csv`, of a corpus folder."""
    return _check_files(Corpus.read(root))


def _check_files(corpus: Corpus) -> CheckReport:
    """Look at each file once, however many utterances it holds."""
    files = [(corpus.root / file, file) for file in corpus.utterances["file"].unique()]
    missing = [file for place, file in files if not place.is_file()]
    faults = [
        f"{file}: {fault(place)}" for place, file in files if place.is_file() and fault(place)
    ]
    unlabelled = corpus.utterances.index.difference(corpus.labels.index, sort=False)
    n_found = len(corpus) - int(corpus.utterances["file"].isin(missing).sum())
    return CheckReport(
        expected=len(corpus),
        found=n_found,
        missing=missing,
        extra=[],
        problems=[*faults, *(f"{utterance}: no label" for utterance in unlabelled)],
    )


def load_folder(root: str | Path, *, name: str | None = None, durations: bool = False) -> Corpus:
    """Load recordings that lie in a folder for each label, perhaps below one for each speaker.

    `angry/1.wav` is anger by nobody known, `anna/angry/1.wav` is anger by anna. Folders that
    every recording lies in (the corpus' own, say) tell nothing and are passed over. Audio beside
    the label folders has no label and is listed in the card as `ignored`.

    Args:
        root: the folder above those of the speakers or labels.
        name: the corpus' name; the folder's own without it.
        durations: fill the column `duration` from the files' headers.

    Raises:
        CorpusError: no audio in a label folder below `root`.
    """
    found = _folders(Path(root))
    name = name or Path(root).resolve().name
    scheme = Categories(name, tuple(sorted({row["label"] for row in found.rows.values()})))
    return assemble(root, scheme, found, {"name": name}, durations=durations)


def check_folder(root: str | Path) -> CheckReport:
    """Say which recordings have no label folder and which cannot hold audio."""
    found = _folders(Path(root))
    return compare(found.rows, found)


def _read(path: Path) -> pd.DataFrame:
    """The table as text, its columns under our names."""
    if not path.is_file():
        raise CorpusError(f"{path}: no such table; give the path of the csv file itself")
    try:
        with path.open(encoding="utf-8-sig") as file:
            head = file.readline()
        delimiter = max(_DELIMITERS, key=head.count)
        table = pd.read_csv(
            path, sep=delimiter, dtype=str, keep_default_na=False, encoding="utf-8-sig"
        )
    except (OSError, ValueError) as problem:
        raise CorpusError(f"{path}: cannot be read as a table ({problem})") from problem
    table.columns = pd.Index(_our_names([str(column) for column in table.columns]))
    twice = [column for column, n in Counter(table.columns).items() if n > 1]
    if twice:
        raise CorpusError(f"{path}: more than one column is called {twice[0]!r}")
    if "file" not in table.columns:
        raise CorpusError(f"{path}: no column file (or {_aliases_of('file')})")
    if table.empty:
        raise CorpusError(f"{path}: the table has no row")
    for column in table.columns:
        table[column] = table[column].str.strip()
    return table.where(table != "", None)


def _our_names(columns: list[str]) -> list[str]:
    """Columns in lower case under our names; an alias gives way to the name itself."""
    ours = [column.strip().lower() for column in columns]
    for number, column in enumerate(ours):
        if ALIASES.get(column, column) not in ours:
            ours[number] = ALIASES[column]
    return ours


def _refuse_repeated(ids: pd.Series, path: Path) -> None:
    """Refuse an utterance that has two rows.

    Raises:
        TableError: naming both, counted from 1 below the header.
    """
    repeated = ids.duplicated() & ids.notna()
    if repeated.any():
        row = int(repeated.to_numpy().argmax())
        first = int((ids == ids.iloc[row]).to_numpy().argmax())
        raise TableError(
            f"{path}, row {row + 1}: utterance {ids.iloc[row]!r} occurs twice, first in row"
            f" {first + 1}: leave one out, or tell them apart by `start` and `end` or by ids in a"
            " column `utterance`"
        )


def _ids(table: pd.DataFrame) -> list[str]:
    """The file without its ending; with the times where an utterance is a part of a file."""
    stems = [str(PurePosixPath(str(file)).with_suffix("")) for file in table["file"]]
    if "start" not in table.columns and "end" not in table.columns:
        return stems
    none = pd.Series([None] * len(table))
    starts, ends = (table.get(side, none) for side in ("start", "end"))
    return [
        stem if pd.isna(start) and pd.isna(end) else f"{stem}#{_time(start)}-{_time(end)}"
        for stem, start, end in zip(stems, starts, ends, strict=True)
    ]


def _time(value: Any) -> str:
    return "" if pd.isna(value) else str(value)


def _labels(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    if "label" in table.columns:
        words = table["label"].dropna().map(noun)
        if words.empty:
            raise CorpusError(f"{path}: no row has a label")
        return one_hot(words, Categories(path.stem, tuple(sorted(set(words)))))
    columns = _label_columns(table)
    if not columns:
        raise CorpusError(
            f"{path}: no column label (or {_aliases_of('label')}), nor one of numbers a category"
        )
    try:
        values = table[columns].astype(float).fillna(0.0)
    except ValueError as problem:
        raise CorpusError(f"{path}: category columns must hold numbers ({problem})") from problem
    totals = values.sum(axis=1)
    rows = totals > 0
    shares = values[rows].to_numpy() / totals[rows].to_numpy()[:, None]
    return pd.DataFrame(shares, values.index[rows], [noun(column) for column in columns])


def _label_columns(table: pd.DataFrame) -> list[str]:
    """The columns that hold labels: `label`, else those whose names are categories."""
    if "label" in table.columns:
        return ["label"]
    return [column for column in table.columns if noun(column) in NOUNS]


def _aliases_of(column: str) -> str:
    return ", ".join(alias for alias, ours in ALIASES.items() if ours == column)


def _folders(root: Path) -> Walk:
    """One row a recording whose parent folder is its label, its grandparent the speaker."""
    rows: dict[str, dict[str, Any]] = {}
    ignored = []
    files = [path.relative_to(root) for path in audio_files(root)]
    n_common = _n_common([file.parts for file in files if len(file.parts) > 1])
    for file in files:
        parts = file.parts[n_common:]
        utterance = file.with_suffix("").as_posix()
        if len(parts) < 2:
            ignored.append(f"{file.as_posix()}: in no label folder")
        elif utterance in rows:
            ignored.append(f"{file.as_posix()}: another file of {rows[utterance]['file']}")
        else:
            rows[utterance] = {
                "utterance": utterance,
                "file": file.as_posix(),
                "label": noun(parts[-2]),
                "speaker": parts[-3] if len(parts) > 2 else None,
            }
    if not rows:
        raise CorpusError(f"{root}: no audio file as label/name.wav or speaker/label/name.wav")
    rows = dict(sorted(rows.items()))
    faults = {utterance: fault(root / row["file"]) for utterance, row in rows.items()}
    broken = {utterance: reason for utterance, reason in faults.items() if reason}
    return Walk(rows, tuple(ignored), broken)


def _n_common(paths: list[tuple[str, ...]]) -> int:
    """Number of leading folders that all paths share, their label folders left aside."""
    n = 0
    while paths and all(len(path) > n + 2 and path[n] == paths[0][n] for path in paths):
        n += 1
    return n
