"""`affekt corpus …`: list the corpora, check a tree, show its labels, export its tables."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from affekt.corpora import CorpusSource

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
    for name, source in CORPORA.items():
        table.add_row(name, escape(source.title))
    Console().print(table)


@app.command()
def check(
    name: Name,
    root: Root,
    show_all: Annotated[
        bool, typer.Option("--all", help=f"Name everything, not the first {N_SHOWN} of a kind.")
    ] = False,
) -> None:
    r"""Say what a corpus lacks, has too much of, and has wrong.

    Ends with exit code 1 when there is anything to say.

    \b
    Examples:
      affekt corpus check ravdess ~/data/RAVDESS
      affekt corpus check crema-d ~/data/CREMA-D --all
    """
    report = _source(name).check(root)
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
    target: Annotated[str, typer.Option(help="The scheme to map to.")] = "ekman_8",
) -> None:
    r"""Show how a corpus' labels map to a scheme, with counts and weights.

    Counts are sums of the labels table: whole numbers where labels are hard.

    \b
    Examples:
      affekt corpus labels tess ~/data/TESS
      affekt corpus labels emodb ~/data/EmoDB --target ekman_7
    """
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from affekt.harmonise import weights
    from affekt.scheme import SCHEMES

    if target not in SCHEMES:
        raise typer.BadParameter(f"{target!r} is none of {', '.join(SCHEMES)}")
    corpus = _source(name).load(root)
    counts = corpus.labels.sum()
    matrix = weights(list(corpus.scheme), corpus.name, SCHEMES[target])
    table = Table("label", "utterances", f"in {target}")
    for source in corpus.scheme:
        row = zip(matrix.columns, matrix.loc[source].to_numpy(), strict=True)
        parts = [f"{label} {weight:g}" for label, weight in row if weight > 0]
        table.add_row(escape(source), f"{counts[source]:g}", " + ".join(parts))
    Console().print(table)
    for utterance, reason in corpus.utterances["excluded"].items():
        if reason:
            typer.echo(f"excluded from training: {utterance} ({reason})")


@app.command()
def export(
    name: Name,
    root: Root,
    out: Annotated[Path, typer.Option(help="The folder to write.", show_default=False)],
    ending: Annotated[str, typer.Option(help="Of the tables: .csv .tsv .jsonl .parquet")] = ".csv",
    durations: Annotated[bool, typer.Option(help="Read every file's length.")] = True,
) -> None:
    r"""Write a corpus as a corpus folder: card.json and tables; recordings stay where they are.

    \b
    Examples:
      affekt corpus export emovo ~/data/EMOVO --out emovo
      affekt corpus export csv mine.csv --out mine --ending .parquet
    """
    corpus = _source(name).load(root, durations=durations)
    corpus.write(out, ending=ending)
    typer.echo(f"{out}: {len(corpus)} utterances of {corpus.name}")


def _source(name: str) -> "CorpusSource":
    from affekt.corpora import CORPORA

    if name not in CORPORA:
        raise typer.BadParameter(f"{name!r} is none of {', '.join(CORPORA)}")
    return CORPORA[name]
