"""The loop's protocols: optimizers, rates, accumulation, judge; what stops it, what survives."""

import json
import math
import os
import resource
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional as F

import tiny_whisper
from affekt import augment
from affekt.batches import ArrayBatches, SpectrogramBatches, neighbours_in_length, stack
from affekt.exceptions import CheckpointError, TrainingError
from affekt.models import MobileNetAttention, MobileNetAttentionConfig
from affekt.objectives import Adversarial, SoftLabels
from affekt.train import TrainOptions, check_processes, learning_rate, train
from test_train import assert_same_weights, head, stop_at, toy, wobbly

HERE = Path(__file__).parent
N = 4  # steps an epoch of `toy`
one_thread = pytest.fixture(scope="module", autouse=True)(tiny_whisper.one_thread)

CONSTANT = TrainOptions(epochs=5, learning_rate=0.05, schedule="constant", save_every=1)


# optimizers, against loops written out


def weighted_loss(model, batch):
    each = F.cross_entropy(model(batch.x, batch.mask), batch.target, reduction="none")
    return (each * batch.weight).sum() / batch.weight.sum()


def plain(model, batches, epochs, optimizer):
    for epoch in range(epochs):
        for batch in batches.epoch(epoch):
            optimizer.zero_grad()
            weighted_loss(model, batch).backward()
            optimizer.step()
    return model


@pytest.mark.parametrize(("name", "kind"), [
    ("adamw", torch.optim.AdamW), ("adam", torch.optim.Adam),
    ("sgd", partial(torch.optim.SGD, momentum=0.7)),
])  # fmt: skip
def test_an_optimizer_does_what_it_does_in_a_plain_loop(name, kind):
    mine, theirs, undamped = head(), head(), head()
    options = replace(CONSTANT, optimizer=name, weight_decay=0.1, momentum=0.7)
    train(mine, toy(), options, SoftLabels())
    plain(theirs, toy(), 5, kind(theirs.parameters(), lr=0.05, weight_decay=0.1))
    torch.testing.assert_close(mine.state_dict(), theirs.state_dict(), rtol=1e-6, atol=1e-7)
    train(undamped, toy(), replace(options, weight_decay=0.0), SoftLabels())
    assert not torch.allclose(mine.linear.weight, undamped.linear.weight, atol=1e-3)


