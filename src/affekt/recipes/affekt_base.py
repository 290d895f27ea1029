"""`affekt-base`, the bundled recogniser: three layers of Whisper base and two linear heads.

Trained on crema-d, ravdess, nemo, tess and emovo (or on any two or more corpora of one's own).
What is chosen, the penalty and which labels CREMA-D teaches, is chosen by leaving one of them out
at a time; the temperature is fitted to held-out speakers of them. `emodb` and `urdu` may be given
too: they are zero-shot tests, looked at once, after everything is chosen. For scale, the Whisper
paper (spec 3.8) prints REFERENCE; its encoder is larger, trained as a whole, on 375 h.
"""

from typing import Any

import pandas as pd

from affekt import checkpoint
from affekt.adapt import refuse_one_label
from affekt.exceptions import CorpusError, TableError
from affekt.export import write_onnx
from affekt.protocols.card import card_of
from affekt.protocols.cross_corpus import (
    Corpora,
    Heads,
    adapted,
    assemble,
    choose,
    fit_heads,
    held_out_temperature,
    reference_logits,
    refuse_leaks,
    run_key,
)
from affekt.protocols.eight_labels import (
    HELD_OUT,
    NEVER_TRAINED_ON,
    TARGETS,
    TRAINED_ON,
    actors,
    teach,
)
from affekt.protocols.probe import Heard, RunOptions, frozen_encoder, hear
from affekt.protocols.results import Result, write_zero_shot
from affekt.scheme import EKMAN_8

REFERENCE = {"emodb": 0.7009, "urdu": 0.5249}  # accuracy, zero-shot
READS = frozenset({"epochs", "layers", "upstream"})
L2_CHOICES = (0.01, 0.03, 0.1, 0.3)


def main(options: RunOptions) -> list[Result]:
    """Choose, calibrate, train on all, write checkpoint and recogniser, then look at the tests."""
    training = [name for name in options.corpora if name not in NEVER_TRAINED_ON]
    if len(training) < 2:
        raise CorpusError(
            "affekt_base trains on two or more corpora, so that one can be left out at a time;"
            f" got {', '.join(training) or 'none'}"
            f" ({', '.join(NEVER_TRAINED_ON)} are only tested on)"
        )
    encoder = frozen_encoder(options)
    heard = {
        name: hear(corpus, encoder, options, in_context=name in training)
        for name, corpus in options.corpora.items()
    }
    teaching = {
        target: {name: teach(actors(heard[name]), target) for name in training}
        for target in TARGETS
    }
    unseen = [heard[name] for name in NEVER_TRAINED_ON if name in heard]
    refuse_leaks(teaching["intention"], [teach(part, "intention") for part in unseen])
    table = choose(teaching, teaching["intention"], L2_CHOICES, options)
    best = {str(key): value for key, value in table.iloc[int(table["mean"].argmax())].items()}
    taught = teaching[best["target"]]
    temperature, calibration = held_out_temperature(taught, best["l2"], options)
    heads = _train(taught, best, options)
    card = card_of(taught, best, temperature, calibration, options)
    card["reference_logits"] = reference_logits(heads, taught)
    if set(training) == set(TRAINED_ON):
        held_out = [f"crema-d/{actor}" for actor in HELD_OUT]
        card |= {
            "name": "affekt-base",
            "licence": "CC-BY-NC-SA-4.0",
            "never_seen": [*NEVER_TRAINED_ON],
        }
        card |= {"held_out_speakers": held_out}
    model = assemble(encoder, heads, len(EKMAN_8), options)
    checkpoint.save(options.out / "checkpoint", model, card)
    write_onnx(model, options.out / "recognizer", card)
    labels = pd.concat([part.corpus.labels for part in taught.values()])
    tests = [("zero-shot", part) for part in unseen]
    if "crema-d" in heard:
        tests.append(("held-out actors", actors(heard["crema-d"], held_out=True)))
    answers = [(split, part, heads.of_recordings(part)) for split, part in tests]
    for part in unseen:
        answers += [
            (f"adapted by {mode}", part, adapted(heads, part, card["reference_logits"], groups))
            for mode, groups in _groups(part).items()
        ]
    return [
        write_zero_shot(part.corpus, scores / temperature, labels, split, options, REFERENCE)
        for split, part, scores in answers
    ]


def _groups(heard: Heard) -> dict[str, list[str]]:
    """Give the modes of adaptation that leave a corpus its labels, and who belongs together."""
    corpus = heard.corpus
    speakers = corpus.utterances["speaker"].fillna("unknown").astype(str).tolist()
    modes = {"folder": [corpus.name] * len(corpus), "speaker": speakers}
    truth = corpus.labels.idxmax(axis=1).tolist()
    try:
        refuse_one_label(speakers, truth, mode="speaker")
    except TableError:  # URDU's speakers have one emotion each
        del modes["speaker"]
    return modes


def _train(taught: Corpora, best: dict[str, Any], options: RunOptions) -> Heads:
    """Train both heads on everything, resumably."""
    key = f"{run_key(taught, options)}-{best['target']}-{best['l2']}"
    states = [options.out / f"training-{key}-{way}.safetensors" for way in ("alone", "context")]
    heads = fit_heads(list(taught.values()), best["l2"], options, states)
    for state in states:
        state.unlink(missing_ok=True)
    return heads
