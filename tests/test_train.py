"""The loop: what it reaches, against scikit-learn's optimum, with a time axis and with CTC."""

import math
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from torch import nn

import tiny_whisper
from affekt.batches import ArrayBatches, Batch, FrameBatches, collate
from affekt.ctc import best_path
from affekt.exceptions import CheckpointError
from affekt.features.logmel import log_mel
from affekt.models import WhisperProbe, WhisperProbeConfig
from affekt.models.blstm import Blstm, BlstmConfig
from affekt.objectives import LabelSequences
from affekt.train import TrainOptions, learning_rate
from toy_training import (
    N_STEPS,
    OPTIONS,
    Wobbly,
    assert_same_weights,
    head,
    stop_at,
    toy,
    train,
    wobbly,
)

one_thread = pytest.fixture(scope="module", autouse=True)(tiny_whisper.one_thread)


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
