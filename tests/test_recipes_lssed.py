"""The recipes of LSSED's paper and IEMOCAP's four classes run on a few toy voices."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

import tiny_whisper
from affekt import checkpoint, cli
from affekt.cli.run import recipes_there
from affekt.corpora import toy
from affekt.corpora.daic_woz import DAIC_WOZ_2
from affekt.corpora.lssed import LSSED_4, LSSED_11
from affekt.exceptions import AffektError, CheckpointError, CorpusError, SplitError
from affekt.models import (
    MODELS,
    MultiScale,
    MultiScaleConfig,
    PyResNet,
    PyResNetConfig,
    ResNet,
    ResNetConfig,
)
from affekt.plots import confusions
from affekt.protocols import lssed_networks
from affekt.protocols.clips import repeated
from affekt.protocols.four_classes import four_classes
from affekt.protocols.lssed_networks import DENOISED, NETWORKS, PLAIN, method
from affekt.protocols.probe import RunOptions
from affekt.protocols.spectrogram_folds import (
    chosen_folds,
    count_parameters,
    held_out,
    teach_fold,
)
from affekt.protocols.spectrograms import Taught, clips_of, start_from, teach
from affekt.recipes import (
    RECIPES,
    iemocap_4,
    lssed_figure_2,
    lssed_table_4,
    lssed_table_5,
    lssed_table_6,
)
from affekt.scheme import IEMOCAP_4, IEMOCAP_10
from affekt.splits import by_speaker
from affekt.tables import read_table

one_thread = pytest.fixture(scope="module", autouse=True)(tiny_whisper.one_thread)


def few(folder, seed=0):
    """24 voices: one clip of each of six speakers and four emotions."""
    toy.make(folder, seed=seed)
    corpus = toy.load(folder, durations=True)
    return corpus.select([id_ for id_ in corpus.utterances.index if id_.endswith("_1")])


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return few(tmp_path_factory.mktemp("toy"))


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return tmp_path_factory.mktemp("store")


@pytest.fixture
def run(corpus, store, tmp_path):
    """Options of a run on one fold, one epoch."""

    def options(*corpora, **changed):
        chosen = corpora or (corpus,)
        given = {"folds": ("1",), "epochs": 1, "split": "by-speaker", "out": tmp_path / "out"}
        (tmp_path / "out").mkdir(exist_ok=True)
        return RunOptions(
            corpora={part.name: part for part in chosen},
            upstream="",
            store=store,
            command="affekt run",
            progress=lambda what, total: lambda more: None,
            **given | changed,
        )

    return options


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


def report_of(folder):
    return json.loads((folder / "report.json").read_text("utf-8"))


def like_lssed(corpus):
    """The same voices under LSSED's name and eleven labels."""
    labels = corpus.labels.reindex(columns=list(LSSED_11), fill_value=0.0)
    return replace(corpus.relabel(labels, LSSED_11), name="lssed")


def like_daic(corpus):
    """Every second speaker is depressed; the last two are the development part."""
    table = corpus.utterances
    number = table["speaker"].str[1:].astype(int)
    ill = (number % 2 == 0).to_numpy(dtype=float)
    labels = pd.DataFrame({"not depressed": 1 - ill, "depressed": ill}, table.index)
    part = np.where(number > 4, "validation", "train")
    whole = replace(corpus, utterances=table.assign(split=part), name="daic-woz")
    return whole.relabel(labels, DAIC_WOZ_2)


# the table's networks


def test_every_row_of_the_table_has_its_network():
    assert set(lssed_table_5.ROWS) == {n for n in lssed_table_5.REFERENCE if "fake" not in n}
    assert len(lssed_table_5.ROWS) == 19
    for model, settings in NETWORKS.values():
        MODELS[model][0](n_outputs=4, **settings)


