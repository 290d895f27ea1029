"""How right a sequence of emotions is: by its order, and by its times.

Order: edits between label sequences, as words are counted in speech recognition. Time: seconds of
false alarm, missed emotion and confusion, as in speech emotion diarization (Wang et al. 2023,
arXiv:2306.12991; SpeechBrain's EDER). Segments are (start, end, label), times in s, in any order;
segments of one list do not overlap.
"""

from bisect import bisect_right
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import isfinite

import numpy as np
from numpy.typing import ArrayLike, NDArray

from affekt.exceptions import TableError

Segment = tuple[float, float, str]
Floats = NDArray[np.float64]

NEUTRAL = "neutral"
SLACK = 1e-6  # s by which rounding may make neighbours overlap


def edit_distance(truth: Sequence[Hashable], prediction: Sequence[Hashable]) -> int:
    """Fewest insertions, deletions and substitutions between two sequences (Levenshtein 1966).

    >>> edit_distance(["neutral", "anger"], ["anger", "sadness"])
    2
    """
    row = list(range(len(prediction) + 1))  # distances from the truth so far to each beginning
    for n_before, true in enumerate(truth):
        diagonal, row[0] = n_before, n_before + 1
        for j, predicted in enumerate(prediction, start=1):
            least = min(row[j] + 1, row[j - 1] + 1, diagonal + (true != predicted))
            diagonal, row[j] = row[j], least
    return row[-1]


def emotion_error_rate(
    truths: Sequence[Sequence[Hashable]], predictions: Sequence[Sequence[Hashable]]
) -> float:
    """Edits over all recordings / labels of the truth, 0 or more; NaN where the truth has none.

    It is to emotions what the word error rate is to words: above 1 where much is made up, 1 for
    predictions that are all empty.

    Args:
        truths: the label sequence of each recording.
        predictions: likewise, in the same order.

    Raises:
        TableError: not as many predictions as truths.

    >>> emotion_error_rate([["anger"], ["neutral", "anger", "neutral"]], [["anger"], ["anger"]])
    0.5
    """
    if len(truths) != len(predictions):
        raise TableError(f"{len(truths)} true sequences, but {len(predictions)} predicted ones")
    n_labels = sum(map(len, truths))
    n_edits = sum(map(edit_distance, truths, predictions))
    return n_edits / n_labels if n_labels else float("nan")


def fill(segments: Sequence[Segment], duration: float) -> list[Segment]:
    """Stretch segments until they meet and reach both ends, so that each moment has a label.

    Between two that differ the border lies halfway from the end of the one to the start of the
    next; equal neighbours become one. So marks that a decoder of CTC leaves, which say where a
    label is heard and not how far it reaches, become a segmentation of the recording.

    Args:
        segments: in any order, within the recording, not overlapping.
        duration: of the recording, s.

    Returns:
        In order; none where none was given.

    Raises:
        TableError: as `time_errors`, or a segment ends behind the duration.

    >>> fill([(0.4, 0.6, "neutral"), (1.0, 1.2, "anger"), (2.0, 2.1, "anger")], 4.0)
    [(0.0, 0.8, 'neutral'), (0.8, 4.0, 'anger')]
    """
    ordered = _ordered(segments, "segments")
    if not isfinite(duration) or (ordered and ordered[-1][1] > duration + SLACK):
        raise TableError(
            f"duration is {duration} s; it must be a number no smaller than the last segment's end"
        )
    filled: list[Segment] = []
    if not ordered:
        return filled
    cuts = [(a[1] + b[0]) / 2 for a, b in pairwise(ordered)]
    for start, end, (_, _, label) in zip([0.0, *cuts], [*cuts, duration], ordered, strict=True):
        if filled and filled[-1][2] == label:
            start = filled.pop()[0]
        filled.append((start, end, label))
    return filled


def frame_log_probs(scores: ArrayLike, *, pause: ArrayLike | None = None) -> Floats:
    """Log-probabilities for the decoders of `affekt.ctc` out of any model's scores frame by frame.

    A model that knows no blank gets one, the last column: certain in pauses, impossible elsewhere.
    So a best path is the best label of each frame with repeats merged, and a label that comes
    again after a pause is a new one.

    Args:
        scores: probabilities, (n_frames, n_labels), rows sum to 1.
        pause: True = nothing is said, (n_frames,); None = no pauses.

    Returns:
        (n_frames, n_labels + 1), nats.

    >>> np.exp(frame_log_probs([[0.75, 0.25], [0.5, 0.5]], pause=[False, True])).tolist()
    [[0.75, 0.25, 0.0], [0.0, 0.0, 1.0]]
    """
    shares = np.asarray(scores, dtype=np.float64)
    if shares.ndim != 2:
        raise TableError(f"scores have shape {shares.shape}, not (n_frames, n_labels)")
    silent = np.zeros(len(shares)) if pause is None else np.asarray(pause, dtype=np.float64)
    with np.errstate(divide="ignore"):
        return np.log(np.column_stack([shares * (1 - silent[:, None]), silent]))


