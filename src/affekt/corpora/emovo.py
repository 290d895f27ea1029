"""EMOVO: six Italian actors, 14 sentences, seven emotions.

Costantini, Iaderola, Paoloni, Todisco (2014): EMOVO Corpus: an Italian Emotional Speech Database.
LREC 2014.
"""

import re
from itertools import product
from pathlib import Path
from typing import Any

from affekt.corpora.tree import CheckReport, assemble, compare, walk
from affekt.corpus import Corpus
from affekt.scheme import EKMAN_7

PATTERN = "dis-f1-b1 (emotion, actor, sentence)"

CARD = {
    "name": "emovo",
    "version": "2014",
    "licence": "research use; the distribution states no licence",
    "citation": "Costantini et al. (2014), LREC",
    "source": "http://voice.fub.it/activities/corpora/emovo/index.html",
    "language": "it",
}

EMOTIONS = {
    "dis": "disgust",
    "gio": "happiness",
    "neu": "neutral",
    "pau": "fear",
    "rab": "anger",
    "sor": "surprise",
    "tri": "sadness",
}
ACTORS = ("f1", "f2", "f3", "m1", "m2", "m3")
SENTENCES = (
    *("b1", "b2", "b3", "d1", "d2"),
    *("l1", "l2", "l3", "l4"),
    *("n1", "n2", "n3", "n4", "n5"),
)

_NAME = re.compile(
    rf"({'|'.join(EMOTIONS)})-({'|'.join(ACTORS)})-({'|'.join(SENTENCES)})", re.IGNORECASE
)


def load(root: str | Path, *, durations: bool = False) -> Corpus:
    """Load EMOVO; `text` is the sentence's code, since the tree does not give its words.

    Args:
        root: the folder of `f1` … `m3`, or one above it.
        durations: fill the column `duration` from the files' headers.

    Raises:
        CorpusError: no recording below `root`.
    """
    found = walk(root, _parse, PATTERN)
    return assemble(root, EKMAN_7, found, CARD, durations=durations)


def check(root: str | Path) -> CheckReport:
    """Compare the tree with the 588 names the corpus is made of."""
    names = ("-".join(parts) for parts in product(EMOTIONS, ACTORS, SENTENCES))
    return compare(names, walk(root, _parse, PATTERN))


def _parse(stem: str) -> dict[str, Any] | None:
    match = _NAME.fullmatch(stem.strip().lower())
    if match is None:
        return None
    emotion, actor, sentence = match.groups()
    return {
        "utterance": match.group(),
        "label": EMOTIONS[emotion],
        "speaker": actor,
        "sex": "female" if actor[0] == "f" else "male",
        "language": "it",
        "text": sentence,
    }
