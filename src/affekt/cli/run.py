"""`affekt run`: reproduce a result from its recipe."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer


def run(
    recipe: Annotated[
        str, typer.Argument(help="affekt_base, ravdess_speaker_folds, speaker_folds")
    ],
    corpus: Annotated[
        list[str],
        typer.Option(help="NAME=ROOT of a corpus; repeat for several", metavar="NAME=ROOT"),
    ],
    out: Annotated[Path, typer.Option(help="folder for report, predictions and checkpoint")],
    upstream: Annotated[
        str,
        typer.Option(help="Whisper encoder: a folder, or a hub name such as openai/whisper-base"),
    ] = "openai/whisper-base",
    store: Annotated[
        Path, typer.Option(help="where the encoder's statistics are kept between runs")
    ] = Path("runs/store"),
    seed: Annotated[int, typer.Option(min=0)] = 0,
    epochs: Annotated[int | None, typer.Option(min=1, help="default: the recipe's own")] = None,
    layers: Annotated[
        str, typer.Option(help="encoder layers to pool, such as 3 or 1,2,3: several are mixed")
    ] = "3",
    split: Annotated[
        str | None,
        typer.Option(help="For speaker_folds: a split of `affekt audit`, such as emobox:FILE."),
    ] = None,
    allow_shared_speakers: Annotated[
        bool,
        typer.Option(help="do not refuse a split whose parts share speakers; the report says so"),
    ] = False,
) -> None:
    """Run a recipe: train, predict, report, and one row for RESULTS.md.

    An interrupted run goes on where it was when the same command is given again.

    Examples:

    \b
      affekt run ravdess_speaker_folds --corpus ravdess=../shared/corpora/ravdess --out runs/r
      affekt run speaker_folds --corpus toy=runs/toy --out runs/toy-folds
      affekt run affekt_base --corpus crema-d=ROOT --corpus ravdess=ROOT --corpus nemo=ROOT \\
        --corpus tess=ROOT --corpus emovo=ROOT --corpus emodb=ROOT --corpus urdu=ROOT --out runs/b
    """  # noqa: D301
    from affekt.cli.progress import bars
    from affekt.corpora import CORPORA
    from affekt.exceptions import AffektError, CorpusError
    from affekt.recipes import RECIPES
    from affekt.recipes.probe import EPOCHS, RunOptions

    if recipe not in RECIPES:
        raise AffektError(f"no recipe {recipe!r}: there are {', '.join(RECIPES)}")
    corpora = {}
    for pair in corpus:
        name, equals, root = pair.partition("=")
        if not equals or name not in CORPORA:
            raise CorpusError(
                f"--corpus {pair}: give NAME=ROOT with a name of {', '.join(CORPORA)}"
            )
        if name in corpora:
            raise CorpusError(f"--corpus {pair}: {name} is given twice")
        corpora[name] = CORPORA[name].load(root)
    for option, folder in (("--out", out), ("--store", store)):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as problem:
            raise AffektError(f"{option} {folder}: no folder can be made ({problem})") from None
    with bars() as progress:
        options = RunOptions(
            corpora=corpora,
            out=out,
            upstream=upstream,
            store=store,
            command=shlex.join(["affekt", *sys.argv[1:]]),
            progress=progress,
            seed=seed,
            epochs=EPOCHS if epochs is None else epochs,
            layers=_layers(layers),
            split=split,
            allow_shared_speakers=allow_shared_speakers,
        )
        results = RECIPES[recipe](options)
    for result in results:
        typer.echo(f"\n{result.folder}\n\n{result.report.to_markdown()}")


def _layers(text: str) -> tuple[int, ...]:
    """Read `1,2,3`."""
    from affekt.exceptions import AffektError

    try:
        layers = tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError:
        layers = ()
    if not layers or layers[0] < 0:
        raise AffektError(f"--layers {text}: give numbers from 0 up, such as 3 or 1,2,3")
    return layers
