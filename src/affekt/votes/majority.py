"""Majority vote, with its ties in sight."""

import pandas as pd

from affekt.scheme import Categories
from affekt.votes.coded import Duplicates, code


def majority(
    votes: pd.DataFrame, categories: Categories, *, duplicates: Duplicates = "refuse"
) -> pd.DataFrame:
    """All mass on the category with most votes; split evenly where several have as many.

    p_uc = [n_uc = max_k n_uk] / (number of categories that reach the maximum). No tie is broken,
    neither by the alphabet nor by chance: whoever needs one label decides, see `threshold`.

    Args:
        votes: one row a vote: `utterance`, `rater` (may be missing), `label`.
        categories: the labels that may be voted, in the order of the result's columns.
        duplicates: what to do with a rater's further answers to one utterance, see `code`.

    Raises:
        TableError: the votes break their contract or name a label outside `categories`.

    >>> two = Categories("two", ("calm", "anger"))
    >>> said = [("a", "x", "calm"), ("a", "y", "anger"), ("b", "x", "anger")]
    >>> votes = pd.DataFrame(said, columns=["utterance", "rater", "label"])
    >>> majority(votes, two).to_numpy().tolist()
    [[0.5, 0.5], [0.0, 1.0]]
    """
    coded = code(votes, categories, need_raters=False, duplicates=duplicates)
    n_votes = coded.counts()
    winners = (n_votes == n_votes.max(axis=1, keepdims=True)).astype(float)
    return coded.labels_table(winners / winners.sum(axis=1, keepdims=True))
