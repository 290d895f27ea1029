"""Emotion along time: segments, probabilities, and the sound itself."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from affekt.exceptions import AffektError
from affekt.plots.style import (
    FAINT,
    PAPER,
    colours,
    heading,
    ink_on,
    key,
    new_figure,
    no_frame,
    plain,
    quiet,
)
from affekt.timeline import Segment

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

N_ENVELOPE = 1200  # columns of the waveform strip: about a pixel each
N_POINTS = 400  # of the stacked areas; more windows than that are averaged, or they would flicker
N_OUTLINED = 120  # points up to which white lines part the areas
TICKS = (15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400)  # s between ticks, long files


def timeline(
    times: ArrayLike,
    scores: ArrayLike,
    labels: Sequence[str],
    segments: Sequence[Segment],
    *,
    title: str = "",
    waveform: NDArray[np.float32] | None = None,
    sample_rate: int = 16_000,
) -> "Figure":
    """Emotion along time: segments as a strip, below it the probabilities as stacked areas.

    Args:
        times: (n, 2) start and end of each window in seconds.
        scores: (n, c) probabilities, rows sum to 1.
        labels: the c labels.
        segments: stretches of one label; gaps stay white.
        title: above the picture, e.g. the file's name.
        waveform: mono samples; draws the loudness below.
        sample_rate: of the waveform, Hz.

    Raises:
        AffektError: nothing to draw, shapes that do not fit, or matplotlib is missing.
    """
    spans, shares = np.asarray(times, dtype=float), np.asarray(scores, dtype=float)
    if spans.shape != (len(shares), 2) or shares.shape[1:] != (len(labels),) or not len(shares):
        raise AffektError(
            f"a timeline needs times (n, 2) and scores (n, {len(labels)}) of n > 0 windows, "
            f"not {spans.shape} and {shares.shape}"
        )
    ratios = (0.55, 3.2) if waveform is None else (0.55, 3.2, 0.8)
    figure = new_figure(11, 1.4 + 0.85 * sum(ratios))
    rows = figure.subplots(len(ratios), 1, sharex=True, height_ratios=ratios)
    colour_of = dict(zip(labels, colours(labels), strict=True))
    start, end = float(spans.min()), float(spans.max())
    end = max(end, start + 1e-3)
    _strip(rows[0], segments, colour_of, end - start)
    _areas(rows[1], spans, shares, list(colour_of.items()))
    if waveform is not None:
        _envelope(rows[2], np.asarray(waveform), sample_rate)
    rows[0].set_xlim(start, end)
    _time_axis(rows[-1], end - start)
    heading(rows[0], title or "Emotion along time", "")
    return figure


def sequences(
    rows: Mapping[str, Sequence[Segment]],
    *,
    waveform: NDArray[np.float32] | None = None,
    sample_rate: int = 16_000,
    title: str = "",
) -> "Figure":
    """Several segmentations of one recording below each other, the truth say and two models.

    Args:
        rows: name of the row -> its segments; gaps stay white.
        waveform: mono samples; draws the loudness below.
        sample_rate: of the waveform, Hz.
        title: above the picture.

    Raises:
        AffektError: nothing to draw, or matplotlib is missing.
    """
    end = max((part.end for parts in rows.values() for part in parts), default=0.0)
    if not end > 0:
        raise AffektError("no segment to draw")
    ratios = [1.0] * len(rows) + ([1.4] if waveform is not None else [])
    figure = new_figure(11, 0.9 + 0.5 * sum(ratios))
    cells = figure.subplots(len(ratios), 1, sharex=True, height_ratios=ratios, squeeze=False)[:, 0]
    labels = list(dict.fromkeys(part.label for parts in rows.values() for part in parts))
    colour_of = dict(zip(labels, colours(labels), strict=True))
    for axes, (name, parts) in zip(cells, rows.items(), strict=False):
        _strip(axes, parts, colour_of, end)
        axes.set_ylabel(name, rotation=0, ha="right", va="center")
    if waveform is not None:
        _envelope(cells[-1], np.asarray(waveform), sample_rate)
        cells[-1].set_ylabel("")
    cells[0].set_xlim(0.0, end)
    _time_axis(cells[-1], end)
    heading(cells[0], title or "Which emotion follows which", "")
    return figure


def _strip(
    axes: "Axes", segments: Sequence[Segment], colour_of: dict[str, str], seconds: float
) -> None:
    """Segments as blocks, named where the name fits: about 100 letters a picture's width."""
    for segment in segments:
        colour = colour_of.get(segment.label, FAINT)
        length = segment.end - segment.start
        axes.broken_barh([(segment.start, length)], (0, 1), color=colour, edgecolor=PAPER)
        if length / seconds * 100 > len(segment.label) + 1:
            axes.text(
                segment.start + length / 2, 0.47, plain(segment.label), ha="center", va="center",
                fontsize=8.5, color=ink_on(colour), clip_on=True,
            )  # fmt: skip
    axes.set_ylim(0, 1)
    axes.set_yticks([])
    axes.tick_params(length=0, labelbottom=False)
    no_frame(axes)


