"""One evaluation for every pair of tables: model and consensus, rater and the rest, two models.

`evaluate` joins two label tables by utterance and says how far they agree, how sure that is for
new speakers, and what answering the most frequent label would have scored (docs/evaluation.md).
"""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from affekt.atomic import replacing
from affekt.bootstrap import choose_groups, interval_of_counts, interval_of_totals
from affekt.exceptions import TableError
from affekt.metrics import (
    Reliability,
    brier_score,
    confusion_accuracy,
    confusion_f1,
    confusion_matrix,
    confusion_precision,
    confusion_recall,
    cross_entropy,
    mean_present,
    reliability,
)
from affekt.scheme import Categories
from affekt.tables import check_labels, write_table

Matrices = NDArray[np.float64]
N_BINS = 15
TIE = 1e-9  # two shares nearer than this are a tie

MEASURES: dict[str, Callable[[Matrices], Matrices]] = {
    "accuracy": confusion_accuracy,
    "unweighted_average_recall": lambda confusion: mean_present(confusion_recall(confusion)),
    "macro_f1": lambda confusion: mean_present(confusion_f1(confusion)),
}
"""The headline measures, as functions of confusion matrices (..., c, c) -> (...)."""

TITLES = {
    "accuracy": "accuracy",
    "unweighted_average_recall": "UAR",
    "macro_f1": "macro-F1",
}


@dataclass(frozen=True)
class Estimate:
    """A measure on this test part, 0 .. 1, with its interval and what the majority baseline has."""

    value: float
    low: float
    high: float
    majority: float

    def __str__(self) -> str:
        return f"{_decimal(self.value)} [{_decimal(self.low)}, {_decimal(self.high)}]"


@dataclass(frozen=True, eq=False)
class Report:
    """How far a prediction agrees with the truth.

    Attributes:
        notes: what a reader must know first; a shared-speakers sentence opens them.
        labels: c labels, the order of every table below.
        n: utterances compared.
        n_hard: those with one most likely true label; accuracy, UAR, macro-F1, ECE rest on them.
        n_speakers: distinct speakers, None where unknown.
        estimates: measure name (see `MEASURES`) -> Estimate.
        majority_label: the baseline's constant answer; where it was counted stands in `notes`.
        per_class: index label, columns recall, precision, f1, support; NaN where undefined.
        confusion: (c, c) counts, rows truth, columns prediction.
        cross_entropy: nats per utterance; None for hard predictions, where it says nothing.
        brier: 0 .. 2; None likewise.
        calibration_error: ECE over `N_BINS` bins of equal width; None likewise.
        calibration: the bins behind it.
        constant: the one label ever predicted, None unless the prediction has collapsed.
        interval_by: "speaker" or "utterance", the unit that was resampled.
        n_resamples: bootstrap resamples.
        seed: of the bootstrap.
        folds: index fold, columns n and the measures; None where there are no folds.
    """

    notes: tuple[str, ...]
    labels: tuple[str, ...]
    n: int
    n_hard: int
    n_speakers: int | None
    estimates: dict[str, Estimate]
    majority_label: str
    per_class: pd.DataFrame
    confusion: NDArray[np.int64]
    cross_entropy: float | None
    brier: float | None
    calibration_error: float | None
    calibration: Reliability | None = field(repr=False)
    constant: str | None
    interval_by: str
    n_resamples: int
    seed: int
    folds: pd.DataFrame | None

    @property
    def accuracy(self) -> Estimate:
        """Share of right answers."""
        return self.estimates["accuracy"]

    @property
    def unweighted_average_recall(self) -> Estimate:
        """Mean recall over the classes present in the truth."""
        return self.estimates["unweighted_average_recall"]

    @property
    def macro_f1(self) -> Estimate:
        """Mean F1 over the classes present in the truth."""
        return self.estimates["macro_f1"]

    def to_markdown(self) -> str:
        """The report as a page; the notes are its first lines."""
        from affekt.report_page import page

        return page(self)
