"""Every recipe runs on the toy corpus in seconds, with an encoder made for the occasion."""

import json
import re
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file

import affekt
import tiny_whisper
from affekt import audio, checkpoint, cli
from affekt.corpora import CORPORA, toy
from affekt.exceptions import CheckpointError, CorpusError, SplitError
from affekt.protocols.probe import (
    Heard,
    RunOptions,
    class_weights,
    fit,
    frozen_encoder,
    hear,
    probabilities,
)
from affekt.recipes import RECIPES, affekt_base
from affekt.scheme import EKMAN_8
from affekt.tables import check_labels, read_table

one_thread = pytest.fixture(scope="module", autouse=True)(tiny_whisper.one_thread)

SPEAKERS = {  # whose voices of the toy corpus stand in for those of another
    "emovo": ("f1", "m1", "f2", "m2", "f3", "m3"),
    "emodb": ("03", "08", "09", "10", "11", "12"),
    "ravdess": ("01", "02", "03", "04", "05", "06"),
}
EMOTIONS = {
    "emovo": {"anger": "rab", "happiness": "gio", "neutral": "neu", "sadness": "tri"},
    "emodb": {"anger": "W", "happiness": "F", "neutral": "N", "sadness": "T"},
}
SENTENCES = {"emovo": ("b1", "b2", "d1"), "emodb": ("a01", "b02", "b10")}
NAMES = {"emovo": "{emotion}-{speaker}-{sentence}", "emodb": "{speaker}{sentence}{emotion}a"}

EPOCHS = "2"  # enough to see the path; the numbers are RESULTS.md's


def make_tree(root: Path, name: str, seed: int) -> Path:
    """Write other toy voices under the names of another corpus."""
    toy.make(root, seed=seed)
    for path in sorted(root.rglob("*.flac")):
        speaker, emotion, clip = path.stem.split("_")
        stem = NAMES[name].format(
            speaker=SPEAKERS[name][int(speaker[1:]) - 1],
            emotion=EMOTIONS[name][emotion],
            sentence=SENTENCES[name][int(clip) - 1],
        )
        path.rename(path.with_name(f"{stem}.flac"))
    return root


@dataclass(frozen=True)
class Place:
    """Corpora, an encoder and a store that all runs of this file share."""

    folder: Path

    def root(self, name: str) -> str:
        return f"{name}={self.folder / name}"

    def corpora(self, *names: str) -> list[str]:
        return [part for name in names for part in ("--corpus", self.root(name))]

    def affekt_run(self, *arguments: str | Path) -> int:
        """Call `affekt run` as the shell does; gives the exit code."""
        before = sys.argv
        sys.argv = ["affekt", "run", *map(str, arguments), "--store", str(self.folder / "store")]
        sys.argv += ["--upstream", str(self.folder / "tiny-whisper")]
        try:
            cli.main()
        except SystemExit as end:
            return int(end.code or 0)
        finally:
            sys.argv = before
        return 0

    def options(self, out: Path, *names: str) -> RunOptions:
        return RunOptions(
            corpora={name: CORPORA[name].load(self.folder / name) for name in names},
            out=out,
            upstream=str(self.folder / "tiny-whisper"),
            store=self.folder / "store",
            command="affekt run",
            progress=lambda what, total: lambda more: None,
        )


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recipes")
    tiny_whisper.write(folder / "tiny-whisper")
    toy.make(folder / "toy")
    make_tree(folder / "emovo", "emovo", seed=1)
    make_tree(folder / "emodb", "emodb", seed=2)
    return Place(folder)


def report_of(folder: Path) -> dict:
    return json.loads((folder / "report.json").read_text("utf-8"))


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


# affekt_base


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


# the probe that recipes share


def test_class_weights_let_every_class_count_the_same():
    target = np.array([[1, 0, 0], [1, 0, 0], [1, 0, 0], [0, 1, 0]], np.float32)
    weight = class_weights(target)
    np.testing.assert_allclose(weight, [2 / 3, 2 / 3, 2 / 3, 2])
    np.testing.assert_allclose(weight @ target, [2, 2, 0])


def test_class_weights_of_soft_labels_average_one():
    target = np.random.default_rng(0).dirichlet(np.ones(5), 40).astype(np.float32)
    assert class_weights(target).mean() == pytest.approx(1)


@pytest.fixture(scope="module")
def heard(place, tmp_path_factory):
    options = place.options(tmp_path_factory.mktemp("heard"), "toy")
    corpus = options.corpora["toy"]
    return hear(corpus, frozen_encoder(options), options, in_context=True), options


def test_selected_utterances_keep_their_statistics(heard):
    whole, _ = heard
    ids = [whole.corpus.utterances.index[place] for place in (50, 3, 20)]
    part = whole.select(ids)
    assert part.corpus.utterances.index.tolist() == ids
    assert part.corpus.labels.index.tolist() == ids
    np.testing.assert_array_equal(part.alone, whole.alone[[50, 3, 20]])
    np.testing.assert_array_equal(part.in_context, whole.in_context[[50, 3, 20]])


def test_a_row_without_a_label_or_with_a_reason_against_it_is_left_out(heard):
    whole, options = heard
    corpus = whole.corpus
    table = corpus.utterances.assign(excluded="")
    table.loc[table.index[0], "excluded"] = "silent"
    odd = replace(corpus, utterances=table, labels=corpus.labels.drop(table.index[1]))
    left = hear(odd, frozen_encoder(options), options, in_context=False)
    assert left.corpus.utterances.index.tolist() == table.index[2:].tolist()
    np.testing.assert_allclose(left.alone, whole.alone[2:], atol=1e-5)
    assert len(left.in_context) == 0


def test_a_head_fits_the_utterances_in_the_order_of_their_labels(heard):
    whole, options = heard
    ids = np.random.default_rng(0).permutation(whole.corpus.utterances.index)
    parts = [whole.select(ids[:36]), whole.select(ids[36:])]
    head = fit(parts, l2=0.01, options=replace(options, epochs=300))
    predicted = probabilities(head, whole)
    assert predicted.index.equals(whole.corpus.labels.index)
    right = predicted.idxmax(axis=1) == whole.corpus.labels.idxmax(axis=1)
    assert right.mean() > 0.8


def test_statistics_that_do_not_fit_their_corpus_are_refused(heard):
    whole, _ = heard
    with pytest.raises(AssertionError):
        Heard(whole.corpus, whole.alone[1:], whole.in_context, whole.seconds, whole.fingerprints)
