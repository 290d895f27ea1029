"""`affekt next-votes`: which utterances to send to further raters."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

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
    check_out,
    ended,
    read,
    show,
)

N_SHOWN = 10


class Gain(StrEnum):
    """What a further vote is to lower."""

    entropy = "entropy"
    error = "error"


def next_votes(
    votes: Source,
    n: Annotated[
        int | None, typer.Option("--n", help="Utterances, at most.", min=1, show_default="all")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Table to write, best first.", show_default=False)
    ] = None,
    threshold: Annotated[
        float, typer.Option(help="Utterances of at least this probability are decided.")
    ] = 0.9,
    gain: Annotated[
        Gain, typer.Option(help="What a vote is to lower: entropy (nats), or wrong labels.")
    ] = Gain.entropy,
    gold: Annotated[
        bool, typer.Option("--gold", help="Take right answers of control tasks for truth.")
    ] = False,
    labels: Labels = None,
    column: Column = None,
    delimiter: Delimiter = None,
    question: Question = None,
    key: Key = None,
    several: Choices = None,
    duplicates: Twice = Duplicates.refuse,
) -> None:
    """Say which utterances to have voted on next: the undecided, by expected gain of one vote.

    The posterior and the raters' confusions are those of Dawid-Skene on all
    votes. Collect the votes, add them to VOTES, and ask again.

    \b
    Examples:
      affekt next-votes votes.csv --n 500 --out next.csv
      affekt next-votes votes.tsv --n 100 --threshold 0.95 --out next.tsv
    """
    from affekt import votes as room
    from affekt.cli.progress import bars
    from affekt.tables import write_table
    from affekt.votes.coded import code
    from affekt.votes.dawid_skene import fit
    from affekt.votes.em import Options

    check_out(out, votes)
    voted = read(votes, labels, column, delimiter, question, key, several)
    voted.warn_of_the_lonely()
    typer.echo(voted.head())
    with voted.faults(), bars() as start:
        coded = code(voted.table, voted.categories, duplicates=duplicates.value)
        rounds = Options.max_iterations
        more = start(f"dawid-skene (up to {rounds} rounds)", rounds)
        model = fit(coded, gold=gold, max_iterations=rounds, progress=lambda _: more(1))
        every = room.next_votes(model, at=threshold, gain=gain.value)
    typer.echo(f"dawid-skene: {ended(model.losses, rounds, Options.tolerance)}")
    typer.echo(f"{len(every):,} of {coded.n_utterances:,} utterances undecided below {threshold:g}")
    chosen = every[:n]
    if len(chosen):
        typer.echo("")
        show(chosen[:N_SHOWN].fillna({"label": "(tie)"}).rename(columns={"expected_gain": "gain"}))
    if len(chosen) > N_SHOWN:
        typer.echo(f"… and {len(chosen) - N_SHOWN:,} more")
    if out is not None:
        write_table(chosen, out)
        typer.echo(f"\n{out}: {len(chosen):,} utterances")
