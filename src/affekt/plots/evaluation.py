"""How well a prediction did: confusion and reliability."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from affekt.exceptions import AffektError
from affekt.plots.style import (
    COLOURS,
    FAINT,
    INK,
    PAPER,
    heading,
    new_figure,
    no_frame,
    plain,
    quiet,
)
from affekt.report import Report

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def confusion(report: Report, *, title: str = "") -> "Figure":
    """The confusion matrix: rows truth, shaded by the share of their row, counts written in."""
    rows = report.confusion.sum(axis=1) > 0
    columns = rows | (report.confusion.sum(axis=0) > 0)
    true_labels, answers = np.array(report.labels)[rows], np.array(report.labels)[columns]
    counts = report.confusion[np.ix_(rows, columns)]
    shares = counts / counts.sum(axis=1, keepdims=True)
    across, down = max(2, len(answers)), max(2, len(true_labels))  # room for the heading
    figure = new_figure(2.8 + 0.78 * across, 2.0 + 0.68 * down)
    axes = figure.add_subplot()
    names = [f"{plain(k)}  ({n})" for k, n in zip(true_labels, counts.sum(axis=1), strict=True)]
    _matrix(axes, shares, counts, names, answers.tolist())
    accuracy, recall = report.accuracy, report.unweighted_average_recall
    heading(axes, title or "Confusion", f"accuracy {accuracy}   UAR {recall}   n = {report.n_hard}")
    return figure


def confusions(
    matrices: Mapping[str, NDArray[Any]], labels: Sequence[str], *, title: str = ""
) -> "Figure":
    """Confusion matrices of several methods side by side: rows truth, shaded by their share.

    Args:
        matrices: method -> (c, c) counts, which need not be whole; rows truth.
        labels: c, the order of rows and columns.
        title: above the first.

    Raises:
        AffektError: no matrix, or one that does not fit the labels.
    """
    c = len(labels)
    strange = [name for name, matrix in matrices.items() if np.shape(matrix) != (c, c)]
    if strange or not matrices:
        raise AffektError(
            f"confusion of {strange[0]!r} is not {c} x {c}" if strange else "no confusion to draw"
        )
    figure = new_figure(1.4 + (0.9 + 0.72 * c) * len(matrices), 2.0 + 0.68 * c)
    panels = figure.subplots(1, len(matrices), squeeze=False)[0]
    for number, (axes, (name, matrix)) in enumerate(zip(panels, matrices.items(), strict=True)):
        counts = np.asarray(matrix, dtype=float)
        mass = counts.sum(axis=1, keepdims=True)
        shares = np.divide(counts, mass, out=np.zeros_like(counts), where=mass > 0)
        names = [plain(label) for label in labels] if number == 0 else [""] * c
        _matrix(axes, shares, None, names, labels)
        if number:
            axes.set_ylabel("")
        present = mass[:, 0] > 0
        accuracy = np.trace(counts) / counts.sum() if counts.sum() else float("nan")
        recall = np.diag(shares)[present].mean() if present.any() else float("nan")
        heading(axes, name if number or not title else f"{title}: {name}",
                f"accuracy {accuracy:.3f}   UAR {recall:.3f}")  # fmt: skip
    return figure


def _matrix(
    axes: "Axes",
    shares: NDArray[Any],
    counts: NDArray[Any] | None,
    names: Sequence[str],
    answers: Sequence[str],
) -> None:
    """Draw shares of rows as tiles with their numbers, and with counts where there are any."""
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for i, j in np.ndindex(*shares.shape):
        colour = PAPER if shares[i, j] > 0.55 else INK
        if counts is None:
            axes.text(j, i, f"{shares[i, j]:.0%}", ha="center", va="center", color=colour)
        elif counts[i, j]:
            axes.text(j, i - 0.13, f"{shares[i, j]:.0%}", ha="center", va="center", color=colour)
            axes.text(
                j, i + 0.24, f"{counts[i, j]}", ha="center", va="center", color=colour,
                fontsize=7, alpha=0.85,
            )  # fmt: skip
    axes.set_xticks(
        range(len(answers)),
        [plain(label) for label in answers],
        rotation=35,
        ha="right",
        rotation_mode="anchor",
    )
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("prediction")
    axes.set_ylabel("truth")
    axes.set_xticks(np.arange(len(answers) + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(len(names) + 1) - 0.5, minor=True)
    axes.grid(which="minor", color=PAPER, linewidth=1.5)
    axes.tick_params(which="both", length=0, colors=INK)
    no_frame(axes)


def reliability(report: Report, *, title: str = "") -> "Figure":
    """Confidence against accuracy, with how many answers stand behind each bin.

    Raises:
        AffektError: the report is of hard predictions, which have no confidence.
    """
    bins = report.calibration
    if bins is None:
        raise AffektError("hard predictions have no confidence: there is no reliability to draw")
    figure = new_figure(5.2, 5.6)
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
        quiet(axes)
    subtitle = f"ECE {report.calibration_error:.3f}, {len(bins.n)} bins   n = {report.n_hard}"
    heading(upper, title or "Reliability", subtitle)
    return figure
