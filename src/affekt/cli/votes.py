"""What the verbs on votes share: their options, votes from a file or folder, tables of words."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from affekt.exceptions import TableError

if TYPE_CHECKING:
    import pandas as pd

    from affekt.scheme import Categories

TABLE_ENDINGS = (".csv", ".tsv", ".jsonl", ".parquet")
TOLOKA_COLUMN = b"ASSIGNMENT:worker_id"
HEAD_BYTES = 1 << 16  # no line of names is longer
DUPLICATES_REMEDY = (
    'pass duplicates="first", "last" or "keep"',
    "choose: --duplicates first, last or keep",
)
"""How the same remedy is said in Python and on the command line."""


class Duplicates(StrEnum):
    """What to do where a rater answered an utterance more than once."""

    refuse = "refuse"
    first = "first"
    last = "last"
    keep = "keep"


Source = Annotated[
    Path,
    typer.Argument(
        metavar="VOTES",
        help="Table (csv, tsv, jsonl, parquet), Toloka's assignments, Label Studio's json, a corpus"
        " folder, or a tree of Dusha.",
        show_default=False,
    ),
]
Labels = Annotated[
    str | None,
    typer.Option(
        help="Labels that may be voted, such as anger,neutral, or a scheme such as ekman_8.",
        show_default="those that occur, sorted",
    ),
]
Column = Annotated[
    str | None,
    typer.Option(
        help="Columns of other names, such as utterance=task,rater=worker,label=emo.",
        show_default=False,
    ),
]
Delimiter = Annotated[
    str | None,
    typer.Option(help="What divides cells: one character, or tab.", show_default="by the ending"),
]
Question = Annotated[
    str | None,
    typer.Option(help="Whose answers are the votes, in an export of several.", show_default=False),
]
Key = Annotated[
    str | None,
    typer.Option(help="Field that names the utterance, in an export.", show_default=False),
]
Twice = Annotated[
    Duplicates, typer.Option(help="Where a rater answered an utterance more than once.")
]


@dataclass(frozen=True, eq=False)
class Voted:
    """Votes, and where they are from."""

    path: Path
    table: "pd.DataFrame"
    categories: "Categories"
    note: str  # how the labels were chosen

    @contextmanager
    def faults(self) -> Iterator[None]:
        """Say of a fault in the votes in which file and line it stands."""
        from affekt.votes.read import located

        try:
            yield
        except TableError as problem:
            said = located(str(problem), self.path, self.table.index)
            raise TableError(said.replace(*DUPLICATES_REMEDY)) from problem

    def head(self) -> str:
        """How many votes, utterances, raters; which labels."""
        raters, utterances = self.table["rater"], self.table["utterance"]
        who = f"by {raters.nunique():,} raters" if raters.notna().any() else "by unknown raters"
        nameless = f" ({raters.isna().sum():,} by nobody known)" if raters.isna().any() else ""
        return (
            f"{self.path}: {len(self.table):,} votes on {utterances.nunique():,} utterances {who}"
            f"{nameless}\nlabels: {', '.join(self.categories)}{self.note}"
        )

    def doubled(self, duplicates: Duplicates) -> bool:
        """Whether a rater's further answers to an utterance are there, and are to be kept."""
        known = self.table[self.table["rater"].notna()]
        return duplicates == Duplicates.keep and bool(
            known.duplicated(["utterance", "rater"]).any()
        )


def read(
    path: Path,
    labels: str | None,
    column: str | None,
    delimiter: str | None,
    question: str | None,
    key: str | None,
    *,
    others: bool = False,
) -> Voted:
    """Votes from whatever they are in; labels are those asked for, else those that occur.

    Raises:
        TableError, CorpusError: no such file or folder, a fault in it, an option that it has not.
    """
    from affekt.votes.read import occurring, read_votes

    asked = None if labels is None else _scheme(labels)
    of_tables = {"--column": column, "--delimiter": delimiter}
    of_exports = {"--question": question, "--key": key}
    note = "" if asked else " (those that occur; --labels names others)"
    if path.is_dir():
        refuse({**of_tables, **of_exports}, "a folder")
        table, own = _folder(path)
        return Voted(path, table, asked or own, "")
    exported = _exporter(path)
    if exported is not None:
        refuse(of_tables, "an export")
        table = exported(path, question=question, key=key)
    else:
        refuse(of_exports, "a table of votes")
        separator = "\t" if delimiter == "tab" else delimiter
        names = None if column is None else _pairs(column)
        table = read_votes(path, asked, columns=names, delimiter=separator, others=others)
    return Voted(path, table, asked or occurring(table), note)


