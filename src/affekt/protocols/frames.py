"""What the recipes on frames share: features, folds, a network taught clip by clip."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from affekt import audio, ctc
from affekt.batches import FrameBatches, pad
from affekt.concatenate import utterance
from affekt.corpus import Corpus
from affekt.exceptions import AudioError
from affekt.features.shortterm34 import kept_frames, shortterm34
from affekt.metrics import unweighted_average_recall
from affekt.models import Blstm, BlstmConfig
from affekt.objectives import LabelSequences, SoftLabels
from affekt.protocols.probe import RunOptions, class_weights
from affekt.splits import held_out_speakers
from affekt.train import TrainOptions, train

TRAINING = TrainOptions(learning_rate=1e-3, clip=1.0)
BATCH_SIZE = 64
PATIENCE = 770  # steps: ten epochs of the paper's 4936 utterances (spec 4.1, 4.4), 10 * 4936 / 64
MOST_STEPS = 3000
WINDOW, STEP = 0.2, 0.1  # s

Clip = NDArray[np.float32]
Frames = Sequence[Clip]
Floats = NDArray[np.float64]
Indices = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Lesson:
    """What a method is taught: clips of frames, targets (n, n_classes), who speaks, ids (n,)."""

    frames: Frames
    target: Floats
    speakers: Sequence[str]
    ids: Sequence[str]

    def __len__(self) -> int:
        return len(self.frames)

    def select(self, rows: Indices) -> "Lesson":
        """Keep some clips."""
        frames = [self.frames[row] for row in rows]
        speakers, ids = ([part[row] for row in rows] for part in (self.speakers, self.ids))
        return Lesson(frames, self.target[rows], speakers, ids)


def frames_of(
    corpus: Corpus, options: RunOptions, *, window: float = WINDOW, hop: float = STEP
) -> tuple[dict[str, Clip], dict[str, str]]:
    """Give each utterance's frames, pauses and edges left out, and its recording's fingerprint.

    An utterance that is a pause all through keeps all its frames: it has to be answered, too.

    Args:
        corpus: every utterance is decoded.
        options: tells of the progress.
        window: of a frame, s.
        hop: from frame to frame, s.

    Raises:
        AudioError: an utterance cannot be decoded, or is shorter than a frame.
    """
    frames, prints = {}, {}
    tell = options.progress(f"34 features of {window * 1000:g} ms", len(corpus))
    for id_ in map(str, corpus.utterances.index):
        waveform = utterance(corpus, id_)
        try:
            features = shortterm34(waveform, audio.SAMPLE_RATE, window=window, hop=hop)
        except AudioError as problem:
            raise AudioError(f"{id_}: {problem}") from None
        kept = kept_frames(features)
        frames[id_] = (features[kept] if kept.any() else features).astype(np.float32)
        prints[id_] = audio.fingerprint(waveform)
        tell(1)
    return frames, prints


def taught(lesson: Lesson, options: RunOptions, *, per_frame: bool) -> Blstm:
    """Train a network on clips with one label each, classes weighed alike; CTC if `per_frame`.

    How long is chosen on some of the speakers: it stops when their UAR has not risen for PATIENCE
    steps. Then another begins anew with all speakers, for as many epochs as the best took, for few
    are there to be left out. One speaker alone: as long as it may.
    """
    known, asked = held_out(lesson, options.seed)
    n_batches = -(-len(known) // BATCH_SIZE)
    most = options.epochs or -(-MOST_STEPS // n_batches)
    how = replace(TRAINING, seed=options.seed, epochs=most, patience=-(-PATIENCE // n_batches))
    if asked is not None:
        best = _trained(known, how, per_frame=per_frame, judge=partial(_uar, asked=asked))[1]
        how = replace(how, epochs=best)
    return _trained(lesson, how, per_frame=per_frame)[0].eval()


def _trained(
    lesson: Lesson,
    how: TrainOptions,
    *,
    per_frame: bool,
    judge: Callable[[nn.Module], float] | None = None,
) -> tuple[Blstm, int]:
    """A network, and how many epochs the one that the judge likes best, or it, had."""
    torch.manual_seed(how.seed)
    n_classes, n_features = lesson.target.shape[1], lesson.frames[0].shape[1]
    model = Blstm(BlstmConfig(n_classes + per_frame, n_features=n_features, per_frame=per_frame))
    model.standardise(torch.from_numpy(np.concatenate(lesson.frames)))
    soft = lesson.target.astype(np.float32)
    labels = torch.from_numpy(lesson.target.argmax(1)[:, None] if per_frame else soft)
    weights = torch.from_numpy(class_weights(soft))
    batches = FrameBatches(lesson.frames, labels, weights, BATCH_SIZE, how.seed)
    objective = LabelSequences() if per_frame else SoftLabels()
    found = train(model, batches, how, objective, judge=judge, names=lesson.ids)
    return model, how.epochs if found.best_epoch is None else found.best_epoch + 1


def held_out(lesson: Lesson, seed: int) -> tuple[Lesson, Lesson | None]:
    """Part the speakers: those to train on, and those that say when to stop."""
    rows = [str(row) for row in range(len(lesson))]
    split = held_out_speakers(pd.DataFrame({"speaker": list(lesson.speakers)}, rows), seed=seed)
    if split is None:
        return lesson, None
    known, asked = (np.array(part, dtype=np.intp) for part in (split.train, split.test))
    return lesson.select(known), lesson.select(asked)


def _uar(model: nn.Module, asked: Lesson) -> float:
    assert isinstance(model, Blstm)
    answer = probabilities(model, asked.frames).argmax(1)
    return unweighted_average_recall(asked.target.argmax(1), answer)


def probabilities(model: Blstm, asked: Frames) -> Floats:
    """Answer clips, (n, n_classes): softmax of one answer, or exact posteriors under CTC.

    The posterior is that of each label alone, scaled to sum to 1.
    """
    if model.config.per_frame:
        found = [ctc.one_label_posterior(clip) for clip in log_probs(model, asked)]
        scores = torch.from_numpy(np.array(found))
    else:
        scores = torch.cat([frame_logits(model, part)[0].double() for part in parts(asked)])
    return np.asarray(scores.softmax(-1).numpy())


def log_probs(model: Blstm, asked: Frames) -> Iterator[Floats]:
    """Give the log-probabilities of each clip's frames, (n_frames, n_outputs), one by one."""
    for part in parts(asked):
        logits, mask = frame_logits(model, part)
        for clip, valid in zip(logits.double().log_softmax(-1), mask, strict=True):
            yield clip[valid].numpy()


def frame_logits(model: Blstm, frames: Frames) -> tuple[Tensor, Tensor]:
    """Give padded logits and the mask of what is valid."""
    x, mask = pad(frames)
    with torch.inference_mode():
        return model(x, mask), mask


def parts(frames: Frames) -> Iterator[Frames]:
    """Cut into batches."""
    for first in range(0, len(frames), BATCH_SIZE):
        yield frames[first : first + BATCH_SIZE]
