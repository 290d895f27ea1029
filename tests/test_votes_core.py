import numpy as np
import pandas as pd
import pytest

from affekt.exceptions import TableError
from affekt.scheme import Categories
from affekt.tables import check_votes, text_codes
from affekt.votes import AGGREGATORS
from affekt.votes.coded import by_row, code, merge
from affekt.votes.majority import majority
from affekt.votes.shares import shares
from affekt.votes.threshold import multi_label, threshold

THREE = Categories("three", ("anger", "calm", "fear"))


def votes(*rows, columns=("utterance", "rater", "label")):
    return pd.DataFrame(list(rows), columns=list(columns))


MIXED = votes(
    ("b", "x", "calm"), ("a", "x", "fear"), ("b", "y", "calm"), ("a", "y", "anger"),
    ("b", "z", "fear"), ("a", "z", "fear"), ("a", "w", "fear"),
)  # fmt: skip


def test_votes_become_rows_of_what_they_name():
    coded = code(MIXED, THREE)
    assert coded.utterances.tolist() == ["b", "a"]
    assert coded.utterances.name == "utterance"
    assert coded.raters.tolist() == ["x", "y", "z", "w"]
    assert coded.utterances[coded.utterance].tolist() == MIXED["utterance"].tolist()
    assert coded.raters[coded.rater].tolist() == MIXED["rater"].tolist()
    assert [THREE.labels[k] for k in coded.label] == MIXED["label"].tolist()
    assert coded.gold.tolist() == [-1, -1]
    assert coded.counts().tolist() == [[0, 2, 1], [1, 0, 3]]


@pytest.mark.parametrize("dtype", [object, "category", "str"])
def test_the_kind_of_column_does_not_matter(dtype):
    expected = code(MIXED, THREE)
    coded = code(MIXED.astype(dtype), THREE)
    for name in ("utterance", "rater", "label"):
        assert getattr(coded, name).tolist() == getattr(expected, name).tolist()
    pd.testing.assert_index_equal(coded.utterances, expected.utterances)
    pd.testing.assert_index_equal(coded.raters, expected.raters)


@pytest.mark.parametrize(
    "column",
    [
        pd.Series([3, 1, 3]),
        pd.Series([3.0, np.nan, 0.5, 3.0]),
        pd.Series([True, False, True]),
        pd.Series([1, True, 1.0, "1", None, pd.NaT], dtype=object),
        pd.Series(["a", None, "b", "a"], dtype="string"),
        pd.Series([1, None, 3], dtype="Int64"),
        pd.Series(["1", 1, None, "1"], dtype="category"),
        pd.Series([], dtype=float),
    ],
    ids=lambda column: str(column.dtype),
)
def test_codes_spell_what_checked_votes_spell(column):
    codes, texts = text_codes(column)
    table = pd.DataFrame({"utterance": "u", "rater": column, "label": "calm"})
    spelled = check_votes(table)["rater"]
    assert texts.is_unique
    assert (codes < 0).tolist() == spelled.isna().tolist()
    assert texts[codes[codes >= 0]].tolist() == spelled.dropna().tolist()


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        (MIXED.iloc[:0], "there are no votes: the table has no rows"),
        (MIXED.drop(columns="rater"), "votes have no column rater"),
        (
            MIXED.assign(label=["joy", *["calm"] * 6]),
            "row 0: label 'joy' is not one of anger, calm",
        ),
        (MIXED.assign(label=[*["calm"] * 6, None]), "row 6: column label is empty"),
        (MIXED.assign(label=[*["calm"] * 6, ""]), "row 6: column label is empty"),
        (MIXED.assign(utterance=["a", None, *"bcdef"]), "row 1: column utterance is empty"),
        (MIXED.assign(utterance=["a", "", *"bcdef"]), "row 1: column utterance is empty"),
        (MIXED.assign(rater=["x", "y", None, *"xyzw"]), "row 2: column rater is empty"),
        (MIXED.assign(rater=["x", "y", "", *"xyzw"]), "row 2: column rater is empty"),
        (MIXED.assign(rater=[*"xxyyzzz"]), "row 6: rater 'z' answered utterance 'a' before"),
        (MIXED.assign(gold="joy"), "row 0: gold 'joy' is not one of anger, calm, fear"),
        (
            MIXED.assign(gold=["calm", None, None, "fear", "anger", None, None]),
            "utterance 'b' has two different gold answers",
        ),
    ],
)
@pytest.mark.parametrize("dtype", [object, "str"])
def test_broken_votes_are_refused_with_row_and_reason(table, reason, dtype):
    with pytest.raises(TableError, match=reason) as caught:
        code(table.astype(dtype), THREE)
    assert "\n" not in str(caught.value)


def test_gold_belongs_to_the_utterance_whichever_of_its_votes_says_so():
    coded = code(MIXED.assign(gold=[None, "fear", "", None, "calm", "fear", None]), THREE)
    assert coded.gold.tolist() == [1, 2]


TWICE = votes(
    ("a", "x", "fear"), ("b", "x", "calm"), ("a", "x", "calm"), ("a", None, "anger"),
    ("a", None, "anger"), ("a", "y", "calm"), ("a", "x", "anger"),
)  # fmt: skip


@pytest.mark.parametrize(
    ("duplicates", "rows"),
    [
        ("keep", [0, 1, 2, 3, 4, 5, 6]),
        ("first", [0, 1, 3, 4, 5]),
        ("last", [1, 3, 4, 5, 6]),
    ],
)
def test_second_answers_are_kept_or_dropped_as_asked_and_unknown_raters_stay(duplicates, rows):
    coded = code(TWICE, THREE, need_raters=False, duplicates=duplicates)
    assert [THREE.labels[k] for k in coded.label] == TWICE["label"].iloc[rows].tolist()
    assert coded.rater.tolist() == [[0, 0, 0, -1, -1, 1, 0][row] for row in rows]


