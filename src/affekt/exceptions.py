"""What Affekt raises when its input, not its code, is at fault.

Every message is one line that names the file or value and, where there is one, the remedy.
The command line prints it as it is and ends with exit code 1.
"""


class AffektError(Exception):
    """Base of every error that a caller's input can cause.

    No ValueError: `except ValueError` around a conversion must not swallow what is said already.
    """


class AudioError(AffektError):
    """A recording is missing, empty, damaged, not audio, or over a limit."""


class TableError(AffektError):
    """A table of utterances, votes, ratings or labels breaks its contract."""


class CorpusError(AffektError):
    """A corpus folder or tree does not have the expected layout."""


class SplitError(AffektError):
    """A split cannot be made, or shares speakers or audio between train and test."""


class CheckpointError(AffektError):
    """A checkpoint or model is missing, damaged, foreign, or does not fit."""


class TrainingError(AffektError):
    """A training cannot go on: its loss is not finite, or there are too few devices."""
