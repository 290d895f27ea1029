"""Batches of sequences of segments: decoded, changed and made log-mels when they are asked for.

What a segment hears of augmentation depends on (seed, epoch, its place among what was drawn) and
on nothing else, so an interrupted training goes on with the very same batches.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from affekt.batches import Batch, Rows, Segments, collate, pad
from affekt.corpus import Corpus
from affekt.exceptions import CorpusError
from affekt.features.logmel import log_mel
from affekt.sampler import FRAME, Piece, Segment, decoded, sound, targets, without_pauses

Float32 = NDArray[np.float32]
Drawn = Sequence[Sequence[Segment]]
Change = Callable[[Float32, np.random.Generator], Float32]

SPREAD = 1.25  # lengths may differ by about so much within a batch, so that neighbours vary


@dataclass(frozen=True)
class Lessons:
    """What segments teach beside the shares of their pieces.

    Attributes:
        n_labels: columns of the shares.
        domains: names, in the order of the domain head's outputs (`domains_of`); what is not
            among them has no domain.
        weights: utterance -> how much it counts; who is not named counts 1.
        ratings: utterance -> value of each dimension, 0 .. 1, NaN where nobody rated.
        pauses: whether frames of pauses are learned from.
    """

    n_labels: int
    domains: tuple[str, ...] = ()
    weights: Mapping[str, float] | None = None
    ratings: Mapping[str, Sequence[float]] | None = None
    pauses: bool = True


def domains_of(pool: Iterable[Piece]) -> tuple[str, ...]:
    """Give the names of all domains, sorted.

    Raises:
        CorpusError: there is one domain, or none: nothing to tell apart.
    """
    names = sorted({piece.domain for piece in pool} - {""})
    if len(names) < 2:
        raise CorpusError(
            f"a domain head needs two domains or more, there is {', '.join(names) or 'none'}:"
            " train with more speakers or corpora, or without the head (n_domains=0)"
        )
    return tuple(names)


def each_alone(pool: Iterable[Piece]) -> list[tuple[Segment, ...]]:
    """Give sequences of one piece each: clips that are heard alone."""
    return [(Segment(piece, 0.0, piece.duration),) for piece in pool]


@dataclass(frozen=True)
class SequenceBatches:
    """Batches over sequences of segments, padded to the longest of each.

    Attributes:
        corpus: where the pieces are from; `rows` of a batch count its table.
        draw: epoch -> its sequences (`sampler.sequences`, `each_alone`, or both).
        lessons: what they teach.
        seconds: of sound in a batch, about: the longest sequence or more.
        seed: of order and of augmentation.
        load: piece -> samples at 16 kHz; None: its file is decoded.
        change: (waveform of a segment, rng) -> one as long (`affekt.augment.augment`).
        change_mel: (log-mel of a sequence, rng) -> one as long (`affekt.augment.spec_augment`).
        n_workers: processes that prepare batches ahead; 0: the training's own.
    """

    corpus: Corpus
    draw: Callable[[int], Drawn]
    lessons: Lessons
    seconds: float
    seed: int
    load: Callable[[Piece], Float32] | None = None
    change: Change | None = None
    change_mel: Change | None = None
    n_workers: int = 0

    def __len__(self) -> int:
        return self._n_batches

    @cached_property
    def _n_batches(self) -> int:
        return _count([sequence[-1].end for sequence in self.draw(0)], self.seconds)

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """Give the batches of one epoch, always the same ones for the same seed and epoch."""
        drawn = self.draw(epoch)
        lengths = [sequence[-1].end for sequence in drawn]
        groups = _grouped(lengths, len(self), np.random.default_rng((self.seed, epoch)))
        jobs = _Jobs(self, epoch, drawn, groups)
        unused = torch.Generator()  # the loader draws a number, and must not take it from torch's
        yield from DataLoader(
            jobs,
            batch_size=None,
            num_workers=self.n_workers,
            generator=unused,
        )

    def batch(self, epoch: int, drawn: Drawn, rows: Iterable[int]) -> Batch:
        """Make the batch of some of the sequences drawn for an epoch."""
        heard = [self._hear(drawn[row], (self.seed, epoch, row)) for row in map(int, rows)]
        x, mask = collate([mel for _, mel in heard])
        waveforms = None if self.lessons.pauses else [waveform for waveform, _ in heard]
        return taught(x, mask, [drawn[r] for r in rows], self.lessons, self.corpus, waveforms)

    def _hear(self, sequence: Sequence[Segment], key: tuple[int, ...]) -> tuple[Float32, Float32]:
        """A sequence's waveform and its log-mel."""
        *of_segments, of_mel = np.random.default_rng(key).spawn(len(sequence) + 1)
        rngs = iter(of_segments)

        def changed(piece: Piece) -> Float32:
            waveform = decoded(self.corpus, piece) if self.load is None else self.load(piece)
            rng = next(rngs)
            if self.change is None or not waveform.size:
                return waveform
            found = self.change(waveform, rng)
            if found.shape != waveform.shape:
                raise ValueError(
                    f"change made {found.size} samples of {waveform.size} of {piece.utterance!r}:"
                    " what alters the length moves the labels of all that follows"
                )
            return found

        waveform = sound(self.corpus, sequence, load=changed, seconds=None)
        # silence fills the last frame of the encoder, as it will when a recogniser listens
        mel = log_mel(np.pad(waveform, (0, -waveform.size % FRAME)))
        return waveform, mel if self.change_mel is None else self.change_mel(mel, of_mel)


