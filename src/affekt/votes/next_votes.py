"""Where one more vote would teach most."""

from typing import Literal

import numpy as np
import pandas as pd
from scipy.special import entr

from affekt.exceptions import TableError
from affekt.tables import TEXT, check_labels
from affekt.votes.dawid_skene import DawidSkene
from affekt.votes.em import Floats
from affekt.votes.threshold import threshold

ASSUMED_ACCURACY = 0.7  # of a rater nobody knows anything about

Gain = Literal["entropy", "error"]


def next_votes(
    labels: pd.DataFrame | DawidSkene,
    *,
    at: float = 0.9,
    n: int | None = None,
    gain: Gain = "entropy",
    rater_accuracy: float | None = None,
) -> pd.DataFrame:
    """Undecided utterances, those first of which one more vote is expected to teach most.

    With p the posterior of an utterance and C_kl the probability that an average rater says l
    where the truth is k, the vote will be l with probability q_l = sum_k p_k C_kl and then leave
    p_k C_kl / q_l. So the expected gain is, summed over the answers l,

        entropy: H(p) - sum_l q_l H(p . C_.l / q_l), in nats: what vote and truth share;
        error:   sum_l max_k p_k C_kl - max_k p_k: the probability of a wrong label that it saves.

    The gain in `error` is 0 wherever one vote cannot change the winner, so `entropy` ranks finer.
    Ask for the votes, aggregate anew (`DawidSkene.update`), and call again.

    Args:
        labels: a posterior as a labels table, or a model that has one. Vote shares are no
            posterior: after one vote they are certain.
        at: utterances whose probability reaches this are decided and left out, see `threshold`.
        n: how many utterances to give at most; None gives all.
        gain: `entropy` or `error`.
        rater_accuracy: of the next rater, errors even over the wrong labels; None takes the
            confusion of all votes of the model together, or .7 where there is no model.

    Returns:
        Index `utterance`; `label` (missing where the top is an exact tie), `probability` of it,
        `entropy` (nats), `expected_gain`; greatest gain first, utterances of equal gain by
        smallest probability, then in the order of `labels`.

    Raises:
        TableError: no labels table, one category only, or an option is out of its range.

    >>> soft = pd.DataFrame({"calm": [0.95, 0.8, 0.5], "anger": [0.05, 0.2, 0.5]}, list("abc"))
    >>> next_votes(soft, rater_accuracy=0.8)["expected_gain"].round(3).to_dict()
    {'c': 0.193, 'b': 0.126}
    """
    table = check_labels(labels.labels if isinstance(labels, DawidSkene) else labels)
    _check(table, n, gain)
    believed = table[threshold(table, at).isna()]
    values = believed.to_numpy(dtype=float)
    confusion = _confusion(labels, rater_accuracy, table.shape[1])
    gained = (
        _entropy_gain(values, confusion) if gain == "entropy" else _error_gain(values, confusion)
    )
    top = values.max(axis=1, initial=0)
    names = np.array(list(believed.columns), dtype=object)[values.argmax(axis=1)]
    tied = (values == top[:, None]).sum(axis=1) > 1
    order = np.lexsort((top, -gained))[:n]
    rows = pd.DataFrame(
        {
            "label": pd.Series(np.where(tied, np.nan, names), believed.index, dtype=TEXT),
            "probability": top,
            "entropy": entr(values).sum(axis=1),
            "expected_gain": gained,
        },
        index=believed.index,
    )
    return rows.iloc[order]


def _confusion(
    labels: pd.DataFrame | DawidSkene, accuracy: float | None, n_categories: int
) -> Floats:
    """(n_categories truth, n_categories answer) of the next rater; rows sum to 1."""
    if accuracy is None and isinstance(labels, DawidSkene):
        together: Floats = labels.counts.sum(axis=0) + 1e-9  # a truth nobody met teaches nothing
        return together / np.add.reduce(together, axis=1, keepdims=True)
    accuracy = ASSUMED_ACCURACY if accuracy is None else accuracy
    if not 0 <= accuracy <= 1:
        raise TableError(f"rater_accuracy is {accuracy}; it must be a probability")
    confusion = np.full((n_categories, n_categories), (1 - accuracy) / (n_categories - 1))
    np.fill_diagonal(confusion, accuracy)
    return confusion


def _entropy_gain(values: Floats, confusion: Floats) -> Floats:
    """H(truth) + H(answer) - H(truth, answer), answer by answer: no (n, k, k) array is made."""
    together = (values * answer for answer in confusion.T)
    by_answer = [entr(joint.sum(axis=1)) - entr(joint).sum(axis=1) for joint in together]
    gained: Floats = entr(values).sum(axis=1) + sum(by_answer)
    gained[gained < 0] = 0  # rounding
    return gained


def _error_gain(values: Floats, confusion: Floats) -> Floats:
    best = [(values * answer).max(axis=1, initial=0) for answer in confusion.T]
    gained: Floats = np.sum(best, axis=0) - values.max(axis=1, initial=0)
    gained[gained < 1e-12] = 0  # rounding, which must not rank
    return gained


def _check(table: pd.DataFrame, n: int | None, gain: str) -> None:
    if table.shape[1] < 2:
        raise TableError("labels need two categories for a vote to teach anything")
    if n is not None and n < 0:
        raise TableError(f"n is {n}; it must be 0 or more")
    if gain not in ("entropy", "error"):
        raise TableError(f"gain is 'entropy' or 'error', not {gain!r}")
