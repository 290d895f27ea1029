import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from affekt.exceptions import TableError
from affekt.harmonise import harmonise, read_rows, smooth_neutral, weights
from affekt.scheme import DUSHA_4, EKMAN_7, EKMAN_8, IEMOCAP_4, NOUNS, SCHEMES
from affekt.tables import check_labels
from affekt.votes.shares import shares


def pure(*labels):
    """One utterance a label, all mass on it."""
    return pd.DataFrame(np.eye(len(labels)), list(labels), list(labels))


# spec 3.2
@pytest.mark.parametrize(
    ("corpus", "source", "expected"),
    [
        ("any", "anger", {"anger": 1.0}),
        ("any", "excitement", {"happiness": 0.9, "other": 0.1}),
        ("ravdess", "calm", {"neutral": 0.7, "happiness": 0.3}),
        ("any", "contempt", {"disgust": 0.5, "other": 0.5}),
        ("any", "frustration", {"anger": 0.7, "other": 0.3}),
        ("emodb", "boredom", {"sadness": 1.0}),
        ("any", "disappointment", {"sadness": 0.7, "disgust": 0.3}),
        ("any", "pain", {"sadness": 0.5, "other": 0.5}),
        ("any", "surprise", {"surprise": 1.0}),
        ("tess", "surprise", {"surprise": 0.7, "happiness": 0.3}),
    ],
)
def test_labels_reach_the_eight_categories_by_the_published_weights(corpus, source, expected):
    row = harmonise(pure(source), corpus, EKMAN_8).loc[source]
    assert row[row > 0].to_dict() == pytest.approx(expected)


def test_every_noun_has_a_place_among_the_eight_categories_and_keeps_its_mass():
    table = harmonise(pure(*NOUNS), "any", EKMAN_8)
    check_labels(table, EKMAN_8)
    assert table.shape == (len(NOUNS), 8)


def test_without_the_rest_rows_say_how_much_of_the_targets_there_is():
    row = harmonise(pure("contempt"), "any", EKMAN_8, rest="nothing").loc["contempt"]
    assert row.sum() == row["disgust"] == 0.5


def test_harmonising_shares_equals_harmonising_each_vote_and_averaging():
    rng = np.random.default_rng(0)
    scheme = SCHEMES["ravdess_8"]
    said = rng.choice(np.array(scheme.labels), 60)
    utterances = np.repeat(["b", "a", "c"], 20)
    votes = pd.DataFrame({"utterance": utterances, "rater": np.arange(60), "label": said})
    together = harmonise(shares(votes, scheme), "ravdess", EKMAN_8)
    each = harmonise(pure(*scheme), "ravdess", EKMAN_8).loc[votes["label"]]
    apart = each.groupby(votes["utterance"].to_numpy()).mean()
    pd.testing.assert_frame_equal(together.sort_index(), apart, check_names=False)


def test_shares_count_votes_in_scheme_order_whatever_the_order_of_rows():
    votes = pd.DataFrame(
        {"utterance": list("bab"), "rater": [None] * 3, "label": ["anger", "sadness", "neutral"]}
    )
    table = shares(votes, DUSHA_4)
    assert table.index.tolist() == ["b", "a"]
    assert table.loc["b"].tolist() == [0.5, 0, 0.5, 0]
    shuffled = shares(votes.iloc[[2, 0, 1]], DUSHA_4)
    pd.testing.assert_frame_equal(shuffled, table)


def test_same_named_labels_map_to_themselves_in_schemes_without_rows():
    table = harmonise(pure(*IEMOCAP_4), "any", DUSHA_4)
    assert all(table.loc[label, label] == 1 for label in DUSHA_4)


def test_rows_of_a_scheme_serve_it_alone():
    assert harmonise(pure("excitement"), "any", IEMOCAP_4).loc["excitement", "happiness"] == 1
    with pytest.raises(TableError, match=r"'excitement' of corpus 'x' has no place in .*'dusha_4'"):
        harmonise(pure("excitement"), "x", DUSHA_4)


def test_an_unknown_label_is_named():
    with pytest.raises(TableError, match="'schadenfreude' of corpus 'mine'"):
        harmonise(pure("schadenfreude"), "mine", EKMAN_8)


