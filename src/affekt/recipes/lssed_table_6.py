"""Does a network that learned emotions tell who is depressed, better than one that learned words?

Table 6 of Fan et al. 2021, arXiv:2102.01754 (spec 2.5, 2.9): PyResNet trained on LSSED ("ser")
against a speech recogniser ("asr"), on DAIC-WOZ. Both are frozen; a linear map of their pooled
states answers for each turn of a second or more of a participant. A person's score is the mean of
P(depressed) over the turns, above .5 is depressed; each part has a report of people, not of turns.
`ser` needs `--init`, a checkpoint folder of `lssed_table_5` or `lssed_table_4`; `ser-tuned` goes
on training the whole of it. `-longest` learns from the 18 longest turns of each person who is not
depressed and the 46 longest of each who is, as SpeechFormer's authors do.

What differs from the paper, which says nothing of turns, head or scores: Whisper's encoder stands
for ESPnet's, classes are weighed alike, and the test part is reported too, where its labels are
there. Its figures are of the 35 people of the development part: .657 and .500 are those of always
saying "not depressed".

Any other corpus makes a rehearsal, which shows that everything runs and tells nothing of
depression: every second speaker plays "depressed", whatever is said or felt, the last third of the
speakers are the development part, and every report opens with that. Without `--init` it leaves
`ser` out.
"""

from dataclasses import replace

import numpy as np
import pandas as pd

from affekt.atomic import replacing
from affekt.corpora.daic_woz import DAIC_WOZ_2, by_person
from affekt.corpus import Corpus
from affekt.exceptions import CheckpointError, CorpusError
from affekt.protocols.backbones import learn, listen
from affekt.protocols.folds import only_corpus
from affekt.protocols.probe import RunOptions
from affekt.protocols.results import Result, write
from affekt.protocols.spectrogram_folds import chosen_methods
from affekt.report import evaluate
from affekt.splits import Split, guard
from affekt.tables import one_hot

READS = frozenset({"epochs", "init", "layers", "method", "upstream"})
REFERENCE = {"ser": (0.714, 0.583), "asr": (0.657, 0.500)}  # accuracy, UAR, of people
LONGEST = {"not depressed": 18, "depressed": 46}  # turns of each person
METHODS = ("ser", "asr", "ser-tuned", "ser-longest", "asr-longest", "ser-tuned-longest")
PARTS = ("validation", "test")
REHEARSAL = "A REHEARSAL, NO RESULT ON DEPRESSION: every second speaker plays depressed"
LEAST_SPEAKERS = 4  # of a rehearsal: two of each kind
HEAD = (
    "| method | part | people | accuracy | balanced accuracy | F1 of depressed |"
    " always not depressed |\n|---|---|---|---|---|---|---|"
)


def main(options: RunOptions) -> list[Result]:
    """Run the methods asked for; write a report for each part, and `lssed_table_6.md`."""
    corpus = only_corpus(options)
    played = corpus.scheme.labels != DAIC_WOZ_2.labels
    names = chosen_methods(
        METHODS, options, ("asr",) if played and options.init is None else REFERENCE
    )
    without = [name for name in names if name.startswith("ser")]
    if without and options.init is None:
        raise CheckpointError(
            f"{without[0]} needs --init FOLDER, a checkpoint of lssed_table_5 or lssed_table_4:"
            " give it, or take --method asr, which needs none"
        )
    if played:
        corpus = rehearsal(corpus)
    notes = [REHEARSAL] if played else []
    results: list[Result] = []
    lines = [*(f"> {note}\n" for note in notes), HEAD]
    for name in names:
        heard = listen(name, corpus, options)
        known = _turns_of(heard.corpus, "train")
        if name.endswith("-longest"):
            known = longest_turns(heard.corpus.select(known))
        ask = learn(name, heard.select(known), heard, options)
        for part in PARTS:
            asked = _turns_of(heard.corpus, part)
            if not asked:
                continue
            split = Split(part, known, asked)
            guard(split, heard.corpus.utterances, fingerprints=heard.fingerprints)
            results.append(_report(name, split, ask(asked), heard.corpus, notes, options))
            lines.append(_line(name, part, results[-1]))
    with replacing(options.out / "lssed_table_6.md") as temporary:
        temporary.write_text("\n".join(lines) + "\n", "utf-8")
    return results


