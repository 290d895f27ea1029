"""What the verbs on votes share: their options, votes from a file or folder, tables of words."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from affekt.exceptions import TableError

if TYPE_CHECKING:
    import pandas as pd

    from affekt.corpora.voted import Export
    from affekt.scheme import Categories

TABLE_ENDINGS = (".csv", ".tsv", ".jsonl", ".parquet")
TOLOKA_COLUMN = b"ASSIGNMENT:worker_id"
HEAD_BYTES = 1 << 16  # no line of names is longer
DUPLICATES_REMEDY = (
    'pass duplicates="first", "last" or "keep"',
    "choose: --duplicates first, last or keep",
)
"""How the same remedy is said in Python and on the command line."""
N_NAMED = 5  # of utterances or raters that a line counts


class Duplicates(StrEnum):
    """What to do where a rater answered an utterance more than once."""

    refuse = "refuse"
    first = "first"
    last = "last"
    keep = "keep"


class Several(StrEnum):
    """What an answer of several labels is."""

    keep = "keep"
    drop = "drop"


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

Choices = Annotated[
    Several | None,
    typer.Option(
        help="Label Studio's answers of several labels: a vote for each, or none.",
        show_default="keep",
    ),
]


@dataclass(frozen=True, eq=False)
class Voted:
    """Votes, and where they are from."""

    path: Path
    table: "pd.DataFrame"
    categories: "Categories"
    note: str  # how the labels were chosen
    silence: tuple[str, ...] = ()  # what there is besides votes, a line each

    @contextmanager
    def faults(self) -> Iterator[None]:
        """Say of a fault in the votes in which file and line it stands."""
        try:
            yield
        except TableError as problem:
            said = self._located(str(problem)).replace(*DUPLICATES_REMEDY)
            if DUPLICATES_REMEDY[1] in said and self.path.suffix.lower() == ".json":
                said += ", or --several drop"
            raise TableError(said) from problem

    def _located(self, problem: str) -> str:
        """The file and line of a faulty row; the vote itself where no line of a file is a row."""
        from affekt.votes.read import located

        head, _, reason = problem.partition(": ")
        row = head.removeprefix("votes, row ")
        if self.table.index.name is not None or row == head or not row.isdigit():
            return located(problem, self.path, self.table.index)
        vote = self.table.iloc[int(row)].fillna("")
        who = f"rater {str(vote['rater'])!r}" if vote["rater"] != "" else "nobody known"
        heard = str(vote["utterance"])
        return f"{_votes_file(self.path)}, vote of {who} on utterance {heard!r}: {reason}"

    def head(self) -> str:
        """How many votes, utterances, raters; which labels."""
        raters, utterances = self.table["rater"], self.table["utterance"]
        who = f"by {raters.nunique():,} raters" if raters.notna().any() else "by unknown raters"
        nameless = f" ({raters.isna().sum():,} by nobody known)" if raters.isna().any() else ""
        return (
            f"{self.path}: {len(self.table):,} votes on {utterances.nunique():,} utterances {who}"
            f"{nameless}\nlabels: {', '.join(self.categories)}{self.note}"
            + "".join(f"\n{line}" for line in self.silence)
        )

    def warn_of_the_lonely(self) -> None:
        """Warn where nothing can check a rater: nobody else votes on any of the utterances."""
        from affekt.votes.read import lonely

        raters, n_utterances = lonely(self.table)
        if raters:
            warn(
                f"{self.path}: {len(raters):,} rater(s) voted on no utterance with another "
                f"({_named(raters)}): nothing checks the labels of {n_utterances:,} utterance(s)"
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
    several: Several | None = None,
    *,
    others: bool = False,
) -> Voted:
    """Votes from whatever they are in; labels are those asked for, else those that occur.

    Raises:
        TableError, CorpusError: no such file or folder, a fault in it, an option that it has not.
    """
    from affekt.votes.read import occurring, read_votes, spellings, unended

    asked = None if labels is None else _scheme(labels)
    of_tables = {"--column": column, "--delimiter": delimiter}
    of_exports = {"--question": question, "--key": key, "--several": several}
    note = "" if asked else " (those that occur; --labels names others)"
    silence: tuple[str, ...] = ()
    if not path.exists():
        raise TableError(f"{path}: no such file or folder")
    if path.is_dir():
        refuse({**of_tables, **of_exports}, "a folder")
        table, own, silence = _folder(path)
        return Voted(path, table, asked or own, "", silence)
    if (export := _export(path, question, key, several)) is not None:
        refuse(of_tables, "an export")
        table, silence = _exported(export, path)
    else:
        refuse(of_exports, "a table of votes")
        separator = "\t" if delimiter == "tab" else delimiter
        names = None if column is None else _pairs(column)
        table = read_votes(path, asked, columns=names, delimiter=separator, others=others)
    if path.suffix.lower() in TABLE_ENDINGS[:3] and (last := unended(path)) is not None:
        warn(f"{path}, line {last}: the last line does not end; is the file cut?")
    categories = asked or occurring(table)
    if alike := [] if asked else spellings(categories):
        pairs = "; ".join(" and ".join(map(repr, labels)) for labels in alike)
        warn(f"{path}: labels differ by capitals or blanks alone: {pairs}")
    return Voted(path, table, categories, note, silence)


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


def warn(line: str) -> None:
    """Say on stderr what the reader of a result should know."""
    typer.echo(f"warning: {line}", err=True)


def check_shares(options: Mapping[str, float | None]) -> None:
    """Refuse what is no share.

    Raises:
        TableError: an option outside 0 .. 1.
    """
    for name, share in options.items():
        if share is not None and not 0 <= share <= 1:
            raise TableError(f"{name} {share:g} is not in [0, 1]")


def ended(losses: Sequence[float], max_iterations: int, tolerance: float) -> str:
    """How training in rounds came to its end.

    >>> ended([-2.0, -1.0, -1.0], 50, 1e-5), ended([-2.0, -1.0], 2, 1e-5)
    ('converged after 3 rounds', 'stopped at the limit of 2 rounds: not converged')
    """
    n = len(losses)
    if n < max_iterations or (n > 1 and losses[-1] - losses[-2] < tolerance):
        return f"converged after {n} rounds"
    return f"stopped at the limit of {max_iterations} rounds: not converged"


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


def _folder(path: Path) -> "tuple[pd.DataFrame, Categories, tuple[str, ...]]":
    """All votes of a corpus folder, or of a tree of Dusha, their scheme, and what casts no vote."""
    from affekt.cli.progress import bars
    from affekt.corpora import dusha
    from affekt.corpora.dusha import raw as dusha_raw
    from affekt.corpus import Corpus
    from affekt.votes.read import read_votes

    if is_dusha(path):
        with bars() as progress:
            raw = dusha_raw.read(path, progress=progress)
        return dusha.votes(raw), dusha_raw.DUSHA_5, ()
    try:
        corpus = Corpus.read(path)
    except TableError as problem:
        said = str(problem)
        if said.startswith("votes"):
            read_votes(_votes_file(path))  # names the line
        raise TableError(said if str(path) in said else f"{path}: {said}") from problem
    if corpus.votes is None:
        raise TableError(f"{path}: this corpus has no votes")
    counted = {what: corpus.card.get(what) for what in ("tied", "skipped")}
    silence = [f"answers without a vote: {n:,} {what}" for what, n in counted.items() if n]
    silence += _silent(corpus.utterances.index, corpus.votes)
    return corpus.votes, corpus.scheme, tuple(silence)


def _votes_file(path: Path) -> Path:
    """The table in which a corpus folder has its votes; any other path as it is."""
    tables = [path / f"votes{ending}" for ending in TABLE_ENDINGS]
    return next((table for table in tables if table.is_file()), path)


def _export(
    path: Path, question: str | None, key: str | None, several: Several | None
) -> "Export | None":
    """What a file of an annotation tool holds; None: it is a table of votes."""
    from affekt.corpora import label_studio, toloka

    if path.suffix.lower() == ".json":
        how: Literal["keep", "drop"] = "drop" if several == Several.drop else "keep"
        return label_studio.read(path, question=question, key=key, several=how)
    if path.suffix.lower() not in toloka.ENDINGS:
        return None
    with path.open("rb") as file:
        if TOLOKA_COLUMN not in file.readline(HEAD_BYTES):
            return None
    refuse({"--several": several}, "Toloka's assignments")
    return toloka.read(path, question=question, key=key)


def _exported(export: "Export", path: Path) -> "tuple[pd.DataFrame, tuple[str, ...]]":
    """The votes of an export, and a line each on answers and utterances without a vote."""
    reasons = export.skipped["reason"].value_counts(sort=False)
    why = ", ".join(f"{n:,} {reason}" for reason, n in reasons.items())
    if export.votes.empty:
        raise TableError(f"{path}: no answer is a vote" + (f" ({why})" if why else ""))
    silence = [f"answers without a vote: {why}"] if why else []
    silence += _silent(list(export.files), export.votes)
    return export.votes, tuple(silence)


def _silent(utterances: "Sequence[str] | pd.Index", votes: "pd.DataFrame") -> list[str]:
    """A line that counts the utterances without a vote; nothing where all have one."""
    voted = set(votes["utterance"])
    without = [utterance for utterance in utterances if utterance not in voted]
    if not without:
        return []
    return [
        f"utterances without a vote: {len(without):,} of {len(utterances):,}, which get no label "
        f"({_named(without)})"
    ]


def _named(ids: Sequence[str]) -> str:
    return ", ".join(ids[:N_NAMED]) + (", …" if len(ids) > N_NAMED else "")
