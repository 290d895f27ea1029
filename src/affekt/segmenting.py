"""From what a model says of each frame to the emotions of a recording, and when each is.

Any model will do that gives log-probabilities frame by frame with CTC's blank in the last column;
`affekt.sequences.frame_log_probs` adds one to a model that knows none. A decoder of `affekt.ctc`
finds the labels and where they are marked, and each label is then stretched until it meets its
neighbours halfway: every moment has a label.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from affekt import ctc
from affekt.exceptions import TableError
from affekt.sequences import Segment as Span
from affekt.sequences import fill
from affekt.timeline import Segment

Floats = NDArray[np.float64]
Decoder = Callable[[Floats, int], ctc.Decoding]

MAX_FRAMES = 600  # decoded in one go: a minute at 10 frames/s; the search's memory grows with it


@dataclass(frozen=True)
class Found:
    """Which emotions follow each other in a recording.

    Attributes:
        segments: they tile the recording, neighbours differ; each has as `probability` its label's
            share of what the model gives to any label within it.
        log_probability: of the decoded sequence, nats; None where a decoder gives none.
        empty: the decoder found no label, so the most probable single one stands here.
        duration: s.
    """

    segments: tuple[Segment, ...]
    log_probability: float | None
    empty: bool
    duration: float

    @property
    def labels(self) -> tuple[str, ...]:
        """The emotions in order."""
        return tuple(segment.label for segment in self.segments)


def _beam(log_probs: Floats, width: int) -> ctc.Decoding:
    return ctc.beam_search(log_probs, width)[0]


def _best_path(log_probs: Floats, width: int) -> ctc.Decoding:
    return ctc.best_path(log_probs)


DECODERS: dict[str, Decoder] = {"beam": _beam, "best-path": _best_path}


def segment(
    log_probs: ArrayLike,
    labels: Sequence[str],
    edges: ArrayLike,
    *,
    decoder: str = "beam",
    width: int = ctc.WIDTH,
) -> Found:
    """Decode frames and give every moment of the recording a label.

    What is longer than `MAX_FRAMES` is cut where the blank is surest, and its parts are decoded
    one by one. Neighbours that decode to the same label become one segment.

    Args:
        log_probs: (n_frames, n_labels + 1), nats, the blank last; one frame or more.
        labels: the n_labels names.
        edges: start and end of each frame, s, (n_frames, 2); they tile the recording.
        decoder: one of DECODERS.
        width: of the beam.

    Raises:
        TableError: no frame, shapes that do not fit, or log-probabilities that are none.
        ValueError: no such decoder.

    >>> frames = np.log([[0.8, 0.1, 0.1], [0.1, 0.1, 0.8], [0.1, 0.1, 0.8], [0.1, 0.8, 0.1]])
    >>> found = segment(frames, ["calm", "anger"], [[0, 1], [1, 2], [2, 3], [3, 4]])
    >>> [(part.start, part.end, part.label) for part in found.segments]
    [(0.0, 2.0, 'calm'), (2.0, 4.0, 'anger')]
    """
    if decoder not in DECODERS:
        raise ValueError(f"decoder must be one of {', '.join(DECODERS)}, not {decoder!r}")
    frames, times = np.asarray(log_probs, dtype=float), np.asarray(edges, dtype=float)
    if frames.shape != (len(times), len(labels) + 1) or times.shape[1:] != (2,) or not len(times):
        raise TableError(
            f"frames of shape {frames.shape} with edges of {times.shape}: needs (n, "
            f"{len(labels) + 1}) and (n, 2), n 1 or more"
        )
    found = _decoded(frames, DECODERS[decoder], width)
    empty = not found.labels
    if empty:
        posterior = ctc.one_label_posterior(frames)
        best = int(posterior.argmax())
        found = ctc.Decoding((best,), float(posterior[best]), ((0, len(frames)),))
    marks = [
        (float(times[start, 0]), float(times[end - 1, 1]), labels[column])
        for column, (start, end) in zip(found.labels, found.times, strict=True)
    ]
    duration = float(times[-1, 1])
    shares = np.exp(frames[:, :-1])
    segments = tuple(
        Segment(start, end, label, _share(shares, times, start, end, labels.index(label)))
        for start, end, label in fill(marks, duration)
    )
    return Found(segments, found.log_probability, empty, duration)


def filled(segments: Sequence[Segment], duration: float) -> Found:
    """Let segments of any other origin, such as a timeline's, tile the recording.

    Equal neighbours become one, whose probability is the mean over their seconds. What lies
    behind the duration is cut.

    Raises:
        TableError: there is no segment, or two overlap.
    """
    if not segments:
        raise TableError("no segment: nothing in the recording has a label")
    # a segment's times may be rounded, and then end behind the recording
    spans: list[Span] = [(s.start, min(s.end, duration), s.label) for s in segments]
    tiles = []
    for start, end, label in fill(spans, duration):
        inside = [s for s in segments if s.label == label and s.start < end and s.end > start]
        weights = [max(s.end - s.start, 1e-9) for s in inside]
        mean = float(np.average([s.probability for s in inside], weights=weights))
        tiles.append(Segment(start, end, label, mean))
    return Found(tuple(tiles), None, False, duration)


def frame_edges(centres: ArrayLike, hop: float, duration: float) -> Floats:
    """Edges of frames that lie `hop` apart: half a hop around each centre, the ends filled.

    Args:
        centres: s, rising, (n,).
        hop: s.
        duration: of the recording, s.

    Returns:
        (n, 2), s.

    >>> frame_edges([1.0, 2.0], 1.0, 3.25).tolist()
    [[0.0, 1.5], [1.5, 3.25]]
    """
    middle = np.asarray(centres, dtype=float)
    edges = np.stack([middle - hop / 2, middle + hop / 2], axis=1)
    edges[:1, 0], edges[-1:, 1] = 0.0, duration
    return edges


def _decoded(frames: Floats, decode: Decoder, width: int) -> ctc.Decoding:
    """Decode part by part, and put what was found behind each other."""
    labels: list[int] = []
    spans: list[ctc.Span] = []
    score = 0.0
    for first, last in _stretches(frames):
        found = decode(frames[first:last], width)
        labels += found.labels
        spans += [(first + start, first + end) for start, end in found.times]
        score += found.log_probability
    return ctc.Decoding(tuple(labels), score, tuple(spans))


def _stretches(frames: Floats) -> list[tuple[int, int]]:
    """Cut into parts of at most MAX_FRAMES, where the blank is surest in a part's second half."""
    parts, first = [], 0
    while len(frames) - first > MAX_FRAMES:
        half = first + MAX_FRAMES // 2
        cut = half + int(frames[half : first + MAX_FRAMES, -1].argmax())
        parts.append((first, cut))
        first = cut
    return [*parts, (first, len(frames))]


def _share(shares: Floats, times: Floats, start: float, end: float, column: int) -> float:
    """A label's share of all labels over the frames whose centre is within; 0 of nothing."""
    middle = times.mean(axis=1)
    inside = shares[(middle >= start) & (middle < end)]
    if not len(inside):  # a segment shorter than a frame
        inside = shares[[int(np.abs(middle - (start + end) / 2).argmin())]]
    total = float(inside.sum())
    return float(inside[:, column].sum()) / total if total > 0 else 0.0
