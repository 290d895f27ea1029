"""Does anybody, or any recording, stand on both sides of a split?"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pandas as pd

from affekt.exceptions import SplitError
from affekt.splits.folds import Split, some, speakers_of


@dataclass(frozen=True, eq=False)
class Audit:
    """What train and test of one fold have in common.

    Attributes:
        split: the fold that was looked at.
        shared_speakers: index speaker, columns n_train, n_test (utterances).
        unknown_speakers: ids whose speaker nobody knows and who might stand on both sides.
        shared_audio: index fingerprint, columns train, test (the ids, joined by blanks); None
            where no fingerprints were given.
        shared_texts: index text, columns n_train, n_test. Information: acted corpora read the
            same sentences on both sides.
    """

    split: Split
    shared_speakers: pd.DataFrame
    unknown_speakers: tuple[str, ...]
    shared_audio: pd.DataFrame | None
    shared_texts: pd.DataFrame

    def table(self) -> pd.DataFrame:
        """One row: the fold, its sizes, how much is shared (`shared_audio` NA: not looked)."""
        audio = pd.NA if self.shared_audio is None else len(self.shared_audio)
        row = {
            "fold": self.split.name,
            "n_train": len(self.split.train),
            "n_test": len(self.split.test),
            "shared_speakers": len(self.shared_speakers),
            "unknown_speakers": len(self.unknown_speakers),
            "shared_audio": pd.array([audio], dtype="Int64"),
            "shared_texts": len(self.shared_texts),
        }
        return pd.DataFrame(row, index=[0])

    def leaks(self) -> tuple[str, ...]:
        """What breaks the promise of new voices, a clause each; none for a clean split."""
        clauses = []
        if len(self.shared_speakers):
            speakers = sorted(self.shared_speakers.index)
            clauses.append(
                f"{len(speakers)} speaker(s) are in train and in test ({some(speakers)})"
            )
        if self.unknown_speakers:
            unknown = self.unknown_speakers
            clauses.append(
                f"the speaker of {len(unknown)} utterance(s) is unknown ({some(unknown)})"
            )
        if self.shared_audio is not None and len(self.shared_audio):
            pairs = [f"{a.split()[0]} = {b.split()[0]}" for a, b in self.shared_audio.to_numpy()]
            clauses.append(f"{len(pairs)} recording(s) are in train and in test ({some(pairs)})")
        return tuple(clauses)


def audit(
    split: Split, utterances: pd.DataFrame, fingerprints: Mapping[str, str] | None = None
) -> Audit:
    """Look for speakers, recordings and texts that stand on both sides of a split.

    Speakers are compared as (corpus, speaker) where there is a column `corpus`. An unknown
    speaker counts where the other part has utterances of the same corpus.

    Args:
        split: the fold.
        utterances: a table that has all ids of the split.
        fingerprints: id -> hash of the decoded audio (`audio.fingerprint`); None: not compared.

    Raises:
        SplitError: the split or the fingerprints do not fit the table.
    """
    train, test = _rows(split, utterances, "train"), _rows(split, utterances, "test")
    return Audit(
        split,
        _shared_counts(speakers_of(train), speakers_of(test)),
        tuple(_unknown(train, test)),
        None if fingerprints is None else _shared_audio(split, fingerprints),
        _shared_counts(_texts(train), _texts(test)),
    )


def leak_table(audits: Iterable[Audit]) -> pd.DataFrame:
    """The rows of `Audit.table` for all folds, in one table."""
    return pd.concat([audit.table() for audit in audits], ignore_index=True)


def guard(
    split: Split,
    utterances: pd.DataFrame,
    *,
    fingerprints: Mapping[str, str] | None = None,
    allow_shared_speakers: bool = False,
) -> str | None:
    """Refuse a split whose score would not hold on new voices.

    Args:
        split: the fold.
        utterances: a table that has all ids of the split.
        fingerprints: id -> hash of the decoded audio; None: recordings are not compared.
        allow_shared_speakers: go on, but with a sentence that must open the report.

    Returns:
        None for a clean split; else, where it is allowed, the first line of the report.

    Raises:
        SplitError: speakers or recordings are shared, or speakers unknown, and it is not allowed.
    """
    leaks = "; ".join(audit(split, utterances, fingerprints).leaks())
    if not leaks:
        return None
    if allow_shared_speakers:
        return (
            f"NOT SPEAKER-DISJOINT, the scores do not hold for new voices: {split.name}: {leaks}."
        )
    raise SplitError(
        f"split {split.name!r}: {leaks}; split by speaker, or pass allow_shared_speakers "
        "(--allow-shared-speakers) and the report will say so"
    )


def _rows(split: Split, utterances: pd.DataFrame, part: str) -> pd.DataFrame:
    ids = pd.Index(split.train if part == "train" else split.test)
    strange = ids.difference(utterances.index, sort=False).tolist()
    if strange:
        raise SplitError(
            f"split {split.name!r}: {len(strange)} {part} utterance(s) are not in the table "
            f"({some(strange)}); the split belongs to another version of the corpus"
        )
    return utterances.loc[ids]


def _shared_counts(train: pd.Series, test: pd.Series) -> pd.DataFrame:
    """How often each value that both sides have occurs on each side; missing ones are nobody's."""
    counts = pd.DataFrame({"n_train": train.value_counts(), "n_test": test.value_counts()})
    return counts.dropna().astype(int).sort_index()


def _unknown(train: pd.DataFrame, test: pd.DataFrame) -> list[str]:
    found: list[str] = []
    for here, there in ((train, test), (test, train)):
        unknown = here[speakers_of(here).isna()]
        if "corpus" in here:
            unknown = unknown[unknown["corpus"].fillna("").isin(there["corpus"].fillna(""))]
        found.extend(unknown.index.astype(str))
    return found


def _texts(rows: pd.DataFrame) -> pd.Series:
    if "text" not in rows:
        return pd.Series([], dtype=object)
    texts = rows["text"].dropna().map(lambda text: " ".join(str(text).casefold().split()))
    return texts[texts != ""]


def _shared_audio(split: Split, fingerprints: Mapping[str, str]) -> pd.DataFrame:
    silent = [i for i in (*split.train, *split.test) if i not in fingerprints]
    if silent:
        raise SplitError(
            f"split {split.name!r}: {len(silent)} utterance(s) have no fingerprint ({some(silent)})"
        )
    ids: dict[str, dict[str, list[str]]] = {"train": {}, "test": {}}
    for part, members in (("train", split.train), ("test", split.test)):
        for utterance in members:
            ids[part].setdefault(fingerprints[utterance], []).append(utterance)
    shared = sorted(set(ids["train"]) & set(ids["test"]))
    rows = [(" ".join(ids["train"][key]), " ".join(ids["test"][key])) for key in shared]
    return pd.DataFrame(rows, pd.Index(shared, name="fingerprint"), ["train", "test"])
