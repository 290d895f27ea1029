"""The networks of LSSED's table 5, how each is taught, and the choices a run has."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import lssed_runs
import tiny_whisper
from affekt import checkpoint, cli
from affekt.cli.run import recipes_there
from affekt.exceptions import CorpusError, SplitError
from affekt.models import MODELS, MultiScale, MultiScaleConfig, PyResNet, PyResNetConfig
from affekt.protocols import lssed_networks
from affekt.protocols.clips import repeated
from affekt.protocols.lssed_networks import DENOISED, NETWORKS, method
from affekt.protocols.spectrogram_folds import chosen_folds, count_parameters, held_out, teach_fold
from affekt.protocols.spectrograms import Taught, clips_of
from affekt.recipes import RECIPES, lssed_figure_2, lssed_table_4, lssed_table_5
from affekt.splits import by_speaker
from affekt.tables import read_table
from lssed_runs import few, report_of

corpus = pytest.fixture(scope="module")(lssed_runs.corpus)
store = pytest.fixture(scope="module")(lssed_runs.store)
run = pytest.fixture(lssed_runs.run)
one_thread = pytest.fixture(scope="module", autouse=True)(tiny_whisper.one_thread)


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
