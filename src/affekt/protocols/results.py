"""What a recipe leaves behind: report, predictions, picture, and one row for RESULTS.md."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from affekt import plots
from affekt.atomic import replacing
from affekt.calibration import softmax
from affekt.corpus import Corpus
from affekt.harmonise import harmonise
from affekt.protocols.probe import RunOptions
from affekt.report import Report, evaluate
from affekt.scheme import EKMAN_8
from affekt.zero_shot import ban


@dataclass(frozen=True)
class Result:
    """A report, the folder it was written to, and what RESULTS.md says of its split."""

    report: Report
    folder: Path
    split: str = ""


def write(
    report: Report,
    predictions: pd.DataFrame,
    folder: Path,
    what: str,
    split: str,
    options: RunOptions,
) -> Result:
    """Write everything about one evaluation to a folder; the picture where matplotlib is."""
    report.write(folder, predictions=predictions)
    row = report.results_row(what, split, options.command)
    with replacing(folder / "results_row.md") as temporary:
        temporary.write_text(row + "\n", "utf-8")
    if find_spec("matplotlib"):
        plots.save(plots.confusion(report), folder / "confusion.png")
    return Result(report, folder, split)


def opening(results: Sequence[Result], out: Path) -> str:
    """What a page on several reports begins with: their own first lines and splits, each once.

    What not all of them say has the folders of those that do before it.

    Args:
        results: of the reports.
        out: the folder that theirs are in.
    """
    said: dict[str, list[str]] = {}
    for result in results:
        split = [f"split: {result.split}"] if result.split else []
        for note in dict.fromkeys([*result.report.notes, *split]):
            said.setdefault(note, []).append(result.folder.relative_to(out).as_posix())
    lines = [
        note if len(names) == len(results) else f"{', '.join(names)}: {note}"
        for note, names in said.items()
    ]
    return "".join(f"> {line}\n\n" for line in lines)


def write_zero_shot(
    corpus: Corpus,
    scores: NDArray[np.float64],
    training_labels: pd.DataFrame,
    split: str,
    options: RunOptions,
    reference: Mapping[str, float],
    *,
    notes: Sequence[str] = (),
) -> Result:
    """Report on utterances that a model of the eight labels never met, and write it.

    Labels that the corpus does not have are banned.

    Args:
        corpus: its labels are harmonised to the eight.
        scores: logits, temperature applied, (n, 8).
        training_labels: what the model was trained on: the majority baseline.
        split: what kind of test this is; also the folder's name behind the corpus'.
        options: where to.
        reference: corpus -> accuracy that the Whisper paper prints for it.
        notes: what a reader must know besides.
    """
    truth = harmonise(corpus.labels, corpus.name, EKMAN_8)
    allowed = [label for label in EKMAN_8 if truth[label].max() > 0]
    predictions = pd.DataFrame(
        ban(softmax(scores), EKMAN_8.labels, allowed), index=truth.index, columns=list(EKMAN_8)
    )
    taught = training_labels[allowed]
    taught = taught[taught.sum(axis=1) > 0]
    scale = []
    if corpus.name in reference:
        scale.append(f"for scale: the Whisper paper has accuracy {reference[corpus.name]:.4f}")
    report = evaluate(
        truth[allowed],
        predictions[allowed],
        speakers=corpus.utterances["speaker"],
        training_labels=taught.div(taught.sum(axis=1), axis=0),
        notes=[*notes, *scale],
        seed=options.seed,
    )
    folder = options.out / f"{corpus.name}-{split.replace(' ', '-')}"
    what = f"{corpus.name}, {len(allowed)} of the 8 labels"
    return write(report, predictions, folder, what, split, options)
