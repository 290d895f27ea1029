"""`affekt audit`: who and what stands on both sides of a split."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from affekt.exceptions import AudioError, CorpusError

if TYPE_CHECKING:
    from affekt.corpus import Corpus
    from affekt.splits import Split


def audit(
    name: Annotated[
        str | None, typer.Argument(help="One of `affekt corpus list`.", show_default=False)
    ] = None,
    root: Annotated[
        Path | None,
        typer.Argument(help="Where it was unpacked; for csv the table.", show_default=False),
    ] = None,
    corpus: Annotated[
        list[str] | None,
        typer.Option(
            help="A corpus and where it lies; repeat it to join several.",
            metavar="NAME=ROOT",
            show_default=False,
        ),
    ] = None,
    split: Annotated[
        str,
        typer.Option(
            help="One of by-speaker, leave-one-speaker-out, leave-one-corpus-out, by-session,"
            " official, stratified, emobox:FILE or file:TABLE."
        ),
    ] = "by-speaker",
    folds: Annotated[
        int | None,
        typer.Option(
            help="Number of folds, for by-speaker.",
            min=2,
            show_default="5, or one a speaker where they are fewer",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed, for by-speaker and stratified.")] = 0,
    audio: Annotated[
        bool, typer.Option("--audio", help="Decode all recordings and compare them too.")
    ] = False,
    allow_missing: Annotated[
        bool, typer.Option("--allow-missing", help="Go on without unmatched rows, for emobox.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="Store the split as a table: utterance, fold, part.")
    ] = None,
) -> None:
    """Print the leak table of a split: sizes, shared speakers, shared audio, shared texts.

    Shared texts are information (acted corpora read the same sentences
    everywhere); shared or unknown speakers and shared audio are leaks, which
    training and evaluation refuse. Ends with exit code 1 when there is a leak.
    Several corpora are joined: their ids become corpus/utterance.

    \b
    Examples:
      affekt audit ravdess ~/data/RAVDESS --folds 6 --out folds.csv
      affekt audit crema-d ~/data/CREMA-D --split emobox:cremad.csv
      affekt audit emodb ~/data/EmoDB --split leave-one-speaker-out --audio
      affekt audit --corpus emovo=DATA/EMOVO --corpus csv=my.csv \\
        --split leave-one-corpus-out
    """
    from affekt import splits

    whole = _joined(_corpora(name, root, corpus or []))
    found = splits.named(
        split,
        whole.utterances,
        whole.labels,
        n_folds=folds,
        seed=seed,
        allow_missing=allow_missing,
    )
    if out is not None:
        splits.write(found, out)
    prints = _fingerprints(whole, found) if audio else None
    audits = [splits.audit(fold, whole.utterances, prints) for fold in found]
    table = splits.leak_table(audits)
    if prints is None:
        table["shared_audio"] = "not looked"
    typer.echo(table.to_string(index=False))
    for result in audits:
        for leak in result.leaks():
            typer.echo(f"{result.split.name}: {leak}")
    if any(result.leaks() for result in audits):
        raise typer.Exit(1)
    looked = "speakers and audio" if audio else "speakers (audio was not compared: --audio)"
    typer.echo(f"no leak: {looked}")


def _corpora(name: str | None, root: Path | None, pairs: list[str]) -> "list[Corpus]":
    """Load the corpus named first, where there is one, and those of `NAME=ROOT`."""
    from affekt.corpora import CORPORA, source

    places = [] if name is None or root is None else [(name, str(root))]
    if name is not None and root is None:
        raise CorpusError(f"{name}: say also where it lies: affekt audit {name} ROOT")
    for pair in pairs:
        one, equals, place = pair.partition("=")
        if not (equals and place):
            raise CorpusError(
                f"--corpus {pair}: give NAME=ROOT with a name of {', '.join(CORPORA)}"
            )
        places.append((one, place))
    if not places:
        raise CorpusError("no corpus: give NAME ROOT, or --corpus NAME=ROOT for each of several")
    return [source(one).load(place, durations=False) for one, place in places]


def _joined(corpora: "list[Corpus]") -> "Corpus":
    """One corpus of all, labelled with every label that one of them has."""
    from affekt.corpus import concat
    from affekt.scheme import Categories

    if len(corpora) == 1:
        return corpora[0]
    union = dict.fromkeys(label for corpus in corpora for label in corpus.scheme)
    scheme = Categories("union", tuple(union))
    return concat(
        [
            corpus.relabel(corpus.labels.reindex(columns=list(scheme), fill_value=0.0), scheme)
            for corpus in corpora
        ]
    )


def _fingerprints(corpus: "Corpus", found: "list[Split]") -> dict[str, str]:
    """Hash the decoded audio of every utterance in the splits, with a progress bar."""
    from math import isnan

    from rich.progress import track

    from affekt.audio import fingerprint, load

    wanted = dict.fromkeys(i for split in found for i in (*split.train, *split.test))
    bounds = corpus.utterances[["start", "end"]].astype(float)
    stretches = dict(zip(bounds.index, bounds.to_numpy(), strict=True))
    prints: dict[str, str] = {}
    broken: list[str] = []
    for utterance in track(wanted, "decoding", transient=True):
        start, end = stretches[utterance]
        try:
            waveform = load(
                corpus.path(utterance),
                start=0.0 if isnan(start) else start,
                end=None if isnan(end) else end,
            )
            prints[utterance] = fingerprint(waveform)
        except AudioError as problem:
            broken.append(str(problem))
            prints[utterance] = f"unreadable {utterance}"  # equal to no other
    for line in broken:
        typer.echo(f"not compared: {line}", err=True)
    return prints
