"""MSP-IMPROV: acted dyads around target sentences, with every rater's answers (spec 6.3).

Busso, Parthasarathy, Burmania, AbdelWahab, Sadoughi, Mower Provost (2017): MSP-IMPROV: an acted
corpus of dyadic interactions to study emotion perception. IEEE Transactions on Affective Computing
8(1), 67-80, doi:10.1109/TAFFC.2016.2515617.
"""

import math
import re
from pathlib import Path
from typing import Any

import pandas as pd

from affekt.corpora.tree import CheckReport, Walk, assemble, compare, find_file, listed, read_text
from affekt.corpus import Corpus
from affekt.exceptions import CorpusError
from affekt.scheme import MSP_IMPROV_5

CARD = {
    "name": "msp-improv",
    "version": "2017",
    "licence": "academic licence of the University of Texas at Dallas",
    "citation": "Busso et al. (2017), doi:10.1109/TAFFC.2016.2515617",
    "source": "https://ecs.utdallas.edu/research/researchlabs/msp-lab/MSP-Improv.html",
    "language": "en",
    "scales": {"arousal": [1, 5], "valence": [1, 5], "dominance": [1, 5], "naturalness": [1, 5]},
}

CODES = {"A": "anger", "H": "happiness", "N": "neutral", "S": "sadness", "O": "other"}
NO_AGREEMENT = "X"

WORDS = {"angry": "anger", "happy": "happiness", "neutral": "neutral", "sad": "sadness"}
"""What raters answered -> the noun; any other word is `other`."""

KINDS = {"P": "natural interaction", "R": "read", "S": "improvised target", "T": "other turn"}

DIMENSIONS = {"A": "arousal", "V": "valence", "D": "dominance", "N": "naturalness"}

FILES = ("Evalution.txt", "Evaluation.txt")  # the release misspells it

_NAME = re.compile(r"IMPROV-S(\d\d)([AHNS])-([FM])(\d\d)-([PRST])-([FM]{2}\d\d)")
_HEAD = re.compile(
    r"UTD-(IMPROV-[\w-]+)\.avi\s*;\s*(\w)\s*;(.*);\s*", re.IGNORECASE
)  # a blank before the last semicolon in the release
_NUMBER = re.compile(r"\s*([AVDN])\s*:\s*(NaN|\d+(?:\.\d+)?)\s*", re.IGNORECASE)


def load(root: str | Path, *, durations: bool = False) -> Corpus:
    """Load MSP-IMPROV; labels are the raters' published consensus, votes each rater's answer.

    Turns without agreement (code X) have no label, but votes. Turns whose recording is missing
    stay, `excluded` as "no recording". Rows that repeat a rater's answer on a turn are copies in
    the release: the first is taken.

    Args:
        root: the folder of `Evalution.txt` and `session1` to `session6`, or one above it.
        durations: fill the column `duration` from the files' headers.

    Returns:
        The corpus. Votes have a column `others`: the further emotions the rater heard, as written.
        Ratings have the dimensions arousal, valence, dominance and naturalness, 1 to 5. Further
        columns of utterances: `consensus` (the published code), `intended` (what the actor was to
        show), `kind` (one of `KINDS`), `sentence`, and the published means of the dimensions.

    Raises:
        CorpusError: no evaluation file below `root`, or it is cut or foreign.
    """
    found, votes, ratings = _read(Path(root))
    return assemble(
        root, MSP_IMPROV_5, found, CARD, durations=durations, votes=votes, ratings=ratings
    )


def check(root: str | Path) -> CheckReport:
    """Name the evaluated turns without a recording, and the recordings nobody evaluated."""
    found, _, _ = _read(Path(root))
    return compare(found.rows, found)


