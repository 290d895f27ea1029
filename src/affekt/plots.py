"""Pictures: confusion, reliability, emotion along time.

Figures are made as objects, never through pyplot, so nobody's global state or window changes.
Every function gives a matplotlib Figure; `save` writes it.
"""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from affekt.atomic import replacing
from affekt.exceptions import AffektError
from affekt.report import Report
from affekt.timeline import Segment

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {
    "anger": "#C4122F",
    "boredom": "#B79F86",
    "calm": "#9AD0C2",
    "contempt": "#6B6A1E",
    "disgust": "#4FA873",
    "excitement": "#F58220",
    "fear": "#4B1F73",
    "frustration": "#8A3B1E",
    "happiness": "#FFC20A",
    "neutral": "#BFC5CC",
    "sadness": "#2A7FC7",
    "surprise": "#57C4E5",
    "other": "#5F6670",
}
"""One colour a noun; the eight of EKMAN_8 stay apart for red-green-blind eyes (tested)."""

SPARE = ("#A8518A", "#7FA650", "#3F4F8C", "#D98C8C", "#8FB8DE", "#C9A227", "#4D4D4D")
INK, FAINT, PAPER = "#22262B", "#8A9099", "#FFFFFF"
ENDINGS = (".png", ".svg", ".pdf")
N_ENVELOPE = 1200  # columns of the waveform strip: about a pixel each
N_POINTS = 400  # of the stacked areas; more windows than that are averaged, or they would flicker
N_OUTLINED = 120  # points up to which white lines part the areas
TICKS = (15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400)  # s between ticks, long files


def colours(labels: Sequence[str]) -> list[str]:
    """A colour for each label: its own where it is one of the field's nouns, else a spare one."""
    strangers = [label for label in labels if label not in COLOURS]
    spare = {label: SPARE[i % len(SPARE)] for i, label in enumerate(strangers)}
    return [COLOURS.get(label) or spare[label] for label in labels]


