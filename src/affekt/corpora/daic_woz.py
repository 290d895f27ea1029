"""DAIC-WOZ: interviews of 189 people by a virtual interviewer, depressed or not (spec 6.27).

Gratch et al. (2014): The Distress Analysis Interview Corpus of human and computer interviews.
LREC 2014, 3123-3128. Split and labels of AVEC 2017. Protocol: spec 2.9. The errata were collected
by Bailey, Plumbley (2021), EUSIPCO, arXiv:2010.15120.
"""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from affekt.corpora.rows import read_rows
from affekt.corpora.tree import CheckReport, assemble, audio_files, files_below, listed, read_text
from affekt.corpus import Corpus
from affekt.exceptions import CorpusError
from affekt.scheme import Categories

CARD = {
    "name": "daic-woz",
    "version": "2017",
    "licence": "for research, by agreement with the University of Southern California",
    "citation": "Gratch et al. (2014), LREC 2014, 3123-3128",
    "source": "https://dcapswoz.ict.usc.edu/",
    "language": "en",
}

DAIC_WOZ_2 = Categories("daic_woz_2", ("not depressed", "depressed"))
"""Of a person, not of what is heard in a turn; neither is an emotion."""

TABLES = {
    "train": ("train_split_Depression_AVEC2017.csv",),
    "validation": ("dev_split_Depression_AVEC2017.csv",),
    "test": ("full_test_split.csv", "test_split_Depression_AVEC2017.csv"),
}
"""Of the tables of the test part only the first has labels."""

N_PEOPLE = {"train": 107, "validation": 35, "test": 47}
NOT_RELEASED = ("342", "394", "398", "460")
LEAST_SCORE = 10  # of PHQ-8, 0 to 24: from here on a person counts as depressed

RELABELLED = {"409": "depressed"}
SHIFTED = {"318": 34.319917, "321": 3.8379167, "341": 6.1892, "362": 16.8582}
"""Seconds to add to a transcript's times."""
INTERRUPTED = {"373": (395.0, 428.0), "444": (286.0, 387.0)}
"""Seconds between which the interview rested and others speak."""
WHY_INTERRUPTED = "within an interruption of the interview"
WITHOUT_INTERVIEWER = ("451", "458", "480")

_COLUMNS = ["start_time", "stop_time", "speaker", "value"]
_TRANSCRIPT = re.compile(r"(\d{3})_TRANSCRIPT\.csv", re.IGNORECASE)
_SYNC = re.compile(r"[<\[]\s*synch?(?:ing)?\s*[>\]]", re.IGNORECASE)
_SEXES = {"0": "male", "1": "female"}

People = dict[str, dict[str, Any]]


def load(
    root: str | Path, *, errata: bool = True, shortest: float = 1.0, durations: bool = False
) -> Corpus:
    """Load DAIC-WOZ; an utterance is a turn of the participant, a line of the transcript.

    The label is the person's, of every turn alike: it says nothing of the single turn. Without
    `full_test_split.csv` the test part has no labels. Turns whose interview has no recording stay,
    `excluded` as "no recording".

    Args:
        root: the folder of the tables and of `300_P` to `492_P`, or one above it.
        errata: correct what is known to be wrong: person 409 is depressed (a score of 10), four
            transcripts are shifted, turns in two interruptions are `excluded`, and marks of
            synchronisation are taken from the texts, with lines that hold nothing else.
        shortest: turns of fewer seconds are left out and counted in the card (`n_short`).
        durations: does nothing more: every length is in the transcripts.

    Returns:
        The corpus; ids are `300_0012`, person and line of the transcript. `speaker` and `session`
        are the person, so that a split by speaker keeps interviews whole and `by_person` gives
        scores of people. `split` is train, validation (their dev) or test. Further column:
        `phq8`, the person's score. The card lists the `errata` that were applied and the people
        of the tables `without_transcript`.

    Raises:
        CorpusError: no table, a column it lacks, a person in two rows, no transcript, a line of
            one that is cut or whose times are no numbers.
    """
    root = Path(root)
    people = _people(root)
    places = _transcripts(root)
    applied: list[str] = []
    if errata:
        _relabel(people, applied)
    rows: dict[str, dict[str, Any]] = {}
    n_short = 0
    for person, path in places.items():
        if person not in people:
            continue
        turns, n = _turns(path, person, errata, shortest, applied)
        n_short += n
        sound = (path.parent / f"{person}_AUDIO.wav").relative_to(root).as_posix()
        rows |= {turn: {**people[person], **row, "file": sound} for turn, row in turns.items()}
    if not rows:
        raise CorpusError(
            f"{root}: no 300_P/300_TRANSCRIPT.csv of a person in the tables, or no turn in it of "
            f"{shortest:g} s"
        )
    card = {
        **CARD,
        "errata": applied,
        "n_short": n_short,
        "shortest": shortest,
        "without_transcript": [person for person in people if person not in places],
    }
    found = listed(root, rows, _interviews(root))
    return assemble(root, DAIC_WOZ_2, found, card, durations=durations)


