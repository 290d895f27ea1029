"""`affekt run`: reproduce a result from its recipe."""

import ast
import re
import shlex
import sys
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

_SOURCE = re.compile(r"(?:Table|Figure)\s+\d+\s+of\s+[^,]+?\s\d{4}")


def run(
    recipe: Annotated[
        str | None,
        typer.Argument(
            help="One of affekt_base, ctc_table_1, dusha_crowd, dusha_table_3, frame_lengths,"
            " iemocap_4, lssed_figure_2, lssed_table_4, lssed_table_5, lssed_table_6,"
            " meant_and_heard, ravdess_speaker_folds, sequences, speaker_folds; without one all"
            " are listed."
        ),
    ] = None,
    corpus: Annotated[
        list[str] | None,
        typer.Option(help="A corpus and where it lies; repeat it.", metavar="NAME=ROOT"),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for reports, predictions and weights.")
    ] = None,
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
        typer.Option(
            help="For speaker_folds and lssed_*: a split of `affekt audit`, such as emobox:FILE."
        ),
    ] = None,
    folds: Annotated[
        str | None,
        typer.Option(help="Only these folds, by name or number: 1,2 (recipes on spectrograms)."),
    ] = None,
    method: Annotated[
        str | None, typer.Option(help="Only this method of a recipe that has several; or a,b.")
    ] = None,
    protocol: Annotated[
        str,
        typer.Option(help="Either clean, or paper: choose the epoch on the test part, and say so."),
    ] = "clean",
    training: Annotated[
        str, typer.Option(help="For lssed_*: ours, for small corpora, or paper, as its authors.")
    ] = "ours",
    seeds: Annotated[
        int, typer.Option(help="For iemocap_4: so many trainings, from --seed on.", min=1)
    ] = 1,
    init: Annotated[
        Path | None, typer.Option(help="A checkpoint folder that training starts from.")
    ] = None,
    allow_shared_speakers: Annotated[
        bool, typer.Option("--allow-shared-speakers", help="Do not refuse; the report says so.")
    ] = False,
) -> None:
    """Run a recipe: train, predict, report, and a row for RESULTS.md; without one, list them.

    An interrupted run goes on where it was when the command is given again.

    \b
    Examples:
      affekt run ravdess_speaker_folds --corpus ravdess=DATA/RAVDESS --out r
      affekt run speaker_folds --corpus crema-d=DATA/CREMA-D --out c
      affekt run speaker_folds --corpus toy=toy --out t
      affekt run affekt_base --corpus emovo=DATA/EMOVO --corpus csv=my.csv \\
        --corpus urdu=DATA/URDU --out mine
    """
    if recipe is None:
        for name, (what, where) in recipes_there().items():
            typer.echo(f"{name:<22} {what}{where and f'  [{where}]'}")
        return
    if not corpus or out is None:
        raise typer.BadParameter(f"give --corpus NAME=ROOT and --out FOLDER to run {recipe}")
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
    if protocol not in ("clean", "paper"):
        raise AffektError(f"--protocol {protocol}: give clean or paper")
    if training not in ("ours", "paper"):
        raise AffektError(f"--training {training}: give ours or paper")
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
            folds=tuple(folds.split(",")) if folds else None,
            method=method,
            protocol=protocol,
            init=init,
            seeds=seeds,
            training=training,
        )
        results = RECIPES[recipe](options)
    for result in results:
        typer.echo(f"\n{result.folder}\n\n{result.report.to_markdown()}")


def recipes_there() -> dict[str, tuple[str, str]]:
    """Give each recipe's first line, and the table or figure that its docstring says it is of.

    Read from the files: importing them would need torch.
    """
    found = {}
    folder = files("affekt") / "recipes"
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        if not file.name.endswith(".py"):
            continue
        module = ast.parse(file.read_text("utf-8"))
        if any(isinstance(part, ast.FunctionDef) and part.name == "main" for part in module.body):
            text = ast.get_docstring(module) or ""
            source = _SOURCE.search(text)
            found[file.name.removesuffix(".py")] = (
                text.partition("\n")[0].rstrip("."),
                " ".join(source[0].split()) if source else "",
            )
    return found


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
