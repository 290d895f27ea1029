"""What the recipes share: a linear head on a frozen encoder's statistics, fitted and asked."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from affekt.batches import ArrayBatches
from affekt.calibration import softmax
from affekt.checkpoint import load_whisper_encoder
from affekt.corpus import Corpus
from affekt.exceptions import CheckpointError, CorpusError
from affekt.features.logmel import WHISPER
from affekt.frozen import Statistics, statistics
from affekt.models.heads import LinearHead, LinearHeadConfig
from affekt.models.rounding import round_weights
from affekt.models.whisper import WhisperEncoder
from affekt.objectives import SoftLabels
from affekt.scheme import Categories
from affekt.train import TrainOptions, train

LAYERS = (3,)  # of 6 in Whisper base; several are mixed, with learned weights
MAX_BATCH_SIZE = 2048
MIN_STEPS = 320  # a small corpus gets more epochs, not fewer steps
EPOCHS = 20
LEARNING_RATE = 2e-2
INVERSE_L2 = 0.003  # scikit-learn's C of the reference probe: penalty |w|^2 / (2 C n)

Float32 = NDArray[np.float32]
Progress = Callable[[str, int], Callable[[int], None]]


@dataclass(frozen=True)
class RunOptions:
    """What `affekt run` hands to a recipe."""

    corpora: dict[str, Corpus]
    out: Path
    upstream: str  # folder or hub name of a Whisper encoder
    store: Path  # where frozen statistics are kept
    command: str  # as typed, for RESULTS.md
    progress: Progress  # (what, total) -> told how many more are done
    seed: int = 0
    epochs: int | None = None  # None = EPOCHS, or as many as make MIN_STEPS
    layers: tuple[int, ...] = LAYERS
    split: str | None = None  # one of affekt.splits.KINDS; None = the recipe's own
    allow_shared_speakers: bool = False
    folds: tuple[str, ...] | None = None  # names of the folds to run; None = all
    method: str | None = None  # one of the recipe's; None = its own choice, or all
    protocol: str = "clean"  # "paper": the epoch is chosen on the test part, and the report says so
    init: Path | None = None  # a checkpoint folder that training starts from
    seeds: int = 1  # trainings of recipes that take several: seed, seed + 1, ...
    training: str = "ours"  # "paper": as the authors trained, for the recipes lssed_*
    model: str = "affekt-base"  # a recogniser to be tested: a bundled one's name, or a folder

    @property
    def upstream_name(self) -> str:
        """The encoder's name without the place it lies in."""
        return Path(self.upstream).name


@dataclass(frozen=True)
class Heard:
    """A corpus as the encoder heard it: each utterance alone, and among others of its speaker.

    `alone` and `in_context`: (n, n_layers, n_features), in the order of the corpus' table;
    `in_context` has no rows where a recipe does not ask for it. `seconds`: (n,).
    """

    corpus: Corpus
    alone: Float32
    in_context: Float32
    seconds: NDArray[np.float64]
    fingerprints: dict[str, str]

    def __post_init__(self) -> None:
        n = len(self.corpus)
        assert len(self.alone) == len(self.seconds) == len(self.corpus.labels) == n
        assert len(self.in_context) in (0, n)

    def select(self, ids: Iterable[str]) -> "Heard":
        """Keep some utterances, in the order given."""
        chosen = self.corpus.select(ids)
        rows = self.corpus.utterances.index.get_indexer(chosen.utterances.index)
        in_context = self.in_context[rows] if len(self.in_context) else self.in_context
        return Heard(chosen, self.alone[rows], in_context, self.seconds[rows], self.fingerprints)

    def relabel(self, labels: pd.DataFrame, scheme: Categories) -> "Heard":
        """Teach other labels with the same recordings."""
        return replace(self, corpus=self.corpus.relabel(labels, scheme))


def frozen_encoder(options: RunOptions) -> WhisperEncoder:
    """Load the first layers and round them to 8 bits: every recipe hears what ships."""
    encoder = load_whisper_encoder(options.upstream, max(options.layers))
    if encoder.config.n_mels != WHISPER.n_mels:
        raise CheckpointError(
            f"{options.upstream}: wants {encoder.config.n_mels} mel bands, Affekt's log-mel has"
            f" {WHISPER.n_mels}: take a Whisper up to large-v2"
        )
    round_weights(encoder)
    return encoder


