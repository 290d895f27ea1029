"""What begins from a released backbone: LSSED's tables 4 and 6, on a few toy voices."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import lssed_runs
import tiny_whisper
from affekt import checkpoint
from affekt.corpora.daic_woz import DAIC_WOZ_2
from affekt.corpora.lssed import LSSED_4
from affekt.exceptions import CheckpointError, CorpusError, SplitError
from affekt.models import MODELS, ResNet, ResNetConfig
from affekt.protocols.lssed_networks import PLAIN, method
from affekt.protocols.probe import RunOptions
from affekt.protocols.spectrograms import clips_of, start_from, teach
from affekt.recipes import lssed_table_4, lssed_table_5, lssed_table_6
from affekt.scheme import IEMOCAP_4
from affekt.splits import by_speaker
from affekt.tables import read_table
from lssed_runs import few, like_daic, report_of

corpus = pytest.fixture(scope="module")(lssed_runs.corpus)
store = pytest.fixture(scope="module")(lssed_runs.store)
run = pytest.fixture(lssed_runs.run)
one_thread = pytest.fixture(scope="module", autouse=True)(tiny_whisper.one_thread)


@pytest.fixture(scope="module")
def released(corpus, store, tmp_path_factory):
    """A ResNet18 that `lssed_table_5` taught and released."""
    out = tmp_path_factory.mktemp("released")
    options = RunOptions(
        {"toy": corpus}, out, "", store, "affekt run", lambda what, total: lambda more: None,
        epochs=1, folds=("1",), method="resnet18", split="by-speaker",
    )  # fmt: skip
    lssed_table_5.main(options)
    (folder,) = out.glob("resnet18/checkpoint-*")
    return folder


def test_an_attack_takes_one_step_along_the_sign_of_the_gradient(corpus, run, released):
    options = run(init=released)
    way = method("resnet18", options, denoised=False)
    clips = clips_of(corpus, way, options)
    split = by_speaker(clips.corpus.utterances, 5)[0]
    taught = teach(way, clips.select(split.train), None, options)
    asked = clips.spectrograms[:3]
    model = taught.model.eval()
    expected = []
    for clip in asked:  # each alone
        x = torch.from_numpy((clip - taught.mean) / taught.scale)[None].requires_grad_()
        logits = model(x, None)
        loss = -logits.log_softmax(1)[0, logits.argmax()]
        (slope,) = torch.autograd.grad(loss, x)
        expected.append(model(x + 0.02 * slope.sign(), None)[0].detach().numpy())
    np.testing.assert_allclose(taught.ask(asked, 0.02), expected, atol=2e-3)
    assert np.abs(taught.ask(asked) - expected).max() > 0.01


# released backbones


def test_a_released_card_says_what_a_user_would_ask(released, corpus):
    model, card = checkpoint.load(released)
    assert isinstance(model, ResNet)
    assert card["labels"] == list(IEMOCAP_4)
    (source,) = card["corpora"]
    tested = set(corpus.utterances["speaker"]) - set(source["speakers"])
    assert source["name"] == "toy"
    assert source["licence"] == "CC0-1.0"
    assert len(tested) >= 1
    assert source["utterances"] == 4 * len(source["speakers"])
    assert card["split"] == "by-speaker-seed-0-fold-1-of-5"
    assert (card["seed"], card["feature"], card["hop"]) == (0, PLAIN, 0.032)
    assert len(card["mean"]) == len(card["scale"]) == 128
    assert (card["options"]["optimizer"], card["options"]["epochs"]) == ("adamw", 1)


def test_what_starts_from_a_checkpoint_keeps_its_units(released, corpus, run, tmp_path):
    quiet = few(tmp_path / "other", seed=5)
    options = run(init=released)
    way = method("resnet18", options, denoised=True)
    assert way.feature == PLAIN  # the checkpoint's own
    clips = clips_of(quiet, way, options)
    taught = teach(way, clips, None, options)
    own = teach(way, clips, None, replace(options, init=None))
    card = checkpoint.read_card(released)
    np.testing.assert_array_equal(taught.mean[:, 0], np.array(card["mean"], np.float32))
    np.testing.assert_array_equal(taught.scale[:, 0], np.array(card["scale"], np.float32))
    assert np.abs(own.mean - taught.mean).max() > 1e-3
    standard = np.concatenate(own.standardised(clips.spectrograms), axis=1)
    np.testing.assert_allclose(standard.mean(1), 0, atol=1e-3)
    np.testing.assert_allclose(standard.std(1), 1, atol=1e-3)


def test_the_last_layer_starts_anew_where_labels_differ(released):
    torch.manual_seed(0)
    six = ResNet(ResNetConfig(6))
    fresh = six.classifier.weight.detach().clone()
    start_from(six, released, list("abcdef"), PLAIN)
    known = checkpoint.load(released)[0].state_dict()
    torch.testing.assert_close(six.features[0][0].weight, known["features.0.0.weight"])
    torch.testing.assert_close(six.classifier.weight, fresh)
    four = ResNet(ResNetConfig(4))
    fresh = four.classifier.weight.detach().clone()
    start_from(four, released, list("abcd"), PLAIN)  # as many labels, but others
    torch.testing.assert_close(four.classifier.weight, fresh)
    start_from(four, released, list(IEMOCAP_4), PLAIN)
    torch.testing.assert_close(four.classifier.weight, known["classifier.weight"])


def test_checkpoints_that_do_not_fit_are_refused(released, run):
    with pytest.raises(CheckpointError, match="holds a ResNet, not a Vgg"):
        lssed_table_5.main(run(method="vgg11", init=released))
    with pytest.raises(CheckpointError, match="another shape"):
        lssed_table_5.main(run(method="resnet34", init=released))
    with pytest.raises(CheckpointError, match="reads log_mel_lssed, not log_mel_dusha"):
        start_from(ResNet(ResNetConfig(4)), released, list(IEMOCAP_4), "log_mel_dusha")


@pytest.mark.parametrize(
    "change", [{"mean": [1.0]}, {"scale": "loud"}, {"scale": [0.0] * 128}, {"mean": None}]
)
def test_a_card_with_broken_units_is_refused(released, tmp_path, change):
    model, card = checkpoint.load(released)
    rest = {k: v for k, v in card.items() if k not in ("model", "config", "format", "sha256")}
    checkpoint.save(tmp_path, model, rest | change)
    with pytest.raises(CheckpointError, match="`mean` and `scale` of its card"):
        start_from(ResNet(ResNetConfig(4)), tmp_path, list(IEMOCAP_4), PLAIN)


# table 4


def test_table_4_goes_both_ways_and_writes_the_change(run, corpus, tmp_path):
    other = replace(few(tmp_path / "other", seed=3), name="emovo")
    options = run(corpus, other, method="resnet18")
    results = lssed_table_4.main(options)
    assert [result.folder.name for result in results] == [
        "resnet18-toy-held-out", "resnet18-toy-to-emovo",
        "resnet18-emovo-held-out", "resnet18-emovo-to-toy",
    ]  # fmt: skip
    home, away = (report_of(result.folder) for result in results[:2])
    assert (home["n_speakers"], away["n"]) == (2, 24)
    assert home["labels"] == list(LSSED_4)
    page = (options.out / "lssed_table_4.md").read_text("utf-8")
    line = next(line for line in page.splitlines() if line.startswith("| resnet18 | toy"))
    cells = [cell.strip() for cell in line.split("|")[1:-1]]
    values = [part["measures"]["accuracy"]["value"] for part in (home, away)]
    assert cells[:3] == ["resnet18", "toy", "emovo"]
    assert float(cells[5]) == pytest.approx(values[1] - values[0], abs=6e-4)
    assert len(list(options.out.glob("*/checkpoint-*"))) == 2


def test_table_4_says_where_the_epoch_was_chosen_on_what_is_reported(run, corpus, tmp_path):
    other = replace(few(tmp_path / "other", seed=3), name="emovo")
    results = lssed_table_4.main(run(corpus, other, method="resnet18", protocol="paper"))
    home, away = ((result.folder / "report.md").read_text("utf-8") for result in results[:2])
    assert home.startswith("> SELECTED ON THE TEST PART: ")
    assert "SELECTED" not in away  # another corpus chose nothing
    rows = [(result.folder / "results_row.md").read_text("utf-8") for result in results[:2]]
    assert ["SELECTED ON THE TEST PART: held out" in row for row in rows] == [True, False]
    page = (results[0].folder.parent / "lssed_table_4.md").read_text("utf-8")
    assert page.startswith(
        "> resnet18-toy-held-out, resnet18-emovo-held-out: SELECTED ON THE TEST PART: the epoch"
    )


def test_table_4_refuses_one_corpus_and_the_same_recordings_twice(run, corpus):
    with pytest.raises(CorpusError, match="two corpora, not alone"):
        lssed_table_4.main(run(replace(corpus, name="alone"), method="resnet18"))
    twin = replace(corpus, name="twin")
    with pytest.raises(SplitError, match="24 recording"):
        lssed_table_4.main(run(corpus, twin, method="resnet18"))


def test_table_4_refuses_a_start_that_learned_from_the_other_corpus(
    run, corpus, released, tmp_path
):
    other = replace(few(tmp_path / "other", seed=3), name="emovo")
    options = run(other, corpus, method="resnet18", init=released)
    with pytest.raises(SplitError, match=r"learned from 4 speaker\(s\) that are tested \(toy: "):
        lssed_table_4.main(options)
    assert list(options.out.iterdir()) == []


# table 6


def test_table_6_judges_people_by_the_mean_over_their_turns(run, corpus, released, tmp_path):
    upstream = tiny_whisper.write(tmp_path / "tiny")
    daic = like_daic(corpus)
    options = replace(run(daic, init=released, epochs=3), upstream=str(upstream))
    results = lssed_table_6.main(options)
    assert [result.folder.name for result in results] == ["ser-validation", "asr-validation"]
    for result in results:
        assert result.report.n == 2
        assert result.report.labels == DAIC_WOZ_2.labels
        assert result.report.accuracy.majority == 0.5
    page = (options.out / "lssed_table_6.md").read_text("utf-8")
    assert page.count("| validation | 2 |") == 2
    notes = " ".join(results[0].report.notes)
    assert "mean of P over 8 turns is above .5; learned from 16 turns of 4 people" in notes
    assert "accuracy 0.714 and UAR 0.583" in notes


def test_a_backbone_can_go_on_learning_and_the_labelled_test_part_is_reported(
    run, corpus, released
):
    daic = like_daic(corpus)
    table = daic.utterances
    part = table["split"].where(table["speaker"] != "s06", "test")
    whole = replace(daic, utterances=table.assign(split=part))
    options = run(whole, init=released, method="ser-tuned")
    results = lssed_table_6.main(options)
    assert [result.folder.name for result in results] == ["ser-tuned-validation", "ser-tuned-test"]
    scores = read_table(results[1].folder / "predictions.csv")
    assert [str(name) for name in scores.index] == ["s06"]
    assert scores.to_numpy().sum() == pytest.approx(1)


def test_the_longest_turns_of_each_person_are_as_many_as_the_label_says(corpus, monkeypatch):
    monkeypatch.setattr(lssed_table_6, "LONGEST", {"not depressed": 1, "depressed": 3})
    daic = like_daic(corpus)
    chosen = daic.utterances.loc[list(lssed_table_6.longest_turns(daic))]
    assert chosen["speaker"].value_counts().to_dict() == {
        "s01": 1, "s03": 1, "s05": 1, "s02": 3, "s04": 3, "s06": 3,
    }  # fmt: skip
    whole = daic.utterances.groupby("speaker")["duration"]
    assert chosen.groupby("speaker")["duration"].max().equals(whole.max())
    left = daic.utterances.drop(chosen.index)
    assert (left[left["speaker"] == "s02"]["duration"] <= chosen[
        chosen["speaker"] == "s02"]["duration"].min()).all()  # fmt: skip


def test_table_6_says_what_it_needs(run, corpus, tmp_path):
    table = corpus.utterances
    three = corpus.select(table.index[table["speaker"].isin(["s01", "s02", "s03"])])
    with pytest.raises(CorpusError, match=r"needs daic-woz=ROOT, or 4 speakers .* toy has 3"):
        lssed_table_6.main(run(three))
    with pytest.raises(CheckpointError, match=r"ser needs --init FOLDER.* take --method asr"):
        lssed_table_6.main(run(like_daic(corpus), method="ser"))
    linear = MODELS["linear_head"]
    known = {"labels": ["a", "b"], "corpora": [{"name": "lssed", "speakers": ["1"]}]}
    checkpoint.save(tmp_path, linear[1](linear[0](2)), known)
    with pytest.raises(CheckpointError, match="no network over LSSED's spectrograms"):
        lssed_table_6.main(run(like_daic(corpus), method="ser", init=tmp_path))


def test_on_other_corpora_table_6_is_a_rehearsal_and_says_so_first(run, corpus, tmp_path):
    upstream = tiny_whisper.write(tmp_path / "tiny")
    options = replace(run(epochs=3), upstream=str(upstream))
    (result,) = lssed_table_6.main(options)
    assert result.folder.name == "asr-validation"
    page = (result.folder / "report.md").read_text("utf-8")
    assert page.startswith("> A REHEARSAL, NO RESULT ON DEPRESSION: ")
    assert result.report.labels == DAIC_WOZ_2.labels
    assert (result.report.n, result.report.accuracy.majority) == (2, 0.5)  # one of each kind
    assert (options.out / "lssed_table_6.md").read_text("utf-8").startswith("> A REHEARSAL")
    assert "| toy, rehearsal, people, asr |" in (result.folder / "results_row.md").read_text()
    played = lssed_table_6.rehearsal(corpus)
    kinds = played.labels.idxmax(axis=1).groupby(played.utterances["speaker"]).unique()
    assert [list(kind) for kind in kinds] == [["not depressed"], ["depressed"]] * 3
    parts = played.utterances.groupby("speaker")["split"].unique()
    assert [list(part) for part in parts] == [["train"]] * 4 + [["validation"]] * 2
