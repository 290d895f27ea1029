import numpy as np
import pandas as pd
import pytest

from affekt.exceptions import TableError
from affekt.scheme import Categories
from affekt.tables import (
    UTTERANCE_COLUMNS,
    check_labels,
    check_ratings,
    check_utterances,
    check_votes,
    one_hot,
    read_table,
    write_table,
)

THREE = Categories("three", ("anger", "calm", "fear"))


def utterances(**columns):
    return pd.DataFrame({"file": ["a.wav", "b.wav"], **columns}, index=["a", "b"])


def test_absent_columns_of_utterances_are_added_as_missing():
    table = check_utterances(utterances())
    assert list(table.columns) == list(UTTERANCE_COLUMNS)
    assert table.drop(columns=["file", "excluded"]).isna().all(axis=None)
    assert table["excluded"].tolist() == ["", ""]
    assert table.index.name == "utterance"


def test_unknown_columns_of_utterances_are_kept_behind_the_standard_ones():
    table = check_utterances(utterances(take=[1, 2], speaker=["x", None]))
    assert table.columns[-1] == "take"
    assert table["take"].tolist() == [1, 2]
    assert table["speaker"].isna().tolist() == [False, True]


def test_checking_leaves_its_argument_alone_and_twice_changes_nothing():
    rough = utterances(speaker=[1, 2], start=[0, 1], end=[1, np.nan])
    before = rough.copy()
    once = check_utterances(rough)
    pd.testing.assert_frame_equal(rough, before)
    pd.testing.assert_frame_equal(check_utterances(once), once)


def test_numeric_speakers_become_the_text_they_were_written_as():
    assert check_utterances(utterances(speaker=[7.0, np.nan]))["speaker"].iloc[0] == "7"


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        (pd.DataFrame({"speaker": ["x"]}, index=["a"]), "no column 'file'"),
        (utterances().set_axis(["a", "a"]), "'a' occurs twice"),
        (utterances().set_axis(["a", ""]), "row 1: the utterance id is empty"),
        (utterances().assign(file=["a.wav", ""]), "row 'b': column file is empty"),
        (utterances(start=[0, -1]), "row 'b': start is below 0 s"),
        (utterances(start=[2, 0], end=[2, 1]), "row 'a': end is not after start"),
        (utterances(end=[1.0, 0.0]), "row 'b': end is not after start"),
        (utterances(duration=[1, "long"]), "duration of 'b' is not a number: 'long'"),
    ],
)
def test_broken_utterances_are_refused_with_row_and_reason(table, reason):
    with pytest.raises(TableError, match=reason):
        check_utterances(table)


def test_votes_may_be_anonymous_but_not_empty_or_outside_the_scheme():
    votes = pd.DataFrame({"utterance": ["a", "a"], "rater": [None, 3], "label": ["calm", "fear"]})
    checked = check_votes(votes.assign(gold=[True, False]), THREE)
    assert checked.columns.tolist() == ["utterance", "rater", "label", "gold"]
    assert checked["rater"].isna().tolist() == [True, False]
    assert checked["rater"].iloc[1] == "3"
    with pytest.raises(TableError, match="row 1: label 'joy' is not one of anger, calm, fear"):
        check_votes(votes.assign(label=["calm", "joy"]), THREE)
    with pytest.raises(TableError, match="row 0: column label is empty"):
        check_votes(votes.assign(label=["", "fear"]))
    with pytest.raises(TableError, match="no column rater"):
        check_votes(votes.drop(columns="rater"))


def test_ratings_need_finite_numbers():
    ratings = pd.DataFrame(
        {"utterance": ["a", "a"], "rater": ["r", "s"], "dimension": "valence", "value": [1, "2.5"]}
    )
    assert check_ratings(ratings)["value"].tolist() == [1.0, 2.5]
    with pytest.raises(TableError, match="value is not a finite number"):
        check_ratings(ratings.assign(value=[1, np.inf]))
    with pytest.raises(TableError, match="not a number: 'high'"):
        check_ratings(ratings.assign(value=[1, "high"]))


