"""Frame by frame: a random forest taught the loudest frames, whose frames then vote (spec 4.5)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from affekt.exceptions import AffektError
from affekt.models.dummy import class_indices

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

ENERGY = 1  # column of the short-term energy among the 34 features


@dataclass(frozen=True)
class ForestConfig:
    """`n_trees` trees for `n_outputs` classes, taught `n_loudest` frames an utterance."""

    n_outputs: int
    n_trees: int = 1000
    n_loudest: int = 2
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.n_trees, self.n_loudest) < 1:
            raise ValueError("n_trees and n_loudest are 1 or more")


class Forest:
    """Every frame of an utterance is classified, and the majority of its frames is the answer.

    No network: it is fitted at once, needs scikit-learn, and cannot be kept in a checkpoint,
    for scikit-learn's trees are stored as pickles only.
    """

    def __init__(self, config: ForestConfig) -> None:
        self.config = config
        self._trees: Any = None

    def fit(self, features: Sequence[Floats], labels: ArrayLike) -> None:
        """Teach the loudest frames their utterance's label, classes weighed alike.

        Args:
            features: one array an utterance, (n_frames, n_features), `ENERGY` a column of it.
            labels: (n_utterances,) class indices. A class that is absent is never answered.

        Raises:
            AffektError: no utterance, one without frames or not finite, or no scikit-learn.
            ValueError: labels that are not one class index an utterance.
        """
        try:
            from sklearn.ensemble import RandomForestClassifier
        except ImportError as problem:
            raise AffektError(
                "a forest needs scikit-learn: pip install 'affekt[train]'"
            ) from problem
        classes = class_indices(labels, len(features), self.config.n_outputs)
        _check(features)
        loudest = [loudest_frames(frames, self.config.n_loudest) for frames in features]
        trees = RandomForestClassifier(
            self.config.n_trees, class_weight="balanced", random_state=self.config.seed
        )
        counts = [len(frames) for frames in loudest]
        self._trees = trees.fit(np.concatenate(loudest), np.repeat(classes, counts))

    def frame_probabilities(self, features: Sequence[Floats]) -> list[Floats]:
        """Give each utterance's frames, (n_frames, n_outputs), rows sum to 1.

        Raises:
            AffektError: an utterance without frames, or not finite.
        """
        if self._trees is None:
            raise RuntimeError("fit comes before predict")
        _check(features)
        if not len(features):
            return []
        shares = np.zeros((sum(map(len, features)), self.config.n_outputs))
        shares[:, self._trees.classes_] = self._trees.predict_proba(np.concatenate(features))
        return np.split(shares, np.cumsum([len(frames) for frames in features])[:-1])

    def predict(self, features: Sequence[Floats]) -> Indices:
        """Give the class index of each utterance, (n_utterances,).

        Raises:
            AffektError: an utterance without frames, or not finite.
        """
        votes = [vote(frames) for frames in self.frame_probabilities(features)]
        return np.array(votes, dtype=np.int64)


def loudest_frames(frames: Floats, n_loudest: int) -> Floats:
    """The frames of highest energy, loudest first; of equal ones the earlier.

    >>> frames = np.array([[0, 0.1], [1, 0.3], [2, 0.2], [3, 0.3]])
    >>> loudest_frames(frames, 2)[:, 0].tolist()
    [1.0, 3.0]
    """
    return frames[np.argsort(-frames[:, ENERGY], kind="stable")[:n_loudest]]


def vote(probabilities: Floats) -> int:
    """The class that most frames answer; of tied ones that with the higher summed probability.

    Args:
        probabilities: (n_frames, n_classes).

    >>> vote(np.array([[0.6, 0.4, 0.0], [0.1, 0.9, 0.0]]))  # a frame each: 0.7 against 1.3
    1
    """
    answers = probabilities.argmax(axis=1)
    n_votes = np.bincount(answers, minlength=probabilities.shape[1])
    summed = np.where(n_votes == n_votes.max(), probabilities.sum(axis=0), -1.0)
    return int(summed.argmax())


def _check(features: Sequence[Floats]) -> None:
    for number, frames in enumerate(features):
        if not len(frames):
            raise AffektError(
                f"utterance {number} has no frame: leave it out, "
                "or lower the energy below which frames are dropped"
            )
        if not np.isfinite(frames).all():
            raise AffektError(f"utterance {number}: a feature is not finite; leave it out")
