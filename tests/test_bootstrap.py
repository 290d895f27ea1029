"""Intervals: closed form, coverage on simulated speakers, fast way = plain way."""

import numpy as np
import pytest
from scipy import stats

from affekt.bootstrap import choose_groups, interval, interval_of_counts, interval_of_totals
from affekt.metrics import confusion_accuracy, confusion_recall, mean_present


def uar(confusion):
    return mean_present(confusion_recall(confusion))


def simulated(rng, n_speakers, per_speaker, n_classes=4, skill=1.0, spread=0.6):
    """Speakers who differ in how well they are recognised."""
    ability = rng.normal(skill, spread, n_speakers)
    speakers = np.repeat(np.arange(n_speakers), per_speaker)
    truth = np.tile(np.arange(per_speaker) % n_classes, n_speakers)
    chance = 1 / (1 + np.exp(-ability[speakers]))
    wrong = (truth + 1 + rng.integers(n_classes - 1, size=truth.size)) % n_classes
    return speakers, truth, np.where(rng.random(truth.size) < chance, truth, wrong)


def matrices(speakers, truth, prediction, c=4):
    totals = np.zeros((speakers.max() + 1, c, c), int)
    np.add.at(totals, (speakers, truth, prediction), 1)
    return totals


def test_the_mean_of_single_items_has_binomial_quantiles():
    right = np.repeat([1.0, 0.0], [70, 30])
    low, high = interval(lambda i: right[i].mean(), 100, np.arange(100), n_resamples=4000)
    expected = stats.binom.ppf([0.025, 0.975], 100, 0.7) / 100
    np.testing.assert_allclose([low, high], expected, atol=0.0101)


def test_counts_resampled_at_once_have_binomial_quantiles_too():
    counts = np.array([[70, 30], [0, 0]])
    found = interval_of_counts(confusion_accuracy, counts, n_resamples=4000)
    expected = stats.binom.ppf([0.025, 0.975], 100, 0.7) / 100
    np.testing.assert_allclose(found, expected, atol=0.0101)


def test_the_fast_way_gives_the_numbers_of_the_plain_way():
    speakers, truth, prediction = simulated(np.random.default_rng(0), 12, 20)

    def plain(items):
        return float(uar(matrices(np.zeros_like(items), truth[items], prediction[items])[0]))

    totals = matrices(speakers, truth, prediction)
    fast = interval_of_totals(uar, totals, n_resamples=200, seed=5)
    names = [f"speaker {number:02d}" for number in speakers]
    assert interval(plain, truth.size, names, n_resamples=200, seed=5) == pytest.approx(fast)


def test_95_percent_intervals_by_speaker_cover_the_truth_and_those_by_utterance_do_not():
    rng = np.random.default_rng(7)
    skill, spread, n_worlds = 1.0, 0.8, 300
    draws = rng.normal(skill, spread, 200_000)
    true_accuracy = (1 / (1 + np.exp(-draws))).mean()
    by_speaker = by_utterance = 0
    for _ in range(n_worlds):
        totals = matrices(*simulated(rng, 40, 40, skill=skill, spread=spread))
        low, high = interval_of_totals(confusion_accuracy, totals, n_resamples=300)
        by_speaker += low <= true_accuracy <= high
        low, high = interval_of_counts(confusion_accuracy, totals.sum(axis=0), n_resamples=300)
        by_utterance += low <= true_accuracy <= high
    assert 0.90 <= by_speaker / n_worlds <= 0.98
    assert by_utterance / n_worlds < 0.85


def test_equal_seeds_give_equal_intervals_and_others_do_not():
    totals = matrices(*simulated(np.random.default_rng(0), 20, 16))
    assert interval_of_totals(uar, totals, seed=1) == interval_of_totals(uar, totals, seed=1)
    assert interval_of_totals(uar, totals, seed=1) != interval_of_totals(uar, totals, seed=2)


def test_many_groups_are_drawn_in_blocks_that_add_up_to_all_resamples():
    n_groups = 50_000
    totals = np.tile(np.eye(2, dtype=int), (n_groups, 1, 1))
    seen = []

    def count(sums):
        seen.append(len(sums))
        return confusion_accuracy(sums)

    assert interval_of_totals(count, totals, n_resamples=100) == (1.0, 1.0)
    assert len(seen) > 1
    assert sum(seen) == 100


def test_a_higher_confidence_gives_a_wider_interval_around_the_same_middle():
    totals = matrices(*simulated(np.random.default_rng(0), 30, 16))
    narrow = interval_of_totals(uar, totals, confidence=0.5)
    wide = interval_of_totals(uar, totals, confidence=0.99)
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


@pytest.mark.parametrize(("groups", "said"), [
    (None, "speakers are not known"),
    (["a"] * 6, "1 speaker is too few"),
    (["a", "b"] * 3, "2 speakers are too few"),
])  # fmt: skip
def test_fewer_than_three_speakers_fall_back_to_utterances_and_say_so(groups, said):
    codes, note = choose_groups(groups, 6)
    assert codes.tolist() == [0, 1, 2, 3, 4, 5]
    assert note is not None
    assert said in note


def test_three_speakers_are_resampled_without_a_note():
    codes, note = choose_groups(["x", "z", "y", "x"], 4)
    assert codes.tolist() == [0, 2, 1, 0]
    assert note is None


def test_nothing_to_resample_is_refused():
    with pytest.raises(ValueError, match="nothing to resample"):
        choose_groups([], 0)
    with pytest.raises(ValueError, match="nothing to resample"):
        interval_of_totals(uar, np.zeros((0, 2, 2)))
    with pytest.raises(ValueError, match="nothing to resample"):
        interval_of_counts(uar, np.zeros((2, 2), int))
    with pytest.raises(ValueError, match="2 groups for 3 items"):
        choose_groups(["a", "b"], 3)
