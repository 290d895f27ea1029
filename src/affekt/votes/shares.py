"""Vote shares: the plainest soft label, how often each category was chosen."""

import numpy as np
import pandas as pd

from affekt.scheme import Categories
from affekt.tables import check_votes


def shares(votes: pd.DataFrame, categories: Categories) -> pd.DataFrame:
    """Share of an utterance's votes that each category got: p_uc = n_uc / sum_k n_uk.

    Args:
        votes: one row a vote: `utterance`, `rater` (may be missing), `label`.
        categories: the labels that may be voted, in the order of the result's columns.

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
    checked = check_votes(votes, categories)
    row, utterances = pd.factorize(checked["utterance"])
    column = pd.Index(list(categories)).get_indexer(pd.Index(checked["label"]))
    n_votes = np.zeros((len(utterances), len(categories)))
    np.add.at(n_votes, (row, column), 1)
    return pd.DataFrame(
        n_votes / n_votes.sum(axis=1, keepdims=True),
        index=pd.Index(utterances, name="utterance"),
        columns=list(categories),
    )