@pytest.mark.parametrize(
    ("name", "n"), [("pyresnet50", 22_825_220), ("resnet18", 11_172_292), ("vgg11", 9_226_884)]
)
def test_rows_are_built_with_the_depth_of_their_name(run, name, n):
    with torch.device("meta"):
        model = method(name, run(), denoised=False).build(4)
    assert sum(part.numel() for part in model.parameters()) == n


def test_training_as_the_paper_writes(run):
    options = run(training="paper")
    plain = method("pyresnet152", options, denoised=True)
    how = plain.training
    assert (how.optimizer, how.learning_rate, how.momentum) == ("sgd", 0.01, 0.9)
    assert (how.weight_decay, how.epochs, how.schedule) == (1e-3, 60, "stairs")
    assert how.accumulate * plain.batch_size == 256
    assert (plain.feature, plain.trim, plain.choose) == (DENOISED, False, False)
    long = np.random.default_rng(0).standard_normal((128, 400)).astype(np.float32)
    assert plain.change(long, np.random.default_rng(0)).shape == (128, 157)
    adv = method("adv-vgg16", options, denoised=True)
    assert (adv.training.optimizer, adv.training.learning_rate, adv.batch_size) == (
        "adam",
        1e-3,
        16,
    )
    assert (adv.steps, adv.objective.first_step, adv.attack) == (10_000, 1000, 0.02)
    mts = method("mts-3-resnet18", options, denoised=True)
    assert (mts.training.optimizer, mts.training.patience, mts.choose) == ("adam", 10, True)
    assert mts.training.accumulate * mts.batch_size == 100
    with torch.device("meta"):
        assert mts.build(4).config.compat
        assert not method("mts-3-resnet18", run(), denoised=True).build(4).config.compat
        assert not adv.build(4).config.compat


@pytest.mark.parametrize("name", ["fcn-attention", "vgg11", "mts-3-alexnet"])
@pytest.mark.parametrize("training", ["ours", "paper"])
def test_no_clip_is_too_short_for_its_network(run, name, training):
    way = method(name, run(training=training), denoised=False)
    short = np.random.default_rng(0).standard_normal((128, 20)).astype(np.float32)
    for seed in range(20):
        changed = way.change(short, np.random.default_rng(seed))
        assert way.least <= changed.shape[1] <= 157
    assert repeated(short, way.least).shape[1] == way.least
    np.testing.assert_array_equal(repeated(short, 50)[:, 20:40], short)


# table 5


def test_adv_is_one_network_and_two_reports(run, monkeypatch):
    monkeypatch.setattr(lssed_networks, "FIRST_TWINS", 0)
    options = run(method="adv-resnet18")
    real, fake = lssed_table_5.main(options)
    assert [result.folder.name for result in (real, fake)] == ["adv-resnet18", "adv-resnet18-fake"]
    tables = [read_table(result.folder / "predictions.csv") for result in (real, fake)]
    assert tables[0].index.equals(tables[1].index)
    assert np.abs(tables[0].to_numpy() - tables[1].to_numpy()).max() > 1e-3
    assert len(list(options.out.glob("*/checkpoint-*"))) == 1
    assert "11,172,292 parameters" in (fake.folder / "report.md").read_text("utf-8")
    assert "NO ADVERSARIAL" not in (fake.folder / "report.md").read_text("utf-8")


@pytest.mark.parametrize(("steps", "said"), [(1, True), (100, True), (101, False)])
def test_adv_that_never_met_a_twin_says_so(run, steps, said):
    way = method("adv-resnet18", run(), denoised=False)  # twins from the 101st step on
    taught = Taught(torch.nn.Identity(), None, None, None, 0.1, 1, steps)
    told = way.tell(taught, [])
    assert (
        f"NO ADVERSARIAL TRAINING: twins begin behind step 100, and it had {steps}" in told
    ) == (said)


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


