"""The four tables that everything else passes around, and how they lie on disk.

=========== ======================== ============================================================
table       key                      columns
=========== ======================== ============================================================
utterances  index `utterance`        `UTTERANCE_COLUMNS`, then any others
votes       none, one row a vote     `utterance`, `rater`, `label`, then any others
ratings     none, one row a rating   `utterance`, `rater`, `dimension`, `value`, then any others
labels      index `utterance`        one float column a category, rows sum to 1
=========== ======================== ============================================================

Each `check_…` returns a normalised copy and leaves its argument as it was.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from affekt.atomic import replacing
from affekt.exceptions import TableError
from affekt.scheme import Categories

TEXT = pd.Series(["text"]).dtype  # `str` from pandas 3 on, `object` before
SUM_TOLERANCE = 1e-4

UTTERANCE_COLUMNS: dict[str, str] = {
    "file": "text",
    "start": "number",
    "end": "number",
    "duration": "number",
    "speaker": "text",
    "session": "text",
    "sex": "text",
    "age": "number",
    "language": "text",
    "text": "text",
    "split": "text",
    "intensity": "number",
    "excluded": "text",
}
"""The standard columns of utterances and their kind; those that are absent are added as missing."""

_TEXT_COLUMNS = [
    "utterance",
    *(name for name, kind in UTTERANCE_COLUMNS.items() if kind == "text"),
    *("corpus", "rater", "label", "dimension"),
]


def check_utterances(table: pd.DataFrame) -> pd.DataFrame:
    """Check utterances and bring them into standard form.

    `file` must be filled; `start`, `end`, `duration` are seconds with 0 <= start < end, NaN where
    unknown (NaN start and end: the whole file); `excluded` is "" or why the row must stay out of
    training. Absent standard columns are added, unknown ones kept after them.

    Raises:
        TableError: naming the row and the reason.

    >>> rough = pd.DataFrame({"file": ["a.wav"], "speaker": [7]}, index=pd.Index(["a"]))
    >>> table = check_utterances(rough)
    >>> table.index.name, table.loc["a", "speaker"], table.loc["a", "excluded"]
    ('utterance', '7', '')
    """
    checked = pd.DataFrame(index=_index(table, "utterances"))
    if "file" not in table.columns:
        raise TableError("utterances have no column 'file'")
    for name, kind in UTTERANCE_COLUMNS.items():
        if name not in table.columns:
            empty = np.full(len(table), np.nan)
            column = _text(empty, checked.index) if kind == "text" else empty
        elif kind == "text":
            column = _text(table[name], checked.index)
        else:
            column = _numbers(table[name], checked.index, f"utterances: {name}")
        checked[name] = column
    checked["excluded"] = checked["excluded"].fillna("").astype(TEXT)
    for name in table.columns.difference(checked.columns, sort=False):
        checked[name] = table[name].to_numpy()
    _refuse(checked["file"].isna() | (checked["file"] == ""), "utterances", "column file is empty")
    _refuse(checked["start"] < 0, "utterances", "start is below 0 s")
    _refuse(checked["end"] <= checked["start"].fillna(0), "utterances", "end is not after start")
    _refuse(checked["duration"] < 0, "utterances", "duration is below 0 s")
    return checked


def check_votes(table: pd.DataFrame, categories: Categories | None = None) -> pd.DataFrame:
    """Check votes: one row a vote. A missing `rater` says that nobody knows whose vote it is.

    Args:
        table: columns `utterance`, `rater`, `label`; others are kept.
        categories: the labels that may be voted; None allows any.

    Raises:
        TableError: a column is absent, an utterance or label is empty, a label is unknown.
    """
    checked = _long(table, "votes", ("utterance", "rater", "label"))
    _refuse(checked["label"].isna() | (checked["label"] == ""), "votes", "column label is empty")
    if categories is not None:
        strange = ~checked["label"].isin(list(categories))
        if strange.any():
            row = int(strange.to_numpy().argmax())
            label = str(checked["label"].iloc[row])
            known = ", ".join(categories)
            raise TableError(f"votes, row {row}: label {label!r} is not one of {known}")
    return checked


def text_codes(column: pd.Series) -> tuple[np.ndarray, pd.Index]:
    """A column of ids or words as integers, in order of first appearance.

    Returns:
        Code of each row (n_rows,), -1 = missing, and the distinct texts as the checks write them.

    >>> codes, texts = text_codes(pd.Series([7.0, np.nan, 3, 7]))
    >>> codes.tolist(), texts.tolist()
    ([0, -1, 1, 0], ['7', '3'])
    """
    if column.dtype == object or isinstance(column.dtype, pd.StringDtype):
        codes, texts = pd.factorize(_text(column, column.index))
        return codes, pd.Index(texts)
    codes, distinct = _distinct(column)
    if isinstance(column.dtype, pd.CategoricalDtype):  # may hold "1" and 1
        again, distinct = pd.factorize(distinct)
        codes = np.append(again, -1)[codes]
    return codes, distinct


def check_ratings(table: pd.DataFrame) -> pd.DataFrame:
    """Check ratings: one row is one rater's number for one dimension of one utterance.

    Raises:
        TableError: a column is absent, a key is empty, or a value is not a finite number.
    """
    checked = _long(table, "ratings", ("utterance", "rater", "dimension", "value"))
    empty = checked["dimension"].isna() | (checked["dimension"] == "")
    _refuse(empty, "ratings", "column dimension is empty")
    checked["value"] = _numbers(checked["value"], checked.index, "ratings: value")
    _refuse(~np.isfinite(checked["value"]), "ratings", "value is not a finite number")
    return checked


def check_labels(table: pd.DataFrame, categories: Categories | None = None) -> pd.DataFrame:
    """Check a labels (or predictions) table: rows are distributions over the categories.

    Args:
        table: one column a category; entries >= 0, each row sums to 1 within 1e-4.
        categories: the scheme; its labels must be exactly the columns, whose order becomes its
            order. None takes the columns as they are.

    Raises:
        TableError: naming the row or the column and the reason.

    >>> scheme = Categories("two", ("calm", "anger"))
    >>> rough = pd.DataFrame({"anger": [1], "calm": [0]}, index=["a"])
    >>> check_labels(rough, scheme).columns.tolist()
    ['calm', 'anger']
    """
    index = _index(table, "labels")
    names = [str(name) for name in table.columns]
    if categories is not None:
        missing = [label for label in categories if label not in names]
        strange = [name for name in names if name not in categories]
        if missing or strange:
            raise TableError(
                f"labels do not fit scheme {categories.name!r}: "
                f"missing {', '.join(missing) or 'none'}; unknown {', '.join(strange) or 'none'}"
            )
    checked = pd.DataFrame(
        {name: _numbers(table[column], index, f"labels: {name}")
         for name, column in zip(names, table.columns, strict=True)},
        index=index,
    )  # fmt: skip
    values = checked.to_numpy(dtype=float)
    finite = np.isfinite(values).all(axis=1)
    _refuse(pd.Series(~finite, index), "labels", "a value is missing or not finite")
    _refuse(pd.Series((values < 0).any(axis=1), index), "labels", "a value is below 0")
    off = np.abs(values.sum(axis=1) - 1) > SUM_TOLERANCE
    _refuse(pd.Series(off, index), "labels", "the row does not sum to 1")
    return checked if categories is None else checked[list(categories)]


def one_hot(labels: pd.Series, categories: Categories) -> pd.DataFrame:
    """The labels table that gives each utterance all its mass on one category.

    Args:
        labels: one label of `categories` an utterance, indexed by utterance.
        categories: the scheme.

    Raises:
        TableError: a label is not in the scheme.

    >>> one_hot(pd.Series({"a": "anger"}), Categories("two", ("calm", "anger"))).to_numpy()
    array([[0., 1.]])
    """
    codes = np.array([categories.index(label) for label in labels], dtype=int)
    index = pd.Index(labels.index, name="utterance", dtype=TEXT)
    return pd.DataFrame(np.eye(len(categories))[codes], index, list(categories))


def read_table(path: str | Path) -> pd.DataFrame:
    """Read a table by the ending of its name: .csv .tsv .jsonl .parquet.

    Ids, speakers and other text columns stay text (`0012` is not 12); an empty cell is missing.
    A column `utterance` becomes the index, except in long tables, known by their column `rater`.

    Raises:
        TableError: the file is missing, empty, of another ending, or cannot be read.
    """
    path = Path(path)
    if path.suffix.lower() not in (".csv", ".tsv", ".jsonl", ".parquet"):
        raise TableError(f"{path}: a table ends in .csv, .tsv, .jsonl or .parquet")
    if not path.is_file():
        raise TableError(f"{path}: no such file")
    try:
        table = _read(path)
    except ImportError as problem:
        raise TableError(f"{path}: Parquet needs pip install 'affekt[parquet]'") from problem
    except (ValueError, OSError, pd.errors.ParserError) as problem:
        raise TableError(f"{path}: cannot be read as a table ({_first_line(problem)})") from problem
    if "utterance" in table.columns and "rater" not in table.columns:
        table = table.set_index("utterance")
    return table


def write_table(table: pd.DataFrame, path: str | Path) -> None:
    """Write a table by the ending of its name (.csv .tsv .jsonl .parquet), whole or not at all.

    An index named `utterance` is written as the first column; any other index is left out.
    Numbers are written so that reading gives the same ones.

    Raises:
        TableError: another ending, or Parquet without pyarrow.
    """
    path = Path(path)
    ending = path.suffix.lower()
    flat = table.reset_index() if table.index.name == "utterance" else table.reset_index(drop=True)
    with replacing(path) as temporary:
        if ending in (".csv", ".tsv"):
            separator = "," if ending == ".csv" else "\t"
            flat.to_csv(temporary, sep=separator, index=False, lineterminator="\n")
        elif ending == ".jsonl":
            filled = flat.astype(object).where(flat.notna(), None)
            lines = [json.dumps(row, ensure_ascii=False) for row in filled.to_dict("records")]
            temporary.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        elif ending == ".parquet":
            try:
                flat.to_parquet(temporary, index=False)
            except ImportError as problem:
                raise TableError(
                    f"{path}: Parquet needs pip install 'affekt[parquet]'"
                ) from problem
        else:
            raise TableError(f"{path}: a table ends in .csv, .tsv, .jsonl or .parquet")


def _read(path: Path) -> pd.DataFrame:
    ending = path.suffix.lower()
    if ending == ".parquet":
        return pd.read_parquet(path)
    if ending == ".jsonl":
        lines = path.read_text(encoding="utf-8-sig").split("\n")  # texts may hold U+2028
        rows = [json.loads(line) for line in lines if line.strip()]
        if not all(isinstance(row, dict) for row in rows):
            raise ValueError("each line must be a JSON object")
        return pd.DataFrame(rows)
    return pd.read_csv(
        path,
        sep="," if ending == ".csv" else "\t",
        dtype=dict.fromkeys(_TEXT_COLUMNS, "str"),
        keep_default_na=False,  # a speaker may be called NA, a text may be "null"
        na_values=[""],
        encoding="utf-8-sig",
    )


def _index(table: pd.DataFrame, what: str) -> pd.Index:
    """The ids of a table: text, filled, each once."""
    ids = pd.Series(table.index).map(str, na_action="ignore")
    if ids.isna().any() or (ids == "").any():
        row = int((ids.isna() | (ids == "")).to_numpy().argmax())
        raise TableError(f"{what}, row {row}: the utterance id is empty")
    if ids.duplicated().any():
        twice = str(ids[ids.duplicated()].iloc[0])
        raise TableError(f"{what}: utterance {twice!r} occurs twice; ids must be unique")
    return pd.Index(ids.to_numpy(), name="utterance", dtype=TEXT)


def _text(values: pd.Series | np.ndarray, index: pd.Index) -> pd.Series:
    column = pd.Series(values).set_axis(index)
    if pd.api.types.infer_dtype(column, skipna=True) == "string":
        text = column.astype(TEXT)
    elif column.dtype == object:  # 1 and True, say, are equal and read differently
        said = [np.nan if pd.isna(value) else _word(value) for value in column]
        text = pd.Series(said, index=index, dtype=TEXT)
    else:
        codes, distinct = _distinct(column)
        words = distinct.array.take(codes, allow_fill=True)
        text = pd.Series(words, index=index, dtype=TEXT)
    return text if text.dtype != object else text.where(text.notna(), np.nan)


def _distinct(column: pd.Series) -> tuple[np.ndarray, pd.Index]:
    """Values of a column that is not of objects, each written as text once; -1 = missing."""
    codes, values = pd.factorize(column)
    return codes, pd.Index([_word(value) for value in values.tolist()], dtype=TEXT)


def _word(value: object) -> str:
    """Text of one cell; a whole number that a file reader made a float loses its `.0` again."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _numbers(values: pd.Series, index: pd.Index, what: str) -> np.ndarray:
    numbers = pd.to_numeric(values, errors="coerce").to_numpy(dtype=float)
    broken = np.isnan(numbers) & ~values.isna().to_numpy()
    if broken.any():
        row = int(broken.argmax())
        raise TableError(f"{what} of {index[row]!r} is not a number: {values.iloc[row]!r}")
    return numbers


def _long(table: pd.DataFrame, what: str, columns: tuple[str, ...]) -> pd.DataFrame:
    missing = [name for name in columns if name not in table.columns]
    if missing:
        raise TableError(f"{what} have no column {', '.join(missing)}")
    others = [name for name in table.columns if name not in columns]
    checked = table[[*columns, *others]].reset_index(drop=True).copy()
    for name in columns:
        if name != "value":
            checked[name] = _text(checked[name], checked.index)
    empty = checked["utterance"].isna() | (checked["utterance"] == "")
    _refuse(empty, what, "column utterance is empty")
    return checked


def _refuse(broken: pd.Series, what: str, reason: str) -> None:
    if broken.any():
        row = broken.index[int(broken.to_numpy().argmax())]
        raise TableError(f"{what}, row {row!r}: {reason}")


def _first_line(problem: Exception) -> str:
    return (str(problem).strip() or type(problem).__name__).splitlines()[0]
