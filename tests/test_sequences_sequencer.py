"""A network of CTC hears recordings of any length; folders that are none of ours are refused."""

import json

import numpy as np
import pytest
import torch

import tiny_whisper
from affekt import audio, checkpoint, sequencer
from affekt.exceptions import AudioError, CheckpointError
from affekt.features.logmel import log_mel
from affekt.features.shortterm34 import shortterm34
from affekt.models import Blstm, BlstmConfig, LinearHead, LinearHeadConfig
from affekt.sequencer import CHUNK, MARGIN, ShortTerm34, WhisperStates
from media import noise, tone

one_thread = pytest.fixture(scope="module", autouse=True)(tiny_whisper.one_thread)

LABELS = ["calm", "anger", "fear"]


def network(n_features: int, seed: int = 0) -> Blstm:
    torch.manual_seed(seed)
    return Blstm(BlstmConfig(4, n_features=n_features, hidden=4, dense=8, per_frame=True)).eval()


@pytest.fixture(params=["shortterm34", "whisper"])
def hearing(request):
    return (
        ShortTerm34() if request.param == "shortterm34" else WhisperStates(tiny_whisper.encoder())
    )


@pytest.fixture
def folder(hearing, tmp_path):
    sequencer.save(tmp_path / "model", network(hearing.n_features), hearing, {"labels": LABELS})
    return tmp_path / "model"


@pytest.fixture(scope="module")
def sound():
    rng = np.random.default_rng(0)
    parts = [tone(0.7, frequency=f).astype(np.float32) for f in (200.0, 900.0, 3000.0)]
    sounds = np.concatenate(parts)
    return (sounds + 0.01 * rng.standard_normal(sounds.size)).astype(np.float32)


def test_the_34_features_are_heard_as_they_are(sound):
    heard = ShortTerm34()(sound)
    np.testing.assert_array_equal(heard, shortterm34(sound, 16_000).astype(np.float32))
    assert ShortTerm34.first == 1_600  # the middle of 0.2 s


def test_states_are_means_over_a_tenth_of_a_second(sound):
    encoder = tiny_whisper.encoder()
    mel = torch.from_numpy(log_mel(np.pad(sound, (0, -sound.size % 320))))
    with torch.inference_mode():
        states = encoder(mel[None])[-1][0].numpy()
    expected = [states[k : k + 5].mean(0) for k in range(0, len(states), 5)]
    heard = WhisperStates(encoder)(sound)
    np.testing.assert_allclose(heard, expected, atol=1e-5)
    assert len(heard) == -(-sound.size // 1_600)


def test_what_is_saved_is_what_is_loaded(folder, hearing, sound):
    direct = sequencer.Sequencer(
        network(hearing.n_features), hearing, {"labels": [*LABELS, sequencer.BLANK]}
    )
    loaded = sequencer.load(folder)
    assert loaded.labels == tuple(LABELS)
    for one, other in zip(direct.frames(sound), loaded.frames(sound), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_a_recording_is_heard_whole_and_its_frames_tile_it(folder, hearing, sound, tmp_path):
    loaded = sequencer.load(folder)
    log_probs, edges = loaded.frames(sound)
    with torch.inference_mode():
        logits = network(hearing.n_features)(torch.from_numpy(hearing(sound))[None])[0]
    np.testing.assert_allclose(log_probs, logits.log_softmax(-1), atol=1e-5)
    assert edges[0, 0] == 0
    assert edges[-1, 1] == sound.size / 16_000
    np.testing.assert_allclose(edges[1:, 0], edges[:-1, 1])
    audio.write(tmp_path / "sound.wav", sound)
    found = loaded.sequence(tmp_path / "sound.wav")
    assert found.duration == pytest.approx(sound.size / 16_000)
    assert found.segments[-1].end == found.duration


def test_long_recordings_are_heard_in_chunks_whose_frames_join(folder, hearing):
    long = noise(60.0).astype(np.float32)
    loaded = sequencer.load(folder)
    heard: list[float] = []
    log_probs, edges = loaded.frames(long, heard.append)
    assert len(heard) > 2
    assert heard[-1] == pytest.approx(60.0)
    n_frames = 599 if hearing.name == "shortterm34" else 600
    assert log_probs.shape == (n_frames, 4)
    np.testing.assert_allclose(np.diff(edges.mean(axis=1))[1:-1], 0.1, atol=1e-6)
    np.testing.assert_allclose(edges[1:, 0], edges[:-1, 1], atol=1e-9)
    first = long[: CHUNK - MARGIN]  # 28 s, of which 26 s are its own
    start = loaded.frames(first)[0][:200]
    np.testing.assert_allclose(log_probs[:200], start, atol=1e-5)


@pytest.mark.parametrize(("samples", "message"), [
    (np.full(3_000, 0.1, np.float32), "shorter than 0.2 s, one frame"),
    (np.zeros(32_000, np.float32), "is silent"),
    (np.zeros((2, 32_000), np.float32), "must be mono"),
    (np.full(32_000, np.nan, np.float32), "NaN"),
    (np.zeros(0, np.float32), "must be mono"),
])  # fmt: skip
def test_sound_that_cannot_be_answered_is_refused(folder, samples, message):
    with pytest.raises(AudioError, match=message):
        sequencer.load(folder).sequence(samples)


def test_one_frame_is_enough(folder):
    found = sequencer.load(folder).sequence(tone(0.2).astype(np.float32))
    assert found.duration == pytest.approx(0.2)
    assert len(found.segments) >= 1


def test_folders_that_hold_no_network_of_ctc_are_refused(folder, tmp_path):
    with pytest.raises(CheckpointError, match="no such folder"):
        sequencer.load(tmp_path / "nowhere")
    head = LinearHead(LinearHeadConfig(2))
    checkpoint.save(tmp_path / "head", head, {"labels": ["calm", "anger"]})
    with pytest.raises(CheckpointError, match="no network of CTC"):
        sequencer.load(tmp_path / "head")
    one_answer = Blstm(BlstmConfig(4, hidden=4, dense=8))
    checkpoint.save(tmp_path / "one", one_answer, {"labels": [*LABELS, sequencer.BLANK]})
    with pytest.raises(CheckpointError, match="no network of CTC"):
        sequencer.load(tmp_path / "one")


def test_a_card_that_lies_about_its_frames_is_refused(folder):
    card = folder / "card.json"
    content = json.loads(card.read_text("utf-8"))
    card.write_text(json.dumps(content | {"frames": "cochlea"}), "utf-8")
    with pytest.raises(CheckpointError, match="'cochlea' are not known"):
        sequencer.load(folder)
    other = "shortterm34" if content["frames"] == "whisper" else "whisper"
    tiny_whisper.write(folder / "encoder")
    card.write_text(json.dumps(content | {"frames": other}), "utf-8")
    with pytest.raises(CheckpointError, match="features a frame"):
        sequencer.load(folder)


def test_an_encoder_that_is_missing_or_cut_is_refused(tmp_path):
    folder, states = tmp_path / "model", WhisperStates(tiny_whisper.encoder())
    sequencer.save(folder, network(states.n_features), states, {"labels": LABELS})
    weights = folder / "encoder" / "encoder.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="not readable as safetensors"):
        sequencer.load(folder)
    weights.unlink()
    with pytest.raises(CheckpointError):
        sequencer.load(folder)


def test_every_hearing_says_what_it_gives(hearing, sound):
    assert hearing(sound).shape[1] == hearing.n_features
    assert hearing(sound).dtype == np.float32
