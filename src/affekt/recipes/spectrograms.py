"""What the recipes on spectrograms share: clips, a network taught as its authors teach it, folds."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import nn

from affekt import checkpoint
from affekt.batches import (
    SpectrogramBatches,
    by_length,
    length_buckets,
    neighbours_in_length,
    stack,
)
from affekt.corpus import Corpus
from affekt.exceptions import CheckpointError, CorpusError
from affekt.features import FEATURES
from affekt.metrics import unweighted_average_recall
from affekt.objectives import Objective, SoftLabels
from affekt.recipes.probe import RunOptions, class_weights
from affekt.recipes.results import Result, write
from affekt.report import evaluate
from affekt.splits import Split, by_speaker, guard
from affekt.store import stored
from affekt.train import Trained, TrainOptions, train

FRAMES_PER_BATCH = 16_000  # when asking: padding included
HELD_OUT_FOLDS = 5  # one of so many parts of the training speakers chooses the epoch
AUDIBLE = 45.0  # dB under the loudest: what is softer at both ends is left out
MARGIN = 0.1  # s kept beside what is audible

Float32 = NDArray[np.float32]
Floats = NDArray[np.float64]
Change = Callable[[Float32, np.random.Generator], Float32]


@dataclass(frozen=True)
class Method:
    """A network and how it is trained.

    Attributes:
        build: number of labels -> network.
        feature: its input, one of FEATURES.
        hop: s from frame to frame.
        decibel: what one unit of the input is worth.
        training: how; RunOptions' seed and epochs go before it.
        batch_size: clips.
        objective: what is made small.
        change: augmentation, or None.
        draw_by_length: batches of one length with replacement, as in the Dusha paper; else each
            clip once an epoch.
        standardise: by mean and deviation of each mel band over the training part.
        fill: what padding holds; `on_both_sides`: where it stands, unmasked.
        after_epoch: changes the network behind each epoch.
        choose: the epoch is chosen on a part of the training speakers; else all of them are
            learned from, and the last epoch counts.
    """

    build: Callable[[int], nn.Module]
    feature: str
    hop: float
    decibel: float
    training: TrainOptions
    batch_size: int = 64
    objective: Objective = SoftLabels()
    change: Change | None = None
    draw_by_length: bool = False
    standardise: bool = False
    fill: float = 0.0
    on_both_sides: bool = False
    after_epoch: Callable[[nn.Module], None] | None = None
    choose: bool = True


@dataclass(frozen=True, eq=False)
class Clips:
    """Spectrograms of a corpus' utterances: `spectrograms`, each (n_mels, time); `labels` (n, c)."""

    corpus: Corpus
    spectrograms: Sequence[Float32]
    fingerprints: dict[str, str]

    def select(self, ids: Iterable[str]) -> "Clips":
        """Keep some utterances, in the order given."""
        chosen = self.corpus.select(ids)
        rows = self.corpus.utterances.index.get_indexer(chosen.utterances.index)
        return Clips(chosen, [self.spectrograms[row] for row in rows], self.fingerprints)

    @property
    def target(self) -> Float32:
        """Labels, (n, n_classes)."""
        return self.corpus.labels.to_numpy(np.float32)

    @property
    def lengths(self) -> list[int]:
        """Frames of each."""
        return [clip.shape[1] for clip in self.spectrograms]


@dataclass(frozen=True, eq=False)
class Taught:
    """A network that learned, and what its input is standardised with, (n_mels, 1)."""

    model: nn.Module
    mean: Float32
    scale: Float32
    trained: Trained
    rate: float  # the learning rate that it took

    def ask(self, clips: Sequence[Float32]) -> Floats:
        """Give logits, (n, n_classes)."""
        standard = [(clip - self.mean) / self.scale for clip in clips]
        return _ask(self.model, standard)


def clips_of(corpus: Corpus, method: Method, options: RunOptions) -> Clips:
    """Compute, or read from the store, the spectrograms of a corpus' usable utterances.

    What stands before and behind the audible part is left out.
    """
    table = corpus.utterances
    good = table.index.isin(corpus.labels.index) & (table["excluded"] == "").to_numpy()
    usable = corpus.select(table.index[good])
    if not len(usable):
        raise CorpusError(f"{corpus.root}: no utterance of {corpus.name} can be used")
    found = stored(
        usable,
        FEATURES[method.feature],
        store=options.store,
        on_utterances=options.progress(f"{corpus.name}, {method.feature}", len(usable)),
    )
    audible = [audible_part(clip, method) for clip in found.features]
    return Clips(usable, audible, found.fingerprints)


