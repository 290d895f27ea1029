"""Votes from a file: CSV, TSV, JSONL or Parquet into the long table, faults named by their line."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from affekt.exceptions import TableError
from affekt.scheme import Categories
from affekt.tables import check_votes, read_table, text_codes
from affekt.votes.cells import read_cells

NEEDED = ("utterance", "rater", "label")
OPTIONAL = ("gold", "seconds")
ALIASES = {"task": "utterance", "worker": "rater", "performer": "rater"}
"""What crowd-kit and Toloka call the columns -> ours."""

SEPARATORS = {".csv": ",", ".tsv": "\t"}
ENDINGS = (*SEPARATORS, ".jsonl", ".parquet")


def read_votes(
    path: str | Path,
    categories: Categories | None = None,
    *,
    columns: Mapping[str, str] | None = None,
    delimiter: str | None = None,
    others: bool = False,
) -> pd.DataFrame:
    """Read votes and check them: `utterance`, `rater`, `label`; `gold`, `seconds` where they are.

    Args:
        path: .csv, .tsv, .jsonl or .parquet.
        categories: the labels that may be voted; None allows any, see `occurring`.
        columns: our name -> the file's, such as {"label": "emotion"}. Without it columns go by our
            names, or by crowd-kit's: `task`, `worker` (or `performer`).
        delimiter: what divides the cells of a line; None: a comma in .csv, a tab in .tsv.
        others: read the other columns too.

    Returns:
        One row a vote. Text of .csv and .tsv, an empty cell missing, is held as pandas' categories,
        which costs an integer a cell. The index says where a vote stands: `line` of the file, from
        1, or `row` of a Parquet table, from 0.

    Raises:
        TableError: the file is missing, empty, cut, not UTF-8, or divided otherwise; a column is
            not there; a line has more or fewer cells than the first; an utterance or label is
            empty, a label is outside `categories`, an utterance has two different right answers.
    """
    path = Path(path)
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        raise TableError(f"{path}: votes end in {', '.join(ENDINGS)}")
    if not path.is_file():
        raise TableError(f"{path}: no such file")
    if path.stat().st_size == 0:
        raise TableError(f"{path}: the file is empty (0 bytes)")
    if ending == ".parquet":
        table = read_table(path).reset_index(drop=True).rename_axis("row")
        votes = table.rename(columns=_ours([*map(str, table)], columns or {}, path))
    elif ending == ".jsonl":
        votes = _json_lines(path, columns or {})
    else:
        wanted = None if others else NEEDED + OPTIONAL
        separator = delimiter or SEPARATORS[ending]
        votes, cut = read_cells(path, separator, lambda n: _ours(n, columns or {}, path), wanted)
        if cut is not None and len(votes):
            _refuse_cut(votes, cut, path)
    if votes.empty:
        raise TableError(f"{path}: there are no votes, only the names of columns")
    kept = [name for name in votes if others or name in NEEDED + OPTIONAL]
    votes = votes[kept]
    if ending in SEPARATORS:
        _check(votes, categories, path)
    else:
        with_text = _named(lambda: check_votes(votes, categories), path, votes.index)
        votes = with_text.set_axis(votes.index)
    _refuse_contradiction(votes, path)
    return votes


def unended(path: str | Path) -> int | None:
    """Number of the last line of a text file where it does not end, so that it may be cut."""
    with Path(path).open("rb") as file:
        if file.seek(0, 2) == 0:
            return None
        file.seek(-1, 2)
        if file.read(1) in b"\r\n":
            return None
        file.seek(0)
        return sum(1 for _ in file)


def occurring(votes: pd.DataFrame) -> Categories:
    """The scheme of the labels that occur in votes, sorted; right answers count too.

    >>> occurring(pd.DataFrame({"label": ["fear", "anger", "fear"]})).labels
    ('anger', 'fear')
    """
    columns = [votes[name] for name in ("label", "gold") if name in votes]
    found = {text for column in columns for text in text_codes(column)[1]} - {""}
    if not found:
        raise TableError("there are no votes, so no label occurs")
    return Categories("occurring", tuple(sorted(found)))


def spellings(categories: Categories) -> list[list[str]]:
    """Labels that differ by nothing but capitals and blanks, probably one label written twice.

    >>> spellings(Categories("typed", ("Anger", "anger ", "fear")))
    [['Anger', 'anger ']]
    """
    alike: dict[str, list[str]] = {}
    for label in categories:
        alike.setdefault("".join(label.split()).casefold(), []).append(label)
    return [labels for labels in alike.values() if len(labels) > 1]


def lonely(votes: pd.DataFrame) -> tuple[list[str], int]:
    """Raters who share no utterance with another, and on how many utterances they voted.

    >>> said = {"utterance": ["a", "a", "b"], "rater": ["x", "y", "z"], "label": ["fear"] * 3}
    >>> lonely(pd.DataFrame(said))
    (['z'], 1)
    """
    utterance, utterances = text_codes(votes["utterance"])
    rater, raters = text_codes(votes["rater"])
    known = rater >= 0
    lowest, highest = np.full(len(utterances), len(raters)), np.full(len(utterances), -1)
    np.minimum.at(lowest, utterance, rater)
    np.maximum.at(highest, utterance, rater)
    shared = lowest != highest  # -1: a vote of nobody known, which is another's
    met = np.bincount(rater[known], shared[utterance[known]], len(raters)) > 0
    alone = known & ~np.append(met, True)[rater]
    return raters[~met].tolist(), len(np.unique(utterance[alone]))


def located(problem: str, path: str | Path, index: pd.Index) -> str:
    """A message on `votes, row N` with the file and line that this row was read from.

    >>> located("votes, row 0: no rater", "v.csv", pd.Index([2], name="line"))
    'v.csv, line 2: no rater'
    """
    head, colon, reason = problem.partition(": ")
    number = head.removeprefix("votes, row ")
    if number == head or not number.isdigit():
        return f"{path}: {problem.removeprefix('votes: ')}"
    return f"{path}, {index.name or 'row'} {index[int(number)]}{colon}{reason}"


def _named(check: Callable[[], pd.DataFrame], path: Path, index: pd.Index) -> pd.DataFrame:
    try:
        return check()
    except TableError as problem:
        raise TableError(located(str(problem), path, index)) from problem


def _check(votes: pd.DataFrame, categories: Categories | None, path: Path) -> None:
    """What `check_votes` refuses, without its copies."""
    broken = votes["utterance"].isna() | votes["label"].isna()
    strange = categories is not None and not text_codes(votes["label"])[1].isin([*categories]).all()
    if broken.any() or strange:
        _named(lambda: check_votes(votes, categories), path, votes.index)


def _refuse_contradiction(votes: pd.DataFrame, path: Path) -> None:
    """Refuse a second right answer of an utterance that differs from its first."""
    if "gold" not in votes:
        return
    answers, texts = text_codes(votes["gold"])
    told = pd.Series(np.flatnonzero((answers >= 0) & (np.append(texts, "")[answers] != "")))
    utterances, names = text_codes(votes["utterance"].iloc[told])
    first = told.groupby(utterances).transform("first")
    other = (answers[told] != answers[first]).nonzero()[0]
    if len(other):
        row, before = told[other[0]], first[other[0]]
        raise TableError(
            f"{path}, {votes.index.name} {votes.index[row]}: utterance "
            f"{str(names[utterances[other[0]]])!r} has two different gold answers: "
            f"{str(texts[answers[row]])!r} here, {str(texts[answers[before]])!r} in "
            f"{votes.index.name} {votes.index[before]}"
        )


def _ours(names: Sequence[str], given: Mapping[str, str], path: Path) -> dict[str, str]:
    """The file's name of each column that we know -> ours."""
    strange = [name for name in given if name not in NEEDED + OPTIONAL]
    if strange:
        known = ", ".join(NEEDED + OPTIONAL)
        raise TableError(f"columns: votes have no {', '.join(strange)}; there are {known}")
    found = {ours: theirs for theirs, ours in ALIASES.items() if theirs in names}
    found |= {ours: ours for ours in NEEDED + OPTIONAL if ours in names}
    found |= given
    absent = [found.get(ours, ours) for ours in (*NEEDED, *given)]
    absent = [name for name in dict.fromkeys(absent) if name not in names]
    if absent:
        raise TableError(
            f"{path}: no column {', '.join(absent)}; there are {', '.join(names)}: say which is "
            'which with columns={"label": NAME} (--column label=NAME)'
        )
    ours_of = {theirs: ours for ours, theirs in found.items()}
    if len(ours_of) < len(found):
        raise TableError(f"{path}: one column is named for two: {found}")
    # A column of our name that is not meant must not stand beside the one that is.
    taken = {name: f"{name} (as it was)" for name in found if name not in ours_of and name in names}
    return ours_of | taken


