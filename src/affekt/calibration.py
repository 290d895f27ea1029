"""Make scores mean what they say: one temperature, fitted on speakers held out."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

TEMPERATURE_RANGE = (0.05, 20.0)


def softmax(logits: ArrayLike, temperature: float = 1.0) -> NDArray[np.float64]:
    """p_k = exp(z_k / T) / sum_j exp(z_j / T) over the last axis.

    Args:
        logits: (..., c).
        temperature: T > 0; above 1 it makes the answer less sure.

    Raises:
        ValueError: T is not above 0.

    >>> softmax([0.0, np.log(3)]).round(4).tolist()
    [0.25, 0.75]
    """
    return np.exp(_log_softmax(np.asarray(logits, dtype=float), temperature))


def fit_temperature(logits: ArrayLike, target_probabilities: ArrayLike) -> float:
    """The T in .05 .. 20 that makes softmax(logits / T) nearest to the targets.

    Minimises the mean cross-entropy -sum_k target_k log softmax(logits / T)_k, convex in 1 / T,
    by bounded search over log T. Fit it on speakers that the logits' model was not trained on.
    Where every answer is right T ends at the lower bound.

    Args:
        logits: (n, c).
        target_probabilities: (n, c), hard (one-hot) or soft rows.

    Raises:
        ValueError: no rows, different shapes, or logits that are not finite.

    Source: Guo et al. 2017, arXiv:1706.04599, with soft targets.
    """
    from scipy.optimize import minimize_scalar

    scores, target = np.asarray(logits, dtype=float), np.asarray(target_probabilities, dtype=float)
    if scores.shape != target.shape or scores.ndim != 2 or not scores.size:
        raise ValueError(f"logits {scores.shape} and targets {target.shape} must be (n, c), n > 0")
    if not np.isfinite(scores).all():
        raise ValueError("logits must be finite: fit the temperature before banning labels")

    def loss(log_temperature: float) -> float:
        return float(-(target * _log_softmax(scores, float(np.exp(log_temperature)))).sum(1).mean())

    found = minimize_scalar(
        loss, bounds=np.log(TEMPERATURE_RANGE), method="bounded", options={"xatol": 1e-6}
    )
    return float(np.exp(found.x))


def _log_softmax(logits: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    if not temperature > 0:
        raise ValueError(f"temperature is {temperature}; it must be above 0")
    scaled = logits / temperature
    scaled -= scaled.max(axis=-1, keepdims=True)
    log_sum: NDArray[np.float64] = np.log(np.exp(scaled).sum(axis=-1, keepdims=True))
    return scaled - log_sum
