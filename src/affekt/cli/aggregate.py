"""`affekt aggregate`: from raters' votes to labels."""

from collections.abc import Callable, Mapping
from enum import StrEnum
from inspect import signature
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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
    check_out,
    decimals,
    ended,
    is_dusha,
    present,
    read,
    refuse,
    show,
)
from affekt.exceptions import TableError

if TYPE_CHECKING:
    import pandas as pd

LIKELIEST = 1e-9  # every top reaches this, so that only exact ties stay undecided
DUSHA_THRESHOLD = 0.9
OWN_COLUMNS = {"utterance", "label", "probability"}


class Method(StrEnum):
    """The names in `affekt.votes.AGGREGATORS`."""

    shares = "shares"
    majority = "majority"
    weighted_majority = "weighted-majority"
    dawid_skene = "dawid-skene"
    one_coin = "one-coin"
    mace = "mace"
    glad = "glad"


class Prior(StrEnum):
    """How frequent the true labels are, before any vote."""

    estimated = "estimated"
    uniform = "uniform"


class Compat(StrEnum):
    """Whose decisions to repeat."""

    dusha = "dusha"


def aggregate(
    votes: Source,
    method: Annotated[Method, typer.Option(help="How votes become labels.")] = Method.dawid_skene,
    threshold: Annotated[
        float | None,
        typer.Option(
            help="Least probability of a hard label; adds columns label and probability.",
            show_default="none; 0.9 for a tree of Dusha",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Labels table to write; a folder for a tree of Dusha.", show_default=False
        ),
    ] = None,
    hard: Annotated[
        bool, typer.Option("--hard", help="Write the columns label and probability alone.")
    ] = False,
    multi_label: Annotated[
        float | None,
        typer.Option(help="Write 1 for each label that reaches this, 0 for others."),
    ] = None,
    gold: Annotated[
        bool, typer.Option("--gold", help="Take right answers of control tasks for truth.")
    ] = False,
    drop_control: Annotated[
        bool | None,
        typer.Option(
            "--drop-control/--keep-control",
            help="Leave control tasks out of the labels.",
            show_default="kept; Dusha: out of train/, kept in test/",
        ),
    ] = None,
    exclude: Annotated[
        Path | None,
        typer.Option(
            help="Raters to leave out of a tree of Dusha: `affekt raters --removed`.",
            show_default=False,
        ),
    ] = None,
    max_iterations: Annotated[
        int | None, typer.Option(help="Rounds, at most.", show_default="the method's", min=1)
    ] = None,
    tolerance: Annotated[
        float | None,
        typer.Option(help="Stop when a round gains less.", show_default="the method's"),
    ] = None,
    smoothing: Annotated[
        float | None, typer.Option(help="Pseudo-votes a cell.", show_default="the method's")
    ] = None,
    prior: Annotated[
        Prior | None,
        typer.Option(help="Of the true labels.", show_default="the method's"),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Of random starts (mace).", min=0, show_default="0")
    ] = None,
    compat: Annotated[
        Compat | None,
        typer.Option(help="Repeat the decisions of Dusha's script.", show_default=False),
    ] = None,
    per_split: Annotated[
        bool, typer.Option("--per-split", help="Aggregate Dusha's train and test apart.")
    ] = False,
    labels: Labels = None,
    column: Column = None,
    delimiter: Delimiter = None,
    question: Question = None,
    key: Key = None,
    several: Choices = None,
    duplicates: Twice = Duplicates.refuse,
) -> None:
    """Turn raters' votes into labels: soft ones, and hard ones where they are sure.

    VOTES has a row a vote: utterance, rater, label, and gold, the right answer,
    where the utterance is a control task. The labels table has a row an
    utterance and a column a label. Undecided utterances keep an empty label.
    A tree of Dusha becomes the manifests of its release.

    \b
    Examples:
      affekt aggregate votes.csv --out labels.csv
      affekt aggregate votes.tsv --threshold 0.9 --out labels.parquet
      affekt aggregate crowd.tsv --method mace --column label=emo --out soft.csv
      affekt aggregate votes.csv --method majority --hard --out hard.csv
      affekt aggregate ~/data/dusha --compat dusha --out manifests
    """
    if is_dusha(votes):
        asked = {"--labels": labels, "--column": column, "--hard": hard, "--gold": gold,
                 "--multi-label": multi_label, "--max-iterations": max_iterations,
                 "--delimiter": delimiter, "--question": question, "--key": key,
                 "--tolerance": tolerance, "--smoothing": smoothing,
                 "--prior": prior, "--seed": seed, "--several": several,
                 "--duplicates": duplicates != Duplicates.refuse}  # fmt: skip
        refuse(asked, "a tree of Dusha")
        _manifests(
            votes,
            out,
            {
                "threshold": DUSHA_THRESHOLD if threshold is None else threshold,
                "method": method.value,
                "compat": None if compat is None else compat.value,
                "per_split": per_split,
                "drop_honeypots": drop_control,
                "exclude": exclude,
            },
        )
        return
    refuse(
        {"--compat": compat, "--per-split": per_split, "--exclude": exclude},
        "votes other than a tree of Dusha",
    )
    if multi_label is not None:
        refuse({"--hard": hard, "--threshold": threshold}, "--multi-label")
    check_out(out, votes)
    _check_levels({"--threshold": threshold, "--multi-label": multi_label})
    options = _options(
        method,
        {
            "gold": gold,
            "max_iterations": max_iterations,
            "tolerance": tolerance,
            "smoothing": smoothing,
            "prior": None if prior is None else prior.value,
            "seed": seed,
        },
    )
    if tolerance is not None and not 0 < tolerance < inf:
        raise TableError(f"--tolerance {tolerance:g} is not a number above 0")
    voted = read(votes, labels, column, delimiter, question, key, several)
    if (gold or drop_control) and "gold" not in voted.table:
        raise TableError(f"{votes}: no column gold, so no control task is known")
    if clash := sorted(OWN_COLUMNS & set(voted.categories)):
        raise TableError(f"{votes}: label {clash[0]!r} is called like a column of the labels table")
    voted.warn_of_the_lonely()
    typer.echo(voted.head())
    with voted.faults():
        soft, rounds = _aggregated(voted, method, options, duplicates)
    control = _control(voted)
    _say_control(soft, control, gold)
    soft = soft[~soft.index.isin(control.index)] if drop_control else soft
    decided = _decided(soft, threshold)
    if rounds:
        typer.echo(f"{method}: {rounds}")
    if multi_label is None:
        _say(soft, decided, method, threshold)
    else:
        _say_several(soft, method, multi_label)
    if out is not None:
        _write(_rows(soft, decided, threshold, hard, multi_label), out)


