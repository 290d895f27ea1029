"""A recogniser that holds on new voices: Whisper tuned on many corpora, eight labels.

After Osman, Nadeem and Khoriba 2023, arXiv:2311.08607 (spec 3): soft labels, augmentation,
sequences, gradient reversal over domains. Beyond it: rooms, telephone lines and codecs; the head
begins as a linear probe; and what was learned is drawn back towards the published weights.
`--method` names plans of PLANS, all by default; of them and of KEPT that is chosen which does best
where one training corpus at a time is left out, unseen in every respect. `--folds crema-d,nemo`
leaves just these out and stops, so that several shells share the work; without it what is there is
taken, and what is missing is done.

Trained on crema-d, ravdess, nemo, tess and emovo, or on any two or more corpora of one's own.
emodb, urdu (zero-shot tests) and banglaser, hindi (languages to look at) may be given too: nothing
is trained, chosen or calibrated with them. For scale, the paper (spec 3.8) prints REFERENCE; its
encoder is larger, and heard 375 h.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from affekt import checkpoint
from affekt.calibration import fit_temperature, softmax
from affekt.exceptions import CorpusError
from affekt.export import write_onnx
from affekt.metrics import expected_calibration_error, unweighted_average_recall
from affekt.models.rounding import round_weights
from affekt.models.whisper import WhisperEncoder
from affekt.recipes import eight_labels
from affekt.recipes.card import card_of
from affekt.recipes.cross_corpus import refuse_leaks, run_key
from affekt.recipes.probe import Heard, RunOptions, frozen_encoder, hear
from affekt.recipes.results import Result, write_zero_shot
from affekt.recipes.spectrogram_folds import chosen_methods
from affekt.recipes.tuning import L2, Plan, Voices, ask, kept_on_disk, tune, voices
from affekt.tables import write_table

REFERENCE = {"emodb": 0.7009, "urdu": 0.5249}  # accuracy, zero-shot
READS = frozenset({"upstream", "layers", "epochs", "folds", "method"})
PLANS = {"tuned": Plan()}
KEPT = (0.0, 0.25, 0.5, 0.75, 1.0)  # share of the published weights; 1: a linear probe

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Choice:
    """A plan, how much of the published weights it keeps, and how it did on corpora left out.

    `recalls`: corpus -> UAR among its own classes; `logits`: of all of them, in that order.
    """

    plan: str
    kept: float
    recalls: dict[str, float]
    logits: dict[str, Floats]

    @property
    def mean(self) -> float:
        """What decides."""
        return float(np.mean(list(self.recalls.values())))


def main(options: RunOptions) -> list[Result]:
    """Choose, calibrate, train on all, write checkpoint and recogniser, then look at the tests."""
    training = [n for n in options.corpora if n not in eight_labels.NEVER_TRAINED_ON]
    if len(training) < 2:
        raise CorpusError(
            "generalizable trains on two or more corpora, so that one can be left out at a time;"
            f" got {', '.join(training) or 'none'}"
            f" ({', '.join(eight_labels.NEVER_TRAINED_ON)} are only tested on)"
        )
    encoder = frozen_encoder(options)
    heard = {n: hear(c, encoder, options, in_context=False) for n, c in options.corpora.items()}
    taught = {n: eight_labels.teach(eight_labels.actors(heard[n])) for n in training}
    unseen = {n: part for n, part in heard.items() if n not in training}
    refuse_leaks(taught, [eight_labels.teach(part) for part in unseen.values()])
    known = voices(list(taught.values()), options)
    left_out = Leaving(known, encoder, run_key(taught, options), options)
    names = chosen_methods(PLANS, options, PLANS)
    if options.folds is not None:
        for name, corpus in product(names, _asked(training, options)):
            left_out.logits(name, corpus)
        return []
    best = choose(left_out, names, training)
    temperature, calibration = calibrate(best, known)
    plan = replace(PLANS[best.plan], layers=options.layers)
    state = options.out / f"training-{left_out.key(best.plan)}.safetensors"
    model = tune(known, plan, encoder, options, state=state, what="all corpora").kept(best.kept)
    round_weights(model.encoder)
    measured = {"target": "both", "l2": L2, "mean": best.mean} | best.recalls
    card = card_of(taught, measured, temperature, calibration, options)
    card |= how_tuned(best, plan, options)
    probe = model.probe()
    checkpoint.save(options.out / "checkpoint", probe, card)
    write_onnx(probe, options.out / "recognizer", card)
    tests = [("zero-shot", part) for part in unseen.values()]
    if "crema-d" in heard:
        tests.append(("held-out actors", eight_labels.actors(heard["crema-d"], held_out=True)))
    results = [
        _report(best.logits[name], part, known, "left out", temperature, options)
        for name, part in ((name, eight_labels.actors(heard[name])) for name in training)
    ]
    for split, part in tests:
        asked = voices([eight_labels.teach(part)], options)
        results.append(_report(ask(model, asked), part, known, split, temperature, options))
    return results


@dataclass(frozen=True, eq=False)
class Leaving:
    """Each corpus left out in turn; what comes of it is kept on disk."""

    known: Voices
    encoder: WhisperEncoder
    run: str  # hash of the data and of the seed
    options: RunOptions

    def key(self, plan: str) -> str:
        """Name of a training's files, without the corpus left out."""
        how = repr((self.run, PLANS[plan], self.options.layers))
        return f"{plan}-{hashlib.sha256(how.encode()).hexdigest()[:12]}"

    def logits(self, plan: str, corpus: str) -> dict[str, Floats]:
        """What was taught by all others says of a corpus, by the share of KEPT."""

        def compute(state: Path) -> dict[str, Floats]:
            how = replace(PLANS[plan], layers=self.options.layers)
            others, asked = self.known.part(corpus, without=True), self.known.part(corpus)
            what = f"{plan}, without {corpus}"
            tuned = tune(others, how, self.encoder, self.options, state=state, what=what)
            return {f"{k:g}": ask(tuned.kept(k), asked, precision="bfloat16") for k in KEPT}

        name = f"without-{corpus}-{self.key(plan)}.safetensors"
        return kept_on_disk(self.options.out / name, compute)


