"""A text table cell by cell, checked line by line.

Lines come before quotes: where every line has the same number of fields, a quotation mark can
neither hide a field nor swallow a line, and it only wraps cells. Only a file that does not add up
so is read again by the rules of CSV, in which a quoted cell may hold separators and line breaks.
"""

import csv
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd

from affekt.exceptions import TableError
from affekt.tables import TEXT, text_codes

Naming = Callable[[Sequence[str]], dict[str, str]]
"""The file's names of columns to those that they get; TableError where one is not there."""

_SEPARATOR_NAMES = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "bars"}
_BLOCK = 1 << 24  # bytes looked through at once
_Texts = tuple[np.ndarray, pd.Index]  # code of each row, -1 = missing, and the text of each code


@dataclass(frozen=True)
class _Lines:
    """What a look at every byte tells."""

    n_fields: int  # of the first line
    uneven: tuple[int, int] | None  # first line with another number of fields, and that number
    quoted: bool  # there are quotation marks
    plain: bool  # no blank lines, and no ends of lines but \n and \r\n
    ended: bool  # the last line ends


def read_cells(
    path: Path, separator: str, naming: Naming, wanted: Sequence[str] | None
) -> tuple[pd.DataFrame, str | None]:
    """Read the text of every cell, empty ones missing; the index is the number of the line.

    Args:
        path: a file with something in it.
        separator: what divides the cells of a line.
        naming: names the columns.
        wanted: the columns to read, by their new names; None: all.

    Returns:
        The table, and the name of the last column of the file where its last line does not end.

    Raises:
        TableError: what is wrong, and in which line.
    """
    if len(separator) != 1 or not separator.isascii() or separator in '"\r\n':
        raise TableError(f"delimiter {separator!r} is not one character such as , ; or a tab")
    lines = _look(path, separator)
    number, names = next(_records(path, separator, quoted=True), (1, []))
    ours = _columns(names, number, naming, path, separator)
    called = [ours.get(name, name or f"column {place}") for place, name in enumerate(names, 1)]
    if lines.uneven is None and lines.plain and len(names) == lines.n_fields:
        table = _even(path, separator, called, wanted, quoted=lines.quoted)
    elif lines.uneven is not None and lines.plain and not lines.quoted:
        raise _uneven(path, *lines.uneven, len(names))
    else:
        table = _by_the_rules(path, separator, called, quoted=lines.quoted)
    return table, None if lines.ended else called[-1]


def _columns(
    names: list[str], number: int, naming: Naming, path: Path, separator: str
) -> dict[str, str]:
    """What the columns are called; a line that another separator divides better is said to be."""
    if not names:
        raise TableError(f"{path}: there is nothing but blank lines")
    twice = sorted({name for name in names if names.count(name) > 1 and name})
    if twice:
        raise TableError(f"{path}, line {number}: two columns are called {', '.join(twice)}")
    try:
        return naming(names)
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
    path: Path, separator: str, names: list[str], wanted: Sequence[str] | None, *, quoted: bool
) -> pd.DataFrame:
    """Every line has as many cells as the first, and quotation marks only wrap cells."""
    read = [name for name in names if wanted is None or name in wanted]
    parse = _parse_fast if find_spec("pyarrow") else _parse
    columns = parse(path, separator, names, read)
    if quoted:
        columns = {name: _unwrapped(*column) for name, column in columns.items()}
    n_rows = len(columns[read[0]][0])
    held = {name: pd.Categorical.from_codes(*column) for name, column in columns.items()}
    return pd.DataFrame(held, pd.RangeIndex(2, n_rows + 2, name="line"))


def _parse(path: Path, separator: str, names: list[str], wanted: list[str]) -> dict[str, _Texts]:
    """Cells as they stand, quotation marks and all, each distinct one once; empty ones missing."""
    table = pd.read_csv(
        path,
        sep=separator,
        header=0,
        names=names,
        usecols=wanted,
        dtype="str",
        index_col=False,
        quoting=csv.QUOTE_NONE,
        keep_default_na=False,  # a rater may be called NA
        na_values=[""],
        encoding="utf-8-sig",
    )
    with ThreadPoolExecutor(4) as threads:
        return dict(zip(wanted, threads.map(text_codes, (table[n] for n in wanted)), strict=True))


def _parse_fast(
    path: Path, separator: str, names: list[str], wanted: list[str]
) -> dict[str, _Texts]:
    """As `_parse`, in parallel."""
    import pyarrow as pa
    from pyarrow import csv as arrow

    distinct = pa.dictionary(pa.int32(), pa.string())
    try:
        table = arrow.read_csv(
            path,
            arrow.ReadOptions(column_names=names, skip_rows=1),
            arrow.ParseOptions(delimiter=separator, quote_char=False),
            arrow.ConvertOptions(
                column_types=dict.fromkeys(wanted, distinct),
                include_columns=wanted,
                null_values=[""],
                strings_can_be_null=True,
            ),
        )
    except pa.ArrowInvalid:  # a line longer than its blocks
        return _parse(path, separator, names, wanted)
    columns = {}
    for name in wanted:
        column = table.column(name).combine_chunks()
        codes = column.indices.fill_null(-1).to_numpy()
        columns[name] = codes, pd.Index(column.dictionary.to_pylist(), dtype=TEXT)
    return columns


def _unwrapped(codes: np.ndarray, texts: pd.Index) -> _Texts:
    """Cells without the quotation marks around them; doubled ones inside are one."""
    wrapped = texts.str.startswith('"') & texts.str.endswith('"') & (texts.str.len() > 1)
    inside = texts.str[1:-1].str.replace('""', '"', regex=False)
    bare = pd.Series(inside.where(wrapped, texts), dtype=TEXT)
    again, distinct = text_codes(bare.where(bare != ""))
    return np.append(again, -1)[codes], distinct


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
