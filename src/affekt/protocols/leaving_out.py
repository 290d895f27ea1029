"""Choosing and calibrating a tuned encoder by what it was not taught: parts are left out in turn.

Of several corpora each is a part; of one alone, five parts of its speakers are. What is left out
is judged by the published labels, whatever was taught.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from affekt.calibration import fit_temperature, softmax
from affekt.metrics import expected_calibration_error, unweighted_average_recall
from affekt.models.whisper import WhisperEncoder
from affekt.protocols.cross_corpus import run_key
from affekt.protocols.probe import RunOptions
from affekt.protocols.tuning import Floats, Plan, Voices, ask, kept_on_disk, tune
from affekt.splits import by_speaker
from affekt.tables import write_table

KEPT = (0.0, 0.25, 0.5, 0.75, 1.0)  # share of the published weights; 1: a linear probe
N_PARTS = 5  # of one corpus' speakers

Parts = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Choice:
    """A plan, how much of the published weights it keeps, and how it did on what was left out.

    `recalls`: part -> UAR among its own classes; `logits`: of every utterance, rows utterances.
    """

    plan: str
    kept: float
    recalls: dict[str, float]
    logits: pd.DataFrame

    @property
    def mean(self) -> float:
        """What decides."""
        return float(np.mean(list(self.recalls.values())))


@dataclass(frozen=True, eq=False)
class LeavingOut:
    """Parts left out in turn; what comes of each is kept on disk.

    Attributes:
        known: everything that may be learned from.
        truth: the published labels, rows utterances of `known`.
        plans: by name.
        encoder: where training begins.
        options: where files go, seed, epochs, layers.
    """

    known: Voices
    truth: pd.DataFrame
    plans: Mapping[str, Plan]
    encoder: WhisperEncoder
    options: RunOptions
    parts: Parts = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", parts_of(self.known, self.options.seed))

    def plan(self, name: str) -> Plan:
        """A plan with the layers asked for."""
        return replace(self.plans[name], layers=self.options.layers)

    def key(self, name: str) -> str:
        """What the files of a plan are called: it changes with data, plan, seed and epochs."""
        run = run_key({"": self.known.heard}, self.options)
        return f"{name}-{hashlib.sha256(repr((run, self.plan(name))).encode()).hexdigest()[:12]}"

    def logits(self, name: str, part: str) -> dict[str, Floats]:
        """What was taught by all others says of a part, by the share of KEPT."""
        asked = self.known.select(self.parts[part])

        def compute(state: Path) -> dict[str, Floats]:
            left = set(self.parts[part])
            ids = [id_ for id_ in self.known.heard.corpus.utterances.index if id_ not in left]
            others, what = self.known.select(ids), f"{name}, without {part}"
            plan = self.plan(name)
            tuned = tune(others, plan, self.encoder, self.options, state=state, what=what)
            return {f"{k:g}": ask(tuned.kept(k), asked, precision="bfloat16") for k in KEPT}

        file = f"without-{part}-{self.key(name)}.safetensors"
        return kept_on_disk(self.options.out / file, compute)


def parts_of(known: Voices, seed: int) -> Parts:
    """Give what is left out in turn: each corpus, or of one alone five parts of its speakers.

    Raises:
        SplitError: there is one corpus, of one speaker, or speakers are not known.
    """
    table = known.heard.corpus.utterances
    names = list(dict.fromkeys(table["corpus"]))
    if len(names) > 1:
        return {name: table.index[table["corpus"] == name].tolist() for name in names}
    folds = by_speaker(table, min(N_PARTS, table["speaker"].nunique()), seed=seed)
    return {f"part-{number}": list(fold.test) for number, fold in enumerate(folds, start=1)}


def choose(left_out: LeavingOut, names: Sequence[str]) -> Choice:
    """Give the plan and the share kept that do best on what was left out; all go to choice.csv."""
    found = []
    for name in names:
        logits = {part: left_out.logits(name, part) for part in left_out.parts}
        for kept in KEPT:
            tables = {
                part: pd.DataFrame(logits[part][f"{kept:g}"], list(ids), left_out.truth.columns)
                for part, ids in left_out.parts.items()
            }
            recalls = {
                part: recall_among_own(left_out.truth.loc[own.index], own)
                for part, own in tables.items()
            }
            found.append(Choice(name, kept, recalls, pd.concat(tables.values())))
    rows = [{"plan": c.plan, "kept": c.kept, **c.recalls, "mean": c.mean} for c in found]
    table = pd.DataFrame(rows).round(4).rename_axis("choice")
    write_table(table, left_out.options.out / "choice.csv")
    return max(found, key=lambda choice: choice.mean)


def recall_among_own(truth: pd.DataFrame, scores: pd.DataFrame) -> float:
    """UAR among the classes that the utterances have; the others are banned."""
    classes = truth.to_numpy().argmax(1)
    present = np.unique(classes)
    answered = present[scores.to_numpy()[:, present].argmax(1)]
    return unweighted_average_recall(classes, answered)


def calibrate(best: Choice, truth: pd.DataFrame) -> tuple[float, dict[str, float]]:
    """Fit the temperature to what was left out: answers about unseen voices shall not be too sure.

    Returns:
        The temperature, and the calibration error before and after, on what it was fitted to.
    """
    target, scores = truth.loc[best.logits.index].to_numpy(), best.logits.to_numpy()
    temperature = fit_temperature(scores, target)
    before, after = (
        expected_calibration_error(target.argmax(1), softmax(scores, t)) for t in (1.0, temperature)
    )
    return temperature, {"ece_uncalibrated": round(before, 4), "ece_in_sample": round(after, 4)}
