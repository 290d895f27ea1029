"""Networks on spectrograms: how many numbers, maps of which size, Dusha's published weights."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import tiny_whisper
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
from affekt.models.lengths import read
from affekt.models.mobilenet_attention import SelfAttention
from drawn_tensors import first, on_paper, random

one_thread = pytest.fixture(scope="module", autouse=True)(tiny_whisper.one_thread)


def n_parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


# how many numbers, and the maps' sizes


TORCHVISION_RESNET = {  # published: 3 channels, 1000 outputs
    18: 11_689_512, 34: 21_797_672, 50: 25_557_032, 101: 44_549_160, 152: 60_192_808
}  # fmt: skip
TORCHVISION_VGG = {  # (without, with batch normalisation)
    11: (132_863_336, 132_868_840), 13: (133_047_848, 133_053_736),
    16: (138_357_544, 138_365_992), 19: (143_667_240, 143_678_248),
}  # fmt: skip


def test_the_dusha_network_has_514_909_parameters_and_11_614_buffered_numbers():
    model = MobileNetAttention(MobileNetAttentionConfig(n_outputs=4))
    assert n_parameters(model) == 514_909
    assert sum(buffer.numel() for buffer in model.buffers()) == 11_614


@pytest.mark.parametrize(("depth", "n"), [(50, 22_825_220), (101, 40_285_444), (152, 54_618_372)])
def test_a_pyresnet_has_the_released_networks_parameters(depth, n):
    config_class, module_class = MODELS["pyresnet"]
    assert n_parameters(on_paper(module_class, config_class(n_outputs=4, depth=depth))) == n


@pytest.mark.parametrize("depth", TORCHVISION_RESNET)
def test_a_resnet_is_torchvisions_with_one_channel_and_four_outputs(depth):
    model = on_paper(ResNet, ResNetConfig(n_outputs=4, depth=depth))
    width = model.classifier.in_features
    fewer = 2 * 64 * 7 * 7 + 996 * (width + 1)
    assert n_parameters(model) == TORCHVISION_RESNET[depth] - fewer


@pytest.mark.parametrize("depth", TORCHVISION_VGG)
@pytest.mark.parametrize("batch_norm", [False, True])
def test_a_vgg_with_the_head_of_the_original_is_torchvisions(depth, batch_norm):
    config = VggConfig(n_outputs=4, depth=depth, batch_norm=batch_norm, compat=True)
    fewer = 2 * 64 * 3 * 3 + 996 * 4097
    expected = TORCHVISION_VGG[depth][batch_norm] - fewer
    assert n_parameters(on_paper(Vgg, config)) == expected
    layers = 512 * 49 * 4096 + 4096 + 4096 * 4096 + 4096 + 4096 * 4 + 4
    plain = VggConfig(n_outputs=4, depth=depth, batch_norm=batch_norm)
    assert n_parameters(on_paper(Vgg, plain)) == expected - layers + 512 * 4 + 4


def test_the_alexnet_has_its_five_convolutions_normalised_attention_and_one_layer():
    shapes = [(1, 64, 11), (64, 192, 5), (192, 384, 3), (384, 256, 3), (256, 256, 3)]
    convolutions = sum(a * b * k * k + b + 2 * b for a, b, k in shapes)
    expected = convolutions + (256 * 256 + 256 + 256) + (256 * 4 + 4)
    model = on_paper(AlexNetAttention, AlexNetAttentionConfig(n_outputs=4))
    assert n_parameters(model) == expected == 2_523_588


@pytest.mark.parametrize("config", [
    MultiScaleConfig(4), MultiScaleConfig(4, depth=152, n_branches=5),
    MultiScaleConfig(4, "alexnet", pooling="attention")])  # fmt: skip
def test_tied_scales_cost_no_parameter(config):
    if config.backbone == "alexnet":
        plain = on_paper(AlexNetAttention, AlexNetAttentionConfig(4))
    else:
        plain = on_paper(ResNet, ResNetConfig(4, depth=config.depth))
    assert n_parameters(on_paper(MultiScale, config)) == n_parameters(plain)


def test_a_pyresnets_maps_have_the_sizes_of_the_released_network():
    model = on_paper(PyResNet, PyResNetConfig(n_outputs=4))
    maps = torch.empty(2, 1, 128, 157, device="meta")
    shapes = []
    for stage in model.features:
        maps, _ = read(stage, maps, None)
        shapes.append(tuple(maps.shape[1:]))
    expected = [(64, 64, 79), (256, 32, 40), (512, 16, 20), (1024, 8, 10), (2048, 4, 5)]
    assert shapes == expected
    assert model.classifier.in_features == 8192


@pytest.mark.parametrize(("model", "shape"), [
    ((ResNet, ResNetConfig(4)), (512, 4, 5)),
    ((ResNet, ResNetConfig(4, depth=152)), (2048, 4, 5)),
    ((Vgg, VggConfig(4)), (512, 4, 4)),
    ((AlexNetAttention, AlexNetAttentionConfig(4)), (256, 3, 3)),
    ((MultiScale, MultiScaleConfig(4, depth=50, n_branches=5)), (2048, 4, 5)),
    ((MultiScale, MultiScaleConfig(4, "alexnet")), (256, 14, 18)),  # no stride in its first
], ids=["resnet18", "resnet152", "vgg", "alexnet", "mts_resnet", "mts_alexnet"])  # fmt: skip
def test_five_seconds_of_128_mels_leave_maps_of_this_size(model, shape):
    network = on_paper(*model)
    maps, _ = read(network.features, torch.empty(1, 1, 128, 157, device="meta"), None)
    assert tuple(maps.shape[1:]) == shape


# the Dusha network's published weights


def golden_input():
    i, j = torch.arange(64.0)[:, None], torch.arange(200.0)[None]
    wave = -40 + 20 * (i / 7).sin() + 20 * (j / 11).cos() * (i / 5 + j / 37).sin()
    return wave.clamp(-80, 0)[None]


@pytest.fixture(scope="module")
def podcast_model(shared):
    path = shared / "weights" / "dusha-podcast" / "state_dict.pt"
    model = MobileNetAttention(MobileNetAttentionConfig(n_outputs=4))
    model.load_state_dict(torch.load(path, weights_only=True, map_location="cpu"))
    return model.eval()


@pytest.mark.parametrize(("x", "logits"), [
    (golden_input(), (-5.2422, -3.5577, 1.6124, -4.7543)),
    (torch.full((1, 64, 100), -80.0), (-1.4116, 2.7628, 0.6339, -3.3786)),
    (torch.zeros(1, 64, 100), (-1.1038, 0.6910, 0.8239, -1.8205)),
    (torch.full((1, 64, 8), -40.0), (-4.2464, 1.6714, 1.9733, -4.7799)),
], ids=["waves", "silence", "loudest", "short"])  # fmt: skip
def test_the_published_weights_give_the_golden_logits(podcast_model, x, logits):
    with torch.inference_mode():
        found = podcast_model(x)
    torch.testing.assert_close(found, torch.tensor([logits]), rtol=0, atol=1e-3)


def test_the_published_weights_read_200_frames_into_8_by_25_cells(podcast_model):
    with torch.inference_mode():
        maps, _ = read(podcast_model.features, golden_input()[:, None], None)
    assert tuple(maps.shape) == (1, 128, 8, 25)
    assert podcast_model.pooling[0].gamma.item() == pytest.approx(-0.0134, abs=5e-5)


def test_the_published_weights_hear_a_clip_in_a_batch_as_alone_unless_told_otherwise(podcast_model):
    clip, longer = golden_input()[:, :, :101], golden_input()
    x = torch.cat([F.pad(clip, (0, 99)), longer])
    mask = first([101, 200], 200)
    as_paper = MobileNetAttention(MobileNetAttentionConfig(n_outputs=4, masked=False)).eval()
    as_paper.load_state_dict(podcast_model.state_dict())
    with torch.inference_mode():
        alone = podcast_model(clip)[0]
        torch.testing.assert_close(podcast_model(x, mask)[0], alone, rtol=0, atol=1e-4)
        assert (as_paper(x, mask)[0] - alone).abs().max() > 0.1
        assert torch.equal(as_paper(x, mask), as_paper(x))


def test_self_attention_adds_what_each_cell_reads_weighed_over_the_cells_it_reads():
    torch.manual_seed(0)
    attention = SelfAttention(8, reduction=4)
    maps, lengths = random(2, 8, 2, 3), torch.tensor([3, 2])
    assert torch.equal(attention(maps, lengths), maps)  # its weight begins at zero
    nn.init.constant_(attention.gamma, 0.7)
    found = attention(maps, lengths)
    w = {n: getattr(attention, n).weight.detach().double()[..., 0] for n in ("query", "key")}
    value = attention.value.weight.detach().double()[..., 0]
    for row, n in enumerate(lengths.tolist()):
        cells = [(f, t) for f in range(2) for t in range(n)]
        at = {cell: maps[row, :, cell[0], cell[1]].double() for cell in cells}
        for j in cells:
            scores = torch.stack([(w["query"] @ at[i]) @ (w["key"] @ at[j]) for i in cells])
            shares = scores.exp() / scores.exp().sum()
            heard = sum(s * (value @ at[i]) for s, i in zip(shares, cells, strict=True))
            torch.testing.assert_close(
                found[row, :, j[0], j[1]].double(), 0.7 * heard + at[j], rtol=1e-5, atol=1e-5
            )
