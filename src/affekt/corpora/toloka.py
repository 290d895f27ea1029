"""Votes as crowd-kit and Toloka write them: `task, worker, label`, or a pool's assignments.

Formats: https://toloka.ai/docs/crowd-kit (long tables) and https://toloka.ai/docs/guide/result-of-eval
(the file with responses of a pool: `INPUT:…`, `OUTPUT:…`, `GOLDEN:…`, `ASSIGNMENT:…`).
"""

from pathlib import Path

import pandas as pd

from affekt.corpora.tree import CheckReport, read_columns
from affekt.corpora.voted import (
    Export,
    address,
    check_export,
    corpus_of,
    find_export,
    is_recording,
    label_of,
    one_of,
)
from affekt.corpus import Corpus
from affekt.exceptions import CorpusError, TableError

COLUMNS = {
    "task": "utterance",
    "worker": "rater",
    "performer": "rater",  # crowd-kit before 1.0
    "label": "label",
    "gold": "gold",
}
"""A long table's columns -> ours."""

ANSWERED = ("SUBMITTED", "APPROVED", "ACCEPTED")
"""Statuses of an assignment that was handed in and not rejected."""

ENDINGS = (".tsv", ".csv")

_WORKER = "ASSIGNMENT:worker_id"
_SEPARATORS = ("\t", ",", ";")
_NO_RATINGS = pd.DataFrame(columns=["utterance", "rater", "dimension", "value"])


def read(
    path: str | Path,
    *,
    question: str | None = None,
    key: str | None = None,
    rejected: bool = False,
) -> Export:
    """Read a long table or a pool's assignments; the columns tell which it is.

    Answers that are no votes are listed in `skipped`: assignments that were rejected, skipped or
    ran out, and those without an answer. Labels that name a known emotion become its noun, others
    stay as they are. `seconds` is the time an assignment took, divided by its tasks.

    Args:
        path: the file, divided by tabs, commas or semicolons.
        question: the `OUTPUT:` field whose answers are the votes, where there are several.
        key: the `INPUT:` field that names the task, where there are several; without it the one
            that names recordings.
        rejected: take also what the requester rejected.

    Raises:
        TableError: columns of neither form, a row that is cut, an unknown question or key.
    """
    path = Path(path)
    table = _read(path)
    if _WORKER in table.columns:
        return _assignments(table, path, question, key, rejected)
    return _long(table, path)


def read_votes(
    path: str | Path,
    *,
    question: str | None = None,
    key: str | None = None,
    rejected: bool = False,
) -> pd.DataFrame:
    """The votes of a file: `utterance`, `rater`, `label` (and `gold`, `seconds`); see `read`.

    Raises:
        TableError: as `read`; or there is no vote.
    """
    votes = read(path, question=question, key=key, rejected=rejected).votes
    if votes.empty:
        raise TableError(f"{path}: nobody answered, so there are no votes")
    return votes


def load(
    root: str | Path,
    *,
    question: str | None = None,
    key: str | None = None,
    durations: bool = False,
) -> Corpus:
    """Load such a file and the recordings beside it as a corpus; labels are the votes' shares.

    Args:
        root: the file, or a folder in which it is the only .tsv or .csv; recordings are found by
            name below its folder.
        question: as in `read`.
        key: as in `read`.
        durations: fill the column `duration` from the files' headers.

    Raises:
        CorpusError, TableError: no such file, none that `read` can read, or nobody answered.
    """
    path = find_export(root, ENDINGS, "table of votes")
    return corpus_of(root, path, read(path, question=question, key=key), durations=durations)


def check(root: str | Path) -> CheckReport:
    """Name the tasks without a recording and those that nobody answered."""
    path = find_export(root, ENDINGS, "table of votes")
    return check_export(root, path, read(path))