@dataclass(frozen=True)
class TimeErrors:
    """Seconds right and wrong; those of several recordings are added: sum(errors, TimeErrors()).

    Attributes:
        false_alarm: emotion is predicted where there is none, s.
        missed: no emotion is predicted where there is one, s.
        confusion: another emotion is predicted than there is, s.
        total: duration, s.
        labelled: of it, what a segment of the truth covers, s.
        right: of that, what has the same label in the prediction, s.
    """

    false_alarm: float = 0.0
    missed: float = 0.0
    confusion: float = 0.0
    total: float = 0.0
    labelled: float = 0.0
    right: float = 0.0

    @property
    def rate(self) -> float:
        """(false alarm + missed + confusion) / total ("EDER"), in 0 .. 1; NaN without duration."""
        wrong = self.false_alarm + self.missed + self.confusion
        return wrong / self.total if self.total else float("nan")

    @property
    def accuracy(self) -> float:
        """Time-weighted accuracy: right / labelled, in 0 .. 1; NaN where nothing is labelled."""
        return self.right / self.labelled if self.labelled else float("nan")

    def __add__(self, other: "TimeErrors") -> "TimeErrors":
        return TimeErrors(
            false_alarm=self.false_alarm + other.false_alarm,
            missed=self.missed + other.missed,
            confusion=self.confusion + other.confusion,
            total=self.total + other.total,
            labelled=self.labelled + other.labelled,
            right=self.right + other.right,
        )


def time_errors(
    truth: Sequence[Segment],
    prediction: Sequence[Segment],
    duration: float | None = None,
    *,
    neutral: str | None = NEUTRAL,
) -> TimeErrors:
    """Compare two segmentations of one recording along time.

    At each moment there is one emotion or none. None is where no segment is, or one of the label
    `neutral`: as in EDER, neutral speech and a gap are the same to `rate`. To `accuracy` they are
    not: it asks for the truth's very label wherever the truth has a segment, and a gap of the truth
    is not counted. Where both tile the recording, accuracy = 1 - rate.

    Args:
        truth: segments (start, end, label), s.
        prediction: likewise; what lies outside 0 .. duration is not counted.
        duration: of the recording, s; None: the end of the truth's last segment.
        neutral: the label that means no emotion; None: every label is an emotion, and only gaps
            are none.

    Raises:
        TableError: a segment ends before it starts, starts below 0, or overlaps another of its
            list; the truth goes beyond the duration, or has no segment and no duration is given.

    Source: Wang et al. 2023, arXiv:2306.12991, without its term for overlapping emotions.

    >>> truth = [(0.0, 1.0, "neutral"), (1.0, 4.0, "anger")]
    >>> time_errors(truth, [(0.0, 2.0, "neutral"), (2.0, 4.0, "anger")]).rate
    0.25
    """
    true, predicted = _ordered(truth, "truth"), _ordered(prediction, "prediction")
    if duration is None and not true:
        raise TableError("truth: has no segment, so give the duration of the recording")
    last = true[-1][1] if true else 0.0
    end = last if duration is None else duration
    if not isfinite(end) or end < last - SLACK:
        raise TableError(f"duration is {end} s, but the truth's last segment ends at {last} s")
    cuts = {0.0, end, *(time for start, stop, _ in true + predicted for time in (start, stop))}
    borders = sorted(time for time in cuts if 0 <= time <= end)
    sums = dict.fromkeys(("false_alarm", "missed", "confusion", "labelled", "right"), 0.0)
    for start, stop in pairwise(borders):
        middle = (start + stop) / 2
        for kind in _kinds(_label_at(true, middle), _label_at(predicted, middle), neutral):
            sums[kind] += stop - start
    return TimeErrors(total=end, **sums)


def _kinds(true: str | None, predicted: str | None, neutral: str | None) -> Iterator[str]:
    """What a moment counts as; None: no segment is there."""
    if true is not None:
        yield "labelled"
        if true == predicted:
            yield "right"
    emotion = None if true == neutral else true
    answer = None if predicted == neutral else predicted
    if emotion == answer:
        return
    if emotion is None:
        yield "false_alarm"
    else:
        yield "missed" if answer is None else "confusion"


def _ordered(segments: Sequence[Segment], side: str) -> list[Segment]:
    for start, end, label in segments:
        if not (0 <= start <= end and isfinite(end)):
            raise TableError(
                f"{side}: {label} from {start} to {end} s is no segment of a recording"
            )
    ordered = sorted((s for s in segments if s[1] > s[0]), key=lambda s: s[0])
    for before, after in pairwise(ordered):
        if after[0] < before[1] - SLACK:
            raise TableError(
                f"{side}: {before[2]} until {before[1]} s overlaps {after[2]} from {after[0]} s; "
                "there is one emotion at a time"
            )
    return ordered


def _label_at(ordered: list[Segment], time: float) -> str | None:
    """Label of the segment around a moment, None in a gap."""
    place = bisect_right(ordered, time, key=lambda s: s[0]) - 1
    return ordered[place][2] if place >= 0 and time < ordered[place][1] else None
