"""How far raters agree: with each other, beyond chance, and each with the rest.

`percent`, `fleiss_kappa`, `krippendorff_alpha`, `entropy` and `agreement_with_rest` need no more
than the counts of an utterance's votes, so they serve corpora that do not say who voted.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_array, triu

from affekt.exceptions import TableError
from affekt.metrics import confusion_matrix
from affekt.scheme import Categories
from affekt.votes.coded import CodedVotes, Duplicates, code
from affekt.votes.reliability import (
    Level,
    alpha,
    alpha_interval,
    alpha_of_ratings,
    icc,
    with_two,
)
from affekt.votes.rest import agreement_with_rest, rater_against_rest, with_rest

__all__ = [
    "agreement_with_rest",
    "alpha_of_ratings",
    "cohen_kappa",
    "cohen_table",
    "entropy",
    "fleiss_kappa",
    "icc",
    "krippendorff_alpha",
    "krippendorff_interval",
    "percent",
    "rater_against_rest",
    "summary",
]

Floats = NDArray[np.float64]


def percent(
    votes: pd.DataFrame, categories: Categories, *, duplicates: Duplicates = "refuse"
) -> float:
    """Chance that two votes on one utterance say the same, averaged over utterances, in 0 .. 1.

    P = mean over u of sum_c n_uc (n_uc - 1) / (m_u (m_u - 1)) with m_u votes on utterance u;
    utterances with one vote are left out.

    Args:
        votes: the long table; raters may be unknown.
        categories: the labels that may be voted.
        duplicates: of a rater's votes on one utterance, as in `code`.

    Raises:
        TableError: the votes break their contract, or no utterance has two.

    Source: Fleiss 1971, Psychological Bulletin 76(5), the mean of P_i.

    >>> said = pd.DataFrame({"utterance": ["a"] * 3, "rater": list("xyz"), "label": list("nny")})
    >>> round(percent(said, Categories("two", ("y", "n"))), 3)
    0.333
    """
    return _percent(with_two(_counts(votes, categories, duplicates)))


def entropy(
    votes: pd.DataFrame, categories: Categories, *, duplicates: Duplicates = "refuse"
) -> pd.Series:
    """Entropy of each utterance's vote shares, in bits: 0 = all say the same, at most log2(c).

    Raises:
        TableError: the votes break their contract.

    >>> said = pd.DataFrame({"utterance": ["a"] * 2, "rater": ["x", "y"], "label": ["y", "n"]})
    >>> entropy(said, Categories("two", ("y", "n"))).to_dict()
    {'a': 1.0}
    """
    coded = code(votes, categories, need_raters=False, duplicates=duplicates)
    return pd.Series(entropy_bits(coded.counts()), coded.utterances, name="entropy")


def entropy_bits(counts: Floats) -> Floats:
    """-sum_c p log2 p of each row's shares: (n, c) counts -> (n,) bits; NaN of an empty row."""
    total = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, total, out=np.full(counts.shape, np.nan), where=total > 0)
    bits = np.where(shares > 0, shares * np.log2(np.where(shares > 0, shares, 1.0)), 0.0)
    return np.where(total[:, 0] > 0, 0.0 - bits.sum(axis=1), np.nan)


def cohen_kappa(
    votes: pd.DataFrame,
    categories: Categories,
    rater: str,
    other: str,
    *,
    weights: Literal["linear", "quadratic"] | None = None,
) -> float:
    """Cohen's kappa of two raters on the utterances that both heard, at most 1.

    kappa = 1 - sum_kl w_kl o_kl / sum_kl w_kl e_kl with the shares o of their answers (k, l), e
    the product of their marginals, and w_kl = 1 for k != l, |k - l| or (k - l)^2: the last two
    take the categories for steps of a scale, in the order of the scheme. NaN where both always
    give the same one answer.

    Raises:
        TableError: the votes break their contract, a rater is unknown, or they share no utterance.

    Source: Cohen 1960, Educational and Psychological Measurement 20; weights: Cohen 1968,
    Psychological Bulletin 70.
    """
    coded = code(votes, categories)
    first, second = (_labels_of(coded, name) for name in (rater, other))
    both = (first >= 0) & (second >= 0)
    if not both.any():
        raise TableError(f"raters {rater!r} and {other!r} have no utterance in common")
    observed = confusion_matrix(first[both], second[both], len(categories)) / both.sum()
    expected = np.outer(observed.sum(axis=1), observed.sum(axis=0))
    steps = np.abs(np.subtract.outer(np.arange(len(categories)), np.arange(len(categories))))
    cost = {None: steps > 0, "linear": steps, "quadratic": steps**2}[weights]
    chance = float((cost * expected).sum())
    return 1 - float((cost * observed).sum()) / chance if chance > 0 else float("nan")


