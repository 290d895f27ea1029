"""Networks on spectrograms: clips alone and in batches, what is refused, and pooling."""

from functools import cache

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import tiny_whisper
from affekt import checkpoint
from affekt.exceptions import AffektError
from affekt.models import (
    MODELS,
    AlexNetAttention,
    AlexNetAttentionConfig,
    MobileNetAttention,
    MobileNetAttentionConfig,
    MultiScale,
    MultiScaleConfig,
    PyResNet,
    PyResNetConfig,
    ResNet,
    ResNetConfig,
    Vgg,
    VggConfig,
)  # fmt: skip
from affekt.models.convolutions import as_maps
from affekt.models.lengths import read
from affekt.models.pooling import AttentionPooling, MeanPooling
from affekt.models.vgg import grid_of_means
from drawn_tensors import first, on_paper, random

one_thread = pytest.fixture(scope="module", autouse=True)(tiny_whisper.one_thread)

N_MELS = 64
CLIPS = (69, 64, 97)  # frames: the last is the longest, the others are padded
NETWORKS = {
    "mobilenet_attention": ("mobilenet_attention", {}),
    "vgg": ("vgg", {}),
    "vgg_attention": ("vgg", {"pooling": "attention", "batch_norm": False}),
    "resnet": ("resnet", {}),
    "resnet_attention": ("resnet", {"pooling": "attention"}),
    "pyresnet": ("pyresnet", {"n_mels": N_MELS}),
    "alexnet_attention": ("alexnet_attention", {}),
    "multiscale_resnet": ("multiscale", {"n_branches": 5, "mts_layers": (0, 3)}),
    "multiscale_alexnet": ("multiscale", {"backbone": "alexnet", "compat": True}),
}
every_network = pytest.mark.parametrize("name", NETWORKS)


def batch():
    """Clips, behind whose ends it is loud, and the mask."""
    mask = first(CLIPS, max(CLIPS))
    x = random(len(CLIPS), N_MELS, max(CLIPS))
    return torch.where(mask[:, None], x, 7.0), mask


def build(name, **settings):
    register_name, ours = NETWORKS[name]
    config_class, module_class = MODELS[register_name]
    torch.manual_seed(0)
    return module_class(config_class(n_outputs=4, **ours, **settings))


@cache
def settled(name):
    """A network in evaluation, its normalisation as if it had been trained on such clips."""
    return settle(build(name))


@torch.no_grad()
def settle(model):
    for part in model.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.momentum = 1.0
    model.train()(random(4, N_MELS, 70, seed=9))
    return model.eval()


# every network


@every_network
@torch.inference_mode()
def test_a_clip_in_a_padded_batch_gets_the_logits_it_gets_alone(name):
    model = settled(name)
    x, mask = batch()
    together = model(x, mask)
    assert together.shape == (3, 4)
    for row, n in enumerate(CLIPS):
        alone = model(x[row : row + 1, :, :n])[0]
        torch.testing.assert_close(together[row], alone, rtol=1e-4, atol=1e-4)
    assert (model(x)[0] - together[0]).abs().max() > 1e-3  # else the mask would not matter
    assert torch.equal(model(x, torch.ones_like(mask)), model(x))


@every_network
@torch.inference_mode()
def test_logits_are_the_classifier_on_the_embedding(name):
    model = settled(name)
    x, mask = batch()
    embedded = model.embed(x, mask)
    assert embedded.shape == (3, model.classifier.in_features)
    assert torch.equal(model.classifier(embedded), model(x, mask))


@every_network
def test_a_checkpoint_gives_back_the_network(name, tmp_path):
    model = settled(name)
    checkpoint.save(tmp_path, model, {"labels": ["anger", "sadness", "neutral", "happiness"]})
    loaded, card = checkpoint.load(tmp_path)
    assert (type(loaded), loaded.config) == (type(model), model.config)
    assert card["model"] == NETWORKS[name][0]
    x, mask = batch()
    with torch.inference_mode():
        assert torch.equal(loaded(x, mask), model(x, mask))


@every_network
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_maps_and_their_gradients_stay_channels_last(name, dtype):
    """Else a step on a CPU takes several times as long."""
    model = build(name)
    strayed, seen = [], []

    def check(where, maps):
        seen.append(where)
        several = maps.shape[1] > 1 and maps.shape[2] * maps.shape[3] > 1
        if several and maps.stride(1) != 1:
            strayed.append((where, tuple(maps.shape)))

    def watch(layer, inputs, maps):
        check("forward", maps)
        maps.register_hook(lambda gradient: check("back", gradient))

    for part in model.modules():
        if isinstance(part, nn.Conv2d):
            part.register_forward_hook(watch)
    with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
        loss = model(*batch()).float().square().sum()
    loss.backward()
    assert seen.count("forward") == seen.count("back") >= 5
    assert not strayed


