"""`affekt-base`, the bundled recogniser: three layers of Whisper base and a linear head.

Trained on crema-d, ravdess, nemo, tess and emovo. What is chosen (the penalty, and which labels
CREMA-D teaches) is chosen by leaving one of these corpora out at a time; the temperature is
fitted on held-out speakers of them. `emodb` and `urdu` may be given too: they are zero-shot
tests, looked at once, after everything is chosen. For scale: Goron et al. (ICASSP 2024, "Improving
domain generalization in speech emotion recognition with Whisper") print .7009 and .5249 there.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from affekt import __version__, checkpoint
from affekt.calibration import fit_temperature, softmax
from affekt.exceptions import CorpusError
from affekt.export import write_onnx
from affekt.harmonise import harmonise
from affekt.metrics import expected_calibration_error, unweighted_average_recall
from affekt.models import WhisperProbe, WhisperProbeConfig
from affekt.models.heads import LinearHead
from affekt.recipes.probe import (
    LAYER,
    Heard,
    RunOptions,
    fit,
    frozen_encoder,
    hear,
    logits,
)
from affekt.recipes.zero_shot_report import report_zero_shot
from affekt.scheme import EKMAN_8
from affekt.splits import by_speaker, guard
from affekt.tables import write_table
from affekt.votes.shares import shares

REFERENCE = {"emodb": 0.7009, "urdu": 0.5249}  # accuracy, medium encoder trained on 375 h
TRAINED_ON = ("crema-d", "ravdess", "nemo", "tess", "emovo")
ZERO_SHOT = ("emodb", "urdu")
HELD_OUT = ("1088", "1089", "1090", "1091")  # CREMA-D's last actors: the demo's voices
L2_CHOICES = (0.02, 0.05, 0.1, 0.2)
TARGET_CHOICES = ("intention", "crowd", "both")  # what CREMA-D's clips teach
N_CALIBRATION_FOLDS = 5
LICENCE = "CC-BY-NC-SA-4.0"

Float32 = np.ndarray
Choice = tuple[str, float]


@dataclass(frozen=True)
class Taught:
    """What a corpus teaches: its statistics, and its labels under each choice of target."""

    heard: Heard
    targets: dict[str, np.ndarray]


def main(options: RunOptions) -> None:
    """Choose, calibrate, train on all, write checkpoint and recogniser, then look at the tests."""
    training = [name for name in options.corpora if name not in ZERO_SHOT]
    unknown = [name for name in training if name not in (*TRAINED_ON, "toy")]
    if unknown or len(training) < 2:
        raise CorpusError(
            f"affekt_base trains on at least two of {', '.join(TRAINED_ON)}; got {', '.join(training)}"
        )
    encoder = frozen_encoder(options.upstream)
    taught = {name: _teach(hear(options.corpora[name], encoder, options)) for name in training}
    table = _choose(taught, options)
    best = table.loc[table["mean"].idxmax()]
    choice: Choice = (str(best["target"]), float(best["l2"]))
    temperature, calibration = _calibrate(taught, choice, options)
    head = _fit(list(taught.values()), choice, options, keep_state=True)
    model = WhisperProbe(WhisperProbeConfig(len(EKMAN_8), (LAYER,)))
    model.encoder, model.head = encoder, head
    card = _card(taught, choice, best, temperature, calibration, options)
    checkpoint.save(options.out / "checkpoint", model, card)
    write_onnx(model, options.out / "recognizer", card)
    write_table(table, options.out / "choice.csv")
    _report_held_out(head, options, temperature)
    for name in ZERO_SHOT:
        if name in options.corpora:
            heard = hear(options.corpora[name], encoder, options)
            report_zero_shot(heard, logits(head, heard.alone) / temperature, options)


def _teach(heard: Heard) -> Taught:
    """Drop the held-out actors and map every kind of label to the eight."""
    corpus = heard.corpus
    keep = np.ones(len(corpus), dtype=bool)
    if corpus.name == "crema-d":
        keep = ~corpus.utterances["speaker"].isin(HELD_OUT).to_numpy()
    intention = harmonise(corpus.labels, corpus.name, EKMAN_8).to_numpy(np.float32)
    crowd = intention
    if corpus.votes is not None:
        votes = harmonise(shares(corpus.votes, corpus.scheme), corpus.name, EKMAN_8)
        crowd = votes.loc[corpus.utterances.index].to_numpy(np.float32)
    targets = {"intention": intention, "crowd": crowd, "both": (intention + crowd) / 2}
    rows = corpus.utterances.index[keep]
    kept = Heard(
        corpus.select(rows), heard.alone[keep], heard.in_context[keep], heard.fingerprints
    )
    return Taught(kept, {name: target[keep] for name, target in targets.items()})


def _fit(
    taught: list[Taught], choice: Choice, options: RunOptions, *, keep_state: bool = False
) -> LinearHead:
    """Train on everything given, each utterance heard alone and in context."""
    target, l2 = choice
    once = np.concatenate([part.targets[target] for part in taught])
    x = np.concatenate([p.heard.alone for p in taught] + [p.heard.in_context for p in taught])
    return fit(
        x,
        np.concatenate([once, once]),
        l2=l2,
        seed=options.seed,
        epochs=options.epochs,
        state=options.out / "training.safetensors" if keep_state else None,
    )


def _choose(taught: dict[str, Taught], options: RunOptions) -> pd.DataFrame:
    """Leave each training corpus out in turn, for every choice; UAR on its intended labels.

    The mean over corpora of the mean of alone and in context decides.
    """
    rows = []
    tell = options.progress("leave one corpus out", len(TARGET_CHOICES) * len(L2_CHOICES))
    for target in TARGET_CHOICES:
        for l2 in L2_CHOICES:
            row: dict[str, object] = {"target": target, "l2": l2}
            for name, left_out in taught.items():
                rest = [part for other, part in taught.items() if other != name]
                head = _fit(rest, (target, l2), options)
                truth = left_out.targets["intention"]
                for way, x in (("alone", left_out.heard.alone), ("context", left_out.heard.in_context)):
                    row[f"{name} {way}"] = _uar(truth, logits(head, x))
            row["mean"] = float(np.mean([v for k, v in row.items() if k not in ("target", "l2")]))
            rows.append(row)
            tell(1)
    return pd.DataFrame(rows)


def _uar(truth: np.ndarray, scores: np.ndarray) -> float:
    """UAR among the classes that the corpus has; the others are banned."""
    classes = truth.argmax(1)
    present = np.unique(classes)
    answers = present[scores[:, present].argmax(1)]
    return unweighted_average_recall(classes, answers)


def _calibrate(
    taught: dict[str, Taught], choice: Choice, options: RunOptions
) -> tuple[float, dict[str, float]]:
    """Fit the temperature to speakers that the model which scored them never met."""
    truths, scores = [], []
    folds = {
        name: by_speaker(
            part.heard.corpus.utterances,
            min(N_CALIBRATION_FOLDS, part.heard.corpus.utterances["speaker"].nunique()),
            seed=options.seed,
        )
        for name, part in taught.items()
    }
    tell = options.progress("held-out speakers", N_CALIBRATION_FOLDS)
    for number in range(N_CALIBRATION_FOLDS):
        inner, outer = [], []
        for name, part in taught.items():
            if number < len(folds[name]):
                split = folds[name][number]
                guard(split, part.heard.corpus.utterances, fingerprints=part.heard.fingerprints)
                inner.append(_rows(part, split.train))
                outer.append(_rows(part, split.test))
            else:
                inner.append(part)
        head = _fit(inner, choice, options)
        for part in outer:
            for x in (part.heard.alone, part.heard.in_context):
                truths.append(part.targets[choice[0]])
                scores.append(logits(head, x))
        tell(1)
    truth, score = np.concatenate(truths), np.concatenate(scores)
    temperature = fit_temperature(score, truth)
    return temperature, {
        "utterances": len(truth) // 2,
        "expected_calibration_error": expected_calibration_error(truth, softmax(score, temperature)),
        "uncalibrated": expected_calibration_error(truth, softmax(score)),
    }


def _rows(part: Taught, ids: tuple[str, ...]) -> Taught:
    corpus = part.heard.corpus
    rows = corpus.utterances.index.get_indexer(pd.Index(ids))
    heard = Heard(
        corpus.select(ids), part.heard.alone[rows], part.heard.in_context[rows], part.heard.fingerprints
    )
    return Taught(heard, {name: target[rows] for name, target in part.targets.items()})


def _card(
    taught: dict[str, Taught],
    choice: Choice,
    best: pd.Series,
    temperature: float,
    calibration: dict[str, float],
    options: RunOptions,
) -> dict[str, object]:
    """Say what the model is: what a user, a lawyer and a reviewer would ask."""
    corpora = []
    for name, part in taught.items():
        corpus = part.heard.corpus
        corpora.append(
            {
                **{key: corpus.card.get(key) for key in ("name", "version", "licence", "citation")},
                "utterances": len(corpus),
                "speakers": sorted(f"{name}/{s}" for s in corpus.utterances["speaker"].unique()),
            }
        )
    mass = np.concatenate([part.targets[choice[0]] for part in taught.values()]).mean(0)
    return {
        "name": "affekt-base",
        "version": __version__,
        "licence": LICENCE,
        "labels": list(EKMAN_8),
        "upstream": "openai/whisper-base, MIT; first 3 layers, weights rounded to 8 bits",
        "corpora": corpora,
        "held_out_speakers": [f"crema-d/{speaker}" for speaker in HELD_OUT],
        "never_seen": [f"{name} (zero-shot test)" for name in ZERO_SHOT],
        "target": f"{choice[0]} (of crema-d; the others: the actor's intention)",
        "selection": "leave one corpus out among the training corpora, mean UAR",
        "options": {"l2": choice[1], "epochs": options.epochs, "seed": options.seed},
        "temperature": temperature,
        "prior": dict(zip(EKMAN_8, (round(float(m), 6) for m in mass), strict=True)),
        "metrics": {
            "leave_one_corpus_out": {
                k: round(float(v), 4) for k, v in best.items() if k not in ("target", "l2")
            },
            "calibration_on_held_out_speakers": calibration,
        },
    }


def _report_held_out(head: LinearHead, options: RunOptions, temperature: float) -> None:
    """Look at the actors of CREMA-D that took no part in anything above."""
    corpus = options.corpora.get("crema-d")
    if corpus is None:
        return
    heard = hear(corpus, frozen_encoder(options.upstream), options)
    table = heard.corpus.utterances
    rows = np.flatnonzero(table["speaker"].isin(HELD_OUT).to_numpy())
    if len(rows):
        actors = Heard(
            heard.corpus.select(table.index[rows]),
            heard.alone[rows],
            heard.in_context[rows],
            heard.fingerprints,
        )
        report_zero_shot(actors, logits(head, actors.alone) / temperature, options, "held-out-actors")