def test_mts_says_which_time_scales_won(run):
    options = run(method="mts-3-alexnet")
    (result,) = lssed_table_5.main(options)
    (line,) = [note for note in result.report.notes if "time scales that won" in note]
    shares = [float(part.split()[-1]) for part in line.split("won:")[1].split(",")]
    assert len(shares) == 3
    assert sum(shares) == pytest.approx(1, abs=2e-3)
    assert "for scale: the paper has accuracy 0.570 and UAR 0.250" in "".join(result.report.notes)


def test_the_papers_split_shares_speakers_and_the_report_says_so_first(run, corpus):
    options = run(method="resnet18", split="stratified", training="paper")
    with pytest.raises(SplitError, match="allow-shared-speakers"):
        lssed_table_5.main(options)
    (result,) = lssed_table_5.main(replace(options, allow_shared_speakers=True))
    assert result.report.notes[0].startswith("NOT SPEAKER-DISJOINT")
    assert result.report.n == 4  # a fifth of six of each class, rounded
    assert "stratified 80/20, seed 0" in (result.folder / "results_row.md").read_text("utf-8")
    clips = clips_of(corpus, method("resnet18", options, denoised=False), options)
    _, judged = held_out(clips, 0, shared=True)
    assert judged.corpus.labels.idxmax(axis=1).value_counts().max() == 1


def test_a_run_done_is_not_done_again(run):
    options = run(method="resnet18")
    first = report_of(lssed_table_5.main(options)[0].folder)
    states = sorted(options.out.glob("*.safetensors"))
    before = [state.stat().st_mtime_ns for state in states]
    assert report_of(lssed_table_5.main(options)[0].folder) == first
    assert states
    assert [state.stat().st_mtime_ns for state in states] == before


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


def test_checkpoints_that_do_not_fit_are_refused(released, corpus, run):
    with pytest.raises(CheckpointError, match="holds a ResNet, not a Vgg"):
        lssed_table_5.main(run(method="vgg11", init=released))
    with pytest.raises(CheckpointError, match="another shape"):
        lssed_table_5.main(run(method="resnet34", init=released))
    with pytest.raises(CheckpointError, match=r"another order .* anger, happiness, neutral"):
        lssed_table_5.main(run(like_lssed(corpus), method="resnet18", init=released))
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


# four classes, IEMOCAP


def ten(corpus, name):
    labels = corpus.labels.reindex(columns=list(IEMOCAP_10), fill_value=0.0)
    labels.iloc[0] = np.eye(10)[IEMOCAP_10.index("excitement")]
    labels.iloc[1] = np.eye(10)[IEMOCAP_10.index("fear")]
    labels.iloc[2] = (np.eye(10)[0] + np.eye(10)[1]) / 2  # anger or happiness: one of the four
    return replace(corpus.relabel(labels, IEMOCAP_10), name=name)


def test_of_iemocap_excitement_is_happiness_and_the_rest_is_left_out(corpus):
    first, second = corpus.utterances.index[:2]
    found = four_classes(ten(corpus, "iemocap"), IEMOCAP_4)
    assert found.labels.loc[first].to_dict() == {
        "anger": 0, "happiness": 1, "neutral": 0, "sadness": 0,
    }  # fmt: skip
    assert second not in found.utterances.index
    assert len(found) == 23
    other = four_classes(ten(corpus, "lssed"))
    assert other.scheme == LSSED_4
    assert first not in other.utterances.index
    assert len(other) == 22


def test_a_corpus_without_the_four_is_refused(corpus):
    with pytest.raises(CorpusError, match="has no anger"):
        four_classes(like_daic(corpus))


