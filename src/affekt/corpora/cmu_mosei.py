"""CMU-MOSEI: sentences of YouTube monologues, rated for sentiment and six emotions (spec 6.19).

Zadeh, Liang, Poria, Cambria, Morency (2018): Multimodal language analysis in the wild: CMU-MOSEI
dataset and interpretable dynamic fusion graph. ACL 2018, 2236-2246, doi:10.18653/v1/P18-1208.
"""

import json
import math
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from affekt.corpora.tree import (
    CheckReport,
    Walk,
    assemble,
    audio_files,
    compare,
    files_below,
    find_file,
    listed,
    read_columns,
    read_text,
)
from affekt.corpus import Corpus
from affekt.exceptions import CorpusError
from affekt.scheme import EKMAN_7

CARD = {
    "name": "cmu-mosei",
    "version": "2018",
    "licence": "for research; the videos belong to their makers",
    "citation": "Zadeh et al. (2018), doi:10.18653/v1/P18-1208",
    "source": "http://multicomp.cs.cmu.edu/resources/cmu-mosei-dataset/",
    "language": "en",
    "scales": {
        "sentiment": [-3, 3],
        **{label: [0, 3] for label in EKMAN_7 if label != "neutral"},
    },
}

EMOTIONS = ("anger", "disgust", "fear", "happiness", "sadness", "surprise")
DIMENSIONS = ("sentiment", *EMOTIONS)

Rule = Literal["majority", "plurality", "shares"]

_NOUNS = {"happy": "happiness", "sad": "sadness"}  # how the published scores call them
_SCORES_FILE = "CMU_MOSEI_Labels.csd"
_PLACE = "Raw/Transcript/Segmented/Combined"
_RATED = ["Input.VIDEO_ID", "Input.CLIP", "WorkerId", *(f"Answer.{name}" for name in DIMENSIONS)]


def load(
    root: str | Path,
    *,
    rule: Rule = "majority",
    scores: Literal["published", "ratings"] = "published",
    durations: bool = False,
) -> Corpus:
    """Load CMU-MOSEI; labels come from its scores of six emotions, 0 to 3 each.

    A sentence is a stretch of a video's sound. Where all scores are 0 it is neutral. Sentences
    without a score, and those that the rule does not decide, have no label. Negative starts are
    taken as 0; sentences of no length are left out and listed in the card's `ignored`.

    Args:
        root: the folder of `CMU_MOSEI_Labels.csd` and `Raw`, or one above it.
        rule: the emotion with more than half of the summed scores ("majority"), the one with the
            highest score ("plurality"), or each emotion's share of the sum ("shares").
        scores: the published ones, which need the package h5py, or the means of the ratings.
        durations: does nothing more: every length is in the transcripts.

    Returns:
        The corpus. Ratings (from `Raw/Labels/*.csv`, where they are there) have the dimensions
        sentiment, -3 to 3, and the six emotions, 0 to 3; an answer that repeats a rater's earlier
        one is left out. Speakers are unknown: `session` is the video. Further columns: the scores.

    Raises:
        CorpusError: no transcripts or scores below `root`, h5py is not installed, a file is cut.
    """
    if rule not in ("majority", "plurality", "shares"):
        raise CorpusError(f"rule must be one of majority, plurality, shares, not {rule!r}")
    root = Path(root)
    segments, empty = _segments(root)
    ratings = _ratings(root, segments)
    if scores == "published":
        scored = _published(root, segments)
    elif ratings is None:
        raise CorpusError(f"{root}: no Raw/Labels/*.csv, so there are no ratings to take as scores")
    else:
        scored = _means(ratings)
    found = _walk(root, segments, scored, empty)
    corpus = assemble(root, EKMAN_7, found, CARD, durations=durations, ratings=ratings)
    return corpus.relabel(_labels(scored, rule), EKMAN_7)


