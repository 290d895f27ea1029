"""`affekt predict`: one line for whatever is wrong, strange names, and the process itself."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

import linear_predict
from affekt import audio, writers
from linear_model import LABELS
from linear_predict import Run
from media import RATE, bad_files, encode, noise, tone

model = pytest.fixture(scope="module")(linear_predict.model)
run = pytest.fixture(linear_predict.run)
talk = pytest.fixture(linear_predict.talk)


# --- bad input ------------------------------------------------------------------------------


def test_all_that_is_wrong_is_one_line_each_and_the_rest_is_done(
    run: Run, talk: Path, tmp_path: Path
) -> None:
    (tmp_path / "bad").mkdir()
    files = bad_files(tmp_path / "bad")
    files["silent"] = (tmp_path / "silent.wav", "is silent: nothing is above -200 dB")
    audio.write(tmp_path / "silent.wav", np.zeros(RATE, np.float32))
    files["short"] = (tmp_path / "short.wav", "shorter than 0.1 s")
    audio.write(tmp_path / "short.wav", noise(0.02))
    (tmp_path / "none").mkdir()
    files["folder"] = (tmp_path / "none", "folder without recordings")
    paths = [path for path, _ in files.values()]
    found = run(paths[0], talk, *paths[1:], "--format", "json")
    assert found.code == 1
    assert [row["file"] for row in json.loads(found.out)] == [str(talk)]
    lines = found.err.splitlines()
    assert len(lines) == len(files)
    for path, reason in files.values():
        (line,) = [line for line in lines if line.startswith(f"affekt: {path}: ")]
        assert reason in line
    assert "Traceback" not in found.err


@pytest.mark.parametrize("name", ["json", "csv", "rttm", "table"])
def test_if_all_fail_the_document_is_valid_and_empty(run: Run, name: str) -> None:
    found = run("nowhere.wav", "nowhere else.wav", "--format", name)
    assert found.code == 1
    assert found.out == "".join(writers.FORMATS[name]([], LABELS, name == "rttm"))
    assert found.err.splitlines() == [
        "affekt: nowhere.wav: does not exist",
        "affekt: nowhere else.wav: does not exist",
    ]


@pytest.mark.parametrize("ending", [".wav", ".flac", ".mp3"])
def test_a_cut_file_is_answered_with_a_warning_of_one_line(
    run: Run, tmp_path: Path, ending: str
) -> None:
    path = tmp_path / f"x{ending}"
    if ending == ".mp3":
        encode(path, tone(20.0, frequency=300.0), "libmp3lame", RATE)
    else:
        audio.write(path, tone(20.0, frequency=300.0))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    found = run(path, "--format", "json")
    assert found.code == 0
    (row,) = json.loads(found.out)
    assert max(LABELS, key=row.__getitem__) == "anger"
    (line,) = found.err.splitlines()
    assert line.startswith(f"affekt: warning: {path}: damaged or cut short: only ")


def test_a_newline_in_a_name_does_not_break_the_line(run: Run) -> None:
    assert run("no\nsuch.wav").err == "affekt: no\\nsuch.wav: does not exist\n"


def test_an_impossible_name_is_one_line_too(run: Run) -> None:
    found = run("x" * 5_000)
    assert found.code == 1
    assert found.err.startswith("affekt: xxx")
    assert "cannot be read" in found.err
    assert len(found.err.splitlines()) == 1


def test_a_place_that_cannot_be_written_is_one_line_too(run: Run, talk: Path) -> None:
    for options in (["--out", talk / "x.csv"], ["--plot", talk / "x.png"]):
        found = run(talk, *options)
        assert found.code == 1
        assert len(found.err.splitlines()) == 1
        assert found.err == f"affekt: {talk}: File exists\n"


def test_an_empty_name_fails_alone(run: Run, talk: Path) -> None:
    found = run("", talk, "--format", "json")
    assert found.code == 1
    assert [row["file"] for row in json.loads(found.out)] == [str(talk)]
    assert found.err == "affekt: '': an empty name is no file or folder\n"


@pytest.mark.parametrize("rate", [8_000, 44_100, 192_000])
def test_rates_and_channels_of_all_kinds_get_the_same_answer(
    run: Run, tmp_path: Path, rate: int
) -> None:
    x = tone(2.0, rate, frequency=300.0)
    soundfile.write(tmp_path / "x.wav", np.stack([x] * 8, axis=1), rate)
    (row,) = json.loads(run(tmp_path / "x.wav", "--format", "json").out)
    assert max(LABELS, key=row.__getitem__) == "anger"


def test_the_sound_of_a_video_with_a_strange_name_is_answered(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "фильм 1 'a'\n😀.mp4"
    encode(path, tone(2.0, 44_100, frequency=300.0), "aac", 44_100, picture=True)
    (row,) = json.loads(run(path, "--format", "json").out)
    assert row["file"] == str(path)
    assert max(LABELS, key=row.__getitem__) == "anger"


# --- the process ----------------------------------------------------------------------------


SCRIPT = "import sys; from affekt.cli import main; sys.argv[0] = 'affekt'; main()"


def spawn(
    *words: str, code: str = SCRIPT, **environment: str
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-c", code, *words],
        capture_output=True,
        env={**os.environ, **environment},
        check=False,
    )


def test_one_clip_loads_nothing_heavy(model: Path, talk: Path) -> None:
    code = f"""
import sys
from affekt.cli import main
sys.argv = ["affekt", "predict", "--model", {str(model)!r}, {str(talk)!r}]
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
heavy = {{"torch", "pandas", "scipy", "sklearn", "matplotlib", "transformers", "av", "pyarrow"}}
print(sorted(heavy & sys.modules.keys()))
"""
    found = spawn(code=code)
    assert found.returncode == 0, found.stderr
    assert found.stdout.splitlines()[-1] == b"[]"
    assert found.stderr == b""


def test_a_terminal_without_unicode_gets_plain_characters(model: Path, tmp_path: Path) -> None:
    audio.write(tmp_path / "é.wav", tone(1.0))
    words = ["predict", "--model", str(model), str(tmp_path / "é.wav")]
    found = spawn(*words, PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert found.returncode == 0, found.stderr
    assert b"\\xe9.wav\n" in found.stdout
    assert b"###" in found.stdout


@pytest.mark.parametrize("form", ["csv", "json"])
def test_a_name_that_is_no_text_is_escaped_and_can_be_evaluated(
    model: Path, tmp_path: Path, form: str
) -> None:
    audio.write(tmp_path / "x.wav", tone(1.0))
    audio.write(tmp_path / "y.wav", tone(1.0, frequency=4_000.0))
    name = os.fsencode(tmp_path) + b"/lat\xe9in.wav"
    os.rename(tmp_path / "x.wav", name)  # noqa: PTH104 - a Path cannot hold bytes
    out = str(tmp_path / f"out.{form}")
    words = ["predict", "--model", str(model), "--format", form, str(tmp_path)]
    printed, written = spawn(*words), spawn(*words, "--out", out)
    assert printed.returncode == written.returncode == 0, written.stderr
    assert Path(out).read_bytes() == printed.stdout
    escape = r"/lat\udce9in.wav" if form == "csv" else r"/lat\\udce9in.wav"
    assert str(tmp_path) + escape in printed.stdout.decode("utf-8")
    found = spawn("evaluate", out, out)
    assert found.returncode == 0, found.stderr
    assert "accuracy" in found.stdout.decode("utf-8")