def _options(method: Method, asked: Mapping[str, Any]) -> dict[str, Any]:
    """The options that were given, all of them the method's own."""
    from affekt.votes import AGGREGATORS

    given = present(asked)
    own = signature(AGGREGATORS[method]).parameters
    refuse(
        {f"--{name.replace('_', '-')}": True for name in given if name not in own},
        f"--method {method}, which has no such option",
    )
    return given


def _aggregated(
    voted: Voted, method: Method, options: Mapping[str, Any], duplicates: Duplicates
) -> tuple["pd.DataFrame", str]:
    """Labels by the method and how its rounds ended, with a bar; "" where it needs none."""
    from affekt.cli.progress import bars
    from affekt.votes import AGGREGATORS
    from affekt.votes.coded import code
    from affekt.votes.dawid_skene import fit as dawid_skene
    from affekt.votes.glad import fit as glad
    from affekt.votes.mace import fit as mace
    from affekt.votes.one_coin import fit as one_coin

    run = AGGREGATORS[method]
    own = signature(run).parameters
    if "progress" not in own:
        soft = run(voted.table, voted.categories, **options, duplicates=duplicates.value)
        return soft, ""
    fits: Mapping[str, Callable[..., Any]] = {
        "dawid-skene": dawid_skene, "one-coin": one_coin, "mace": mace, "glad": glad,
    }  # fmt: skip
    coded = code(voted.table, voted.categories, duplicates=duplicates.value)
    limit = options.get("max_iterations", own["max_iterations"].default)
    most = limit * (own["n_starts"].default if "n_starts" in own else 1)
    with bars() as start:
        more: Callable[[int], None] = start(f"{method} (up to {most} rounds)", most)
        # A call is a round; what it says of rounds that were not needed would fill the bar.
        found = fits[method](coded, **options, progress=lambda _: more(1))
    tolerance = options.get("tolerance", own["tolerance"].default)
    return found.labels, ended(found.losses, limit, tolerance)