@dataclass(frozen=True)
class StateBatches:
    """Batches over sequences that a frozen part of the encoder heard once and for all.

    `states`: one array a sequence of `drawn`, (n_frames, width), what `WhisperTuned.lower` gave;
    the rest as in `SequenceBatches`.
    """

    corpus: Corpus
    drawn: Drawn
    states: Sequence[Float32]
    lessons: Lessons
    seconds: float
    seed: int

    def __len__(self) -> int:
        return _count([sequence[-1].end for sequence in self.drawn], self.seconds)

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """Give the batches of one epoch, always the same ones for the same seed and epoch."""
        lengths = [sequence[-1].end for sequence in self.drawn]
        for rows in _grouped(lengths, len(self), np.random.default_rng((self.seed, epoch))):
            x, mask = pad([self.states[row] for row in rows])
            yield taught(x, mask, [self.drawn[row] for row in rows], self.lessons, self.corpus)


def taught(
    x: Tensor,
    mask: Tensor,
    drawn: Drawn,
    lessons: Lessons,
    corpus: Corpus,
    waveforms: Sequence[Float32] | None = None,
) -> Batch:
    """Put targets beside what a network hears.

    A frame belongs to the segment that its middle lies in, as in `affekt.sampler`.

    Args:
        x: its input, (batch, ...).
        mask: (batch, n_frames) of 20 ms, True = valid.
        drawn: the segments of each row.
        lessons: what they teach.
        corpus: whose table `rows` count.
        waveforms: of each row: frames of pauses are left out; None: they are not.

    Raises:
        ValueError: a piece has another number of labels.
    """
    shape = len(drawn), max(map(len, drawn))
    inside = np.zeros((*shape, mask.shape[1]), bool)
    target = np.zeros((*shape, lessons.n_labels), np.float32)
    weight, rows = np.zeros(shape, np.float32), np.full(shape, -1)
    domain, spoken = np.full(shape, -1), np.zeros(mask.shape, bool)
    number_of = {name: number for number, name in enumerate(lessons.domains)}
    for row, sequence in enumerate(drawn):
        found = targets(sequence, lessons.n_labels, seconds=None)
        end = len(found.mask)
        inside[row, : len(sequence), :end] = found.segment == np.arange(len(sequence))[:, None]
        if waveforms is not None:
            found = without_pauses(found, sequence, waveforms[row])
            spoken[row, :end] = found.mask
        for place, segment in enumerate(sequence):
            piece = segment.piece
            if piece.shares is not None:
                target[row, place] = piece.shares
            weight[row, place] = (lessons.weights or {}).get(piece.utterance, 1.0)
            domain[row, place] = number_of.get(piece.domain, -1)
        ids = [segment.piece.utterance for segment in sequence]
        rows[row, : len(ids)] = corpus.utterances.index.get_indexer(pd.Index(ids))
    segments = Segments(
        torch.from_numpy(inside),
        torch.from_numpy(weight),
        torch.from_numpy(domain),
        _ratings(drawn, shape, lessons.ratings),
        None if waveforms is None else torch.from_numpy(spoken),
    )
    whole = torch.from_numpy(weight.sum(1))
    return Batch(x, mask, torch.from_numpy(target), whole, torch.from_numpy(rows), segments)


def _ratings(
    drawn: Drawn, shape: tuple[int, int], ratings: Mapping[str, Sequence[float]] | None
) -> Tensor | None:
    """(batch, n_segments, n_dimensions), NaN where nobody rated; None where nobody did at all."""
    if not ratings:
        return None
    values = np.full((*shape, len(next(iter(ratings.values())))), np.nan, np.float32)
    for row, sequence in enumerate(drawn):
        for place, segment in enumerate(sequence):
            values[row, place] = ratings.get(segment.piece.utterance, np.nan)
    return torch.from_numpy(values)


@dataclass(frozen=True)
class _Jobs(Dataset[Batch]):
    """An epoch's batches by number, as a loader's processes ask for them."""

    batches: SequenceBatches
    epoch: int
    drawn: Drawn
    groups: Rows

    def __len__(self) -> int:
        return len(self.groups)

    def __getitem__(self, number: int) -> Batch:
        return self.batches.batch(self.epoch, self.drawn, self.groups[number])


def _count(lengths: Sequence[float], seconds: float) -> int:
    """How many batches an epoch has: as many in each, though others are drawn."""
    if not lengths:
        raise CorpusError("no sequence was drawn: there is nothing to train with")
    if seconds < max(lengths):
        raise ValueError(f"batches of {seconds:g} s: a sequence has {max(lengths):g} s")
    return max(1, int(sum(lengths) / seconds))


def _grouped(lengths: Sequence[float], n_batches: int, rng: np.random.Generator) -> Rows:
    """Put every sequence into one of so many batches, beside others of about its length.

    All batches have about the same sum of lengths, in seconds, and none is empty.
    """
    seconds = np.asarray(lengths, dtype=float)
    blurred = np.log(seconds) + rng.uniform(-0.5, 0.5, len(seconds)) * np.log(SPREAD)
    order = np.argsort(blurred, kind="stable")
    ends = np.cumsum(seconds[order])
    numbers = np.arange(n_batches)
    firsts = np.searchsorted(ends - seconds[order] / 2, ends[-1] / n_batches * numbers)
    # one at least in each, where another epoch drew less than the first
    firsts = np.maximum.accumulate(firsts - numbers) + numbers
    firsts = np.minimum(firsts, len(order) - n_batches + numbers)
    groups = np.split(order, firsts[1:])
    return [groups[number] for number in rng.permutation(n_batches)]
