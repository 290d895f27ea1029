"""What stands between a voice and a recogniser: a room, a telephone line, a lossy codec.

Beyond the Whisper paper, which has none of them; names and bounds are those of `waveforms`, and
so is the length: nothing is delayed, so labels keep their places.
"""

from io import BytesIO
from typing import Any

import numpy as np
import soxr
from numpy.typing import NDArray
from scipy.fft import dct

from affekt.augment.waveforms import (
    RATE,
    Float32,
    Range,
    bounded,
    checked,
    fast_length,
    fitted,
)
from affekt.decode import decode
from affekt.exceptions import AudioError

REVERBERATION = (0.15, 0.8)  # s until sound has fallen by 60 dB: an office .. a hall
DIRECT = (-3.0, 12.0)  # dB of the direct sound over the reverberation: across the room .. near by
FIRST_REFLECTION = (0.002, 0.010)  # s behind the direct sound: 0.7 .. 3.4 m of detour
DULL = (1_000.0, 4_000.0)  # Hz: from here to there walls and air swallow more and more ...
DULL_SHARE = 0.5  # ... and above, sound falls in this share of the time

LINE_RATE = 8_000  # Hz
LINE_FROM = (150.0, 350.0)  # Hz: narrowband telephony is nominally 300 .. 3400 Hz
LINE_TO = (3_200.0, 3_700.0)  # Hz
LINE_EDGE = 0.1  # each edge of the band is this share of its frequency wide
MU = 255.0  # of the mu-law
A = 87.6  # of the A-law
CODES = 128  # of each sign: 8 bits in all

HOP = 320  # samples: 20 ms, as Opus and mobile telephony have it
N_CODED_BANDS = 20
CODED_FROM = 100.0  # Hz: width of the lowest band
COARSENESS = (0.3, 1.5)  # step of the quantiser over a band's root mean square: 21 .. 7 dB SNR
CUTOFF = (4_000.0, 8_000.0)  # Hz: above, nothing is coded


def room(
    waveform: Float32,
    rng: np.random.Generator,
    *,
    seconds: Range = REVERBERATION,
    decibels: Range = DIRECT,
) -> Float32:
    """Let it sound in a room, at some distance: `impulse_response` of even settings."""
    given = checked(waveform)
    reverberation = float(rng.uniform(*seconds))
    response = impulse_response(rng, reverberation, float(rng.uniform(*decibels)))
    size = fast_length(given.size + response.size)
    spectrum = np.fft.rfft(given, size) * np.fft.rfft(response, size)
    return bounded(np.fft.irfft(spectrum, size)[: given.size], given)


def impulse_response(rng: np.random.Generator, seconds: float, decibels: float) -> Float32:
    """Draw what a clap in a room leaves: the clap, a gap, then noise that dies away.

    Below 1 kHz the noise falls by 60 dB in `seconds`, above 4 kHz in half of that; in between it
    is a mixture, by the place between them in octaves.

    Args:
        rng: where chance comes from.
        seconds: time of reverberation (RT60), above 0.
        decibels: energy of the direct sound over that of the rest.

    Returns:
        Shape (1 + about seconds * 16,000,), float32; the first sample, the direct sound, is 1.
    """
    gap = round(float(rng.uniform(*FIRST_REFLECTION)) * RATE)
    length = max(1, round(seconds * RATE))
    size = fast_length(length)
    spectrum = np.fft.rfft(rng.standard_normal(size, dtype=np.float32))
    octaves = np.log2(np.maximum(np.fft.rfftfreq(size, 1 / RATE), 1.0) / DULL[0])
    dull = np.clip(octaves / np.log2(DULL[1] / DULL[0]), 0.0, 1.0)
    low, high = (np.fft.irfft(spectrum * share, size) for share in (1 - dull, dull))
    decades = 3 * np.arange(length) / length  # of amplitude: 60 dB in all
    tail = low[:length] * 10**-decades + high[:length] * 10 ** (-decades / DULL_SHARE)
    tail *= 10 ** (-decibels / 20) / np.sqrt(np.square(tail).sum())
    return np.concatenate([[1.0], np.zeros(gap), tail]).astype(np.float32)


