"""The answer that has heard nothing: the training part's most frequent label."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from affekt.exceptions import AffektError

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class DummyConfig:
    """`n_outputs` classes."""

    n_outputs: int


class Dummy:
    """Answers the majority of the training labels, of equally frequent ones the first.

    No network: it is fitted at once, and what it gives is class indices, not logits.
    """

    def __init__(self, config: DummyConfig) -> None:
        self.config = config
        self.answer: int | None = None

    def fit(self, features: Sequence[Floats], labels: ArrayLike) -> None:
        """Count the labels.

        Args:
            features: one array an utterance; only how many there are matters.
            labels: (n_utterances,) class indices.

        Raises:
            AffektError: no utterance.
            ValueError: labels that are not one class index an utterance.
        """
        classes = class_indices(labels, len(features), self.config.n_outputs)
        self.answer = int(np.bincount(classes).argmax())

    def predict(self, features: Sequence[Floats]) -> Indices:
        """Give the same class index for every utterance, (n_utterances,)."""
        if self.answer is None:
            raise RuntimeError("fit comes before predict")
        return np.full(len(features), self.answer, dtype=np.int64)


def class_indices(labels: ArrayLike, n_utterances: int, n_outputs: int) -> Indices:
    """Labels as class indices of the training part, one an utterance.

    Raises:
        AffektError: no utterance.
        ValueError: another number of labels, or one outside 0 .. n_outputs - 1.
    """
    classes = np.asarray(labels)
    if not n_utterances:
        raise AffektError("the training part has no utterance: there is nothing to learn from")
    if classes.shape != (n_utterances,) or not np.issubdtype(classes.dtype, np.integer):
        raise ValueError(f"labels must be {n_utterances} class indices, one an utterance")
    if classes.min() < 0 or classes.max() >= n_outputs:
        raise ValueError(f"class indices must lie in 0 .. {n_outputs - 1}")
    return classes.astype(np.int64)
