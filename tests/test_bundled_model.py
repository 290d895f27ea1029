"""The shipped recogniser is what its card says, and says what the network in torch says."""

import json
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import affekt
from affekt import audio
from affekt.calibration import softmax
from affekt.checkpoint import load_weights, load_whisper_encoder
from affekt.features.logmel import log_mel
from affekt.models import WhisperProbe, WhisperProbeConfig
from affekt.models.rounding import round_weights
from affekt.scheme import EKMAN_8

FOLDER = Path(str(files("affekt") / "weights" / "affekt-base"))


@pytest.fixture(scope="module")
def card() -> dict:
    return json.loads((FOLDER / "card.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def network(shared: Path, card: dict) -> WhisperProbe:
    layers = tuple(card["upstream"]["layers"])
    model = WhisperProbe(WhisperProbeConfig(len(card["labels"]), layers))
    model.encoder = load_whisper_encoder(shared / "weights" / "whisper-base", max(layers))
    round_weights(model.encoder)
    path = FOLDER / "head.safetensors"
    encoder = {f"encoder.{k}": v for k, v in model.encoder.state_dict().items()}
    load_weights(model, encoder | load_file(path), path)
    return model.eval()


def test_model_card_and_head_fit_in_twelve_megabytes() -> None:
    assert sum(path.stat().st_size for path in FOLDER.iterdir() if path.is_file()) <= 12_000_000


def test_its_labels_are_the_eight_and_their_prior_sums_to_one(card: dict) -> None:
    assert card["labels"] == list(EKMAN_8)
    assert list(card["prior"]) == card["labels"]
    assert sum(card["prior"].values()) == pytest.approx(1, abs=1e-4)


def test_it_was_trained_on_the_five_corpora_without_the_zero_shot_tests(card: dict) -> None:
    assert [corpus["name"] for corpus in card["corpora"]] == [
        "crema-d",
        "ravdess",
        "nemo",
        "tess",
        "emovo",
    ]
    assert card["never_seen"] == ["emodb", "urdu"]
    assert all(corpus["licence"] and corpus["version"] for corpus in card["corpora"])


def test_no_held_out_actor_is_among_its_training_speakers(card: dict) -> None:
    met = {speaker for corpus in card["corpora"] for speaker in corpus["speakers"]}
    assert len(card["held_out_speakers"]) == 4
    assert not met & set(card["held_out_speakers"])
    assert len(met) == 91 - 4 + 24 + 9 + 2 + 6


def test_onnx_scores_equal_those_of_torch_on_real_speech(
    shared: Path, network: WhisperProbe, card: dict
) -> None:
    recordings = []
    for corpus in ("crema-d", "ravdess", "nemo", "tess", "emovo", "emodb", "urdu"):
        found = sorted((shared / "corpora" / corpus).rglob("*.*"))
        sound = [path for path in found if path.suffix in audio.AUDIO_ENDINGS]
        recordings += sound[:: len(sound) // 4][:4]
    recognizer = affekt.load()
    for path in recordings:
        waveform = audio.load(path)
        whole = np.pad(waveform, (0, -waveform.size % 320))
        with torch.inference_mode():
            logits = network(torch.from_numpy(log_mel(whole)[None]))[0].numpy()
        expected = softmax(logits, card["temperature"])
        scores = np.array(list(recognizer.predict(path).values()))
        assert np.abs(scores - expected).max() < 1e-3, path.name


def test_angry_german_speech_gets_anger_first(shared: Path) -> None:
    scores = affekt.load().predict(shared / "corpora" / "emodb" / "wav" / "03a01Wa.flac")
    assert max(scores, key=scores.__getitem__) == "anger"


def test_its_reference_is_where_its_training_clips_lie(shared: Path, card: dict) -> None:
    """The mean of a dozen clips a corpus, as the recogniser hears them, is near the card's."""
    recognizer, rng = affekt.load(), np.random.default_rng(0)
    means, errors = [], []
    for corpus in card["corpora"]:
        found = sorted((shared / "corpora" / corpus["name"]).rglob("*.*"))
        sound = [path for path in found if path.suffix in audio.AUDIO_ENDINGS]
        scans = [recognizer.scan(sound[i]) for i in rng.choice(len(sound), 12, replace=False)]
        logits = np.concatenate([scan.chunk_logits[scan.chunk_alone] for scan in scans])
        means.append(logits.mean(0))
        errors.append(logits.var(0, ddof=1) / len(logits))
    found = np.mean(means, axis=0) - card["reference_logits"]["alone"]
    error = np.sqrt(np.sum(errors, axis=0)) / len(means)
    assert np.abs(found / error).max() < 4
    assert error.max() < 0.3  # the logits of a corpus' clips spread by 1 and more
