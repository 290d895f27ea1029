"""A method on spectrograms, fold by fold: taught, released, asked, reported together."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd
import torch
from torch import nn

from affekt.corpus import Corpus
from affekt.exceptions import CorpusError, SplitError
from affekt.models import MultiScale
from affekt.protocols.clips import Clips
from affekt.protocols.probe import RunOptions
from affekt.protocols.released import (
    check_start,
    guard_start,
    name_of,
    release,
    started_from,
    with_start,
)
from affekt.protocols.results import Result, write
from affekt.protocols.spectrograms import Method, Taught, teach
from affekt.report import evaluate
from affekt.splits import Split, guard, held_out_speakers, stratified

# of RunOptions: what teaching, asking and reporting here reads beside the common ones
FOLDS_READ = frozenset({"allow_shared_speakers", "epochs", "folds", "init", "protocol"})
HELD_OUT_SHARE = 0.1  # of the training utterances, where speakers are shared anyway
SELECTED = "SELECTED ON THE TEST PART"
SELECTED_ON_TEST = f"{SELECTED}: the epoch was chosen by what is reported here"
PLAIN, ATTACKED = "", "fake"  # ways of asking
REHEARSAL = "rehearsal"  # of a corpus' card: what reports open with where its part is played
PLAYED = (
    "A REHEARSAL, NO RESULT: each half of toy's speakers plays a corpus, each label its only vote"
)


@dataclass(frozen=True, eq=False)
class Folds:
    """What a method said of the test parts of some folds.

    Attributes:
        answers: way of asking, PLAIN or ATTACKED -> probabilities, rows utterances.
        fold_of: utterance -> its fold's name.
        notes: what a reader must know.
        n_parameters: of the network.
        minutes: of training, all folds together.
        split_name: for RESULTS.md.
    """

    answers: dict[str, pd.DataFrame]
    fold_of: pd.Series
    notes: list[str]
    n_parameters: int
    minutes: float
    split_name: str


def chosen_methods(known: Iterable[str], options: RunOptions, default: Iterable[str]) -> list[str]:
    """Give the methods that `--method` names, divided by commas, or the default ones.

    Raises:
        CorpusError: there is none of a name.
    """
    names = list(default) if options.method is None else options.method.split(",")
    there = list(known)
    for name in names:
        if name not in there:
            raise CorpusError(f"--method {name}: there are {', '.join(there)}")
    return names


def chosen_folds(splits: Sequence[Split], options: RunOptions) -> list[Split]:
    """Give the folds that `--folds` names, or all, in their order.

    A fold's number, from 1 on, is a name, too.

    Raises:
        CorpusError: there is none of a name.
    """
    if options.folds is None:
        return list(splits)
    by_name = {str(number): split for number, split in enumerate(splits, start=1)}
    by_name |= {split.name: split for split in splits}
    strange = [name for name in options.folds if name not in by_name]
    if strange:
        there = ", ".join(split.name for split in splits)
        raise CorpusError(f"--folds {','.join(strange)}: there are {there}")
    wanted = {by_name[name].name for name in options.folds}
    return [split for split in splits if split.name in wanted]


def cross_validate(
    clips: Clips,
    splits: Sequence[Split],
    split_name: str,
    name: str,
    method: Method,
    options: RunOptions,
    *,
    notes: Sequence[str] = (),
) -> Result:
    """Teach on each fold's training part, ask its test part, report all of them together.

    Where the method chooses an epoch, a part of the training speakers does; with the protocol
    "paper" the test part does, as in some papers, and the report says so first.
    """
    found = ask_folds(clips, splits, split_name, name, method, options, notes=notes)
    return report_folds(clips, found, PLAIN, name, options)


def ask_folds(
    clips: Clips,
    splits: Sequence[Split],
    split_name: str,
    name: str,
    method: Method,
    options: RunOptions,
    *,
    notes: Sequence[str] = (),
) -> Folds:
    """Teach on each fold's training part and ask its test part, plainly and attacked.

    Each fold's network is released as a checkpoint folder below the method's.

    Raises:
        CorpusError: `--folds` names what is no fold.
        CheckpointError: the checkpoint of `--init` does not fit, or lies where this run writes.
        SplitError: a fold shares speakers or recordings, or the checkpoint learned from speakers
            that are tested, and it is not allowed.
    """
    chosen = chosen_folds(splits, options)
    check_folds(clips.corpus, chosen, name, method, options)
    head = [SELECTED_ON_TEST] if options.protocol == "paper" else []
    head += [*warnings_of(chosen, clips.corpus, options, clips.fingerprints), *notes]
    parts: dict[str, list[pd.DataFrame]] = {}
    epochs, minutes, n_parameters = [], 0.0, 0
    for split in chosen:
        taught = teach_fold(clips, split, name, method, options)
        test = clips.select(split.test)
        parts.setdefault(PLAIN, []).append(answers(taught, test))
        if method.attack is not None:
            parts.setdefault(ATTACKED, []).append(answers(taught, test, method.attack))
        minutes += taught.trained.seconds / 60
        epochs.append(_epochs(taught))
        n_parameters = count_parameters(taught.model)
        if taught.rate != method.training.learning_rate:
            ends = ", and collapsed again" if taught.collapsed else ""
            head.append(
                f"{split.name} had collapsed: trained anew at a rate of {taught.rate:g}{ends}"
            )
        told = "" if method.tell is None else method.tell(taught, test.spectrograms)
        if told:
            head.append(f"{split.name}: {told}")
    head.append(
        f"{n_parameters:,} parameters; {lasted(minutes)} of training; epochs: {', '.join(epochs)}"
    )
    fold_of = pd.Series({id_: split.name for split in chosen for id_ in split.test})
    if len(chosen) < len(splits):
        split_name = f"{split_name}: {len(chosen)} of them"
    split_name = with_start(split_name, options)
    if options.protocol == "paper":  # its row in RESULTS.md says so, too
        split_name = f"{SELECTED}: {split_name}"
    found = {way: pd.concat(tables).rename_axis("utterance") for way, tables in parts.items()}
    return Folds(found, fold_of, head, n_parameters, minutes, split_name)


def report_folds(
    clips: Clips,
    found: Folds,
    way: str,
    name: str,
    options: RunOptions,
    *,
    notes: Sequence[str] = (),
) -> Result:
    """Write the report of one way of asking, PLAIN or ATTACKED, to the folder `name`."""
    corpus, predictions = clips.corpus, found.answers[way]
    report = evaluate(
        corpus.labels.loc[predictions.index],
        predictions,
        speakers=corpus.utterances["speaker"],
        folds=found.fold_of,
        notes=[*found.notes, *notes],
        seed=options.seed,
    )
    what = (
        f"{corpus.name}, {len(corpus.scheme)} classes, {name}"
        f" ({found.n_parameters:,} parameters, {lasted(found.minutes)})"
    )
    return write(report, predictions, options.out / name, what, found.split_name, options)


def count_parameters(model: nn.Module) -> int:
    """Count what is learnt; kernels that the authors' MTS ties to another are no further ones."""
    tied = ".branches." if isinstance(model, MultiScale) else None
    named = model.named_parameters()
    return sum(p.numel() for name, p in named if tied is None or tied not in name)


