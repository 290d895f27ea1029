"""What networks see of a recording: FEATURES maps a name to its function."""

from affekt.features.logmel import log_mel

FEATURES = {"log_mel": log_mel}

__all__ = ["FEATURES", "log_mel"]
