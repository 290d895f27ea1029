"""Numbers of raters to one number: closed forms, planted raters, invariance."""

import numpy as np
import pandas as pd
import pytest

from affekt.exceptions import TableError
from affekt.votes.ratings import evaluator_weighted, evaluator_weights, mean, rater_normalised_mean


def ratings(values, dimension="arousal"):
    """Long table of an array (n_utterances, n_raters); NaN is a rating not given."""
    n, k = np.shape(values)
    table = pd.DataFrame(
        {
            "utterance": np.repeat([f"u{i}" for i in range(n)], k),
            "rater": [f"r{j}" for j in range(k)] * n,
            "dimension": dimension,
            "value": np.ravel(values),
        }
    )
    return table.dropna().reset_index(drop=True)


@pytest.fixture
def answers():
    rng = np.random.default_rng(3)
    values = rng.normal(size=(40, 1)) + 0.5 * rng.normal(size=(40, 6))
    values[rng.random(values.shape) < 0.3] = np.nan
    values[:, 0] = values[:, 1] = np.nan_to_num(values[:, 1])  # everybody is rated twice
    return values


def test_the_mean_leaves_missing_ratings_out_and_knows_no_raters():
    table = ratings([[1, 3, np.nan], [2, np.nan, np.nan]]).assign(rater=None)
    assert mean(table)["arousal"].to_dict() == {"u0": 2.0, "u1": 2.0}


def test_each_dimension_is_a_column_and_empty_where_it_was_not_rated():
    both = pd.concat([ratings([[1, 3], [5, 5]]), ratings([[7, 8]], "valence")])
    found = mean(both)
    assert found.columns.tolist() == ["arousal", "valence"]
    assert found.index.name == "utterance"
    assert found.loc["u0"].tolist() == [2.0, 7.5]
    assert np.isnan(found.loc["u1", "valence"])


@pytest.mark.parametrize("method", [mean, rater_normalised_mean, evaluator_weighted])
def test_the_order_of_rows_and_another_dimension_change_nothing(method, answers):
    table = ratings(answers)
    shuffled = table.sample(frac=1, random_state=0)
    other = ratings(answers[::-1] ** 2, "valence")
    expected = method(table)["arousal"]
    together = method(pd.concat([shuffled, other]))["arousal"]
    pd.testing.assert_series_equal(together.reindex(expected.index), expected)


@pytest.mark.parametrize("method", [mean, rater_normalised_mean, evaluator_weighted])
def test_ratings_on_another_scale_give_the_result_on_that_scale(method, answers):
    expected = 3 * method(ratings(answers))["arousal"] + 2
    found = method(ratings(3 * answers + 2))["arousal"]
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_normalised_raters_who_differ_in_level_and_spread_alone_agree_fully():
    heard = np.array([1.0, 2.0, 4.0, 9.0])
    table = ratings(np.column_stack([heard, 10 + 0.1 * heard, 5 * heard - 3]))
    z = (heard - heard.mean()) / heard.std()
    found = rater_normalised_mean(table, rescale=False)["arousal"]
    np.testing.assert_allclose(found, z, atol=1e-12)
    level, spread = table["value"].mean(), table["value"].std(ddof=0)
    rescaled = rater_normalised_mean(table)["arousal"]
    np.testing.assert_allclose(rescaled, level + spread * z, atol=1e-12)


def test_normalising_equals_the_formula_written_out_with_missing_ratings(answers):
    table = ratings(answers)
    by_rater = table.groupby("rater")["value"]
    z = (table["value"] - by_rater.transform("mean")) / by_rater.transform("std", ddof=0)
    expected = z.groupby(table["utterance"], sort=False).mean()
    found = rater_normalised_mean(table, rescale=False)["arousal"]
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_a_rater_who_always_gives_the_same_number_counts_as_the_usual_answer():
    table = ratings([[1, 0.1], [2, 0.1], [3, 0.1]])  # 0.1 three times has no exact mean
    found = rater_normalised_mean(table, rescale=False)["arousal"]
    np.testing.assert_allclose(found, np.array([-1, 0, 1]) * np.sqrt(1.5) / 2, atol=1e-12)


