"""Log-mel spectrograms in numpy: one way to compute them, a preset per published front end.

All take the power of centred frames under a periodic Hann window, and sum it over triangles of
equal area on the Slaney mel scale from 0 Hz to half the rate. Presets differ in lengths, in what
stands beyond the ends of a recording, and in the scale of the result:

- `WHISPER` (Radford et al. 2022; its feature extractor): log10, clamped to 8 decades (80 dB)
  under the loudest cell, scaled by (x + 4) / 4; silence up to 30 s behind the end.
- `DUSHA` (Kondratenko et al. 2022; the release's feature script): dB below the loudest cell,
  at least -80; both ends mirror. The same as librosa with `pad_mode="reflect"`.
- `LSSED` (Fan et al. 2021): log10(power + 1e-10). The paper gives Hann 1024, shift 512 and 128
  filters but no logarithm: `dataclasses.replace(LSSED, scaling="power")` leaves it out.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from affekt.exceptions import AudioError

Float32 = NDArray[np.float32]
Scaling = Literal["whisper", "db", "log10", "power"]


@dataclass(frozen=True)
class LogMelPreset:
    """Constants of one log-mel front end (`dynamic_range` in log10 units of power).

    `scaling`, of power p where the loudest cell's is P:

    - "whisper": (log10 max(p, floor) + 4) / 4, clamped at `dynamic_range` below the loudest cell.
    - "db": 10 log10(max(p, floor) / max(P, floor)), at least -10 `dynamic_range`; so never > 0.
    - "log10": log10(p + floor). "power": p as it is. Neither has a clamp.
    """

    sample_rate: int  # Hz
    n_fft: int  # samples
    hop: int  # samples
    n_mels: int
    scaling: Scaling
    floor: float  # power below which nothing is told apart
    dynamic_range: float = math.inf  # decades below the loudest cell that are kept
    n_samples: int | None = None  # a full window: silence fills up to it; None: both ends mirror


WHISPER = LogMelPreset(
    sample_rate=16_000,
    n_fft=400,  # 25 ms * 16 samples/ms
    hop=160,  # 10 ms * 16 samples/ms
    n_mels=80,
    scaling="whisper",
    floor=1e-10,
    dynamic_range=8.0,  # 80 dB
    n_samples=30 * 16_000,  # 480_000 samples in a 30 s window
)
DUSHA = LogMelPreset(
    sample_rate=16_000,
    n_fft=320,  # 20 ms * 16 samples/ms
    hop=160,  # 10 ms * 16 samples/ms
    n_mels=64,
    scaling="db",
    floor=1e-10,
    dynamic_range=8.0,  # 80 dB
)
LSSED = LogMelPreset(
    sample_rate=16_000,
    n_fft=1024,  # 64 ms * 16 samples/ms
    hop=512,  # 32 ms * 16 samples/ms
    n_mels=128,
    scaling="log10",
    floor=1e-10,
)

FRAMES_PER_BLOCK = 256  # 256 * 400 * 4 bytes: a block of frames stays in the second-level cache


def hz_to_mel(frequency: NDArray[np.float64]) -> NDArray[np.float64]:
    """Slaney's mel scale: linear below 1 kHz (3 mel per 200 Hz), logarithmic above.

    >>> hz_to_mel(np.array([0.0, 200.0, 1000.0])).tolist()
    [0.0, 3.0, 15.0]
    """
    log_step = np.log(6.4) / 27.0
    linear = frequency * 3.0 / 200.0
    return np.where(
        frequency < 1000.0, linear, 15.0 + np.log(np.maximum(frequency, 1000.0) / 1000.0) / log_step
    )


def mel_to_hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    """Inverse of `hz_to_mel`.

    >>> float(mel_to_hz(hz_to_mel(np.array([4321.0])))[0].round(6))
    4321.0
    """
    log_step = np.log(6.4) / 27.0
    return np.where(mel < 15.0, mel * 200.0 / 3.0, 1000.0 * np.exp(log_step * (mel - 15.0)))


@lru_cache(maxsize=8)
def mel_filters(preset: LogMelPreset = WHISPER) -> Float32:
    """Triangles of equal area on the Slaney scale from 0 Hz to half the sample rate.

    Returns:
        Shape (n_mels, n_fft // 2 + 1).
    """
    top = preset.sample_rate / 2
    bins = np.linspace(0.0, top, preset.n_fft // 2 + 1)
    edges = mel_to_hz(np.linspace(0.0, hz_to_mel(np.array([top]))[0], preset.n_mels + 2))
    low, centre, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising = (bins - low) / (centre - low)
    falling = (high - bins) / (high - centre)
    triangles = np.maximum(0.0, np.minimum(rising, falling)) * 2.0 / (high - low)
    return np.asarray(triangles, dtype=np.float32)


@lru_cache(maxsize=8)
def _hann(n_fft: int) -> Float32:
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)).astype(np.float32)


def n_frames(n_samples: int, preset: LogMelPreset = WHISPER) -> int:
    """Count the frames of a waveform.

    One per started hop, as many as 30 s padding would give it, where silence fills a window; one
    at the beginning and one behind each whole hop where both ends mirror.

    >>> n_frames(480_000), n_frames(161), n_frames(161, DUSHA)
    (3000, 2, 2)
    >>> n_frames(160), n_frames(160, DUSHA), n_frames(5 * 16_000, LSSED)
    (1, 2, 157)
    """
    if preset.n_samples is None:
        return 1 + n_samples // preset.hop
    return -(-n_samples // preset.hop)


def log_mel(waveform: Float32, preset: LogMelPreset = WHISPER) -> Float32:
    """Compute the scaled log-mel spectrogram of a waveform.

    Under `WHISPER` it is not padded to 30 s: the frames equal the first `n_frames` of Whisper's
    own extractor, which pads with silence to 30 s; behind the end stands silence, before the
    start a reflection. Under the others both ends mirror, as often as a short clip needs it
    (`numpy.pad`'s "reflect"; a single sample repeats).

    Args:
        waveform: mono samples at the preset's rate, shape (n_samples,), at most a few minutes:
            the 80 dB clamp is relative to the loudest cell of what is given.

    Returns:
        Shape (n_mels, n_frames), float32, contiguous: about -1.5 .. 2 (`WHISPER`), dB in
        [-80, 0] (`DUSHA`; silence is 0 throughout, being its own loudest cell), about -10 .. 4
        (`LSSED`).

    Raises:
        AudioError: the waveform is not one-dimensional or has no sample.
    """
    if waveform.ndim != 1 or waveform.size == 0:
        raise AudioError(f"log-mel needs mono samples, shape (n_samples,): got {waveform.shape}")
    count = n_frames(waveform.size, preset)
    power = _power_spectrum(np.asarray(waveform, dtype=np.float32), count, preset)
    return _scaled(_apply(mel_filters(preset), power), preset)


def _scaled(mel: Float32, preset: LogMelPreset) -> Float32:
    """Bring mel power to the preset's scale, in place (`LogMelPreset` has the formulas)."""
    if preset.scaling == "power":
        return mel
    if preset.scaling == "log10":
        mel += np.float32(preset.floor)
        return np.log10(mel, out=mel)
    np.maximum(mel, np.float32(preset.floor), out=mel)
    np.log10(mel, out=mel)
    if preset.scaling == "db":
        mel -= mel.max()
        mel *= np.float32(10.0)
        return np.maximum(mel, np.float32(-10.0 * preset.dynamic_range), out=mel)
    np.maximum(mel, mel.max() - np.float32(preset.dynamic_range), out=mel)
    mel += np.float32(4.0)
    mel *= np.float32(0.25)
    return mel


def _apply(filters: Float32, power: Float32) -> Float32:
    """Multiply (n_mels, n_bins) by (n_bins, n_frames), each filter on the few bins it covers.

    A matrix product would wake the threads of BLAS, which then wait busily on the cores that the
    encoder runs on: an hour of speech took half as long again.
    """
    mel = np.zeros((len(filters), power.shape[1]), dtype=np.float32)
    for row, weights in zip(mel, filters, strict=True):
        bins = np.flatnonzero(weights)
        if bins.size:
            covered = slice(bins[0], bins[-1] + 1)
            np.einsum("b,bf->f", weights[covered], power[covered], out=row)
    return mel


def _power_spectrum(waveform: Float32, count: int, preset: LogMelPreset) -> Float32:
    """Power of `count` centred frames, shape (n_fft // 2 + 1, count)."""
    if preset.n_samples is None:
        padded = np.pad(waveform, preset.n_fft // 2, mode="reflect")
    else:
        padded = _filled(waveform, count, preset, preset.n_samples)
    frames = np.lib.stride_tricks.sliding_window_view(padded, preset.n_fft)[:: preset.hop][:count]
    power = np.empty((count, preset.n_fft // 2 + 1), dtype=np.float32)
    window = _hann(preset.n_fft)
    for start in range(0, count, FRAMES_PER_BLOCK):
        block = slice(start, start + FRAMES_PER_BLOCK)
        parts = np.fft.rfft(frames[block] * window, axis=-1).view(np.float32)
        parts *= parts
        np.add(parts[:, ::2], parts[:, 1::2], out=power[block])
    return np.ascontiguousarray(power.T)


def _filled(waveform: Float32, count: int, preset: LogMelPreset, n_samples: int) -> Float32:
    """Put silence behind a waveform for `count` frames, and mirror what silence leaves open."""
    half = preset.n_fft // 2
    padded = np.zeros(max(count - 1, 1) * preset.hop + preset.n_fft, dtype=np.float32)
    padded[half : half + waveform.size] = waveform
    # what stands before the first sample mirrors what follows it (silence where that ends);
    # so does what stands behind a full window's last sample
    padded[:half] = padded[half + 1 : 2 * half + 1][::-1]
    end = half + n_samples
    if waveform.size <= n_samples and padded.size > end:
        padded[end:] = padded[2 * end - padded.size - 1 : end - 1][::-1]
    return padded
