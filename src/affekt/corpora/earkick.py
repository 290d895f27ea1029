"""Earkick: 348 clips of speech that three annotators rated for six emotions (MIT).

Every clip was judged by the same three people with Label Studio; `assessment.csv` is its export.
No sound is published with it here: the clips are named by the recordings they were cut from.
"""

from pathlib import Path
from typing import Any, Literal

import pandas as pd

from affekt.corpora.tree import (
    CheckReport,
    Walk,
    assemble,
    compare,
    find_file,
    listed,
    read_columns,
)
from affekt.corpus import Corpus
from affekt.exceptions import CorpusError
from affekt.scheme import EKMAN_7

CARD = {
    "name": "earkick",
    "version": "2023",
    "licence": "MIT",
    "citation": "Earkick (2023), assessment.csv",
    "source": "https://github.com/earkick",
    "language": "en",
    "scales": {
        **{label: [0, 3] for label in EKMAN_7 if label != "neutral"},
        "anxiety": [0, 9],
        "mood": [-2, 2],
        "sentiment": [-3, 3],
    },
}

EMOTIONS = {
    "anger": "anger",
    "disgust": "disgust",
    "fear": "fear",
    "happy": "happiness",
    "sad": "sadness",
    "surprise": "surprise",
}
"""Column -> the noun."""

STEPS = {"None": 0, "A little": 1, "Moderate": 2, "Extremely": 3}
MOODS = {"Awful": -2, "Bad": -1, "Meh": 0, "Good": 1, "Great": 2}

N_CLIPS = 348
N_ANNOTATORS = 3

_FILE = "assessment.csv"
_COLUMNS = ["audio", "annotator", "lead_time", "notes", *EMOTIONS, "anxiety", "mood", "sentiment"]


def load(
    root: str | Path,
    *,
    several: Literal["keep", "drop"] = "drop",
    durations: bool = False,
) -> Corpus:
    """Load Earkick; a vote is the emotion an annotator rated strongest.

    The annotators chose no category: they rated each of six emotions from none (0) to extremely
    (3), all of which is in `ratings`. Votes are made of that: all six none is neutral, one highest
    emotion is a vote for it. Where several share the highest step (236 of 1044 answers) the
    answer names no strongest emotion and casts no vote, or, if asked, one for each of them, as
    shares and multi-label work wants and methods that model raters refuse.

    Labels share each annotator's one vote evenly over the emotions rated highest, so that every
    clip has a label whatever `several` says.

    Args:
        root: the folder of `assessment.csv`, or one above it.
        several: answers whose highest step is shared by several emotions: cast no vote ("drop") or
            a vote for each ("keep").
        durations: fill the column `duration` from the files' headers.

    Returns:
        The corpus; clips without a recording are `excluded` as "no recording". Votes have
        `seconds`, the time the answer took. Ratings have also anxiety (0 to 9), mood (-2 to 2)
        and sentiment (-3 to 3). `session` is the recording a clip was cut from; speakers are
        unknown. A further column `notes` holds what annotators remarked. The card says how many
        answers were `tied`.

    Raises:
        CorpusError: no `assessment.csv` below `root`, or it is cut or foreign.
    """
    if several not in ("keep", "drop"):
        raise CorpusError(f"several must be keep or drop, not {several!r}")
    table = _read(Path(root))
    strongest = _strongest(table)
    n_named = strongest.groupby(["utterance", "rater"])["label"].transform("size")
    votes = strongest if several == "keep" else strongest[n_named == 1]
    tied = strongest[n_named > 1].drop_duplicates(["utterance", "rater"])
    corpus = assemble(
        root,
        EKMAN_7,
        _clips(Path(root), table),
        {**CARD, "tied": len(tied)},
        durations=durations,
        votes=votes,
        ratings=_ratings(table),
    )
    mass = strongest.assign(mass=1 / n_named).pivot_table(
        "mass", "utterance", "label", aggfunc="sum", fill_value=0.0
    )
    mass = mass.reindex(columns=list(EKMAN_7), fill_value=0.0)
    return corpus.relabel(mass.div(mass.sum(axis=1), axis=0), EKMAN_7)


