"""`affekt aggregate` from the outside: methods, options, ties, and how their rounds end."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import vote_tables
from affekt import votes
from affekt.cli.aggregate import Method
from affekt.scheme import Categories
from affekt.tables import read_table
from vote_tables import PLAIN, SAID

place = pytest.fixture(vote_tables.place)
affekt = pytest.fixture(vote_tables.affekt)
both = pytest.fixture(vote_tables.both)


# --- aggregate


def test_the_methods_of_the_command_line_are_those_of_the_room():
    assert [method.value for method in Method] == list(votes.AGGREGATORS)


@pytest.mark.parametrize("method", list(Method))
def test_labels_are_those_of_the_function_of_that_name(affekt, place, tmp_path, method):
    path, out = place("v.csv", SAID), tmp_path / "labels.csv"
    said = affekt("aggregate", path, "--method", method, "--out", out)
    assert "14 votes on 5 utterances by 3 raters" in said
    three = Categories("three", ("anger", "neutral", "sadness"))
    expected = votes.AGGREGATORS[method](votes.read_votes(path), three)
    pd.testing.assert_frame_equal(read_table(out), expected, check_index_type=False)


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".jsonl", ".parquet"])
def test_a_threshold_adds_hard_labels_and_leaves_the_undecided_empty(
    affekt, place, tmp_path, ending
):
    out = tmp_path / f"labels{ending}"
    said = affekt("aggregate", place("v.csv", SAID), "--threshold", "0.9", "--out", out)
    table = read_table(out)
    assert table.columns.tolist() == ["anger", "neutral", "sadness", "label", "probability"]
    soft = table[["anger", "neutral", "sadness"]].astype(float)
    hard = votes.threshold(soft, 0.9)
    assert table["label"].fillna("").tolist() == hard.fillna("").tolist()
    assert np.allclose(table["probability"].astype(float), soft.max(axis=1))
    assert f"{hard.isna().sum()} of 5 utterances undecided below 0.9" in said


def test_several_labels_of_an_utterance_are_ones_beside_zeros(affekt, place, tmp_path):
    path, out = place("v.csv", PLAIN), tmp_path / "many.csv"
    affekt("aggregate", path, "--method", "shares", "--multi-label", "0.5", "--out", out)
    assert out.read_text() == "utterance,calm,fear\n1,1,1\n2,0,1\n"


def test_control_tasks_are_judged_fixed_or_left_out_as_asked(affekt, place, tmp_path):
    path, out = place("v.csv", SAID.replace("a1,ann,anger,", "a1,ann,neutral,")), tmp_path / "l.csv"
    said = affekt("aggregate", path, "--method", "majority", "--out", out)
    assert "control tasks: 1 of 2 labelled right (.500)" in said
    fixed = affekt("aggregate", path, "--gold", "--out", out)
    assert "control tasks" not in fixed
    assert read_table(out).loc["a1", "anger"] == 1
    affekt("aggregate", path, "--drop-control", "--out", out)
    assert read_table(out).index.tolist() == ["b1", "b2", "b3"]


@pytest.mark.parametrize(("options", "said"), [
    (["--gold"], "no column gold"), (["--drop-control"], "no column gold"),
    (["--method", "shares", "--max-iterations", "5"],
     "--max-iterations cannot be given with --method shares"),
    (["--method", "shares", "--tolerance", "0"], "--tolerance cannot be given with"),
    (["--method", "majority", "--gold"], "--gold cannot be given with --method majority"),
    (["--threshold", "1.5"], "--threshold 1.5 is not in (0, 1]"),
    (["--multi-label", "0.3", "--hard"], "--hard cannot be given with --multi-label"),
    (["--compat", "dusha"], "--compat cannot be given with votes other than a tree of Dusha"),
    (["--question", "emo"], "--question cannot be given with a table of votes"),
    (["--column", "label"], "--column 'label': write label=NAME"),
    (["--column", "mood=label"], "votes have no mood"),
    (["--column", "label=mood"], "no column mood"),
    (["--delimiter", "::"], "delimiter '::' is not one character"),
    (["--labels", "calm,calm"], "names a label twice"),
    (["--out", "labels.xlsx"], "labels.xlsx: a table ends in"),
])  # fmt: skip
def test_an_option_that_has_no_sense_is_refused_in_one_line(affekt, place, options, said):
    complaint = affekt("aggregate", place("v.csv", PLAIN), *options, code=1)
    assert said in complaint.splitlines()[-1]


def test_the_votes_themselves_are_never_replaced(affekt, place):
    path = place("v.csv", PLAIN)
    for words in (
        ("aggregate", path, "--out"),
        ("raters", path, "--keep"),
        ("next-votes", path, "--out"),
    ):
        assert "would replace the votes" in affekt(*words, path, code=1)
    assert Path(path).read_text() == PLAIN


def test_a_semicolon_is_read_when_it_is_named(affekt, place, tmp_path):
    path, out = place("v.csv", PLAIN.replace(",", ";")), tmp_path / "l.csv"
    affekt("aggregate", path, "--delimiter", ";", "--method", "shares", "--out", out)
    assert out.read_text() == "utterance,calm,fear\n1,0.5,0.5\n2,0.0,1.0\n"


def test_a_second_answer_is_taken_as_asked(affekt, place, tmp_path):
    path, out = place("v.csv", PLAIN + "1,x,fear\n"), tmp_path / "l.csv"
    for how, calm in (("first", 1 / 2), ("last", 0.0), ("keep", 1 / 3)):
        affekt("aggregate", path, "--method", "shares", "--duplicates", how, "--out", out)
        assert np.isclose(read_table(out)["calm"].iloc[0], calm)


def test_one_rater_alone_is_warned_of_and_labels_stay(both, place, tmp_path):
    path = place("v.csv", "utterance,rater,label\n1,x,calm\n2,x,fear\n")
    said, warned = both("aggregate", path, "--out", tmp_path / "l.csv")
    assert warned == (
        f"warning: {path}: 1 rater(s) voted on no utterance with another (x): "
        "nothing checks the labels of 2 utterance(s)\n"
    )
    assert "warning" not in said
    two = Categories("two", ("calm", "fear"))
    expected = votes.dawid_skene(votes.read_votes(path), two)
    pd.testing.assert_frame_equal(read_table(tmp_path / "l.csv"), expected, check_index_type=False)


@pytest.mark.parametrize("verb", ["aggregate", "raters", "next-votes"])
def test_raters_whom_nobody_meets_are_warned_of(both, place, verb):
    _, warned = both(verb, place("v.csv", PLAIN + "3,ann,calm\n4,ann,fear\n5,bob,fear\n"))
    assert "2 rater(s) voted on no utterance with another (ann, bob)" in warned
    assert "labels of 3 utterance(s)" in warned
    assert both(verb, place("w.csv", PLAIN + "3,x,calm\n"))[1] == ""


def test_the_summary_of_several_labels_counts_what_is_written(both, place, tmp_path):
    out = tmp_path / "many.csv"
    said, _ = both("aggregate", place("v.csv", PLAIN), "--method", "shares", "--multi-label", 0.5,
                   "--out", out)  # fmt: skip
    assert "shares: 3 labels of 2 utterances reach 0.5; 0 utterances have none\n" in said
    assert "undecided" not in said
    assert re.search(r"calm +1 +\.500 +\.250\n", said), said
    assert re.search(r"fear +2 +1\.000 +\.750\n", said), said


# --- options of methods, and how their rounds end


@pytest.mark.parametrize("tolerance", ["0", "-1", "nan", "inf"])
def test_a_tolerance_that_stops_nothing_is_refused(affekt, place, tolerance):
    complaint = affekt("aggregate", place("v.csv", SAID), "--tolerance", tolerance, code=1)
    assert complaint == f"affekt: --tolerance {float(tolerance):g} is not a number above 0\n"


@pytest.mark.parametrize("option", [
    "--min-control-accuracy", "--min-agreement", "--max-commonest-share", "--min-run-probability",
])  # fmt: skip
@pytest.mark.parametrize("share", ["1.5", "-0.1", "nan"])
def test_a_share_outside_nought_and_one_is_refused(affekt, place, option, share):
    complaint = affekt("raters", place("v.csv", SAID), option, share, code=1)
    assert complaint == f"affekt: {option} {float(share):g} is not in [0, 1]\n"


@pytest.mark.parametrize("method", ["dawid-skene", "one-coin", "mace", "glad"])
def test_the_summary_says_how_the_rounds_ended(both, place, method):
    path = place("v.csv", SAID)
    said, _ = both("aggregate", path, "--method", method, "--tolerance", "0.001")
    assert re.search(rf"{method}: converged after \d+ rounds\n", said)
    said, _ = both("aggregate", path, "--method", method, "--tolerance", "1e-15",
                   "--max-iterations", 2)  # fmt: skip
    assert f"{method}: stopped at the limit of 2 rounds: not converged\n" in said
    assert "rounds" not in both("aggregate", path, "--method", "shares")[0]


def test_the_number_of_rounds_is_that_of_the_fit(both, place):
    from affekt.votes.coded import code
    from affekt.votes.dawid_skene import fit

    path = place("v.csv", SAID)
    table = votes.read_votes(path)
    n = len(fit(code(table, votes.occurring(table))).losses)
    for verb in ("aggregate", "next-votes"):
        said, warned = both(verb, path)
        assert f"dawid-skene: converged after {n} rounds\n" in said
        assert "100 done" not in warned


def test_the_prior_and_the_seed_are_those_of_the_function(affekt, place, tmp_path):
    path, out = place("v.csv", SAID), tmp_path / "l.csv"
    table = votes.read_votes(path)
    three = votes.occurring(table)
    affekt("aggregate", path, "--prior", "uniform", "--out", out)
    expected = votes.dawid_skene(table, three, prior="uniform")
    pd.testing.assert_frame_equal(read_table(out), expected, check_index_type=False)
    assert not np.allclose(expected, votes.dawid_skene(table, three), atol=1e-6)
    affekt("aggregate", path, "--method", "mace", "--seed", 7, "--out", out)
    expected = votes.mace(table, three, seed=7)
    pd.testing.assert_frame_equal(read_table(out), expected, check_index_type=False)
    assert "--seed cannot be given" in affekt("aggregate", path, "--seed", 7, code=1)
    assert "--prior cannot be given" in affekt(
        "aggregate", path, "--method", "mace", "--prior", "uniform", code=1
    )
