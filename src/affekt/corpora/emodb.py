"""EmoDB: ten German actors, ten sentences, seven emotions (spec 6.8).

Burkhardt, Paeschke, Rolfes, Sendlmeier, Weiss (2005): A Database of German Emotional Speech.
Interspeech 2005, doi:10.21437/Interspeech.2005-446.
"""

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from affekt.corpora.tree import CheckReport, assemble, compare, find_file, walk
from affekt.corpus import Corpus
from affekt.exceptions import CorpusError
from affekt.scheme import EMODB_7

PATTERN = "03a01Fa (speaker, sentence, emotion, version)"

CARD = {
    "name": "emodb",
    "version": "1.0",
    "licence": "research use",
    "citation": "Burkhardt et al. (2005), doi:10.21437/Interspeech.2005-446",
    "source": "http://emodb.bilderbar.info",
    "language": "de",
}

EMOTIONS = {
    "W": "anger",
    "L": "boredom",
    "E": "disgust",
    "A": "fear",
    "F": "happiness",
    "N": "neutral",
    "T": "sadness",
}
OFFICIAL_COUNTS = {"W": 127, "L": 81, "E": 46, "A": 69, "F": 71, "T": 62, "N": 79}  # 535

SPEAKERS = {
    "03": ("male", 31),
    "08": ("female", 34),
    "09": ("female", 21),
    "10": ("male", 32),
    "11": ("male", 26),
    "12": ("male", 30),
    "13": ("female", 32),
    "14": ("female", 35),
    "15": ("male", 25),
    "16": ("female", 31),
}

SENTENCES = {
    "a01": "Der Lappen liegt auf dem Eisschrank.",
    "a02": "Das will sie am Mittwoch abgeben.",
    "a04": "Heute abend könnte ich es ihm sagen.",
    "a05": "Das schwarze Stück Papier befindet sich da oben neben dem Holzstück.",
    "a07": "In sieben Stunden wird es soweit sein.",
    "b01": "Was sind denn das für Tüten, die da unter dem Tisch stehen?",
    "b02": "Sie haben es gerade hochgetragen und jetzt gehen sie wieder runter.",
    "b03": "An den Wochenenden bin ich jetzt immer nach Hause gefahren und habe Agnes besucht.",
    "b09": "Ich will das eben wegbringen und dann mit Karl was trinken gehen.",
    "b10": "Die wird auf dem Platz sein, wo wir sie immer hinlegen.",
}

MIN_RECOGNITION = 80.0  # per cent of listeners; what was released reaches it
MIN_NATURALNESS = 60.0  # per cent; the 494 utterances of the literature reach both
N_RELEASED = 535

_UNRELEASED = """
03a02Ab 03a04Ac 03a04Wa 03a07Ea 03b01Ed 03b02Tc 03b03Fc 03b09Fa 08a04Aa 08a05Aa 08a07Aa
08b01Eb 08b01Ta 08b02Ac 08b03Aa 08b03Ab 09a04Ab 09a04Ea 09a05Aa 09a07Aa 09b02Fb 09b03Aa
09b09Ad 09b10Ea 10a01Fb 10a04Eb 10a05Eb 10a05Na 10a07Eb 10b01Wb 10b03Aa 10b03Fd 10b09Ae
10b09Ea 10b09Ta 10b10Aa 11a01Fa 11a02Ab 11a04Eb 11a04Ec 11a07Ec 11a07Fd 11a07Nb 11b01Fb
11b10Wb 12a01Ab 12a02Ta 12a04Aa 12a07Ec 12a07Nb 12b01Ea 12b01Fd 12b01Nb 12b03Ab 12b03Wd
12b09Ea 12b09Lc 13a05Fa 13b02Aa 13b02Ea 13b09Ac 14a01Fa 14a05Ea 14b02Eb 14b09Tb 15a04Eb
15a04Tb 15a05Ab 15a05Ta 15a05Tb 15b01Aa 15b01Ta 15b02Eb 15b03Eb 15b09Eb 15b10Ta 16a02Aa
16a02Fc
"""
"""Recordings with recognition >= 80 that are nevertheless not among the 535 released ones."""

