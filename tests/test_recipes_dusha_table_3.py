"""Dusha's table 3 on the toy corpus."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

import tiny_spectrograms
import tiny_whisper
from affekt import cli
from affekt.corpora import toy
from affekt.exceptions import CorpusError
from affekt.protocols import dusha_networks
from affekt.recipes import dusha_table_3
from affekt.tables import read_table
from tiny_spectrograms import METHOD, options_in

place = pytest.fixture(scope="module")(tiny_spectrograms.place)
corpus = pytest.fixture(scope="module")(tiny_spectrograms.corpus)
light = pytest.fixture(autouse=True)(tiny_spectrograms.light)
one_thread = pytest.fixture(scope="module", autouse=True)(tiny_whisper.one_thread)


def table_3(corpus, place, out, *arguments):
    command = ["run", "dusha_table_3", "--corpus", f"toy={corpus.root}", "--out", str(out)]
    return CliRunner().invoke(cli.app, [*command, "--store", str(place / "store"), *arguments])


@pytest.fixture(scope="module")
def three_speakers(corpus, place):
    for name in ("s01", "s02", "s03"):
        shutil.copytree(corpus.root / name, place / "three" / name)
    return toy.load(place / "three")


@pytest.mark.parametrize("method", ["dusha", "ours"])
def test_dusha_table_3_runs_on_the_toy_corpus(three_speakers, place, tmp_path, method):
    corpus = three_speakers
    found = table_3(
        corpus, place, tmp_path, "--method", method, "--epochs", "1", "--folds", "speaker-s01"
    )
    assert found.exit_code == 0, found.output
    page = (tmp_path / method / "report.md").read_text("utf-8")
    assert "514,909 parameters" in page
    assert len(read_table(tmp_path / method / "predictions.csv")) == 12


def test_a_method_that_there_is_not_is_refused(corpus, place, tmp_path):
    found = table_3(corpus, place, tmp_path, "--method", "theirs")
    assert isinstance(found.exception, CorpusError)
    there = "dusha, crowd, podcast, podcast-tune, ours, tuned"
    assert str(found.exception) == f"--method theirs: there are {there}"


def test_excluded_utterances_are_in_no_fold(corpus, place, tmp_path, monkeypatch):
    table = corpus.utterances.copy()
    table.loc[table.index[0], "excluded"] = "cough"
    options = options_in(place, tmp_path, epochs=1, method="ours", folds=("speaker-s01",))
    options = replace(options, corpora={"toy": replace(corpus, utterances=table)})
    light = replace(METHOD, choose=False)
    monkeypatch.setitem(dusha_networks.METHODS, "ours", light)
    (result,) = dusha_table_3.main(options)
    assert table.index[0] not in read_table(result.folder / "predictions.csv").index
    assert result.report.n == 11


def test_the_papers_training_is_that_of_the_paper():
    method = dusha_networks.METHODS["dusha"]
    how = method.training
    assert (how.optimizer, how.learning_rate, how.schedule) == ("adam", 1e-3, "constant")
    assert (how.weight_decay, how.epochs, how.clip) == (1e-6, 100, None)
    assert (method.batch_size, method.fill, method.on_both_sides) == (64, 0.0, True)
    assert method.draw_by_length
    assert not method.build(4).config.masked


def test_our_change_keeps_the_bands_and_fits_the_window():
    rng = np.random.default_rng(0)
    given = rng.uniform(-80, 0, (64, 300)).astype(np.float32)
    before = given.copy()
    shapes = {dusha_networks.ours(given, rng).shape for _ in range(20)}
    assert shapes == {(64, dusha_networks.LONGEST)}
    assert dusha_networks.ours(given[:, :60], rng).shape[1] <= 66
    np.testing.assert_array_equal(given, before)
