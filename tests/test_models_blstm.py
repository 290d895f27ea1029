"""The BLSTM against its equations, in batches, and through a checkpoint."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

import tiny_whisper
from affekt import checkpoint
from affekt.exceptions import AffektError
from affekt.models import MODELS, Blstm, BlstmConfig, Dummy, Forest
from affekt.models.blstm import N_FRAMES, to_length
from drawn_tensors import first, random

one_thread = pytest.fixture(scope="module", autouse=True)(tiny_whisper.one_thread)

SMALL = {"n_features": 3, "hidden": 4, "dense": 6}


def network(seed=0, **settings):
    """A network whose every parameter, the biases too, is drawn."""
    model = Blstm(BlstmConfig(**{"n_outputs": 5, **SMALL, **settings})).eval()
    with torch.no_grad():
        for number, parameter in enumerate(model.parameters()):
            if parameter.requires_grad:
                parameter.copy_(0.7 * random(*parameter.shape, seed=100 * seed + number))
    return model


def test_the_ctc_network_has_the_papers_218117_parameters():
    model = Blstm(BlstmConfig(n_outputs=4 + 1, per_frame=True))
    n = sum(p.numel() for p in model.parameters() if p.requires_grad)
    lstm = sum(2 * 4 * 64 * (n_inputs + 64 + 1) for n_inputs in (34, 128))
    assert n == 218_117 == lstm + 129 * 512 + 513 * 5


def test_one_label_shares_all_but_the_output_layer():
    one_label, ctc = (Blstm(BlstmConfig(n, per_frame=n == 5)) for n in (4, 5))
    shapes = [{k: v.shape for k, v in m.state_dict().items()} for m in (one_label, ctc)]
    assert shapes[0].keys() == shapes[1].keys()
    assert {k for k in shapes[0] if shapes[0][k] != shapes[1][k]} == {
        "output.weight", "output.bias"
    }  # fmt: skip


def naive_direction(x, parameters, suffix):
    """LSTM of Hochreiter and Schmidhuber with forget gate, one frame after the other."""

    def sigmoid(v):
        return 1 / (1 + np.exp(-v))

    inputs, recurrent, bias = (parameters[f"{n}_l0{suffix}"] for n in
                               ("weight_ih", "weight_hh", "bias_ih"))  # fmt: skip
    width = recurrent.shape[1]
    state, cell, states = np.zeros(width), np.zeros(width), []
    for frame in x:
        i, f, g, o = np.split(inputs @ frame + recurrent @ state + bias, 4)
        cell = sigmoid(f) * cell + sigmoid(i) * np.tanh(g)
        state = sigmoid(o) * np.tanh(cell)
        states.append(state)
    return np.array(states)


def naive_blstm(model, x):
    """The network on one clip (n_frames, n_features), in float64, as figures 8 and 9 draw it."""
    config = model.config
    last = None
    for layer in model.layers:
        parameters = {k: v.detach().double().numpy() for k, v in layer.named_parameters()}
        forward = naive_direction(x, parameters, "")
        backward = naive_direction(x[::-1], parameters, "_reverse")
        last = np.concatenate([forward[-1], backward[-1]])
        x = np.concatenate([forward, backward if config.unreversed else backward[::-1]], axis=1)
    read = x if config.per_frame else last
    weights = {k: v.double().numpy() for k, v in model.state_dict().items()}
    dense = np.tanh(read @ weights["dense.weight"].T + weights["dense.bias"])
    return dense @ weights["output.weight"].T + weights["output.bias"]


@pytest.mark.parametrize("unreversed", [False, True])
@pytest.mark.parametrize("per_frame", [False, True])
def test_the_network_equals_its_equations_on_every_clip_of_a_batch(per_frame, unreversed):
    model = network(per_frame=per_frame, unreversed=unreversed)
    x, lengths = random(4, 9, 3), [9, 1, 4, 7]
    with torch.no_grad():
        logits = model(x, first(lengths, 9))
    for row, n in enumerate(lengths):
        expected = naive_blstm(model, x[row, :n].double().numpy())
        found = logits[row, :n] if per_frame else logits[row]
        np.testing.assert_allclose(found, expected, atol=2e-5)


@pytest.mark.parametrize("per_frame", [False, True])
def test_unreversed_is_another_network(per_frame):
    x = random(1, 6, 3)
    proper, compat = (network(per_frame=per_frame, unreversed=u)(x) for u in (False, True))
    assert (proper - compat).abs().max() > 0.01


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(1, 12), min_size=1, max_size=5), st.booleans(), st.booleans(),
       st.integers(0, 6))  # fmt: skip
def test_a_clips_logits_do_not_depend_on_its_batch(lengths, per_frame, unreversed, behind):
    model = network(per_frame=per_frame, unreversed=unreversed)
    n_frames = max(lengths) + behind
    x, mask = random(len(lengths), n_frames, 3, seed=behind), first(lengths, n_frames)
    with torch.no_grad():
        together = model(x.masked_fill(~mask[..., None], float("nan")), mask)
        for row, n in enumerate(lengths):
            alone = model(x[row : row + 1, :n])[0]
            found = together[row, :n] if per_frame else together[row]
            torch.testing.assert_close(found, alone, atol=1e-6, rtol=0)


def test_padding_passes_no_gradient():
    model, x, mask = network(per_frame=True), random(2, 6, 3).requires_grad_(), first([6, 2], 6)
    (model(x, mask) * mask[..., None]).sum().backward()
    assert not x.grad[1, 2:].any()
    assert x.grad[1, :2].abs().min() > 0


def test_without_a_mask_every_frame_is_valid():
    model, x = network(), random(2, 6, 3)
    torch.testing.assert_close(model(x), model(x, torch.ones(2, 6, dtype=torch.bool)))


def test_padding_to_a_length_hears_the_padding_and_cuts_what_is_longer():
    compat, proper = network(n_frames=8, per_frame=True), network(per_frame=True)
    x, mask = random(2, 10, 3), first([10, 4], 10)
    by_hand = torch.zeros(2, 8, 3)
    by_hand[0], by_hand[1, :4] = x[0, :8], x[1, :4]
    torch.testing.assert_close(compat(x, mask), proper(by_hand))
    heard = (compat(x, mask)[1, :4] - proper(x, mask)[1, :4]).abs().max()
    assert heard > 1e-3  # the backward layers come from the padding


def test_zeros_of_the_padding_are_zeros_after_standardising():
    model = network(n_frames=6)
    model.standardise(3 + 5 * random(50, 3))
    plain = network(n_frames=6)
    x = random(1, 4, 3)
    torch.testing.assert_close(model(x), plain((x - model.mean) / model.scale))


@pytest.mark.parametrize(("n_frames", "lengths"), [(3, [3, 3, 2]), (7, [5, 4, 2]), (5, [5, 4, 2])])
def test_to_length_pads_with_zeros_and_cuts(n_frames, lengths):
    x, before = random(3, 5, 2), first([5, 4, 2], 5)
    y, mask = to_length(x, before, n_frames)
    assert y.shape == (3, n_frames, 2)
    assert torch.equal(mask, first(lengths, n_frames))
    for row, n in enumerate(lengths):
        assert torch.equal(y[row, :n], x[row, :n])
        assert not y[row, n:].any()


def test_to_length_takes_the_papers_78_frames_and_all_as_valid():
    y, mask = to_length(random(1, 80, 2))
    assert y.shape == (1, N_FRAMES, 2) == (1, 78, 2)
    assert mask.all()


def test_standardised_frames_have_mean_0_and_deviation_1_and_constant_columns_stay_finite():
    model, frames = network(), 3 + 5 * random(200, 3)
    frames[:, 2] = 7.0
    model.standardise(frames)
    standard = (frames - model.mean) / model.scale
    torch.testing.assert_close(standard.mean(0), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(
        standard.std(0, unbiased=False), torch.tensor([1.0, 1.0, 0.0]), atol=1e-4, rtol=0
    )


def test_an_utterance_without_a_frame_is_named():
    with pytest.raises(AffektError, match=r"utterance 1 of the batch has no frame: leave it out"):
        network()(random(3, 4, 3), first([4, 0, 2], 4))
    with pytest.raises(AffektError, match="utterance 0 of the batch has no frame"):
        network()(random(1, 0, 3))


def test_a_mask_with_a_gap_is_refused():
    with pytest.raises(ValueError, match="must come first"):
        network()(random(1, 3, 3), torch.tensor([[True, False, True]]))


@pytest.mark.parametrize("settings", [
    {"n_outputs": 0}, {"hidden": 0}, {"dense": -1}, {"n_features": 0}, {"n_layers": 0},
    {"n_layers": 17}, {"n_frames": 0}])  # fmt: skip
def test_sizes_that_cannot_be_are_refused(settings):
    with pytest.raises(ValueError, match=r"or more|can be 1 to"):
        BlstmConfig(**{"n_outputs": 4, **settings})


def test_the_second_bias_of_torch_stays_zero_when_trained():
    model = Blstm(BlstmConfig(n_outputs=3, **SMALL))
    optimizer = torch.optim.Adam(p for p in model.parameters() if p.requires_grad)
    F.cross_entropy(model(random(8, 5, 3)), torch.arange(8) % 3).backward()
    optimizer.step()
    biases = {k: v for layer in model.layers for k, v in layer.named_parameters() if "bias" in k}
    assert not any(v.any() for k, v in biases.items() if "_hh_" in k)
    assert all(v.any() for k, v in biases.items() if "_ih_" in k)


def test_a_new_network_begins_with_open_forget_gates_and_orthogonal_recurrences():
    layer = Blstm(BlstmConfig(n_outputs=3)).layers[0]
    expected = torch.cat([torch.zeros(64), torch.ones(64), torch.zeros(128)])
    for name, parameter in layer.named_parameters():
        if name.startswith("bias_ih"):
            assert torch.equal(parameter, expected)
        if name.startswith("weight_hh"):
            for gate in parameter.detach().chunk(4):
                torch.testing.assert_close(gate @ gate.T, torch.eye(64), atol=1e-4, rtol=0)


def test_a_checkpoint_gives_back_the_network_its_statistics_and_its_compat_settings(tmp_path):
    model = network(n_outputs=3, per_frame=True, unreversed=True, n_frames=7)
    model.standardise(random(20, 3))
    checkpoint.save(tmp_path, model, {"labels": ["anger", "calm", "blank"]})
    loaded, card = checkpoint.load(tmp_path)
    assert card["model"] == "blstm"
    assert loaded.config == model.config
    x = random(2, 5, 3)
    assert torch.equal(loaded(x), model(x))


def test_the_register_knows_the_sequence_models():
    assert {name: MODELS[name][1] for name in ("blstm", "forest", "dummy")} == {
        "blstm": Blstm, "forest": Forest, "dummy": Dummy
    }  # fmt: skip
