"""The bundled example: what it says of itself, the rule that chose it, and the demo."""

import csv
import importlib.util
import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from affekt import audio
from affekt.cli import app
from affekt.corpora import crema_d

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "src" / "affekt" / "example"
RECORDING = FOLDER / "crema-d-excerpt.ogg"
LETTERS = {  # of the votes' columns
    "A": "anger",
    "D": "disgust",
    "F": "fear",
    "H": "happiness",
    "N": "neutral",
    "S": "sadness",
}


@pytest.fixture(scope="module")
def about() -> dict[str, Any]:
    return json.loads(RECORDING.with_suffix(".json").read_text("utf-8"))


@pytest.fixture(scope="module")
def make_example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_example", ROOT / "scripts/make_example.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def voice_votes(shared: Path) -> Iterator[tuple[str, dict[str, int]]]:
    with (shared / "corpora/crema-d/processedResults/tabulatedVotes.csv").open() as file:
        for row in csv.DictReader(file):
            if row[""].startswith("1"):
                yield row["fileName"], {name: int(row[letter]) for letter, name in LETTERS.items()}


def test_the_recording_is_a_small_mono_opus_file_of_about_20_s() -> None:
    info = soundfile.info(RECORDING)
    assert (info.format, info.subtype) == ("OGG", "OPUS")
    assert (info.samplerate, info.channels) == (16_000, 1)
    assert 18 < info.duration < 22
    assert RECORDING.stat().st_size < 150_000


def test_the_clips_lie_one_second_apart_from_the_first_sample_to_the_last(
    about: dict[str, Any],
) -> None:
    clips = about["clips"]
    assert clips[0]["start"] == 0
    for before, after in pairwise(clips):
        assert after["start"] - before["end"] == pytest.approx(1, abs=2e-3)
    assert clips[-1]["end"] == pytest.approx(soundfile.info(RECORDING).duration, abs=2e-3)


def test_there_is_silence_between_the_clips_and_sound_within_them(about: dict[str, Any]) -> None:
    waveform = audio.load(RECORDING)
    for before, after in pairwise(about["clips"]):
        pause = waveform[int((before["end"] + 0.1) * 16_000) : int(after["start"] * 16_000) - 1600]
        clip = waveform[int(after["start"] * 16_000) : int(after["end"] * 16_000)]
        assert np.abs(pause).max() < 1e-3
        assert np.abs(clip).max() > 0.05


def test_every_emotion_is_spoken_once_and_only_by_held_out_actors(about: dict[str, Any]) -> None:
    assert about["held_out_actors"] == ["1088", "1089", "1090", "1091"]
    assert [clip["intended"] for clip in about["clips"]] == list(LETTERS.values())
    for clip in about["clips"]:
        assert clip["actor"] in about["held_out_actors"]
        assert clip["source"].split("_")[0] == clip["actor"]
        assert crema_d.EMOTIONS[clip["source"].split("_")[2]] == clip["intended"]


def test_an_assembly_from_the_corpus_gives_the_committed_file(
    shared: Path, make_example: ModuleType, about: dict[str, Any]
) -> None:
    waveform, spoken = make_example.assemble(crema_d.load(shared / "corpora" / "crema-d"))
    committed = audio.load(RECORDING)
    assert spoken == about["clips"]
    assert about["rule"] == make_example.RULE
    assert committed.size == waveform.size
    for clip in spoken:
        span = slice(int(clip["start"] * 16_000), int(clip["end"] * 16_000))
        assert np.corrcoef(committed[span], waveform[span])[0, 1] > 0.97  # Opus is lossy


def test_coding_an_assembly_twice_gives_the_same_samples(
    make_example: ModuleType, tmp_path: Path
) -> None:
    waveform = audio.load(RECORDING)
    for name in ("a.ogg", "b.ogg"):
        make_example.write_opus(tmp_path / name, waveform)
    first, second = audio.load(tmp_path / "a.ogg"), audio.load(tmp_path / "b.ogg")
    np.testing.assert_array_equal(first, second)


def test_the_rule_written_naively_chooses_the_same_clips(
    shared: Path, about: dict[str, Any]
) -> None:
    chosen: list[str] = []
    for code, emotion in crema_d.EMOTIONS.items():
        best = None
        for name, counts in sorted(voice_votes(shared)):
            actor, meant = name.split("_")[0], name.split("_")[2]
            spoken = sum(other.startswith(actor) for other in chosen)
            if meant != code or actor not in about["held_out_actors"] or spoken == 2:
                continue
            n_votes = sum(counts.values())
            score = (counts[emotion] / n_votes, n_votes)
            if best is None or score > best[0]:
                best = score, name
        assert best is not None
        chosen.append(best[1])
    assert chosen == [clip["source"] for clip in about["clips"]]


def test_the_votes_are_those_of_the_corpus(shared: Path, about: dict[str, Any]) -> None:
    votes = dict(voice_votes(shared))
    for clip in about["clips"]:
        assert clip["voice_votes"] == votes[clip["source"]]


def test_licences_and_attribution_lie_beside_the_recording() -> None:
    assert "Open Database License (ODbL)" in (FOLDER / "LICENSE-ODbL.txt").read_text("utf-8")
    assert "You must comply with the ODbL." in (FOLDER / "LICENSE-DbCL.txt").read_text("utf-8")
    attribution = (FOLDER / "ATTRIBUTION.md").read_text("utf-8")
    for author in ("Cao", "Cooper", "Keutmann", "Gur", "Nenkova", "Verma"):
        assert author in attribution
    assert "github.com/CheyneyComputerScience/CREMA-D" in attribution


def test_the_shipped_model_was_not_trained_on_the_examples_actors(about: dict[str, Any]) -> None:
    card = json.loads((ROOT / "src/affekt/weights/affekt-base/card.json").read_text("utf-8"))
    trained_on = [speaker for corpus in card["corpora"] for speaker in corpus["speakers"]]
    assert "crema-d/1001" in trained_on
    for actor in about["held_out_actors"]:
        assert f"crema-d/{actor}" not in trained_on
        assert f"crema-d/{actor}" in card["held_out_speakers"]


def test_the_demo_shows_each_clip_and_counts_its_right_answers(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["demo", "--out", str(tmp_path)])
    assert result.exit_code == 0, result.output
    marks = [line for line in result.output.splitlines() if line.endswith(("right", "wrong"))]
    assert len(marks) == 6
    n_right = sum(line.endswith("right") for line in marks)
    for line in marks:
        _, _, _, actor, meant, _, share, answer, probability, mark = line.split()
        assert actor in ("1088", "1089", "1090", "1091")
        assert share.endswith("%")
        assert probability.endswith("%")
        assert mark == ("right" if answer == meant else "wrong")
    assert f"the actor meant in {n_right} of 6" in result.output
    assert "predict RECORDING --timeline" in result.output
    assert (tmp_path / "emotions.png").read_bytes().startswith(b"\x89PNG")


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = CliRunner().invoke(app, ["demo", "--out", str(tmp_path / "file")])
    assert result.exit_code == 1
    assert isinstance(result.exception, FileExistsError)
    assert result.exception.filename == str(tmp_path / "file")
