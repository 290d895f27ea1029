"""Banned labels and priors."""

import numpy as np
import pytest

from affekt.calibration import softmax
from affekt.exceptions import TableError
from affekt.zero_shot import adjust_logits, ban

LABELS = ("anger", "calm", "fear", "neutral")


def test_banned_labels_get_exactly_nothing_and_rows_sum_to_1():
    scores = np.random.default_rng(0).dirichlet(np.ones(4), 50)
    banned = ban(scores, LABELS, ["fear", "anger"])
    assert (banned[:, [1, 3]] == 0).all()
    np.testing.assert_allclose(banned.sum(axis=1), 1)


def test_ratios_between_allowed_labels_stay_as_they_are():
    scores = np.random.default_rng(0).dirichlet(np.ones(4), 50)
    banned = ban(scores, LABELS, ["fear", "anger"])
    np.testing.assert_allclose(banned[:, 0] / banned[:, 2], scores[:, 0] / scores[:, 2])


def test_banning_probabilities_is_softmax_over_the_allowed_logits():
    logits = np.random.default_rng(1).normal(size=(9, 4))
    np.testing.assert_allclose(
        ban(softmax(logits), LABELS, LABELS[:2])[:, :2], softmax(logits[:, :2])
    )


def test_allowing_all_changes_nothing():
    scores = np.random.default_rng(0).dirichlet(np.ones(4), 5)
    np.testing.assert_allclose(ban(scores, LABELS, LABELS[::-1]), scores)


def test_a_row_without_mass_on_the_allowed_labels_becomes_uniform():
    assert ban([1.0, 0, 0, 0], LABELS, ["calm", "fear"]).tolist() == [0, 0.5, 0.5, 0]


def test_an_unknown_label_is_named_with_the_ones_there_are():
    with pytest.raises(TableError, match="'joy'; choose from anger, calm, fear, neutral"):
        ban(np.full(4, 0.25), LABELS, ["anger", "joy"])


def test_no_label_or_columns_that_do_not_fit_are_refused():
    with pytest.raises(TableError, match="no label is allowed"):
        ban(np.full(4, 0.25), LABELS, [])
    with pytest.raises(TableError, match="do not fit 4 labels"):
        ban(np.full(3, 1 / 3), LABELS, ["anger"])


def test_adjusted_logits_are_bayes_with_an_even_prior():
    rng = np.random.default_rng(3)
    likelihood, prior = rng.random((20, 4)), np.array([0.5, 0.3, 0.15, 0.05])
    logits = np.log(likelihood * prior)
    expected = likelihood / likelihood.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(softmax(adjust_logits(logits, prior)), expected)


def test_tau_0_leaves_logits_alone():
    logits = np.random.default_rng(3).normal(size=(5, 2))
    np.testing.assert_array_equal(adjust_logits(logits, [0.9, 0.1], tau=0), logits)


@pytest.mark.parametrize("prior", [[1.0, 0.0], [0.5, 0.6], [0.5, 0.25, 0.25]])
def test_a_prior_that_is_none_is_refused(prior):
    with pytest.raises(TableError, match="prior"):
        adjust_logits(np.zeros((3, 2)), prior)
