"""A corpus: its tables, its scheme, its card, and the folder they lie in (docs/format.md)."""

import json
import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from affekt import audio
from affekt.atomic import replacing
from affekt.decode import name_of, opened
from affekt.exceptions import AudioError, CorpusError, TableError
from affekt.scheme import SCHEMES, Categories
from affekt.tables import (
    TEXT,
    check_labels,
    check_ratings,
    check_utterances,
    check_votes,
    read_table,
    write_table,
)

CARD = "card.json"
ENDINGS = (".csv", ".parquet", ".tsv", ".jsonl")


@dataclass(frozen=True, eq=False)
class Corpus:
    """Utterances with their labels, and where known the votes and ratings behind them.

    Every table is checked and normalised on construction, so a Corpus in hand is a whole one.
    `labels` follow the order of `utterances`; an utterance nobody labelled has no row there.
    `votes` and `ratings` stay in their raters' words whatever `scheme` the labels are brought to.

    Raises:
        TableError: a table breaks its contract.
        CorpusError: labels, votes or ratings of an utterance that is not in the corpus.
    """

    name: str
    root: Path
    scheme: Categories
    utterances: pd.DataFrame
    labels: pd.DataFrame
    votes: pd.DataFrame | None
    ratings: pd.DataFrame | None
    card: dict[str, Any]

    def __post_init__(self) -> None:
        utterances = check_utterances(self.utterances)
        labels = check_labels(self.labels, self.scheme)
        votes = None if self.votes is None else check_votes(self.votes)
        ratings = None if self.ratings is None else check_ratings(self.ratings)
        named = {"labels": labels.index}
        named |= {} if votes is None else {"votes": pd.Index(votes["utterance"])}
        named |= {} if ratings is None else {"ratings": pd.Index(ratings["utterance"])}
        for table, ids in named.items():
            strange = ids.difference(utterances.index)
            if len(strange):
                raise CorpusError(
                    f"corpus {self.name!r}: {table} name {len(strange)} utterance(s) that "
                    f"are not in utterances, {strange[0]!r} first"
                )
        labels = labels.loc[utterances.index[utterances.index.isin(labels.index)]]
        values: dict[str, Any] = {"root": Path(self.root), "utterances": utterances}
        values |= {"labels": labels, "votes": votes, "ratings": ratings}
        for field, value in values.items():
            object.__setattr__(self, field, value)

    def __len__(self) -> int:
        return len(self.utterances)

    def path(self, utterance: str) -> Path:
        """The recording of an utterance; CorpusError where the corpus has no such utterance."""
        if utterance not in self.utterances.index:
            raise CorpusError(f"corpus {self.name!r} has no utterance {utterance!r}")
        return self.root / str(self.utterances.at[utterance, "file"])

    def refuse_missing(self) -> None:
        """Look for the file of every utterance that has a label and no reason in `excluded`.

        Raises:
            CorpusError: one is not there; the message names it, its utterance and its row.
        """
        table = self.utterances
        used = table.index.isin(self.labels.index) & (table["excluded"] == "").to_numpy()
        there = {file: (self.root / file).is_file() for file in table["file"][used].unique()}
        missing = [n for n in used.nonzero()[0].tolist() if not there[table["file"].iloc[n]]]
        if missing:
            row = missing[0]
            more = f", and those of {len(missing) - 1} more" if missing[1:] else ""
            raise CorpusError(
                f"{name_of(self.root / table['file'].iloc[row])}: no such file, the recording of"
                f" utterance {table.index[row]!r} (row {row + 1} of {self.name!r}){more}: put it"
                " there, take the row out, or give a reason in its column `excluded`"
            )

    def select(self, ids: Iterable[str]) -> "Corpus":
        """The corpus of these utterances alone, in the order given.

        Raises:
            CorpusError: an id is unknown or given twice.
        """
        wanted = pd.Index(list(ids), dtype=TEXT)
        strange = wanted.difference(self.utterances.index)
        if len(strange):
            raise CorpusError(
                f"corpus {self.name!r} has no utterance {strange[0]!r} "
                f"({len(strange)} of the {len(wanted)} asked for are unknown)"
            )
        if wanted.has_duplicates:
            twice = wanted[wanted.duplicated()][0]
            raise CorpusError(f"corpus {self.name!r}: utterance {twice!r} is selected twice")
        return replace(
            self,
            utterances=self.utterances.loc[wanted],
            labels=self.labels.loc[self.labels.index.isin(wanted)],
            votes=_only(self.votes, wanted),
            ratings=_only(self.ratings, wanted),
        )

    def relabel(self, labels: pd.DataFrame, scheme: Categories) -> "Corpus":
        """The same utterances under other labels, for instance harmonised or from votes."""
        return replace(self, labels=labels, scheme=scheme)

    def with_durations(self) -> "Corpus":
        """The same corpus with `duration` filled where it is missing, from the files' headers.

        About 0.5 ms a file; a file whose utterances all have their length is opened, not read.
        Where a file is missing or cannot be read, `excluded` gets the reason, unless another
        stands there, and a length that was missing stays NaN.
        """
        table = self.utterances
        starts = table["start"].fillna(0.0)
        length = table["duration"].fillna(table["end"] - starts)
        unknown = set(table["file"][length.isna()])
        files = {
            file: _length(self.root / file, read=file in unknown) for file in table["file"].unique()
        }
        filled, excluded = [], []
        rows = zip(table["file"], starts, length, table["excluded"], strict=True)
        for file, start, seconds, reason in rows:
            total, fault = files[file]
            if math.isnan(seconds) and total <= start:
                fault = f"starts at {start:g} s, its file ends at {total:g} s"
            elif math.isnan(seconds):
                seconds = total - start
            filled.append(seconds)
            excluded.append(reason or fault)
        return replace(self, utterances=table.assign(duration=filled, excluded=excluded))

    @classmethod
    def read(cls, folder: str | Path) -> "Corpus":
        """Read a corpus folder: `card.json` and the tables beside it (docs/format.md).

        Raises:
            CorpusError: no folder, no card, a card without name or scheme, no or two tables.
            TableError: a table breaks its contract.
        """
        folder = Path(folder)
        card = _read_card(folder)
        scheme = _scheme(card, folder / CARD)
        tables = {name: _table(folder, name) for name in ("utterances", "labels")}
        utterances, labels = tables["utterances"], tables["labels"]
        if utterances is None:
            raise CorpusError(f"{folder}: no utterances.csv (or .parquet, .tsv, .jsonl)")
        if labels is None:
            labels = pd.DataFrame(columns=list(scheme), dtype=float)
        return cls(
            name=str(card["name"]),
            root=folder / str(card.get("root", ".")),
            scheme=scheme,
            utterances=utterances,
            labels=labels,
            votes=_table(folder, "votes"),
            ratings=_table(folder, "ratings"),
            card={key: value for key, value in card.items() if key not in ("root", "scheme")},
        )

    def write(self, folder: str | Path, *, ending: str = ".csv") -> None:
        """Write the corpus folder; recordings stay where they are, `root` in the card leads there.

        Args:
            folder: made where it does not exist; older tables of the same names are replaced.
            ending: .csv, .tsv, .jsonl or .parquet.

        Raises:
            CorpusError: another ending.
        """
        folder = Path(folder)
        if ending not in ENDINGS:
            raise CorpusError(f"{ending!r}: tables of a corpus end in {', '.join(ENDINGS)}")
        folder.mkdir(parents=True, exist_ok=True)
        tables = {"utterances": self.utterances, "labels": self.labels}
        tables |= {} if self.votes is None else {"votes": self.votes}
        tables |= {} if self.ratings is None else {"ratings": self.ratings}
        for name in ("utterances", "labels", "votes", "ratings"):
            for old in ENDINGS:
                if name not in tables or old != ending:
                    (folder / f"{name}{old}").unlink(missing_ok=True)
        for name, table in tables.items():
            write_table(table, folder / f"{name}{ending}")
        card = {
            **self.card,
            "name": self.name,
            "root": Path(os.path.relpath(self.root, folder)).as_posix(),
            "scheme": {"name": self.scheme.name, "labels": list(self.scheme)},
        }
        with replacing(folder / CARD) as temporary:
            text = json.dumps(card, indent=2, ensure_ascii=False)
            temporary.write_text(text + "\n", encoding="utf-8")


