"""Expectation-maximisation over votes: what Dawid-Skene and its relatives have in common.

A *cell* is what one rater can say: `rater * n_categories + answer`. An E-step is then a sparse
product of (utterance x cell) with the log-probabilities of the cells, and an M-step starts from
the product of its transpose with the posteriors. Both run over blocks of utterances, so that no
array of votes by categories is ever made and the work of a block stays in cache.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from affekt.exceptions import TableError
from affekt.scheme import Categories
from affekt.votes.coded import CodedVotes, by_row

BLOCK_VOTES = 1 << 18  # 262_144: small beside the posteriors, large beside the cells of raters
N_THREADS = min(os.cpu_count() or 1, 8)
IMPOSSIBLE = -1e300  # log 0 that stays 0 when multiplied by a probability of 0

Floats = NDArray[np.float64]
Prior = str | Sequence[float]
"""Of the true categories: "estimated", "uniform", or one probability a category."""


@dataclass(frozen=True)
class Options:
    """How expectation-maximisation runs.

    Raises:
        TableError: a number of iterations or of pseudo-votes below 0.
    """

    max_iterations: int = 100
    tolerance: float = 1e-5  # stop when the loss gains less than this, in nats a vote
    gold: bool = False  # gold answers are fixed truth
    prior: Prior = "estimated"
    smoothing: float = 0.0  # pseudo-votes a cell

    def __post_init__(self) -> None:
        if self.max_iterations < 0 or not self.smoothing >= 0:
            raise TableError("max_iterations and smoothing must be 0 or more")


@dataclass(frozen=True, eq=False)
class Block:
    """Neighbouring utterances with their votes."""

    rows: slice  # of the utterances
    cells: csr_array  # (n_rows, n_cells): how often each cell was voted


@dataclass(frozen=True, eq=False)
class Expectation:
    """What an E-step tells the M-step."""

    counts: Floats  # (n_cells, n_categories): expected votes of a cell where that is the truth
    mass: Floats  # (n_categories,): expected utterances
    entropy: float  # of all posteriors, in nats


@dataclass(frozen=True, eq=False)
class Estimate:
    """Where expectation-maximisation ended."""

    posterior: Floats  # (n_utterances, n_categories)
    counts: Floats  # (n_cells, n_categories)
    prior: Floats  # (n_categories,)
    losses: list[float]  # evidence lower bound a vote after each iteration, in nats


def estimate(
    coded: CodedVotes,
    maximise: Callable[[Floats], Floats],
    options: Options,
    progress: Callable[[int], None] | None = None,
) -> Estimate:
    """Run expectation-maximisation from the vote shares on.

    Args:
        coded: the votes; every rater known.
        maximise: the M-step: expected counts to log-probabilities, both (n_cells, n_categories).
        options: when to stop, and what is given.
        progress: told how many more iterations are done; those not needed count at the end.

    Raises:
        TableError: a prior that is none, see `fixed_prior`.
    """
    fixed = coded.gold if options.gold else None
    prior_given = fixed_prior(options.prior, coded.categories)
    posterior = coded.counts()
    posterior /= np.einsum("ij->i", posterior)[:, None]
    _fix(posterior, fixed)
    blocks = blocks_of(coded.utterance, cells_of(coded), coded.n_utterances, n_cells_of(coded))
    losses: list[float] = []
    with ThreadPoolExecutor(N_THREADS) as threads:
        counts = tally(blocks, posterior, threads)
        prior = posterior.mean(axis=0) if prior_given is None else prior_given
        log_cells = maximise(counts)
        for done in range(1, options.max_iterations + 1):
            found = expect(blocks, posterior, log_cells, prior, fixed, threads)
            counts = found.counts
            prior = found.mass / coded.n_utterances if prior_given is None else prior_given
            log_cells = maximise(counts)
            losses.append(_bound(found, log_cells, prior) / coded.n_votes)
            stop = len(losses) > 1 and losses[-1] - losses[-2] < options.tolerance
            if progress is not None:
                progress(options.max_iterations - done + 1 if stop else 1)
            if stop:
                break
    return Estimate(posterior, counts, prior, losses)


def fixed_prior(prior: Prior, categories: Categories) -> Floats | None:
    """The prior as given, (n_categories,), or None where it is to be estimated.

    Raises:
        TableError: an unknown word, or not one probability a category, or their sum is not 1.
    """
    if isinstance(prior, str):
        if prior not in ("estimated", "uniform"):
            raise TableError(f"prior {prior!r} is neither 'estimated' nor 'uniform' nor numbers")
        given = np.full(len(categories), 1 / len(categories))
        return None if prior == "estimated" else given
    given = np.asarray(prior, dtype=float)
    if given.shape != (len(categories),) or (given < 0).any() or abs(given.sum() - 1) > 1e-6:
        raise TableError(
            f"prior must be {len(categories)} probabilities that sum to 1, in the order of "
            f"{', '.join(categories)}"
        )
    scaled: Floats = given / given.sum()
    return scaled


def n_cells_of(coded: CodedVotes) -> int:
    """How many things there are to say: raters times categories."""
    return coded.n_raters * len(coded.categories)


def cells_of(coded: CodedVotes) -> NDArray[np.int32]:
    """The cell of each vote, (n_votes,)."""
    if n_cells_of(coded) > np.iinfo(np.int32).max:
        raise TableError(f"{coded.n_raters} raters are too many: confusions would not fit")
    cell = coded.rater * np.int32(len(coded.categories))
    cell += coded.label
    return cell


def blocks_of(
    row: NDArray[np.int32], cell: NDArray[np.int32], n_rows: int, n_cells: int
) -> list[Block]:
    """Votes by utterance, in blocks whose bounds depend on nothing but the votes.

    Args:
        row: (n_votes,) the utterance of each vote.
        cell: (n_votes,) the cell of each vote.
        n_rows: how many utterances there are.
        n_cells: how many cells there are.
    """
    order, starts = by_row(row, n_rows)
    cell = cell[order]
    n_votes = max(BLOCK_VOTES, 4 * n_cells)  # a block's own counts must not outweigh its votes
    bounds = np.unique(np.append(np.searchsorted(starts[:-1], range(0, len(row), n_votes)), n_rows))
    bounds = bounds if bounds[0] == 0 else np.append(0, bounds)
    ones = np.ones(max(int(np.diff(starts[bounds]).max()), 1))
    blocks = []
    for first, last in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        mine = cell[starts[first] : starts[last]]
        pointer = starts[first : last + 1] - starts[first]
        cells = csr_array((ones[: len(mine)], mine, pointer), shape=(last - first, n_cells))
        blocks.append(Block(slice(first, last), cells))
    return blocks


def tally(blocks: list[Block], posterior: Floats, threads: ThreadPoolExecutor) -> Floats:
    """Expected counts under given posteriors: (n_cells, n_categories)."""

    def one(block: Block) -> Floats:
        found: Floats = block.cells.T @ posterior[block.rows]
        return found

    return sum(threads.map(one, blocks), np.zeros((blocks[0].cells.shape[1], posterior.shape[1])))


def expect(
    blocks: list[Block],
    posterior: Floats,
    log_cells: Floats,
    prior: Floats,
    fixed: NDArray[np.int16] | None,
    threads: ThreadPoolExecutor,
) -> Expectation:
    """E-step: p(k) in proportion to prior(k) times the product of its votes' cells under k.

    Args:
        blocks: the votes.
        posterior: (n_utterances, n_categories), overwritten.
        log_cells: (n_cells, n_categories) log-probability of a cell where that is the truth.
        prior: (n_categories,).
        fixed: (n_utterances,) known truth, -1 = unknown; None = nothing is known.
        threads: sums are taken in the order of blocks, so their number changes no result.
    """
    log_prior = _log(prior)[:, None]

    def one(block: Block) -> tuple[Floats, Floats, float]:
        score = np.ascontiguousarray((block.cells @ log_cells).T)  # long rows: fast arithmetic
        score += log_prior
        score -= score.max(axis=0)
        p = np.exp(score)
        total = p.sum(axis=0)
        p /= total
        if fixed is not None:
            known = np.flatnonzero(fixed[block.rows] >= 0)
            p[:, known] = np.eye(len(p))[:, fixed[block.rows][known]]
            score[:, known], total[known] = 0, 1
        entropy = np.log(total).sum() - np.einsum("ij,ij->", p, score)
        rows = posterior[block.rows]
        rows[:] = p.T
        return block.cells.T @ rows, p.sum(axis=1), float(entropy)

    counts, mass, entropy = np.zeros_like(log_cells), np.zeros_like(prior), 0.0
    for more_counts, more_mass, more_entropy in threads.map(one, blocks):
        counts += more_counts
        mass += more_mass
        entropy += more_entropy
    return Expectation(counts, mass, entropy)


def _fix(posterior: Floats, fixed: NDArray[np.int16] | None) -> None:
    """Give the known truths all the mass of their rows."""
    if fixed is not None:
        known = np.flatnonzero(fixed >= 0)
        posterior[known] = np.eye(posterior.shape[1])[fixed[known]]


def _bound(found: Expectation, log_cells: Floats, prior: Floats) -> float:
    """Evidence lower bound, in nats; the prior counts once a vote (spec 1.2.2)."""
    expected = np.einsum("ij,ij->", found.counts, log_cells)
    return float(expected + found.counts.sum(axis=0) @ _log(prior) + found.entropy)


def _log(prior: Floats) -> Floats:
    with np.errstate(divide="ignore"):
        return np.maximum(np.log(prior), IMPOSSIBLE)
