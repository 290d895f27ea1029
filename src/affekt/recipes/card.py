"""The card of a trained recogniser: what a user, a lawyer and a reviewer would ask."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from affekt import __version__
from affekt.recipes.probe import Heard, RunOptions


def card_of(
    taught: Mapping[str, Heard],
    best: Mapping[str, Any],
    temperature: float,
    calibration: Mapping[str, float],
    held_out: Sequence[str],
    never_seen: Sequence[str],
    options: RunOptions,
) -> dict[str, Any]:
    """Describe a recogniser that was trained on some corpora.

    Args:
        taught: the training corpora by name.
        best: the chosen row of the leave-one-corpus-out table.
        temperature: what logits are divided by.
        calibration: expected calibration error on held-out speakers, before and after.
        held_out: actors of CREMA-D that were kept out.
        never_seen: corpora kept as zero-shot tests.
        options: seed and epochs.
    """
    corpora = []
    for name, part in taught.items():
        known = {key: part.corpus.card.get(key) for key in ("version", "licence", "citation")}
        speakers = sorted(part.corpus.utterances["speaker"].unique())
        corpora.append(
            {"name": name, **known, "utterances": len(part.corpus), "speakers": speakers}
        )
    labels = pd.concat([part.corpus.labels for part in taught.values()])
    scores = {k: round(v, 4) for k, v in best.items() if k not in ("target", "l2")}
    return {
        "name": "affekt-base",
        "version": __version__,
        "licence": "CC-BY-NC-SA-4.0",
        "labels": list(labels.columns),
        "upstream": {
            "name": options.upstream_name,
            "licence": "MIT",
            "layers": options.layers,
            "weights": "rounded to 8 bits before training",
        },
        "corpora": corpora,
        "held_out_speakers": [f"crema-d/{actor}" for actor in held_out],
        "never_seen": list(never_seen),
        "target": f"{best['target']} for crema-d, intention for the others",
        "selection": "UAR, leaving one training corpus out at a time, alone and in context",
        "options": {"l2": best["l2"], "epochs": options.epochs, "seed": options.seed},
        "metrics": {"leave_one_corpus_out": scores, "held_out_speakers": dict(calibration)},
        "temperature": temperature,
        "prior": {label: round(float(mass), 6) for label, mass in labels.mean().items()},
    }