@every_network
def test_training_reaches_every_parameter(name):
    model = build(name)
    if name == "mobilenet_attention":  # its attention begins silent: only gamma learns at first
        nn.init.constant_(model.pooling[0].gamma, 0.5)
    F.cross_entropy(model(*batch()), torch.tensor([0, 1, 2])).backward()
    unread = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    # a bias in front of a normalisation changes nothing, so rounding alone moves it
    assert not [n for n in unread if not n.endswith("bias")]


# clips, bins and settings that cannot be


@pytest.mark.parametrize(("model", "shortest"), [
    ((Vgg, VggConfig(4)), 32), ((AlexNetAttention, AlexNetAttentionConfig(4)), 63),
    ((MultiScale, MultiScaleConfig(4, "alexnet", n_branches=5)), 21),
    ((ResNet, ResNetConfig(4)), 1), ((PyResNet, PyResNetConfig(4, n_mels=N_MELS)), 1),
    ((MobileNetAttention, MobileNetAttentionConfig(4)), 1),
    ((MultiScale, MultiScaleConfig(4, n_branches=5)), 1),
], ids=["vgg", "alexnet", "mts_alexnet", "resnet", "pyresnet", "mobilenet", "mts"])  # fmt: skip
@torch.inference_mode()
def test_a_clip_can_be_so_short_and_no_shorter(model, shortest):
    module_class, config = model
    network = module_class(config).eval()
    x = random(2, N_MELS, 64)
    alone = network(x[:1, :, :shortest])
    assert alone.isfinite().all()
    together = network(x, first([shortest, 64], 64))
    torch.testing.assert_close(together[:1], alone, rtol=1e-4, atol=1e-5)
    if shortest > 1:
        for short in (x[:1, :, : shortest - 1], None), (x, first([shortest - 1, 64], 64)):
            with pytest.raises(AffektError, match="a clip is too short for the network"):
                network(*short)


@torch.inference_mode()
@pytest.mark.parametrize(("module_class", "config", "fewest"), [
    (Vgg, VggConfig(4), 32), (AlexNetAttention, AlexNetAttentionConfig(4), 63),
])  # fmt: skip
def test_too_few_mel_bands_are_no_error_of_torch(module_class, config, fewest):
    network = module_class(config).eval()
    assert network(random(1, fewest, 200)).isfinite().all()
    with pytest.raises(AffektError, match="too few mel bands for the network"):
        network(random(1, fewest - 1, 200))


def test_a_pyresnet_names_the_number_of_mel_bins_it_takes():
    model = PyResNet(PyResNetConfig(n_outputs=4, n_mels=32))
    assert model.classifier.in_features == 2048
    with pytest.raises(AffektError, match="64 mel bins for a PyResNet of 32"):
        model(random(1, 64, 20))


@every_network
def test_spectrograms_of_another_shape_are_refused(name):
    with pytest.raises(AffektError, match=r"shape \(1, 1, 64, 70\).*\(batch, n_mels, time\)"):
        build(name)(random(1, 1, 64, 70))


@pytest.mark.parametrize(("config", "settings", "said"), [
    (VggConfig, {"depth": 12}, r"depth 12: there is 11, 13, 16, 19"),
    (ResNetConfig, {"depth": 20}, r"depth 20: there is 18, 34, 50, 101, 152"),
    (PyResNetConfig, {"depth": 18}, r"depth 18: there is 50, 101, 152"),
    (PyResNetConfig, {"n_mels": 0}, r"n_mels is 1 or more"),
    (PyResNetConfig, {"dropout": 1.0}, r"dropout from 0 to below 1"),
    (MultiScaleConfig, {"depth": 20}, r"depth 20: there is 18"),
    (MultiScaleConfig, {"backbone": "vgg"}, r"backbone 'vgg': there is alexnet, resnet"),
    (MultiScaleConfig, {"n_branches": 4}, r"n_branches 4: there is 3, 5"),
    (MultiScaleConfig, {"mts_layers": (1, 5)}, r"mts_layers with 5: there is 0, 1, 2, 3, 4"),
    (VggConfig, {"pooling": "max"}, r"pooling 'max': there is mean, attention"),
    (ResNetConfig, {"pooling": "max"}, r"pooling 'max'"),
    (MultiScaleConfig, {"pooling": "max"}, r"pooling 'max'"),
    (VggConfig, {"pooling": "attention", "compat": True}, r"compat pools as the original does"),
    *((c, {"n_outputs": 0}, r"n_outputs is 1 or more") for c in (
        VggConfig, ResNetConfig, PyResNetConfig, MultiScaleConfig, AlexNetAttentionConfig,
        MobileNetAttentionConfig)),
])  # fmt: skip
def test_settings_that_cannot_be_are_refused(config, settings, said):
    with pytest.raises(ValueError, match=said):
        config(**{"n_outputs": 4, **settings})


