"""LSSED: 147,025 English utterances of 820 people who answer questions on video (spec 2.1).

Fan, Xu, Xing, Chen, Huang (2021): LSSED: a large-scale dataset and benchmark for speech emotion
recognition. ICASSP 2021, 641-645, arXiv:2102.01754. The paper's title spells it LSSSED.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from affekt.audio import AUDIO_ENDINGS
from affekt.corpora.generic import noun
from affekt.corpora.rows import read_rows
from affekt.corpora.tree import CheckReport, Walk, assemble, compare, find_file, listed
from affekt.corpus import Corpus
from affekt.exceptions import CorpusError
from affekt.scheme import Categories

CARD = {
    "name": "lssed",
    "version": "2021",
    "licence": "for research, by a signed agreement with the South China University of Technology",
    "citation": "Fan et al. (2021), arXiv:2102.01754",
    "source": "https://github.com/tobefans/LSSED",
    "language": "en",
}

LSSED_11 = Categories(
    "lssed_11",
    (
        *("anger", "neutral", "happiness", "sadness", "disappointment", "boredom"),
        *("disgust", "excitement", "surprise", "fear", "other"),
    ),
)
"""In the order of the paper's table 3."""

LSSED_4 = Categories("lssed_4", LSSED_11.labels[:4])
"""The classes that the paper trains on, in the order of its release (spec 2.1.2)."""

METADATA = "metadata_english_all.csv"
COLUMNS: dict[str, str] = {
    "utterance": "name",
    "label": "faces",
    "speaker": "speaker",
    "sex": "gender",
    "age": "age",
    "split": "split",
}
"""Our name of a column -> that of the table; the first two must be there."""

N_UTTERANCES = 147_025

_REQUIRED = ("utterance", "label")
_SEPARATORS = re.compile(r"[,;/|]")
_SEXES = {"f": "female", "m": "male", "woman": "female", "man": "male"}
_PARTS = {"training": "train", "dev": "validation", "valid": "validation", "val": "validation"}


def load(
    root: str | Path,
    *,
    metadata: str = METADATA,
    columns: Mapping[str, str] | None = None,
    labels: Literal["first", "shares"] = "first",
    four: bool = False,
    durations: bool = False,
) -> Corpus:
    """Load LSSED from its table of utterances and the recordings that it names.

    A cell may name several emotions, divided by `,`, `;`, `/` or `|`. An utterance without one has
    no label; one without a recording stays, `excluded` as "no recording".

    Args:
        root: the folder of the table and `wav_all`, or one above it.
        metadata: the table's name; the release has been seen under METADATA alone.
        columns: names of the table's columns where they are others than in COLUMNS, which see.
        labels: of several emotions take the "first", or give each the same share ("shares").
        four: keep the utterances of anger, neutral, happiness and sadness alone, under LSSED_4.
            With "shares" those that name another emotion beside are left out too.
        durations: fill the column `duration` from the files' headers.

    Returns:
        The corpus. Further columns: `emotions`, all that the cell names as nouns, and `age_group`
        where ages are words. Speaker, sex, age and split where the table has them.

    Raises:
        CorpusError: no such table, a column it lacks, a row that is cut, a word that is none of
            the eleven emotions, a name that occurs twice, an unknown key in `columns`.
    """
    if labels not in ("first", "shares"):
        raise CorpusError(f"labels must be first or shares, not {labels!r}")
    root = Path(root)
    corpus = assemble(root, LSSED_11, _read(root, metadata, columns), CARD, durations=durations)
    if labels == "shares":
        corpus = corpus.relabel(_shares(corpus.utterances["emotions"]), LSSED_11)
    if not four:
        return corpus
    kept = corpus.labels[corpus.labels[list(LSSED_4)].sum(axis=1) > 1 - 1e-9][list(LSSED_4)]
    return corpus.select(kept.index).relabel(kept, LSSED_4)


def check(
    root: str | Path, *, metadata: str = METADATA, columns: Mapping[str, str] | None = None
) -> CheckReport:
    """Name the utterances without a recording, and say what the table cannot give."""
    root = Path(root)
    found = _read(root, metadata, columns)
    rows = found.rows.values()
    problems = []
    if len(rows) != N_UTTERANCES:
        problems.append(f"the table lists {len(rows)} utterances, the paper counts {N_UTTERANCES}")
    if all(row["speaker"] is None for row in rows):
        problems.append("the table names no speakers: no split by speaker can be made")
    nobody = sum(row["label"] is None for row in rows)
    problems += [f"{nobody} utterances have no label"] if nobody else []
    return compare(found.rows, found, problems)


def _read(root: Path, metadata: str, columns: Mapping[str, str] | None) -> Walk:
    given = dict(columns or {})
    strange = sorted(set(given) - set(COLUMNS))
    if strange:
        raise CorpusError(f"columns: {strange[0]!r} is none of {', '.join(COLUMNS)}")
    path = find_file(root, metadata)
    if path is None:
        raise CorpusError(f"{root}: no {metadata} below it; metadata= takes another name")
    called = {**COLUMNS, **given}
    needed = {called[name] for name in _REQUIRED} | set(given.values())
    try:
        table = read_rows(path, sorted(needed))
    except CorpusError as problem:
        if "no column" in str(problem):
            raise CorpusError(f"{problem}; columns= takes other names") from problem
        raise
    sound = (path.parent / "wav_all").relative_to(root)
    rows: dict[str, dict[str, Any]] = {}
    for where, cells in table:
        name = cells[called["utterance"]]
        stem = name[: -len(Path(name).suffix)] if _is_audio(name) else name
        if not stem:
            raise CorpusError(f"{where}: no {called['utterance']}")
        if stem in rows:
            raise CorpusError(f"{where}: {stem} occurs twice; keep one of its rows")
        rows[stem] = _row(cells, called, where) | {"file": (sound / f"{stem}.wav").as_posix()}
    if not rows:
        raise CorpusError(f"{path}: no row below the header")
    return listed(root, rows)


def _is_audio(name: str) -> bool:
    return Path(name).suffix.lower() in AUDIO_ENDINGS


def _row(cells: dict[str, str], called: dict[str, str], where: str) -> dict[str, Any]:
    emotions = _emotions(cells[called["label"]], where)
    said = {name: cells.get(called[name]) or None for name in ("speaker", "sex", "age", "split")}
    sex, part, age = (str(said[name] or "").lower() for name in ("sex", "split", "age"))
    return {
        "label": emotions[0] if emotions else None,
        "emotions": ",".join(emotions),
        "speaker": said["speaker"],
        "sex": _SEXES.get(sex, sex) or None,
        "age": float(age) if age.isdecimal() else None,
        "age_group": None if age.isdecimal() else age or None,
        "language": "en",
        "split": _PARTS.get(part, part) or None,
    }


def _emotions(cell: str, where: str) -> list[str]:
    """The nouns of a cell, each once, in their order."""
    words = [word for word in _SEPARATORS.split(cell) if word.strip()]
    nouns = list(dict.fromkeys(noun(word) for word in words))
    strange = [word for word in nouns if word not in LSSED_11]
    if strange:
        raise CorpusError(
            f"{where}: {strange[0]!r} is no emotion of the corpus ({', '.join(LSSED_11)})"
        )
    return nouns


def _shares(emotions: pd.Series) -> pd.DataFrame:
    """Labels that give each of a cell's emotions the same mass."""
    named = [str(cell).split(",") for cell in emotions[emotions != ""]]
    rows = [[(label in own) / len(own) for label in LSSED_11] for own in named]
    return pd.DataFrame(rows, emotions.index[emotions != ""], list(LSSED_11), dtype=float)
