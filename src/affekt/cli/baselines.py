"""Which voice each recording is measured from: none, an enrolled one, or that of its group.

Groups are heard whole before the first answer; what is kept of a recording meanwhile is a scan of
a few numbers a second.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from affekt.exceptions import AffektError, AudioError

if TYPE_CHECKING:
    from affekt.adapt import Voice
    from affekt.recognizer import Recognizer
    from affekt.scan import Scan

LEAST_SECONDS = 20.0  # of sound, not of pauses, that a recording is measured from itself


class Adapt(StrEnum):
    """Whose mean is taken away; `affekt.adapt.MODES` says it for the library."""

    recording = "recording"
    speaker = "speaker"
    folder = "folder"


class Heard(NamedTuple):
    """A recording, and the voice it is answered by: `adapted` says how, "" = left as it is."""

    path: str
    name: str
    scan: "Scan"
    voice: "Voice | None" = None
    adapted: str | None = None


def group_of(path: str, mode: Adapt) -> str:
    """Give the folder that a recording lies in, for it stands for its speaker; or one for all."""
    return str(Path(path).absolute().parent) if mode is Adapt.speaker else "all recordings"


def check_groups(paths: Sequence[str], mode: Adapt | None, speaker: str | None) -> None:
    """Refuse before any work what nothing could be measured from.

    Raises:
        AffektError: a mode and an enrolled speaker at once; a group of one recording.
    """
    if mode and speaker is not None:
        raise AffektError(f"--adapt {mode}, --speaker {speaker}: choose one to measure from")
    if mode in (Adapt.speaker, Adapt.folder):
        n_members = Counter(group_of(path, mode) for path in paths)
        for path in paths:
            if n_members[group_of(path, mode)] == 1:
                raise AffektError(_alone(path, mode))


def measured(
    heard: Iterable[Heard],
    mode: Adapt,
    fail: Callable[[AudioError], None],
    note: Callable[[str], None],
) -> Iterator[Heard]:
    """Give each recording the voice of its group.

    Args:
        heard: what was scanned.
        mode: what a group is; `recording`: scans with windows.
        fail: told of a recording that is left alone in its group, since the others failed.
        note: told what is left as it is.
    """
    from affekt.adapt import pool
    from affekt.decode import name_of

    if mode is Adapt.recording:
        for one in heard:
            seconds = one.scan.seconds_of_sound
            if seconds < LEAST_SECONDS:
                note(
                    f"{name_of(one.path)}: {seconds:.0f} s of sound are too little to be measured"
                    f" from itself (from {LEAST_SECONDS:.0f} s on): left as it is"
                )
                yield one._replace(adapted="")
            else:
                yield one._replace(voice=one.scan.voice(), adapted=str(mode))
        return
    groups: dict[str, list[Heard]] = {}
    everything = list(heard)
    for one in everything:
        groups.setdefault(group_of(one.path, mode), []).append(one)
    voices = {name: pool(one.scan.voice() for one in group) for name, group in groups.items()}
    for one in everything:
        group = group_of(one.path, mode)
        if len(groups[group]) == 1:
            fail(AudioError(_alone(one.path, mode)))
        else:
            yield one._replace(voice=voices[group], adapted=str(mode))


def enrolled(recognizer: "Recognizer", speaker: str) -> "Voice":
    """Read an enrolled speaker's voice.

    Raises:
        AffektError: nobody of that name, or enrolled with another model.
    """
    from affekt.adapt import read_voice
    from affekt.cli.enrol import names, voice_file

    path = voice_file(speaker)
    if not path.exists():
        known = ", ".join(names()) or "nobody yet"
        raise AffektError(
            f"--speaker {speaker}: nobody of that name is enrolled ({known}): affekt enrol"
            f" {speaker} RECORDINGS"
        )
    return read_voice(path, recognizer.card)


def _alone(path: str, mode: Adapt) -> str:
    from affekt.decode import name_of

    return (
        f"{name_of(path)}: is the only recording of its {mode}, of which little is left when its"
        " own mean is taken away: give more, or leave --adapt out"
    )
