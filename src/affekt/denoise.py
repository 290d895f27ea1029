"""Take steady noise out of a recording by spectral subtraction (Boll 1979).

The LSSED paper (Fan et al. 2021) does so before its spectrograms and gives no constants; those
here are ours. Frames are LSSED's: periodic Hann of 1024 samples every 512.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from affekt.exceptions import AudioError

Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class Subtraction:
    """Constants of spectral subtraction; frames overlap by half."""

    n_fft: int = 1024  # samples, even: 64 ms at 16 kHz
    quiet_share: float = 0.10  # of the frames, those with least energy: taken for noise
    min_quiet: int = 5  # frames
    over_subtraction: float = 2.0  # times the noise magnitude is taken off
    floor: float = 0.02  # of the noisy magnitude that is left at least


LSSED = Subtraction()


def denoise(waveform: Float32, settings: Subtraction = LSSED) -> Float32:
    """Subtract the mean spectrum of the quietest frames from every frame.

    Magnitude |X| becomes max(|X| - `over_subtraction` N, `floor` |X|), N being the mean magnitude
    of the quietest frames in each bin; phases stay. Windows that overlap by half sum to 1, so the
    frames are summed, and where nothing is subtracted the samples come back as they were. A gain
    on the recording is the same gain on the result.

    Args:
        waveform: mono samples, shape (n_samples,). Of fewer than `min_quiet` whole frames
            (3072 samples, 0.19 s) nothing is subtracted: there is no telling noise from speech.

    Returns:
        Shape (n_samples,), float32.

    Raises:
        AudioError: the waveform is not one-dimensional or has no sample.
    """
    if waveform.ndim != 1 or waveform.size == 0:
        raise AudioError(f"denoise needs mono samples, shape (n_samples,): got {waveform.shape}")
    half = settings.n_fft // 2
    count = -(-waveform.size // half) + 1  # every sample lies in two frames
    padded = np.zeros((count + 1) * half, dtype=np.float32)
    padded[half : half + waveform.size] = waveform
    frames = np.lib.stride_tricks.sliding_window_view(padded, settings.n_fft)[::half]
    spectra = np.fft.rfft(frames * _hann(settings.n_fft), axis=-1)
    # the first frame and the last reach beyond the ends: they hold less sound, and so would pass
    # for quiet
    spectra *= _gains(np.abs(spectra), slice(1, max(1, waveform.size // half)), settings)
    back = np.fft.irfft(spectra, settings.n_fft, axis=-1).reshape(count, 2, half)
    summed = back[1:, 0] + back[:-1, 1]
    return summed.ravel()[: waveform.size].astype(np.float32)


def amplify(waveform: Float32, factor: float = 2.0) -> Float32:
    """Multiply the samples, without clipping: LSSED doubles its recordings' volume.

    Returns:
        Shape (n_samples,), float32, beyond ±1 where the recording was loud.
    """
    return np.asarray(waveform * np.float32(factor), dtype=np.float32)


def _gains(
    magnitude: NDArray[np.float64], whole: slice, settings: Subtraction
) -> NDArray[np.float64]:
    """The factor of each frame and bin, `floor` .. 1; `magnitude` is (n_frames, n_bins)."""
    inside = magnitude[whole]
    if len(inside) < settings.min_quiet:
        return np.ones_like(magnitude)
    n_quiet = max(settings.min_quiet, int(settings.quiet_share * len(inside)))
    quietest = np.argsort(np.square(inside).sum(axis=1), kind="stable")[:n_quiet]
    noise = settings.over_subtraction * inside[quietest].mean(axis=0)
    left = np.divide(magnitude - noise, magnitude, out=np.ones_like(magnitude), where=magnitude > 0)
    return np.asarray(np.maximum(left, settings.floor), dtype=np.float64)


@lru_cache(maxsize=8)
def _hann(n_fft: int) -> NDArray[np.float64]:
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)
