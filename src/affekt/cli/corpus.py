"""`affekt corpus …`: list the corpora, check a tree, show its labels, export its tables."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from affekt.exceptions import TableError

if TYPE_CHECKING:
    from affekt.corpus import Corpus
    from affekt.scheme import Categories

N_SHOWN = 20

app = typer.Typer(name="corpus", help="Look after corpora.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="One of `affekt corpus list`.", show_default=False)]
Root = Annotated[
    Path, typer.Argument(help="Where it was unpacked; for csv the table.", show_default=False)
]


@app.command("list")
def list_corpora() -> None:
    """List the corpora that can be loaded by name."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from affekt.corpora import CORPORA

    table = Table("name", "what")
    for name, one in CORPORA.items():
        table.add_row(name, escape(one.title))
    Console().print(table)


@app.command()
def check(
    name: Name,
    root: Root,
    show_all: Annotated[
        bool, typer.Option("--all", help=f"Name everything, not the first {N_SHOWN} of a kind.")
    ] = False,
) -> None:
    """Say what a corpus lacks, has too much of, and has wrong.

    Ends with exit code 1 when there is anything to say.

    \b
    Examples:
      affekt corpus check ravdess ~/data/RAVDESS
      affekt corpus check crema-d ~/data/CREMA-D --all
    """  # noqa: D301 - click wants the backspace itself: keep these lines as they are
    from affekt.corpora import source

    report = source(name).check(root)
    typer.echo(f"{name}: {report.found} of {report.expected} utterances found in {root}")
    kinds = {"missing": report.missing, "extra": report.extra, "problems": report.problems}
    for kind, entries in kinds.items():
        if entries:
            typer.echo(f"{kind}: {len(entries)}")
            shown = entries if show_all else entries[:N_SHOWN]
            for entry in shown:
                typer.echo(f"  {entry}")
            if len(shown) < len(entries):
                typer.echo(f"  … and {len(entries) - len(shown)} more (--all names them)")
    if not report.complete:
        raise typer.Exit(1)
    typer.echo("complete")


@app.command()
def labels(
    name: Name,
    root: Root,
    target: Annotated[str, typer.Option(help="Scheme to map to.")] = "ekman_8",
) -> None:
    """Show how a corpus' labels map to a scheme, with counts and weights.

    Counts are sums of the labels table: whole numbers where labels are hard.

    \b
    Examples:
      affekt corpus labels tess ~/data/TESS
      affekt corpus labels emodb ~/data/EmoDB --target ekman_7
    """  # noqa: D301 - click wants the backspace itself: keep these lines as they are
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from affekt.corpora import source
    from affekt.harmonise import weights

    scheme = _scheme(target)
    corpus = source(name).load(root)
    counts = corpus.labels.sum()
    matrix = weights(list(corpus.scheme), _rows(corpus, scheme), scheme)
    table = Table("label", "utterances", f"in {target}")
    for own in corpus.scheme:
        row = zip(matrix.columns, matrix.loc[own].to_numpy(), strict=True)
        parts = [f"{label} {weight:g}" for label, weight in row if weight > 0]
        table.add_row(escape(own), f"{counts[own]:g}", " + ".join(parts))
    Console().print(table)
    for utterance, reason in corpus.utterances["excluded"].items():
        if reason:
            typer.echo(f"excluded from training: {utterance} ({reason})")


@app.command()
def export(
    name: Name,
    root: Root,
    out: Annotated[Path, typer.Option(help="Folder to write.", show_default=False)],
    ending: Annotated[
        str, typer.Option(help="Ending of the tables: .csv .tsv .jsonl .parquet.")
    ] = ".csv",
    target: Annotated[
        str | None, typer.Option(help="Scheme to bring the labels to, such as ekman_8.")
    ] = None,
    durations: Annotated[bool, typer.Option(help="Read every file's length.")] = True,
) -> None:
    """Write a corpus as a corpus folder: card.json and tables; recordings stay where they are.

    With --target the labels are those that `affekt predict` answers with, so
    that `affekt evaluate` can compare them. The folder is the corpus `affekt`.

    \b
    Examples:
      affekt corpus export emovo ~/data/EMOVO --out emovo
      affekt corpus export csv mine.csv --out mine --ending .parquet
      affekt corpus export emodb ~/data/EmoDB --target ekman_8 --out emodb
      affekt corpus check affekt emodb
    """  # noqa: D301 - click wants the backspace itself: keep these lines as they are
    from affekt.corpora import source
    from affekt.harmonise import harmonise

    scheme = None if target is None else _scheme(target)
    corpus = source(name).load(root, durations=durations)
    if scheme is not None:
        corpus = corpus.relabel(harmonise(corpus.labels, _rows(corpus, scheme), scheme), scheme)
    corpus.write(out, ending=ending)
    typer.echo(f"{out}: {len(corpus)} utterances of {corpus.name}, labels {corpus.scheme.name}")


def _scheme(name: str) -> "Categories":
    from affekt.scheme import SCHEMES

    if name not in SCHEMES:
        raise TableError(f"no scheme {name!r}: there are {', '.join(SCHEMES)}")
    return SCHEMES[name]


def _rows(corpus: "Corpus", target: "Categories") -> str:
    """Whose rows harmonise the labels; those in the target scheme already must stay as they are."""
    from affekt.harmonise import ANY

    return ANY if corpus.scheme == target else corpus.name
