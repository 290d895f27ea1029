"""`affekt predict`: formats, where results go, and options."""

import csv
import inspect
import io
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import linear_predict
from affekt import audio, recognizer
from affekt.cli.predict import predict
from affekt.cli.recordings import find_recordings, short_names
from affekt.exceptions import AudioError
from linear_model import LABELS
from linear_predict import Run
from media import tone

model = pytest.fixture(scope="module")(linear_predict.model)
run = pytest.fixture(linear_predict.run)
talk = pytest.fixture(linear_predict.talk)


NOBODY = 65_534  # the user id of nobody


# --- formats --------------------------------------------------------------------------------


def test_json_holds_the_python_scores(run: Run, talk: Path, model: Path) -> None:
    found = run(talk, "--format", "json")
    assert found.code == 0
    assert found.err == ""
    (row,) = json.loads(found.out)
    expected = recognizer.load(model).predict(talk)
    assert list(row) == ["file", *LABELS]
    assert row["file"] == str(talk)
    assert [row[label] for label in LABELS] == pytest.approx(list(expected.values()), abs=1e-6)


def test_json_with_a_timeline_has_the_segments_inside(run: Run, talk: Path) -> None:
    (row,) = json.loads(run(talk, "--format", "json", "--timeline").out)
    assert list(row) == ["file", *LABELS, "segments"]
    assert [(s["start"], s["end"], s["label"]) for s in row["segments"]] == [
        (0.0, 5.0, "anger"),
        (7.0, 12.0, "sadness"),
    ]
    assert all(0 < s["probability"] <= 1 for s in row["segments"])


def test_csv_has_the_column_file_and_one_per_label(run: Run, talk: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(run(talk, talk.parent, "--format", "csv").out)))
    assert [row["file"] for row in rows] == [str(talk)]  # named twice, done once
    assert list(rows[0]) == ["file", *LABELS]
    assert sum(float(rows[0][label]) for label in LABELS) == pytest.approx(1.0, abs=1e-5)


def test_csv_of_a_timeline_has_a_row_per_segment(run: Run, talk: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(run(talk, "--timeline", "--format", "csv").out)))
    assert list(rows[0]) == ["file", "start", "end", "label", "probability"]
    assert [(float(r["start"]), float(r["end"]), r["label"]) for r in rows] == [
        (0.0, 5.0, "anger"),
        (7.0, 12.0, "sadness"),
    ]


def test_rttm_lines_have_ten_fields_whatever_the_name(run: Run, tmp_path: Path) -> None:
    audio.write(tmp_path / "two words\nтри.wav", tone(3.0, frequency=300.0))
    lines = run(tmp_path, "--format", "rttm").out.splitlines()
    assert [line.split(" ")[:8] for line in lines] == [
        ["SPEAKER", "two_words_три", "1", "0.000", "3.000", "<NA>", "<NA>", "anger"]
    ]
    assert {len(line.split()) for line in lines} == {10}


def test_a_textgrid_reads_back_and_tiles_the_recording(run: Run, talk: Path) -> None:
    text = run(talk, "--format", "textgrid").out
    assert text.startswith('File type = "ooTextFile"\nObject class = "TextGrid"\n')
    found = re.findall(r'xmin = (\S+)\s+xmax = (\S+)\s+text = "(.*)"', text)
    assert [(float(a), float(b), label) for a, b, label in found] == [
        (0.0, 5.0, "anger"),
        (5.0, 7.0, ""),
        (7.0, 12.0, "sadness"),
    ]
    assert re.search(r"intervals: size = 3\n", text)


def test_srt_reads_back(run: Run, talk: Path) -> None:
    blocks = run(talk, "--format", "srt").out.strip().split("\n\n")
    assert [block.split("\n")[:2] for block in blocks] == [
        ["1", "00:00:00,000 --> 00:00:05,000"],
        ["2", "00:00:07,000 --> 00:00:12,000"],
    ]
    assert [re.fullmatch(r"(\w+) \d+%", block.split("\n")[2]) is not None for block in blocks]


def test_the_table_names_the_likeliest_label_first_and_the_segments_below(
    run: Run, talk: Path
) -> None:
    lines = run(talk, "--timeline").out.splitlines()
    assert lines[0] == str(talk)
    assert re.fullmatch(r"  anger +\d+%  █+", lines[1])
    shares = [int(m.group(1)) for line in lines[1:9] if (m := re.search(r"(\d+)%", line))]
    assert shares == sorted(shares, reverse=True)
    assert lines[-2].startswith("  0:00.0 - 0:05.0  anger ")
    assert lines[-1].startswith("  0:07.0 - 0:12.0  sadness ")


# --- where results go -----------------------------------------------------------------------


def test_out_writes_what_stdout_would_get(run: Run, talk: Path, tmp_path: Path) -> None:
    for name in ("table", "json", "csv", "rttm", "textgrid", "srt"):
        printed = run(talk, "--format", name).out
        assert run(talk, "--format", name, "--out", tmp_path / "new" / name).out == ""
        assert (tmp_path / "new" / name).read_text("utf-8") == printed


