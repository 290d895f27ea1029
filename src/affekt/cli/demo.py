"""`affekt demo`: the main job on the bundled example, wrong answers included."""

import json
import os
import shutil
import sys
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from affekt.recognizer import Recognizer
    from affekt.timeline import Timeline

RECORDING, ABOUT = "crema-d-excerpt.ogg", "crema-d-excerpt.json"
PICTURE = "emotions.png"


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the picture.")] = Path(),
) -> None:
    """Recognise the bundled example: six emotions in 20 s, by actors the model never met.

    Prints scores, the timeline, and which clip was what; with matplotlib also
    a picture.

    \b
    Examples:
      affekt demo
      affekt demo --out pictures
    """
    from affekt import audio, recognizer, writers

    folder = files("affekt") / "example"
    clips = json.loads((folder / ABOUT).read_text("utf-8"))["clips"]
    waveform = audio.load((folder / RECORDING).read_bytes())
    loaded = recognizer.load()
    line = loaded.timeline(waveform)

    typer.echo("Six clips of CREMA-D (Cao et al. 2014; ODbL 1.0), by actors the model never met.\n")
    found = writers.Prediction(RECORDING, "example", line.overall, line)
    typer.echo("".join(writers.table([found], loaded.labels, True)))
    rows, n_right = _compare(clips, loaded, waveform)
    typer.echo("\n".join(rows))
    typer.echo(
        f"\nClip by clip, Affekt's first answer is what the actor meant in {n_right} of"
        f" {len(clips)}.\nSix clips show how it works, not how well: RESULTS.md has whole corpora."
    )
    typer.echo(f"\n{_draw(line, waveform, out / PICTURE)}\n\nYour own recording, audio or video:")
    typer.echo(f"  {_command()} predict RECORDING --timeline --plot picture.png")


def _compare(
    clips: list[dict[str, Any]], loaded: "Recognizer", waveform: "NDArray[np.float32]"
) -> tuple[list[str], int]:
    """Give a table of what was meant, heard and answered, and how many answers are right."""
    from affekt.audio import SAMPLE_RATE

    head = f"  {'seconds':<12}{'actor':<7}{'meant':<11}{'listeners heard':<17}{'Affekt says':<17}"
    rows, n_right = [head.rstrip()], 0
    for clip in clips:
        stretch = slice(round(clip["start"] * SAMPLE_RATE), round(clip["end"] * SAMPLE_RATE))
        votes, scores = clip["voice_votes"], loaded.predict(waveform[stretch])
        heard, answer = max(votes, key=votes.__getitem__), max(scores, key=scores.__getitem__)
        right = answer == clip["intended"]
        n_right += right
        rows.append(
            f"  {clip['start']:4.1f} - {clip['end']:4.1f} {clip['actor']:<7}{clip['intended']:<11}"
            f"{heard:<10}{votes[heard] / sum(votes.values()):4.0%}   "
            f"{answer:<10}{scores[answer]:4.0%}   {'right' if right else 'wrong'}"
        )
    return rows, n_right


def _draw(line: "Timeline", waveform: "NDArray[np.float32]", target: Path) -> str:
    """Draw the timeline and say where it is, or why it is not."""
    if find_spec("matplotlib") is None:
        return "No picture without matplotlib: pip install 'affekt[plots]'"
    from affekt import plots

    figure = plots.timeline(
        line.times, line.scores, line.labels, line.segments, title=RECORDING, waveform=waveform
    )
    plots.save(figure, target)
    return f"The picture: {target}"


def _command() -> str:
    """How this very program can be called from here."""
    return "affekt" if shutil.which("affekt") else os.path.relpath(sys.argv[0])
