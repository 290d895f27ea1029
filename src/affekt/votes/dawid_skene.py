"""Dawid-Skene: true labels and every rater's confusions, each estimated from the other.

A. P. Dawid and A. M. Skene: Maximum likelihood estimation of observer error-rates using the EM
algorithm. Journal of the Royal Statistical Society C 28 (1979) 20-28, doi:10.2307/2346806.
Semantics and golden values: spec 1.2.2.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from affekt.scheme import Categories
from affekt.votes import em
from affekt.votes.coded import CodedVotes, Duplicates, code, merge, once
from affekt.votes.em import Floats, Options, Prior

LEAST_COUNT = 1e-10  # an answer that was given is never impossible
SETTLED = 1e-4  # local iterations end where no posterior moves further than this


@dataclass(frozen=True, eq=False)
class DawidSkene:
    """A fitted model, which further votes can correct."""

    labels: pd.DataFrame  # posterior of each utterance: a labels table
    prior: Floats  # (n_categories,)
    confusion: Floats  # (n_raters, truth k, answer l): p(l | k); NaN for a rater without votes
    raters: pd.Index  # the rows of `confusion`
    losses: list[float]  # evidence lower bound a vote after each iteration, in nats
    categories: Categories
    counts: Floats  # like `confusion`: expected number of votes l of a rater where the truth is k
    votes: CodedVotes  # what all this rests on
    options: Options

    def update(
        self, new_votes: pd.DataFrame, *, max_sweeps: int = 3, duplicates: Duplicates = "refuse"
    ) -> "DawidSkene":
        """The model with further votes, without starting anew.

        Only utterances with a new vote get an E-step; their part in the stored counts, and so in
        their raters' confusions and in the prior, is replaced; at most `max_sweeps` times. Other
        utterances keep their posterior, and `losses` stays what the last `fit` reached.

        Args:
            new_votes: votes of known or new utterances by known or new raters.
            max_sweeps: local iterations; fewer where no posterior moves by more than 1e-4.
            duplicates: what to do where a rater answered an utterance before, see `code`; "last"
                lets raters change their mind.

        Raises:
            TableError: as `fit`, and where a right answer contradicts an earlier one.
        """
        new = code(new_votes, self.categories, duplicates="keep")
        every = merge(self.votes, new)
        touched = np.zeros(every.n_utterances, dtype=bool)
        touched[every.utterance[self.votes.n_votes :]] = True
        here = touched[every.utterance]
        local = once(every.of(here), duplicates, n_before=int(here.sum()) - new.n_votes)
        kept = every if local.n_votes == here.sum() else every.of(~here).plus(local)
        return _sweep(self, kept, local, touched, max_sweeps)


def dawid_skene(
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
    """Posterior of every utterance's true label, see `fit`.

    >>> two = Categories("two", ("calm", "anger"))
    >>> said = [("a", "x", "calm"), ("a", "y", "calm"), ("a", "z", "anger"),
    ...         ("b", "x", "anger"), ("b", "y", "anger"), ("b", "z", "calm")]
    >>> votes = pd.DataFrame(said, columns=["utterance", "rater", "label"])
    >>> dawid_skene(votes, two).loc["a"].round(3).tolist()
    [1.0, 0.0]
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
) -> DawidSkene:
    """Fit Dawid-Skene by expectation-maximisation, starting from the vote shares.

    With pi the prior, P_uk the posterior of truth k for utterance u, and E_wlk the probability
    that rater w says l where the truth is k:

        P_uk  in proportion to  pi_k * product over votes (w, l) of u of E_wlk,
        pi = mean of P over utterances,
        E_wlk  in proportion to  max(1e-10, sum of P_uk over the utterances of which w said l),

    the last normalised over the labels l that w ever said. So without smoothing a rater's never
    given answer has probability 0; the posteriors are those of crowd-kit 1.0.0.

    Args:
        coded: the votes; every rater known.
        max_iterations: of E-step and M-step; 0 leaves the vote shares.
        tolerance: stop when the evidence lower bound a vote gains less, in nats.
        gold: right answers of control tasks are fixed truth.
        prior: "estimated", "uniform", or a probability a category, then kept.
        smoothing: pseudo-votes added to each answer of each rater under each truth; then the
            normalisation is over all categories.
        progress: told how many more iterations are done; those not needed count at the end.

    Raises:
        TableError: a prior that is no distribution over the categories.
    """
    options = Options(max_iterations, tolerance, gold, prior, smoothing)
    said = _said(coded)
    found = em.estimate(coded, lambda counts: _log_cells(counts, said, options), options, progress)
    return _model(coded, found.posterior, found.counts, found.prior, found.losses, options)


