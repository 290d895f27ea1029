"""`affekt errors`: any predictions beside a corpus' votes, on the command line."""

import sys
from dataclasses import replace

import pandas as pd
import pytest

from affekt import cli, errors
from affekt.corpora import toy
from affekt.votes.read import occurring
from affekt.votes.rest import rater_against_rest


@pytest.fixture(scope="module")
def voted(tmp_path_factory):
    """The toy corpus with three raters, written as a folder; the third hears only neutral."""
    folder = tmp_path_factory.mktemp("voted")
    corpus = toy.load(folder / "toy")
    said = corpus.labels.idxmax(axis=1)
    rows = [(id_, rater, label) for id_, label in said.items() for rater in ("r1", "r2")]
    rows += [(id_, "r3", "neutral") for id_ in said.index]
    votes = pd.DataFrame(rows, columns=["utterance", "rater", "label"])
    whole = replace(corpus, votes=votes)
    whole.write(folder / "corpus")
    corpus.write(folder / "silent")
    return folder, whole


@pytest.fixture
def run(voted, monkeypatch, capsys):
    monkeypatch.chdir(voted[0])

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["affekt", "errors", *map(str, words)])
        code = 0
        try:
            cli.main()
        except SystemExit as end:
            code = end.code or 0
        return code, *capsys.readouterr()

    return call


@pytest.fixture
def answers(voted, tmp_path):
    """Everything is answered with anger."""
    table = voted[1].labels * 0.0
    table["anger"] = 1.0
    table.to_csv(tmp_path / "answers.csv", index_label="utterance")
    return tmp_path / "answers.csv", table


def test_the_page_is_that_of_the_library(run, voted, answers, tmp_path):
    path, table = answers
    code, out, err = run(path, "--corpus", "affekt=corpus", "--out", tmp_path / "out")
    assert (code, err) == (0, "")
    corpus = voted[1]
    people = rater_against_rest(corpus.votes, occurring(corpus.votes))
    expected = errors.structure(corpus.labels, table, corpus.votes, people=people)
    assert out == expected.to_markdown()
    assert (tmp_path / "out" / "errors.md").read_text("utf-8") == out
    for name in ("errors.png", "people.png"):
        assert (tmp_path / "out" / name).stat().st_size > 5_000


def test_predictions_may_name_files_and_lack_some(run, voted, answers, tmp_path):
    _, table = answers
    files = voted[1].utterances["file"].loc[table.index]
    named = table.set_axis(files, axis=0).iloc[:30].rename_axis("file")
    named.to_csv(tmp_path / "files.csv")
    code, out, err = run(tmp_path / "files.csv", "--corpus", "affekt=corpus")
    assert code == 0
    assert err == "note: 42 of 72 have no prediction\n"
    assert "30 utterances" in out


def test_the_truth_may_be_what_most_said_and_of_some_labels_alone(run, answers):
    path, _ = answers
    code, out, _ = run(path, "--corpus", "affekt=corpus", "--truth", "majority")
    assert code == 0
    assert "72 utterances" in out
    code, out, _ = run(path, "--corpus", "affekt=corpus", "--labels", "anger,neutral")
    assert code == 0
    assert "36 utterances" in out
    assert "| truth | anger | neutral |\n" in out


@pytest.mark.parametrize(("words", "message"), [
    (["--corpus", "affekt"], "give NAME=ROOT"),
    (["--corpus", "affekt=nowhere"], "nowhere"),
    (["--corpus", "affekt=silent"], "has no votes"),
    (["--corpus", "affekt=corpus", "--labels", "anger,joy"], "joy"),
    (["--corpus", "affekt=corpus", "--labels", ","], "label"),
])  # fmt: skip
def test_a_bad_command_is_one_line(run, answers, words, message):
    code, out, err = run(answers[0], *words)
    assert (code, out) == (1, "")
    assert message in err
    assert err.count("\n") == 1


def test_labels_that_prediction_or_corpus_lack_are_named(run, answers, tmp_path):
    table = answers[1].rename(columns={"sadness": "boredom"})
    table.to_csv(tmp_path / "bored.csv", index_label="utterance")
    code, out, _ = run(tmp_path / "bored.csv", "--corpus", "affekt=corpus")
    assert code == 0
    assert "that the truth does not know: such answers are errors: boredom." in out
    assert "that the prediction does not know, and never answers: sadness." in out


def test_predictions_of_another_corpus_are_refused(run, tmp_path):
    (tmp_path / "other.csv").write_text("utterance,anger,neutral\nxyz,1,0\n", "utf-8")
    code, _, err = run(tmp_path / "other.csv", "--corpus", "affekt=corpus")
    assert code == 1
    assert "has none of the 72 utterances" in err
