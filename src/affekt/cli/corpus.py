"""`affekt corpus …`: list, check a tree, show its labels, say what it is made of, export it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from affekt.exceptions import TableError

if TYPE_CHECKING:
    import pandas as pd

    from affekt.corpus import Corpus
    from affekt.scheme import Categories

N_SHOWN = 20
N_DRAWN = 40  # groups in a picture

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
    """
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
    """
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
def stats(
    name: Name,
    root: Root,
    by: Annotated[
        str | None,
        typer.Option(
            help="Column: domain, split, sex, …; or several: domain,split.",
            show_default="the first with values",
        ),
    ] = None,
    at: Annotated[
        float, typer.Option(min=0, max=1, help="Least probability of a label; 0.9 for Dusha's.")
    ] = 0.0,
    labels: Annotated[
        Path | None,
        typer.Option(
            help="Labels in place of the corpus' own: what `affekt aggregate` wrote, or meta.tsv.",
            show_default=False,
        ),
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(
            help="Aggregate the corpus' votes: dawid-skene, majority, …", show_default=False
        ),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Folder for pictures.", show_default=False)
    ] = None,
    durations: Annotated[bool, typer.Option(help="Read every file's length.")] = True,
) -> None:
    """Say what a corpus is made of: labels, hours, speakers, durations.

    An utterance counts for its likeliest label; two at the top are undecided.
    A corpus of votes has their shares for labels: --method, or --labels with
    labels made before, counts what the votes say together. --plot draws the
    labels of each group, and the durations of each group and of each label.

    \b
    Examples:
      affekt corpus stats ravdess ~/data/RAVDESS --by sex
      affekt corpus stats dusha ~/data/dusha --method dawid-skene --at 0.9 --plot figures
      affekt corpus stats dusha ~/data/dusha --labels meta.tsv --at 0.9 --by domain,split
      affekt corpus stats affekt mine --by speaker --no-durations
    """
    from affekt.corpora import source
    from affekt.report import stats as made_of

    if labels is not None and method is not None:
        raise TableError("--labels and --method: give one of the two")
    table = None if labels is None else _labels_of(labels)
    corpus = source(name).load(root, durations=durations)
    groups = made_of.grouping(corpus.utterances, _columns(corpus, by))
    for note in corpus.card.get("notes", ()):
        typer.echo(f"note: {note}", err=True)
    if table is not None:
        hard = made_of.answers(corpus.utterances, table, list(corpus.scheme), at)
    else:
        soft = corpus.labels if method is None else _aggregated(corpus, method)
        hard = made_of.hard_labels(corpus.utterances, soft, at)
    counts = made_of.class_table(hard, groups, list(corpus.scheme))
    own = "the corpus' own" + (
        "; --method aggregates its votes" if corpus.votes is not None else ""
    )
    typer.echo(f"labels: {labels or method or own}")
    _show(counts.map("{:d}".format), "label")
    unsure = hard if hard.isin([made_of.UNDECIDED, made_of.NO_LABEL]).any() else None
    _show(_lengths(made_of.duration_table(corpus.utterances, groups, unsure)), str(groups.name))
    if plot is not None:
        _draw(corpus, groups, hard, counts, plot)


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
    """
    from affekt.corpora import source
    from affekt.harmonise import harmonise

    scheme = None if target is None else _scheme(target)
    corpus = source(name).load(root, durations=durations)
    if scheme is not None:
        corpus = corpus.relabel(harmonise(corpus.labels, _rows(corpus, scheme), scheme), scheme)
    corpus.write(out, ending=ending)
    typer.echo(f"{out}: {len(corpus)} utterances of {corpus.name}, labels {corpus.scheme.name}")
    reasons = corpus.utterances["excluded"]
    reasons = reasons[reasons != ""]
    for utterance, reason in reasons.head(N_SHOWN).items():
        typer.echo(f"excluded from training: {utterance} ({reason})", err=True)
    if len(reasons) > N_SHOWN:
        typer.echo(f"… and {len(reasons) - N_SHOWN} more: column excluded of {out}", err=True)


def _columns(corpus: "Corpus", by: str | None) -> str | list[str] | None:
    """A column by its name, or the columns between the commas."""
    if by is None or by in corpus.utterances:
        return by
    return [name.strip() for name in by.split(",") if name.strip()] or by


