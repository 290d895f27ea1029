"""What the recipes on frames share: features, folds, a network taught clip by clip."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from affekt import audio
from affekt.batches import FrameBatches, pad
from affekt.corpus import Corpus
from affekt.features.shortterm34 import kept_frames, shortterm34
from affekt.models import Blstm, BlstmConfig
from affekt.recipes import speaker_folds
from affekt.recipes.probe import RunOptions, class_weights
from affekt.recipes.ravdess_speaker_folds import FOLDS
from affekt.splits import Split, by_session, from_groups
from affekt.train import TrainOptions, label_sequences, soft_labels, train

TRAINING = TrainOptions(epochs=40, learning_rate=2e-3, clip=1.0)
BATCH_SIZE = 64

Frames = Sequence[NDArray[np.float32]]
Floats = NDArray[np.float64]


def frames_of(
    corpus: Corpus, options: RunOptions
) -> tuple[dict[str, NDArray[np.float32]], dict[str, str]]:
    """Give each utterance's frames, pauses and edges left out, and its recording's fingerprint.

    An utterance that is a pause all through keeps all its frames: it has to be answered, too.
    """
    frames, prints = {}, {}
    tell = options.progress("34 features", len(corpus))
    for id_, row in corpus.utterances.iterrows():
        start, end = (None if pd.isna(row[k]) else float(row[k]) for k in ("start", "end"))
        waveform = audio.load(corpus.path(str(id_)), start=start or 0.0, end=end)
        features = shortterm34(waveform, audio.SAMPLE_RATE)
        kept = kept_frames(features)
        frames[str(id_)] = (features[kept] if kept.any() else features).astype(np.float32)
        prints[str(id_)] = audio.fingerprint(waveform)
        tell(1)
    return frames, prints


def folds_of(corpus: Corpus, options: RunOptions) -> tuple[list[Split], str]:
    """Sessions of IEMOCAP, EmoBox's folds of RAVDESS, speakers elsewhere."""
    table = corpus.utterances
    if corpus.name == "ravdess":
        return from_groups(table, FOLDS), "EmoBox, 6 folds of 4 actors"
    if corpus.name == "iemocap":
        return by_session(table), "5 folds by session"
    return speaker_folds.folds_of(corpus, options)


def taught(train_: Frames, target: Floats, options: RunOptions, *, per_frame: bool) -> Blstm:
    """Train a network on clips with one label each, classes weighed alike; CTC if `per_frame`."""
    torch.manual_seed(options.seed)
    model = Blstm(BlstmConfig(target.shape[1] + per_frame, per_frame=per_frame))
    model.standardise(torch.from_numpy(np.concatenate(train_)))
    soft = target.astype(np.float32)
    labels = torch.from_numpy(target.argmax(1)[:, None] if per_frame else soft)
    batches = FrameBatches(
        train_, labels, torch.from_numpy(class_weights(soft)), BATCH_SIZE, options.seed
    )
    how = replace(TRAINING, seed=options.seed, epochs=options.epochs or TRAINING.epochs)
    train(model, batches, how, loss=label_sequences if per_frame else soft_labels)
    return model.eval()


def frame_logits(model: Blstm, frames: Frames) -> tuple[Tensor, Tensor]:
    """Give padded logits and the mask of what is valid."""
    x, mask = pad(frames)
    with torch.inference_mode():
        return model(x, mask), mask


def parts(frames: Frames) -> Iterator[Frames]:
    """Cut into batches."""
    for first in range(0, len(frames), BATCH_SIZE):
        yield frames[first : first + BATCH_SIZE]
