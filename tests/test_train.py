"""The loop: against scikit-learn's optimum; interrupted in every way and resumed bit for bit."""

import math
import os
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

import tiny_whisper
from affekt.batches import ArrayBatches, Batch, FrameBatches, collate
from affekt.ctc import best_path
from affekt.exceptions import CheckpointError
from affekt.features.logmel import log_mel
from affekt.models import LinearHead, LinearHeadConfig, WhisperProbe, WhisperProbeConfig
from affekt.models.blstm import Blstm, BlstmConfig
from affekt.objectives import LabelSequences, SoftLabels
from affekt.train import Trained, TrainOptions, learning_rate
from affekt.train import train as train_to

HERE = Path(__file__).parent
OPTIONS = TrainOptions(epochs=6, learning_rate=0.05, l2=0.01, save_every=4)
N_STEPS = 6 * 4  # epochs * batches


def train(model, batches, options, objective=SoftLabels(), **rest):  # noqa: B008
    """Most of what the loop promises does not hang on the objective."""
    return train_to(model, batches, options, objective, **rest)


class Wobbly(nn.Module):
    """A network with dropout: what it does in a step depends on random numbers."""

    def __init__(self, n_hidden: int = 8) -> None:
        super().__init__()
        self.inner = nn.Linear(5, n_hidden)
        self.outer = nn.Linear(n_hidden, 3)

    def forward(self, x, mask):
        hidden = nn.functional.dropout(self.inner(x[:, 0]).relu(), 0.5, self.training)
        return self.outer(hidden)


def toy(n: int = 30, seed: int = 0) -> ArrayBatches:
    """Four batches of soft-labelled rows."""
    rng = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 1, 5, generator=rng)
    target = (x[:, 0, :3] + 0.3 * torch.randn(n, 3, generator=rng)).softmax(-1)
    return ArrayBatches(x, target, 0.5 + torch.rand(n, generator=rng), batch_size=8, seed=3)


def wobbly() -> Wobbly:
    torch.manual_seed(7)
    return Wobbly()


def head() -> LinearHead:
    return LinearHead(LinearHeadConfig(n_outputs=3, n_features=5))


MODELS = {"head": head, "wobbly": wobbly}
one_thread = pytest.fixture(scope="module", autouse=True)(tiny_whisper.one_thread)


def stop_at(last: int, kind: type[BaseException]):
    def on_step(step: int, n_steps: int, loss: float) -> None:
        if step == last:
            raise kind

    return on_step


def assert_same_weights(model: nn.Module, other: nn.Module) -> None:
    """Bit for bit."""
    for (name, a), b in zip(model.state_dict().items(), other.state_dict().values(), strict=True):
        assert torch.equal(a, b), name


# what it reaches


def test_a_convex_problem_ends_where_scikit_learn_ends():
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(0)
    n, l2 = 200, 0.02
    x = rng.standard_normal((n, 5)).astype(np.float32)
    classes = (x[:, :3] + rng.standard_normal((n, 3))).argmax(1)
    weight = rng.uniform(0.2, 3, n).astype(np.float32)
    reference = LogisticRegression(C=1 / (l2 * weight.sum()), tol=1e-8, max_iter=1000)
    reference.fit(x, classes, sample_weight=weight)
    model = head()
    data = ArrayBatches(
        torch.from_numpy(x)[:, None],
        nn.functional.one_hot(torch.from_numpy(classes), 3).float(),
        torch.from_numpy(weight),
        batch_size=n,
        seed=0,
    )
    train(model, data, TrainOptions(epochs=400, learning_rate=0.05, l2=l2))
    np.testing.assert_allclose(model.linear.weight.detach(), reference.coef_, atol=2e-3)
    with torch.inference_mode():
        found = model(torch.from_numpy(x)[:, None]).softmax(-1).numpy()
    np.testing.assert_allclose(found, reference.predict_proba(x), atol=1e-3)


def test_losses_fall_and_are_reported_per_epoch_and_step():
    told = []
    result = train(head(), toy(), OPTIONS, on_step=lambda *step: told.append(step))
    assert [(step, n_steps) for step, n_steps, _ in told] == [
        (step + 1, N_STEPS) for step in range(N_STEPS)
    ]
    per_epoch = np.array([loss for _, _, loss in told]).reshape(6, 4).mean(1)
    np.testing.assert_allclose(result.losses, per_epoch)
    assert result.losses[-1] < result.losses[0]
    assert result.resumed_from == 0


def test_the_same_seed_gives_the_same_weights_and_another_another():
    models = []
    for seed in (0, 0, 1):
        models.append(wobbly())
        train(models[-1], toy(), replace(OPTIONS, seed=seed))
    assert_same_weights(models[0], models[1])
    assert not torch.equal(models[0].inner.weight, models[2].inner.weight)


