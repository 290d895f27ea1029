"""Answers beside people: closed forms, and the whole recipe on toy voices with made-up raters."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import tiny_whisper
from affekt import cli
from affekt.corpora import toy
from affekt.protocols.people import beside_people, to_markdown
from affekt.tables import read_table

one_thread = pytest.fixture(scope="module", autouse=True)(tiny_whisper.one_thread)

LABELS = ["calm", "anger"]
UTTERANCES = pd.Index(["a", "b", "c"], name="utterance")
MEANT = pd.DataFrame([[1.0, 0], [1, 0], [0, 1]], UTTERANCES, LABELS)
SPEAKERS = pd.Series(["x", "y", "z"], UTTERANCES)


def votes_of(**said):
    rows = [(name, None, label) for name, labels in said.items() for label in labels.split()]
    return pd.DataFrame(rows, columns=["utterance", "rater", "label"])


VOTES = votes_of(a="calm calm anger", b="anger anger anger", c="calm calm anger")


@pytest.fixture(scope="module")
def table():
    soft = pd.DataFrame([[0.8, 0.2], [0.4, 0.6], [0.6, 0.4]], UTTERANCES, LABELS)
    return beside_people(MEANT, VOTES, {"a model": soft}, SPEAKERS)


def test_people_and_models_are_asked_the_same_three_questions(table):
    # the model answers calm, anger, calm: as most heard, but for what was meant in one of three
    row = table.loc["a model"]
    assert row[["intention", "majority"]].tolist() == pytest.approx([1 / 3, 1])
    assert row["rater"] == pytest.approx((2 + 3 + 2) / 9)
    assert table.loc["what was meant", "intention"] == 1
    assert table.loc["what was meant", "rater"] == pytest.approx((2 + 0 + 1) / 9)


def test_the_shares_are_the_best_answer_to_what_a_rater_says(table):
    shares = np.array([2 / 3, 1 / 3])
    entropy = -(shares * np.log(shares)).sum()
    assert table.loc["the shares themselves", "cross_entropy"] == pytest.approx(2 * entropy / 3)
    assert table["rater"].max() == table.loc["the shares themselves", "rater"]


def test_a_rater_is_held_against_the_others(table):
    row = table.loc["a rater"]
    assert row["intention"] == pytest.approx((2 + 0 + 1) / 9)
    # in a and c each calm faces a tie of two, each anger two calms; in b all agree
    assert row["majority"] == pytest.approx((2 * 0.5 + 3 + 2 * 0.5) / 9)
    assert row["rater"] == pytest.approx((2 * 0.5 + 3 + 2 * 0.5) / 9)


def test_an_answer_that_is_right_about_raters_is_calibrated_about_raters():
    many = votes_of(a="calm " * 6 + "anger " * 4, b="anger " * 6 + "calm " * 4, c="calm anger")
    soft = pd.DataFrame([[0.6, 0.4], [0.4, 0.6], [0.5, 0.5]], UTTERANCES, LABELS)
    found = beside_people(MEANT, many, {"it": soft}, SPEAKERS)
    assert found.loc["it", "calibration_error"] == pytest.approx(0, abs=1e-9)


def test_the_table_for_readers_has_a_line_an_answer(table):
    lines = to_markdown(table).splitlines()
    assert len(lines) == 2 + len(table)
    assert "| a rater | .333 [" in lines[-1]
    assert lines[-1].endswith("|  |  |")


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    folder = tmp_path_factory.mktemp("people")
    tiny_whisper.write(folder / "tiny-whisper")
    toy.make(folder / "toy")
    corpus = toy.load(folder / "toy")
    rng = np.random.default_rng(0)
    labels = corpus.labels.to_numpy().argmax(1).repeat(5)
    labels = np.where(rng.random(labels.size) < 0.7, labels, (labels + 1) % 4)
    votes = pd.DataFrame(
        {
            "utterance": np.repeat(corpus.utterances.index, 5),
            "rater": list("vwxyz") * len(corpus),
            "label": np.array(list(corpus.scheme))[labels],
        }
    )
    replace(corpus, votes=votes).write(folder / "voted")
    arguments = ["--corpus", f"affekt={folder / 'voted'}", "--out", str(folder / "out")]
    arguments += ["--store", str(folder / "store"), "--upstream", str(folder / "tiny-whisper")]
    result = CliRunner().invoke(cli.app, ["run", "meant_and_heard", *arguments, "--epochs", "10"])
    assert result.exit_code == 0, result.output
    return folder / "out"


def test_the_recipe_compares_four_targets_with_people(out):
    table = read_table(out / "people.csv").set_index("answer")
    taught = [name for name in table.index if name.startswith("taught")]
    assert len(taught) == 4
    assert table.loc["taught the shares", "rater"] > table.loc["always the same", "rater"]
    assert (out / "meant_and_heard.png").stat().st_size > 10_000
    assert (out / "people.md").read_text("utf-8").count("\n") == 2 + len(table)
    assert (out / "taught-the-shares" / "results_row.md").is_file()