def audible_part(spectrogram: Float32, method: Method) -> Float32:
    """Leave out what is soft at both ends: AUDIBLE dB under the loudest, but for a margin."""
    level = spectrogram.max(0) * method.decibel
    loud = np.flatnonzero(level > level.max() - AUDIBLE)
    beside = round(MARGIN / method.hop)
    return spectrogram[:, max(0, loud[0] - beside) : loud[-1] + beside + 1]


def teach(
    method: Method,
    train_: Clips,
    judged: Clips | None,
    options: RunOptions,
    *,
    state: Path | None = None,
    what: str = "training",
) -> Taught:
    """Train a network; the epoch that does best on `judged`, or the last, gives its weights.

    A network that calls all it learned from the same is trained once more at a tenth of the rate.
    """
    rate = method.training.learning_rate
    for attempt in range(2):
        path = None if state is None else state.with_suffix(f".{attempt}.safetensors")
        taught = _teach(method, train_, judged, options, rate / 10**attempt, path, what)
        if np.ptp(taught.ask(train_.spectrograms).argmax(1)) > 0:
            break
    return taught


def _teach(
    method: Method,
    train_: Clips,
    judged: Clips | None,
    options: RunOptions,
    rate: float,
    state: Path | None,
    what: str,
) -> Taught:
    torch.manual_seed(options.seed)
    target = train_.target
    model = method.build(target.shape[1])
    if options.init is not None:
        start_from(model, options.init)
    mean, scale = _standard(train_.spectrograms) if method.standardise else _as_is()
    known = [(clip - mean) / scale for clip in train_.spectrograms]
    size = min(method.batch_size, len(known))
    lengths = train_.lengths
    batches = SpectrogramBatches(
        known,
        torch.from_numpy(target),
        torch.from_numpy(class_weights(target)),
        partial(by_length, [n * method.hop for n in lengths], size)
        if method.draw_by_length
        else partial(neighbours_in_length, lengths, size),
        options.seed,
        method.change,
        method.fill,
        method.on_both_sides,
    )
    epochs = options.epochs or method.training.epochs
    how = replace(method.training, learning_rate=rate, epochs=epochs, seed=options.seed)
    tell = options.progress(what, how.epochs * len(batches))
    trained = train(
        model,
        batches,
        how,
        method.objective,
        judge=None if judged is None else _judge(judged, mean, scale),
        after_epoch=method.after_epoch,
        state=state,
        on_step=lambda *_: tell(1),
    )
    return Taught(model.eval(), mean, scale, trained, rate)


def _judge(judged: Clips, mean: Float32, scale: Float32) -> Callable[[nn.Module], float]:
    """UAR on what is held out."""
    truth = judged.target.argmax(1)
    asked = [(clip - mean) / scale for clip in judged.spectrograms]
    return lambda model: unweighted_average_recall(truth, _ask(model, asked).argmax(1))


def start_from(model: nn.Module, folder: Path) -> None:
    """Put in the weights of a checkpoint folder, but for the last layer where labels differ.

    Raises:
        CheckpointError: it holds another network.
    """
    other, _ = checkpoint.load(folder)
    if type(other) is not type(model):
        raise CheckpointError(
            f"{folder}: holds a {type(other).__name__}, not a {type(model).__name__}"
        )
    mine, theirs = model.state_dict(), other.state_dict()
    differ = [name for name in mine if name not in theirs or mine[name].shape != theirs[name].shape]
    if any(not name.startswith("classifier") for name in differ):
        raise CheckpointError(f"{folder}: its network has another shape: {differ[0]}")
    model.load_state_dict({n: mine[n] if n in differ else theirs[n] for n in mine})


def _standard(clips: Sequence[Float32]) -> tuple[Float32, Float32]:
    """Mean and deviation of each mel band over all frames, (n_mels, 1)."""
    frames = sum(clip.shape[1] for clip in clips)
    mean = sum(clip.sum(1, dtype=np.float64) for clip in clips) / frames
    square = sum(np.square(clip, dtype=np.float64).sum(1) for clip in clips) / frames
    scale = np.sqrt(np.maximum(square - np.square(mean), 1e-12))
    return np.float32(mean)[:, None], np.float32(scale)[:, None]


