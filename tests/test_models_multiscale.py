"""MTS: kernels stretched along time, against numpy, finite differences and plain convolutions."""

import itertools

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import functional_call
from torch.nn import functional as F

import tiny_whisper
from affekt.exceptions import AffektError
from affekt.models import MultiScale, MultiScaleConfig
from affekt.models.alexnet_attention import alexnet_trunk
from affekt.models.lengths import read
from affekt.models.multiscale import FACTORS, MultiScaleConv2d, resampled

one_thread = pytest.fixture(scope="module", autouse=True)(tiny_whisper.one_thread)


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def layer(factors=FACTORS[5], *, kernel=3, stride=1, padding=1, compat=False, seed=0):
    torch.manual_seed(seed)
    convolution = nn.Conv2d(2, 3, kernel, stride, padding)
    return MultiScaleConv2d(convolution, factors, compat)


def scaled_parts(model):
    return {n: p for n, p in model.named_modules() if isinstance(p, MultiScaleConv2d)}


# the layer against its definition


def stretched(x, n):
    """The last axis drawn as straight lines through its frames' centres, read at n centres."""
    m = x.shape[-1]
    at = (np.arange(n) + 0.5) * m / n - 0.5
    return np.apply_along_axis(lambda row: np.interp(at, np.arange(m), row), -1, x)


def convolved(x, kernel, bias, stride, padding):
    """One clip, (n_in, frequency, time), every sum written out."""
    x = np.pad(x, ((0, 0), (padding, padding), (padding, padding)))
    n_out, _, height, width = kernel.shape
    rows = range(0, x.shape[1] - height + 1, stride)
    columns = range(0, x.shape[2] - width + 1, stride)
    out = np.zeros((n_out, len(rows), len(columns)))
    for (i, f), (j, t) in itertools.product(enumerate(rows), enumerate(columns)):
        patch = x[:, f : f + height, t : t + width]
        out[:, i, j] = (kernel * patch).sum((1, 2, 3)) + bias
    return out


def naive(part, clip):
    """All scales' maps of one clip, (1 + n_factors, n_out, frequency, time)."""
    weight, bias = (p.detach().double().numpy() for p in part.convolution.parameters())
    stride, padding = part.convolution.stride[0], part.convolution.padding[0]
    maps = [convolved(clip, weight, bias, stride, padding)]
    for factor in part.factors:
        kernel = stretched(weight, int(np.floor(factor * weight.shape[-1])))
        scale = convolved(clip, kernel, bias, stride, padding)
        maps.append(stretched(scale, maps[0].shape[-1]))
    return np.stack(maps)


SHAPES = [(3, 1, 1), (3, 2, 1), (7, 2, 3), (5, 1, 2), (11, 1, 2)]  # kernel, stride, padding


