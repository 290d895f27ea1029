"""Sequences of up to 30 s, utterances of any corpora behind each other, and each frame's target.

Algorithm 1 of the Whisper paper, made to terminate (spec 3.5): among the utterances that still fit
one is drawn at random, until 24 s are reached. The paper's never ends where more than 6 s are open
and nothing is short enough. Here a sequence to which nothing can be added is closed as it is, so a
pass over a pool gives every piece exactly once.

What is drawn is a list of segments; sound is made of it only when it is asked for. Seconds are
whole samples of 16 kHz.
"""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from affekt import audio, vad
from affekt.corpus import Corpus
from affekt.exceptions import CorpusError

Float32 = NDArray[np.float32]

SECONDS = 30.0  # of a sequence: what Whisper's encoder hears at once
LEAST_SHARE = 0.8  # of it: 24 s, from which on nothing is added
FRAME = 320  # samples: 20 ms, an encoder's frame
DOMAIN = ("corpus", "speaker", "language")  # what makes a domain (spec 3.1)
TOLERANCE = 0.1  # s by which a recording may be shorter than its table says


@dataclass(frozen=True)
class Sampling:
    """How sequences are drawn.

    Attributes:
        seconds: no sequence is longer.
        least_share: of `seconds`, 0 < share <= 1: nothing is added to a sequence this long.
        n_refreshes: how often the pool is filled again when nothing in it fits, before a sequence
            is closed as it is. 0: one pass, every piece once. More fills sequences better, and
            hears short pieces more often than long ones.
        cut: utterances over `seconds` become pieces of it, the rest a piece of its own; False:
            they are refused.
        domain: columns of the table whose values, joined by colons, make a domain.
    """

    seconds: float = SECONDS
    least_share: float = LEAST_SHARE
    n_refreshes: int = 0
    cut: bool = True
    domain: tuple[str, ...] = DOMAIN

    def __post_init__(self) -> None:
        if not FRAME / audio.SAMPLE_RATE <= self.seconds < np.inf:
            raise ValueError(f"sequences of {self.seconds} s: a sequence has a frame, 0.02 s")
        if not 0 < self.least_share <= 1:
            raise ValueError(f"least_share {self.least_share}: choose 0 < share <= 1")
        if self.n_refreshes < 0:
            raise ValueError(f"n_refreshes {self.n_refreshes}: choose 0 or more")


@dataclass(frozen=True)
class Piece:
    """An utterance, or up to 30 s of a longer one.

    `start` within the utterance and `duration`, s; `shares` of each label, or None where nobody
    labelled it; `domain`, "" where none was asked for.
    """

    utterance: str
    start: float
    duration: float
    shares: tuple[float, ...] | None
    domain: str


@dataclass(frozen=True)
class Segment:
    """A piece in its place: `start` and `end` within the sequence, s."""

    piece: Piece
    start: float
    end: float


@dataclass(frozen=True, eq=False)
class FrameTargets:
    """What each frame of 20 ms shall be heard as.

    `shares` (n_frames, n_labels) float32, rows sum to 1 where `mask` (n_frames,) is True and are
    0 elsewhere: behind the end, and in segments that nobody labelled. `segment` (n_frames,) is
    the number of the segment a frame lies in, labelled or not, -1 behind the end. A frame belongs
    to the segment that its middle lies in.
    """

    shares: Float32
    mask: NDArray[np.bool_]
    segment: NDArray[np.int64]


def pieces(corpus: Corpus, how: Sampling | None = None) -> list[Piece]:
    """Give what sequences are made of, in the order of the table.

    Excluded utterances are left out, and what is shorter than a frame of 20 ms. Lengths come from
    the files' headers where the table has none.

    Args:
        corpus: one, or several joined by `affekt.corpus.concat`.
        how: length of a sequence, and what makes a domain; None: the defaults.

    Raises:
        CorpusError: an utterance has no speaker (or whatever else makes its domain, but for its
            language), or is too long and may not be cut; nothing is left.
    """
    how = how or Sampling()
    known = bool(corpus.utterances["duration"].notna().all())
    table = (corpus if known else corpus.with_durations()).utterances
    table = table[table["excluded"] == ""]
    shares = {str(k): tuple(map(float, row)) for k, row in zip(
        corpus.labels.index, corpus.labels.to_numpy(dtype=float), strict=True
    )}  # fmt: skip
    longest = round(how.seconds * audio.SAMPLE_RATE)
    domains = _domains(corpus.name, table, how.domain)
    found: list[Piece] = []
    for id_, seconds, domain in zip(table.index, table["duration"], domains, strict=True):
        if seconds > how.seconds and not how.cut:
            raise CorpusError(
                f"{corpus.name}: utterance {id_!r} has {seconds:g} s, a sequence {how.seconds:g}:"
                " leave it out, or allow cutting (Sampling(cut=True))"
            )
        n_samples = round(seconds * audio.SAMPLE_RATE)
        for first in range(0, n_samples, longest):
            n_own = min(longest, n_samples - first)
            if n_own >= FRAME:
                start, length = first / audio.SAMPLE_RATE, n_own / audio.SAMPLE_RATE
                found.append(Piece(str(id_), start, length, shares.get(str(id_)), domain))
    if not found:
        raise CorpusError(f"{corpus.name}: no utterance to make sequences of")
    return found


