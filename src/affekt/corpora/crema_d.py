"""CREMA-D: 91 actors, 12 English sentences, six emotions, with the crowd's votes (spec 6.4).

Cao, Cooper, Keutmann, Gur, Nenkova, Verma (2014): CREMA-D: Crowd-sourced Emotional Multimodal
Actors Dataset. IEEE Transactions on Affective Computing 5(4), doi:10.1109/TAFFC.2014.2336244.
"""

import re
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from affekt.corpora.tree import CheckReport, Walk, assemble, compare, find_file, lfs_pointer, walk
from affekt.corpus import Corpus
from affekt.exceptions import CorpusError
from affekt.scheme import CREMA_D_6

PATTERN = "1001_IEO_ANG_HI (actor, sentence, emotion, level)"

CARD = {
    "name": "crema-d",
    "version": "2014",
    "licence": "ODbL-1.0, contents DbCL-1.0",
    "citation": "Cao et al. (2014), doi:10.1109/TAFFC.2014.2336244",
    "source": "https://github.com/CheyneyComputerScience/CREMA-D",
    "language": "en",
}

EMOTIONS = {
    "ANG": "anger",
    "DIS": "disgust",
    "FEA": "fear",
    "HAP": "happiness",
    "NEU": "neutral",
    "SAD": "sadness",
}

SENTENCES = {
    "IEO": "It's eleven o'clock",
    "TIE": "That is exactly what happened",
    "IOM": "I'm on my way to the meeting",
    "IWW": "I wonder what this is about",
    "TAI": "The airplane is almost full",
    "MTI": "Maybe tomorrow it will be cold",
    "IWL": "I would like a new alarm clock",
    "ITH": "I think I have a doctor's appointment",
    "DFA": "Don't forget a jacket",
    "ITS": "I think I've seen this before",
    "TSI": "The surface is slick",
    "WSI": "We'll stop in a couple of minutes",
}

EXCLUDED = {
    "1076_MTI_SAD_XX": "silent",
    "1017_IWW_ANG_XX": "the same recording as 1017_IWW_FEA_XX",
    "1017_IWW_FEA_XX": "the same recording as 1017_IWW_ANG_XX",
    "1013_WSI_DIS_XX": "the same recording as 1013_WSI_SAD_XX",
    "1013_WSI_SAD_XX": "the same recording as 1013_WSI_DIS_XX",
    "1006_TIE_HAP_XX": "the same recording as 1006_TIE_NEU_XX",
    "1006_TIE_NEU_XX": "the same recording as 1006_TIE_HAP_XX",
}
"""Clips unfit for training: one is silent, three pairs are one recording under two labels."""

N_CLIPS = 7442

Channel = Literal["voice", "face", "both"]

_CHANNELS = {"voice": 1, "face": 2, "both": 3}  # first of the six digits of a row's index
_STRENGTHS = {
    "meanAngerResp": "anger",
    "meanDisgustResp": "disgust",
    "meanFearResp": "fear",
    "meanHappyResp": "happiness",
    "meanNeutralResp": "neutral",
    "meanSadResp": "sadness",
}
_VOTES_FILE = "tabulatedVotes.csv"
_NAMES_FILE = "SentenceFilenames.csv"
_ACTORS_FILE = "VideoDemographics.csv"
_NAME = re.compile(rf"(10\d\d)_({'|'.join(SENTENCES)})_({'|'.join(EMOTIONS)})_(LO|MD|HI|XX|X)")


def load(
    root: str | Path,
    *,
    votes: Channel = "voice",
    durations: bool = False,
) -> Corpus:
    """Load CREMA-D; labels are what the actors meant, votes what the crowd took it for.

    The corpus publishes counts of votes, not who gave them. Each counted vote becomes a row of
    its own with a missing `rater`, so `shares` works on it and methods that model raters refuse.

    Args:
        root: the repository's folder, or one above it.
        votes: of the raters who heard the voice, who saw the face, or who had both.
        durations: fill the column `duration` from the files' headers.

    Returns:
        The corpus. Further columns: `level` (LO MD HI, XX unspecified). `intensity` is the mean
        strength the same raters reported, 0 to 1. Seven clips are `excluded`.

    Raises:
        CorpusError: no clip below `root`; a table of the corpus is a git-lfs pointer or foreign.
    """
    if votes not in _CHANNELS:
        raise CorpusError(f"votes must be one of {', '.join(_CHANNELS)}, not {votes!r}")
    found = walk(root, _parse, PATTERN)
    actors = _actors(root)
    voted = _votes(root, votes, found)
    for utterance, row in found.rows.items():
        row |= actors.get(row["speaker"], {})
        row["excluded"] = EXCLUDED.get(utterance, "")
        if voted is not None:
            row["intensity"] = voted["intensity"].get(utterance)
    ballots = None if voted is None else _ballots(voted)
    return assemble(root, CREMA_D_6, found, CARD, durations=durations, votes=ballots)


def check(root: str | Path) -> CheckReport:
    """Compare the tree with the corpus' own list of its 7442 clips."""
    found = walk(root, _parse, PATTERN)
    problems = [
        f"{name} is not there: {loss}"
        for name, loss in (
            (_VOTES_FILE, "the corpus loads without votes and intensities"),
            (_ACTORS_FILE, "the corpus loads without age and sex"),
        )
        if find_file(root, name) is None
    ]
    names = find_file(root, _NAMES_FILE)
    if names is None:
        unknown = [f"{_NAMES_FILE} is not there: {len(found.rows)} of {N_CLIPS} clips found, "
                   "the missing ones have no names"]  # fmt: skip
        report = compare(found.rows, found, problems + unknown)
        return CheckReport(N_CLIPS, report.found, [], report.extra, report.problems)
    listed = _read(names, ["Filename"])["Filename"].str.upper()
    return compare(listed, found, problems)