def cohen_table(
    votes: pd.DataFrame, categories: Categories, *, min_common: int = 2
) -> pd.DataFrame:
    """Cohen's kappa of every pair of raters that share utterances.

    Args:
        votes: the long table.
        categories: the labels that may be voted.
        min_common: pairs with fewer utterances in common are left out.

    Returns:
        One row a pair: `rater`, `other`, `n_common`, `agreement` (0 .. 1) and `kappa`.

    Raises:
        TableError: the votes break their contract.
    """
    coded = code(votes, categories)
    heard = _matrix(coded, np.ones(coded.n_votes, dtype=bool))
    pairs = triu(heard @ heard.T, k=1).tocoo()
    kept = pairs.data >= min_common
    a, b, n_common = pairs.row[kept], pairs.col[kept], pairs.data[kept]
    same, chance = np.zeros(len(a)), np.zeros(len(a))
    for label in range(len(categories)):
        said = _matrix(coded, coded.label == label)
        often = said @ heard.T  # [a, b]: a's votes for the label where b voted too
        same += _at(said @ said.T, a, b)
        chance += _at(often, a, b) * _at(often, b, a)
    agreement, expected = same / n_common, chance / n_common**2
    rest = 1 - expected
    kappa = np.divide(agreement - expected, rest, out=np.full(len(a), np.nan), where=rest > 1e-12)
    return pd.DataFrame(
        {
            "rater": coded.raters[a],
            "other": coded.raters[b],
            "n_common": n_common.astype(np.int64),
            "agreement": agreement,
            "kappa": kappa,
        }
    )


def fleiss_kappa(
    votes: pd.DataFrame, categories: Categories, *, duplicates: Duplicates = "refuse"
) -> float:
    """Fleiss' kappa, at most 1: `percent` against what the overall shares would give by chance.

    kappa = (P - sum_c p_c^2) / (1 - sum_c p_c^2); NaN where only one category is ever voted.

    Raises:
        TableError: the votes break their contract, or utterances have different numbers of votes:
            `krippendorff_alpha` has no such need.

    Source: Fleiss 1971, Psychological Bulletin 76(5).
    """
    coded = code(votes, categories, need_raters=False, duplicates=duplicates)
    counts = coded.counts()
    n_votes = counts.sum(axis=1)
    if (n_votes != n_votes[0]).any():
        odd = int((n_votes != n_votes[0]).argmax())
        raise TableError(
            "Fleiss' kappa needs equally many votes an utterance, "
            f"{str(coded.utterances[0])!r} has {n_votes[0]:.0f} and {str(coded.utterances[odd])!r} "
            f"{n_votes[odd]:.0f}: use krippendorff_alpha"
        )
    return _fleiss(counts)


def krippendorff_alpha(
    votes: pd.DataFrame,
    categories: Categories,
    *,
    level: Level = "nominal",
    values: Sequence[float] | None = None,
    duplicates: Duplicates = "refuse",
) -> float:
    """Krippendorff's alpha, at most 1: any number of raters, votes missing anywhere.

    1 = all agree, 0 = as chance would have it; the formula stands in `reliability.alpha`.
    Utterances with one vote are left out; NaN where all votes are equal.

    Args:
        votes: the long table; raters may be unknown.
        categories: the labels that may be voted; for ordinal and interval in rising order.
        level: two labels are equal or not (nominal), so many ranks apart (ordinal), or so far
            apart as their numbers (interval).
        values: for interval, the number each label stands for; None: 0, 1, 2, ...
        duplicates: of a rater's votes on one utterance, as in `code`.

    Raises:
        TableError: the votes break their contract, or no utterance has two.

    Source: Krippendorff 2011, Computing Krippendorff's Alpha-Reliability.
    """
    counts = with_two(_counts(votes, categories, duplicates))
    return alpha(counts, level, _numbers(categories, values))