def _areas(
    axes: "Axes",
    spans: NDArray[np.float64],
    shares: NDArray[np.float64],
    colour_of: list[tuple[str, str]],
) -> None:
    """Stacked areas through the windows' centres, held flat to the edges of each unbroken run."""
    breaks = np.flatnonzero(spans[1:, 0] > spans[:-1, 1] + 1e-6) + 1
    line = 0.6 if len(spans) <= N_OUTLINED else 0.0
    spans, shares, breaks = _thinned(spans, shares, breaks)
    for run in np.split(np.arange(len(spans)), breaks):
        x = np.concatenate([[spans[run[0], 0]], spans[run].mean(axis=1), [spans[run[-1], 1]]])
        heights = np.vstack([shares[run[0]], shares[run], shares[run[-1]]])
        tops = np.cumsum(heights, axis=1)
        for k, (_, colour) in enumerate(colour_of):
            axes.fill_between(
                x, tops[:, k] - heights[:, k], tops[:, k], color=colour, linewidth=line,
                edgecolor=PAPER,
            )  # fmt: skip
    key(axes, colour_of)
    axes.set(ylim=(0, 1), ylabel="probability")
    axes.set_yticks([0, 0.5, 1], ["0", ".5", "1"])
    quiet(axes)


def _thinned(
    spans: NDArray[np.float64], shares: NDArray[np.float64], breaks: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Neighbouring windows of one unbroken run averaged, so that about N_POINTS are left."""
    size = -(-len(spans) // N_POINTS)
    runs = np.split(np.arange(len(spans)), breaks)
    firsts = [run[::size] for run in runs]
    first = np.concatenate(firsts)
    last = np.concatenate(
        [np.append(part[1:], run[-1] + 1) - 1 for part, run in zip(firsts, runs, strict=True)]
    )
    means = np.add.reduceat(shares, first, axis=0) / (last - first + 1)[:, None]
    joined = np.stack([spans[first, 0], spans[last, 1]], axis=1)
    return joined, means, np.cumsum([len(part) for part in firsts])[:-1]


def _envelope(axes: "Axes", waveform: NDArray[np.float32], sample_rate: int) -> None:
    size = max(1, -(-waveform.size // N_ENVELOPE))
    padded = np.pad(np.abs(waveform), (0, -waveform.size % size))
    peaks = padded.reshape(-1, size).max(axis=1)
    x = (np.arange(len(peaks)) + 0.5) * size / sample_rate
    axes.fill_between(x, -peaks, peaks, color=FAINT, linewidth=0)
    top = max(float(peaks.max(initial=0.0)), 1e-3)
    axes.set(ylim=(-1.05 * top, 1.05 * top), ylabel="audio")
    axes.set_yticks([])
    quiet(axes)
    axes.spines["left"].set_visible(False)


def _time_axis(axes: "Axes", seconds: float) -> None:
    """Seconds, or minutes and seconds for recordings over two minutes."""
    if seconds <= 120:
        axes.set_xlabel("seconds")
        return
    from matplotlib.ticker import MultipleLocator

    axes.set_xlabel("time")
    step = next((tick for tick in TICKS if seconds / tick <= 12), TICKS[-1])
    axes.xaxis.set_major_locator(MultipleLocator(step))
    axes.xaxis.set_major_formatter(lambda x, _: _clock(x))


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
