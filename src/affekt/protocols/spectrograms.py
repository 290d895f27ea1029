"""What the recipes on spectrograms share: clips, and a network taught as its authors do it.

`spectrogram_folds.py` asks such networks fold by fold; `released.py` writes them as checkpoints.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from affekt import checkpoint
from affekt.batches import (
    Rows,
    SpectrogramBatches,
    by_length,
    length_buckets,
    neighbours_in_length,
    stack,
)
from affekt.calibration import softmax
from affekt.corpora.dusha.experiments import read_features
from affekt.corpus import Corpus
from affekt.exceptions import CheckpointError, CorpusError
from affekt.features import FEATURES
from affekt.losses import fast_gradient_sign
from affekt.metrics import unweighted_average_recall
from affekt.objectives import SoftLabels
from affekt.protocols.clips import (
    Clips,
    Float32,
    View,
    as_is,
    audible_part,
    in_windows,
    of_bands,
    repeated,
    standardised,
)
from affekt.protocols.probe import RunOptions, class_weights
from affekt.store import stored
from affekt.train import Objective, Trained, TrainOptions, together, train

RELEASED = "log_mel_dusha"  # what features in the place of recordings are
FRAMES_PER_BATCH = 16_000  # when asking: padding included
MOST_ASKED = 500  # clips of the training part that show whether a network says the same of all

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
        chances: label -> how much more often than others its clips are drawn by length; labels
            that are not named: 1.
        balanced: every class counts the same in the loss; else every clip does.
        standardise: by mean and deviation of each mel band over the training part.
        fill: what padding holds; `on_both_sides`: where it stands, unmasked.
        after_epoch: changes the network behind each epoch.
        choose: the epoch is chosen on a part of the training speakers; else all of them are
            learned from, and the last epoch counts.
        steps: as many epochs as make so many steps, instead of `training`'s.
        trim: leave out what is not audible before and behind.
        least: frames; a shorter clip is repeated.
        window: frames: what is longer is asked in windows of so many, a quarter of it apart; the
            mean of their probabilities is the answer. 0: a clip is asked whole.
        attack: the test part is asked a second time, shifted by an attacker's steps of this size.
        tell: what a taught network has to say for the report, when it hears some clips; "" for
            nothing.
    """

    build: Callable[[int], nn.Module]
    feature: str
    hop: float
    decibel: float
    training: TrainOptions
    batch_size: int = 64
    objective: Objective = field(default_factory=SoftLabels)
    change: Change | None = None
    draw_by_length: bool = False
    chances: Mapping[str, float] | None = None
    balanced: bool = True
    standardise: bool = False
    fill: float = 0.0
    on_both_sides: bool = False
    after_epoch: Callable[[nn.Module], None] | None = None
    choose: bool = True
    steps: int | None = None
    trim: bool = True
    least: int = 0
    attack: float | None = None
    window: int = 0
    tell: Callable[["Taught", Sequence[Float32]], str] | None = None


@dataclass(frozen=True, eq=False)
class Taught:
    """A network that learned, and what its input is standardised with, (n_mels, 1) or (1, 1)."""

    model: nn.Module
    mean: Float32
    scale: Float32
    trained: Trained
    rate: float  # the learning rate that it took
    epochs: int  # planned
    steps: int = 0  # planned
    collapsed: bool = False  # it calls all it learned from the same, where they are not
    window: int = 0  # frames that are asked about at once; 0: whole clips

    def ask(self, clips: Sequence[Float32], attack: float | None = None) -> Floats:
        """Give logits, (n, n_classes).

        Args:
            clips: as they come, each (n_mels, time).
            attack: so far an attacker who knows the network shifts every cell first, in units of
                the standardised input.
        """
        return _ask(self.model, self.standardised(clips), self.window, attack)

    def standardised(self, clips: Sequence[Float32]) -> View:
        """Give what the network itself reads."""
        return standardised(clips, self.mean, self.scale)


def usable(corpus: Corpus) -> Corpus:
    """Keep what has a label and no reason in `excluded`.

    Raises:
        CorpusError: nothing is left.
    """
    table = corpus.utterances
    good = table.index.isin(corpus.labels.index) & (table["excluded"] == "").to_numpy()
    if not good.any():
        raise CorpusError(f"{corpus.root}: no utterance of {corpus.name} can be used")
    return corpus.select(table.index[good])


