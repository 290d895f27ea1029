"""The loop interrupted in every way and resumed bit for bit; states that do not fit."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import tiny_whisper
from affekt.exceptions import CheckpointError
from affekt.models import LinearHead, LinearHeadConfig
from affekt.train import Trained
from toy_training import (
    N_STEPS,
    OPTIONS,
    Wobbly,
    assert_same_weights,
    head,
    kill_at,
    run_two_processes,
    stop_at,
    toy,
    train,
    wobbly,
)

MODELS = {"head": head, "wobbly": wobbly}
one_thread = pytest.fixture(scope="module", autouse=True)(tiny_whisper.one_thread)


# resuming


@pytest.mark.parametrize(
    ("stopped_at", "kind"),
    [(2, KeyboardInterrupt), (4, RuntimeError), (5, KeyboardInterrupt), (24, RuntimeError)],
)
@pytest.mark.parametrize("name", MODELS)
def test_an_interrupted_run_ends_with_the_same_weights(tmp_path, name, stopped_at, kind):
    whole, resumed = MODELS[name](), MODELS[name]()
    train(whole, toy(), OPTIONS)
    state = tmp_path / "state.safetensors"
    with pytest.raises(kind):
        train(resumed, toy(), OPTIONS, state=state, on_step=stop_at(stopped_at, kind))
    fresh = MODELS[name]()
    result = train(fresh, toy(), OPTIONS, state=state)
    assert result.resumed_from == (stopped_at - 1) // 4 * 4  # told of a step before it is saved
    assert_same_weights(fresh, whole)


def test_a_run_interrupted_again_and_again_ends_with_the_same_weights(tmp_path):
    whole, state = wobbly(), tmp_path / "state.safetensors"
    train(whole, toy(), OPTIONS)
    for stopped_at in (6, 6, 11, 15, 22):
        on_step = stop_at(stopped_at, KeyboardInterrupt)
        with pytest.raises(KeyboardInterrupt):
            train(wobbly(), toy(), OPTIONS, state=state, on_step=on_step)
    last = wobbly()
    train(last, toy(), OPTIONS, state=state)
    assert_same_weights(last, whole)


def test_the_first_weights_of_a_resumed_run_do_not_matter(tmp_path):
    whole, state = wobbly(), tmp_path / "state.safetensors"
    train(whole, toy(), OPTIONS)
    on_step = stop_at(14, KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        train(wobbly(), toy(), OPTIONS, state=state, on_step=on_step)
    torch.manual_seed(99)
    other = Wobbly()
    train(other, toy(), OPTIONS, state=state)
    assert_same_weights(other, whole)


def test_the_mean_loss_of_a_resumed_epoch_is_over_the_steps_that_ran(tmp_path):
    state, told = tmp_path / "state.safetensors", []
    options = replace(OPTIONS, save_every=3)
    with pytest.raises(KeyboardInterrupt):
        train(head(), toy(), options, state=state, on_step=stop_at(4, KeyboardInterrupt))
    result = train(head(), toy(), options, state=state, on_step=lambda *s: told.append(s[2]))
    assert result.resumed_from == 3
    assert result.losses[0] == pytest.approx(told[0])
    assert result.losses[1] == pytest.approx(np.mean(told[1:5]))


def test_a_finished_run_is_not_run_again(tmp_path):
    whole, again, state = wobbly(), wobbly(), tmp_path / "state.safetensors"
    train(whole, toy(), OPTIONS, state=state)
    told = []
    result = train(again, toy(), OPTIONS, state=state, on_step=lambda *step: told.append(step))
    assert result == Trained((), N_STEPS)
    assert told == []
    assert_same_weights(again, whole)


KILLED = """
import time
from pathlib import Path
from toy_training import OPTIONS, toy, train, wobbly

def on_step(step, n_steps, loss):
    print(step, flush=True)
    time.sleep(0.05)

