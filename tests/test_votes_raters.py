"""Reports on raters: closed forms, planted raters, the formulas written out, real annotators."""

import numpy as np
import pandas as pd
import pytest

from affekt.exceptions import TableError
from affekt.scheme import Categories
from affekt.votes.agreement import agreement_with_rest
from affekt.votes.raters import confusion, confusions, exclude, raters, run_probability

THREE = Categories("three", ("anger", "calm", "fear"))
A, C, F = THREE


def votes(*rows, **columns):
    """Votes from "utterance rater label" each."""
    table = pd.DataFrame([row.split() for row in rows], columns=["utterance", "rater", "label"])
    return table.assign(**columns)


@pytest.fixture
def crowd():
    """300 utterances, 20 raters; the last is careless, and every fifth utterance is a control."""
    rng = np.random.default_rng(8)
    truth = rng.integers(3, size=300)
    heard = rng.random((300, 20)) < 0.4
    utterance, rater = np.nonzero(heard)
    careful = (rng.random(len(rater)) < 0.85) & (rater < 19)
    label = np.where(careful, truth[utterance], rng.integers(3, size=len(rater)))
    names = np.array(THREE.labels, dtype=object)
    return pd.DataFrame(
        {
            "utterance": [f"u{i}" for i in utterance],
            "rater": [f"r{j}" for j in rater],
            "label": names[label],
            "gold": np.where(utterance % 5 == 0, names[truth[utterance]], None),
        }
    )


def written_out(table):
    """Agreement with the majority of the others and with their votes, one vote after another."""
    rows = []
    for place, vote in table.iterrows():
        others = table[(table["utterance"] == vote["utterance"]) & (table.index != place)]
        if len(others):
            top = others["label"].mode()
            said = vote["label"]
            rows.append((vote["rater"], (top == said).mean(), (others["label"] == said).mean()))
    frame = pd.DataFrame(rows, columns=["rater", "agreement", "agreement_votes"])
    return frame.groupby("rater", sort=False).mean()


def test_agreement_with_the_rest_equals_the_definition_vote_by_vote(crowd):
    table = crowd[:600]
    report = raters(table, THREE)
    expected = written_out(table).reindex(report.index)
    np.testing.assert_allclose(report["agreement"], expected["agreement"])
    np.testing.assert_allclose(report["agreement_votes"], expected["agreement_votes"])


def test_agreement_over_all_raters_is_that_of_the_whole_table(crowd):
    report = raters(crowd, THREE)
    pooled = np.average(report["agreement"], weights=report["n_compared"])
    assert pooled == pytest.approx(agreement_with_rest(crowd, THREE))


def test_control_accuracy_counts_right_answers_of_every_vote_on_a_control_task():
    table = votes("a x anger", "a y calm", "b x fear", "c x calm", gold=[A, None, A, None])
    report = raters(table, THREE)
    assert report["n_control"].to_dict() == {"x": 2, "y": 1}
    assert report["control_accuracy"].to_dict() == {"x": 0.5, "y": 0.0}


def test_what_cannot_be_judged_is_missing_and_no_zero():
    report = raters(votes("a x anger", "b x calm", "b y calm", "c z fear"), THREE)
    assert report["control_accuracy"].isna().all()
    assert report["n_compared"].to_dict() == {"x": 1, "y": 1, "z": 0}
    assert report["agreement"].dropna().to_dict() == {"x": 1.0, "y": 1.0}
    assert "median_seconds" not in report


def test_one_rater_alone_gets_a_report_too():
    report = raters(votes("a x anger", "b x calm"), THREE).loc["x"]
    assert report["n_votes"] == 2
    assert report["entropy"] == 1.0
    assert np.isnan(report["agreement"])


def test_entropy_and_the_commonest_label_are_of_the_raters_own_answers():
    rows = [f"{u} x {label}" for u, label in zip("abcd", [A, A, C, F], strict=True)]
    report = raters(votes(*rows, "a y fear", "b y fear"), THREE)
    assert report["entropy"].to_dict() == {"x": 1.5, "y": 0.0}
    assert report["commonest"].to_dict() == {"x": A, "y": F}
    assert report["commonest_share"].to_dict() == {"x": 0.5, "y": 1.0}


def test_the_longest_run_is_counted_in_the_order_of_the_table_for_each_rater_alone():
    labels = {"x": [A, A, C, C, C, A], "y": [A, C, A, A, A, A]}
    rows = [f"u{i} {rater} {labels[rater][i]}" for i in range(6) for rater in "xy"]
    report = raters(votes(*rows), THREE)
    assert report["longest_run"].to_dict() == {"x": 3, "y": 4}
    sorted_by_rater = raters(votes(*sorted(rows, key=lambda row: row.split()[1])), THREE)
    pd.testing.assert_frame_equal(sorted_by_rater, report)


