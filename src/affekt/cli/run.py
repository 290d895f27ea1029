"""`affekt run`: reproduce a result from its recipe."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer


def run(
    recipe: Annotated[
        str,
        typer.Argument(
            help="One of affekt_base, ctc_table_1, meant_and_heard, ravdess_speaker_folds,"
            " speaker_folds."
        ),
    ],
    corpus: Annotated[
        list[str], typer.Option(help="A corpus and where it lies; repeat it.", metavar="NAME=ROOT")
    ],
    out: Annotated[Path, typer.Option(help="Folder for reports, predictions and weights.")],
    upstream: Annotated[
        str, typer.Option(help="Whisper encoder: a folder, or a name for transformers.")
    ] = "openai/whisper-base",
    store: Annotated[
        Path, typer.Option(help="Where the encoder's statistics stay between runs.")
    ] = Path("runs/store"),
    seed: Annotated[int, typer.Option(help="Seed of folds and order.", min=0)] = 0,
    epochs: Annotated[int | None, typer.Option(help="Instead of the recipe's own.", min=1)] = None,
    layers: Annotated[
        str, typer.Option(help="Encoder layers, such as 3 or 1,2,3; several are mixed.")
    ] = "3",
    split: Annotated[
        str | None,
        typer.Option(help="For speaker_folds: a split of `affekt audit`, such as emobox:FILE."),
    ] = None,
    allow_shared_speakers: Annotated[
        bool, typer.Option("--allow-shared-speakers", help="Do not refuse; the report says so.")
    ] = False,
) -> None:
    """Run a recipe: train, predict, report, and a row for RESULTS.md.

    An interrupted run goes on where it was when the command is given again.

    \b
    Examples:
      affekt run ravdess_speaker_folds --corpus ravdess=DATA/RAVDESS --out r
      affekt run speaker_folds --corpus crema-d=DATA/CREMA-D --out c
      affekt run speaker_folds --corpus toy=toy --out t
      affekt run affekt_base --corpus emovo=DATA/EMOVO --corpus csv=my.csv \\
        --corpus urdu=DATA/URDU --out mine
    """
    from affekt.cli.progress import bars
    from affekt.corpora import CORPORA, source
    from affekt.exceptions import AffektError, CorpusError

    try:
        from affekt.recipes import RECIPES
        from affekt.recipes.probe import RunOptions
    except ModuleNotFoundError as problem:
        raise AffektError(
            f"recipes train: pip install 'affekt[whisper,plots]' ({problem.name} is missing)"
        ) from problem

    if recipe not in RECIPES:
        raise AffektError(f"no recipe {recipe!r}: there are {', '.join(RECIPES)}")
    corpora = {}
    for pair in corpus:
        name, equals, root = pair.partition("=")
        if not equals:
            raise CorpusError(
                f"--corpus {pair}: give NAME=ROOT with a name of {', '.join(CORPORA)}"
            )
        if name in corpora:
            raise CorpusError(f"--corpus {pair}: {name} is given twice")
        corpora[name] = source(name).load(root)
    out.mkdir(parents=True, exist_ok=True)
    store.mkdir(parents=True, exist_ok=True)
    with bars() as progress:
        options = RunOptions(
            corpora=corpora,
            out=out,
            upstream=upstream,
            store=store,
            command=shlex.join(["affekt", *sys.argv[1:]]),
            progress=progress,
            seed=seed,
            epochs=epochs,
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
