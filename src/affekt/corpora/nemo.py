"""nEMO: nine Polish actors, 90 sentences, six emotions.

Christop (2024): nEMO: Dataset of Emotional Speech in Polish. LREC-COLING 2024, arXiv:2404.06292.
"""

import re
from pathlib import Path
from typing import Any

import pandas as pd

from affekt.corpora.tree import CheckReport, assemble, compare, find_file, walk
from affekt.corpus import Corpus
from affekt.exceptions import CorpusError
from affekt.scheme import NEMO_6

PATTERN = "WR0_surprised_64 (actor, emotion, number)"

CARD = {
    "name": "nemo",
    "version": "2024",
    "licence": "CC-BY-NC-SA-4.0",
    "citation": "Christop (2024), arXiv:2404.06292",
    "source": "https://github.com/amu-cai/nEMO",
    "language": "pl",
}

EMOTIONS = {
    "anger": "anger",
    "fear": "fear",
    "happiness": "happiness",
    "neutral": "neutral",
    "sadness": "sadness",
    "surprised": "surprise",
}

_TABLE = "data.tsv"
_COLUMNS = ("file_id", "emotion", "raw_text", "speaker_id", "gender", "age")
_NAME = re.compile(rf"([a-z]{{2}}\d)_({'|'.join(EMOTIONS)})_(\d+)", re.IGNORECASE)


def load(root: str | Path, *, durations: bool = False) -> Corpus:
    """Load nEMO; text, sex and age come from `data.tsv` and are missing where it is.

    The table's names end in .wav whatever the recordings end in, and its speakers are padded
    with blanks; both are seen through.

    Args:
        root: the folder of `data.tsv` and `samples`, or one above it.
        durations: fill the column `duration` from the files' headers.

    Raises:
        CorpusError: no recording below `root`, or `data.tsv` is not the corpus' table.
    """
    found = walk(root, _parse, PATTERN)
    table = _table(root)
    if table is not None:
        for utterance, row in found.rows.items():
            row |= table.get(utterance, {})
    return assemble(root, NEMO_6, found, CARD, durations=durations)


def check(root: str | Path) -> CheckReport:
    """Compare the tree with the rows of `data.tsv`, names and labels."""
    found = walk(root, _parse, PATTERN)
    table = _table(root)
    if table is None:
        lost = f"{_TABLE} is not there: no texts, sexes, ages, and missing clips have no names"
        return compare(found.rows, found, [lost])
    problems = [
        f"{row['file']}: the name says {row['label']}, {_TABLE} {table[utterance]['label']}"
        for utterance, row in found.rows.items()
        if utterance in table and table[utterance]["label"] != row["label"]
    ]
    return compare(table, found, problems)


def _parse(stem: str) -> dict[str, Any] | None:
    match = _NAME.fullmatch(stem.strip())
    if match is None:
        return None
    speaker, emotion, number = match[1].upper(), match[2].lower(), match[3]
    return {
        "utterance": f"{speaker}_{emotion}_{number}",
        "label": EMOTIONS[emotion],
        "speaker": speaker,
        "language": "pl",
    }


def _table(root: str | Path) -> dict[str, dict[str, Any]] | None:
    """Columns of each utterance from `data.tsv`; None where there is no such table."""
    path = find_file(root, _TABLE)
    if path is None:
        return None
    try:
        table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False, quoting=3)
    except ValueError as problem:
        raise CorpusError(f"{path} is not the corpus' table ({problem})") from problem
    missing = [name for name in _COLUMNS if name not in table.columns]
    if missing:
        raise CorpusError(f"{path} has no column {', '.join(missing)}")
    rows: dict[str, dict[str, Any]] = {}
    for record in table[list(_COLUMNS)].itertuples(index=False):
        name, emotion, text, speaker, sex, age = (str(cell).strip() for cell in record)
        columns = _parse(Path(name).stem)
        if columns is None or emotion not in EMOTIONS:
            raise CorpusError(f"{path}: row {name!r} with emotion {emotion!r} is not one of nEMO's")
        rows[columns["utterance"]] = {
            "label": EMOTIONS[emotion],
            "speaker": speaker.upper(),
            "text": text,
            "sex": sex,
            "age": float(age) if age else None,
        }
    return rows
