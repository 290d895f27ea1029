"""Nine numbers instead of one label: the measures, the objective, and the recipe on toy sounds."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats
from torch import nn

import tiny_whisper
from affekt import audio, checkpoint
from affekt.batches import Batch
from affekt.corpora import CORPORA
from affekt.corpora.hume_prosody import COLUMNS
from affekt.exceptions import CorpusError
from affekt.metrics import pearson, spearman
from affekt.objectives import Ratings
from affekt.protocols.probe import RunOptions
from affekt.recipes import hume_prosody
from affekt.scheme import HUME_9

one_thread = pytest.fixture(scope="module", autouse=True)(tiny_whisper.one_thread)

RATE = 16_000
PARTS = {"train": 40, "devel": 20, "test": 3}

# the measures


def numbers(*shape, seed=0):
    """Numbers with ties, as ratings have them."""
    return np.random.default_rng(seed).integers(0, 8, size=shape) / 7


def test_both_correlations_equal_scipy_with_ties_column_by_column():
    truth, answer = numbers(50, 4), numbers(50, 4, seed=1) + 0.3 * numbers(50, 4)
    expected_rho = [stats.spearmanr(t, a).statistic for t, a in zip(truth.T, answer.T, strict=True)]
    expected_r = [stats.pearsonr(t, a).statistic for t, a in zip(truth.T, answer.T, strict=True)]
    np.testing.assert_allclose(spearman(truth, answer), expected_rho, rtol=1e-12)
    np.testing.assert_allclose(pearson(truth, answer), expected_r, rtol=1e-12)
    assert float(spearman(truth[:, 0], answer[:, 0])) == pytest.approx(expected_rho[0])


def test_ranks_do_not_ask_how_far_apart_and_r_does_not_ask_where_and_how_wide():
    truth, answer = numbers(30), numbers(30, seed=1)
    assert float(spearman(truth, np.exp(9 * answer))) == pytest.approx(
        float(spearman(truth, answer))
    )
    assert float(pearson(truth, 5 - 3 * answer)) == pytest.approx(-float(pearson(truth, answer)))


def test_of_a_constant_nothing_can_be_said():
    truth = numbers(3, 2)
    answer = np.stack([np.full(3, 0.1), [1.0, 2.0, 4.0]], axis=1)
    for measure in (pearson, spearman):
        assert np.isnan(measure(truth, answer)).tolist() == [True, False]
        assert np.isnan(measure([0.5], [0.2]))


@pytest.mark.parametrize(("truth", "answer"), [([1, 2], [1, 2, 3]), ([], []), (0.5, 0.5)])
def test_shapes_that_do_not_fit_are_refused(truth, answer):
    for measure in (pearson, spearman):
        with pytest.raises(ValueError, match="must be"):
            measure(truth, answer)


# the objective


def test_ratings_are_the_weighted_mean_of_squared_differences_of_sigmoids():
    torch.manual_seed(0)
    model, x, target = nn.Linear(3, 2), torch.randn(4, 3), torch.rand(4, 2)
    weight, total = torch.tensor([1.0, 0.5, 2.0, 0.0]), 7.0
    batch = Batch(x, None, target, weight)
    found = Ratings()(Maskless(model), batch, total, 0)
    expected = 0.0
    for row in range(4):
        answer = 1 / (1 + np.exp(-model(x[row]).detach().numpy().astype(float)))
        expected += float(weight[row]) * np.mean((answer - target[row].numpy()) ** 2) / total
    assert float(found.detach()) == pytest.approx(expected, rel=1e-6)


class Maskless(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x, mask=None):
        return self.inner(x)


# the recipe


def sound(brightness, rng):
    """Noise below 1 kHz and above 3 kHz, mixed."""
    spectrum = np.fft.rfft(rng.standard_normal(RATE // 2))
    frequencies = np.fft.rfftfreq(RATE // 2, 1 / RATE)
    gains = (frequencies < 1000) * (1 - brightness) + (frequencies > 3000) * brightness
    wave = np.fft.irfft(spectrum * gains)
    return (0.1 * wave / wave.std()).astype(np.float32)


def plant(root, devel_turned=False):
    """Write a tree in which each emotion rises or falls with the brightness of the sound."""
    rng = np.random.default_rng(0)
    (root / "wav").mkdir(parents=True)
    (root / "lab").mkdir()
    number = 0
    for part, n in PARTS.items():
        rows = []
        for brightness in rng.permutation(np.linspace(0.1, 0.9, n)):
            number += 1
            name = f"[{number:04d}].wav"
            audio.write(root / "wav" / name, sound(brightness, rng))
            value = 1 - brightness if part == "devel" and devel_turned else brightness
            said = [value if column % 2 else 1 - value for column in range(9)]
            cells = ["?"] * 9 if part == "test" else [f"{strength:.4f}" for strength in said]
            rows.append(",".join([name, *cells]))
        text = "\n".join([",".join(["filename", *COLUMNS]), *rows]) + "\n"
        (root / "lab" / f"{part}.csv").write_text(text, "utf-8")
    return root


def run(root, folder, out):
    options = RunOptions(
        corpora={"hume-prosody": CORPORA["hume-prosody"].load(root)},
        out=out,
        upstream=str(folder / "tiny-whisper"),
        store=folder / "store",
        command="affekt run hume_prosody",
        progress=lambda what, total: lambda more: None,
        layers=(2, 3),
        epochs=60,  # of one batch each
    )
    out.mkdir()
    (result,) = hume_prosody.main(options)
    assert result.folder == out
    return result.report.to_markdown()


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hume")
    tiny_whisper.write(folder / "tiny-whisper")
    page = run(plant(folder / "corpus"), folder, folder / "out")
    return folder, page


def answers_of(out, part):
    table = pd.read_csv(out / f"predictions-{part}.csv")
    assert list(table) == ["filename", *COLUMNS]
    assert table[list(COLUMNS)].to_numpy().min() >= 0
    assert table[list(COLUMNS)].to_numpy().max() <= 1
    return table


def test_the_headline_is_the_mean_of_nine_rank_correlations_on_the_validation_part(done):
    folder, page = done
    truth = pd.read_csv(folder / "corpus" / "lab" / "devel.csv").set_index("filename")
    answer = answers_of(folder / "out", "validation").set_index("filename").loc[truth.index]
    rho = [stats.spearmanr(truth[name], answer[name]).statistic for name in COLUMNS]
    r = [stats.pearsonr(truth[name], answer[name]).statistic for name in COLUMNS]
    mean = next(line for line in page.splitlines() if line.startswith("| mean |"))
    assert mean.startswith(f"| mean | {np.mean(rho):.3f} [")
    assert f"| {np.mean(r):.3f} [" in mean
    assert np.mean(rho) > 0.8  # the sound says it all
    anger = next(line for line in page.splitlines() if line.startswith("| anger |"))
    assert anger == f"| anger | {rho[0]:.3f} | {r[0]:.3f} |"
    assert "interval by utterance: speakers are not known" in page
    assert (folder / "out" / "report.md").read_text("utf-8") == page


def test_masked_clips_get_numbers_in_a_table_like_the_challenges(done):
    folder, _ = done
    table = answers_of(folder / "out", "test")
    assert list(table["filename"]) == ["[0061].wav", "[0062].wav", "[0063].wav"]


def test_the_checkpoint_has_nine_outputs_and_says_what_they_are(done):
    folder, _ = done
    head, card = checkpoint.load(folder / "out" / "checkpoint")
    assert card["labels"] == list(HUME_9)
    assert card["output"] == "sigmoid"
    assert head.config.n_outputs == 9
    assert head.config.n_layers == 2
    assert json.loads((folder / "out" / "checkpoint" / "card.json").read_text("utf-8"))["l2"] >= 0


def test_nothing_is_learned_or_chosen_from_the_validation_part(done):
    folder, page = done
    other = run(plant(folder / "turned", devel_turned=True), folder, folder / "out-turned")
    for part in ("validation", "test"):
        name = f"predictions-{part}.csv"
        assert (folder / "out-turned" / name).read_bytes() == (folder / "out" / name).read_bytes()
    assert other != page


def test_without_a_validation_part_there_is_nothing_to_report(done, tmp_path):
    folder, _ = done
    root = plant(tmp_path / "corpus")
    (root / "lab" / "devel.csv").unlink()
    with pytest.raises(CorpusError, match=r"0 in lab/devel.csv: both parts are needed"):
        run(root, folder, tmp_path / "out")
