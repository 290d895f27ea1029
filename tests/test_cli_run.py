"""`affekt run`: whatever is wrong with a command is one line on stderr and exit code 1."""

import json
import os
import re
import subprocess
import sys
import warnings

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

import tiny_whisper
from affekt import cli
from affekt.atomic import replacing
from affekt.cli import progress
from affekt.cli.run import _place
from affekt.corpora import toy
from affekt.tables import read_table

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


@pytest.mark.parametrize(
    ("recipe", "changes", "option", "takes"),
    [
        (
            "dusha_table_3",
            {"layers": "2", "upstream": None},
            "--layers",
            "--folds, --method, --protocol, --init",
        ),
        ("speaker_folds", {"folds": "1"}, "--folds", "--upstream, --store, --seed, --epochs"),
        ("iemocap_4", {"split": "by-speaker", "upstream": None}, "--split", "--seeds"),
        ("lssed_table_6", {"training": "paper"}, "--training", "--upstream"),
        (
            "frame_lengths",
            {"init": "tiny", "upstream": None},
            "--init",
            "--epochs, --split, --folds",
        ),
    ],
)
def test_an_option_that_the_recipe_does_not_read_is_refused_before_any_work(
    run, place, recipe, changes, option, takes
):
    code, out, err = run(recipe, *options(out="unread", corpus="csv=nowhere.csv", **changes))
    assert (code, out) == (1, "")
    assert err.startswith(f"affekt: {option}: {recipe} does not read it; leave it out: it takes ")
    assert takes in err
    assert option not in err.split("takes")[1]
    assert err.count("\n") == 1
    assert not (place / "unread").exists()


def test_a_flag_is_refused_like_other_options_and_a_default_never(run):
    plain = options(upstream=None)
    code, _, err = run("frame_lengths", *plain, "--allow-shared-speakers")
    assert code == 1
    assert "--allow-shared-speakers: frame_lengths does not read it" in err
    unread = options(upstream=None, layers="3", protocol="clean", seeds="1", training="ours")
    code, _, err = run("frame_lengths", *unread[2:], "--corpus", "csv=nowhere.csv")
    assert "does not read" not in err
    assert "nowhere.csv" in err


def written(place, name):
    """The toy corpus as a folder of Affekt's own, recordings beside it."""
    toy.load(place / "toy").write(place / name)
    return place / name / "utterances.csv"


def test_a_recording_that_is_missing_is_named_with_its_row_and_a_remedy(run, place):
    table = written(place, "gone")
    text = table.read_text("utf-8")
    table.write_text(text.replace("s01_anger_2.", "elsewhere."), "utf-8")
    code, out, err = run("speaker_folds", *options(corpus="affekt=gone"))
    assert (code, out) == (1, "")
    assert "elsewhere.flac: no such file, the recording of utterance 's01_anger_2' (row 2 of" in err
    assert "take the row out, or give a reason in its column `excluded`" in err
    rows = pd.read_csv(table, dtype=str, keep_default_na=False)
    rows.loc[1, "excluded"] = "lost"
    rows.to_csv(table, index=False)
    code, _, err = run("ctc_table_1", *options(corpus="affekt=gone", upstream=None, method="dummy"))
    assert code == 0
    assert "note: affekt: 1 of 72 utterances left out, 's01_anger_2' first (lost)" in err


def test_what_a_loader_left_out_is_said(run, place):
    table = written(place, "noted")
    card = table.with_name("card.json")
    known = json.loads(card.read_text("utf-8"))
    card.write_text(json.dumps(known | {"notes": ["2 rows without features left out"]}), "utf-8")
    _, _, err = run("iemocap_4", *options(corpus="affekt=noted", upstream=None, method="none"))
    assert err.startswith("note: affekt: 2 rows without features left out\n")


# several processes


def launched(place, *words):
    """What two processes that were started together print."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    found = subprocess.run(
        [*command, "--nproc-per-node", "2", "-m", "affekt", "run", *words],
        cwd=place, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True,
        timeout=300,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    return found


def answers_in(folder):
    return read_table(folder / "predictions.csv")


def files_below(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


@pytest.mark.slow
def test_two_processes_teach_what_one_does(place, run):
    words = ["ctc_table_1", "--corpus", "toy=toy", "--method", "one-label", "--folds", "1"]
    words += ["--epochs", "2"]
    launched(place, *words, "--out", "two-frames")
    assert run(*words, "--out", "one-frames")[0] == 0
    two, one = (answers_in(place / f"{n}-frames" / "one-label") for n in ("two", "one"))
    np.testing.assert_allclose(two, one, atol=1e-4)
    assert np.ptp(one.to_numpy()) > 0.01


@pytest.mark.slow
def test_of_two_processes_one_writes_and_speaks_and_both_go_on_where_they_were(place, run):
    words = ["lssed_table_5", "--corpus", "toy=toy", "--method", "fcn-attention", "--folds", "1"]
    words += ["--epochs", "1", "--store", "several"]
    before = files_below(place)
    found = launched(place, *words, "--out", "two")
    assert found.stdout.count("# Evaluation") == 1
    assert found.stderr.count("toy, log_mel_lssed: 72 done") == 1
    assert len(re.findall(r"fcn-attention, speaker-s01: \d+ done", found.stderr)) == 1
    assert run(*words, "--out", "one")[0] == 0
    assert files_below(place / "two") == files_below(place / "one")
    new = {name.partition("/")[0] for name in set(files_below(place)) - set(before)}
    assert new == {"two", "one", "several"}  # no copy stays
    two, one = (answers_in(place / n / "fcn-attention") for n in ("two", "one"))
    np.testing.assert_allclose(two, one, atol=0.2)  # each normalises batches over its own rows
    state = next((place / "two").glob("*.safetensors"))
    made = state.stat().st_mtime_ns
    launched(place, *words, "--out", "two")  # nothing is left to be taught
    assert state.stat().st_mtime_ns == made
    pd.testing.assert_frame_equal(answers_in(place / "two" / "fcn-attention"), two)


def test_the_others_work_on_a_copy_that_leaves_the_first_ones_files_alone(tmp_path):
    class Second:
        is_main_process = False

        def wait_for_everyone(self):
            pass

    out = tmp_path / "out"
    (out / "method").mkdir(parents=True)
    (out / "state.safetensors").write_text("step 7")
    (out / "method" / "choice.csv").write_text("old")
    with warnings.catch_warnings(), _place(out, Second()) as (copy, progress):
        assert copy.parent == tmp_path
        assert (copy / "state.safetensors").read_text() == "step 7"
        with replacing(copy / "method" / "choice.csv") as temporary:
            temporary.write_text("new")
        (copy / "report.md").write_text("unseen")
        progress("what", 3)(3)
    assert files_below(tmp_path) == ["out", "out/method", "out/method/choice.csv",
                                     "out/state.safetensors"]  # fmt: skip
    assert (out / "method" / "choice.csv").read_text() == "old"


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