def check(root: str | Path) -> CheckReport:
    """Count people, not turns: name those without transcript or recording, and list the errata."""
    root = Path(root)
    people, places = _people(root), _transcripts(root)
    sounds = {path.stem.split("_")[0]: path for path in _interviews(root)}
    there = {part: sum(row["split"] == part for row in people.values()) for part in TABLES}
    missing = [
        f"{n - there[part]} of {n} people of the part {part}: no {TABLES[part][0]}, or it is short"
        for part, n in N_PEOPLE.items()
        if there[part] < n
    ]
    for person in people:
        lost = [what for what, known in (("TRANSCRIPT.csv", places), ("AUDIO.wav", sounds))
                if person not in known]  # fmt: skip
        missing += [f"{person}_P/{person}_{what}" for what in lost]
    applied: list[str] = []
    _relabel(people, applied)
    for person in sorted(set(places) & set(people)):
        _turns(places[person], person, True, 0.0, applied)
    problems = [f"erratum: {line}" for line in applied]
    problems += [
        f"{person}: a score of {row['phq8']:g}, but labelled {row['label']}"
        for person, row in people.items()
        if not np.isnan(row["phq8"])
        and row["label"] is not None
        and (row["phq8"] >= LEAST_SCORE) != (row["label"] == "depressed")
    ]
    nobody = sum(row["label"] is None for row in people.values())
    if nobody:
        problems.append(f"{nobody} people have no label: full_test_split.csv has those of test")
    extra = sorted((set(places) | set(sounds)) - set(people))
    return CheckReport(
        expected=sum(N_PEOPLE.values()),
        found=sum(person in places and person in sounds for person in people),
        missing=missing,
        extra=[f"{person}_P: not in the tables" for person in extra],
        problems=problems,
    )


def by_person(table: pd.DataFrame, corpus: Corpus) -> pd.DataFrame:
    """The mean row of each person's turns: of predictions, scores that can be held against 0.5.

    Args:
        table: labels or predictions of turns (n turns x 2), indexed by utterance.
        corpus: whose turns they are.

    Returns:
        One row a person (n people x 2), indexed by the person's number as `utterance`.

    Raises:
        CorpusError: an utterance that is not in the corpus.
    """
    strange = table.index.difference(corpus.utterances.index)
    if len(strange):
        raise CorpusError(f"corpus {corpus.name!r} has no utterance {strange[0]!r}")
    people = corpus.utterances.loc[table.index, "speaker"]
    return table.groupby(people.to_numpy()).mean().rename_axis("utterance")


def _people(root: Path) -> People:
    """Person -> label, sex, part and score, as the tables say."""
    files = {path.name.lower(): path for path in reversed(files_below(root))}
    people: People = {}
    for part, names in TABLES.items():
        path = next((files[name.lower()] for name in names if name.lower() in files), None)
        for where, cells in [] if path is None else read_rows(path, []):
            known = {name.lower(): cell for name, cell in cells.items()}
            person = known.get("participant_id")
            if person is None:
                raise CorpusError(f"{path}: no column Participant_ID; it has {', '.join(cells)}")
            if not re.fullmatch(r"\d{3}", person) or person in people:
                raise CorpusError(f"{where}: {person!r} is no number as 300, or occurs twice")
            people[person] = {**_person(known, where), "split": part}
    if not people:
        tables = ", ".join(names[0] for names in TABLES.values())
        raise CorpusError(f"{root}: none of {tables} below it")
    return people


