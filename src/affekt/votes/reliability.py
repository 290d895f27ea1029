"""Agreement of values: Krippendorff's alpha at any level, intraclass correlations of ratings."""

from typing import Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_array

from affekt.exceptions import TableError
from affekt.votes.ratings import CodedRatings, code_ratings

Floats = NDArray[np.float64]
Level = Literal["nominal", "ordinal", "interval"]
FINE_SCALE = 32  # a scale of more steps hardly gives two utterances the same ratings
IccKind = Literal["1,1", "1,k", "2,1", "2,k", "3,1", "3,k"]


def alpha(
    counts: Floats | csr_array, level: Level, values: Floats, weight: Floats | None = None
) -> float:
    """Krippendorff's alpha of counts, at most 1; NaN where all values are equal.

    alpha = 1 - D_o / D_e: the mean disagreement of two values of one unit over that of any two.
    Two values c and k disagree by 1 unless equal (nominal), by the square of how many values lie
    between them, half of those equal to either included (ordinal), or by (c - k)^2 (interval).

    The ordinal disagreement is the squared difference of mean ranks, so that ordinal is interval
    on ranks, and sums of x and x^2 do instead of a table of value against value.

    Args:
        counts: (n_units, n_values) how often a unit got a value; two values or more in each row.
        level: as above.
        values: (n_values,) the numbers counted, rising.
        weight: (n_units,) how often each unit counts; None: once.

    Raises:
        ValueError: an unknown level.

    Source: Krippendorff 2011, Computing Krippendorff's Alpha-Reliability.
    """
    if level not in get_args(Level):
        raise ValueError(f"level must be nominal, ordinal or interval, not {level!r}")
    times = np.ones(counts.shape[0]) if weight is None else weight
    n_unit, total = counts.sum(axis=1), counts.T @ times
    n = total.sum()
    if (total > 0).sum() < 2:
        return float("nan")
    if level == "nominal":
        within = n_unit**2 - (counts**2).sum(axis=1)
        across = n**2 - total @ total
    else:
        x = values if level == "interval" else np.cumsum(total) - total / 2
        x = x - total @ x / n
        within = n_unit * (counts @ x**2) - (counts @ x) ** 2
        across = n * (total @ x**2) - (total @ x) ** 2
    return float(1 - times @ (within / (n_unit - 1)) / (across / (n - 1)))


