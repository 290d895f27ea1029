"""Recipes on frames run on the toy corpus: four methods, the same folds, one report each."""

import json
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

import tiny_whisper
from affekt import audio, cli
from affekt.corpora import toy
from affekt.recipes import ctc_table_1
from affekt.recipes.ctc_table_1 import METHODS
from affekt.recipes.frames import frames_of
from affekt.recipes.probe import RunOptions
from affekt.tables import read_table

one_thread = pytest.fixture(scope="module", autouse=True)(tiny_whisper.one_thread)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("toy")
    toy.make(folder)
    return toy.load(folder)


@pytest.fixture(scope="module")
def out(corpus, tmp_path_factory):
    folder = tmp_path_factory.mktemp("table")
    arguments = ["--corpus", f"toy={corpus.root}", "--out", str(folder), "--epochs", "12"]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(ctc_table_1, "N_TREES", 20)
        result = CliRunner().invoke(cli.app, ["run", "ctc_table_1", *arguments])
    assert result.exit_code == 0, result.output
    return folder


@pytest.mark.parametrize("method", METHODS)
def test_every_method_answers_every_utterance_of_unseen_speakers(out, corpus, method):
    answers = read_table(out / method / "predictions.csv")
    assert sorted(answers.index) == sorted(corpus.utterances.index)
    np.testing.assert_allclose(answers[list(corpus.scheme)].sum(axis=1), 1, atol=1e-6)


def test_what_is_learnt_beats_the_commonest_label(out):
    accuracy = {
        method: json.loads((out / method / "report.json").read_text("utf-8"))["measures"][
            "accuracy"
        ]["value"]
        for method in METHODS
    }
    assert accuracy["dummy"] <= 0.25
    assert all(accuracy[method] > 0.4 for method in ("framewise", "one-label", "ctc")), accuracy


def test_an_utterance_that_is_all_pause_keeps_its_frames(corpus, tmp_path):
    id_ = corpus.utterances.index[0]
    silent = tmp_path / "silent.wav"
    audio.write(silent, np.zeros(8_000, np.float32))
    table = corpus.utterances.loc[[id_]].assign(file=silent.name)
    one = replace(corpus.select([id_]), root=tmp_path, utterances=table)
    options = RunOptions({}, tmp_path, "", tmp_path, "", lambda what, total: lambda more: None)
    frames, _ = frames_of(one, options)
    assert frames[id_].shape == (4, 34)
