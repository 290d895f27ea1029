"""What a network loses on a corpus that it was not trained on, in both directions.

Table 4 of Fan et al. 2021, arXiv:2102.01754 (spec 2.5, 2.10): ResNet152 on IEMOCAP and LSSED.
Trained on one corpus, it is asked about a held-out fifth of that corpus and about all of the
other; the table has the differences. Both corpora are brought to anger, neutral, happiness and
sadness. What differs from the paper, which says little of it: the held-out fifth is of speakers
(`--split stratified --allow-shared-speakers`: of utterances), and networks, features and training
are those of `lssed_table_5`: ResNet152 is for `--training paper`, without it ResNet18 is taken.
Each network is released as a checkpoint folder.
"""

from collections.abc import Mapping

import numpy as np

from affekt.atomic import replacing
from affekt.exceptions import CorpusError
from affekt.protocols.clips import Clips
from affekt.protocols.four_classes import four_classes
from affekt.protocols.lssed_networks import NETWORKS, method
from affekt.protocols.probe import RunOptions
from affekt.protocols.released import guard_start, name_of, refuse_overwritten
from affekt.protocols.results import Result, opening, write
from affekt.protocols.spectrogram_folds import (
    FOLDS_READ,
    SELECTED,
    SELECTED_ON_TEST,
    answers,
    chosen_methods,
    refuse_shared,
    teach_fold,
    warnings_of,
)
from affekt.protocols.spectrograms import Taught, clips_of
from affekt.recipes.lssed_table_5 import TEST_SHARE
from affekt.report import evaluate
from affekt.splits import Split, by_speaker, stratified

READS = FOLDS_READ - {"folds"} | {"method", "split", "training"}
REFERENCE = {  # accuracy, UAR on the other corpus, less those at home
    ("iemocap", "lssed"): (-0.596, -0.342),
    ("lssed", "iemocap"): (-0.119, -0.071),
}
DEFAULT, SMALL = "resnet152", "resnet18"
N_FOLDS = 5  # the first is held out
HEAD = (
    "| network | from | to | accuracy at home | away | change | UAR at home | away | change |"
    " the paper |\n|---|---|---|---|---|---|---|---|---|---|"
)


def main(options: RunOptions) -> list[Result]:
    """Run every network asked for in both directions, write reports and `lssed_table_4.md`."""
    default = DEFAULT if options.training == "paper" else SMALL
    names = chosen_methods(NETWORKS, options, (default,))
    if len(options.corpora) != 2:
        raise CorpusError(f"lssed_table_4 needs two corpora, not {', '.join(options.corpora)}")
    corpora = [four_classes(corpus) for corpus in options.corpora.values()]
    results, lines = [], [HEAD]
    for name in names:
        way = method(name, options, denoised="lssed" in options.corpora)
        clips = {corpus.name: clips_of(corpus, way, options) for corpus in corpora}
        refuse_shared(clips)
        guarded = _guarded(name, clips, options)
        for here, there in (tuple(clips), tuple(clips)[::-1]):
            split, warnings = guarded[here]
            taught = teach_fold(clips[here], split, f"{name}-{here}", way, options)
            known = clips[here].select(split.train)
            home = _report(taught, known, clips[here].select(split.test), name, warnings, options)
            away = _report(taught, known, clips[there], name, warnings, options)
            results += [home, away]
            shown = f"{name}, {SELECTED}" if options.protocol == "paper" else name
            lines.append(_line(shown, here, there, home, away))
    with replacing(options.out / "lssed_table_4.md") as temporary:
        temporary.write_text(opening(results, options.out) + "\n".join(lines) + "\n", "utf-8")
    return results


def _guarded(
    name: str, clips: Mapping[str, Clips], options: RunOptions
) -> dict[str, tuple[Split, list[str]]]:
    """Give what each corpus holds out, and what its reports begin with, before any training.

    Raises:
        CheckpointError: the checkpoint of `--init` lies where this run writes.
        SplitError: speakers are shared, or that checkpoint learned from some who are tested.
    """
    found = {}
    for here, there in (tuple(clips), tuple(clips)[::-1]):
        refuse_overwritten(options.out / f"{name}-{here}", options)
        split, other = _held_out(clips[here], options), clips[there].corpus
        away = guard_start(other, other.utterances.index, options)  # it is asked about all of it
        warnings = warnings_of([split], clips[here], options)
        found[here] = split, [away, *warnings] if away else warnings
    return found


def _held_out(clips: Clips, options: RunOptions) -> Split:
    """A fifth of the speakers, or of the utterances of each class.

    Raises:
        CorpusError: another split is asked for.
    """
    if options.split not in (None, "by-speaker", "stratified"):
        raise CorpusError(
            f"--split {options.split}: lssed_table_4 holds out a fifth: give by-speaker, its"
            " default, or stratified"
        )
    table = clips.corpus.utterances
    if options.split == "stratified":
        hard = clips.corpus.labels.idxmax(axis=1)
        return stratified(table, hard, test_share=TEST_SHARE, seed=options.seed)[0]
    return by_speaker(table, min(N_FOLDS, table["speaker"].nunique()), seed=options.seed)[0]


def _report(
    taught: Taught,
    known: Clips,
    asked: Clips,
    name: str,
    warnings: list[str],
    options: RunOptions,
) -> Result:
    """Ask about the held-out part of what was known, or about another corpus."""
    here, there = known.corpus.name, asked.corpus.name
    where = "held out" if here == there else f"to {there}"
    selected = here == there and options.protocol == "paper"
    predictions = answers(taught, asked).rename_axis("utterance")
    report = evaluate(
        asked.corpus.labels,
        predictions,
        speakers=asked.corpus.utterances["speaker"],
        training_labels=known.corpus.labels,
        notes=[
            *([SELECTED_ON_TEST] if selected else []),
            *warnings,
            f"trained on {len(known.corpus)} utterances of {here}, training: {options.training};"
            f" {taught.trained.seconds / 60:.0f} min, {taught.epochs} epochs",
        ],
        seed=options.seed,
    )
    folder = options.out / f"{name}-{here}-{where.replace(' ', '-')}"
    split = where
    if options.init is not None:
        split = f"{split}, started from {name_of(options.init)}"
    split = f"{SELECTED}: {split}" if selected else split
    return write(report, predictions, folder, f"{here}, 4 classes, {name}", split, options)


def _line(name: str, here: str, there: str, home: Result, away: Result) -> str:
    pairs = [
        (result.report.accuracy.value, result.report.unweighted_average_recall.value)
        for result in (home, away)
    ]
    cells = [name, here, there]
    for at_home, elsewhere in zip(*pairs, strict=True):
        cells += [f"{at_home:.3f}", f"{elsewhere:.3f}", f"{elsewhere - at_home:+.3f}"]
    paper = REFERENCE.get((here, there), (np.nan, np.nan))
    printed = [f"{value:+.3f}" for value in paper if not np.isnan(value)]
    return f"| {' | '.join([*cells, ' / '.join(printed)])} |"
