"""Bring scores to a label set or a prior the model was not trained for."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from affekt.exceptions import TableError


def ban(scores: ArrayLike, labels: Sequence[str], allowed: Sequence[str]) -> NDArray[np.float64]:
    """Renormalise probabilities over the allowed labels; all others get exactly 0.

    p'_k = p_k / sum over allowed j of p_j. A row without any mass on the allowed labels says
    nothing about them and becomes uniform over them.

    Args:
        scores: (..., c) probabilities or other scores >= 0, columns in the order of `labels`.
        labels: the c labels of the columns.
        allowed: those that may be answered.

    Returns:
        (..., c), rows sum to 1.

    Raises:
        TableError: an allowed label is not among `labels`, none is allowed, or the columns do not
            fit `labels`.

    >>> ban([0.2, 0.3, 0.5], ["anger", "calm", "fear"], ["anger", "calm"]).tolist()
    [0.4, 0.6, 0.0]
    """
    values = np.asarray(scores, dtype=float)
    if values.shape[-1:] != (len(labels),):
        raise TableError(f"scores of shape {values.shape} do not fit {len(labels)} labels")
    strange = [label for label in allowed if label not in labels]
    if strange:
        known = ", ".join(labels)
        raise TableError(f"unknown label {', '.join(map(repr, strange))}; choose from {known}")
    if not allowed:
        raise TableError(f"no label is allowed; choose from {', '.join(labels)}")
    keep = np.array([label in allowed for label in labels])
    kept = np.where(keep, values, 0.0)
    mass = kept.sum(axis=-1, keepdims=True)
    return np.where(mass > 0, kept / np.where(mass > 0, mass, 1.0), keep / keep.sum())


def adjust_logits(logits: ArrayLike, prior: ArrayLike, tau: float = 1.0) -> NDArray[np.float64]:
    """z'_k = z_k - tau log prior_k: answers as if every label had been equally frequent.

    Args:
        logits: (..., c).
        prior: (c,) share of each label in training, all above 0, sum 1.
        tau: 0 leaves the logits alone, 1 takes the whole prior out.

    Raises:
        TableError: the prior does not fit, does not sum to 1, or has a 0 (ban that label instead).

    Source: Menon et al. 2021, arXiv:2007.07314 (post-hoc logit adjustment).

    >>> adjust_logits(np.log([0.8, 0.2]), [0.8, 0.2]).round(6).tolist()
    [0.0, 0.0]
    """
    values, share = np.asarray(logits, dtype=float), np.asarray(prior, dtype=float)
    if share.ndim != 1 or values.shape[-1:] != share.shape:
        raise TableError(f"a prior of shape {share.shape} does not fit logits {values.shape}")
    if not (share > 0).all() or abs(share.sum() - 1) > 1e-4:
        raise TableError("a prior must be above 0 and sum to 1; ban labels that were never trained")
    adjusted: NDArray[np.float64] = values - tau * np.log(share)
    return adjusted
