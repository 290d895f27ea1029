"""One vote against the others on its utterance: how well people themselves can do."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from affekt.exceptions import TableError
from affekt.scheme import Categories
from affekt.votes.coded import CodedVotes, Duplicates, code
from affekt.votes.reliability import with_two

Floats = NDArray[np.float64]


def agreement_with_rest(
    votes: pd.DataFrame, categories: Categories, *, duplicates: Duplicates = "refuse"
) -> float:
    """How often a vote says what the majority of the utterance's other votes says, in 0 .. 1.

    Mean over votes, not over utterances. Where k labels share the top of the others, naming one
    of them counts 1 / k: what drawing among them would give. Votes that stand alone are left out.

    Args:
        votes: the long table; raters may be unknown.
        categories: the labels that may be voted.
        duplicates: of a rater's votes on one utterance, as in `code`.

    Raises:
        TableError: the votes break their contract, or no utterance has two.

    >>> said = pd.DataFrame({"utterance": ["a"] * 3, "rater": list("xyz"), "label": list("nny")})
    >>> agreement_with_rest(said, Categories("two", ("y", "n")))  # (1/2 + 1/2 + 0) / 3
    0.3333333333333333
    """
    coded = code(votes, categories, need_raters=False, duplicates=duplicates)
    return with_rest(with_two(coded.counts()))


def majority_of_rest(counts: Floats, answer: int) -> Floats:
    """What the others' majority says, once a vote for `answer` is taken away.

    Args:
        counts: (n, c) votes an utterance.
        answer: column of the vote taken away.

    Returns:
        (n, c): 1 on the label with most of the remaining votes, split evenly over tied ones;
        zeros where there was no such vote, or no other.

    >>> majority_of_rest(np.array([[2.0, 1.0], [0.0, 3.0], [1.0, 0.0]]), 0).tolist()
    [[0.5, 0.5], [0.0, 0.0], [0.0, 0.0]]
    """
    rest = counts.copy()
    rest[:, answer] -= 1
    most = rest.max(axis=1, keepdims=True)
    top = (rest == most) & (rest[:, [answer]] >= 0) & (most > 0)
    return np.asarray(top / np.maximum(top.sum(axis=1, keepdims=True), 1))


def rater_against_rest(
    votes: pd.DataFrame, categories: Categories, *, duplicates: Duplicates = "refuse"
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Each vote beside the shares of the other votes on its utterance: the human ceiling.

    `affekt.report.evaluate(truth, prediction)` makes accuracy and UAR of it; votes whose rest
    ties have no right answer there, where `agreement_with_rest` counts them in part.

    Args:
        votes: the long table; raters may be unknown.
        categories: the labels that may be voted, the columns of both tables.
        duplicates: of a rater's votes on one utterance, as in `code`; "keep" is refused, as
            rows are named by rater.

    Returns:
        Truth (shares of the rest) and prediction (the vote, one-hot), one row a vote that has
        others beside it, indexed "utterance/rater", or "utterance/1", "utterance/2", ... where
        raters are not all known. Votes on one utterance hang together: give `evaluate` the
        utterances as `speakers`, `truth.index.to_series().str.rsplit("/", n=1).str[0]`.

    Raises:
        TableError: the votes break their contract, or no utterance has two.

    >>> said = pd.DataFrame({"utterance": ["a"] * 3, "rater": list("xyz"), "label": list("nny")})
    >>> truth, vote = rater_against_rest(said, Categories("two", ("y", "n")))
    >>> truth.loc["a/x"].tolist(), vote.loc["a/x"].tolist()
    ([0.5, 0.5], [0.0, 1.0])
    """
    if duplicates == "keep":
        raise TableError('rows are named by rater, so duplicates must be "first" or "last"')
    coded = code(votes, categories, need_raters=False, duplicates=duplicates)
    counts = coded.counts()
    with_two(counts)
    kept = np.flatnonzero(counts.sum(axis=1)[coded.utterance] >= 2)
    utterance, label = coded.utterance[kept], coded.label[kept]
    vote = np.eye(len(categories))[label]
    rest = counts[utterance] - vote
    index = _vote_names(coded)[kept]
    columns = list(categories)
    truth = pd.DataFrame(rest / rest.sum(axis=1, keepdims=True), index, columns)
    return truth, pd.DataFrame(vote, index, columns)


def with_rest(counts: Floats) -> float:
    """`agreement_with_rest` of (n, c) counts, each row two votes or more."""
    columns = range(counts.shape[1])
    right = sum((counts[:, k] * majority_of_rest(counts, k)[:, k]).sum() for k in columns)
    return float(right / counts.sum())


def _vote_names(coded: CodedVotes) -> pd.Index:
    """`utterance/rater` of each vote, or its number within the utterance."""
    if (coded.rater >= 0).all():
        voter = coded.raters[coded.rater]
    else:
        number = pd.Series(coded.utterance).groupby(coded.utterance).cumcount() + 1
        voter = pd.Index(number.astype(str))
    names = coded.utterances[coded.utterance] + "/" + voter
    return pd.Index(names, name="utterance")
