"""Compare two label tables."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from affekt.bootstrap import choose_groups, interval_of_counts, interval_of_totals
from affekt.exceptions import TableError
from affekt.metrics import (
    brier_score,
    confusion_f1,
    confusion_matrix,
    confusion_precision,
    confusion_recall,
    cross_entropy,
    expected_calibration_error,
    reliability,
)
from affekt.report.join import same_labels, same_utterances
from affekt.report.page import MEASURES, N_BINS, Estimate, Report
from affekt.scheme import Categories
from affekt.tables import check_labels

TIE = 1e-9  # two shares nearer than this are a tie


def evaluate(
    truth: pd.DataFrame,
    prediction: pd.DataFrame,
    *,
    speakers: pd.Series | None = None,
    folds: pd.Series | None = None,
    categories: Categories | None = None,
    training_labels: pd.DataFrame | None = None,
    common: bool = False,
    n_resamples: int = 1000,
    seed: int = 0,
    notes: Sequence[str] = (),
) -> Report:
    """Compare two label tables, joined by utterance id, never by position.

    Utterances whose truth ties (two labels share the top) have no right answer: they count in
    cross-entropy and Brier score alone, and a note says how many they are. Labels that the truth
    never has are not in the means; answering one of them is an error like any other.

    Args:
        truth: labels table, hard (one-hot) or soft.
        prediction: labels table; its categories may differ, a missing one has no mass.
        speakers: utterance -> speaker: the interval resamples speakers. None: utterances, noted.
        folds: utterance -> fold in which it was tested: adds a row a fold and their mean.
        categories: order of the labels; None: the truth's, then those only the prediction has.
        training_labels: the majority baseline answers their most frequent label; None: the
            truth's own, which no honest baseline could know.
        common: compare the utterances both tables have, and say so; else both must have the same.
        n_resamples: of the bootstrap.
        seed: of the bootstrap.
        notes: sentences for the head of the report, `guard`'s first.

    Raises:
        TableError: a table breaks its contract, ids or labels do not match, or no truth is untied.

    >>> truth = pd.DataFrame({"calm": [1, 0, 0], "anger": [0, 1, 1]}, index=["a", "b", "c"])
    >>> report = evaluate(truth, truth.loc[["c", "a", "b"]], n_resamples=10)
    >>> report.accuracy.value, report.confusion.tolist()
    (1.0, [[1, 0], [0, 2]])
    """
    remarks = list(notes)
    true, predicted = same_utterances(
        check_labels(truth), check_labels(prediction), common, remarks
    )
    true, predicted = same_labels(true, predicted, categories, remarks)
    labels = list(true.columns)
    target, scores = true.to_numpy(), predicted.to_numpy()
    hard = ~_tied(target)
    if not hard.any():
        raise TableError("every utterance's truth ties between labels: there is no right answer")
    answer = scores.argmax(axis=1)
    t, p = target[hard].argmax(axis=1), answer[hard]
    confusion = confusion_matrix(t, p, len(labels))
    groups, n_speakers = _groups(speakers, true.index, remarks)
    codes, unit_note = choose_groups(None if groups is None else groups[hard], len(t))
    per_group = None if unit_note else _per_group(codes, t, p, len(labels))
    majority = _majority(target[hard], labels, training_labels, remarks)
    constant = labels[answer[0]] if len(labels) > 1 and np.ptp(answer) == 0 else None
    remarks += [unit_note] if unit_note else []
    remarks += _remarks(target, scores, labels, confusion, constant)
    is_soft = bool((scores.max(axis=1) < 1 - TIE).any())
    bins = reliability(t, scores[hard], N_BINS) if is_soft else None
    return Report(
        notes=tuple(remarks),
        labels=tuple(labels),
        n=len(true),
        n_hard=len(t),
        n_speakers=n_speakers,
        estimates=_estimates(confusion, per_group, labels.index(majority), n_resamples, seed),
        majority_label=majority,
        per_class=_per_class(confusion, labels),
        confusion=confusion,
        cross_entropy=cross_entropy(target, scores) if is_soft else None,
        brier=brier_score(target, scores) if is_soft else None,
        calibration_error=expected_calibration_error(t, scores[hard], N_BINS) if bins else None,
        calibration=bins,
        constant=constant,
        interval_by="utterance" if unit_note else "speaker",
        n_resamples=n_resamples,
        seed=seed,
        folds=None if folds is None else _fold_table(folds, true.index[hard], t, p, len(labels)),
    )


def _tied(shares: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which rows have two labels at the top: (n, c) -> (n,)."""
    at_top = shares >= shares.max(axis=1, keepdims=True) - TIE
    return np.asarray(at_top.sum(axis=1) > 1)


