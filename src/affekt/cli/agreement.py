"""`affekt agreement`: how far raters agree, and how well one of them could do."""

from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum
from math import isfinite, nan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

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
    decimals,
    read,
    show,
)
from affekt.exceptions import AffektError, TableError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from affekt.report import Report

N_PAIRS = 10  # shown; --out has all
MANY_RATERS = 500  # their pairs fill a table of 125,000 rows


class Level(StrEnum):
    """What kind of scale the labels are."""

    nominal = "nominal"
    ordinal = "ordinal"
    interval = "interval"


def agreement(
    votes: Source,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for the tables, the report and a picture.", show_default=False),
    ] = None,
    level: Annotated[
        Level,
        typer.Option(
            help="Of Krippendorff's alpha. Labels that are numbers count as such; others need"
            " --labels in rising order, and are equal steps apart."
        ),
    ] = Level.nominal,
    n_resamples: Annotated[int, typer.Option(help="Number of bootstrap resamples.", min=1)] = 1000,
    seed: Annotated[int, typer.Option(help="Seed of the bootstrap.")] = 0,
    labels: Labels = None,
    column: Column = None,
    delimiter: Delimiter = None,
    question: Question = None,
    key: Key = None,
    several: Choices = None,
    duplicates: Twice = Duplicates.refuse,
) -> None:
    """Measure how far raters agree: beyond chance, in pairs, and each with the rest.

    The human ceiling is how often a vote says what the majority of the other
    votes on its utterance says. --out writes agreement.csv, entropy.csv,
    pairs.csv and the full report of a rater against the rest.

    \b
    Examples:
      affekt agreement votes.csv
      affekt agreement votes.csv --out agreement
      affekt agreement mood.csv --labels bad,fair,good --level ordinal
    """
    from affekt.tables import write_table
    from affekt.votes import agreement as measures

    voted = read(votes, labels, column, delimiter, question, key, several)
    voted, values = _on_a_scale(voted, level, ordered=labels is not None)
    typer.echo(voted.head() + "\n")
    with voted.faults():
        found = measures.summary(
            voted.table,
            voted.categories,
            level=level.value,
            duplicates=duplicates.value,
            n_resamples=n_resamples,
            seed=seed,
        )
        if values is not None:
            _take_numbers(found, voted, values, duplicates, n_resamples, seed)
        ceiling = _ceiling(voted, duplicates, n_resamples, seed)
        entropy = measures.entropy(voted.table, voted.categories, duplicates=duplicates.value)
        pairs, why_none = _pairs(voted, duplicates)
    show(_words(found))
    _show_ceiling(found, ceiling)
    _show_pairs(pairs, why_none)
    if out is not None:
        write_table(found.reset_index(), out / "agreement.csv")
        write_table(entropy.to_frame(), out / "entropy.csv")
        if pairs is not None:
            write_table(pairs, out / "pairs.csv")
        if ceiling is not None:
            ceiling.write(out / "rater_against_rest")
            _draw(ceiling, out / "rater_against_rest" / "confusion.png")
        typer.echo(f"\n{out}: written")


def _on_a_scale(
    voted: Voted, level: Level, *, ordered: bool
) -> tuple[Voted, Sequence[float] | None]:
    """The votes with labels in rising order, and the numbers that they stand for, if they do."""
    if level == Level.nominal:
        return voted, None
    numbers = {label: _number(label) for label in voted.categories}
    if not all(isfinite(number) for number in numbers.values()):
        if not ordered:
            raise TableError(
                f"{voted.path}: --level {level.value} needs labels that are numbers, or their "
                "rising order: --labels bad,fair,good"
            )
        return voted, None
    if not ordered:
        rising = tuple(sorted(numbers, key=numbers.__getitem__))
        voted = replace(voted, categories=replace(voted.categories, labels=rising))
    values = [numbers[label] for label in voted.categories]
    return voted, values if level == Level.interval else None


def _number(label: str) -> float:
    try:
        return float(label)
    except ValueError:
        return nan


def _take_numbers(
    found: "pd.DataFrame",
    voted: Voted,
    values: Sequence[float],
    duplicates: Duplicates,
    n_resamples: int,
    seed: int,
) -> None:
    """Put alpha of the numbers where that of equal steps stands."""
    from affekt.votes.agreement import krippendorff_alpha, krippendorff_interval

    alpha = krippendorff_alpha(
        voted.table,
        voted.categories,
        level="interval",
        values=values,
        duplicates=duplicates.value,
    )
    low, high = krippendorff_interval(
        voted.table,
        voted.categories,
        level="interval",
        values=values,
        duplicates=duplicates.value,
        n_resamples=n_resamples,
        seed=seed,
    )
    found.loc["Krippendorff's alpha (interval)", ["value", "low", "high"]] = [alpha, low, high]