def lasted(minutes: float) -> str:
    """Say how long a training took.

    >>> lasted(0.3), lasted(1.2), lasted(71.8)
    ('under a minute', '1 min', '72 min')
    """
    return f"{minutes:.0f} min" if minutes >= 1 else "under a minute"


def check_folds(
    corpus: Corpus, splits: Sequence[Split], name: str, method: Method, options: RunOptions
) -> None:
    """Say what is wrong with folds or checkpoint while nothing has been computed yet.

    Args:
        corpus: only what is usable.
        splits: the folds that will be run.
        name: of the method, and of the folder that this run writes it to.
        method: its network and feature.
        options: the checkpoint, and whether shared speakers are allowed.

    Raises:
        CheckpointError: the checkpoint of `--init` does not fit, or lies where this run writes.
        SplitError: a fold shares speakers, or the checkpoint learned from speakers that are
            tested, and it is not allowed.
    """
    check_start(options.out / name, method, list(corpus.scheme), options)
    warnings_of(splits, corpus, options)


def warnings_of(
    splits: Sequence[Split],
    corpus: Corpus,
    options: RunOptions,
    prints: Mapping[str, str] | None = None,
) -> list[str]:
    """Guard every fold before any is trained on; what is shared and allowed is said.

    So is the checkpoint that training starts from, which is guarded as well, and a rehearsal.

    Args:
        splits: the folds.
        corpus: has all of them.
        options: the checkpoint, and whether shared speakers are allowed.
        prints: fingerprint of each recording; None: recordings are not compared.
    """
    shared, table = options.allow_shared_speakers, corpus.utterances
    tested = [id_ for split in splits for id_ in split.test]
    found = [corpus.card.get(REHEARSAL), guard_start(corpus, tested, options)]
    found += [
        guard(split, table, fingerprints=prints, allow_shared_speakers=shared) for split in splits
    ]
    warnings = [warning for warning in found if warning]
    if options.init is not None:
        warnings.append(f"training started from the checkpoint {name_of(options.init)}")
    return warnings