def test_the_penalty_is_on_matrices_alone():
    """With a target that the bias can fit, a huge penalty leaves the matrix at zero."""
    target = torch.tensor([[0.7, 0.2, 0.1]]).expand(32, 3)
    data = ArrayBatches(torch.randn(32, 1, 5), target, torch.ones(32), 32, seed=0)
    model = head()
    train(model, data, TrainOptions(epochs=300, learning_rate=0.05, l2=100.0))
    assert model.linear.weight.abs().max() < 1e-3
    torch.testing.assert_close(model.linear.bias.softmax(0), target[0], atol=1e-3, rtol=0)


def test_the_learning_rate_rises_then_falls_to_zero():
    options = TrainOptions(learning_rate=2.0, warmup=0.1)
    rates = [learning_rate(step, 200, options) for step in range(200)]
    np.testing.assert_allclose(rates[:20], np.arange(1, 21) / 10)
    np.testing.assert_allclose(rates[20:], 1 + np.cos(np.pi * np.arange(180) / 180))
    assert rates[-1] < 1e-3


def test_the_shortest_training_has_a_positive_rate():
    assert learning_rate(0, 1, TrainOptions(learning_rate=1.0)) == 1.0


def test_bfloat16_trains_too_and_leaves_no_trace_in_the_model():
    model, exact = head(), head()
    train(exact, toy(), OPTIONS)
    result = train(model, toy(), replace(OPTIONS, precision="bfloat16"))
    assert all(math.isfinite(loss) for loss in result.losses)
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert model(toy().x).dtype == torch.float32
    assert not torch.equal(model.linear.weight, exact.linear.weight)
    torch.testing.assert_close(model.linear.weight, exact.linear.weight, atol=0.05, rtol=0)


def test_an_unknown_precision_is_not_taken_for_the_default():
    with pytest.raises(KeyError, match="half"):
        train(head(), toy(), replace(OPTIONS, precision="half"))


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
from test_train import OPTIONS, toy, train, wobbly

def on_step(step, n_steps, loss):
    print(step, flush=True)
    time.sleep(0.05)

train(wobbly(), toy(), OPTIONS, state=Path({state!r}), on_step=on_step)
"""


def test_a_killed_run_ends_with_the_same_weights(tmp_path):
    state = tmp_path / "state.safetensors"
    program = KILLED.format(state=str(state))
    environment = os.environ | {"PYTHONPATH": str(HERE)}
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        for line in process.stdout:
            if int(line) == 10:
                process.send_signal(signal.SIGKILL)
                break
    assert process.returncode == -signal.SIGKILL
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


# networks with a time axis


@dataclass(frozen=True)
class LiveBatches:
    """Log-mels computed as they are needed, two clips a batch."""

    waveforms: tuple[np.ndarray, ...]

    def __len__(self):
        return len(self.waveforms) // 2

    def epoch(self, epoch):
        for first in range(0, len(self.waveforms), 2):
            x, mask = collate([log_mel(wave) for wave in self.waveforms[first : first + 2]])
            yield Batch(x, mask, torch.eye(2), torch.ones(2))


def probe():
    torch.manual_seed(0)
    model = WhisperProbe(WhisperProbeConfig(2, layers=(1, 2), width=32, n_heads=2))
    model.encoder.load_state_dict(
        tiny_whisper.encoder(model.encoder.config).state_dict()
    )  # the same whatever was drawn before
    model.encoder.requires_grad_(False)
    model.encoder.layers[1].requires_grad_(True)
    return model


@pytest.fixture(scope="module")
def live():
    rng = np.random.default_rng(0)
    sizes = (1_600, 3_300, 2_000, 2_400)
    return LiveBatches(tuple((0.1 * rng.standard_normal(n)).astype(np.float32) for n in sizes))


def test_a_network_with_masks_trains_end_to_end_and_only_where_it_may(live):
    model, before = probe(), probe().state_dict()
    train(model, live, TrainOptions(epochs=2, learning_rate=0.01, save_every=1))
    moved = {name for name, v in model.state_dict().items() if not torch.equal(v, before[name])}
    learning = {name for name, p in model.named_parameters() if p.requires_grad}
    # every clip is all that is heard, so the head for stretches of longer ones has no gradient;
    # nor would a key's bias; whatever else may learn has moved
    learning -= {name for name in learning if name.startswith("context_head")}
    assert moved == learning
    assert "encoder.layers.1.fc1.weight" in moved
    assert not any(name.startswith("encoder.layers.0") for name in moved)


def test_a_network_with_masks_resumes_bit_for_bit(tmp_path, live):
    options = TrainOptions(epochs=3, learning_rate=0.01, save_every=1)
    whole, resumed, state = probe(), probe(), tmp_path / "state.safetensors"
    train(whole, live, options)
    with pytest.raises(KeyboardInterrupt):
        train(probe(), live, options, state=state, on_step=stop_at(4, KeyboardInterrupt))
    assert train(resumed, live, options, state=state).resumed_from == 3
    assert_same_weights(resumed, whole)


# several processes

SHARED_WORK = """
import sys
from accelerate import Accelerator
from safetensors.torch import save_file
from test_train import OPTIONS, head, toy, train
assert Accelerator().num_processes == 2
model = head()
train(model, toy(25), OPTIONS)
save_file(model.state_dict(), sys.argv[1])
"""


@pytest.mark.slow
def test_two_processes_reach_what_one_reaches(tmp_path):
    """The last batch has one row: one of the two processes gets none of it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    processes = []
    for rank in range(2):
        environment = os.environ | {
            "PYTHONPATH": str(HERE),
            "RANK": str(rank),
            "LOCAL_RANK": str(rank),
            "WORLD_SIZE": "2",
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port),
            "ACCELERATE_USE_CPU": "true",
        }
        command = [sys.executable, "-c", SHARED_WORK, str(tmp_path / f"{rank}.safetensors")]
        processes.append(subprocess.Popen(command, env=environment))
    assert [process.wait(120) for process in processes] == [0, 0]
    alone = head()
    train(alone, toy(25), OPTIONS)
    for rank in range(2):
        found = load_file(tmp_path / f"{rank}.safetensors")
        for name, value in alone.state_dict().items():
            torch.testing.assert_close(found[name], value, rtol=1e-4, atol=1e-5)


