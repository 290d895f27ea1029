"""Corpora by name: each loads from the folder it was unpacked into, and says what is missing."""

from collections.abc import Callable
from dataclasses import dataclass

from affekt.corpora import crema_d, emodb, emovo, generic, nemo, ravdess, tess, toy, urdu
from affekt.corpora.tree import CheckReport
from affekt.corpus import Corpus
from affekt.exceptions import CorpusError

__all__ = ["CORPORA", "CheckReport", "CorpusSource", "source"]


@dataclass(frozen=True)
class CorpusSource:
    """How to get a corpus from its folder.

    Attributes:
        title: one line for lists.
        load: `load(root, ...)` -> Corpus; further keywords are the corpus' own.
        check: `check(root)` -> CheckReport.
    """

    title: str
    load: Callable[..., Corpus]
    check: Callable[..., CheckReport]


CORPORA: dict[str, CorpusSource] = {
    "crema-d": CorpusSource(
        "7442 clips, 91 actors, 6 emotions, English, with votes", crema_d.load, crema_d.check
    ),
    "ravdess": CorpusSource(
        "1440 clips, 24 actors, 8 emotions, English", ravdess.load, ravdess.check
    ),
    "nemo": CorpusSource("4481 clips, 9 actors, 6 emotions, Polish", nemo.load, nemo.check),
    "tess": CorpusSource("2800 clips, 2 actors, 7 emotions, English", tess.load, tess.check),
    "emovo": CorpusSource("588 clips, 6 actors, 7 emotions, Italian", emovo.load, emovo.check),
    "emodb": CorpusSource("535 clips, 10 actors, 7 emotions, German", emodb.load, emodb.check),
    "urdu": CorpusSource("400 clips, 29 speakers, 4 emotions, Urdu", urdu.load, urdu.check),
    "affekt": CorpusSource(
        "any recordings, in a folder of Affekt's own format: card.json and tables",
        generic.load_written,
        generic.check_written,
    ),
    "csv": CorpusSource(
        "any recordings, listed in a table: file, label[, speaker, …]",
        generic.load_csv,
        generic.check_csv,
    ),
    "folder": CorpusSource(
        "any recordings, a folder for each label: [speaker/]label/name.wav",
        generic.load_folder,
        generic.check_folder,
    ),
    "toy": CorpusSource("72 synthetic clips, 6 speakers, 4 emotions", toy.load, toy.check),
}


def source(name: str) -> CorpusSource:
    """Look a corpus up.

    Raises:
        CorpusError: there is none of this name; the message lists those there are.
    """
    if name not in CORPORA:
        raise CorpusError(f"no corpus {name!r}: there are {', '.join(CORPORA)}")
    return CORPORA[name]