def telephone(
    waveform: Float32,
    rng: np.random.Generator,
    *,
    lows: Range = LINE_FROM,
    highs: Range = LINE_TO,
) -> Float32:
    """Send it down a telephone line: 8 kHz, a band, 8 bits by the mu-law or the A-law (G.711).

    The laws are the formulas, not their pieces of straight line; half of the lines have each.
    """
    given = checked(waveform)
    narrow = soxr.resample(given, RATE, LINE_RATE)
    size = fast_length(narrow.size + LINE_RATE // 10)
    frequencies = np.fft.rfftfreq(size, 1 / LINE_RATE)
    low, high = float(rng.uniform(*lows)), float(rng.uniform(*highs))
    response = _rise(frequencies, low) * (1 - _rise(frequencies, high))
    line = np.fft.irfft(np.fft.rfft(narrow, size) * response, size)[: narrow.size]
    loudest = max(1.0, float(np.abs(line).max()))
    law = (mu_law, a_law)[int(rng.integers(2))]
    heard = (law(line / loudest) * loudest).astype(np.float32)
    return bounded(fitted(soxr.resample(heard, LINE_RATE, RATE), given.size), given)


def mu_law(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """Code samples in -1 .. 1 with 8 bits and decode them: sign ln(1 + 255 |x|) / ln 256."""
    whole = np.log1p(MU)
    codes = np.rint(np.log1p(MU * np.abs(samples)) / whole * (CODES - 1)) / (CODES - 1)
    return np.asarray(np.copysign(np.expm1(codes * whole) / MU, samples), dtype=np.float64)


def a_law(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """Code samples in -1 .. 1 with 8 bits and decode them.

    The code of |x| is A |x| / (1 + ln A) up to 1 / A, and (1 + ln(A |x|)) / (1 + ln A) above.
    G.711's least value is half a step; here it is 0, so that digital silence stays silent.
    """
    whole, size = 1 + np.log(A), np.abs(samples)
    logarithmic = 1 + np.log(np.maximum(A * size, 1.0))
    code = np.where(size < 1 / A, A * size, logarithmic) / whole
    code = whole * np.rint(code * (CODES - 1)) / (CODES - 1)
    decoded = np.where(code < 1, code, np.exp(code - 1)) / A
    return np.asarray(np.copysign(decoded, samples), dtype=np.float64)


def codec(
    waveform: Float32,
    rng: np.random.Generator,
    *,
    coarseness: Range = COARSENESS,
    cutoffs: Range = CUTOFF,
) -> Float32:
    """Code and decode it as lossy codecs do, at a low rate: holes, warbling, no treble.

    A modified discrete cosine transform in frames of 40 ms every 20 ms; in each frame and band of
    about a third of an octave, coefficients are rounded to multiples of `coarseness` times the
    band's root mean square, so that the faint ones vanish; above the cutoff, all do. It stands
    for MP3, AAC and Opus, and is none of them: it has no psychoacoustics and no bit rate.
    """
    given = checked(waveform)
    coefficients = mdct(given)
    step = np.float32(rng.uniform(*coarseness))
    kept = round(float(rng.uniform(*cutoffs)) / (RATE / 2) * HOP)
    starts = _band_starts()
    power = np.add.reduceat(np.square(coefficients), starts, axis=1)
    widths = np.diff([*starts, HOP])
    steps = np.repeat(step * np.sqrt(power / widths), widths, axis=1)
    coarse = np.zeros_like(coefficients)
    np.divide(coefficients, steps, out=coarse, where=steps > 0)
    coarse = np.rint(coarse) * steps
    coarse[:, kept:] = 0.0
    return bounded(inverse_mdct(coarse)[: given.size], given)


def transcoded(waveform: Float32, coder: str, container: str, *, bits_per_second: int) -> Float32:
    """Code and decode it by FFmpeg, mono at 16 kHz, as the chosen coder does unless told more.

    Args:
        waveform: shape (n_samples,).
        coder: by FFmpeg's name: libopus, libmp3lame, aac, …
        container: what the coded sound lies in: ogg, mp3, adts, …
        bits_per_second: that the coder aims at.

    Raises:
        AudioError: this FFmpeg has no such coder or container, they do not go together, or the
            waveform is too short for them.
    """
    import av  # slow to load, and rarely needed

    given, buffer, name = checked(waveform), BytesIO(), f"{coder} in {container}"
    try:
        with av.open(buffer, "w", format=container) as file:
            track = file.add_stream(coder, rate=RATE, layout="mono")
            assert isinstance(track, av.AudioStream)
            track.bit_rate = bits_per_second
            frame = av.AudioFrame.from_ndarray(given[None], format="fltp", layout="mono")
            frame.sample_rate, frame.pts = RATE, 0
            file.mux([*track.encode(frame), *track.encode(None)])
    except (av.FFmpegError, ValueError) as problem:
        raise AudioError(f"{name}: FFmpeg cannot code it ({problem})") from None
    rates, blocks = zip(*decode(buffer.getvalue(), name, 0.0), strict=True)
    heard = soxr.resample(np.concatenate(blocks), rates[0], RATE)
    return bounded(fitted(heard, given.size), given)


def mdct(waveform: Float32) -> NDArray[np.float32]:
    """Transform frames of 640 samples every 320 under a sine window.

    Returns:
        Shape (n_frames, 320): a first frame reaches beyond the start, a last beyond the end.
    """
    count = -(-waveform.size // HOP) + 1
    padded = np.zeros((count + 1) * HOP, np.float32)
    padded[HOP : HOP + waveform.size] = waveform
    halves = padded.reshape(count + 1, 2, HOP // 2)
    window = _sine().reshape(2, 2, HOP // 2)
    a, b = halves[:-1, 0] * window[0, 0], halves[:-1, 1] * window[0, 1]
    c, d = halves[1:, 0] * window[1, 0], halves[1:, 1] * window[1, 1]
    folded = np.concatenate([-c[:, ::-1] - d, a - b[:, ::-1]], axis=1)
    return np.asarray(dct(folded, type=4, norm="ortho", axis=1), dtype=np.float32)


def inverse_mdct(coefficients: NDArray[np.float32]) -> Float32:
    """Give back the waveform of `mdct`, with up to 319 samples of silence behind it.

    >>> wave = np.sin(np.arange(1000, dtype=np.float32))
    >>> bool(np.allclose(inverse_mdct(mdct(wave))[:1000], wave, atol=1e-5))
    True
    """
    folded = dct(coefficients, type=4, norm="ortho", axis=1)
    first, second = folded[:, : HOP // 2], folded[:, HOP // 2 :]
    window = _sine()
    early = np.concatenate([second, -second[:, ::-1]], axis=1) * window[:HOP]
    late = np.concatenate([-first[:, ::-1], -first], axis=1) * window[HOP:]
    return np.asarray(early[1:] + late[:-1], dtype=np.float32).ravel()


def _sine() -> Float32:
    return np.sin(np.pi * (np.arange(2 * HOP) + 0.5) / (2 * HOP)).astype(np.float32)


def _band_starts() -> NDArray[np.intp]:
    """First coefficient of each band: 0, then evenly in log Hz from 100 Hz to 8 kHz."""
    edges = np.geomspace(CODED_FROM, RATE / 2, N_CODED_BANDS + 1)[:-1] / (RATE / 2) * HOP
    return np.unique(np.concatenate([[0], np.rint(edges).astype(np.intp)]))


def _rise(frequencies: NDArray[np.floating[Any]], at: float) -> NDArray[np.float64]:
    """A step from 0 to 1 at a frequency, as wide as half a cosine needs it not to ring long."""
    place = np.clip((frequencies / at - 1) / LINE_EDGE, -1.0, 1.0)
    return np.asarray(0.5 + 0.5 * np.sin(np.pi / 2 * place), dtype=np.float64)
