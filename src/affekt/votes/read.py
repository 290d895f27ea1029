"""Votes from a file: CSV, TSV, JSONL or Parquet into the long table, faults named by their line.

Lines come before quotes: where every line has the same number of fields, a quotation mark can
neither hide a field nor swallow a line, and it only wraps cells. Only a file that does not add up
so is read again by the rules of CSV, in which a quoted cell may hold separators and line breaks.
"""

import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from affekt.exceptions import TableError
from affekt.scheme import Categories
from affekt.tables import check_votes, read_table, text_codes

NEEDED = ("utterance", "rater", "label")
OPTIONAL = ("gold", "seconds")
ALIASES = {"task": "utterance", "worker": "rater", "performer": "rater"}
"""What crowd-kit and Toloka call the columns -> ours."""

SEPARATORS = {".csv": ",", ".tsv": "\t"}
ENDINGS = (*SEPARATORS, ".jsonl", ".parquet")

_SEPARATOR_NAMES = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "bars"}
_BLOCK = 1 << 24  # bytes looked through at once


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
            empty, a label or right answer is outside `categories`.
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
        votes = _text_table(path, delimiter or SEPARATORS[ending], columns or {}, others)
    if votes.empty:
        raise TableError(f"{path}: there are no votes, only the names of columns")
    kept = [name for name in votes if others or name in NEEDED + OPTIONAL]
    votes = votes[kept]
    if ending in SEPARATORS:
        _check(votes, categories, path)
        return votes
    with_text = _named(lambda: check_votes(votes, categories), path, votes.index)
    return with_text.set_axis(votes.index)


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
    """What `check_votes` refuses, without its copies; then a right answer outside the scheme."""
    broken = votes["utterance"].isna() | votes["label"].isna()
    strange = categories is not None and not text_codes(votes["label"])[1].isin([*categories]).all()
    if broken.any() or strange:
        _named(lambda: check_votes(votes, categories), path, votes.index)


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


# --- lines of cells


@dataclass(frozen=True)
class _Lines:
    """What a look at every byte tells."""

    n_fields: int  # of the first line
    uneven: tuple[int, int] | None  # first line with another number of fields, and that number
    quoted: bool  # there are quotation marks
    plain: bool  # no blank lines, and no ends of lines but \n and \r\n
    ended: bool  # the last line ends


def _text_table(path: Path, separator: str, given: Mapping[str, str], others: bool) -> pd.DataFrame:
    if len(separator) != 1 or not separator.isascii() or separator in '"\r\n':
        raise TableError(f"delimiter {separator!r} is not one character such as , ; or a tab")
    lines = _look(path, separator)
    line, names = next(_records(path, separator, quoted=True), (1, []))
    ours = _columns(names, line, given, path, separator)
    called = [ours.get(name, name or f"column {place}") for place, name in enumerate(names, 1)]
    if lines.uneven is None and lines.plain and len(names) == lines.n_fields:
        votes = _even(path, separator, called, others, quoted=lines.quoted)
    elif lines.uneven is not None and lines.plain and not lines.quoted:
        raise _uneven(path, *lines.uneven, len(names))
    else:
        votes = _by_the_rules(path, separator, called, quoted=lines.quoted)
    if not lines.ended and len(votes):
        _refuse_cut(votes, called[-1], path)
    return votes


def _columns(
    names: list[str], number: int, given: Mapping[str, str], path: Path, separator: str
) -> dict[str, str]:
    """As `_ours`; a line that another separator divides better is said to be so divided."""
    if not names:
        raise TableError(f"{path}: there is nothing but blank lines")
    twice = sorted({name for name in names if names.count(name) > 1 and name})
    if twice:
        raise TableError(f"{path}, line {number}: two columns are called {', '.join(twice)}")
    try:
        return _ours(names, given, path)
    except TableError:
        line = separator.join(names)
        for other, called in _SEPARATOR_NAMES.items():
            if other != separator and line.count(other) > line.count(separator):
                option = "tab" if other == "\t" else f"'{other}'"
                raise TableError(
                    f"{path}, line {number}: divided by {called}, not by "
                    f"{_SEPARATOR_NAMES.get(separator, repr(separator))}; "
                    f"give delimiter={other!r} (--delimiter {option})"
                ) from None
        raise


def _look(path: Path, separator: str) -> _Lines:
    """Go through the bytes once: encoding, number of fields of each line, quotation marks."""
    n_fields, uneven, number, cut = 0, None, 0, b""
    quoted, plain = False, True
    with path.open("rb") as file:
        while block := file.read(_BLOCK) + file.readline():
            _check_encoding(block, number, path)
            quoted = quoted or b'"' in block
            counts, blank = _fields(block, separator)
            plain = plain and not blank.any() and block.count(b"\r") == block.count(b"\r\n")
            n_fields = n_fields or int(counts[0])
            other = (counts != n_fields) & ~blank
            if uneven is None and other.any():
                at = int(other.argmax())
                uneven = (number + at + 1, int(counts[at]))
            number += len(counts)
            cut = block[-1:]
    return _Lines(n_fields, uneven, quoted, plain, cut == b"\n")


