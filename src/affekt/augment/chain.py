"""Changes of waveforms one after the other, each with its own chance."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from affekt.augment.channels import codec, room, telephone
from affekt.augment.waveforms import (
    Float32,
    checked,
    echo,
    equalisation,
    gain,
    noise,
    polarity,
    resampling,
    reversal,
)

OPERATIONS: dict[str, Callable[..., Float32]] = {
    "reversal": reversal,
    "equalisation": equalisation,
    "room": room,
    "echo": echo,
    "noise": noise,
    "resampling": resampling,
    "telephone": telephone,
    "codec": codec,
    "gain": gain,
    "polarity": polarity,
}
"""Every change by name, in the order sound meets them: voice, room, noise, microphone, line."""

CHANCE = 0.2  # of each (Whisper paper, spec 3.4)
PAPER: dict[str, float] = dict.fromkeys(
    ("reversal", "equalisation", "echo", "noise", "resampling", "gain", "polarity"), CHANCE
)
"""The seven of the Whisper paper, each with the chance it gives."""

BEYOND: dict[str, float] = dict.fromkeys(OPERATIONS, CHANCE)
"""The paper's, and a room, a telephone line and a codec as often."""


def augment(
    waveform: Float32,
    rng: np.random.Generator,
    chances: Mapping[str, float] = PAPER,
    *,
    others: Sequence[Float32] = (),
    segments: Sequence[tuple[int, int]] | None = None,
) -> Float32:
    """Change a waveform in some of the ways of `OPERATIONS`, each or not by its chance.

    Every change has its own stream of random numbers: to turn one off, or another on, alters
    nothing of what is drawn for the others. Their order is always that of `OPERATIONS`.

    Args:
        waveform: shape (n_samples,), float32, 16 kHz.
        rng: where chance comes from; as much is taken of it whatever happens.
        chances: name -> probability, 0 .. 1; who is not named is not done.
        others: other utterances, for babble; without them noise is white or pink.
        segments: (first, past the last), samples: each is reversed in its place. None: the
            waveform is one segment.

    Returns:
        A new waveform, shape (n_samples,), float32, by the bounds of `affekt.augment.waveforms`.

    Raises:
        AudioError: the waveform is not one-dimensional or has no sample.
        ValueError: an unknown name, or a chance outside 0 .. 1.

    >>> wave = np.array([0.1, 0.2], np.float32)
    >>> augment(wave, np.random.default_rng(0), {"polarity": 1.0}).tolist() == (-wave).tolist()
    True
    """
    for name, chance in chances.items():
        if name not in OPERATIONS:
            raise ValueError(f"{name!r} is no augmentation: choose of {', '.join(OPERATIONS)}")
        if not 0 <= chance <= 1:
            raise ValueError(f"the chance of {name} is {chance}: give a probability, 0 .. 1")
    changed = checked(waveform).copy()
    coins = rng.random(len(OPERATIONS))
    seeds = rng.integers(2**63, size=len(OPERATIONS))
    context: dict[str, dict[str, Any]] = {
        "noise": {"others": others},
        "reversal": {"segments": segments},
    }
    for (name, change), coin, seed in zip(OPERATIONS.items(), coins, seeds, strict=True):
        if coin < chances.get(name, 0.0):
            own = np.random.default_rng(int(seed))
            changed = change(changed, own, **context.get(name, {}))
    return changed
