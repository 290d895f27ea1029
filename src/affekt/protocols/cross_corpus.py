"""Choosing and calibrating a model of several corpora, with nothing but those corpora.

What is chosen does best where one corpus at a time is left out; the temperature is fitted to
speakers that the model which scored them never met.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from affekt.adapt import Voice, baseline, offsets
from affekt.calibration import fit_temperature, softmax
from affekt.corpus import Corpus, concat
from affekt.metrics import expected_calibration_error, unweighted_average_recall
from affekt.models.heads import LinearHead
from affekt.models.whisper import WhisperEncoder
from affekt.models.whisper_probe import MAX_ALONE_FRAMES, WhisperProbe, WhisperProbeConfig
from affekt.protocols.probe import Heard, RunOptions, fit, logits
from affekt.splits import Split, by_speaker, guard, leave_one_corpus_out
from affekt.tables import read_table, write_table

N_FOLDS = 5
MAX_ALONE_SECONDS = MAX_ALONE_FRAMES / 50  # frames of 20 ms
N_BATCHES = 32  # an epoch; of 16, 32 and 64 what leave-one-corpus-out likes best over three seeds

Corpora = Mapping[str, Heard]


class Recorded(Protocol):
    """A corpus, and a hash of each utterance's sound."""

    @property
    def corpus(self) -> Corpus:
        """The corpus."""
        ...

    @property
    def fingerprints(self) -> Mapping[str, str]:
        """Utterance -> hash."""
        ...


class Heads(NamedTuple):
    """One head for what is heard alone, one for what is heard within a longer recording."""

    alone: LinearHead
    in_context: LinearHead

    def of_recordings(self, heard: Heard) -> NDArray[np.float64]:
        """Give logits of recordings heard alone, as the network does: the long ones in context."""
        long = heard.seconds > MAX_ALONE_SECONDS
        return np.where(
            long[:, None], logits(self.in_context, heard.alone), logits(self.alone, heard.alone)
        )


def assemble(
    encoder: WhisperEncoder, heads: Heads, n_outputs: int, options: RunOptions
) -> WhisperProbe:
    """Put the frozen encoder and both heads together: the network that ships."""
    shape = encoder.config
    config = WhisperProbeConfig(n_outputs, options.layers, shape.n_mels, shape.width, shape.n_heads)
    model = WhisperProbe(config)
    model.encoder, model.head, model.context_head = encoder, heads.alone, heads.in_context
    return model


def fit_heads(
    heard: Sequence[Heard],
    l2: float,
    options: RunOptions,
    states: Sequence[Path | None] = (None, None),
) -> Heads:
    """Fit both heads with the same penalty; `states` make the two trainings resumable."""
    return Heads(
        *(
            fit(
                heard,
                l2=l2,
                options=options,
                in_context=in_context,
                n_batches=N_BATCHES,
                state=state,
            )
            for in_context, state in zip((False, True), states, strict=True)
        )
    )


def reference_logits(heads: Heads, taught: Corpora) -> dict[str, list[float] | float]:
    """Say where the training data lay: each head's mean logits, for voices to be put there.

    Every corpus counts the same. The large ones alone would be a place of their own: leaving one
    of five out at a time, adaptation by speaker then gains 12.0 and 5.7 points of UAR, alone and
    in context, against 9.9 and 2.8 with every utterance counting the same.

    Returns:
        What `affekt.card.reference` reads.
    """
    ways = {
        "alone": [logits(heads.alone, part.alone) for part in taught.values()],
        "in_context": [logits(heads.in_context, part.in_context) for part in taught.values()],
    }
    means = {
        way: np.mean([part.mean(axis=0) for part in parts], axis=0).round(6).tolist()
        for way, parts in ways.items()
    }
    return {**means, "alone_seconds": MAX_ALONE_SECONDS}


def adapted(
    heads: Heads, heard: Heard, reference: Mapping[str, Any], groups: Sequence[Any]
) -> NDArray[np.float64]:
    """Give logits as `Heads.of_recordings`, each group's measured from its own unlabelled mean.

    Args:
        heads: those of `reference`.
        heard: recordings, (n,).
        reference: what `reference_logits` gives.
        groups: (n,), the speaker of each, say.
    """
    scores, long = heads.of_recordings(heard), heard.seconds > MAX_ALONE_SECONDS
    names = np.asarray(groups)
    for name in set(groups):
        mine = names == name
        ways = (scores[mine & ~long], scores[mine & long])
        voice = Voice(*(baseline(found) if len(found) else None for found in ways))
        short, others = offsets(voice, reference["alone"], reference["in_context"])
        scores[mine] += np.where(long[mine, None], others, short)
    return scores