def sequences(
    pool: Sequence[Piece],
    how: Sampling | None = None,
    *,
    seed: int,
    epoch: int = 0,
    worker: int = 0,
    n_workers: int = 1,
) -> list[tuple[Segment, ...]]:
    """Draw the sequences of one epoch, in random order; the same ones for the same arguments.

    Each worker has a pool of its own, every `n_workers`-th piece of a shuffled table, so together
    they hear every piece once an epoch (unless the pool is refreshed).

    Args:
        pool: what `pieces` gave.
        how: length of a sequence, refreshes; None: the defaults.
        seed: 0 or more.
        epoch: another one, other sequences.
        worker: 0 .. n_workers - 1.
        n_workers: among how many the pieces are divided.

    Returns:
        Sequences of at least one segment; segments meet, the first begins at 0 s.

    Raises:
        CorpusError: a piece is longer than a sequence: make them with the same `how`.
        ValueError: `worker` is not below `n_workers`.
    """
    how = how or Sampling()
    if not 0 <= worker < n_workers:
        raise ValueError(f"worker {worker} of {n_workers}: choose 0 .. {n_workers - 1}")
    longest = round(how.seconds * audio.SAMPLE_RATE)
    lengths = [round(piece.duration * audio.SAMPLE_RATE) for piece in pool]
    if lengths and max(lengths) > longest:
        piece = pool[int(np.argmax(lengths))]
        raise CorpusError(
            f"{piece.utterance!r} has {piece.duration:g} s, a sequence {how.seconds:g}:"
            " make the pieces with the same settings"
        )
    own = np.random.default_rng((seed, epoch)).permutation(len(pool))[worker::n_workers]
    rng = np.random.default_rng((seed, epoch, worker))
    drawn = _fill([(lengths[k], int(k)) for k in own], longest, how, rng)
    drawn = [drawn[k] for k in rng.permutation(len(drawn))]
    return [_placed([pool[k] for k in numbers]) for numbers in drawn]


