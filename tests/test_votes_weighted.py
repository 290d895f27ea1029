"""Weighted majority: closed form, the best decision rule, ties, and raters nobody tested."""

import numpy as np
import pandas as pd
import pytest

from affekt.exceptions import TableError
from affekt.scheme import Categories
from affekt.votes.coded import code
from affekt.votes.majority import majority
from affekt.votes.weighted_majority import rater_weights, weighted_majority

THREE = Categories("three", ("anger", "calm", "fear"))


def table(*rows: tuple[str, str, str, str | None]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["utterance", "rater", "label", "gold"])


def exam(right: dict[str, tuple[int, int]]) -> list[tuple[str, str, str, str | None]]:
    """Control answers: each rater gets so many right of so many."""
    return [
        (f"test {i}", rater, "anger" if i < n_right else "calm", "anger")
        for rater, (n_right, n_tests) in right.items()
        for i in range(n_tests)
    ]


GOOD_AND_BAD = exam({"good": (9, 10), "fair": (6, 10), "poor": (0, 10)})


def test_weights_are_the_formula():
    # 15 of 30 right, m = 16/32; a = (r + 8 m) / 18; three categories
    accuracy = (np.array([9, 6, 0]) + 8 / 2) / 18
    coded = code(table(*GOOD_AND_BAD), THREE)
    odds = rater_weights(coded)
    assert odds.index.tolist() == ["good", "fair", "poor"]
    expected = np.log(2 * accuracy / (1 - accuracy))
    assert expected[2] < 0  # below chance, so without a say
    np.testing.assert_allclose(odds, [*expected[:2], 0])
    linear = rater_weights(coded, weight="linear")
    np.testing.assert_allclose(linear, [*(3 * accuracy[:2] - 1) / 2, 0])


def test_smoothing_pulls_towards_the_mean_accuracy():
    coded = code(table(*GOOD_AND_BAD), THREE)
    plain, strong = (rater_weights(coded, weight="linear", smoothing=s) for s in (0.0, 1e9))
    np.testing.assert_allclose(plain, [(3 * 0.9 - 1) / 2, (3 * 0.6 - 1) / 2, 0])
    np.testing.assert_allclose(strong, (3 / 2 - 1) / 2)


def test_a_rater_without_control_tasks_gets_the_mean_is_ignored_or_is_refused():
    votes = table(*GOOD_AND_BAD, ("a", "new", "calm", None))
    coded = code(votes, THREE)
    assert rater_weights(coded)["new"] == pytest.approx(np.log(2))
    assert rater_weights(coded, smoothing=7)["new"] == pytest.approx(np.log(2))
    assert rater_weights(coded, weight="linear", smoothing=0)["new"] > 0
    assert rater_weights(coded, uncontrolled="ignore")["new"] == 0
    with pytest.raises(TableError, match=r"rater 'new' has no control task \(1 raters"):
        weighted_majority(votes, THREE, uncontrolled="refuse")


def test_one_good_rater_outweighs_two_that_are_little_better_than_chance():
    tests = exam({"good": (29, 30), "x": (12, 30), "y": (12, 30)})
    votes = table(*tests, ("a", "x", "calm", None), ("a", "y", "calm", None),
                  ("a", "good", "fear", None))  # fmt: skip
    labels = weighted_majority(votes, THREE)
    assert list(labels.columns) == list(THREE)
    assert labels.loc["a"].tolist() == [0, 0, 1]
    assert labels.index.tolist() == votes["utterance"].drop_duplicates().tolist()


def test_shares_of_the_weight_are_the_weights_normalised():
    votes = table(*GOOD_AND_BAD, ("a", "good", "calm", None), ("a", "fair", "fear", None))
    weights = rater_weights(code(votes, THREE))
    labels = weighted_majority(votes, THREE, output="shares")
    expected = [0, weights["good"], weights["fair"]] / (weights["good"] + weights["fair"])
    np.testing.assert_allclose(labels.loc["a"], expected)
    np.testing.assert_allclose(labels.sum(axis=1), 1)


def test_a_tie_stays_in_sight_whatever_the_order_of_the_sums():
    # weights .1 .4 .7 against .1 .25 .85: both 1.2, but not in floating point
    right = {"a": 4, "b": 6, "c": 8, "d": 4, "e": 5, "f": 9}
    said = [(rater, "calm" if rater in "abc" else "fear") for rater in right]
    for turn in range(6):
        votes = table(
            *exam({rater: (n, 10) for rater, n in right.items()}),
            *(("u", rater, label, None) for rater, label in said[turn:] + said[:turn]),
        )
        labels = weighted_majority(votes, THREE, weight="linear", smoothing=0)
        assert labels.loc["u"].tolist() == [0, 0.5, 0.5]


def test_an_utterance_heard_only_by_raters_without_a_say_is_undecided():
    votes = table(*GOOD_AND_BAD, ("a", "poor", "calm", None))
    for output in ("winner", "shares"):
        labels = weighted_majority(votes, THREE, output=output)
        np.testing.assert_allclose(labels.loc["a"], 1 / 3)


