"""`affekt predict`: which emotions are in recordings, and when."""

import io
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from affekt.cli.baselines import Adapt, Heard, check_groups, enrolled, measured
from affekt.cli.recordings import fail, find_recordings, say, short_names, warnings_in_one_line
from affekt.exceptions import AffektError, AudioError

if TYPE_CHECKING:
    from affekt.recognizer import Recognizer
    from affekt.timeline import Timeline
    from affekt.writers import Prediction

LONG_BYTES = 5_000_000  # a file this large gets a progress bar: minutes of sound


class Format(StrEnum):
    """How results are written; `affekt.writers.FORMATS` has one writer for each."""

    table = "table"
    json = "json"
    csv = "csv"
    rttm = "rttm"
    textgrid = "textgrid"
    srt = "srt"


def predict(
    recordings: Annotated[
        list[str],
        typer.Argument(
            metavar="FILES|FOLDERS...", help="Audio or video; folders are searched, subfolders too."
        ),
    ],
    timeline: Annotated[
        bool, typer.Option("--timeline", help="Also say when: segments of one emotion.")
    ] = False,
    labels: Annotated[
        str | None,
        typer.Option(help="Choose among these alone, such as anger,neutral; others get 0."),
    ] = None,
    format: Annotated[
        Format, typer.Option(help="Form of the results; rttm, textgrid, srt write timelines.")
    ] = Format.table,
    plot: Annotated[
        Path | None,
        typer.Option(help="Draw the timeline to this .png, .svg or .pdf (one per recording)."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Write to this file instead; a folder for textgrid or srt of several recordings."
        ),
    ] = None,
    model: Annotated[
        str, typer.Option(help="A bundled model's name, or a folder with card.json and model.onnx.")
    ] = "affekt-base",
    window: Annotated[
        float, typer.Option(help="Seconds of sound behind each score of the timeline.")
    ] = 1.5,
    hop: Annotated[float, typer.Option(help="Seconds from one score to the next.")] = 0.25,
    smoothing: Annotated[
        float, typer.Option(help="Seconds over which the timeline's scores are averaged; 0 = none.")
    ] = 0.5,
    switch_cost: Annotated[
        float,
        typer.Option(help="Evidence, in nats, that a change must bring; more = longer segments."),
    ] = 1.0,
    min_length: Annotated[
        float, typer.Option(help="Seconds of speech that an emotion lasts at least; 0 = any.")
    ] = 0.75,
    adapt: Annotated[
        Adapt | None,
        typer.Option(
            help="Take away what recordings have in common: a long recording's own windows (its"
            " timeline), those of one speaker, for whom the folder that a file lies in stands, or"
            " all that are given."
        ),
    ] = None,
    speaker: Annotated[
        str | None, typer.Option(help="Measure from this voice, of `affekt enrol`.", metavar="NAME")
    ] = None,
) -> None:
    """Say which emotions are in recordings, as calibrated probabilities, and when.

    Recordings that fail are named on stderr, the others are still done; then
    the exit code is 1. Answers under --adapt or --speaker depend on other
    recordings: they are no strict zero-shot results, and say so.

    \b
    Examples:
      affekt predict clip.wav
      affekt predict interview.mp4 --timeline --plot interview.png
      affekt predict talk.mp3 --timeline --window 3 --min-length 2
      affekt predict calls/ --labels anger,neutral --format csv --out calls.csv
      affekt predict talk.mp3 --format srt --out talk.srt
      affekt predict calls/ --adapt folder
      affekt predict clip.wav --speaker anna
    """
    from affekt import recognizer, writers
    from affekt.timeline import check

    implied = plot is not None or format in writers.TIMELINE_FORMATS
    timeline = timeline or implied or adapt is Adapt.recording
    chosen = None if labels is None else [part.strip() for part in labels.split(",")]
    failures: list[AudioError] = []
    paths = list(find_recordings(recordings, failures))
    check_groups(paths, adapt, speaker)
    _check_outputs(format, out, plot, len(paths))
    recognizer.check_window(window, hop)
    check(smoothing=smoothing, switch_cost=switch_cost, min_length=min_length)
    loaded = recognizer.load(model)
    loaded.check_labels(chosen)

    voice = None if speaker is None else enrolled(loaded, speaker)
    if adapt is not None:
        loaded.check_adaptable()

    if (adapt or voice) and format in writers.TIMELINE_FORMATS:  # which have no place for it
        say(f"measured from {adapt or speaker}: these are no strict zero-shot results")
    with warnings_in_one_line(), _progress(paths) as told:
        heard = _heard(loaded, paths, window if timeline else None, hop, failures, told)
        if voice is not None:
            heard = (one._replace(voice=voice, adapted=f"enrolled {speaker}") for one in heard)
        elif adapt is not None:
            heard = measured(heard, adapt, lambda problem: fail(problem, failures), say)
        line = partial(
            loaded.timeline, smoothing=smoothing, switch_cost=switch_cost, min_length=min_length
        )
        predictions = _predictions(loaded, heard, chosen, line)
        if plot is not None:
            predictions = _plotted(predictions, plot, len(paths) > 1)
        write = writers.FORMATS[format]
        if format in writers.ENDINGS and out is not None and (len(paths) > 1 or out.is_dir()):
            for one in predictions:
                target = out / (one.name + writers.ENDINGS[format])
                _write(target, write([one], loaded.labels, timeline))
        elif out is not None:
            _write(out, write(predictions, loaded.labels, timeline))
        else:
            _print(write(predictions, loaded.labels, timeline))
    if failures:
        raise typer.Exit(1)


