"""The command line: one verb a file; each verb imports what it needs when it runs."""

import sys

import typer

from affekt.cli import audit, corpus, demo, evaluate, predict, run
from affekt.exceptions import AffektError

app = typer.Typer(
    name="affekt",
    help="Emotion in speech: recognise, evaluate, train, and look after corpora.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.command()(predict.predict)
app.command()(run.run)
app.command()(evaluate.evaluate)
app.command()(audit.audit)
app.add_typer(corpus.app)
app.command()(demo.demo)


def main() -> None:
    """Entry point of `affekt`; an error in the input ends in one line and exit code 1."""
    try:
        app()
    except AffektError as problem:
        typer.echo(f"affekt: {problem}", err=True)
        sys.exit(1)