def test_labels_take_the_order_of_the_scheme():
    rough = pd.DataFrame({"fear": [0, 0.5], "anger": [1, 0.25], "calm": [0, 0.25]}, index=["a", 2])
    checked = check_labels(rough, THREE)
    assert checked.columns.tolist() == list(THREE)
    assert checked.index.tolist() == ["a", "2"]
    assert checked.loc["2"].tolist() == [0.25, 0.25, 0.5]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ([0.5, 0.5, 0.001], "row 'a': the row does not sum to 1"),
        ([1.5, -0.5, 0.0], "row 'a': a value is below 0"),
        ([np.nan, 0.5, 0.5], "row 'a': a value is missing"),
    ],
)
def test_labels_that_are_no_distribution_are_refused(row, reason):
    with pytest.raises(TableError, match=reason):
        check_labels(pd.DataFrame([row], ["a"], list(THREE)), THREE)


def test_labels_within_the_tolerance_pass():
    check_labels(pd.DataFrame([[0.5, 0.5, 0.00009]], ["a"], list(THREE)), THREE)


def test_labels_of_another_scheme_are_refused_with_both_differences():
    other = pd.DataFrame({"anger": [1.0], "joy": [0.0]}, index=["a"])
    with pytest.raises(TableError, match="missing calm, fear; unknown joy"):
        check_labels(other, THREE)


def test_one_hot_puts_all_mass_on_the_label():
    table = one_hot(pd.Series({"a": "fear", "b": "anger"}), THREE)
    assert table.to_numpy().tolist() == [[0, 0, 1], [1, 0, 0]]
    assert one_hot(pd.Series(dtype=object), THREE).shape == (0, 3)


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".jsonl", ".parquet"])
def test_tables_survive_the_disk_bit_for_bit(tmp_path, ending):
    if ending == ".parquet":
        pytest.importorskip("pyarrow", reason="the extra `parquet` is not installed")
    table = check_utterances(
        pd.DataFrame(
            {
                "file": ["a b.wav", "ü,;\t.wav"],
                "start": [1 / 3, np.nan],
                "speaker": ["007", "NA"],
                "text": ['he said "no",\nthen\u2028left', None],
                "excluded": ["", "silent"],
                "n": [1.5, 0.1 + 0.2],
            },
            index=["0012", "null"],
        )
    )
    path = tmp_path / f"utterances{ending}"
    write_table(table, path)
    pd.testing.assert_frame_equal(check_utterances(read_table(path)), table)


@pytest.mark.parametrize("ending", [".csv", ".jsonl"])
def test_long_tables_keep_their_utterance_column(tmp_path, ending):
    votes = check_votes(
        pd.DataFrame({"utterance": ["1", "1"], "rater": ["01", None], "label": ["calm", "fear"]})
    )
    write_table(votes, tmp_path / f"votes{ending}")
    pd.testing.assert_frame_equal(check_votes(read_table(tmp_path / f"votes{ending}")), votes)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("none.csv", None, "no such file"),
        ("table.xls", b"", "ends in .csv, .tsv, .jsonl or .parquet"),
        ("empty.csv", b"", "cannot be read as a table"),
        ("latin.csv", b"utterance,text\na,\xfc\n", "cannot be read as a table"),
        ("list.jsonl", b"[1]\n", "each line must be a JSON object"),
        ("half.jsonl", b'{"a": 1', "cannot be read as a table"),
    ],
)
def test_tables_that_cannot_be_read_say_why_in_one_line(tmp_path, name, content, reason):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(TableError, match=reason) as caught:
        read_table(path)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_ending_is_refused_and_nothing_is_written(tmp_path):
    with pytest.raises(TableError, match=r"ends in \.csv"):
        write_table(utterances(), tmp_path / "table.xlsx")
    assert list(tmp_path.iterdir()) == []