def alpha_interval(
    counts: Floats | csr_array,
    level: Level,
    values: Floats,
    *,
    n_resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile bootstrap interval of `alpha`, resampling units; NaN where nothing varies.

    Units with the same counts are drawn together: the times that n draws fall on each pattern are
    multinomial, so that a million utterances cost what their few thousand patterns do.

    Source: Efron & Tibshirani 1993, ch. 13.
    """
    n_units = counts.shape[0]
    shares = np.full(n_units, 1 / n_units)
    if isinstance(counts, np.ndarray):
        counts, n_alike = np.unique(counts, axis=0, return_counts=True)
        shares = n_alike / n_units
    rng = np.random.default_rng(seed)
    drawn = (rng.multinomial(n_units, shares) for _ in range(n_resamples))
    found = np.array([alpha(counts, level, values, times.astype(float)) for times in drawn])
    found = found[~np.isnan(found)]
    if not found.size:
        return float("nan"), float("nan")
    low, high = np.quantile(found, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def with_two(counts: Floats | csr_array, what: str = "votes") -> Floats | csr_array:
    """The rows that hold two values or more, without which nothing can agree."""
    kept = counts[np.flatnonzero(counts.sum(axis=1) >= 2)]
    if not kept.shape[0]:
        raise TableError(f"no utterance has two {what}, so there is nothing that could agree")
    return kept


def alpha_of_ratings(
    ratings: pd.DataFrame,
    *,
    level: Level = "interval",
    n_resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """Krippendorff's alpha of numbers, with its bootstrap interval over utterances.

    Args:
        ratings: the long table; raters may be unknown, ratings may be missing anywhere.
        level: how far apart two numbers are, as in `alpha`.
        n_resamples: how many resamples; 0 leaves the interval out (NaN).
        confidence: in 0 .. 1.
        seed: of the draws.

    Returns:
        One row a dimension: `alpha`, `low`, `high`, `n_utterances` (with two ratings or more).

    Raises:
        TableError: the ratings break their contract, or a dimension has no utterance with two.
    """
    coded = code_ratings(ratings, need_raters=False)
    rows = []
    for number, dimension in enumerate(coded.dimensions):
        chosen = coded.dimension == number
        values, place = np.unique(coded.value[chosen], return_inverse=True)
        cells = (np.ones(len(place)), (coded.utterance[chosen], place))
        table = csr_array(cells, shape=(len(coded.utterances), len(values)))
        dense = len(values) <= FINE_SCALE
        counts = with_two(table.toarray() if dense else table, f"ratings of {dimension}")
        low, high = alpha_interval(
            counts, level, values, n_resamples=n_resamples, confidence=confidence, seed=seed
        )
        rows.append((alpha(counts, level, values), low, high, counts.shape[0]))
    return pd.DataFrame(rows, coded.dimensions, ["alpha", "low", "high", "n_utterances"])


def icc(ratings: pd.DataFrame, kind: IccKind = "2,1") -> pd.Series:
    """Intraclass correlation of each dimension, at most 1: index dimension.

    With n utterances of k ratings and the mean squares between utterances B, within them W, of
    raters J and of what is left E:

    ======  ======================================  =============================================
    kind    value                                   what is asked
    ======  ======================================  =============================================
    1,1     (B - W) / (B + (k - 1) W)               one rating, other raters for each utterance
    1,k     (B - W) / B                             the mean of k such
    2,1     (B - E) / (B + (k - 1) E + k (J-E)/n)   one rater of many, who hears all utterances
    2,k     (B - E) / (B + (J - E) / n)             the mean of k such
    3,1     (B - E) / (B + (k - 1) E)               one of these very raters, level left out
    3,k     (B - E) / B                             the mean of these very raters
    ======  ======================================  =============================================

    NaN where nothing varies.

    Raises:
        TableError: the ratings break their contract; utterances have different numbers of
            ratings, fewer than two, or (kinds 2 and 3) different raters; only one utterance.
        ValueError: an unknown kind.

    Source: Shrout & Fleiss 1979, Psychological Bulletin 86(2), doi:10.1037/0033-2909.86.2.420.
    """
    if kind not in get_args(IccKind):
        raise ValueError(f"kind must be one of {'; '.join(get_args(IccKind))}, not {kind!r}")
    crossed = kind[0] != "1"
    coded = code_ratings(ratings, need_raters=crossed)
    values = [
        _icc(_crossed(coded, number, crossed), kind) for number in range(len(coded.dimensions))
    ]
    return pd.Series(values, coded.dimensions, name=f"ICC({kind})")


def _icc(x: Floats, kind: IccKind) -> float:
    n, k = x.shape
    row, column = x.mean(axis=1, keepdims=True), x.mean(axis=0, keepdims=True)
    between = k * ((row - x.mean()) ** 2).sum() / (n - 1)
    raters = n * ((column - x.mean()) ** 2).sum() / (k - 1)
    within = ((x - row) ** 2).sum() / (n * (k - 1))
    left = ((x - row - column + x.mean()) ** 2).sum() / ((n - 1) * (k - 1))
    noise = within if kind[0] == "1" else left
    level = (raters - left) / n if kind[0] == "2" else 0.0
    single = kind[-1] == "1"
    below = between + (k - 1) * noise + k * level if single else between + level
    return float((between - noise) / below) if below > 0 else float("nan")


def _crossed(coded: CodedRatings, dimension: int, same_raters: bool) -> Floats:
    """Ratings of one dimension as (n_utterances, n_ratings of each)."""
    chosen = np.flatnonzero(coded.dimension == dimension)
    order = chosen[np.lexsort((coded.rater[chosen], coded.utterance[chosen]))]
    utterance, n = np.unique(coded.utterance[order], return_counts=True)
    name = str(coded.dimensions[dimension])
    remedy = "use alpha_of_ratings (Krippendorff), which allows missing ratings"
    if (n != n[0]).any():
        odd = int((n != n[0]).argmax())
        first, other = (str(coded.utterances[utterance[row]]) for row in (0, odd))
        raise TableError(
            f"ICC of {name} needs equally many ratings an utterance, {first!r} has {n[0]} and "
            f"{other!r} {n[odd]}: {remedy}"
        )
    if len(n) < 2 or n[0] < 2:
        raise TableError(
            f"ICC of {name} needs two utterances and two ratings of each, not {len(n)} and {n[0]}"
        )
    raters = coded.rater[order].reshape(len(n), -1)
    if same_raters and (raters != raters[0]).any():
        odd = int((raters != raters[0]).any(axis=1).argmax())
        first, other = (str(coded.utterances[utterance[row]]) for row in (0, odd))
        raise TableError(
            f"this ICC of {name} needs the same raters for all utterances, {first!r} and {other!r} "
            f'have different ones: use kind "1,1" or "1,k", or {remedy.removeprefix("use ")}'
        )
    return coded.value[order].reshape(len(n), -1)
