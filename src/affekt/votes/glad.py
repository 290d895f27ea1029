"""GLAD: raters differ in ability, utterances in difficulty.

Whitehill, Ruvolo, Wu, Bergsma, Movellan (2009): Whose Vote Should Count More: Optimal Integration
of Labels from Labelers of Unknown Expertise. NeurIPS 22, pp. 2035-2043. Rater i answers utterance
j rightly with probability s(a_i e_j), s the logistic function, a_i any real number (the ability)
and e_j > 0 (the easiness); a wrong answer is any of the other labels alike. As in the paper
a_i and log e_j have the prior N(1, 1).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit

from affekt.exceptions import TableError
from affekt.scheme import Categories
from affekt.votes.coded import CodedVotes, Duplicates, code
from affekt.votes.em import Floats, Prior, fixed_prior
from affekt.votes.posterior import log_candidates, posterior

PRIOR_MEAN = 1.0  # of an ability and of the log of an easiness; both have a variance of 1


@dataclass(frozen=True, eq=False)
class Glad:
    """What GLAD learnt.

    >>> said = [("a", "x", "yes"), ("a", "y", "yes"), ("a", "z", "no")]
    >>> votes = pd.DataFrame(said, columns=["utterance", "rater", "label"])
    >>> model = fit(code(votes, Categories("two", ("yes", "no"))))
    >>> bool(model.ability["x"] > model.ability["z"])
    True
    """

    labels: pd.DataFrame  # (n_utterances, n_categories) posterior of the truth
    ability: pd.Series  # (n_raters,) 0 guesses between right and wrong, below 0 misleads
    easiness: pd.Series  # (n_utterances,) above 0; the paper's 1 / difficulty
    losses: list[float]  # log posterior of all parameters, nats a vote, after each round


def glad(
    votes: pd.DataFrame,
    categories: Categories,
    *,
    prior: Prior = "uniform",
    max_iterations: int = 100,
    tolerance: float = 1e-9,
    gold: bool = False,
    duplicates: Duplicates = "refuse",
    progress: Callable[[int], None] | None = None,
) -> pd.DataFrame:
    """Labels as the posterior of GLAD.

    The paper alternates an E-step with ascent in abilities and easinesses. Here L-BFGS climbs the
    same marginal posterior at once: its gradient is that of the paper's M-step at the current
    E-step, so the optimum is the same and each round is exact.

    Args:
        votes: one row a vote: `utterance`, `rater`, `label`; `gold` for control tasks.
        categories: the labels that may be voted, in the order of the result's columns.
        prior: of the truth, "uniform" or one probability a category; not estimated.
        max_iterations: rounds, at most.
        tolerance: stop when a round gains less than this part of the objective.
        gold: hold control tasks at their right answer.
        duplicates: what to do with a rater's second answer to an utterance, see `code`.
        progress: told how many more of max_iterations are done; those not needed count at the
            end.

    Returns:
        A labels table, its utterances in the order in which `votes` first names them.

    Raises:
        TableError: the votes break their contract, a rater is missing, there are fewer than two
            categories, or an option is out of its range.

    >>> two = Categories("two", ("calm", "anger"))
    >>> said = [("a", "x", "calm"), ("a", "y", "calm"), ("b", "x", "anger"), ("b", "y", "anger")]
    >>> votes = pd.DataFrame(said, columns=["utterance", "rater", "label"])
    >>> glad(votes, two).round(2).to_numpy().tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    return fit(
        code(votes, categories, duplicates=duplicates),
        prior=prior,
        max_iterations=max_iterations,
        tolerance=tolerance,
        gold=gold,
        progress=progress,
    ).labels


