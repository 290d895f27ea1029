"""What a recipe leaves behind: report, predictions, picture, and one row for RESULTS.md."""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from affekt import plots
from affekt.calibration import softmax
from affekt.corpus import Corpus
from affekt.harmonise import harmonise
from affekt.recipes.probe import RunOptions
from affekt.report import Report, evaluate
from affekt.scheme import EKMAN_8
from affekt.zero_shot import ban


def write(
    report: Report,
    predictions: pd.DataFrame,
    folder: Path,
    what: str,
    split: str,
    options: RunOptions,
) -> None:
    """Write everything about one evaluation to a folder."""
    report.write(folder, predictions=predictions)
    plots.save(plots.confusion(report), folder / "confusion.png")
    row = report.results_row(what, split, options.command)
    (folder / "results_row.md").write_text(row + "\n", "utf-8")


def write_zero_shot(
    corpus: Corpus,
    scores: NDArray[np.float64],
    training_labels: pd.DataFrame,
    split: str,
    options: RunOptions,
) -> Report:
    """Report on utterances that a model of the eight labels never met, and write it.

    Labels that the corpus does not have are banned.

    Args:
        corpus: its labels are harmonised to the eight.
        scores: logits, temperature applied, (n, 8).
        training_labels: what the model was trained on: the majority baseline.
        split: what kind of test this is; also the folder's name behind the corpus'.
        options: where to.
    """
    truth = harmonise(corpus.labels, corpus.name, EKMAN_8)
    allowed = [label for label in EKMAN_8 if truth[label].max() > 0]
    predictions = pd.DataFrame(
        ban(softmax(scores), EKMAN_8.labels, allowed), index=truth.index, columns=list(EKMAN_8)
    )
    report = evaluate(
        truth[allowed],
        predictions[allowed],
        speakers=corpus.utterances["speaker"],
        training_labels=training_labels[allowed],
        seed=options.seed,
    )
    folder = options.out / f"{corpus.name}-{split.replace(' ', '-')}"
    what = f"{corpus.name}, {len(allowed)} of the 8 labels"
    write(report, predictions, folder, what, split, options)
    return report
