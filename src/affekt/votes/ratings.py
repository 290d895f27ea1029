"""From raters' numbers (how aroused, how pleasant) to one number an utterance and dimension.

Each function takes the long table of ratings and gives one row an utterance, one float column a
dimension, both in order of first appearance; NaN where an utterance was not rated on a dimension.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from affekt.exceptions import TableError
from affekt.tables import check_ratings

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class CodedRatings:
    """The long table of ratings as integers, its rows in the order of the table.

    `sums` and `means` are over cells: a cell is an utterance and a dimension, or a rater and a
    dimension, numbered row by row.
    """

    utterance: Codes  # (n_ratings,) row of `utterances`
    rater: Codes  # (n_ratings,) row of `raters`, -1 = nobody knows whose rating it is
    dimension: Codes  # (n_ratings,) column of `dimensions`
    value: Floats  # (n_ratings,)
    utterances: pd.Index
    raters: pd.Index
    dimensions: pd.Index

    @property
    def by_utterance(self) -> Codes:
        """(n_ratings,) cell of each rating: utterance * n_dimensions + dimension."""
        return self.utterance * len(self.dimensions) + self.dimension

    @property
    def by_rater(self) -> Codes:
        """(n_ratings,) cell of each rating: rater * n_dimensions + dimension."""
        return self.rater * len(self.dimensions) + self.dimension

    def table(self, cells: Floats) -> pd.DataFrame:
        """One value an utterance and dimension as a table."""
        rows = cells.reshape(len(self.utterances), -1)
        return pd.DataFrame(rows, self.utterances, self.dimensions.tolist())


def code_ratings(ratings: pd.DataFrame, *, need_raters: bool = True) -> CodedRatings:
    """Check ratings and turn them into integers.

    Raises:
        TableError: no ratings, a missing rater where they are needed, or a rater who rated the
            same dimension of an utterance twice.
    """
    checked = check_ratings(ratings)
    if checked.empty:
        raise TableError("there are no ratings: the table has no rows")
    unknown = checked["rater"].isna() | (checked["rater"] == "")
    if need_raters and unknown.any():
        row = int(unknown.to_numpy().argmax())
        raise TableError(
            f"ratings, row {row}: column rater is empty; this method has to know whose rating it "
            "is (`mean` does not)"
        )
    utterance, utterances = pd.factorize(checked["utterance"])
    rater, raters = pd.factorize(checked["rater"].where(~unknown))
    dimension, dimensions = pd.factorize(checked["dimension"])
    coded = CodedRatings(
        utterance=utterance.astype(np.int64),
        rater=rater.astype(np.int64),
        dimension=dimension.astype(np.int64),
        value=checked["value"].to_numpy(dtype=float),
        utterances=pd.Index(utterances, name="utterance"),
        raters=pd.Index(raters, name="rater"),
        dimensions=pd.Index(dimensions, name="dimension"),
    )
    _refuse_repeats(coded)
    return coded


def mean(ratings: pd.DataFrame) -> pd.DataFrame:
    """Mean of an utterance's ratings; raters may be unknown.

    Raises:
        TableError: the ratings break their contract (`code_ratings`).

    >>> said = {"utterance": ["a", "a"], "rater": ["x", "y"], "dimension": "arousal"}
    >>> mean(pd.DataFrame({**said, "value": [1, 4]})).loc["a", "arousal"].item()
    2.5
    """
    coded = code_ratings(ratings, need_raters=False)
    return coded.table(_mean_of_utterances(coded, coded.value))


def rater_normalised_mean(ratings: pd.DataFrame, *, rescale: bool = True) -> pd.DataFrame:
    """Mean of ratings after each rater's own level and spread were taken out.

    z = (x - m_r) / s_r with the mean m_r and the standard deviation s_r (of the n ratings, not
    n - 1) of what rater r gave on that dimension; the mean of z over an utterance's raters is
    then scaled to m + s z with the mean m and deviation s of all ratings of the dimension. A
    rater who always gives the same number says nothing about utterances: z = 0.

    It takes for granted that raters heard comparable utterances: with few ratings each, or where
    each rater heard another corpus, it takes real differences out.

    Args:
        ratings: the long table; raters must be known.
        rescale: False leaves the mean of z, in standard deviations of a rater.

    Raises:
        TableError: the ratings break their contract (`code_ratings`).

    >>> said = {"utterance": ["a", "b"] * 2, "rater": ["x", "x", "y", "y"], "dimension": "arousal"}
    >>> answers = pd.DataFrame({**said, "value": [1, 2, 5, 7]})
    >>> rater_normalised_mean(answers, rescale=False)["arousal"].tolist()
    [-1.0, 1.0]
    """
    coded = code_ratings(ratings)
    cell = coded.by_rater
    centred = coded.value - _means(cell, coded.value)[cell]
    spread = np.sqrt(_means(cell, centred**2))[cell]
    varies = spread > _negligible(coded)
    z = np.divide(centred, spread, out=np.zeros_like(centred), where=varies)
    cells = _mean_of_utterances(coded, z).reshape(len(coded.utterances), -1)
    if rescale:
        level = _means(coded.dimension, coded.value)
        variance = _means(coded.dimension, (coded.value - level[coded.dimension]) ** 2)
        cells = level + np.sqrt(variance) * cells
    return coded.table(cells)


def evaluator_weighted(ratings: pd.DataFrame) -> pd.DataFrame:
    """Evaluator-weighted estimator: raters who go with the others count for more.

    x_u = sum_r w_r x_ur / sum_r w_r over the raters of utterance u, with the weights of
    `evaluator_weights`. Where all raters of an utterance weigh 0, their plain mean stands.

    Raises:
        TableError: the ratings break their contract (`code_ratings`).

    Source: Grimm & Kroschel 2005, Evaluation of natural emotions using self assessment manikins,
    IEEE ASRU, doi:10.1109/ASRU.2005.1566530.
    """
    coded = code_ratings(ratings)
    weight = np.nan_to_num(_weights(coded))[coded.by_rater]
    cell, n_cells = coded.by_utterance, len(coded.utterances) * len(coded.dimensions)
    total = np.bincount(cell, weight, n_cells)
    plain = _mean_of_utterances(coded, coded.value)
    above = np.bincount(cell, weight * coded.value, n_cells)
    return coded.table(np.divide(above, total, out=plain, where=total > 0))


def evaluator_weights(ratings: pd.DataFrame) -> pd.DataFrame:
    """Weight of each rater on each dimension: index rater, one column a dimension, 0 .. 1.

    w_r = max(0, correlation of rater r's ratings with the mean over all raters, r among them, of
    the same utterances). NaN where r rated nothing on the dimension; 0 where there is no
    correlation, as of a rater who always gives the same number.

    Raises:
        TableError: the ratings break their contract (`code_ratings`).

    Source: Grimm & Kroschel 2005, doi:10.1109/ASRU.2005.1566530.
    """
    coded = code_ratings(ratings)
    weights = _weights(coded).reshape(len(coded.raters), -1)
    return pd.DataFrame(weights, coded.raters, coded.dimensions.tolist())


def _weights(coded: CodedRatings) -> Floats:
    """Weight of each cell of rater and dimension: (n_raters * n_dimensions,)."""
    cell, n_cells = coded.by_rater, len(coded.raters) * len(coded.dimensions)
    consensus = _mean_of_utterances(coded, coded.value)[coded.by_utterance]
    own = coded.value - _means(cell, coded.value)[cell]
    common = consensus - _means(cell, consensus)[cell]
    covariance = np.bincount(cell, own * common, n_cells)
    spread = np.sqrt(np.bincount(cell, own**2, n_cells) * np.bincount(cell, common**2, n_cells))
    n = np.bincount(cell, minlength=n_cells)
    varies = spread > n * _negligible(coded) ** 2
    weights = np.divide(covariance, spread, out=np.zeros(n_cells), where=varies)
    return np.where(n > 0, np.clip(weights, 0.0, 1.0), np.nan)


def _negligible(coded: CodedRatings) -> float:
    """A spread below this is rounding, not an opinion: a mean of equal numbers is not exact."""
    return 1e-12 * float(np.abs(coded.value).max())


def _mean_of_utterances(coded: CodedRatings, values: Floats) -> Floats:
    """Mean over raters: (n_utterances * n_dimensions,), NaN where there is no rating."""
    return _means(coded.by_utterance, values, len(coded.utterances) * len(coded.dimensions))


def _means(cell: Codes, values: Floats, n_cells: int = 0) -> Floats:
    total, n = np.bincount(cell, values, n_cells), np.bincount(cell, minlength=n_cells)
    means: Floats = np.divide(total, n, out=np.full(len(n), np.nan), where=n > 0)
    return means


def _refuse_repeats(coded: CodedRatings) -> None:
    n_raters = len(coded.raters) + 1
    key = pd.Series(coded.by_utterance * n_raters + coded.rater)
    again = key.duplicated().to_numpy() & (coded.rater >= 0)
    if again.any():
        row = int(again.argmax())
        rater, utterance = coded.raters[coded.rater[row]], coded.utterances[coded.utterance[row]]
        dimension = coded.dimensions[coded.dimension[row]]
        raise TableError(
            f"ratings, row {row}: rater {str(rater)!r} rated {dimension} of utterance "
            f"{str(utterance)!r} before; drop one"
        )
