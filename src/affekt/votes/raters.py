"""How each rater votes, and whom to leave out."""

from typing import Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from affekt.exceptions import TableError
from affekt.scheme import Categories
from affekt.tables import TEXT
from affekt.votes.agreement import entropy_bits
from affekt.votes.coded import CodedVotes, Duplicates, by_row, code, once
from affekt.votes.rest import majority_of_rest

Floats = NDArray[np.float64]
Against = Literal["rest", "control"]


def raters(
    votes: pd.DataFrame, categories: Categories, *, duplicates: Duplicates = "refuse"
) -> pd.DataFrame:
    """Report on each rater: right on control tasks, with the others, attentive.

    Args:
        votes: the long table; `gold` marks control tasks, `seconds` is how long a vote took.
        categories: the labels that may be voted.
        duplicates: of a rater's votes on one utterance, as in `code`.

    Returns:
        Index `rater`, in order of first appearance. NaN where there is nothing to judge by.

        * `n_votes`; `n_control`, those on control tasks; `control_accuracy`, 0 .. 1.
        * `n_compared`, votes on utterances that others voted on; `agreement` of these with the
          majority of the others (naming one of k tied labels counts 1 / k); `agreement_votes`,
          the mean share of the others' votes that say the same.
        * `entropy` of the rater's own answers, in bits; `commonest`, the label most often given,
          and its share `commonest_share`: near 1, one answer whatever is heard.
        * `longest_run` of one label, in the order of the table, and `run_probability`: how often
          a rater with the same shares of labels, in random order, has a run as long. Near 0:
          stretches of one answer (or utterances sorted by emotion). Of honest raters 5 % lie
          below .05, so with many raters ask for much less.
        * `median_seconds` a vote, where the votes have `seconds`.

    Raises:
        TableError: the votes break their contract, or a rater is missing.

    >>> said = {"utterance": ["a", "a", "b"], "rater": ["x", "y", "y"], "label": ["yes"] * 3}
    >>> two = Categories("two", ("yes", "no"))
    >>> raters(pd.DataFrame({**said, "gold": ["yes", "yes", "no"]}), two)["control_accuracy"]
    rater
    x    1.0
    y    0.5
    Name: control_accuracy, dtype: float64
    """
    every = code(votes, categories, duplicates="keep")
    report = _report(once(every, duplicates))
    if "seconds" in votes.columns:
        report["median_seconds"] = _median(every, _seconds(votes["seconds"]))
    return report


def confusions(
    votes: pd.DataFrame,
    categories: Categories,
    *,
    against: Against = "rest",
    duplicates: Duplicates = "refuse",
) -> pd.DataFrame:
    """Confusion matrices of all raters, in votes.

    Args:
        votes: the long table.
        categories: the labels that may be voted.
        against: what counts as true: the majority of the others' votes on the utterance, split
            evenly over tied labels ("rest"), or the right answers of control tasks ("control").
        duplicates: of a rater's votes on one utterance, as in `code`.

    Returns:
        Index (`rater`, `truth`), one column an answer. The diagonal over the sum of a rater's
        matrix is the `agreement`, or `control_accuracy`, of `raters`.

    Raises:
        TableError: the votes break their contract, or a rater is missing.
        ValueError: `against` is neither.
    """
    if against not in get_args(Against):
        raise ValueError(f"against must be rest or control, not {against!r}")
    coded = code(votes, categories, duplicates=duplicates)
    table = _against_rest(coded) if against == "rest" else _against_control(coded)
    index = pd.MultiIndex.from_product([coded.raters, list(categories)], names=["rater", "truth"])
    return pd.DataFrame(table.reshape(-1, len(categories)), index, list(categories))


def confusion(
    votes: pd.DataFrame,
    categories: Categories,
    rater: str | None = None,
    *,
    against: Against = "rest",
    duplicates: Duplicates = "refuse",
) -> pd.DataFrame:
    """Confusion matrix of one rater, or the sum of all: rows truth, columns answers.

    Args:
        votes: as in `confusions`.
        categories: the labels that may be voted.
        rater: whose; None: everybody's.
        against: what counts as true.
        duplicates: of a rater's votes on one utterance.

    Raises:
        TableError: as `confusions`, or no vote is by this rater.

    >>> said = {"utterance": ["a", "a", "b", "b"], "rater": ["x", "y"] * 2}
    >>> answers = pd.DataFrame({**said, "label": ["yes", "yes", "no", "yes"]})
    >>> confusion(answers, Categories("two", ("yes", "no")), "x").to_numpy()
    array([[1., 1.],
           [0., 0.]])
    """
    every = confusions(votes, categories, against=against, duplicates=duplicates)
    if rater is None:
        return every.groupby(level="truth", sort=False).sum()
    whose = every.index.get_level_values("rater") == rater
    if not whose.any():
        raise TableError(f"no vote is by rater {rater!r}")
    return every[whose].droplevel("rater")


