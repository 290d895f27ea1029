"""What each part of the recipe `generalizable` adds on corpora that were left out.

Rows of ROWS (issue: augmentation, sampler, gradient reversal, smoothing, layer mix, logit
adjustment), each trained with seeds 0, 1, 2 (`--seeds`) on a subset that is the same for all:
CLIPS utterances an epoch, EPOCHS epochs, of the corpora given but for those of LEFT_OUT, which are
what is tested. `--method` names rows; a run takes what others have left in `--out`, so several
shells may share the work.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from affekt import augment
from affekt.atomic import replacing
from affekt.bootstrap import interval_of_totals
from affekt.exceptions import CorpusError
from affekt.harmonise import Smoothing
from affekt.metrics import confusion_recall, mean_present
from affekt.models.whisper import WhisperEncoder
from affekt.protocols import eight_labels
from affekt.protocols.cross_corpus import refuse_leaks
from affekt.protocols.probe import RunOptions, frozen_encoder, hear
from affekt.protocols.spectrogram_folds import chosen_methods
from affekt.protocols.tuning import TRAINING, Plan, Voices, ask, kept_on_disk, tune, voices
from affekt.tables import write_table

READS = frozenset({"upstream", "epochs", "method", "seeds"})
LEFT_OUT = ("nemo", "emovo")  # other languages, rooms and microphones than the rest
CLIPS, EPOCHS = 3000, 4
N_SEEDS = 3
BASE = Plan(clips=CLIPS, training=replace(TRAINING, epochs=EPOCHS))

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Row:
    """A plan, and how weak utterances are smoothed."""

    plan: Plan
    smoothing: Smoothing | None = None


ROWS = {
    "all": Row(BASE),
    "frozen probe": Row(replace(BASE, training=replace(BASE.training, epochs=0))),
    "no augmentation": Row(replace(BASE, chances={}, masks=False)),
    "no rooms, lines, codecs": Row(replace(BASE, chances=augment.PAPER)),
    "no sampler": Row(replace(BASE, together=0.0)),
    "sampler alone": Row(replace(BASE, together=1.0)),
    "no gradient reversal": Row(replace(BASE, domain_weight=0.0)),
    "neutral smoothing": Row(BASE, "neutral"),
    "printed smoothing": Row(BASE, "printed"),
    "layer mix": Row(replace(BASE, layers=(1, 2, 3))),
    "logit adjustment": Row(replace(BASE, balance="logits")),
    "neither weights nor adjustment": Row(replace(BASE, balance="none")),
}


@dataclass(frozen=True, eq=False)
class Ablation:
    """The table: a row each, UAR of each corpus left out and their mean, and what it differs by."""

    table: pd.DataFrame
    notes: tuple[str, ...]

    def to_markdown(self) -> str:
        """The page."""
        heads = list(self.table.columns)
        lines = [*(f"> {note}\n" for note in self.notes), f"| {' | '.join(heads)} |"]
        lines.append("|" + "---|" * len(heads))
        lines += [f"| {' | '.join(map(str, row))} |" for row in self.table.itertuples(index=False)]
        return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class Written:
    """The page and its folder."""

    report: Ablation
    folder: Path


def main(options: RunOptions) -> list[Written]:
    """Train every row with every seed, ask all about the corpora left out, and compare."""
    left_out = [name for name in options.corpora if name in LEFT_OUT]
    if not left_out or len(left_out) == len(options.corpora):
        raise CorpusError(
            f"generalizable_ablation tests on {' and '.join(LEFT_OUT)} and trains on other corpora:"
            f" give some of both, not {', '.join(options.corpora)}"
        )
    parts = cache(partial(_parts, left_out, options))  # the same for most rows
    totals: dict[str, NDArray[np.int64]] = {}
    trained_on = ""
    n_seeds = max(options.seeds, N_SEEDS)
    for name in chosen_methods(ROWS, options, ROWS):
        row = ROWS[name]
        encoder, known, asked = parts(row.plan.layers, row.smoothing)
        seeds = range(options.seed, options.seed + n_seeds)
        found = [_answers(name, encoder, known, asked, replace(options, seed=s)) for s in seeds]
        totals[name] = np.sum([_counts(asked, logits) for logits in found], axis=0)
        trained_on = known.heard.corpus.name
    epochs = options.epochs or EPOCHS
    notes = (
        f"trained on {trained_on}: {CLIPS} utterances an epoch; epochs: {epochs}; seeds: {n_seeds};"
        f" tested on {', '.join(left_out)}, unseen; published labels, others banned",
        "95 % by bootstrap over speakers, all seeds together; differences to the first row, paired",
    )
    report = Ablation(compare(totals, left_out, options.seed), notes)
    with replacing(options.out / "ablation.md") as temporary:
        temporary.write_text(report.to_markdown(), "utf-8")
    write_table(report.table.rename_axis("row"), options.out / "ablation.csv")
    return [Written(report, options.out)]


def compare(
    totals: Mapping[str, NDArray[np.int64]], corpora: Sequence[str], seed: int
) -> pd.DataFrame:
    """Make the table; the first row is what the others are compared with.

    Args:
        totals: row -> (n_speakers, n_corpora, c, c) confusion matrices.
        corpora: names of the second axis.
        seed: of the bootstrap.
    """
    first = next(iter(totals.values()))
    lines = []
    for name, own in totals.items():
        line = {"what": name}
        for number, corpus in enumerate(corpora):
            line[corpus] = f"{mean_recall(own[:, [number]].sum(0)):.3f}"
        low, high = interval_of_totals(mean_recall, own, seed=seed)
        line["mean UAR"] = f"{mean_recall(own.sum(0)):.3f} [{low:.3f}, {high:.3f}]"
        both = np.stack([own, first], axis=1)
        low, high = interval_of_totals(_difference, both, seed=seed)
        line["difference"] = f"{_difference(both.sum(0)):+.3f} [{low:+.3f}, {high:+.3f}]"
        lines.append(line)
    lines[0]["difference"] = ""
    return pd.DataFrame(lines)


def mean_recall(confusion: NDArray[np.generic]) -> Floats:
    """UAR of each corpus, averaged over them: (..., n_corpora, c, c) -> (...)."""
    means: Floats = np.asarray(mean_present(confusion_recall(confusion))).mean(-1)
    return means


def _difference(both: NDArray[np.generic]) -> Floats:
    return mean_recall(both[..., 0, :, :, :]) - mean_recall(both[..., 1, :, :, :])


def _parts(
    left_out: Sequence[str],
    options: RunOptions,
    layers: tuple[int, ...],
    smoothing: Smoothing | None,
) -> tuple[WhisperEncoder, Voices, Voices]:
    """Where training begins, what it learns from, and what is asked, with the published labels."""
    options = replace(options, layers=layers)
    encoder = frozen_encoder(options)
    heard = {
        name: eight_labels.actors(hear(corpus, encoder, options, in_context=False))
        for name, corpus in options.corpora.items()
    }
    known = {
        name: eight_labels.teach(part, smoothing=smoothing)
        for name, part in heard.items()
        if name not in (*left_out, *eight_labels.NEVER_TRAINED_ON)
    }
    asked = [eight_labels.teach(heard[name], "intention") for name in left_out]
    refuse_leaks(known, asked)
    return encoder, voices(list(known.values()), options), voices(asked, options)


def _answers(
    name: str, encoder: WhisperEncoder, known: Voices, asked: Voices, options: RunOptions
) -> Floats:
    """Logits of what is asked, from disk if they are there."""
    plan = ROWS[name].plan
    labels = known.heard.corpus.labels.to_numpy().tobytes()
    how = hashlib.sha256(repr((plan, options.epochs)).encode() + labels).hexdigest()[:12]

    def compute(state: Path) -> dict[str, Floats]:
        what = f"{name}, seed {options.seed}"
        tuned = tune(known, plan, encoder, options, state=state, what=what)
        return {"logits": ask(tuned.network, asked, precision="bfloat16")}

    path = options.out / f"{name.replace(' ', '-')}-seed{options.seed}-{how}.safetensors"
    return kept_on_disk(path, compute)["logits"]


def _counts(asked: Voices, logits: Floats) -> NDArray[np.int64]:
    """Confusion matrices, (n_speakers, n_corpora, c, c), by speaker and corpus."""
    corpus = asked.heard.corpus
    truth = corpus.labels.to_numpy().argmax(1)
    speakers, speaker_of = np.unique(corpus.utterances["speaker"], return_inverse=True)
    of_corpus = corpus.utterances["corpus"].to_numpy()
    names = list(dict.fromkeys(of_corpus))
    n_labels = logits.shape[1]
    counts = np.zeros((len(speakers), len(names), n_labels, n_labels), np.int64)
    for number, name in enumerate(names):
        own = np.flatnonzero(of_corpus == name)
        present = np.unique(truth[own])
        answered = present[logits[own][:, present].argmax(1)]
        where = np.stack([speaker_of[own], np.full(len(own), number), truth[own], answered])
        np.add.at(counts, tuple(where), 1)
    return counts
