"""Report on a corpus that the model never met: labels it does not have are banned."""

import numpy as np
import pandas as pd

from affekt import plots
from affekt.calibration import softmax
from affekt.harmonise import harmonise
from affekt.recipes.probe import Heard, RunOptions
from affekt.report import Report, evaluate
from affekt.scheme import EKMAN_8
from affekt.zero_shot import ban


def report_zero_shot(
    heard: Heard, scores: np.ndarray, options: RunOptions, name: str | None = None
) -> Report:
    """Write report, predictions and picture to the folder `name` (the corpus' own by default).

    Args:
        heard: the corpus; its labels are harmonised to the eight.
        scores: logits, temperature applied, (n, 8).
    """
    corpus = heard.corpus
    truth = harmonise(corpus.labels, corpus.name, EKMAN_8)
    allowed = [label for label in EKMAN_8 if truth[label].max() > 0]
    predictions = pd.DataFrame(
        ban(softmax(scores), tuple(EKMAN_8), allowed), index=truth.index, columns=list(EKMAN_8)
    )
    report = evaluate(
        truth[allowed],
        predictions[allowed],
        speakers=corpus.utterances["speaker"],
        seed=options.seed,
    )
    folder = options.out / (name or corpus.name)
    report.write(folder, predictions=predictions)
    plots.save(plots.confusion(report), folder / "confusion.png")
    row = report.results_row(
        f"{corpus.name}, {len(allowed)} of 8 labels", name or "zero-shot", options.command
    )
    (folder / "results_row.md").write_text(row + "\n", "utf-8")
    return report
