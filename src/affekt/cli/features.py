"""`affekt corpus features`: compute a corpus' features once, for trainings to read."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from affekt.cli.corpus import Name, Root
from affekt.exceptions import TableError

if TYPE_CHECKING:
    from affekt.store import Features

PRESETS = {
    "whisper": "log_mel",
    "dusha": "log_mel_dusha",
    "lssed": "log_mel_lssed",
    "lssed_denoised": "log_mel_lssed_denoised",
}


def features(
    name: Name,
    root: Root,
    out: Annotated[Path, typer.Option(help="Store: folder to write to.", show_default=False)],
    preset: Annotated[
        str, typer.Option(help=f"Front end: {', '.join(PRESETS)}.", show_default=False)
    ],
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Processes.", show_default="one for each core"),
    ] = None,
) -> None:
    """Compute the log-mel spectrogram of every utterance and keep it in a store.

    What the store holds already is not computed again: a run that was stopped
    goes on where it was, and corpora may share a store. Utterances that the
    corpus excludes are left out and named; a recording that cannot be decoded
    is an error. What is shorter than a frame is counted.

    \b
    Examples:
      affekt corpus features dusha ~/data/dusha --preset dusha --out store
      affekt corpus features csv mine.csv --preset lssed --out store --workers 4
    """
    from affekt.cli.progress import bars
    from affekt.corpora import source
    from affekt.features import FEATURES
    from affekt.store import REMEDY, stored

    if preset not in PRESETS:
        raise TableError(f"--preset {preset!r}: there are {', '.join(PRESETS)}")
    corpus = source(name).load(root)
    reasons = corpus.utterances["excluded"]
    for utterance, reason in reasons[reasons != ""].items():
        typer.echo(f"left out: {utterance} ({reason})", err=True)
    kept = corpus.select(corpus.utterances.index[reasons == ""])
    if not len(kept):
        raise TableError(f"{root}: no utterance of {corpus.name} is left to compute")
    with bars() as start:
        found = stored(
            kept,
            FEATURES[PRESETS[preset]],
            store=out,
            workers=workers,
            on_utterances=start(f"{corpus.name}: {preset}", len(kept)),
        )
    frame = _frame(preset)
    short = kept.utterances.index[found.seconds < frame]
    if len(short):
        typer.echo(
            f"{len(short)} shorter than a frame of {frame:g} s, which recipes refuse: {short[0]}"
            f"{' ...' if len(short) > 1 else ''}: {REMEDY}",
            err=True,
        )
    hours = found.seconds.sum() / 3600
    typer.echo(
        f"{out}: {preset} of {len(kept)} utterances of {corpus.name}, {hours:.2f} h,"
        f" {_shapes(found.features)}"
    )


def _frame(preset: str) -> float:
    """Length of a frame, s: two hops."""
    from affekt import audio, features

    hop = {"whisper": features.WHISPER, "dusha": features.DUSHA}.get(preset, features.LSSED).hop
    return 2 * hop / audio.SAMPLE_RATE


def _shapes(found: "Features") -> str:
    """Bands and the range of frames, such as 64 x 61..121."""
    frames = [shape[1] for shape in found.shapes]
    return f"{found.shapes[0][0]} x {min(frames)}..{max(frames)}"