def _refuse_cut(votes: pd.DataFrame, name: str, path: Path) -> None:
    """Refuse a file that ends within a line whose last cell looks like the beginning of another."""
    if name not in (*NEEDED, "gold") or pd.isna(votes[name].iloc[-1]):
        return
    cell, above = str(votes[name].iloc[-1]), text_codes(votes[name].iloc[:-1])[1]
    if cell not in above and above.str.startswith(cell).any():
        raise TableError(
            f"{path}, line {votes.index[-1]}: the last line does not end and its {name} {cell!r} "
            "looks cut; end the line if it is whole"
        )


def _json_lines(path: Path, given: Mapping[str, str]) -> pd.DataFrame:
    rows, numbers = [], []
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                rows.append(_object(line, path, number))
                numbers.append(number)
    table = pd.DataFrame(rows, pd.Index(numbers, name="line"))
    votes = table.rename(columns=_ours([*map(str, table)], given, path))
    for name in NEEDED:
        nested = votes[name].map(lambda value: isinstance(value, list | dict))
        if nested.any():
            line = votes.index[int(nested.argmax())]
            raise TableError(f"{path}, line {line}: {name} is a list or object, not one value")
    return votes


def _object(line: bytes, path: Path, number: int) -> dict[str, Any]:
    try:
        row = json.loads(line.decode("utf-8-sig"))
    except UnicodeDecodeError as problem:
        byte = line[problem.start]
        raise TableError(
            f"{path}, line {number}: byte 0x{byte:02x} is not UTF-8; save the whole file as UTF-8"
        ) from problem
    except ValueError as problem:
        raise TableError(f"{path}, line {number}: not JSON, or cut ({problem})") from problem
    if not isinstance(row, dict):
        raise TableError(f"{path}, line {number}: not a JSON object, which each line must be")
    return row
