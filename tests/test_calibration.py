"""Temperature: closed form, recovery of a known one, and what it must not change."""

import numpy as np
import pytest
from scipy import special

from affekt.calibration import fit_temperature, softmax
from affekt.metrics import cross_entropy


def test_softmax_equals_scipys_and_survives_huge_logits():
    logits = np.random.default_rng(0).normal(size=(7, 4)) * 5
    np.testing.assert_allclose(softmax(logits), special.softmax(logits, axis=-1))
    np.testing.assert_allclose(softmax([1e5, 1e5]), [0.5, 0.5])


def test_softmax_of_a_banned_label_is_exactly_0():
    assert softmax([0.0, -np.inf]).tolist() == [1.0, 0.0]


def test_temperature_divides_the_logits():
    logits = np.random.default_rng(0).normal(size=(7, 4))
    np.testing.assert_allclose(softmax(logits, 2.5), special.softmax(logits / 2.5, axis=-1))
    with pytest.raises(ValueError, match="above 0"):
        softmax(logits, 0.0)


def test_two_classes_with_one_margin_have_a_closed_form():
    # right in 3 of 4 with margin m: softmax(m / T) = 3/4, so T = m / log 3
    logits = np.tile([2.0, 0.0], (4, 1))
    target = np.eye(2)[[0, 0, 0, 1]]
    assert fit_temperature(logits, target) == pytest.approx(2 / np.log(3), rel=1e-4)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 4.0])
def test_soft_targets_give_back_the_temperature_that_made_them(temperature):
    logits = np.random.default_rng(1).normal(size=(200, 6)) * 3
    target = softmax(logits, temperature)
    assert fit_temperature(logits, target) == pytest.approx(temperature, rel=1e-3)


def test_the_fitted_temperature_is_no_worse_than_any_on_a_grid():
    rng = np.random.default_rng(2)
    logits = rng.normal(size=(300, 5)) * 4
    target = np.eye(5)[rng.integers(5, size=300)]
    best = fit_temperature(logits, target)
    losses = [cross_entropy(target, softmax(logits, t)) for t in np.geomspace(0.06, 19, 80)]
    assert cross_entropy(target, softmax(logits, best)) <= min(losses) + 1e-9


def test_answers_that_are_always_right_end_at_the_bound():
    assert fit_temperature(np.eye(3), np.eye(3)) == pytest.approx(0.05, rel=1e-3)


@pytest.mark.parametrize(
    ("logits", "target"), [(np.zeros((0, 2)), np.zeros((0, 2))), (np.zeros((3, 2)), np.eye(3))]
)
def test_nothing_to_fit_or_shapes_that_differ_are_refused(logits, target):
    with pytest.raises(ValueError, match=r"\(n, c\)"):
        fit_temperature(logits, target)


def test_infinite_logits_are_refused():
    with pytest.raises(ValueError, match="finite"):
        fit_temperature([[0.0, -np.inf]], [[1.0, 0.0]])
