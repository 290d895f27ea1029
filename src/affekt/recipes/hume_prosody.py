"""Nine emotions as numbers: Hume-Prosody's clips rated from 0 to 1, by a linear head.

The task of Schuller et al. 2023, arXiv:2304.14882 (spec 3.10), which the Whisper paper uses, too:
sigmoid, mean squared error. Headline is the challenge's measure, the mean over the emotions of
Spearman's rho; the paper's, Pearson's r, stands beside it. The penalty is chosen on a fifth of the
training part, the validation part (`devel`) only reported. The test part's numbers are masked:
`predictions-test.csv` is such a table as the challenge's. What differs from the Whisper paper: the
encoder is smaller and frozen, and the head hears mean and deviation of its layers.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from affekt import checkpoint
from affekt.atomic import replacing
from affekt.batches import ArrayBatches
from affekt.bootstrap import choose_groups, interval
from affekt.corpora.hume_prosody import COLUMNS, targets
from affekt.corpus import Corpus
from affekt.exceptions import CorpusError
from affekt.frozen import statistics
from affekt.metrics import pearson, spearman
from affekt.models.heads import LinearHead, LinearHeadConfig
from affekt.objectives import Ratings
from affekt.protocols import probe
from affekt.protocols.folds import only_corpus
from affekt.protocols.probe import Float32, RunOptions
from affekt.tables import write_table
from affekt.train import TrainOptions, train

Floats = NDArray[np.float64]
Measure = Callable[[Floats, Floats], Floats]

READS = frozenset({"epochs", "layers", "upstream"})
L2_CHOICES = (0.0, 1e-5, 1e-4, 1e-3)
HELD_OUT = 5  # one of so many clips of the training part says which penalty
MEASURES: dict[str, Measure] = {"Spearman's rho": spearman, "Pearson's r": pearson}
REFERENCE = "for scale: mean rho .359 of ComParE, .500 of wav2vec 2.0; mean r .511 of Whisper"


class Page(str):
    """The measures of each emotion and their means."""

    def to_markdown(self) -> str:
        """The page."""
        return self


@dataclass(frozen=True)
class Result:
    """The page and the folder it was written to, beside predictions and checkpoint."""

    report: Page
    folder: Path


def main(options: RunOptions) -> list[Result]:
    """Train on the training part, report on the validation part, predict the test part."""
    corpus = only_corpus(options)
    corpus = corpus.select(corpus.utterances.index[corpus.utterances["excluded"] == ""])
    known, split = targets(corpus), corpus.utterances["split"]
    rows = corpus.utterances.index.get_indexer
    taught, asked = (known[split[known.index] == part] for part in ("train", "validation"))
    if len(taught) < HELD_OUT or len(asked) < 2:
        raise CorpusError(
            f"{corpus.root}: {len(taught)} clips with numbers in lab/train.csv, {len(asked)} in"
            " lab/devel.csv: both parts are needed, with their recordings"
        )
    tell, encoder = options.progress("heard", len(corpus)), probe.frozen_encoder(options)
    hear = partial(statistics, store=options.store, on_utterances=tell)
    heard = hear(corpus, encoder, options.layers).values
    lesson = heard[rows(taught.index)], taught.to_numpy(np.float32, copy=True)
    l2 = _penalty(*lesson, options)
    head = fit(*lesson, l2, options)
    answers = pd.DataFrame(rate(head, heard), split.index, known.columns)
    for part in ("validation", "test"):
        _write_answers(corpus, answers[split == part], options.out / f"predictions-{part}.csv")
    card = {"labels": list(known.columns), "corpora": [corpus.name], "l2": l2, "seed": options.seed}
    card |= {"upstream": options.upstream_name, "layers": list(options.layers), "output": "sigmoid"}
    checkpoint.save(options.out / "checkpoint", head, card)
    page = report(asked, answers.loc[asked.index], f"{len(taught)} taught, l2 {l2:g}", options.seed)
    with replacing(options.out / "report.md") as temporary:
        temporary.write_text(page, "utf-8")
    return [Result(page, options.out)]


def report(truth: pd.DataFrame, prediction: pd.DataFrame, how: str, seed: int) -> Page:
    """Lay out both measures of each emotion, and their means with bootstrap intervals."""
    true, answer = truth.to_numpy(), prediction.to_numpy()
    lines = [f"> {REFERENCE}", "", f"> {choose_groups(None, len(true))[1]}", ""]
    lines += [f"# Hume-Prosody, {len(true)} clips of the validation part ({how})", ""]
    lines += [f"| | {' | '.join(MEASURES)} |", "|---|---|---|"]
    means = (_mean(measure, true, answer, seed) for measure in MEASURES.values())
    lines.append(f"| mean | {' | '.join(means)} |")
    each = zip(truth, *(measure(true, answer) for measure in MEASURES.values()), strict=True)
    lines += [f"| {name} | {rho:.3f} | {r:.3f} |" for name, rho, r in each]
    return Page("\n".join(lines) + "\n")


def _mean(measure: Measure, true: Floats, answer: Floats, seed: int) -> str:
    def mean(rows: NDArray[np.int64]) -> float:
        return float(measure(true[rows], answer[rows]).mean())

    low, high = interval(mean, len(true), None, seed=seed)
    return f"{mean(np.arange(len(true))):.3f} [{low:.3f}, {high:.3f}]"


def _penalty(x: Float32, target: Float32, options: RunOptions) -> float:
    """Choose what does best on a fifth of the training part, from which nothing was learned."""
    order = np.random.default_rng(options.seed).permutation(len(x))
    asked, known = np.split(order, [len(x) // HELD_OUT])
    tell = options.progress("penalties", len(L2_CHOICES))
    scores = []
    for l2 in L2_CHOICES:
        answers = rate(fit(x[known], target[known], l2, options), x[asked])
        scores.append(np.nan_to_num(spearman(target[asked], answers)).mean())
        tell(1)
    return L2_CHOICES[int(np.argmax(scores))]


def fit(x: Float32, target: Float32, l2: float, options: RunOptions) -> LinearHead:
    """Train a head on statistics, (n, n_layers, n_features), and numbers 0 .. 1, (n, n_outputs)."""
    head = LinearHead(LinearHeadConfig(target.shape[1], x.shape[2], x.shape[1]))
    inputs, wanted = torch.from_numpy(x), torch.from_numpy(target)
    head.standardise(inputs)
    batches = ArrayBatches(inputs, wanted, torch.ones(len(x)), probe.MAX_BATCH_SIZE, options.seed)
    epochs = options.epochs or probe.default_epochs(len(batches))
    how = TrainOptions(epochs=epochs, learning_rate=probe.LEARNING_RATE, l2=l2, seed=options.seed)
    train(head, batches, how, Ratings())
    return head.eval()


def rate(head: LinearHead, x: Float32) -> NDArray[np.float64]:
    """Ask a head for numbers: (n, n_layers, n_features) -> (n, n_outputs), 0 .. 1."""
    return np.asarray(1 / (1 + np.exp(-probe.logits(head, x))))


def _write_answers(corpus: Corpus, answers: pd.DataFrame, path: Path) -> None:
    """Write a table as the challenge's own: `filename`, then an emotion a column."""
    files = corpus.utterances["file"][answers.index].map(lambda file: Path(file).name)
    table = answers.rename(columns={ours: theirs for theirs, ours in COLUMNS.items()})
    table.insert(0, "filename", files)
    write_table(table[["filename", *COLUMNS]].rename_axis(None), path)
