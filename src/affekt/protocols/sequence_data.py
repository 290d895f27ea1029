"""Recordings of several emotions as networks are given them: frames, targets, batches.

What a network hears of a recording is computed once and kept in the store, in files that appear
whole; a run that was stopped goes on at the file where it was.
"""

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from torch import Tensor

from affekt import audio
from affekt.atomic import replacing
from affekt.batches import Batch, pad
from affekt.concatenate import Concatenation, sound, utterance
from affekt.corpus import Corpus
from affekt.exceptions import AffektError, AudioError
from affekt.sequencer import Hearing, WhisperStates
from affekt.sequences import Segment

RECORDINGS_PER_SHARD = 200
UTTERANCES_IN_MEMORY = 256  # of one speaker, decoded: 256 * 4 s * 64 kB = 65 MB
N_SORTED = 8  # batches among which recordings are sorted by length, so that little is padding

Clip = NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class Heard:
    """Recordings as a network hears them, in one order.

    `frames`: (n_frames, n_features) each; `segments`: the truth, s; `seconds`
    (n,); `fingerprints`: of the sound; `first`: s at the centre of each recording's first frame.
    """

    recordings: list[Concatenation]
    frames: list[Clip]
    segments: list[tuple[Segment, ...]]
    seconds: NDArray[np.float64]
    fingerprints: list[str]
    first: float

    def __len__(self) -> int:
        return len(self.recordings)

    def where(self, wanted: Callable[[Concatenation], bool]) -> "Heard":
        """Keep the recordings of which `wanted` is true."""
        rows = [row for row, one in enumerate(self.recordings) if wanted(one)]
        return Heard(
            [self.recordings[row] for row in rows],
            [self.frames[row] for row in rows],
            [self.segments[row] for row in rows],
            self.seconds[rows],
            [self.fingerprints[row] for row in rows],
            self.first,
        )

    def sides(self, speakers: Collection[str]) -> tuple["Heard", "Heard"]:
        """Part the recordings: those of other speakers, and those of these."""
        others = self.where(lambda one: one.speaker not in speakers)
        return others, self.where(lambda one: one.speaker in speakers)


def hear(
    corpus: Corpus,
    recordings: Sequence[Concatenation],
    hearing: Hearing,
    store: Path,
    tell: Callable[[int], None],
) -> Heard:
    """Compute, or read from the store, the frames of recordings.

    Raises:
        AudioError: a recording cannot be decoded or is too short.
    """
    folder = store / f"{corpus.name}-{hearing.name}-{_key(corpus, recordings, hearing)}"
    folder.mkdir(parents=True, exist_ok=True)
    load = lru_cache(UTTERANCES_IN_MEMORY)(lambda id_: utterance(corpus, id_))
    parts = []
    for first in range(0, len(recordings), RECORDINGS_PER_SHARD):
        shard = recordings[first : first + RECORDINGS_PER_SHARD]
        path = folder / f"{first // RECORDINGS_PER_SHARD:05d}.safetensors"
        part = _read(path, len(shard))
        if part is None:
            part = _compute(corpus, shard, hearing, load)
            with replacing(path) as temporary:
                save_file(part, temporary)
        parts.append(part)
        tell(len(shard))
    return _joined(list(recordings), parts, hearing.first / audio.SAMPLE_RATE)


def _compute(
    corpus: Corpus,
    shard: Sequence[Concatenation],
    hearing: Hearing,
    load: Callable[[str], NDArray[np.float32]],
) -> dict[str, NDArray[np.generic]]:
    # half precision is enough for states of order 1, of which there are hundreds a frame
    dtype = np.float16 if isinstance(hearing, WhisperStates) else np.float32
    frames, times, seconds, prints = [], [], [], []
    for one in shard:
        made = sound(corpus, one, load=load)
        try:
            frames.append(hearing(made.waveform).astype(dtype))
        except AudioError as problem:
            raise AudioError(f"recording {one.name}: {problem}") from None
        times += [(start, end) for start, end, _ in made.segments]
        seconds.append(made.duration)
        prints.append(bytes.fromhex(audio.fingerprint(made.waveform)))
    return {
        "frames": np.concatenate(frames),
        "n_frames": np.array([len(clip) for clip in frames]),
        "times": np.array(times),
        "seconds": np.array(seconds),
        "fingerprints": np.frombuffer(b"".join(prints), np.uint8).reshape(len(prints), -1),
    }


def _read(path: Path, count: int) -> dict[str, NDArray[np.generic]] | None:
    """A finished shard; None if it is absent or damaged (then it is computed anew)."""
    try:
        part: dict[str, NDArray[np.generic]] = load_file(path)
    except (SafetensorError, OSError):
        return None
    return part if len(part.get("seconds", ())) == count else None


