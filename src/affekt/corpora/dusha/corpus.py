"""Dusha: 304,000 Russian recordings, acted and from podcasts, with 1.7 million raters' votes.

Kondratenko, Sokolov, Karpov, Kutuzov, Savushkin, Minkin (2022): Large Raw Emotional Dataset with
Aggregation Mechanism. arXiv:2212.12266. Layout of the release: spec 1.1.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from affekt.audio import AUDIO_ENDINGS
from affekt.corpora.dusha.raw import (
    DUSHA_5,
    EMOTIONS,
    SUBSETS,
    UNKNOWN_GOLD,
    Progress,
    Raw,
    read,
)
from affekt.corpora.dusha.summary import notes
from affekt.corpora.tree import CheckReport
from affekt.corpus import Corpus

CARD = {
    "name": "dusha",
    "version": "2022",
    "licence": "the public licence of the Golos repository; podcasts without recordings",
    "citation": "Kondratenko et al. (2022), arXiv:2212.12266",
    "source": "https://github.com/salute-developers/golos/tree/master/dusha",
    "language": "ru",
}

NO_RECORDING = "no recording"


def load(
    root: str | Path,
    *,
    ending: str | None = None,
    durations: bool = False,
    progress: Progress | None = None,
) -> Corpus:
    """Load all subsets that lie below `root`; labels are the vote shares, votes are all there are.

    The release has no labels of its own: `affekt.votes` makes them from the votes, and
    `affekt.corpora.dusha.manifests.process` writes those of the papers. `speaker` and `session`
    are the source: a person in the crowd part, a podcast in the other, whose speakers nobody
    knows. A recording that both a training and a test subset name is taken for a test one.

    Args:
        root: the folder of crowd_train, crowd_test, podcast_train, podcast_test, or one above it.
        ending: .jsonl or .tsv; None takes .jsonl where both are there.
        durations: fill what is missing of `duration` from the files' headers.
        progress: draws a bar of the bytes that are read.

    Returns:
        The corpus. Further columns: `domain` (crowd, podcast) and `intended`, the emotion the
        actor was asked for. Where there is no recording the row is `excluded`: the release has
        none of the podcasts. `gold` in the votes is a control task's right answer. What is not
        as in the release (`summary.notes`) stands in the card as `notes`.

    Raises:
        CorpusError: nothing to load, or a file that does not read as the release's.
    """
    raw = read(root, ending=ending, progress=progress)
    utterances = _utterances(raw, each_once(raw), Path(root))
    counts = np.bincount(
        raw.utterance * np.int64(len(DUSHA_5)) + raw.label,
        minlength=len(raw.utterances) * len(DUSHA_5),
    ).reshape(-1, len(DUSHA_5))
    shares = counts / counts.sum(axis=1, keepdims=True)
    corpus = Corpus(
        name=str(CARD["name"]),
        root=Path(root),
        scheme=DUSHA_5,
        utterances=utterances,
        labels=pd.DataFrame(shares, raw.utterances, list(DUSHA_5)),
        votes=votes(raw),
        ratings=None,
        card=_card(raw),
    )
    return corpus.with_durations() if durations else corpus


def each_once(raw: Raw) -> pd.DataFrame:
    """The rows of `raw.recordings`, of a recording in two subsets the test one's, in their order.

    A recording of the test part must not be trained on, so its other row goes.
    """
    test_first = raw.recordings["subset"].map(_is_train).sort_values(kind="stable").index
    kept = raw.recordings.loc[test_first].drop_duplicates("utterance")
    return kept.sort_index()


def votes(raw: Raw) -> pd.DataFrame:
    """The annotations as a votes table: `utterance`, `rater`, `label`, `gold`."""
    nouns = pd.Index(list(DUSHA_5), dtype="str")
    return pd.DataFrame(
        {
            "utterance": raw.utterances.take(raw.utterance),
            "rater": raw.raters.take(raw.rater),
            "label": nouns.take(raw.label),
            "gold": nouns.array.take(np.maximum(raw.gold, -1), allow_fill=True),
        }
    )


def check(root: str | Path) -> CheckReport:
    """Compare the recordings with those that the raw annotations name.

    Of podcasts only annotations and features were released: where their recordings are not
    there, that is one problem, not 100,000. How the counts differ from those that the papers
    print is not reported here but in the summary of `dusha.manifests.process`.
    """
    raw = read(root)
    here = {subset: dict(_recordings(path.parent)) for subset, path in raw.files.items()}
    missing: list[str] = []
    problems = [str(note) for note in notes(raw)]
    for subset, table in raw.recordings.groupby("subset", sort=False):
        name = SUBSETS[int(str(subset))]
        absent = table["utterance"][~_stems(table["audio_path"]).isin(list(here[name]))]
        if len(absent) == len(table):
            reason = "the release has none" if name.startswith("podcast") else "unpack crowd.tar"
            problems.append(f"{name}: none of its {len(table)} recordings is there ({reason})")
        else:
            missing += [str(id) for id in raw.utterances.take(absent.to_numpy())]
    named = set(_stems(raw.recordings["audio_path"]))
    extra = [
        f"{raw.files[subset].parent / file}: no annotation names it"
        for subset, files in here.items()
        for stem, file in files.items()
        if stem not in named
    ]
    twice = int(raw.recordings["utterance"].duplicated().sum())
    problems += [f"{twice} recordings are in more than one subset"] if twice else []
    found = sum(len(files) for files in here.values()) - len(extra)
    return CheckReport(len(raw.utterances), found, sorted(missing), sorted(extra), problems)


def _utterances(raw: Raw, first: pd.DataFrame, root: Path) -> pd.DataFrame:
    names = [SUBSETS[subset] for subset in first["subset"]]
    here = {
        SUBSETS.index(subset): (
            path.parent.relative_to(root).as_posix(),
            dict(_recordings(path.parent)),
        )
        for subset, path in raw.files.items()
    }
    stems = _stems(first["audio_path"])
    files, excluded = [], []
    for subset, stem, named in zip(first["subset"], stems, first["audio_path"], strict=True):
        folder, recordings = here[subset]
        files.append(f"{folder}/{recordings.get(stem, named)}")
        excluded.append("" if stem in recordings else NO_RECORDING)
    return pd.DataFrame(
        {
            "file": files,
            "duration": first["duration"].to_numpy(),
            "speaker": first["source_id"].to_numpy(),
            "session": first["source_id"].to_numpy(),
            "language": "ru",
            "text": first["speaker_text"].to_numpy(),
            "split": [name.split("_")[1] for name in names],
            "excluded": excluded,
            "domain": [name.split("_")[0] for name in names],
            "intended": first["speaker_emo"].replace(EMOTIONS).to_numpy(),
        },
        index=raw.utterances.take(first["utterance"].to_numpy()),
    )


def _is_train(subset: int) -> bool:
    return SUBSETS[subset].endswith("train")


def _stems(paths: pd.Series) -> pd.Series:
    """What a recording is called without its ending, in any copy of the release."""
    return paths.str.rpartition(".")[0]


def _recordings(folder: Path) -> Iterator[tuple[str, str]]:
    """Stem and name of every audio file below a subset's folder, relative to it."""
    for here, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name[0] != "."]
        prefix = "" if here == str(folder) else f"{Path(here).relative_to(folder).as_posix()}/"
        for name in names:
            stem, _, ending = name.rpartition(".")
            if f".{ending.lower()}" in AUDIO_ENDINGS and not name.startswith("."):
                yield prefix + stem, prefix + name


def _card(raw: Raw) -> dict[str, Any]:
    card: dict[str, Any] = {**CARD, "subsets": list(raw.files)}
    if told := [str(note) for note in notes(raw)]:
        card["notes"] = told
    strange = int((raw.gold == UNKNOWN_GOLD).sum())
    return card | ({"n_unknown_gold": strange} if strange else {})
