"""What a corpus is made of: classes, hours and durations by domain, split, sex or anything else.

The tables and figures that papers describe a data set with (spec 1.7), for any corpus.
"""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from affekt.exceptions import TableError
from affekt.tables import check_labels

UNDECIDED = "undecided"
NO_LABEL = "no label"
UNKNOWN = "unknown"
ALL = "all"
USUAL = ("corpus", "domain", "split", "sex", "language")
"""Columns to group by where none is asked for: the first that has two values."""

WIDTHS = (0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 600.0)  # s
N_BARS = 60
TAIL = 0.995  # quantile from which durations share the last bar


def grouping(utterances: pd.DataFrame, by: str | Sequence[str] | None = None) -> pd.Series:
    """The group of each utterance as text, "unknown" where it is missing.

    Args:
        utterances: an utterances table.
        by: a column, or several, whose values are joined by a blank; None takes the first of
            USUAL that has two values, or all as one group.

    Raises:
        TableError: there is no such column; the message names those there are.

    >>> rows = pd.DataFrame({"domain": ["crowd", "podcast"], "split": ["train", None]})
    >>> grouping(rows, ["domain", "split"]).tolist()
    ['crowd train', 'podcast unknown']
    """
    if by is None:
        by = next((name for name in USUAL if name in utterances
                   and utterances[name].nunique() > 1), None)  # fmt: skip
    if by is None:
        return pd.Series(ALL, utterances.index, name=ALL)
    columns = [by] if isinstance(by, str) else list(by)
    for name in columns:
        if name not in utterances:
            known = ", ".join(utterances.columns)
            raise TableError(f"no column {name!r} to group by: there are {known}")
    words = [
        [UNKNOWN if pd.isna(value) else str(value) for value in utterances[name]]
        for name in columns
    ]
    return pd.Series(
        map(" ".join, zip(*words, strict=True)), utterances.index, name=", ".join(columns)
    )


def hard_labels(utterances: pd.DataFrame, labels: pd.DataFrame, at: float = 0.0) -> pd.Series:
    """One word an utterance: its likeliest label, "undecided" or "no label".

    Undecided is where two labels share the top, or where the top is below `at`.

    Args:
        utterances: an utterances table.
        labels: a labels table; an utterance may be missing from it.
        at: least probability of a decision, 0 .. 1.

    >>> utterances = pd.DataFrame(index=["a", "b", "c"])
    >>> labels = pd.DataFrame({"calm": [0.75, 0.5], "anger": [0.25, 0.5]}, index=["a", "b"])
    >>> hard_labels(utterances, labels).tolist()
    ['calm', 'undecided', 'no label']
    """
    table = check_labels(labels)
    values = table.to_numpy()
    top = values.max(axis=1, initial=0.0)
    decided = (top >= at) & ((values == top[:, None]).sum(axis=1) == 1)
    names = np.array([*table.columns, UNDECIDED], dtype=object)
    winner = np.where(decided, values.argmax(axis=1) if len(values) else 0, len(names) - 1)
    words = pd.Series(names[winner], table.index)
    return words.reindex(utterances.index).fillna(NO_LABEL).astype("str").rename("label")


def answers(
    utterances: pd.DataFrame, table: pd.DataFrame, labels: Sequence[str], at: float = 0.0
) -> pd.Series:
    """One word an utterance as `hard_labels`, from a table that an aggregation has written.

    Args:
        utterances: an utterances table.
        table: index utterance; one column a label, or the columns `label` (missing: undecided)
            and perhaps `probability`. Where both are there the former count.
        labels: those that the corpus knows.
        at: least probability of a decision, 0 .. 1.

    Raises:
        TableError: a label that the corpus does not know, no utterance of the corpus, or no
            labels table.
    """
    if not utterances.index.isin(table.index).any():
        raise TableError(
            "labels and corpus have no utterance in common: the first id is "
            f"{table.index[:1].tolist()} there and {utterances.index[:1].tolist()} here"
        )
    soft = table.drop(columns=["label", "probability"], errors="ignore")
    told = set(soft.columns)
    if not told and "label" in table:
        told = set(table["label"].dropna())
    if strange := sorted(map(str, told - set(labels))):
        raise TableError(f"labels of another corpus: {strange[0]!r} is none of {', '.join(labels)}")
    if len(soft.columns):
        return hard_labels(utterances, soft, at)
    if "label" not in table or not table.index.is_unique:
        raise TableError("no labels table: one row an utterance, one column a label or `label`")
    sure = table["probability"] >= at if "probability" in table else pd.Series(True, table.index)
    words = table["label"].astype(object).where(sure & table["label"].notna(), UNDECIDED)
    return words.reindex(utterances.index).fillna(NO_LABEL).astype("str").rename("label")


