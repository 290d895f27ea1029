"""From arrays to batches: order, padding and masks. Order depends on seed and epoch only."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from affekt.models.whisper import MEL_FRAMES_PER_FRAME

Float32 = NDArray[np.float32]
Rows = list[NDArray[np.int64]]  # of the training part, one array a batch


@dataclass(frozen=True)
class Segments:
    """Stretches of a batch's rows that are labelled one by one; no frame is in two.

    Rows with fewer than `n_segments` have empty ones behind the last, of weight 0. `inside`
    (batch, n_segments, n_frames) True = the frame is in the segment; `weight` (batch,
    n_segments), how much each counts; `domain` (batch, n_segments) int64, -1 where it has none;
    `ratings` (batch, n_segments, n_dimensions) in 0 .. 1, NaN where nobody rated, or None;
    `spoken` (batch, n_frames) False = a pause, no frame to learn from; None = there are none.
    """

    inside: Tensor
    weight: Tensor
    domain: Tensor
    ratings: Tensor | None = None
    spoken: Tensor | None = None

    def tensors(self) -> list[Tensor]:
        """Give those that are there."""
        every = (self.inside, self.weight, self.domain, self.ratings, self.spoken)
        return [tensor for tensor in every if tensor is not None]

    def map(self, change: Callable[[Tensor], Tensor]) -> "Segments":
        """Give the same with every tensor changed."""
        inside, weight, domain = map(change, (self.inside, self.weight, self.domain))
        rest = (None if t is None else change(t) for t in (self.ratings, self.spoken))
        return Segments(inside, weight, domain, *rest)


@dataclass(frozen=True)
class Batch:
    """What a network and its loss need of some utterances.

    `x` is the network's input, (batch, ...); `mask` True = valid frame, or None where the input
    has no time axis; `target` (batch, n_outputs) rows sum to 1, or (batch, n_targets) label
    indices with -1 behind the last; `weight` (batch,); `rows` (batch,) says which utterances of
    the training part these are, for messages.

    With `segments` there is a target for each of them, (batch, n_segments, n_outputs), 0
    throughout where nobody labelled it; `weight` is the sum of theirs, and `rows` (batch,
    n_segments) has -1 behind the last.
    """

    x: Tensor
    mask: Tensor | None
    target: Tensor
    weight: Tensor
    rows: Tensor | None = None
    segments: Segments | None = None

    def part(self, number: int, n_parts: int) -> "Batch":
        """Give every `n_parts`-th row from row `number` on."""
        mine = slice(number, None, n_parts)
        mask, rows = (None if t is None else t[mine] for t in (self.mask, self.rows))
        segments = None if self.segments is None else self.segments.map(lambda t: t[mine])
        return Batch(self.x[mine], mask, self.target[mine], self.weight[mine], rows, segments)

    def to(self, device: torch.device) -> "Batch":
        """Move it; `rows` stay."""
        mask = None if self.mask is None else self.mask.to(device)
        x, target, weight = (t.to(device) for t in (self.x, self.target, self.weight))
        segments = None if self.segments is None else self.segments.map(lambda t: t.to(device))
        return Batch(x, mask, target, weight, self.rows, segments)


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
            yield Batch(self.x[rows], None, self.target[rows], self.weight[rows], rows)


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
            yield Batch(x, mask, self.target[chosen], self.weight[chosen], chosen)


@dataclass(frozen=True)
class SpectrogramBatches:
    """Batches over spectrograms of several lengths, drawn anew each epoch.

    `spectrograms`: one array a clip, (n_mels, time); `target` and `weight` as in `Batch`.
    `draw`: rng -> the rows of each batch of an epoch, `neighbours_in_length` or `by_length`
    with their settings. `change`: (spectrogram, rng) -> spectrogram, what augmentation makes of
    a clip. With `on_both_sides` padding is split at random between start and end, and no mask
    tells of it: the network hears `fill` there, as in the Dusha paper.
    """

    spectrograms: Sequence[Float32]
    target: Tensor
    weight: Tensor
    draw: Callable[[np.random.Generator], Rows]
    seed: int
    change: Callable[[Float32, np.random.Generator], Float32] | None = None
    fill: float = 0.0
    on_both_sides: bool = False

    def __len__(self) -> int:
        return len(self.draw(np.random.default_rng((self.seed, 0))))

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """Give the batches of one epoch, always the same ones for the same seed and epoch."""
        rng = np.random.default_rng((self.seed, epoch))
        for rows in self.draw(rng):
            clips = [self.spectrograms[row] for row in rows]
            if self.change is not None:
                clips = [self.change(clip, rng) for clip in clips]
            x, mask = stack(clips, self.fill, rng if self.on_both_sides else None)
            chosen = torch.from_numpy(rows)
            yield Batch(x, mask, self.target[chosen], self.weight[chosen], chosen)


def neighbours_in_length(
    lengths: Sequence[int], batch_size: int, rng: np.random.Generator, *, pool: int = 8
) -> Rows:
    """Put every row into one batch, beside others of about its length.

    Rows are shuffled, and sorted by length within pools of `pool` batches only; then batches are
    shuffled. A pool that is no multiple of the batch size is split into somewhat larger batches.
    """
    order = rng.permutation(len(lengths))
    batches: Rows = []
    for start in range(0, len(order), batch_size * pool):
        part = order[start : start + batch_size * pool]
        part = part[np.argsort(np.asarray(lengths)[part], kind="stable")]
        batches += np.array_split(part, max(1, len(part) // batch_size))
    return [batches[number] for number in rng.permutation(len(batches))]


def by_length(
    seconds: Sequence[float],
    batch_size: int,
    rng: np.random.Generator,
    *,
    chance: Sequence[float] | None = None,
    reach: float = 0.3,
) -> Rows:
    """Draw batches of one length with replacement, as the Dusha baseline does (spec 1.6.2).

    A length, rounded to 0.1 s, is drawn as often as clips have it; then clips within `reach`
    seconds of it, with `chance` as their weights. An epoch has n // batch_size batches, one at
    least; it is not one pass over the data.
    """
    rounded = np.round(np.asarray(seconds, dtype=float), 1)
    weights = np.ones(len(rounded)) if chance is None else np.asarray(chance, dtype=float)
    batches: Rows = []
    for _ in range(max(1, len(rounded) // batch_size)):
        near = np.flatnonzero(np.abs(rounded - rng.choice(rounded)) <= reach + 1e-9)
        share = weights[near] / weights[near].sum()
        batches.append(rng.choice(near, size=batch_size, p=share))
    return batches


def stack(
    spectrograms: Sequence[Float32], fill: float = 0.0, rng: np.random.Generator | None = None
) -> tuple[Tensor, Tensor | None]:
    """Pad spectrograms to the longest.

    Args:
        spectrograms: each (n_mels, time).
        fill: what is put where there is none.
        rng: splits the padding between start and end; without it all stands behind the end.

    Returns:
        (batch, n_mels, longest), and the mask (batch, longest), True = valid; no mask with `rng`.

    >>> x, mask = stack([np.ones((2, 1), np.float32), np.ones((2, 3), np.float32)], -80.0)
    >>> x[0, 0].tolist(), mask[0].tolist()
    ([1.0, -80.0, -80.0], [True, False, False])
    """
    longest = max(clip.shape[1] for clip in spectrograms)
    shape = (len(spectrograms), len(spectrograms[0]), longest)
    x = np.full(shape, fill, dtype=np.float32)
    mask = np.zeros((shape[0], longest), dtype=bool)
    for row, clip in enumerate(spectrograms):
        missing = longest - clip.shape[1]
        first = 0 if rng is None else int(rng.integers(0, missing + 1))
        x[row, :, first : first + clip.shape[1]] = clip
        mask[row, : clip.shape[1]] = True
    return torch.from_numpy(x), torch.from_numpy(mask) if rng is None else None


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
