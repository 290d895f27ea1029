"""`affekt raters`: how each rater votes, and whom to leave out."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from affekt.cli.agreement import against_rest, confusions
from affekt.cli.votes import (
    Choices,
    Column,
    Delimiter,
    Duplicates,
    Key,
    Labels,
    Question,
    Source,
    Twice,
    Voted,
    check_out,
    check_shares,
    read,
    show,
)
from affekt.exceptions import TableError

if TYPE_CHECKING:
    import pandas as pd

N_SHOWN = 20
SHOWN = {
    "n_votes": "votes",
    "n_control": "control",
    "control_accuracy": "right",
    "agreement": "agree",
    "entropy": "bits",
    "commonest": "commonest",
    "commonest_share": "share",
    "longest_run": "run",
    "run_probability": "by chance",
    "median_seconds": "seconds",
}
"""Columns of the report -> what they are called where there is little room."""


def raters(
    votes: Source,
    out: Annotated[
        Path | None, typer.Option(help="Write the whole report to this table.", show_default=False)
    ] = None,
    rater: Annotated[
        str | None,
        typer.Option(help="Show this rater's confusions with the rest.", show_default=False),
    ] = None,
    show_all: Annotated[
        bool, typer.Option("--all", help=f"Show every rater, not the {N_SHOWN} who agree least.")
    ] = False,
    keep: Annotated[
        Path | None,
        typer.Option(help="Write the votes that stay to this table.", show_default=False),
    ] = None,
    removed: Annotated[
        Path | None,
        typer.Option(help="Write who was excluded, and why, to this table.", show_default=False),
    ] = None,
    min_control_accuracy: Annotated[
        float | None, typer.Option(help="Exclude who is right less often on control tasks.")
    ] = None,
    min_control: Annotated[
        int, typer.Option(help="Control tasks that it takes to be judged by them.")
    ] = 1,
    min_votes: Annotated[int | None, typer.Option(help="Exclude who voted less often.")] = None,
    min_agreement: Annotated[
        float | None, typer.Option(help="Exclude who agrees less with the majority of the rest.")
    ] = None,
    max_commonest_share: Annotated[
        float | None, typer.Option(help="Exclude who gives one label more often, as a share.")
    ] = None,
    min_run_probability: Annotated[
        float | None,
        typer.Option(help="Exclude whose longest run of one label is less likely by chance."),
    ] = None,
    min_median_seconds: Annotated[
        float | None, typer.Option(help="Exclude who is faster (column seconds).")
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(help="Draw the confusions with the rest (.png, .svg, .pdf); --rater's alone."),
    ] = None,
    labels: Labels = None,
    column: Column = None,
    delimiter: Delimiter = None,
    question: Question = None,
    key: Key = None,
    several: Choices = None,
    duplicates: Twice = Duplicates.refuse,
) -> None:
    """Report on each rater, and exclude those who break a rule, saying whom and why.

    Columns: right on control tasks; agree with the majority of the others;
    bits of entropy of the answers; the commonest label and its share; the
    longest run of one label and how likely so long a run is by chance. All
    rules look at the report on all votes. Nothing is excluded without a rule.

    \b
    Examples:
      affekt raters votes.csv --out raters.csv
      affekt raters votes.csv --rater ann --plot ann.png
      affekt raters votes.csv --min-control-accuracy 0.6 --keep kept.csv
      affekt raters votes.csv --min-votes 20 --min-agreement 0.3 --keep kept.tsv
      affekt raters ~/data/dusha --min-control-accuracy 0.6 --removed removed.csv
    """
    from affekt import votes as room
    from affekt.tables import write_table

    check_out(out, votes)
    check_out(keep, votes)
    check_out(removed, votes)
    shares = {"--min-control-accuracy": min_control_accuracy, "--min-agreement": min_agreement,
              "--max-commonest-share": max_commonest_share,
              "--min-run-probability": min_run_probability}  # fmt: skip
    check_shares(shares)
    voted = read(votes, labels, column, delimiter, question, key, several, others=keep is not None)
    voted.warn_of_the_lonely()
    typer.echo(voted.head() + "\n")
    with voted.faults():
        report = room.raters(voted.table, voted.categories, duplicates=duplicates.value)
        kept, gone = room.exclude(
            voted.table,
            voted.categories,
            min_control_accuracy=min_control_accuracy,
            min_control=min_control,
            min_votes=min_votes,
            min_agreement=min_agreement,
            max_commonest_share=max_commonest_share,
            min_run_probability=min_run_probability,
            min_median_seconds=min_median_seconds,
            duplicates=duplicates.value,
        )
        one = None if rater is None else _confusion(voted, rater, duplicates)
    _show_report(report, show_all)
    if one is not None:
        typer.echo(f"\nconfusions of {rater} (columns) with the majority of the rest (rows), votes")
        show(one.round(1).astype(object))
    _show_removed(gone, voted, kept, show_all)
    if plot is not None:
        _draw(voted, rater, duplicates, plot)
    for table, path in ((report.reset_index(), out), (kept, keep), (gone, removed)):
        if path is not None:
            write_table(table, path)
            typer.echo(f"{path}: {len(table):,} rows")


def _confusion(voted: Voted, rater: str, duplicates: Duplicates) -> "pd.DataFrame":
    from affekt.votes import confusion

    return confusion(voted.table, voted.categories, rater, duplicates=duplicates.value)


def _show_report(report: "pd.DataFrame", show_all: bool) -> None:
    """Print the raters, those first who agree least with the others."""
    names = [name for name in SHOWN if name in report]
    if not report["n_control"].any():
        names = [name for name in names if "control" not in name]
    rows = report.sort_values(["agreement", "n_votes"], kind="stable")[names]
    shown = rows if show_all else rows[:N_SHOWN]
    show(shown.rename(columns=SHOWN))
    if len(shown) < len(rows):
        typer.echo(f"… and {len(rows) - len(shown):,} more raters (--all shows them)")


def _show_removed(
    removed: "pd.DataFrame", voted: Voted, kept: "pd.DataFrame", show_all: bool
) -> None:
    """Print who broke which rule, and what that leaves."""
    if removed.empty:
        return
    typer.echo("")
    shown = removed if show_all else removed[:N_SHOWN]
    for row in shown.itertuples():
        typer.echo(f"excluded: {row.rater} ({row.n_votes:,} votes): {row.reason}")
    if len(shown) < len(removed):
        typer.echo(f"… and {len(removed) - len(shown):,} more (--all names them)")
    n_lost = voted.table["utterance"].nunique() - kept["utterance"].nunique()
    typer.echo(
        f"{removed['rater'].nunique():,} of {voted.table['rater'].nunique():,} raters excluded; "
        f"{len(kept):,} of {len(voted.table):,} votes stay; {n_lost:,} utterances lose all votes"
    )


def _draw(voted: Voted, rater: str | None, duplicates: Duplicates, plot: Path) -> None:
    """Draw how the votes of all, or of one, compare with those of the rest."""
    from affekt import plots
    from affekt.votes.agreement import rater_against_rest

    with voted.faults():
        rest, vote = rater_against_rest(voted.table, voted.categories, duplicates=duplicates.value)
        if rater is not None:
            mine = rest.index.str.endswith(f"/{rater}")
            rest, vote = rest[mine], vote[mine]
        if rest.empty:
            raise TableError(f"no utterance of rater {rater!r} has another vote: nothing to draw")
        found = against_rest(rest, vote)
    title = "Votes against the rest" if rater is None else f"{rater} against the rest"
    plots.save(confusions(found, title, "each rater" if rater is None else "this rater"), plot)
    typer.echo(f"{plot}: rows what most of the others say, columns what the rater says")
