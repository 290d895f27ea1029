"""Which classes two networks take for which: their confusion matrices side by side.

Figure 2 of Fan et al. 2021, arXiv:2102.01754 (spec 2.5): MTS-3 over ResNet152 and PyResNet152 on
LSSED. They are for `--training paper`; without it MTS-3 over ResNet18 and PyResNet50 are taken, and
`--method a,b` takes two others. Networks, folds, features and training are those of
`lssed_table_5`. On LSSED the matrices that the paper prints are drawn beside ours. What differs:
test parts hold speakers apart unless the paper's split is asked for, and the shares are of all
folds' answers together.
"""

from collections.abc import Sequence
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from affekt import plots
from affekt.atomic import replacing
from affekt.exceptions import CorpusError
from affekt.metrics import confusion_accuracy, confusion_recall
from affekt.protocols.folds import only_corpus
from affekt.protocols.lssed_networks import NETWORKS
from affekt.protocols.probe import RunOptions
from affekt.protocols.results import Result, opening
from affekt.protocols.spectrogram_folds import SELECTED, chosen_methods
from affekt.recipes import lssed_table_5

READS = lssed_table_5.READS
REFERENCE = {  # %, rows truth, in the order of LSSED_4: anger, neutral, happiness, sadness
    "mts-3-resnet152": (
        (5.48, 72.47, 20.12, 1.93),
        (0.08, 95.17, 4.12, 0.63),
        (0.24, 85.04, 13.42, 1.30),
        (0.17, 91.31, 3.99, 4.53),
    ),
    "pyresnet152": (
        (32.43, 47.23, 16.56, 3.78),
        (1.45, 86.85, 9.54, 2.17),
        (2.77, 59.85, 35.18, 2.20),
        (2.12, 71.04, 9.83, 17.01),
    ),
}
N_TESTED = (1298, 12092, 5406, 2410)  # utterances of each class in the paper's test part
PAIR = tuple(REFERENCE)
SMALL_PAIR = ("mts-3-resnet18", "pyresnet50")
MARKS = (SELECTED, "NOT SPEAKER-DISJOINT")  # how the notes begin that no picture may go without

Floats = NDArray[np.float64]


def main(options: RunOptions) -> list[Result]:
    """Run both networks, write their reports, `confusions.png` and `lssed_figure_2.md`."""
    default = PAIR if options.training == "paper" else SMALL_PAIR
    names = chosen_methods(NETWORKS, options, default)
    if len(set(names)) != 2:
        raise CorpusError(f"--method {','.join(names)}: give two different networks, as a,b")
    corpus = lssed_table_5.four_if_known(only_corpus(options))
    results = [lssed_table_5.run(name, corpus, options)[0] for name in names]
    matrices: dict[str, Floats] = {
        name: result.report.confusion.astype(float)
        for name, result in zip(names, results, strict=True)
    }
    labels = results[0].report.labels
    if corpus.name == "lssed":
        matrices |= {f"{name}, paper": as_counts(REFERENCE[name]) for name in names if name in PAIR}
    with replacing(options.out / "lssed_figure_2.md") as temporary:
        temporary.write_text(opening(results, options.out) + page(matrices, labels), "utf-8")
    if find_spec("matplotlib"):
        figure = plots.confusions(matrices, labels)
        if marks := marks_of(results):
            figure.suptitle("; ".join(marks), fontweight="bold")
        plots.save(figure, options.out / "confusions.png")
    return results


def marks_of(results: Sequence[Result]) -> list[str]:
    """Give what the picture says above all, since it is shown without its page."""
    notes = [note for result in results for note in result.report.notes]
    return [mark for mark in MARKS if any(note.startswith(mark) for note in notes)]


def as_counts(percent: Sequence[Sequence[float]], n: Sequence[int] = N_TESTED) -> Floats:
    """Turn rows of per cent into counts of utterances, (c, c); they need not be whole.

    Args:
        percent: (c, c), rows truth, each about 100.
        n: utterances of each class, (c,).
    """
    rows = np.array(percent, dtype=np.float64)
    counts: Floats = rows / rows.sum(axis=1, keepdims=True) * np.array(n, dtype=np.float64)[:, None]
    return counts


def accuracy_and_recall(counts: Floats) -> tuple[float, float]:
    """Give accuracy and UAR of a confusion matrix; what the paper calls WA and UA."""
    return float(confusion_accuracy(counts)), float(np.nanmean(confusion_recall(counts)))


def page(matrices: dict[str, Floats], labels: Sequence[str]) -> str:
    """Write the matrices in per cent of each row, with accuracy and UAR."""
    lines = []
    for name, counts in matrices.items():
        accuracy, recall = accuracy_and_recall(counts)
        lines += [f"## {name}", "", f"accuracy {accuracy:.3f}, UAR {recall:.3f}", ""]
        lines += [f"| truth | {' | '.join(labels)} |", "|---" * (len(labels) + 1) + "|"]
        for label, row in zip(labels, counts, strict=True):
            shares = 100 * row / row.sum() if row.sum() else row
            lines.append(f"| {label} | {' | '.join(f'{share:.2f}' for share in shares)} |")
        lines.append("")
    return "\n".join(lines)