def check(root: str | Path) -> CheckReport:
    """Name the sentences whose video has no sound file; needs no scores."""
    root = Path(root)
    segments, empty = _segments(root)
    problems = [
        f"{what} not there: {loss}"
        for what, there, loss in (
            (f"{_SCORES_FILE} is", find_file(root, _SCORES_FILE), "the corpus has no scores"),
            ("Raw/Labels/*.csv are", _rating_files(root), "the corpus loads without ratings"),
        )
        if not there
    ]
    return compare(segments, _walk(root, segments, pd.DataFrame(), empty), problems)


def _segments(root: Path) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """The sentences by id, and those of no length, from lines `video___clip___start___end___text`.

    The text may hold further underscores.
    """
    folder = _PLACE.lower().split("/")[1:]
    rows: dict[str, dict[str, Any]] = {}
    empty = []
    for path in files_below(root):
        if [part.lower() for part in path.parts[-4:-1]] != folder or path.suffix != ".txt":
            continue
        sound = path.parents[4] / "Raw/Audio/Full/WAV_16000" / f"{path.stem}.wav"
        for number, line in enumerate(read_text(path).splitlines(), 1):
            if not line.strip():
                continue
            utterance, row = _segment(line, f"{path}, line {number}")
            if row["clip_end"] <= max(row["clip_start"], 0.0):
                empty.append(f"{utterance}: a sentence of no length")
                continue
            rows[utterance] = {**row, "file": sound.relative_to(root).as_posix()}
    if not rows:
        raise CorpusError(f"{root}: no {_PLACE}/<video>.txt below it")
    return rows, empty


def _segment(line: str, where: str) -> tuple[str, dict[str, Any]]:
    parts = line.strip().split("___", maxsplit=4)
    try:
        video, clip, start, end = parts[0], parts[1], float(parts[2]), float(parts[3])
        text = parts[4]
    except (IndexError, ValueError) as problem:
        raise CorpusError(
            f"{where}: does not read as video___clip___start___end___text, or is cut"
        ) from problem
    return f"{video}_{clip}", {
        "label": None,
        "session": video,
        "start": max(start, 0.0),
        "end": end,
        "duration": end - max(start, 0.0),
        "language": "en",
        "text": text,
        "clip_start": start,
        "clip_end": end,
    }


def _walk(
    root: Path, segments: dict[str, dict[str, Any]], scored: pd.DataFrame, empty: list[str]
) -> Walk:
    """The sentences with their scores and sound; the sound of the videos is looked at alone."""
    known = scored.to_dict("index")
    blank = dict.fromkeys(DIMENSIONS, math.nan)
    rows = {
        utterance: {
            **{key: value for key, value in row.items() if not key.startswith("clip_")},
            **known.get(utterance, blank),
        }
        for utterance, row in segments.items()
    }
    sound = [path for path in audio_files(root) if "audio" in str(path.relative_to(root)).lower()]
    found = listed(root, rows, sound)
    return Walk(found.rows, (*empty, *found.ignored), found.broken, found.absent)


def _published(root: Path, segments: dict[str, dict[str, Any]]) -> pd.DataFrame:
    """The scores whose interval is a sentence's own, to a tenth of a millisecond."""
    path = find_file(root, _SCORES_FILE)
    if path is None:
        raise CorpusError(f'{root}: no {_SCORES_FILE} below it; scores="ratings" does without')
    try:
        h5py = import_module("h5py")
    except ImportError as problem:
        raise CorpusError(
            f'{path} needs `pip install h5py`; scores="ratings" does without'
        ) from problem
    intervals = {
        (row["session"], round(row["clip_start"], 4), round(row["clip_end"], 4)): utterance
        for utterance, row in segments.items()
    }
    scored = {}
    try:
        with h5py.File(path, "r") as file:
            names = json.loads(file["All Labels/metadata/dimension names"][0])
            columns = [_NOUNS.get(name, name) for name in names]
            for video in {row["session"] for row in segments.values()} & set(
                file["All Labels/data"]
            ):
                entry = file["All Labels/data"][video]
                pairs = zip(entry["intervals"][()], entry["features"][()], strict=True)
                for (start, end), values in pairs:
                    utterance = intervals.get((video, round(float(start), 4), round(float(end), 4)))
                    if utterance is not None:
                        scored[utterance] = dict(zip(columns, map(float, values), strict=True))
    except (OSError, KeyError, ValueError) as problem:
        raise CorpusError(
            f"{path}: not the corpus' table of scores, or cut ({problem})"
        ) from problem
    table = pd.DataFrame.from_dict(scored, orient="index", columns=list(DIMENSIONS), dtype=float)
    if table.isna().any(axis=None):
        raise CorpusError(f"{path}: a sentence lacks one of {', '.join(DIMENSIONS)}")
    return table


