"""A linear probe on windows of frames before LSTM layers: windows, padding, what learns, files."""

import numpy as np
import pytest
import torch

import tiny_whisper
from affekt import checkpoint
from affekt.models import ProbedBlstm, ProbedBlstmConfig
from affekt.models.probed_blstm import windows

one_thread = pytest.fixture(scope="module", autouse=True)(tiny_whisper.one_thread)


def clips(lengths, n_features=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = 5 + torch.randn(len(lengths), max(lengths), n_features, generator=generator)
    return x, torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]


def network(seed=0, **settings):
    torch.manual_seed(seed)
    model = ProbedBlstm(ProbedBlstmConfig(4, n_features=3, beside=2, hidden=5, **settings)).eval()
    torch.nn.init.normal_(model.probe.linear.weight)
    return model


@pytest.mark.parametrize("beside", [0, 1, 4, 20])
def test_a_window_has_the_mean_and_deviation_of_what_is_there_of_it(beside):
    lengths = [9, 1, 6]
    x, mask = clips(lengths)
    found = windows(x, mask, beside).numpy()
    for clip, length, ours in zip(x.numpy(), lengths, found, strict=True):
        for t in range(length):
            part = clip[max(0, t - beside) : min(length, t + beside + 1)]
            spread = np.sqrt(np.maximum(part.var(0), 1e-6))
            np.testing.assert_allclose(ours[t], np.r_[part.mean(0), spread], atol=2e-5)


def test_digits_are_kept_where_the_mean_is_far_from_zero():
    x = 1000 + torch.tensor([0.0, 1.0] * 10).reshape(1, 20, 1)
    deviation = windows(x, None, 3)[0, 5:15, 1]
    wanted = np.std([0, 1, 0, 1, 0, 1, 0])
    np.testing.assert_allclose(deviation, wanted, atol=1e-4)


def test_what_stands_behind_a_clips_end_says_nothing():
    model = network()
    x, mask = clips([9, 4])
    dirty = x.clone()
    dirty[1, 4:] = 1e4
    alone = model(x[1:, :4])
    np.testing.assert_allclose(model(dirty, mask)[1, :4].detach(), alone[0].detach(), atol=1e-5)


def test_layers_read_what_the_probe_says_and_the_probe_stays_as_it_is():
    model = network().train()
    x, mask = clips([9, 4])
    torch.testing.assert_close(model(x, mask), model.blstm(model.said(x, mask), mask))
    model(x, mask).square().sum().backward()
    assert all(parameter.grad is None for parameter in model.probe.parameters())
    assert all(p.grad is not None for p in model.blstm.parameters() if p.requires_grad)


def test_its_checkpoint_gives_the_same_answers(tmp_path):
    model = network()
    checkpoint.save(tmp_path, model, {"labels": ["a", "b", "c", "(blank)"]})
    other, _ = checkpoint.load(tmp_path)
    x, mask = clips([9, 4])
    assert torch.equal(other(x, mask), model(x, mask))


@pytest.mark.parametrize(
    "settings", [{"n_outputs": 1}, {"n_features": 0}, {"hidden": 0}, {"beside": -1}]
)
def test_sizes_that_cannot_be_are_refused(settings):
    with pytest.raises(ValueError, match="or more"):
        ProbedBlstmConfig(**({"n_outputs": 4} | settings))
