"""Adaptation without labels: take away what recordings of a speaker or a corpus have in common.

Heads read pooled statistics of an encoder (`affekt.frozen`). How a voice sounds on average, and
the room and line it is heard through, shift them all alike; a mean over unlabelled recordings
tells that shift. What is left is measured from it, and put where the training data lay.

Answers then depend on which other recordings there are. So they are no strict zero-shot results,
and are reported apart, under the mode's name.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from affekt.exceptions import TableError

MODES = ("recording", "speaker", "folder")
"""Whose mean is taken away: that of a recording's segments, of a speaker's recordings, of all."""

LEAST = 2  # of a group: one minus itself is nothing


@dataclass(frozen=True, eq=False)
class Baseline:
    """How somebody, or a corpus, sounds on average: `mean` (...), over `n` utterances."""

    mean: NDArray[np.float64]
    n: int


def baseline(statistics: ArrayLike) -> Baseline:
    """Average over utterances, labelled or not.

    Args:
        statistics: (n, ...), n utterances, segments or enrolled files.

    Raises:
        TableError: there is none, or a value is not finite.
    """
    values = np.asarray(statistics, dtype=float)
    if values.ndim < 1 or not len(values):
        raise TableError("a baseline needs recordings: give one or more")
    if not np.isfinite(values).all():
        raise TableError("a baseline of values that are not finite: compute the statistics anew")
    return Baseline(values.mean(axis=0), len(values))


def shift(
    statistics: ArrayLike, own: Baseline, reference: Baseline, *, prior: float = 0.0
) -> NDArray[np.float64]:
    """Give x - m + r: measured from the own mean, put where the training data lay.

    m = (n own + prior r) / (n + prior): a mean over few is drawn to the reference, as if so many
    of the training utterances had been among them.

    Args:
        statistics: (n, ...), to be changed.
        own: of the same speaker, recording or corpus.
        reference: r, of the training utterances.
        prior: utterances, 0 or more; infinite: nothing changes.

    Raises:
        TableError: shapes differ, or `prior` is negative.

    >>> enrolled, reference = Baseline(np.array([5.0]), 3), Baseline(np.array([1.0]), 100)
    >>> shift([[6.0]], enrolled, reference).tolist()
    [[2.0]]
    >>> shift([[6.0]], enrolled, reference, prior=3).tolist()
    [[4.0]]
    """
    values = np.asarray(statistics, dtype=float)
    if not values.shape[1:] == own.mean.shape == reference.mean.shape:
        raise TableError(
            f"statistics of shape {values.shape[1:]}, a baseline of {own.mean.shape} and a"
            f" reference of {reference.mean.shape} do not fit: take the same encoder and layers"
        )
    if not prior >= 0:
        raise TableError(f"prior {prior}: choose 0 or more utterances")
    share = 0.0 if prior == np.inf else own.n / (own.n + prior)
    moved: NDArray[np.float64] = values - share * (own.mean - reference.mean)
    return moved


def adapt(
    statistics: ArrayLike,
    groups: Sequence[Any] | NDArray[Any],
    reference: Baseline,
    *,
    mode: str,
    prior: float = 0.0,
) -> NDArray[np.float64]:
    """Shift each group of utterances by its own unlabelled mean.

    Args:
        statistics: (n, ...).
        groups: (n,), the recording, speaker or folder that each is of.
        reference: of the training utterances.
        mode: one of MODES, which says what the groups are; for messages.
        prior: as in `shift`.

    Returns:
        (n, ...), in the order given. With `prior` 0 every group's mean is the reference's.

    Raises:
        TableError: an unknown mode; groups do not fit, or one is unknown; a group has less than
            two utterances and no prior, so that nothing would be left of it.
    """
    values = np.asarray(statistics, dtype=float)
    names, codes = _coded(groups, len(values), mode)
    counts = np.bincount(codes, minlength=len(names))
    if prior == 0 and counts.min() < LEAST:
        alone = names[int(counts.argmin())]
        raise TableError(
            f"--adapt {mode}: {alone!r} has {counts.min()} utterance, of which nothing is left"
            " when its mean is taken away: choose a wider mode, or a prior above 0"
        )
    adapted = np.empty_like(values)
    for code in range(len(names)):
        mine = codes == code
        adapted[mine] = shift(values[mine], baseline(values[mine]), reference, prior=prior)
    return adapted


def refuse_one_label(groups: Sequence[Any], labels: Sequence[Any], *, mode: str) -> None:
    """Refuse a mode that takes the labels away with the groups' means (URDU's speakers, say).

    Where each speaker was recorded in one emotion, the mean of a speaker is that emotion. Labels
    are looked at for this alone, where there are any: an evaluation asks before it adapts.

    Args:
        groups: (n,), as in `adapt`.
        labels: (n,), the true class of each.
        mode: one of MODES.

    Raises:
        TableError: most groups have one label only, though there are several labels.
    """
    names, codes = _coded(groups, len(labels), mode)
    found: list[set[Any]] = [set() for _ in names]
    for code, label in zip(codes, labels, strict=True):
        found[code].add(label)
    pure = [str(name) for name, own in zip(names, found, strict=True) if len(own) == 1]
    if len(set().union(*found)) > 1 and 2 * len(pure) > len(names):
        raise TableError(
            f"--adapt {mode}: {len(pure)} of {len(names)} groups have one label only, {pure[0]!r}"
            " first: their means are what is to be told apart; choose a wider mode, or none"
        )


def _coded(
    groups: Sequence[Any] | NDArray[Any], n: int, mode: str
) -> tuple[list[Any], NDArray[np.int64]]:
    """Give the groups in order of appearance, and the number of each row's."""
    if mode not in MODES:
        raise TableError(f"unknown adaptation {mode!r}: choose {', '.join(MODES)}")
    if len(groups) != n or not n:
        raise TableError(f"--adapt {mode}: {len(groups)} groups for {n} utterances")
    numbers: dict[Any, int] = {}
    for row, group in enumerate(groups):
        if group is None or group == "" or group != group:
            raise TableError(
                f"--adapt {mode}: row {row} has no {mode}: name it, or choose another mode"
            )
        numbers.setdefault(group, len(numbers))
    return list(numbers), np.array([numbers[group] for group in groups])
