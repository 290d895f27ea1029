"""Four ways to name the emotion of an utterance from its 34 short-term features, and people.

Table 1 of Chernykh and Prikhodko 2017, arXiv:1701.08071 (spec 4): the dummy, which answers the
commonest label; framewise, a random forest whose frames vote; one-label, two bidirectional LSTM
layers whose last states answer; CTC, the same layers answering frame by frame. On IEMOCAP the
folds are its sessions, on RAVDESS those of EmoBox, elsewhere speakers. What differs from the
paper: features are standardised, clips are read at their true lengths, backward layers are turned
round again, and CTC answers by the exact posterior of each label alone.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd

from affekt import ctc
from affekt.models import Dummy, DummyConfig, Forest, ForestConfig
from affekt.recipes.frames import Floats, Frames, folds_of, frame_logits, frames_of, parts, taught
from affekt.recipes.probe import RunOptions
from affekt.recipes.results import Result, write
from affekt.recipes.speaker_folds import only_corpus
from affekt.report import evaluate
from affekt.splits import guard

N_TREES = 1000
REFERENCE = {  # IEMOCAP, 4 classes, session folds: accuracy, UAR
    "dummy": (0.35, 0.25),
    "framewise": (0.45, 0.41),
    "one-label": (0.51, 0.49),
    "ctc": (0.54, 0.54),
    "people": (0.69, 0.70),
}
Method = Callable[[Frames, Floats, Frames, RunOptions], Floats]


def main(options: RunOptions) -> list[Result]:
    """Run every method on every fold and write a report each."""
    corpus = only_corpus(options)
    table = corpus.utterances.loc[corpus.labels.index]
    corpus = corpus.select(table.index[table["excluded"] == ""])
    frames, prints = frames_of(corpus, options)
    splits, name = folds_of(corpus, options)
    for split in splits:
        guard(split, corpus.utterances, fingerprints=prints)
    results = []
    tell = options.progress("folds", len(METHODS) * len(splits))
    for what, method in METHODS.items():
        answers, folds = [], []
        for split in splits:
            target = corpus.labels.loc[list(split.train)].to_numpy()
            asked = [frames[id_] for id_ in split.test]
            found = method([frames[id_] for id_ in split.train], target, asked, options)
            answers.append(pd.DataFrame(found, list(split.test), list(corpus.scheme)))
            folds.append(pd.Series(split.name, list(split.test)))
            tell(1)
        predictions = pd.concat(answers).rename_axis("utterance")
        report = evaluate(
            corpus.labels.loc[predictions.index],
            predictions,
            speakers=corpus.utterances["speaker"],
            folds=pd.concat(folds),
            seed=options.seed,
        )
        title = f"{corpus.name}, {len(corpus.scheme)} classes, {what}"
        results.append(write(report, predictions, options.out / what, title, name, options))
    return results


def dummy(train_: Frames, target: Floats, asked: Frames, options: RunOptions) -> Floats:
    """Answer the commonest label."""
    model = Dummy(DummyConfig(target.shape[1]))
    model.fit([clip.astype(float) for clip in train_], target.argmax(1))
    return np.eye(target.shape[1])[model.predict([clip.astype(float) for clip in asked])]


def framewise(train_: Frames, target: Floats, asked: Frames, options: RunOptions) -> Floats:
    """Let a forest's frames vote."""
    model = Forest(ForestConfig(target.shape[1], N_TREES, seed=options.seed))
    model.fit([clip.astype(float) for clip in train_], target.argmax(1))
    return np.eye(target.shape[1])[model.predict([clip.astype(float) for clip in asked])]


def one_label(train_: Frames, target: Floats, asked: Frames, options: RunOptions) -> Floats:
    """Answer from the last states."""
    model = taught(train_, target, options, per_frame=False)
    return np.concatenate(
        [frame_logits(model, part)[0].softmax(-1).double() for part in parts(asked)]
    )


def ctc_labels(train_: Frames, target: Floats, asked: Frames, options: RunOptions) -> Floats:
    """Answer frame by frame; the posterior of each label alone, scaled to sum to 1."""
    model = taught(train_, target, options, per_frame=True)
    found = []
    for part in parts(asked):
        logits, mask = frame_logits(model, part)
        for clip, valid in zip(logits.log_softmax(-1).double(), mask, strict=True):
            found.append(ctc.one_label_posterior(clip[valid].numpy()))
    shifted = np.exp(np.array(found) - np.max(found, axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))


METHODS: dict[str, Method] = {
    "dummy": dummy,
    "framewise": framewise,
    "one-label": one_label,
    "ctc": ctc_labels,
}
