"""From log-likelihoods of the candidate truths to what is believed of each utterance."""

from functools import reduce

import numpy as np
from numpy.typing import NDArray

from affekt.votes.coded import CodedVotes


def posterior(log_joint: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Normalise log p(votes, truth) over the truth.

    Args:
        log_joint: (n_utterances, n_categories); -inf where a truth is ruled out, not in all of
            a row.

    Returns:
        p(truth | votes), rows sum to 1, and the log evidence: the sum over utterances of
        log sum_k p(votes, truth k), in nats.

    >>> belief, evidence = posterior(np.log([[0.3, 0.1]]))
    >>> belief.round(4).tolist(), round(float(np.exp(evidence)), 4)
    ([[0.75, 0.25]], 0.4)
    """
    # Rows are short: column by column is ten times as fast as a reduction of each row.
    top = reduce(np.maximum, log_joint.T)
    belief = np.exp(log_joint - top[:, None])
    total = reduce(np.add, belief.T)
    belief /= total[:, None]
    return belief, float(top.sum() + np.log(total).sum())


def log_candidates(
    coded: CodedVotes, prior: NDArray[np.float64], *, gold: bool
) -> NDArray[np.float64]:
    """Log prior of each truth: (n_utterances, n_categories), or one row for all of them.

    With `gold` an utterance whose right answer is known has no other candidate.

    >>> import pandas as pd
    >>> from affekt.scheme import Categories
    >>> from affekt.votes.coded import code
    >>> said = [("a", "x", "no", "yes"), ("b", "x", "no", None)]
    >>> votes = pd.DataFrame(said, columns=["utterance", "rater", "label", "gold"])
    >>> coded = code(votes, Categories("two", ("yes", "no")))
    >>> log_candidates(coded, np.array([1.0, 1.0]), gold=True).tolist()
    [[0.0, -inf], [0.0, 0.0]]
    """
    with np.errstate(divide="ignore"):
        log_prior = np.log(prior)[None]
    known = coded.gold >= 0
    if not gold or not known.any():
        return log_prior
    candidates = np.repeat(log_prior, coded.n_utterances, axis=0)
    candidates[known] = -np.inf
    candidates[known, coded.gold[known]] = 0.0
    return candidates
