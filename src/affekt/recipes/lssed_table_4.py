"""What a network loses on a corpus that it was not trained on, in both directions.

Table 4 of Fan et al. 2021, arXiv:2102.01754 (spec 2.5, 2.10): ResNet152 on IEMOCAP and LSSED.
Trained on one corpus, it is asked about a held-out fifth of that corpus and about all of the
other; the table has the differences. Both corpora are brought to anger, neutral, happiness and
sadness. What differs from the paper, which says little of it: the held-out fifth is of speakers
(`--split stratified --allow-shared-speakers`: of utterances), and networks, features and training
are those of `lssed_table_5`: ResNet152 is for `--training paper`, without it ResNet18 is taken.
Each network is released as a checkpoint folder. toy alone makes a rehearsal, of two halves of it.
"""

import numpy as np

from affekt.atomic import replacing
from affekt.corpus import Corpus
from affekt.exceptions import CorpusError
from affekt.protocols.clips import Clips
from affekt.protocols.four_classes import four_classes
from affekt.protocols.lssed_networks import NETWORKS, method
from affekt.protocols.probe import RunOptions
from affekt.protocols.released import guard_start, with_start
from affekt.protocols.results import Result, opening, write
from affekt.protocols.spectrogram_folds import (
    FOLDS_READ,
    SELECTED,
    SELECTED_ON_TEST,
    answers,
    check_folds,
    chosen_methods,
    lasted,
    refuse_shared,
    several,
    teach_fold,
    warnings_of,
)
from affekt.protocols.spectrograms import Taught, clips_of, usable
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
    corpora = several(options)
    if len(corpora) != 2:
        raise CorpusError(f"lssed_table_4 needs two corpora, not {', '.join(options.corpora)}")
    one, other = (usable(four_classes(corpus)) for corpus in corpora)
    ways = {name: method(name, options, denoised="lssed" in options.corpora) for name in names}
    both = [(here, _held_out(here, options), there) for here, there in ((one, other), (other, one))]
    leaks = {there.name: guard_start(there, there.utterances.index, options) for *_, there in both}
    for name, way in ways.items():
        for here, split, _ in both:
            check_folds(here, [split], f"{name}-{here.name}", way, options)
    results, lines = [], [HEAD]
    for name, way in ways.items():
        clips = {corpus.name: clips_of(corpus, way, options) for corpus in (one, other)}
        refuse_shared(clips)
        said = {
            here.name: warnings_of([split], here, options, clips[here.name].fingerprints)
            for here, split, _ in both
        }
        for here, split, there in both:
            leak, known = leaks[there.name], clips[here.name]
            warnings = [leak, *said[here.name]] if leak else said[here.name]
            taught = teach_fold(known, split, f"{name}-{here.name}", way, options)
            learned = known.select(split.train).corpus
            asked = (known.select(split.test), clips[there.name])
            pair = [_report(taught, learned, part, name, warnings, options) for part in asked]
            results += pair
            shown = f"{name}, {SELECTED}" if options.protocol == "paper" else name
            lines.append(_line(shown, here.name, there.name, *pair))
    with replacing(options.out / "lssed_table_4.md") as temporary:
        temporary.write_text(opening(results, options.out) + "\n".join(lines) + "\n", "utf-8")
    return results


def _held_out(corpus: Corpus, options: RunOptions) -> Split:
    """A fifth of the speakers, or of the utterances of each class.

    Raises:
        CorpusError: another split is asked for.
    """
    if options.split not in (None, "by-speaker", "stratified"):
        raise CorpusError(
            f"--split {options.split}: lssed_table_4 holds out a fifth: give by-speaker, its"
            " default, or stratified"
        )
    table = corpus.utterances
    if options.split == "stratified":
        hard = corpus.labels.idxmax(axis=1)
        return stratified(table, hard, test_share=TEST_SHARE, seed=options.seed)[0]
    return by_speaker(table, min(N_FOLDS, table["speaker"].nunique()), seed=options.seed)[0]


def _report(
    taught: Taught,
    learned: Corpus,
    asked: Clips,
    name: str,
    warnings: list[str],
    options: RunOptions,
) -> Result:
    """Ask about the held-out part of what was learned from, or about another corpus."""
    here, there = learned.name, asked.corpus.name
    where = "held out" if here == there else f"to {there}"
    selected = here == there and options.protocol == "paper"
    predictions = answers(taught, asked).rename_axis("utterance")
    report = evaluate(
        asked.corpus.labels,
        predictions,
        speakers=asked.corpus.utterances["speaker"],
        training_labels=learned.labels,
        notes=[
            *([SELECTED_ON_TEST] if selected else []),
            *warnings,
            f"trained on {len(learned)} utterances of {here}, training: {options.training};"
            f" {lasted(taught.trained.seconds / 60)}; epochs: {taught.epochs}",
        ],
        seed=options.seed,
    )
    folder = options.out / f"{name}-{here}-{where.replace(' ', '-')}"
    split = with_start(f"{SELECTED}: {where}" if selected else where, options)
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
