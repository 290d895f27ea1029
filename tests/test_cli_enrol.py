"""`affekt enrol`, `affekt predict --speaker` and `--adapt`: what they answer, refuse and keep."""

import csv
import io
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from affekt import audio, cli, recognizer
from affekt.adapt import MODES, pool
from affekt.cli.baselines import Adapt
from affekt.cli.enrol import folder, voice_file
from linear_model import LABELS, write_linear_model
from media import RATE, noise, tone

REFERENCE = {"alone": [0.0] * 8, "in_context": [0.0] * 8, "alone_seconds": 7.0}
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_linear_model(tmp_path_factory.mktemp("linear"), reference_logits=REFERENCE)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Anna's voice is high, Ben's low; of each three recordings."""
    root = tmp_path_factory.mktemp("voices")
    for who, lowest in (("anna", 2_000.0), ("ben", 200.0)):
        for number in range(3):
            path = root / who / f"{who}{number}.wav"
            path.parent.mkdir(exist_ok=True)
            audio.write(path, tone(1.5, frequency=lowest * (1 + number)) + noise(1.5) / 10)
    return root


@pytest.fixture
def run(
    model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Run:
    """Run `affekt` with the linear model, and a folder of speakers of one's own."""
    monkeypatch.setenv("AFFEKT_SPEAKERS", str(tmp_path / "speakers"))

    def affekt(*words: object, model: Path = model) -> tuple[int, str, str]:
        heard = [] if {"--list", "--remove"} & set(words) else ["--model", str(model)]
        monkeypatch.setattr(sys, "argv", ["affekt", *map(str, words), *heard])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return ended.value.code or 0, *capfd.readouterr()

    return affekt


def scores(out: str) -> list[dict[str, float]]:
    return [{label: row[label] for label in LABELS} for row in json.loads(out)]


# --- enrol ----------------------------------------------------------------------------------


def test_a_recording_is_measured_from_whom_it_is_said_to_be_of(
    run: Run, place: Path, model: Path
) -> None:
    code, said, _ = run("enrol", "anna b", place / "anna")
    assert code == 0
    assert said.startswith("anna b: 4 s of 3 recordings, ")
    clip = place / "anna" / "anna1.wav"
    code, out, err = run("predict", clip, "--speaker", "anna b", "--format", "json")
    assert (code, err) == (0, "")
    assert json.loads(out)[0]["adapted"] == "enrolled anna b"
    loaded = recognizer.load(model)
    voice = loaded.baseline(sorted((place / "anna").iterdir()))
    expected = loaded.predict(clip, baseline=voice)
    assert scores(out)[0] == pytest.approx(expected, abs=1e-5)
    assert abs(expected["sadness"] - loaded.predict(clip)["sadness"]) > 0.05


def test_who_is_enrolled_is_listed_replaced_by_force_alone_and_forgotten(
    run: Run, place: Path
) -> None:
    assert run("enrol", "--list")[1] == ""
    for name in ("ben", "anna"):
        assert run("enrol", name, place / name)[0] == 0
    assert run("enrol", "--list")[1] == "anna\nben\n"
    before = voice_file("anna").read_bytes()
    code, _, err = run("enrol", "anna", place / "ben")
    assert (code, err) == (1, "affekt: anna: is enrolled already: replace it with --force\n")
    assert voice_file("anna").read_bytes() == before
    assert run("enrol", "anna", place / "ben", "--force")[0] == 0
    assert voice_file("anna").read_bytes() == voice_file("ben").read_bytes() != before
    assert run("enrol", "--remove", "anna")[1] == "anna: forgotten\n"
    assert run("enrol", "--list")[1] == "ben\n"
    code, _, err = run("enrol", "--remove", "anna")
    assert (code, err) == (1, "affekt: --remove anna: not enrolled; enrolled: ben\n")


def test_no_sound_is_kept(run: Run, place: Path) -> None:
    assert run("enrol", "anna", place / "anna")[0] == 0
    (kept,) = folder().iterdir()
    found = json.loads(kept.read_text("utf-8"))
    assert set(found) == {"format", "model", "alone", "in_context"}
    assert [len(found[head]["mean"]) for head in ("alone", "in_context")] == [8, 8]


