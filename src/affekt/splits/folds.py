"""Folds made from the utterances table: by speaker, session, corpus, official, stratified.

Every maker keeps rows with a reason in `excluded` out of the train parts; they stay in the test
parts, so that a test part is what its corpus says it is. Fold membership depends on the ids and
the seed alone, never on the order of the rows.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from affekt.exceptions import SplitError

HELD_OUT_FOLDS = 5  # one of so many parts of the training speakers is held out


@dataclass(frozen=True)
class Split:
    """One fold: the utterance ids to train on and those to test on.

    Raises:
        SplitError: a part is empty, names an id twice, or shares an id with the other part.

    >>> Split("half", ("a", "b"), ("c",)).test
    ('c',)
    """

    name: str
    train: tuple[str, ...]
    test: tuple[str, ...]

    def __post_init__(self) -> None:
        for part, ids in (("train", self.train), ("test", self.test)):
            if not ids:
                raise SplitError(f"split {self.name!r}: the {part} part is empty")
            if len(set(ids)) < len(ids):
                twice = sorted(utterance for utterance, n in Counter(ids).items() if n > 1)
                raise SplitError(f"split {self.name!r}: {part} names {some(twice)} more than once")
        both = sorted(set(self.train) & set(self.test))
        if both:
            raise SplitError(
                f"split {self.name!r}: {len(both)} utterance(s) are in train and in test "
                f"({some(both)}); give each to one part"
            )


def some(names: Sequence[str], limit: int = 5) -> str:
    """Name up to `limit` of many things, and say how many more there are.

    >>> some(["a", "b", "c"], limit=2)
    'a, b and 1 more'
    """
    shown = ", ".join(str(name) for name in names[:limit])
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit} more"


def speakers_of(utterances: pd.DataFrame) -> pd.Series:
    """Each utterance's speaker, unique across corpora; missing where nobody knows.

    With a column `corpus`, speaker `03` of `emodb` is `emodb/03`, so that equal codes of two
    corpora are two people; a speaker already written so is left alone.
    """
    return _within_corpus(utterances, "speaker")


def by_speaker(utterances: pd.DataFrame, n_folds: int, *, seed: int = 0) -> list[Split]:
    """Make `n_folds` folds, each speaker tested in exactly one, the utterances spread evenly.

    Speakers are dealt largest first (equals in an order drawn from `seed`) to the fold with the
    fewest utterances so far, so two folds differ by at most the utterances of one speaker.

    Args:
        utterances: the table, every `speaker` known.
        n_folds: 2 .. number of speakers.
        seed: which of the equally good deals.

    Raises:
        SplitError: unknown speakers, or fewer speakers than folds.
    """
    counts = _known(speakers_of(utterances), "speaker").value_counts()
    if len(counts) < 2:
        raise SplitError(_only_one("speaker", list(counts.index)))
    if not 2 <= n_folds <= len(counts):
        raise SplitError(
            f"{n_folds} folds by speaker cannot be made of {len(counts)} speakers; "
            f"give n_folds (--folds) from 2 to {len(counts)}"
        )
    drawn = np.random.default_rng(seed).permutation(sorted(counts.index)).tolist()
    sizes = [0] * n_folds
    members: list[list[str]] = [[] for _ in range(n_folds)]
    for speaker in sorted(drawn, key=lambda name: -counts[name]):
        fold = min(range(n_folds), key=lambda k: (sizes[k], len(members[k])))
        sizes[fold] += int(counts[speaker])
        members[fold].append(speaker)
    names = [f"by-speaker-seed-{seed}-fold-{k + 1}-of-{n_folds}" for k in range(n_folds)]
    return from_groups(utterances, dict(zip(names, members, strict=True)))


def held_out_speakers(utterances: pd.DataFrame, *, seed: int = 0) -> Split | None:
    """Part a training part: most speakers are learned from, a fifth says when that went best.

    The first of `HELD_OUT_FOLDS` folds by speaker, or of as many as there are speakers.

    Args:
        utterances: of the training part, every `speaker` known.
        seed: which of the equally good deals.

    Returns:
        None where one speaker is alone: nobody is left to be held out.

    Raises:
        SplitError: unknown speakers.
    """
    n_speakers = _known(speakers_of(utterances), "speaker").nunique()
    if n_speakers < 2:
        return None
    return by_speaker(utterances, min(HELD_OUT_FOLDS, n_speakers), seed=seed)[0]


def leave_one_speaker_out(utterances: pd.DataFrame) -> list[Split]:
    """One fold a speaker, tested alone; the speakers in sorted order.

    Raises:
        SplitError: unknown speakers, or only one speaker.
    """
    speakers = _known(speakers_of(utterances), "speaker")
    return _leave_each_out(utterances, speakers, "speaker")


def by_session(utterances: pd.DataFrame) -> list[Split]:
    """One fold a session, tested alone (the custom for IEMOCAP); sessions in sorted order.

    Raises:
        SplitError: unknown sessions, or only one session.
    """
    sessions = _known(_within_corpus(utterances, "session"), "session")
    return _leave_each_out(utterances, sessions, "session")


def leave_one_corpus_out(utterances: pd.DataFrame) -> list[Split]:
    """One fold a corpus, tested alone: how a model does on a corpus it never met.

    Raises:
        SplitError: no column `corpus`, or only one corpus.
    """
    if "corpus" not in utterances:
        raise SplitError(
            "leave one corpus out needs a column 'corpus'; join corpora with concat "
            "(`affekt audit`: give --corpus NAME=ROOT for each)"
        )
    return _leave_each_out(utterances, _known(utterances["corpus"], "corpus"), "corpus")


def from_groups(utterances: pd.DataFrame, folds: Mapping[str, Iterable[str]]) -> list[Split]:
    """Folds from lists of speakers: each fold tests its speakers and trains on all others.

    Args:
        utterances: the table, every `speaker` known.
        folds: fold name -> the speakers it tests (`corpus/speaker` where there is a `corpus`).

    Raises:
        SplitError: unknown speakers, a speaker nobody is called, or a part left empty.

    >>> rows = pd.DataFrame({"speaker": ["x", "x", "y"]}, index=["a", "b", "c"])
    >>> from_groups(rows, {"first": ["x"]})
    [Split(name='first', train=('c',), test=('a', 'b'))]
    """
    speakers = _known(speakers_of(utterances), "speaker")
    splits = []
    for name, wanted in folds.items():
        group = set(wanted)
        strange = sorted(group - set(speakers))
        if strange:
            raise SplitError(f"fold {name!r}: no utterance is spoken by {some(strange)}")
        splits.append(split_at(utterances, name, speakers.isin(group).to_numpy()))
    return splits


def official(utterances: pd.DataFrame) -> list[Split]:
    """The split the corpus came with: column `split`, one fold for each value `test…`.

    Rows of `dev…` or `val…` are in neither part, nor are rows without a value, nor, in each fold,
    the other test sets (MSP-Podcast has three).

    Raises:
        SplitError: no value in the column, an unknown value, or no train or test rows.
    """
    values = utterances["split"] if "split" in utterances else pd.Series(pd.NA, utterances.index)
    part = values.astype("object").map(lambda value: str(value).strip().lower(), na_action="ignore")
    known = part.dropna()
    if known.empty:
        raise SplitError("the corpus has no official split: its column 'split' is empty")
    strange = sorted(set(known[~known.str.match(r"train|dev|val|test")]))
    if strange:
        raise SplitError(f"column split says {some(strange)}; known are train, dev, val, test…")
    tests = sorted(set(known[known.str.startswith("test")]))
    if not tests:
        raise SplitError("the official split has no test rows")
    train = part.str.startswith("train").eq(True)
    return [
        split_at(
            utterances[train | part.eq(test)],
            f"official-{test}",
            part[train | part.eq(test)].eq(test).to_numpy(),
        )
        for test in tests
    ]


def stratified(
    utterances: pd.DataFrame, labels: pd.Series, *, test_share: float = 0.25, seed: int = 0
) -> list[Split]:
    """One fold that tests the same share of every label, whoever speaks (spec 6, EmoBox's custom).

    It shares speakers between train and test nearly always, so the guard refuses it unless asked:
    report it only beside a speaker-disjoint split.

    Args:
        utterances: the table.
        labels: one hard label an utterance, by id; utterances without one are in neither part.
        test_share: share of each label's utterances, rounded, in 0 .. 1.
        seed: which utterances.

    Raises:
        SplitError: the share is not between 0 and 1, or a part is left empty.
    """
    if not 0 < test_share < 1:
        raise SplitError(f"test_share is {test_share}; it must lie between 0 and 1")
    labels = labels.dropna()
    rows = utterances[utterances.index.isin(labels.index)]
    rng = np.random.default_rng(seed)
    test: set[str] = set()
    for _, members in sorted(labels[labels.index.isin(rows.index)].groupby(labels)):
        drawn = rng.permutation(sorted(members.index)).tolist()
        test.update(drawn[: round(test_share * len(drawn))])
    share = f"{100 * test_share:g}"
    return [split_at(rows, f"stratified-{share}-seed-{seed}", rows.index.isin(test))]


def split_at(utterances: pd.DataFrame, name: str, tested: np.ndarray) -> Split:
    """The fold that tests the rows marked True and trains on the others that are not excluded."""
    trainable = ~tested
    if "excluded" in utterances:
        trainable &= (utterances["excluded"].fillna("") == "").to_numpy()
    ids = utterances.index.astype(str)
    return Split(name, tuple(ids[trainable]), tuple(ids[tested]))


def _leave_each_out(utterances: pd.DataFrame, groups: pd.Series, what: str) -> list[Split]:
    names = sorted(set(groups))
    if len(names) < 2:
        raise SplitError(_only_one(what, names))
    return [split_at(utterances, f"{what}-{n}", (groups == n).to_numpy()) for n in names]


def _only_one(what: str, names: Sequence[str]) -> str:
    return f"there is only one {what} ({some(names)}): nothing is left to train on"


def _within_corpus(utterances: pd.DataFrame, column: str) -> pd.Series:
    if column not in utterances:
        return pd.Series(None, index=utterances.index, dtype=object)
    names = utterances[column].astype(object)
    if "corpus" in utterances:
        pairs = zip(utterances["corpus"].fillna(""), names, strict=True)
        names = pd.Series([_prefixed(*pair) for pair in pairs], utterances.index, dtype=object)
    return names.where(names.notna(), None)


def _prefixed(corpus: str, name: str | None) -> str | None:
    if pd.isna(name) or str(name).startswith(f"{corpus}/"):
        return name
    return f"{corpus}/{name}"


def _known(groups: pd.Series, what: str) -> pd.Series:
    unknown = groups.index[groups.isna()].astype(str).tolist()
    if unknown:
        raise SplitError(
            f"the {what} of {len(unknown)} utterance(s) is unknown ({some(unknown)}); "
            f"fill the column {what!r} or leave these rows out"
        )
    return groups.astype(str)
