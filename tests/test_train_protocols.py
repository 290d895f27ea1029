"""The loop's protocols: optimizers, rates, accumulation, and the judge of epochs."""

import math
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pytest
import torch

import tiny_whisper
from affekt.objectives import SoftLabels
from affekt.train import TrainOptions, learning_rate, train
from toy_training import CONSTANT, N, assert_same_weights, head, stop_at, toy, weighted_loss, wobbly

one_thread = pytest.fixture(scope="module", autouse=True)(tiny_whisper.one_thread)


# optimizers, against loops written out


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