def choose(left_out: Leaving, plans: Sequence[str], training: Sequence[str]) -> Choice:
    """Give the plan and the share kept that do best on corpora left out; all go to choice.csv."""
    found = []
    for plan in plans:
        logits = {corpus: left_out.logits(plan, corpus) for corpus in training}
        for kept in KEPT:
            own = {corpus: logits[corpus][f"{kept:g}"] for corpus in training}
            recalls = {
                corpus: recall_among_own(left_out.known.part(corpus), scores)
                for corpus, scores in own.items()
            }
            found.append(Choice(plan, kept, recalls, own))
    rows = [{"plan": c.plan, "kept": c.kept, **c.recalls, "mean": c.mean} for c in found]
    table = pd.DataFrame(rows).round(4).rename_axis("choice")
    write_table(table, left_out.options.out / "choice.csv")
    return max(found, key=lambda choice: choice.mean)


def recall_among_own(voices: Voices, scores: Floats) -> float:
    """UAR among the classes that the utterances have; the others are banned."""
    classes = voices.heard.corpus.labels.to_numpy().argmax(1)
    present = np.unique(classes)
    return unweighted_average_recall(classes, present[scores[:, present].argmax(1)])


def calibrate(best: Choice, known: Voices) -> tuple[float, dict[str, float]]:
    """Fit the temperature to corpora left out: answers about unseen ones shall not be too sure.

    Returns:
        The temperature, and the calibration error before and after, on what it was fitted to.
    """
    truth = np.concatenate([known.part(c).heard.corpus.labels.to_numpy() for c in best.logits])
    scores = np.concatenate(list(best.logits.values()))
    temperature = fit_temperature(scores, truth)
    before, after = (
        expected_calibration_error(truth.argmax(1), softmax(scores, t)) for t in (1.0, temperature)
    )
    return temperature, {"ece_uncalibrated": round(before, 4), "ece_in_sample": round(after, 4)}


def how_tuned(best: Choice, plan: Plan, options: RunOptions) -> dict[str, Any]:
    """What the card says of a tuned recogniser in other words than of a frozen one."""
    return {
        "upstream": {
            "name": options.upstream_name,
            "licence": "MIT",
            "layers": options.layers,
            "weights": f"top {plan.n_tuned} blocks tuned, {best.kept:g} of the published weights"
            " kept, rounded to 8 bits behind the training",
        },
        "selection": "mean UAR, leaving one training corpus out at a time, heard alone",
        "options": {
            "plan": best.plan,
            "kept": best.kept,
            "epochs": options.epochs or plan.training.epochs,
            "seed": options.seed,
        },
    }


def _asked(training: Sequence[str], options: RunOptions) -> Sequence[str]:
    """The corpora that this run leaves out."""
    for name in options.folds or ():
        if name not in training:
            raise CorpusError(f"--folds {name}: trained on are {', '.join(training)}")
    return options.folds or training


def _report(
    logits: Floats, part: Heard, known: Voices, split: str, temperature: float, options: RunOptions
) -> Result:
    """Report on a corpus that was not trained on; the majority is that of the others."""
    others = known.heard.corpus.labels[known.heard.corpus.utterances["corpus"] != part.corpus.name]
    return write_zero_shot(part.corpus, logits / temperature, others, split, options, REFERENCE)
