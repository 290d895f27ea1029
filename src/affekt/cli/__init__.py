"""The command line: one verb a file; each verb imports what it needs when it runs."""

import os
import sys

import typer

from affekt.cli import (
    aggregate,
    agreement,
    audit,
    corpus,
    demo,
    evaluate,
    next_votes,
    predict,
    raters,
    run,
)
from affekt.exceptions import AffektError

INTERRUPTED = 130  # 128 + SIGINT

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
app.command()(aggregate.aggregate)
app.command()(raters.raters)
app.command()(agreement.agreement)
app.command()(next_votes.next_votes)
app.add_typer(corpus.app)
app.command()(demo.demo)


def main() -> None:
    """Entry point of `affekt`.

    What is wrong with the input, or with a file or folder, ends in one line and exit code 1.
    """
    try:
        app()
    except AffektError as problem:
        sys.exit(_said(str(problem), 1))
    except OSError as problem:
        sys.exit(_said(_reason(problem), 1))
    except SystemExit as end:  # typer makes this of Ctrl-C
        if end.code == INTERRUPTED:
            _said("interrupted; give the same command again to go on", INTERRUPTED)
        raise


def _said(message: str, code: int) -> int:
    typer.echo(f"affekt: {message}", err=True)
    return code


def _reason(problem: OSError) -> str:
    """Name the file and what the system says, on one line."""
    from affekt.decode import name_of

    reason = name_of(problem.strerror or str(problem) or type(problem).__name__)
    if problem.filename is None:
        return reason
    return f"{name_of(os.fsdecode(problem.filename))}: {reason}"
