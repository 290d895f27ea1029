"""How right a prediction is, on plain arrays (spec 0.3).

Class indices are integers 0 .. n_classes - 1, probabilities are rows (n, n_classes) that sum to 1.
`accuracy` is the share of right answers, `unweighted_average_recall` the mean over classes of
recall ("UAR"); papers call either "WA" or "UA", so neither name is used here.

The functions that begin with `confusion_` take confusion matrices, one (c, c) or many
(..., c, c): a bootstrap evaluates a thousand at once.
"""

import warnings
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

PROBABILITY_FLOOR = 1e-12  # -log of it is 27.6 nats: what a truth called impossible costs


def confusion_matrix(truth: ArrayLike, prediction: ArrayLike, n_classes: int) -> Indices:
    """Count how often class i was answered with class j.

    Args:
        truth: (n,) class indices.
        prediction: (n,) class indices.
        n_classes: c, above every index.

    Returns:
        (c, c): rows truth, columns prediction.

    Raises:
        ValueError: different lengths, or an index outside 0 .. n_classes - 1.

    >>> confusion_matrix([0, 0, 1], [0, 1, 1], 2).tolist()
    [[1, 1], [0, 1]]
    """
    true, predicted = _indices(truth, prediction)
    both = np.concatenate([true, predicted])
    if both.size and not (both.min() >= 0 and both.max() < n_classes):
        raise ValueError(f"class indices must lie in 0 .. {n_classes - 1}")
    counts = np.bincount(true * n_classes + predicted, minlength=n_classes * n_classes)
    return counts.reshape(n_classes, n_classes).astype(np.int64)


def accuracy(truth: ArrayLike, prediction: ArrayLike) -> float:
    """Share of right answers, in 0 .. 1; NaN for none at all.

    Source: spec 0.3. Equals the micro-averaged F1 over all classes.

    >>> accuracy([0, 1, 1, 2], [0, 1, 2, 2])
    0.75
    """
    true, predicted = _indices(truth, prediction)
    return float((true == predicted).mean()) if true.size else float("nan")


def recall_per_class(truth: ArrayLike, prediction: ArrayLike, n_classes: int) -> Floats:
    """recall_k = correct_k / truth_k, (n_classes,); NaN where class k is absent from the truth.

    >>> recall_per_class([0, 0, 1], [0, 1, 1], 3).tolist()
    [0.5, 1.0, nan]
    """
    return confusion_recall(confusion_matrix(truth, prediction, n_classes))


def precision_per_class(truth: ArrayLike, prediction: ArrayLike, n_classes: int) -> Floats:
    """precision_k = correct_k / predicted_k, (n_classes,); NaN where class k is never predicted.

    >>> precision_per_class([0, 0, 1], [0, 1, 1], 3).tolist()
    [1.0, 0.5, nan]
    """
    return confusion_precision(confusion_matrix(truth, prediction, n_classes))


def f1_per_class(truth: ArrayLike, prediction: ArrayLike, n_classes: int) -> Floats:
    """F1_k = 2 correct_k / (truth_k + predicted_k), (n_classes,); NaN where the truth has no k.

    >>> f1_per_class([0, 0, 1, 1], [0, 0, 1, 0], 2).tolist()
    [0.8, 0.6666666666666666]
    """
    return confusion_f1(confusion_matrix(truth, prediction, n_classes))


def unweighted_average_recall(
    truth: ArrayLike, prediction: ArrayLike, classes: Sequence[int] | None = None
) -> float:
    """Mean over classes of recall ("UAR"), in 0 .. 1.

    Args:
        truth: (n,) class indices.
        prediction: (n,) class indices.
        classes: the classes in the mean; None: those present in the truth. A class of the list
            that the truth lacks has no recall: it is skipped, with a warning.

    Source: spec 0.3.

    >>> unweighted_average_recall([0, 0, 0, 1], [0, 0, 0, 0])
    0.5
    """
    return _mean_over_classes(truth, prediction, classes, confusion_recall)


def macro_f1(
    truth: ArrayLike, prediction: ArrayLike, classes: Sequence[int] | None = None
) -> float:
    """Mean over classes of F1, in 0 .. 1; `classes` as in `unweighted_average_recall`.

    A class that is predicted but absent from the truth costs others their recall; it has no term
    of its own in the mean.

    >>> round(macro_f1([0, 0, 1, 1], [0, 0, 1, 0]), 4)
    0.7333
    """
    return _mean_over_classes(truth, prediction, classes, confusion_f1)


