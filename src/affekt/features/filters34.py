"""Mel filters and notes of the 34 short-term features: as pyAudioAnalysis has them, and right.

What depends on the window, the sample rate and the variant, but not on the recording (spec 5.3 and
5.4).
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]
Indices = NDArray[np.intp]
Variant = Literal["paa", "paa_copy", "clean"]

N_MFCC = 13
N_CHROMA = 12
LOWEST_NOTE = 27.5  # Hz: A0, note 0


@dataclass(frozen=True)
class Definition:
    """What tells the variants apart."""

    epsilon: float  # keeps logarithms and quotients finite
    raw_peak: bool = False  # scaled by the peak before, not after, the mean is taken off
    whole_hertz: bool = False  # Python 2's integer division of the notes' frequencies
    true_axes: bool = False  # mel filters and notes at the frequencies they are meant for


DEFINITIONS: dict[Variant, Definition] = {
    "paa": Definition(epsilon=float(np.finfo(np.float64).eps)),
    "paa_copy": Definition(epsilon=1e-8, raw_peak=True, whole_hertz=True),
    "clean": Definition(epsilon=float(np.finfo(np.float64).eps), true_axes=True),
}


@dataclass(frozen=True)
class MelFilter:
    """One triangle, on the bins it covers."""

    first: int  # bin
    weights: Float64  # (n_covered,), none where no bin lies between its edges


@dataclass(frozen=True)
class Notes:
    """How bins make notes, and notes the 12 pitch classes from A."""

    bins: Indices  # (n_notes,), ascending if summed
    summed: bool  # a note is the sum of the bins up to the next one's, else one bin
    weights: Float64  # (n_notes, 12)


@dataclass(frozen=True)
class Filters:
    """All that is laid over the spectrum of one frame, bins 0 .. n_bins - 1."""

    position: Float64  # (n_bins,), 1 / n_bins .. 1: pyAudioAnalysis counts bins from 1 here
    mel: tuple[MelFilter, ...]  # 40
    cosines: Float64  # (13, 40), orthonormal DCT-II
    notes: Notes


@lru_cache(maxsize=16)
def filters34(n_window: int, sample_rate: int, variant: Variant) -> Filters:
    """Prepare what windows of `n_window` samples need."""
    definition = DEFINITIONS[variant]
    n_bins = n_window // 2
    # bin k lies at k * sample_rate / n_window Hz; pyAudioAnalysis takes it for twice as much
    mel = _mel_filters(n_bins, (n_window if definition.true_axes else n_bins) / sample_rate)
    angles = np.outer(np.arange(N_MFCC), np.arange(len(mel)) + 0.5) * np.pi / len(mel)
    cosines = np.cos(angles) * np.sqrt(2.0 / len(mel))
    cosines[0] /= np.sqrt(2.0)
    return Filters(
        position=np.arange(1, n_bins + 1) / n_bins,
        mel=mel,
        cosines=cosines,
        notes=_notes(n_window, sample_rate, definition),
    )


def _mel_filters(n_bins: int, bins_per_hertz: float) -> tuple[MelFilter, ...]:
    """Triangles of area 1 over 42 edges: 13 linear from 133.33 Hz on, 29 logarithmic.

    Parts of a triangle above the last bin are left out.
    """
    linear = 133.33 + np.arange(13) * 200 / 3
    edges = np.concatenate((linear, linear[-1] * 1.0711703 ** np.arange(1, 30)))
    filters = []
    for low, centre, high in zip(edges[:-2], edges[1:-1], edges[2:], strict=True):
        first, end = (min(n_bins, int(edge * bins_per_hertz) + 1) for edge in (low, high))
        frequency = np.arange(first, end) / bins_per_hertz
        rising, falling = (frequency - low) / (centre - low), (high - frequency) / (high - centre)
        filters.append(MelFilter(first, np.minimum(rising, falling) * 2.0 / (high - low)))
    return tuple(filters)


def _notes(n_window: int, sample_rate: int, definition: Definition) -> Notes:
    """Choose the variant's notes, or the right ones where its own are not defined."""
    n_bins = n_window // 2
    if not definition.true_axes:
        frequency = np.arange(1, n_bins + 1) * sample_rate / (2 * n_bins)
        if definition.whole_hertz:
            frequency = np.floor(frequency)
        # notes are filed in an array of n_bins, negative ones from its end; 0 Hz has none
        numbers = _note_numbers(frequency[frequency > 0])
        if numbers.size == n_bins and numbers[0] >= -n_bins and numbers[-1] < n_bins:
            return _last_bins(numbers)
    numbers = _note_numbers(np.arange(1, n_bins) * sample_rate / n_window)
    notes, first = np.unique(numbers, return_index=True)
    # bin 0 has no pitch and belongs to none
    return Notes((first + 1).astype(np.intp), True, np.eye(N_CHROMA)[notes % N_CHROMA])


def _note_numbers(frequency: Float64) -> Indices:
    """Semitones from A0 to the nearest note, half to even."""
    return np.round(12.0 * np.log2(frequency / LOWEST_NOTE)).astype(np.intp)


def _last_bins(numbers: Indices) -> Notes:
    """Take, as pyAudioAnalysis does, each note's last bin, over the count of another's bins.

    Place m of its array holds the last bin of note m; it is divided by the number of bins that
    share the note of bin numbers[m], and belongs to pitch class m modulo 12.
    """
    last = np.full(numbers.size, -1, dtype=np.intp)
    last[numbers] = np.arange(numbers.size)  # the last one written stays
    places = np.flatnonzero(last >= 0)
    _, which, counts = np.unique(numbers, return_inverse=True, return_counts=True)
    sharing = counts[which]  # of each bin: how many share its note
    classes = np.eye(N_CHROMA)[places % N_CHROMA]
    return Notes(last[places], False, classes / sharing[numbers[places]][:, None])
