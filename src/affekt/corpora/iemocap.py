"""IEMOCAP: five dyadic sessions of ten actors, with the answers of every evaluator (spec 6.1).

Busso, Bulut, Lee, Kazemzadeh, Mower, Kim, Chang, Lee, Narayanan (2008): IEMOCAP: interactive
emotional dyadic motion capture database. Language Resources and Evaluation 42, 335-359,
doi:10.1007/s10579-008-9076-6.
"""

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import soundfile

from affekt import audio
from affekt.audio import AUDIO_ENDINGS
from affekt.corpora.tree import (
    CheckReport,
    Walk,
    assemble,
    compare,
    files_below,
    listed,
    read_text,
)
from affekt.corpus import Corpus
from affekt.exceptions import CorpusError
from affekt.scheme import IEMOCAP_10

CARD = {
    "name": "iemocap",
    "version": "2008",
    "licence": "for research, by agreement with the University of Southern California",
    "citation": "Busso et al. (2008), doi:10.1007/s10579-008-9076-6",
    "source": "https://sail.usc.edu/iemocap/",
    "language": "en",
    "scales": {"valence": [1, 5], "arousal": [1, 5], "dominance": [1, 5]},
}

CODES = {
    "ang": "anger",
    "hap": "happiness",
    "sad": "sadness",
    "neu": "neutral",
    "exc": "excitement",
    "fru": "frustration",
    "fea": "fear",
    "sur": "surprise",
    "dis": "disgust",
    "oth": "other",
}
NO_MAJORITY = "xxx"

DIMENSIONS = {"val": "valence", "act": "arousal", "dom": "dominance"}

OFFICIAL_COUNTS = {"Ses01": 1819, "Ses02": 1811, "Ses03": 2136, "Ses04": 2103, "Ses05": 2170}
"""Evaluated turns of each session, 10,039 together."""

Raters = Literal["evaluators", "actors", "all"]
Sound = Literal["turns", "dialogs"]

_DIALOG = re.compile(r"Ses0\d[FM]_\w+\.txt")
_TURN = re.compile(r"(Ses0\d)[FM]_((?:impro|script)\w+)_([FM])\w+")
_HEAD = re.compile(r"\[\s*([\d.]+)\s*-\s*([\d.]+)\s*\]\s+(\S+)\s+(\S{3})\s+\[([^\]]*)\]\s*")
_ANSWER = re.compile(r"([CA])-([EFM])(\w*):\s*((?:[^;()]*;)*)\s*(?:\(.*)?")
_RATING = re.compile(r"\s*(val|act|dom)\s*(\d+(?:\.\d+)?)?\s*")
_SAID = re.compile(r"(\S+)\s*\[[^\]]*\]\s*:\s*(.*)")


def load(
    root: str | Path,
    *,
    raters: Raters = "evaluators",
    several: Literal["keep", "drop"] = "keep",
    sound: Sound = "turns",
    durations: bool = False,
) -> Corpus:
    """Load IEMOCAP; labels are the published majority, votes what each evaluator answered.

    Turns without a majority (code xxx) have no label, but votes: shares or a model of raters can
    label them. Turns whose recording is missing stay, `excluded` as "no recording", so the labels
    can be worked on without the audio.

    Args:
        root: the folder of `Session1` to `Session5`, or one above it.
        raters: whose votes and ratings: the evaluators' (E1, E2, …), the actors' of both speakers
            in the dialogue (named as the speakers, Ses01F), or of them all.
        several: an answer may name several emotions: keep each as a vote, as the published
            majority does, or drop such answers (methods that model raters want one vote each).
        sound: "turns" takes each turn's own file in sentences/wav; "dialogs" takes the file of
            the whole dialogue in dialog/wav, of which the turn is the stretch from `start` to
            `end`, both actors' channels; `left_channel` cuts one of them.
        durations: fill the column `duration` from the files' headers where it is missing.

    Returns:
        The corpus. Ratings have the dimensions valence, arousal and dominance, 1 to 5. Further
        columns: `dialog`, `scenario` (impro or script), `consensus` (the published code), and
        `valence`, `arousal`, `dominance` (the evaluators' published means).

    Raises:
        CorpusError: no `dialog/EmoEvaluation/Ses….txt` below `root`, or one that is cut or foreign.
    """
    if raters not in ("evaluators", "actors", "all"):
        raise CorpusError(f"raters must be one of evaluators, actors, all, not {raters!r}")
    if several not in ("keep", "drop"):
        raise CorpusError(f"several must be keep or drop, not {several!r}")
    if sound not in ("turns", "dialogs"):
        raise CorpusError(f"sound must be turns or dialogs, not {sound!r}")
    found, answers, ratings = _read(Path(root), sound)
    wanted = {"evaluators": "E", "actors": "FM", "all": "EFM"}[raters]
    votes = pd.DataFrame(
        [
            (utterance, rater, label)
            for utterance, kind, rater, labels in answers
            if kind in wanted and (several == "keep" or len(labels) == 1)
            for label in labels
        ],
        columns=["utterance", "rater", "label"],
    )
    numbers = pd.DataFrame(
        [row for kind, *row in ratings if kind in wanted],
        columns=["utterance", "rater", "dimension", "value"],
    )
    return assemble(
        root, IEMOCAP_10, found, CARD, durations=durations, votes=votes, ratings=numbers
    )


