"""From scores along time to segments: which emotion, from when to when.

A recording is tiled by steps of `hop` seconds; the scores of a step are those of a longer
window centred on it. `segments` goes from there in four stages, each with one number to set:
scores are averaged over neighbours (`smoothing`), the most plausible path of labels is found
(`switch_cost`), what is too short joins a neighbour (`min_length`), and pauses cut.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from affekt.exceptions import AffektError
from affekt.vad import runs

Floats = NDArray[np.float32] | NDArray[np.float64]

SWITCH_COST = 1.0  # nats of evidence that a change of label must bring
LOWEST = 1e-4  # probability below which no score counts, so that no single step decides alone
SMOOTHING = 0.5  # s; this and the two others were chosen together: docs/timeline.md
MIN_LENGTH = 0.75  # s
SLACK = 1e-9  # s, nats: what rounding may add


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
    scores: Floats, *, evidence: NDArray[np.float64] | None = None, switch_cost: float = SWITCH_COST
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
    gain = _gain(scores, evidence)
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


def smoothed(
    times: Floats, scores: Floats, seconds: float, *, active: NDArray[np.bool_] | None = None
) -> NDArray[np.float64]:
    """Average the scores of each step over the steps around it.

    Args:
        times: start and end of each step in s, shape (n_steps, 2), rising.
        scores: shape (n_steps, n_labels).
        seconds: a step counts where its middle is at most half of this away, and as much as it is
            long; 0 changes nothing.
        active: False = a pause, which counts only where there is nothing else, shape (n_steps,).

    Returns:
        Shape (n_steps, n_labels); rows that sum to 1 still do.

    Raises:
        AffektError: `seconds` is negative or not finite.

    >>> smoothed(np.array([[0, 1], [1, 2], [2, 3]]), np.array([[1.0], [0.0], [0.0]]), 2).tolist()
    [[0.5], [0.3333333333333333], [0.0]]
    """
    check(smoothing=seconds)
    values = np.asarray(scores, dtype=np.float64)
    lengths = times[:, 1] - times[:, 0]
    weights = lengths if active is None else lengths * active
    middle = times.mean(axis=1)
    first = np.searchsorted(middle, middle - seconds / 2 - SLACK)
    last = np.searchsorted(middle, middle + seconds / 2 + SLACK, side="right")
    sums = _cumulated(np.column_stack([values * weights[:, None], weights]).astype(np.float64))
    inside = sums[last] - sums[first]
    heard = inside[:, -1:] > SLACK
    return np.where(heard, inside[:, :-1] / np.where(heard, inside[:, -1:], 1.0), values)


def without_short_runs(
    path: NDArray[np.intp], gain: NDArray[np.float64], seconds: Floats, min_length: float
) -> NDArray[np.intp]:
    """Give what is too short to the neighbour that explains it better, the shortest first.

    Args:
        path: column of each step, shape (n_steps,).
        gain: evidence of each label in nats, pauses 0, shape (n_steps, n_labels).
        seconds: how long each step lasts, pauses 0, shape (n_steps,).
        min_length: s that a run of one label lasts at least, but where it is the only one.

    Returns:
        The new path, shape (n_steps,).

    Raises:
        AffektError: `min_length` is negative or not finite.
    """
    check(min_length=min_length)
    evidence, lengths = _cumulated(gain), np.concatenate([[0.0], np.cumsum(seconds)])
    edges = np.array([0, *(last for _, last in runs(path))])
    labels = path[edges[:-1]]
    while len(labels) > 1:
        spans = np.diff(lengths[edges])
        k = int(spans.argmin())
        if spans[k] >= min_length - SLACK:
            break
        around = [labels[n] for n in (k - 1, k + 1) if 0 <= n < len(labels)]
        heard = evidence[edges[k + 1]] - evidence[edges[k]]
        labels[k] = max(around, key=heard.__getitem__)
        begins = np.append(True, labels[1:] != labels[:-1])
        edges, labels = edges[np.append(begins, True)], labels[begins]
    return np.repeat(labels, np.diff(edges))


def segments(
    times: Floats,
    scores: Floats,
    labels: Sequence[str],
    *,
    active: NDArray[np.bool_] | None = None,
    overlap: float = 1.0,
    smoothing: float = SMOOTHING,
    switch_cost: float = SWITCH_COST,
    min_length: float = MIN_LENGTH,
) -> tuple[Segment, ...]:
    """Find stretches of one label: smooth, find the best path, drop what is short, cut at pauses.

    Pauses are no evidence for any label, add nothing to a length, and belong to no segment. What
    is heard between two of them can be shorter than `min_length`, and is then of one label.

    Args:
        times: start and end of each step in s, shape (n_steps, 2).
        scores: probabilities, shape (n_steps, n_labels).
        labels: names of the columns.
        active: False = the step is a pause, shape (n_steps,); None = no pauses.
        overlap: window / hop: how many windows repeat the same evidence.
        smoothing: s over which scores are averaged (`smoothed`); 0 = not at all.
        switch_cost: nats of evidence that a change of label must bring.
        min_length: s of speech that a label lasts at least (`without_short_runs`).

    Returns:
        In order; `probability` is the mean of the scores as they were given.

    Raises:
        AffektError: as `check`.

    >>> segments(np.array([[0.0, 0.5], [0.5, 1.0]]), np.array([[0.2, 0.8], [0.3, 0.7]]), "ab")
    (Segment(start=0.0, end=1.0, label='b', probability=0.75),)
    """
    check(switch_cost=switch_cost)
    speech = np.ones(len(times), dtype=bool) if active is None else active
    shares = smoothed(times, scores, smoothing, active=speech)
    evidence = speech / overlap
    path = best_path(shares, evidence=evidence, switch_cost=switch_cost)
    lengths = (times[:, 1] - times[:, 0]) * speech
    gain = _gain(shares, evidence)
    path = without_short_runs(path, gain, lengths, min_length)
    for first, last in runs(speech):  # what a pause cuts off stands alone, or joins its neighbour
        if speech[first]:
            own = slice(first, last)
            path[own] = without_short_runs(path[own], gain[own], lengths[own], min_length)
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


def check(**settings: float) -> None:
    """Refuse a smoothing, a switch cost or a minimum length that cannot be.

    Raises:
        AffektError: one is negative or not finite.
    """
    for name, value in settings.items():
        if not 0 <= value < np.inf:
            raise AffektError(f"{name.replace('_', ' ')} {value:g}: choose 0 or more")


def _gain(scores: Floats, evidence: NDArray[np.float64] | None) -> NDArray[np.float64]:
    """Evidence of each label at each step, nats, shape (n_steps, n_labels)."""
    gain = np.log(np.maximum(np.asarray(scores, dtype=np.float64), LOWEST))
    return gain if evidence is None else gain * np.asarray(evidence)[:, None]


def _cumulated(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sums of the rows before each, shape (n + 1, n_columns)."""
    return np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0)])
