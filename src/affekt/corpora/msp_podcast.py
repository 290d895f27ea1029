"""MSP-Podcast: natural speech from podcasts, each turn judged by five or more (spec 6.2).

Lotfian, Busso (2019): Building naturalistic emotionally balanced speech corpus by retrieving
emotional speech from existing podcast recordings. IEEE Transactions on Affective Computing 10(4),
471-483, doi:10.1109/TAFFC.2017.2736999.
"""

import json
from pathlib import Path
from typing import Any

import pandas as pd

from affekt.corpora.tree import (
    CheckReport,
    Walk,
    assemble,
    compare,
    find_file,
    listed,
    read_columns,
    read_text,
)
from affekt.corpus import Corpus
from affekt.exceptions import CorpusError
from affekt.scheme import MSP_PODCAST_9

CARD = {
    "name": "msp-podcast",
    "version": "that of the tree",
    "licence": "academic licence of the University of Texas at Dallas",
    "citation": "Lotfian, Busso (2019), doi:10.1109/TAFFC.2017.2736999",
    "source": "https://ecs.utdallas.edu/research/researchlabs/msp-lab/MSP-Podcast.html",
    "language": "en",
    "scales": {"arousal": [1, 7], "valence": [1, 7], "dominance": [1, 7]},
}

CODES = {
    "A": "anger",
    "C": "contempt",
    "D": "disgust",
    "F": "fear",
    "H": "happiness",
    "N": "neutral",
    "S": "sadness",
    "U": "surprise",
    "O": "other",
}
NO_AGREEMENT = "X"

WORDS = {
    "angry": "anger",
    "contempt": "contempt",
    "disgust": "disgust",
    "fear": "fear",
    "happy": "happiness",
    "neutral": "neutral",
    "sad": "sadness",
    "surprise": "surprise",
}
"""What raters answered -> the noun; any other word (`Other-confused`) is `other`."""

DIMENSIONS = {"EmoAct": "arousal", "EmoVal": "valence", "EmoDom": "dominance"}

SPLITS = {"development": "validation"}  # newer releases' name

CONSENSUS = ("labels_consensus", "labels_concensus")  # releases before 1.10 misspell it
DETAILED = "labels_detailed"

_CONSENSUS_COLUMNS = ["FileName", "EmoClass", *DIMENSIONS, "SpkrID", "Gender", "Split_Set"]
_DETAILED_COLUMNS = ["FileName", "worker", "EmoClass_Major", "EmoClass_Second", *DIMENSIONS]
_WORKER_COLUMNS = {"WorkerID": "worker", "Workers": "worker"}
_DETAIL = (
    r"^\s*(?P<worker>[^;]+?)\s*;\s*(?P<EmoClass_Major>.*?)\s*;\s*(?P<EmoClass_Second>.*)\s*;"
    r"\s*A:(?P<EmoAct>[\d.]*|NaN)\s*;\s*V:(?P<EmoVal>[\d.]*|NaN)\s*;"
    r"\s*D:(?P<EmoDom>[\d.]*|NaN)\s*;?\s*$"
)


def load(root: str | Path, *, texts: bool = False, durations: bool = False) -> Corpus:
    """Load MSP-Podcast; labels are the published consensus, votes each rater's main emotion.

    Turns without agreement (code X) have no label, but votes. Turns whose recording is missing
    stay, `excluded` as "no recording". Where a rater is listed twice for a turn the first row is
    taken. Without `labels_detailed` there are no votes and ratings.

    Args:
        root: the folder of `Audios` and `Labels`, or one above it.
        texts: read each turn's transcript (more than 100,000 small files).
        durations: fill the column `duration` from the files' headers.

    Returns:
        The corpus. Votes have columns `said` (the rater's word where it is no category: `other`
        as label) and `others` (all emotions the rater heard, as written). Ratings have the
        dimensions arousal, valence and dominance, 1 to 7. Further columns of utterances:
        `consensus` (the published code) and the published means of the dimensions.

    Raises:
        CorpusError: no `labels_consensus` table below `root`, or one that is cut or foreign.
    """
    root = Path(root)
    found = _utterances(root)
    if texts:
        written = {path.stem: path for path in root.glob("**/Transcripts/*.txt")}
        for utterance, row in found.rows.items():
            row["text"] = read_text(written[utterance]).strip() if utterance in written else None
    detailed = _detailed(root, found)
    return assemble(
        root,
        MSP_PODCAST_9,
        found,
        CARD,
        durations=durations,
        votes=None if detailed is None else _votes(detailed),
        ratings=None if detailed is None else _ratings(detailed),
    )


def check(root: str | Path) -> CheckReport:
    """Name the labelled turns without a recording, and the recordings without a label."""
    root = Path(root)
    found = _utterances(root)
    problems = []
    if _table(root, DETAILED) is None:
        problems.append(f"{DETAILED}.csv is not there: the corpus loads without votes and ratings")
    return compare(found.rows, found, problems)