def test_log_odds_are_the_best_rule_where_accuracies_are_known():
    # many control tasks, independent errors: no decision beats the Bayes rule (Nitzan, Paroush)
    rng = np.random.default_rng(0)
    accuracy = np.array([0.9, 0.6, 0.6, 0.55, 0.45])
    n_tests, n = 1000, 3000
    truth = rng.integers(3, size=n_tests + n)
    right = rng.random((n_tests + n, 5)) < accuracy
    said = np.where(right, truth[:, None], (truth[:, None] + rng.integers(1, 3, right.shape)) % 3)
    gold = np.where(np.arange(n_tests + n) < n_tests, np.array(list(THREE))[truth], None)
    votes = pd.DataFrame({
        "utterance": np.repeat([f"u{i}" for i in range(n_tests + n)], 5),
        "rater": np.tile(list("abcde"), n_tests + n),
        "label": np.array(list(THREE))[said].ravel(),
        "gold": np.repeat(gold, 5),
    })  # fmt: skip
    found = weighted_majority(votes, THREE).to_numpy()[n_tests:].argmax(axis=1)
    log_odds = np.log(2 * accuracy / (1 - accuracy))
    scores = (said[n_tests:, :, None] == np.arange(3)) * log_odds[:, None]
    best = scores.sum(axis=1).argmax(axis=1)
    counts = (said[n_tests:, :, None] == np.arange(3)).sum(axis=1)
    assert (found == best).mean() > 0.97
    assert (found == truth[n_tests:]).mean() > (counts.argmax(1) == truth[n_tests:]).mean() + 0.04


@pytest.mark.parametrize("weight", ["log_odds", "linear"])
def test_a_handful_of_control_tasks_does_no_harm(weight):
    rng = np.random.default_rng(1)
    n, n_raters, names = 6000, 100, np.array(list(THREE))
    truth, utterance = rng.integers(3, size=n), np.repeat(np.arange(n), 5)
    rater = (rng.integers(n_raters, size=n).repeat(5) + np.tile(np.arange(5), n)) % n_raters
    right = rng.random(5 * n) < rng.uniform(0.5, 0.9, n_raters)[rater]
    said = np.where(right, truth[utterance], (truth[utterance] + rng.integers(1, 3, 5 * n)) % 3)
    votes = pd.DataFrame({
        "utterance": [f"u{i}" for i in utterance],
        "rater": [f"r{i}" for i in rater],
        "label": names[said],
        "gold": np.where(utterance < 80, names[truth[utterance]], None),
    })  # fmt: skip
    rows = np.arange(n), truth  # the mass on the truth; a tie counts in part
    plain = majority(votes, THREE).to_numpy()[rows][80:].mean()
    hasty = weighted_majority(votes, THREE, weight=weight, smoothing=1).to_numpy()[rows][80:].mean()
    assert weighted_majority(votes, THREE, weight=weight).to_numpy()[rows][80:].mean() > plain
    assert hasty < plain


def test_order_of_rows_changes_nothing():
    votes = table(*GOOD_AND_BAD, ("a", "good", "calm", None), ("a", "fair", "fear", None))
    labels = weighted_majority(votes, THREE, output="shares")
    shuffled = weighted_majority(votes[::-1], THREE, output="shares")
    np.testing.assert_allclose(shuffled.loc[labels.index], labels)


@pytest.mark.parametrize(("options", "message"), [
    ({"weight": "square"}, "'log_odds' or 'linear', not 'square'"),
    ({"smoothing": 0}, "above 0 for log odds"),
    ({"smoothing": -1, "weight": "linear"}, "0 or more"),
    ({"smoothing": float("nan")}, "smoothing is nan"),
    ({"uncontrolled": "guess"}, "'ignore' or 'refuse', not 'guess'"),
    ({"output": "soft"}, "'winner' or 'shares', not 'soft'"),
])  # fmt: skip
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(TableError, match=message):
        weighted_majority(table(*GOOD_AND_BAD), THREE, **options)


def test_votes_without_control_tasks_are_refused_with_a_way_out():
    votes = table(*GOOD_AND_BAD)
    for untested in (votes.drop(columns="gold"), votes.assign(gold=None)):
        with pytest.raises(TableError, match=r"no control task: column gold .* take `majority`"):
            weighted_majority(untested, THREE)


def test_bad_votes_and_a_lone_category_are_refused():
    votes = table(*GOOD_AND_BAD)
    with pytest.raises(TableError, match="row 0: gold 'joy' is not one of"):
        weighted_majority(votes.assign(gold="joy"), THREE)
    with pytest.raises(TableError, match="column rater is empty"):
        weighted_majority(votes.assign(rater=None), THREE)
    with pytest.raises(TableError, match="two categories"):
        weighted_majority(votes.assign(label="anger"), Categories("one", ("anger",)))
