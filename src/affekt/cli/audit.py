"""`affekt audit`: who and what stands on both sides of a split."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from affekt.exceptions import AudioError

if TYPE_CHECKING:
    from affekt.corpus import Corpus
    from affekt.splits import Split


def audit(
    name: Annotated[str, typer.Argument(help="One of `affekt corpus list`.")],
    root: Annotated[Path, typer.Argument(help="Where it was unpacked; for csv the table.")],
    split: Annotated[
        str,
        typer.Option(
            help="One of by-speaker, leave-one-speaker-out, by-session, official,"
            " stratified, emobox:FILE or file:TABLE."
        ),
    ] = "by-speaker",
    folds: Annotated[int, typer.Option(help="Number of folds, for by-speaker.", min=2)] = 5,
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

    \b
    Examples:
      affekt audit ravdess ~/data/RAVDESS --folds 6 --out folds.csv
      affekt audit crema-d ~/data/CREMA-D --split emobox:cremad.csv
      affekt audit emodb ~/data/EmoDB --split leave-one-speaker-out --audio
    """  # noqa: D301 - click wants the backspace itself: keep these lines as they are
    from affekt import splits
    from affekt.corpora import source

    corpus = source(name).load(root, durations=False)
    found = splits.named(
        split,
        corpus.utterances,
        corpus.labels,
        n_folds=folds,
        seed=seed,
        allow_missing=allow_missing,
    )
    if out is not None:
        splits.write(found, out)
    prints = _fingerprints(corpus, found) if audio else None
    audits = [splits.audit(fold, corpus.utterances, prints) for fold in found]
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
