"""From arrays to batches: order, padding and masks. Order depends on seed and epoch only."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from affekt.models.whisper import MEL_FRAMES_PER_FRAME

Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class Batch:
    """What a network and its loss need of some utterances.

    `x` is the network's input, (batch, ...); `mask` True = valid frame, or None where the input
    has no time axis; `target` (batch, n_outputs) rows sum to 1, or (batch, n_targets) label
    indices with -1 behind the last; `weight` (batch,).
    """

    x: Tensor
    mask: Tensor | None
    target: Tensor
    weight: Tensor


@dataclass(frozen=True)
class ArrayBatches:
    """Batches over pooled statistics held in memory, shuffled anew each epoch.

    `x` (n, n_layers, n_features), `target` (n, n_outputs), `weight` (n,).
    """

    x: Tensor
    target: Tensor
    weight: Tensor
    batch_size: int
    seed: int

    def __len__(self) -> int:
        return -(-len(self.x) // self.batch_size)

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """Give the batches of one epoch, always the same ones for the same seed and epoch."""
        order = np.random.default_rng((self.seed, epoch)).permutation(len(self.x))
        for start in range(0, len(order), self.batch_size):
            rows = torch.from_numpy(order[start : start + self.batch_size])
            yield Batch(self.x[rows], None, self.target[rows], self.weight[rows])


@dataclass(frozen=True)
class FrameBatches:
    """Batches over clips of frames, padded to the longest of each, shuffled anew each epoch.

    `frames`: one array a clip, (n_frames, n_features); `target` and `weight` as in `Batch`.
    """

    frames: Sequence[Float32]
    target: Tensor
    weight: Tensor
    batch_size: int
    seed: int

    def __len__(self) -> int:
        return -(-len(self.frames) // self.batch_size)

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """Give the batches of one epoch, always the same ones for the same seed and epoch."""
        order = np.random.default_rng((self.seed, epoch)).permutation(len(self.frames))
        for start in range(0, len(order), self.batch_size):
            rows = order[start : start + self.batch_size]
            x, mask = pad([self.frames[row] for row in rows])
            chosen = torch.from_numpy(rows)
            yield Batch(x, mask, self.target[chosen], self.weight[chosen])


def pad(frames: Sequence[Float32]) -> tuple[Tensor, Tensor]:
    """Pad clips of frames to the longest.

    Args:
        frames: each (n_frames, n_features).

    Returns:
        (batch, longest, n_features), zeros behind each end, and the mask, True = valid.

    >>> x, mask = pad([np.ones((1, 2), np.float32), np.ones((3, 2), np.float32)])
    >>> tuple(x.shape), mask.sum(1).tolist()
    ((2, 3, 2), [1, 3])
    """
    longest = max(len(clip) for clip in frames)
    x = np.zeros((len(frames), longest, frames[0].shape[1]), dtype=np.float32)
    mask = np.zeros((len(frames), longest), dtype=bool)
    for row, clip in enumerate(frames):
        x[row, : len(clip)] = clip
        mask[row, : len(clip)] = True
    return torch.from_numpy(x), torch.from_numpy(mask)


def collate(log_mels: Sequence[Float32]) -> tuple[Tensor, Tensor]:
    """Pad log-mels of several lengths to the longest.

    Args:
        log_mels: each (n_mels, n_mel_frames).

    Returns:
        (batch, n_mels, longest) with zeros behind each end, and the mask over the encoder's
        20 ms frames, (batch, ceil(longest / 2)), True = valid.
    """
    longest = max(mel.shape[1] for mel in log_mels)
    x = np.zeros((len(log_mels), log_mels[0].shape[0], longest), dtype=np.float32)
    mask = np.zeros((len(log_mels), -(-longest // MEL_FRAMES_PER_FRAME)), dtype=bool)
    for row, mel in enumerate(log_mels):
        x[row, :, : mel.shape[1]] = mel
        mask[row, : -(-mel.shape[1] // MEL_FRAMES_PER_FRAME)] = True
    return torch.from_numpy(x), torch.from_numpy(mask)


def length_buckets(lengths: Sequence[int], budget: int) -> list[NDArray[np.int64]]:
    """Group neighbours in length so that no padded batch holds more than `budget` frames.

    Returns:
        Row numbers, shortest batch first; every row is in exactly one group, and a row longer
        than the budget stands alone.

    >>> [group.tolist() for group in length_buckets([5, 1, 2, 9], budget=6)]
    [[1, 2], [0], [3]]
    """
    order = np.argsort(lengths, kind="stable")
    groups: list[NDArray[np.int64]] = []
    first = 0
    for end in range(1, len(order) + 1):
        full = end < len(order) and (end - first + 1) * lengths[order[end]] > budget
        if full or end == len(order):
            groups.append(order[first:end])
            first = end
    return groups