def _rating_files(root: Path) -> list[Path]:
    folders = ("raw", "labels")
    return [
        path
        for path in files_below(root)
        if tuple(part.lower() for part in path.parts[-3:-1]) == folders
        and path.suffix.lower() == ".csv"
    ]


def _ratings(root: Path, segments: dict[str, dict[str, Any]]) -> pd.DataFrame | None:
    """The raters' own numbers, of the sentences there are; copies of an answer left out."""
    parts = []
    for path in _rating_files(root):
        table = read_columns(path, _RATED)
        key = table["Input.VIDEO_ID"] + "_" + table["Input.CLIP"]
        if (key.isna() | table["WorkerId"].isna()).any():
            row = int((key.isna() | table["WorkerId"].isna()).to_numpy().argmax())
            raise CorpusError(f"{path}, row {row + 2}: no video, clip or rater, or cut")
        table = table.assign(utterance=key, rater=table["WorkerId"])
        long = table.rename(columns={f"Answer.{name}": name for name in DIMENSIONS}).melt(
            ["utterance", "rater"], list(DIMENSIONS), "dimension", "value"
        )
        numbers = pd.to_numeric(long["value"], errors="coerce")
        if (numbers.isna() & long["value"].notna()).any():
            row = int((numbers.isna() & long["value"].notna()).to_numpy().argmax())
            raise CorpusError(f"{path}: {long['value'].iloc[row]!r} is no rating")
        parts.append(long.assign(value=numbers).dropna(subset=["value"]))
    if not parts:
        return None
    whole = pd.concat(parts, ignore_index=True)
    whole = whole[whole["utterance"].isin(list(segments))]
    return whole.drop_duplicates(["utterance", "rater", "dimension"], ignore_index=True)


def _means(ratings: pd.DataFrame) -> pd.DataFrame:
    """Each sentence's mean ratings, in the form of the published scores."""
    means = ratings.pivot_table("value", "utterance", "dimension", aggfunc="mean")
    return means.reindex(columns=list(DIMENSIONS)).dropna()


def _labels(scored: pd.DataFrame, rule: Rule) -> pd.DataFrame:
    """Labels of the sentences that the rule decides (spec 6.19)."""
    values = scored[list(EMOTIONS)].to_numpy(dtype=float).clip(min=0)
    total, best = values.sum(axis=1), values.max(axis=1, initial=0.0)
    silent = total == 0
    top = values == best[:, None]
    decided = {
        "majority": 2 * best > total,
        "plurality": top.sum(axis=1) == 1,
        "shares": ~silent,
    }[rule]
    mass = values if rule == "shares" else (top & decided[:, None]).astype(float)
    table = pd.DataFrame(mass, scored.index, list(EMOTIONS)).assign(neutral=silent.astype(float))
    known = table.loc[decided | silent, list(EKMAN_7)].to_numpy()
    return pd.DataFrame(
        known / known.sum(axis=1, keepdims=True), scored.index[decided | silent], list(EKMAN_7)
    )
