"""What a corpus is made of: classes and durations."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from affekt.plots.style import (
    PAPER,
    colours,
    heading,
    ink_on,
    key,
    new_figure,
    plain,
    quiet,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def classes(counts: pd.DataFrame, *, title: str = "") -> "Figure":
    """Shares of the labels in each group as stacked bars.

    Args:
        counts: index label, one column a group (`report.stats.class_table` without its totals).
        title: above the picture.
    """
    figure = new_figure(8.5, 1.7 + 0.55 * counts.shape[1])
    axes = figure.add_subplot()
    n = counts.to_numpy(dtype=float)
    shares = n / np.maximum(n.sum(axis=0), 1)
    left = np.zeros(n.shape[1])
    labels = [str(label) for label in counts.index]
    colour_of = list(zip(labels, colours(labels), strict=True))
    for (_, colour), widths in zip(colour_of, shares, strict=True):
        axes.barh(range(len(left)), widths, left=left, color=colour, edgecolor=PAPER)
        for y, (start, width) in enumerate(zip(left.tolist(), widths.tolist(), strict=True)):
            if width > 0.045:  # or the number would not fit
                axes.text(
                    start + width / 2, y, f"{width:.0%}", ha="center", va="center",
                    color=ink_on(colour), fontsize=8,
                )  # fmt: skip
        left += widths
    totals = zip(counts.columns, n.sum(axis=0), strict=True)
    names = [f"{plain(str(name))}  ({total:.0f})" for name, total in totals]
    axes.set_yticks(range(len(names)), names)
    axes.set(xlim=(0, 1), xlabel="share of the utterances")
    axes.invert_yaxis()
    quiet(axes)
    key(axes, colour_of[::-1])  # from top to bottom as the bars are from left to right
    heading(axes, title or "Labels", "")
    return figure


def durations(panels: Mapping[str, pd.DataFrame], *, title: str = "") -> "Figure":
    """How many utterances last how long: one panel above the other, stacked by column.

    Args:
        panels: title of a panel -> histogram (`report.stats.duration_histogram`); columns that
            are nouns have their own colours. The last, open interval is drawn as wide as others.
        title: above the picture.
    """
    figure = new_figure(8.5, 1.2 + 2.2 * len(panels))
    rows = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    end = 0.0
    for axes, (name, histogram) in zip(rows, panels.items(), strict=True):
        bins = pd.IntervalIndex(list(histogram.index))
        edges = np.append(bins.left, bins.left[-1] + bins.right[0])
        base = np.zeros(len(histogram))
        columns = [str(column) for column in histogram]
        colour_of = list(zip(columns, colours(columns), strict=True))
        for (_, colour), n in zip(colour_of, histogram.to_numpy().T, strict=True):
            axes.stairs(base + n, edges, baseline=base, fill=True, color=colour)
            base = base + n
        axes.set(ylabel=plain(name or "utterances"))
        end = max(end, float(edges[-1]))
        quiet(axes)
        key(axes, colour_of)
    rows[0].set_xlim(0, end)
    longer = any(histogram.index[-1].right == np.inf for histogram in panels.values())
    rows[-1].set_xlabel("seconds (last bar: longer)" if longer else "seconds")
    heading(rows[0], title or "Durations", "")
    return figure
