"""A crowd teaches the Dusha network, and what it taught is tuned on another corpus.

Table 3 of Kondratenko et al. 2022, arXiv:2212.12266, and its configuration `podcast_tune` (spec
1.6.3) with open corpora: CREMA-D, whose voices a crowd labelled, plays Dusha's crowd part; another
corpus plays the podcasts. One network is taught the crowd's vote shares (soft), one its majority
(hard, tied labels share); both answer for a fifth of the speakers, whom they never met, and are
judged by the crowd's majority there. Each is then tuned on the other corpus' folds at a third of
the rate, beside a network that starts there from nothing and trains as long as the tuning does.
toy alone makes a rehearsal: half of it plays the crowd's corpus, each label its only vote.
"""

from dataclasses import replace

import pandas as pd
import torch

from affekt.corpus import Corpus
from affekt.exceptions import CorpusError
from affekt.protocols.clips import Clips
from affekt.protocols.dusha_networks import METHODS, OURS
from affekt.protocols.folds import folds_of
from affekt.protocols.probe import RunOptions
from affekt.protocols.released import release, started_from, with_start
from affekt.protocols.results import Result, write
from affekt.protocols.spectrogram_folds import (
    FOLDS_READ,
    check_folds,
    chosen_folds,
    chosen_methods,
    cross_validate,
    lasted,
    refuse_shared,
    several,
    warnings_of,
)
from affekt.protocols.spectrograms import Taught, clips_of, teach, usable
from affekt.report import evaluate
from affekt.splits import Split, by_speaker
from affekt.votes.majority import majority
from affekt.votes.shares import shares

READS = FOLDS_READ | {"method", "split"}
N_FOLDS = 5  # one fifth of the crowd's speakers is tested
TARGETS = {"soft": shares, "hard": majority}
WAYS = ("soft", "soft-tuned", "hard", "hard-tuned", "from-nothing")  # rows, for `--method`
CROWD = replace(OURS, training=replace(OURS.training, epochs=10))
TUNED = METHODS["tuned"]
FROM_NOTHING = replace(OURS, training=replace(OURS.training, epochs=20))


def main(options: RunOptions) -> list[Result]:
    """Teach the crowd's labels, test, tune on the other corpus, test; `--method` names some."""
    asked = chosen_methods(WAYS, options, WAYS)
    crowd, other = _pair(options)
    table = crowd.utterances
    tested = by_speaker(table, min(N_FOLDS, table["speaker"].nunique()), seed=options.seed)[0]
    splits, split_name = folds_of(other, options)
    chosen = chosen_folds(splits, options)
    for name in asked:
        start = replace(options, init=None) if name == "from-nothing" else options
        if name not in TARGETS:
            check_folds(other, chosen, name, TUNED, start)
        if name != "from-nothing":
            check_folds(crowd, [tested], name.removesuffix("-tuned"), CROWD, start)
    tuning, heard = clips_of(other, TUNED, options), clips_of(crowd, CROWD, options)
    refuse_shared({crowd.name: heard, other.name: tuning})
    if any(name.endswith("-tuned") for name in asked):  # before the crowd teaches
        warnings_of(chosen, other, options, tuning.fingerprints)
    taught: dict[str, Result] = {}
    results = []
    for name in WAYS:
        taught_by = name.removesuffix("-tuned")
        if name not in asked:
            continue
        if taught_by in TARGETS and taught_by not in taught:  # a state that is done costs nothing
            taught[taught_by] = _crowd(taught_by, heard, tested, options)
        if name in TARGETS:
            results.append(taught[name])
            continue
        method, begun = FROM_NOTHING, replace(options, init=None)
        if name != "from-nothing":
            method, begun = TUNED, replace(options, init=options.out / taught_by / "network")
        results.append(cross_validate(tuning, splits, split_name, name, method, begun))
    return results


def _pair(options: RunOptions) -> tuple[Corpus, Corpus]:
    """Give the corpus with votes, which is named first, as far as anybody voted, and the other.

    Raises:
        CorpusError: there are not just two, the first with votes.
    """
    corpora = several(options)
    if len(corpora) != 2 or corpora[0].votes is None:
        raise CorpusError(
            "dusha_crowd needs one corpus with votes, such as crema-d=ROOT, then another to tune"
            f" on; there are {', '.join(corpus.name for corpus in corpora)}"
        )
    crowd, other = corpora
    voted = crowd.utterances.index.isin(corpora[0].votes["utterance"])
    return usable(crowd.select(crowd.utterances.index[voted])), usable(other)


def _crowd(name: str, clips: Clips, split: Split, options: RunOptions) -> Result:
    """Teach what the crowd said, one way or the other; test on a fifth of the speakers; release."""
    table, scheme, votes = clips.corpus.utterances, clips.corpus.scheme, clips.corpus.votes
    assert votes is not None
    notes = warnings_of([split], clips.corpus, options, clips.fingerprints)
    votes = votes[votes["utterance"].isin(table.index)]
    target = TARGETS[name](votes, scheme).loc[table.index]
    known = replace(clips, corpus=clips.corpus.relabel(target, scheme)).select(split.train)
    state = options.out / f"{name}{started_from(options)}"
    taught = teach(CROWD, known, None, options, state=state, what=name)
    truth = shares(votes, scheme).loc[list(split.test)]
    folder = options.out / name / "network"
    release(folder, taught, [known.corpus], CROWD, options, split=f"{name}, {split.name}")
    return _report(taught, clips.select(split.test), truth, name, notes, options)


def _report(
    taught: Taught,
    test: Clips,
    truth: pd.DataFrame,
    name: str,
    notes: list[str],
    options: RunOptions,
) -> Result:
    """Judge by what most of the crowd heard."""
    logits = torch.from_numpy(taught.ask(test.spectrograms))
    answer = pd.DataFrame(logits.softmax(1), truth.index, truth.columns)
    took = lasted(taught.trained.seconds / 60)
    report = evaluate(
        truth,
        answer,
        speakers=test.corpus.utterances["speaker"],
        notes=[*notes, f"{took} of training; epochs: {taught.epochs}"],
        seed=options.seed,
    )
    what = f"{test.corpus.name}, what most heard, taught {name} labels ({took})"
    split = with_start(f"1 of {N_FOLDS} by speaker", options)
    return write(report, answer, options.out / name, what, split, options)