def clips_of(corpus: Corpus, method: Method, options: RunOptions) -> Clips:
    """Compute, or read from the store, the spectrograms of a corpus' usable utterances.

    What stands before and behind the audible part is left out, if the method says so.
    """
    corpus = usable(corpus)
    tell = options.progress(f"{corpus.name}, {method.feature}", len(corpus))
    if corpus.utterances["file"].str.endswith(".npy").all():
        return _released_features(corpus, method, tell)
    with together().main_process_first():  # the others read what it computed
        found = stored(corpus, FEATURES[method.feature], store=options.store, on_utterances=tell)
    frame = 2 * method.hop  # s: in both papers a frame is two hops long
    short = corpus.utterances.index[found.seconds < frame].tolist()
    if short:
        raise CorpusError(
            f"{corpus.path(short[0])}: shorter than a frame of {frame:g} s"
            f"{f', and {len(short) - 1} more' if short[1:] else ''}: leave it out of the table, or"
            " give its reason under `excluded`"
        )
    change = partial(_prepared, method=method)
    lengths = [change(clip).shape[1] for clip in found.features]
    return Clips(corpus, View(found.features, lengths, change=change), found.fingerprints)


def _released_features(corpus: Corpus, method: Method, tell: Callable[[int], None]) -> Clips:
    """Read features that were released in the place of recordings; they are cut already.

    Raises:
        CorpusError: the method reads another feature.
    """
    if method.feature != RELEASED:
        raise CorpusError(f"{corpus.root}: its features are {RELEASED}, not {method.feature}")
    paths = {id_: corpus.path(id_) for id_ in corpus.utterances.index}
    lengths, prints = [], {}
    for id_, path in paths.items():
        clip = read_features(path)
        lengths.append(clip.shape[1])
        prints[id_] = hashlib.blake2b(clip.tobytes(), digest_size=16).hexdigest()
        tell(1)
    return Clips(corpus, View(list(paths.values()), lengths, change=read_features), prints)


