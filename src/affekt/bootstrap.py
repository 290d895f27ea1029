"""Intervals that hold for new speakers: whole speakers are resampled, not utterances."""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

FEWEST_GROUPS = 3
DRAWS_AT_ONCE = 4_000_000  # numbers drawn in one block: 32 MB


def choose_groups(groups: ArrayLike | None, n: int) -> tuple[NDArray[np.int64], str | None]:
    """What to resample: the groups given, or single items where there are fewer than three.

    Args:
        groups: (n,) one group name an item, e.g. its speaker; None: unknown.
        n: number of items.

    Returns:
        (n,) group numbers 0 .. g - 1, and the note a report must show, None where groups served.

    Raises:
        ValueError: no items, or groups of another length.

    >>> choose_groups(["x", "y", "x"], 3)[1]
    'interval by utterance: 2 speakers are too few to resample, so it is too narrow for new voices'
    """
    if n < 1:
        raise ValueError("there is nothing to resample")
    alone = np.arange(n)
    if groups is None:
        return alone, (
            "interval by utterance: speakers are not known, so it is too narrow for new voices"
        )
    names, codes = np.unique(np.asarray(groups).astype(str), return_inverse=True)
    if codes.shape != (n,):
        raise ValueError(f"{codes.size} groups for {n} items")
    if len(names) < FEWEST_GROUPS:
        few = "1 speaker is" if len(names) == 1 else f"{len(names)} speakers are"
        return alone, (
            f"interval by utterance: {few} too few to resample, so it is too narrow for new voices"
        )
    return codes.astype(np.int64), None


def interval(
    statistic: Callable[[NDArray[np.int64]], float],
    n: int,
    groups: ArrayLike | None,
    *,
    n_resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile bootstrap interval of any statistic, resampling whole groups.

    Each resample draws as many groups as there are, with replacement, and takes all items of
    each; the interval lies between the (1 - confidence) / 2 and (1 + confidence) / 2 quantiles.
    Fewer than three groups: items are resampled instead (`choose_groups` gives the note).

    Args:
        statistic: takes the item indices of a resample (with repeats), gives a number.
        n: number of items.
        groups: (n,) group of each item, or None.
        n_resamples: how many resamples.
        confidence: in 0 .. 1.
        seed: of the draws; equal seeds give equal intervals.

    Source: Efron & Tibshirani 1993, ch. 13; whole clusters as in Davison & Hinkley 1997, 3.8.

    >>> interval(lambda items: 1.0, 4, ["a", "b", "c", "d"], n_resamples=10)
    (1.0, 1.0)
    """
    codes, _ = choose_groups(groups, n)
    order = np.argsort(codes, kind="stable")
    members = np.split(order, np.cumsum(np.bincount(codes))[:-1])
    values = [
        statistic(np.concatenate([members[group] for group in drawn]))
        for block in _draws(len(members), n_resamples, seed)
        for drawn in block
    ]
    return _percentiles(np.array(values), confidence)


def interval_of_totals(
    statistic: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    totals: NDArray[np.generic],
    *,
    n_resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> tuple[float, float]:
    """The same interval, fast, where the statistic depends on sums over groups alone.

    Accuracy, UAR and macro-F1 are functions of the confusion matrix, and that of a resample is
    the sum of the matrices of its speakers: all resamples are one matrix product.

    Args:
        statistic: (n_resamples, ...) sums -> (n_resamples,) values.
        totals: (n_groups, ...) what each group adds, e.g. (g, c, c) confusion matrices.
        n_resamples: how many resamples.
        confidence: in 0 .. 1.
        seed: as in `interval`, which gives the same numbers where the groups are in the order of
            `choose_groups`.

    Raises:
        ValueError: there are no groups.
    """
    n_groups = len(totals)
    if n_groups < 1:
        raise ValueError("there is nothing to resample")
    flat = np.asarray(totals, dtype=float).reshape(n_groups, -1)
    values = []
    for drawn in _draws(n_groups, n_resamples, seed):
        cells = drawn + n_groups * np.arange(len(drawn))[:, None]
        times = np.bincount(cells.ravel(), minlength=drawn.size).reshape(drawn.shape)
        values.append(statistic((times @ flat).reshape(len(drawn), *totals.shape[1:])))
    return _percentiles(np.concatenate(values), confidence)


def interval_of_counts(
    statistic: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    counts: NDArray[np.integer],
    *,
    n_resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> tuple[float, float]:
    """The interval of a statistic of counts, where single items are resampled.

    Resampling n items with replacement makes their counts multinomial(n, counts / n), so no item
    is drawn by itself: a million utterances cost what a hundred do.

    Args:
        statistic: (n_resamples, ...) counts -> (n_resamples,) values.
        counts: (...) how many items fell in each cell, e.g. a (c, c) confusion matrix.
        n_resamples: how many resamples.
        confidence: in 0 .. 1.
        seed: of the draws.

    Raises:
        ValueError: all counts are 0.
    """
    n = int(counts.sum())
    if n < 1:
        raise ValueError("there is nothing to resample")
    drawn = np.random.default_rng(seed).multinomial(n, counts.ravel() / n, size=n_resamples)
    values = statistic(drawn.reshape(n_resamples, *counts.shape).astype(float))
    return _percentiles(values, confidence)


def _draws(n_groups: int, n_resamples: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """Blocks of resamples, (rows, n_groups) group numbers, small enough to hold in memory."""
    rng = np.random.default_rng(seed)
    rows = max(1, DRAWS_AT_ONCE // n_groups)
    for start in range(0, n_resamples, rows):
        yield rng.integers(n_groups, size=(min(rows, n_resamples - start), n_groups))


def _percentiles(values: NDArray[np.float64], confidence: float) -> tuple[float, float]:
    tail = (1 - confidence) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return float(low), float(high)