def exact_run_probability(shares, n, run):
    """Chance that n votes hold a run of `run` or longer: a chain over label and length so far."""
    state = np.zeros((len(shares), run - 1))
    state[:, 0] = shares
    for _ in range(n - 1):
        fresh = (state.sum() - state.sum(axis=1)) * shares
        state = np.column_stack([fresh, state[:, :-1] * shares[:, None]])
    return 1 - state.sum()


@pytest.mark.parametrize("shares", [(0.5, 0.3, 0.2), (0.8, 0.1, 0.1), (0.34, 0.33, 0.33)])
@pytest.mark.parametrize("n", [50, 400])
def test_the_probability_of_a_run_is_near_the_exact_one_where_it_is_small(shares, n):
    shares = np.array(shares)
    for run in range(3, 40):
        found = run_probability(n * shares[None], np.array([run]))[0]
        exact = exact_run_probability(shares, n, run)
        assert found <= exact + 1e-12
        if 1e-9 < exact < 0.05:
            assert found == pytest.approx(exact, rel=0.022)


def test_a_stretch_of_one_answer_stands_out_and_honest_raters_rarely_do():
    rng = np.random.default_rng(1)
    said = rng.choice(THREE.labels, p=[0.5, 0.3, 0.2], size=(200, 100))
    said[0, 40:65] = C
    rows = [f"u{i} r{j} {said[j, i]}" for j in range(200) for i in range(100)]
    found = raters(votes(*rows), THREE)["run_probability"]
    assert found["r0"] < 1e-6
    assert (found[1:] < 0.05).mean() <= 0.07
    assert found[1:].min() > 1e-4


def test_seconds_a_vote_are_the_median_of_those_known():
    table = votes("a x fear", "b x calm", "c x calm", "a y calm", seconds=[4, "", 9, None])
    report = raters(table, THREE)
    assert report.loc["x", "median_seconds"] == 6.5
    assert np.isnan(report.loc["y", "median_seconds"])


@pytest.mark.parametrize("strange", ["fast", -1])
def test_seconds_that_are_no_time_are_refused_by_row(strange):
    table = votes("a x fear", "b x calm", seconds=[4, strange])
    with pytest.raises(TableError, match=f"row 1: seconds '{strange}' is not a time"):
        raters(table, THREE)


def test_the_diagonal_of_a_confusion_matrix_is_the_accuracy_of_the_report(crowd):
    report = raters(crowd, THREE)
    for against, column in [("rest", "agreement"), ("control", "control_accuracy")]:
        table = confusions(crowd, THREE, against=against)
        for rater in report.index:
            own = table.loc[rater].to_numpy()
            assert np.trace(own) / own.sum() == pytest.approx(report.loc[rater, column])


def test_a_confusion_matrix_holds_answers_by_truth_and_shares_what_ties():
    table = votes("a x anger", "a y calm", "a z calm", "b x fear", "b y fear", "b z calm")
    own = confusion(table, THREE, "x")
    assert own.loc[C].tolist() == [1, 0, 0.5]  # of b the others say fear and calm
    assert own.loc[F].tolist() == [0, 0, 0.5]
    everybody = confusion(table, THREE)
    assert everybody.index.tolist() == everybody.columns.tolist() == list(THREE)
    assert everybody.to_numpy().sum() == 6


def test_a_confusion_matrix_against_control_tasks_recovers_planted_habits():
    rng = np.random.default_rng(2)
    habit = np.array([[0.8, 0.15, 0.05], [0.1, 0.7, 0.2], [0.0, 0.3, 0.7]])
    truth = rng.integers(3, size=6000)
    answer = (rng.random(6000)[:, None] > habit[truth].cumsum(axis=1)).sum(axis=1)
    names = np.array(THREE.labels)
    table = pd.DataFrame({"utterance": np.arange(6000), "rater": "x"}).assign(
        label=names[answer], gold=names[truth]
    )
    found = confusion(table, THREE, "x", against="control")
    shares = found.div(found.sum(axis=1), axis=0)
    np.testing.assert_allclose(shares, habit, atol=4 * np.sqrt(0.25 / 2000))
    assert found.loc[F, A] == 0


def test_an_unknown_rater_and_an_unknown_truth_are_refused():
    table = votes("a x anger", "a y calm")
    with pytest.raises(TableError, match="no vote is by rater 'q'"):
        confusion(table, THREE, "q")
    with pytest.raises(ValueError, match="against must be rest or control"):
        confusions(table, THREE, against="gold")


def test_exclusion_removes_the_planted_careless_rater_and_says_why(crowd):
    kept, removed = exclude(crowd, THREE, min_control_accuracy=0.6)
    assert removed["rater"].tolist() == ["r19"]
    row = removed.iloc[0]
    accuracy = raters(crowd, THREE).loc["r19", "control_accuracy"]
    assert row["reason"] == f"control_accuracy {accuracy:.4g} is below 0.6"
    assert row["n_votes"] == (crowd["rater"] == "r19").sum()
    pd.testing.assert_frame_equal(kept, crowd[crowd["rater"] != "r19"])