def exclude(
    votes: pd.DataFrame,
    categories: Categories,
    *,
    min_control_accuracy: float | None = None,
    min_control: int = 1,
    min_votes: int | None = None,
    min_agreement: float | None = None,
    max_commonest_share: float | None = None,
    min_run_probability: float | None = None,
    min_median_seconds: float | None = None,
    duplicates: Duplicates = "refuse",
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Leave out raters who break a rule; all rules look at the same report, made before.

    A rule that is None is not asked, and a rater whom a rule cannot judge (no control task, no
    co-rater) stays.

    Args:
        votes: the long table.
        categories: the labels that may be voted.
        min_control_accuracy: share of control tasks answered right, 0 .. 1.
        min_control: raters with fewer control tasks are not judged by their accuracy on them.
        min_votes: number of votes.
        min_agreement: with the majority of the others, 0 .. 1.
        max_commonest_share: share of the rater's commonest label, 0 .. 1.
        min_run_probability: of so long a run of one label by chance, 0 .. 1.
        min_median_seconds: time a vote took; needs a column `seconds`.
        duplicates: how `raters` takes a rater's votes on one utterance; rows of raters who stay
            are all kept.

    Returns:
        The votes that stay, as they were, and what was removed, one row a rater and broken rule:
        `rater`, `reason`, `n_votes`, and `n_unvoted`, how many of the rater's votes were on
        utterances of which no vote stays.

    Raises:
        TableError: the votes break their contract, a rater is missing, or no vote would stay.

    >>> said = {"utterance": ["a", "b", "b"], "rater": ["x", "x", "y"], "label": ["yes"] * 3}
    >>> kept, removed = exclude(pd.DataFrame(said), Categories("two", ("yes", "no")), min_votes=2)
    >>> len(kept), removed["rater"].tolist(), removed["reason"].tolist()
    (2, ['y'], ['n_votes 1 is below 2'])
    """
    report = raters(votes, categories, duplicates=duplicates)
    if min_median_seconds is not None and "median_seconds" not in report:
        raise TableError("votes have no column seconds, which min_median_seconds needs")
    report["control_accuracy"] = report["control_accuracy"].where(
        report["n_control"] >= min_control
    )
    lowest = {
        "control_accuracy": min_control_accuracy,
        "n_votes": min_votes,
        "agreement": min_agreement,
        "run_probability": min_run_probability,
        "median_seconds": min_median_seconds,
    }
    broken = [_outside(report, column, limit, "below") for column, limit in lowest.items()]
    broken.append(_outside(report, "commonest_share", max_commonest_share, "above"))
    removed = pd.concat(broken, ignore_index=True)
    coded = code(votes, categories, duplicates="keep")
    out = coded.raters.isin(removed["rater"])[coded.rater]
    if out.all():
        raise TableError(f"no vote would stay: all {coded.n_raters} raters break a rule, loosen it")
    voted = np.zeros(coded.n_utterances, dtype=bool)
    voted[coded.utterance[~out]] = True
    unvoted = np.bincount(coded.rater[~voted[coded.utterance]], minlength=coded.n_raters)
    who = coded.raters.get_indexer(pd.Index(removed["rater"]))
    n_votes = np.bincount(coded.rater, minlength=coded.n_raters)
    return votes[~out], removed.assign(n_votes=n_votes[who], n_unvoted=unvoted[who])


def run_probability(answers: Floats, longest: NDArray[np.int64]) -> Floats:
    """How likely chance alone gives a run of one label at least so long.

    Runs of label k, of share p, that are L long or more begin p^L ((n - L)(1 - p) + 1) times on
    average in n independent votes, and nearly as a Poisson process; so the probability is
    1 - exp(-sum_k of these): never too high, and low by a fiftieth at most where it is below .05.

    Args:
        answers: (n_raters, c) votes of each rater for each label.
        longest: (n_raters,) L.

    Returns:
        (n_raters,) probabilities; 1 where the rater gave one label only.

    Source: Arratia, Goldstein & Gordon 1990, Statistical Science 5(4), doi:10.1214/ss/1177012015.

    >>> run_probability(np.array([[50.0, 50.0]]), np.array([20])).round(6).tolist()
    [7.8e-05]
    """
    n = answers.sum(axis=1, keepdims=True)
    share, run = answers / n, longest[:, None]
    expected = (share**run * ((n - run) * (1 - share) + 1)).sum(axis=1)
    return np.where(longest == n[:, 0], 1.0, -np.expm1(-expected))


def _outside(
    report: pd.DataFrame, column: str, limit: float | None, side: Literal["below", "above"]
) -> pd.DataFrame:
    """Raters on the wrong side of a limit, and the sentence that says so."""
    if limit is None:
        return pd.DataFrame({"rater": [], "reason": []}, dtype=TEXT)
    found = report[column]
    broken = found[found < limit if side == "below" else found > limit]
    reasons = [f"{column} {value:.4g} is {side} {limit:g}" for value in broken]
    return pd.DataFrame({"rater": broken.index, "reason": reasons}, dtype=TEXT)


def _report(coded: CodedVotes) -> pd.DataFrame:
    n = coded.n_raters
    n_votes = np.bincount(coded.rater, minlength=n)
    answers = _tally(coded.rater, coded.label, (n, len(coded.categories)))
    control, rest = _against_control(coded), _against_rest(coded)
    n_control, n_compared = control.sum(axis=(1, 2)), rest.sum(axis=(1, 2))
    longest = _longest_runs(coded)
    return pd.DataFrame(
        {
            "n_votes": n_votes,
            "n_control": n_control.astype(np.int64),
            "control_accuracy": _ratio(np.trace(control, axis1=1, axis2=2), n_control),
            "n_compared": n_compared.round().astype(np.int64),
            "agreement": _ratio(np.trace(rest, axis1=1, axis2=2), n_compared),
            "agreement_votes": _ratio(_shared(coded), n_compared),
            "entropy": entropy_bits(answers),
            "commonest": np.array(coded.categories.labels)[answers.argmax(axis=1)],
            "commonest_share": _ratio(answers.max(axis=1), n_votes),
            "longest_run": longest,
            "run_probability": run_probability(answers, longest),
        },
        index=coded.raters.rename("rater"),
    )


def _against_control(coded: CodedVotes) -> Floats:
    """(n_raters, truth, answer) votes on control tasks."""
    c = len(coded.categories)
    truth = coded.gold[coded.utterance]
    known = truth >= 0
    cell = truth[known].astype(np.int64) * c + coded.label[known]
    return _tally(coded.rater[known], cell, (coded.n_raters, c * c)).reshape(-1, c, c)


def _against_rest(coded: CodedVotes) -> Floats:
    """(n_raters, truth, answer) votes against the majority of the others, shared where it ties."""
    c = len(coded.categories)
    counts, found = coded.counts(), np.zeros((coded.n_raters, c, c))
    for answer in range(c):
        said = coded.label == answer
        rater, rest = coded.rater[said], majority_of_rest(counts, answer)[coded.utterance[said]]
        for truth in range(c):
            found[:, truth, answer] = np.bincount(rater, rest[:, truth], coded.n_raters)
    return found


def _shared(coded: CodedVotes) -> Floats:
    """(n_raters,) sum over votes of the share of the others' votes that say the same."""
    counts = coded.counts()
    others = np.maximum(counts.sum(axis=1, keepdims=True) - 1, 1)  # of one vote alone: 0 / 1
    same = ((counts - 1) / others)[coded.utterance, coded.label]
    return np.asarray(np.bincount(coded.rater, same, coded.n_raters), dtype=float)


def _longest_runs(coded: CodedVotes) -> NDArray[np.int64]:
    """(n_raters,) most votes for one label in a row, in the order of the table."""
    order, _ = by_row(coded.rater, coded.n_raters)
    rater, label = coded.rater[order], coded.label[order]
    begins = np.flatnonzero(np.r_[True, (np.diff(rater) != 0) | (np.diff(label) != 0)])
    longest = np.zeros(coded.n_raters, dtype=np.int64)
    np.maximum.at(longest, rater[begins], np.diff(np.r_[begins, len(order)]))
    return longest


def _median(coded: CodedVotes, seconds: Floats) -> Floats:
    """(n_raters,) median over a rater's votes; NaN where no time is known."""
    medians = pd.Series(seconds).groupby(coded.rater).median()
    return np.asarray(medians.reindex(range(coded.n_raters)), dtype=float)


def _seconds(values: pd.Series) -> Floats:
    seconds = pd.to_numeric(values, errors="coerce").to_numpy(dtype=float)
    broken = (np.isnan(seconds) & (values.notna() & (values != "")).to_numpy()) | (seconds < 0)
    if broken.any():
        row = int(broken.argmax())
        raise TableError(
            f"votes, row {row}: seconds {str(values.iloc[row])!r} is not a time in seconds"
        )
    return seconds


def _tally(row: NDArray[np.int32], column: NDArray[np.integer], shape: tuple[int, int]) -> Floats:
    cell = row.astype(np.int64) * shape[1] + column
    return np.bincount(cell, minlength=shape[0] * shape[1]).reshape(shape).astype(float)


def _ratio(above: ArrayLike, below: NDArray[np.floating] | NDArray[np.integer]) -> Floats:
    ratio: Floats = np.divide(above, below, out=np.full(below.shape, np.nan), where=below > 0)
    return ratio
