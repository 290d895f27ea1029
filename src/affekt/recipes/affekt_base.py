"""`affekt-base`, the bundled recogniser: three layers of Whisper base and a linear head.

Trained on crema-d, ravdess, nemo, tess and emovo. What is chosen (the penalty, and which labels
CREMA-D teaches) is chosen by leaving one of these corpora out at a time; the temperature is
fitted on held-out speakers of them. `emodb` and `urdu` may be given too: they are zero-shot
tests, looked at once, after everything is chosen. For scale, the Whisper paper (spec 3.8) prints
REFERENCE. It differs in that its encoder is larger, trained as a whole, on 375 h.
"""

from typing import Any

import numpy as np
import pandas as pd

from affekt import checkpoint
from affekt.calibration import fit_temperature, softmax
from affekt.exceptions import CorpusError
from affekt.export import write_onnx
from affekt.harmonise import harmonise
from affekt.metrics import expected_calibration_error, unweighted_average_recall
from affekt.models import WhisperProbe, WhisperProbeConfig
from affekt.recipes.card import card_of
from affekt.recipes.probe import Heard, RunOptions, fit, frozen_encoder, hear, logits
from affekt.recipes.results import write_zero_shot
from affekt.scheme import EKMAN_8
from affekt.splits import by_speaker, guard
from affekt.tables import write_table
from affekt.votes.shares import shares

REFERENCE = {"emodb": 0.7009, "urdu": 0.5249}  # accuracy, zero-shot
TRAINED_ON = ("crema-d", "ravdess", "nemo", "tess", "emovo", "toy")
ZERO_SHOT = ("emodb", "urdu")
HELD_OUT = ("1088", "1089", "1090", "1091")  # CREMA-D's last actors: the demo's voices
L2_CHOICES = (0.02, 0.05, 0.1, 0.2)
TARGET_CHOICES = ("intention", "crowd", "both")  # what CREMA-D's clips teach
N_CALIBRATION_FOLDS = 5

Corpora = dict[str, Heard]


def main(options: RunOptions) -> None:
    """Choose, calibrate, train on all, write checkpoint and recogniser, then look at the tests."""
    training = [name for name in options.corpora if name not in ZERO_SHOT]
    if len(training) < 2 or not set(training) <= set(TRAINED_ON):
        raise CorpusError(
            f"affekt_base trains on two or more of {', '.join(TRAINED_ON)},"
            f" not on {', '.join(training)}"
        )
    encoder = frozen_encoder(options)
    heard = {
        name: hear(corpus, encoder, options, in_context=True)
        for name, corpus in options.corpora.items()
    }
    held_out = {name: _actors(heard[name], held_out=True) for name in training if name == "crema-d"}
    teaching = {
        target: {name: _teach(_actors(heard[name]), target) for name in training}
        for target in TARGET_CHOICES
    }
    table = _choose(teaching, options)
    best = _best(table)
    taught, l2 = teaching[best["target"]], best["l2"]
    temperature, calibration = _calibrate(taught, l2, options)
    head = fit(
        list(taught.values()), l2=l2, options=options, state=options.out / "training.safetensors"
    )
    width, n_heads = encoder.config.width, encoder.config.n_heads
    config = WhisperProbeConfig(len(EKMAN_8), options.layers, encoder.config.n_mels, width, n_heads)
    model = WhisperProbe(config)
    model.encoder, model.head = encoder, head
    card = card_of(taught, best, temperature, calibration, HELD_OUT, ZERO_SHOT, options)
    checkpoint.save(options.out / "checkpoint", model, card)
    write_onnx(model, options.out / "recognizer", card)
    write_table(table.rename_axis("choice"), options.out / "choice.csv")
    labels = pd.concat([part.corpus.labels for part in taught.values()])
    tests = {name: heard[name] for name in ZERO_SHOT if name in heard}
    for split, parts in (("zero-shot", tests), ("held-out actors", held_out)):
        for part in parts.values():
            scores = logits(head, part.alone) / temperature
            write_zero_shot(part.corpus, scores, labels, split, options)


