"""`affekt run`: whatever is wrong with a command is one line on stderr and exit code 1."""

import subprocess
import sys

import pytest
from rich.console import Console

import tiny_whisper
from affekt import cli
from affekt.cli import progress
from affekt.corpora import toy

one_thread = pytest.fixture(scope="module", autouse=True)(tiny_whisper.one_thread)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    toy.make(folder / "toy")
    tiny_whisper.write(folder / "tiny")
    return folder


def test_the_help_names_every_recipe(capsys, monkeypatch):
    from affekt.recipes import RECIPES

    monkeypatch.setattr(sys, "argv", ["affekt", "run", "--help"])
    with pytest.raises(SystemExit):
        cli.main()
    shown = capsys.readouterr().out
    assert [name for name in RECIPES if name not in shown] == []


def test_without_torch_the_remedy_is_named(place):
    program = (
        "import sys; sys.modules['torch'] = None\n"
        "sys.argv = ['affekt', 'run', 'speaker_folds', '--corpus', 'toy=toy', '--out', 'nowhere']\n"
        "from affekt.cli import main; main()"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], cwd=place, capture_output=True, text=True
    )
    assert found.returncode == 1
    assert found.stderr.startswith("affekt: recipes train: pip install 'affekt[whisper,plots]'")
    assert found.stderr.count("\n") == 1


@pytest.fixture
def run(place, monkeypatch, capsys):
    """Call `affekt run` as the shell does; gives exit code, stdout, stderr."""
    monkeypatch.chdir(place)

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["affekt", "run", *map(str, arguments)])
        code = 0
        try:
            cli.main()
        except SystemExit as end:
            code = end.code or 0
        return code, *capsys.readouterr()

    return call


GOOD = {"--corpus": "toy=toy", "--out": "out", "--upstream": "tiny", "--store": "store"}


def options(**changes):
    """The options of a good command, some of them changed; None leaves one out."""
    chosen = GOOD | {f"--{name}": value for name, value in changes.items()}
    return [part for pair in chosen.items() if pair[1] is not None for part in pair]


def test_a_run_prints_its_report_and_says_where_it_lies(run):
    code, out, err = run("speaker_folds", *options(epochs="2"))
    assert code == 0
    assert "# Evaluation" in out
    assert "UAR" in out
    assert "\nout\n" in out
    assert err.splitlines() == ["toy, alone: 72 done", "folds: 6 done"]


@pytest.mark.parametrize(
    ("recipe", "changes", "message"),
    [
        ("affekt_bass", {}, "no recipe 'affekt_bass': there are affekt_base,"),
        ("speaker_folds", {"corpus": "toy"}, "--corpus toy: give NAME=ROOT with a name of"),
        ("speaker_folds", {"corpus": "timit=toy"}, "no corpus 'timit': there are crema-d"),
        ("speaker_folds", {"corpus": "ravdess=nowhere"}, "nowhere"),
        ("speaker_folds", {"corpus": "csv=nowhere.csv"}, "nowhere.csv"),
        ("speaker_folds", {"corpus": "emovo=toy"}, "toy"),
        ("speaker_folds", {"upstream": "./nowhere"}, "nowhere: no such folder"),
        ("speaker_folds", {"layers": "third"}, "--layers third: give numbers from 0 up"),
        ("speaker_folds", {"layers": "-1"}, "--layers -1: give numbers from 0 up"),
        ("speaker_folds", {"layers": ""}, "give numbers from 0 up"),
        ("speaker_folds", {"layers": "4"}, "has 3 layers, not 4"),
        ("speaker_folds", {"out": "tiny/config.json"}, "config.json"),
        ("speaker_folds", {"store": "tiny/config.json/store"}, "config.json"),
        ("speaker_folds", {"split": "nonsense"}, "nonsense"),
        ("ravdess_speaker_folds", {}, "needs ravdess=ROOT, not toy"),
        ("affekt_base", {}, "two or more corpora"),
    ],
)
def test_a_bad_command_is_one_line_and_exit_code_1(run, recipe, changes, message):
    code, out, err = run(recipe, *options(**changes))
    assert code == 1
    assert out == ""
    lines = [line for line in err.splitlines() if not line.endswith(" done")]
    assert len(lines) == 1
    assert lines[0].startswith("affekt: ")
    assert message in lines[0]


def test_a_corpus_given_twice_is_refused(run):
    code, _, err = run("speaker_folds", "--corpus", "toy=toy", *options())
    assert code == 1
    assert err == "affekt: --corpus toy=toy: toy is given twice\n"


@pytest.mark.parametrize(
    "changes",
    [{"seed": "-1"}, {"epochs": "0"}, {"epochs": "many"}, {"out": None}, {"corpus": None}],
)
def test_what_typer_refuses_is_exit_code_2(run, changes):
    code, out, err = run("speaker_folds", *options(**changes))
    assert code == 2
    assert out == ""
    assert "Traceback" not in err


def test_shared_speakers_are_refused_unless_allowed_and_then_said_first(run, place):
    chosen = options(split="stratified", epochs="1")
    code, _, err = run("speaker_folds", *chosen)
    assert code == 1
    assert "speaker(s) are in train and in test" in err.splitlines()[-1]
    assert "--allow-shared-speakers" in err.splitlines()[-1]
    code, _, _ = run("speaker_folds", *chosen, "--allow-shared-speakers")
    assert code == 0
    first = (place / "out" / "report.md").read_text("utf-8").splitlines()[0]
    assert first.startswith("> NOT SPEAKER-DISJOINT")


def test_a_stopped_run_goes_on_from_its_store(run, place):
    run("speaker_folds", *options(epochs="1", store="kept"))
    files = sorted((place / "kept").rglob("*.safetensors"))
    before = [file.stat().st_mtime_ns for file in files]
    assert files
    run("speaker_folds", *options(epochs="1", store="kept"))
    assert [file.stat().st_mtime_ns for file in files] == before


def test_progress_says_a_line_for_each_finished_part(capsys):
    with progress.bars() as start:
        more = start("crema-d, alone", 3)
        more(1)
        assert capsys.readouterr().err == ""
        more(2)
        start("never finished", 5)(4)
    assert capsys.readouterr() == ("", "crema-d, alone: 3 done\n")


def test_progress_draws_a_bar_on_a_terminal(monkeypatch, capsys):
    monkeypatch.setattr(progress, "Console", lambda **given: Console(**given, force_terminal=True))
    with progress.bars() as start:
        start("toy, alone", 2)(2)
    assert "2/2" in capsys.readouterr().err
