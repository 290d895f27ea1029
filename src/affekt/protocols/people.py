"""Answers beside people: what was meant, what the crowd heard, what one rater says."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from affekt.atomic import replacing
from affekt.report import Report, evaluate
from affekt.report.page import Estimate
from affekt.scheme import Categories
from affekt.tables import one_hot, write_table
from affekt.votes.majority import majority
from affekt.votes.rest import agreement_with_rest, rater_against_rest
from affekt.votes.shares import shares

COLUMNS = {
    "intention": "says what was meant",
    "majority": "says what most heard",
    "rater": "says what a rater says",
    "cross_entropy": "cross-entropy to the shares (nats)",
    "calibration_error": "calibration error, asked about a rater",
}


def beside_people(
    meant: pd.DataFrame,
    votes: pd.DataFrame,
    answers: Mapping[str, pd.DataFrame],
    speakers: pd.Series,
    *,
    seed: int = 0,
) -> pd.DataFrame:
    """Compare answers with the intention, the crowd and single raters, and people with the same.

    A rater is compared with the majority of the others (ties count in part,
    `votes.rest.agreement_with_rest`) and with another rater of the same utterance. The shares
    themselves are the best possible answer to what a rater says. Cells that say nothing are NaN.

    Args:
        meant: labels table of what was meant, one-hot.
        votes: of the same utterances; raters may be unknown.
        answers: name -> labels table of the same utterances.
        speakers: utterance -> speaker: intervals resample them.
        seed: of the bootstrap.

    Returns:
        One row an answer, columns as in `COLUMNS`; the first three with `_low` and `_high`, 95 %.
    """
    scheme = Categories("heard", tuple(meant.columns))
    crowd = shares(votes, scheme).loc[meant.index]
    people = {
        "the shares themselves": crowd,
        "what most heard": majority(votes, scheme).loc[meant.index],
        "what was meant": meant,
    }
    asked = _Asked(meant, crowd, votes, scheme, speakers, seed)
    rows = {name: asked.of(answer) for name, answer in {**people, **answers}.items()}
    rows["a rater"] = asked.of_a_rater()
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("answer")


class _Asked:
    """The three truths that every answer is held against."""

    def __init__(
        self,
        meant: pd.DataFrame,
        crowd: pd.DataFrame,
        votes: pd.DataFrame,
        scheme: Categories,
        speakers: pd.Series,
        seed: int,
    ) -> None:
        self.meant, self.crowd, self.votes, self.scheme = meant, crowd, votes, scheme
        self.speakers, self.seed = speakers, seed
        number = votes.groupby("utterance").cumcount() + 1
        ids = votes["utterance"] + "/" + number.astype(str)
        self.said = one_hot(votes["label"].set_axis(ids), scheme)
        self.spoken_by = votes["utterance"].map(speakers).set_axis(ids)

    def of(self, answer: pd.DataFrame) -> dict[str, float]:
        """Give one row of the table."""
        meant = self._evaluate(self.meant, answer, self.speakers)
        heard = self._evaluate(self.crowd, answer, self.speakers)
        repeated = answer.loc[self.votes["utterance"]].set_axis(self.said.index)
        said = self._evaluate(self.said, repeated, self.spoken_by)
        row = _cells("intention", meant.accuracy) | _cells("majority", heard.accuracy)
        row |= _cells("rater", said.accuracy)
        ruled_out = (answer.to_numpy() == 0) & (self.crowd.to_numpy() > 0)  # infinitely wrong
        if not ruled_out.any() and heard.cross_entropy and said.calibration_error is not None:
            row["cross_entropy"] = heard.cross_entropy
            row["calibration_error"] = said.calibration_error
        return row

    def of_a_rater(self) -> dict[str, float]:
        """Give the row of people: each vote as an answer."""
        meant = self.meant.loc[self.votes["utterance"]].set_axis(self.said.index)
        row = _cells("intention", self._evaluate(meant, self.said, self.spoken_by).accuracy)
        row["majority"] = agreement_with_rest(self.votes, self.scheme)
        others, vote = rater_against_rest(self.votes, self.scheme)
        row["rater"] = float((others * vote).sum(axis=1).mean())
        return row

    def _evaluate(self, truth: pd.DataFrame, answer: pd.DataFrame, speakers: pd.Series) -> Report:
        return evaluate(truth, answer, speakers=speakers, seed=self.seed)


def _cells(name: str, found: Estimate) -> dict[str, float]:
    return {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}


def write_comparison(table: pd.DataFrame, folder: Path) -> None:
    """Write the table for machines and for readers."""
    folder.mkdir(parents=True, exist_ok=True)
    write_table(table.reset_index(), folder / "people.csv")
    with replacing(folder / "people.md") as temporary:
        temporary.write_text(to_markdown(table), encoding="utf-8")


def to_markdown(table: pd.DataFrame) -> str:
    """Lay the table out, one answer a line."""
    lines = [f"| answer | {' | '.join(COLUMNS.values())} |", "|---" * (len(COLUMNS) + 1) + "|"]
    for name, row in table.iterrows():
        cells = [_cell(row, column) for column in COLUMNS]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cell(row: pd.Series, column: str) -> str:
    if pd.isna(row[column]):
        return ""
    text = f"{row[column]:.3f}"
    if not pd.isna(row.get(f"{column}_low")):
        text += f" [{row[f'{column}_low']:.3f}, {row[f'{column}_high']:.3f}]"
    return text.replace("0.", ".") if row[column] < 1 else text
