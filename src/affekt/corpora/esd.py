"""ESD: ten Mandarin and ten English speakers, 350 sentences each, five emotions (spec 6.12).

Zhou, Sisman, Liu, Li (2022): Emotional voice conversion: theory, databases and ESD. Speech
Communication 137, 1-18, doi:10.1016/j.specom.2021.11.006.
"""

import re
from pathlib import Path
from typing import Any

from affekt.corpora.tree import (
    CheckReport,
    Walk,
    assemble,
    audio_files,
    compare,
    fault,
    files_below,
    walk_files,
)
from affekt.corpus import Corpus
from affekt.exceptions import CorpusError
from affekt.scheme import Categories

PATTERN = "0001_000351 (speaker 0001 to 0020, utterance 1 to 1750)"

CARD = {
    "name": "esd",
    "version": "2021",
    "licence": "for research, by a signed agreement",
    "citation": "Zhou et al. (2022), doi:10.1016/j.specom.2021.11.006",
    "source": "https://github.com/HLTSingapore/Emotional-Speech-Data",
    "language": "mul",
}

ESD_5 = Categories("esd_5", ("neutral", "anger", "happiness", "sadness", "surprise"))

EMOTIONS = {
    "neutral": "neutral",
    "angry": "anger",
    "happy": "happiness",
    "sad": "sadness",
    "surprise": "surprise",
    "中立": "neutral",
    "生气": "anger",
    "快乐": "happiness",
    "伤心": "sadness",
    "惊喜": "surprise",
}
"""The word of a folder or of a table, which some Mandarin speakers' tables have in Chinese."""

PARTS = {"train": "train", "evaluation": "validation", "test": "test"}
N_SPEAKERS = 20
N_MANDARIN = 10
N_SENTENCES = 350
MEN = frozenset({4, 5, 6, 8, 10, 11, 12, 13, 14, 20})

_NAME = re.compile(r"(00(?:0[1-9]|1\d|20))_(00(?:0\d|1[0-7])\d\d)")
_LINE = re.compile(r"(\d{4}_\d{6})\s*\t\s*(.*?)\s*(?:\t\s*(\S*)\s*)?")


def load(root: str | Path, *, durations: bool = False) -> Corpus:
    """Load ESD; the folder says the emotion, where there is none the range of the number does.

    Args:
        root: the folder of `0001` to `0020`, or one above it.
        durations: fill the column `duration` from the files' headers.

    Returns:
        The corpus. `language` is zh for 0001 to 0010 and en for the others; `text` comes from the
        speakers' tables (`0001/0001.txt`) where they are there; `split` from the folders train,
        evaluation and test, where there are such. Further column: `sentence`, 1 to 350, the same
        words in every emotion.

    Raises:
        CorpusError: no recording below `root`, or a table is in none of the known encodings.
    """
    found = _walk(root)
    listed, _ = _tables(root)
    for utterance, row in found.rows.items():
        row["text"] = listed.get(utterance, (None, ""))[0]
    return assemble(root, ESD_5, found, CARD, durations=durations)


def check(root: str | Path) -> CheckReport:
    """Compare the tree with the 35,000 names of the corpus, and folders with numbers and tables."""
    found = _walk(root)
    listed, problems = _tables(root)
    for utterance, row in found.rows.items():
        by_number = _by_number(int(utterance[5:]))
        said = EMOTIONS.get(listed.get(utterance, (None, ""))[1].lower(), row["label"])
        if row["label"] != by_number:
            problems.append(f"{row['file']}: its number is one of {by_number}")
        elif row["label"] != said:
            problems.append(f"{row['file']}: its speaker's table says {said}")
    known = {utterance[:4] for utterance in listed}
    bare = sorted({row["speaker"] for row in found.rows.values()} - known)
    problems += [f"{who}.txt is not there: its utterances load without texts" for who in bare]
    names = (
        f"{speaker:04d}_{number:06d}"
        for speaker in range(1, N_SPEAKERS + 1)
        for number in range(1, len(ESD_5) * N_SENTENCES + 1)
    )
    return compare(names, found, problems)


def _walk(root: str | Path) -> Walk:
    return walk_files(root, audio_files(root), _parse, PATTERN)


def _parse(path: Path) -> dict[str, Any] | None:
    match = _NAME.fullmatch(path.stem.strip())
    if match is None or not 1 <= int(match[2]) <= len(ESD_5) * N_SENTENCES:
        return None
    folders = [part.strip().lower() for part in reversed(path.parts[:-1])]
    emotion = next((EMOTIONS[part] for part in folders if part in EMOTIONS), None)
    speaker, number = int(match[1]), int(match[2])
    return {
        "utterance": match.group(),
        "label": emotion or _by_number(number),
        "speaker": match[1],
        "sex": "male" if speaker in MEN else "female",
        "language": "zh" if speaker <= N_MANDARIN else "en",
        "split": next((PARTS[part] for part in folders if part in PARTS), None),
        "sentence": (number - 1) % N_SENTENCES + 1,
    }


def _by_number(number: int) -> str:
    """The emotion whose range of numbers, 350 each, a number lies in."""
    return ESD_5.labels[(number - 1) // N_SENTENCES]


def _tables(root: str | Path) -> tuple[dict[str, tuple[str, str]], list[str]]:
    """Text and emotion word of each utterance in the speakers' tables; lines of another form."""
    listed: dict[str, tuple[str, str]] = {}
    strange = []
    for path in files_below(root):
        if path.suffix.lower() != ".txt" or not re.fullmatch(r"\d{4}", path.stem):
            continue
        for number, line in enumerate(_text(path).splitlines(), 1):
            match = _LINE.fullmatch(line.strip())
            if match is not None:
                listed[match[1]] = (match[2], match[3] or "")
            elif line.strip():
                file = path.relative_to(root).as_posix()
                strange.append(f"{file}, line {number}: not id, text, emotion divided by tabs")
    return listed, strange


def _text(path: Path) -> str:
    """A table's text in whichever encoding its speaker's has: UTF-8, UTF-16 or GBK."""
    if reason := fault(path):
        raise CorpusError(f"{path}: {reason}")
    data = path.read_bytes()
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        encodings = ["utf-16"]
    else:
        encodings = ["utf-16-le"] if b"\0" in data else ["utf-8-sig", "gb18030"]
    for encoding in encodings:
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise CorpusError(f"{path}: neither UTF-8, UTF-16 nor GBK; unpack it anew, or remove it")
