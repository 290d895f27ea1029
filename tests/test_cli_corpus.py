import numpy as np
import pytest
from typer.testing import CliRunner

from affekt import audio
from affekt.cli.corpus import app
from affekt.corpora import CORPORA, toy
from affekt.corpus import Corpus
from affekt.exceptions import CorpusError


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def tree(tmp_path):
    toy.make(tmp_path / "toy")
    return tmp_path / "toy"


def test_list_names_every_corpus():
    result = run("list")
    assert result.exit_code == 0
    assert all(name in result.output for name in CORPORA)
    assert "file, label[, speaker" in result.output


def test_check_of_a_complete_tree_says_so_and_succeeds(tree):
    result = run("check", "toy", tree)
    assert result.exit_code == 0
    assert "72 of 72 utterances found" in result.output
    assert "complete" in result.output


def test_check_names_the_first_twenty_or_all_and_fails(tree):
    missing = sorted(path.stem for path in tree.rglob("*_sadness_*") for _ in [path.unlink()])
    missing += sorted(path.stem for path in tree.rglob("*_neutral_*") for _ in [path.unlink()])
    audio.write(tree / "stranger.wav", np.zeros(10, np.float32))
    short, long = run("check", "toy", tree), run("check", "toy", tree, "--all")
    for result in (short, long):
        assert result.exit_code == 1
        assert "36 of 72 utterances found" in result.output
        assert "missing: 36" in result.output
        assert "stranger.wav: the name does not read as" in result.output
    assert sum(name in long.output for name in missing) == 36
    assert sum(name in short.output for name in missing) == 20
    assert "… and 16 more" in short.output


def test_labels_shows_targets_counts_and_exclusions(tmp_path):
    names = ("1076_MTI_SAD_XX", "1001_IEO_ANG_HI")
    for name in names:
        audio.write(tmp_path / f"{name}.wav", np.zeros(10, np.float32))
    result = run("labels", "crema-d", tmp_path)
    assert result.exit_code == 0
    assert "anger 1" in result.output
    assert "excluded from training: 1076_MTI_SAD_XX (silent)" in result.output


def test_labels_shows_weights(tmp_path):
    audio.write(tmp_path / "OAF_back_ps.wav", np.zeros(10, np.float32))
    result = run("labels", "tess", tmp_path)
    assert "happiness 0.3 + surprise 0.7" in result.output


def test_export_writes_a_folder_that_reads_back(tree, tmp_path):
    result = run("export", "toy", tree, "--out", tmp_path / "out", "--ending", ".jsonl")
    assert result.exit_code == 0
    assert "72 utterances of toy" in result.output
    corpus = Corpus.read(tmp_path / "out")
    assert corpus.utterances["duration"].between(0.6, 1.2).all()
    assert corpus.path("s01_anger_1").is_file()


def test_unknown_names_are_refused_with_the_known_ones(tree):
    for arguments in (("check", "nope", tree), ("labels", "toy", tree, "--target", "nope")):
        result = run(*arguments)
        assert result.exit_code == 2
        assert "nope" in result.output


def test_a_tree_that_is_not_there_is_an_input_error(tmp_path):
    result = run("check", "ravdess", tmp_path / "none")
    assert isinstance(result.exception, CorpusError)