def confusion(report: Report, *, title: str = "") -> "Figure":
    """The confusion matrix: rows truth, shaded by the share of their row, counts written in."""
    rows = report.confusion.sum(axis=1) > 0
    columns = rows | (report.confusion.sum(axis=0) > 0)
    true_labels, answers = np.array(report.labels)[rows], np.array(report.labels)[columns]
    counts = report.confusion[np.ix_(rows, columns)]
    shares = counts / counts.sum(axis=1, keepdims=True)
    figure = _figure(2.8 + 0.78 * len(answers), 2.0 + 0.68 * len(true_labels))
    axes = figure.add_subplot()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for i, j in np.ndindex(*counts.shape):
        colour = PAPER if shares[i, j] > 0.55 else INK
        if counts[i, j]:
            axes.text(j, i - 0.13, f"{shares[i, j]:.0%}", ha="center", va="center", color=colour)
            axes.text(
                j, i + 0.24, f"{counts[i, j]}", ha="center", va="center", color=colour,
                fontsize=7, alpha=0.85,
            )  # fmt: skip
    axes.set_xticks(
        range(len(answers)),
        [_plain(label) for label in answers],
        rotation=35,
        ha="right",
        rotation_mode="anchor",
    )
    names = [f"{_plain(k)}  ({n})" for k, n in zip(true_labels, counts.sum(axis=1), strict=True)]
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("prediction")
    axes.set_ylabel("truth")
    axes.set_xticks(np.arange(len(answers) + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(len(names) + 1) - 0.5, minor=True)
    axes.grid(which="minor", color=PAPER, linewidth=1.5)
    axes.tick_params(which="both", length=0, colors=INK)
    _no_frame(axes)
    accuracy, recall = report.accuracy, report.unweighted_average_recall
    _heading(
        axes, title or "Confusion", f"accuracy {accuracy}   UAR {recall}   n = {report.n_hard}"
    )
    return figure


def reliability(report: Report, *, title: str = "") -> "Figure":
    """Confidence against accuracy, with how many answers stand behind each bin.

    Raises:
        AffektError: the report is of hard predictions, which have no confidence.
    """
    bins = report.calibration
    if bins is None:
        raise AffektError("hard predictions have no confidence: there is no reliability to draw")
    figure = _figure(5.2, 5.6)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    filled, width = bins.n > 0, np.diff(bins.edges)[0]
    left = bins.edges[:-1]
    upper.plot([0, 1], [0, 1], color=FAINT, linestyle=(0, (4, 3)), linewidth=1)
    upper.bar(
        left[filled], bins.accuracy[filled], width, align="edge",
        color=COLOURS["sadness"], edgecolor=PAPER, linewidth=1,
    )  # fmt: skip
    upper.plot(bins.confidence[filled], bins.accuracy[filled], "o", color=INK, markersize=4)
    lower.bar(left, bins.n / bins.n.sum(), width, align="edge", color=FAINT, edgecolor=PAPER)
    upper.set(xlim=(0, 1), ylim=(0, 1), ylabel="accuracy")
    lower.set(xlabel="confidence (probability of the answer)", ylabel="share")
    for axes in (upper, lower):
        _quiet(axes)
    subtitle = f"ECE {report.calibration_error:.3f}, {len(bins.n)} bins   n = {report.n_hard}"
    _heading(upper, title or "Reliability", subtitle)
    return figure


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
    figure = _figure(11, 1.4 + 0.85 * sum(ratios))
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
    _heading(rows[0], title or "Emotion along time", "")
    return figure


def save(figure: "Figure", path: str | Path, *, dpi: int = 150) -> None:
    """Write a figure as .png, .svg or .pdf, whole or not at all.

    Raises:
        AffektError: another ending.
    """
    path = Path(path)
    if path.suffix.lower() not in ENDINGS:
        raise AffektError(f"{path}: a picture ends in {', '.join(ENDINGS)}")
    with replacing(path) as temporary, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # a title in a script the font lacks
        figure.savefig(temporary, dpi=dpi, facecolor=PAPER)


def _figure(width: float, height: float) -> "Figure":
    try:
        from matplotlib.figure import Figure
    except ImportError as problem:
        raise AffektError("pictures need matplotlib: pip install 'affekt[plots]'") from problem
    return Figure(figsize=(width, height), layout="constrained", facecolor=PAPER)


def _heading(axes: "Axes", title: str, subtitle: str) -> None:
    pad = 24 if subtitle else 10
    axes.set_title(_plain(title), loc="left", fontweight="bold", fontsize=12, color=INK, pad=pad)
    axes.annotate(
        subtitle, (0, 1), (0, 9), xycoords="axes fraction", textcoords="offset points",
        fontsize=8.5, color=FAINT,
    )  # fmt: skip


def _plain(text: str) -> str:
    """Text in which a dollar is a dollar, not the beginning of a formula."""
    return text.replace("$", r"\$")


def _no_frame(axes: "Axes") -> None:
    axes.spines[:].set_visible(False)


def _quiet(axes: "Axes") -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(FAINT)
    axes.tick_params(colors=INK, labelsize=8.5)


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
                segment.start + length / 2, 0.47, _plain(segment.label), ha="center", va="center",
                fontsize=8.5, color=_ink_on(colour), clip_on=True,
            )  # fmt: skip
    axes.set_ylim(0, 1)
    axes.set_yticks([])
    axes.tick_params(length=0, labelbottom=False)
    _no_frame(axes)


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
    from matplotlib.patches import Patch

    handles = [Patch(color=colour, label=_plain(label)) for label, colour in reversed(colour_of)]
    axes.legend(
        handles=handles, loc="center left", bbox_to_anchor=(1.005, 0.5), frameon=False,
        fontsize=9, labelcolor=INK, handlelength=1.1, handleheight=1.1,
    )  # fmt: skip
    axes.set(ylim=(0, 1), ylabel="probability")
    axes.set_yticks([0, 0.5, 1], ["0", ".5", "1"])
    _quiet(axes)


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
    _quiet(axes)
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


def _ink_on(colour: str) -> str:
    """Dark or light letters, whichever reads better on this colour (WCAG relative luminance)."""
    channels = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return INK if float(linear @ (0.2126, 0.7152, 0.0722)) > 0.3 else PAPER