def several(options: RunOptions) -> list[Corpus]:
    """Give the corpora of a run; of toy alone, two that its speakers play, half of them each.

    So what needs two corpora, or votes, can be tried on toy: each label is one vote there.
    """
    corpora = list(options.corpora.values())
    if [corpus.name for corpus in corpora] != ["toy"]:
        return corpora
    toy, found = corpora[0], []
    speakers = toy.utterances["speaker"]
    first = speakers.isin(sorted(speakers.unique())[: speakers.nunique() // 2])
    for number, part in enumerate((first, ~first), start=1):
        half = toy.select(toy.utterances.index[part])
        votes = half.labels.idxmax(axis=1).rename("label").rename_axis("utterance").reset_index()
        card = {**half.card, REHEARSAL: PLAYED}
        name = f"{toy.name}-{number}"
        found.append(replace(half, name=name, votes=votes.assign(rater="label"), card=card))
    return found


def refuse_shared(clips: Mapping[str, Clips]) -> None:
    """Refuse two corpora that hold the same recordings.

    Raises:
        SplitError: naming them.
    """
    (one, first), (other, second) = clips.items()
    there = {second.fingerprints[id_]: id_ for id_ in second.corpus.utterances.index}
    pairs = [
        f"{one}/{id_} = {other}/{there[first.fingerprints[id_]]}"
        for id_ in first.corpus.utterances.index
        if first.fingerprints[id_] in there
    ]
    if pairs:
        raise SplitError(
            f"{one} and {other} share {len(pairs)} recording(s) ({', '.join(pairs[:3])}"
            f"{', ...' if pairs[3:] else ''}): leave them out of one table, or give their reason"
            " under `excluded`"
        )


def teach_fold(
    clips: Clips, split: Split, name: str, method: Method, options: RunOptions
) -> Taught:
    """Teach one fold, and release what was taught as a checkpoint folder below the method's."""
    paper = options.protocol == "paper"
    known, judged = clips.select(split.train), clips.select(split.test) if paper else None
    if method.choose and not paper:
        speakers = clips.corpus.utterances["speaker"]
        shared = bool(speakers[list(split.train)].isin(speakers[list(split.test)]).any())
        known, judged = held_out(known, options.seed, shared=shared)
    # a state whose epoch the test part chose is never taken for a clean one
    began = started_from(options)
    state = options.out / f"{name}-{split.name}{'-paper' if paper else ''}{began}"
    taught = teach(method, known, judged, options, state=state, what=f"{name}, {split.name}")
    folder = options.out / name / f"checkpoint-{split.name}"
    part = f"{split.name}, {SELECTED}" if paper else split.name
    release(folder, taught, [known.corpus], method, options, split=part)
    return taught


def answers(taught: Taught, test: Clips, attack: float | None = None) -> pd.DataFrame:
    """Give probabilities, rows utterances; `attack` as in `Taught.ask`."""
    logits = torch.from_numpy(taught.ask(test.spectrograms, attack))
    corpus = test.corpus
    return pd.DataFrame(logits.softmax(1), list(corpus.utterances.index), list(corpus.scheme))


def _epochs(taught: Taught) -> str:
    best = taught.trained.best_epoch
    return str(taught.epochs) if best is None else f"{best + 1} of {taught.epochs}"


def held_out(clips: Clips, seed: int, *, shared: bool = False) -> tuple[Clips, Clips]:
    """Part the speakers: those to learn from, and a fifth that chooses the epoch.

    `shared`, or where there is one speaker or not all are known: a tenth of the utterances of each
    class instead, whoever speaks.
    """
    table, split = clips.corpus.utterances, None
    if not shared and table["speaker"].notna().all():
        split = held_out_speakers(table, seed=seed)
    if split is None:
        hard = clips.corpus.labels.idxmax(axis=1)
        split = stratified(table, hard, test_share=HELD_OUT_SHARE, seed=seed)[0]
    return clips.select(split.train), clips.select(split.test)
