"""Splits that lie in files: EmoBox's lists of folds, and our own tables."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import takewhile
from pathlib import Path, PurePosixPath
from typing import TypeVar

import pandas as pd

from affekt.exceptions import SplitError, TableError
from affekt.splits.folds import Split, some, split_at
from affekt.tables import read_table, write_table

Owner = TypeVar("Owner", int, str)
Tail = tuple[str, ...]


def write(splits: Sequence[Split], path: str | Path) -> None:
    """Store splits as a table `utterance, fold, part` (.csv .tsv .jsonl .parquet).

    The fold's name carries how it was made, the seed included, so the file says it too.

    Raises:
        SplitError: two folds of the same name.
        TableError: another ending.
    """
    names = [split.name for split in splits]
    if len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise SplitError(f"two folds are called {some(twice)}; give them different names")
    rows = [
        (utterance, split.name, part)
        for split in splits
        for part, ids in (("train", split.train), ("test", split.test))
        for utterance in ids
    ]
    write_table(pd.DataFrame(rows, columns=["utterance", "fold", "part"]), path)


def read(path: str | Path) -> list[Split]:
    """Read what `write` stored, or any table with columns `utterance, fold, part`.

    Raises:
        TableError: the file is missing or not a table.
        SplitError: a column is missing, a part is neither train nor test, or a fold breaks the
            rules of `Split`.
    """
    table = read_table(path).reset_index()
    missing = [name for name in ("utterance", "fold", "part") if name not in table]
    if missing:
        raise SplitError(f"{path}: no column {', '.join(missing)}; needs utterance, fold, part")
    if table[["utterance", "fold"]].isna().any(axis=None):
        raise SplitError(f"{path}: a row without utterance or fold")
    strange = sorted(set(table["part"].astype(str)) - {"train", "test"})
    if strange:
        raise SplitError(f"{path}: part is train or test, not {some(strange)}")
    table = table.astype(str)
    splits = []
    for fold, rows in table.groupby("fold", sort=False):
        parts = {
            name: tuple(rows.loc[rows["part"] == name, "utterance"]) for name in ("train", "test")
        }
        splits.append(Split(str(fold), parts["train"], parts["test"]))
    if not splits:
        raise SplitError(f"{path}: no rows")
    return splits


def emobox(
    utterances: pd.DataFrame, csv_path: str | Path, *, allow_missing: bool = False
) -> list[Split]:
    """The folds of the EmoBox benchmark, from its `key,file,emotion,seconds,test_fold` list.

    A row belongs to the utterance whose id is its key (with or without the corpus' name in
    front), else to the one whose file has the longest common tail of path parts with its own;
    endings and letter case do not matter. A row without a fold is trained on in every fold.

    Args:
        utterances: the table; `file` is what rows are matched by.
        csv_path: the list.
        allow_missing: go on without the rows and the utterances that have no counterpart; these
            utterances are then in neither part.

    Raises:
        TableError: the list is missing or has no such columns.
        SplitError: rows without an utterance or utterances without a row, naming some of both.
    """
    path = Path(csv_path)
    table = _emobox_table(path)
    row_of = _match(table, utterances)
    orphans = table["file"].drop(list(row_of.values())).tolist()
    strangers = utterances.index.difference(list(row_of), sort=False).astype(str).tolist()
    if (orphans or strangers) and not allow_missing:
        sides = []
        if orphans:
            sides.append(f"{len(orphans)} of its rows have no utterance ({some(orphans)})")
        if strangers:
            sides.append(f"{len(strangers)} utterance(s) have no row ({some(strangers)})")
        raise SplitError(f"{path}: {' and '.join(sides)}; allow_missing goes on without them")
    rows = utterances[utterances.index.isin(list(row_of))]
    listed = table.loc[[row_of[utterance] for utterance in rows.index], "test_fold"]
    tested = [set(re.findall(r"[^\s,;|]+", folds)) for folds in listed]
    names = sorted(set().union(*tested), key=lambda name: (len(name), name))
    if not names:
        raise SplitError(f"{path}: none of the matched rows is in a test fold")
    return [
        split_at(
            rows,
            f"emobox-{path.stem}-fold-{name}",
            pd.Series([name in t for t in tested]).to_numpy(),
        )
        for name in names
    ]


def _emobox_table(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise TableError(f"{path}: no such file")
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (ValueError, OSError) as problem:
        raise TableError(f"{path}: cannot be read as a table ({problem})") from problem
    missing = [name for name in ("key", "file", "test_fold") if name not in table]
    if missing:
        raise TableError(f"{path}: no column {', '.join(missing)}; needs key, file, test_fold")
    return table


def _match(table: pd.DataFrame, utterances: pd.DataFrame) -> dict[str, int]:
    """Which row (position) of the list each utterance is; those without one are not in it."""
    by_key: dict[str, int] = {}
    for row, key in enumerate(table["key"]):
        by_key[_fold_case(key)] = row
        by_key.setdefault(_fold_case(key.partition("-")[2]), row)
    files = {str(utterance): str(file) for utterance, file in utterances["file"].items()}
    row_of = {u: by_key[_fold_case(u)] for u in files if _fold_case(u) in by_key}
    rows = {row: _tail(_bare(file)) for row, file in enumerate(table["file"])}
    by_file = {u: _tail(_bare(file)) for u, file in files.items()}
    by_id = {u: _tail(u) for u in files}  # loaders put misspelt file names right in the id
    for tails in (by_file, by_id):
        taken = set(row_of.values())
        row_of |= _pair(
            {row: tail for row, tail in rows.items() if row not in taken},
            {u: tail for u, tail in tails.items() if u not in row_of},
        )
    return row_of


def _pair(rows: Mapping[int, Tail], utterances: Mapping[str, Tail]) -> dict[str, int]:
    """Utterance and row of one file name that are each other's nearest."""
    rows_with, ids_with = _by_stem(rows), _by_stem(utterances)
    pairs: dict[str, int] = {}
    for stem, ids in ids_with.items():
        candidates = {row: rows[row] for row in rows_with.get(stem, [])}
        named = {u: utterances[u] for u in ids}
        best_row = {u: _nearest(tail, candidates) for u, tail in named.items()}
        best_id = {row: _nearest(tail, named) for row, tail in candidates.items()}
        pairs |= {u: r for u, r in best_row.items() if r is not None and best_id[r] == u}
    return pairs


def _by_stem(tails: Mapping[Owner, Tail]) -> dict[Tail, list[Owner]]:
    groups = defaultdict(list)
    for owner, tail in tails.items():
        groups[tail[:1]].append(owner)
    return groups


def _nearest(tail: Tail, others: Mapping[Owner, Tail]) -> Owner | None:
    """Whose path has the longest common tail with this one; None where two are equally near."""
    common = {owner: _n_common(tail, other) for owner, other in others.items()}
    most = max(common.values(), default=0)
    nearest = [owner for owner, n in common.items() if n == most]
    return nearest[0] if len(nearest) == 1 else None


def _n_common(tail: Tail, other: Tail) -> int:
    parts = zip(tail, other, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], parts))


def _tail(path: str) -> Tail:
    """Path parts from the last to the first, without letter case."""
    return tuple(reversed(PurePosixPath(_fold_case(path.replace("\\", "/"))).parts))


def _bare(file: str) -> str:
    return str(PurePosixPath(file).with_suffix("")) if file else file


def _fold_case(text: str) -> str:
    return unicodedata.normalize("NFC", text).casefold()