def _person(known: dict[str, str], where: str) -> dict[str, Any]:
    binary = known.get("phq8_binary", known.get("phq_binary", ""))
    score = known.get("phq8_score", known.get("phq_score", ""))
    if binary not in ("", "0", "1") or known.get("gender", "") not in ("", *_SEXES):
        raise CorpusError(f"{where}: PHQ8_Binary or Gender is neither 0 nor 1, or the row is cut")
    try:
        number = float(score) if score else float("nan")
    except ValueError as problem:
        raise CorpusError(f"{where}: PHQ8_Score {score!r} is no number") from problem
    return {
        "label": DAIC_WOZ_2.labels[int(binary)] if binary else None,
        "sex": _SEXES.get(known.get("gender", "")),
        "phq8": number,
    }


def _transcripts(root: Path) -> dict[str, Path]:
    """Person -> the shallowest transcript, in the order of the numbers."""
    found: dict[str, Path] = {}
    for path in files_below(root):
        if match := _TRANSCRIPT.fullmatch(path.name):
            found.setdefault(match[1], path)
    return dict(sorted(found.items()))


def _interviews(root: Path) -> list[Path]:
    return [path for path in audio_files(root) if re.fullmatch(r"\d{3}_AUDIO", path.stem.upper())]


def _relabel(people: People, applied: list[str]) -> None:
    for person, label in RELABELLED.items():
        if person in people and people[person]["label"] not in (None, label):
            people[person]["label"] = label
            applied.append(f"{person}: {label}, as the score of {people[person]['phq8']:g} says")


def _turns(
    path: Path, person: str, errata: bool, shortest: float, applied: list[str]
) -> tuple[dict[str, dict[str, Any]], int]:
    """The participant's turns, and how many are too short; tells `applied` what was corrected."""
    shift = SHIFTED.get(person, 0.0) if errata else 0.0
    first, last = INTERRUPTED.get(person, (0.0, 0.0)) if errata else (0.0, 0.0)
    turns: dict[str, dict[str, Any]] = {}
    n_short = n_marks = n_within = 0
    for number, speaker, start, stop, said in _lines(path):
        if speaker != "participant":
            continue
        text = " ".join(_SYNC.sub(" ", said).split()) if errata else said
        n_marks += text != " ".join(said.split())
        if said and not text:
            continue
        if round(stop - start, 6) < shortest or stop <= start:
            n_short += 1
            continue
        within = start < last and stop > first
        n_within += within
        turns[f"{person}_{number:04d}"] = {
            "speaker": person,
            "session": person,
            "language": "en",
            "text": text or None,
            "start": start + shift,
            "end": stop + shift,
            "duration": stop - start,
            "excluded": WHY_INTERRUPTED if within else "",
        }
    if shift:
        applied.append(f"{person}: transcript shifted by {shift:g} s")
    if n_within:
        applied.append(f"{person}: {n_within} turns between {first:g} and {last:g} s excluded")
    if n_marks:
        applied.append(f"{person}: {n_marks} marks of synchronisation removed")
    if errata and person in WITHOUT_INTERVIEWER:
        applied.append(f"{person}: the interviewer is not in the transcript; nothing to correct")
    return turns, n_short


def _lines(path: Path) -> list[tuple[int, str, float, float, str]]:
    """Number, speaker, start, stop and text of each line below the header."""
    head, *lines = read_text(path).splitlines() or [""]
    if [name.strip().lower() for name in head.split("\t")] != _COLUMNS:
        raise CorpusError(
            f"{path}: its header is not {', '.join(_COLUMNS)}, divided by tabs, but {head[:80]!r}"
        )
    rows = []
    for number, line in enumerate(lines, 2):
        cells = [cell.strip() for cell in line.split("\t", 3)]
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        if len(cells) < 3 or cells[2].lower() not in ("ellie", "participant"):
            raise CorpusError(f"{where}: no start, stop, Ellie or Participant, text: is it whole?")
        try:
            start, stop = float(cells[0]), float(cells[1])
        except ValueError as problem:
            raise CorpusError(f"{where}: start or stop is no number of seconds") from problem
        rows.append((number, cells[2].lower(), start, stop, cells[3] if len(cells) > 3 else ""))
    return rows
