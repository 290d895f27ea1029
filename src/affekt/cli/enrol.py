"""`affekt enrol`: keep how somebody sounds every day, to measure later recordings from."""

import os
from pathlib import Path
from typing import Annotated

import typer

from affekt.exceptions import AffektError

ENDING = ".json"
MAX_NAME_BYTES = 200  # file systems take 255, ending and temporary name included


def enrol(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Whose voice it is, for --speaker NAME.")
    ] = None,
    recordings: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FILES|FOLDERS...", help="Their voice alone, in as many moods as they have."
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace a voice of the same name.")
    ] = False,
    show: Annotated[bool, typer.Option("--list", help="Say who is enrolled.")] = False,
    remove: Annotated[str | None, typer.Option(help="Forget this voice.", metavar="NAME")] = None,
    model: Annotated[
        str, typer.Option(help="A bundled model's name, or a folder with card.json and model.onnx.")
    ] = "affekt-base",
) -> None:
    """Keep how somebody sounds on average, so that predictions are measured from it.

    What is kept are some numbers a label in a small file, no sound: in
    $AFFEKT_SPEAKERS, or else ~/.local/share/affekt/speakers.

    \b
    Examples:
      affekt enrol anna anna/monday.wav anna/tuesday.wav
      affekt predict call.wav --speaker anna
      affekt enrol --list
      affekt enrol --remove anna
    """
    if show + (remove is not None) + (name is not None) != 1:
        raise AffektError("give one of NAME with recordings, --list, and --remove NAME")
    if show:
        for known in names():
            typer.echo(known)
    elif remove is not None:
        _remove(remove)
    elif name is not None:
        _enrol(name, recordings or [], force, model)


def folder() -> Path:
    """Where voices are kept: one for each user, or $AFFEKT_SPEAKERS."""
    chosen = os.environ.get("AFFEKT_SPEAKERS")
    if chosen:
        return Path(chosen)
    data = os.environ.get("XDG_DATA_HOME")
    return (Path(data) if data else Path.home() / ".local" / "share") / "affekt" / "speakers"


def voice_file(name: str) -> Path:
    """Give the file of a name.

    Raises:
        AffektError: the name cannot be that of a file in the folder.
    """
    strange = not name.isprintable() or set(name) & set('/\\:*?"<>|') or name.strip(" .") != name
    if not name or strange or len(os.fsencode(name)) > MAX_NAME_BYTES:
        raise AffektError(
            f"{name!r}: choose a name of letters, digits, spaces and dashes: it becomes a file's"
        )
    return folder() / (name + ENDING)


def names() -> list[str]:
    """Give who is enrolled, in order."""
    found = folder().glob(f"*{ENDING}") if folder().is_dir() else ()
    return sorted(path.stem for path in found if not path.name.startswith("."))


def _remove(name: str) -> None:
    path = voice_file(name)
    if not path.exists():
        known = ", ".join(names()) or "nobody"
        raise AffektError(f"--remove {name}: not enrolled; enrolled: {known}")
    path.unlink()
    typer.echo(f"{name}: forgotten")


def _enrol(name: str, sources: list[str], force: bool, model: str) -> None:
    from affekt import recognizer
    from affekt.adapt import write_voice
    from affekt.cli.recordings import find_recordings, warnings_in_one_line
    from affekt.exceptions import AudioError

    path = voice_file(name)
    if path.exists() and not force:
        raise AffektError(f"{name}: is enrolled already: replace it with --force")
    failures: list[AudioError] = []
    paths = list(find_recordings(sources, failures))
    if failures:
        raise typer.Exit(1)
    if not paths:
        raise AffektError(f"{name}: give recordings of this voice, or a folder of them")
    loaded = recognizer.load(model)
    with warnings_in_one_line():
        voice = loaded.baseline(paths)
    write_voice(path, voice, loaded.card)
    seconds = voice.in_context.n * recognizer.UTTERANCE_SECONDS if voice.in_context else 0.0
    typer.echo(f"{name}: {seconds:.0f} s of {len(paths)} recordings, {path}")
