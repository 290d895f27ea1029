"""The raw annotations of Dusha as integers: 1.7 million rows of four subsets in seconds (spec 1.1).

Lines are parsed in blocks of 128 KiB and every field becomes the number of its value at
once, so no table of strings ever exists.
"""

import json
import math
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from affekt.exceptions import CorpusError
from affekt.scheme import DUSHA_4, Categories
from affekt.votes.coded import CodedVotes

Progress = Callable[[str, int], Callable[[int], None]]
"""(what, total) -> told how many more are done."""

SUBSETS = ("podcast_test", "podcast_train", "crowd_train", "crowd_test")
"""In the order in which the released script reads them (spec 1.2.1)."""

DUSHA_5 = Categories("dusha_5", (*DUSHA_4, "other"))
"""What annotators could answer; `other` is a quality reject: too quiet, hissing, no voice."""

EMOTIONS = {
    "angry": "anger",
    "sad": "sadness",
    "neutral": "neutral",
    "positive": "happiness",
    "other": "other",
}
"""The release's word -> our noun, in the order of DUSHA_5."""

GOLDEN = {"1": "positive", "2": "neutral", "3": "sad", "4": "angry", "5": "other"}
"""Codes of `golden_emo`; known from a third party only (spec 1.1.3)."""

FIELDS = (
    *("hash_id", "annotator_id", "annotator_emo", "golden_emo"),
    *("audio_path", "duration", "speaker_text", "speaker_emo", "source_id"),
)
REQUIRED = ("hash_id", "audio_path", "annotator_emo", "annotator_id")
ENDINGS = (".jsonl", ".tsv")
NO_GOLD, UNKNOWN_GOLD = -1, -2

_BLOCK = 1 << 17  # bytes; a block's fields then stay in the processor's cache
_ALL_FIELDS = itemgetter(*FIELDS)
_OF_RECORDING = FIELDS[3:]

Columns = dict[str, Sequence[Any]]
Book = defaultdict[Hashable, int]


@dataclass(frozen=True, eq=False)
class Raw:
    """Annotations in the order of the files; one entry each in the arrays.

    Attributes:
        subset: position in SUBSETS.
        utterance: position in `utterances`.
        rater: position in `raters`.
        label: position in DUSHA_5.
        gold: position in DUSHA_5 of a control task's right answer; -1 none, -2 an unknown code.
        utterances: hash ids in order of first appearance.
        raters: annotator ids in order of first appearance.
        appearance: labels in order of first appearance.
        recordings: what a subset's first row of a recording says, one row for each `subset` and
            `utterance` (both as numbers): golden_emo as it stands there, audio_path, duration (s),
            speaker_text, speaker_emo, source_id.
        files: subset -> the file it was read from.
    """

    subset: NDArray[np.int8]
    utterance: NDArray[np.int32]
    rater: NDArray[np.int32]
    label: NDArray[np.int16]
    gold: NDArray[np.int16]
    utterances: pd.Index
    raters: pd.Index
    appearance: tuple[str, ...]
    recordings: pd.DataFrame
    files: dict[str, Path]

    def of(self, subsets: Sequence[str]) -> NDArray[np.bool_]:
        """Which annotations are of these subsets."""
        return np.isin(self.subset, [SUBSETS.index(subset) for subset in subsets])

    def coded(self, chosen: NDArray[np.bool_]) -> CodedVotes:
        """The chosen annotations as Dawid-Skene takes them; no gold answers."""
        utterance, rows = pd.factorize(self.utterance[chosen])
        return CodedVotes(
            utterance=utterance.astype(np.int32),
            rater=self.rater[chosen],
            label=self.label[chosen],
            utterances=self.utterances.take(rows).rename("utterance"),
            raters=self.raters,
            categories=DUSHA_5,
            gold=np.full(len(rows), -1, dtype=np.int16),
        )


