"""Features that note how often they are computed, on a few toy voices."""

from functools import partial

import numpy as np

from affekt import store as room
from affekt.corpora import toy
from affekt.features import DUSHA, log_mel
from affekt.store import stored

DUSHA_MEL = partial(log_mel, preset=DUSHA)
CALLS = []


def counted(waveform):
    """Its first samples; notes that it was asked."""
    CALLS.append(waveform.size)
    return waveform[: 10 + waveform.size % 5].copy()


def corpus(tmp_path_factory):
    return toy.load(tmp_path_factory.mktemp("toy"))


def few(corpus):
    """Twenty utterances in no order."""
    return corpus.select(corpus.utterances.index[np.random.default_rng(0).permutation(72)[:20]])


def small_shards(monkeypatch):
    monkeypatch.setattr(room, "UTTERANCES_PER_SHARD", 8)
    CALLS.clear()


def shards(folder):
    return sorted(folder.rglob("*.safetensors"))


def in_process(corpus, compute, store, **settings):
    """What is stored, and how often the function was asked apart from the test sound."""
    CALLS.clear()
    found = stored(corpus, compute, store=store, workers=1, **settings)
    return found, len(CALLS) - 1
