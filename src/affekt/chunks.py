"""Cut a stream of samples into overlapping chunks for the encoder, and chunks into windows.

Positions are samples from the start of the recording, so that all of this is exact.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]

FRAME = 320  # samples: 20 ms * 16 samples/ms, one frame of the encoder
LEVEL = 1_600  # samples: 0.1 s * 16_000 samples/s, 5 frames: the grid chunks and pauses lie on


@dataclass(frozen=True, eq=False)
class Chunk:
    """What the encoder sees at once; positions are samples from the start of the recording.

    `waveform` begins at `offset`; `begin`..`end` is the part that belongs to this chunk alone,
    the rest is margin; `last`: the recording ends here.
    """

    waveform: Float32
    offset: int
    begin: int
    end: int
    last: bool


def chunks(blocks: Iterator[Float32], size: int, margin: int) -> Iterator[Chunk]:
    """Cut a stream into chunks of at most `size` samples that overlap by twice the margin.

    What does not fill two chunks at the end is halved, so that no chunk is a mere scrap.

    Args:
        blocks: samples, shape (n,) each; anything may follow anything.
        size: samples; `size - 2 * margin` > 0 and margin are multiples of `LEVEL`.
        margin: samples of its neighbours that a chunk sees on each side.
    """
    core = size - 2 * margin
    waiting = np.empty(0, np.float32)
    offset = begin = 0
    for block in blocks:
        waiting = np.concatenate([waiting, block])
        while offset + waiting.size - begin > 2 * core + margin:
            end = begin + core
            yield Chunk(waiting[: end + margin - offset], offset, begin, end, last=False)
            waiting = waiting[max(0, end - margin - offset) :]
            offset, begin = max(offset, end - margin), end
    total = offset + waiting.size
    while total - offset > size:
        n_left = -(-(total - begin) // core)
        end = begin + -(-(total - begin) // (n_left * LEVEL)) * LEVEL
        yield Chunk(waiting[: end + margin - offset], offset, begin, end, last=False)
        waiting = waiting[max(0, end - margin - offset) :]
        offset, begin = max(offset, end - margin), end
    yield Chunk(waiting, offset, begin, total, last=True)


def windows(chunk: Chunk, window: int, hop: int) -> list[tuple[int, int]]:
    """Windows, in samples of the recording, of the steps whose centre lies in a chunk's own part.

    Window i is centred on step i, (i + 1/2) * hop, and cut at the ends of the recording. The
    steps past the last centre belong to the last chunk; a recording of one window is one step.
    """
    if chunk.last and chunk.end <= window:
        return [(0, chunk.end)]
    first = max(0, -((hop - 2 * chunk.begin) // (2 * hop)))
    past = -(-chunk.end // hop) if chunk.last else -((hop - 2 * chunk.end) // (2 * hop))
    end = chunk.end if chunk.last else chunk.offset + chunk.waveform.size
    centres = [i * hop + hop // 2 for i in range(first, past)]
    return [(max(0, c - window // 2), min(end, c + window - window // 2)) for c in centres]


def frames(stretches: Sequence[tuple[int, int]], offset: int, n_frames: int) -> NDArray[np.int64]:
    """Encoder frames that stretches of samples touch: (first, past the last), at least one."""
    positions = np.array(stretches, dtype=np.int64) - offset
    first = np.clip(positions[:, 0] // FRAME, 0, n_frames - 1)
    last = np.clip(-(-positions[:, 1] // FRAME), first + 1, n_frames)
    return np.stack([first, last], axis=1)
