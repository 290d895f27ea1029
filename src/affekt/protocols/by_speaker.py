"""Ratios of sums over recordings, with intervals by speaker, and how they are printed."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from affekt.bootstrap import choose_groups, interval_of_totals
from affekt.sequences import Segment


def ratios(
    rows: pd.DataFrame, measures: Mapping[str, tuple[str, str]], seed: int, *, joint: str = "_"
) -> dict[str, float]:
    """Give each measure's value and, as `NAME_low` and `NAME_high`, its 95 % interval.

    Args:
        rows: of recordings, with a column `speaker`.
        measures: name -> the columns above and below the line.
        seed: of the bootstrap.
        joint: stands between the name and `low` or `high`.
    """
    codes, _ = choose_groups(rows["speaker"].to_numpy(), len(rows))
    found: dict[str, float] = {}
    for name, (above, below) in measures.items():
        sums = rows[[above, below]].groupby(codes).sum().to_numpy(dtype=float)
        low, high = interval_of_totals(_ratio, sums, seed=seed)
        found |= {name: float(_ratio(sums.sum(0)[None])[0]), f"{name}{joint}low": low}
        found[f"{name}{joint}high"] = high
    return found


def estimate(row: pd.Series, name: str, *, joint: str = "_") -> str:
    """Print a value; without an interval where a draw of speakers gave it nothing below."""
    if np.isnan(row[name]):
        return ""
    names = (name, f"{name}{joint}low", f"{name}{joint}high")
    value, low, high = (f"{row[key]:.3f}".lstrip("0") for key in names)
    return value if low == "nan" else f"{value} [{low}, {high}]"


def line(segments: Sequence[Segment]) -> str:
    """`neutral 0.00-1.40, anger 1.40-3.90`."""
    return ", ".join(f"{label} {start:.2f}-{end:.2f}" for start, end, label in segments)


def _ratio(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Above / below, NaN where nothing is below."""
    found = np.full(len(sums), np.nan)
    np.divide(sums[:, 0], sums[:, 1], out=found, where=sums[:, 1] > 0)
    return found