def _fields(block: bytes, separator: str) -> tuple[np.ndarray, np.ndarray]:
    """Number of cells of each line, and whether it is blank."""
    text = np.frombuffer(block, np.uint8)
    ends = np.flatnonzero(text == ord("\n"))
    if not block.endswith(b"\n"):
        ends = np.append(ends, len(text))
    divided = np.searchsorted(np.flatnonzero(text == ord(separator)), ends)
    starts = np.append(0, ends[:-1] + 1)
    length = ends - starts
    blank = (length == 0) | ((length == 1) & (text[np.minimum(starts, len(text) - 1)] == ord("\r")))
    return np.diff(divided, prepend=0) + 1, blank


def _check_encoding(block: bytes, before: int, path: Path) -> None:
    at = block.find(b"\0")
    reason = "a zero byte: not text, or UTF-16"
    if at < 0 and not block.isascii():
        try:
            block.decode("utf-8")
        except UnicodeDecodeError as problem:
            at, reason = problem.start, f"byte 0x{block[problem.start]:02x} is not UTF-8"
    if at >= 0:
        line = before + block.count(b"\n", 0, at) + 1
        raise TableError(f"{path}, line {line}: {reason}; save the whole file as UTF-8")


def _even(
    path: Path, separator: str, names: list[str], others: bool, *, quoted: bool
) -> pd.DataFrame:
    """Every line has as many cells as the first, and quotation marks only wrap cells."""
    table = pd.read_csv(
        path,
        sep=separator,
        header=0,
        names=names,
        usecols=[name for name in names if others or name in NEEDED + OPTIONAL],
        dtype="str",
        index_col=False,
        quoting=csv.QUOTE_NONE,
        keep_default_na=False,  # a rater may be called NA
        na_values=[""],
        encoding="utf-8-sig",
    )
    table = table.apply(_unwrapped) if quoted else table
    with ThreadPoolExecutor(len(NEEDED)) as threads:
        columns = dict(
            zip(table, threads.map(_coded, (table[name] for name in table)), strict=True)
        )
    return pd.DataFrame(columns, pd.RangeIndex(2, len(table) + 2, name="line"))


def _coded(column: pd.Series) -> pd.Categorical:
    """Each text once: all that comes after looks at distinct ones, not at votes."""
    return pd.Categorical.from_codes(*text_codes(column))


def _unwrapped(column: pd.Series) -> pd.Series:
    """Cells without the quotation marks around them; doubled ones inside are one."""
    wrapped = column.str.startswith('"', na=False) & column.str.endswith('"', na=False)
    wrapped &= column.str.len() > 1
    if not wrapped.any():
        return column
    inside = column[wrapped].str[1:-1].str.replace('""', '"', regex=False)
    column = column.copy()
    column[wrapped] = inside.where(inside != "")
    return column


def _by_the_rules(path: Path, separator: str, names: list[str], *, quoted: bool) -> pd.DataFrame:
    """Read cell by cell: quoted cells may hold separators and line breaks; blank lines are none."""
    records = _records(path, separator, quoted=quoted)
    next(records)
    rows, numbers = [], []
    for line, cells in records:
        if len(cells) != len(names):
            raise _uneven(path, line, len(cells), len(names))
        rows.append(cells)
        numbers.append(line)
    table = pd.DataFrame(rows, pd.Index(numbers, name="line"), names, dtype="str")
    return table.where(table != "")


def _records(path: Path, separator: str, *, quoted: bool) -> Iterator[tuple[int, list[str]]]:
    """Number of its first line, and cells, of each record that is not blank."""
    line = 1
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(
            file,
            delimiter=separator,
            quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE,
            strict=True,
        )
        try:
            for cells in reader:
                if cells:
                    yield line, cells
                line = reader.line_num + 1
        except csv.Error as problem:
            reason = "a quotation mark opens and never closes, or the file is cut"
            if "expected after" in str(problem):
                reason = "a quotation mark inside a cell; double it, and put the cell in quotes"
            raise TableError(f"{path}, line {line}: {reason}") from problem


def _uneven(path: Path, line: int, found: int, expected: int) -> TableError:
    few = "the line is cut" if found < expected else "a cell holds the separator: put it in quotes"
    return TableError(f"{path}, line {line}: {found} cell(s), not {expected} as in line 1: {few}")


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


# --- lines of JSON


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