def _control(voted: Voted) -> "pd.Series":
    """Right answer of each control task."""
    import pandas as pd

    if "gold" not in voted.table:
        return pd.Series(dtype=object)
    told = voted.table[voted.table["gold"].notna() & (voted.table["gold"] != "")]
    return told.drop_duplicates("utterance").set_index("utterance")["gold"]


def _say_control(soft: "pd.DataFrame", control: "pd.Series", fixed: bool) -> None:
    """How well the method does where the right answer is known, and was not given to it."""
    if fixed or control.empty:
        return
    found = _decided(soft.loc[control.index], None)
    right = int((found == control).sum())
    share = decimals(right / len(control))
    typer.echo(f"control tasks: {right:,} of {len(control):,} labelled right ({share})")


def _decided(soft: "pd.DataFrame", threshold: float | None) -> "pd.Series":
    from affekt.votes import threshold as harden

    return harden(soft, LIKELIEST if threshold is None else threshold)


def _say(
    soft: "pd.DataFrame", decided: "pd.Series", method: Method, threshold: float | None
) -> None:
    """Print how many utterances are undecided, and the table of classes."""
    import pandas as pd

    n, n_undecided = len(soft), int(decided.isna().sum())
    why = "by an exact tie" if threshold is None else f"below {threshold:g}"
    share = f" ({n_undecided / n:.1%})" if n else ""
    typer.echo(f"{method}: {n_undecided:,} of {n:,} utterances undecided {why}{share}\n")
    counts = decided.value_counts().reindex(list(soft), fill_value=0)
    table = pd.DataFrame({"utterances": counts, "share": counts / max(n - n_undecided, 1)})
    table["mean probability"] = soft.mean()
    show(table.rename_axis("label").astype({"utterances": object}))


def _say_several(soft: "pd.DataFrame", method: Method, level: float) -> None:
    """Print how many labels reach the level, as they are written."""
    import pandas as pd

    from affekt.votes import multi_label

    reached = multi_label(soft, level)
    n, n_none = len(soft), int((~reached.any(axis=1)).sum())
    typer.echo(
        f"{method}: {int(reached.to_numpy().sum()):,} labels of {n:,} utterances reach {level:g}; "
        f"{n_none:,} utterances have none\n"
    )
    counts = reached.sum()
    table = pd.DataFrame({"utterances": counts, "share": counts / max(n, 1)})
    table["mean probability"] = soft.mean()
    show(table.rename_axis("label").astype({"utterances": object}))


def _rows(
    soft: "pd.DataFrame",
    decided: "pd.Series",
    threshold: float | None,
    hard: bool,
    multi_label: float | None,
) -> "pd.DataFrame":
    """What is written: probabilities, hard labels, or both; or which labels reach a level."""
    from affekt.votes import multi_label as reached

    if multi_label is not None:
        return reached(soft, multi_label).astype(int)
    if threshold is None and not hard:
        return soft
    answer = decided.to_frame().assign(probability=soft.max(axis=1))
    return answer if hard else soft.join(answer)


def _write(table: "pd.DataFrame", out: Path) -> None:
    from affekt.tables import write_table

    write_table(table, out)
    typer.echo(f"\n{out}: {len(table):,} rows")


def _check_levels(levels: Mapping[str, float | None]) -> None:
    for name, level in levels.items():
        if level is not None and not 0 < level <= 1:
            raise TableError(f"{name} {level:g} is not in (0, 1]")


def _manifests(root: Path, out: Path | None, options: Mapping[str, Any]) -> None:
    """Write Dusha's manifests and print the counts beside the papers'."""
    from affekt.cli.progress import bars
    from affekt.corpora.dusha.manifests import process

    if out is None:
        raise TableError(f"{root}: --out must name the folder of the manifests")
    with bars() as progress:
        found = process(
            root,
            out,
            **options,
            progress=progress,
        )
    show(found.reset_index().set_index("source").map(_count))
    typer.echo(f"\n{out}: meta.tsv and the manifests of aggregated and experiment data")


def _count(value: object) -> object:
    """Counts without decimals, hours with one."""
    if not isinstance(value, float):
        return value
    if value != value:
        return "-"
    return f"{value:,.0f}" if value.is_integer() else f"{value:,.1f}"