_TABLE = "erkennung.txt"
_NAME = re.compile(
    rf"({'|'.join(SPEAKERS)})({'|'.join(SENTENCES)})([{''.join(EMOTIONS)}])([a-z])", re.IGNORECASE
)


def load(root: str | Path, *, subset_494: bool = False, durations: bool = False) -> Corpus:
    """Load EmoDB; boredom is a category of its own here.

    Args:
        root: the folder of `wav` and `erkennung.txt`, or one above it.
        subset_494: only what listeners recognised to at least 80 % and found natural to at least
            60 %: the 494 utterances of the literature, as far as they are in the tree (one of
            them, 14b09Tb, was never released).
        durations: fill the column `duration` from the files' headers.

    Returns:
        The corpus. Further columns: `recognition` and `naturalness` in per cent, missing where
        `erkennung.txt` is, and `version`.

    Raises:
        CorpusError: no recording below `root`; the subset is wanted but `erkennung.txt` is absent.
    """
    found = walk(root, _parse, PATTERN)
    judged = judgements(root)
    if subset_494 and not judged:
        raise CorpusError(f"{root}: the 494 subset needs {_TABLE}, which is not there")
    for utterance, row in found.rows.items():
        row["recognition"], row["naturalness"] = judged.get(utterance, (None, None))
    corpus = assemble(root, EMODB_7, found, CARD, durations=durations)
    if not subset_494:
        return corpus
    table = corpus.utterances
    good = (table["recognition"] >= MIN_RECOGNITION) & (table["naturalness"] >= MIN_NATURALNESS)
    return replace(corpus.select(table.index[good]), card={**corpus.card, "subset": "494"})


def check(root: str | Path) -> CheckReport:
    """Compare the tree with the 535 released recordings, by name where `erkennung.txt` is there."""
    found = walk(root, _parse, PATTERN)
    if find_file(root, _TABLE) is not None:
        return compare(released(root), found)
    report = compare(found.rows, found, [f"{_TABLE} is not there: missing files have no names"])
    counts = Counter(utterance[5] for utterance in found.rows)
    missing = [
        f"{n - counts[code]} of {n} recordings of {EMOTIONS[code]}"
        for code, n in OFFICIAL_COUNTS.items()
        if counts[code] < n
    ]
    return replace(report, expected=N_RELEASED, missing=missing)


def judgements(root: str | Path) -> dict[str, tuple[float, float]]:
    """Recognition and naturalness in per cent of all 816 recordings; empty without the table.

    The table is Latin-1, its cells padded with non-breaking spaces, its decimals have commas.
    """
    path = find_file(root, _TABLE)
    if path is None:
        return {}
    judged = {}
    for line in path.read_text(encoding="latin-1").splitlines()[1:]:
        cells = [cell.strip() for cell in line.split("\t")]  # strip knows non-breaking spaces
        if len(cells) < 4:
            continue
        columns = _parse(Path(cells[1]).stem)
        try:
            recognised, natural = (float(cell.replace(",", ".")) for cell in cells[2:4])
        except ValueError as problem:
            raise CorpusError(f"{path}: row {line.strip()!r} has no two percentages") from problem
        if columns is not None:
            judged[columns["utterance"]] = (recognised, natural)
    return judged


def released(root: str | Path) -> set[str]:
    """The ids of the 535 released recordings, by `erkennung.txt`; empty without the table."""
    judged = judgements(root).items()
    good = {utterance for utterance, (recognised, _) in judged if recognised >= MIN_RECOGNITION}
    return good.difference(_UNRELEASED.split())


def _parse(stem: str) -> dict[str, Any] | None:
    match = _NAME.fullmatch(stem.strip())
    if match is None:
        return None
    speaker, sentence, emotion = match[1], match[2].lower(), match[3].upper()
    sex, age = SPEAKERS[speaker]
    return {
        "utterance": f"{speaker}{sentence}{emotion}{match[4].lower()}",
        "label": EMOTIONS[emotion],
        "speaker": speaker,
        "sex": sex,
        "age": age,
        "language": "de",
        "text": SENTENCES[sentence],
        "version": match[4].lower(),
    }
