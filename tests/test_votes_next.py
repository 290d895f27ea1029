"""The next votes: closed form, the naive sum over answers, and what they are worth when spent."""

import numpy as np
import pandas as pd
import pytest

from affekt.exceptions import TableError
from affekt.scheme import Categories
from affekt.votes.coded import code
from affekt.votes.dawid_skene import fit
from affekt.votes.next_votes import next_votes

FIVE = Categories("five", ("l0", "l1", "l2", "l3", "l4"))


def entropy(p: np.ndarray) -> float:
    return float(-(p[p > 0] * np.log(p[p > 0])).sum())


def posteriors(n: int, seed: int = 0) -> pd.DataFrame:
    values = np.random.default_rng(seed).dirichlet(np.full(5, 0.4), n)
    return pd.DataFrame(values, [f"u{i}" for i in range(n)], list(FIVE))


def even(accuracy: float) -> np.ndarray:
    return np.full((5, 5), (1 - accuracy) / 4) + np.eye(5) * (accuracy - (1 - accuracy) / 4)


def gains(p: np.ndarray, confusion: np.ndarray) -> tuple[float, float]:
    """Expected fall of the entropy and of the probability of being wrong, answer by answer."""
    fall_of_entropy, fall_of_error = entropy(p), 1 - p.max()
    for answer in confusion.T:
        chance = float(p @ answer)
        if chance > 0:
            after = p * answer / chance
            fall_of_entropy -= chance * entropy(after)
            fall_of_error -= chance * (1 - after.max())
    return fall_of_entropy, fall_of_error


def test_an_even_pair_has_a_closed_form():
    labels = pd.DataFrame({"calm": [0.5], "anger": [0.5]}, index=["a"])
    row = next_votes(labels, rater_accuracy=0.8).loc["a"]
    assert row["entropy"] == pytest.approx(np.log(2))
    assert row["expected_gain"] == pytest.approx(np.log(2) + 0.8 * np.log(0.8) + 0.2 * np.log(0.2))
    assert pd.isna(row["label"])  # a tie has no label
    row = next_votes(labels, rater_accuracy=0.8, gain="error").loc["a"]
    assert row["expected_gain"] == pytest.approx(0.3)  # wrong in .5 of cases now, in .2 then


@pytest.mark.parametrize(("gain", "place"), [("entropy", 0), ("error", 1)])
def test_gains_are_the_sums_over_answers_best_first(gain, place):
    labels = posteriors(60)
    found = next_votes(labels, at=0.95, gain=gain, rater_accuracy=0.6)
    top = labels.max(axis=1)
    assert set(found.index) == set(labels.index[top < 0.95])
    assert 0 < len(found) < 60
    expected = [gains(labels.loc[u].to_numpy(), even(0.6))[place] for u in found.index]
    np.testing.assert_allclose(found["expected_gain"], expected, atol=1e-12)
    assert found["expected_gain"].is_monotonic_decreasing
    assert found["label"].tolist() == labels.loc[found.index].idxmax(axis=1).tolist()
    np.testing.assert_allclose(found["probability"], top[found.index])
    np.testing.assert_allclose(
        found["entropy"], [entropy(labels.loc[u].to_numpy()) for u in found.index]
    )


def test_where_one_vote_cannot_change_the_winner_the_error_gains_nothing_but_entropy_does():
    labels = pd.DataFrame([[0.85, 0.15, 0, 0, 0], [0.75, 0.25, 0, 0, 0]], ["a", "b"], list(FIVE))
    by_error = next_votes(labels, gain="error", rater_accuracy=0.3)
    assert by_error["expected_gain"].tolist() == [0, 0]
    assert by_error.index.tolist() == ["b", "a"]  # then the least sure first
    assert (next_votes(labels, rater_accuracy=0.3)["expected_gain"] > 0).all()


def test_a_rater_at_chance_teaches_nothing_and_a_perfect_one_everything():
    labels = posteriors(20)
    np.testing.assert_allclose(
        next_votes(labels, rater_accuracy=0.2)["expected_gain"], 0, atol=1e-12
    )
    perfect = next_votes(labels, rater_accuracy=1.0)
    np.testing.assert_allclose(perfect["expected_gain"], perfect["entropy"])
    perfect = next_votes(labels, rater_accuracy=1.0, gain="error")
    np.testing.assert_allclose(perfect["expected_gain"], 1 - perfect["probability"])


def test_the_budget_takes_the_best_and_the_decided_are_left_out():
    labels = posteriors(40)
    every = next_votes(labels)
    pd.testing.assert_frame_equal(next_votes(labels, n=7), every.head(7))
    assert len(next_votes(labels, n=10**6)) == len(every)
    assert next_votes(labels, n=0).empty
    sure = pd.DataFrame(np.eye(5), list("abcde"), list(FIVE))
    assert next_votes(sure).columns.tolist() == ["label", "probability", "entropy", "expected_gain"]
    assert next_votes(sure).empty