def _ceiling(voted: Voted, duplicates: Duplicates, n_resamples: int, seed: int) -> "Report | None":
    """A rater against the rest; None where the rest ties always, or votes are not single."""
    from affekt.votes.agreement import rater_against_rest

    if voted.doubled(duplicates):
        return None
    single = Duplicates.refuse if duplicates.value == "keep" else duplicates
    rest, vote = rater_against_rest(voted.table, voted.categories, duplicates=single.value)
    try:
        return against_rest(rest, vote, n_resamples=n_resamples, seed=seed)
    except TableError:
        return None


def against_rest(
    rest: "pd.DataFrame", vote: "pd.DataFrame", *, n_resamples: int = 1000, seed: int = 0
) -> "Report":
    """Evaluate votes against the others' shares; intervals resample utterances, not speakers."""
    from affekt.report import evaluate

    report = evaluate(
        rest,
        vote,
        speakers=rest.index.to_series().str.rsplit("/", n=1).str[0],
        n_resamples=n_resamples,
        seed=seed,
        notes=["a rater against the shares of the others; intervals resample utterances"],
    )
    return replace(report, interval_by="utterance", n_speakers=None)


def confusions(report: "Report", title: str, who: str) -> "Figure":
    """Draw a rater against the rest, its axes called what they are."""
    from affekt import plots

    figure = plots.confusion(report, title=title)
    figure.axes[0].set(xlabel=who, ylabel="most of the others")
    return figure


def _pairs(voted: Voted, duplicates: Duplicates) -> "tuple[pd.DataFrame | None, str]":
    """Cohen's kappa of all pairs, or why there is none."""
    from affekt.votes.agreement import cohen_table

    raters = voted.table["rater"]
    if raters.isna().any():
        return None, "raters are not all known"
    if raters.nunique() > MANY_RATERS:
        return None, f"{raters.nunique():,} raters are too many to pair"
    if duplicates != Duplicates.refuse and voted.doubled(Duplicates.keep):
        return None, "raters answered some utterances twice"
    pairs = cohen_table(voted.table, voted.categories)
    pairs = pairs.sort_values(["kappa", "n_common"], kind="stable", ignore_index=True)
    return (pairs, "") if len(pairs) else (None, "no two raters share two utterances")


def _words(found: "pd.DataFrame") -> "pd.DataFrame":
    """The table of measures with intervals in brackets."""
    import pandas as pd

    rows = found.drop(index="agreement with the rest")
    inside = [
        f"[{decimals(low)}, {decimals(high)}]" if low == low else ""
        for low, high in zip(rows["low"], rows["high"], strict=True)
    ]
    words = {"value": rows["value"].to_numpy(), "95 %": inside, "": rows["note"].to_numpy()}
    return pd.DataFrame(words, rows.index)


def _show_ceiling(found: "pd.DataFrame", ceiling: "Report | None") -> None:
    shared = decimals(found["value"].to_dict()["agreement with the rest"])
    typer.echo("\nhuman ceiling: a rater against the majority of the others")
    typer.echo(f"  accuracy, a tie of k labels counted 1 / k   {shared}")
    if ceiling is None:
        typer.echo("  accuracy and UAR without ties: not defined for these votes")
        return
    measures = {"accuracy": ceiling.accuracy, "UAR": ceiling.unweighted_average_recall}
    for name, estimate in measures.items():
        typer.echo(f"  {f'{name}, votes whose others tie left out':<42}  {estimate}")
    typer.echo(f"  ({ceiling.n - ceiling.n_hard:,} of {ceiling.n:,} votes have others that tie)")


def _show_pairs(pairs: "pd.DataFrame | None", why_none: str) -> None:
    if pairs is None:
        typer.echo(f"\nCohen's kappa of pairs: none, {why_none}")
        return
    mean = decimals(float((pairs["kappa"] * pairs["n_common"]).sum() / pairs["n_common"].sum()))
    typer.echo(f"\nCohen's kappa of {len(pairs):,} pairs, mean by utterances in common {mean}")
    shown = pairs[:N_PAIRS].set_index("rater").astype({"n_common": object})
    show(shown.rename(columns={"n_common": "in common"}))
    if len(pairs) > N_PAIRS:
        typer.echo(f"… and {len(pairs) - N_PAIRS:,} pairs of higher kappa (--out writes all)")


def _draw(ceiling: "Report", path: Path) -> None:
    """Draw the confusions where matplotlib is at hand; the report is whole without them."""
    from affekt import plots

    try:
        plots.save(confusions(ceiling, "A rater against the rest", "each rater"), path)
    except AffektError as problem:
        typer.echo(f"no picture: {problem}", err=True)
