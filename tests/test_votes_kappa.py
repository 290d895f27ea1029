"""Cohen's and Fleiss's kappa against scikit-learn 1.9.1 and statsmodels 0.15.0."""

import numpy as np
import pytest

import vote_tables
from affekt.exceptions import TableError
from affekt.votes.agreement import cohen_kappa, cohen_table, fleiss_kappa
from vote_tables import DIGITS, votes

answers = pytest.fixture(vote_tables.answers)


@pytest.mark.parametrize(
    ("weights", "golden"),
    [(None, 0.5833333333333334), ("linear", 0.609375), ("quadratic", 0.6323529411764706)],
)
def test_cohens_kappa_equals_scikit_learn(weights, golden):
    i = np.arange(40)
    a = (7 * i + i // 5) % 4
    b = np.where(3 * i % 10 < 6, a, (a + i) % 4)
    table = votes(np.stack([a, b], axis=1).tolist())
    found = cohen_kappa(table, DIGITS, "r0", "r1", weights=weights)
    assert found == pytest.approx(golden, abs=1e-12)
    assert cohen_kappa(table, DIGITS, "r1", "r0", weights=weights) == pytest.approx(golden)


def test_cohens_kappa_looks_at_common_utterances_and_names_who_shares_none():
    table = votes([[1, 1, None], [2, 2, None], [1, 2, None], [2, None, 1], [None, None, 1]])
    expected = 1 - (1 / 3) / (1 - (2 / 3 * 1 / 3 + 1 / 3 * 2 / 3))
    assert cohen_kappa(table, DIGITS, "r0", "r1") == pytest.approx(expected)
    with pytest.raises(TableError, match="'r1' and 'r2' have no utterance in common"):
        cohen_kappa(table, DIGITS, "r1", "r2")
    with pytest.raises(TableError, match="no vote is by rater 'r9'"):
        cohen_kappa(table, DIGITS, "r0", "r9")


def test_the_table_of_all_pairs_equals_each_pair_by_itself(answers):
    table = votes(answers)
    pairs = cohen_table(table, DIGITS)
    assert len(pairs) == 10
    for row in pairs.itertuples():
        alone = cohen_kappa(table, DIGITS, row.rater, row.other)
        assert row.kappa == pytest.approx(alone, abs=1e-12)
    wide = table.pivot(index="utterance", columns="rater", values="label")
    both = wide[["r3", "r4"]].dropna()
    last = pairs.set_index(["rater", "other"]).loc[("r3", "r4")]
    assert last["n_common"] == len(both)
    assert last["agreement"] == pytest.approx((both["r3"] == both["r4"]).mean())


def test_pairs_that_share_too_little_are_left_out_of_the_table():
    table = votes([[1, 1, None], [2, 2, 2], [1, 2, None]])
    assert cohen_table(table, DIGITS)[["rater", "other"]].to_numpy().tolist() == [["r0", "r1"]]
    assert cohen_table(table, DIGITS, min_common=4).empty


def test_fleiss_kappa_equals_statsmodels_and_needs_no_raters():
    said = [
        [(5 * t + 3 * r + t * r % 4) % 3 if (t + r) % 4 == 0 else t % 3 for r in range(6)]
        for t in range(15)
    ]
    golden = 0.5866666666666664
    assert fleiss_kappa(votes(said), DIGITS) == pytest.approx(golden, abs=1e-12)
    unknown = votes(said).assign(rater=None)
    assert fleiss_kappa(unknown, DIGITS) == pytest.approx(golden, abs=1e-12)


def test_fleiss_kappa_refuses_unequal_numbers_and_points_to_krippendorff():
    with pytest.raises(TableError, match=r"'u0' has 2 and 'u1' 1: use krippendorff_alpha"):
        fleiss_kappa(votes([[1, 2], [1, None]]), DIGITS)