def refuse_leaks(taught: Mapping[str, Recorded], tests: Iterable[Recorded]) -> None:
    """Refuse corpora or tests that share speakers or identical audio with one another.

    Raises:
        SplitError: naming them.
    """
    tests = list(tests)
    everything = [*taught.values(), *tests]
    whole = concat([part.corpus for part in everything])
    prints = {
        f"{part.corpus.name}/{utterance}": print_
        for part in everything
        for utterance, print_ in part.fingerprints.items()
    }
    known = [
        f"{part.corpus.name}/{u}" for part in taught.values() for u in part.corpus.labels.index
    ]
    unseen = [f"{part.corpus.name}/{u}" for part in tests for u in part.corpus.labels.index]
    if unseen:
        guard(Split("tests", tuple(known), tuple(unseen)), whole.utterances, fingerprints=prints)
    among = whole.select(known).utterances
    for split in leave_one_corpus_out(among) if len(taught) > 1 else ():
        guard(split, among, fingerprints=prints)


def choose(
    teaching: Mapping[str, Corpora],
    truth: Corpora,
    l2_choices: Iterable[float],
    options: RunOptions,
) -> pd.DataFrame:
    """Leave each corpus out in turn, for every choice of target and penalty.

    Rows are kept in `choice.csv` as they come, so an interrupted run goes on behind the last.

    Args:
        teaching: target -> the corpora with the labels of that target.
        truth: the corpora with the labels that the left-out one is judged by.
        l2_choices: penalties to try.
        options: where to, seed, epochs.

    Returns:
        One row a choice: target, l2, UAR of each corpus when left out, heard alone and in
        context, and `mean`, which decides.
    """
    path = options.out / "choice.csv"
    key = run_key(truth, options)
    done = _rows_done(path, key)
    tell = options.progress(
        "leave one corpus out", sum(1 for _ in teaching) * len(list(l2_choices))
    )
    for target, taught in teaching.items():
        for l2 in l2_choices:
            if not any(row["target"] == target and row["l2"] == l2 for row in done):
                found = _left_out(taught, truth, l2, options)
                mean = float(np.mean(list(found.values())))
                done.append({"target": target, "l2": l2, "mean": mean, **found, "key": key})
                write_table(pd.DataFrame(done).rename_axis("choice"), path)
            tell(1)
    return pd.DataFrame(done).drop(columns="key")


def run_key(heard: Corpora, options: RunOptions) -> str:
    """Hash what a run's intermediate files depend on: seed, epochs, and all that was heard."""
    digest = hashlib.sha256(repr((options.seed, options.epochs)).encode())
    for name, part in heard.items():
        digest.update(repr((name, list(part.corpus.labels.index))).encode())
        for values in (part.alone, part.in_context, part.seconds, part.corpus.labels.to_numpy()):
            digest.update(values.tobytes())
    return digest.hexdigest()[:12]


def _rows_done(path: Path, key: str) -> list[dict[str, object]]:
    if not path.exists():
        return []
    rows = read_table(path).drop(columns="choice", errors="ignore").to_dict("records")
    return [{str(k): v for k, v in row.items()} for row in rows if row.get("key") == key]


def _left_out(taught: Corpora, truth: Corpora, l2: float, options: RunOptions) -> dict[str, float]:
    """UAR of each corpus under the model that was trained on the others."""
    found = {}
    for name, left_out in truth.items():
        heads = fit_heads([part for n, part in taught.items() if n != name], l2, options)
        labels = left_out.corpus.labels.to_numpy()
        found[f"{name} alone"] = _uar(labels, heads.of_recordings(left_out))
        found[f"{name} in context"] = _uar(labels, logits(heads.in_context, left_out.in_context))
    return found


def _uar(truth: NDArray[np.float64], scores: NDArray[np.float64]) -> float:
    """UAR among the classes that the corpus has; the others are banned."""
    classes = truth.argmax(1)
    present = np.unique(classes)
    return unweighted_average_recall(classes, present[scores[:, present].argmax(1)])


def held_out_temperature(
    taught: Corpora, l2: float, options: RunOptions
) -> tuple[float, dict[str, float]]:
    """Fit the temperature to five folds of unseen speakers of every corpus.

    Returns:
        The temperature, and the calibration error before and after, on the rows it was fitted to.
    """
    folds = {name: _folds(part, options.seed) for name, part in taught.items()}
    truths, scores = [], []
    tell = options.progress("held-out speakers", N_FOLDS)
    for number in range(N_FOLDS):
        now = {name: splits[number] for name, splits in folds.items() if number < len(splits)}
        train = [
            part.select(now[name].train) if name in now else part for name, part in taught.items()
        ]
        heads = fit_heads(train, l2, options)
        for name, split in now.items():
            part = taught[name].select(split.test)
            truths += [part.corpus.labels.to_numpy()] * 2
            scores += [heads.of_recordings(part), logits(heads.in_context, part.in_context)]
        tell(1)
    truth, score = np.concatenate(truths), np.concatenate(scores)
    temperature = fit_temperature(score, truth)
    before, after = (
        expected_calibration_error(truth.argmax(1), softmax(score, t)) for t in (1.0, temperature)
    )
    return temperature, {"ece_uncalibrated": round(before, 4), "ece_in_sample": round(after, 4)}


def _folds(part: Heard, seed: int) -> list[Split]:
    table = part.corpus.utterances
    splits = by_speaker(table, min(N_FOLDS, table["speaker"].nunique()), seed=seed)
    for split in splits:
        guard(split, table, fingerprints=part.fingerprints)
    return splits