def test_second_answers_are_found_as_a_naive_search_finds_them():
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {"utterance": rng.integers(0, 40, 900), "rater": rng.integers(0, 50, 900), "label": "calm"}
    )
    for keep in ("first", "last"):
        coded = code(table, THREE, duplicates=keep)
        naive = table.drop_duplicates(["utterance", "rater"], keep=keep)
        assert coded.utterances[coded.utterance].tolist() == naive["utterance"].astype(str).tolist()
        assert coded.raters[coded.rater].tolist() == naive["rater"].astype(str).tolist()
    with pytest.raises(TableError, match="duplicates='both' is not one of"):
        code(table, THREE, duplicates="both")


def test_ordering_by_row_is_a_stable_sort():
    row = np.random.default_rng(0).integers(0, 30, 500).astype(np.int32)
    order, starts = by_row(row, 31)
    assert order.tolist() == np.argsort(row, kind="stable").tolist()
    assert starts.tolist() == [0, *np.bincount(row, minlength=31).cumsum().tolist()]


def test_merged_votes_are_those_of_one_table():
    first, second = MIXED.iloc[:4], MIXED.iloc[4:]
    merged, whole = merge(code(first, THREE), code(second, THREE)), code(MIXED, THREE)
    for name in ("utterance", "rater", "label", "gold"):
        assert getattr(merged, name).tolist() == getattr(whole, name).tolist()
        assert getattr(merged, name).dtype == getattr(whole, name).dtype
    pd.testing.assert_index_equal(merged.utterances, whole.utterances)
    pd.testing.assert_index_equal(merged.raters, whole.raters)


def test_shares_count_and_majority_keeps_its_ties():
    assert shares(MIXED, THREE).to_numpy().tolist() == [[0, 2 / 3, 1 / 3], [0.25, 0, 0.75]]
    assert majority(MIXED, THREE).to_numpy().tolist() == [[0, 1, 0], [0, 0, 1]]
    tied = votes(("a", "x", "fear"), ("a", "y", "anger"))
    assert majority(tied, THREE).loc["a"].tolist() == [0.5, 0, 0.5]
    assert threshold(majority(tied, THREE), 0.5).isna().all()


@pytest.mark.parametrize("method", [shares, majority])
def test_counting_methods_take_votes_of_unknown_raters(method):
    unknown = votes(("a", None, "fear"), ("a", None, "fear"), ("b", "", "calm"))
    assert method(unknown, THREE).idxmax(axis=1).tolist() == ["fear", "calm"]
    assert code(unknown, THREE, need_raters=False).n_raters == 0


SAID = {"c": "calm", "a": "fear", "b": "anger", "d": "calm"}
CLEAR = votes(
    *((utterance, rater, label) for utterance, label in SAID.items() for rater in "xyz"),
    ("a", "w", "calm"),
    ("b", "w", "anger"),
).assign(gold=["calm", *[None] * 11, "fear", None])


@pytest.mark.parametrize("name", AGGREGATORS)
def test_every_method_gives_a_labels_table_in_the_order_of_the_votes(name):
    before = CLEAR.copy()
    labels = AGGREGATORS[name](CLEAR, THREE)
    pd.testing.assert_frame_equal(CLEAR, before)
    assert labels.index.tolist() == ["c", "a", "b", "d"]
    assert labels.index.name == "utterance"
    assert labels.columns.tolist() == list(THREE)
    assert labels.sum(axis=1).to_numpy() == pytest.approx(1, abs=1e-12)
    assert labels.idxmax(axis=1).tolist() == ["calm", "fear", "anger", "calm"]


@pytest.mark.parametrize("name", AGGREGATORS)
def test_every_method_refuses_what_it_cannot_know(name):
    with pytest.raises(TableError, match="no votes"):
        AGGREGATORS[name](CLEAR.iloc[:0], THREE)
    with pytest.raises(TableError, match="label 'joy' is not one of"):
        AGGREGATORS[name](CLEAR.assign(label="joy"), THREE)
    with pytest.raises(TableError, match="row 14: rater 'x' answered utterance 'c' before"):
        AGGREGATORS[name](pd.concat([CLEAR, CLEAR]), THREE)


def test_the_threshold_itself_decides_and_what_is_below_stays_undecided():
    soft = pd.DataFrame(
        [[0.9, 0.1, 0], [0.8999, 0.1001, 0], [0.5, 0.5, 0], [0, 0, 1]], list("abcd"), list(THREE)
    )
    hard = threshold(soft)
    assert hard.name == "label"
    assert hard.index.name == "utterance"
    assert hard.fillna("").tolist() == ["anger", "", "", "fear"]
    assert threshold(soft, 0.5).fillna("").tolist() == ["anger", "anger", "", "fear"]
    assert threshold(soft.iloc[:0]).empty
    for level in (0, 90, np.nan):
        with pytest.raises(TableError, match=r"is not in \(0, 1\]"):
            threshold(soft, level)


def test_several_labels_may_reach_a_level():
    soft = pd.DataFrame([[0.5, 0.3, 0.2]], ["a"], list(THREE))
    assert multi_label(soft, 0.3).to_numpy().tolist() == [[True, True, False]]
    with pytest.raises(TableError, match="does not sum to 1"):
        multi_label(soft * 2, 0.3)


def test_a_tie_but_for_rounding_stays_undecided():
    near = pd.DataFrame({"anger": [0.5, 0.5 + 1e-9], "calm": [0.5 - 1e-14, 0.5 - 1e-9]})
    assert threshold(near, 0.3).fillna("").tolist() == ["", "anger"]
