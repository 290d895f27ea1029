"""Which emotions follow each other: CTC on the 34 features, and on frames of a frozen Whisper.

The CTC paper (Chernykh and Prikhodko 2017, arXiv:1701.08071) taught its network one label an
utterance, and left sequences for later. Here utterances of one speaker are put behind each other,
2 to 4 emotions a recording, half of the recordings with neutral speech between them. The same
network, two bidirectional LSTM layers, is taught the order of the labels: once on the 34 features,
once on what a linear probe says of Whisper's third layer, means and deviations over windows of
1.5 s around each 0.1 s. The layers are never told a time; the probe, which is taught windows of the
same recordings, knows their borders. It is tested on recordings of speakers it never met; when to
stop is chosen on speakers of the training part.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from affekt import __version__, audio, plots, sequencer
from affekt.atomic import replacing
from affekt.concatenate import NEUTRAL, Concatenation, Drawing, draw, singles, sound, usable
from affekt.corpus import Corpus
from affekt.protocols.folds import folds_of, only_corpus
from affekt.protocols.probe import RunOptions, frozen_encoder
from affekt.protocols.sequence_data import Heard, check_lengths, hear
from affekt.protocols.sequence_networks import log_probs_of, taught
from affekt.protocols.sequence_report import SequenceReport, compared, constant, report
from affekt.protocols.spectrogram_folds import chosen_folds, chosen_methods
from affekt.segmenting import DECODERS, Found, frame_edges, segment
from affekt.sequencer import HOP_SECONDS, Hearing, ShortTerm34, WhisperStates
from affekt.splits import Split, guard
from affekt.timeline import Segment
from affekt.train import together

READS = frozenset({"epochs", "folds", "layers", "method", "split", "upstream"})
N_PER_SPEAKER = 80  # recordings of several emotions, half of them with neutral speech between
N_EXAMPLES = 4

Floats = NDArray[np.float64]

HEARINGS: dict[str, Callable[[RunOptions], Hearing]] = {  # what the two networks hear
    "34-features": lambda options: ShortTerm34(),
    "whisper": lambda options: WhisperStates(frozen_encoder(options)),
}
PROBED = ("whisper",)  # a linear probe on windows of its frames stands before the layers


@dataclass(frozen=True)
class Result:
    """A report and the folder it was written to."""

    report: SequenceReport
    folder: Path


def main(options: RunOptions) -> list[Result]:
    """Draw recordings, teach both networks fold by fold, decode both ways; report, write models."""
    corpus = only_corpus(options).with_durations()
    corpus = corpus.select(usable(corpus).index)
    splits, split_name = folds_of(corpus, options)
    splits = chosen_folds(splits, options)
    recordings = recordings_of(corpus, options.seed)
    rows: list[dict[str, object]] = []
    answers: dict[str, dict[str, Found]] = {}
    methods = chosen_methods(HEARINGS, options, HEARINGS)
    hearings = {method: HEARINGS[method](options) for method in methods}  # or say now what lacks
    for method, hearing in hearings.items():
        tell = options.progress(f"{method}, heard", len(recordings))
        with together().main_process_first():
            heard = hear(corpus, recordings, hearing, options.store, tell)
        check_lengths(heard)
        rows += [] if rows else _constant(heard, corpus, splits)
        new, answers[method] = _cross_validate(method, heard, corpus, splits, options)
        rows += new
        if options.folds is None:
            state = options.out / method / "state-all.safetensors"
            model = taught(heard, corpus, options, state, probed=method in PROBED)
            card = _card(corpus, method, options)
            sequencer.save(options.out / method / "model", model, hearing, card)
    title = f"Sequences of emotions, {corpus.name}, {len(corpus.scheme)} classes"
    notes = [f"{split_name}; recordings are utterances of one speaker put behind each other"]
    page = report(pd.DataFrame(rows).rename_axis("row"), title, notes, seed=options.seed)
    page.write(options.out)
    with replacing(options.out / "results_rows.md") as temporary:
        lines = page.results_rows(corpus.name, split_name, options.command)
        temporary.write_text(lines, "utf-8")
    tested = set(splits[0].test)
    shown = [r for r in recordings if len(r.labels) > 2 and r.utterances[0] in tested]
    for one in shown[:: max(1, len(shown) // N_EXAMPLES)][:N_EXAMPLES]:
        _write_example(corpus, one, {m: found[one.name] for m, found in answers.items()}, options)
    return [Result(page, options.out)]


def recordings_of(corpus: Corpus, seed: int) -> list[Concatenation]:
    """Draw recordings of every speaker, and take every utterance alone."""
    half = N_PER_SPEAKER // 2
    labels = set(corpus.labels.columns[corpus.labels.to_numpy().max(axis=0) > 0])
    has_neutral = NEUTRAL in labels and len(labels) > 2
    plain = draw(corpus, N_PER_SPEAKER - half if has_neutral else N_PER_SPEAKER, seed=seed)
    between = Drawing(neutral="between")
    gaps = draw(corpus, half, between, seed=seed + 1) if has_neutral else []
    renamed = [replace(one, name=f"{one.name}-gaps") for one in gaps]
    return sorted([*plain, *renamed, *singles(corpus)], key=lambda one: one.speaker)


def _cross_validate(
    method: str, heard: Heard, corpus: Corpus, splits: Sequence[Split], options: RunOptions
) -> tuple[list[dict[str, object]], dict[str, Found]]:
    """Give the rows of all decoders on all recordings, and what the first decoder found."""
    prints = dict(zip((r.name for r in heard.recordings), heard.fingerprints, strict=True))
    rows: list[dict[str, object]] = []
    answers: dict[str, Found] = {}
    tell = options.progress(f"{method}, folds", len(splits))
    for split in splits:
        guard(split, corpus.utterances, fingerprints=prints)
        tested = set(corpus.utterances.loc[list(split.test), "speaker"])
        state = options.out / method / f"state-{split.name.replace('/', '-')}.safetensors"
        known, asked = heard.sides(tested)
        model = taught(known, corpus, options, state, probed=method in PROBED)
        for one, truth, seconds, frames in zip(
            asked.recordings, asked.segments, asked.seconds, log_probs_of(model, asked), strict=True
        ):
            centres = heard.first + HOP_SECONDS * np.arange(len(frames))
            edges = frame_edges(centres, HOP_SECONDS, float(seconds))
            for decoder in DECODERS:
                found = segment(frames, list(corpus.scheme), edges, decoder=decoder)
                about = {"method": method, "decoder": decoder, "fold": split.name}
                rows.append(compared(one, truth, found, **about))
                answers.setdefault(one.name, found)
        tell(1)
    return rows, answers


def _constant(heard: Heard, corpus: Corpus, splits: Sequence[Split]) -> list[dict[str, object]]:
    """Answer one label throughout, that which most seconds of the training part have."""
    rows = []
    for split in splits:
        tested = set(corpus.utterances.loc[list(split.test), "speaker"])
        known, asked = heard.sides(tested)
        seconds = dict.fromkeys(corpus.scheme, 0.0)
        for start, end, label in chain.from_iterable(known.segments):
            seconds[label] += end - start
        answer = max(seconds, key=seconds.__getitem__)
        for one, truth, length in zip(asked.recordings, asked.segments, asked.seconds, strict=True):
            about = {"method": "always the same", "decoder": "none", "fold": split.name}
            rows.append(compared(one, truth, constant(answer, float(length)), **about))
    return rows


def _card(corpus: Corpus, method: str, options: RunOptions) -> dict[str, object]:
    """Say what the model that is written has heard."""
    known = {key: corpus.card.get(key) for key in ("version", "licence", "citation")}
    speakers = sorted(f"{corpus.name}/{s}" for s in corpus.utterances["speaker"].dropna().unique())
    return {
        "name": f"{corpus.name}-{method}-ctc",
        "version": __version__,
        "labels": list(corpus.scheme),
        "corpora": [
            {"name": corpus.name, **known, "utterances": len(corpus), "speakers": speakers}
        ],
        "upstream": None if method == "34-features" else options.upstream_name,
        "selection": "emotion error rate on a fifth of the speakers, which it was not trained on",
        "options": {"seed": options.seed, "n_per_speaker": N_PER_SPEAKER},
    }


def _write_example(
    corpus: Corpus, one: Concatenation, found: Mapping[str, Found], options: RunOptions
) -> None:
    """Write a recording that no network was taught, and draw what each says of it."""
    made = sound(corpus, one)
    name = one.name.replace("/", "-")
    folder = options.out / "examples"
    folder.mkdir(parents=True, exist_ok=True)
    audio.write(folder / f"{name}.wav", made.waveform)
    if find_spec("matplotlib"):
        rows = {"truth": [Segment(*part, 1.0) for part in made.segments]}
        rows |= {method: list(answer.segments) for method, answer in found.items()}
        picture = plots.sequences(rows, waveform=made.waveform, title=f"{corpus.name}, {name}")
        plots.save(picture, folder / f"{name}.png")