def present(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that were given: a nought was, a flag that is off was not.

    >>> present({"tolerance": 0.0, "gold": False, "labels": None})
    {'tolerance': 0.0}
    """
    return {
        name: value for name, value in options.items() if value is not None and value is not False
    }


def refuse(options: Mapping[str, Any], what: str) -> None:
    """Refuse the options that were given.

    Raises:
        TableError: any is neither None nor False.
    """
    if given := present(options):
        raise TableError(f"{', '.join(given)} cannot be given with {what}")


def check_out(out: Path | None, source: Path) -> None:
    """Refuse a file that could not be written, or would replace the votes, before any work.

    Raises:
        TableError: another ending than a table's, or the votes themselves.
    """
    if out is None:
        return
    if out.suffix.lower() not in TABLE_ENDINGS:
        raise TableError(f"{out}: a table ends in {', '.join(TABLE_ENDINGS)}")
    if out.exists() and source.exists() and out.samefile(source):
        raise TableError(f"{out}: would replace the votes; give another name")


def show(cells: "pd.DataFrame") -> None:
    """Print a table in columns: its index first, numbers to the right, words to the left."""
    rows = [[str(name), *row] for name, row in zip(cells.index, cells.to_numpy(), strict=True)]
    heads = [str(cells.index.name or ""), *map(str, cells.columns)]
    columns = []
    for head, *values in zip(heads, *rows, strict=True):
        words = [head, *map(_word, values)]
        width = max(map(len, words))
        left = any(letter.isalpha() for word in words[1:] for letter in word)
        columns.append([word.ljust(width) if left else word.rjust(width) for word in words])
    for line in zip(*columns, strict=True):
        typer.echo("  ".join(line).rstrip())


def decimals(number: float) -> str:
    """Three decimals without the zero before the point; a dash where there is none.

    >>> decimals(0.5), decimals(-0.25), decimals(1.0), decimals(float("nan"))
    ('.500', '-.250', '1.000', '-')
    """
    if number != number:
        return "-"
    return f"{number:.3f}".replace("0.", ".", 1) if abs(number) < 0.9995 else f"{number:.3f}"


def _word(value: object) -> str:
    if isinstance(value, float):
        return decimals(value)
    return f"{value:,}" if isinstance(value, int) else str(value)


def _scheme(labels: str) -> "Categories":
    """A scheme by name, or the labels between the commas."""
    from affekt.scheme import SCHEMES, Categories

    if labels in SCHEMES:
        return SCHEMES[labels]
    return Categories("asked", tuple(part.strip() for part in labels.split(",") if part.strip()))


def _pairs(column: str) -> dict[str, str]:
    """`ours=theirs,…` in words to a mapping."""
    pairs = [part.partition("=") for part in column.split(",") if part.strip()]
    for ours, equals, theirs in pairs:
        if not (equals and ours.strip() and theirs.strip()):
            raise TableError(f"--column {column!r}: write label=NAME, several between commas")
    return {ours.strip(): theirs.strip() for ours, _, theirs in pairs}


def is_dusha(path: Path) -> bool:
    """Whether votes are a folder of Dusha's raw annotations, not a corpus folder."""
    from affekt.corpus import CARD

    return path.is_dir() and not (path / CARD).exists()


def _folder(path: Path) -> "tuple[pd.DataFrame, Categories]":
    """All votes of a corpus folder, or of a tree of Dusha, and their scheme."""
    from affekt.cli.progress import bars
    from affekt.corpora import dusha
    from affekt.corpora.dusha import raw as dusha_raw
    from affekt.corpus import Corpus

    if is_dusha(path):
        with bars() as progress:
            raw = dusha_raw.read(path, progress=progress)
        return dusha.votes(raw), dusha_raw.DUSHA_5
    corpus = Corpus.read(path)
    if corpus.votes is None:
        raise TableError(f"{path}: this corpus has no votes")
    return corpus.votes, corpus.scheme


def _exporter(path: Path) -> "Callable[..., pd.DataFrame] | None":
    """Who reads a file of an annotation tool; None: it is a table of votes."""
    from affekt.corpora import label_studio, toloka

    if path.suffix.lower() == ".json":
        return label_studio.read_votes
    if path.suffix.lower() in toloka.ENDINGS and path.is_file():
        with path.open("rb") as file:
            return toloka.read_votes if TOLOKA_COLUMN in file.readline(HEAD_BYTES) else None
    return None