def test_a_table_of_ones_own_replaces_the_shipped_one(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('[ekman_8."*"]\ncalm = {neutral = 1}\n[ekman_8.x]\ncalm = {sadness = 0.25}\n')
    rows = read_rows(path)
    table = weights(["calm"], "x", EKMAN_8, rows=rows)
    assert table.loc["calm", ["sadness", "other"]].tolist() == [0.25, 0.75]
    assert weights(["calm"], "y", EKMAN_8, rows=rows).loc["calm", "neutral"] == 1
    with pytest.raises(TableError, match="'boredom'"):
        weights(["boredom"], "x", EKMAN_8, rows=rows)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("calm", "cannot be read as TOML"),
        ('[ekman_9."*"]\ncalm = {neutral = 1}', r"\[ekman_9\] is not a scheme"),
        ('[ekman_8."*"]\ncalm = {quiet = 1}', r"\[ekman_8\.\*\] calm: 'quiet' is not in anger"),
        ("[ekman_8.x]\ncalm = {neutral = 1.5}", r"\[ekman_8\.x\] calm: the weight of neutral"),
        ("[ekman_8.x]\ncalm = {neutral = true}", "the weight of neutral is True"),
        ("[ekman_8.x]\ncalm = {neutral = nan}", "the weight of neutral is nan"),
        ("[ekman_8.x]\ncalm = {neutral = 0.8, fear = 0.3}", "calm: the weights sum to 1.1, more"),
        ("[ekman_7.x]\ncalm = {neutral = 0.5}", "sum to 0.5, and there is no 'other'"),
        ('[ekman_8.x]\ncalm = "neutral"', "calm: must be a table"),
    ],
)
def test_a_faulty_table_is_refused_with_its_row(tmp_path, text, reason):
    path = tmp_path / "rows.toml"
    path.write_text(text)
    with pytest.raises(TableError, match=reason):
        read_rows(path)


def test_seven_categories_share_the_rows_that_need_no_other():
    for label in ("calm", "boredom"):
        seven = harmonise(pure(label), "any", EKMAN_7).loc[label]
        eight = harmonise(pure(label), "any", EKMAN_8).loc[label]
        assert seven.to_dict() == eight.drop("other").to_dict()


def test_the_documented_weights_are_the_shipped_ones():
    page = Path(__file__).parents[1] / "docs" / "corpora.md"
    rows = re.findall(r"^\| (\w+)(?: \((\w+)\))? \| ((?:[\d.]+ )?\w+(?: \+ .*)?) \|$",
                      page.read_text(encoding="utf-8"), re.MULTILINE)  # fmt: skip
    assert len(rows) == 6
    for source, corpus, documented in rows:
        row = weights([source], corpus or "any", EKMAN_8).loc[source]
        parts = [part.split() for part in documented.split(" + ")]
        expected = {part[-1]: float(part[0]) if len(part) > 1 else 1.0 for part in parts}
        assert row[row > 0].to_dict() == pytest.approx(expected)


# neutral smoothing, spec 3.3


def worked_example(column):
    """One row (1, .5, 0, …) of eight labels in a data set whose mean intensity is 3."""
    labels = [f"l{number}" for number in range(8)]
    labels[column] = "neutral"
    rows = [[1, 0.5, 0, 0, 0, 0, 0, 0], [1, 1, 1, 1, 0.5, 0, 0, 0]]
    return pd.DataFrame(rows, ["weak", "strong"], labels, dtype=float)


def test_the_printed_formula_gives_the_worked_example_divided_by_its_sum():
    row = smooth_neutral(worked_example(7), mode="printed").loc["weak"]
    assert (row * 1.190625).tolist() == pytest.approx([0.55, 0.303125, *[0.05625] * 6])
    assert row["neutral"] == row["l2"]  # favours neutral no more than any other label


