"""What an evaluation found, and how it is written down."""

import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from affekt.atomic import replacing
from affekt.metrics import (
    Reliability,
    confusion_accuracy,
    confusion_f1,
    confusion_recall,
    mean_present,
)
from affekt.tables import write_table

Matrices = NDArray[np.float64]
N_BINS = 15  # of the calibration error

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

RESULTS_HEADER = (
    "| what | split | n | accuracy | UAR | macro-F1 | majority (accuracy / UAR / macro-F1) "
    "| command |\n|---|---|---|---|---|---|---|---|"
)


PLAIN = (
    *("n", "n_hard", "n_speakers", "majority_label", "cross_entropy", "brier"),
    *("calibration_error", "constant", "interval_by", "n_resamples", "seed"),
)
"""Attributes of a report that go into its JSON as they are."""


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
        sections = [
            *(f"> {note}" for note in self.notes),
            "# Evaluation",
            self._size(),
            _markdown(self._headline()),
            "## Per class",
            _markdown(self.per_class.reset_index()),
            "## Confusion (rows truth, columns prediction)",
            _markdown(self._confusion_table()),
        ]
        if self.folds is not None:
            sections += ["## Folds", _markdown(self._fold_rows())]
        return "\n\n".join(sections) + "\n"

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON values; what is undefined is null."""
        plain = {name: getattr(self, name) for name in PLAIN}
        curve = None if self.calibration is None else self.calibration._asdict()
        folds = None if self.folds is None else self.folds.reset_index().to_dict("records")
        mean = None if self.folds is None else dict(self.folds[list(MEASURES)].mean())
        whole = {
            "notes": list(self.notes),
            "labels": list(self.labels),
            **plain,
            "measures": {name: asdict(estimate) for name, estimate in self.estimates.items()},
            "per_class": self.per_class.to_dict("index"),
            "confusion": self.confusion.tolist(),
            "n_bins": N_BINS,
            "calibration": curve,
            "folds": folds,
            "mean_of_folds": mean,
        }
        safe: dict[str, Any] = _json_safe(whole)
        return safe

    def write(self, folder: str | Path, predictions: pd.DataFrame | None = None) -> None:
        """Write report.md and report.json, and predictions.csv where a table is given."""
        folder = Path(folder)
        document = json.dumps(self.to_dict(), indent=2, ensure_ascii=False, allow_nan=False)
        for name, text in (("report.md", self.to_markdown()), ("report.json", document + "\n")):
            with replacing(folder / name) as temporary:
                temporary.write_text(text, encoding="utf-8")
        if predictions is not None:
            write_table(predictions.rename_axis("utterance"), folder / "predictions.csv")

    def results_row(self, what: str, split: str, command: str) -> str:
        """One row for RESULTS.md, in the columns of `RESULTS_HEADER`."""
        scores = [str(estimate) for estimate in self.estimates.values()]
        baseline = " / ".join(_decimal(estimate.majority) for estimate in self.estimates.values())
        if any(note.startswith("NOT SPEAKER-DISJOINT") for note in self.notes):
            split = f"NOT SPEAKER-DISJOINT: {split}"
        cells = [what, split, str(self.n_hard), *scores, baseline, f"`{command}`"]
        return "| " + " | ".join(_cell(cell) for cell in cells) + " |"

    def _size(self) -> str:
        speakers = "unknown" if self.n_speakers is None else str(self.n_speakers)
        return (
            f"{self.n} utterances ({self.n_hard} with one most likely true label), "
            f"speakers: {speakers}. Intervals: 95 %, bootstrap by {self.interval_by}, "
            f"{self.n_resamples} resamples, seed {self.seed}. "
            f"Majority baseline: always {self.majority_label}."
        )

    def _headline(self) -> pd.DataFrame:
        pooled = "" if self.folds is None else " (pooled)"
        rows: list[tuple[object, ...]] = [
            (TITLES[name] + pooled, e.value, f"{_decimal(e.low)} – {_decimal(e.high)}", e.majority)
            for name, e in self.estimates.items()
        ]
        if self.folds is not None:
            means = self.folds[list(MEASURES)].mean()
            rows += [(f"{TITLES[name]} (mean of folds)", means[name], "", "") for name in MEASURES]
        others = {
            "cross-entropy (nats)": self.cross_entropy,
            "Brier score": self.brier,
            f"calibration error (ECE, {N_BINS} bins)": self.calibration_error,
        }
        rows += [(name, value, "", "") for name, value in others.items() if value is not None]
        return pd.DataFrame(rows, columns=["measure", "value", "95 % interval", "majority"])

    def _confusion_table(self) -> pd.DataFrame:
        table = pd.DataFrame(self.confusion, columns=list(self.labels))
        table.insert(0, "truth", list(self.labels))
        return table

    def _fold_rows(self) -> pd.DataFrame:
        if self.folds is None:
            return pd.DataFrame()
        mean = self.folds.mean().to_frame("mean of folds").T
        mean["n"] = ""
        rows = pd.concat([self.folds.astype(object), mean.astype(object)])
        return rows.rename_axis("fold").reset_index().rename(columns=TITLES)


def _markdown(table: pd.DataFrame) -> str:
    rows = [list(table.columns), ["---"] * len(table.columns), *table.to_numpy().tolist()]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in row) + " |" for row in rows)


def _cell(value: object) -> str:
    if isinstance(value, float):
        return _decimal(value)
    return str(value).replace("|", "\\|").replace("\n", " ")


def _decimal(value: float) -> str:
    """Three decimals without the zero in front, a dash for what is undefined."""
    if math.isnan(value):
        return "–"
    return f"{value:.3f}".removeprefix("0") if value >= 0 else f"{value:.3f}"


def _json_safe(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _json_safe(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_json_safe(item) for item in value]
    if isinstance(value, np.ndarray | np.generic):
        return _json_safe(value.tolist())
    return None if isinstance(value, float) and not math.isfinite(value) else value
