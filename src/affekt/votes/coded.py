"""Votes as integers: the form in which every method of this room works on them."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csc_array

from affekt.exceptions import TableError
from affekt.scheme import Categories
from affekt.tables import check_votes, text_codes

Duplicates = Literal["refuse", "keep", "first", "last"]
"""What to do where a rater answered one utterance more than once."""

Texts = tuple[NDArray[np.int32], pd.Index]
"""Code of each row, -1 = missing, and the text of each code."""


@dataclass(frozen=True, eq=False)
class CodedVotes:
    """The long table of votes as integers, its rows in the order of the table.

    >>> said = pd.DataFrame({"utterance": ["a", "b"], "rater": ["x", "x"], "label": ["no", "yes"]})
    >>> coded = code(said, Categories("two", ("yes", "no")))
    >>> coded.label.tolist(), coded.counts().tolist()
    ([1, 0], [[0.0, 1.0], [1.0, 0.0]])
    """

    utterance: NDArray[np.int32]  # (n_votes,) row of `utterances`
    rater: NDArray[np.int32]  # (n_votes,) row of `raters`, -1 = nobody knows whose vote it is
    label: NDArray[np.int16]  # (n_votes,) column of `categories`
    utterances: pd.Index  # in order of first appearance
    raters: pd.Index  # in order of first appearance
    categories: Categories
    gold: NDArray[np.int16]  # (n_utterances,) column of the right answer, -1 = unknown

    @property
    def n_votes(self) -> int:
        """How many votes there are."""
        return len(self.label)

    @property
    def n_utterances(self) -> int:
        """How many utterances have a vote."""
        return len(self.utterances)

    @property
    def n_raters(self) -> int:
        """How many raters are known by name."""
        return len(self.raters)

    def counts(self) -> NDArray[np.float64]:
        """How often each utterance got each category: (n_utterances, n_categories)."""
        n_categories = len(self.categories)
        cell = self.utterance.astype(np.int64) * n_categories + self.label
        n_votes = np.bincount(cell, minlength=self.n_utterances * n_categories)
        return n_votes.reshape(-1, n_categories).astype(float)

    def of(self, votes: NDArray[np.bool_]) -> "CodedVotes":
        """Those votes alone, under the same numbers."""
        rows = self.utterance[votes], self.rater[votes], self.label[votes]
        return replace(self, utterance=rows[0], rater=rows[1], label=rows[2])

    def plus(self, more: "CodedVotes") -> "CodedVotes":
        """These votes, then those of `more`, which must be under the same numbers."""
        return replace(
            self,
            utterance=np.append(self.utterance, more.utterance),
            rater=np.append(self.rater, more.rater),
            label=np.append(self.label, more.label),
        )

    def labels_table(self, values: NDArray[np.float64]) -> pd.DataFrame:
        """Rows of `values` (n_utterances, n_categories) as a labels table."""
        return pd.DataFrame(values, self.utterances, list(self.categories), copy=False)


def code(
    votes: pd.DataFrame,
    categories: Categories,
    *,
    need_raters: bool = True,
    duplicates: Duplicates = "refuse",
) -> CodedVotes:
    """Check votes and turn them into integers.

    Args:
        votes: one row a vote: `utterance`, `rater`, `label`; `gold` where it is known, the right
            answer of a control task, missing elsewhere.
        categories: the labels that may be voted.
        need_raters: refuse votes whose rater is missing.
        duplicates: what to do where a rater answered one utterance more than once: refuse them,
            keep them all, or keep the first or the last in the order of the table. Votes of
            unknown raters are never duplicates.

    Raises:
        TableError: no votes, a label or right answer outside `categories`, a missing rater, a
            second answer, two right answers of one utterance.
    """
    (utterance, utterances), raters, labels = _read(votes, categories)
    rater, names = _named(raters, need_raters)
    coded = CodedVotes(
        utterance=utterance,
        rater=rater,
        label=_columns(labels, categories),
        utterances=utterances.rename("utterance"),
        raters=names.rename("rater"),
        categories=categories,
        gold=_gold(votes, utterance, utterances, categories),
    )
    return once(coded, duplicates)


def once(coded: CodedVotes, duplicates: Duplicates, n_before: int = 0) -> CodedVotes:
    """One vote a rater and utterance, or as many as `duplicates` allows.

    Args:
        coded: the votes.
        duplicates: as in `code`.
        n_before: how many votes stand before those of the caller's table, whose row an error names.

    Raises:
        TableError: `duplicates` is "refuse" and a rater answered an utterance again.
    """
    if duplicates not in get_args(Duplicates):
        raise TableError(f"duplicates={duplicates!r} is not one of {get_args(Duplicates)}")
    if duplicates == "keep":
        return coded
    again = _repeats(coded, last=duplicates == "last")
    if not len(again):
        return coded
    if duplicates == "refuse":
        row = int(again.min())
        rater, name = coded.raters[coded.rater[row]], coded.utterances[coded.utterance[row]]
        raise TableError(
            f"votes, row {row - n_before}: rater {str(rater)!r} answered utterance {str(name)!r} "
            'before; drop one, or pass duplicates="first", "last" or "keep"'
        )
    kept = np.ones(coded.n_votes, dtype=bool)
    kept[again] = False
    return coded.of(kept)


def merge(old: CodedVotes, new: CodedVotes) -> CodedVotes:
    """The votes of both: old ones keep their numbers, new utterances and raters come behind.

    Raises:
        TableError: an utterance has another right answer in `new` than in `old`.
    """
    utterances, utterance = _union(old.utterances, new.utterances)
    raters, rater = _union(old.raters, new.raters)
    gold = np.append(old.gold, np.full(len(utterances) - len(old.gold), -1, dtype=np.int16))
    told = new.gold >= 0
    before = gold[utterance[told]]
    gold[utterance[told]] = new.gold[told]
    other = (before >= 0) & (before != new.gold[told])
    if other.any():
        name = str(new.utterances[told][other][0])
        raise TableError(f"votes: utterance {name!r} has two different gold answers")
    merged = replace(old, utterances=utterances, raters=raters, gold=gold)
    renumbered = replace(new, utterance=utterance[new.utterance], rater=rater[new.rater])
    return merged.plus(renumbered)


def by_row(row: NDArray[np.int32], n_rows: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Order items by their row in linear time, items of one row in their old order.

    Args:
        row: (n_items,) row of each item.
        n_rows: how many rows there are.

    Returns:
        The items in order of row, and where each row starts (n_rows + 1,).

    >>> [found.tolist() for found in by_row(np.array([1, 0, 1], np.int32), 3)]
    [[1, 0, 2], [0, 1, 3, 3]]
    """
    items = np.arange(len(row) + 1, dtype=np.int32)
    # One entry a column, read by rows: a counting sort.
    ordered = csc_array((items[:-1], row, items), shape=(n_rows, len(row))).tocsr()
    order: NDArray[np.int32] = ordered.data
    return order, ordered.indptr