def test_what_neutral_smoothing_takes_goes_to_neutral_up_to_the_margin():
    scores = worked_example(7)
    row = smooth_neutral(scores).loc["weak"]  # .45 * 1.5 = .675 would overtake .55
    assert (row * (0.825 + 0.549)).tolist() == pytest.approx([0.55, 0.275, 0, 0, 0, 0, 0, 0.549])
    assert row.idxmax() == "l0"
    first = smooth_neutral(worked_example(0)).loc["weak"]  # neutral was first already: no cap
    assert first["neutral"] == pytest.approx((0.55 + 0.675) / 1.5)
    for mode in ("neutral", "printed"):
        strong = smooth_neutral(scores, mode=mode).loc["strong"]
        assert strong.tolist() == pytest.approx((scores.loc["strong"] / 4.5).tolist())


def test_neutral_smoothing_by_an_intensity_of_its_own_leaves_unknown_ones_alone():
    labels = pure("anger", "fear", "neutral")
    strength = pd.Series({"neutral": 0.2, "fear": np.nan, "anger": 0.1})  # mean .15, a = 1/3
    table = smooth_neutral(labels, strength)
    assert table.loc["anger"].tolist() == pytest.approx([2 / 3, 0, 1 / 3])
    assert table.loc["fear"].tolist() == [0, 1, 0]
    assert table.loc["neutral"].tolist() == [0, 0, 1]
    unknown = smooth_neutral(labels, strength * np.nan)
    pd.testing.assert_frame_equal(unknown, labels)  # a corpus without intensities: off


@pytest.mark.parametrize("mode", ["neutral", "printed"])
def test_neutral_smoothing_never_changes_the_first_label_and_gives_distributions(mode):
    rng = np.random.default_rng(1)
    scores = pd.DataFrame(rng.random((400, 8)) ** 3, columns=list(EKMAN_8))
    scores["neutral"] *= rng.random(400)
    close = scores[:50].assign(anger=0.7)
    scores[:50] = close.assign(neutral=close.max(axis=1) * (1 - 1e-12))  # nearly the first
    table = smooth_neutral(scores, mode=mode)
    check_labels(table, EKMAN_8)
    assert (table.idxmax(axis=1) == scores.idxmax(axis=1)).all()
    weak = scores.sum(axis=1) < scores.sum(axis=1).mean()
    shares_before = scores.div(scores.sum(axis=1), axis=0)
    same = np.isclose(table, shares_before).all(axis=1)
    assert same[~weak].all()
    grown = table["neutral"] - shares_before["neutral"]
    assert (grown > (-1e-12 if mode == "neutral" else -1)).all()


def test_neutral_smoothing_calls_neutral_what_no_emotion_was_found_in():
    scores = pd.DataFrame({"anger": [0.0, 1.0], "neutral": [0.0, 0.0]}, index=["silent", "loud"])
    assert smooth_neutral(scores).loc["silent"].tolist() == [0, 1]
    assert smooth_neutral(scores, mode="printed").loc["silent"].tolist() == [0.5, 0.5]
    assert smooth_neutral(scores[:1]).loc["silent"].tolist() == [0, 1]  # all of them
    with pytest.raises(TableError, match="scores of 'silent' are all 0"):
        smooth_neutral(scores[:1], mode="printed")


@pytest.mark.parametrize(("scores", "intensity", "mode", "reason"), [
    ({"neutral": [1.5]}, None, "neutral", "scores of 'a' are not all within 0..1"),
    ({"neutral": [np.nan]}, None, "neutral", "scores of 'a' are not all within"),
    ({"anger": [1.0]}, None, "neutral", "no column neutral: harmonise to a scheme that has it"),
    ({"neutral": [1.0]}, None, "other", "mode must be neutral or printed, not 'other'"),
    ({"neutral": [1.0]}, {"b": 1.0}, "neutral", "no intensity of 'a': give NaN"),
    ({"neutral": [1.0]}, {"a": -1.0}, "neutral", "the intensity of 'a' is below 0"),
])  # fmt: skip
def test_neutral_smoothing_refuses_what_means_nothing(scores, intensity, mode, reason):
    given = None if intensity is None else pd.Series(intensity)
    with pytest.raises(TableError, match=reason):
        smooth_neutral(pd.DataFrame(scores, index=["a"]), given, mode=mode)
