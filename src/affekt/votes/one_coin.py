"""One-coin model: every rater has one accuracy, and errs evenly over the other categories.

Y. Zhang, X. Chen, D. Zhou and M. I. Jordan: Spectral methods meet EM: a provably optimal algorithm
for crowdsourcing. Journal of Machine Learning Research 17 (2016) 1-44, section 2 (the model; it is
estimated by EM from the vote shares, not by their spectral start).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from affekt.scheme import Categories
from affekt.votes import em
from affekt.votes.coded import CodedVotes, Duplicates, code
from affekt.votes.em import Floats, Options, Prior

LEAST = 1e-10  # nobody is quite sure to be right or to be wrong


@dataclass(frozen=True, eq=False)
class OneCoin:
    """What the one-coin model learnt."""

    labels: pd.DataFrame  # (n_utterances, n_categories) posterior of the truth
    losses: list[float]  # evidence lower bound a vote after each iteration, in nats


def one_coin(
    votes: pd.DataFrame,
    categories: Categories,
    *,
    max_iterations: int = 100,
    tolerance: float = 1e-5,
    gold: bool = False,
    prior: Prior = "estimated",
    smoothing: float = 0.0,
    duplicates: Duplicates = "refuse",
    progress: Callable[[int], None] | None = None,
) -> pd.DataFrame:
    """Posterior of every utterance's true label where raters have one accuracy each.

    Dawid-Skene with p(l | k, w) = a_w for l = k and (1 - a_w) / (n_categories - 1) otherwise; a_w
    is the expected share of w's votes that are right. One number a rater instead of a matrix:
    better where raters have few votes, worse where they confuse categories in ways of their own.

    Args:
        votes: one row a vote: `utterance`, `rater`, `label`, and `gold` if it is used.
        categories: the labels that may be voted, in the order of the result's columns.
        max_iterations: of E-step and M-step; 0 leaves the vote shares.
        tolerance: stop when the evidence lower bound a vote gains less, in nats.
        gold: right answers of control tasks are fixed truth.
        prior: "estimated", "uniform", or a probability a category, then kept.
        smoothing: pseudo-votes added to each category of a rater: one right, the others wrong.
        duplicates: what to do with a rater's further answers to one utterance, see `code`.
        progress: told how many more iterations are done; those not needed count at the end.

    Raises:
        TableError: the votes break their contract, or a prior is none.

    >>> two = Categories("two", ("calm", "anger"))
    >>> said = [("a", "x", "calm"), ("a", "y", "calm"), ("a", "z", "anger"),
    ...         ("b", "x", "anger"), ("b", "y", "anger"), ("b", "z", "calm")]
    >>> votes = pd.DataFrame(said, columns=["utterance", "rater", "label"])
    >>> one_coin(votes, two).loc["b"].round(3).tolist()
    [0.0, 1.0]
    """
    return fit(
        code(votes, categories, duplicates=duplicates),
        max_iterations=max_iterations,
        tolerance=tolerance,
        gold=gold,
        prior=prior,
        smoothing=smoothing,
        progress=progress,
    ).labels


def fit(
    coded: CodedVotes,
    *,
    max_iterations: int = 100,
    tolerance: float = 1e-5,
    gold: bool = False,
    prior: Prior = "estimated",
    smoothing: float = 0.0,
    progress: Callable[[int], None] | None = None,
) -> OneCoin:
    """Fit the one-coin model to coded votes; options as in `one_coin`.

    Raises:
        TableError: a prior that is no distribution over the categories.
    """
    options = Options(max_iterations, tolerance, gold, prior, smoothing)

    def maximise(counts: Floats) -> Floats:
        return _log_cells(counts, smoothing)

    found = em.estimate(coded, maximise, options, progress)
    return OneCoin(coded.labels_table(found.posterior), found.losses)


def _log_cells(counts: Floats, smoothing: float) -> Floats:
    n_categories = counts.shape[1]
    votes = counts.reshape(-1, n_categories, n_categories)  # (raters, answers, truths)
    n_right = np.einsum("rkk->r", votes) + smoothing
    accuracy = n_right / (votes.sum(axis=(1, 2)) + smoothing * n_categories)
    right = accuracy[:, None, None]
    wrong = (1 - right) / max(n_categories - 1, 1)
    p = np.where(np.eye(n_categories, dtype=bool), right, wrong)
    log_p: Floats = np.log(np.clip(p, LEAST, 1 - LEAST))
    return log_p.reshape(counts.shape)