@pytest.mark.parametrize(
    "name", ["", "a/b", "..", ".hidden", "a\\b", "two\nlines", "ends.", " a", "x" * 300, "con:1"]
)
def test_a_name_that_could_lead_elsewhere_is_refused(run: Run, place: Path, name: str) -> None:
    for words in (
        ("enrol", name, place / "anna"),
        ("predict", place / "anna" / "anna0.wav", "--speaker", name),
    ):
        code, out, err = run(*words)
        assert (code, out) == (1, "")
        assert "choose a name of letters" in err
        assert len(err.splitlines()) == 1
    assert not folder().exists()


def test_one_recording_that_fails_enrols_nobody(run: Run, place: Path, tmp_path: Path) -> None:
    audio.write(tmp_path / "silent.wav", np.zeros(RATE, np.float32))
    for wrong, reason in (
        (tmp_path / "silent.wav", "is silent"),
        (tmp_path / "none.wav", "does not exist"),
        ("", "an empty name"),
    ):
        code, _, err = run("enrol", "anna", place / "anna", wrong)
        assert code == 1
        assert reason in err
    code, _, err = run("enrol", "anna")
    assert (code, err) == (1, "affekt: anna: give recordings of this voice, or a folder of them\n")
    assert not folder().exists()


@pytest.mark.parametrize("words", [(), ("anna", "--list"), ("anna", "x.wav", "--remove", "ben")])
def test_enrol_does_one_thing_at_a_time(run: Run, words: tuple[str, ...]) -> None:
    code, _, err = run("enrol", *words)
    assert (code, err) == (
        1,
        "affekt: give one of NAME with recordings, --list, and --remove NAME\n",
    )


def test_nobody_of_that_name_and_another_model_say_what_to_do(
    run: Run, place: Path, tmp_path: Path
) -> None:
    clip = place / "ben" / "ben0.wav"
    code, _, err = run("predict", clip, "--speaker", "ben")
    assert code == 1
    assert "nobody of that name is enrolled (nobody yet): affekt enrol ben" in err
    assert run("enrol", "ben", place / "ben")[0] == 0
    voice = json.loads(voice_file("ben").read_text("utf-8"))
    voice["model"]["sha256"] = "0" * 64
    voice_file("ben").write_text(json.dumps(voice), "utf-8")
    code, _, err = run("predict", clip, "--speaker", "ben")
    assert code == 1
    assert "was heard by another model" in err