def check(root: str | Path) -> CheckReport:
    """Count the evaluated turns of each session and name those without a recording."""
    found, _, _ = _read(Path(root))
    report = compare(found.rows, found)
    counts = Counter(row["session"] for row in found.rows.values())
    missing = [
        f"{n - counts[session]} of {n} turns of {session} are in no EmoEvaluation file"
        for session, n in OFFICIAL_COUNTS.items()
        if counts[session] < n
    ]
    texts = sum(row["text"] is None for row in found.rows.values())
    problems = [f"{texts} turns have no line in dialog/transcriptions"] if texts else []
    return replace(
        report,
        expected=sum(OFFICIAL_COUNTS.values()),
        missing=missing + report.missing,
        problems=report.problems + problems,
    )


def left_channel(corpus: Corpus, folder: str | Path) -> Corpus:
    """Cut the turns of a corpus loaded with `sound="dialogs"` from the left channel alone.

    This is the sound of the CTC recogniser's published code, for both actors (spec 4.1). Each
    turn becomes `folder`/<dialog>/<turn>.wav at its dialogue's rate, 16 bit; files that are there
    are replaced.

    Returns:
        The corpus of these files, its root `folder`; excluded turns keep their row.

    Raises:
        CorpusError: the corpus' turns are no stretches of files, a dialogue's file cannot be
            read, or a turn starts behind its end.
    """
    folder, table = Path(folder), corpus.utterances
    if table["start"].isna().any():
        raise CorpusError(f"corpus {corpus.name!r}: load it with sound='dialogs' to cut its turns")
    files = [f"{dialog}/{turn}.wav" for turn, dialog in table["dialog"].items()]
    parts = zip(files, table["file"], table["start"], table["end"], table["excluded"], strict=True)
    for file, dialog, start, end, excluded in parts:
        if excluded:
            continue
        path = corpus.root / dialog
        try:
            with soundfile.SoundFile(path) as whole:
                rate = whole.samplerate
                whole.seek(min(round(start * rate), whole.frames))
                turn = whole.read(round((end - start) * rate), dtype="float32", always_2d=True)
        except (soundfile.LibsndfileError, OSError) as problem:
            raise CorpusError(f"{path}: cannot be read ({problem})") from problem
        if not len(turn):
            raise CorpusError(f"{path}: ends before {start:g} s, where {Path(file).stem} starts")
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        audio.write(folder / file, turn[:, 0], rate)
    unknown = {"start": float("nan"), "end": float("nan")}
    return replace(corpus, root=folder, utterances=table.assign(file=files, **unknown))


Answer = tuple[str, str, str, tuple[str, ...]]  # utterance, kind of rater, rater, labels
Rating = tuple[str, str, str, str, float]  # kind of rater, utterance, rater, dimension, value


def _read(root: Path, sound: Sound = "turns") -> tuple[Walk, list[Answer], list[Rating]]:
    files = files_below(root)
    rows: dict[str, dict[str, Any]] = {}
    answers: list[Answer] = []
    ratings: list[Rating] = []
    seen: set[str] = set()
    for path in files:
        if not _is_evaluation(path) or path.stem in seen:
            continue
        seen.add(path.stem)
        turns = _read_dialog(path, answers, ratings)
        session = path.parents[2].relative_to(root)
        texts = _transcript(path.parents[1] / "transcriptions" / path.name)
        for utterance, row in turns.items():
            file = session / "sentences" / "wav" / path.stem / f"{utterance}.wav"
            if sound == "dialogs":
                file = session / "dialog" / "wav" / f"{path.stem}.wav"
            else:
                row = {key: row[key] for key in row if key not in ("start", "end")}
            rows[utterance] = {**row, "file": file.as_posix(), "text": texts.get(utterance)}
    if not rows:
        raise CorpusError(f"{root}: no Session1/dialog/EmoEvaluation/Ses….txt below it")
    folder = "sentences" if sound == "turns" else "dialog"
    spoken = [
        path
        for path in files
        if path.suffix.lower() in AUDIO_ENDINGS
        and folder in path.relative_to(root).as_posix().lower().split("/")
    ]
    return listed(root, rows, spoken), answers, ratings