def raw_files(root: str | Path, ending: str | None = None) -> dict[str, Path]:
    """The file of each subset below `root` or a folder in it, in the order of SUBSETS.

    Args:
        root: the folder of crowd_train, crowd_test, podcast_train, podcast_test.
        ending: .jsonl or .tsv; None takes .jsonl, where a text cannot break a line, before .tsv.

    Raises:
        CorpusError: no such folder, another ending, or none of the four subsets.
    """
    root = Path(root)
    if ending is not None and ending not in ENDINGS:
        raise CorpusError(f"{ending!r}: raw annotations of Dusha end in .jsonl or .tsv")
    if not root.is_dir():
        raise CorpusError(f"{root}: no such folder")
    found: dict[str, Path] = {}
    for subset in SUBSETS:
        names = [f"{subset}/raw_{subset}{e}" for e in ([ending] if ending else ENDINGS)]
        paths = (path for name in names for at in (name, f"*/{name}") for path in root.glob(at))
        if first := next(paths, None):
            found[subset] = first
    if not found:
        kinds = ending or ".jsonl or .tsv"
        raise CorpusError(f"{root}: no crowd_train/raw_crowd_train ({kinds}) nor another subset")
    return found


def read(root: str | Path, *, ending: str | None = None, progress: Progress | None = None) -> Raw:
    """Read the raw annotations of all subsets below `root`.

    JSON lines may hold bare NaN; TSV is split at tabs, quotes are letters; `audio_path` may be
    called `wav_path`; fields that are not known are ignored.

    Raises:
        CorpusError: nothing to read; a line that is no JSON object or has too many or too few
            fields; an annotation without recording or annotator, or with a label that is none of
            the five. Of a line the file and its number are named.
    """
    files = raw_files(root, ending)
    total = sum(path.stat().st_size for path in files.values())
    more = progress("reading", total) if progress else _ignore
    ids, people, words, golden = _book(), _book(), _book(), _book()
    parts, recordings = [], []
    for subset, path in files.items():
        part, own, firsts = _read_file(path, (people, words, golden), more)
        everywhere = np.fromiter(map(ids.__getitem__, own), np.int32, len(own))
        parts.append(
            [np.full(len(part[0]), SUBSETS.index(subset), np.int8), everywhere[part[0]], *part[1:]]
        )
        recordings.append(_recordings(firsts, everywhere, subset, path))
    subset_of, utterance, rater, word, gold = (
        np.concatenate(column) for column in zip(*parts, strict=True)
    )
    nouns = [EMOTIONS[str(found)] for found in words]
    columns = np.array([DUSHA_5.index(noun) for noun in nouns], dtype=np.int16)
    answers = np.array([gold_of(value) for value in golden], dtype=np.int16)
    return Raw(
        subset=subset_of,
        utterance=utterance,
        rater=rater,
        label=columns[word],
        gold=answers[gold],
        utterances=pd.Index([_word(value) for value in ids], dtype="str", name="utterance"),
        raters=pd.Index([_word(value) for value in people], dtype="str", name="rater"),
        appearance=tuple(nouns),
        recordings=pd.concat(recordings, ignore_index=True),
        files=files,
    )


def gold_of(value: Any) -> int:
    """Position in DUSHA_5 of a `golden_emo`: a code as number or text, or a word.

    >>> DUSHA_5.labels[gold_of(3.0)], DUSHA_5.labels[gold_of("3")], gold_of(math.nan), gold_of("?")
    ('sadness', 'sadness', -1, -2)
    """
    if is_empty(value):
        return NO_GOLD
    text = str(value).strip().lower()
    text = GOLDEN.get(text.removesuffix(".0"), text)
    return DUSHA_5.index(EMOTIONS[text]) if text in EMOTIONS else UNKNOWN_GOLD


