"""affekt_base, in seconds, with an encoder made for the occasion."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

import affekt
import recipe_corpora
import tiny_whisper
from affekt import audio, checkpoint
from affekt.protocols.probe import frozen_encoder, hear
from affekt.recipes import RECIPES, affekt_base
from affekt.scheme import EKMAN_8
from affekt.tables import read_table
from recipe_corpora import report_of

place = pytest.fixture(scope="module")(recipe_corpora.place)
one_thread = pytest.fixture(scope="module", autouse=True)(tiny_whisper.one_thread)

EPOCHS = "2"  # enough to see the path; the numbers are RESULTS.md's


@pytest.fixture(scope="module")
def base(place):
    out = place.folder / "base"
    corpora = place.corpora("toy", "emovo", "emodb")
    assert place.affekt_run("affekt_base", *corpora, "--out", out, "--epochs", EPOCHS) == 0
    return out


def test_affekt_base_makes_a_recogniser_that_predicts(place, base):
    recognizer = affekt.load(base / "recognizer")
    assert recognizer.labels == EKMAN_8.labels
    scores = recognizer.predict(place.folder / "toy" / "s01" / "s01_anger_1.flac")
    assert sum(scores.values()) == pytest.approx(1)
    assert max(scores, key=scores.__getitem__) == "anger"


def test_the_recogniser_says_what_the_checkpoint_says(place, base):
    model, card = checkpoint.load(base / "checkpoint")
    recognizer = affekt.load(base / "recognizer")
    assert recognizer.labels == tuple(card["labels"])
    waveform = audio.load(place.folder / "emodb" / "s01" / "03a01Wa.flac")
    waveform = np.pad(waveform, (0, -waveform.size % 320))
    mel = torch.from_numpy(affekt.features.log_mel(waveform)[None])
    with torch.inference_mode():
        expected = (model(mel)[0] / card["temperature"]).softmax(0)
    found = list(recognizer.predict(waveform).values())
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_the_card_says_what_it_was_trained_on(base):
    for folder in ("checkpoint", "recognizer"):
        card = json.loads((base / folder / "card.json").read_text("utf-8"))
        assert [corpus["name"] for corpus in card["corpora"]] == ["toy", "emovo"]
        assert card["corpora"][1]["licence"]
        assert card["corpora"][1]["speakers"] == [
            "emovo/f1",
            "emovo/f2",
            "emovo/f3",
            "emovo/m1",
            "emovo/m2",
            "emovo/m3",
        ]
        assert card["upstream"]["name"] == "tiny-whisper"
        assert card["temperature"] > 0
        assert sum(card["prior"].values()) == pytest.approx(1, abs=1e-4)
        assert card["options"]["epochs"] == int(EPOCHS)


def test_the_choice_is_kept_and_the_best_row_is_taken(base):
    table = read_table(base / "choice.csv")
    card = json.loads((base / "checkpoint" / "card.json").read_text("utf-8"))
    best = table.iloc[int(table["mean"].astype(float).argmax())]
    assert card["options"]["l2"] == float(best["l2"])
    assert {"toy alone", "emovo alone", "toy in context", "emovo in context"} <= set(table)


def test_the_card_says_where_the_training_data_lay(place, base):
    """Every corpus counts the same, whatever its size: the mean of the corpora's means."""
    recognizer = affekt.load(base / "recognizer")
    means = []
    for name in ("toy", "emovo"):
        scans = [recognizer.scan(path) for path in sorted((place.folder / name).rglob("*.flac"))]
        means.append(np.concatenate([scan.chunk_logits for scan in scans]).mean(0))
        assert all(scan.chunk_alone.all() for scan in scans)
    reference = recognizer.card["reference_logits"]
    np.testing.assert_allclose(reference["alone"], np.mean(means, axis=0), atol=5e-3)
    assert reference["alone_seconds"] == 7.0


@pytest.mark.parametrize("mode", ["folder", "speaker"])
def test_adaptation_is_reported_apart(base, mode):
    strict, adapted = (
        report_of(base / f"emodb-{what}") for what in ("zero-shot", f"adapted-by-{mode}")
    )
    assert adapted["n"] == strict["n"]
    assert adapted != strict
    row = (base / f"emodb-adapted-by-{mode}" / "results_row.md").read_text("utf-8")
    assert f"adapted by {mode}" in row


def test_speakers_with_one_label_each_are_not_adapted_by_speaker(place):
    """As those of URDU: the mean of a speaker is the emotion."""
    options = place.options(place.folder / "nowhere", "emodb")
    encoder = frozen_encoder(options)
    heard = hear(options.corpora["emodb"], encoder, options, in_context=False)
    assert set(affekt_base._groups(heard)) == {"folder", "speaker"}
    speakers = heard.corpus.utterances["speaker"]
    truth = heard.corpus.labels.idxmax(axis=1)
    own = dict(zip(speakers.unique(), ["anger", "sadness"] * 3, strict=True))
    pure = truth.index[truth == speakers.map(own)]
    assert set(affekt_base._groups(heard.select(pure))) == {"folder"}


def test_a_corpus_it_never_met_is_reported_on_apart(base):
    report = report_of(base / "emodb-zero-shot")
    measure = report["measures"]["unweighted_average_recall"]
    assert measure["low"] > 0.4
    assert report["labels"] == ["anger", "happiness", "neutral", "sadness"]


def test_zero_shot_corpora_are_not_trained_on(place, base, tmp_path):
    """Without them the very same recogniser comes out."""
    corpora = place.corpora("toy", "emovo")
    assert place.affekt_run("affekt_base", *corpora, "--out", tmp_path, "--epochs", EPOCHS) == 0
    for name in ("model.onnx", "head.safetensors"):
        assert (tmp_path / "recognizer" / name).read_bytes() == (
            base / "recognizer" / name
        ).read_bytes()


@pytest.mark.parametrize("stopped_in", ["leave one corpus out", "training"])
def test_an_interrupted_run_ends_with_the_same_recogniser(place, base, tmp_path, stopped_in):
    def interrupted(what, total):
        def more(count):
            if what == stopped_in:
                raise KeyboardInterrupt

        return more

    options = replace(place.options(tmp_path, "toy", "emovo"), epochs=int(EPOCHS))
    with pytest.raises(KeyboardInterrupt):
        RECIPES["affekt_base"](replace(options, progress=interrupted))
    assert not (tmp_path / "recognizer").exists()
    RECIPES["affekt_base"](options)
    for name in ("model.onnx", "head.safetensors"):
        found = (tmp_path / "recognizer" / name).read_bytes()
        assert found == (base / "recognizer" / name).read_bytes()


def test_another_encoder_does_not_take_over_the_choice_of_the_first(place, tmp_path):
    options = replace(place.options(tmp_path, "toy", "emovo"), epochs=1)
    RECIPES["affekt_base"](options)
    before = read_table(tmp_path / "choice.csv")
    tiny_whisper.write(tmp_path / "other", seed=1)
    RECIPES["affekt_base"](replace(options, upstream=str(tmp_path / "other")))
    after = read_table(tmp_path / "choice.csv")
    assert before["mean"].tolist() != after["mean"].tolist()
