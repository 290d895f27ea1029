"""`affekt errors`: how a prediction errs, beside how raters differ."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from affekt.exceptions import TableError

if TYPE_CHECKING:
    import pandas as pd

    from affekt.corpus import Corpus


class Truth(StrEnum):
    """What the prediction is held against."""

    labels = "labels"
    majority = "majority"


def errors(
    predictions: Annotated[
        Path, typer.Argument(help="Table of predicted labels: csv, tsv, jsonl, json, parquet.")
    ],
    corpus: Annotated[
        str, typer.Option(help="A corpus with votes, and where it lies.", metavar="NAME=ROOT")
    ],
    out: Annotated[
        Path | None, typer.Option(help="Folder for errors.md and pictures.", show_default=False)
    ] = None,
    truth: Annotated[
        Truth, typer.Option(help="The corpus' labels, or what most raters said.")
    ] = Truth.labels,
    labels: Annotated[
        str | None,
        typer.Option(
            help="Compare over these labels alone, such as anger,neutral; ban others.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Show where a prediction errs: confusion, dissent, residual accuracy, people beside it.

    Utterances that the table does not have are left out, and a note says how many; the page names
    labels that not all tables know.
    With --out come the figures: confusion and error rate by dissent (errors.png),
    the model beside a rater against the rest (people.png).

    \b
    Examples:
      affekt errors runs/crema-d/predictions.csv --corpus crema-d=DATA/CREMA-D \\
        --truth majority --out errors
      affekt errors runs/iemocap/ctc/predictions.csv --corpus iemocap=DATA/IEMOCAP \\
        --labels anger,excitement,neutral,sadness
    """
    from affekt.errors import structure
    from affekt.votes.read import occurring
    from affekt.votes.rest import rater_against_rest

    found = _corpus(corpus)
    true, answered = _tables(predictions, found, truth, labels)
    assert found.votes is not None
    votes = found.votes[found.votes["utterance"].isin(true.index)]
    people = None
    if votes["utterance"].duplicated().any():
        people = rater_against_rest(votes, occurring(votes), duplicates="first")
    page = structure(true, answered, votes, people=people)
    if out is not None:
        from affekt import plots

        plots.write_errors(page, out, title=predictions.stem)
    typer.echo(page.to_markdown(), nl=False)


def _tables(
    predictions: Path, corpus: "Corpus", truth: Truth, labels: str | None
) -> "tuple[pd.DataFrame, pd.DataFrame]":
    """Truth and prediction of the utterances that have both and votes; say what is left out."""
    from affekt.cli.evaluate import labels_of, match_keys, read_file
    from affekt.report import restrict

    true = _truth(corpus, truth)
    rows = match_keys(read_file(predictions), true.join(corpus.utterances[["file"]]))
    answered = labels_of(rows, predictions)
    common = true.index[true.index.isin(answered.index)]
    if not len(common):
        raise TableError(
            f"{predictions}: has none of the {len(true)} utterances of {corpus.name} with a label"
            f" and votes; they are called like {str(true.index[0])!r}"
        )
    if len(common) < len(true):
        typer.echo(f"note: {len(true) - len(common)} of {len(true)} have no prediction", err=True)
    true, answered = true.loc[common], answered.loc[common]
    if labels is not None:
        wanted = [label.strip() for label in labels.split(",") if label.strip()]
        true, answered, note = restrict(true, answered, wanted)
        typer.echo(f"note: {note}", err=True)
    return true, answered


def _corpus(pair: str) -> "Corpus":
    from affekt.corpora import CORPORA, source

    name, equals, root = pair.partition("=")
    if not (equals and root):
        raise TableError(f"--corpus {pair}: give NAME=ROOT with a name of {', '.join(CORPORA)}")
    found = source(name).load(root, durations=False)
    if found.votes is None or not len(found.votes):
        raise TableError(f"{name} has no votes: `affekt evaluate` compares without them")
    return found


def _truth(corpus: "Corpus", truth: Truth) -> "pd.DataFrame":
    """One row an utterance that has votes."""
    from affekt.votes.majority import majority
    from affekt.votes.read import occurring

    assert corpus.votes is not None
    if truth is Truth.majority:
        return majority(corpus.votes, occurring(corpus.votes), duplicates="keep")
    return corpus.labels[corpus.labels.index.isin(corpus.votes["utterance"])]