def test_reaching_the_level_is_decided_but_a_tie_at_it_is_not():
    labels = pd.DataFrame({"calm": [0.9, 0.89, 0.5], "anger": [0.1, 0.11, 0.5]}, list("abc"))
    assert set(next_votes(labels, at=0.9).index) == {"b", "c"}
    assert set(next_votes(labels, at=0.5).index) == {"c"}


class Crowd:
    """Raters of known accuracy who answer utterances of known truth."""

    def __init__(self, seed: int, n: int = 800, n_raters: int = 25) -> None:
        self.rng = np.random.default_rng(seed)
        self.truth = self.rng.choice(5, n, p=[0.1, 0.15, 0.45, 0.2, 0.1])
        self.accuracy = self.rng.uniform(0.5, 0.9, n_raters)

    def vote(self, which: np.ndarray) -> pd.DataFrame:
        rater = self.rng.integers(len(self.accuracy), size=len(which))
        wrong = (self.truth[which] + self.rng.integers(1, 5, len(which))) % 5
        right = self.rng.random(len(which)) < self.accuracy[rater]
        return pd.DataFrame({
            "utterance": [f"u{i}" for i in which],
            "rater": [f"r{i}" for i in rater],
            "label": [f"l{i}" for i in np.where(right, self.truth[which], wrong)],
        })  # fmt: skip

    def fit(self, votes: pd.DataFrame):
        return fit(code(votes, FIVE, duplicates="first"), smoothing=0.1)

    def share_right(self, model) -> float:
        labels = model.labels.loc[[f"u{i}" for i in range(len(self.truth))]]
        return float((labels.to_numpy().argmax(axis=1) == self.truth).mean())


def test_the_models_raters_stand_for_the_next_one():
    crowd = Crowd(0)
    model = crowd.fit(crowd.vote(np.repeat(np.arange(800), 4)))
    together = model.counts.sum(axis=0)
    together = together / together.sum(axis=1, keepdims=True)
    found = next_votes(model, n=20)
    expected = [gains(model.labels.loc[u].to_numpy(), together)[0] for u in found.index]
    np.testing.assert_allclose(found["expected_gain"], expected, atol=1e-6)
    assumed = next_votes(model, n=20, rater_accuracy=0.9)
    assert assumed["expected_gain"].iloc[0] > found["expected_gain"].iloc[0]


@pytest.mark.parametrize("gain", ["entropy", "error"])
def test_votes_spent_where_they_pay_raise_accuracy_more_than_votes_spent_at_random(gain):
    rises = {"chosen": [], "random": []}
    for seed in range(3):
        for policy, rise in rises.items():
            crowd = Crowd(seed)
            votes = crowd.vote(np.repeat(np.arange(800), 3))
            model = crowd.fit(votes)
            before = crowd.share_right(model)
            for _ in range(4):
                which = crowd.rng.choice(800, 200, replace=False)
                if policy == "chosen":
                    best = next_votes(model, at=0.99, n=200, gain=gain).index
                    which = best.str.removeprefix("u").to_numpy(dtype=int)
                votes = pd.concat([votes, crowd.vote(which)])
                model = crowd.fit(votes)
            rise.append(crowd.share_right(model) - before)
    assert min(rises["chosen"]) > 0.06
    assert np.mean(rises["chosen"]) > 1.3 * np.mean(rises["random"])
    assert all(c > r for c, r in zip(rises["chosen"], rises["random"], strict=True))


def test_the_expected_gain_in_error_is_the_gain_that_comes():
    # posteriors that are true, one vote each: by what share does the best guess get better?
    labels = posteriors(4000, seed=3)
    found = next_votes(labels, at=1.0, gain="error", rater_accuracy=0.7)
    p, rng = labels.loc[found.index].to_numpy(), np.random.default_rng(0)
    truth = (rng.random((len(p), 1)) > p.cumsum(axis=1)).sum(axis=1).clip(max=4)
    answer = (rng.random((len(p), 1)) > even(0.7).cumsum(axis=1)[truth]).sum(axis=1).clip(max=4)
    after = p * even(0.7)[:, answer].T
    rise = (after.argmax(axis=1) == truth).mean() - (p.argmax(axis=1) == truth).mean()
    assert rise == pytest.approx(found["expected_gain"].mean(), abs=0.02)
    assert rise > 0.05


@pytest.mark.parametrize(("options", "message"), [
    ({"at": 0.0}, r"threshold 0.0 is not in \(0, 1\]"),
    ({"n": -1}, "n is -1"),
    ({"gain": "luck"}, "'entropy' or 'error', not 'luck'"),
    ({"rater_accuracy": 1.2}, "rater_accuracy is 1.2"),
])  # fmt: skip
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(TableError, match=message):
        next_votes(posteriors(3), **options)


def test_tables_that_are_no_posterior_are_refused():
    with pytest.raises(TableError, match="does not sum to 1"):
        next_votes(posteriors(3) * 0.5)
    with pytest.raises(TableError, match="two categories"):
        next_votes(pd.DataFrame({"calm": [1.0]}, index=["a"]))
