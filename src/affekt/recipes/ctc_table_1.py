"""Four ways to name the emotion of an utterance from its 34 short-term features, and people.

Table 1 of Chernykh and Prikhodko 2017, arXiv:1701.08071 (spec 4): the dummy, which answers the
commonest label; framewise, a random forest whose frames vote; one-label, two bidirectional LSTM
layers whose last states answer; CTC, the same layers answering frame by frame; people, one rater
against the others, where a corpus has votes. On IEMOCAP the labels are the paper's four and the
folds its sessions, on RAVDESS the folds are those of EmoBox, elsewhere speakers. What differs from
the paper: features are standardised, clips are read at their true lengths, backward layers are
turned round again, how long to train is chosen on speakers of the training part, from all of whom
the network then learns anew, and CTC answers by the exact posterior of each label alone; "best
path" and "beam search" answer as the paper did, by the first label of the decoded sequence, and are
wrong where there is none. The paper's people are listeners who chose among the four labels (its
4.6), not the raters of the corpus.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd

from affekt import ctc, errors, plots
from affekt.corpus import Corpus
from affekt.models import Dummy, DummyConfig, Forest, ForestConfig
from affekt.models.forest import vote
from affekt.protocols.folds import folds_of, only_corpus
from affekt.protocols.frames import (
    STEP,
    Clip,
    Floats,
    Frames,
    Lesson,
    frames_of,
    log_probs,
    probabilities,
    taught,
)
from affekt.protocols.probe import RunOptions
from affekt.protocols.results import Result, write
from affekt.protocols.spectrogram_folds import chosen_folds, chosen_methods
from affekt.report import evaluate
from affekt.scheme import Categories
from affekt.splits import Split, guard
from affekt.votes.read import occurring
from affekt.votes.rest import rater_against_rest

READS = frozenset({"epochs", "folds", "method", "split"})
N_TREES = 1000
FOUR = Categories("ctc_4", ("anger", "excitement", "neutral", "sadness"))  # spec 4.1
NONE = "none"  # the answer of a decoder that finds no label
REFERENCE = {  # IEMOCAP, 4 classes, session folds: accuracy, UAR
    "dummy": (0.35, 0.25),
    "framewise": (0.45, 0.41),
    "one-label": (0.51, 0.49),
    "ctc": (0.54, 0.54),
    "people": (0.69, 0.70),
}


@dataclass(frozen=True, eq=False)
class Answers:
    """What a method says of some clips.

    `rows`: name of the way of answering -> (n, n_classes), or one column more for "none".
    `frames`: probabilities frame by frame, each (n_frames, n_classes), or one more for the blank.
    """

    rows: dict[str, Floats]
    frames: Sequence[Floats] = ()


Method = Callable[[Lesson, Frames, RunOptions], Answers]


def main(options: RunOptions) -> list[Result]:
    """Run every method on every fold and write a report each."""
    corpus = usable(only_corpus(options))
    chosen = {name: METHODS[name] for name in chosen_methods(METHODS, options, METHODS)}
    frames, prints = frames_of(corpus, options)
    return compare(corpus, frames, prints, chosen, options)


def usable(corpus: Corpus) -> Corpus:
    """Utterances that have a label and a recording; of IEMOCAP those of the paper's four labels."""
    table = corpus.utterances.loc[corpus.labels.index]
    corpus = corpus.select(table.index[table["excluded"] == ""])
    if corpus.name != "iemocap":
        return corpus
    four = corpus.labels[list(FOUR)]
    four = four[four.sum(axis=1) == 1.0]
    return corpus.select(four.index).relabel(four, FOUR)


def compare(
    corpus: Corpus,
    frames: dict[str, Clip],
    prints: dict[str, str],
    methods: dict[str, Method],
    options: RunOptions,
    *,
    hop: float = STEP,
    people: bool = True,
) -> list[Result]:
    """Teach and ask methods fold by fold, and write a report of each way of answering.

    `hop`: s from frame to frame; `people`: compare with the corpus' raters, where there are any.
    """
    splits, split_name = folds_of(corpus, options)
    splits = chosen_folds(splits, options)
    for split in splits:
        guard(split, corpus.utterances, fingerprints=prints)
    speakers = corpus.utterances["speaker"]
    beside = _people(corpus) if people else None
    results = []
    tell = options.progress("folds", len(methods) * len(splits))
    for name, method in methods.items():
        parts: dict[str, list[pd.DataFrame]] = {}
        for split in splits:
            taught_ = list(split.train)
            target = corpus.labels.loc[taught_].to_numpy()
            clips = [frames[id_] for id_ in taught_]
            lesson = Lesson(clips, target, list(speakers[taught_]), taught_)
            found = method(lesson, [frames[id_] for id_ in split.test], options)
            for way, rows in found.rows.items():
                columns = [*corpus.scheme, NONE][: rows.shape[1]]
                parts.setdefault(way, []).append(pd.DataFrame(rows, list(split.test), columns))
            if found.frames and split is splits[0]:
                _draw_frames(corpus, split, found.frames, hop, options.out / name)
            tell(1)
        for way, answers in parts.items():
            predictions = pd.concat(answers).rename_axis("utterance")
            results.append(_report(corpus, predictions, way, splits, split_name, options))
            if people:
                _write_errors(corpus, predictions, beside, results[-1].folder)
    if beside is not None:
        results.append(_report_people(corpus, beside, options))
    return results