def test_no_rule_removes_nobody(crowd):
    kept, removed = exclude(crowd, THREE)
    pd.testing.assert_frame_equal(kept, crowd)
    assert removed.columns.tolist() == ["rater", "reason", "n_votes", "n_unvoted"]
    assert removed.empty


@pytest.mark.parametrize(
    ("rule", "gone"),
    [
        ({"min_votes": 3}, ["y"]),
        ({"min_votes": 2}, []),  # a limit is still allowed
        ({"min_agreement": 0.6}, ["y"]),
        ({"max_commonest_share": 0.99}, ["y"]),
        ({"max_commonest_share": 1.0}, []),
        ({"min_median_seconds": 2}, ["x"]),
        ({"min_run_probability": 0.999}, ["x", "z"]),
        ({"min_control_accuracy": 0.9}, ["x"]),
        ({"min_control_accuracy": 0.9, "min_control": 2}, []),
    ],
)
def test_each_rule_looks_at_its_own_column_and_spares_whom_it_cannot_judge(rule, gone):
    rows = ["a x anger", "b x calm", "c x fear", "a y fear", "b y fear",
            "a z anger", "b z calm", "c z fear"]  # fmt: skip
    gold, seconds = [C, *[None] * 7], [1, 1, 1, 5, 5, 5, 5, 5]
    table = votes(*rows, gold=gold, seconds=seconds)
    if "min_control_accuracy" in rule:
        table = table[(table["utterance"] != "a") | (table["rater"] == "x")]
    assert exclude(table, THREE, **rule)[1]["rater"].tolist() == gone


def test_a_rater_who_breaks_two_rules_is_named_for_both_and_removed_once(crowd):
    extra = votes("u1 late fear", "alone late fear")
    table = pd.concat([crowd, extra], ignore_index=True)
    kept, removed = exclude(table, THREE, min_votes=3, max_commonest_share=0.9)
    assert removed["reason"].tolist() == ["n_votes 2 is below 3", "commonest_share 1 is above 0.9"]
    assert removed["n_votes"].tolist() == [2, 2]
    assert removed["n_unvoted"].tolist() == [1, 1]  # nobody else voted on "alone"
    assert len(kept) == len(crowd)


def test_numeric_raters_and_any_index_of_rows_survive_exclusion():
    rater = [7, 7, 8, 8]
    table = votes("a - anger", "b - calm", "a - anger", "b - calm").assign(rater=rater)
    table = pd.concat([table, table[:1].assign(rater=9)]).set_axis([5, 5, 6, 7, 7])
    kept, removed = exclude(table, THREE, min_votes=2)
    assert kept["rater"].tolist() == rater
    assert removed["rater"].tolist() == ["9"]


def test_rules_that_would_remove_everybody_are_refused(crowd):
    with pytest.raises(TableError, match="no vote would stay: all 20 raters break a rule"):
        exclude(crowd, THREE, min_votes=10_000)


def test_a_rule_about_time_needs_times(crowd):
    with pytest.raises(TableError, match="no column seconds"):
        exclude(crowd, THREE, min_median_seconds=1)


def test_unknown_raters_and_second_answers_are_refused_by_row():
    with pytest.raises(TableError, match="row 1: column rater is empty"):
        raters(votes("a x anger", "a y calm").assign(rater=["x", None]), THREE)
    twice = votes("a x anger", "a x calm", "a y calm", gold=[A, A, A], seconds=[1, 2, 3])
    with pytest.raises(TableError, match="'x' answered utterance 'a' before"):
        raters(twice, THREE)
    report = raters(twice, THREE, duplicates="first")
    assert report.loc["x", ["n_votes", "control_accuracy"]].tolist() == [1, 1.0]
    kept, _ = exclude(twice, THREE, min_control_accuracy=0.5, duplicates="first")
    assert kept["label"].tolist() == [A, C]


def test_real_annotators_get_a_report_each(shared):
    table = pd.read_csv(shared / "votes" / "earkick" / "assessment.csv", keep_default_na=False)
    steps = Categories("steps", ("None", "A little", "Moderate", "Extremely"))
    said = pd.DataFrame(
        {
            "utterance": table["audio"],
            "rater": table["annotator"],
            "label": table["anger"],
            "seconds": table["lead_time"],
        }
    )
    report = raters(said, steps)
    assert sorted(report.index) == ["1", "2", "3"]
    assert (report["n_votes"] == 348).all()
    assert report["median_seconds"].round(1).to_dict() == {"1": 25.3, "2": 22.1, "3": 39.5}
    expected = written_out(said.astype({"rater": str})).reindex(report.index)
    np.testing.assert_allclose(report["agreement"], expected["agreement"])
    assert (report["commonest"] == "None").all()