def _prepared(spectrogram: Float32, method: Method) -> Float32:
    heard = spectrogram
    if method.trim:
        heard = audible_part(spectrogram, decibel=method.decibel, hop=method.hop)
    return repeated(heard, method.least)


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
        path = None if state is None else state.with_name(f"{state.name}.{attempt}.safetensors")
        taught = _teach(method, train_, judged, options, rate / 10**attempt, path, what)
        some = slice(None, None, -(-len(train_.lengths) // MOST_ASKED))
        constant = np.ptp(taught.ask(train_.spectrograms[some]).argmax(1)) == 0
        if not constant or np.ptp(train_.target[some].argmax(1)) == 0:
            return taught
    return replace(taught, collapsed=True)


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
    standard = None
    if options.init is not None:
        standard = start_from(model, options.init, list(train_.corpus.scheme), method.feature)
    if standard is None:
        standard = of_bands(train_.spectrograms) if method.standardise else as_is()
    mean, scale = standard
    known = standardised(train_.spectrograms, mean, scale)
    weight = class_weights(target) if method.balanced else np.ones(len(target), np.float32)
    batches = SpectrogramBatches(
        known,
        torch.from_numpy(target),
        torch.from_numpy(weight),
        _draw(method, train_),
        options.seed,
        method.change,
        method.fill,
        method.on_both_sides,
    )
    epochs = options.epochs or _planned(method, len(batches))
    how = replace(method.training, learning_rate=rate, epochs=epochs, seed=options.seed)
    steps = how.epochs * -(-len(batches) // how.accumulate)
    tell = options.progress(what, steps)
    trained = train(
        model,
        batches,
        how,
        method.objective,
        judge=None if judged is None else _judge(judged, mean, scale, method.window),
        after_epoch=method.after_epoch,
        state=state,
        on_step=lambda *_: tell(1),
        names=list(map(str, train_.corpus.utterances.index)),
    )
    return Taught(model.eval(), mean, scale, trained, rate, epochs, steps, window=method.window)


def _draw(method: Method, train_: Clips) -> Callable[[np.random.Generator], Rows]:
    """How the rows of an epoch's batches are drawn."""
    size = min(method.batch_size, len(train_.lengths))
    if not method.draw_by_length:
        return partial(neighbours_in_length, train_.lengths, size)
    chance = None
    if method.chances is not None:
        labels = train_.corpus.labels.idxmax(axis=1)
        chance = [method.chances.get(str(label), 1.0) for label in labels]
    seconds = [n_frames * method.hop for n_frames in train_.lengths]
    return partial(by_length, seconds, size, chance=chance)


def _planned(method: Method, n_batches: int) -> int:
    """Epochs, as many as the method names or as make its steps."""
    if method.steps is None:
        return method.training.epochs
    return -(-method.steps // -(-n_batches // method.training.accumulate))


def _judge(
    judged: Clips, mean: Float32, scale: Float32, window: int
) -> Callable[[nn.Module], float]:
    """UAR on what is held out."""
    truth = judged.target.argmax(1)
    asked = standardised(judged.spectrograms, mean, scale)
    return lambda model: unweighted_average_recall(truth, _ask(model, asked, window).argmax(1))


def start_from(
    model: nn.Module, folder: Path, labels: Sequence[str], feature: str
) -> tuple[Float32, Float32] | None:
    """Put in the weights of a checkpoint folder, but for the last layer where labels differ.

    The same labels in another order are no others: each row of the last layer goes to its label.

    Args:
        model: its last layer is called `classifier`.
        folder: of `affekt.checkpoint`.
        labels: of the model's outputs, in order.
        feature: what the model will read, one of FEATURES.

    Returns:
        Mean and deviation that its input was standardised with, as its card says: the weights
        read these units, so what starts from them keeps them, whatever the new corpus' own are.
        None where the card says nothing.

    Raises:
        CheckpointError: it holds another network, or reads another feature.
    """
    other, card = checkpoint.load(folder)
    if type(other) is not type(model):
        raise CheckpointError(
            f"{folder}: holds a {type(other).__name__}, not a {type(model).__name__}"
        )
    if card.get("feature", feature) != feature:
        raise CheckpointError(f"{folder}: its network reads {card['feature']}, not {feature}")
    mine, theirs = model.state_dict(), other.state_dict()
    last = {name for name in mine if name.startswith("classifier.")}
    shapes, others = ({n: v.shape for n, v in part.items()} for part in (mine, theirs))
    for name in sorted((shapes.keys() | others.keys()) - last):
        if shapes.get(name) != others.get(name):
            raise CheckpointError(f"{folder}: its network has another shape: {name}")
    taken = {name: value for name, value in theirs.items() if name not in last}
    if sorted(card["labels"]) == sorted(labels):
        rows = [card["labels"].index(label) for label in labels]
        taken |= {name: theirs[name][rows] for name in last}
    model.load_state_dict(mine | taken)
    return standard_of(card, folder)


def standard_of(card: dict[str, Any], folder: Path) -> tuple[Float32, Float32] | None:
    """Read mean and deviation of the input from a card, each (n_mels, 1); None: it has none.

    Raises:
        CheckpointError: they are no numbers, of different lengths, or a deviation is not above 0.
    """
    if "mean" not in card and "scale" not in card:
        return None
    try:
        mean, scale = (np.array(card[name], dtype=np.float32) for name in ("mean", "scale"))
    except (KeyError, TypeError, ValueError):
        mean, scale = np.empty(0, np.float32), np.zeros(1, np.float32)
    whole = mean.ndim == scale.ndim == 1 and len(mean) == len(scale)
    if not (whole and np.isfinite(mean).all() and np.isfinite(scale).all() and (scale > 0).all()):
        raise CheckpointError(
            f"{folder}: `mean` and `scale` of its card are no numbers for each mel band"
        )
    return mean[:, None], scale[:, None]


def _ask(model: nn.Module, clips: View, window: int = 0, attack: float | None = None) -> Floats:
    """Ask a network in evaluation mode, windows of clips or, where `window` is 0, clips whole."""
    if not window:
        return _ask_whole(model, clips, attack)
    parts, owner = in_windows(clips, window)
    said = softmax(_ask_whole(model, parts, attack))
    sums = np.zeros((len(clips), said.shape[1]))
    np.add.at(sums, owner, said)
    means: Floats = np.log(sums / np.bincount(owner)[:, None])
    return means


def _ask_whole(model: nn.Module, clips: View, attack: float | None) -> Floats:
    """Ask about clips of about one length at a time.

    One that would hear the padding is asked about each clip alone (spec 1.6.2).
    """
    hides = getattr(getattr(model, "config", None), "masked", True)
    device = next(model.parameters()).device
    found: list[Floats] = [np.empty(0)] * len(clips)
    for rows in length_buckets(clips.lengths, FRAMES_PER_BATCH if hides else 1):
        x, mask = stack([clips[row] for row in rows])
        assert mask is not None
        x, mask = x.to(device), mask.to(device)
        if attack is not None:
            x = x + fast_gradient_sign(model, x, mask, attack)
        with torch.inference_mode():
            logits = model(x, mask).double().cpu().numpy()
        for row, values in zip(rows, logits, strict=True):
            found[row] = values
    return np.stack(found)
