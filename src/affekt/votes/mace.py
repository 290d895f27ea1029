"""MACE: some raters know the answer, the others guess in a manner of their own.

Hovy, Berg-Kirkpatrick, Vaswani, Hovy (2013): Learning Whom to Trust with MACE. NAACL-HLT,
pp. 1120-1130, aclanthology.org/N13-1132. Rater j knows with probability c_j (the competence) and
then answers the truth k; else the answer l comes from the rater's own strategy xi_j:
p(l | k) = c_j [l = k] + (1 - c_j) xi_jl. The truth is uniform over the categories.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import digamma, gammaln

from affekt.exceptions import TableError
from affekt.scheme import Categories
from affekt.votes.coded import CodedVotes, Duplicates, code
from affekt.votes.em import Floats
from affekt.votes.posterior import log_candidates, posterior

Training = Literal["variational", "em"]

_TINY = 1e-300  # keeps the ratio of knowing to guessing finite without smoothing
_TIE = 1e-9  # tops of the flat start that differ by this part are a tie: rounding grows by rounds


@dataclass(frozen=True, eq=False)
class Mace:
    """What MACE learnt.

    >>> said = [("a", "x", "yes"), ("a", "y", "yes"), ("a", "z", "no")]
    >>> votes = pd.DataFrame(said, columns=["utterance", "rater", "label"])
    >>> model = fit(code(votes, Categories("two", ("yes", "no"))))
    >>> bool(model.competence["x"] > model.competence["z"])
    True
    """

    labels: pd.DataFrame  # (n_utterances, n_categories) posterior of the truth
    competence: pd.Series  # (n_raters,) probability that the rater knows, 0 to 1
    strategy: pd.DataFrame  # (n_raters, n_categories) answers when guessing, rows sum to 1
    losses: list[float]  # what training maximises, nats a vote, after each round of the best start


def mace(
    votes: pd.DataFrame,
    categories: Categories,
    *,
    training: Training = "variational",
    n_starts: int = 10,
    max_iterations: int = 50,
    tolerance: float = 1e-6,
    smoothing: float | None = None,
    competence_prior: tuple[float, float] = (0.5, 0.5),
    strategy_prior: float = 10.0,
    gold: bool = False,
    duplicates: Duplicates = "refuse",
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> pd.DataFrame:
    """Labels as the posterior of MACE, by EM or variational Bayes.

    Args:
        votes: one row a vote: `utterance`, `rater`, `label`; `gold` for control tasks.
        categories: the labels that may be voted, in the order of the result's columns.
        training: `variational` puts priors on raters (the paper's better one), `em` adds
            `smoothing` to the expected counts.
        n_starts: how often to train. The first start is flat (every rater knows half of the time
            and guesses evenly), the others are random; the best objective wins, the earlier of
            two that differ by no more than `tolerance`. Labels that tie at the top from the flat
            start stay tied: raters who answer alike are exchangeable, and only chance would
            choose between them.
        max_iterations: rounds of one start, at most.
        tolerance: stop when a round gains less than this, in nats a vote.
        smoothing: pseudo-counts of `em`; None is .01 / n_categories, as in the authors' program.
        competence_prior: Beta pseudo-counts of (guessing, knowing), for `variational`.
        strategy_prior: Dirichlet pseudo-count of each answer when guessing, for `variational`.
        gold: hold control tasks at their right answer.
        duplicates: what to do with a rater's second answer to an utterance, see `code`.
        seed: of the random starts.
        progress: told how many more of n_starts * max_iterations rounds are done; those not
            needed count at the end of each start.

    Returns:
        A labels table, its utterances in the order in which `votes` first names them.

    Raises:
        TableError: the votes break their contract, a rater is missing, or an option is out of
            its range.

    >>> two = Categories("two", ("calm", "anger"))
    >>> said = [("a", "x", "calm"), ("a", "y", "calm"), ("b", "x", "anger"), ("b", "y", "anger")]
    >>> votes = pd.DataFrame(said, columns=["utterance", "rater", "label"])
    >>> mace(votes, two).round(2).to_numpy().tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    return fit(
        code(votes, categories, duplicates=duplicates),
        training=training,
        n_starts=n_starts,
        max_iterations=max_iterations,
        tolerance=tolerance,
        smoothing=smoothing,
        competence_prior=competence_prior,
        strategy_prior=strategy_prior,
        gold=gold,
        seed=seed,
        progress=progress,
    ).labels


def fit(
    coded: CodedVotes,
    *,
    training: Training = "variational",
    n_starts: int = 10,
    max_iterations: int = 50,
    tolerance: float = 1e-6,
    smoothing: float | None = None,
    competence_prior: tuple[float, float] = (0.5, 0.5),
    strategy_prior: float = 10.0,
    gold: bool = False,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> Mace:
    """Fit MACE to coded votes; options as in `mace`.

    Raises:
        TableError: an option is out of its range.
    """
    n_categories = len(coded.categories)
    smoothing = 0.01 / n_categories if smoothing is None else smoothing
    _check(training, n_starts, max_iterations, smoothing, (*competence_prior, strategy_prior))
    cells = _cells(coded, gold=gold)

    def learn(knowing: Floats) -> _Raters:
        if training == "em":
            return _maximise(knowing, cells.answers, smoothing)
        return _spread(knowing, cells.answers, competence_prior, strategy_prior)

    rng = np.random.default_rng(seed)
    best: tuple[Floats, _Raters, list[float]] | None = None
    flat = np.empty(0)
    for start in range(n_starts):
        raters = _start(coded.n_raters, n_categories, rng if start else None)
        believed, knowing, _ = _expect(cells, raters)
        losses: list[float] = []
        for _ in range(max_iterations):
            raters = learn(knowing)
            believed, knowing, evidence = _expect(cells, raters)
            losses.append((evidence + raters.log_prior) / coded.n_votes)
            stop = len(losses) > 1 and losses[-1] - losses[-2] < tolerance
            if progress is not None:
                progress(max_iterations - len(losses) + 1 if stop else 1)
            if stop:
                break
        flat = believed if start == 0 else flat
        if best is None or losses[-1] > best[2][-1] + max(tolerance, 0):
            best = believed, raters, losses
    assert best is not None
    believed, raters, losses = best
    names = coded.raters.rename("rater")
    return Mace(
        coded.labels_table(_even(believed, flat)),
        pd.Series(raters.competence, names, name="competence"),
        pd.DataFrame(raters.strategy, names, list(coded.categories)),
        losses,
    )


@dataclass(frozen=True, eq=False)
class _Cells:
    """The votes as cells of two tables: what each utterance heard, what each rater said."""

    heard: NDArray[np.int64]  # (n_votes,) utterance * n_categories + label
    said: NDArray[np.int64]  # (n_votes,) rater * n_categories + label
    answers: Floats  # (n_raters, n_categories) how often each rater said what
    log_prior: Floats  # (n_utterances or 1, n_categories)
    n_utterances: int


@dataclass(frozen=True, eq=False)
class _Raters:
    """Raters as the E-step weighs them, and as point estimates."""

    knowing: Floats  # (n_raters, 1) weight of knowing; the variational one may sum to less than 1
    guessing: Floats  # (n_raters, n_categories) weight of guessing each label
    competence: Floats  # (n_raters,)
    strategy: Floats  # (n_raters, n_categories)
    log_prior: float  # nats that the objective adds to the evidence


def _cells(coded: CodedVotes, *, gold: bool) -> _Cells:
    n_categories = len(coded.categories)
    label = coded.label.astype(np.int64)
    said = coded.rater * np.int64(n_categories) + label
    answers = np.bincount(said, minlength=coded.n_raters * n_categories)
    uniform = np.full(n_categories, 1 / n_categories)
    return _Cells(
        coded.utterance * np.int64(n_categories) + label,
        said,
        answers.reshape(-1, n_categories).astype(float),
        log_candidates(coded, uniform, gold=gold),
        coded.n_utterances,
    )


def _even(believed: Floats, flat: Floats) -> Floats:
    """The posterior, its mass shared evenly among labels that tie at the top of `flat`."""
    tied = flat >= flat.max(axis=1, keepdims=True) * (1 - _TIE)
    n_tied = tied.sum(axis=1, keepdims=True)
    shared = np.where(tied, believed, 0).sum(axis=1, keepdims=True) / n_tied
    return np.where(tied & (n_tied > 1), shared, believed)


def _start(n_raters: int, n_categories: int, rng: np.random.Generator | None) -> _Raters:
    """Raters before the first round: flat, or with the noise of the authors' program."""
    if rng is None:
        knows, strategy = np.full(n_raters, 0.5), np.full((n_raters, n_categories), 1.0)
    else:
        draws = rng.uniform(1, 1.5, (n_raters, 2))
        knows, strategy = draws[:, 0] / draws.sum(1), rng.uniform(1, 1.5, (n_raters, n_categories))
    strategy /= strategy.sum(axis=1, keepdims=True)
    return _Raters(knows[:, None], (1 - knows[:, None]) * strategy, knows, strategy, 0.0)


def _expect(cells: _Cells, raters: _Raters) -> tuple[Floats, Floats, float]:
    """E-step: the truths' posterior, (n_raters, n_categories) answers known, the log evidence.

    A vote for l weighs c + g_l under truth l and g_l under any other, so it adds
    log(1 + c / g_l) to one cell of its utterance, and log g_l to all.
    """
    guessing = np.maximum(raters.guessing, _TINY)
    for_label = np.log1p(raters.knowing / guessing).ravel()
    n_cells = cells.n_utterances * guessing.shape[1]
    heard = np.bincount(cells.heard, for_label[cells.said], n_cells)
    believed, evidence = posterior(heard.reshape(-1, guessing.shape[1]) + cells.log_prior)
    agreed = np.bincount(cells.said, believed.ravel()[cells.heard], guessing.size)
    known = agreed.reshape(guessing.shape) * (raters.knowing / (raters.knowing + guessing))
    return believed, known, evidence + float((cells.answers * np.log(guessing)).sum())


def _maximise(known: Floats, answers: Floats, smoothing: float) -> _Raters:
    """M-step of EM: expected counts plus `smoothing`, normalised.

    The objective that it maximises adds smoothing * sum log of every parameter to the evidence.
    """
    guessed = np.maximum(answers - known, 0) + smoothing
    strategy = guessed / np.maximum(guessed.sum(axis=1, keepdims=True), _TINY)
    knows = np.stack([(answers - known).sum(axis=1), known.sum(axis=1)], axis=1) + smoothing
    knows /= knows.sum(axis=1, keepdims=True)
    log_prior = 0.0
    if smoothing:
        log_prior = smoothing * float(np.log(knows).sum() + np.log(strategy).sum())
    return _Raters(knows[:, 1:], knows[:, :1] * strategy, knows[:, 1], strategy, log_prior)


def _spread(
    known: Floats, answers: Floats, competence_prior: tuple[float, float], strategy_prior: float
) -> _Raters:
    """Variational M-step: the raters' Beta and Dirichlet posteriors, as exp E[log parameter].

    The objective, a lower bound of the log probability of all votes, adds to the evidence minus
    the divergence of these posteriors from their priors.
    """
    guessed = np.maximum(answers - known, 0)
    guess_prior = np.full_like(guessed, strategy_prior)
    counts = np.stack([guessed.sum(axis=1), known.sum(axis=1)], axis=1)
    count_prior = np.broadcast_to(np.array(competence_prior, dtype=float), counts.shape)
    knows, knows_mean, knows_apart = _dirichlet(counts + count_prior, count_prior)
    strategy, strategy_mean, strategy_apart = _dirichlet(guessed + guess_prior, guess_prior)
    return _Raters(
        knows[:, 1:],
        knows[:, :1] * strategy,
        knows_mean[:, 1],
        strategy_mean,
        -knows_apart - strategy_apart,
    )


def _dirichlet(concentration: Floats, prior: Floats) -> tuple[Floats, Floats, float]:
    """Exp E[log p] and E[p] of each row's Dirichlet, and the rows' divergence from `prior`."""
    total = concentration.sum(axis=1, keepdims=True)
    log_mean = digamma(concentration) - digamma(total)
    log_ratio = gammaln(total[:, 0]) - gammaln(concentration).sum(axis=1)
    log_ratio -= gammaln(prior.sum(axis=1)) - gammaln(prior).sum(axis=1)
    apart = log_ratio.sum() + ((concentration - prior) * log_mean).sum()
    return np.exp(log_mean), concentration / total, float(apart)


def _check(
    training: str,
    n_starts: int,
    max_iterations: int,
    smoothing: float,
    pseudo_counts: tuple[float, ...],
) -> None:
    if training not in ("variational", "em"):
        raise TableError(f"training is 'variational' or 'em', not {training!r}")
    if n_starts < 1 or max_iterations < 1:
        raise TableError("MACE needs n_starts and max_iterations of 1 or more")
    if not smoothing >= 0:
        raise TableError(f"smoothing is {smoothing}; it must be 0 or more")
    if not min(pseudo_counts) > 0:
        raise TableError("the priors of MACE are pseudo-counts: each must be above 0")
