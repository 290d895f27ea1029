"""What is wrong is said before anything is computed, and what is played is said first."""

from dataclasses import replace

import pandas as pd
import pytest
import torch

import tiny_whisper
from affekt import checkpoint
from affekt.corpora import toy
from affekt.exceptions import CheckpointError, CorpusError, SplitError
from affekt.models import (
    MobileNetAttention,
    MobileNetAttentionConfig,
    ResNet,
    ResNetConfig,
)
from affekt.protocols import dusha_networks
from affekt.protocols.four_classes import four_classes
from affekt.protocols.lssed_networks import PLAIN
from affekt.protocols.probe import RunOptions
from affekt.protocols.spectrogram_folds import check_folds, chosen_folds, several
from affekt.protocols.spectrograms import start_from, usable
from affekt.recipes import (
    dusha_crowd,
    lssed_table_4,
    lssed_table_6,
    networks_zero_shot,
)
from affekt.splits import by_speaker, stratified
from affekt.votes.majority import majority
from affekt.votes.shares import shares

one_thread = pytest.fixture(scope="module", autouse=True)(tiny_whisper.one_thread)


def few(folder, name, seed):
    """24 voices: one clip of each of six speakers and four emotions."""
    toy.make(folder, seed=seed)
    corpus = toy.load(folder, durations=True)
    ids = [id_ for id_ in corpus.utterances.index if id_.endswith("_1")]
    return replace(corpus.select(ids), name=name)


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    return few(tmp_path_factory.mktemp("toy"), "toy", 0)


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    return few(tmp_path_factory.mktemp("emovo"), "emovo", 3)


@pytest.fixture(scope="module")
def voted(one):
    said = one.labels.idxmax(axis=1)
    rows = [(id_, rater, label) for id_, label in said.items() for rater in ("r1", "r2")]
    return replace(one, votes=pd.DataFrame(rows, columns=["utterance", "rater", "label"]))


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    """Checkpoints of a ResNet18 and of the Dusha network, taught by a speaker s01 of toy."""
    place = tmp_path_factory.mktemp("networks")
    torch.manual_seed(0)
    known = {"corpora": [{"name": "toy", "speakers": ["s01"]}]}
    four = ["anger", "happiness", "neutral", "sadness"]
    resnet, dusha = ResNet(ResNetConfig(4)), MobileNetAttention(MobileNetAttentionConfig(4))
    checkpoint.save(place / "resnet", resnet, {"labels": four, "feature": PLAIN, **known})
    feature = {"feature": "log_mel_dusha"}
    checkpoint.save(place / "dusha", dusha, {"labels": four, **feature, **known})
    return place


@pytest.fixture
def run(tmp_path):
    """Options of a run that may not compute anything."""

    def computes(what, total):
        raise AssertionError(f"began with {what}")

    def options(*corpora, **changed):
        given = {"epochs": 1, "progress": computes, "command": "affekt run", "upstream": ""}
        named = {corpus.name: corpus for corpus in corpora}
        return RunOptions(named, tmp_path / "out", store=tmp_path / "store", **given | changed)

    return options


# before anything is computed


def test_table_4_refuses_what_it_can_before_it_computes(run, one, other, networks):
    for changes, error, words in [
        ({"method": "resnet19"}, CorpusError, "--method resnet19: there are"),
        ({"split": "official"}, CorpusError, "--split official"),
        ({"split": "stratified"}, SplitError, "allow-shared-speakers"),
        ({"init": networks / "dusha"}, CheckpointError, "holds a MobileNetAttention, not a ResNet"),
        ({"init": networks / "resnet", "method": "resnet34"}, CheckpointError, "another shape"),
        ({"init": networks / "resnet"}, SplitError, "learned from 1 speaker"),
        ({"init": networks / "none"}, CheckpointError, "none"),
    ]:
        first = one if error is SplitError else replace(one, name="nemo")
        with pytest.raises(error, match=words):
            lssed_table_4.main(run(first, other, **changes))