def _read(root: Path) -> tuple[Walk, pd.DataFrame, pd.DataFrame]:
    path = next((path for name in FILES if (path := find_file(root, name))), None)
    if path is None:
        raise CorpusError(f"{root}: no {FILES[0]} below it")
    base = path.parent.relative_to(root)
    rows: dict[str, dict[str, Any]] = {}
    votes: dict[tuple[str, str], tuple[str, str]] = {}  # utterance, rater -> label, others
    ratings: dict[tuple[str, str, str], float] = {}  # utterance, rater, dimension -> value
    utterance = ""
    for number, line in enumerate(read_text(path).splitlines(), 1):
        where = f"{path}, line {number}"
        if line.upper().startswith("UTD-"):
            utterance, row = _head(line, where)
            place = base / f"session{int(row['session'])}" / utterance[11:15] / utterance[20]
            rows[utterance] = {**row, "file": (place / f"{utterance}.wav").as_posix()}
        elif line.strip():
            _answer(line, where, utterance, votes, ratings)
    if not rows:
        raise CorpusError(f"{path}: no turn in it; each begins with UTD-IMPROV-….avi; code; …")
    ballots = [(*key, *answer) for key, answer in votes.items() if answer[0]]
    numbers = [(*key, value) for key, value in ratings.items()]
    return (
        listed(root, rows),
        pd.DataFrame(ballots, columns=["utterance", "rater", "label", "others"]),
        pd.DataFrame(numbers, columns=["utterance", "rater", "dimension", "value"]),
    )


def _head(line: str, where: str) -> tuple[str, dict[str, Any]]:
    match = _HEAD.fullmatch(line)
    name = None if match is None else _NAME.fullmatch(match[1].upper())
    if match is None or name is None:
        raise CorpusError(f"{where}: does not read as UTD-IMPROV-….avi; code; A:…; V:…; D:…; N:…;")
    sentence, intended, sex, session, kind, _ = name.groups()
    code = match[2].upper()
    if code not in CODES and code != NO_AGREEMENT:
        raise CorpusError(
            f"{where}: code {code!r} is not one of {', '.join(CODES)}, {NO_AGREEMENT}"
        )
    return f"MSP-{match[1].upper()}", {
        "label": CODES.get(code),
        "speaker": sex + session,
        "session": session,
        "sex": "female" if sex == "F" else "male",
        "language": "en",
        "consensus": code,
        "intended": CODES[intended],
        "kind": KINDS[kind],
        "sentence": sentence,
        **dict.fromkeys(DIMENSIONS.values(), math.nan),
        **_numbers(match[3].split(";"), where),
    }


def _answer(
    line: str,
    where: str,
    utterance: str,
    votes: dict[tuple[str, str], tuple[str, str]],
    ratings: dict[tuple[str, str, str], float],
) -> None:
    """A rater's line: `<id>; Angry; other words; A:4.0; V:2.0; D:3.0; N:4.0;`."""
    fields = [field.strip() for field in line.split(";")]
    if not utterance or len(fields) < 5 or not fields[0] or fields[-1]:
        raise CorpusError(f"{where}: does not read as a rater's answer, or is cut")
    rater, word, *others = fields[:-1]
    said = [field for field in others if not _NUMBER.fullmatch(field)]
    numbers = _numbers([field for field in others if _NUMBER.fullmatch(field)], where)
    label = "" if word.lower() in ("", "nan") else WORDS.get(word.lower(), "other")
    if (utterance, rater) in votes:
        return
    votes[utterance, rater] = label, "; ".join(filter(None, said))
    for dimension, value in numbers.items():
        ratings[utterance, rater, dimension] = value


def _numbers(fields: list[str], where: str) -> dict[str, float]:
    """Dimension -> value of `A:4.0`, `V:2.0`, …; those that are NaN are left out."""
    values = {}
    for field in fields:
        match = _NUMBER.fullmatch(field)
        if match is None:
            raise CorpusError(f"{where}: {field.strip()!r} does not read as A:number")
        if match[2].lower() != "nan":
            values[DIMENSIONS[match[1].upper()]] = float(match[2])
    return values
