"""The structure of errors: small cases by hand, the definitions written naively, CREMA-D."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from affekt import errors
from affekt.corpora import crema_d
from affekt.exceptions import TableError
from affekt.report import evaluate
from affekt.scheme import Categories
from affekt.tables import one_hot
from affekt.votes.majority import majority
from affekt.votes.rest import rater_against_rest

FOUR = Categories("four", ("anger", "excitement", "neutral", "sadness"))


def labels(words, scheme=FOUR):
    return one_hot(pd.Series(words), scheme)


def said(rows):
    return pd.DataFrame(rows, columns=["utterance", "rater", "label"])


TRUTH = labels({
    "a": "anger", "b": "anger", "c": "anger", "d": "anger", "e": "neutral", "f": "sadness"
})  # fmt: skip
ANSWER = labels({
    "a": "anger", "b": "neutral", "c": "sadness", "d": "neutral", "e": "neutral", "f": "anger"
})  # fmt: skip
VOTES = said([
    ("a", "x", "anger"), ("a", "y", "anger"), ("a", "z", "anger"),  # unanimous, right
    ("b", "x", "anger"), ("b", "y", "anger"), ("b", "z", "neutral"),  # wrong as z is: a hit
    ("c", "x", "anger"), ("c", "y", "anger"), ("c", "z", "frustration"),  # not considered
    # 2 : 1 : 1 with one outside the classes, and z said two things
    ("d", "x", "anger"), ("d", "y", "anger"), ("d", "w", "sadness"), ("d", "z", "anger"),
    ("d", "z", "frustration"),
    ("e", "x", "sadness"), ("e", "y", "sadness"),  # nobody says what it is called
])  # fmt: skip


def test_the_small_case_by_hand():
    found = errors.structure(TRUTH, ANSWER, VOTES)
    assert (found.n, found.n_undecided, found.n_without_votes) == (6, 0, 1)
    assert found.confusion.loc["anger"].tolist() == [1, 0, 2, 1]
    assert found.confusion.loc["sadness"].tolist() == [1, 0, 0, 0]
    assert found.by_dissent.to_numpy().tolist() == [
        ["anger", 0, 1, 0, 0.0],  # a
        ["anger", 1, 3, 3, 1.0],  # b, c, d: z agreed with one of two answers
        ["neutral", 2, 1, 0, 0.0],
    ]
    row = found.residual.loc["anger"]
    assert row["n"] == 4
    assert row["n_dissenting_votes"] == 4  # neutral, frustration, sadness, frustration
    assert row["considered_ratio"] == 2 / 4
    assert row["n_errors"] == 2  # b and d, for c's dissent is outside the classes
    assert row["residual_accuracy"] == 1 / 2  # b
    assert row["chance"] == pytest.approx(1 / 3)  # the paper's
    assert found.residual.loc["neutral", "considered_ratio"] == 1
    assert math.isnan(found.residual.loc["neutral", "residual_accuracy"])
    assert found.accuracies["n"].to_dict() == {"all": 6, "unanimous": 1, "disputed": 4}
    assert found.accuracies["accuracy"].tolist() == [2 / 6, 1, 1 / 4]


def test_all_dissenting_answers_count_whatever_their_number():
    """Three different wrong answers cover all a model of four classes could say."""
    votes = said([("b", r, k) for r, k in zip("vwxyz", (*FOUR, "anger"), strict=True)])
    found = errors.residual(TRUTH.loc[["b"]], ANSWER, votes).loc["anger"]
    assert found["n_dissenting_votes"] == 3
    assert found["residual_accuracy"] == 1
    assert found["chance"] == 1


def test_chance_is_what_random_errors_reach():
    """4000 utterances, one or two dissenting labels each, errors drawn blindly."""
    rng = np.random.default_rng(0)
    others = np.array(FOUR.labels[1:])
    names = [f"u{i}" for i in range(4000)]
    answer = labels(dict(zip(names, rng.choice(others, 4000), strict=True)))
    rows = [
        (name, f"r{k}", word)
        for name in names
        for k, word in enumerate(rng.choice(others, rng.integers(1, 3), replace=False))
    ]
    found = errors.residual(labels(dict.fromkeys(names, "anger")), answer, said(rows))
    row = found.loc["anger"]
    assert row["n_errors"] == 4000
    assert row["residual_accuracy"] == pytest.approx(row["chance"], abs=4 * 0.5 / 4000**0.5)
    assert row["chance"] == pytest.approx(1.5 / 3, abs=0.02)


def naive(truth, answer, votes, classes):
    """Every definition in loops, utterance by utterance."""
    rates, table, agreed = {}, {k: [0, 0, 0, 0, 0, 0.0] for k in classes}, []
    for name, label in truth.items():
        mine = [(rater, said) for u, rater, said in votes if u == name]
        table[label][0] += 1
        if not mine:
            continue
        wrong = answer[name] != label
        voters = {r for r, _ in mine if r} | {i for i, (r, _) in enumerate(mine) if not r}
        answers = {
            v: {s for i, (r, s) in enumerate(mine) if (r == v if isinstance(v, str) else i == v)}
            for v in voters
        }
        n_dissenting = sum(label not in said for said in answers.values())
        n, n_errors = rates.get((label, n_dissenting), (0, 0))
        rates[label, n_dissenting] = (n + 1, n_errors + wrong)
        dissent = [s for _, s in mine if s != label]
        considered = [s for s in dissent if s in classes]
        table[label][1] += len(dissent)
        table[label][2] += len(considered)
        if wrong and considered:
            table[label][3] += 1
            table[label][4] += answer[name] in considered
            table[label][5] += len(set(considered)) / (len(classes) - 1)
        if len(mine) > 1 and not dissent:
            agreed.append(not wrong)
    return rates, table, agreed


def assert_equals_naive(truth, answer, votes, scheme):
    rows = [(u, r or None, k) for u, r, k in votes]
    found = errors.structure(labels(truth, scheme), labels(answer, scheme), said(rows))
    rates, table, agreed = naive(truth, answer, votes, list(scheme))
    cells = found.by_dissent.set_index(["label", "n_dissenting"])
    assert {k: (n, e) for k, n, e in zip(cells.index, cells["n"], cells["n_errors"], strict=True)
            } == rates  # fmt: skip
    np.testing.assert_allclose(
        cells["error_rate"], [rates[k][1] / rates[k][0] for k in cells.index]
    )
    for label, (n, n_dissent, n_considered, n_errors, hits, chance) in table.items():
        row = found.residual.loc[label]
        assert (row["n"], row["n_dissenting_votes"], row["n_errors"]) == (n, n_dissent, n_errors)
        for name, above, below in (
            ("considered_ratio", n_considered, n_dissent),
            ("residual_accuracy", hits, n_errors),
            ("chance", chance, n_errors),
        ):
            expected = above / below if below else math.nan
            assert row[name] == pytest.approx(expected, nan_ok=True)
    row = found.accuracies.loc["unanimous"]
    assert row["n"] == len(agreed)
    assert row["accuracy"] == pytest.approx(np.mean(agreed) if agreed else np.nan, nan_ok=True)
    return found


words = st.sampled_from(FOUR.labels)
heard = st.sampled_from([*FOUR.labels, "fear", "other"])


votes_of_one = st.lists(st.tuples(st.sampled_from(["", "x", "y", "z"]), heard), max_size=5)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(words, words, votes_of_one), min_size=1, max_size=8))
def test_everything_equals_the_definitions_in_loops(drawn):
    truth = {f"u{i}": row[0] for i, row in enumerate(drawn)}
    answer = {f"u{i}": row[1] for i, row in enumerate(drawn)}
    votes = [(f"u{i}", rater, label) for i, row in enumerate(drawn) for rater, label in row[2]]
    votes.append(("u0", "v", truth["u0"]))  # at least one, or it is refused
    assert_equals_naive(truth, answer, votes, FOUR)


def test_order_of_rows_and_columns_does_not_matter():
    one = errors.structure(TRUTH, ANSWER, VOTES)
    other = errors.structure(TRUTH, ANSWER.iloc[::-1, ::-1], VOTES.iloc[::-1])
    assert one.to_markdown() == other.to_markdown()


def test_unknown_raters_are_one_each_and_named_ones_count_once():
    votes = said([("b", "z", "neutral"), ("b", "z", "sadness"), ("b", "x", "anger")])
    named = errors.by_dissent(TRUTH, ANSWER, votes)
    unknown = errors.by_dissent(TRUTH, ANSWER, votes.assign(rater=None))
    empty = errors.by_dissent(TRUTH, ANSWER, votes.assign(rater=""))
    assert named["n_dissenting"].tolist() == [1]
    assert unknown["n_dissenting"].tolist() == [2] == empty["n_dissenting"].tolist()


def test_a_label_that_ties_is_none_and_is_counted():
    truth = TRUTH.copy()
    truth.loc["a"] = [0.5, 0, 0.5, 0]
    found = errors.structure(truth, ANSWER, VOTES)
    assert (found.n, found.n_undecided) == (5, 1)
    assert found.confusion.to_numpy().sum() == 5
    assert "5 utterances; 1 more whose truth ties are left out" in found.to_markdown()
    with pytest.raises(TableError, match="no utterance of the truth has one most likely label"):
        errors.confusion(truth.loc[["a"]], ANSWER)


def test_a_class_that_only_the_prediction_knows_can_be_answered_and_heard():
    five = Categories("five", (*FOUR, "frustration"))
    answer = labels({**dict.fromkeys("abdef", "anger"), "c": "frustration"}, five)
    found = errors.residual(TRUTH, answer, VOTES)
    assert found.loc["anger", ["n_errors", "residual_accuracy"]].tolist() == [1, 1]
    assert found.loc["anger", "considered_ratio"] == 1
    assert errors.confusion(TRUTH, answer).loc["anger", "frustration"] == 1


def test_votes_and_predictions_of_other_utterances_are_not_looked_at():
    part = errors.structure(TRUTH.loc[["a", "b"]], ANSWER, VOTES)
    alone = errors.structure(
        TRUTH.loc[["a", "b"]], ANSWER.loc[["a", "b"]], VOTES[VOTES["utterance"].isin(["a", "b"])]
    )
    assert part.to_markdown() == alone.to_markdown()


def test_accuracy_and_uar_are_those_of_the_report():
    found = errors.accuracies(TRUTH, ANSWER, VOTES).loc["all"]
    report = evaluate(TRUTH, ANSWER, n_resamples=5)
    assert found["accuracy"] == report.accuracy.value
    assert found["unweighted_average_recall"] == report.unweighted_average_recall.value
    assert errors.confusion(TRUTH, ANSWER).to_numpy().tolist() == report.confusion.tolist()


def test_people_are_measured_as_a_model_is():
    votes = VOTES[VOTES["label"].isin(list(FOUR))]
    people = rater_against_rest(votes, FOUR)
    found = errors.structure(TRUTH, ANSWER, votes, people=people)
    report = evaluate(*people, n_resamples=5)
    row = found.accuracies.loc["a rater against the rest"]
    assert row["n"] == report.n_hard
    assert row["accuracy"] == report.accuracy.value
    assert found.people.to_numpy().tolist() == report.confusion.tolist()
    assert "## Confusion of people" in found.to_markdown()
    assert "## Confusion of people" not in errors.structure(TRUTH, ANSWER, votes).to_markdown()


def test_an_utterance_without_prediction_is_named():
    with pytest.raises(TableError, match=r"1 utterance\(s\) without prediction, 'c' first"):
        errors.structure(TRUTH, ANSWER.drop(index="c"), VOTES)


def test_votes_under_other_ids_are_refused():
    strange = VOTES.assign(utterance="clips/" + VOTES["utterance"])
    with pytest.raises(TableError, match=r"no vote is on one of the 6 utterances.*'a' first"):
        errors.structure(TRUTH, ANSWER, strange)
    with pytest.raises(TableError, match="no column rater"):
        errors.residual(TRUTH, ANSWER, VOTES.drop(columns="rater"))


def test_the_page_shows_every_table():
    page = errors.structure(TRUTH, ANSWER, VOTES).to_markdown()
    assert "6 utterances; 1 of the 6 have no votes." in page
    assert "| truth | anger | excitement | neutral | sadness |\n| --- " in page
    assert "| label | 0 | 1 | 2 |" in page
    assert "| anger | .000 (1) | 1.000 (3) | – |" in page
    assert "| anger | 4 | 4 | .500 | 2 | .500 | .333 |" in page
    assert "| excitement | 0 | 0 | – | 0 | – | – |" in page
    assert "| unanimous | 1 | 1.000 | 1.000 |" in page


def test_labels_that_not_all_tables_know_are_named():
    notes = errors.structure(TRUTH, ANSWER, VOTES).notes
    assert notes == ("labels of votes that neither knows: they only count as dissent: frustration",)
    five = Categories("five", ("anger", "calm", "neutral", "sadness"))
    words = ANSWER.idxmax(axis=1).replace("neutral", "calm")
    page = errors.structure(TRUTH, one_hot(words, five), VOTES).to_markdown()
    assert "Note: labels of the truth that the prediction does not know, and never answers" in page
    assert "never answers: excitement." in page
    assert "that the truth does not know: such answers are errors: calm." in page
    known = VOTES[VOTES["label"].isin(list(FOUR))]
    assert errors.structure(TRUTH, ANSWER, known).notes == ()
    assert "Note" not in errors.structure(TRUTH, ANSWER, known).to_markdown()


def test_a_label_with_a_bar_does_not_break_the_table():
    table = pd.DataFrame({"a|b": [1.0]}, pd.Index(["c|d\ne"], name="label"))
    assert errors.to_markdown(table).splitlines()[0] == r"| label | a\|b |"
    assert errors.to_markdown(table).splitlines()[2] == r"| c\|d e | 1.000 |"


@pytest.fixture(scope="module")
def crema(shared):
    return crema_d.load(shared / "corpora" / "crema-d")


def test_real_crema_d_equals_the_definitions_on_its_counts(shared, crema):
    """Truth: what most heard. Answer: what was meant. Votes: from the corpus' own counts."""
    counts = crema_d.counts(shared / "corpora" / "crema-d").iloc[:600]
    votes = [
        (name, "", label)
        for name, row in counts.iterrows()
        for label, n in row.items()
        for _ in range(n)
    ]
    tops = {name: row.index[row == row.max()] for name, row in counts.iterrows()}
    truth = {name: top[0] for name, top in tops.items() if len(top) == 1}
    meant = crema.labels.idxmax(axis=1)
    answer = {name: meant[name] for name in truth}
    assert_equals_naive(truth, answer, votes, crema.scheme)


def test_real_crema_d_intentions_err_where_raters_dissent(crema):
    people = rater_against_rest(crema.votes, crema.scheme)
    crowd = majority(crema.votes, crema.scheme)
    found = errors.structure(crowd, crema.labels, crema.votes, people=people)
    assert (found.n, found.n_undecided, found.n_without_votes) == (6798, 644, 0)
    unanimous, disputed = found.accuracies["accuracy"][["unanimous", "disputed"]]
    assert found.accuracies["n"].tolist() == [6798, 383, 6415, 62140]
    assert (unanimous, disputed) == pytest.approx((274 / 383, 2825 / 6415))
    totals = found.by_dissent.groupby("n_dissenting")[["n", "n_errors"]].sum()
    rates = (totals["n_errors"] / totals["n"])[totals["n"] > 100]
    assert all(less < more for less, more in itertools.pairwise(rates))
    assert (found.residual["considered_ratio"] == 1).all()  # raters could choose among the six
    rest = found.residual.drop(index="happiness")
    assert (rest["residual_accuracy"] > rest["chance"] + 0.25).all()
    assert found.people.to_numpy().sum() == 62140