def targets(
    sequence: Sequence[Segment], n_labels: int, seconds: float | None = SECONDS
) -> FrameTargets:
    """Give each frame's target.

    Args:
        sequence: segments, in order.
        n_labels: columns.
        seconds: as many frames as this has, 1500 of 30 s; None: as many as the segments reach
            into.

    Raises:
        ValueError: a piece has another number of labels.
    """
    end = sequence[-1].end if seconds is None else seconds
    n_frames = -(-round(end * audio.SAMPLE_RATE) // FRAME)
    middles = np.arange(n_frames) * FRAME + FRAME // 2
    ends = np.array([round(segment.end * audio.SAMPLE_RATE) for segment in sequence])
    segment = np.searchsorted(ends, middles, side="right")
    segment[segment == len(sequence)] = -1
    rows = np.zeros((len(sequence) + 1, n_labels), np.float32)  # the last is for -1
    labelled = np.zeros(len(sequence) + 1, bool)
    for number, one in enumerate(sequence):
        if one.piece.shares is not None:
            if len(one.piece.shares) != n_labels:
                raise ValueError(
                    f"{one.piece.utterance!r} has shares of {len(one.piece.shares)} labels,"
                    f" targets were asked for {n_labels}: harmonise to one scheme first"
                )
            rows[number], labelled[number] = one.piece.shares, True
    return FrameTargets(rows[segment], labelled[segment], segment.astype(np.int64))


def without_pauses(
    found: FrameTargets, sequence: Sequence[Segment], waveform: Float32
) -> FrameTargets:
    """Leave the pauses within each segment out of the mask, and so out of the loss.

    A pause is what `affekt.vad` takes for one, in steps of 0.1 s, with each segment measured
    against its own noise. `segment` stays as it is.

    Args:
        found: what `targets` gave.
        sequence: the same segments.
        waveform: their sound, 16 kHz.
    """
    heard = np.zeros(len(found.mask) * FRAME, bool)
    size = round(vad.LEVEL_SECONDS * audio.SAMPLE_RATE)
    for segment in sequence:
        first, end = (round(t * audio.SAMPLE_RATE) for t in (segment.start, segment.end))
        active = vad.active(vad.levels(waveform[first:end], audio.SAMPLE_RATE))
        heard[first:end] = np.repeat(active, size)[: end - first]
    mask = found.mask & heard[FRAME // 2 :: FRAME]
    return FrameTargets(found.shares * mask[:, None], mask, found.segment)


def sound(
    corpus: Corpus,
    sequence: Sequence[Segment],
    *,
    load: Callable[[Piece], Float32] | None = None,
    seconds: float | None = SECONDS,
) -> Float32:
    """Make the sound of a sequence, silence behind its end.

    A recording may differ a little in length from what its table says: what is too long is cut,
    what is missing is silent, so every segment is where it was said to be.

    Args:
        corpus: where the pieces are from.
        sequence: segments, in order.
        load: piece -> samples at 16 kHz, changed at will (`affekt.augment`); None: its file is
            decoded.
        seconds: length of the result, longer than the last segment's end; None: just as long.

    Returns:
        Float32 at 16 kHz, 480,000 samples of 30 s.

    Raises:
        AudioError: a file cannot be decoded.
        CorpusError: the corpus has no such utterance, or its recording lacks more than 0.1 s.
    """
    load = load or (lambda piece: decoded(corpus, piece))
    end = sequence[-1].end if seconds is None else seconds
    waveform = np.zeros(round(end * audio.SAMPLE_RATE), np.float32)
    for segment in sequence:
        first, past = (round(t * audio.SAMPLE_RATE) for t in (segment.start, segment.end))
        samples = load(segment.piece)[: past - first]
        if past - first - samples.size > TOLERANCE * audio.SAMPLE_RATE:
            raise CorpusError(
                f"{corpus.name}: {segment.piece.utterance!r} has"
                f" {samples.size / audio.SAMPLE_RATE:g} s where its table says"
                f" {segment.piece.duration:g}: empty the column duration to have it measured"
            )
        waveform[first : first + samples.size] = samples
    return waveform


def decoded(corpus: Corpus, piece: Piece) -> Float32:
    """Decode a piece of a recording.

    Raises:
        AudioError: it cannot be decoded.
        CorpusError: the corpus has no such utterance.
    """
    path = corpus.path(piece.utterance)
    offset = corpus.utterances["start"].fillna(0.0).loc[piece.utterance]
    start = piece.start + float(offset)
    return audio.load(path, start=start, end=start + piece.duration)


def _domains(name: str, table: pd.DataFrame, columns: tuple[str, ...]) -> list[str]:
    """Join the columns that make a domain; the corpus is `name` where the table has no column."""
    parts = []
    for column in columns:
        if column not in table.columns and column != "corpus":
            raise CorpusError(f"{name}: the table has no column {column!r} to make a domain of")
        values = table.get(column, pd.Series(name, table.index))
        missing = values.isna() | (values == "")
        if column != "language" and missing.any():
            raise CorpusError(
                f"{name}: {int(missing.sum())} utterance(s) have no {column},"
                f" {missing.idxmax()!r} first; domains need it: choose others (domain=('corpus',))"
            )
        parts.append(["" if m else str(v) for v, m in zip(values, missing, strict=True)])
    return [":".join(row) for row in zip(*parts, strict=True)] or [""] * len(table)


def _fill(
    own: list[tuple[int, int]], longest: int, how: Sampling, rng: np.random.Generator
) -> list[list[int]]:
    """Algorithm 1 on (length in samples, number): the numbers of each sequence.

    It ends: each step takes a piece out of the pool or closes a sequence; one that is empty is
    the last; the pool is filled again `n_refreshes` times only.
    """
    least = how.least_share * longest
    refreshes = how.n_refreshes
    pool: list[tuple[int, ...]] = sorted(own)
    found: list[list[int]] = []
    while True:
        chosen: list[int] = []
        total = 0
        while total < least:
            n_fitting = bisect_left(pool, (longest - total + 1,))  # lengths are whole
            if not n_fitting and refreshes:
                refreshes -= 1
                pool = sorted(piece for piece in own if piece[1] not in chosen)
                continue
            if not n_fitting:
                break
            length, number = pool.pop(int(rng.integers(n_fitting)))
            chosen.append(number)
            total += length
        if not chosen:
            return found
        found.append(chosen)


def _placed(chosen: Sequence[Piece]) -> tuple[Segment, ...]:
    """Put pieces behind each other without a gap."""
    lengths = [round(piece.duration * audio.SAMPLE_RATE) for piece in chosen]
    ends = np.cumsum(lengths).tolist()
    return tuple(
        Segment(piece, (end - length) / audio.SAMPLE_RATE, end / audio.SAMPLE_RATE)
        for piece, length, end in zip(chosen, lengths, ends, strict=True)
    )