def _joined(
    recordings: list[Concatenation], parts: list[dict[str, NDArray[np.generic]]], first: float
) -> Heard:
    frames: list[Clip] = []
    for part in parts:
        frames += np.split(part["frames"], np.cumsum(part["n_frames"])[:-1])
    times = iter(np.concatenate([part["times"] for part in parts]).tolist())
    segments = [tuple((*next(times), label) for label in one.labels) for one in recordings]
    prints = [row.tobytes().hex() for part in parts for row in part["fingerprints"]]
    seconds = np.concatenate([part["seconds"] for part in parts])
    return Heard(recordings, frames, segments, seconds.astype(np.float64), prints, first)


def _key(corpus: Corpus, recordings: Sequence[Concatenation], hearing: Hearing) -> str:
    """Hash what the frames depend on: how they are made, of what, and what is in each file."""
    digest = hashlib.sha256(repr((hearing.name, RECORDINGS_PER_SHARD)).encode())
    if isinstance(hearing, WhisperStates):
        for name, value in hearing.encoder.state_dict().items():
            digest.update(name.encode() + value.numpy().tobytes())
    digest.update(repr([(one.utterances, one.silences) for one in recordings]).encode())
    table = corpus.utterances
    used = sorted({id_ for one in recordings for id_ in one.utterances})
    known: dict[Path, bytes] = {}  # one file may hold many utterances
    for id_ in used:
        path = corpus.path(id_)
        if path not in known:
            content = path.read_bytes() if path.is_file() else b""
            known[path] = hashlib.sha256(content).digest()
        stretch = table.loc[[id_], ["start", "end"]].to_numpy(float)[0].tolist()
        digest.update(repr((id_, stretch)).encode() + known[path])
    return digest.hexdigest()[:16]


def targets(recordings: Sequence[Concatenation], labels: Sequence[str]) -> Tensor:
    """Label numbers in order, -1 behind the last, (n, most labels)."""
    number = {label: k for k, label in enumerate(labels)}
    longest = max(len(one.labels) for one in recordings)
    rows = [[number[label] for label in one.labels] for one in recordings]
    return torch.tensor([row + [-1] * (longest - len(row)) for row in rows])


def check_lengths(heard: Heard) -> None:
    """Refuse a recording whose labels cannot be aligned with its frames.

    Raises:
        AffektError: naming it; CTC would have an infinite loss.
    """
    for one, clip in zip(heard.recordings, heard.frames, strict=True):
        if len(one.labels) > len(clip):
            raise AffektError(
                f"recording {one.name}: {len(one.labels)} labels, but {len(clip)} frames: leave it"
                " out, or take shorter frames"
            )


@dataclass(frozen=True)
class LengthBatches:
    """Batches of recordings of about one length, drawn and ordered anew each epoch."""

    frames: Sequence[Clip]
    target: Tensor
    batch_size: int
    seed: int

    def __len__(self) -> int:
        return -(-len(self.frames) // self.batch_size)

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """Give the batches of one epoch, always the same ones for the same seed and epoch."""
        rng = np.random.default_rng((self.seed, epoch))
        order = rng.permutation(len(self.frames))
        lengths = np.array([len(clip) for clip in self.frames])
        pool = N_SORTED * self.batch_size
        groups: list[NDArray[np.int64]] = []
        for first in range(0, len(order), pool):
            rows = order[first : first + pool]
            rows = rows[np.argsort(lengths[rows], kind="stable")]
            groups += [rows[k : k + self.batch_size] for k in range(0, len(rows), self.batch_size)]
        for number in rng.permutation(len(groups)):
            yield self._batch(groups[number])

    def _batch(self, rows: NDArray[np.int64]) -> Batch:
        x, mask = padded(self.frames[row] for row in rows)
        chosen = torch.from_numpy(rows)
        return Batch(x, mask, self.target[chosen], torch.ones(len(rows)), chosen)


def padded(frames: Iterable[Clip]) -> tuple[Tensor, Tensor]:
    """Frames of some recordings, (batch, longest, n_features), float32, and their mask."""
    return pad([clip.astype(np.float32) for clip in frames])


def mean_and_scale(frames: Sequence[Clip]) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of all frames, (n_features,), without one large copy."""
    n = sum(map(len, frames))
    mean = sum(clip.sum(0, dtype=np.float64) for clip in frames) / n
    square = sum(np.square(clip - mean).sum(0) for clip in frames) / n
    scale = np.maximum(np.sqrt(square), 1e-6)
    return torch.from_numpy(mean.astype(np.float32)), torch.from_numpy(scale.astype(np.float32))
