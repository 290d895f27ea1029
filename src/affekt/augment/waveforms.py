"""Random changes of waveforms for training, drawn anew each time a clip is heard.

Each takes a waveform (n_samples,), float32 at 16 kHz, and a generator, and gives a new one of the
same length (`speed` alone does not); what it was given stays as it is. Digital silence stays
silent. No sample exceeds full scale, or the loudest sample given where that is louder: what would
is scaled down as a whole, never clipped.

The seven of the Whisper paper are here; it gives no ranges, so those below are spec 3.4's. A
range whose ends are equal is a fixed value.
"""

from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np
import soxr
from numpy.typing import NDArray

from affekt.exceptions import AudioError

Float32 = NDArray[np.float32]
Range = tuple[float, float]
Colour = Literal["white", "pink", "babble"]

RATE = 16_000  # Hz, of every waveform here
FULL_SCALE = 1.0

GAIN = (-12.0, 6.0)  # dB
SNR = (5.0, 30.0)  # dB
PINK_FROM = 20.0  # Hz: below, pink noise has nothing
VOICES = (3, 7)  # in babble
RESAMPLED = (8_000.0, 16_000.0)  # Hz: the rate in between; half of it is the bandwidth left
SPEED = (0.9, 1.1)  # times as fast
N_BANDS = 3
CENTRE = (100.0, 7_000.0)  # Hz, log-uniform
BAND_GAIN = (-8.0, 8.0)  # dB at the centre
QUALITY = (0.5, 2.0)  # Q: centre over bandwidth
DELAY = (0.020, 0.200)  # s
DECAY = (0.1, 0.5)  # amplitude of each repetition over the one before
TAPS = (1, 3)  # repetitions
RINGING = 4096  # samples: the narrowest band above has fallen by far more than 100 dB


def polarity(waveform: Float32, rng: np.random.Generator) -> Float32:
    """Turn every sample's sign. Nothing is left to chance."""
    del rng
    return -checked(waveform)


def gain(waveform: Float32, rng: np.random.Generator, *, decibels: Range = GAIN) -> Float32:
    """Make it louder or quieter by a gain even in dB, up to full scale."""
    given = checked(waveform)
    return bounded(given * np.float32(_amplitude(rng.uniform(*decibels))), given)


def reversal(
    waveform: Float32,
    rng: np.random.Generator,
    *,
    segments: Sequence[tuple[int, int]] | None = None,
) -> Float32:
    """Play it backwards, each segment in its place, so that labels keep theirs.

    Args:
        waveform: shape (n_samples,).
        rng: not used: nothing is left to chance.
        segments: (first, past the last), samples; what lies outside stays. None: one segment.

    Raises:
        AudioError: a segment does not lie within the waveform.
    """
    del rng
    changed = checked(waveform).copy()
    for first, end in [(0, changed.size)] if segments is None else segments:
        if not 0 <= first <= end <= changed.size:
            raise AudioError(
                f"reversal: segment {first} .. {end} is not within the waveform's"
                f" {changed.size} samples"
            )
        changed[first:end] = changed[first:end][::-1].copy()
    return changed


def noise(
    waveform: Float32,
    rng: np.random.Generator,
    *,
    decibels: Range = SNR,
    others: Sequence[Float32] = (),
    colour: Colour | None = None,
) -> Float32:
    """Add white noise, pink noise, or the babble of other voices.

    Args:
        waveform: shape (n_samples,).
        rng: where chance comes from.
        decibels: ratio of the waveform's mean power to the noise's, even in dB.
        others: utterances that babble is made of, 16 kHz.
        colour: which noise; None: drawn evenly, babble only where there are `others`.

    Raises:
        AudioError: babble of no other utterance, or of silent ones alone.
        ValueError: another colour.
    """
    given = checked(waveform)
    known = get_args(Colour)
    if colour is not None and colour not in known:
        raise ValueError(f"noise of colour {colour!r}: choose {', '.join(known)}")
    n_open = len(known) if len(others) else len(known) - 1
    drawn = colour or known[int(rng.integers(n_open))]
    if drawn == "babble":
        disturbance = babble(others, given.size, rng)
    else:
        disturbance = pink(given.size, rng) if drawn == "pink" else white(given.size, rng)
    return mixed(given, disturbance, float(rng.uniform(*decibels)))


def mixed(waveform: Float32, disturbance: Float32, decibels: float) -> Float32:
    """Add `disturbance`, as long as the waveform, at a ratio of mean powers in dB, exactly.

    Where one of them is digital silence there is no such ratio: the waveform comes back.
    """
    power, other = (float(np.square(x, dtype=np.float64).mean()) for x in (waveform, disturbance))
    if power == 0 or other == 0:
        return waveform.copy()
    scale = np.float32(np.sqrt(power / other) / _amplitude(decibels))
    return bounded(waveform + scale * disturbance, waveform)


