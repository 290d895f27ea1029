"""The card of a trained recogniser: what a user, a lawyer and a reviewer would ask."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from affekt import __version__
from affekt.protocols.probe import EPOCHS, Heard, RunOptions, class_weights


def card_of(
    taught: Mapping[str, Heard],
    best: Mapping[str, Any],
    temperature: float,
    calibration: Mapping[str, float],
    options: RunOptions,
) -> dict[str, Any]:
    """Describe a recogniser that was trained on some corpora.

    Args:
        taught: the training corpora by name.
        best: the chosen row of the leave-one-corpus-out table.
        temperature: what logits are divided by.
        calibration: expected calibration error on held-out speakers, before and after.
        options: upstream, seed and epochs.

    Returns:
        `prior` is the label mass that training weighed in: classes are balanced, so it is nearly
        flat, and it is what a logit adjustment has to divide by; `training_shares` is the plain
        share of each label; `untrained_labels` have no example at all.
    """
    corpora = []
    for name, part in taught.items():
        known = {key: part.corpus.card.get(key) for key in ("version", "licence", "citation")}
        speakers = sorted(
            f"{name}/{s}" for s in part.corpus.utterances["speaker"].dropna().unique()
        )
        corpora.append(
            {"name": name, **known, "utterances": len(part.corpus), "speakers": speakers}
        )
    labels = pd.concat([part.corpus.labels for part in taught.values()])
    epochs = options.epochs or EPOCHS
    target = labels.to_numpy(np.float32)
    weighted = np.average(target, axis=0, weights=class_weights(target))
    measured = {k: round(v, 4) for k, v in best.items() if k not in ("target", "l2")}
    return {
        "name": options.out.name,
        "version": __version__,
        "licence": "see the licences of its corpora",
        "labels": list(labels.columns),
        "untrained_labels": [name for name in labels if not labels[name].any()],
        "upstream": {
            "name": options.upstream_name,
            "licence": "MIT",
            "layers": options.layers,
            "weights": "rounded to 8 bits before training",
        },
        "corpora": corpora,
        "target": f"{best['target']} where raters voted (crema-d), intention elsewhere",
        "selection": "mean UAR, leaving one training corpus out at a time, alone and in context",
        "options": {"l2": best["l2"], "epochs": epochs, "seed": options.seed},
        "metrics": {"leave_one_corpus_out": measured, "held_out_speakers": dict(calibration)},
        "temperature": temperature,
        "prior": dict(zip(labels, (round(float(share), 6) for share in weighted), strict=True)),
        "training_shares": {name: round(float(labels[name].mean()), 6) for name in labels},
    }
