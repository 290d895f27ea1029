"""Steps that grow, rates and decay by parameter; and that older options mean what they meant."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import tiny_whisper
from affekt.batches import ArrayBatches
from affekt.exceptions import TrainingError
from affekt.models import LinearHead, LinearHeadConfig
from affekt.objectives import SoftLabels
from affekt.schedule import (
    NEWER,
    TrainOptions,
    optimizer_of,
    parameter_groups,
    settings_of,
    step_sizes,
)
from affekt.train import _identity, train

one_thread = pytest.fixture(scope="module", autouse=True)(tiny_whisper.one_thread)


def data():
    x = torch.arange(20.0).view(4, 1, 5)
    return ArrayBatches(x, torch.eye(3)[[0, 1, 2, 0]], torch.ones(4), batch_size=4, seed=0)


def head():
    return LinearHead(LinearHeadConfig(n_outputs=3, n_features=5))


class Two(nn.Module):
    """An encoder, a norm and a head."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.encoder = nn.Sequential(nn.Linear(5, 4), nn.LayerNorm(4))
        self.head = nn.Linear(4, 3)

    def forward(self, x, mask=None):
        return self.head(self.encoder(x[:, 0]))


# what older states were made with


@pytest.mark.parametrize(("options", "objective", "identity"), [
    (TrainOptions(), SoftLabels(),
     "66e68b40eadf659b525f5b229ac87cd22358be56569ad1ce7842c2e2a744231c"),
    (TrainOptions(epochs=50, learning_rate=3e-3, weight_decay=1e-2, clip=5.0,
                  precision="bfloat16"), SoftLabels(smoothing=0.1),
     "85b139867fffa8147c1ba31713fe74da8550a93e92f2cee47d1235b832750007"),
])  # fmt: skip
def test_a_state_from_before_the_newer_options_still_fits(options, objective, identity):
    """Both were computed before TrainOptions had them."""
    assert _identity(head(), data(), options, objective) == identity


@pytest.mark.parametrize(
    "change", [{"growing": True}, {"rates": (("linear", 0.1),)}, {"decay_matrices_only": True}]
)
def test_a_newer_option_that_changes_something_changes_the_identity(change):
    assert set(change) <= set(NEWER)
    plain, other = TrainOptions(), replace(TrainOptions(), **change)
    found = [_identity(head(), data(), options, SoftLabels()) for options in (plain, other)]
    assert found[0] != found[1]
    assert settings_of(other).keys() - settings_of(plain).keys() == change.keys()


def test_without_newer_options_there_is_one_group_in_the_models_order():
    model = Two()
    (group,) = optimizer_of(model, TrainOptions(weight_decay=0.3)).param_groups
    assert all(a is b for a, b in zip(group["params"], model.parameters(), strict=True))
    assert (group["factor"], group["weight_decay"], group["lr"]) == (1.0, 0.3, 1.0)


# growing


def test_four_quarters_of_the_steps_take_1_2_4_and_8_batches():
    (sizes,) = step_sizes(15 * 20, TrainOptions(epochs=1, growing=True))
    n = len(sizes)
    expected = [2 ** (4 * step // n) for step in range(n)]
    assert sizes[:-1] == expected[:-1]
    assert 1 <= sizes[-1] <= 8
    assert 80 <= n <= 84  # 20 of each would do; the quarters may be a little longer


def test_growing_multiplies_accumulate():
    (sizes,) = step_sizes(300, TrainOptions(epochs=1, accumulate=3, growing=True))
    assert set(sizes[:-1]) == {3, 6, 12, 24}


@given(n=st.integers(1, 200), epochs=st.integers(1, 6), by=st.integers(1, 3), growing=st.booleans())
def test_every_batch_is_in_one_step_and_no_step_in_two_epochs(n, epochs, by, growing):
    options = TrainOptions(epochs=epochs, accumulate=by, growing=growing)
    found = step_sizes(n, options)
    assert [sum(sizes) for sizes in found] == [n] * epochs
    n_steps = sum(map(len, found))
    step = 0
    for sizes in found:
        for number, size in enumerate(sizes):
            full = by * (2 ** (4 * step // n_steps) if growing else 1)
            assert size == full or (number == len(sizes) - 1 and 0 < size < full)
            step += 1


def test_the_loop_takes_as_many_steps_as_are_laid_out():
    rows = torch.randn(62, 1, 5, generator=torch.Generator().manual_seed(0))
    batches = ArrayBatches(rows, torch.eye(3)[torch.arange(62) % 3], torch.ones(62), 2, seed=0)
    told = []
    options = TrainOptions(epochs=2, growing=True)
    train(head(), batches, options, SoftLabels(), on_step=lambda *step: told.append(step[:2]))
    n_steps = sum(map(len, step_sizes(31, options)))
    assert told == [(step + 1, n_steps) for step in range(n_steps)]
    assert n_steps < 31


# rates and decay by parameter


def test_a_part_learns_at_a_fraction_of_the_rate():
    """One step of plain descent from the same weights: the change is rate times gradient."""
    changes = []
    for rates in ((), (("encoder.", 0.25),)):
        model = Two()
        before = {k: v.clone() for k, v in model.state_dict().items()}
        how = TrainOptions(epochs=1, learning_rate=0.1, optimizer="sgd", momentum=0.0, rates=rates)
        train(model, data(), how, SoftLabels())
        changes.append({k: v - before[k] for k, v in model.state_dict().items()})
    for name, change in changes[0].items():
        factor = 0.25 if name.startswith("encoder.") else 1.0
        torch.testing.assert_close(changes[1][name], factor * change)
        assert change.abs().max() > 0


def test_a_part_at_rate_zero_stays_as_it_is():
    model, fresh = Two(), Two()
    train(model, data(), TrainOptions(epochs=2, rates=(("encoder.", 0.0),)), SoftLabels())
    torch.testing.assert_close(model.encoder.state_dict(), fresh.encoder.state_dict())
    assert not torch.equal(model.head.weight, fresh.head.weight)


def test_biases_and_norms_do_not_decay_where_only_matrices_shall():
    groups = parameter_groups(Two(), TrainOptions(weight_decay=0.1, decay_matrices_only=True))
    assert {(g["weight_decay"], p.ndim) for g in groups for p in g["params"]} == {(0.1, 2), (0, 1)}


def test_a_name_that_begins_no_parameter_is_refused():
    with pytest.raises(TrainingError, match="no trained parameter's name begins with 'encodr"):
        parameter_groups(Two(), TrainOptions(rates=(("encodr.", 0.1),)))


def test_a_resumed_run_with_groups_ends_with_the_same_weights(tmp_path):
    how = TrainOptions(
        epochs=6, learning_rate=0.05, weight_decay=0.1, save_every=2,
        rates=(("encoder.", 0.1),), decay_matrices_only=True,
    )  # fmt: skip
    whole, state = Two(), tmp_path / "state.safetensors"
    train(whole, data(), how, SoftLabels())

    def stop(step, *_):
        if step == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(Two(), data(), how, SoftLabels(), state=state, on_step=stop)
    again = Two()
    assert train(again, data(), how, SoftLabels(), state=state).resumed_from == 4
    for name, value in whole.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name
    assert np.isfinite(whole.head.weight.detach().numpy()).all()
