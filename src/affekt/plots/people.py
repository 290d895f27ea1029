"""Answers beside people: what is meant, what is heard, and who says which."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

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

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def meant_and_heard(meant: pd.DataFrame, heard: pd.DataFrame, comparison: pd.DataFrame) -> "Figure":
    """Two targets: what each intention is taken for, and which of the two an answer gives.

    Args:
        meant: labels table, one-hot.
        heard: shares of the votes on the same utterances, the same columns.
        comparison: one row an answer, columns `intention` and `rater`, 0 .. 1.
    """
    whole = new_figure(12.5, 4.8)
    left, right = whole.subplots(1, 2, width_ratios=(1, 1.1))
    _taken_for(left, meant, heard)
    _answers(right, comparison)
    return whole


def _taken_for(axes: "Axes", meant: pd.DataFrame, heard: pd.DataFrame) -> None:
    labels = [str(label) for label in meant.columns]
    weight = meant.to_numpy()
    shares = weight.T @ heard.loc[meant.index].to_numpy() / weight.sum(axis=0)[:, None]
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for (row, column), share in np.ndenumerate(shares):
        colour = PAPER if share > 0.55 else INK
        axes.text(column, row, f"{share:.0%}", ha="center", va="center", fontsize=9, color=colour)
    axes.set_xticks(range(len(labels)), labels, rotation=30, ha="right")
    axes.set_yticks(range(len(labels)), labels)
    axes.set(xlabel="heard (share of votes)", ylabel="meant")
    axes.tick_params(length=0, colors=INK, labelsize=9)
    no_frame(axes)
    heading(axes, "What is meant is often not what is heard", "")


def _answers(axes: "Axes", comparison: pd.DataFrame) -> None:
    """One line an answer: how often it says what was meant, and what a rater says."""
    heights = np.arange(len(comparison))[::-1]
    meant, heard = (comparison[name].to_numpy(dtype=float) for name in ("intention", "rater"))
    axes.hlines(heights, np.minimum(meant, heard), np.maximum(meant, heard), color=FAINT, lw=1.2)
    for values, colour, name in (
        (meant, COLOURS["excitement"], "says what was meant"),
        (heard, COLOURS["sadness"], "says what a rater says"),
    ):
        axes.scatter(values, heights, s=52, color=colour, zorder=3, label=name)
    axes.set_yticks(heights, [plain(str(name)) for name in comparison.index])
    axes.set(xlim=(0, 1.04), xlabel="share of clips, share of votes")
    axes.grid(axis="x", color=FAINT, alpha=0.25, linewidth=0.6)
    axes.legend(loc="lower right", fontsize=8.5, frameon=False, labelcolor=INK)
    quiet(axes)
    axes.tick_params(axis="y", length=0)
    heading(axes, "Two targets, two answers", "")
