"""The 34 short-term features of pyAudioAnalysis, vectorised, quirks and all; and without them.

Source: Giannakopoulos 2015, "pyAudioAnalysis", doi:10.1371/journal.pone.0144610, version 0.3.14;
spec 5. The CTC recogniser of Chernykh and Prikhodko 2017 was fed with them. `kept_frames` has its
rules for frames at the edges and in pauses; `ZScores` standardises, which it did not (spec 4.2).
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from affekt.exceptions import AudioError
from affekt.features.filters34 import (
    DEFINITIONS,
    N_CHROMA,
    N_MFCC,
    Definition,
    Filters,
    Float64,
    Notes,
    Variant,
    filters34,
)

NAMES = (
    *("zcr", "energy", "energy_entropy", "spectral_centroid", "spectral_spread"),
    *("spectral_entropy", "spectral_flux", "spectral_rolloff"),
    *(f"mfcc_{number}" for number in range(1, N_MFCC + 1)),
    *(f"chroma_{number}" for number in range(1, N_CHROMA + 1)),
    "chroma_std",
)
ENERGY = NAMES.index("energy")

N_BLOCKS = 10  # parts of a frame or of its spectrum whose entropy is taken
ROLLOFF = 0.9  # share of the power below the roll-off
MIN_WINDOW = 2 * N_BLOCKS  # samples: fewer bins cannot be cut in ten
SAMPLES_AT_ONCE = 2**18  # * 8 bytes = 2 MiB of frames: few calls, and still within a cache

EDGE_ENERGY = 1e-4  # of full scale 1: a frame that has no more is a pause
CTC_MIN_FRAMES = 6  # the CTC paper's code leaves an utterance with five frames or fewer out


def shortterm34(
    waveform: ArrayLike,
    sample_rate: int,
    *,
    window: float = 0.2,
    hop: float = 0.1,
    variant: Variant = "paa",
) -> Float64:
    """Compute the 34 short-term features of each whole window of a recording.

    The recording's mean is taken off and its loudest sample scaled to 1; windows are rectangular.
    `NAMES` gives the order: zero crossings, energy, entropy of energy, spectral centroid, spread,
    entropy, flux and roll-off, 13 mel cepstra, 12 chroma, their standard deviation.

    Variants:
        "paa": equal to pyAudioAnalysis 0.3.14, with its mel filters at half the frequency they are
            meant for and its chroma of one bin a semitone. Where its chroma has no definition,
            in windows of too few bins (12 ms at 16 kHz), stands that of "clean".
        "paa_copy": equal to the older copy that the CTC paper used: another epsilon and scaling.
            Where it divides nought by nought, in digital silence, stands 0.
        "clean": mel filters where they belong, and chroma as the share of the power in each
            pitch class; the twelve sum to 1, to less as the power nears the epsilon. The first
            eight features are those of "paa".

    Args:
        waveform: mono samples of any scale, shape (n_samples,).
        sample_rate: Hz.
        window: seconds, rounded to samples.
        hop: seconds from one window's start to the next one's, rounded to samples.
        variant: which definition.

    Returns:
        Shape (n_frames, 34), float64, finite, n_frames = 1 + (n_samples - window) // hop, both in
        samples. Silence gives 0 throughout, save mfcc_1 = sqrt(40) * log10(epsilon).

    Raises:
        AudioError: not one-dimensional, NaN or infinite samples, shorter than one window, or a
            window or hop of too few samples.
        ValueError: no such variant.

    >>> hum = np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)
    >>> features = shortterm34(hum, 16_000, variant="clean")
    >>> features.shape
    (9, 34)
    >>> features[:, NAMES.index("chroma_1")].round(3).tolist()  # A
    [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    """
    if variant not in DEFINITIONS:
        raise ValueError(f"variant must be one of {', '.join(DEFINITIONS)}, not {variant!r}")
    n_window, n_hop = _in_samples(window, hop, sample_rate)
    samples = np.array(waveform, dtype=np.float64)  # a copy, which is scaled in place
    if samples.ndim != 1:
        raise AudioError(f"34 features need mono samples, shape (n_samples,): got {samples.shape}")
    if samples.size < n_window:
        raise AudioError(
            f"{samples.size / sample_rate:g} s of sound are shorter than one window of"
            f" {window:g} s: leave the recording out or give a shorter window"
        )
    definition = DEFINITIONS[variant]
    _scale(samples, definition)
    return _features(
        samples, n_window, n_hop, filters34(n_window, sample_rate, variant), definition.epsilon
    )


def kept_frames(
    features: Float64,
    *,
    drop_edges: bool = True,
    min_energy: float | None = EDGE_ENERGY,
    min_frames: int = 1,
) -> NDArray[np.bool_]:
    """Mark the frames that the CTC paper's code keeps of one utterance (spec 4.2).

    Args:
        features: of all its frames, shape (n_frames, 34).
        drop_edges: leave out the first and the last frame; of two frames keep the first, of one
            that one.
        min_energy: leave out frames whose energy is not above it; None = keep them.
        min_frames: where fewer would be left, keep none (`CTC_MIN_FRAMES` for CTC).

    Returns:
        Shape (n_frames,), True = kept. In silence all are False: such an utterance has nothing to
        learn from.

    >>> loud = np.full((4, 34), 0.5)
    >>> kept_frames(loud).tolist()
    [False, True, True, False]
    >>> kept_frames(loud, min_frames=CTC_MIN_FRAMES).any()
    np.False_
    """
    if features.ndim != 2 or features.shape[1] != len(NAMES):
        raise ValueError(f"features must be (n_frames, {len(NAMES)}), not {features.shape}")
    kept = np.ones(len(features), dtype=np.bool_)
    if drop_edges:
        kept[:1] = len(features) <= 2
        kept[1:][-1:] = False
    if min_energy is not None:
        kept &= features[:, ENERGY] > min_energy
    enough = np.count_nonzero(kept) >= min_frames
    return kept if enough else np.zeros_like(kept)


@dataclass(frozen=True)
class ZScores:
    """Standardisation by the mean and deviation of a training fold's frames."""

    mean: Float64  # (n_features,)
    deviation: Float64  # (n_features,), 1 where a feature never changes

    @classmethod
    def of(cls, training: Iterable[Float64]) -> "ZScores":
        """Measure the frames of a fold's training utterances, each (n_frames, n_features).

        Raises:
            AudioError: there is no frame among them.
        """
        utterances = list(training)
        n_frames = sum(map(len, utterances))
        if not n_frames:
            raise AudioError(
                f"no frame in {len(utterances)} training utterances: all are silent, or min_energy"
                " is too high"
            )
        frames = np.concatenate(utterances)
        mean = frames.mean(0)
        deviation = frames.std(0)
        # a constant's deviation may be a rounding error, which would be blown up to order 1
        still = deviation <= 1e-12 * np.maximum(np.abs(mean), 1e-12)
        return cls(mean=mean, deviation=np.where(still, 1.0, deviation))

    def __call__(self, features: Float64) -> Float64:
        """Standardise frames, (n_frames, n_features), to mean 0 and deviation 1 of the fold."""
        return np.asarray((features - self.mean) / self.deviation, dtype=np.float64)


def _in_samples(window: float, hop: float, sample_rate: int) -> tuple[int, int]:
    """Round a window and a hop in seconds to samples."""
    if not (np.isfinite([window, hop, sample_rate]).all() and sample_rate > 0):
        raise AudioError(f"window {window} s and hop {hop} s at {sample_rate} Hz: no such framing")
    n_window, n_hop = round(window * sample_rate), round(hop * sample_rate)
    if n_window < MIN_WINDOW:
        raise AudioError(
            f"a window of {window:g} s has {n_window} samples at {sample_rate} Hz: give one of"
            f" {MIN_WINDOW} samples or more"
        )
    if n_hop < 1:
        raise AudioError(
            f"a hop of {hop:g} s has {n_hop} samples at {sample_rate} Hz: give 1 sample or more"
        )
    return n_window, n_hop


def _scale(samples: Float64, definition: Definition) -> None:
    """Take the mean off and divide by the peak, in place."""
    low, high = samples.min(), samples.max()
    if not np.isfinite([low, high]).all():
        raise AudioError("34 features need finite samples: there are NaN or infinite ones")
    mean = samples.mean()
    samples -= mean
    if definition.raw_peak:
        samples /= max(high, -low) or 1.0  # 1 in silence
    else:
        samples /= max(high - mean, mean - low) + 1e-10


def _features(
    samples: Float64, n_window: int, n_hop: int, filters: Filters, epsilon: float
) -> Float64:
    """Describe all frames, some at once."""
    frames = np.lib.stride_tricks.sliding_window_view(samples, n_window)[::n_hop]
    features = np.empty((len(frames), len(NAMES)))
    at_once = max(1, SAMPLES_AT_ONCE // n_window)
    before: Float64 | None = None
    for start in range(0, len(frames), at_once):
        block, out = frames[start : start + at_once], features[start : start + at_once]
        stretch = samples[start * n_hop : (start + len(block) - 1) * n_hop + n_window]
        out[:, 0] = _zero_crossings(stretch, n_window, n_hop)
        out[:, 1], out[:, 2] = _energy(block, epsilon)
        before = _describe_spectrum(block, before, out[:, 3:], filters, epsilon)
    return features


def _zero_crossings(stretch: Float64, n_window: int, n_hop: int) -> Float64:
    """Count the changes of sign per step; a sample of exactly 0 counts half on either side."""
    signs = (stretch > 0).view(np.int8) - (stretch < 0).view(np.int8)
    steps = np.abs(np.diff(signs))
    counts = np.lib.stride_tricks.sliding_window_view(steps, n_window - 1)[::n_hop].sum(1)
    return np.asarray(counts / (2.0 * (n_window - 1)), dtype=np.float64)


def _energy(frames: Float64, epsilon: float) -> tuple[Float64, Float64]:
    """Mean square, and the entropy of its course."""
    power = frames * frames
    total = power.sum(1)
    return total / frames.shape[1], _entropy(power, total, epsilon)


def _entropy(power: Float64, total: Float64, epsilon: float) -> Float64:
    """Entropy in bits of ten contiguous parts' shares; a rest that does not fill them is left out.

    Shapes (n_frames, n), (n_frames,) -> (n_frames,).
    """
    length = power.shape[1] // N_BLOCKS
    parts = power[:, : length * N_BLOCKS].reshape(len(power), N_BLOCKS, length).sum(2)
    share = parts / (total + epsilon)[:, None]
    return np.asarray(-(share * np.log2(share + epsilon)).sum(1), dtype=np.float64)


def _describe_spectrum(
    frames: Float64, before: Float64 | None, out: Float64, filters: Filters, epsilon: float
) -> Float64:
    """Write the features from the centroid on; give the last frame's shares, (1, n_bins).

    `before` are the shares of the frame before the first; None where there is none.
    """
    magnitude, power = _spectrum(frames)
    n_bins = magnitude.shape[1]
    sums, total = magnitude.sum(1), power.sum(1)
    out[:, 0], out[:, 1] = _centroid_and_spread(magnitude, sums, filters.position, epsilon)
    out[:, 2] = _entropy(power, total, epsilon)
    shares = magnitude / (sums + n_bins * epsilon)[:, None]
    changes = np.diff(shares, axis=0, prepend=shares[:1] if before is None else before)
    out[:, 3] = np.einsum("fb,fb->f", changes, changes)
    reached = np.cumsum(power, axis=1) + epsilon > (ROLLOFF * total)[:, None]
    out[:, 4] = reached.argmax(1) / n_bins
    out[:, 5 : 5 + N_MFCC] = _mel_cepstra(magnitude, filters, epsilon)
    chroma = _chroma(power, total, filters.notes, epsilon)
    out[:, 5 + N_MFCC : -1] = chroma
    out[:, -1] = chroma.std(1)
    return np.asarray(shares[-1:])


def _spectrum(frames: Float64) -> tuple[Float64, Float64]:
    """Magnitude and power of the bins below half the sample rate, (n_frames, n_bins) each."""
    n_bins = frames.shape[1] // 2
    parts = np.fft.rfft(frames, axis=1).view(np.float64)[:, : 2 * n_bins]
    power: Float64 = parts[:, ::2] ** 2 + parts[:, 1::2] ** 2
    power /= n_bins**2
    return np.sqrt(power), power


def _centroid_and_spread(
    magnitude: Float64, sums: Float64, position: Float64, epsilon: float
) -> tuple[Float64, Float64]:
    """Mean and deviation of the position, weighted by the magnitude over its peak."""
    peak = magnitude.max(1)
    peak[peak == 0] = 1.0
    zeroth = sums / peak
    first = np.einsum("fb,b->f", magnitude, position) / peak
    second = np.einsum("fb,b->f", magnitude, position**2) / peak
    centroid = first / (zeroth + epsilon)
    variance = (second - 2 * centroid * first + centroid**2 * zeroth) / (zeroth + epsilon)
    return centroid, np.sqrt(np.maximum(variance, 0.0))  # rounding may leave a tone less than 0


def _mel_cepstra(magnitude: Float64, filters: Filters, epsilon: float) -> Float64:
    """First 13 cosine coefficients of the log10 of 40 mel bands, (n_frames, 13).

    einsum, filter by filter: a matrix product would wake the threads of BLAS, which then wait
    busily on the cores that other work runs on.
    """
    mel = np.empty((len(magnitude), len(filters.mel)))
    for band, triangle in enumerate(filters.mel):
        covered = magnitude[:, triangle.first : triangle.first + triangle.weights.size]
        np.einsum("fb,b->f", covered, triangle.weights, out=mel[:, band])
    return np.asarray(np.einsum("fm,cm->fc", np.log10(mel + epsilon), filters.cosines))


def _chroma(power: Float64, total: Float64, notes: Notes, epsilon: float) -> Float64:
    """Power of the 12 pitch classes over that of the frame, (n_frames, 12)."""
    if notes.summed:
        levels = np.add.reduceat(power, notes.bins, axis=1)
        whole = levels.sum(1) + epsilon
    else:
        levels = power[:, notes.bins]
        whole = np.where(total == 0, epsilon, total)
    return np.asarray(np.einsum("fn,nc->fc", levels / whole[:, None], notes.weights))