def confusion_accuracy(confusion: NDArray[np.generic]) -> Floats:
    """Accuracy of each confusion matrix: (..., c, c) -> (...)."""
    right = np.trace(confusion, axis1=-2, axis2=-1)
    return _ratio(right, confusion.sum(axis=(-2, -1)))


def confusion_recall(confusion: NDArray[np.generic]) -> Floats:
    """Recall per class of each confusion matrix: (..., c, c) -> (..., c), NaN where absent."""
    return _ratio(np.diagonal(confusion, axis1=-2, axis2=-1), confusion.sum(axis=-1))


def confusion_precision(confusion: NDArray[np.generic]) -> Floats:
    """Precision per class of each confusion matrix, NaN where the class is never predicted."""
    return _ratio(np.diagonal(confusion, axis1=-2, axis2=-1), confusion.sum(axis=-2))


def confusion_f1(confusion: NDArray[np.generic]) -> Floats:
    """F1 per class of each confusion matrix: (..., c, c) -> (..., c), NaN where absent."""
    true, predicted = confusion.sum(axis=-1), confusion.sum(axis=-2)
    right = np.diagonal(confusion, axis1=-2, axis2=-1)
    return np.where(true > 0, _ratio(2 * right, true + predicted), np.nan)


def mean_present(per_class: Floats) -> Floats:
    """Mean over the last axis without its NaN: (..., c) -> (...); NaN where all are.

    >>> mean_present(np.array([1.0, 0.5, np.nan])).tolist()
    0.75
    """
    present = ~np.isnan(per_class)
    return _ratio(np.where(present, per_class, 0.0).sum(axis=-1), present.sum(axis=-1))


def cross_entropy(truth: ArrayLike, prediction: ArrayLike) -> float:
    """Mean over rows of -sum_k truth_k log prediction_k, in nats, >= 0.

    With soft truth its least value is the mean entropy of the truth, not 0.

    Args:
        truth: (n, c) probabilities, hard (one-hot) or soft.
        prediction: (n, c) probabilities; below 1e-12 they count as 1e-12.

    Raises:
        ValueError: the shapes differ.

    >>> round(cross_entropy([[0.5, 0.5]], [[0.25, 0.75]]), 4)
    0.837
    """
    true, predicted = _rows(truth, prediction)
    return float(-(true * np.log(np.maximum(predicted, PROBABILITY_FLOOR))).sum(axis=1).mean())


def brier_score(truth: ArrayLike, prediction: ArrayLike) -> float:
    """Mean over rows of sum_k (prediction_k - truth_k)^2, in 0 .. 2 (Brier 1950).

    Args:
        truth: (n, c) probabilities, hard or soft.
        prediction: (n, c) probabilities.

    >>> brier_score([[1, 0]], [[0.8, 0.2]]).__round__(4)
    0.08
    """
    true, predicted = _rows(truth, prediction)
    return float(((true - predicted) ** 2).sum(axis=1).mean())


def pearson(truth: ArrayLike, prediction: ArrayLike) -> Floats:
    """Pearson's r, -1 .. 1, of each column: covariance over the product of standard deviations.

    Args:
        truth: (n,) or (n, k) numbers.
        prediction: of the same shape.

    Returns:
        () or (k,); NaN where one of the two is constant, or there is one row alone.

    Raises:
        ValueError: the shapes differ, or there is no row.

    >>> pearson([[0, 1], [1, 1], [2, 1]], [[1, 0], [3, 2], [2, 1]]).round(4).tolist()
    [0.5, nan]
    """
    true, predicted = _columns(truth, prediction)
    varied = (np.ptp(true, axis=0) > 0) & (np.ptp(predicted, axis=0) > 0)  # rounding hides it below
    true, predicted = true - true.mean(axis=0), predicted - predicted.mean(axis=0)
    scale = np.sqrt(np.square(true).sum(axis=0) * np.square(predicted).sum(axis=0))
    return _ratio((true * predicted).sum(axis=0), np.where(varied, scale, 0.0))


def spearman(truth: ArrayLike, prediction: ArrayLike) -> Floats:
    """Spearman's rho, -1 .. 1, of each column: Pearson's r of the ranks, equal values sharing one.

    Args, returns and errors are those of `pearson`.

    >>> float(spearman([0.1, 0.2, 0.2, 0.9], [1, 20, 20, 300]))
    1.0
    """
    return pearson(*(np.apply_along_axis(_ranks, 0, x) for x in _columns(truth, prediction)))


