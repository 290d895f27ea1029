"""Spectrograms of a corpus' utterances, read when they are asked for."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from affekt.corpus import Corpus, concat

AUDIBLE = 45.0  # dB under the loudest: what is softer at both ends is left out
MARGIN = 0.1  # s kept beside what is audible

Float32 = NDArray[np.float32]


class View(Sequence[Float32]):
    """Spectrograms read from a source, and changed, when they are asked for.

    So a corpus of hundreds of hours trains on a machine that it does not fit into.
    """

    def __init__(
        self,
        source: Sequence[Any],
        lengths: Sequence[int],
        rows: Sequence[int] | None = None,
        change: Callable[[Any], Float32] | None = None,
    ) -> None:
        self._source, self._change = source, change
        self._rows = range(len(source)) if rows is None else rows
        self.lengths = list(lengths)  # frames, once changed

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, row: int) -> Float32: ...
    @overload
    def __getitem__(self, row: slice) -> "View": ...
    def __getitem__(self, row: int | slice) -> "Float32 | View":
        if isinstance(row, slice):
            return View(self._source, self.lengths[row], self._rows[row], self._change)
        clip = self._source[self._rows[row]]
        return np.asarray(clip) if self._change is None else self._change(clip)


@dataclass(frozen=True, eq=False)
class Clips:
    """Spectrograms, each (n_mels, time), of a corpus' utterances, all of which have labels."""

    corpus: Corpus
    spectrograms: View
    fingerprints: dict[str, str]

    def select(self, ids: Iterable[str]) -> "Clips":
        """Keep some utterances, in the order given."""
        chosen = self.corpus.select(ids)
        rows = self.corpus.utterances.index.get_indexer(chosen.utterances.index).tolist()
        lengths = [self.lengths[row] for row in rows]
        return Clips(chosen, View(self.spectrograms, lengths, rows), self.fingerprints)

    @property
    def target(self) -> Float32:
        """Labels, (n, n_classes)."""
        return self.corpus.labels.to_numpy(np.float32, copy=True)  # pandas' own is read-only

    @property
    def lengths(self) -> list[int]:
        """Frames of each."""
        return self.spectrograms.lengths


def joined(parts: Sequence[Clips]) -> Clips:
    """Put clips of several corpora behind each other; ids become `name/utterance` (`concat`)."""
    source = [(part.spectrograms, row) for part in parts for row in range(len(part.lengths))]
    lengths = [length for part in parts for length in part.lengths]
    prints = {
        f"{part.corpus.name}/{id_}": print_
        for part in parts
        for id_, print_ in part.fingerprints.items()
    }
    corpus = concat([part.corpus for part in parts])
    return Clips(corpus, View(source, lengths, change=lambda one: one[0][one[1]]), prints)


def audible_part(spectrogram: Float32, *, decibel: float, hop: float) -> Float32:
    """Leave out what is soft at both ends: AUDIBLE dB under the loudest, but for a margin.

    `decibel`: what one unit is worth; `hop`: s from frame to frame.
    """
    level = spectrogram.max(0) * decibel
    loud = np.flatnonzero(level > level.max() - AUDIBLE)
    beside = round(MARGIN / hop)
    return spectrogram[:, max(0, loud[0] - beside) : loud[-1] + beside + 1]


def in_windows(clips: View, window: int) -> tuple[View, NDArray[np.intp]]:
    """Cut clips into windows of so many frames, a quarter of it apart, and one at each end.

    Returns:
        The windows, and whose each is; a clip that is no longer is one window.
    """
    places = [
        (row, first)
        for row, length in enumerate(clips.lengths)
        for first in (*range(0, length - window, max(1, window // 4)), max(0, length - window))
    ]
    lengths = [min(window, clips.lengths[row]) for row, _ in places]
    cut = View(places, lengths, change=lambda at: clips[at[0]][:, at[1] : at[1] + window])
    return cut, np.array([row for row, _ in places])


def repeated(spectrogram: Float32, least: int) -> Float32:
    """Repeat a clip that is shorter than `least` frames up to them; others stay as they are.

    >>> repeated(np.array([[1, 2]], np.float32), 5).tolist()
    [[1.0, 2.0, 1.0, 2.0, 1.0]]
    """
    n_frames = spectrogram.shape[1]
    return spectrogram if n_frames >= least else spectrogram[:, np.arange(least) % n_frames]


def of_bands(clips: Sequence[Float32]) -> tuple[Float32, Float32]:
    """Mean and deviation of each mel band over all frames, (n_mels, 1)."""
    frames = sum(clip.shape[1] for clip in clips)
    mean = np.asarray(sum(clip.sum(1, dtype=np.float64) for clip in clips)) / frames
    square = sum(np.square(clip, dtype=np.float64).sum(1) for clip in clips) / frames
    scale = np.sqrt(np.maximum(square - np.square(mean), 1e-12))
    return mean.astype(np.float32)[:, None], scale.astype(np.float32)[:, None]


def as_is() -> tuple[Float32, Float32]:
    """Mean and deviation that change nothing, (1, 1)."""
    return np.zeros((1, 1), np.float32), np.ones((1, 1), np.float32)


def standardised(clips: Sequence[Float32], mean: Float32, scale: Float32) -> View:
    """Give (clip - mean) / scale of each, when it is asked for."""
    lengths = clips.lengths if isinstance(clips, View) else [clip.shape[1] for clip in clips]
    return View(clips, lengths, change=lambda clip: (clip - mean) / scale)