@pytest.mark.parametrize(("kernel", "stride", "padding"), SHAPES)
@pytest.mark.parametrize("n_branches", [3, 5])
def test_the_layer_is_the_largest_of_all_scales_written_out(n_branches, kernel, stride, padding):
    part = layer(FACTORS[n_branches], kernel=kernel, stride=stride, padding=padding)
    x, lengths = random(2, 2, 9, 24), [24, 20]
    x[1, :, :, 20:] = 5.0
    found, shrunk = part(x, torch.tensor(lengths))
    alone, _ = part(x[:1], None)
    for row, n in enumerate(lengths):
        expected = naive(part, x[row, :, :, :n].double().numpy()).max(0)
        assert shrunk[row] == expected.shape[-1]
        ours = found[row, :, :, : expected.shape[-1]].detach()
        np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-5)
        if row == 0:
            np.testing.assert_allclose(alone[0].detach(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("kernel", "sizes"), [
    (3, (1, 2, 4, 6)), (5, (2, 3, 7, 10)), (7, (3, 4, 9, 14)), (11, (5, 7, 15, 22)),
    (1, (1, 1, 1, 2)),
])  # fmt: skip
def test_kernels_keep_their_height_and_have_the_factors_share_of_their_taps(kernel, sizes):
    part = layer(kernel=kernel, compat=True)
    assert part.sizes == sizes
    assert [tuple(branch.shape[2:]) for branch in part.branches] == [(kernel, n) for n in sizes]


def test_resampling_is_a_straight_line_through_the_frames():
    x = random(2, 3, 4, 9)
    for n in (1, 4, 8, 9, 10, 18):
        np.testing.assert_allclose(resampled(x, n), stretched(x.numpy(), n), rtol=0, atol=1e-5)
    assert resampled(x, 9) is x


@pytest.mark.parametrize(("kernel", "stride", "padding"), SHAPES)
def test_equal_scales_are_a_plain_convolution(kernel, stride, padding):
    part = layer((1.0, 1.0), kernel=kernel, stride=stride, padding=padding)
    x, lengths = random(3, 2, 9, 24), torch.tensor([24, 20, 17])
    for n in (None, lengths):
        maps, shrunk = part(x, n)
        plain, expected = read(part.convolution, x, n)
        assert (shrunk is expected is None) or torch.equal(shrunk, expected)
        for row in range(3):
            end = None if n is None else shrunk[row]
            torch.testing.assert_close(maps[row, ..., :end], plain[row, ..., :end])


@pytest.mark.parametrize("lengths", [None, torch.tensor([12, 7])], ids=["alone", "padded"])
def test_gradients_through_kernel_and_map_equal_finite_differences(lengths):
    part = layer().double()

    def largest(weight, bias, x):
        values = {"convolution.weight": weight, "convolution.bias": bias}
        maps, shrunk = functional_call(part, values, (x, lengths))
        valid = torch.arange(12) < (
            torch.tensor([[12], [12]]) if lengths is None else shrunk[:, None]
        )
        return maps * valid[:, None, None]

    weight, bias = (p.detach().clone().requires_grad_() for p in part.convolution.parameters())
    x = random(2, 2, 4, 12).double().requires_grad_()
    assert torch.autograd.gradcheck(largest, (weight, bias, x), fast_mode=False)


def test_a_stretched_scale_teaches_the_one_kernel_otherwise_than_a_plain_convolution_does():
    part, x = layer((2.0,)), random(1, 2, 4, 12)
    part(x, None)[0].sum().backward()
    tied = part.convolution.weight.grad.clone()
    part.convolution.weight.grad = None
    part.convolution(x).sum().backward()
    assert (tied - part.convolution.weight.grad).abs().max() > 0.1


@pytest.mark.parametrize("stride", [1, 2])
def test_a_clip_in_a_batch_is_read_as_alone_even_shorter_than_a_stretched_kernel(stride):
    part = layer(stride=stride)
    lengths = [1, 2, 3, 4, 5, 8, 13, 16]
    x = random(len(lengths), 2, 4, 16)
    together, shrunk = part(x, torch.tensor(lengths))
    for row, n in enumerate(lengths):
        alone, _ = part(x[row : row + 1, :, :, :n], None)
        assert shrunk[row] == alone.shape[-1]
        found = together[row : row + 1, ..., : shrunk[row]]
        torch.testing.assert_close(found, alone, rtol=1e-4, atol=1e-5)


def test_a_clip_shorter_than_the_kernel_itself_is_refused():
    with pytest.raises(AffektError, match=r"too short.* 6 frame\(s\) are left where it needs 7"):
        layer(kernel=11, padding=2)(random(1, 2, 9, 6), None)


@pytest.mark.parametrize("factors", [(), (0.0, 2.0), (-1.0,)])
def test_factors_that_cannot_be_are_refused(factors):
    with pytest.raises(ValueError, match="give one or more, all above 0"):
        layer(factors)


# the authors' tying


def test_both_ways_of_tying_compute_the_same():
    x = random(2, 2, 5, 12)
    tied, compat = layer(), layer(compat=True)
    with torch.inference_mode():
        assert torch.equal(compat(x, None)[0], tied(x, None)[0])
    assert sum(p.numel() for p in tied.parameters()) == 2 * 3 * 9 + 3
    assert sum(p.numel() for p in compat.parameters()) == 2 * 3 * 3 * (3 + 1 + 2 + 4 + 6) + 3


def stepped(seed=0):
    """One step of gradient descent on the branches, the kernel and the bias."""
    part = layer(compat=True, seed=seed)
    optimizer = torch.optim.SGD(part.parameters(), lr=0.1)
    part(random(2, 2, 5, 12), None)[0].square().sum().backward()
    assert all(p.grad.any() for p in part.parameters())
    optimizer.step()
    return part


def test_a_step_on_a_scale_lasts_until_the_next_pass_only():
    part = stepped()
    learnt = [branch.detach().clone() for branch in part.branches]
    part(random(1, 2, 5, 12), None)
    for branch, before, size in zip(part.branches, learnt, part.sizes, strict=True):
        assert (branch - before).abs().max() > 1e-3
        torch.testing.assert_close(branch, resampled(part.convolution.weight, size))


def test_averaging_takes_the_mean_of_all_scales_at_the_kernels_length():
    part = stepped()
    kernels = [k.detach().clone().numpy() for k in (part.convolution.weight, *part.branches)]
    bias = part.convolution.bias.detach().clone()
    part.average()
    expected = np.mean([stretched(kernel, 3) for kernel in kernels], axis=0)
    np.testing.assert_allclose(part.convolution.weight.detach(), expected, rtol=1e-4, atol=1e-5)
    assert torch.equal(part.convolution.bias, bias)
    assert np.abs(expected - kernels[0]).max() > 1e-3


def test_averaging_leaves_tied_kernels_alone():
    part = layer()
    before = part.convolution.weight.detach().clone()
    part.average()
    assert torch.equal(part.convolution.weight, before)


def test_two_passes_may_come_before_one_way_back():
    part, x = layer(compat=True), random(1, 2, 5, 12)
    (part(x, None)[0].sum() + part(2 * x, None)[0].sum()).backward()
    assert all(p.grad.isfinite().all() for p in part.parameters())


def test_a_network_averages_all_its_layers():
    torch.manual_seed(0)
    model = MultiScale(MultiScaleConfig(4, "alexnet", compat=True))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    F.cross_entropy(model(random(2, 32, 30)), torch.tensor([0, 1])).backward()
    optimizer.step()
    before = {n: p.convolution.weight.detach().clone() for n, p in scaled_parts(model).items()}
    model.average()
    assert len(before) == 2
    for name, part in scaled_parts(model).items():
        assert not torch.equal(part.convolution.weight, before[name])


# which scale wins


def test_wins_are_counted_over_valid_positions():
    part = layer()
    x, lengths = random(2, 2, 4, 12), [12, 7]
    expected = np.zeros(5, dtype=int)
    for row, n in enumerate(lengths):
        winners = naive(part, x[row, :, :, :n].double().numpy()).argmax(0)
        expected += np.bincount(winners.ravel(), minlength=5)
    wins = part.wins(x, torch.tensor(lengths))
    assert wins.tolist() == expected.tolist()
    assert wins.sum() == 3 * 4 * (12 + 7)
    assert (wins > 0).all()


def test_the_kernel_as_it_is_wins_ties():
    assert layer((1.0, 1.0)).wins(random(1, 2, 4, 6), None).tolist() == [72, 0, 0]


@pytest.mark.parametrize("training", [True, False])
def test_a_network_tells_the_winning_shares_of_each_layer_and_stays_as_it_was(training):
    torch.manual_seed(0)
    model = MultiScale(MultiScaleConfig(4, n_branches=5, mts_layers=(0, 2))).train(training)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    x, mask = random(2, 32, 40), torch.arange(40) < torch.tensor([[40], [33]])
    shares = model.winning_scales(x, mask)
    assert list(shares) == list(scaled_parts(model))
    for of_layer in shares.values():
        assert list(of_layer) == [1.0, 0.5, 0.7, 1.428, 2.0]
        assert sum(of_layer.values()) == pytest.approx(1)
        assert min(of_layer.values()) > 0
    stem = scaled_parts(model)["features.0.0"]
    counted = stem.wins(x[:, None], mask.sum(1)).double()
    assert list(shares["features.0.0"].values()) == pytest.approx(
        (counted / counted.sum()).tolist()
    )
    assert model.training is training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not any(part._forward_pre_hooks for part in model.modules())


# which layers read several scales


def shape_of(config):
    with torch.device("meta"):
        return MultiScale(config)


@pytest.mark.parametrize(("depth", "n"), [(18, 1 + 16), (50, 1 + 16), (152, 1 + 50)])
def test_in_a_resnet_the_stem_and_every_3x3_read_several_scales(depth, n):
    parts = scaled_parts(shape_of(MultiScaleConfig(4, depth=depth)))
    kernels = [part.convolution.kernel_size for part in parts.values()]
    assert sorted(kernels) == [(3, 3)] * (n - 1) + [(7, 7)]


def test_in_an_alexnet_the_first_two_do_and_the_first_has_no_stride():
    parts = scaled_parts(shape_of(MultiScaleConfig(4, "alexnet", n_branches=5)))
    found = [(p.convolution.kernel_size[0], p.convolution.stride[0]) for p in parts.values()]
    assert found == [(11, 1), (5, 1)]
    assert all(p.factors == (0.5, 0.7, 1.428, 2.0) for p in parts.values())


@pytest.mark.parametrize(("backbone", "layers", "n"), [
    ("alexnet", (), 0), ("alexnet", (1, 4), 2), ("resnet", (0,), 1), ("resnet", (3, 4), 8),
])  # fmt: skip
def test_mts_layers_restricts_them(backbone, layers, n):
    model = shape_of(MultiScaleConfig(4, backbone, mts_layers=layers))
    assert len(scaled_parts(model)) == n


def test_an_alexnet_without_several_scales_is_the_plain_one():
    model = MultiScale(MultiScaleConfig(4, "alexnet", mts_layers=())).eval()
    plain = alexnet_trunk().eval()
    plain.load_state_dict(model.features.state_dict())
    x = random(1, 1, 64, 70)
    with torch.inference_mode():
        assert torch.equal(read(model.features, x, None)[0], plain(x))
