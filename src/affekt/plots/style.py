"""What all pictures share: colours, letters, axes, and how a figure becomes a file."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from affekt.atomic import replacing
from affekt.exceptions import AffektError

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


def colours(labels: Sequence[str]) -> list[str]:
    """A colour for each label: its own where it is one of the field's nouns, else a spare one."""
    strangers = [label for label in labels if label not in COLOURS]
    spare = {label: SPARE[i % len(SPARE)] for i, label in enumerate(strangers)}
    return [COLOURS.get(label) or spare[label] for label in labels]


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


def new_figure(width: float, height: float) -> "Figure":
    """Make an empty figure, width and height in inches."""
    try:
        from matplotlib.figure import Figure
    except ImportError as problem:
        raise AffektError("pictures need matplotlib: pip install 'affekt[plots]'") from problem
    return Figure(figsize=(width, height), layout="constrained", facecolor=PAPER)


def heading(axes: "Axes", title: str, subtitle: str) -> None:
    """Write title and subtitle above the axes."""
    pad = 24 if subtitle else 10
    axes.set_title(plain(title), loc="left", fontweight="bold", fontsize=12, color=INK, pad=pad)
    axes.annotate(
        subtitle, (0, 1), (0, 9), xycoords="axes fraction", textcoords="offset points",
        fontsize=8.5, color=FAINT,
    )  # fmt: skip


def plain(text: str) -> str:
    """Text in which a dollar is a dollar, not the beginning of a formula."""
    return text.replace("$", r"\$")


def no_frame(axes: "Axes") -> None:
    """Leave the frame away."""
    axes.spines[:].set_visible(False)


def quiet(axes: "Axes") -> None:
    """Leave two thin lines of the frame."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(FAINT)
    axes.tick_params(colors=INK, labelsize=8.5)


def key(axes: "Axes", colour_of: Sequence[tuple[str, str]]) -> None:
    """The labels and their colours to the right, in the order in which they are stacked."""
    from matplotlib.patches import Patch

    handles = [Patch(color=colour, label=plain(label)) for label, colour in reversed(colour_of)]
    axes.legend(
        handles=handles, loc="center left", bbox_to_anchor=(1.005, 0.5), frameon=False,
        fontsize=9, labelcolor=INK, handlelength=1.1, handleheight=1.1,
    )  # fmt: skip


def ink_on(colour: str) -> str:
    """Dark or light letters, whichever reads better on this colour (WCAG relative luminance)."""
    channels = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return INK if float(linear @ (0.2126, 0.7152, 0.0722)) > 0.3 else PAPER
