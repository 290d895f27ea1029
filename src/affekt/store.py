"""What a function makes of each recording: computed once, kept on disk, read as it is needed.

A store is a folder; each function with its settings has a folder in it, and there lie files of a
few hundred utterances each. An utterance is known by its sound, the content of its file and the
stretch of it, so every corpus, part or copy that holds it shares the result. A run that was
stopped goes on with what is missing; a damaged file counts as absent.
"""

import hashlib
import math
import multiprocessing
import os
import signal
import threading
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, overload

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from affekt import audio
from affekt.atomic import replacing
from affekt.corpus import Corpus
from affekt.decode import name_of
from affekt.exceptions import AffektError, AudioError

UTTERANCES_PER_SHARD = 256
ENDING = ".safetensors"
REMEDY = "leave it out of the table, or give its reason under `excluded`"
NAMES = {"values", "shapes", "keys", "fingerprints", "seconds"}

Float32 = NDArray[np.float32]
Array = NDArray[Any]
Compute = Callable[[Float32], Array]


class Piece(NamedTuple):
    """An utterance's sound: where it lies, and the hash that it is known by."""

    key: bytes
    path: Path
    start: float  # s
    end: float | None  # s; None: to the end


class Entry(NamedTuple):
    """Where a result lies, and what else is known of the utterance."""

    shard: Path
    offset: int  # of its first value
    shape: tuple[int, ...]
    fingerprint: str
    seconds: float


class Features(Sequence[Array]):
    """Arrays in files that are mapped into memory: each is read when it is asked for.

    An array got is a copy, free to be written to. The sequence can be sent to other processes.
    """

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._entries = [entry[:3] for entry in entries]
        self._opened: dict[Path, Any] = {}

    def __len__(self) -> int:
        return len(self._entries)

    @overload
    def __getitem__(self, row: int) -> Array: ...
    @overload
    def __getitem__(self, row: slice) -> list[Array]: ...
    def __getitem__(self, row: int | slice) -> Array | list[Array]:
        if isinstance(row, slice):
            return [self[one] for one in range(*row.indices(len(self)))]
        shard, offset, shape = self._entries[row]
        if shard not in self._opened:
            file: Any = safe_open(shard, framework="numpy")
            self._opened[shard] = file.get_slice("values")
        size = math.prod(shape)
        # no slice of safetensors may be empty
        values: Array = self._opened[shard][offset : offset + max(1, size)]
        return values[:size].reshape(shape)

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """Shapes of all, without reading any: lengths for batches."""
        return [shape for _, _, shape in self._entries]

    def __getstate__(self) -> dict[str, Any]:
        return {"_entries": self._entries, "_opened": {}}


@dataclass(frozen=True)
class Stored:
    """What `stored` gives, in the order of the corpus' table.

    `features`: an array per utterance, read from disk when asked for; `fingerprints`: utterance
    -> hash of its samples; `seconds` (n,): how long each is.
    """

    features: Features
    fingerprints: dict[str, str]
    seconds: NDArray[np.float64]