def krippendorff_interval(
    votes: pd.DataFrame,
    categories: Categories,
    *,
    level: Level = "nominal",
    values: Sequence[float] | None = None,
    duplicates: Duplicates = "refuse",
    n_resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile bootstrap interval of `krippendorff_alpha`, resampling utterances.

    Args:
        votes: as in `krippendorff_alpha`, like the next four.
        categories: the labels that may be voted.
        level: how far apart two labels are.
        values: the number each label stands for.
        duplicates: of a rater's votes on one utterance.
        n_resamples: how many resamples.
        confidence: in 0 .. 1.
        seed: of the draws.

    Raises:
        TableError: the votes break their contract, or no utterance has two.
    """
    counts = with_two(_counts(votes, categories, duplicates))
    numbers = _numbers(categories, values)
    return alpha_interval(
        counts, level, numbers, n_resamples=n_resamples, confidence=confidence, seed=seed
    )


def summary(
    votes: pd.DataFrame,
    categories: Categories,
    *,
    level: Level = "nominal",
    duplicates: Duplicates = "refuse",
    n_resamples: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """All measures that need no names of raters, in one table.

    Args:
        votes: the long table; raters may be unknown.
        categories: the labels that may be voted.
        level: of Krippendorff's alpha.
        duplicates: of a rater's votes on one utterance, as in `code`.
        n_resamples: of alpha's interval over utterances.
        seed: of the same.

    Returns:
        Index `measure`: percent, agreement with the rest, Krippendorff's alpha, Fleiss' kappa,
        entropy (mean bits an utterance); columns `value`, `low`, `high` (alpha alone) and `note`.

    Raises:
        TableError: the votes break their contract, or no utterance has two.
    """
    every = _counts(votes, categories, duplicates)
    counts, numbers = with_two(every), _numbers(categories, None)
    low, high = alpha_interval(counts, level, numbers, n_resamples=n_resamples, seed=seed)
    alone = len(every) - len(counts)
    left_out = f"{alone} utterance(s) with one vote left out" if alone else ""
    unequal = np.ptp(every.sum(axis=1)) > 0
    fleiss = np.nan if unequal else _fleiss(counts)
    why = "undefined: utterances have different numbers of votes" if unequal else ""
    missing = (np.nan, np.nan)
    rows = {
        "percent": (_percent(counts), *missing, left_out),
        "agreement with the rest": (with_rest(counts), *missing, left_out),
        f"Krippendorff's alpha ({level})": (alpha(counts, level, numbers), low, high, left_out),
        "Fleiss' kappa": (fleiss, *missing, why),
        "entropy": (float(entropy_bits(every).mean()), *missing, "mean bits an utterance"),
    }
    table = pd.DataFrame.from_dict(rows, "index", columns=["value", "low", "high", "note"])
    return table.rename_axis("measure")


def _counts(votes: pd.DataFrame, categories: Categories, duplicates: Duplicates) -> Floats:
    return code(votes, categories, need_raters=False, duplicates=duplicates).counts()


def _percent(counts: Floats) -> float:
    n = counts.sum(axis=1)
    return float(((counts * (counts - 1)).sum(axis=1) / (n * (n - 1))).mean())


def _fleiss(counts: Floats) -> float:
    shares = counts.sum(axis=0) / counts.sum()
    chance = float(shares @ shares)
    only_one = (shares > 0).sum() < 2
    return float("nan") if only_one else (_percent(counts) - chance) / (1 - chance)


def _numbers(categories: Categories, values: Sequence[float] | None) -> Floats:
    numbers = np.arange(len(categories), dtype=float) if values is None else np.array(values, float)
    if numbers.shape != (len(categories),):
        raise TableError(
            f"scheme {categories.name!r} has {len(categories)} labels, but values are "
            f"{len(numbers)}: give each label its number"
        )
    return numbers


def _labels_of(coded: CodedVotes, rater: str) -> NDArray[np.int64]:
    """A rater's label of each utterance, -1 where there is none."""
    if rater not in coded.raters:
        raise TableError(f"no vote is by rater {rater!r}")
    mine = coded.rater == coded.raters.get_loc(rater)
    labels = np.full(coded.n_utterances, -1, dtype=np.int64)
    labels[coded.utterance[mine]] = coded.label[mine]
    return labels


def _matrix(coded: CodedVotes, chosen: NDArray[np.bool_]) -> csr_array:
    """1 where a rater gave one of the chosen votes to an utterance: (n_raters, n_utterances)."""
    places = (coded.rater[chosen], coded.utterance[chosen])
    ones = np.ones(len(places[0]))
    return csr_array((ones, places), shape=(coded.n_raters, coded.n_utterances))


def _at(table: csr_array, row: NDArray[np.int32], column: NDArray[np.int32]) -> Floats:
    return np.asarray(table[row, column]).ravel() if len(row) else np.empty(0)
