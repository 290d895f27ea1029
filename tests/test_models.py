"""Heads, pooling, rounding and the probe: closed forms, the formulas written out, invariances."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import tiny_whisper
from affekt.batches import collate
from affekt.models import MODELS, LinearHead, LinearHeadConfig, WhisperProbe, WhisperProbeConfig
from affekt.models.pooling import VARIANCE_FLOOR, mean_std
from affekt.models.rounding import int8, round_weights

one_thread = pytest.fixture(scope="module", autouse=True)(tiny_whisper.one_thread)


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


# pooling


def naive_mean_std(states, mask):
    """The definition, one segment and channel at a time."""
    batch, n_segments, _ = mask.shape
    width = states.shape[2]
    pooled = np.zeros((batch, n_segments, 2 * width))
    for b in range(batch):
        for s in range(n_segments):
            for c in range(width):
                values = [float(states[b, t, c]) for t in range(len(states[b])) if mask[b, s, t]]
                mean = sum(values) / len(values)
                variance = sum((value - mean) ** 2 for value in values) / len(values)
                pooled[b, s, c] = mean
                pooled[b, s, width + c] = max(variance, VARIANCE_FLOOR) ** 0.5
    return pooled


def test_pooling_equals_the_formula_written_out():
    states = random(3, 11, 4)
    mask = random(3, 5, 11, seed=1) > 0
    mask[:, :, 0] = True
    np.testing.assert_allclose(mean_std(states, mask), naive_mean_std(states, mask), atol=1e-5)


def test_frames_outside_a_segment_do_not_matter():
    states = random(2, 10, 4)
    mask = torch.zeros(2, 1, 10, dtype=torch.bool)
    mask[:, :, 3:7] = True
    other = states.clone()
    other[:, :3], other[:, 7:] = 50.0, -20.0
    torch.testing.assert_close(mean_std(states, mask), mean_std(other, mask), rtol=1e-4, atol=1e-4)


def test_several_segments_at_once_are_each_alone():
    states = random(1, 20, 4)
    mask = torch.zeros(1, 3, 20, dtype=torch.bool)
    for row, (start, end) in enumerate([(0, 20), (3, 4), (5, 15)]):
        mask[0, row, start:end] = True
    together = mean_std(states, mask)
    for row in range(3):
        alone = mean_std(states, mask[:, row : row + 1])
        torch.testing.assert_close(together[:, row : row + 1], alone, rtol=0, atol=1e-6)


def test_order_of_frames_does_not_matter():
    states, mask = random(1, 20, 4), torch.ones(1, 1, 20, dtype=torch.bool)
    shuffled = states[:, torch.randperm(20, generator=torch.Generator().manual_seed(0))]
    torch.testing.assert_close(mean_std(states, mask), mean_std(shuffled, mask))


def test_a_channel_far_from_zero_keeps_its_spread():
    """E[x^2] - E[x]^2 in float32 would lose all of it."""
    states = 3000 + random(1, 400, 2)
    pooled = mean_std(states, torch.ones(1, 1, 400, dtype=torch.bool))
    expected = states.double().std(1, unbiased=False)
    torch.testing.assert_close(pooled[0, :, 2:].double(), expected, rtol=1e-3, atol=0)


def test_one_frame_has_the_least_spread_and_a_finite_gradient():
    states = random(1, 5, 3).requires_grad_()
    mask = torch.zeros(1, 1, 5, dtype=torch.bool)
    mask[..., 2] = True
    pooled = mean_std(states, mask)
    torch.testing.assert_close(pooled[0, 0, 3:], torch.full((3,), VARIANCE_FLOOR**0.5))
    pooled.sum().backward()
    assert states.grad.isfinite().all()


# head


def test_a_new_head_says_nothing():
    head = LinearHead(LinearHeadConfig(n_outputs=4, n_features=6))
    assert not head(random(5, 1, 6)).any()


def test_a_head_equals_its_closed_form():
    head = LinearHead(LinearHeadConfig(n_outputs=3, n_features=4, n_layers=2))
    mean, scale = random(2, 4, seed=1), 1 + random(2, 4, seed=2).abs()
    head.mean, head.scale = mean, scale
    mix, weight, bias = random(2, seed=3), random(3, 4, seed=4), random(3, seed=5)
    with torch.no_grad():
        head.mix.copy_(mix)
        head.linear.weight.copy_(weight)
        head.linear.bias.copy_(bias)
    x = random(7, 2, 4)
    share = (mix[0].exp() / mix.exp().sum(), mix[1].exp() / mix.exp().sum())
    mixed = sum(share[k] * (x[:, k] - mean[k]) / scale[k] for k in range(2))
    torch.testing.assert_close(head(x), mixed @ weight.T + bias)


def test_a_head_takes_any_leading_shape():
    head = LinearHead(LinearHeadConfig(n_outputs=3, n_features=4, n_layers=2))
    nn.init.normal_(head.linear.weight)
    x = random(2, 5, 2, 4)
    assert head(x).shape == (2, 5, 3)
    torch.testing.assert_close(head(x)[1], head(x[1]))


def test_standardised_training_statistics_have_mean_zero_and_deviation_one():
    head = LinearHead(LinearHeadConfig(n_outputs=2, n_features=4, n_layers=2))
    x = 5 + 3 * random(50, 2, 4)
    head.standardise(x)
    standard = (x - head.mean) / head.scale
    torch.testing.assert_close(standard.mean(0), torch.zeros(2, 4), atol=1e-5, rtol=0)
    torch.testing.assert_close(standard.std(0, unbiased=False), torch.ones(2, 4))


def test_a_feature_that_never_varies_does_no_harm():
    head = LinearHead(LinearHeadConfig(n_outputs=2, n_features=4))
    nn.init.ones_(head.linear.weight)
    head.standardise(torch.ones(10, 1, 4))
    assert head(torch.ones(3, 1, 4)).isfinite().all()


def test_mean_and_scale_travel_with_the_weights():
    head = LinearHead(LinearHeadConfig(n_outputs=2, n_features=4))
    head.standardise(random(9, 1, 4))
    other = LinearHead(LinearHeadConfig(n_outputs=2, n_features=4))
    other.load_state_dict(head.state_dict())
    torch.testing.assert_close(other.mean, head.mean)
    assert "mean" not in dict(head.named_parameters())


# rounding

numbers = st.lists(
    st.floats(-1e4, 1e4, width=32).filter(lambda x: x == 0 or abs(x) > 1e-30),
    min_size=6,
    max_size=6,
)


@given(numbers)
@settings(max_examples=200)
def test_rounding_is_off_by_half_a_step_at_most(values):
    weight = torch.tensor(values).view(2, 3)
    levels, step = int8(weight)
    assert levels.dtype == torch.int8
    assert levels.abs().max() <= 127
    error = (levels.double() * step.double()[:, None] - weight.double()).abs()
    assert (error <= step.double()[:, None] / 2 * (1 + 1e-5)).all()


@given(numbers)
@settings(max_examples=200)
def test_rounding_twice_changes_nothing(values):
    layer = nn.Linear(3, 2)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(values).view(2, 3))
    round_weights(layer)
    once = layer.weight.clone()
    round_weights(layer)
    torch.testing.assert_close(layer.weight, once, rtol=1e-6, atol=0)


def test_weights_too_small_for_a_step_become_zero():
    levels, step = int8(torch.tensor([[4e-45, 0.0]]))
    assert levels.tolist() == [[0, 0]]
    assert step.tolist() == [1.0]


def test_every_channel_uses_the_whole_grid_and_zero_stays_zero():
    levels, step = int8(torch.tensor([[1.0, 0.0, -2.0], [0.0, 0.0, 0.0], [1e-3, 5e-4, 0.0]]))
    assert levels.tolist() == [[64, 0, -127], [0, 0, 0], [127, 64, 0]]
    torch.testing.assert_close(step, torch.tensor([2 / 127, 1.0, 1e-3 / 127]))


def test_matrices_and_convolutions_are_rounded_and_nothing_else():
    encoder = tiny_whisper.encoder()
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    round_weights(encoder)
    moved = {n for n, v in encoder.state_dict().items() if not torch.equal(v, before[n])}
    expected = {
        f"{name}.weight"
        for name, part in encoder.named_modules()
        if isinstance(part, nn.Linear | nn.Conv1d)
    }
    assert moved == expected
    assert len(expected) == 2 + 3 * 6


# probe


@pytest.fixture
def probe():
    config = WhisperProbeConfig(n_outputs=4, layers=(1, 3), width=32, n_heads=2)
    model = WhisperProbe(config)
    model.encoder = tiny_whisper.encoder()
    nn.init.normal_(model.head.linear.weight)
    return model.eval()


@torch.inference_mode()
def test_a_probe_is_encoder_pooling_and_head_one_after_the_other(probe):
    mel = random(1, 80, 30)
    states = probe.encoder(mel)
    whole = torch.ones(1, 1, 15, dtype=torch.bool)
    pooled = torch.stack([mean_std(states[layer], whole)[:, 0] for layer in (1, 3)], dim=1)
    torch.testing.assert_close(probe(mel), probe.head(pooled), rtol=0, atol=1e-5)


@torch.inference_mode()
def test_a_probe_gives_a_clip_in_a_batch_what_it_gives_it_alone(probe):
    clips = [random(80, n, seed=n).numpy() for n in (6, 7, 40, 41)]
    together = probe(*collate(clips))
    for row, clip in enumerate(clips):
        alone = probe(torch.from_numpy(clip)[None])[0]
        torch.testing.assert_close(together[row], alone, rtol=1e-4, atol=1e-5)


@torch.inference_mode()
def test_segments_of_a_recording_are_pooled_from_its_states(probe):
    mel = random(1, 80, 30)
    segments = torch.zeros(1, 2, 15, dtype=torch.bool)
    segments[0, 0, 2:9], segments[0, 1, 9:] = True, True
    found = probe.statistics(mel, None, segments)
    assert found.shape == (1, 2, 2, 64)
    state = probe.encoder(mel)[3][0]
    torch.testing.assert_close(found[0, 0, 1, :32], state[2:9].mean(0), rtol=0, atol=1e-5)
    torch.testing.assert_close(
        found[0, 1, 1, 32:], state[9:].std(0, unbiased=False), rtol=0, atol=1e-4
    )


def test_a_probe_builds_no_deeper_than_it_reads():
    assert WhisperProbeConfig(2, layers=(0,)).encoder().n_layers == 0
    assert WhisperProbeConfig(2, layers=(1, 4, 2)).encoder().n_layers == 4
    assert WhisperProbeConfig(2, layers=(1, 4, 2), width=64).head() == LinearHeadConfig(2, 128, 3)


@pytest.mark.parametrize("layers", [(), (-1,), (3, -2)])
def test_layers_that_cannot_be_are_refused(layers):
    with pytest.raises(ValueError, match="give one or more, from 0 up"):
        WhisperProbeConfig(2, layers=layers)


@pytest.mark.parametrize("name", MODELS)
def test_the_register_pairs_settings_with_their_network(name):
    config_class, module_class = MODELS[name]
    config = config_class(n_outputs=3)
    assert module_class(config).config is config
