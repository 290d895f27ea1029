"""From scores along time to segments: which emotion, from when to when.

A recording is tiled by steps of `hop` seconds; the scores of a step are those of a longer
window centred on it. The most plausible path of labels through the steps becomes segments.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from affekt.vad import runs

Floats = NDArray[np.float32] | NDArray[np.float64]

SWITCH_COST = 1.0  # nats of evidence that a change of label must bring
LOWEST = 1e-4  # probability below which no score counts, so that no single step decides alone


@dataclass(frozen=True)
class Segment:
    """A stretch of one emotion: `start`, `end` in s, `probability` = mean score of its label."""

    start: float
    end: float
    label: str
    probability: float


@dataclass(frozen=True, eq=False)
class Timeline:
    """A recording's emotions along time.

    Attributes:
        times: start and end of each step in s, shape (n_steps, 2); the steps tile the recording.
        scores: probabilities of the window centred on each step, shape (n_steps, n_labels).
        labels: names of the columns.
        segments: stretches of one label, in order; pauses between them have none.
        overall: label -> probability for the recording as a whole.
        duration: s.
    """

    times: NDArray[np.float64]
    scores: NDArray[np.float32]
    labels: tuple[str, ...]
    segments: tuple[Segment, ...]
    overall: dict[str, float]
    duration: float


def steps(duration: float, window: float, hop: float) -> NDArray[np.float64]:
    """Tile a recording: steps of `hop` s, the last one as short as it comes.

    A recording no longer than one window is one step.

    Returns:
        Start and end in s, shape (n_steps, 2), n_steps = 1 or ceil(duration / hop).

    >>> steps(2.2, window=2.0, hop=1.0).tolist()
    [[0.0, 1.0], [1.0, 2.0], [2.0, 2.2]]
    """
    if duration <= window:
        return np.array([[0.0, duration]])
    starts = np.arange(int(np.ceil(duration / hop - 1e-9))) * hop
    return np.stack([starts, np.minimum(starts + hop, duration)], axis=1)


def best_path(
    scores: Floats, *, evidence: Floats | None = None, switch_cost: float = SWITCH_COST
) -> NDArray[np.intp]:
    """Find the path of labels with the most evidence, where each change costs.

    Maximises sum_t evidence[t] * log max(scores[t, path[t]], LOWEST) - switch_cost * n_changes
    exactly (Viterbi 1967), in O(n_steps * n_labels).

    Args:
        scores: probabilities, shape (n_steps, n_labels), n_steps >= 1.
        evidence: weight of each step, shape (n_steps,); None = 1 each.
        switch_cost: nats.

    Returns:
        Column of each step, shape (n_steps,).

    >>> best_path(np.array([[0.9, 0.1], [0.4, 0.6], [0.9, 0.1]])).tolist()
    [0, 0, 0]
    """
    gain = np.log(np.maximum(np.asarray(scores, dtype=np.float64), LOWEST))
    if evidence is not None:
        gain *= np.asarray(evidence)[:, None]
    n_steps, n_labels = gain.shape
    came_from = np.empty((n_steps, n_labels), dtype=np.intp)
    stay = np.arange(n_labels)
    best = gain[0]
    for t in range(1, n_steps):
        leader = int(best.argmax())
        change = best[leader] - switch_cost
        came_from[t] = np.where(best >= change, stay, leader)
        best = np.maximum(best, change) + gain[t]
    path = np.empty(n_steps, dtype=np.intp)
    path[-1] = best.argmax()
    for t in range(n_steps - 1, 0, -1):
        path[t - 1] = came_from[t, path[t]]
    return path


def segments(
    times: Floats,
    scores: Floats,
    labels: Sequence[str],
    *,
    active: NDArray[np.bool_] | None = None,
    overlap: float = 1.0,
    switch_cost: float = SWITCH_COST,
) -> tuple[Segment, ...]:
    """Merge steps of one label on the best path; pauses cut, and belong to no segment.

    Args:
        times: start and end of each step in s, shape (n_steps, 2).
        scores: probabilities, shape (n_steps, n_labels).
        labels: names of the columns.
        active: False = the step is a pause, shape (n_steps,); None = no pauses.
        overlap: window / hop: how many windows repeat the same evidence.
        switch_cost: nats of evidence that a change of label must bring.

    >>> segments(np.array([[0.0, 0.5], [0.5, 1.0]]), np.array([[0.2, 0.8], [0.3, 0.7]]), "ab")
    (Segment(start=0.0, end=1.0, label='b', probability=0.75),)
    """
    speech = np.ones(len(times), dtype=bool) if active is None else active
    path = best_path(scores, evidence=speech / overlap, switch_cost=switch_cost)
    return tuple(
        Segment(
            start=round(float(times[first, 0]), 3),
            end=round(float(times[last - 1, 1]), 3),
            label=labels[path[first]],
            probability=float(np.mean(scores[first:last, path[first]])),
        )
        for first, last in runs(np.where(speech, path, -1))
        if speech[first]
    )


def active_steps(
    times: Floats, active: NDArray[np.bool_], level_seconds: float
) -> NDArray[np.bool_]:
    """Mark the steps in which any level is active.

    Args:
        times: start and end of each step in s, shape (n_steps, 2).
        active: one flag every `level_seconds`, shape (n_levels,).
        level_seconds: s.
    """
    counts = np.concatenate([[0], np.cumsum(active)])
    first = np.floor(times[:, 0] / level_seconds + 1e-6).astype(np.intp)
    last = np.ceil(times[:, 1] / level_seconds - 1e-6).astype(np.intp)
    first, last = np.minimum(first, active.size - 1), np.minimum(last, active.size)
    return np.asarray(counts[np.maximum(last, first + 1)] > counts[first])
