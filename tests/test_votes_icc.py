"""Intraclass correlations against Shrout and Fleiss's table, and what they are blind to."""

import numpy as np
import pandas as pd
import pytest

from affekt.exceptions import TableError
from affekt.votes.agreement import icc
from vote_tables import ratings

# Shrout & Fleiss 1979, table 2: six targets, four judges.
JUDGES = np.array(
    [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]
)


@pytest.mark.parametrize(
    ("kind", "printed"),
    [("1,1", 0.17), ("2,1", 0.29), ("3,1", 0.71), ("1,k", 0.44), ("2,k", 0.62), ("3,k", 0.91)],
)
def test_icc_equals_the_table_of_shrout_and_fleiss(kind, printed):
    found = icc(ratings(JUDGES), kind)
    assert round(found["arousal"], 2) == printed
    assert found.name == f"ICC({kind})"


def test_the_mean_of_k_judges_is_as_reliable_as_spearman_and_brown_say():
    for single, many in [("1,1", "1,k"), ("2,1", "2,k"), ("3,1", "3,k")]:
        r = icc(ratings(JUDGES), single)["arousal"]
        assert icc(ratings(JUDGES), many)["arousal"] == pytest.approx(4 * r / (1 + 3 * r))


def test_judges_who_differ_in_level_alone_have_icc_3_of_1_and_less_of_2():
    heard = np.array([[1.0], [2], [5]])
    table = ratings(heard + np.array([0, 1, 3]))
    assert icc(table, "3,1")["arousal"] == pytest.approx(1)
    assert icc(table, "2,1")["arousal"] < 0.8


def test_icc_is_given_for_each_dimension_and_no_order_of_rows():
    both = pd.concat([ratings(JUDGES), ratings(JUDGES[:, ::-1] ** 2, "valence")])
    found = icc(both.sample(frac=1, random_state=0), "2,1")
    assert found["arousal"] == pytest.approx(icc(ratings(JUDGES), "2,1")["arousal"])
    assert set(found.index) == {"arousal", "valence"}


def test_icc_refuses_ratings_that_are_not_crossed_and_says_what_does_not():
    gap = JUDGES.astype(float)
    gap[2, 1] = np.nan
    with pytest.raises(TableError, match=r"'u0' has 4 and 'u2' 3: use alpha_of_ratings"):
        icc(ratings(gap), "1,1")
    moved = ratings([[1, 2, np.nan], [2, np.nan, 3]])
    assert np.isfinite(icc(moved, "1,1")["arousal"])
    with pytest.raises(TableError, match=r"'u0' and 'u1' have different ones.*kind \"1,1\""):
        icc(moved, "2,1")
    with pytest.raises(TableError, match="two utterances and two ratings of each, not 1 and 4"):
        icc(ratings(JUDGES[:1]), "1,1")
    with pytest.raises(ValueError, match="kind must be one of"):
        icc(ratings(JUDGES), "4,1")
