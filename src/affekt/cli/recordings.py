"""Recordings named on a command line, and what is said about them on stderr."""

import os
import sys
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from affekt.exceptions import AudioError


def find_recordings(sources: Iterable[str], failures: list[AudioError]) -> Iterator[str]:
    """Yield each file once; folders give their recordings by ending, sorted, hidden ones left out.

    A folder that cannot be read, one without any recording, and an empty name are said on stderr
    and added to `failures`.
    """
    from affekt.audio import AUDIO_ENDINGS, VIDEO_ENDINGS, name_of

    def unreadable(problem: OSError) -> None:
        reason = f"{name_of(Path(problem.filename))}: cannot be read ({problem.strerror})"
        fail(AudioError(reason), failures)

    endings = AUDIO_ENDINGS | VIDEO_ENDINGS
    seen: set[str] = set()
    for source in sources:
        if not source:
            fail(AudioError("'': an empty name is no file or folder"), failures)
            continue
        inside = [source]
        if _is_folder(source):
            n_before = len(failures)
            walk = os.walk(Path(source), onerror=unreadable)
            files = sorted(Path(folder, name) for folder, _, names in walk for name in names)
            inside = [
                str(path)
                for path in files
                if path.suffix.lower() in endings and not path.name.startswith(".")
            ]
            if not inside and len(failures) == n_before:
                reason = "folder without recordings (no file ends in .wav, .mp3, .mp4, …)"
                fail(AudioError(f"{name_of(source)}: {reason}"), failures)
        yield from (path for path in inside if path not in seen)
        seen.update(inside)


def short_names(paths: Sequence[str]) -> list[str]:
    """Give each path a name of its own: its stem, or, where stems repeat, the whole path.

    >>> short_names(["a/x.wav", "b/y.wav"])
    ['x', 'y']
    >>> short_names(["a/x.wav", "b/x.wav", "b/y.wav"])
    ['a__x.wav', 'b__x.wav', 'y']
    """
    stems = [Path(path).stem for path in paths]
    count = Counter(stems)
    return [
        stem if count[stem] == 1 else "__".join(Path(path).parts).strip(os.sep + "_")
        for path, stem in zip(paths, stems, strict=True)
    ]


@contextmanager
def warnings_in_one_line() -> Iterator[None]:
    """Say what is odd about a recording as errors are said."""
    from affekt.audio import AudioWarning

    usual = warnings.showwarning

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if issubclass(category, AudioWarning):
            say(f"warning: {message}")
        else:
            usual(message, category, filename, lineno, file, line)

    with warnings.catch_warnings():
        warnings.simplefilter("always", AudioWarning)
        warnings.showwarning = show
        yield


def say(message: str) -> None:
    """Say something on stderr, as errors are said."""
    # the progress bar steps aside for sys.stderr alone
    print(f"affekt: {message}", file=sys.stderr)


def fail(problem: AudioError, failures: list[AudioError]) -> None:
    """Say what is wrong with a recording, and go on with the others."""
    failures.append(problem)
    say(str(problem))


def _is_folder(path: str) -> bool:
    try:
        return Path(path).is_dir()
    except OSError:  # who opens it later says what is wrong
        return False