def test_several_textgrids_go_to_a_folder(run: Run, talk: Path, tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    audio.write(tmp_path / "deep" / "other.flac", tone(3.0))
    found = run(tmp_path, "--format", "textgrid", "--out", tmp_path / "grids")
    assert found.code == 0
    grids = sorted(path.name for path in (tmp_path / "grids").iterdir())
    assert grids == ["other.TextGrid", "talk.TextGrid"]
    refused = run(tmp_path, "--format", "srt")
    assert refused.code == 1
    assert "srt holds one recording" in refused.err


def test_folders_are_searched_in_order_and_hidden_and_foreign_files_left_out(
    tmp_path: Path,
) -> None:
    for name in ("b.WAV", "a/z.mp3", "a/c.mkv", "._b.wav", "notes.txt", "a/d.flac"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = find_recordings([str(tmp_path), "x.txt", str(tmp_path / "b.WAV")], [])
    expected = [str(tmp_path / name) for name in ("a/c.mkv", "a/d.flac", "a/z.mp3", "b.WAV")]
    assert list(found) == [*expected, "x.txt"]


@pytest.fixture
def locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Stand in a folder with a subfolder that nobody may list, as a user who is not root."""
    for name in ("a.wav", "lock/b.wav", "lock/in/c.wav"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    tmp_path.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lock" / "in").chmod(0)
    user = os.geteuid()
    if user == 0:  # root may list anything
        try:
            os.seteuid(NOBODY)
        except OSError as problem:
            pytest.skip(f"root cannot become another user here: {problem}")
    yield tmp_path
    os.seteuid(user)
    (tmp_path / "lock" / "in").chmod(0o700)


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="the system has no such rights")
@pytest.mark.usefixtures("locked")
def test_a_folder_that_cannot_be_read_is_one_line_and_the_rest_is_found(
    capsys: pytest.CaptureFixture[str],
) -> None:
    failures: list[AudioError] = []
    assert list(find_recordings(["."], failures)) == ["a.wav", "lock/b.wav"]
    assert list(find_recordings(["lock/in"], failures)) == []
    assert [str(failure) for failure in failures] == [
        "lock/in: cannot be read (Permission denied)"
    ] * 2
    said = "affekt: lock/in: cannot be read (Permission denied)\n"
    assert capsys.readouterr().err == said * 2


def test_short_names_tell_equal_stems_apart() -> None:
    paths = ["/data/a/x.wav", "/data/b/x.wav", "/data/b/x.mp3", "y.wav"]
    names = short_names(paths)
    assert len(set(names)) == 4
    assert names[3] == "y"
    assert not any("/" in name for name in names)


# --- options --------------------------------------------------------------------------------


def test_labels_restrict_and_the_others_get_nothing(run: Run, talk: Path) -> None:
    (row,) = json.loads(run(talk, "--labels", "sadness, fear", "--format", "json").out)
    assert {label for label in LABELS if row[label]} == {"sadness", "fear"}
    assert sum(row[label] for label in LABELS) == pytest.approx(1.0, abs=1e-5)


def test_an_unknown_label_is_named_beside_the_known_before_any_work(run: Run) -> None:
    found = run("nowhere.wav", "--labels", "anger,joy", "--format", "json")
    assert found.code == 1
    assert found.out == ""
    assert "'joy'" in found.err.splitlines()[-1]
    assert ", ".join(LABELS) in found.err.splitlines()[-1]
    assert "nowhere" not in found.err


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--window", "0.2", "--hop", "0.5"], "hop <= window"),
        (["--hop", "0"], "hop <= window"),
        (["--window", "nan"], "hop <= window"),
        (["--smoothing", "-1"], "smoothing -1: choose 0 or more"),
        (["--switch-cost", "nan"], "switch cost nan: choose 0 or more"),
        (["--min-length", "-0.5"], "min length -0.5: choose 0 or more"),
        (["--model", "affekt-huge"], "affekt-huge: no such model"),
        (["--plot", "x.jpeg2000"], "a picture ends in"),
        (["--out", "."], "is a folder"),
        (["--labels", ""], "unknown label ''"),
        (["--labels", "fear"], "'fear' alone would always get 100 %"),
        (["--labels", "fear,fear"], "give two or more labels of anger, disgust"),
    ],
)
def test_an_impossible_option_is_one_line_and_nothing_is_written(
    run: Run, talk: Path, options: list[str], reason: str
) -> None:
    found = run(talk, *options)
    assert found.code == 1
    assert found.out == ""
    assert len(found.err.splitlines()) == 1
    assert reason in found.err


@pytest.mark.parametrize("name", ["window", "hop", "smoothing", "switch_cost", "min_length"])
def test_the_numbers_of_a_timeline_are_those_of_the_library_unless_said(name: str) -> None:
    library = inspect.signature(recognizer.Recognizer.timeline).parameters[name].default
    assert inspect.signature(predict).parameters[name].default == library


@pytest.mark.parametrize(
    "options", [["--smoothing", "12"], ["--switch-cost", "30"], ["--min-length", "3"]]
)
def test_what_is_short_is_left_out_as_asked(run: Run, tmp_path: Path, options: list[str]) -> None:
    parts = [tone(4.0, frequency=4_000.0), tone(1.5, frequency=300.0), tone(4.0, frequency=4_000.0)]
    audio.write(tmp_path / "x.wav", np.concatenate(parts))

    def labels(*options: str) -> list[str]:
        (row,) = json.loads(run(tmp_path / "x.wav", "--timeline", "--format", "json", *options).out)
        return [segment["label"] for segment in row["segments"]]

    assert labels() == ["sadness", "anger", "sadness"]
    assert labels(*options) == ["sadness"]


def test_a_hop_makes_finer_segments(run: Run, talk: Path) -> None:
    text = run(talk, "--format", "rttm", "--window", "1.0", "--hop", "0.1").out
    starts = [float(line.split()[3]) for line in text.splitlines()]
    assert starts == [0.0, 7.0]


def test_a_picture_is_drawn_for_each_recording(run: Run, talk: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    pytest.importorskip("affekt.plots")
    audio.write(tmp_path / "other.wav", tone(3.0))
    found = run(talk, tmp_path / "other.wav", "--plot", tmp_path / "p.png")
    assert found.code == 0
    for name in ("p-talk.png", "p-other.png"):
        assert (tmp_path / name).read_bytes()[:4] == b"\x89PNG"
        assert name in found.err