train(wobbly(), toy(), OPTIONS, state=Path({state!r}), on_step=on_step)
"""


def test_a_killed_run_ends_with_the_same_weights(tmp_path):
    state = tmp_path / "state.safetensors"
    kill_at(10, KILLED.format(state=str(state)))
    whole, resumed = wobbly(), wobbly()
    train(whole, toy(), OPTIONS)
    assert train(resumed, toy(), OPTIONS, state=state).resumed_from == 8
    assert_same_weights(resumed, whole)


# states that do not fit


@pytest.fixture
def state(tmp_path):
    path = tmp_path / "state.safetensors"
    train(head(), toy(), OPTIONS, state=path)
    return path


def frozen_bias():
    model = head()
    model.linear.bias.requires_grad_(False)
    return model


def wider_head():
    return LinearHead(LinearHeadConfig(n_outputs=3, n_features=5, n_layers=2))


def fewer_rows():
    return toy(22)


def other_targets():
    data = toy()
    return replace(data, target=data.target.flip(1))


def other_weights():
    data = toy()
    return replace(data, weight=data.weight + 1)


@pytest.mark.parametrize("other", [frozen_bias, wobbly, wider_head])
def test_the_state_of_another_model_is_refused(state, other):
    with pytest.raises(CheckpointError, match="another model, data or options; delete it"):
        train(other(), toy(), OPTIONS, state=state)


@pytest.mark.parametrize("other", [fewer_rows, other_targets, other_weights])
def test_the_state_of_other_data_is_refused(state, other):
    with pytest.raises(CheckpointError, match="another model, data or options; delete it"):
        train(head(), other(), OPTIONS, state=state)


@pytest.mark.parametrize(
    "change", [{"epochs": 7}, {"learning_rate": 0.1}, {"l2": 0.0}, {"seed": 1}, {"warmup": 0.5}]
)
def test_the_state_of_other_options_is_refused(state, change):
    with pytest.raises(CheckpointError, match="or give another output folder") as caught:
        train(head(), toy(), replace(OPTIONS, **change), state=state)
    assert str(caught.value).startswith(str(state))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("damage", ["truncated", "empty", "text", "folder"])
def test_a_damaged_state_is_refused(state, damage):
    data = state.read_bytes()
    contents = {"truncated": data[:-10], "empty": b"", "text": b"state of the art" * 9}
    if damage == "folder":
        state.unlink()
        state.mkdir()
    else:
        state.write_bytes(contents[damage])
    with pytest.raises(CheckpointError, match="not a readable training state") as caught:
        train(head(), toy(), OPTIONS, state=state)
    assert "\n" not in str(caught.value)


def test_a_foreign_file_of_tensors_is_refused(state):
    save_file({"model.linear.weight": torch.zeros(3, 5)}, state)
    with pytest.raises(CheckpointError, match="was made by another model"):
        train(head(), toy(), OPTIONS, state=state)


def test_a_state_holds_weights_moments_and_the_step(state):
    names = load_file(state).keys()
    assert {"model.linear.weight", "model.mean", "optimizer.0.exp_avg"} <= names


# several processes


SHARED_WORK = """
import sys
from accelerate import Accelerator
from safetensors.torch import save_file
from toy_training import OPTIONS, head, toy, train
assert Accelerator().num_processes == 2
model = head()
train(model, toy(25), OPTIONS)
save_file(model.state_dict(), sys.argv[1] + ".safetensors")
"""


@pytest.mark.slow
def test_two_processes_reach_what_one_reaches(tmp_path):
    """The last batch has one row: one of the two processes gets none of it."""
    run_two_processes(SHARED_WORK, tmp_path)
    alone = head()
    train(alone, toy(25), OPTIONS)
    for rank in range(2):
        found = load_file(tmp_path / f"{rank}.safetensors")
        for name, value in alone.state_dict().items():
            torch.testing.assert_close(found[name], value, rtol=1e-4, atol=1e-5)