# sequences of labels


def test_ctc_learns_which_labels_follow_each_other_and_resumes_bit_for_bit(tmp_path):
    # frames say loudly which label they are of; the order is what is taught
    rng = np.random.default_rng(0)
    orders = rng.permuted(np.tile(np.arange(3), (24, 1)), axis=1)
    frames = [
        (np.eye(3)[np.repeat(order, 4)] + 0.1 * rng.standard_normal((12, 3))).astype(np.float32)
        for order in orders
    ]
    batches = FrameBatches(frames, torch.from_numpy(orders), torch.ones(24), 8, 0)
    options = TrainOptions(epochs=15, learning_rate=0.02, clip=1.0, save_every=1)

    def fresh():
        torch.manual_seed(0)
        return Blstm(BlstmConfig(4, n_features=3, hidden=8, n_layers=1, dense=8, per_frame=True))

    whole, resumed, state = fresh(), fresh(), tmp_path / "state.safetensors"
    trained = train(whole, batches, options, LabelSequences())
    assert trained.losses[-1] < trained.losses[0] / 4
    with torch.inference_mode():
        logits = whole(torch.from_numpy(np.stack(frames))).log_softmax(-1).numpy()
    decoded = [best_path(clip)[0] for clip in logits]
    assert sum(found == tuple(order) for found, order in zip(decoded, orders, strict=True)) > 20
    with pytest.raises(KeyboardInterrupt):
        train(
            fresh(), batches, options, LabelSequences(), state=state,
            on_step=stop_at(7, KeyboardInterrupt),
        )  # fmt: skip
    assert train(resumed, batches, options, LabelSequences(), state=state).resumed_from == 6
    assert_same_weights(resumed, whole)


def test_a_state_of_another_loss_is_refused(tmp_path):
    state = tmp_path / "state.safetensors"
    x, target = torch.zeros(4, 2, 3), torch.tensor([[0], [1], [0], [1]])
    batches = FrameBatches(list(x.numpy()), target, torch.ones(4), 4, 0)
    config = BlstmConfig(3, n_features=3, hidden=2, n_layers=1, dense=2, per_frame=True)
    train(Blstm(config), batches, TrainOptions(epochs=1), LabelSequences(), state=state)
    with pytest.raises(CheckpointError, match="another model, data or options"):
        train(Blstm(config), batches, TrainOptions(epochs=1), state=state)


def test_a_gradient_is_clipped_where_it_is_longer_than_asked_for():
    def trained(clip):
        torch.manual_seed(0)
        model = Wobbly()
        train(model, toy(), replace(OPTIONS, clip=clip))
        return model

    whole = trained(None)
    assert_same_weights(trained(1e9), whole)
    assert not torch.equal(trained(1e-9).outer.weight, whole.outer.weight)