def test_momentum_and_decay_are_those_of_the_formula():
    """v = m v + (g + d w), w = w - rate v."""
    mine, theirs = head(), head()
    options = replace(CONSTANT, optimizer="sgd", momentum=0.6, weight_decay=0.2)
    train(mine, toy(), options, SoftLabels())
    weights = [theirs.linear.weight, theirs.linear.bias]
    speed = [torch.zeros_like(p) for p in weights]
    for epoch in range(5):
        for batch in toy().epoch(epoch):
            gradients = torch.autograd.grad(weighted_loss(theirs, batch), weights)
            with torch.no_grad():
                for p, v, g in zip(weights, speed, gradients, strict=True):
                    v.mul_(0.6).add_(g + 0.2 * p)
                    p.sub_(0.05 * v)
    torch.testing.assert_close(mine.state_dict(), theirs.state_dict(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("field", ["optimizer", "schedule"])
def test_an_unknown_protocol_is_not_taken_for_the_default(field):
    with pytest.raises(KeyError, match="unheard"):
        train(head(), toy(), replace(CONSTANT, **{field: "unheard"}), SoftLabels())


# rates


def test_stairs_fall_to_a_tenth_at_the_first_step_of_every_twentieth_epoch():
    stairs = TrainOptions(epochs=60, learning_rate=0.01, schedule="stairs")
    rates = [learning_rate(step, 60 * 7, stairs) for step in range(60 * 7)]
    expected = np.repeat([0.01, 0.001, 0.0001], 20 * 7)
    np.testing.assert_allclose(rates, expected, rtol=1e-12)


def test_the_loop_takes_the_steps_of_its_schedule():
    """Where the gradient is 1 always, plain descent goes as far as the rates add up to."""

    def slope(model, batch, total, step):
        return model.linear.bias.sum() + 0 * model.linear.weight.sum()

    for schedule in ("constant", "stairs", "cosine"):
        options = TrainOptions(
            epochs=5, learning_rate=0.5, schedule=schedule, fall_every=2, optimizer="sgd",
            momentum=0.0, warmup=0.2,
        )  # fmt: skip
        expected = {
            "constant": 0.5 * 20,
            "stairs": 0.5 * (8 + 0.8 + 0.04),
            "cosine": 0.5 * (2.5 + sum(0.5 * (1 + math.cos(math.pi * k / 16)) for k in range(16))),
        }[schedule]
        model = head()
        before = model.linear.bias.detach().clone()
        train(model, toy(), options, slope)
        torch.testing.assert_close(before - model.linear.bias, torch.full((3,), expected))


def test_accumulated_steps_fall_with_their_epochs():
    """Ten batches, three a step: four steps an epoch, the last from one batch."""
    rates = []

    def slope(model, batch, total, step):
        return model.linear.bias.sum()

    before = None

    def watch(step, n_steps, loss):
        nonlocal before
        here = float(model.linear.bias.detach()[0])
        rates.append(round((before - here) / 3, 6) if step % 4 else round(before - here, 6))
        before = here

    model = head()
    before = float(model.linear.bias.detach()[0])
    options = TrainOptions(
        epochs=3, learning_rate=1.0, schedule="stairs", fall_every=1, optimizer="sgd",
        momentum=0.0, accumulate=3,
    )  # fmt: skip
    train(model, toy(75), options, slope, on_step=watch)
    np.testing.assert_allclose(rates, np.repeat([1, 0.1, 0.01], 4), rtol=1e-3)


# accumulation


@pytest.mark.parametrize("n", [64, 40, 61])
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_four_batches_of_8_make_the_step_of_one_batch_of_32(n, optimizer):
    small = replace(toy(n), weight=torch.linspace(0.1, 5, n), batch_size=8)
    large = replace(small, batch_size=32)
    options = replace(CONSTANT, optimizer=optimizer, l2=0.1, clip=0.2)
    mine, theirs = head(), head()
    told = []
    four = replace(options, accumulate=4)
    trained = train(mine, small, four, SoftLabels(), on_step=lambda *step: told.append(step[:2]))
    alone = train(theirs, large, options, SoftLabels())
    torch.testing.assert_close(mine.state_dict(), theirs.state_dict(), rtol=1e-4, atol=1e-5)
    assert trained.losses == pytest.approx(alone.losses, rel=1e-5)
    assert told == [(k + 1, 10) for k in range(10)]


def test_batches_weighed_alike_would_not_do():
    small = replace(toy(64), weight=torch.linspace(0.1, 5, 64), batch_size=8)
    mine, theirs = head(), head()
    options = replace(CONSTANT, optimizer="sgd")
    train(mine, small, replace(options, accumulate=4), SoftLabels())
    optimizer = torch.optim.SGD(theirs.parameters(), lr=0.05, momentum=0.9)
    for epoch in range(5):
        for number, batch in enumerate(small.epoch(epoch)):
            (weighted_loss(theirs, batch) / 4).backward()
            if number % 4 == 3:
                optimizer.step()
                optimizer.zero_grad()
    assert not torch.allclose(mine.linear.weight, theirs.linear.weight, rtol=1e-4, atol=1e-5)


# the judge


@dataclass
class Scripted:
    """Says what it was told to, and keeps the weights that it saw."""

    scores: list[float]

    def __post_init__(self):
        self.seen = []

    def __call__(self, model):
        assert not model.training
        assert torch.is_inference_mode_enabled()
        self.seen.append({k: v.detach().clone() for k, v in model.state_dict().items()})
        return self.scores[len(self.seen) - 1]


def test_the_first_of_the_best_epochs_gives_the_weights():
    judge, model = Scripted([0.1, 0.5, 0.3, 0.5, 0.2]), wobbly()
    trained = train(model, toy(), CONSTANT, SoftLabels(), judge=judge)
    assert trained.scores == (0.1, 0.5, 0.3, 0.5, 0.2)
    assert trained.best_epoch == 1
    for name, value in model.state_dict().items():
        assert torch.equal(value, judge.seen[1][name])
        assert not torch.equal(value, judge.seen[4][name])


def test_a_judge_changes_nothing_of_the_steps():
    judge, model, unjudged = Scripted([0.1, 0.2, 0.3, 0.4, 0.5]), wobbly(), wobbly()
    losses = train(model, toy(), CONSTANT, SoftLabels(), judge=judge).losses
    trained = train(unjudged, toy(), CONSTANT, SoftLabels())
    assert trained.losses == losses
    assert trained.best_epoch is None
    assert_same_weights(model, unjudged)


@pytest.mark.parametrize(("patience", "n_epochs"), [(1, 3), (2, 4), (3, 8), (None, 8)])
def test_patience_ends_the_training_so_many_epochs_behind_the_best(patience, n_epochs):
    judge, told = Scripted([0.1, 0.5, 0.5, 0.4, 0.9, 0.1, 0.1, 0.8]), []
    options = replace(CONSTANT, epochs=8, patience=patience)
    trained = train(
        wobbly(), toy(), options, SoftLabels(), judge=judge, on_step=lambda *s: told.append(s)
    )
    assert len(trained.scores) == len(trained.losses) == n_epochs
    assert len(told) == N * n_epochs


def test_a_training_that_lost_its_patience_is_not_taken_up_again(tmp_path):
    options, state = replace(CONSTANT, epochs=8, patience=2, save_every=1000), tmp_path / "state"
    judge = Scripted([0.1, 0.5, 0.3, 0.4])
    whole, again = wobbly(), wobbly()
    train(whole, toy(), options, SoftLabels(), judge=judge, state=state)
    never = Scripted([])
    trained = train(again, toy(), options, SoftLabels(), judge=never, state=state)
    assert trained.scores == (0.1, 0.5, 0.3, 0.4)
    assert trained.losses == ()
    assert_same_weights(again, whole)


def test_what_comes_behind_an_epoch_comes_before_its_judge():
    def spoil(model):
        with torch.no_grad():
            model.outer.weight.fill_(3.0)

    judge, model = Scripted([0.3, 0.2, 0.1, 0.1, 0.1]), wobbly()
    train(model, toy(), CONSTANT, SoftLabels(), judge=judge, after_epoch=spoil)
    assert all((seen["outer.weight"] == 3.0).all() for seen in judge.seen)
    assert (model.outer.weight == 3.0).all()


# interrupted


def shrink(model):
    """What an `after_epoch` may do: change the weights in place."""
    with torch.no_grad():
        for value in model.parameters():
            value.mul_(0.97)


def on_held_out(model):
    """Minus the loss on other rows."""
    (batch,) = replace(toy(20, seed=5), batch_size=20).epoch(0)
    return -float(weighted_loss(model, batch))


PROTOCOLS = {
    "sgd": TrainOptions(
        epochs=6, learning_rate=0.1, optimizer="sgd", schedule="stairs", fall_every=2,
        weight_decay=1e-3, save_every=1,
    ),
    "adam": TrainOptions(
        epochs=6, learning_rate=0.05, optimizer="adam", schedule="constant", weight_decay=1e-3,
        clip=0.5, accumulate=3, patience=3, save_every=3,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PROTOCOLS)
@pytest.mark.parametrize("stopped_at", [1, 4, 7, 8])
def test_a_judged_run_that_was_interrupted_equals_one_that_was_not(tmp_path, name, stopped_at):
    state, options = tmp_path / "state.safetensors", PROTOCOLS[name]
    judged = {"judge": on_held_out, "after_epoch": shrink}
    whole, resumed = wobbly(), wobbly()
    expected = train(whole, toy(), options, SoftLabels(), **judged)
    for later in (0, 3):  # once, and again further on
        on_step = stop_at(stopped_at + later, KeyboardInterrupt)
        with pytest.raises(KeyboardInterrupt):
            train(wobbly(), toy(), options, SoftLabels(), **judged, state=state, on_step=on_step)
    found = train(resumed, toy(), options, SoftLabels(), **judged, state=state)
    assert found.scores == expected.scores
    assert found.best_epoch == expected.best_epoch
    assert found.resumed_from == (stopped_at + 2) // options.save_every * options.save_every
    assert_same_weights(resumed, whole)


def test_the_best_weights_of_a_run_before_are_not_forgotten(tmp_path):
    state, judge, resumed = tmp_path / "state", Scripted([0.1, 0.9, 0.2]), wobbly()
    on_step = stop_at(14, KeyboardInterrupt)  # in the fourth epoch
    with pytest.raises(KeyboardInterrupt):
        train(
            wobbly(), toy(), CONSTANT, SoftLabels(), judge=judge, state=state, on_step=on_step
        )  # fmt: skip
    later = Scripted([0.3, 0.4])
    found = train(resumed, toy(), CONSTANT, SoftLabels(), judge=later, state=state)
    assert found.scores == (0.1, 0.9, 0.2, 0.3, 0.4)
    assert found.best_epoch == 1
    assert all(torch.equal(v, judge.seen[1][k]) for k, v in resumed.state_dict().items())


def clips():
    rng = np.random.default_rng(0)
    return [rng.uniform(-80, 0, (16, n)).astype(np.float32) for n in (24, 31, 40, 22, 35, 28) * 2]


def changed(spectrogram, rng):
    spectrogram = augment.shift_mels(augment.stretch_time(spectrogram, rng), rng)
    return augment.window(augment.dusha(spectrogram, rng), rng, n_frames=30)


def spectrograms():
    known = clips()
    return SpectrogramBatches(
        known,
        torch.eye(3)[torch.arange(12) % 3],
        torch.linspace(0.5, 2, 12),
        partial(neighbours_in_length, [clip.shape[1] for clip in known], 4, pool=2),
        seed=2,
        change=changed,
        fill=-80.0,
    )


def mobilenet():
    torch.manual_seed(1)
    return MobileNetAttention(MobileNetAttentionConfig(3))


def on_other_clips(model):
    x, mask = stack([clip[::-1] for clip in clips()])
    return float(model(x, mask)[torch.arange(12), torch.arange(12) % 3].mean())


SPECTROGRAM_RUN = {"judge": on_other_clips, "after_epoch": shrink}


@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_network_on_changed_spectrograms_resumes_bit_for_bit(tmp_path, name):
    """Normalisation's running statistics, and augmentation's random numbers, too."""
    options = replace(PROTOCOLS[name], epochs=3, learning_rate=1e-3, save_every=1)
    state = tmp_path / "state.safetensors"
    whole, resumed = mobilenet(), mobilenet()
    objective = Adversarial(epsilon=1.0, alpha=0.5, similarity=0.2, first_step=1)
    expected = train(whole, spectrograms(), options, objective, **SPECTROGRAM_RUN)
    on_step = stop_at(2, KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        train(
            mobilenet(), spectrograms(), options, objective, **SPECTROGRAM_RUN, state=state,
            on_step=on_step,
        )  # fmt: skip
    found = train(resumed, spectrograms(), options, objective, **SPECTROGRAM_RUN, state=state)
    assert found.resumed_from == 1
    assert found.scores == expected.scores
    assert_same_weights(resumed, whole)


KILLED = """
from pathlib import Path
import torch
torch.set_num_threads(1)
from test_train_protocols import *

train(mobilenet(), spectrograms(), MOBILENET, SoftLabels(), **SPECTROGRAM_RUN,
      state=Path({state!r}), on_step=lambda step, *_: print(step, flush=True))
"""
MOBILENET = replace(PROTOCOLS["sgd"], learning_rate=1e-3, epochs=8)


def test_a_network_on_changed_spectrograms_survives_a_kill(tmp_path):
    state = tmp_path / "state.safetensors"
    with subprocess.Popen(
        [sys.executable, "-c", KILLED.format(state=str(state))],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(HERE)},
    ) as process:
        for line in process.stdout:
            if int(line) == 5:
                process.send_signal(signal.SIGKILL)
                break
    assert process.returncode == -signal.SIGKILL
    whole, resumed = mobilenet(), mobilenet()
    expected = train(whole, spectrograms(), MOBILENET, SoftLabels(), **SPECTROGRAM_RUN)
    found = train(resumed, spectrograms(), MOBILENET, SoftLabels(), **SPECTROGRAM_RUN, state=state)
    assert 4 <= found.resumed_from < 24
    assert found.scores == expected.scores
    assert_same_weights(resumed, whole)


def test_seconds_of_all_runs_add_up_and_the_time_between_does_not_count(tmp_path, monkeypatch):
    clock = SimpleNamespace(now=500.0, monotonic=lambda: clock.now)
    monkeypatch.setattr("affekt.train.time", clock)

    @dataclass(frozen=True)
    class Slow(SoftLabels):
        def __call__(self, *asked):
            clock.now += 10.0
            return super().__call__(*asked)

    state, options = tmp_path / "state.safetensors", replace(CONSTANT, save_every=3)
    assert train(head(), toy(), options, Slow()).seconds == 200.0
    with pytest.raises(KeyboardInterrupt):
        train(
            head(), toy(), options, Slow(), state=state, on_step=stop_at(8, KeyboardInterrupt)
        )  # fmt: skip
    clock.now += 10_000.0
    assert train(head(), toy(), options, Slow(), state=state).seconds == 200.0
    clock.now += 10_000.0
    assert train(head(), toy(), options, Slow(), state=state).seconds == 200.0


# what stops it


@dataclass(frozen=True)
class Poisoned:
    """From an epoch on, one row is not a number."""

    whole: ArrayBatches
    row: int
    epoch_: int

    def __len__(self):
        return len(self.whole)

    def epoch(self, epoch):
        for batch in self.whole.epoch(epoch):
            spoilt = (batch.rows == self.row) & (epoch >= self.epoch_)
            yield replace(batch, x=batch.x.masked_fill(spoilt[:, None, None], math.nan))


@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_loss_that_is_no_number_names_epoch_batch_and_utterances(tmp_path, accumulate):
    options, state = replace(CONSTANT, accumulate=accumulate), tmp_path / "state.safetensors"
    batches = [batch.rows.tolist() for batch in toy().epoch(2)]
    groups = [list(chain(*batches[k : k + accumulate])) for k in range(0, N, accumulate)]
    number = next(k for k, rows in enumerate(groups) if 11 in rows)
    assert number > 0  # else the state before it would be of another epoch
    with pytest.raises(TrainingError) as caught:
        train(wobbly(), Poisoned(toy(), 11, 2), options, SoftLabels(), state=state)
    more = " ..." if len(groups[number]) > 8 else ""
    where = f"epoch 2, batch {number}, utterances {groups[number][:8]}{more} of the training part"
    assert str(caught.value).startswith(f"{where}: the loss is nan; the last state saved is whole")
    assert "\n" not in str(caught.value)
    whole, resumed = wobbly(), wobbly()
    train(whole, toy(), options, SoftLabels())
    found = train(resumed, toy(), options, SoftLabels(), state=state)
    assert found.resumed_from == 2 * len(groups) + number
    assert_same_weights(resumed, whole)


def test_a_loss_that_is_no_number_names_utterances_by_their_ids_where_they_are_given():
    names = [f"clip-{row}" for row in range(30)]
    with pytest.raises(TrainingError) as caught:
        train(wobbly(), Poisoned(toy(), 11, 0), CONSTANT, SoftLabels(), names=names)
    batches = [batch.rows.tolist() for batch in toy().epoch(0)]
    number = next(k for k, rows in enumerate(batches) if 11 in rows)
    told = ", ".join(names[row] for row in batches[number][:8])
    more = " ..." if len(batches[number]) > 8 else ""
    assert str(caught.value).startswith(f"epoch 0, batch {number}, utterances {told}{more}: the")


def test_names_of_utterances_change_nothing_of_a_state(tmp_path):
    """A training that began without them goes on with them: they are no part of its identity."""
    state = tmp_path / "state.safetensors"
    whole, resumed = wobbly(), wobbly()
    train(whole, toy(), CONSTANT, SoftLabels(), state=state)
    names = [str(row) for row in range(30)]
    found = train(resumed, toy(), CONSTANT, SoftLabels(), state=state, names=names)
    assert found.resumed_from > 0
    assert_same_weights(resumed, whole)


@pytest.mark.parametrize("saved", [False, True])
def test_a_whole_state_is_spoken_of_only_where_one_was_saved(tmp_path, saved):
    state = tmp_path / "state.safetensors" if saved else None
    for what, objective in ((Poisoned(toy(), 11, 1), SoftLabels()), (toy(), Steep())):
        with pytest.raises(TrainingError) as caught:
            train(wobbly(), what, CONSTANT, objective, state=state)
        assert ("the last state saved is whole" in str(caught.value)) == saved
        if saved:
            state.unlink()


def test_a_loss_without_bound_stops_too():
    data = toy()
    data.x[4] = math.inf  # infinity less infinity
    with pytest.raises(
        TrainingError, match=r"epoch 0, batch [0-3], utterances \[.* the loss is nan"
    ):
        train(wobbly(), data, CONSTANT, SoftLabels())


def test_batches_without_rows_are_named_by_their_number():
    @dataclass(frozen=True)
    class Nameless(Poisoned):
        def epoch(self, epoch):
            for batch in super().epoch(epoch):
                yield replace(batch, rows=None)

    with pytest.raises(TrainingError, match=r"^epoch 0, batch [0-3]: the loss is nan"):
        train(wobbly(), Nameless(toy(), 3, 0), CONSTANT, SoftLabels())


@dataclass(frozen=True)
class Steep(SoftLabels):
    """A loss that is finite while its gradient is not."""

    spoilt: int = 6

    def __call__(self, model, batch, total, step):
        loss = super().__call__(model, batch, total, step)
        return loss + (0 * model.outer.weight).sqrt().sum() if step == self.spoilt else loss


def test_weights_that_a_finite_loss_spoilt_are_never_saved(tmp_path):
    state = tmp_path / "state.safetensors"
    with pytest.raises(TrainingError, match="step 7: weights are not finite, though the loss was"):
        train(wobbly(), toy(), CONSTANT, Steep(), state=state)
    whole, resumed = wobbly(), wobbly()
    train(whole, toy(), CONSTANT, SoftLabels())
    # the same objective by name, that is no longer steep
    calm = type("Steep", (Steep,), {"__repr__": lambda self: repr(Steep())})(spoilt=-1)
    assert train(resumed, toy(), CONSTANT, calm, state=state).resumed_from == 6
    assert_same_weights(resumed, whole)


@pytest.mark.parametrize("before", [0, 5])
def test_a_full_disk_is_named_and_the_last_good_state_goes_on(tmp_path, before):
    """The system's limit on a file's size stands for the disk."""
    state = tmp_path / "state.safetensors"
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(step, n_steps, loss):
        if step == before + 1:
            resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))

    try:
        with pytest.raises(CheckpointError) as caught:
            train(wobbly(), toy(), CONSTANT, SoftLabels(), state=state, on_step=fill)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    message = str(caught.value)
    assert message.startswith(f"{state}: the state of step {before + 1} cannot be written (")
    assert ("; the state before it is kept: make room" in message) == bool(before)
    assert message.endswith(
        "make room, or give another --out; give the command again and it goes on"
    )
    assert "\n" not in message
    assert list(tmp_path.iterdir()) == ([state] if before else [])  # and nothing half written
    whole, resumed = wobbly(), wobbly()
    train(whole, toy(), CONSTANT, SoftLabels())
    assert train(resumed, toy(), CONSTANT, SoftLabels(), state=state).resumed_from == before
    assert_same_weights(resumed, whole)


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    state = tmp_path / "file" / "state.safetensors"
    with pytest.raises(CheckpointError, match=r"state of step 1 cannot be written .*file"):
        train(wobbly(), toy(), CONSTANT, SoftLabels(), state=state)


def test_more_processes_than_devices_are_refused_before_anything_starts(tmp_path, monkeypatch):
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "9999")

    class Untouched:
        def __len__(self):
            raise AssertionError("the data was asked")

        epoch = __len__

    model, state = wobbly(), tmp_path / "state.safetensors"
    with pytest.raises(TrainingError, match=r"9999 processes for \d+ .*--nproc-per-node \d+ "):
        train(model, Untouched(), CONSTANT, SoftLabels(), state=state)
    assert_same_weights(model, wobbly())
    assert not state.exists()