def test_a_second_network_that_does_not_fit_is_refused_before_the_first_learns(
    run, one, other, networks
):
    strangers = (replace(one, name="nemo"), other)
    options = run(*strangers, method="resnet18,vgg11", init=networks / "resnet")
    with pytest.raises(CheckpointError, match="holds a ResNet, not a Vgg"):
        lssed_table_4.main(options)
    asked = (replace(one, name="nemo"), replace(other, name="emodb"))
    with pytest.raises(CheckpointError, match="holds a ResNet, not a Vgg"):
        networks_zero_shot.main(replace(options, corpora={part.name: part for part in asked}))


def test_dusha_crowd_refuses_what_it_can_before_it_computes(run, voted, other, networks):
    known = replace(other, name="toy")
    for second, changes, error, words in [
        (other, {"method": "medium"}, CorpusError, "--method medium: there are soft"),
        (other, {"folds": ("9",)}, CorpusError, "--folds 9: there are speaker-s01"),
        (other, {"split": "official"}, SplitError, "official"),
        (other, {"init": networks / "resnet"}, CheckpointError, "holds a ResNet, not a Mobile"),
        (known, {"init": networks / "dusha", "method": "hard-tuned"}, SplitError, "toy: s01"),
    ]:
        crowd = replace(voted, name="crowd")
        with pytest.raises(error, match=words):
            dusha_crowd.main(run(crowd, second, **changes))


def test_what_starts_from_nothing_needs_no_start_that_fits(run, voted, other, networks):
    options = run(voted, other, method="from-nothing", init=networks / "resnet")
    with pytest.raises(AssertionError, match="began with emovo, log_mel_dusha"):
        dusha_crowd.main(options)


@pytest.mark.parametrize("recipe", [lssed_table_4, dusha_crowd, networks_zero_shot])
def test_a_start_that_would_be_overwritten_is_refused_before_anything_is_computed(
    run, voted, other, networks, recipe
):
    names = {lssed_table_4: "resnet18-toy", dusha_crowd: "soft", networks_zero_shot: "dusha"}
    asked = replace(other, name="emodb") if recipe is networks_zero_shot else other
    options = run(voted, asked)
    _, card = checkpoint.load(networks / "dusha")
    rest = {name: card[name] for name in ("labels", "feature", "corpora")}
    folder = options.out / names[recipe] / "network"
    checkpoint.save(folder, MobileNetAttention(MobileNetAttentionConfig(4)), rest)
    known = replace(options, init=folder, allow_shared_speakers=True)
    with pytest.raises(CheckpointError, match="would overwrite it: give another --out"):
        recipe.main(known)


def test_networks_are_not_called_new_to_a_corpus_that_their_start_learned_from(
    run, one, other, networks
):
    asked, taught = replace(one, name="emodb"), replace(other, name="nemo")
    _, card = checkpoint.load(networks / "dusha")
    parts = [{"name": "emodb", "speakers": ["s02"]}]
    options = run(taught, asked, method="dusha", init=networks / "dusha")
    with pytest.raises(AssertionError, match="began with"):  # toy is not asked about
        networks_zero_shot.main(options)
    rest = {"labels": card["labels"], "feature": card["feature"], "corpora": parts}
    folder = options.out.parent / "before"
    checkpoint.save(folder, MobileNetAttention(MobileNetAttentionConfig(4)), rest)
    with pytest.raises(SplitError, match=r"tested \(emodb: s02\)"):
        networks_zero_shot.main(replace(options, init=folder))


@pytest.mark.parametrize("method", ["ser", "ser-tuned-longest"])
def test_table_6_refuses_a_backbone_that_learned_from_those_it_tests(run, one, networks, method):
    card = checkpoint.read_card(networks / "resnet")
    rest = {"labels": card["labels"], "feature": card["feature"]}
    options = run(one, method=f"asr,{method}")
    for speakers, leak in ((["s01", "s05"], "1 speaker.*toy: s05"), (None, "does not say which")):
        known = {} if speakers is None else {"corpora": [{"name": "toy", "speakers": speakers}]}
        folder = options.out.parent / "before"
        checkpoint.save(folder, ResNet(ResNetConfig(4)), rest | known)
        with pytest.raises(SplitError, match=leak):
            lssed_table_6.main(replace(options, init=folder))