def _labels_of(path: Path) -> "pd.DataFrame":
    """A labels table by utterance; Dusha's meta.tsv, whose ids are called hash_id, in our words."""
    from affekt.corpora.dusha.manifests import read_meta
    from affekt.tables import read_table

    table = read_table(path)
    if "hash_id" in table.columns:
        return read_meta(path)
    if table.index.name != "utterance":
        raise TableError(f"{path}: no column utterance (or hash_id), so no labels table")
    return table


def _aggregated(corpus: "Corpus", method: str) -> "pd.DataFrame":
    """Labels from the corpus' votes, all votes of a rater on an utterance."""
    from affekt.votes import AGGREGATORS

    if method not in AGGREGATORS:
        raise TableError(f"no method {method!r}: there are {', '.join(AGGREGATORS)}")
    if corpus.votes is None:
        raise TableError(f"{corpus.name} has no votes to aggregate")
    return AGGREGATORS[method](corpus.votes, corpus.scheme, duplicates="keep")


def _lengths(table: "pd.DataFrame") -> "pd.DataFrame":
    """Counts as they are, hours and seconds with two decimals; nothing of what nobody knows."""
    short = table.rename(
        columns={"utterances": "n", "unknown": "no length", "decided_hours": "decided h"}
    )
    if (table["unknown"] == table["utterances"]).all():
        short = short[[name for name in ("n", "speakers", "decided") if name in short]]
    elif not table["unknown"].any():
        short = short.drop(columns="no length")
    short = short.astype(object)
    for name in short:
        whole = name in ("n", "speakers", "no length", "decided")
        short[name] = short[name].map(("{:d}" if whole else "{:.2f}").format)
    return short


def _show(cells: "pd.DataFrame", first: str) -> None:
    """Print a table of words, its index as the first column; whole where no terminal is."""
    from rich.console import Console
    from rich.markup import escape
    from rich.measure import Measurement
    from rich.table import Table

    table = Table()
    table.add_column(escape(first), no_wrap=True)
    for column in cells:
        table.add_column(escape(str(column)), justify="right")
    for row, values in zip(cells.index, cells.to_numpy(), strict=True):
        table.add_row(escape(str(row)), *values)
    console = Console()
    whole = Measurement.get(console, console.options.update(max_width=1000), table).maximum
    Console(width=None if console.is_terminal else max(console.width, whole)).print(table)


def _draw(
    corpus: "Corpus", groups: "pd.Series", hard: "pd.Series", counts: "pd.DataFrame", folder: Path
) -> None:
    """Write classes.png, durations.png and class_durations.png; the last two where lengths are."""
    from affekt import plots
    from affekt.report import stats as made_of

    if groups.nunique() > N_DRAWN:
        raise TableError(f"{groups.name} has {groups.nunique()} values, a picture holds {N_DRAWN}")
    plots.save(plots.classes(counts.drop(index="total"), title=corpus.name), folder / "classes.png")
    drawn = ["classes.png"]
    seconds = corpus.utterances["duration"]
    if seconds.notna().any():
        every = made_of.duration_histogram(seconds, groups)
        width = float(every.index[0].right)
        panels = {}
        for group in every:
            mine = groups == group
            found = made_of.duration_histogram(seconds[mine], hard[mine], width=width)
            panels[str(group)] = found[[label for label in counts.index if label in found]]
        plots.save(plots.durations({"": every}, title=corpus.name), folder / "durations.png")
        plots.save(plots.durations(panels, title=corpus.name), folder / "class_durations.png")
        drawn += ["durations.png", "class_durations.png"]
    typer.echo(f"{folder}: {', '.join(drawn)}")


def _scheme(name: str) -> "Categories":
    from affekt.scheme import SCHEMES

    if name not in SCHEMES:
        raise TableError(f"no scheme {name!r}: there are {', '.join(SCHEMES)}")
    return SCHEMES[name]


def _rows(corpus: "Corpus", target: "Categories") -> str:
    """Whose rows harmonise the labels; those in the target scheme already must stay as they are."""
    from affekt.harmonise import ANY

    return ANY if corpus.scheme == target else corpus.name