@pytest.mark.parametrize(("gpus", "cores", "what"), [(0, 3, "3 cores"), (2, 64, "2 devices")])
def test_devices_are_counted_where_there_are_any_and_cores_elsewhere(
    monkeypatch, gpus, cores, what
):
    monkeypatch.setattr("torch.cuda.is_available", lambda: gpus > 0)
    monkeypatch.setattr("torch.cuda.device_count", lambda: gpus)
    monkeypatch.setattr("os.cpu_count", lambda: cores)
    check_processes(gpus or cores)
    with pytest.raises(TrainingError, match=f"processes for {what}: start"):
        check_processes((gpus or cores) + 1)


def test_a_state_that_a_judge_chose_is_not_taken_where_none_does(tmp_path):
    judged, unjudged = tmp_path / "judged", tmp_path / "unjudged"
    train(wobbly(), toy(), CONSTANT, SoftLabels(), judge=on_held_out, state=judged)
    train(wobbly(), toy(), CONSTANT, SoftLabels(), state=unjudged)
    with pytest.raises(CheckpointError, match="judged: was made with choosing among epochs; del"):
        train(wobbly(), toy(), CONSTANT, SoftLabels(), state=judged)
    with pytest.raises(CheckpointError, match="unjudged: was made without choosing among epochs"):
        train(wobbly(), toy(), CONSTANT, SoftLabels(), judge=on_held_out, state=unjudged)