def _check_outputs(format: Format, out: Path | None, plot: Path | None, n_paths: int) -> None:
    """Refuse what could only fail after all the work is done."""
    from affekt.writers import ENDINGS

    if format in ENDINGS:
        if n_paths > 1 and out is None:
            raise AffektError(f"{format} holds one recording: name a folder with --out for several")
        if n_paths > 1 and out is not None and out.is_file():
            raise AffektError(f"{out}: {format} holds one recording: --out must be a folder here")
    elif out is not None and out.is_dir():
        raise AffektError(f"{out}: is a folder; --out needs a file for {format}")
    if plot is not None:
        from affekt import plots

        if plot.suffix.lower() not in plots.ENDINGS:
            raise AffektError(f"{plot}: a picture ends in {', '.join(plots.ENDINGS)}")
        if find_spec("matplotlib") is None:
            raise AffektError("--plot needs matplotlib: pip install 'affekt[plots]'")


def _heard(
    recognizer: "Recognizer",
    paths: Sequence[str],
    window: float | None,
    hop: float,
    failures: list[AudioError],
    told: Callable[[str, float | None], None],
) -> Iterator[Heard]:
    """Scan one recording after the other; `window`, `hop` in s, None = no timeline."""
    for path, name in zip(paths, short_names(paths), strict=True):

        def progress(seconds: float, path: str = path) -> None:
            told(path, seconds)

        try:
            scan = recognizer.scan(path, window=window, hop=hop, progress=progress)
        except AudioError as problem:
            fail(problem, failures)
        else:
            yield Heard(path, name, scan)
        told(path, None)


def _predictions(
    recognizer: "Recognizer",
    heard: Iterable[Heard],
    labels: Sequence[str] | None,
    timeline: Callable[..., "Timeline"],
) -> Iterator["Prediction"]:
    """Answer what was heard; `timeline` is the recogniser's own, as asked for."""
    from affekt.writers import Prediction

    for path, name, scan, voice, adapted in heard:
        if scan.size is None:
            line, scores = None, recognizer.predict(scan, labels=labels, baseline=voice)
        else:
            line = timeline(scan, labels=labels, baseline=voice)
            scores = line.overall
        yield Prediction(path, name, scores, line, adapted)


def _plotted(
    predictions: Iterator["Prediction"], plot: Path, several: bool
) -> Iterator["Prediction"]:
    """Draw each timeline as it passes; with several recordings their names join the picture's."""
    from affekt import plots
    from affekt.audio import name_of

    for one in predictions:
        line = one.timeline
        if line is not None:
            target = plot.with_stem(f"{plot.stem}-{one.name}") if several else plot
            title = name_of(Path(one.file).name)
            figure = plots.timeline(
                line.times, line.scores, line.labels, line.segments, title=title
            )
            plots.save(figure, target)
            say(f"{name_of(one.file)}: drawn in {name_of(target)}")
        yield one


def _write(target: Path, pieces: Iterable[str]) -> None:
    from affekt.atomic import replacing

    with (
        replacing(target) as temporary,
        temporary.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file,
    ):
        file.writelines(pieces)


def _print(pieces: Iterable[str]) -> None:
    """Print piece by piece; what the terminal's encoding lacks is escaped, bars become #."""
    encoding = sys.stdout.encoding or "utf-8"
    unicode = encoding.lower().startswith("utf")
    if isinstance(sys.stdout, io.TextIOWrapper):  # names that are no text keep their bytes
        sys.stdout.reconfigure(errors="surrogateescape" if unicode else "backslashreplace")
    for piece in pieces:
        sys.stdout.write(piece if unicode else piece.replace("█", "#"))
        sys.stdout.flush()


@contextmanager
def _progress(paths: Sequence[str]) -> Iterator[Callable[[str, float | None], None]]:
    """Show a bar on a terminal's stderr where there is something to wait for.

    Yields:
        What is told of each recording the seconds heard so far, and None once it is done.
    """
    long = len(paths) > 1 or any(_n_bytes(path) > LONG_BYTES for path in paths)
    if not (long and sys.stderr.isatty()):
        yield lambda path, seconds: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    with Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=sys.stdout.isatty(),
    ) as bar:
        task = bar.add_task("", total=len(paths))

        def heard(path: str, seconds: float | None) -> None:
            name = ascii(Path(path).name)[1:-1][-40:]
            spent = "" if seconds is None else f"  {seconds / 60:.1f} min heard"
            bar.update(task, description=name + spent, advance=1 if seconds is None else 0)

        yield heard


def _n_bytes(path: str) -> int:
    try:
        return Path(path).stat().st_size
    except OSError:
        return 0
