"""Errors beside people's: frame by frame, by dissent, and two confusions (spec 4.5, 4.7)."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from affekt.errors import A_RATER, ErrorStructure
from affekt.exceptions import AffektError
from affekt.plots.style import (
    INK,
    PAPER,
    colours,
    heading,
    new_figure,
    no_frame,
    plain,
    quiet,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def framewise(
    panels: Mapping[str, ArrayLike], labels: Sequence[str], *, hop: float | None = None
) -> "Figure":
    """Probability of each label along the frames of some utterances, a panel each (figure 4).

    Args:
        panels: title, say the true label -> (n_frames, n_labels) probabilities.
        labels: the n_labels labels.
        hop: seconds between frames, for an axis in seconds; None: numbers of frames.

    Raises:
        AffektError: no panel, or shapes that do not fit.
    """
    curves = {title: np.asarray(values, dtype=float) for title, values in panels.items()}
    fits = [c.ndim == 2 and c.shape[1] == len(labels) and len(c) > 0 for c in curves.values()]
    if not fits or not all(fits):
        raise AffektError(f"each panel needs (n_frames, {len(labels)}) probabilities of n > 0")
    n_rows = -(-len(curves) // 2)
    n_columns = min(2, len(curves))
    figure = new_figure(5.5 * n_columns, 0.8 + 2.3 * n_rows)
    cells = figure.subplots(n_rows, n_columns, squeeze=False, sharey=True).ravel()
    for axes, (title, curve) in zip(cells, curves.items(), strict=False):
        x = np.arange(len(curve)) * (hop or 1)
        for label, colour, values in zip(labels, colours(labels), curve.T, strict=True):
            axes.plot(x, values, ".-", color=colour, linewidth=1.6, label=plain(label))
        axes.set(ylim=(0, 1), xlabel="frame" if hop is None else "seconds")
        axes.locator_params(axis="x", integer=hop is None)
        axes.set_xticks([tick for tick in axes.get_xticks() if 0 <= tick <= x[-1]])
        axes.set_yticks([0, 0.5, 1], ["0", ".5", "1"])
        quiet(axes)
        heading(axes, title, "")
    for axes in cells[len(curves) :]:
        axes.set_axis_off()
    figure.supylabel("probability", fontsize=9, color=INK)
    handles, names = cells[0].get_legend_handles_labels()
    figure.legend(
        handles, names, loc="outside lower center", ncols=len(labels), frameon=False,
        fontsize=9, labelcolor=INK,
    )  # fmt: skip
    return figure


def error_structure(errors: ErrorStructure, *, title: str = "") -> "Figure":
    """Confusion, and error rate by label and number of dissenting raters (figure 6).

    Args:
        errors: what `affekt.errors.structure` gives.
        title: above the left half.
    """
    n_steps = errors.by_dissent["n_dissenting"].nunique()
    answers = len(_answered(errors.confusion).columns)
    left_width, right_width = 2.0 + 0.8 * answers, 2.0 + 0.8 * n_steps
    figure = new_figure(left_width + right_width, 2.0 + 0.62 * len(errors.confusion))
    left, right = figure.subplots(1, 2, width_ratios=(left_width, right_width))
    _confusion(left, errors.confusion, title or "Confusion", _size(errors, "all"))
    _rates(right, errors)
    return figure


def model_and_people(errors: ErrorStructure, *, title: str = "Model") -> "Figure":
    """The model's confusion beside that of a rater with the others (figure 7a).

    Args:
        errors: what `affekt.errors.structure` gives when it is told of people.
        title: above the model's half.

    Raises:
        AffektError: `errors` holds no confusion of people.
    """
    if errors.people is None:
        raise AffektError("no confusion of people: give people= to affekt.errors.structure")
    tables = _answered(errors.confusion), _answered(errors.people)
    widths = [2.0 + 0.8 * len(table.columns) for table in tables]
    figure = new_figure(sum(widths), 2.0 + 0.62 * max(map(len, tables)))
    left, right = figure.subplots(1, 2, width_ratios=widths)
    _confusion(left, errors.confusion, title, _size(errors, "all"))
    _confusion(right, errors.people, "A rater against the rest", _size(errors, A_RATER))
    left.set(xlabel="prediction", ylabel="truth")
    right.set(xlabel="one rater", ylabel="majority of the others")
    return figure


def _confusion(axes: "Axes", counts: pd.DataFrame, title: str, subtitle: str) -> None:
    shown = _answered(counts)
    n = shown.to_numpy(dtype=float)
    _cells(axes, n / n.sum(axis=1, keepdims=True), n, "Blues")
    _names(axes, [f"{k}  ({total:.0f})" for k, total in zip(shown.index, n.sum(1), strict=True)])
    axes.set_xticks(
        range(len(shown.columns)), [plain(str(label)) for label in shown.columns], rotation=35,
        ha="right", rotation_mode="anchor",
    )  # fmt: skip
    axes.set(xlabel="prediction", ylabel="truth")
    heading(axes, title, subtitle)


def _rates(axes: "Axes", errors: ErrorStructure) -> None:
    """Redder where more is wrong; white where nothing is."""
    labels = [label for label in errors.confusion.index if errors.confusion.loc[label].sum()]
    wide = errors.by_dissent.pivot(index="label", columns="n_dissenting").reindex(labels)
    rates, n = wide["error_rate"].to_numpy(dtype=float), wide["n"].to_numpy(dtype=float)
    _cells(axes, rates, n, "Reds")
    _names(axes, labels)
    steps = [str(step) for step in wide["error_rate"].columns]
    axes.set_xticks(range(len(steps)), steps)
    axes.set_xlabel("dissenting raters")
    heading(axes, "Error rate by dissent", f"where all agree: {_size(errors, 'unanimous')}")


def _cells(axes: "Axes", shares: ArrayLike, n: ArrayLike, colours_from: str) -> None:
    """Shares as shades and in words, below each a number of utterances."""
    values, numbers = np.asarray(shares, dtype=float), np.asarray(n, dtype=float)
    axes.imshow(values, cmap=colours_from, vmin=0, vmax=1, aspect="auto")
    for (row, column), share in np.ndenumerate(values):
        if not numbers[row, column] > 0:  # NaN is not
            continue
        colour = PAPER if share > 0.55 else INK
        axes.text(
            column, row - 0.13, f"{share:.0%}", ha="center", va="center", fontsize=9, color=colour
        )
        axes.text(
            column, row + 0.24, f"{numbers[row, column]:.0f}", ha="center", va="center",
            fontsize=7, color=colour, alpha=0.85,
        )  # fmt: skip
    axes.tick_params(length=0, colors=INK, labelsize=9)
    no_frame(axes)


def _names(axes: "Axes", names: Sequence[str]) -> None:
    axes.set_yticks(range(len(names)), [plain(str(name)) for name in names])
    axes.grid(False)
    axes.yaxis.label.set_color(INK)


def _answered(counts: pd.DataFrame) -> pd.DataFrame:
    """Rows that are true of something; columns that are true or answered."""
    rows = counts.sum(axis=1).to_numpy() > 0
    columns = rows | (counts.sum(axis=0).to_numpy() > 0)
    return counts.loc[rows, columns]


def _size(errors: ErrorStructure, on: str) -> str:
    row = errors.accuracies.loc[on]
    if not row["n"]:
        return "n = 0"
    accuracy, recall = row["accuracy"], row["unweighted_average_recall"]
    return f"accuracy {accuracy:.3f}   UAR {recall:.3f}   n = {row['n']:.0f}"