def _sweep(
    model: DawidSkene, votes: CodedVotes, local: CodedVotes, touched: NDArray[np.bool_], most: int
) -> DawidSkene:
    """Local iterations over the touched utterances, beside the fixed counts of all others."""
    options, said = model.options, _said(votes)
    prior = em.fixed_prior(options.prior, model.categories)
    fixed = votes.gold[touched] if options.gold else None
    posterior = local.counts()
    posterior /= np.maximum(posterior.sum(axis=1, keepdims=True), 1)
    posterior[: len(model.labels)] = model.labels
    mine = posterior[touched]
    with ThreadPoolExecutor(em.N_THREADS) as threads:
        other_counts = _counts_of_others(model, votes, touched, threads)
        blocks = _blocks_within(local, touched)
        counts = other_counts + em.tally(blocks, mine, threads)
        for _ in range(most):
            before = mine.copy()
            now = posterior.mean(axis=0) if prior is None else prior
            log_cells = _log_cells(counts, said, options)
            found = em.expect(blocks, mine, log_cells, now, fixed, threads)
            counts = other_counts + found.counts
            posterior[touched] = mine
            if np.abs(mine - before).max() < SETTLED:
                break
    now = posterior.mean(axis=0) if prior is None else prior
    return _model(votes, posterior, counts, now, model.losses, options)


def _counts_of_others(
    model: DawidSkene, votes: CodedVotes, touched: NDArray[np.bool_], threads: ThreadPoolExecutor
) -> Floats:
    """Expected counts of the cells of `votes` without the utterances that are touched."""
    n_categories = len(model.categories)
    counts = np.zeros((em.n_cells_of(votes), n_categories))
    counts[: model.counts.size // n_categories] = _by_cell(model.counts)
    known = touched[: model.votes.n_utterances]
    if known.any():
        mine = model.votes.of(known[model.votes.utterance])
        found = em.tally(_blocks_within(mine, known), model.labels.to_numpy()[known], threads)
        counts[: len(found)] -= found
    return np.maximum(counts, 0)


def _blocks_within(votes: CodedVotes, touched: NDArray[np.bool_]) -> list[em.Block]:
    """Blocks of votes that are all of touched utterances, whose rows are those alone."""
    row = (np.cumsum(touched) - 1).astype(np.int32)[votes.utterance]
    return em.blocks_of(row, em.cells_of(votes), int(touched.sum()), em.n_cells_of(votes))


def _model(
    votes: CodedVotes,
    posterior: Floats,
    counts: Floats,
    prior: Floats,
    losses: list[float],
    options: Options,
) -> DawidSkene:
    n_categories = len(votes.categories)
    return DawidSkene(
        labels=votes.labels_table(posterior),
        prior=prior,
        confusion=_by_rater(_confusion(counts, _said(votes), options), n_categories),
        raters=votes.raters,
        losses=losses,
        categories=votes.categories,
        counts=_by_rater(counts, n_categories),
        votes=votes,
        options=options,
    )


def _said(votes: CodedVotes) -> NDArray[np.bool_]:
    """Whether a cell was ever voted, (n_cells, 1)."""
    return np.bincount(em.cells_of(votes), minlength=em.n_cells_of(votes))[:, None] > 0


def _confusion(counts: Floats, said: NDArray[np.bool_], options: Options) -> Floats:
    """The M-step: p(cell | truth), both sides (n_cells, n_categories)."""
    smoothed = counts + options.smoothing
    possible = said if options.smoothing == 0 else np.ones_like(said)
    weight = np.where(possible, np.maximum(smoothed, LEAST_COUNT), 0)
    answers = weight.reshape(-1, counts.shape[1], counts.shape[1])
    totals = answers.sum(axis=1, keepdims=True)
    nobody = np.full_like(answers, np.nan)  # a rater of another split: nothing is known of them
    shares: Floats = np.divide(answers, totals, out=nobody, where=totals > 0)
    return shares.reshape(counts.shape)


def _log_cells(counts: Floats, said: NDArray[np.bool_], options: Options) -> Floats:
    """As `_confusion`, in logs; 0 for cells that no vote will ask for."""
    confusion = _confusion(counts, said, options)
    return np.log(np.where(said, confusion, 1))


def _by_rater(cells: Floats, n_categories: int) -> Floats:
    """(n_raters x answers, truths) as (n_raters, truths, answers)."""
    return cells.reshape(-1, n_categories, n_categories).transpose(0, 2, 1)


def _by_cell(raters: Floats) -> Floats:
    """The reverse of `_by_rater`."""
    return raters.transpose(0, 2, 1).reshape(-1, raters.shape[1])