def _actors(heard: Heard, *, held_out: bool = False) -> Heard:
    """Keep CREMA-D's held-out actors apart; other corpora are used whole."""
    if heard.corpus.name != "crema-d":
        return heard
    table = heard.corpus.utterances
    return heard.select(table.index[table["speaker"].isin(HELD_OUT) == held_out])


def _teach(heard: Heard, target: str) -> Heard:
    """Map the labels to the eight: what was meant, what the crowd heard, or the mean of both."""
    corpus = heard.corpus
    meant = harmonise(corpus.labels, corpus.name, EKMAN_8)
    if corpus.votes is None or target == "intention":
        return heard.relabel(meant, EKMAN_8)
    crowd = harmonise(shares(corpus.votes, corpus.scheme), corpus.name, EKMAN_8).loc[meant.index]
    return heard.relabel(crowd if target == "crowd" else (meant + crowd) / 2, EKMAN_8)


def _choose(teaching: dict[str, Corpora], options: RunOptions) -> pd.DataFrame:
    """Leave each training corpus out in turn, for every choice; UAR on what was meant there.

    `mean`, over corpora, heard alone and in context, decides.
    """
    rows = []
    tell = options.progress("leave one corpus out", len(TARGET_CHOICES) * len(L2_CHOICES))
    for target, taught in teaching.items():
        for l2 in L2_CHOICES:
            found = {}
            for name, left_out in teaching["intention"].items():
                rest = [part for other, part in taught.items() if other != name]
                head = fit(rest, l2=l2, options=options)
                truth = left_out.corpus.labels.to_numpy()
                found[f"{name} alone"] = _uar(truth, logits(head, left_out.alone))
                found[f"{name} in context"] = _uar(truth, logits(head, left_out.in_context))
            mean = float(np.mean(list(found.values())))
            rows.append({"target": target, "l2": l2, "mean": mean, **found})
            tell(1)
    return pd.DataFrame(rows)


def _best(table: pd.DataFrame) -> dict[str, Any]:
    return {str(key): value for key, value in table.iloc[int(table["mean"].argmax())].items()}


def _uar(truth: np.ndarray, scores: np.ndarray) -> float:
    """UAR among the classes that the corpus has; the others are banned."""
    classes = truth.argmax(1)
    present = np.unique(classes)
    return unweighted_average_recall(classes, present[scores[:, present].argmax(1)])


def _calibrate(taught: Corpora, l2: float, options: RunOptions) -> tuple[float, dict[str, float]]:
    """Fit the temperature to speakers that the model which scored them never met."""
    truths, scores = [], []
    tables = {name: part.corpus.utterances for name, part in taught.items()}
    folds = {
        name: by_speaker(
            table, min(N_CALIBRATION_FOLDS, table["speaker"].nunique()), seed=options.seed
        )
        for name, table in tables.items()
    }
    tell = options.progress("held-out speakers", N_CALIBRATION_FOLDS)
    for number in range(N_CALIBRATION_FOLDS):
        splits = {n: folds[n][number] if number < len(folds[n]) else None for n in taught}
        for name, split in splits.items():
            if split is not None:
                guard(split, tables[name], fingerprints=taught[name].fingerprints)
        inner = [
            part if (split := splits[name]) is None else part.select(split.train)
            for name, part in taught.items()
        ]
        head = fit(inner, l2=l2, options=options)
        for name, split in splits.items():
            if split is not None:
                part = taught[name].select(split.test)
                truths += [part.corpus.labels.to_numpy()] * 2
                scores += [logits(head, part.alone), logits(head, part.in_context)]
        tell(1)
    truth, score = np.concatenate(truths), np.concatenate(scores)
    temperature = fit_temperature(score, truth)
    before, after = (
        expected_calibration_error(truth, softmax(score, t)) for t in (1.0, temperature)
    )
    return temperature, {"ece_before": round(before, 4), "ece": round(after, 4)}