def test_iemocap_4_gives_mean_and_deviation_over_folds_and_seeds(run):
    options = run(method="ours", seeds=2, folds=None)
    results = iemocap_4.main(options)
    assert [result.folder.relative_to(options.out).as_posix() for result in results] == [
        "seed-0/ours", "seed-1/ours",
    ]  # fmt: skip
    rows = pd.concat([result.report.folds for result in results])
    assert len(rows) == 6  # three sessions, twice
    assert results[0].report.folds.index.tolist() == ["session-1", "session-2", "session-3"]
    page = (options.out / "iemocap_4.md").read_text("utf-8").splitlines()
    page = page[page.index(next(line for line in page if line.startswith("| method"))) :]
    cells = [cell.strip() for cell in page[2].split("|")[1:-1]]
    accuracy = rows["accuracy"]
    spread = np.sqrt(((accuracy - accuracy.mean()) ** 2).sum() / 5)
    assert cells[:3] == ["ours", "6", f"{accuracy.mean():.3f} ± {spread:.3f}"]
    assert "0.59" in page[3]
    assert len(list(options.out.glob("seed-1/ours/checkpoint-session-*"))) == 3


def test_iemocap_4_runs_two_methods_unasked_and_knows_no_domains(run, monkeypatch):
    def chosen(known, options, default):
        assert tuple(known) == tuple(default) == ("dusha", "ours")
        raise CorpusError("enough")

    monkeypatch.setattr(iemocap_4, "chosen_methods", chosen)
    with pytest.raises(CorpusError, match="enough"):
        iemocap_4.main(run())


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
    with pytest.raises(CorpusError, match="two corpora, not toy"):
        lssed_table_4.main(run(method="resnet18"))
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


# figure 2


@pytest.mark.parametrize(
    ("name", "accuracy", "recall"),
    [("mts-3-resnet152", 0.585, 0.2965), ("pyresnet152", 0.624, 0.4287)],
)
def test_the_printed_matrices_give_the_printed_figures(name, accuracy, recall):
    counts = lssed_figure_2.as_counts(lssed_figure_2.REFERENCE[name])
    found = lssed_figure_2.accuracy_and_recall(counts)
    assert found[0] == pytest.approx(accuracy, abs=5e-4)
    assert found[1] == pytest.approx(recall, abs=5e-5)
    printed = lssed_table_5.REFERENCE[name]
    assert found == pytest.approx(printed, abs=6e-4)
    assert counts.sum(axis=1) == pytest.approx(lssed_figure_2.N_TESTED)


def test_figure_2_draws_two_networks_and_the_papers_beside_them(run, corpus, monkeypatch):
    drawn = {}
    monkeypatch.setattr(lssed_figure_2, "PAIR", ("resnet18",))
    monkeypatch.setattr(
        lssed_figure_2, "REFERENCE", {"resnet18": lssed_figure_2.REFERENCE["pyresnet152"]}
    )
    real = confusions
    monkeypatch.setattr(
        lssed_figure_2.plots, "confusions", lambda m, labels: drawn.update(m) or real(m, labels)
    )
    options = run(like_lssed(corpus), method="resnet18,fcn-attention")
    results = lssed_figure_2.main(options)
    assert list(drawn) == ["resnet18", "fcn-attention", "resnet18, paper"]
    assert results[0].report.labels == LSSED_4.labels  # the order of what is printed
    np.testing.assert_array_equal(drawn["fcn-attention"], results[1].report.confusion)
    assert (options.out / "confusions.png").stat().st_size > 10_000
    page = (options.out / "lssed_figure_2.md").read_text("utf-8")
    assert "| anger | 32.43 | 47.23 | 16.56 | 3.78 |" in page
    assert "accuracy 0.624, UAR 0.429" in page


def test_summary_pages_open_with_what_their_reports_open_with(run, corpus):
    options = run(method="ours", seeds=2, protocol="paper", folds=("1", "2"))
    iemocap_4.main(options)
    page = (options.out / "iemocap_4.md").read_text("utf-8")
    assert page.startswith("> SELECTED ON THE TEST PART: the epoch was chosen by what is reported")
    assert (
        "> seed-1/ours: split: SELECTED ON THE TEST PART: 3 folds by session, seed 1: 2 of them\n"
    ) in page
    assert page.index("> seed-1") < page.index("| method |")