def is_empty(value: Any) -> bool:
    """Whether a field says nothing: null, NaN, blanks, or the word nan."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return True
    return isinstance(value, str) and value.strip().lower() in ("", "nan")


def _read_file(
    path: Path, books: tuple[Book, Book, Book], more: Callable[[int], None]
) -> tuple[list[NDArray[Any]], Book, list[tuple[Any, ...]]]:
    """Numbers of recording, annotator, word and golden_emo; the recordings; their first rows."""
    own = _book()
    blocks: list[list[NDArray[Any]]] = []
    firsts: list[tuple[Any, ...]] = []
    n_rows = 0
    for columns in (_jsonl if path.suffix == ".jsonl" else _tsv)(path, more):
        n_known, n = len(own), len(columns["hash_id"])
        block = [
            _numbers(book, columns[name], (path, name, n_rows))
            for book, name in zip((own, *books), FIELDS[:4], strict=True)
        ]
        if not books[1].keys() <= EMOTIONS.keys():
            _refuse_strange(columns["annotator_emo"], n_rows, path)
        recording, row = np.unique(block[0], return_index=True)
        new = row[recording >= n_known].tolist()
        firsts += zip(
            [n_rows + i for i in new],
            *([columns[name][i] for i in new] for name in _OF_RECORDING),
            strict=True,
        )
        blocks.append(block)
        n_rows += n
    if not n_rows:
        raise CorpusError(f"{path} is empty: copy it from the release again")
    parts = [np.concatenate(column) for column in zip(*blocks, strict=True)]
    for book, name, column in ((own, "hash_id", parts[0]), (books[0], "annotator_id", parts[1])):
        empty = [number for value, number in book.items() if is_empty(value)]
        if empty:
            row_of = int(np.isin(column, empty).argmax())
            raise CorpusError(f"{_place(path, row_of)}: the annotation has no {name}")
    return parts, own, firsts


def _numbers(book: Book, values: Sequence[Any], where: tuple[Path, str, int]) -> NDArray[np.int32]:
    """The number of each value; `where` is the file, the field, and how many rows are above."""
    try:
        return np.fromiter(map(book.__getitem__, values), np.int32, len(values))
    except TypeError as problem:
        path, name, n_before = where
        row = next(i for i, value in enumerate(values) if isinstance(value, (list, dict)))
        raise CorpusError(
            f"{_place(path, n_before + row)}: {name} {str(values[row])[:40]} is no word or number"
        ) from problem


def _refuse_strange(words: Sequence[Any], n_before: int, path: Path) -> None:
    row = next(i for i, word in enumerate(words) if word not in EMOTIONS)
    raise CorpusError(
        f"{_place(path, n_before + row)}: annotator_emo {words[row]!r} is none of "
        f"{', '.join(EMOTIONS)}"
    )


def _place(path: Path, row: int) -> str:
    """File and line of an annotation, counted from 0; blank lines are no annotations."""
    if path.suffix == ".tsv":
        return f"{path}, line {row + 2}"
    with path.open("rb") as file:
        filled = (number for number, line in enumerate(file, start=1) if line.strip())
        return f"{path}, line {next(islice(filled, row, None))}"


def _recordings(
    firsts: list[tuple[Any, ...]],
    utterance: NDArray[np.int32],
    subset: str,
    path: Path,
) -> pd.DataFrame:
    table = pd.DataFrame(firsts, columns=["row", *_OF_RECORDING], dtype=object)
    rows = table.pop("row").to_numpy(dtype=int)
    seconds = pd.to_numeric(table["duration"].replace("", None), errors="coerce").astype(float)
    broken = seconds.isna() & ~table["duration"].map(is_empty) | (seconds < 0) | np.isinf(seconds)
    if broken.any():
        row = int(broken.to_numpy().argmax())
        raise CorpusError(
            f"{_place(path, rows[row])}: duration {table['duration'].iloc[row]!r} of a recording "
            "is not a number of seconds"
        )
    table["duration"] = seconds
    for name in ("audio_path", "speaker_text", "speaker_emo", "source_id"):
        table[name] = pd.Series([_text(value) for value in table[name]], dtype="str")
    if table["audio_path"].isna().any():
        row = int(table["audio_path"].isna().to_numpy().argmax())
        raise CorpusError(
            f"{_place(path, rows[row])}: the annotation has no audio_path (or wav_path)"
        )
    table.insert(0, "utterance", utterance)
    table.insert(0, "subset", np.int8(SUBSETS.index(subset)))
    return table


def _jsonl(path: Path, more: Callable[[int], None]) -> Iterator[Columns]:
    for line, text in _blocks(path, more):
        records = _records(text, line, path)
        try:
            rows = list(map(_ALL_FIELDS, records))
        except KeyError:
            rows = [_known_fields(record) for record in records]
        if rows:
            yield dict(zip(FIELDS, zip(*rows, strict=True), strict=True))


def _records(text: str, line: int, path: Path) -> list[dict[str, Any]]:
    """The objects of a block, parsed as one list; line by line where that fails, for its number."""
    try:
        found: list[Any] = json.loads("[" + text.replace("\n", ",") + "]")
        if len(found) == text.count("\n") + 1 and all(type(one) is dict for one in found):
            return found
    except ValueError:
        pass
    records = []
    for number, one in enumerate(text.split("\n"), start=line):
        if not one.strip():
            continue
        try:
            record = json.loads(one)
        except ValueError as problem:
            raise CorpusError(
                f"{path}, line {number}: not a JSON object ({problem}); is the file whole?"
            ) from problem
        if not isinstance(record, dict):
            raise CorpusError(f"{path}, line {number}: not a JSON object but {one.strip()[:40]!r}")
        records.append(record)
    return records


def _known_fields(record: dict[str, Any]) -> tuple[Any, ...]:
    if "audio_path" not in record:
        record = {**record, "audio_path": record.get("wav_path")}
    return tuple(record.get(name) for name in FIELDS)


def _tsv(path: Path, more: Callable[[int], None]) -> Iterator[Columns]:
    place: dict[str, int] = {}
    n_fields = 0
    for line, text in _blocks(path, more):
        rows = [row.split("\t") for row in text.split("\n")]
        if not place:
            header, line = rows.pop(0), line + 1
            place, n_fields = _places(header, path), len(header)
        if set(map(len, rows)) - {n_fields}:
            row = next(i for i, cells in enumerate(rows) if len(cells) != n_fields)
            raise CorpusError(
                f"{path}, line {line + row}: {len(rows[row])} fields where the header names "
                f"{n_fields}; a tab within a text? The .jsonl file has none of this"
            )
        if rows:
            cells = list(zip(*rows, strict=True))
            nothing = (None,) * len(rows)
            yield {name: cells[place[name]] if name in place else nothing for name in FIELDS}


def _places(header: list[str], path: Path) -> dict[str, int]:
    names = ["audio_path" if name == "wav_path" else name for name in header]
    missing = [name for name in REQUIRED if name not in names]
    if missing:
        raise CorpusError(f"{path} has no column {', '.join(missing)}; its header is {header}")
    return {name: names.index(name) for name in FIELDS if name in names}


def _blocks(path: Path, more: Callable[[int], None]) -> Iterator[tuple[int, str]]:
    """Whole lines, 128 KiB of them, without the last line end; number of the first."""
    line = 1
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            block += file.readline()
            try:
                text = block.decode("utf-8-sig" if line == 1 else "utf-8")
            except UnicodeDecodeError as problem:
                at = line + block[: problem.start].count(b"\n")
                raise CorpusError(f"{path}, line {at}: not UTF-8") from problem
            text = text.replace("\r\n", "\n") if "\r\n" in text else text
            yield line, text.removesuffix("\n")
            line += block.count(b"\n")
            more(len(block))


def _book() -> Book:
    """A dict that gives each new key the next number."""
    book: Book = defaultdict()
    book.default_factory = book.__len__
    return book


def _text(value: Any) -> str | None:
    if type(value) is str:  # nearly all are
        return value or None
    return None if is_empty(value) else _word(value)


def _word(value: Any) -> str:
    """Text of an id or a text; a number that a writer made a float loses its `.0` again."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _ignore(count: int) -> None:
    """No progress is wanted."""