def dummy(lesson: Lesson, asked: Frames, options: RunOptions) -> Answers:
    """Answer the commonest label."""
    model = Dummy(DummyConfig(lesson.target.shape[1]))
    model.fit([clip.astype(float) for clip in lesson.frames], lesson.target.argmax(1))
    columns = model.predict([clip.astype(float) for clip in asked])
    return Answers({"dummy": np.eye(lesson.target.shape[1])[columns]})


def framewise(lesson: Lesson, asked: Frames, options: RunOptions) -> Answers:
    """Let a forest's frames vote."""
    model = Forest(ForestConfig(lesson.target.shape[1], N_TREES, seed=options.seed))
    model.fit([clip.astype(float) for clip in lesson.frames], lesson.target.argmax(1))
    shares = model.frame_probabilities([clip.astype(float) for clip in asked])
    columns = [vote(clip) for clip in shares]
    return Answers({"framewise": np.eye(lesson.target.shape[1])[columns]}, shares)


def one_label(lesson: Lesson, asked: Frames, options: RunOptions) -> Answers:
    """Answer from the last states."""
    model = taught(lesson, options, per_frame=False)
    return Answers({"one-label": probabilities(model, asked)})


def ctc_labels(lesson: Lesson, asked: Frames, options: RunOptions) -> Answers:
    """Answer frame by frame: by the exact posterior, and by the first label of two decoders."""
    model = taught(lesson, options, per_frame=True)
    clips = list(log_probs(model, asked))
    firsts = np.eye(lesson.target.shape[1] + 1)
    rows = {
        "ctc": probabilities(model, asked),
        "ctc-best-path": firsts[[_first(ctc.best_path(clip)) for clip in clips]],
        "ctc-beam-search": firsts[[_first(ctc.beam_search(clip)[0]) for clip in clips]],
    }
    return Answers(rows, [np.exp(clip) for clip in clips])


METHODS: dict[str, Method] = {
    "dummy": dummy,
    "framewise": framewise,
    "one-label": one_label,
    "ctc": ctc_labels,
}


def _first(found: ctc.Decoding) -> int:
    """Column of the first label; the last column, "none", where there is no label."""
    return found.labels[0] if found.labels else -1


def _report(
    corpus: Corpus,
    predictions: pd.DataFrame,
    way: str,
    splits: Sequence[Split],
    split_name: str,
    options: RunOptions,
) -> Result:
    fold_of = {id_: split.name for split in splits for id_ in split.test}
    notes = [_scale(way)] if way in REFERENCE else []
    if NONE in predictions:
        empty = int((predictions[NONE] == 1).sum())
        notes.append(f"{empty} of {len(predictions)} decoded sequences are empty: wrong answers")
    report = evaluate(
        corpus.labels.loc[predictions.index],
        predictions,
        speakers=corpus.utterances["speaker"],
        folds=pd.Series(fold_of).loc[predictions.index],
        notes=notes,
        seed=options.seed,
    )
    title = f"{corpus.name}, {len(corpus.scheme)} classes, {way}"
    return write(report, predictions, options.out / way, title, split_name, options)


def _scale(way: str) -> str:
    accuracy, recall = REFERENCE[way]
    return (
        f"for scale: the paper has accuracy {accuracy:.2f} and UAR {recall:.2f} on IEMOCAP,"
        " 4 classes, folds by session"
    )


def _people(corpus: Corpus) -> tuple[pd.DataFrame, pd.DataFrame] | None:
    """Each rater against the others, all labels that were voted; None where nobody voted twice."""
    votes = corpus.votes
    if votes is None or not votes["utterance"].duplicated().any():
        return None
    return rater_against_rest(votes, occurring(votes), duplicates="first")


def _report_people(
    corpus: Corpus, people: tuple[pd.DataFrame, pd.DataFrame], options: RunOptions
) -> Result:
    others, said = people
    spoken = others.index.to_series().str.rsplit("/", n=1).str[0]
    notes = [
        _scale("people") + "; its people are listeners who chose among the four",
        "a row a vote: one rater against the majority of the others, among all labels voted",
    ]
    report = evaluate(
        others,
        said,
        speakers=spoken.map(corpus.utterances["speaker"]),
        notes=notes,
        seed=options.seed,
    )
    title = f"{corpus.name}, {others.shape[1]} labels voted, people"
    return write(report, said, options.out / "people", title, "a rater against the rest", options)


def _write_errors(
    corpus: Corpus,
    predictions: pd.DataFrame,
    people: tuple[pd.DataFrame, pd.DataFrame] | None,
    folder: Path,
) -> None:
    """Where the errors lie beside the votes: figures 6 and 7 of the paper, where there are any."""
    if corpus.votes is None:
        return
    truth = corpus.labels.loc[predictions.index]
    found = errors.structure(truth, predictions, corpus.votes, people=people)
    plots.write_errors(found, folder, title=folder.name)


def _draw_frames(
    corpus: Corpus, split: Split, frames: Sequence[Floats], hop: float, folder: Path
) -> None:
    """Draw the frames of the first utterance of each of four labels: figure 4 of the paper."""
    if not find_spec("matplotlib"):
        return
    labels = [str(label) for label in corpus.labels.loc[list(split.test)].idxmax(axis=1)]
    panels = {label: frames[labels.index(label)] for label in sorted(set(labels))[:4]}
    names = [*corpus.scheme, "blank"][: frames[0].shape[1]]
    folder.mkdir(parents=True, exist_ok=True)
    plots.save(plots.framewise(panels, names, hop=hop), folder / "frames.png")
