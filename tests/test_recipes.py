"""Recipes that give folds of speakers run on small corpora; what no recipe takes."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file

import recipe_corpora
import tiny_whisper
from affekt import audio
from affekt.corpora import CORPORA
from affekt.exceptions import CheckpointError, CorpusError, SplitError
from affekt.protocols.probe import frozen_encoder
from affekt.recipes import RECIPES
from affekt.tables import check_labels, read_table
from recipe_corpora import make_tree, report_of

place = pytest.fixture(scope="module")(recipe_corpora.place)
one_thread = pytest.fixture(scope="module", autouse=True)(tiny_whisper.one_thread)


# speaker_folds


@pytest.fixture(scope="module")
def folds(place):
    out = place.folder / "folds"
    assert place.affekt_run("speaker_folds", "--corpus", place.root("toy"), "--out", out) == 0
    return out


def test_speaker_folds_leaves_report_predictions_picture_and_row(folds):
    names = {path.name for path in folds.iterdir()}
    assert names >= {
        "confusion.png",
        "predictions.csv",
        "report.json",
        "report.md",
        "results_row.md",
    }


def test_speaker_folds_beats_the_majority_on_new_voices(folds):
    report = report_of(folds)
    measure = report["measures"]["unweighted_average_recall"]
    assert measure["majority"] == pytest.approx(0.25)
    assert measure["low"] > 0.4
    assert report["n"] == 72
    assert report["n_speakers"] == 6


def test_predictions_are_a_labels_table_of_all_utterances(folds):
    table = check_labels(read_table(folds / "predictions.csv"))
    assert list(table) == ["anger", "happiness", "neutral", "sadness"]
    assert len(table) == 72


def test_the_row_for_results_names_corpus_split_and_command(folds):
    row = (folds / "results_row.md").read_text("utf-8")
    assert row.count("\n") == 1
    assert "toy, 4 classes" in row
    assert "leave" in row
    assert "affekt run speaker_folds --corpus toy=" in row


def test_the_same_command_gives_the_same_report(place, folds, tmp_path):
    assert place.affekt_run("speaker_folds", "--corpus", place.root("toy"), "--out", tmp_path) == 0
    assert report_of(tmp_path) == report_of(folds)


def test_more_than_ten_speakers_are_split_into_five_folds(place, tmp_path):
    rows = []
    for speaker in range(12):
        for emotion, level in (("anger", 0.3), ("sadness", 0.02)):
            path = tmp_path / "noise" / f"{speaker}-{emotion}.wav"
            noise = np.random.default_rng(len(rows)).standard_normal(4_000).astype(np.float32)
            audio.write(path, level * noise)
            rows.append({"file": path.name, "label": emotion, "speaker": f"p{speaker}"})
    pd.DataFrame(rows).to_csv(tmp_path / "noise" / "table.csv", index=False)
    root = f"csv={tmp_path / 'noise' / 'table.csv'}"
    out = tmp_path / "out"
    assert place.affekt_run("speaker_folds", "--corpus", root, "--out", out, "--epochs", "5") == 0
    report = report_of(out)
    assert (
        len(report["folds"]["per_fold"] if "per_fold" in report["folds"] else report["folds"]) >= 5
    )
    assert "5 folds by speaker, seed 0" in (out / "results_row.md").read_text("utf-8")


def test_several_layers_are_mixed(place, tmp_path):
    arguments = ("--corpus", place.root("toy"), "--out", tmp_path, "--layers", "1,3")
    assert place.affekt_run("speaker_folds", *arguments) == 0
    assert report_of(tmp_path)["measures"]["unweighted_average_recall"]["low"] > 0.4


# ravdess_speaker_folds


def test_ravdess_speaker_folds_runs_on_a_small_tree(place, tmp_path):
    """24 actors with two emotions each, as a tree of RAVDESS's names."""
    for actor in range(1, 25):
        for emotion, level in (("05", 0.3), ("04", 0.02)):
            noise = np.random.default_rng([actor, int(emotion)]).standard_normal(4_000)
            name = f"03-01-{emotion}-01-01-01-{actor:02d}.wav"
            path = tmp_path / "ravdess" / f"Actor_{actor:02d}" / name
            audio.write(path, (level * noise).astype(np.float32))
    root, out = f"ravdess={tmp_path / 'ravdess'}", tmp_path / "out"
    assert place.affekt_run("ravdess_speaker_folds", "--corpus", root, "--out", out) == 0
    report = report_of(out)
    assert report["n"] == 48
    assert report["measures"]["accuracy"]["value"] > 0.9
    assert "EmoBox, 6 folds of 4 actors" in (out / "results_row.md").read_text("utf-8")


def test_every_recipe_has_a_test():
    files = Path(__file__).parent.glob("test_*recipe*.py")
    words = {word for file in files for word in re.findall(r"\w+", file.read_text("utf-8"))}
    assert set(RECIPES) <= words


@pytest.mark.parametrize(
    ("recipe", "names", "message"),
    [
        ("ravdess_speaker_folds", ("toy",), "ravdess_speaker_folds needs ravdess=ROOT, not toy"),
        ("ravdess_speaker_folds", ("toy", "emovo"), "give one --corpus, not toy, emovo"),
        ("speaker_folds", ("toy", "emovo"), "give one --corpus, not toy, emovo"),
        ("affekt_base", ("toy",), "two or more"),
        ("affekt_base", ("toy", "emodb"), "two or more"),
    ],
)
def test_corpora_that_do_not_fit_a_recipe_are_refused(place, tmp_path, recipe, names, message):
    with pytest.raises(CorpusError, match=message):
        RECIPES[recipe](place.options(tmp_path, *names))


def test_the_same_voices_under_another_name_are_refused(place, tmp_path):
    make_tree(tmp_path / "emovo", "emovo", seed=0)  # the samples of the toy corpus
    options = place.options(tmp_path / "out", "toy")
    corpora = options.corpora | {"emovo": CORPORA["emovo"].load(tmp_path / "emovo")}
    with pytest.raises(SplitError, match="recording"):
        RECIPES["affekt_base"](replace(options, corpora=corpora, epochs=1))


def test_an_encoder_for_another_log_mel_is_refused(place, tmp_path):
    tiny_whisper.write(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text("utf-8"))
    (tmp_path / "config.json").write_text(json.dumps(config | {"num_mel_bins": 128}), "utf-8")
    weights = load_file(tmp_path / "encoder.safetensors")
    weights["conv1.weight"] = torch.zeros(32, 128, 3)
    save_file(weights, tmp_path / "encoder.safetensors")
    with pytest.raises(CheckpointError, match="wants 128 mel bands, Affekt's log-mel has 80"):
        frozen_encoder(replace(place.options(tmp_path, "toy"), upstream=str(tmp_path)))
