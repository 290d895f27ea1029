"""Random changes of spectrograms for training, drawn anew each time a clip is read.

Each function takes a spectrogram (n_mels, time), any floating type, and a generator, and gives a
new one of that type; what it was given stays as it is. Masks fill with `value`: -80 is silence in
the dB of `affekt.features.DUSHA`; the Dusha release fills with 0, its loudest level.

A gain is not among them: where the loudest cell of a clip is the reference, it changes nothing.
`spec_augment` is for Whisper's scaled log-mels, where a mask has the clip's own mean.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Spectrogram = NDArray[np.floating[Any]]

SILENCE = -80.0  # dB, the least value of DUSHA spectrograms
MASKED_MELS = 15  # mel bands, at most
MASKED_FRAMES = 39  # frames of 10 ms, at most
CROPPED_FRAMES = 39  # frames of 10 ms, at most

# the Whisper paper names masks and noise without ranges; those here are spec 3.4's
N_MASKS = 2  # along frequency, and as many along time
MASKED_SHARE_OF_MELS = 27 / 80  # of the bands, at most, by each mask
MASKED_SHARE_OF_FRAMES = 0.05  # of the frames, at most, by each mask
NOISE_SD = (0.0, 0.1)  # in units of the scaled log-mel


def dusha(
    spectrogram: Spectrogram, rng: np.random.Generator, *, value: float = SILENCE
) -> Spectrogram:
    """Mask frequencies, mask time, crop: in the order of Dusha's training (its release's code).

    Returns:
        Shape (n_mels, time - r), r in 0 .. 39, at least 1 frame.
    """
    masked = mask_frequencies(spectrogram, rng, value=value)
    return crop(mask_time(masked, rng, value=value), rng)


def mask_frequencies(
    spectrogram: Spectrogram,
    rng: np.random.Generator,
    *,
    most: int = MASKED_MELS,
    value: float = SILENCE,
) -> Spectrogram:
    """Fill 0 .. `most` neighbouring mel bands (not all of them) with `value`, at every frame."""
    masked = spectrogram.copy()
    masked[_stretch(spectrogram.shape[0], most, rng)] = value
    return masked


def mask_time(
    spectrogram: Spectrogram,
    rng: np.random.Generator,
    *,
    most: int = MASKED_FRAMES,
    value: float = SILENCE,
) -> Spectrogram:
    """Fill 0 .. `most` neighbouring frames (not all of them) with `value`, in every band."""
    masked = spectrogram.copy()
    masked[:, _stretch(spectrogram.shape[1], most, rng)] = value
    return masked


def crop(
    spectrogram: Spectrogram, rng: np.random.Generator, *, most: int = CROPPED_FRAMES
) -> Spectrogram:
    """Take r frames off, r uniform in 0 .. `most`, split at random between beginning and end.

    Of a clip of no more than `most` frames, at most all but one: the release would fail there.

    Returns:
        Shape (n_mels, time - r).
    """
    n_frames = spectrogram.shape[1]
    removed = int(rng.integers(0, min(most, n_frames - 1), endpoint=True))
    start = int(rng.integers(0, removed, endpoint=True))
    return spectrogram[:, start : start + n_frames - removed].copy()


def window(spectrogram: Spectrogram, rng: np.random.Generator, *, n_frames: int) -> Spectrogram:
    """Keep `n_frames` neighbouring frames, from a random one on; a shorter clip stays whole.

    Returns:
        Shape (n_mels, min(time, n_frames)).
    """
    start = int(rng.integers(0, max(0, spectrogram.shape[1] - n_frames), endpoint=True))
    return spectrogram[:, start : start + n_frames].copy()


def stretch_time(
    spectrogram: Spectrogram,
    rng: np.random.Generator,
    *,
    least: float = 0.9,
    most: float = 1.1,
) -> Spectrogram:
    """Make a clip shorter or longer by a factor uniform in `least` .. `most`; pitch stays.

    Frames are read off between those given, linearly; the first and the last stay where they are.

    Returns:
        Shape (n_mels, round(factor * time)), at least 1 frame.
    """
    n_frames = spectrogram.shape[1]
    count = max(1, round(n_frames * float(rng.uniform(least, most))))
    place = np.linspace(0, n_frames - 1, count)
    before = place.astype(np.intp)
    after = np.minimum(before + 1, n_frames - 1)
    share = (place - before).astype(spectrogram.dtype)
    earlier = spectrogram[:, before]
    return earlier + share * (spectrogram[:, after] - earlier)


def shift_mels(spectrogram: Spectrogram, rng: np.random.Generator, *, most: int = 2) -> Spectrogram:
    """Move a clip up or down by 0 .. `most` mel bands: a voice a little higher or lower.

    The outermost band is repeated where nothing else moves in.
    """
    n_mels = spectrogram.shape[0]
    shift = int(rng.integers(-most, most, endpoint=True))
    return spectrogram[np.clip(np.arange(n_mels) - shift, 0, n_mels - 1)]


def spec_augment(
    spectrogram: Spectrogram,
    rng: np.random.Generator,
    *,
    n_masks: int = N_MASKS,
    sd: tuple[float, float] = NOISE_SD,
) -> Spectrogram:
    """Add noise, then mask frequencies and time (Park et al. 2019; spec 3.4).

    Masks are filled with the mean of the clip that was given, so that they say nothing about it,
    and noise does not fill them.

    Args:
        spectrogram: shape (n_mels, time); a whole clip, since the mean is taken over all of it.
        rng: where chance comes from.
        n_masks: along each axis, each of 0 .. 27/80 of the bands, 0 .. 5 % of the frames.
        sd: standard deviation of the noise, drawn evenly from this range.

    Returns:
        Shape and type as given.
    """
    value = float(spectrogram.mean())
    n_mels, n_frames = spectrogram.shape
    changed = spectrogram_noise(spectrogram, rng, sd=sd)
    for _ in range(n_masks):
        most = round(MASKED_SHARE_OF_MELS * n_mels)
        changed = mask_frequencies(changed, rng, most=most, value=value)
        most = int(MASKED_SHARE_OF_FRAMES * n_frames)
        changed = mask_time(changed, rng, most=most, value=value)
    return changed


def spectrogram_noise(
    spectrogram: Spectrogram, rng: np.random.Generator, *, sd: tuple[float, float] = NOISE_SD
) -> Spectrogram:
    """Add Gaussian noise to every cell, its standard deviation drawn evenly from `sd`."""
    scale = float(rng.uniform(*sd))
    noise = rng.standard_normal(spectrogram.shape, dtype=np.float32)
    return spectrogram + (scale * noise).astype(spectrogram.dtype)


def _stretch(length: int, most: int, rng: np.random.Generator) -> slice:
    """0 .. `most` neighbours out of `length`, one of which at least is left out."""
    width = int(rng.integers(0, min(most, length - 1), endpoint=True))
    start = int(rng.integers(0, length - width, endpoint=True))
    return slice(start, start + width)