def fit(
    coded: CodedVotes,
    *,
    prior: Prior = "uniform",
    max_iterations: int = 100,
    tolerance: float = 1e-9,
    gold: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Glad:
    """Fit GLAD to coded votes; options as in `glad`.

    Raises:
        TableError: fewer than two categories, or an option out of its range.
    """
    from scipy.optimize import OptimizeResult, minimize  # takes longer to load than all of votes

    if len(coded.categories) < 2:
        raise TableError(f"GLAD needs two categories; {coded.categories.name!r} has one")
    if max_iterations < 1:
        raise TableError(f"max_iterations is {max_iterations}; it must be 1 or more")
    given = fixed_prior(prior, coded.categories)
    if given is None:
        raise TableError("GLAD cannot estimate its prior: pass 'uniform' or its probabilities")
    problem = _problem(coded, given, gold=gold)
    losses: list[float] = []

    def note(intermediate_result: OptimizeResult) -> None:
        losses.append(-float(intermediate_result.fun))
        if progress is not None:
            progress(1)

    found = minimize(
        lambda scaled: _loss(problem, scaled),
        np.zeros(coded.n_raters + coded.n_utterances),
        jac=True,
        method="L-BFGS-B",
        callback=note,
        options={
            "maxiter": max_iterations,
            "maxfun": 20 * max_iterations,
            "ftol": tolerance,
            "gtol": 0.1 * tolerance,
        },
    )
    if progress is not None and len(losses) < max_iterations:
        progress(max_iterations - len(losses))
    ability, easiness = _parameters(problem, found.x)
    product = ability[problem.rater] * easiness[problem.utterance]
    believed, _, _ = _expect(problem, product)
    return Glad(
        coded.labels_table(believed),
        pd.Series(ability, coded.raters.rename("rater"), name="ability"),
        pd.Series(easiness, coded.utterances, name="easiness"),
        losses,
    )


@dataclass(frozen=True, eq=False)
class _Problem:
    """What the objective needs of the votes."""

    utterance: NDArray[np.int64]  # (n_votes,)
    rater: NDArray[np.int64]  # (n_votes,)
    heard: NDArray[np.int64]  # (n_votes,) utterance * n_categories + label
    scale: Floats  # (n_raters + n_utterances,) turns the optimiser's steps into parameters
    log_prior: Floats  # (n_utterances or 1, n_categories)
    n_raters: int
    n_utterances: int


def _problem(coded: CodedVotes, prior: Floats, *, gold: bool) -> _Problem:
    rater, utterance = coded.rater.astype(np.int64), coded.utterance.astype(np.int64)
    n_votes = np.concatenate([np.bincount(rater, minlength=coded.n_raters), np.bincount(utterance)])
    return _Problem(
        utterance,
        rater,
        utterance * len(prior) + coded.label,
        1 / np.sqrt(1 + n_votes),  # the objective bends about as much as there are votes
        log_candidates(coded, prior, gold=gold),
        coded.n_raters,
        coded.n_utterances,
    )


def _parameters(problem: _Problem, scaled: Floats) -> tuple[Floats, Floats]:
    """Abilities and easinesses."""
    values = PRIOR_MEAN + scaled * problem.scale
    log_easiness = np.minimum(values[problem.n_raters :], 200.0)  # a line search may look far
    return values[: problem.n_raters], np.exp(log_easiness)


def _expect(problem: _Problem, product: Floats) -> tuple[Floats, Floats, float]:
    """E-step: the truths' posterior, that of each vote's own label, and the log evidence.

    log s(x) - log((1 - s(x)) / (k - 1)) = x + log(k - 1) is what a vote adds to its own label;
    log((1 - s(x)) / (k - 1)) = -log(1 + exp x) - log(k - 1) is added to every label.
    """
    n_categories = problem.log_prior.shape[1]
    others = float(np.log(n_categories - 1))
    heard = np.bincount(problem.heard, product + others, problem.n_utterances * n_categories)
    believed, evidence = posterior(heard.reshape(-1, n_categories) + problem.log_prior)
    evidence -= float(_softplus(product).sum()) + others * len(product)
    return believed, believed.ravel()[problem.heard], evidence


def _softplus(x: Floats) -> Floats:
    """log(1 + exp x), several times as fast as `np.logaddexp(0, x)`."""
    softplus: Floats = np.log1p(np.exp(-np.abs(x))) + np.maximum(x, 0)
    return softplus


def _loss(problem: _Problem, scaled: Floats) -> tuple[float, Floats]:
    """Minus the log posterior of all parameters, nats a vote, and its gradient."""
    ability, easiness = _parameters(problem, scaled)
    easiness_of_vote = easiness[problem.utterance]
    product = ability[problem.rater] * easiness_of_vote
    _, right, evidence = _expect(problem, product)
    surprise = right - expit(product)
    slope = np.concatenate(
        [
            np.bincount(problem.rater, surprise * easiness_of_vote, problem.n_raters),
            np.bincount(problem.utterance, surprise * product, problem.n_utterances),
        ]
    )
    off = scaled * problem.scale
    slope -= off
    n_votes = len(product)
    return -(evidence - 0.5 * float(off @ off)) / n_votes, -slope * problem.scale / n_votes
