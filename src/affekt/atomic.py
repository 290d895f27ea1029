"""Write files so that a reader sees the old content or the new one, never half of it."""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_NUMBER = re.compile(r"\(os error (\d+)\)")  # how Rust, and so safetensors, writes a system's error


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; on success flush and rename it, on error remove it.

    A link is followed: what it leads to is replaced. What is no regular file, a device or a pipe,
    is never replaced but written to at the end. An OSError on the way names `path`, or the folder
    that cannot be made, not the temporary file; what safetensors raises of a full disk becomes one.

    Yields:
        A path in the same folder, with the same ending, that does not exist yet for other readers.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> with replacing(folder / "a.txt") as temporary:
    ...     _ = temporary.write_text("whole")
    >>> [p.name for p in folder.iterdir()], (folder / "a.txt").read_text()
    (['a.txt'], 'whole')
    """
    target = Path(os.path.realpath(path))
    device = target.exists() and not target.is_file() and not target.is_dir()
    temporary = _aside(target) if device else _beside(target)
    try:
        yield temporary
        if device:
            with temporary.open("rb") as written, target.open("wb") as sink:
                shutil.copyfileobj(written, sink)
            temporary.unlink()
            return
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)  # mkstemp made it private; give it a file's usual rights
        temporary.replace(target)
    except BaseException as problem:
        temporary.unlink(missing_ok=True)
        if isinstance(problem, OSError) and problem.filename in (None, str(temporary)):
            problem.filename, problem.filename2 = str(target), None
        number = _NUMBER.search(str(problem))
        if number and not isinstance(problem, OSError):
            code = int(number[1])
            raise OSError(code, os.strerror(code), str(target)) from problem
        raise


def _aside(target: Path) -> Path:
    """Make an empty file in the system's own place: beside a device there can be none."""
    handle, name = tempfile.mkstemp(suffix=target.suffix)
    os.close(handle)
    return Path(name)


def _beside(target: Path) -> Path:
    """Make an empty file for this writer alone in the folder of `target`."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle, name = tempfile.mkstemp(
            dir=target.parent, prefix=f".{target.stem}-", suffix=target.suffix
        )
    except OSError as problem:
        problem.filename = str(target)
        raise
    os.close(handle)
    return Path(name)
