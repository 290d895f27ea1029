"""Networks that are taught which emotions follow each other, and asked about recordings.

The 34 features go straight into the LSTM layers, as in the CTC paper. States of a large encoder
are too many for the few voices there are: a linear probe reads windows of them first.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from affekt import ctc
from affekt.corpus import Corpus
from affekt.models import Blstm, BlstmConfig, ProbedBlstm, ProbedBlstmConfig
from affekt.models.probed_blstm import windows
from affekt.objectives import LabelSequences
from affekt.protocols.probe import RunOptions, fit_head
from affekt.protocols.sequence_data import (
    Clip,
    Heard,
    LengthBatches,
    mean_and_scale,
    padded,
    targets,
)
from affekt.sequencer import HOP_SECONDS, Network
from affekt.sequences import emotion_error_rate
from affekt.splits import held_out_speakers
from affekt.train import TrainOptions, train

BATCH_SIZE = 64
TRAINING = TrainOptions(epochs=60, learning_rate=2e-3, clip=1.0, patience=10)
PROBE_L2 = 0.5  # the first value tried (LOG.md)
PROBED_SHARE = 0.1  # of the frames, whose windows teach the probe: neighbours say the same

Floats = NDArray[np.float64]


def taught(
    heard: Heard, corpus: Corpus, options: RunOptions, state: Path | None, *, probed: bool
) -> Network:
    """Train on recordings of some speakers; a fifth of them says when to stop.

    Args:
        heard: those recordings.
        corpus: labels, and whose utterances they are made of.
        options: seed, epochs.
        state: file that makes the training resumable.
        probed: a linear probe, taught windows of the same recordings, stands before the layers.

    Returns:
        In evaluation mode; its last output is the blank.
    """
    labels = list(corpus.scheme)
    known, unknown = heard.sides(_asked(heard, corpus, options.seed))
    n_features = known.frames[0].shape[1]
    torch.manual_seed(options.seed)
    model: Network
    if probed:
        model = ProbedBlstm(ProbedBlstmConfig(len(labels) + 1, n_features=n_features))
        fit_probe(model, known, labels, options)
        known, unknown = (replace(part, frames=said(model, part)) for part in (known, unknown))
        layers = model.blstm
    else:
        model = layers = Blstm(BlstmConfig(len(labels) + 1, n_features=n_features, per_frame=True))
    layers.mean, layers.scale = mean_and_scale(known.frames)
    batches = LengthBatches(
        known.frames, targets(known.recordings, labels), BATCH_SIZE, options.seed
    )
    several = unknown.where(lambda one: len(one.labels) > 1)
    how = replace(TRAINING, seed=options.seed, epochs=options.epochs or TRAINING.epochs)
    tell = options.progress("steps, at most", how.epochs * len(batches))
    if state is not None:
        state.parent.mkdir(parents=True, exist_ok=True)
    train(
        layers,
        batches,
        how,
        LabelSequences(),
        judge=partial(_judge, heard=several, labels=labels) if len(unknown) else None,
        state=state,
        on_step=lambda *_: tell(1),
        names=[one.name for one in known.recordings],
    )
    return model.eval()


def fit_probe(model: ProbedBlstm, heard: Heard, labels: Sequence[str], options: RunOptions) -> None:
    """Teach a network's probe which label windows of recordings have, some of each recording's."""
    rng = np.random.default_rng(options.seed)
    x, target = [], []
    for frames, segments in zip(heard.frames, heard.segments, strict=True):
        n_drawn = max(len(segments), round(PROBED_SHARE * len(frames)))
        rows = np.sort(rng.permutation(len(frames))[:n_drawn])
        around = windows(
            torch.from_numpy(frames.astype(np.float32))[None], None, model.config.beside
        )
        truth = _label_at(heard.first + HOP_SECONDS * rows, segments, labels)
        x.append(around[0].numpy()[rows[truth >= 0]])
        target.append(np.eye(len(labels), dtype=np.float32)[truth[truth >= 0]])
    head = fit_head(
        np.concatenate(x)[:, None],
        np.concatenate(target),
        l2=PROBE_L2,
        options=replace(options, epochs=None),
    )
    model.probe.load_state_dict(head.state_dict())


def said(model: ProbedBlstm, heard: Heard) -> list[Clip]:
    """What a network's probe says of each recording's frames, (n_frames, n_labels) each."""
    with torch.inference_mode():
        clips = (torch.from_numpy(frames.astype(np.float32))[None] for frames in heard.frames)
        return [model.said(clip)[0].numpy() for clip in clips]


def log_probs_of(model: nn.Module, heard: Heard) -> Iterator[Floats]:
    """Give each recording's log-probabilities, (n_frames, n_labels + 1), in order."""
    for first in range(0, len(heard), BATCH_SIZE):
        x, mask = padded(heard.frames[first : first + BATCH_SIZE])
        with torch.inference_mode():
            logits = model(x, mask).double().log_softmax(-1)
        for clip, valid in zip(logits, mask, strict=True):
            yield clip[valid].numpy()


def _asked(heard: Heard, corpus: Corpus, seed: int) -> set[str]:
    """The speakers that say when to stop; none where there are too few."""
    speakers = {one.speaker for one in heard.recordings}
    rows = corpus.utterances[corpus.utterances["speaker"].isin(speakers)]
    inner = held_out_speakers(rows, seed=seed)
    return set() if inner is None else set(rows.loc[list(inner.test), "speaker"])


def _judge(model: nn.Module, heard: Heard, labels: Sequence[str]) -> float:
    """Minus the emotion error rate of the best paths."""
    found = []
    for frames in log_probs_of(model, heard):
        path = frames.argmax(1).tolist()
        found.append([labels[k] for k in ctc.collapse(path, blank=len(labels))])
    return -emotion_error_rate([one.labels for one in heard.recordings], found)


def _label_at(
    seconds: NDArray[np.floating[Any]],
    segments: Sequence[tuple[float, float, str]],
    labels: Sequence[str],
) -> NDArray[np.intp]:
    """Index of the label at each moment, -1 in a pause."""
    found = np.full(len(seconds), -1)
    for start, end, label in segments:
        found[(start <= seconds) & (seconds < end)] = labels.index(label)
    return found
