"""Hume-Prosody: clips whose nine emotions many raters gave a strength, 0 to 1 (spec 3.10).

Schuller et al. (2023): The ACM Multimedia 2023 computational paralinguistics challenge: emotion
share and requests. ACM Multimedia 2023, arXiv:2304.14882.
"""

import math
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd

from affekt.corpora.rows import read_rows
from affekt.corpora.tree import CheckReport, Walk, assemble, compare, find_file, listed
from affekt.corpus import Corpus
from affekt.exceptions import CorpusError
from affekt.scheme import HUME_9

CARD = {
    "name": "hume-prosody",
    "version": "ComParE 2023",
    "licence": "for research, by the agreement of the challenge",
    "citation": "Schuller et al. (2023), arXiv:2304.14882",
    "source": "http://www.compare.openaudio.eu/",
    "language": "und",
    "scales": {label: [0, 1] for label in HUME_9},
}

COLUMNS = {
    "Anger": "anger",
    "Boredom": "boredom",
    "Calmness": "calm",
    "Concentration": "concentration",
    "Determination": "determination",
    "Excitement": "excitement",
    "Interest": "interest",
    "Sadness": "sadness",
    "Tiredness": "tiredness",
}
"""Column of the tables -> the noun."""

PARTS = {"train": "train", "devel": "validation", "test": "test"}
"""Table -> our name of the part."""

_MASKED = frozenset({"", "?", "nan", "none", "na"})


def load(root: str | Path, *, durations: bool = False) -> Corpus:
    """Load Hume-Prosody; the nine numbers are soft, and nobody published who gave them.

    The numbers stay as they are in `ratings` (`targets` gives them as a table for training nine
    outputs); labels are each emotion's share of their sum. A clip whose numbers are masked, as
    those of the test part are, has neither; one whose numbers are all 0 has ratings but no label.

    Args:
        root: the folder of `lab` and `wav`, or one above it; a part may be absent.
        durations: fill the column `duration` from the files' headers.

    Returns:
        The corpus; `split` is the challenge's, `intensity` the largest of the nine numbers.
        Speakers are unknown. Clips without a recording are `excluded`.

    Raises:
        CorpusError: no table, a column it lacks, a row that is cut, repeats a clip or holds a
            number outside 0 to 1.
    """
    found, values = _read(Path(root))
    ratings = values.rename_axis("utterance").reset_index()
    long = ratings.melt("utterance", list(HUME_9), "dimension", "value").assign(rater=None)
    corpus = assemble(root, HUME_9, found, CARD, durations=durations, ratings=long)
    sums = values.sum(axis=1)
    return corpus.relabel(values[sums > 0].div(sums[sums > 0], axis=0), HUME_9)


def check(root: str | Path) -> CheckReport:
    """Name the clips without a recording; say which tables are absent and how much is masked."""
    found, values = _read(Path(root))
    problems = [
        f"lab/{part}.csv is not there: the corpus loads without that part"
        for part, ours in PARTS.items()
        if all(row["split"] != ours for row in found.rows.values())
    ]
    masked = [id for id, row in found.rows.items() if id not in values.index]
    blind = [id for id in masked if found.rows[id]["split"] != "test"]
    if blind:
        problems.append(f"{len(blind)} clips outside the test part have no numbers, {blind[0]} too")
    return compare(found.rows, found, problems)


def targets(corpus: Corpus) -> pd.DataFrame:
    """The nine numbers of each clip that has them, for nine outputs between 0 and 1.

    Args:
        corpus: of this loader, or a selection of it.

    Returns:
        Index `utterance` in the corpus' order, the columns of HUME_9, values 0 to 1 (they do not
        sum to 1).

    Raises:
        CorpusError: the corpus has no such ratings.
    """
    if corpus.ratings is None or not set(HUME_9) <= set(corpus.ratings["dimension"]):
        raise CorpusError(f"corpus {corpus.name!r} has no ratings of {', '.join(HUME_9)}")
    table = corpus.ratings.pivot_table("value", "utterance", "dimension")[list(HUME_9)]
    table.columns.name = None
    return table.loc[[id for id in corpus.utterances.index if id in table.index]]


def _read(root: Path) -> tuple[Walk, pd.DataFrame]:
    """The clips, and the nine numbers of those that are not masked."""
    rows: dict[str, dict[str, Any]] = {}
    values: dict[str, list[float]] = {}
    tables = {part: find_file(root, f"{part}.csv") for part in PARTS}
    if not any(tables.values()):
        raise CorpusError(f"{root}: no lab/{', lab/'.join(f'{part}.csv' for part in PARTS)}")
    for part, path in tables.items():
        if path is None:
            continue
        sound = path.parent.parent.relative_to(root) if path.parent != root else Path()
        for where, cells in read_rows(path, ["filename", *COLUMNS]):
            utterance = PurePosixPath(cells["filename"]).stem
            if not utterance or utterance in rows:
                reason = f"{utterance} occurs twice" if utterance else "no filename"
                raise CorpusError(f"{where}: {reason}; keep one row for each clip")
            file = sound / "wav" / PurePosixPath(cells["filename"]).name
            strength = _numbers(cells, where)
            rows[utterance] = {
                "label": None,
                "file": file.as_posix(),
                "split": PARTS[part],
                "language": "und",
                "intensity": max(strength, default=None),
            }
            if strength:
                values[utterance] = strength
    if not rows:
        raise CorpusError(f"{root}: the tables in lab have no row; unpack them anew")
    table = pd.DataFrame.from_dict(values, orient="index", columns=list(COLUMNS.values()))
    return listed(root, rows), table[list(HUME_9)].astype(float)


def _numbers(cells: dict[str, str], where: str) -> list[float]:
    """The nine numbers in the order of `COLUMNS`; none where they are masked."""
    if all(cells[name].lower() in _MASKED for name in COLUMNS):
        return []
    numbers = []
    for name in COLUMNS:
        try:
            number = float(cells[name])
        except ValueError:
            number = math.nan
        if not 0 <= number <= 1:
            raise CorpusError(f"{where}: {name} is {cells[name]!r}, no number from 0 to 1")
        numbers.append(number)
    return numbers
