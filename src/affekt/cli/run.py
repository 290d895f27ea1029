"""`affekt run`: reproduce a result from its recipe."""

import ast
import os
import re
import shlex
import shutil
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from affekt.exceptions import AffektError, CorpusError

if TYPE_CHECKING:
    from accelerate import PartialState

    from affekt.corpus import Corpus

Progress = Callable[[str, int], Callable[[int], None]]

_SOURCE = re.compile(r"(?:Table|Figure)\s+\d+\s+of\s+[^,]+?\s\d{4}")


def run(
    context: typer.Context,
    recipe: Annotated[
        str | None,
        typer.Argument(
            help="One of affekt_base, ctc_table_1, dusha_crowd, dusha_table_3, frame_lengths,"
            " generalizable, generalizable_ablation, hume_prosody, iemocap_4, lssed_figure_2,"
            " lssed_table_4, lssed_table_5, lssed_table_6, meant_and_heard, networks_zero_shot,"
            " ravdess_speaker_folds, same_answer, sequences, speaker_folds, timelines,"
            " tuned_folds; without one all are listed."
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
            help="Instead of the recipe's own: a split of `affekt audit`, such as emobox:FILE."
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
    seeds: Annotated[int, typer.Option(help="So many trainings, from --seed on.", min=1)] = 1,
    init: Annotated[
        Path | None, typer.Option(help="A checkpoint folder that training starts from.")
    ] = None,
    model: Annotated[
        str, typer.Option(help="A recogniser to be tested: a bundled one's name, or a folder.")
    ] = "affekt-base",
    allow_shared_speakers: Annotated[
        bool, typer.Option("--allow-shared-speakers", help="Do not refuse; the report says so.")
    ] = False,
) -> None:
    """Run a recipe: train, predict, report, and a row for RESULTS.md; without one, list them.

    An interrupted run goes on where it was when the command is given again. An
    option that the recipe does not read is refused.

    \b
    Examples:
      affekt run ravdess_speaker_folds --corpus ravdess=DATA/RAVDESS --out r
      affekt run speaker_folds --corpus crema-d=DATA/CREMA-D --out c
      affekt run speaker_folds --corpus toy=toy --out t
      torchrun --standalone --nproc-per-node 2 -m affekt run lssed_table_5 \\
        --corpus ravdess=DATA/RAVDESS --method resnet18 --out l
      affekt run affekt_base --corpus emovo=DATA/EMOVO --corpus csv=my.csv \\
        --corpus urdu=DATA/URDU --out mine
    """
    if recipe is None:
        for name, (what, where) in recipes_there().items():
            typer.echo(f"{name:<22} {what}{where and f'  [{where}]'}")
        return
    if not corpus or out is None:
        raise typer.BadParameter(f"give --corpus NAME=ROOT and --out FOLDER to run {recipe}")
    try:
        from affekt.protocols.probe import RunOptions
        from affekt.recipes import RECIPES
        from affekt.train import together
    except ModuleNotFoundError as problem:
        raise AffektError(
            f"recipes train: pip install 'affekt[whisper,plots]' ({problem.name} is missing)"
        ) from problem

    processes = together()
    try:
        _refuse_wrong(recipe, protocol, training, context)
        chosen, corpora = _layers(layers), _corpora(corpus)
    except AffektError:
        if processes.is_main_process:
            raise
        raise typer.Exit(1) from None  # every process finds the same; the main one says it
    if processes.is_main_process:
        for note in _notes(corpora):
            typer.echo(f"note: {note}", err=True)
    with _place(out, processes) as (place, progress):
        store.mkdir(parents=True, exist_ok=True)
        options = RunOptions(
            corpora=corpora,
            out=place,
            upstream=upstream,
            store=store,
            command=shlex.join(["affekt", *sys.argv[1:]]),
            progress=progress,
            seed=seed,
            epochs=epochs,
            layers=chosen,
            split=split,
            allow_shared_speakers=allow_shared_speakers,
            folds=tuple(folds.split(",")) if folds else None,
            method=method,
            protocol=protocol,
            init=init,
            seeds=seeds,
            training=training,
            model=model,
        )
        results = RECIPES[recipe](options)
    if processes.is_main_process:
        for result in results:
            typer.echo(f"\n{result.folder}\n\n{result.report.to_markdown()}")
    processes.destroy_process_group()


def _refuse_wrong(recipe: str, protocol: str, training: str, context: typer.Context) -> None:
    """Refuse what is no recipe, no such choice, or an option that the recipe would not read."""
    from affekt.recipes import RECIPES, read_by

    if recipe not in RECIPES:
        raise AffektError(f"no recipe {recipe!r}: there are {', '.join(RECIPES)}")
    if protocol not in ("clean", "paper"):
        raise AffektError(f"--protocol {protocol}: give clean or paper")
    if training not in ("ours", "paper"):
        raise AffektError(f"--training {training}: give ours or paper")
    reads = read_by(recipe)
    if reads is None:
        return
    known = reads | {"recipe", "corpus"}
    given = [p for p in context.command.params if p.name in context.params]
    taken = ", ".join(p.opts[0] for p in given if p.name in known and p.name != "recipe")
    for parameter in given:
        name = str(parameter.name)
        if name not in known and context.params[name] != parameter.get_default(context):
            raise AffektError(
                f"{parameter.opts[0]}: {recipe} does not read it; leave it out: it takes {taken}"
            )


def _corpora(pairs: Sequence[str]) -> "dict[str, Corpus]":
    """Load what `NAME=ROOT` names; every recording that will be asked for is there."""
    from affekt.corpora import CORPORA, source

    corpora: dict[str, Corpus] = {}
    for pair in pairs:
        name, equals, root = pair.partition("=")
        if not equals:
            raise CorpusError(
                f"--corpus {pair}: give NAME=ROOT with a name of {', '.join(CORPORA)}"
            )
        if name in corpora:
            raise CorpusError(f"--corpus {pair}: {name} is given twice")
        corpora[name] = source(name).load(root)
        corpora[name].refuse_missing()
    return corpora


def _notes(corpora: "dict[str, Corpus]") -> Iterator[str]:
    """Say what of the corpora stays out, and what their loaders noted."""
    for name, corpus in corpora.items():
        notes = corpus.card.get("notes", ())
        yield from (f"{name}: {note}" for note in ([notes] if isinstance(notes, str) else notes))
        reasons = corpus.utterances["excluded"]
        reasons = reasons[reasons != ""]
        if len(reasons):
            yield (
                f"{name}: {len(reasons)} of {len(corpus)} utterances left out,"
                f" {reasons.index[0]!r} first ({reasons.iloc[0]}); `affekt corpus check` lists"
                " files that are missing"
            )


@contextmanager
def _place(out: Path, processes: "PartialState") -> Iterator[tuple[Path, Progress]]:
    """Give the folder that this process writes to, and whom it tells how far it is.

    Of several processes the first one writes to `out`. Each of the others works, unheard, in a
    passing copy of it as it was when they started: so all find the same states, and go on at the
    same step.
    """
    from affekt.cli.progress import bars

    whole = out.resolve()
    if processes.is_main_process:
        out.mkdir(parents=True, exist_ok=True)
    processes.wait_for_everyone()
    if processes.is_main_process:
        processes.wait_for_everyone()  # the others have their copies
        with bars() as progress:
            yield out, progress
    else:
        warnings.simplefilter("ignore")
        with TemporaryDirectory(prefix=f".{whole.name}-", dir=whole.parent) as copy:
            shutil.copytree(whole, copy, copy_function=_link, dirs_exist_ok=True)
            processes.wait_for_everyone()
            yield Path(copy), lambda what, total: lambda more: None
    processes.wait_for_everyone()


def _link(source: str, target: str) -> None:
    """Give a file a second name, which is as good as a copy: files are replaced, never changed."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


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
    try:
        layers = tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError:
        layers = ()
    if not layers or layers[0] < 0:
        raise AffektError(f"--layers {text}: give numbers from 0 up, such as 3 or 1,2,3")
    return layers
