"""Metrics against scikit-learn, closed forms and the formula written out."""

import numpy as np
import pytest
from sklearn import metrics as reference

from affekt.metrics import (
    accuracy,
    brier_score,
    confusion_accuracy,
    confusion_f1,
    confusion_matrix,
    confusion_recall,
    cross_entropy,
    expected_calibration_error,
    f1_per_class,
    macro_f1,
    mean_present,
    precision_per_class,
    recall_per_class,
    reliability,
    unweighted_average_recall,
)

N, C = 400, 5


@pytest.fixture
def answers():
    rng = np.random.default_rng(1)
    truth = rng.integers(C, size=N)
    prediction = np.where(rng.random(N) < 0.6, truth, rng.integers(C, size=N))
    return truth, prediction


@pytest.fixture
def probabilities():
    rng = np.random.default_rng(2)
    return rng.dirichlet(np.ones(C), N), rng.dirichlet(np.ones(C), N)


def test_all_hard_metrics_equal_scikit_learn(answers):
    truth, prediction = answers
    assert accuracy(truth, prediction) == pytest.approx(reference.accuracy_score(truth, prediction))
    assert unweighted_average_recall(truth, prediction) == pytest.approx(
        reference.balanced_accuracy_score(truth, prediction)
    )
    assert macro_f1(truth, prediction) == pytest.approx(
        reference.f1_score(truth, prediction, average="macro")
    )
    precision, recall, f1, _ = reference.precision_recall_fscore_support(truth, prediction)
    np.testing.assert_allclose(precision_per_class(truth, prediction, C), precision)
    np.testing.assert_allclose(recall_per_class(truth, prediction, C), recall)
    np.testing.assert_allclose(f1_per_class(truth, prediction, C), f1)
    np.testing.assert_array_equal(
        confusion_matrix(truth, prediction, C), reference.confusion_matrix(truth, prediction)
    )


def test_a_fixed_list_of_classes_equals_scikit_learn_with_labels(answers):
    truth, prediction = answers
    expected = reference.f1_score(truth, prediction, average="macro", labels=[0, 3])
    assert macro_f1(truth, prediction, classes=[0, 3]) == pytest.approx(expected)


def test_a_constant_answer_has_the_uar_of_chance_whatever_its_accuracy():
    truth = np.repeat([0, 1, 2], [90, 5, 5])
    assert accuracy(truth, np.zeros(100, int)) == 0.9
    assert unweighted_average_recall(truth, np.zeros(100, int)) == pytest.approx(1 / 3)


def test_a_class_only_predicted_is_not_in_the_mean_but_costs_the_others():
    assert unweighted_average_recall([0, 0, 1], [0, 2, 1]) == pytest.approx(0.75)
    assert macro_f1([0, 0, 1], [0, 2, 1]) == pytest.approx((2 / 3 + 1) / 2)


def test_an_absent_class_of_a_fixed_list_is_skipped_with_a_warning():
    with pytest.warns(UserWarning, match=r"absent from the truth: \[2\]"):
        assert unweighted_average_recall([0, 1], [0, 1], classes=[0, 1, 2]) == 1.0


def test_metrics_do_not_depend_on_the_order_of_utterances(answers):
    truth, prediction = answers
    order = np.random.default_rng(0).permutation(N)
    assert macro_f1(truth, prediction) == macro_f1(truth[order], prediction[order])


def test_micro_f1_over_all_classes_is_accuracy(answers):
    truth, prediction = answers
    assert accuracy(truth, prediction) == pytest.approx(
        reference.f1_score(truth, prediction, average="micro")
    )


def test_many_confusion_matrices_at_once_give_what_each_gives_alone(answers):
    truth, prediction = answers
    half = [confusion_matrix(t, p, C) for t, p in zip(
        np.split(truth, 2), np.split(prediction, 2), strict=True)]  # fmt: skip
    for measure in (confusion_accuracy, confusion_recall, confusion_f1):
        np.testing.assert_array_equal(measure(np.stack(half)), [measure(m) for m in half])


def test_mean_of_nothing_is_undefined_and_of_something_skips_the_undefined():
    assert np.isnan(mean_present(np.array([np.nan, np.nan])))
    assert mean_present(np.array([[0.0, np.nan], [1.0, 0.5]])).tolist() == [0.0, 0.75]


def test_cross_entropy_of_hard_truth_is_scikit_learns_log_loss(answers, probabilities):
    truth, _ = answers
    expected = reference.log_loss(truth, probabilities[1])
    assert cross_entropy(np.eye(C)[truth], probabilities[1]) == pytest.approx(expected)


def test_cross_entropy_of_soft_truth_is_entropy_plus_divergence(probabilities):
    truth, prediction = probabilities
    entropy = -(truth * np.log(truth)).sum(1).mean()
    divergence = (truth * np.log(truth / prediction)).sum(1).mean()
    assert cross_entropy(truth, prediction) == pytest.approx(entropy + divergence)
    assert cross_entropy(truth, truth) == pytest.approx(entropy)


def test_an_impossible_truth_costs_the_floor_and_not_infinity():
    assert cross_entropy([[1.0, 0.0]], [[0.0, 1.0]]) == pytest.approx(-np.log(1e-12))


def test_brier_score_equals_scikit_learn_and_reaches_from_0_to_2(answers, probabilities):
    truth, _ = answers
    expected = reference.brier_score_loss(truth, probabilities[1], scale_by_half=False)
    assert brier_score(np.eye(C)[truth], probabilities[1]) == pytest.approx(expected)
    assert brier_score([[1, 0]], [[0, 1]]) == 2.0


def test_calibration_error_is_the_formula_bin_by_bin(answers, probabilities):
    truth, (_, scores), n_bins = answers[0], probabilities, 7
    confidence, right = scores.max(1), scores.argmax(1) == truth
    expected = 0.0
    for i in range(n_bins):
        inside = (confidence > i / n_bins) & (confidence <= (i + 1) / n_bins)
        if inside.any():
            expected += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    assert expected_calibration_error(truth, scores, n_bins) == pytest.approx(expected)


def test_calibration_error_of_perfectly_calibrated_scores_is_0():
    scores = np.array([[0.75, 0.25]] * 8)
    assert expected_calibration_error([0] * 6 + [1] * 2, scores) == pytest.approx(0)


def test_reliability_counts_every_answer_once_edges_included():
    scores = np.array([[1.0, 0.0], [0.5, 0.5], [0.8, 0.2], [0.6, 0.4]])
    bins = reliability([0, 0, 1, 0], scores, n_bins=5)
    assert bins.n.tolist() == [0, 0, 2, 1, 1]
    assert bins.accuracy[2:].tolist() == [1.0, 0.0, 1.0]
    assert np.isnan(bins.accuracy[0])


@pytest.mark.parametrize("measure", [accuracy, unweighted_average_recall, macro_f1])
def test_different_lengths_are_refused(measure):
    with pytest.raises(ValueError, match="must be"):
        measure([0, 1], [0])


def test_an_index_outside_the_classes_is_refused():
    with pytest.raises(ValueError, match=r"0 \.\. 1"):
        confusion_matrix([0, 2], [0, 1], 2)
