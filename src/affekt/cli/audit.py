"""`affekt audit`: who and what stands on both sides of a split."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from affekt.exceptions import AudioError, SplitError

if TYPE_CHECKING:
    from affekt.corpus import Corpus
    from affekt.splits import Split

KINDS = (
    "by-speaker, leave-one-speaker-out, by-session, official, stratified, emobox:FILE or file:TABLE"
)


def audit(
    name: Annotated[str, typer.Argument(help="Corpus, one of `affekt corpus list`.")],
    root: Annotated[Path, typer.Argument(help="Its folder (or table, for csv).")],
    split: Annotated[str, typer.Option(help=f"One of {KINDS}.")] = "by-speaker",
    folds: Annotated[int, typer.Option(help="Number of folds by speaker.", min=2)] = 5,
    seed: Annotated[int, typer.Option(help="Seed of by-speaker and stratified.")] = 0,
    audio: Annotated[
        bool, typer.Option("--audio", help="Decode all recordings and compare them too.")
    ] = False,
    allow_missing: Annotated[
        bool, typer.Option("--allow-missing", help="For emobox: go on without unmatched rows.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="Store the split as a table: utterance, fold, part.")
    ] = None,
) -> None:
    """Print the leak table of a split: sizes, shared speakers, shared audio, shared texts.

    Shared texts are information (acted corpora read the same sentences everywhere); shared or
    unknown speakers and shared audio are leaks, which training and evaluation refuse.

    \b
    Examples:
      affekt audit ravdess ~/data/RAVDESS --split by-speaker --folds 6 --out folds.csv
      affekt audit crema-d ~/data/CREMA-D --split emobox:cremad.csv
      affekt audit emodb ~/data/EmoDB --split leave-one-speaker-out --audio
    """  # noqa: D301 - click wants the backspace itself: keep these lines as they are
    from affekt import splits
    from affekt.corpora import CORPORA

    if name not in CORPORA:
        raise typer.BadParameter(f"{name!r} is none of {', '.join(CORPORA)}")
    corpus = CORPORA[name].load(root, durations=False)
    found = _splits(corpus, split, folds, seed, allow_missing)
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
    if not any(result.leaks() for result in audits):
        looked = "speakers and audio" if audio else "speakers (audio was not compared: --audio)"
        typer.echo(f"no leak: {looked}")


def _splits(
    corpus: "Corpus", kind: str, n_folds: int, seed: int, allow_missing: bool
) -> "list[Split]":
    """Make or read the splits that `--split` names."""
    from affekt import splits

    utterances = corpus.utterances
    kind, _, file = kind.partition(":")
    match kind:
        case "by-speaker":
            return splits.by_speaker(utterances, n_folds, seed=seed)
        case "leave-one-speaker-out":
            return splits.leave_one_speaker_out(utterances)
        case "by-session":
            return splits.by_session(utterances)
        case "official":
            return splits.official(utterances)
        case "stratified":
            return splits.stratified(utterances, corpus.labels.idxmax(axis=1), seed=seed)
        case "emobox" if file:
            return splits.emobox(utterances, file, allow_missing=allow_missing)
        case "file" if file:
            return splits.read(file)
    raise SplitError(f"--split {kind!r} is none of {KINDS}")


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