def _utterances(root: Path) -> Walk:
    path = next((path for name in CONSENSUS if (path := _table(root, name))), None)
    if path is None:
        raise CorpusError(f"{root}: no Labels/{CONSENSUS[0]}.csv (or .json) below it")
    if path.suffix.lower() == ".csv":
        table = read_columns(path, _CONSENSUS_COLUMNS)
    else:
        entries = _json(path)
        table = pd.DataFrame([{"FileName": name, **entry} for name, entry in entries.items()])
        missing = [name for name in _CONSENSUS_COLUMNS if name not in table.columns]
        if missing:
            raise CorpusError(f"{path}: its entries have no {', '.join(missing)}")
    audios = (path.parents[1] / "Audios").relative_to(root)
    cells = zip(*(table[name] for name in _CONSENSUS_COLUMNS), strict=True)
    rows = {}
    for number, (file, code, *means, speaker, sex, split) in enumerate(cells, 2):
        where = f"{path}, row {number}"
        if pd.isna(file) or pd.isna(split) or code not in (*CODES, NO_AGREEMENT):
            raise CorpusError(f"{where}: no file, code ({', '.join(CODES)}, X) or part, or cut")
        rows[Path(file).stem] = {
            "label": CODES.get(code),
            "file": (audios / file).as_posix(),
            "speaker": _known(speaker),
            "sex": str(_known(sex) or "").lower() or None,
            "language": "en",
            "split": SPLITS.get(split.lower(), split.lower()),
            "consensus": code,
            **{
                name: _number(mean, where)
                for name, mean in zip(DIMENSIONS.values(), means, strict=True)
            },
        }
    return listed(root, rows)


def _table(root: Path, name: str) -> Path | None:
    return find_file(root, f"{name}.csv") or find_file(root, f"{name}.json")


def _known(value: Any) -> str | None:
    return None if pd.isna(value) or str(value).lower() == "unknown" else str(value)


def _number(value: Any, where: str) -> float:
    try:
        return float(value)
    except ValueError as problem:
        raise CorpusError(f"{where}: {value!r} is no number") from problem


def _detailed(root: Path, found: Walk) -> pd.DataFrame | None:
    """One row an answer: utterance, worker and the columns of the newest release."""
    path = _table(root, DETAILED)
    if path is None:
        return None
    table = _from_csv(path) if path.suffix.lower() == ".csv" else _from_json(path)
    bad = table[["FileName", "worker"]].isna().any(axis=1).to_numpy(copy=True)
    if len(table):
        bad[-1] |= table[["EmoClass_Second", *DIMENSIONS]].iloc[-1].isna().all()
    if bad.any():
        raise CorpusError(f"{path}, answer {int(bad.argmax()) + 1}: not whole, or cut")
    table["utterance"] = table["FileName"].str.replace(r"\.\w+$", "", regex=True)
    table = table[table["utterance"].isin(list(found.rows))]
    for column in DIMENSIONS:
        numbers = pd.to_numeric(table[column], errors="coerce")
        table[column] = numbers.to_numpy(dtype=float)
    return table.drop_duplicates(["utterance", "worker"])


def _from_csv(path: Path) -> pd.DataFrame:
    """The three forms that releases have had: a column a field, or all of them in `EmoDetail`."""
    table = read_columns(path, ["FileName"]).rename(columns=_WORKER_COLUMNS)
    if "EmoDetail" in table.columns:
        fields = table["EmoDetail"].str.extract(_DETAIL)
        return pd.concat([table[["FileName"]], fields], axis=1)
    missing = [name for name in _DETAILED_COLUMNS if name not in table.columns]
    if missing:
        raise CorpusError(f"{path}: no column {', '.join(missing)}, nor EmoDetail")
    return table[_DETAILED_COLUMNS].copy()


def _from_json(path: Path) -> pd.DataFrame:
    """`{file: {worker: {field: value}}}`."""
    answers = [
        {"FileName": file, "worker": worker, **fields}
        for file, workers in _json(path).items()
        for worker, fields in _entry(workers, path, file).items()
        if _entry(fields, path, f"{file}, {worker}")
    ]
    return pd.DataFrame(answers, columns=_DETAILED_COLUMNS)


def _entry(value: Any, path: Path, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise CorpusError(f"{path}: {where}: an object was expected, not {str(value)[:40]!r}")
    return value


def _json(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(read_text(path))
    except ValueError as problem:
        raise CorpusError(f"{path}: not a JSON document, or cut ({problem})") from problem
    entries = _entry(document, path, "the document")
    for file, entry in entries.items():
        _entry(entry, path, file)
    return entries


def _votes(detailed: pd.DataFrame) -> pd.DataFrame:
    said = detailed["EmoClass_Major"].fillna("").str.strip()
    detailed, said = detailed[said != ""], said[said != ""]
    label = said.str.lower().map(WORDS)
    return pd.DataFrame(
        {
            "utterance": detailed["utterance"],
            "rater": detailed["worker"],
            "label": label.fillna("other"),
            "said": said.where(label.isna(), None),
            "others": detailed["EmoClass_Second"],
        }
    )


def _ratings(detailed: pd.DataFrame) -> pd.DataFrame:
    long = detailed.rename(columns={"worker": "rater", **DIMENSIONS}).melt(
        ["utterance", "rater"], list(DIMENSIONS.values()), "dimension", "value"
    )
    return long.dropna(subset=["value"])
