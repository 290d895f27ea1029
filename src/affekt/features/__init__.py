"""What networks see of a recording: FEATURES maps a name to its function."""

from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray

from affekt.features.logmel import log_mel
from affekt.features.shortterm34 import shortterm34

FEATURES: dict[str, Callable[..., NDArray[Any]]] = {
    "log_mel": log_mel,
    "shortterm34": shortterm34,
}

__all__ = ["FEATURES", "log_mel", "shortterm34"]
