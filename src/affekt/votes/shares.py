"""Vote shares: the plainest soft label, how often each category was chosen."""

import pandas as pd

from affekt.scheme import Categories
from affekt.votes.coded import Duplicates, code


def shares(
    votes: pd.DataFrame, categories: Categories, *, duplicates: Duplicates = "refuse"
) -> pd.DataFrame:
    """Share of an utterance's votes that each category got: p_uc = n_uc / sum_k n_uk.

    Args:
        votes: one row a vote: `utterance`, `rater` (may be missing), `label`.
        categories: the labels that may be voted, in the order of the result's columns.
        duplicates: what to do with a rater's further answers to one utterance, see `code`.

    Returns:
        A labels table, its utterances in the order in which `votes` first names them.

    Raises:
        TableError: the votes break their contract or name a label outside `categories`.

    >>> two = Categories("two", ("calm", "anger"))
    >>> said = ["anger", "calm", "anger", "anger"]
    >>> votes = pd.DataFrame({"utterance": ["a"] * 4, "rater": list("wxyz"), "label": said})
    >>> shares(votes, two).loc["a"].tolist()
    [0.25, 0.75]
    """
    coded = code(votes, categories, need_raters=False, duplicates=duplicates)
    n_votes = coded.counts()
    return coded.labels_table(n_votes / n_votes.sum(axis=1, keepdims=True))
