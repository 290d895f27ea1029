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
from affekt.exceptions import CorpusError
from affekt.export import write_onnx
from affekt.harmonise import harmonise
from affekt.recipes.card import card_of
from affekt.recipes.cross_corpus import (
    Corpora,
    Heads,
    assemble,
    choose,
    fit_heads,
    held_out_temperature,
    refuse_leaks,
    run_key,
)
from affekt.recipes.probe import Heard, RunOptions, frozen_encoder, hear
from affekt.recipes.results import Result, write_zero_shot
from affekt.scheme import EKMAN_8
from affekt.votes.shares import shares

REFERENCE = {"emodb": 0.7009, "urdu": 0.5249}  # accuracy, zero-shot
TRAINED_ON = ("crema-d", "ravdess", "nemo", "tess", "emovo")
ZERO_SHOT = ("emodb", "urdu")
HELD_OUT = ("1088", "1089", "1090", "1091")  # CREMA-D's last actors: the demo's voices
L2_CHOICES = (0.01, 0.03, 0.1, 0.3)
TARGET_CHOICES = ("intention", "crowd", "both")  # what CREMA-D's clips teach


def main(options: RunOptions) -> list[Result]:
    """Choose, calibrate, train on all, write checkpoint and recogniser, then look at the tests."""
    training = [name for name in options.corpora if name not in ZERO_SHOT]
    if len(training) < 2:
        raise CorpusError(
            "affekt_base trains on two or more corpora, so that one can be left out at a time;"
            f" got {', '.join(training) or 'none'} (emodb and urdu are only tested on)"
        )
    encoder = frozen_encoder(options)
    heard = {
        name: hear(corpus, encoder, options, in_context=name not in ZERO_SHOT)
        for name, corpus in options.corpora.items()
    }
    teaching = {
        target: {name: _teach(_actors(heard[name]), target) for name in training}
        for target in TARGET_CHOICES
    }
    unseen = [heard[name] for name in ZERO_SHOT if name in heard]
    refuse_leaks(teaching["intention"], [_teach(part, "intention") for part in unseen])
    table = choose(teaching, teaching["intention"], L2_CHOICES, options)
    best = {str(key): value for key, value in table.iloc[int(table["mean"].argmax())].items()}
    taught = teaching[best["target"]]
    temperature, calibration = held_out_temperature(taught, best["l2"], options)
    heads = _train(taught, best, options)
    card = card_of(taught, best, temperature, calibration, options)
    if set(training) == set(TRAINED_ON):
        held_out = [f"crema-d/{actor}" for actor in HELD_OUT]
        card |= {"name": "affekt-base", "licence": "CC-BY-NC-SA-4.0", "never_seen": [*ZERO_SHOT]}
        card |= {"held_out_speakers": held_out}
    model = assemble(encoder, heads, len(EKMAN_8), options)
    checkpoint.save(options.out / "checkpoint", model, card)
    write_onnx(model, options.out / "recognizer", card)
    labels = pd.concat([part.corpus.labels for part in taught.values()])
    tests = [("zero-shot", part) for part in unseen]
    if "crema-d" in heard:
        tests.append(("held-out actors", _actors(heard["crema-d"], held_out=True)))
    return [
        write_zero_shot(
            part.corpus, heads.of_recordings(part) / temperature, labels, split, options, REFERENCE
        )
        for split, part in tests
    ]


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


def _train(taught: Corpora, best: dict[str, Any], options: RunOptions) -> Heads:
    """Train both heads on everything, resumably."""
    key = f"{run_key(taught, options)}-{best['target']}-{best['l2']}"
    states = [options.out / f"training-{key}-{way}.safetensors" for way in ("alone", "context")]
    heads = fit_heads(list(taught.values()), best["l2"], options, states)
    for state in states:
        state.unlink()
    return heads
