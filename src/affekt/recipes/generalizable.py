"""A recogniser that holds on new voices: Whisper tuned on many corpora, eight labels.

After Osman, Nadeem and Khoriba 2023, arXiv:2311.08607 (spec 3): soft labels, augmentation,
sequences, gradient reversal over domains. Beyond it: rooms, telephone lines and codecs; the head
begins as a linear probe; and what was learned is drawn back towards the published weights.
`--method` names plans of PLANS, all by default; of them and of KEPT that is chosen which does best
where one training corpus at a time is left out, unseen in every respect; of one corpus alone, five
parts of its speakers are left out. `--folds crema-d,nemo` leaves just these out and stops, so that
several shells share the work; without it what is there is taken, and what is missing is done.

Trained on crema-d, ravdess, nemo, tess and emovo, or on any corpora of one's own.
emodb, urdu (zero-shot tests) and banglaser, hindi (languages to look at) may be given too: nothing
is trained, chosen or calibrated with them. For scale, the paper (spec 3.8) prints REFERENCE; its
encoder is larger, and heard 375 h.
"""

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np

from affekt import checkpoint
from affekt.corpus import concat
from affekt.exceptions import CorpusError
from affekt.export import write_onnx
from affekt.models import WhisperTuned
from affekt.models.rounding import round_weights
from affekt.protocols import eight_labels
from affekt.protocols.card import card_of
from affekt.protocols.cross_corpus import MAX_ALONE_SECONDS, refuse_leaks
from affekt.protocols.leaving_out import Choice, LeavingOut, calibrate, choose
from affekt.protocols.probe import Heard, RunOptions, frozen_encoder, hear
from affekt.protocols.results import Result, write_zero_shot
from affekt.protocols.spectrogram_folds import chosen_methods
from affekt.protocols.tuning import L2, Floats, Plan, Voices, ask, tune, voices

REFERENCE = {"emodb": 0.7009, "urdu": 0.5249}  # accuracy, zero-shot
READS = frozenset({"upstream", "layers", "epochs", "folds", "method"})
PLANS = {"tuned": Plan()}


def main(options: RunOptions) -> list[Result]:
    """Choose, calibrate, train on all, write checkpoint and recogniser, then look at the tests."""
    training = [n for n in options.corpora if n not in eight_labels.NEVER_TRAINED_ON]
    if not training:
        never = ", ".join(eight_labels.NEVER_TRAINED_ON)
        raise CorpusError(f"generalizable: there is no corpus to train on; {never} are tests")
    encoder = frozen_encoder(options)
    heard = {n: hear(c, encoder, options, in_context=False) for n, c in options.corpora.items()}
    own = {n: eight_labels.actors(heard[n]) for n in training}
    taught = {n: eight_labels.teach(part) for n, part in own.items()}
    unseen = {n: part for n, part in heard.items() if n not in training}
    refuse_leaks(taught, [eight_labels.teach(part) for part in unseen.values()])
    known = voices(list(taught.values()), options)
    meant = concat([eight_labels.teach(part, "intention").corpus for part in own.values()])
    left_out = LeavingOut(known, meant.labels, PLANS, encoder, options)
    names = chosen_methods(PLANS, options, PLANS)
    if options.folds is not None:
        for name, left in product(names, _asked(left_out, options)):
            left_out.logits(name, left)
        return []
    best = choose(left_out, names)
    temperature, calibration = calibrate(best, left_out.truth)
    plan = left_out.plan(best.plan)
    state = options.out / f"training-{left_out.key(best.plan)}.safetensors"
    model = tune(known, plan, encoder, options, state=state, what="all corpora").kept(best.kept)
    round_weights(model.encoder)
    measured = {"target": "both", "l2": L2, "mean": best.mean} | best.recalls
    card = card_of(taught, measured, temperature, calibration, options)
    card |= how_tuned(best, plan, options) | {"reference_logits": reference_logits(model, known)}
    probe = model.probe()
    checkpoint.save(options.out / "checkpoint", probe, card)
    write_onnx(probe, options.out / "recognizer", card)
    results = []
    for name, part in own.items():
        logits = best.logits.loc[[f"{name}/{id_}" for id_ in part.corpus.utterances.index]]
        found = logits.to_numpy() / temperature
        results.append(_report(found, part, known, "left out", options))
    tests = [("zero-shot", part) for part in unseen.values()]
    if "crema-d" in heard:
        tests.append(("held-out actors", eight_labels.actors(heard["crema-d"], held_out=True)))
    for split, part in tests:
        found = ask(model, voices([eight_labels.teach(part)], options)) / temperature
        results.append(_report(found, part, known, split, options))
    return results


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
        "selection": f"mean UAR, leaving out {', '.join(best.recalls)} one at a time, heard alone",
        "options": {
            "plan": best.plan,
            "kept": best.kept,
            "epochs": options.epochs or plan.training.epochs,
            "seed": options.seed,
        },
    }


def reference_logits(model: WhisperTuned, known: Voices) -> dict[str, list[float] | float]:
    """Say where the training data lay, each corpus counting the same: `affekt.card.reference`.

    One head answers for what is heard alone and in context; clips heard alone are what is asked.
    """
    logits, corpora = ask(model, known), known.heard.corpus.utterances["corpus"].to_numpy()
    means = [logits[corpora == corpus].mean(axis=0) for corpus in dict.fromkeys(corpora)]
    mean = np.mean(means, axis=0).round(6).tolist()
    return {"alone": mean, "in_context": mean, "alone_seconds": MAX_ALONE_SECONDS}


def _asked(left_out: LeavingOut, options: RunOptions) -> Sequence[str]:
    """The parts that this run leaves out."""
    for name in options.folds or ():
        if name not in left_out.parts:
            raise CorpusError(f"--folds {name}: there are {', '.join(left_out.parts)}")
    return options.folds or list(left_out.parts)


def _report(scores: Floats, part: Heard, known: Voices, split: str, options: RunOptions) -> Result:
    """Report on a corpus that was not trained on; the majority is that of the others."""
    others = known.part(part.corpus.name, without=True)
    labels = (others if len(others.heard.corpus) else known).heard.corpus.labels
    return write_zero_shot(part.corpus, scores, labels, split, options, REFERENCE)
