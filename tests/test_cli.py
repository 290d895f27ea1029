"""What all verbs share: help that reads well, and one line for whatever goes wrong."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from affekt import cli
from affekt.corpora import toy

VERBS = [
    "run",
    *("predict", "evaluate", "audit", "demo"),
    *("aggregate", "raters", "agreement", "next-votes"),
    *("corpus list", "corpus check", "corpus labels", "corpus export", "corpus features"),
]


def main(*words: object, code: str = "") -> subprocess.CompletedProcess[str]:
    """Run `affekt` in a process of its own; `code` runs before, where `cli` is at hand."""
    script = f"import sys; from affekt import cli\n{code}\nsys.argv[0] = 'affekt'; cli.main()"
    return subprocess.run(
        [sys.executable, "-c", script, *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
    )


def command(verb: str) -> typer.core.TyperCommand:
    found = typer.main.get_command(cli.app)
    for word in verb.split():
        found = found.commands[word]
    return found


def page(verb: str, width: int) -> list[str]:
    """Lines of a verb's help on a terminal of this width."""
    shown = CliRunner().invoke(cli.app, [*verb.split(), "--help"], env={"COLUMNS": str(width)})
    assert shown.exit_code == 0
    return [line.rstrip() for line in shown.output.splitlines()]


@pytest.mark.parametrize("verb", VERBS)
def test_an_example_stays_on_its_line_at_80_columns(verb: str) -> None:
    narrow, wide = page(verb, 80), page(verb, 300)
    assert max(map(len, narrow)) <= 80
    assert not [line for line in narrow if "\\b" in line]
    examples = [line for line in wide if line.startswith("   affekt ")]
    assert examples or verb == "corpus list"
    assert [line for line in narrow if line.startswith("   affekt ")] == examples


@pytest.mark.parametrize("verb", VERBS)
def test_a_text_wraps_as_it_was_written_at_80_columns(verb: str) -> None:
    _, _, rest = (command(verb).help or "").partition("\n\n")
    assert not [line for line in rest.splitlines() if len(line) > 78]


@pytest.mark.parametrize("verb", VERBS)
def test_the_help_of_an_option_begins_with_a_capital_and_ends_with_a_stop(verb: str) -> None:
    for option in command(verb).params:
        text = option.help
        assert text, option.name
        assert text[0].isupper(), text
        assert text.endswith("."), text


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    wall = tmp_path / "wall"
    wall.write_text("a file, no folder")
    (tmp_path / "t.csv").write_text("file,label\na,calm\nb,fear\n")
    toy.make(tmp_path / "toy")
    for words, reason in (
        (
            ("evaluate", tmp_path / "t.csv", tmp_path / "t.csv"),
            f"{wall / 'x.csv'}: Not a directory",
        ),
        (("corpus", "export", "toy", tmp_path / "toy"), f"{wall / 'x.csv'}: Not a directory"),
        (("audit", "toy", tmp_path / "toy"), f"{wall}: File exists"),
    ):
        found = main(*words, "--out", wall / "x.csv")
        assert found.returncode == 1
        assert found.stderr.splitlines() == [f"affekt: {reason}"]


def test_a_fault_of_the_system_that_names_no_file_is_one_line() -> None:
    full = "cli.app.command('fill')(lambda: open('/dev/full', 'w').write(100_000 * 'x'))"
    found = main("fill", code=full)
    assert (found.returncode, found.stderr) == (1, "affekt: No space left on device\n")


def test_a_name_in_a_fault_of_the_system_cannot_break_the_line() -> None:
    found = main("look", code="cli.app.command('look')(lambda: open(b'no\\nsuch'))")
    assert found.stderr == "affekt: no\\nsuch: No such file or directory\n"


def test_an_interruption_says_how_to_go_on() -> None:
    stop = "import signal; cli.app.command('stop')(lambda: signal.raise_signal(signal.SIGINT))"
    found = main("stop", code=stop)
    assert (found.returncode, found.stdout) == (130, "")
    assert found.stderr == "affekt: interrupted; give the same command again to go on\n"


def test_a_reader_that_went_away_is_no_fault_to_speak_of() -> None:
    script = f"{sys.executable} -m affekt corpus list | true"
    found = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=False)
    assert "Traceback" not in found.stderr
    assert "affekt:" not in found.stderr


def test_a_program_of_its_own_may_call_a_verb(tmp_path: Path) -> None:
    environment = {**os.environ, "COLUMNS": "80"}
    words = [sys.executable, "-m", "affekt", "corpus", "check", "nope", str(tmp_path)]
    found = subprocess.run(words, capture_output=True, text=True, env=environment, check=False)
    assert found.returncode == 1
    assert found.stderr.startswith("affekt: no corpus 'nope': there are crema-d, ravdess")
