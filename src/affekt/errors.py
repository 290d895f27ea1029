"""How a prediction errs, beside how people differ.

Two models of one accuracy are not equally good: one errs where raters differ as well, the other
anywhere. Here are the measures of Chernykh and Prikhodko 2017, sections 4.5 and 4.6 (spec 4.7),
for any labels, any prediction, and any votes, whose raters may be unknown.

The *label* of an utterance is the top of its row in `truth`; rows that tie have none and are left
out. A vote *dissents* if it is for another label. The *classes* are the columns of truth and
prediction; votes may name others. Tables are joined by utterance; votes and predictions of
utterances that the truth does not have are not looked at.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from affekt.exceptions import TableError
from affekt.metrics import (
    confusion_accuracy,
    confusion_matrix,
    confusion_recall,
    mean_present,
)
from affekt.tables import check_labels, check_votes

Indices = NDArray[np.int64]
Bools = NDArray[np.bool_]

TIE = 1e-9  # two shares nearer than this are a tie
A_RATER = "a rater against the rest"


@dataclass(frozen=True, eq=False)
class ErrorStructure:
    """All tables of one prediction; `people` is the raters' own confusion, where it was asked for.

    `n` utterances have a label, `n_undecided` have none, `n_without_votes` of the n have no vote;
    `notes` name the labels that not all tables know.
    """

    n: int
    n_undecided: int
    n_without_votes: int
    accuracies: pd.DataFrame
    confusion: pd.DataFrame
    by_dissent: pd.DataFrame
    residual: pd.DataFrame
    people: pd.DataFrame | None = None
    notes: tuple[str, ...] = ()

    def to_markdown(self) -> str:
        """The page: every table under its heading."""
        size = f"{self.n} utterances"
        if self.n_undecided:
            size += f"; {self.n_undecided} more whose truth ties are left out"
        if self.n_without_votes:
            size += f"; {self.n_without_votes} of the {self.n} have no votes"
        parts = [
            f"# Errors\n\n{size}.",
            *(f"Note: {note}." for note in self.notes),
            f"## Accuracy\n\n{to_markdown(self.accuracies)}",
            f"## Confusion\n\nRows truth, columns prediction.\n\n{to_markdown(self.confusion)}",
            "## Error rate by label and number of dissenting raters\n\nIn brackets the number of "
            f"utterances.\n\n{to_markdown(_matrix_of_rates(self.by_dissent))}",
            f"## Residual accuracy\n\n{to_markdown(self.residual)}",
        ]
        if self.people is not None:
            head = "## Confusion of people\n\nRows the majority of the others, columns the vote."
            parts.append(f"{head}\n\n{to_markdown(self.people)}")
        return "\n\n".join(parts) + "\n"


def structure(
    truth: pd.DataFrame,
    prediction: pd.DataFrame,
    votes: pd.DataFrame,
    *,
    people: tuple[pd.DataFrame, pd.DataFrame] | None = None,
) -> ErrorStructure:
    """All that this file measures.

    Args:
        truth: labels table, hard or soft.
        prediction: labels table of the same utterances, or more.
        votes: the long table of votes; raters may be unknown, labels may lie outside the classes.
        people: the two tables of `votes.rest.rater_against_rest`: what the others say, and what
            one rater says, a row a vote.

    Raises:
        TableError: a table breaks its contract, an utterance has no prediction, or no utterance
            has a label or a vote.
    """
    joined = _join(truth, prediction)
    heard = _hear(joined, votes)
    return ErrorStructure(
        n=len(joined.ids),
        n_undecided=len(truth) - len(joined.ids),
        n_without_votes=int((heard.n_votes == 0).sum()),
        accuracies=accuracies(truth, prediction, votes, people=people),
        confusion=confusion(truth, prediction),
        by_dissent=by_dissent(truth, prediction, votes),
        residual=residual(truth, prediction, votes),
        people=None if people is None else confusion(*people),
        notes=_strange_labels(truth, prediction, votes),
    )


def confusion(truth: pd.DataFrame, prediction: pd.DataFrame) -> pd.DataFrame:
    """How often each label was answered with each: rows truth, columns prediction.

    Of the tables of `votes.rest.rater_against_rest` it is the confusion of people themselves.

    Raises:
        TableError: as `structure`.

    >>> truth = pd.DataFrame({"calm": [1, 0, 0], "anger": [0, 1, 1]}, index=["a", "b", "c"])
    >>> answer = pd.DataFrame({"calm": [1, 1, 0], "anger": [0, 0, 1]}, index=["a", "b", "c"])
    >>> confusion(truth, answer).to_numpy().tolist()
    [[1, 0], [1, 1]]
    """
    joined = _join(truth, prediction)
    counts = confusion_matrix(joined.label, joined.answer, len(joined.classes))
    return pd.DataFrame(counts, pd.Index(joined.classes, name="truth"), joined.classes)


def accuracies(
    truth: pd.DataFrame,
    prediction: pd.DataFrame,
    votes: pd.DataFrame,
    *,
    people: tuple[pd.DataFrame, pd.DataFrame] | None = None,
) -> pd.DataFrame:
    """Accuracy where raters agree and where they do not, and how right one of them is.

    Args:
        truth: as in `structure`, like the next two.
        prediction: labels table.
        votes: the long table.
        people: as in `structure`; adds the row of a rater, whose n counts votes.

    Returns:
        Index `on`: all; unanimous (two votes or more, every one for the label); disputed (a vote
        dissents); a rater against the rest. Columns `n`, `accuracy`, `unweighted_average_recall`.
        NaN where n is 0. Intervals are for `report.evaluate` to give.

    Raises:
        TableError: as `structure`.
    """
    joined = _join(truth, prediction)
    heard = _hear(joined, votes)
    disputed = heard.dissent.sum(axis=1) > 0
    groups = {
        "all": np.ones(len(joined.ids), dtype=bool),
        "unanimous": ~disputed & (heard.n_votes >= 2),
        "disputed": disputed,
    }
    rows = {name: _scores(joined, kept) for name, kept in groups.items()}
    if people is not None:
        said = _join(*people)
        rows[A_RATER] = _scores(said, np.ones(len(said.ids), dtype=bool))
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("on")
    return table.astype({"n": int})


def by_dissent(truth: pd.DataFrame, prediction: pd.DataFrame, votes: pd.DataFrame) -> pd.DataFrame:
    """Error rate by label and number of dissenting raters (figure 6b of the paper).

    A rater dissents if none of their answers is the label; a vote whose rater is unknown is a
    rater. Utterances without votes are left out.

    Returns:
        One row for each pair that occurs: `label`, `n_dissenting`, `n`, `n_errors`, `error_rate`.

    Raises:
        TableError: as `structure`.

    >>> index = ["a", "b"]
    >>> truth = pd.DataFrame({"calm": [1, 1], "anger": [0, 0]}, index)
    >>> answer = pd.DataFrame({"calm": [1, 0], "anger": [0, 1]}, index)
    >>> said = pd.DataFrame({"utterance": ["a", "b", "b"], "rater": None, "label": "calm"})
    >>> said.loc[2, "label"] = "fear"
    >>> by_dissent(truth, answer, said).to_numpy().tolist()
    [['calm', 0, 1, 0, 0.0], ['calm', 1, 1, 1, 1.0]]
    """
    joined = _join(truth, prediction)
    heard = _hear(joined, votes)
    voted = heard.n_votes > 0
    table = pd.DataFrame(
        {
            "column": joined.label[voted],
            "n_dissenting": heard.n_dissenting[voted],
            "wrong": (joined.answer != joined.label)[voted],
        }
    )
    cells = table.groupby(["column", "n_dissenting"])["wrong"].agg(["size", "sum"]).reset_index()
    return pd.DataFrame(
        {
            "label": np.array(joined.classes)[cells["column"]],
            "n_dissenting": cells["n_dissenting"],
            "n": cells["size"].astype(int),
            "n_errors": cells["sum"].astype(int),
            "error_rate": cells["sum"] / cells["size"],
        }
    )


def residual(truth: pd.DataFrame, prediction: pd.DataFrame, votes: pd.DataFrame) -> pd.DataFrame:
    """Whether a model that errs says what a dissenting rater said (table 2 of the paper).

    Of the utterances labelled c,

    * considered_ratio = share of the dissenting votes that are for one of the classes;
    * residual_accuracy = share of the errors that name what some dissenting vote named. Only
      errors on utterances with such a considered vote count.
    * chance = what wrong answers drawn evenly from the other classes would reach: the mean over
      the same errors of (different considered dissenting labels) / (classes - 1). With one
      dissenting rater and four classes it is the paper's 33 %.

    The paper takes one dissenting answer an utterance for granted. There can be more, and then all
    of them count (spec 4.7).

    Returns:
        Index `label`: `n`, `n_dissenting_votes`, `considered_ratio`, `n_errors` (those that
        count), `residual_accuracy`, `chance`. NaN where nothing is counted.

    Raises:
        TableError: as `structure`.
    """
    joined = _join(truth, prediction)
    heard = _hear(joined, votes)
    considered = heard.dissent[:, :-1]  # the last column holds votes outside the classes
    counts = (joined.answer != joined.label) & (considered.sum(axis=1) > 0)
    hit = considered[np.arange(len(joined.ids)), joined.answer] > 0
    table = pd.DataFrame(
        {
            "n": 1,
            "n_dissenting_votes": heard.dissent.sum(axis=1),
            "considered": considered.sum(axis=1),
            "n_errors": counts,
            "hits": hit,  # an answer that dissenters gave is not the label
            "different": counts * (considered > 0).sum(axis=1),
        }
    )
    sums = table.groupby(joined.label).sum().reindex(range(len(joined.classes)), fill_value=0)
    n_errors = sums["n_errors"].where(sums["n_errors"] > 0)
    n_votes = sums["n_dissenting_votes"]
    rows = {
        "n": sums["n"].astype(int),
        "n_dissenting_votes": n_votes.astype(int),
        "considered_ratio": sums["considered"] / n_votes.where(n_votes > 0),
        "n_errors": sums["n_errors"].astype(int),
        "residual_accuracy": sums["hits"] / n_errors,
        "chance": sums["different"] / n_errors / max(len(joined.classes) - 1, 1),
    }
    return pd.DataFrame(rows).set_axis(pd.Index(joined.classes, name="label"))


def to_markdown(table: pd.DataFrame) -> str:
    """A table as Markdown, its index the first column; three decimals, a dash for NaN.

    >>> print(to_markdown(pd.DataFrame({"n": [3], "share": [0.5]}, pd.Index(["a"], name="label"))))
    | label | n | share |
    | --- | --- | --- |
    | a | 3 | .500 |
    """
    head = [str(table.index.name or ""), *map(str, table.columns)]
    columns = [[_cell(value) for value in table[name].tolist()] for name in table.columns]
    body = zip(map(_cell, table.index.tolist()), *columns, strict=True)
    rows = [map(_cell, head), ["---"] * len(head), *body]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


@dataclass(frozen=True, eq=False)
class _Joined:
    """Utterances with a label, and what was answered: columns of `classes`."""

    classes: list[str]
    ids: pd.Index
    label: Indices
    answer: Indices


@dataclass(frozen=True, eq=False)
class _Heard:
    """What raters said of the same utterances.

    `dissent` (n, n_classes + 1) counts votes for other labels, in the last column for none of the
    classes; `n_votes` (n,) votes of any kind; `n_dissenting` (n,) raters.
    """

    dissent: Indices
    n_votes: Indices
    n_dissenting: Indices


def _join(truth: pd.DataFrame, prediction: pd.DataFrame) -> _Joined:
    true, predicted = check_labels(truth), check_labels(prediction)
    lacking = true.index.difference(predicted.index, sort=False)
    if len(lacking):
        raise TableError(
            f"{len(lacking)} utterance(s) without prediction, {str(lacking[0])!r} first: "
            "predict them, or leave them out of the truth"
        )
    shares = true.to_numpy()
    top = shares.max(axis=1, keepdims=True, initial=0.0)
    decided = (shares >= top - TIE).sum(axis=1) == 1
    if not decided.any():
        raise TableError("no utterance of the truth has one most likely label")
    classes = list(dict.fromkeys([*true.columns, *predicted.columns]))
    ids = true.index[decided]
    scores = predicted.loc[ids].reindex(columns=classes, fill_value=0.0).to_numpy()
    return _Joined(classes, ids, shares[decided].argmax(axis=1), scores.argmax(axis=1))


def _strange_labels(
    truth: pd.DataFrame, prediction: pd.DataFrame, votes: pd.DataFrame
) -> tuple[str, ...]:
    """Say which labels stand in one table and not in the others, and what that does."""
    true, answers = list(truth.columns), list(prediction.columns)
    said = sorted(votes.loc[votes["utterance"].isin(truth.index), "label"].dropna().unique())
    found = {
        "labels of the truth that the prediction does not know, and never answers": [
            label for label in true if label not in answers
        ],
        "labels of the prediction that the truth does not know: such answers are errors": [
            label for label in answers if label not in true
        ],
        "labels of votes that neither knows: they only count as dissent": [
            label for label in said if label not in true and label not in answers
        ],
    }
    return tuple(f"{what}: {', '.join(map(str, names))}" for what, names in found.items() if names)


def _hear(joined: _Joined, votes: pd.DataFrame) -> _Heard:
    checked = check_votes(votes)
    row = joined.ids.get_indexer(pd.Index(checked["utterance"]))
    known = row >= 0
    if not known.any():
        raise TableError(
            f"no vote is on one of the {len(joined.ids)} utterances with a label, "
            f"{str(joined.ids[0])!r} first: do both tables use the same ids?"
        )
    row = row[known].astype(np.int64)
    n, width = len(joined.ids), len(joined.classes) + 1
    said = pd.Index(checked["label"][known])
    column = pd.Index(joined.classes).get_indexer(said) % width  # -1, for none: the last
    counts = np.bincount(row * width + column, minlength=n * width).reshape(n, width)
    dissent = counts.copy()
    dissent[np.arange(n), joined.label] = 0
    agrees = np.asarray(column == joined.label[row], dtype=bool)
    return _Heard(dissent, counts.sum(axis=1), _dissenting(row, checked["rater"][known], agrees, n))


def _dissenting(row: Indices, rater: pd.Series, agrees: Bools, n: int) -> Indices:
    """Raters of each utterance none of whose votes agrees, (n,)."""
    codes, _ = pd.factorize(rater.where(rater != ""))
    unknown = codes < 0
    codes[unknown] = len(codes) + np.arange(unknown.sum())  # each vote by a rater of its own
    named = pd.DataFrame({"row": row, "rater": codes, "agrees": agrees})
    agreed = named.groupby(["row", "rater"])["agrees"].any()
    rows = agreed.index.get_level_values("row")[~agreed.to_numpy(dtype=bool)]
    return np.bincount(rows.to_numpy(dtype=np.int64), minlength=n)


def _scores(joined: _Joined, kept: Bools) -> dict[str, float]:
    counts = confusion_matrix(joined.label[kept], joined.answer[kept], len(joined.classes))
    return {
        "n": int(kept.sum()),
        "accuracy": float(confusion_accuracy(counts)),
        "unweighted_average_recall": float(mean_present(confusion_recall(counts))),
    }


def _matrix_of_rates(cells: pd.DataFrame) -> pd.DataFrame:
    """A row a label, a column a number of dissenting raters, text."""
    texts = [
        f"{_cell(rate)} ({n})" for rate, n in zip(cells["error_rate"], cells["n"], strict=True)
    ]
    wide = cells.assign(text=texts).pivot(index="label", columns="n_dissenting", values="text")
    return wide.reindex(cells["label"].unique()).astype(object).where(wide.notna(), np.nan)


def _cell(value: object) -> str:
    if isinstance(value, float):
        if np.isnan(value):
            return "–"
        return f"{value:.3f}".removeprefix("0")
    return str(value).replace("|", "\\|").replace("\n", " ")