def counts(root: str | Path, votes: Channel = "voice") -> pd.DataFrame:
    """The table of votes: how many raters gave each of the six answers on each clip.

    Args:
        root: the repository's folder, or one above it; its recordings need not be there.
        votes: of the raters who heard the voice, who saw the face, or who had both.

    Returns:
        Index `utterance`, a column of whole numbers for each category in the scheme's order.

    Raises:
        CorpusError: no table of votes below `root`, a git-lfs pointer, or it is cut or foreign.
    """
    return _channel(root, votes)[list(CREMA_D_6)].astype(int)


def intensities(root: str | Path, votes: Channel = "voice") -> pd.DataFrame:
    """How strong the raters who named an emotion found it, on average, on each clip.

    Returns:
        Index `utterance`, a column for each category in the scheme's order, 0 to 1; NaN where
        nobody named the category. The column `all` is the mean over every answer, which `load`
        gives as `intensity`.

    Raises:
        CorpusError: as `counts`.
    """
    table = _channel(root, votes)
    columns = {"meanEmoResp": "all", **_STRENGTHS}
    missing = [name for name in columns if name not in table.columns]
    if missing:
        raise CorpusError(f"{root}: {_VOTES_FILE} has no column {', '.join(missing)}")
    means = table[list(columns)].rename(columns=columns)
    return (means.where(means >= 0) / 100)[[*CREMA_D_6, "all"]]


def _parse(stem: str) -> dict[str, Any] | None:
    match = _NAME.fullmatch(stem.strip().upper())
    if match is None:
        return None
    actor, sentence, emotion, level = match.groups()
    level = "XX" if level == "X" else level  # 1040_ITH_SAD_X is 1040_ITH_SAD_XX in the tables
    return {
        "utterance": f"{actor}_{sentence}_{emotion}_{level}",
        "label": EMOTIONS[emotion],
        "speaker": actor,
        "language": "en",
        "text": SENTENCES[sentence],
        "level": level,
    }


def _actors(root: str | Path) -> dict[str, dict[str, Any]]:
    path = find_file(root, _ACTORS_FILE)
    if path is None:
        return {}
    table = _read(path, ["ActorID", "Age", "Sex"])
    return {
        str(actor): {"age": age, "sex": str(sex).lower()}
        for actor, age, sex in zip(table["ActorID"], table["Age"], table["Sex"], strict=True)
    }


def _votes(root: str | Path, votes: Channel, found: Walk) -> pd.DataFrame | None:
    """Per clip of the tree the counts of the six answers and the mean intensity."""
    if find_file(root, _VOTES_FILE) is None:
        return None
    table = _channel(root, votes)
    strength = table["meanEmoResp"]
    counted = table[list(CREMA_D_6)].assign(intensity=strength.where(strength >= 0) / 100)
    return counted[counted.index.isin(list(found.rows))]


def _channel(root: str | Path, votes: Channel) -> pd.DataFrame:
    """The rows of one channel by clip, the counts under the categories' names."""
    if votes not in _CHANNELS:
        raise CorpusError(f"votes must be one of {', '.join(_CHANNELS)}, not {votes!r}")
    path = find_file(root, _VOTES_FILE)
    if path is None:
        raise CorpusError(f"{root}: no {_VOTES_FILE} below it")
    letters = {code[0]: label for code, label in EMOTIONS.items()}
    table = _read(path, [*letters, "fileName", "meanEmoResp"])
    whole = table[[*letters, "fileName", "meanEmoResp"]].notna().all(axis=1)
    if not whole.all():
        raise CorpusError(
            f"{path}, row {int(whole.to_numpy().argmin()) + 2}: the row is not whole, or cut"
        )
    try:
        table = table.astype(dict.fromkeys(letters, int) | {"meanEmoResp": float})
        channel = table.iloc[:, 0].astype(int) // 100_000
    except ValueError as problem:
        raise CorpusError(f"{path}: a count or index is no number ({problem})") from problem
    table = table[channel == _CHANNELS[votes]].rename(columns=letters)
    return table.set_index(pd.Index(table["fileName"].str.upper(), name="utterance"))


def _ballots(voted: pd.DataFrame) -> pd.DataFrame:
    """One row a vote from one row a clip."""
    n_votes = voted[list(CREMA_D_6)].to_numpy()
    clip, answer = np.nonzero(n_votes)
    times = n_votes[clip, answer]
    return pd.DataFrame(
        {
            "utterance": np.repeat(voted.index.to_numpy()[clip], times),
            "rater": None,
            "label": np.repeat(np.array(CREMA_D_6.labels)[answer], times),
        }
    )


def _read(path: Path, columns: list[str]) -> pd.DataFrame:
    if lfs_pointer(path):
        raise CorpusError(f"{path} is a git-lfs pointer, run `git lfs pull`")
    try:
        table = pd.read_csv(path, keep_default_na=False, na_values=["", "NA"])
    except ValueError as problem:
        raise CorpusError(f"{path} is not the corpus' table ({problem})") from problem
    missing = [name for name in columns if name not in table.columns]
    if missing:
        raise CorpusError(f"{path} has no column {', '.join(missing)}")
    return table
