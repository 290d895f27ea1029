"""`affekt sequence`: which emotions follow each other in a recording, and when."""

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from affekt.exceptions import AffektError

if TYPE_CHECKING:
    from affekt.segmenting import Found


class Decoder(StrEnum):
    """How the labels of frames become a sequence."""

    beam = "beam"
    best_path = "best-path"
    timeline = "timeline"


def sequence(
    recording: Annotated[str, typer.Argument(metavar="FILE", help="Audio or video.")],
    model: Annotated[
        str,
        typer.Option(
            help="A bundled recogniser's name, a recogniser's folder, or one that"
            " `affekt run sequences` left."
        ),
    ] = "affekt-base",
    decoder: Annotated[
        Decoder | None,
        typer.Option(
            help="beam or best-path (CTC); timeline: windows, where a change has its cost.",
            show_default="timeline for a recogniser, beam for a network of CTC",
        ),
    ] = None,
    width: Annotated[int, typer.Option(help="Of the beam.", min=1)] = 100,
    as_json: Annotated[bool, typer.Option("--json", help="Write one JSON object.")] = False,
    plot: Annotated[
        Path | None,
        typer.Option(help="Draw the sequence to this .png, .svg or .pdf.", show_default=False),
    ] = None,
) -> None:
    """Say which emotions follow each other in a recording, and when.

    A probability is the emotion's share of all emotions within its stretch. The
    bundled recogniser answers in windows of 1.5 s; a network trained with CTC
    (`affekt run sequences`) in frames of 0.1 s.

    \b
    Examples:
      affekt sequence interview.wav
      affekt sequence interview.wav --model runs/sequences/whisper/model --json
      affekt sequence interview.wav --plot interview.png
    """
    import warnings

    from affekt.decode import AudioWarning, name_of

    if not recording:
        raise AffektError("'': an empty name is no file")
    if plot is not None:
        _check_picture(plot)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", AudioWarning)
        found = _found(recording, model, decoder, width)
    for warning in said:
        typer.echo(f"affekt: warning: {warning.message}", err=True)
    if found.empty:
        typer.echo(
            f"affekt: {name_of(recording)}: no emotion is marked; here is the likeliest one",
            err=True,
        )
    if plot is not None:
        from affekt import plots

        rows = {"": list(found.segments)}
        plots.save(plots.sequences(rows, title=name_of(Path(recording).name)), plot)
    typer.echo(_json(recording, found) if as_json else _line(found))


def _found(recording: str, model: str, decoder: Decoder | None, width: int) -> "Found":
    """Ask a recogniser, or a network of CTC where the folder holds one."""
    if (Path(model) / "model.safetensors").is_file() and not (Path(model) / "model.onnx").is_file():
        try:
            from affekt import sequencer
        except ModuleNotFoundError as problem:
            raise AffektError(
                f"{model}: networks of CTC need torch: pip install 'affekt[train]'"
                f" ({problem.name} is missing)"
            ) from problem
        if decoder is Decoder.timeline:
            raise AffektError("--decoder timeline is for recognisers: take beam or best-path")
        loaded = sequencer.load(model)
        return loaded.sequence(recording, decoder=decoder or Decoder.beam, width=width)
    return _of_recognizer(recording, model, decoder or Decoder.timeline, width)


def _of_recognizer(recording: str, model: str, decoder: Decoder, width: int) -> "Found":
    from affekt import recognizer, segmenting
    from affekt.sequences import frame_log_probs

    line = recognizer.load(model).timeline(recording)
    if decoder is Decoder.timeline:
        return segmenting.filled(line.segments, line.duration)
    frames = frame_log_probs(line.scores)
    return segmenting.segment(frames, line.labels, line.times, decoder=decoder, width=width)


def _check_picture(plot: Path) -> None:
    from importlib.util import find_spec

    from affekt import plots

    if plot.suffix.lower() not in plots.ENDINGS:
        raise AffektError(f"{plot}: a picture ends in {', '.join(plots.ENDINGS)}")
    if find_spec("matplotlib") is None:
        raise AffektError("--plot needs matplotlib: pip install 'affekt[plots]'")


def _line(found: "Found") -> str:
    """`neutral 0.0-1.4 (81 %), anger 1.4-3.9 (64 %)`."""
    parts = [f"{s.label} {s.start:.1f}-{s.end:.1f} ({s.probability:.0%})" for s in found.segments]
    return ", ".join(parts)


def _json(recording: str, found: "Found") -> str:
    from affekt.writers import escaped

    content: dict[str, Any] = {
        "file": escaped(recording),
        "duration": round(found.duration, 3),
        "labels": list(found.labels),
        "empty": found.empty,
        "log_probability": found.log_probability,
        "segments": [
            {
                "start": round(s.start, 3),
                "end": round(s.end, 3),
                "label": s.label,
                "probability": round(s.probability, 6),
            }
            for s in found.segments
        ],
    }
    return json.dumps(content, indent=1)