def check(root: str | Path) -> CheckReport:
    """Name the clips without a recording, and say which answers are missing."""
    table = _read(Path(root))
    found = _clips(Path(root), table)
    n_answers = table.groupby("utterance")["annotator"].nunique()
    problems = [f"{len(n_answers)} clips are listed, the corpus has {N_CLIPS}"] * (
        len(n_answers) != N_CLIPS
    )
    few = n_answers[n_answers < N_ANNOTATORS]
    problems += [f"{id}: {n} of {N_ANNOTATORS} annotators answered" for id, n in few.items()]
    return compare(found.rows, found, problems)


def _read(root: Path) -> pd.DataFrame:
    """The export, its steps as numbers, its clips as `utterance`."""
    path = find_file(root, _FILE)
    if path is None:
        raise CorpusError(f"{root}: no {_FILE} below it")
    table = read_columns(path, _COLUMNS)
    if table.empty:
        raise CorpusError(f"{path}: the table has no row")
    words: dict[str, dict[str, int]] = {**dict.fromkeys(EMOTIONS, STEPS), "mood": MOODS}
    for column in _COLUMNS:
        if column == "notes":
            continue
        cells = table[column]
        if column in words:
            cells = cells.map(words[column])
        elif column not in ("audio", "annotator"):
            cells = pd.to_numeric(cells.str.split(" ").str[0], errors="coerce")  # 0 - None
        if cells.isna().any():
            row = int(cells.isna().to_numpy().argmax())
            cell = table[column].iloc[row]
            said = "empty" if pd.isna(cell) else repr(cell)
            raise CorpusError(f"{path}, row {row + 2}: {column} is {said}, or the row is cut")
        table[column] = cells
    table["file"] = table["audio"].str.split("?d=", regex=False).str[-1]
    table["utterance"] = [Path(file).stem for file in table["file"]]
    twice = table.duplicated(["utterance", "annotator"])
    if twice.any():
        row = int(twice.to_numpy().argmax())
        raise CorpusError(f"{path}, row {row + 2}: a second answer of an annotator on a clip")
    return table


def _clips(root: Path, table: pd.DataFrame) -> Walk:
    notes = table.dropna(subset=["notes"]).groupby("utterance")["notes"].agg("; ".join)
    rows: dict[str, dict[str, Any]] = {
        utterance: {
            "file": file,
            "label": None,
            "session": utterance.rpartition("_")[0],
            "language": "en",
            "notes": notes.get(utterance),
        }
        for utterance, file in zip(table["utterance"], table["file"], strict=True)
    }
    return listed(root, rows)


def _strongest(table: pd.DataFrame) -> pd.DataFrame:
    """One row an emotion that an answer rates highest; neutral where it rates none at all."""
    steps = table[list(EMOTIONS)].set_axis(list(EMOTIONS.values()), axis=1)
    highest = steps.max(axis=1)
    named = steps.eq(highest, axis=0) & (highest > 0).to_numpy()[:, None]
    named["neutral"] = highest == 0
    row, label = named.to_numpy().nonzero()
    answers = table.iloc[row]
    return pd.DataFrame(
        {
            "utterance": answers["utterance"].to_numpy(),
            "rater": answers["annotator"].to_numpy(),
            "label": named.columns.to_numpy()[label],
            "seconds": answers["lead_time"].to_numpy(dtype=float),
        }
    )


def _ratings(table: pd.DataFrame) -> pd.DataFrame:
    named = {"annotator": "rater", **EMOTIONS}
    return table.rename(columns=named).melt(
        ["utterance", "rater"],
        [*EMOTIONS.values(), "anxiety", "mood", "sentiment"],
        "dimension",
        "value",
    )
