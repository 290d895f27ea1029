"""Toy voices under the names of the corpora of LSSED's paper, and options of a run on them."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd

from affekt.corpora import toy
from affekt.corpora.daic_woz import DAIC_WOZ_2
from affekt.corpora.lssed import LSSED_11
from affekt.protocols.probe import RunOptions


def few(folder, seed=0):
    """24 voices: one clip of each of six speakers and four emotions."""
    toy.make(folder, seed=seed)
    corpus = toy.load(folder, durations=True)
    return corpus.select([id_ for id_ in corpus.utterances.index if id_.endswith("_1")])


def corpus(tmp_path_factory):
    return few(tmp_path_factory.mktemp("toy"))


def store(tmp_path_factory):
    return tmp_path_factory.mktemp("store")


def run(corpus, store, tmp_path):
    """Options of a run on one fold, one epoch."""

    def options(*corpora, **changed):
        chosen = corpora or (corpus,)
        given = {"folds": ("1",), "epochs": 1, "split": "by-speaker", "out": tmp_path / "out"}
        (tmp_path / "out").mkdir(exist_ok=True)
        return RunOptions(
            corpora={part.name: part for part in chosen},
            upstream="",
            store=store,
            command="affekt run",
            progress=lambda what, total: lambda more: None,
            **given | changed,
        )

    return options


def report_of(folder):
    return json.loads((folder / "report.json").read_text("utf-8"))


def like_lssed(corpus):
    """The same voices under LSSED's name and eleven labels."""
    labels = corpus.labels.reindex(columns=list(LSSED_11), fill_value=0.0)
    return replace(corpus.relabel(labels, LSSED_11), name="lssed")


def like_daic(corpus):
    """Every second speaker is depressed; the last two are the development part."""
    table = corpus.utterances
    number = table["speaker"].str[1:].astype(int)
    ill = (number % 2 == 0).to_numpy(dtype=float)
    labels = pd.DataFrame({"not depressed": 1 - ill, "depressed": ill}, table.index)
    part = np.where(number > 4, "validation", "train")
    whole = replace(corpus, utterances=table.assign(split=part), name="daic-woz")
    return whole.relabel(labels, DAIC_WOZ_2)