def test_figure_2_says_above_page_and_picture_what_no_reader_may_miss(run, monkeypatch):
    above = []
    real = confusions

    def spied(matrices, labels):
        figure = real(matrices, labels)
        monkeypatch.setattr(figure, "suptitle", lambda text, **_: above.append(text))
        return figure

    monkeypatch.setattr(lssed_figure_2.plots, "confusions", spied)
    how = {"split": "stratified", "allow_shared_speakers": True, "protocol": "paper"}
    options = run(method="resnet18,fcn-attention", **how)
    lssed_figure_2.main(options)
    assert above == ["SELECTED ON THE TEST PART; NOT SPEAKER-DISJOINT"]
    page = (options.out / "lssed_figure_2.md").read_text("utf-8").split("## ")[0]
    for line in ("> SELECTED ON THE TEST PART: ", "> NOT SPEAKER-DISJOINT, ", "> training: ours"):
        assert line in page
    assert "> fcn-attention: " in page  # its parameters are its own


def test_figure_2_needs_two_networks(run):
    with pytest.raises(CorpusError, match="give two different networks"):
        lssed_figure_2.main(run(method="resnet18"))


def test_confusions_say_the_share_of_each_row_and_refuse_what_does_not_fit():
    figure = confusions({"one": np.array([[3, 1], [0, 0]]), "two": np.eye(2)}, ["a", "b"])
    texts = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert texts[:4] == ["75%", "25%", "0%", "0%"]
    assert "accuracy 0.750   UAR 0.750" in texts
    assert "accuracy 1.000   UAR 1.000" in texts
    with pytest.raises(AffektError, match="'odd' is not 2 x 2"):
        confusions({"odd": np.eye(3)}, ["a", "b"])
    with pytest.raises(AffektError, match="no confusion"):
        confusions({}, ["a", "b"])


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
    checkpoint.save(tmp_path, linear[1](linear[0](2)), {"labels": ["a", "b"]})
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


# choices


def test_without_a_method_small_networks_run_but_the_papers_as_the_paper_trains(
    run, corpus, monkeypatch
):
    asked = []

    def chosen(known, options, default):
        asked.append(tuple(default))
        raise CorpusError("enough")

    for recipe in (lssed_table_5, lssed_figure_2, lssed_table_4):
        monkeypatch.setattr(recipe, "chosen_methods", chosen)
        for training in ("ours", "paper"):
            with pytest.raises(CorpusError, match="enough"):
                recipe.main(run(method=None, training=training))
    assert asked == [
        lssed_networks.SMALL, lssed_table_5.ROWS,
        ("mts-3-resnet18", "pyresnet50"), ("mts-3-resnet152", "pyresnet152"),
        ("resnet18",), ("resnet152",),
    ]  # fmt: skip
    assert set(lssed_networks.SMALL) <= set(NETWORKS)


def test_table_4_knows_two_ways_to_hold_out_a_fifth(run, corpus, tmp_path):
    other = replace(few(tmp_path / "other", seed=3), name="emovo")
    with pytest.raises(
        CorpusError, match=r"--split official: .* by-speaker, its default, or strat"
    ):
        lssed_table_4.main(run(corpus, other, split="official"))


@pytest.mark.parametrize("recipe", ["lssed_table_5", "lssed_table_4", "lssed_figure_2",
                                    "lssed_table_6", "iemocap_4", "dusha_table_3"])  # fmt: skip
def test_an_unknown_method_is_refused_with_those_there_are(run, corpus, recipe):
    with pytest.raises(CorpusError, match=r"--method resnet19: there are \w+"):
        RECIPES[recipe](run(method="resnet19"))