def stored(
    corpus: Corpus,
    compute: Compute,
    *,
    store: Path,
    workers: int | None = None,
    on_utterances: Callable[[int], None] | None = None,
) -> Stored:
    """Give what a function makes of every utterance of a corpus; compute what is not there yet.

    Args:
        corpus: its files are decoded to 16 kHz mono.
        compute: waveform (n_samples,) float32 -> array, all of one type and number of axes. A
            function of a module, or `functools.partial` of one with settings that are numbers,
            strings, None, functions, or tuples, lists, dicts and dataclasses of such. Its name,
            its settings and what it makes of a test sound are the store's key, so most changes
            of its code are noticed.
        store: folder for the results; made if absent.
        workers: processes; None: one for each core this process may use; 1: this process alone.
            More than one start afresh, so a script must guard its own start with
            `if __name__ == "__main__"`.
        on_utterances: told how many more utterances are done, for a progress bar.

    Raises:
        AudioError: a recording is missing or cannot be decoded; the message names it.
        AffektError: as `compute` raises it, with the recording's name before it; or a worker
            process ended.
        TypeError: `compute` is a lambda, an inner function or a method, or has settings of other
            kinds; or its arrays are of several kinds.

    Warns:
        AudioWarning: only part of a recording could be decoded; that part is used.
    """
    folder = Path(store) / _folder_name(compute)
    folder.mkdir(parents=True, exist_ok=True)
    pieces = _pieces(corpus)
    times = Counter(piece.key for piece in pieces)  # one sound may be under several names
    found: dict[bytes, Entry] = {}
    for path in sorted(folder.glob(f"[!.]*{ENDING}")):
        found |= _entries(path)
    missing = list({piece.key: piece for piece in pieces if piece.key not in found}.values())
    tell = on_utterances or (lambda count: None)
    tell(sum(count for key, count in times.items() if key in found))
    shards = {}
    for first in range(0, len(missing), UTTERANCES_PER_SHARD):
        shard = missing[first : first + UTTERANCES_PER_SHARD]
        digest = hashlib.sha256(b"".join(piece.key for piece in shard)).hexdigest()
        shards[folder / f"{digest[:16]}{ENDING}"] = shard
    for path, said in _computed(compute, shards, n_cores() if workers is None else workers):
        for warning in said:
            warnings.warn(warning, stacklevel=2)
        found |= _entries(path)
        tell(sum(times[piece.key] for piece in shards[path]))
    entries = [found[piece.key] for piece in pieces]
    names = corpus.utterances.index
    return Stored(
        Features(entries),
        {name: entry.fingerprint for name, entry in zip(names, entries, strict=True)},
        np.array([entry.seconds for entry in entries], dtype=np.float64),
    )


def n_cores() -> int:
    """Count the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def file_hashes(paths: Iterable[Path]) -> dict[Path, str]:
    """Hash what is in each file, SHA-256 in hex digits; what is no file counts as empty."""
    hashes: dict[Path, str] = {}
    for path in paths:
        if path in hashes:  # one recording may hold many utterances
            continue
        if not path.is_file():
            hashes[path] = hashlib.sha256().hexdigest()
            continue
        with path.open("rb") as file:
            hashes[path] = hashlib.file_digest(file, "sha256").hexdigest()
    return hashes


def _pieces(corpus: Corpus) -> list[Piece]:
    """The sound of every utterance, in the table's order."""
    table = corpus.utterances
    paths = [corpus.root / str(file) for file in table["file"]]
    hashes = file_hashes(paths)
    starts = table["start"].fillna(0.0).to_numpy(dtype=float)
    ends = table["end"].to_numpy(dtype=float)
    pieces = []
    for path, start, end in zip(paths, starts.tolist(), ends.tolist(), strict=True):
        digest = hashlib.sha256(repr((hashes[path], start, end)).encode()).digest()
        pieces.append(Piece(digest[:16], path, start, None if math.isnan(end) else end))
    return pieces


def _folder_name(compute: Compute) -> str:
    """A readable name, and a hash of name, settings and what becomes of one second of chirp."""
    function = compute
    while isinstance(function, partial):
        function = function.func
    seconds = np.arange(audio.SAMPLE_RATE) / audio.SAMPLE_RATE
    chirp = 0.3 * np.sin(2 * np.pi * (100.0 + 3000.0 * seconds) * seconds)
    made = np.asarray(compute(chirp.astype(np.float32)))
    digest = hashlib.sha256(f"{_written(compute)} {made.dtype} {made.shape}".encode())
    digest.update(made.tobytes())
    name = getattr(function, "__name__", "")
    return f"{name}-{digest.hexdigest()[:16]}"


def _written(value: object) -> str:
    """Write a function and its settings out so that equal ones, and no others, look the same."""
    if isinstance(value, partial):
        return (
            f"partial({_written(value.func)}, {_written(value.args)}, {_written(value.keywords)})"
        )
    if value is None or isinstance(value, bool | int | float | str | Path):
        return repr(value)
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(_written, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key!r}: {_written(value[key])}' for key in sorted(value))}}}"
    if is_dataclass(value) and not isinstance(value, type):
        named = {field.name: getattr(value, field.name) for field in fields(value)}
        return type(value).__qualname__ + _written(named)
    name = getattr(value, "__qualname__", "<")
    bound = hasattr(value, "__func__")  # a method: its name says nothing of its object
    if callable(value) and "<" not in name and not bound:
        return f"{getattr(value, '__module__', '')}.{name}"
    raise TypeError(
        f"{value!r}: a store knows functions of a module, and functools.partial of them with plain"
        " settings; lambdas, inner functions, methods and arrays have no name to be known by"
    )