def _read(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise TableError(f"{path}: no such file")
    with path.open("rb") as file:
        head = file.readline().decode("utf-8", errors="replace")
    try:
        table = read_columns(path, [], max(_SEPARATORS, key=head.count))
    except CorpusError as problem:
        raise TableError(str(problem)) from problem
    table = table.dropna(how="all")  # pages of tasks may be divided by lines of bare tabs
    if table.empty:
        raise TableError(f"{path}: the table has no row")
    return table


def _long(table: pd.DataFrame, path: Path) -> Export:
    votes = table.rename(columns=COLUMNS)
    missing = [name for name in ("utterance", "rater", "label") if name not in votes.columns]
    if missing:
        raise TableError(
            f"{path}: neither a table of task, worker, label nor Toloka's assignments "
            f"({_WORKER}); its columns are {', '.join(map(str, table.columns))}"
        )
    for column in ("utterance", "rater", "label"):
        empty = votes[column].isna()
        if empty.any():
            raise TableError(
                f"{path}, row {_row(empty)}: column {column} is empty, or the row is cut"
            )
    for column in {"label", "gold"} & set(votes.columns):
        votes[column] = _nouns(votes[column])
    votes = votes.reset_index(drop=True)
    files = {id: _address(id) for id in votes["utterance"].unique()}
    skipped = pd.DataFrame(columns=["utterance", "rater", "reason"])
    return Export(votes, _NO_RATINGS, skipped, files)


def _assignments(
    table: pd.DataFrame, path: Path, question: str | None, key: str | None, rejected: bool
) -> Export:
    asked = one_of(question, _fields(table, "OUTPUT:"), "question", "question", str(path))
    fields = _fields(table, "INPUT:")
    heard = [name for name in fields if is_recording(_first(table[f"INPUT:{name}"]))]
    named = one_of(key, fields if key or len(heard) != 1 else heard, "field", "key", str(path))
    tasks = table[f"INPUT:{named}"]
    for column, cells in ((f"INPUT:{named}", tasks), (_WORKER, table[_WORKER])):
        if cells.isna().any():
            raise TableError(
                f"{path}, row {_row(cells.isna())}: {column} is empty, or the row is cut"
            )
    stems = {task: Path(_address(task)).stem or task for task in tasks.unique()}
    if len(set(stems.values())) < len(stems):  # recordings of one name in several folders
        stems = {task: task for task in stems}
    answers = pd.DataFrame({"utterance": tasks.map(stems), "rater": table[_WORKER]})
    answers["label"] = _nouns(table[f"OUTPUT:{asked}"])
    if f"GOLDEN:{asked}" in table.columns:
        answers["gold"] = _nouns(table[f"GOLDEN:{asked}"])
    if (seconds := _seconds(table)) is not None:
        answers["seconds"] = seconds
    reason = _reasons(table, answers["label"], rejected)
    files = {stem: _address(task) for task, stem in stems.items()}
    skipped = answers[["utterance", "rater"]].assign(reason=reason)[reason != ""]
    votes = answers[reason == ""].reset_index(drop=True)
    return Export(votes, _NO_RATINGS, skipped.reset_index(drop=True), files)


def _reasons(table: pd.DataFrame, label: pd.Series, rejected: bool) -> pd.Series:
    """Why each answer is no vote; "" where it is."""
    reason = label.isna().map({True: "no answer", False: ""})
    if "ASSIGNMENT:status" in table.columns:
        status = table["ASSIGNMENT:status"].fillna("").str.upper()
        good = status.isin([*ANSWERED, *(["REJECTED"] if rejected else []), ""])
        reason = reason.where(good, status.str.lower())
    return reason


def _seconds(table: pd.DataFrame) -> pd.Series | None:
    """Time of an assignment over its number of tasks; None where the file has no times."""
    started, submitted, assignment = (
        f"ASSIGNMENT:{name}" for name in ("started", "submitted", "assignment_id")
    )
    if not {started, submitted, assignment} <= set(table.columns):
        return None
    begin, end = (
        pd.to_datetime(table[column], errors="coerce", format="ISO8601", utc=True)
        for column in (started, submitted)
    )
    return (end - begin).dt.total_seconds() / table.groupby(assignment)[started].transform("size")


def _row(bad: pd.Series) -> int:
    """The line of the first row marked, if no cell holds a line break; the head is line 1."""
    return int(bad.index.to_numpy()[bad.to_numpy().argmax()]) + 2


def _fields(table: pd.DataFrame, kind: str) -> list[str]:
    return [str(name).removeprefix(kind) for name in table.columns if str(name).startswith(kind)]


def _first(cells: pd.Series) -> str | None:
    known = cells.dropna()
    return None if known.empty else str(known.iloc[0])


def _nouns(words: pd.Series) -> pd.Series:
    known = {word: label_of(word) for word in words.dropna().unique()}
    return words.map(known)


def _address(task: str) -> str:
    return address(task) if is_recording(task) else ""