# pooling


def test_attention_pooling_is_the_formula_written_out():
    torch.manual_seed(0)
    pooling = AttentionPooling(5)
    assert pooling.scale == 0.3
    maps, lengths = 3 * random(2, 5, 3, 4), [4, 2]
    found = pooling(maps, torch.tensor(lengths))
    w, b = (p.detach().double() for p in (pooling.hidden.weight, pooling.hidden.bias))
    u = pooling.score.weight.detach().double()[0]
    for row, n in enumerate(lengths):
        cells = [maps[row, :, f, t].double() for f in range(3) for t in range(n)]
        shares = [(0.3 * (u @ (w @ cell + b).tanh())).exp() for cell in cells]
        expected = sum(s * cell for s, cell in zip(shares, cells, strict=True)) / sum(shares)
        torch.testing.assert_close(found[row].double(), expected, rtol=1e-5, atol=1e-6)


def test_attentions_weights_sum_to_1_and_are_0_behind_a_clips_end():
    torch.manual_seed(0)
    weights = AttentionPooling(5).weights(random(2, 5, 3, 4), torch.tensor([4, 2]))
    assert weights.shape == (2, 3, 4)
    torch.testing.assert_close(weights.sum((1, 2)), torch.ones(2))
    assert not weights[1, :, 2:].any()
    assert (weights[0] > 0).all()
    assert weights.std() > 0.005


def test_attention_of_scale_0_is_the_mean():
    maps, lengths = random(2, 5, 3, 4), torch.tensor([4, 2])
    for n in (None, lengths):
        found = AttentionPooling(5, scale=0.0)(maps, n)
        torch.testing.assert_close(found, MeanPooling()(maps, n))
    torch.testing.assert_close(MeanPooling()(maps, lengths)[1], maps[1, :, :, :2].mean((1, 2)))


@pytest.mark.parametrize("name", ["vgg_attention", "resnet_attention", "alexnet_attention"])
def test_networks_hand_the_scale_to_their_attention(name):
    assert build(name, attention_scale=0.6).pooling.scale == 0.6


def test_the_grid_of_means_is_torchs_adaptive_pooling_of_each_clip():
    lengths = [1, 2, 6, 7, 8, 13, 20]
    maps = random(len(lengths), 3, 4, 20)
    found = grid_of_means(maps, torch.tensor(lengths))
    for row, n in enumerate(lengths):
        alone = F.adaptive_avg_pool2d(maps[row, :, :, :n], 7)
        torch.testing.assert_close(found[row], alone, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(grid_of_means(maps, None), F.adaptive_avg_pool2d(maps, 7))


def test_the_head_of_the_original_hears_a_clip_in_a_batch_as_alone():
    model = on_paper(Vgg, VggConfig(n_outputs=4, compat=True)).pooling
    shapes = [tuple(part.weight.shape) for part in model.hidden if isinstance(part, nn.Linear)]
    assert shapes == [(4096, 512 * 7 * 7), (4096, 4096)]
    assert [part.p for part in model.hidden if isinstance(part, nn.Dropout)] == [0.5, 0.5]
    maps = random(2, 512, 4, 5)
    model.hidden = nn.Sequential(nn.Flatten())  # the layers behind it read one row at a time
    together = model(maps, torch.tensor([3, 5]))
    torch.testing.assert_close(together[:1], model(maps[:1, :, :, :3], None), rtol=1e-5, atol=1e-6)


def test_a_pyresnet_pools_time_only_and_drops_in_training_only():
    model = settle(PyResNet(PyResNetConfig(n_outputs=4, n_mels=N_MELS, dropout=0.5)))
    x = random(2, N_MELS, 70)
    with torch.inference_mode():
        maps, _ = read(model.features, as_maps(x), None)
        embedded = model.embed(x)
        torch.testing.assert_close(embedded.view(2, 2048, 2), maps.mean(-1))
        share = (model.train().embed(x) == 0).double().mean() - (embedded == 0).double().mean()
    assert 0.2 < share < 0.6