def _is_evaluation(path: Path) -> bool:
    """Whether it is a dialogue's file; the folders below (Categorical, …) repeat what it says."""
    folders = [part.lower() for part in path.parts[-3:-1]]
    return folders == ["dialog", "emoevaluation"] and bool(_DIALOG.fullmatch(path.name))


def _read_dialog(
    path: Path, answers: list[Answer], ratings: list[Rating]
) -> dict[str, dict[str, Any]]:
    """The turns of a dialogue; what was answered on them goes to `answers` and `ratings`."""
    turns: dict[str, dict[str, Any]] = {}
    utterance = ""
    for number, line in enumerate(read_text(path).splitlines(), 1):
        where = f"{path}, line {number}"
        if line.startswith("["):
            utterance, row = _head(line, where)
            if utterance in turns:
                raise CorpusError(f"{where}: a second block of {utterance}")
            turns[utterance] = {**row, "dialog": path.stem}
        elif line[:2] in ("C-", "A-"):
            _answer(line, where, utterance, answers, ratings)
    if not turns:
        raise CorpusError(f"{path}: no turn in it; an EmoEvaluation file has lines [start - end] …")
    return turns


def _head(line: str, where: str) -> tuple[str, dict[str, Any]]:
    match = _HEAD.fullmatch(line)
    turn = None if match is None else _TURN.fullmatch(match[3])
    if match is None or turn is None:
        raise CorpusError(f"{where}: does not read as [start - end] turn code [v, a, d]")
    code = match[4].lower()
    if code not in CODES and code != NO_MAJORITY:
        raise CorpusError(f"{where}: code {code!r} is not one of {', '.join(CODES)}, {NO_MAJORITY}")
    try:
        valence, arousal, dominance = (float(number) for number in match[5].split(","))
        start, end = float(match[1]), float(match[2])
    except ValueError as problem:
        raise CorpusError(f"{where}: times or the three means are no numbers") from problem
    return match[3], {
        "label": CODES.get(code),
        "speaker": turn[1] + turn[3],  # who wears the markers (Ses01F_…) says nothing of who speaks
        "session": turn[1],
        "sex": "female" if turn[3] == "F" else "male",
        "language": "en",
        "start": start,
        "end": end,
        "duration": round(end - start, 4),
        "scenario": "impro" if turn[2].startswith("impro") else "script",
        "consensus": code,
        "valence": valence,
        "arousal": arousal,
        "dominance": dominance,
    }


def _answer(
    line: str, where: str, utterance: str, answers: list[Answer], ratings: list[Rating]
) -> None:
    """One rater's line: `C-E2: Neutral; Sadness; (comment)` or `A-E2: val 3; act 2; dom  2; ()`."""
    match = _ANSWER.fullmatch(line)
    if match is None or not utterance:
        raise CorpusError(f"{where}: does not read as an evaluator's answer, or is cut")
    what, kind, number, body = match.groups()
    rater = f"E{number}" if kind == "E" else utterance[:5] + kind
    parts = [part for part in body.split(";") if part.strip()]
    if what == "C":
        answers.append((utterance, kind, rater, tuple(_label(part, where) for part in parts)))
        return
    for part in parts:
        rated = _RATING.fullmatch(part)
        if rated is None:
            raise CorpusError(f"{where}: {part.strip()!r} does not read as val, act or dom N")
        if rated[2]:  # some answers lack their dominance
            ratings.append((kind, utterance, rater, DIMENSIONS[rated[1]], float(rated[2])))


def _label(word: str, where: str) -> str:
    code = word.strip().lower()[:3]  # Neutral and Neutral state, Excited
    if code not in CODES:
        raise CorpusError(f"{where}: {word.strip()!r} is no emotion of the corpus")
    return CODES[code]


def _transcript(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    said = (_SAID.fullmatch(line.strip()) for line in read_text(path).splitlines())
    return {match[1]: match[2] for match in said if match}
