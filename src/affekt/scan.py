"""What one pass over a recording leaves, and how its sound comes to the encoder.

A recording is decoded, measured and turned into log-mels chunk by chunk, one chunk ahead of the
encoder. What stays are logits and loudness, from which answers follow as often as one likes.
"""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from affekt import audio, timeline, vad
from affekt.adapt import Baseline, Voice
from affekt.chunks import FRAME, LEVEL, Chunk, chunks
from affekt.exceptions import AudioError
from affekt.features.logmel import log_mel

Float32 = NDArray[np.float32]
Source = str | Path | bytes | Float32
Item = TypeVar("Item")

UTTERANCE_SECONDS = 2.0  # of sound within a recording count as one utterance of a voice


@dataclass(frozen=True, eq=False)
class Scan:
    """All that one pass over a recording leaves: logits and loudness, not sound.

    Each stretch was heard alone, or within something longer: another head then answers.
    """

    name: str
    n_samples: int
    bounds: NDArray[np.int64]  # samples, (n_chunks, 2)
    chunk_logits: Float32  # (n_chunks, n_labels)
    chunk_alone: NDArray[np.bool_]  # (n_chunks,)
    active: NDArray[np.bool_]  # (n_levels,), one every 0.1 s
    size: tuple[int, int] | None  # samples, window and hop; None = no steps
    step_logits: Float32  # (n_steps, n_labels)
    step_alone: NDArray[np.bool_]  # (n_steps,)

    @property
    def times(self) -> NDArray[np.float64]:
        """Start and end of each step in s, (n_steps, 2)."""
        window, hop = (n / audio.SAMPLE_RATE for n in self.size or (0, 0))
        duration = self.n_samples / audio.SAMPLE_RATE
        return timeline.steps(duration, window, hop) if self.size else np.empty((0, 2))

    @property
    def seconds_of_sound(self) -> float:
        """How long it is without its pauses."""
        return float(self.active.sum()) * vad.LEVEL_SECONDS

    def n_active(self, bounds: NDArray[np.int64]) -> NDArray[np.int64]:
        """Levels that are no pause in each stretch; bounds in samples, (n, 2)."""
        heard = np.concatenate([[0], np.cumsum(self.active)])
        edges = np.minimum(-(-bounds // LEVEL), self.active.size)
        counts: NDArray[np.int64] = heard[edges[:, 1]] - heard[edges[:, 0]]
        return counts

    def voice(self) -> Voice:
        """Average what was heard alone, each chunk the same, and what was not, by its seconds.

        The steps of a timeline are the latter, where there are any.
        """
        bounds, logits, alone = self.bounds, self.chunk_logits, self.chunk_alone
        if not self.step_alone.all():
            steps = (self.times * audio.SAMPLE_RATE).round().astype(np.int64)
            bounds = np.concatenate([bounds[alone], steps[~self.step_alone]])
            logits = np.concatenate([logits[alone], self.step_logits[~self.step_alone]])
            alone = np.arange(len(bounds)) < alone.sum()
        seconds = self.n_active(bounds) * vad.LEVEL_SECONDS
        n = np.where(alone, seconds > 0, seconds / UTTERANCE_SECONDS)
        return Voice(*(_mean(logits[mine], n[mine]) for mine in (alone, ~alone)))


def source_name(source: Source) -> str:
    """Name a source in a message."""
    return "<samples>" if isinstance(source, np.ndarray) else audio.name_of(source)


def listen(
    sources: Iterable[Source], size: int, margin: int, loudness: list[Float32]
) -> Iterator[tuple[Chunk, Float32]]:
    """Yield chunks of recordings behind each other, as if they were one, and their log-mels.

    The next one is made in a thread while this one is used: it decodes while the encoder runs.

    Args:
        sources: files, bytes of files, or mono samples at 16 kHz, shape (n_samples,).
        size: samples of a chunk, as in `chunks`.
        margin: samples, likewise.
        loudness: gets the levels of what is heard (`vad.levels`), in order.

    Raises:
        AudioError: a source cannot be decoded, or samples are not mono, finite and in scale.
    """
    blocks = (block for source in sources for block in _blocks(source, size - 2 * margin))
    return _ahead(_with_mel(chunks(_measured(blocks, loudness), size, margin)))


def _mean(logits: Float32, n: NDArray[np.float64]) -> Baseline | None:
    total = float(n.sum())
    return Baseline(np.average(logits, axis=0, weights=n), total) if total else None


def _blocks(source: Source, n_samples: int) -> Iterator[Float32]:
    if not isinstance(source, np.ndarray):
        yield from audio.stream(source, block_seconds=n_samples / audio.SAMPLE_RATE)
        return
    if source.ndim != 1 or not source.size:
        raise AudioError(f"samples must be mono, shape (n_samples,): got {source.shape}")
    if not np.abs(source).max() <= audio.LOUDEST:  # NaN is not, either
        raise AudioError(
            "<samples>: hold NaN, infinity or values far above 1: full scale is 1 (16-bit values"
            " are divided by 32768)"
        )
    for first in range(0, source.size, n_samples):
        yield source[first : first + n_samples].astype(np.float32, copy=False)


def _measured(blocks: Iterator[Float32], loudness: list[Float32]) -> Iterator[Float32]:
    for block in blocks:
        loudness.append(vad.levels(block, audio.SAMPLE_RATE))
        yield block


def _with_mel(parts: Iterator[Chunk]) -> Iterator[tuple[Chunk, Float32]]:
    """Add the log-mel; silence fills the last encoder frame, which takes two of its frames."""
    for chunk in parts:
        yield chunk, log_mel(np.pad(chunk.waveform, (0, -chunk.waveform.size % FRAME)))


def _ahead(items: Iterator[Item]) -> Iterator[Item]:
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = pool.submit(next, items, None)
            yield item