def _groups(
    speakers: pd.Series | None, ids: pd.Index, notes: list[str]
) -> tuple[NDArray[np.str_] | None, int | None]:
    """A group name an utterance and the number of speakers; one nobody knows stands alone."""
    if speakers is None:
        return None, None
    found = _by_id(speakers, ids, "speaker")
    unknown = found.isna().to_numpy()
    if unknown.all():
        return None, None
    names = found.fillna("").astype(str).to_numpy(dtype=str)
    if unknown.any():
        notes.append(
            f"{unknown.sum()} utterance(s) of unknown speakers: each resampled by itself, "
            "which narrows the intervals"
        )
        alone = [f"\0{position}" for position in range(len(ids))]  # no speaker is called this
        names = np.where(unknown, alone, names)
    return names, int(found.nunique())


def _by_id(values: pd.Series, ids: pd.Index, what: str) -> pd.Series:
    """The values of these utterances, missing where there is none."""
    named = values.set_axis(values.index.astype(str))
    if named.index.has_duplicates:
        twice = named.index[named.index.duplicated()][0]
        raise TableError(f"utterance {twice!r} has more than one {what}; give it one")
    return named.reindex(ids)


def _per_group(
    codes: NDArray[np.int64], truth: NDArray[np.int64], answer: NDArray[np.int64], c: int
) -> NDArray[np.int64]:
    """A confusion matrix a group: (g, c, c)."""
    g = int(codes.max()) + 1
    cells = (codes * c + truth) * c + answer
    return np.bincount(cells, minlength=g * c * c).reshape(g, c, c)


def _majority(
    hard_truth: NDArray[np.float64],
    labels: list[str],
    training_labels: pd.DataFrame | None,
    notes: list[str],
) -> str:
    """The label the baseline always answers; of equally frequent ones the first."""
    if training_labels is None:
        notes.append("majority baseline: the most frequent label of the truth itself")
        return labels[int(np.bincount(hard_truth.argmax(axis=1)).argmax())]
    label = str(check_labels(training_labels).sum().idxmax())
    if label not in labels:
        raise TableError(
            f"the most frequent training label {label!r} is not in truth or prediction"
        )
    notes.append("majority baseline: the most frequent label of the training data")
    return label


def _estimates(
    confusion: NDArray[np.int64],
    per_group: NDArray[np.int64] | None,
    majority: int,
    n_resamples: int,
    seed: int,
) -> dict[str, Estimate]:
    baseline = np.zeros(confusion.shape)
    baseline[:, majority] = confusion.sum(axis=1)
    pooled = confusion.astype(float)
    estimates = {}
    for name, measure in MEASURES.items():
        if per_group is None:
            low, high = interval_of_counts(measure, confusion, n_resamples=n_resamples, seed=seed)
        else:
            low, high = interval_of_totals(measure, per_group, n_resamples=n_resamples, seed=seed)
        value, chance = float(measure(pooled)), float(measure(baseline))
        estimates[name] = Estimate(value, low, high, chance)
    return estimates


def _per_class(confusion: NDArray[np.int64], labels: list[str]) -> pd.DataFrame:
    columns = {
        "recall": confusion_recall(confusion),
        "precision": confusion_precision(confusion),
        "f1": confusion_f1(confusion),
        "support": confusion.sum(axis=1),
    }
    return pd.DataFrame(columns, pd.Index(labels, name="label"))


def _remarks(
    target: NDArray[np.float64],
    scores: NDArray[np.float64],
    labels: list[str],
    confusion: NDArray[np.int64],
    constant: str | None,
) -> list[str]:
    """What stands out in the numbers."""
    found = []
    if constant is not None:
        found.append(f"COLLAPSED: every one of the {len(scores)} predictions is {constant}")
    if undecided := int(_tied(target).sum()):
        found.append(
            f"{undecided} utterance(s) whose truth ties have no right answer: left out of "
            "accuracy, UAR, macro-F1 and calibration"
        )
    if torn := int(_tied(scores).sum()):
        found.append(f"{torn} prediction(s) tie: the first of the tied labels in order counts")
    absent = [label for label, n in zip(labels, confusion.sum(axis=1), strict=True) if n == 0]
    if absent:
        found.append(f"not in the truth, so not in the means over labels: {', '.join(absent)}")
    return found


def _fold_table(
    folds: pd.Series,
    ids: pd.Index,
    truth: NDArray[np.int64],
    answer: NDArray[np.int64],
    n_classes: int,
) -> pd.DataFrame:
    """One row a fold: n and the measures over the labels present in that fold's truth."""
    found = _by_id(folds, ids, "fold")
    if found.isna().any():
        strange = ids[found.isna()].tolist()
        raise TableError(f"{len(strange)} utterance(s) have no fold, {strange[0]!r} first")
    names, codes = np.unique(found.astype(str).to_numpy(dtype=str), return_inverse=True)
    matrices = _per_group(codes, truth, answer, n_classes)
    columns = {name: measure(matrices.astype(float)) for name, measure in MEASURES.items()}
    index = pd.Index(names.tolist(), name="fold")
    return pd.DataFrame({"n": matrices.sum(axis=(1, 2)), **columns}, index)
