"""From soft labels to hard ones, with the undecided left in sight."""

import numpy as np
import pandas as pd

from affekt.exceptions import TableError
from affekt.tables import TEXT, check_labels

TIE = 1e-12  # shares that differ by this part differ by rounding alone


def threshold(labels: pd.DataFrame, at: float = 0.9) -> pd.Series:
    """The category whose probability is at least `at`, or missing where none is.

    Args:
        labels: a labels table.
        at: least probability of a decision, in (0, 1]. Where two categories share the top, but
            for rounding, which takes `at` <= 0.5, the utterance stays undecided.

    Returns:
        Series `label` over the utterances of `labels`, missing where undecided.

    Raises:
        TableError: no labels table, or `at` out of its range.

    >>> soft = pd.DataFrame({"calm": [0.9, 0.5], "anger": [0.1, 0.5]}, index=["a", "b"])
    >>> threshold(soft).fillna("undecided").tolist()
    ['calm', 'undecided']
    """
    table = check_labels(labels)
    values = table.to_numpy()
    _check_level(at)
    top = values.max(axis=1, initial=0)
    decided = (top >= at) & ((values >= top[:, None] * (1 - TIE)).sum(axis=1) == 1)
    names = np.array([*table.columns, np.nan], dtype=object)
    winner = values.argmax(axis=1) if len(values) else np.zeros(0, dtype=int)
    hard = names[np.where(decided, winner, len(names) - 1)]
    return pd.Series(hard, table.index, dtype=TEXT, name="label")


def multi_label(labels: pd.DataFrame, at: float) -> pd.DataFrame:
    """Every category whose share is at least `at`: a bool table of the shape of `labels`.

    Raises:
        TableError: no labels table, or `at` outside (0, 1].

    >>> soft = pd.DataFrame({"calm": [0.6], "anger": [0.4], "fear": [0.0]}, index=["a"])
    >>> multi_label(soft, 0.3).loc["a"].tolist()
    [True, True, False]
    """
    _check_level(at)
    return check_labels(labels) >= at


def _check_level(at: float) -> None:
    if not 0 < at <= 1:
        raise TableError(f"threshold {at} is not in (0, 1]")
