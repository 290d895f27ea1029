"""What networks see of a recording: FEATURES maps a name to its function."""

from collections.abc import Callable
from functools import partial
from typing import Any

from numpy.typing import NDArray

from affekt.features.logmel import DUSHA, LSSED, WHISPER, log_mel
from affekt.features.lssed import log_mel_lssed_denoised
from affekt.features.shortterm34 import shortterm34

FEATURES: dict[str, Callable[..., NDArray[Any]]] = {
    "log_mel": log_mel,
    "log_mel_dusha": partial(log_mel, preset=DUSHA),
    "log_mel_lssed": partial(log_mel, preset=LSSED),
    "log_mel_lssed_denoised": log_mel_lssed_denoised,
    "shortterm34": shortterm34,
}

__all__ = [
    "DUSHA",
    "FEATURES",
    "LSSED",
    "WHISPER",
    "log_mel",
    "log_mel_lssed_denoised",
    "shortterm34",
]
