"""The command line: one verb a file; each verb imports what it needs when it runs."""

import os
import signal
import sys
import threading
from typing import TYPE_CHECKING

import typer

from affekt.cli import (
    aggregate,
    agreement,
    audit,
    corpus,
    demo,
    enrol,
    errors,
    evaluate,
    features,
    next_votes,
    predict,
    raters,
    run,
    sequence,
)
from affekt.exceptions import AffektError

if TYPE_CHECKING:
    from types import FrameType

INTERRUPTED = 130  # 128 + SIGINT
TERMINATED = 143  # 128 + SIGTERM

app = typer.Typer(
    name="affekt",
    help="Emotion in speech: recognise, evaluate, train, and look after corpora.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.command()(predict.predict)
app.command()(enrol.enrol)
app.command()(sequence.sequence)
app.command()(run.run)
app.command()(evaluate.evaluate)
app.command()(errors.errors)
app.command()(audit.audit)
app.command()(aggregate.aggregate)
app.command()(raters.raters)
app.command()(agreement.agreement)
app.command()(next_votes.next_votes)
corpus.app.command()(features.features)
app.add_typer(corpus.app)
app.command()(demo.demo)


def main() -> None:
    """Entry point of `affekt`.

    What is wrong with the input, or with a file or folder, ends in one line and exit code 1.
    SIGTERM ends it as Ctrl-C does: files that are half written are removed.
    """
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _terminate)
    try:
        app()
    except AffektError as problem:
        sys.exit(_said(str(problem), 1))
    except OSError as problem:
        sys.exit(_said(_reason(problem), 1))
    except SystemExit as end:  # typer makes this of Ctrl-C
        if end.code == INTERRUPTED:
            _said("interrupted; give the same command again to go on", INTERRUPTED)
        if end.code == TERMINATED:
            _said("terminated; give the same command again to go on", TERMINATED)
        raise


def _terminate(number: int, frame: "FrameType | None") -> None:
    """Unwind the stack; a second signal meanwhile ends the process at once."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    raise SystemExit(TERMINATED)


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