def concat(corpora: Sequence[Corpus]) -> Corpus:
    """One corpus of several that share their labels.

    Ids become `name/utterance`, speakers, sessions and raters `name/speaker` and so on; a column
    `corpus` names the source of each utterance. The card lists the cards of the parts.

    Raises:
        CorpusError: no corpus, two of the same name, or label lists that differ (harmonise first).
    """
    if not corpora:
        raise CorpusError("there is no corpus to concatenate")
    names = [corpus.name for corpus in corpora]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise CorpusError(f"two corpora are called {twice[0]!r}; give them different names")
    first = corpora[0]
    for corpus in corpora:
        if corpus.scheme.labels != first.scheme.labels:
            raise CorpusError(
                f"{corpus.name!r} has labels {', '.join(corpus.scheme)} but {first.name!r} has "
                f"{', '.join(first.scheme)}; harmonise them to one scheme first"
            )
    root = Path(os.path.commonpath([corpus.root.absolute() for corpus in corpora]))
    parts = [_prefixed(corpus, root) for corpus in corpora]
    votes = [part.votes for part in parts if part.votes is not None]
    ratings = [part.ratings for part in parts if part.ratings is not None]
    return Corpus(
        name="+".join(names),
        root=root,
        scheme=first.scheme,
        utterances=pd.concat([part.utterances for part in parts]),
        labels=pd.concat([part.labels for part in parts]),
        votes=pd.concat(votes, ignore_index=True) if votes else None,
        ratings=pd.concat(ratings, ignore_index=True) if ratings else None,
        card={"name": "+".join(names), "corpora": [corpus.card for corpus in corpora]},
    )


