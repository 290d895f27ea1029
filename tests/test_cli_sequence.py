"""`affekt sequence`: what it prints, with every kind of model, and one line for what is wrong."""

import json
import subprocess
import sys
from importlib.resources import files
from itertools import pairwise

import numpy as np
import pytest
import torch

import tiny_whisper
from affekt import audio, cli, sequencer
from affekt.models import Blstm, BlstmConfig
from affekt.sequencer import ShortTerm34, WhisperStates
from linear_model import LABELS, write_linear_model
from media import bad_files, tone

one_thread = pytest.fixture(scope="module", autouse=True)(tiny_whisper.one_thread)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A recogniser that knows by pitch, and two networks that know nothing."""
    place = tmp_path_factory.mktemp("models")
    write_linear_model(place / "linear")
    for hearing in (ShortTerm34(), WhisperStates(tiny_whisper.encoder())):
        shape = BlstmConfig(3, n_features=hearing.n_features, hidden=4, dense=8, per_frame=True)
        model = Blstm(shape)
        sequencer.save(place / hearing.name, model, hearing, {"labels": ["calm", "anger"]})
    return place


@pytest.fixture
def talk(tmp_path):
    """Five seconds that the linear model calls anger, five of sadness."""
    path = tmp_path / "talk.wav"
    audio.write(path, np.concatenate([tone(5.0, frequency=300.0), tone(5.0, frequency=4_000.0)]))
    return path


@pytest.fixture
def run(models, monkeypatch, capfd):
    """Run `affekt sequence` as the shell does; gives exit code, stdout, stderr."""

    def call(*words, model="linear"):
        given = [str(word) for word in words]
        if model is not None:
            given += ["--model", str(models / model)]
        monkeypatch.setattr(sys, "argv", ["affekt", "sequence", *given])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return ended.value.code or 0, *capfd.readouterr()

    return call


def test_emotions_that_follow_each_other_are_printed_with_their_times(run, talk):
    code, out, err = run(talk)
    assert (code, err) == (0, "")
    first, second = out.strip().split(", ")
    assert first.startswith("anger 0.0-")
    assert second.startswith("sadness ")
    assert second.split()[1].endswith("-10.0")
    border = float(first.split()[1].split("-")[1])
    assert border == float(second.split()[1].split("-")[0]) == pytest.approx(5, abs=0.6)
    assert out.count("%)") == 2


@pytest.mark.parametrize("decoder", ["timeline", "best-path"])
def test_every_decoder_takes_a_recognisers_frames(run, talk, decoder):
    _, out, _ = run(talk, "--decoder", decoder, "--json")
    found = json.loads(out)
    assert found["labels"] == ["anger", "sadness"]
    assert found["segments"][0]["end"] == pytest.approx(5, abs=0.6)
    assert (found["log_probability"] is None) == (decoder == "timeline")


def test_the_beam_finds_what_is_no_less_probable_than_the_best_path(run, talk):
    beam, best = (json.loads(run(talk, "--decoder", d, "--json")[1]) for d in ("beam", "best-path"))
    assert (beam["labels"][0], beam["labels"][-1]) == ("anger", "sadness")
    assert beam["log_probability"] >= best["log_probability"]


@pytest.mark.parametrize("model", ["linear", "shortterm34", "whisper"])
def test_json_says_the_same_for_every_kind_of_model(run, talk, model):
    code, out, _ = run(talk, "--json", model=model)
    assert code == 0
    found = json.loads(out)
    assert found["file"] == str(talk)
    assert found["duration"] == 10.0
    parts = found["segments"]
    assert found["labels"] == [part["label"] for part in parts]
    assert parts[0]["start"] == 0
    assert parts[-1]["end"] == 10.0
    assert all(0 <= part["probability"] <= 1 for part in parts)
    known = LABELS if model == "linear" else ["calm", "anger"]
    assert set(found["labels"]) <= set(known)


def test_where_no_emotion_is_marked_the_likeliest_is_given_and_that_is_said(
    run, talk, models, tmp_path
):
    hearing = ShortTerm34()
    model = Blstm(BlstmConfig(3, hidden=4, dense=8, per_frame=True))
    with torch.no_grad():
        model.output.weight.zero_()
        model.output.bias.copy_(torch.tensor([0.0, 1.0, 20.0]))
    sequencer.save(tmp_path / "blank", model, hearing, {"labels": ["calm", "anger"]})
    code, out, err = run(talk, model=tmp_path / "blank")
    assert code == 0
    assert out.startswith("anger 0.0-10.0")
    assert err == f"affekt: {talk}: no emotion is marked; here is the likeliest one\n"
    assert json.loads(run(talk, "--json", model=tmp_path / "blank")[1])["empty"] is True


def test_a_picture_is_drawn(run, talk, tmp_path):
    code, _, _ = run(talk, "--plot", tmp_path / "talk.png")
    assert code == 0
    assert (tmp_path / "talk.png").stat().st_size > 5_000


@pytest.mark.parametrize("model", ["linear", "shortterm34", "whisper"])
def test_what_is_no_recording_is_one_line(run, tmp_path, model):
    silent, short = tmp_path / "silent.wav", tmp_path / "short.wav"
    audio.write(silent, np.zeros(32_000, np.float32))
    audio.write(short, tone(0.05))
    (tmp_path / "bad").mkdir()
    bad = {name: path for name, (path, _) in bad_files(tmp_path / "bad").items()}
    bad |= {"silent": silent, "short": short, "empty name": ""}
    for name, path in bad.items():
        code, out, err = run(path, model=model)
        assert code == 1, name
        assert out == "", name
        assert err.startswith("affekt: "), name
        assert err.count("\n") == 1, name


@pytest.mark.parametrize(("words", "model", "message"), [
    ([], "nowhere", "no such model"),
    (["--decoder", "timeline"], "shortterm34", "--decoder timeline is for recognisers"),
    (["--plot", "talk.gif"], "linear", "a picture ends in"),
])  # fmt: skip
def test_a_bad_command_is_one_line(run, talk, words, model, message):
    code, out, err = run(talk, *words, model=model)
    assert (code, out) == (1, "")
    assert message in err
    assert err.count("\n") == 1


def test_a_decoder_that_there_is_not_is_refused_by_typer(run, talk):
    code, _, err = run(talk, "--decoder", "magic")
    assert code == 2
    assert "Traceback" not in err


def test_without_torch_the_bundled_model_answers_and_networks_name_the_remedy(models, talk):
    def call(*words):
        program = (
            "import sys; sys.modules['torch'] = None\n"
            f"sys.argv = ['affekt', 'sequence', {str(talk)!r}, *{[str(w) for w in words]!r}]\n"
            "from affekt.cli import main; main()"
        )
        return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)

    plain = call("--model", models / "linear")
    assert plain.returncode == 0, plain.stderr
    assert plain.stdout.startswith("anger 0.0-")
    network = call("--model", models / "shortterm34")
    assert network.returncode == 1
    assert "pip install 'affekt[train]'" in network.stderr
    assert network.stderr.count("\n") == 1


def test_the_bundled_recogniser_follows_its_example(run):
    excerpt = files("affekt") / "example" / "crema-d-excerpt.ogg"
    code, out, err = run(excerpt, "--json", model=None)
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert found["duration"] == pytest.approx(20, abs=1)
    assert len(found["labels"]) >= 3
    assert all(a != b for a, b in pairwise(found["labels"]))