def _as_is() -> tuple[Float32, Float32]:
    return np.zeros((1, 1), np.float32), np.ones((1, 1), np.float32)


def _ask(model: nn.Module, clips: Sequence[Float32]) -> Floats:
    """Ask a network in evaluation mode: clips of about one length at a time."""
    found: list[Floats] = [np.empty(0)] * len(clips)
    for rows in length_buckets([clip.shape[1] for clip in clips], FRAMES_PER_BATCH):
        x, mask = stack([clips[row] for row in rows])
        with torch.inference_mode():
            logits = model(x, mask).double().numpy()
        for row, values in zip(rows, logits, strict=True):
            found[row] = values
    return np.stack(found)


def cross_validate(
    clips: Clips,
    splits: Sequence[Split],
    split_name: str,
    name: str,
    method: Method,
    options: RunOptions,
    *,
    notes: Sequence[str] = (),
) -> Result:
    """Teach on each fold's training part, ask its test part, report all of them together.

    Where the method chooses an epoch, a part of the training speakers does; with the protocol "paper" the test part
    does, as some papers did, and the report says so first.
    """
    corpus = clips.corpus
    head = list(notes)
    if options.protocol == "paper":
        head.insert(0, "SELECTED ON THE TEST PART: the epoch was chosen by what is reported here")
    chosen = [s for s in splits if options.folds is None or s.name in options.folds]
    if not chosen:
        known = ", ".join(split.name for split in splits)
        raise CorpusError(f"--folds {','.join(options.folds or ())}: there are {known}")
    parts, minutes, epochs, n_parameters = [], 0.0, [], 0
    for split in chosen:
        guard(split, corpus.utterances, fingerprints=clips.fingerprints)
        test = clips.select(split.test)
        known, judged = clips.select(split.train), None
        if options.protocol == "paper":
            judged = test
        elif method.choose:
            known, judged = held_out(known, options.seed)
        state = options.out / f"{name}-{split.name}"
        taught = teach(method, known, judged, options, state=state, what=f"{name}, {split.name}")
        logits = torch.from_numpy(taught.ask(test.spectrograms))
        parts.append(pd.DataFrame(logits.softmax(1), list(split.test), list(corpus.scheme)))
        minutes += taught.trained.seconds / 60
        epochs.append(_epochs(taught, method, options))
        n_parameters = sum(p.numel() for p in taught.model.parameters())
        if taught.rate != method.training.learning_rate:
            head.append(f"{split.name} had collapsed: trained anew at a rate of {taught.rate:g}")
    predictions = pd.concat(parts).rename_axis("utterance")
    fold_of = {id_: split.name for split in chosen for id_ in split.test}
    head += [
        f"{n_parameters:,} parameters; {minutes:.0f} min of training; epochs: {', '.join(epochs)}"
    ]
    report = evaluate(
        corpus.labels.loc[predictions.index],
        predictions,
        speakers=corpus.utterances["speaker"],
        folds=pd.Series(fold_of),
        notes=head,
        seed=options.seed,
    )
    what = f"{corpus.name}, {len(corpus.scheme)} classes, {name} ({n_parameters:,} parameters," + (
        f" {minutes:.0f} min)"
    )
    folds = split_name if len(chosen) == len(splits) else f"{split_name}: {len(chosen)} of them"
    return write(report, predictions, options.out / name, what, folds, options)


def _epochs(taught: Taught, method: Method, options: RunOptions) -> str:
    best, planned = taught.trained.best_epoch, options.epochs or method.training.epochs
    return str(planned) if best is None else f"{best + 1} of {planned}"


def held_out(clips: Clips, seed: int) -> tuple[Clips, Clips]:
    """Part the speakers: those to learn from, and a fifth that chooses the epoch."""
    table = clips.corpus.utterances
    n_folds = min(HELD_OUT_FOLDS, table["speaker"].nunique())
    split = by_speaker(table, n_folds, seed=seed)[0]
    return clips.select(split.train), clips.select(split.test)
