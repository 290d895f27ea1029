"""Does a network that learned emotions tell who is depressed, better than one that learned words?

Table 6 of Fan et al. 2021, arXiv:2102.01754 (spec 2.5, 2.9): PyResNet trained on LSSED ("ser")
against a speech recogniser ("asr"), on DAIC-WOZ. Both are frozen; a linear map of their pooled
states answers for each turn of a second or more of a participant. A person's score is the mean of
P(depressed) over the turns, above .5 is depressed; each part has a report of people, not of turns.
`ser` needs `--init`, a checkpoint folder of `lssed_table_5` or `lssed_table_4`; `ser-tuned` goes
on training the whole of it. `-longest` learns from the longest turns of each person, more of those
who are depressed, as SpeechFormer's authors do.

What differs from the paper, which says nothing of turns, head or scores: Whisper's encoder stands
for ESPnet's, classes are weighed alike, and the test part is reported too, where its labels are.

Any other corpus makes a rehearsal, which tells nothing of depression: every second speaker plays
"depressed", the last third of the speakers are the development part, and every report opens with
that. Without `--init` it leaves `ser` out.
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
from affekt.protocols.results import Result, opening, write
from affekt.protocols.spectrogram_folds import REHEARSAL, chosen_methods, warnings_of
from affekt.protocols.spectrograms import usable
from affekt.report import evaluate
from affekt.splits import Split
from affekt.tables import one_hot

READS = frozenset({"allow_shared_speakers", "epochs", "init", "layers", "method", "upstream"})
REFERENCE = {"ser": (0.714, 0.583), "asr": (0.657, 0.500)}  # accuracy, UAR, of people
LONGEST = {"not depressed": 18, "depressed": 46}  # turns of each person
METHODS = ("ser", "asr", "ser-tuned", "ser-longest", "asr-longest", "ser-tuned-longest")
PLAYED = "A REHEARSAL, NO RESULT ON DEPRESSION: every second speaker plays depressed"
LEAST_SPEAKERS = 4  # of a rehearsal: two of each kind
HEAD = (
    "| method | part | people | accuracy | balanced accuracy | F1 of depressed |"
    " always not depressed |\n|---|---|---|---|---|---|---|"
)


def main(options: RunOptions) -> list[Result]:
    """Run the methods asked for; write a report for each part, and `lssed_table_6.md`."""
    corpus = only_corpus(options)
    played = corpus.scheme.labels != DAIC_WOZ_2.labels
    default = ("asr",) if played and options.init is None else REFERENCE
    names = chosen_methods(METHODS, options, default)
    if options.init is None and any(name.startswith("ser") for name in names):
        raise CheckpointError(
            "ser needs --init FOLDER, a checkpoint of lssed_table_5 or lssed_table_4:"
            " give it, or take --method asr, which needs none"
        )
    corpus = usable(rehearsal(corpus) if played else corpus)
    splits = {name: _splits(name, corpus) for name in names}
    starts = {n: replace(options, init=None) if n.startswith("asr") else options for n in names}
    for name, start in starts.items():
        warnings_of(splits[name], corpus, start)  # before anything is heard
    results, lines = [], [HEAD]
    for name, start in starts.items():
        heard = listen(name, corpus, options)
        notes = warnings_of(splits[name], corpus, start, heard.fingerprints)
        ask = learn(name, heard.select(splits[name][0].train), heard, options)
        for split in splits[name]:
            results.append(_report(name, split, ask(split.test), corpus, notes, options))
            lines.append(_line(name, split.name, results[-1]))
    with replacing(options.out / "lssed_table_6.md") as temporary:
        temporary.write_text(opening(results, options.out) + "\n".join(lines) + "\n", "utf-8")
    return results


def rehearsal(corpus: Corpus) -> Corpus:
    """Let speakers play: every second one depressed, the last third the development part.

    Raises:
        CorpusError: fewer than `LEAST_SPEAKERS` of them are known.
    """
    speakers = corpus.utterances["speaker"].dropna()
    number, people = pd.factorize(speakers, sort=True)
    if len(people) < LEAST_SPEAKERS:
        raise CorpusError(
            f"lssed_table_6 needs daic-woz=ROOT, or {LEAST_SPEAKERS} speakers or more for a"
            f" rehearsal: {corpus.name} has {len(people)}"
        )
    played = pd.Series(np.array(DAIC_WOZ_2.labels)[number % 2], speakers.index)
    part = np.where(number < len(people) - max(2, len(people) // 3), "train", "validation")
    corpus = corpus.select(speakers.index).relabel(one_hot(played, DAIC_WOZ_2), DAIC_WOZ_2)
    table = corpus.with_durations().utterances.assign(split=part)
    return replace(corpus, utterances=table, card={**corpus.card, REHEARSAL: PLAYED})


def longest_turns(corpus: Corpus) -> tuple[str, ...]:
    """Give the longest turns of each person, as many as LONGEST says for the person's label."""
    table = corpus.utterances
    label = corpus.labels.idxmax(axis=1)
    ranks = table.groupby("speaker")["duration"].rank(ascending=False, method="first")
    return tuple(table.index[ranks <= label.map(LONGEST)])


def _splits(name: str, corpus: Corpus) -> list[Split]:
    """Give the parts that are asked about, and the turns that a method learns from."""
    turns = corpus.utterances.groupby("split").groups
    for part in ("train", "validation"):  # labels of the test part are published apart
        if part not in turns:
            raise CorpusError(f"corpus {corpus.name!r} has no labelled turn of the part {part!r}")
    known = tuple(turns["train"])
    if name.endswith("-longest"):
        known = longest_turns(corpus.select(known))
    return [Split(p, known, tuple(turns[p])) for p in ("validation", "test") if p in turns]


def _report(
    way: str, split: Split, said: pd.DataFrame, corpus: Corpus, head: list[str], options: RunOptions
) -> Result:
    """Judge people."""
    truth = by_person(corpus.labels.loc[list(split.test)], corpus)
    scores = by_person(said, corpus)
    known = by_person(corpus.labels.loc[list(split.train)], corpus)
    accuracy, recall = REFERENCE[way.split("-")[0]]
    notes = [
        *head,
        f"people, not turns: depressed where the mean of P over {len(said)} turns is above .5;"
        f" learned from {len(split.train)} turns of {len(known)} people",
        f"for scale: the paper has accuracy {accuracy:.3f} and UAR {recall:.3f} on the 35"
        " people of the development part; always saying not depressed .657 and .500",
    ]
    people = pd.Series(truth.index, truth.index)
    report = evaluate(
        truth, scores, speakers=people, training_labels=known, notes=notes, seed=options.seed
    )
    what = f"{corpus.name}, {'rehearsal, ' if REHEARSAL in corpus.card else ''}people, {way}"
    return write(report, scores, options.out / f"{way}-{split.name}", what, split.name, options)


def _line(name: str, part: str, result: Result) -> str:
    report = result.report
    accuracy, recall = report.accuracy, report.unweighted_average_recall
    f1 = float(report.per_class["f1"]["depressed"])
    return (
        f"| {name} | {part} | {report.n} | {accuracy.value:.3f} | {recall.value:.3f} | {f1:.3f} |"
        f" {accuracy.majority:.3f} / {recall.majority:.3f} |"
    )