def test_where_voices_lie(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("AFFEKT_SPEAKERS", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert voice_file("a") == tmp_path / "data" / "affekt" / "speakers" / "a.json"
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert folder() == tmp_path / ".local" / "share" / "affekt" / "speakers"


# --- --adapt --------------------------------------------------------------------------------


def test_the_modes_of_the_command_line_are_the_librarys() -> None:
    assert tuple(Adapt) == MODES


def test_a_folder_is_measured_from_all_that_is_given(run: Run, place: Path, model: Path) -> None:
    _, out, err = run("predict", place, "--adapt", "folder", "--format", "json")
    assert err == ""
    loaded = recognizer.load(model)
    scans = [loaded.scan(path) for path in sorted(place.rglob("*.wav"))]
    voice = pool(scan.voice() for scan in scans)
    for scan, found in zip(scans, scores(out), strict=True):
        assert found == pytest.approx(loaded.predict(scan, baseline=voice), abs=1e-5)
    assert {row["adapted"] for row in json.loads(out)} == {"folder"}


def test_a_speaker_is_the_folder_that_a_file_lies_in(run: Run, place: Path) -> None:
    _, both, _ = run("predict", place, "--adapt", "speaker", "--format", "json")
    _, anna, _ = run("predict", place / "anna", "--adapt", "folder", "--format", "json")
    _, ben, _ = run("predict", place / "ben", "--adapt", "folder", "--format", "json")
    assert scores(both) == scores(anna) + scores(ben)


def test_a_recording_is_measured_from_its_own_windows_if_it_is_long_enough(
    run: Run, place: Path, tmp_path: Path, model: Path
) -> None:
    parts = [tone(12.0, frequency=300.0), tone(12.0, frequency=600.0)]
    long = tmp_path / "long.wav"
    audio.write(long, np.concatenate(parts) + noise(24.0) / 10)
    short = place / "anna" / "anna0.wav"
    _, out, err = run("predict", long, short, "--adapt", "recording", "--format", "json")
    assert err.startswith(
        f"affekt: {short}: 2 s of sound are too little to be measured from itself"
    )
    assert [row["adapted"] for row in json.loads(out)] == ["recording", ""]
    assert all("segments" in row for row in json.loads(out))
    loaded = recognizer.load(model)
    scan = loaded.scan(long, window=recognizer.WINDOW_SECONDS)
    expected = loaded.timeline(scan, baseline=scan.voice())
    assert scores(out)[0] == pytest.approx(expected.overall, abs=1e-5)
    assert scores(out)[1] == pytest.approx(loaded.predict(short), abs=1e-5)
    means = [loaded.timeline(scan, baseline=v).scores.mean(0) for v in (None, scan.voice())]
    assert np.ptp(means[1]) < np.ptp(means[0]) / 1.5  # drawn to the (flat) mean of the training


@pytest.mark.parametrize("form", ["rttm", "srt", "textgrid"])
def test_forms_without_a_place_for_it_are_said_to_be_adapted(
    run: Run, place: Path, tmp_path: Path, form: str
) -> None:
    out = tmp_path / "out" if form != "rttm" else tmp_path / "x.rttm"
    _, _, err = run("predict", place, "--adapt", "folder", "--format", form, "--out", out)
    assert err == "affekt: measured from folder: these are no strict zero-shot results\n"


def test_adaptation_of_one_recording_is_refused_before_any_work(
    run: Run, place: Path, tmp_path: Path
) -> None:
    clip = place / "anna" / "anna0.wav"
    code, out, err = run("predict", clip, "--adapt", "folder")
    assert (code, out) == (1, "")
    assert f"{clip}: is the only recording of its folder" in err
    code, out, err = run("predict", clip, place / "ben", "--adapt", "speaker")
    assert (code, out) == (1, "")
    assert f"{clip}: is the only recording of its speaker" in err


def test_who_is_left_alone_since_the_others_failed_is_said_and_the_rest_is_answered(
    run: Run, place: Path, tmp_path: Path
) -> None:
    audio.write(tmp_path / "a.wav", tone(1.0))
    (tmp_path / "b.wav").write_bytes(b"no sound")
    code, out, err = run(
        "predict", tmp_path / "a.wav", tmp_path / "b.wav", place / "ben",
        "--adapt", "speaker", "--format", "json",
    )  # fmt: skip
    assert code == 1
    assert len(json.loads(out)) == 3
    lines = err.splitlines()
    assert lines[0].startswith(f"affekt: {tmp_path / 'b.wav'}: ")
    assert f"{tmp_path / 'a.wav'}: is the only recording of its speaker" in lines[1]


def test_a_mode_and_a_speaker_at_once_are_refused(run: Run, place: Path) -> None:
    code, _, err = run("predict", place, "--adapt", "folder", "--speaker", "anna")
    assert code == 1
    assert err == "affekt: --adapt folder, --speaker anna: choose one to measure from\n"


def test_an_older_model_is_refused_before_any_work(run: Run, place: Path, tmp_path: Path) -> None:
    old = write_linear_model(tmp_path / "old")
    for words in (("predict", place, "--adapt", "folder"), ("enrol", "anna", place / "anna")):
        code, out, err = run(*words, model=old)
        assert (code, out) == (1, "")
        assert "its card has no `reference_logits`" in err
        assert len(err.splitlines()) == 1


# --- evaluation -----------------------------------------------------------------------------


def evaluated(tmp_path: Path, speakers: str, mode: str) -> tuple[int, str]:
    rows = list(zip("abcd", speakers, ("anger", "fear", "anger", "fear"), strict=True))
    tables = {
        "truth.csv": [("utterance", "speaker", "label"), *rows],
        "answers.csv": [
            ("file", "anger", "fear", "adapted"),
            *((name, "0.6", "0.4", mode) for name, *_ in rows),
        ],
    }
    for name, content in tables.items():
        text = io.StringIO()
        csv.writer(text).writerows(content)
        (tmp_path / name).write_text(text.getvalue(), "utf-8")
    words = ["evaluate", *(str(tmp_path / name) for name in tables)]
    result = CliRunner().invoke(cli.app, words)
    return result.exit_code, result.output + str(result.exception or "")


def test_an_evaluation_says_what_answers_were_measured_from(tmp_path: Path) -> None:
    code, said = evaluated(tmp_path, "xxyy", "folder")
    assert code == 0, said
    assert re.search(r"measured from: folder; so this is no strict zero-shot", said)


def test_an_evaluation_refuses_what_took_the_labels_away(tmp_path: Path) -> None:
    code, said = evaluated(tmp_path, "xyxy", "speaker")
    assert code == 1
    assert "--adapt speaker: 2 of 2 groups have one label only" in said
    assert evaluated(tmp_path, "xxyy", "speaker")[0] == 0
