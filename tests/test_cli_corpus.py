from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from affekt import audio
from affekt.cli.corpus import app
from affekt.corpora import CORPORA, toy
from affekt.corpus import Corpus
from affekt.exceptions import CorpusError, TableError
from affekt.scheme import EKMAN_8, SCHEMES


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


@pytest.mark.parametrize("verb", ["check", "labels", "export"])
def test_an_unknown_corpus_is_refused_with_the_known_ones(tree, tmp_path, verb):
    found = run(verb, "nope", tree, *(["--out", tmp_path / "out"] if verb == "export" else []))
    assert isinstance(found.exception, CorpusError)
    assert str(found.exception) == f"no corpus 'nope': there are {', '.join(CORPORA)}"


@pytest.mark.parametrize("verb", ["labels", "export"])
def test_an_unknown_scheme_is_refused_with_the_known_ones(tree, tmp_path, verb):
    out = ["--out", tmp_path / "out"] if verb == "export" else []
    found = run(verb, "toy", tree, "--target", "nope", *out)
    assert isinstance(found.exception, TableError)
    assert str(found.exception) == f"no scheme 'nope': there are {', '.join(SCHEMES)}"
    assert not (tmp_path / "out").exists()


def test_what_export_writes_is_the_corpus_called_affekt(tree, tmp_path):
    written = tmp_path / "written"
    assert run("export", "toy", tree, "--out", written).exit_code == 0
    again = CORPORA["affekt"].load(written)
    assert again.name == "toy"
    pd.testing.assert_frame_equal(again.labels, CORPORA["toy"].load(tree).labels)
    assert again.path("s01_anger_1").samefile(CORPORA["toy"].load(tree).path("s01_anger_1"))
    report = run("check", "affekt", written)
    assert report.exit_code == 0
    assert "72 of 72 utterances found" in report.output


def test_a_written_corpus_that_lost_files_and_labels_is_told(tree, tmp_path):
    corpus = CORPORA["toy"].load(tree)
    corpus.relabel(corpus.labels.iloc[1:], corpus.scheme).write(tmp_path / "written")
    gone, empty = corpus.path("s01_anger_2"), corpus.path("s01_anger_3")
    gone.unlink()
    empty.write_bytes(b"")
    report = CORPORA["affekt"].check(tmp_path / "written")
    assert (report.expected, report.found) == (72, 71)
    assert [Path(file).name for file in report.missing] == [gone.name]
    assert [Path(line).name for line in report.problems] == [
        f"{empty.name}: an empty file", f"{corpus.utterances.index[0]}: no label"
    ]  # fmt: skip
    assert run("check", "affekt", tmp_path / "written").exit_code == 1


def test_a_folder_without_a_card_is_no_corpus(tree):
    with pytest.raises(CorpusError, match=r"no card\.json, so this is not a corpus folder"):
        CORPORA["affekt"].load(tree)


def test_an_export_to_a_scheme_has_its_labels_and_exporting_again_changes_nothing(tmp_path):
    audio.write(tmp_path / "tess" / "OAF_back_ps.wav", np.zeros(10, np.float32))
    first, second = tmp_path / "first", tmp_path / "second"
    to_eight = ("--target", "ekman_8", "--out")
    assert run("export", "tess", tmp_path / "tess", *to_eight, first).exit_code == 0
    assert run("export", "affekt", first, *to_eight, second).exit_code == 0
    labels = Corpus.read(first).labels
    assert list(labels) == list(EKMAN_8)
    assert labels.loc["OAF_back_ps", ["happiness", "surprise"]].tolist() == [0.3, 0.7]
    pd.testing.assert_frame_equal(Corpus.read(second).labels, labels)
    assert Corpus.read(second).scheme == EKMAN_8
    assert "surprise 1 " in run("labels", "affekt", first).output


def test_a_tree_that_is_not_there_is_an_input_error(tmp_path):
    result = run("check", "ravdess", tmp_path / "none")
    assert isinstance(result.exception, CorpusError)