def _read(votes: pd.DataFrame, categories: Categories) -> list[Texts]:
    """Utterances, raters and labels, in integers and checked."""
    names = ("utterance", "rater", "label")
    if any(name not in votes for name in names):
        check_votes(votes, categories)  # says which
    if votes.empty:
        raise TableError("there are no votes: the table has no rows")
    with ThreadPoolExecutor(len(names)) as threads:
        utterances, raters, labels = threads.map(_texts, (votes[name] for name in names))
    named = (utterances[0] >= 0).all() and not (utterances[1] == "").any()
    if not named or (labels[0] < 0).any() or not labels[1].isin(list(categories)).all():
        check_votes(votes, categories)  # says where, and what
    return [utterances, raters, labels]


def _texts(column: pd.Series) -> Texts:
    codes, texts = text_codes(column)
    return codes.astype(np.int32), texts


def _named(raters: Texts, need_raters: bool) -> Texts:
    """Raters without the nameless, whose code becomes -1."""
    rater, names = raters
    filled = np.asarray(names != "", dtype=bool)
    if not filled.all():
        place = np.append(np.where(filled, np.cumsum(filled) - 1, -1), -1).astype(np.int32)
        rater, names = place[rater], names[filled]
    if need_raters and (rater < 0).any():
        row = int((rater < 0).argmax())
        raise TableError(
            f"votes, row {row}: column rater is empty; this method has to know whose vote it is "
            "(`shares` and `majority` do not)"
        )
    return rater, names


def _columns(labels: Texts, categories: Categories) -> NDArray[np.int16]:
    """Column of each label; -1 where it is missing or outside the scheme."""
    codes, texts = labels
    columns = pd.Index(list(categories)).get_indexer(texts)
    return np.append(columns, -1).astype(np.int16)[codes]


def _gold(
    votes: pd.DataFrame,
    utterance: NDArray[np.int32],
    utterances: pd.Index,
    categories: Categories,
) -> NDArray[np.int16]:
    gold = np.full(len(utterances), -1, dtype=np.int16)
    if "gold" not in votes:
        return gold
    answers = votes["gold"]
    filled = answers.notna().to_numpy(dtype=bool) & (answers != "").to_numpy(dtype=bool)
    rows = np.flatnonzero(filled)
    given = _columns(_texts(answers.iloc[rows]), categories)
    if (given < 0).any():
        row = int(rows[(given < 0).argmax()])
        known = ", ".join(categories)
        raise TableError(f"votes, row {row}: gold {answers.iloc[row]!r} is not one of {known}")
    gold[utterance[rows]] = given
    other = gold[utterance[rows]] != given
    if other.any():
        row = int(rows[other.argmax()])
        name = str(utterances[utterance[row]])
        raise TableError(f"votes, row {row}: utterance {name!r} has two different gold answers")
    return gold


def _union(old: pd.Index, new: pd.Index) -> tuple[pd.Index, NDArray[np.int32]]:
    """Both, old ones first, and the place of each new one."""
    place = old.get_indexer(new).astype(np.int32)
    unknown = place < 0
    place[unknown] = np.arange(len(old), len(old) + unknown.sum())
    return old.append(new[unknown]).rename(old.name), place


def _repeats(coded: CodedVotes, *, last: bool) -> NDArray[np.int32]:
    """Votes that repeat an earlier (or come before a later) one of their rater and utterance."""
    by_utterance, _ = by_row(coded.utterance, coded.n_utterances)
    rater = coded.rater[by_utterance]
    within, starts = by_row(rater + np.int32(1), coded.n_raters + 1)  # unknown raters come first
    order = by_utterance[within][starts[1] :]
    same = np.diff(coded.utterance[order]) == 0
    same &= np.diff(coded.rater[order]) == 0
    repeats: NDArray[np.int32] = order[:-1][same] if last else order[1:][same]
    return repeats
