"""Splits by the names that the command line knows."""

import pandas as pd

from affekt.exceptions import SplitError
from affekt.splits.folds import (
    Split,
    by_session,
    by_speaker,
    leave_one_corpus_out,
    leave_one_speaker_out,
    official,
    speakers_of,
    stratified,
)
from affekt.splits.lists import emobox, read

KINDS = (
    "by-speaker, leave-one-speaker-out, leave-one-corpus-out, by-session, official, stratified, "
    "emobox:FILE or file:TABLE"
)
MOST_FOLDS = 5  # by speaker, where nobody asks for another number


def named(
    kind: str,
    utterances: pd.DataFrame,
    labels: pd.DataFrame,
    *,
    n_folds: int | None = None,
    seed: int = 0,
    allow_missing: bool = False,
) -> list[Split]:
    """Make or read the splits that a name stands for.

    Args:
        kind: one of `KINDS`.
        utterances: the corpus' table.
        labels: the corpus' labels, for `stratified`.
        n_folds: of by-speaker; None = `MOST_FOLDS`, or one a speaker where they are fewer.
        seed: of by-speaker and stratified.
        allow_missing: for emobox, go on without the rows that have no recording.

    Raises:
        SplitError: no such kind, or the split cannot be made.
    """
    name, _, file = kind.partition(":")
    match name:
        case "by-speaker":
            if n_folds is None:
                n_folds = max(2, min(MOST_FOLDS, speakers_of(utterances).nunique()))
            return by_speaker(utterances, n_folds, seed=seed)
        case "leave-one-speaker-out":
            return leave_one_speaker_out(utterances)
        case "leave-one-corpus-out":
            return leave_one_corpus_out(utterances)
        case "by-session":
            return by_session(utterances)
        case "official":
            return official(utterances)
        case "stratified":
            return stratified(utterances, labels.idxmax(axis=1), seed=seed)
        case "emobox" if file:
            return emobox(utterances, file, allow_missing=allow_missing)
        case "file" if file:
            return read(file)
    raise SplitError(f"--split {kind!r} is none of {KINDS}")
