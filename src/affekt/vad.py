"""Tell speech from pauses by loudness alone: cheap, and shy of calling anything a pause.

It is no speech detector: music and noise as loud as the voice count as active.
"""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]

LEVEL_SECONDS = 0.1  # one level every 0.1 s
QUIETEST = -200.0  # dB relative to full scale; digital silence is given this level
LOUD_LEVELS = 10  # the loudness of a recording is the one it exceeds for 10 * 0.1 s = 1 s
FLOOR_QUANTILE = 0.1  # the noise floor: a tenth of the recording is quieter
ABOVE_FLOOR = 10.0  # dB above the noise floor ...
BELOW_LOUD = (40.0, 20.0)  # ... but no more than 40, no less than 20 dB below the loud parts
MIN_PAUSE_LEVELS = 5  # 0.5 s: shorter pauses belong to the speech around them
MIN_ACTIVE_LEVELS = 2  # 0.2 s: what is shorter is a click


def levels(waveform: Float32, sample_rate: int) -> Float32:
    """Root mean square of every started 0.1 s, in dB relative to full scale.

    Args:
        waveform: mono, shape (n_samples,).
        sample_rate: Hz.

    Returns:
        Shape (ceil(n_samples / (0.1 * sample_rate)),), at least `QUIETEST`.

    >>> levels(np.full(2000, 0.1, np.float32), 16_000).round(1).tolist()
    [-20.0, -20.0]
    """
    size = round(LEVEL_SECONDS * sample_rate)
    starts = np.arange(0, waveform.size, size)
    counts = np.minimum(size, waveform.size - starts)
    power = np.add.reduceat(np.square(waveform), starts, dtype=np.float64) / counts
    return (10 * np.log10(np.maximum(power, 10 ** (QUIETEST / 10)))).astype(np.float32)


def active(loudness: Float32) -> NDArray[np.bool_]:
    """Mark the levels that are not a pause.

    The threshold lies `ABOVE_FLOOR` over the recording's own noise floor, held between 40 and
    20 dB under its loud parts: in steady noise, and without any pause, all is active. Then
    pauses under 0.5 s are filled and bursts under 0.2 s dropped. Never is nothing active.

    Args:
        loudness: what `levels` gives for a whole recording, dB, shape (n_levels,).

    Returns:
        True = active, shape (n_levels,).
    """
    loud = float(np.sort(loudness)[-min(LOUD_LEVELS, loudness.size)])
    floor = float(np.quantile(loudness, FLOOR_QUANTILE))
    threshold = min(max(floor + ABOVE_FLOOR, loud - BELOW_LOUD[0]), loud - BELOW_LOUD[1])
    mask = loudness > max(threshold, QUIETEST)
    if not mask.any():
        return np.ones_like(mask)
    mask = _without_short_runs(mask, False, MIN_PAUSE_LEVELS)
    kept = _without_short_runs(mask, True, MIN_ACTIVE_LEVELS)
    return kept if kept.any() else mask


def runs(values: NDArray[np.generic]) -> list[tuple[int, int]]:
    """Cut a sequence into stretches of one value: (first, past the last).

    >>> runs(np.array([True, True, False]))
    [(0, 2), (2, 3)]
    """
    if not values.size:
        return []
    edges = [0, *(np.flatnonzero(values[1:] != values[:-1]) + 1).tolist(), values.size]
    return list(pairwise(edges))


def _without_short_runs(mask: NDArray[np.bool_], value: bool, n_min: int) -> NDArray[np.bool_]:
    """Flip runs of `value` shorter than `n_min` that lie between two others."""
    result = mask.copy()
    for first, last in runs(mask):
        inside = first > 0 and last < mask.size
        if mask[first] == value and inside and last - first < n_min:
            result[first:last] = not value
    return result
