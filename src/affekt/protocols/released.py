"""A network on spectrograms as a checkpoint folder, with the card that its user needs."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from affekt import __version__, checkpoint
from affekt.corpus import Corpus
from affekt.protocols.probe import RunOptions
from affekt.protocols.spectrograms import Method, Taught


def release(
    folder: Path,
    taught: Taught,
    corpora: Sequence[Corpus],
    method: Method,
    options: RunOptions,
    *,
    split: str,
) -> None:
    """Write card and weights: what `--init` takes.

    Args:
        folder: made if absent; an older checkpoint there is replaced.
        taught: the network, and what its input is standardised with.
        corpora: what it learned from, the training part alone.
        method: its feature and its training.
        options: seed, and the checkpoint that it started from.
        split: which part of the corpora that is.
    """
    how: dict[str, Any] = asdict(method.training)
    how |= {"epochs": taught.epochs, "learning_rate": taught.rate, "seed": options.seed}
    card = {
        "version": __version__,
        "licence": "see the licences of its corpora",
        "labels": list(corpora[0].scheme),
        "corpora": [_described(corpus) for corpus in corpora],
        "split": split,
        "seed": options.seed,
        "feature": method.feature,
        "hop": method.hop,
        "mean": [float(value) for value in taught.mean[:, 0]],
        "scale": [float(value) for value in taught.scale[:, 0]],
        "options": {**how, "batch_size": method.batch_size},
        "started_from": None if options.init is None else options.init.name,
    }
    checkpoint.save(folder, taught.model, card)


def started_from(options: RunOptions) -> str:
    """Part of a state's name: a training from one checkpoint never goes on as one from another."""
    if options.init is None:
        return ""
    return f"-from-{str(checkpoint.read_card(options.init).get('sha256', ''))[:8]}"


def _described(corpus: Corpus) -> dict[str, Any]:
    known = {key: corpus.card.get(key) for key in ("version", "licence", "citation")}
    speakers = sorted(str(name) for name in corpus.utterances["speaker"].dropna().unique())
    return {"name": corpus.name, **known, "utterances": len(corpus), "speakers": speakers}
