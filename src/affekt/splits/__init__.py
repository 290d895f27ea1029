"""Who is trained on and who is tested on: folds, their files, and the guard against leaks."""

from affekt.splits.folds import (
    Split,
    by_session,
    by_speaker,
    from_groups,
    held_out_speakers,
    leave_one_corpus_out,
    leave_one_speaker_out,
    official,
    speakers_of,
    stratified,
)
from affekt.splits.leaks import Audit, audit, guard, leak_table
from affekt.splits.lists import emobox, read, write
from affekt.splits.named import KINDS, named

__all__ = [
    "KINDS",
    "Audit",
    "Split",
    "audit",
    "by_session",
    "by_speaker",
    "emobox",
    "from_groups",
    "guard",
    "held_out_speakers",
    "leak_table",
    "leave_one_corpus_out",
    "leave_one_speaker_out",
    "named",
    "official",
    "read",
    "speakers_of",
    "stratified",
    "write",
]
