"""Tensors and log-probabilities drawn at random, masks of valid frames, networks on paper."""

import numpy as np
import torch


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def first(lengths, n_frames):
    """A row of each length, true in front, (len(lengths), n_frames)."""
    return torch.arange(n_frames) < torch.tensor(lengths)[:, None]


def on_paper(module_class, config):
    """A network without memory for its numbers: shapes only."""
    with torch.device("meta"):
        return module_class(config)


def random_log_probs(n_frames, n_columns, *, sharpness=1.0, seed=0):
    """Of CTC, (n_frames, n_columns)."""
    logits = np.random.default_rng(seed).normal(size=(n_frames, n_columns)) * sharpness
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


def logs(rows):
    with np.errstate(divide="ignore"):
        return np.log(np.asarray(rows, dtype=float))