def test_the_evaluator_weights_are_correlations_with_the_mean_of_all():
    values = np.array([[1.0, 2, 1], [2, 1, 3], [4, 5, 3], [5, 4, 9]])
    everybody = values.mean(axis=1)
    expected = [np.corrcoef(column, everybody)[0, 1] for column in values.T]
    table = ratings(values)
    np.testing.assert_allclose(evaluator_weights(table)["arousal"], expected)
    found = evaluator_weighted(table)["arousal"]
    np.testing.assert_allclose(found, values @ expected / np.sum(expected))


def test_the_evaluator_weights_look_at_the_utterances_the_rater_rated():
    values = np.array([[1.0, 2, np.nan], [2, np.nan, 3], [4, 5, 3], [5, 4, 9], [3, 3, 1]])
    rated = ~np.isnan(values)
    everybody = np.nanmean(values, axis=1)
    expected = [
        np.corrcoef(column[ok], everybody[ok])[0, 1]
        for column, ok in zip(values.T, rated.T, strict=True)
    ]
    table = ratings(values)
    np.testing.assert_allclose(evaluator_weights(table)["arousal"], expected)
    weighted = np.nansum(values * expected, axis=1) / (rated * expected).sum(axis=1)
    np.testing.assert_allclose(evaluator_weighted(table)["arousal"], weighted)


def test_raters_who_go_with_each_other_equally_give_the_plain_mean():
    heard = np.array([1.0, 2.0, 4.0, 9.0])
    table = ratings(np.column_stack([heard, heard + 1, heard + 5]))
    np.testing.assert_allclose(evaluator_weights(table)["arousal"], 1.0)
    np.testing.assert_allclose(evaluator_weighted(table)["arousal"], heard + 2)


def test_a_rater_against_all_others_or_of_one_answer_weighs_nothing():
    heard = np.array([1.0, 2.0, 4.0, 9.0])
    table = ratings(np.column_stack([heard, heard, heard, 10 - heard, np.full(4, 0.1)]))
    assert evaluator_weights(table)["arousal"].tolist() == pytest.approx([1, 1, 1, 0, 0])
    np.testing.assert_allclose(evaluator_weighted(table)["arousal"], heard)


def test_where_no_rater_has_weight_the_plain_mean_stands():
    table = ratings([[1, 3], [1, 3]])  # nothing varies, so nothing correlates
    assert evaluator_weighted(table)["arousal"].tolist() == [2.0, 2.0]


def test_a_rater_without_ratings_on_a_dimension_has_no_weight_there():
    table = pd.concat([ratings([[1, 2], [2, 4]]), ratings([[1], [2]], "valence")])
    weights = evaluator_weights(table)
    assert np.isnan(weights.loc["r1", "valence"])
    assert weights.loc["r0", "valence"] == pytest.approx(1)


def test_weighting_finds_planted_numbers_as_well_as_theory_says():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=20_000)
    noise = np.array([0.3, 0.3, 0.3, 3.0, 3.0])
    table = ratings(truth[:, None] + noise * rng.normal(size=(20_000, 5)))
    # The correlation of each rater with the mean: a careless rater carries much of the mean too.
    weights = (1 + noise**2 / 5) / np.sqrt((1 + noise**2) * (1 + (noise**2).sum() / 25))
    for method, weight in [(mean, np.ones(5)), (evaluator_weighted, weights)]:
        error = np.sqrt(((method(table)["arousal"].to_numpy() - truth) ** 2).mean())
        expected = np.sqrt((weight**2 * noise**2).sum()) / weight.sum()
        assert error == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("method", [rater_normalised_mean, evaluator_weighted, evaluator_weights])
def test_methods_that_model_raters_refuse_unknown_ones_by_row(method):
    table = ratings([[1, 2], [2, 3]])
    table.loc[2, "rater"] = None
    with pytest.raises(TableError, match="row 2: column rater is empty"):
        method(table)


def test_a_second_rating_of_the_same_thing_is_refused_and_two_unknown_raters_are_not():
    twice = pd.concat([ratings([[1, 2]]), ratings([[1]])])
    with pytest.raises(TableError, match="row 2: rater 'r0' rated arousal of utterance 'u0' be"):
        mean(twice)
    assert mean(twice.assign(rater=None)).loc["u0", "arousal"] == pytest.approx(4 / 3)


def test_an_empty_table_is_refused():
    with pytest.raises(TableError, match="no ratings"):
        mean(ratings([[1]])[:0])
