"""Recordings in which emotions follow each other, made of utterances with one label each.

No open corpus says which emotions follow each other within a recording, and when. So utterances of
one speaker are put behind each other: the borders are then known to the sample. What is drawn is
a list of utterances; sound is made of it only when it is asked for. Each recording has one
speaker, so it belongs to the same side of a split by speaker as its utterances.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from affekt import audio
from affekt.corpus import Corpus
from affekt.exceptions import CorpusError

Float32 = NDArray[np.float32]
Segment = tuple[float, float, str]
Neutral = Literal["as others", "between", "never"]

NEUTRAL = "neutral"
ATTEMPTS = 100  # at drawing a recording, before there is said to be none
TIE = 1e-9  # two shares nearer than this are a tie


@dataclass(frozen=True)
class Drawing:
    """How recordings are drawn.

    Attributes:
        n_min: fewest emotions in a recording, 1 or more.
        n_max: most of them; neutral utterances between emotions are not counted.
        neutral: "as others": a label like any other; "between": one neutral utterance between
            each two emotions, and nowhere else; "never": neutral utterances are left out.
        silence: s of digital silence between neighbours, drawn evenly from this range.
        max_seconds: no recording is longer, silences included; an emotion that has no room is
            left away, but a recording has `n_min` of them.
    """

    n_min: int = 2
    n_max: int = 4
    neutral: Neutral = "as others"
    silence: tuple[float, float] = (0.0, 0.0)
    max_seconds: float = 30.0

    def __post_init__(self) -> None:
        if not 1 <= self.n_min <= self.n_max:
            raise ValueError(f"{self.n_min} to {self.n_max} emotions: choose 1 <= n_min <= n_max")
        if self.neutral not in ("as others", "between", "never"):
            raise ValueError(f"neutral is {self.neutral!r}: choose as others, between or never")
        if not 0 <= self.silence[0] <= self.silence[1] < np.inf:
            raise ValueError(f"silence {self.silence} s: choose 0 <= least <= most")
        if not self.max_seconds > 0:
            raise ValueError(f"max_seconds {self.max_seconds}: a recording has some length")


@dataclass(frozen=True)
class Concatenation:
    """One recording to be made: what follows what.

    `labels` are those of the `utterances`, neighbours differ. `silences` (n_utterances - 1,) are
    samples of silence behind each utterance but the last.
    """

    name: str
    speaker: str
    utterances: tuple[str, ...]
    labels: tuple[str, ...]
    silences: tuple[int, ...]

    @property
    def has_gaps(self) -> bool:
        """Whether neutral speech lies between each two emotions, and nowhere else."""
        n = len(self.labels)
        neutral = [label == NEUTRAL for label in self.labels]
        return n > 2 and n % 2 == 1 and neutral == [k % 2 == 1 for k in range(n)]


@dataclass(frozen=True, eq=False)
class Recording:
    """The sound of a concatenation, float32 at 16 kHz, and its truth.

    `segments` are (start, end, label), s, in order; silences between them belong to none.
    """

    waveform: Float32
    segments: tuple[Segment, ...]

    @property
    def duration(self) -> float:
        """Length, s."""
        return self.waveform.size / audio.SAMPLE_RATE


def draw(
    corpus: Corpus, n_per_speaker: int, how: Drawing | None = None, *, seed: int = 0
) -> list[Concatenation]:
    """Draw recordings of each speaker.

    Labels are drawn evenly from those of the speaker that differ from the one before, then an
    utterance of that label which the recording does not have yet. What is drawn of a speaker
    depends on the seed and on that speaker's utterances alone: other speakers, the order of the
    table, and how often it is asked for change nothing.

    Args:
        corpus: utterances without one most likely label, without speaker, or excluded are not
            used. Lengths come from the files' headers where the table has none.
        n_per_speaker: how many of each.
        how: how many emotions, where neutral speech goes, how much silence; None: the defaults.
        seed: 0 or more.

    Returns:
        Sorted by speaker; named speaker/number.

    Raises:
        CorpusError: no speaker has two labels that could stand beside each other, or of one who
            has, `n_min` emotions do not fit into `max_seconds`. Speakers with one label are
            passed over.
    """
    how = how or Drawing()
    table = usable(corpus)
    recordings = []
    for speaker, rows in table.groupby("speaker", sort=True):
        own = _Speaker(str(speaker), rows.sort_index(), how)
        if not own.can_follow:
            continue
        for number in range(n_per_speaker):
            rng = np.random.default_rng([seed, number, *str(speaker).encode()])
            recordings.append(own.recording(number, rng))
    if not recordings and n_per_speaker:
        raise CorpusError(
            f"{corpus.name}: no speaker has two different labels that could follow each other"
            f" (neutral: {how.neutral}); {len(table)} utterances have a speaker and one label"
        )
    return recordings


def singles(corpus: Corpus) -> list[Concatenation]:
    """Every usable utterance as a recording of its own, in the order of the table."""
    table = usable(corpus)
    return [
        Concatenation(str(id_), str(row["speaker"]), (str(id_),), (str(row["label"]),), ())
        for id_, row in table.iterrows()
    ]


def usable(corpus: Corpus) -> pd.DataFrame:
    """Utterances that can be put behind others: `speaker`, `label`, `seconds`.

    Raises:
        CorpusError: there is none.
    """
    shares = corpus.labels.to_numpy(dtype=float)
    top = shares.max(axis=1, keepdims=True, initial=0.0)
    decided = (shares >= top - TIE).sum(axis=1) == 1
    names = np.array(list(corpus.scheme), dtype=object)[shares.argmax(axis=1)]
    label = pd.Series(names, corpus.labels.index)[decided]
    chosen = corpus.select(label.index)
    known = chosen.utterances["duration"].notna().all()
    timed = chosen.utterances if known else chosen.with_durations().utterances
    table = pd.DataFrame(
        {"speaker": timed["speaker"], "label": label, "seconds": timed["duration"]}
    )
    kept = table[(timed["excluded"] == "") & table.notna().all(axis=1)]
    if not len(kept):
        raise CorpusError(
            f"{corpus.name}: no utterance has a speaker, one most likely label and a recording"
        )
    return kept


def sound(
    corpus: Corpus,
    recording: Concatenation,
    *,
    load: Callable[[str], Float32] | None = None,
) -> Recording:
    """Make the sound of a recording.

    Args:
        corpus: that it was drawn from.
        recording: what `draw` gave.
        load: utterance -> samples at 16 kHz; None: its file is decoded.

    Raises:
        AudioError: a file cannot be decoded.
        CorpusError: the corpus has no such utterance.
    """
    load = load or (lambda id_: utterance(corpus, id_))
    parts: list[Float32] = []
    segments = []
    position = 0
    for id_, label, behind in zip(
        recording.utterances, recording.labels, (*recording.silences, 0), strict=True
    ):
        samples = load(id_)
        start, end = position, position + samples.size
        segments.append((start / audio.SAMPLE_RATE, end / audio.SAMPLE_RATE, label))
        parts += [samples, np.zeros(behind, np.float32)]
        position = end + behind
    return Recording(np.concatenate(parts), tuple(segments))


def utterance(corpus: Corpus, id_: str) -> Float32:
    """Decode one utterance, whole or its stretch of a file.

    Raises:
        AudioError: it cannot be decoded.
        CorpusError: the corpus has no such utterance.
    """
    path = corpus.path(id_)
    start, end = corpus.utterances.loc[[id_], ["start", "end"]].to_numpy(float)[0]
    return audio.load(
        path, start=0.0 if np.isnan(start) else start, end=None if np.isnan(end) else end
    )


class _Speaker:
    """Utterances of one speaker by label, and what may follow what."""

    def __init__(self, name: str, rows: pd.DataFrame, how: Drawing) -> None:
        self.name, self.how = name, how
        self.seconds: dict[str, float] = {str(k): float(v) for k, v in rows["seconds"].items()}
        self.of_label = {
            str(label): [str(id_) for id_ in part.index]
            for label, part in rows.groupby("label", sort=True)
        }
        self.gaps = self.of_label.pop(NEUTRAL, []) if how.neutral != "as others" else []

    @property
    def can_follow(self) -> bool:
        """Whether there are two labels that could stand beside each other."""
        if self.how.neutral == "between":
            return bool(self.gaps) and bool(self.of_label)
        return len(self.of_label) >= 2

    def recording(self, number: int, rng: np.random.Generator) -> Concatenation:
        """Draw one; the same generator gives the same."""
        for _ in range(ATTEMPTS):
            drawn = self._attempt(number, rng)
            if drawn is not None:
                return drawn
        raise CorpusError(
            f"speaker {self.name}: {self.how.n_min} emotions do not fit into"
            f" {self.how.max_seconds:g} s, or there are too few utterances of different labels:"
            " give n_min, max_seconds or silence otherwise"
        )

    def _attempt(self, number: int, rng: np.random.Generator) -> Concatenation | None:
        wanted = int(rng.integers(self.how.n_min, self.how.n_max + 1))
        chosen: list[str] = []
        labels: list[str] = []
        silences: list[int] = []
        room = self.how.max_seconds
        for emotion in range(wanted):
            between = [self.gaps] if emotion and self.how.neutral == "between" else []
            drawn = self._next(between, chosen, labels, room, rng)
            if drawn is None:
                if emotion >= self.how.n_min:
                    break
                return None
            ids, names, gaps, used = drawn
            chosen, labels, silences = chosen + ids, labels + names, silences + gaps
            room -= used
        return Concatenation(
            f"{self.name}/{number}", self.name, tuple(chosen), tuple(labels), tuple(silences)
        )

    def _next(
        self,
        between: list[list[str]],
        chosen: list[str],
        labels: list[str],
        room: float,
        rng: np.random.Generator,
    ) -> tuple[list[str], list[str], list[int], float] | None:
        """Draw the next emotion, and the neutral utterance before it where one belongs there.

        Gives utterances, labels, silences before each, and the seconds they take; None where
        nothing fits.
        """
        before = labels[-1] if labels else ""
        n_new = 1 + len(between)
        gaps = [self._silence(rng) for _ in range(n_new if chosen else n_new - 1)]
        room -= sum(gaps) / audio.SAMPLE_RATE
        ids: list[str] = []
        for pool in between:
            fitting = self._fitting(pool, chosen + ids, room)
            if not fitting:
                return None
            ids.append(fitting[int(rng.integers(len(fitting)))])
            room -= self.seconds[ids[-1]]
        pools = {
            label: self._fitting(pool, chosen + ids, room)
            for label, pool in self.of_label.items()
            if label != before
        }
        names = [label for label, pool in pools.items() if pool]
        if not names:
            return None
        label = names[int(rng.integers(len(names)))]
        ids.append(pools[label][int(rng.integers(len(pools[label])))])
        used = sum(self.seconds[id_] for id_ in ids) + sum(gaps) / audio.SAMPLE_RATE
        return ids, [NEUTRAL] * len(between) + [label], gaps, used

    def _fitting(self, pool: list[str], chosen: list[str], room: float) -> list[str]:
        return [id_ for id_ in pool if id_ not in chosen and self.seconds[id_] <= room]

    def _silence(self, rng: np.random.Generator) -> int:
        least, most = self.how.silence
        return round(float(rng.uniform(least, most)) * audio.SAMPLE_RATE)


def borders(recording: Recording) -> tuple[float, ...]:
    """Where one segment ends and the next begins, s; in a silence its middle.

    >>> parts = ((0.0, 1.0, "calm"), (1.5, 3.0, "anger"))
    >>> borders(Recording(np.zeros(48_000, np.float32), parts))
    (1.25,)
    """
    return tuple((a[1] + b[0]) / 2 for a, b in pairwise(recording.segments))