def _length(path: Path, *, read: bool) -> tuple[float, str]:
    """Seconds of a recording, NaN unless `read`, and why it cannot be read or opened, or ""."""
    name = name_of(path)
    try:
        if read:
            return audio.duration(path), ""
        with opened(path, name):
            return math.nan, ""
    except AudioError as problem:
        return math.nan, str(problem).removeprefix(f"{name}: ")


def _prefixed(corpus: Corpus, root: Path) -> Corpus:
    """The corpus with its name before every id, and its files relative to `root`."""
    prefix = f"{corpus.name}/"
    below = corpus.root.absolute().relative_to(root)
    utterances = corpus.utterances.assign(
        file=[(below / file).as_posix() for file in corpus.utterances["file"]],
        speaker=prefix + corpus.utterances["speaker"],
        session=prefix + corpus.utterances["session"],
        corpus=corpus.name,
    )
    return replace(
        corpus,
        root=root,
        utterances=utterances.set_index(prefix + utterances.index),
        labels=corpus.labels.set_index(prefix + corpus.labels.index),
        votes=_prefix_long(corpus.votes, prefix),
        ratings=_prefix_long(corpus.ratings, prefix),
    )


def _prefix_long(table: pd.DataFrame | None, prefix: str) -> pd.DataFrame | None:
    if table is None:
        return None
    return table.assign(utterance=prefix + table["utterance"], rater=prefix + table["rater"])


def _only(table: pd.DataFrame | None, ids: pd.Index) -> pd.DataFrame | None:
    return None if table is None else table[table["utterance"].isin(ids)]


def _read_card(folder: Path) -> dict[str, Any]:
    path = folder / CARD
    if not folder.is_dir():
        raise CorpusError(f"{folder}: no such folder")
    if not path.is_file():
        raise CorpusError(f"{folder}: no {CARD}, so this is not a corpus folder (docs/format.md)")
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as problem:
        raise CorpusError(f"{path}: not a JSON document ({problem})") from problem
    if not isinstance(card, dict) or not isinstance(card.get("name"), str):
        raise CorpusError(f"{path}: a card is a JSON object with at least a name and a scheme")
    return card


def _scheme(card: dict[str, Any], path: Path) -> Categories:
    """The scheme a card names or spells out."""
    scheme = card.get("scheme")
    if isinstance(scheme, str):
        if scheme not in SCHEMES:
            raise CorpusError(f"{path}: scheme {scheme!r} is none of {', '.join(SCHEMES)}")
        return SCHEMES[scheme]
    labels = scheme.get("labels") if isinstance(scheme, dict) else None
    if not isinstance(scheme, dict) or not isinstance(labels, list):
        raise CorpusError(f'{path}: scheme must be a known name or {{"name": …, "labels": […]}}')
    try:
        return Categories(str(scheme.get("name", card["name"])), tuple(labels))
    except TableError as problem:
        raise CorpusError(f"{path}: {problem}") from problem


def _table(folder: Path, name: str) -> pd.DataFrame | None:
    found = [folder / f"{name}{ending}" for ending in ENDINGS]
    found = [path for path in found if path.is_file()]
    if len(found) > 1:
        both = " and ".join(path.name for path in found)
        raise CorpusError(f"{folder}: {both} are both there; keep one")
    return read_table(found[0]) if found else None