def white(n_samples: int, rng: np.random.Generator) -> Float32:
    """Draw noise of even power per Hz, shape (n_samples,), standard deviation 1."""
    return rng.standard_normal(n_samples, dtype=np.float32)


def pink(n_samples: int, rng: np.random.Generator) -> Float32:
    """Draw noise of even power per octave from 20 Hz up: power falls by 3 dB an octave.

    Returns:
        Shape (n_samples,), standard deviation about 1.
    """
    size = fast_length(max(n_samples, RATE // 10))  # 0.1 s: no less has 20 Hz in it
    frequencies = np.fft.rfftfreq(size, 1 / RATE)
    weights = 1 / np.sqrt(np.maximum(frequencies, PINK_FROM))
    weights[frequencies < PINK_FROM] = 0.0
    weights /= np.sqrt(np.square(weights[1:]).mean())
    spectrum = np.fft.rfft(white(size, rng)) * weights.astype(np.float32)
    return np.fft.irfft(spectrum, size)[:n_samples].astype(np.float32)


def babble(others: Sequence[Float32], n_samples: int, rng: np.random.Generator) -> Float32:
    """Let 3 to 7 voices talk at once, equally loud, each from a random place on.

    An utterance that is too short is repeated; one may speak twice where there are few.

    Returns:
        Shape (n_samples,), float32.

    Raises:
        AudioError: there is no other utterance, or only silent ones were drawn.
    """
    if not len(others):
        raise AudioError("babble needs other utterances: give some as `others`")
    n_voices = int(rng.integers(VOICES[0], VOICES[1], endpoint=True))
    total = np.zeros(n_samples, np.float32)
    for number in rng.integers(len(others), size=n_voices):
        voice = checked(others[int(number)])
        start = int(rng.integers(voice.size))
        level = np.sqrt(np.square(voice, dtype=np.float64).mean())
        if level > 0:
            total += np.resize(np.roll(voice, -start), n_samples) / np.float32(level)
    if not total.any():
        raise AudioError("babble: the utterances drawn as `others` are silent; give others")
    return total


def resampling(waveform: Float32, rng: np.random.Generator, *, rates: Range = RESAMPLED) -> Float32:
    """Resample to a lower rate, even in Hz, and back: what lies above half of it is lost.

    Pitch and pace stay.
    """
    given = checked(waveform)
    rate = round(float(rng.uniform(*rates)))
    narrow = soxr.resample(given, RATE, rate)
    return bounded(fitted(soxr.resample(narrow, rate, RATE), given.size), given)


def speed(waveform: Float32, rng: np.random.Generator, *, factors: Range = SPEED) -> Float32:
    """Play it faster or slower: pace and pitch change together. Not of the same length.

    So it must come before anything that counts samples, and is no part of `augment`.

    Returns:
        Shape (about n_samples / factor,), the factor being even in its range.
    """
    given = checked(waveform)
    factor = float(rng.uniform(*factors))
    faster = soxr.resample(given, RATE, RATE / factor)
    return bounded(fitted(faster, max(1, round(given.size / factor))), given)


def equalisation(
    waveform: Float32,
    rng: np.random.Generator,
    *,
    n_bands: int = N_BANDS,
    centres: Range = CENTRE,
    decibels: Range = BAND_GAIN,
    qualities: Range = QUALITY,
) -> Float32:
    """Raise or lower bands, one after the other, as a tone control does.

    Centres are even in log Hz, gains in dB, qualities as such (`peak` is the filter).
    """
    given = checked(waveform)
    size = fast_length(given.size + RINGING)
    frequencies = np.fft.rfftfreq(size, 1 / RATE)
    response = np.ones(frequencies.size, dtype=np.complex128)
    for _ in range(n_bands):
        centre = float(np.exp(rng.uniform(*np.log(centres))))
        raised, quality = float(rng.uniform(*decibels)), float(rng.uniform(*qualities))
        response *= peak(frequencies, centre, raised, quality)
    spectrum = np.fft.rfft(given, size) * response.astype(np.complex64)
    return bounded(np.fft.irfft(spectrum, size)[: given.size], given)


def peak(
    frequencies: NDArray[np.floating[Any]], centre: float, decibels: float, quality: float
) -> NDArray[np.complex128]:
    """Compute the response of a peaking filter (Bristow-Johnson's audio EQ cookbook).

    Args:
        frequencies: Hz, 0 .. 8000.
        centre: Hz, where the gain is `decibels`.
        decibels: gain there; 0 Hz and 8 kHz keep theirs.
        quality: Q.

    Returns:
        Complex gains, shaped as `frequencies`.

    >>> gains = peak(np.array([0.0, 1000.0, 8000.0]), 1000.0, 6.0, 1.0)
    >>> (20 * np.log10(np.abs(gains))).round(3).tolist()
    [0.0, 6.0, 0.0]
    """
    angle = 2 * np.pi * centre / RATE
    amplitude, alpha = 10 ** (decibels / 40), np.sin(angle) / (2 * quality)
    back = np.exp(-2j * np.pi * np.asarray(frequencies) / RATE)
    middle = -2 * np.cos(angle) * back + back**2
    above = (1 + alpha * amplitude) + middle - alpha * amplitude * back**2
    below = (1 + alpha / amplitude) + middle - alpha / amplitude * back**2
    return np.asarray(above / below, dtype=np.complex128)


def echo(
    waveform: Float32,
    rng: np.random.Generator,
    *,
    delays: Range = DELAY,
    decays: Range = DECAY,
    taps: tuple[int, int] = TAPS,
) -> Float32:
    """Let it repeat once, twice or three times: the k-th after k delays, at decay^k.

    What would sound behind the end is cut off.
    """
    given = checked(waveform)
    delay = max(1, round(float(rng.uniform(*delays)) * RATE))
    decay = float(rng.uniform(*decays))
    changed = given.copy()
    for k in range(1, int(rng.integers(taps[0], taps[1], endpoint=True)) + 1):
        late = min(k * delay, given.size)
        changed[late:] += np.float32(decay**k) * given[: given.size - late]
    return bounded(changed, given)


def roll(
    waveform: Float32, frames: Sequence[NDArray[Any]], rng: np.random.Generator
) -> tuple[Float32, list[NDArray[Any]]]:
    """Begin at a random frame; what stood before it follows the end. Labels go with the sound.

    Args:
        waveform: shape (n_samples,), a whole number of frames: 480,000 samples, 1500 of 20 ms.
        frames: arrays with a row a frame, (n_frames, …): targets, masks, segments' numbers.
        rng: where chance comes from: every frame is as probable as any other.

    Returns:
        The waveform, and the arrays, all rolled by the same time.

    Raises:
        AudioError: arrays differ in length, there is none, or frames do not divide the waveform.
    """
    given = checked(waveform)
    lengths = {len(array) for array in frames}
    n_frames = lengths.pop() if len(lengths) == 1 else 0
    if n_frames == 0 or given.size % n_frames:
        raise AudioError(
            f"roll: {given.size} samples and arrays of {[len(array) for array in frames]} frames:"
            " give arrays of one length that divides the samples"
        )
    shift = int(rng.integers(n_frames))
    rolled = np.roll(given, shift * (given.size // n_frames))
    return rolled, [np.roll(array, shift, axis=0) for array in frames]


def checked(waveform: Float32) -> Float32:
    """Give the waveform as float32.

    Raises:
        AudioError: it is not one-dimensional or has no sample.
    """
    if waveform.ndim != 1 or waveform.size == 0:
        raise AudioError(
            f"augmentation needs mono samples, shape (n_samples,): got {waveform.shape}"
        )
    return np.asarray(waveform, dtype=np.float32)


def bounded(changed: NDArray[np.floating[Any]], given: Float32) -> Float32:
    """Scale down what is louder than full scale and than anything in `given`."""
    most = max(FULL_SCALE, float(np.abs(given).max()))
    loudest = float(np.abs(changed).max())
    if loudest > most:
        # rounding must not lift the loudest sample over the bound again
        changed = np.clip(changed * (most / loudest), -most, most)
    return np.asarray(changed, dtype=np.float32)


def fitted(waveform: Float32, n_samples: int) -> Float32:
    """Cut, or put silence behind: a resampler's rounding is a sample or two off."""
    result = np.zeros(n_samples, np.float32)
    kept = min(n_samples, waveform.size)
    result[:kept] = waveform[:kept]
    return result


def fast_length(n_samples: int) -> int:
    """Give a length that is quick to transform: the next m * 2^k with m in 8 .. 15.

    >>> fast_length(1000), fast_length(1025), fast_length(5)
    (1024, 1152, 8)
    """
    power = 1 << max(0, (n_samples - 1).bit_length() - 4)
    return max(8, -(-n_samples // power)) * power


def _amplitude(decibels: float) -> float:
    """A gain in dB as a factor of amplitude."""
    return float(10 ** (decibels / 20))