def test_folds_go_by_name_or_number(run, corpus):
    splits = by_speaker(corpus.utterances, 3)
    names = [split.name for split in splits]
    assert chosen_folds(splits, run(folds=("2",))) == [splits[1]]
    assert chosen_folds(splits, run(folds=(names[2], "1"))) == [splits[0], splits[2]]
    with pytest.raises(CorpusError, match=f"--folds 4: there are {names[0]}"):
        chosen_folds(splits, run(folds=("1", "4")))


def test_a_fold_that_shares_speakers_is_never_trained_on_unasked(run, corpus):
    options = run(split="stratified", method="resnet18")
    with pytest.raises(SplitError):
        lssed_table_5.main(options)
    assert list(options.out.iterdir()) == []


def test_a_released_pyresnet_is_what_the_name_says(run, corpus):
    options = run()
    way = replace(method("pyresnet50", options, denoised=False), change=None)
    clips = clips_of(corpus, way, options)
    few_ = clips.select(clips.corpus.utterances.index[:8])
    split = by_speaker(few_.corpus.utterances, 2)[0]
    taught = teach_fold(few_, split, "pyresnet50", way, options)
    model, card = checkpoint.load(options.out / "pyresnet50" / f"checkpoint-{split.name}")
    assert isinstance(model, PyResNet)
    assert (card["model"], card["config"]["depth"]) == ("pyresnet", 50)
    asked = few_.spectrograms[:1]
    x = torch.from_numpy(taught.standardised(asked)[0])[None]
    np.testing.assert_allclose(model(x).detach().numpy(), taught.ask(asked), atol=1e-4)


# the command line


SOURCES = {
    "ctc_table_1": "Table 1 of Chernykh and Prikhodko 2017",
    "dusha_table_3": "Table 3 of Kondratenko et al. 2022",
    "iemocap_4": "Table 3 of Kondratenko et al. 2022",
    "lssed_figure_2": "Figure 2 of Fan et al. 2021",
    "lssed_table_4": "Table 4 of Fan et al. 2021",
    "lssed_table_5": "Table 5 of Fan et al. 2021",
    "lssed_table_6": "Table 6 of Fan et al. 2021",
}


def test_without_a_recipe_all_are_listed_with_their_tables():
    result = CliRunner().invoke(cli.app, ["run"])
    assert result.exit_code == 0
    lines = {line.split()[0]: line for line in result.output.splitlines()}
    assert lines.keys() == RECIPES.keys()
    for name, source in SOURCES.items():
        assert lines[name].endswith(f"[{source}]")
    for name, (what, _) in recipes_there().items():
        assert what == sys.modules[f"affekt.recipes.{name}"].__doc__.splitlines()[0].rstrip(".")


def test_the_list_needs_no_torch():
    program = (
        "import sys; sys.modules['torch'] = None; sys.argv = ['affekt', 'run']\n"
        "from affekt.cli import main; main()"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert found.returncode == 0
    assert "lssed_table_5" in found.stdout


def test_a_row_of_the_table_with_one_command(corpus, store, tmp_path):
    words = ["--corpus", f"toy={corpus.root}", "--out", str(tmp_path), "--store", str(store)]
    words += ["--method", "resnet18", "--epochs", "1", "--folds", "2", "--training", "paper"]
    result = CliRunner().invoke(cli.app, ["run", "lssed_table_5", *words])
    assert result.exit_code == 0, result.output
    assert report_of(tmp_path / "resnet18")["n"] == 12
    wrong = CliRunner().invoke(cli.app, ["run", "lssed_table_5", *words[:-1], "mine"])
    assert "--training mine: give ours or paper" in str(wrong.exception)


def test_parameters_are_those_of_the_paper_and_tied_kernels_count_once():
    assert count_parameters(PyResNet(PyResNetConfig(4, depth=50))) == 22_825_220
    plain, tied = (
        MultiScale(MultiScaleConfig(4, backbone="resnet", depth=18, n_branches=3, compat=compat))
        for compat in (False, True)
    )
    assert count_parameters(tied) == count_parameters(plain)
