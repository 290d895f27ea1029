"""The files that `manifests.process` writes: their fields, their lines, and how they are read."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from affekt.atomic import replacing
from affekt.corpora.dusha.raw import DUSHA_5, EMOTIONS
from affekt.exceptions import CorpusError, TableError
from affekt.tables import check_labels

WORDS = tuple(EMOTIONS)
"""The release's words in the order of DUSHA_5; those of DUSHA_4 have the label ids 0 to 3."""

AGGREGATED = (
    *("hash_id", "audio_path", "duration", "emotion", "golden_emo"),
    *("speaker_text", "speaker_emo", "source_id"),
)
EXPERIMENT = ("id", "tensor", "wav_length", "label", "emotion")
PROBS = "probs"
"""The field of an experiment manifest that the release has not: word -> probability."""


def lines_of(rows: pd.DataFrame, ending: str) -> Iterator[str]:
    """Rows as JSON objects (missing is null) or between tabs (missing is empty)."""
    filled = rows.astype(object).where(rows.notna(), None)
    records = zip(*(filled[name].tolist() for name in filled), strict=True)
    names = list(rows.columns)
    if ending == ".jsonl":
        encode = json.JSONEncoder(ensure_ascii=False).encode
        return (encode(dict(zip(names, record, strict=True))) for record in records)
    return ("\t".join(map(_cell, row)) for row in records)


def _cell(value: object) -> str:
    if isinstance(value, dict):
        return json.dumps(value)
    return "" if value is None else str(value)


def write(path: Path, names: Sequence[str], lines: Iterator[str] | list[str]) -> None:
    """Write a manifest, with a header of `names` where it is one of tabs."""
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        if path.suffix == ".tsv":
            file.write("\t".join(names) + "\n")
        file.writelines(f"{line}\n" for line in lines)


def read_manifest(path: str | Path) -> pd.DataFrame:
    """Read an aggregated or experiment manifest, this module's or the release's.

    The release's .tsv files are read too, whose headers call audio_path `wav_path` and name four
    of the experiment manifests' five fields (spec 1.2.1).

    Returns:
        Columns AGGREGATED or EXPERIMENT, and `probs` (word -> probability) where it is there;
        numbers where there are numbers.

    Raises:
        CorpusError: another ending, a broken line, or neither kind of manifest.
    """
    path = Path(path)
    if path.suffix not in (".jsonl", ".tsv"):
        raise CorpusError(f"{path}: a manifest of Dusha ends in .jsonl or .tsv")
    lines = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    if path.suffix == ".jsonl":
        rows = [_object(line, path, number) for number, line in enumerate(lines, start=1) if line]
        table = pd.DataFrame(rows).rename(columns={"wav_path": "audio_path"})
    else:
        header, *cells = [line.split("\t") for line in lines]
        names = AGGREGATED if "hash_id" in header else EXPERIMENT
        names = (*names, PROBS) if PROBS in header else names
        for number, row in enumerate(cells, start=2):
            if len(row) != len(names):
                raise CorpusError(f"{path}, line {number}: {len(row)} fields, not {len(names)}")
        table = pd.DataFrame(cells, columns=list(names)).replace("", None)
        if PROBS in names:
            rows = [_object(row[-1], path, i) for i, row in enumerate(cells, start=2)]
            table[PROBS] = pd.Series(rows, dtype=object)
    for names in (AGGREGATED, EXPERIMENT):
        if set(names) <= set(table.columns):
            table = table[[*names, *({PROBS} & set(table.columns))]].copy()
            for name in {"duration", "wav_length", "label"} & set(names):
                table[name] = pd.to_numeric(table[name], errors="coerce")
            return table
    raise CorpusError(f"{path}: fields {', '.join(map(str, table))} are no manifest of Dusha")


def read_meta(path: str | Path) -> pd.DataFrame:
    """Read meta.tsv, this module's or the release's, as a labels table over DUSHA_5.

    Raises:
        TableError: no such file, or not the probabilities of the five words by hash_id.
    """
    path = Path(path)
    try:
        table = pd.read_csv(path, sep="\t", dtype={"hash_id": str}).set_index("hash_id")
    except (OSError, ValueError, KeyError) as problem:
        raise TableError(f"{path}: cannot be read as meta.tsv ({problem})") from problem
    return check_labels(table.rename(columns=EMOTIONS), DUSHA_5)


def _object(line: str, path: Path, number: int) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except ValueError as problem:
        raise CorpusError(f"{path}, line {number}: not a JSON object ({problem})") from problem
    if not isinstance(record, dict):
        raise CorpusError(f"{path}, line {number}: not a JSON object")
    return record