class Reliability(NamedTuple):
    """Answers sorted into bins of confidence: edges (b + 1,), then (b,) each; NaN in empty bins."""

    edges: Floats
    n: Indices
    confidence: Floats
    accuracy: Floats


def reliability(truth: ArrayLike, probabilities: ArrayLike, n_bins: int = 15) -> Reliability:
    """Confidence (the largest probability) against accuracy, in bins of equal width.

    Bin i holds the rows with i / n_bins < confidence <= (i + 1) / n_bins.

    Args:
        truth: (n,) class indices.
        probabilities: (n, c) rows; the answer is the first of the largest.
        n_bins: b.

    Raises:
        ValueError: different lengths, or no bin.
    """
    scores = np.asarray(probabilities, dtype=float)
    if n_bins < 1:
        raise ValueError("there must be at least one bin")
    true, answer = _indices(truth, scores.argmax(axis=1))
    confidence = scores.max(axis=1)
    place = np.clip(np.ceil(confidence * n_bins).astype(int) - 1, 0, n_bins - 1)
    n = np.bincount(place, minlength=n_bins)
    return Reliability(
        edges=np.arange(n_bins + 1) / n_bins,
        n=n,
        confidence=_ratio(np.bincount(place, confidence, n_bins), n),
        accuracy=_ratio(np.bincount(place, true == answer, n_bins), n),
    )


def expected_calibration_error(
    truth: ArrayLike, probabilities: ArrayLike, n_bins: int = 15
) -> float:
    """ECE = sum over bins of n_b / n |accuracy_b - confidence_b|, in 0 .. 1 (Guo et al. 2017).

    Bins of equal width over the confidence of the answer, as in `reliability`; the value depends
    on their number, so a report names it.

    >>> round(expected_calibration_error([0, 0, 1, 1], [[0.9, 0.1]] * 4, n_bins=10), 4)
    0.4
    """
    bins = reliability(truth, probabilities, n_bins)
    gaps = np.abs(bins.accuracy - bins.confidence)[bins.n > 0]
    return float((bins.n[bins.n > 0] * gaps).sum() / bins.n.sum()) if bins.n.sum() else float("nan")


def _ranks(values: Floats) -> Floats:
    """Place of each number in their order, (n,); equal numbers have the mean of their places."""
    _, which, times = np.unique(values, return_inverse=True, return_counts=True)
    ranks: Floats = (np.cumsum(times) - (times - 1) / 2)[which]
    return ranks


def _mean_over_classes(
    truth: ArrayLike,
    prediction: ArrayLike,
    classes: Sequence[int] | None,
    per_class: Callable[[NDArray[np.generic]], Floats],
) -> float:
    true, predicted = _indices(truth, prediction)
    highest = max([*true, *predicted, *(classes or ())], default=0)
    values = per_class(confusion_matrix(true, predicted, int(highest) + 1))
    if classes is not None:
        values = values[list(classes)]
        absent = [k for k, value in zip(classes, values, strict=True) if np.isnan(value)]
        if absent:
            warnings.warn(f"skipped in the mean, absent from the truth: {absent}", stacklevel=3)
    return float(mean_present(values))


def _indices(truth: ArrayLike, prediction: ArrayLike) -> tuple[Indices, Indices]:
    true, predicted = np.asarray(truth), np.asarray(prediction)
    if true.shape != predicted.shape or true.ndim != 1:
        raise ValueError(f"truth {true.shape} and prediction {predicted.shape} must be (n,) both")
    return true.astype(np.int64), predicted.astype(np.int64)


def _rows(truth: ArrayLike, prediction: ArrayLike) -> tuple[Floats, Floats]:
    true, predicted = np.asarray(truth, dtype=float), np.asarray(prediction, dtype=float)
    if true.shape != predicted.shape or true.ndim != 2:
        raise ValueError(f"truth {true.shape} and prediction {predicted.shape} must be (n, c) both")
    return true, predicted


def _columns(truth: ArrayLike, prediction: ArrayLike) -> tuple[Floats, Floats]:
    true, predicted = np.asarray(truth, dtype=float), np.asarray(prediction, dtype=float)
    if true.shape != predicted.shape or true.ndim not in (1, 2) or not len(true):
        raise ValueError(f"{true.shape} and {predicted.shape} must be (n,) or (n, k) both, n >= 1")
    return true, predicted


def _ratio(above: ArrayLike, below: ArrayLike) -> Floats:
    upper, lower = np.asarray(above, dtype=float), np.asarray(below, dtype=float)
    ratio = np.full(upper.shape, np.nan)
    np.divide(upper, lower, out=ratio, where=lower > 0)
    return ratio