def hear(
    corpus: Corpus, encoder: WhisperEncoder, options: RunOptions, *, in_context: bool
) -> Heard:
    """Compute, or read from the store, what the encoder says of a corpus' usable utterances."""
    table = corpus.utterances
    good = table.index.isin(corpus.labels.index)
    if "excluded" in table:
        good &= (table["excluded"] == "").to_numpy()
    usable = corpus.select(table.index[good])
    if not len(usable):
        raise CorpusError(f"{corpus.root}: no utterance of {corpus.name} can be used")

    def passes(in_context: bool) -> Statistics:
        what = f"{corpus.name}, {'in context' if in_context else 'alone'}"
        tell = options.progress(what, len(usable))
        return statistics(
            usable,
            encoder,
            options.layers,
            store=options.store,
            in_context=in_context,
            on_utterances=tell,
        )

    alone = passes(False)
    context = passes(True).values if in_context else alone.values[:0]
    return Heard(usable, alone.values, context, alone.seconds, alone.fingerprints)


class _OnStandardised(nn.Module):
    """A head that is fed what was standardised once, not anew in each batch."""

    def __init__(self, head: LinearHead) -> None:
        super().__init__()
        self.head = head

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        return self.head.classify(x)


def default_epochs(n_batches: int) -> int:
    """Give the number of passes over the data that a recipe makes if it is not told.

    >>> default_epochs(8), default_epochs(100)
    (40, 20)
    """
    return max(EPOCHS, -(-MIN_STEPS // n_batches))


def class_weights(target: Float32) -> Float32:
    """Weight utterances so that every class counts the same: sum_c target_c / mass of c.

    Args:
        target: (n, n_classes), rows sum to 1.

    Returns:
        (n,), mean 1 over classes with any mass.
    """
    mass = target.sum(0)
    present = mass > 0
    weight = (target[:, present] / mass[present]).sum(1) * len(target) / present.sum()
    return np.asarray(weight, dtype=np.float32)


def fit(
    heard: Sequence[Heard],
    *,
    l2: float,
    options: RunOptions,
    in_context: bool = False,
    balanced: bool = True,
    n_batches: int | None = None,
    state: Path | None = None,
) -> LinearHead:
    """Fit a head to the labels of corpora of one scheme, heard alone or in context.

    Soft cross-entropy; nothing but what is given is looked at.

    Args:
        heard: the training part.
        l2: penalty l2 / 2 * |weights|^2 beside the mean loss.
        options: seed and epochs.
        in_context: which way of hearing to learn from.
        balanced: every class counts the same; without it every utterance does.
        n_batches: batches an epoch; None = batches of MAX_BATCH_SIZE, and MIN_STEPS in all.
        state: file that makes the training resumable.
    """
    return fit_head(
        np.concatenate([part.in_context if in_context else part.alone for part in heard]),
        np.concatenate([part.corpus.labels.to_numpy(np.float32) for part in heard]),
        l2=l2,
        options=options,
        balanced=balanced,
        n_batches=n_batches,
        state=state,
        names=[str(id_) for part in heard for id_ in part.corpus.utterances.index],
    )


def fit_head(
    x: Float32,
    target: Float32,
    *,
    l2: float,
    options: RunOptions,
    balanced: bool = True,
    n_batches: int | None = None,
    state: Path | None = None,
    names: Sequence[str] | None = None,
) -> LinearHead:
    """Fit a head to statistics (n, n_layers, n_features) and targets (n, n_classes); as `fit`.

    `names` of the rows are for errors.
    """
    head = LinearHead(LinearHeadConfig(target.shape[1], x.shape[2], x.shape[1]))
    head.standardise(torch.from_numpy(x))
    batches = ArrayBatches(
        torch.from_numpy((x - head.mean.numpy()) / head.scale.numpy()),
        torch.from_numpy(target),
        torch.from_numpy(class_weights(target)) if balanced else torch.ones(len(target)),
        min(MAX_BATCH_SIZE, max(1, len(x) // n_batches)) if n_batches else MAX_BATCH_SIZE,
        options.seed,
    )
    how = TrainOptions(
        epochs=options.epochs or (EPOCHS if n_batches else default_epochs(len(batches))),
        learning_rate=LEARNING_RATE,
        l2=l2,
        seed=options.seed,
    )
    tell = options.progress("training", how.epochs * len(batches)) if state else None
    train(
        _OnStandardised(head),
        batches,
        how,
        SoftLabels(),
        state=state,
        on_step=lambda *_: tell(1) if tell else None,
        names=names,
    )
    return head.eval()


def logits(head: LinearHead, x: Float32) -> NDArray[np.float64]:
    """Ask a head: (n, n_layers, n_features) -> (n, n_outputs)."""
    with torch.inference_mode():
        return np.asarray(head(torch.from_numpy(x)).double().numpy())


def probabilities(head: LinearHead, heard: Heard) -> pd.DataFrame:
    """Predict utterances heard alone: a table with the columns of the corpus' own labels."""
    table = heard.corpus.labels
    return pd.DataFrame(
        softmax(logits(head, heard.alone)), index=table.index, columns=table.columns
    )
