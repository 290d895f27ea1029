"""Weighted majority: a rater who does well on control tasks has more say.

Nitzan, Paroush (1982): Optimal decision rules in uncertain dichotomous choice situations.
International Economic Review 23(2): the log odds of being right are the best weights. Li, Yu
(2014): Error rate bounds and iterative weighted majority voting for crowdsourcing,
arXiv:1411.4086: the same for c categories, and its linear form.
"""

from typing import Literal

import numpy as np
import pandas as pd

from affekt.exceptions import TableError
from affekt.scheme import Categories
from affekt.votes.coded import CodedVotes, Duplicates, code
from affekt.votes.em import Floats

Weight = Literal["log_odds", "linear"]
Uncontrolled = Literal["mean", "ignore", "refuse"]
Output = Literal["winner", "shares"]


def weighted_majority(
    votes: pd.DataFrame,
    categories: Categories,
    *,
    weight: Weight = "log_odds",
    smoothing: float = 8.0,
    uncontrolled: Uncontrolled = "mean",
    output: Output = "winner",
    duplicates: Duplicates = "refuse",
) -> pd.DataFrame:
    """The category with the greatest weight of votes, weights as in `rater_weights`.

    Args:
        votes: one row a vote: `utterance`, `rater`, `label`, and `gold`, the right answer of a
            control task, missing elsewhere.
        categories: the labels that may be voted, in the order of the result's columns.
        weight: `log_odds` or `linear` in the accuracy.
        smoothing: control answers of mean accuracy that every rater is given beforehand. Too few
            make luck in three or four tests outweigh the crowd, to below plain `majority`.
        uncontrolled: raters without a control task get the weight of the mean accuracy, are
            ignored, or are refused.
        output: `winner` puts all mass on the heaviest category, evenly over a tie, as `majority`;
            `shares` gives each category its share of the weight.
        duplicates: what to do with a rater's second answer to an utterance, see `code`.

    Returns:
        A labels table, its utterances in the order in which `votes` first names them. Where no
        vote has any weight all categories tie.

    Raises:
        TableError: the votes break their contract, hold no control task, or name a rater without
            one where `uncontrolled` refuses them; or an option is out of its range.

    >>> two = Categories("two", ("calm", "anger"))
    >>> said = [("test", "x", "calm", "calm"), ("test", "y", "anger", "calm"),
    ...         ("a", "x", "anger", None), ("a", "y", "calm", None)]
    >>> votes = pd.DataFrame(said, columns=["utterance", "rater", "label", "gold"])
    >>> weighted_majority(votes, two).loc["a"].tolist()
    [0.0, 1.0]
    """
    if output not in ("winner", "shares"):
        raise TableError(f"output is 'winner' or 'shares', not {output!r}")
    coded = code(votes, categories, duplicates=duplicates)
    weights = rater_weights(coded, weight=weight, smoothing=smoothing, uncontrolled=uncontrolled)
    n_categories = len(categories)
    cell = coded.utterance.astype(np.int64) * n_categories + coded.label
    of_vote = weights.to_numpy(dtype=float)[coded.rater]
    sums = np.bincount(cell, of_vote, coded.n_utterances * n_categories).astype(float)
    heavy = sums.reshape(-1, n_categories)
    heavy[heavy.sum(axis=1) == 0] = 1
    return coded.labels_table(_even_winners(heavy) if output == "winner" else _shares(heavy))


def rater_weights(
    coded: CodedVotes,
    *,
    weight: Weight = "log_odds",
    smoothing: float = 8.0,
    uncontrolled: Uncontrolled = "mean",
) -> pd.Series:
    """Weight of each rater from the accuracy on control tasks.

    With r of n control tasks right, s the smoothing and m the accuracy of all control answers
    together (plus one right and one wrong), the accuracy is a = (r + s m) / (n + s), and of c
    categories

        log_odds: w = log(a (c - 1) / (1 - a)),     linear: w = (c a - 1) / (c - 1);

    both are 0 at chance, and a rater below chance gets 0. Log odds are the best weights where
    raters err independently and evenly over the wrong labels; linear ones trust the best less.

    Returns:
        Weights >= 0, indexed by rater.

    Raises:
        TableError: as `weighted_majority`.

    >>> said = [("a", "x", "yes", "yes"), ("b", "x", "yes", "yes"), ("a", "y", "no", "yes")]
    >>> votes = pd.DataFrame(said, columns=["utterance", "rater", "label", "gold"])
    >>> coded = code(votes, Categories("two", ("yes", "no")))
    >>> rater_weights(coded, weight="linear").round(2).to_dict()  # m = 3/5, a = .68 and .53
    {'x': 0.36, 'y': 0.07}
    """
    _check(coded, weight, smoothing, uncontrolled)
    answer = coded.gold[coded.utterance]
    control = answer >= 0
    if not control.any():
        raise TableError(
            "the votes have no control task: column gold is absent or empty; take `majority`, or "
            "add the right answers"
        )
    rater = coded.rater[control]
    n_control = np.bincount(rater, minlength=coded.n_raters)
    right = coded.label[control] == answer[control]
    n_right = np.bincount(rater, right, coded.n_raters)
    if uncontrolled == "refuse" and not n_control.all():
        name = str(coded.raters[int((n_control == 0).argmax())])
        raise TableError(
            f"rater {name!r} has no control task ({int((n_control == 0).sum())} raters have none); "
            'drop them, or pass uncontrolled="mean" or "ignore"'
        )
    mean = (right.sum() + 1) / (len(right) + 2)
    n_given = np.where(n_control > 0, smoothing, 1.0)  # without control tasks: the mean itself
    accuracy = (n_right + n_given * mean) / (n_control + n_given)
    weights = _weight(accuracy, len(coded.categories), weight)
    if uncontrolled == "ignore":
        weights[n_control == 0] = 0
    return pd.Series(weights, coded.raters.rename("rater"), name="weight")


def _weight(accuracy: Floats, n_categories: int, weight: Weight) -> Floats:
    if weight == "linear":
        return np.maximum((n_categories * accuracy - 1) / (n_categories - 1), 0)
    return np.maximum(np.log(accuracy * (n_categories - 1) / (1 - accuracy)), 0)


def _even_winners(heavy: Floats) -> Floats:
    """All mass on each row's heaviest entry; sums that differ by rounding alone are a tie."""
    top = heavy.max(axis=1, keepdims=True)
    return _shares((heavy >= top * (1 - 1e-12)).astype(float))


def _shares(values: Floats) -> Floats:
    shares: Floats = values / values.sum(axis=1, keepdims=True)
    return shares


def _check(coded: CodedVotes, weight: str, smoothing: float, uncontrolled: str) -> None:
    if len(coded.categories) < 2:
        raise TableError(f"weights need two categories; {coded.categories.name!r} has one")
    if weight not in ("log_odds", "linear"):
        raise TableError(f"weight is 'log_odds' or 'linear', not {weight!r}")
    if uncontrolled not in ("mean", "ignore", "refuse"):
        raise TableError(f"uncontrolled is 'mean', 'ignore' or 'refuse', not {uncontrolled!r}")
    if not smoothing >= 0 or (weight == "log_odds" and smoothing == 0):
        raise TableError(
            f"smoothing is {smoothing}; it must be 0 or more, and above 0 for log odds, which are "
            "infinite for a rater who was always right"
        )
