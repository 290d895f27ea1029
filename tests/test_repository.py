"""What the repository says of itself is so: README, changelog, constraints, floors, links."""

import re
import subprocess
import tomllib
from collections.abc import Iterator
from importlib.metadata import requires
from pathlib import Path

import pytest
import typer
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import affekt
from affekt.cli import app
from test_house import FLOOR_OF

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "affekt"
README = (ROOT / "README.md").read_text("utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/**/*.md")), *PACKAGE.rglob("*.md")]
TEXTS = {
    ".py",
    ".md",
    ".toml",
    ".txt",
    ".cff",
    ".yaml",
    ".json",
    ".csv",
    ".html",
    ".js",
    ".css",
    "",
}
NOT_OURS = {".git", ".venv", "dist", "build", "runs", "__pycache__", ".hypothesis"}


def texts() -> Iterator[Path]:
    """Give the project's text files, tool caches and environments left out."""
    for path in sorted(ROOT.rglob("*")):
        parts = set(path.relative_to(ROOT).parts)
        cached = any(part.endswith(("_cache", ".egg-info")) for part in parts)
        if path.is_file() and path.suffix in TEXTS and not (cached or parts & NOT_OURS):
            yield path


def tree() -> list[str]:
    """Give the paths of README's tree, relative to the root."""
    block = README.split("```\nsrc/affekt/\n")[1].split("```")[0]
    lines = [line for line in block.splitlines() if line.strip()]
    inside = [f"src/affekt/{line.split()[0]}" for line in lines if line.startswith("  ")]
    return inside + [line.split()[0] for line in lines if not line.startswith(" ")]


def commands(text: str, program: str) -> set[str]:
    """Give the second words of `program word` where code on a page calls a program."""
    code = "\n".join(re.findall(r"```.*?```|`[^`\n]+`", text, flags=re.DOTALL)).replace("`", "")
    call = rf"^\s*(?:\$ )?(?:\.venv/bin/)?{program} ([a-z][a-z-]*)"
    return set(re.findall(call, code, re.MULTILINE))


def verbs() -> set[str]:
    return set(typer.main.get_command(app).commands)


def test_every_name_in_readmes_tree_exists() -> None:
    assert len(tree()) > 30
    assert [name for name in tree() if not (ROOT / name).exists()] == []
    assert [name for name in tree() if (ROOT / name).is_dir() != name.endswith("/")] == []


def test_readmes_tree_leaves_no_room_out() -> None:
    named = {Path(name).name for name in tree() if name.startswith("src/")}
    there = {path.name for path in PACKAGE.iterdir()}
    assert there - named == {"py.typed", "__main__.py"} | (there & {"__pycache__"})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_verb_named_on_a_page_exists(page: Path) -> None:
    assert commands(page.read_text("utf-8"), "affekt") <= verbs()


def test_every_verb_of_the_command_line_is_in_readmes_tree() -> None:
    line = next(line for line in README.splitlines() if line.startswith("  cli/"))
    named = line.removeprefix("  cli/").split(":")[0].replace("affekt", "").split(",")
    assert {verb.strip() for verb in named} == verbs()


def test_every_make_verb_named_on_a_page_exists() -> None:
    said = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    known = set(re.findall(r"^make ([a-z-]+)", said, re.MULTILINE))
    assert {"demo", "test", "test-slow", "lint", "format", "benchmarks", "clean"} <= known
    for page in PAGES:
        assert commands(page.read_text("utf-8"), "make") <= known, page.name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_to_a_file_leads_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
    targets = [link for link in re.findall(r"\]\(([^)#]+)", text) if "://" not in link]
    assert [link for link in targets if not (page.parent / link).exists()] == []


def test_the_map_of_the_documentation_names_every_page() -> None:
    index = (ROOT / "docs" / "index.md").read_text("utf-8")
    pages = {page.name for page in (ROOT / "docs").glob("*.md")} - {"index.md"}
    assert pages == set(re.findall(r"\]\(([^)/]+\.md)\)", index))


def test_no_text_names_a_path_of_a_machine() -> None:
    folders = "|".join(("work", "tmp", "root", "farm", "home", "Users"))
    machine = re.compile(rf"(^|[^\w.])/({folders})/[A-Za-z.]", re.MULTILINE)
    found = [path for path in texts() if machine.search(path.read_text("utf-8"))]
    assert found == []


def test_changelog_and_citation_name_the_version() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert f"## [{affekt.__version__}]" in changelog
    citation = (ROOT / "CITATION.cff").read_text("utf-8")
    assert f"\nversion: {affekt.__version__}\n" in citation


def test_constraints_pin_every_dependency_exactly_and_name_no_place() -> None:
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", pin) for pin in pins)
    assert "torch==2.13.0" in pins
    pinned = {canonicalize_name(pin.split("==")[0]) for pin in pins}
    needed = {
        canonicalize_name(requirement.name)
        for requirement in map(Requirement, requires("affekt") or [])
        if requirement.marker is None or requirement.marker.evaluate({"extra": "dev"})
    }
    assert needed <= pinned


def test_the_licence_files_that_the_package_declares_exist() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    for pattern in project["license-files"]:
        assert list(ROOT.glob(pattern)), pattern
    assert (ROOT / "LICENSE").read_text("utf-8").split()[:2] == ["Apache", "License"]
    weights = PACKAGE / "weights" / "affekt-base"
    assert "Copyright (c) 2022 OpenAI" in (weights / "LICENSE-whisper").read_text("utf-8")
    assert "CC BY-NC-SA 4.0" in (weights / "LICENSE").read_text("utf-8")


def test_contributings_table_of_floors_is_the_one_that_is_tested() -> None:
    rows = re.findall(r"^\| (\d) \| (.+?) \|$", CONTRIBUTING, re.MULTILINE)
    told = {room: int(floor) for floor, rooms in rows for room in rooms.split()}
    rooms = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__", "__main__"}
    rooms |= {path.name for path in PACKAGE.iterdir() if list(path.glob("*.py"))}
    assert told == {room: FLOOR_OF[room] for room in rooms}