def rehearsal(corpus: Corpus) -> Corpus:
    """Let speakers play: every second one depressed, the last third the development part.

    Raises:
        CorpusError: fewer than `LEAST_SPEAKERS` of them are known.
    """
    speakers = corpus.utterances["speaker"].dropna()
    people = sorted(speakers.unique())
    if len(people) < LEAST_SPEAKERS:
        raise CorpusError(
            f"lssed_table_6 needs daic-woz=ROOT, or {LEAST_SPEAKERS} speakers or more for a"
            f" rehearsal: {corpus.name} has {len(people)}"
        )
    corpus = corpus.select(speakers.index).with_durations()
    number = speakers.map(people.index).to_numpy()
    labels = one_hot(speakers.map(lambda one: DAIC_WOZ_2.labels[people.index(one) % 2]), DAIC_WOZ_2)
    first = len(people) - max(2, len(people) // 3)
    part = np.where(number < first, "train", "validation")
    table = corpus.utterances.assign(split=part)
    return replace(corpus, utterances=table, labels=labels, scheme=DAIC_WOZ_2)


def longest_turns(corpus: Corpus) -> tuple[str, ...]:
    """Give the longest turns of each person, as many as LONGEST says for the person's label."""
    table = corpus.utterances
    label = corpus.labels.idxmax(axis=1)
    ranks = table.groupby("speaker")["duration"].rank(ascending=False, method="first")
    return tuple(table.index[ranks <= label.map(LONGEST)])


def _turns_of(corpus: Corpus, part: str) -> tuple[str, ...]:
    table = corpus.utterances
    found = tuple(table.index[table["split"] == part])
    if not found and part != "test":  # whose labels are published apart
        raise CorpusError(f"corpus {corpus.name!r} has no labelled turn of the part {part!r}")
    return found


def _report(
    name: str,
    split: Split,
    turns: pd.DataFrame,
    corpus: Corpus,
    warnings: list[str],
    options: RunOptions,
) -> Result:
    """Judge people."""
    truth, scores = (
        by_person(table, corpus) for table in (corpus.labels.loc[list(split.test)], turns)
    )
    people = pd.Series(truth.index, truth.index)
    known = by_person(corpus.labels.loc[list(split.train)], corpus)
    notes = [
        *warnings,
        f"people, not turns: depressed where the mean of P over {len(turns)} turns is above .5;"
        f" learned from {len(split.train)} turns of {len(known)} people",
    ]
    printed = REFERENCE.get(name.split("-")[0])
    if printed is not None:
        accuracy, recall = printed
        notes.append(
            f"for scale: the paper has accuracy {accuracy:.3f} and UAR {recall:.3f} on the 35"
            " people of the development part; always saying not depressed .657 and .500"
        )
    report = evaluate(
        truth, scores, speakers=people, training_labels=known, notes=notes, seed=options.seed
    )
    what = f"{corpus.name}, {'rehearsal, ' if warnings else ''}people, {name}"
    return write(report, scores, options.out / f"{name}-{split.name}", what, split.name, options)


def _line(name: str, part: str, result: Result) -> str:
    report = result.report
    accuracy, recall = report.accuracy, report.unweighted_average_recall
    f1 = float(report.per_class["f1"]["depressed"])
    return (
        f"| {name} | {part} | {report.n} | {accuracy.value:.3f} | {recall.value:.3f} | {f1:.3f} |"
        f" {accuracy.majority:.3f} / {recall.majority:.3f} |"
    )
