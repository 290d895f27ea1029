"""Networks that learned elsewhere, frozen or tuned, on the turns of another corpus."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch

from affekt import checkpoint
from affekt.batches import length_buckets, stack
from affekt.corpus import Corpus
from affekt.exceptions import CheckpointError
from affekt.models.convolutions import OverMaps
from affekt.protocols import lssed_networks as networks
from affekt.protocols.clips import Clips
from affekt.protocols.probe import INVERSE_L2, Heard, RunOptions, fit, frozen_encoder, hear
from affekt.protocols.probe import probabilities as ask_head
from affekt.protocols.released import started_from
from affekt.protocols.spectrogram_folds import answers
from affekt.protocols.spectrograms import (
    FRAMES_PER_BATCH,
    Method,
    clips_of,
    standard_of,
    teach,
)
from affekt.train import together

Ask = Callable[[Sequence[str]], pd.DataFrame]  # utterances -> probabilities of each


def listen(name: str, corpus: Corpus, options: RunOptions) -> Heard | Clips:
    """Give what a network hears of all turns: its pooled states, or spectrograms to be tuned on.

    Args:
        name: "asr", a Whisper encoder; "ser", the backbone of `--init`; "ser-tuned", that
            backbone, which will go on learning; anything may follow behind a hyphen.
        corpus: whose turns.
        options: where encoder, checkpoint and store are.

    Raises:
        CheckpointError: no checkpoint is given for `ser`, or its network is of another kind.
    """
    if name.startswith("asr"):
        with together().main_process_first():
            return hear(corpus, frozen_encoder(options), options, in_context=False)
    clips = clips_of(corpus, _tuning(name, options), options)
    return clips if name.startswith("ser-tuned") else embedded(clips, options)


def embedded(clips: Clips, options: RunOptions) -> Heard:
    """Let a released backbone hear clips: what its last layer would read, (n, 1, width)."""
    assert options.init is not None
    model, card = checkpoint.load(options.init)
    assert isinstance(model, OverMaps)
    mean, scale = standard_of(card, options.init) or (0.0, 1.0)
    found = [np.empty(0, np.float32)] * len(clips.spectrograms)
    for rows in length_buckets(clips.lengths, FRAMES_PER_BATCH):
        x, mask = stack([(clips.spectrograms[row] - mean) / scale for row in rows])
        with torch.inference_mode():
            states = model.embed(x, mask).numpy()
        for row, values in zip(rows, states, strict=True):
            found[row] = values
    states = np.stack(found)[:, None]
    seconds = np.array(clips.lengths) * networks.HOP
    return Heard(clips.corpus, states, states[:0], seconds, clips.fingerprints)


def _tuning(name: str, options: RunOptions) -> Method:
    """How a released backbone goes on learning; its feature is its own."""
    if options.init is None:
        raise CheckpointError(f"{name} needs --init FOLDER, a checkpoint of lssed_table_5")
    model, card = checkpoint.load(options.init)
    feature = card.get("feature")
    if not isinstance(model, OverMaps) or feature not in (networks.PLAIN, networks.DENOISED):
        raise CheckpointError(f"{options.init}: no network over LSSED's spectrograms")
    config: Any = model.config
    return Method(
        build=lambda n: type(model)(replace(config, n_outputs=n)),
        feature=feature,
        hop=networks.HOP,
        decibel=10.0,
        training=replace(networks.OURS, epochs=10, learning_rate=3e-4),
        batch_size=16,
        change=partial(networks.ours, n_frames=networks.TWO_SECONDS, least=networks.TWO_SECONDS),
        trim=False,
        least=networks.TWO_SECONDS,
    )


def learn(name: str, known: Heard | Clips, whole: Heard | Clips, options: RunOptions) -> Ask:
    """Learn from the turns that are known; give who answers for others of the whole."""
    if isinstance(known, Clips):
        assert isinstance(whole, Clips)
        clips = whole
        state = options.out / f"{name}{started_from(options)}"
        taught = teach(_tuning(name, options), known, None, options, state=state)
        return lambda ids: answers(taught, clips.select(ids))
    assert isinstance(whole, Heard)
    heard = whole
    head = fit([known], l2=1 / (INVERSE_L2 * len(known.corpus)), options=options)
    return lambda ids: ask_head(head, heard.select(ids))
