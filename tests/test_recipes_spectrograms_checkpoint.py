"""Networks on spectrograms that begin from a checkpoint, and those that may not."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import tiny_spectrograms
import tiny_whisper
from affekt import checkpoint
from affekt.exceptions import CheckpointError, SplitError
from affekt.models import LinearHead, LinearHeadConfig, MobileNetAttention, MobileNetAttentionConfig
from affekt.protocols.spectrograms import start_from, teach
from affekt.splits import by_session
from tiny_spectrograms import METHOD, options_in, page_of, run, tiny

place = pytest.fixture(scope="module")(tiny_spectrograms.place)
corpus = pytest.fixture(scope="module")(tiny_spectrograms.corpus)
clips = pytest.fixture(scope="module")(tiny_spectrograms.clips)
light = pytest.fixture(autouse=True)(tiny_spectrograms.light)
options = pytest.fixture(tiny_spectrograms.options)
one_thread = pytest.fixture(scope="module", autouse=True)(tiny_whisper.one_thread)


def weights_of(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


LABELS = ["anger", "happiness", "neutral", "sadness"]


def released(folder, model, labels=LABELS, **card):
    checkpoint.save(folder, model, {"labels": labels, **card})
    return folder


def mobilenet(n=4, seed=5):
    torch.manual_seed(seed)
    return MobileNetAttention(MobileNetAttentionConfig(n))


def test_the_same_labels_bring_the_whole_network_over(tmp_path):
    folder, model = released(tmp_path / "n", mobilenet()), mobilenet(seed=6)
    start_from(model, folder, LABELS, "log_mel_dusha")
    for name, value in mobilenet().state_dict().items():
        assert torch.equal(model.state_dict()[name], value), name


@pytest.mark.parametrize("labels", [["a", "b", "c"], ["anger", "happiness", "neutral", "boredom"]])
def test_other_labels_keep_the_backbone_and_begin_the_last_layer_anew(tmp_path, labels):
    """As many labels as the network had, too: its answers would mean something else."""
    folder, model = released(tmp_path / "n", mobilenet()), mobilenet(len(labels), seed=6)
    before = weights_of(model)
    start_from(model, folder, labels, "log_mel_dusha")
    theirs = mobilenet().state_dict()
    for name, value in model.state_dict().items():
        expected = before[name] if name.startswith("classifier.") else theirs[name]
        assert torch.equal(value, expected), name


def test_another_network_is_refused(tmp_path):
    folder = released(tmp_path / "n", LinearHead(LinearHeadConfig(4, n_features=5)))
    with pytest.raises(CheckpointError, match="n: holds a LinearHead, not a MobileNetAttention"):
        start_from(mobilenet(), folder, LABELS, "log_mel_dusha")


@pytest.mark.parametrize("deeper", ["mine", "theirs"])
def test_a_network_of_other_depth_is_refused(tmp_path, monkeypatch, deeper):
    mine, theirs = mobilenet(), mobilenet()
    (mine if deeper == "mine" else theirs).more = nn.Linear(2, 2)
    monkeypatch.setattr(checkpoint, "load", lambda folder: (theirs, {"labels": LABELS}))
    with pytest.raises(CheckpointError, match=r"n: its network has another shape: more\.bias"):
        start_from(mine, tmp_path / "n", LABELS, "log_mel_dusha")


def test_another_feature_is_refused_and_labels_in_another_order_keep_their_rows(tmp_path):
    folder = released(tmp_path / "n", mobilenet(), feature="log_mel_lssed")
    with pytest.raises(CheckpointError, match="its network reads log_mel_lssed, not log_mel_dusha"):
        start_from(mobilenet(), folder, LABELS, "log_mel_dusha")
    model = mobilenet(seed=6)
    start_from(model, folder, LABELS[::-1], "log_mel_lssed")
    assert torch.equal(model.classifier.weight, mobilenet().classifier.weight.flip(0))
    assert torch.equal(model.classifier.bias, mobilenet().classifier.bias.flip(0))


def test_training_begins_where_the_checkpoint_left_off(clips, options, tmp_path):
    first = teach(METHOD, clips, None, options)
    folder = released(tmp_path / "n", first.model, list(clips.corpus.scheme))
    still = replace(METHOD, training=replace(METHOD.training, learning_rate=0.0))
    found = teach(still, clips, None, replace(options, init=folder, epochs=1))
    np.testing.assert_array_equal(found.ask(clips.spectrograms), first.ask(clips.spectrograms))


def test_what_a_run_releases_can_be_started_from(clips, options, tmp_path):
    result = run(clips, replace(options, folds=("session-1",)))
    folder = result.folder / "checkpoint-session-1"
    card = checkpoint.read_card(folder)
    known = set(
        clips.select(by_session(clips.corpus.utterances)[0].train).corpus.utterances["speaker"]
    )
    assert set(card["corpora"][0]["speakers"]) < known  # and without those who chose the epoch
    again = options_in(options.store.parent, tmp_path / "again", init=folder, folds=("session-1",))
    assert run(clips, again).report.n == 24


def test_a_checkpoint_that_learned_from_who_is_tested_is_refused_or_named_first(
    clips, options, tmp_path
):
    one = replace(METHOD, choose=False, training=replace(METHOD.training, epochs=1))
    first = replace(options, folds=("session-1",))
    folder = run(clips, first, one).folder / "checkpoint-session-1"
    speakers = clips.corpus.utterances.groupby("session")["speaker"].unique()
    second = options_in(options.store.parent, tmp_path / "b", init=folder, folds=("session-2",))
    who = ", ".join(sorted(speakers["2"]))
    with pytest.raises(SplitError, match=rf"tested \(toy: {who}\).*--allow-shared-speakers"):
        run(clips, second, one)
    assert not second.out.exists()
    allowed = run(clips, replace(second, allow_shared_speakers=True), one)
    assert page_of(allowed).startswith("> NOT SPEAKER-DISJOINT")
    assert "tiny/checkpoint-session-1 learned from 2 speaker(s)" in page_of(allowed).splitlines()[0]
    assert "started from tiny/checkpoint-session-1" in (
        allowed.folder / "results_row.md"
    ).read_text("utf-8")
    elsewhere = replace(clips, corpus=replace(clips.corpus, name="other"))  # s01 of another corpus
    third = replace(second, out=tmp_path / "c")
    page = page_of(run(elsewhere, third, one))
    assert page.startswith("> training started from the checkpoint tiny/checkpoint-session-1")
    again = tmp_path / "c" / "tiny" / "checkpoint-session-2"  # what it learned before counts
    with pytest.raises(SplitError, match="learned from 2 speaker"):
        run(clips, replace(second, out=tmp_path / "d", init=again), one)


def test_a_checkpoint_that_does_not_say_who_taught_it_is_refused(clips, options, tmp_path):
    folder = released(tmp_path / "n", tiny(4), list(clips.corpus.scheme))
    with pytest.raises(SplitError, match="does not say which speakers"):
        run(clips, replace(options, init=folder))
    parts = [{"name": "toy", "speakers": "s01"}]
    broken = released(tmp_path / "m", tiny(4), list(clips.corpus.scheme), corpora=parts)
    with pytest.raises(CheckpointError, match="m: `corpora` of its card is no list"):
        run(clips, replace(options, init=broken))


def test_a_checkpoint_that_this_run_would_overwrite_is_refused(clips, options):
    folder = released(options.out / "tiny" / "checkpoint-session-1", tiny(4))
    with pytest.raises(CheckpointError, match="would overwrite it: give another --out"):
        run(clips, replace(options, init=folder))


def test_a_state_without_a_checkpoint_never_passes_for_a_training_from_one(clips, options):
    """Nor one from another checkpoint: the report would name what was never learned."""
    split = by_session(clips.corpus.utterances)[:1]
    few = replace(METHOD, training=replace(METHOD.training, epochs=1))
    run(clips, options, few, split)
    released = options.out / "tiny" / f"checkpoint-{split[0].name}"
    first = options.out / "first"
    shutil.copytree(released, first)
    run(clips, replace(options, init=first), few, split)
    second = options.out / "second"
    shutil.copytree(released, second)
    run(clips, replace(options, init=second), few, split)
    nothing, once, twice = (checkpoint.load(f)[0] for f in (first, second, released))
    for before, behind in ((nothing, once), (once, twice)):
        pairs = zip(before.parameters(), behind.parameters(), strict=True)
        assert not all(torch.equal(a, b) for a, b in pairs)
