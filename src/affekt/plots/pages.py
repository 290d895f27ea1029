"""A page of text and the pictures that go with it, in one folder."""

from importlib.util import find_spec
from pathlib import Path

from affekt.atomic import replacing
from affekt.errors import ErrorStructure
from affekt.plots.errors import error_structure, model_and_people
from affekt.plots.style import save


def write_errors(errors: ErrorStructure, folder: Path, *, title: str = "") -> None:
    """Write `errors.md`; where matplotlib is, `errors.png`, and `people.png` where people are told.

    Args:
        errors: what `affekt.errors.structure` gives.
        folder: made if absent.
        title: above the pictures.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(folder / "errors.md") as temporary:
        temporary.write_text(errors.to_markdown(), encoding="utf-8")
    if not find_spec("matplotlib"):
        return
    save(error_structure(errors, title=title), folder / "errors.png")
    if errors.people is not None:
        save(model_and_people(errors, title=title or "Model"), folder / "people.png")