def _entries(shard: Path) -> dict[bytes, Entry]:
    """What a finished shard holds; nothing if it is damaged (then it is computed anew)."""
    try:
        with safe_open(shard, framework="numpy") as file:
            if set(file.keys()) != NAMES:
                return {}
            size = math.prod(file.get_slice("values").get_shape())
            part = {name: file.get_tensor(name) for name in NAMES - {"values"}}
    except (SafetensorError, OSError):
        return {}
    sizes = part["shapes"].prod(axis=1, dtype=np.int64)
    if sizes.sum() + 1 != size or len({len(rows) for rows in part.values()}) != 1:
        return {}
    rows = zip(
        (key.tobytes() for key in part["keys"]),
        (np.cumsum(sizes) - sizes).tolist(),
        map(tuple, part["shapes"].tolist()),
        (fingerprint.tobytes().hex() for fingerprint in part["fingerprints"]),
        part["seconds"].tolist(),
        strict=True,
    )
    return {key: Entry(shard, *rest) for key, *rest in rows}


def _computed(
    compute: Compute, shards: dict[Path, list[Piece]], workers: int
) -> Iterator[tuple[Path, list[Warning]]]:
    """Compute and write the shards; give each, as it is done, with what was warned of.

    Interrupted, it lets the shards that are begun end, and keeps them.
    """
    workers = min(workers, len(shards))
    if workers <= 1:
        for path, pieces in shards.items():
            yield path, _compute_shard(compute, pieces, path)
        return
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"))
    try:
        with _interrupts_ignored():  # inherited by workers, so they never hear Ctrl-C
            begun = {
                pool.submit(_compute_shard, compute, part, path): path
                for path, part in shards.items()
            }
        for done in as_completed(begun):
            yield begun[done], done.result()
    except BrokenProcessPool as problem:
        raise AffektError(
            "a worker process ended before its work was done: memory may be short, or the script"
            ' lacks `if __name__ == "__main__"`; workers=1 (--workers 1) does without'
        ) from problem
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """Leave Ctrl-C, which all processes of a terminal hear, to the one that waits for the others.

    Other threads than the main one cannot, and hear nothing of it either.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _compute_shard(compute: Compute, pieces: Sequence[Piece], target: Path) -> list[Warning]:
    """Decode and compute utterances, write them to one file; give what was warned of."""
    arrays, fingerprints, seconds = [], [], []
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        for piece in pieces:
            try:
                waveform = audio.load(piece.path, start=piece.start, end=piece.end)
            except AudioError as problem:
                raise AudioError(f"{problem}: {REMEDY}") from problem
            try:
                arrays.append(np.asarray(compute(waveform)))
            except AffektError as problem:
                raise type(problem)(f"{name_of(piece.path)}: {problem}") from problem
            fingerprints.append(bytes.fromhex(audio.fingerprint(waveform)))
            seconds.append(waveform.size / audio.SAMPLE_RATE)
    kinds = {f"{array.dtype} of {array.ndim} axes" for array in arrays}
    if len(kinds) > 1:
        raise TypeError(f"{_written(compute)} gives arrays of several kinds: {sorted(kinds)}")
    part = {
        # one value more: an empty array at the end has something to be sliced from
        "values": np.concatenate([*(array.ravel() for array in arrays), arrays[0].dtype.type([0])]),
        "shapes": np.array([array.shape for array in arrays], dtype=np.int64),
        "keys": np.array([list(piece.key) for piece in pieces], dtype=np.uint8),
        "fingerprints": np.array([list(one) for one in fingerprints], dtype=np.uint8),
        "seconds": np.array(seconds, dtype=np.float64),
    }
    with replacing(target) as temporary:
        save_file(part, temporary)
    return [warning.message for warning in said if isinstance(warning.message, Warning)]