@pytest.mark.parametrize("other", [SoftLabels(), Adversarial(epsilon=0.04)])
def test_the_state_of_another_attack_is_refused(tmp_path, other):
    state = tmp_path / "state.safetensors"
    train(head(), toy(), CONSTANT, Adversarial(), state=state)
    with pytest.raises(CheckpointError, match="another model, data or options"):
        train(head(), toy(), CONSTANT, other, state=state)


# several processes

SHARED_WORK = """
import json
import sys
import torch
torch.set_num_threads(1)
from safetensors.torch import save_file
from test_train_protocols import *

model = mobilenet()
found = train(model, spectrograms(), SHARED, Adversarial(1.0, 0.5, 0.2, 3), **SPECTROGRAM_RUN)
save_file(model.state_dict(), sys.argv[1] + ".safetensors")
Path(sys.argv[1] + ".json").write_text(json.dumps(found.scores))
"""
SHARED = replace(PROTOCOLS["sgd"], learning_rate=1e-3, epochs=4, patience=2)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_processes_judge_alike_though_each_normalises_over_its_own_rows(tmp_path):
    """Else one would stop while the other waits for it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    place = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    place |= {"ACCELERATE_USE_CPU": "true", "PYTHONPATH": str(HERE)}
    processes = []
    for rank in ("0", "1"):
        environment = os.environ | place | {"RANK": rank, "LOCAL_RANK": rank}
        command = [sys.executable, "-c", SHARED_WORK, str(tmp_path / rank)]
        processes.append(subprocess.Popen(command, env=environment))
    try:
        assert [process.wait(120) for process in processes] == [0, 0]
    finally:
        for process in processes:
            process.kill()
    scores = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in (0, 1)]
    assert scores[0] == scores[1]
    assert len(set(scores[0])) > 1
    first, second = (load_file(tmp_path / f"{rank}.safetensors") for rank in (0, 1))
    for name, value in first.items():
        assert torch.equal(value, second[name]), name
