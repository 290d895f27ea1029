"""Read the tables of a corpus line by line, so that a message names the line."""

import csv
import io
from collections.abc import Iterable
from pathlib import Path

from affekt.corpora.tree import read_text
from affekt.exceptions import CorpusError


def read_rows(
    path: Path, columns: Iterable[str], separator: str = ","
) -> list[tuple[str, dict[str, str]]]:
    """A corpus' table line by line, strictly: each row has a cell for every name in the header.

    Returns:
        Of each row `file, line n` for messages, and its cells by the header's names, all text.

    Raises:
        CorpusError: empty, a git-lfs pointer, no table, a column is absent or there twice, a row
            has more or fewer cells than the header.
    """
    lines = csv.reader(io.StringIO(read_text(path), newline=""), delimiter=separator, strict=True)
    rows: list[tuple[str, dict[str, str]]] = []
    try:
        header = [name.strip() for name in next(lines, [])]
        missing = [name for name in columns if name not in header]
        if missing or len(set(header)) < len(header):
            reason = f"no column {', '.join(missing)}" if missing else "a column occurs twice"
            raise CorpusError(f"{path}: {reason}; its header is {', '.join(header)[:200]}")
        for cells in lines:
            where = f"{path}, line {lines.line_num}"
            if len(cells) not in (0, len(header)):
                raise CorpusError(
                    f"{where}: {len(cells)} cells where the header names {len(header)}: the file "
                    "is cut, or a text needs quotes"
                )
            if any(cell.strip() for cell in cells):  # spreadsheets leave rows of commas behind
                named = zip(header, (cell.strip() for cell in cells), strict=True)
                rows.append((where, dict(named)))
    except csv.Error as problem:
        raise CorpusError(
            f"{path}, line {lines.line_num}: not a table's row, or cut ({problem})"
        ) from problem
    return rows