def class_table(hard: pd.Series, groups: pd.Series, order: list[str]) -> pd.DataFrame:
    """How many utterances of each label each group has.

    Args:
        hard: one word an utterance (`hard_labels`).
        groups: the group of each utterance (`grouping`).
        order: the scheme's labels, the first rows; then "undecided" and "no label" where any are.

    Returns:
        Index `label`, last row "total"; one column a group in order of its name, then "all" where
        there are several.
    """
    extra = [word for word in (UNDECIDED, NO_LABEL) if (hard == word).any()]
    table = pd.crosstab(hard, groups).reindex([*order, *extra], fill_value=0)
    if len(table.columns) > 1:
        table[ALL] = table.sum(axis=1)
    table.loc["total"] = table.sum()
    return table.rename_axis(index="label", columns=None)


def duration_table(
    utterances: pd.DataFrame, groups: pd.Series, hard: pd.Series | None = None
) -> pd.DataFrame:
    """How much there is of each group, and how long its utterances are.

    Args:
        utterances: an utterances table.
        groups: the group of each utterance (`grouping`).
        hard: one word an utterance (`hard_labels`); gives the columns `decided` and
            `decided_hours`, of utterances that have a label.

    Returns:
        Index the group, last row "all" where there are several; columns `utterances`,
        `speakers` (known ones), `hours`, `mean`, `median`, `shortest`, `longest` (s), `unknown`:
        utterances whose duration is not known, which none of the others count.
    """
    parts = dict(list(utterances.groupby(groups, observed=True)))
    if len(parts) > 1:
        parts[ALL] = utterances
    rows = {}
    for name, part in parts.items():
        seconds = part["duration"].astype(float)
        rows[name] = {
            "utterances": len(part),
            "speakers": part["speaker"].nunique(),
            "hours": seconds.sum() / 3600,
            "mean": seconds.mean(),
            "median": seconds.median(),
            "shortest": seconds.min(),
            "longest": seconds.max(),
            "unknown": int(seconds.isna().sum()),
        }
        if hard is not None:
            sure = ~hard.loc[part.index].isin([UNDECIDED, NO_LABEL])
            rows[name] |= {"decided": int(sure.sum()), "decided_hours": seconds[sure].sum() / 3600}
    return pd.DataFrame(list(rows.values()), index=pd.Index(rows, name=groups.name))


def duration_histogram(
    seconds: pd.Series, groups: pd.Series, *, width: float | None = None
) -> pd.DataFrame:
    """How many utterances last how long.

    Args:
        seconds: duration of each utterance; NaN is left out.
        groups: what the columns are: the group or the label of each utterance.
        width: of an interval, s; None takes the finest of WIDTHS that needs no more than 60.

    Returns:
        Index: intervals closed on the left, the last one open to infinity where one utterance in
        200 or fewer is longer than the others; one column a group; counts.

    Raises:
        TableError: no duration is known, or `width` is not above 0.

    >>> lengths = pd.Series([0.2, 0.7, 0.9])
    >>> duration_histogram(lengths, pd.Series(["x", "x", "y"]), width=0.5)["x"].tolist()
    [1, 1]
    """
    known = seconds.notna()
    if not known.any():
        raise TableError("no duration is known: let them be read from the files (durations=True)")
    if width is not None and not width > 0:
        raise TableError(f"an interval of durations is {width} s wide, not above 0")
    values = seconds[known].astype(float)
    top = float(values.quantile(TAIL, interpolation="higher"))
    width = width or next((w for w in WIDTHS if top / w < N_BARS), WIDTHS[-1])
    breaks = (np.arange(math.floor(top / width) + 2) * width).tolist()
    if values.max() >= breaks[-1]:
        breaks.append(math.inf)
    bins = pd.IntervalIndex.from_breaks(breaks, closed="left")
    return (
        pd.crosstab(pd.cut(values, bins), groups[known], dropna=False)
        .reindex(bins, fill_value=0)
        .rename_axis(index="seconds", columns=None)
    )