def test_folds_are_checked_with_the_table_alone(run, one, networks):
    corpus, options = usable(one), run(one)
    method = dusha_networks.OURS
    splits = by_speaker(corpus.utterances, 6)
    with pytest.raises(CorpusError, match="--folds 7"):
        chosen_folds(splits, replace(options, folds=("7",)))
    begun = replace(options, init=networks / "dusha")
    unheard = [split for split in splits if "s01_anger_1" not in split.test]
    assert len(unheard) == 5
    check_folds(corpus, unheard, "ours", method, begun)
    with pytest.raises(SplitError, match="toy: s01"):
        check_folds(corpus, splits, "ours", method, begun)
    sharing = stratified(corpus.utterances, corpus.labels.idxmax(axis=1))
    with pytest.raises(SplitError, match="allow-shared-speakers"):
        check_folds(corpus, sharing, "ours", method, options)


def test_what_cannot_be_used_is_in_no_split(one):
    first, second, third = one.utterances.index[:3]
    table = one.utterances.copy()
    table.loc[first, "excluded"] = "cough"
    less = replace(one, utterances=table, labels=one.labels.drop(second))
    assert usable(less).utterances.index.tolist() == one.utterances.index[2:].tolist()
    assert usable(usable(less)).utterances.index[0] == third
    with pytest.raises(CorpusError, match="no utterance of toy can be used"):
        usable(replace(one, labels=one.labels.iloc[:0]))


# labels in another order


def test_the_same_labels_in_another_order_give_each_label_its_own_row(networks):
    model, card = checkpoint.load(networks / "resnet")
    order = [2, 0, 3, 1]
    turned = ResNet(ResNetConfig(4)).eval()
    start_from(turned, networks / "resnet", [card["labels"][k] for k in order], PLAIN)
    x = torch.randn(3, 128, 40, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        torch.testing.assert_close(turned(x), model(x)[:, order], rtol=0, atol=0)


# rehearsals on toy


def test_toy_alone_plays_two_corpora_of_other_speakers_and_a_crowd(run, one, other):
    first, second = several(run(one))
    speakers = [set(part.utterances["speaker"]) for part in (first, second)]
    assert speakers == [{"s01", "s02", "s03"}, {"s04", "s05", "s06"}]
    assert (first.name, second.name) == ("toy-1", "toy-2")
    ids = [*first.utterances.index, *second.utterances.index]
    assert sorted(ids) == sorted(one.utterances.index)
    for part in (first, second):
        for aggregate in (shares, majority):
            found = aggregate(part.votes, part.scheme)
            pd.testing.assert_frame_equal(
                found.loc[part.labels.index], part.labels, check_names=False, check_dtype=False
            )
    assert several(run(one, other)) == [one, other]
    assert several(run(other)) == [other]  # another corpus alone plays nothing


def test_both_recipes_that_need_two_corpora_run_on_toy_and_say_so_first(run, one):
    quiet = {"progress": lambda what, total: lambda more: None}
    options = run(one, method="hard-tuned,hard", folds=("1",), **quiet)
    results = dusha_crowd.main(options)
    results += lssed_table_4.main(replace(options, method="resnet18"))
    pages = [(result.folder / "report.md").read_text("utf-8") for result in results]
    names = ["hard", "hard-tuned", "resnet18-toy-1-held-out", "resnet18-toy-1-to-toy-2"]
    assert [result.folder.name for result in results][:4] == names
    assert [page.startswith("> A REHEARSAL, NO RESULT: ") for page in pages] == [True] * 6
    assert all("under a minute" in page for page in pages)
    summary = (options.out / "lssed_table_4.md").read_text("utf-8")
    assert summary.startswith("> A REHEARSAL, NO RESULT: ")


def test_four_classes_keep_what_a_rehearsal_says(run, one):
    first, _ = several(run(one))
    assert four_classes(first).card["rehearsal"].startswith("A REHEARSAL")
