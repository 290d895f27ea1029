"""Objectives against the same thing computed naively, and what they leave behind: nothing."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import tiny_whisper
from affekt.batches import Batch
from affekt.losses import ctc_loss
from affekt.models import MODELS
from affekt.objectives import Adversarial, LabelSequences, SoftLabels

one_thread = pytest.fixture(scope="module", autouse=True)(tiny_whisper.one_thread)


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


class Small(nn.Module):
    """(batch, 4, time) -> (batch, 3); the mean over valid frames, no normalisation."""

    def __init__(self, *, normalises: bool = False) -> None:
        super().__init__()
        self.inner = nn.Linear(4, 6)
        self.norm = nn.BatchNorm1d(6) if normalises else nn.Identity()
        self.classifier = nn.Linear(6, 3)
        self.heard = []

    def embed(self, x, mask):
        hidden = self.inner(x.transpose(1, 2)).tanh()
        if mask is not None:
            hidden = hidden * mask[..., None]
        counts = x.shape[2] if mask is None else mask.sum(1, keepdim=True)
        return self.norm(hidden.sum(1) / counts)

    def forward(self, x, mask=None):
        self.heard.append((x.detach().clone(), self.training))
        return self.classifier(self.embed(x, mask))


def small(*, normalises=False):
    torch.manual_seed(3)
    return Small(normalises=normalises)


def batch(n=5, *, masked=True):
    mask = torch.arange(7) < torch.tensor([7, 3, 5, 1, 6])[:n, None]
    return Batch(
        random(n, 4, 7) * (mask[:, None] if masked else 1.0),
        mask if masked else None,
        random(n, 3, seed=1).softmax(-1),
        torch.tensor([1.0, 0.2, 3.0, 0.7, 2.0])[:n],
    )


def attack_by_hand(model, batch, epsilon):
    """The sign of the gradient of the loss towards the network's own answer, row by row."""
    x = batch.x.clone().requires_grad_()
    logits = model.classifier(model.embed(x, batch.mask))
    rows = range(len(x))
    loss = -sum(logits[row].log_softmax(-1)[int(logits[row].argmax())] for row in rows)
    loss.backward()
    model.zero_grad()
    return epsilon * x.grad.sign()


def cross_entropies(logits, batch):
    return (F.cross_entropy(logits, batch.target, reduction="none") * batch.weight).sum()


def gradients(model, loss):
    model.zero_grad()
    loss.backward()
    return {name: p.grad.clone() for name, p in model.named_parameters()}


@pytest.mark.parametrize("masked", [True, False])
def test_soft_labels_give_the_weighted_sum_over_the_total(masked):
    model, data = small(), batch(masked=masked)
    logits = model(data.x, data.mask)
    expected = -(data.target * logits.log_softmax(-1)).sum(1) @ data.weight / 11.0
    torch.testing.assert_close(SoftLabels()(model, data, 11.0, 0), expected)


def test_smoothing_spreads_some_of_the_mass_over_all_labels():
    model, data = small(), batch(masked=True)
    log_p = model(data.x, data.mask).log_softmax(-1)
    expected = -(0.7 * data.target * log_p + 0.1 * log_p).sum(1) @ data.weight / 11.0
    torch.testing.assert_close(SoftLabels(smoothing=0.3)(model, data, 11.0, 0), expected)


def test_label_sequences_are_the_loss_of_ctc():
    class Frames(nn.Module):
        def forward(self, x, mask):
            return x.transpose(1, 2)

    target = torch.tensor([[0, 1], [2, -1], [1, 0], [0, -1], [1, 2]])
    data = replace(batch(), target=target)
    logits = data.x.transpose(1, 2)
    expected = ctc_loss(logits, target, data.weight, mask=data.mask, total=3.0)
    torch.testing.assert_close(LabelSequences()(Frames(), data, 3.0, 0), expected)


@pytest.mark.parametrize("step", [0, 999])
def test_before_its_first_step_the_attacker_waits(step):
    model, waiting, data = small(), small(), batch()
    loss = Adversarial(epsilon=0.5, alpha=0.5, similarity=0.2)(waiting, data, 6.9, step)
    expected = SoftLabels()(model, data, 6.9, step)
    assert torch.equal(loss, expected)
    assert len(waiting.heard) == 1
    for name, gradient in gradients(model, expected).items():
        assert torch.equal(gradient, gradients(waiting, SoftLabels()(waiting, data, 6.9, 0))[name])


def test_from_its_first_step_on_the_attacker_is_there():
    model = small()
    Adversarial(first_step=1000)(model, batch(), 6.9, 1000)
    assert [len(x) for x, _ in model.heard] == [5, 10]


@pytest.mark.parametrize(("epsilon", "alpha", "change"), [
    (0.02, 0.1, 0.02), (0.1, 0.1, 0.1), (0.5, 0.1, 0.1), (0.5, 0.03, 0.03),
])  # fmt: skip
def test_a_twin_is_shifted_by_epsilon_but_no_further_than_alpha(epsilon, alpha, change):
    model, data = small(), batch()
    Adversarial(epsilon=epsilon, alpha=alpha, first_step=0)(model, data, 6.9, 0)
    both, was_training = model.heard[-1]
    assert was_training
    real, twin = both.chunk(2)
    assert torch.equal(real, data.x)
    there = data.mask[:, None].expand_as(real)
    moved = (twin - real).abs()
    torch.testing.assert_close(moved[there], torch.full_like(moved[there], change))
    assert not moved[~there].any()  # padding stays padding
    direction = attack_by_hand(model, data, 1.0)
    assert torch.equal((twin - real).sign(), direction)


@pytest.mark.parametrize("similarity", [0.0, 0.2, 1.0])
@pytest.mark.parametrize("masked", [True, False])
def test_the_loss_is_that_of_two_passes_and_the_distance_of_their_embeddings(similarity, masked):
    model, data, total = small(), batch(masked=masked), 12.5
    objective = Adversarial(epsilon=0.06, similarity=similarity, first_step=0)
    found = objective(model, data, total, 0)
    twin = data.x + attack_by_hand(model, data, 0.06)
    real, fake = model.embed(data.x, data.mask), model.embed(twin, data.mask)
    share = (1 - similarity) / 2
    expected = share * cross_entropies(model.classifier(real), data)
    expected = expected + share * cross_entropies(model.classifier(fake), data)
    for row in range(5):
        apart = F.mse_loss(real[row], fake[row])
        expected = expected + similarity * data.weight[row] * apart
    torch.testing.assert_close(found, expected / total)
    mine, naive = gradients(model, found), gradients(model, expected / total)
    torch.testing.assert_close(mine, naive)
    assert any(gradient.abs().max() > 1e-6 for gradient in mine.values())


def test_the_authors_shares_are_two_fifths_two_fifths_and_a_fifth():
    """Where the twin is the clip itself, the similarity costs nothing: 0.8 of the usual loss."""
    model, data = small(), batch()
    objective = Adversarial(epsilon=0.0, similarity=0.2, first_step=0)
    usual = SoftLabels()(model, data, 6.9, 0)
    torch.testing.assert_close(objective(model, data, 6.9, 0), 0.8 * usual)


def test_normalisation_sees_batch_and_twin_together():
    model, data = small(normalises=True), batch()
    Adversarial(epsilon=0.3, alpha=0.3, first_step=0)(model, data, 6.9, 0)
    together = small(normalises=True)
    both, _ = model.heard[-1]
    together.norm.momentum = 1.0
    together(both, data.mask.repeat(2, 1))
    fresh = torch.zeros(6)
    torch.testing.assert_close(model.norm.running_mean, fresh + 0.1 * together.norm.running_mean)
    assert int(model.norm.num_batches_tracked) == 1  # the attacker's own look leaves no trace


def test_the_rows_of_a_batch_may_be_dealt_out():
    model, data = small(), batch()
    objective = Adversarial(epsilon=0.06, similarity=0.2, first_step=0)
    parts = [objective(model, data.part(number, 2), 6.9, 0) for number in (0, 1)]
    torch.testing.assert_close(sum(parts), objective(model, data, 6.9, 0))


@pytest.mark.parametrize("training", [True, False])
def test_nothing_is_left_behind(training):
    model, data = small().train(training), batch()
    before = data.x.clone()
    held = [p.clone() for p in model.parameters()]
    Adversarial(similarity=0.2, first_step=0)(model, data, 6.9, 0)
    assert not model.classifier._forward_pre_hooks
    assert model.training is training
    assert all(p.grad is None for p in model.parameters())
    assert all(torch.equal(p, q) for p, q in zip(model.parameters(), held, strict=True))
    assert torch.equal(data.x, before)
    assert not data.x.requires_grad


def test_a_pass_that_fails_leaves_no_hook_either():
    model = small()

    def fail(*_):
        if model.training:
            raise RuntimeError("out of memory")

    model.inner.register_forward_hook(fail)
    with pytest.raises(RuntimeError, match="out of memory"):
        Adversarial(first_step=0)(model, batch(), 6.9, 0)
    assert not model.classifier._forward_pre_hooks


def test_settings_are_told_apart_by_name():
    objectives = [
        SoftLabels(), LabelSequences(), Adversarial(), Adversarial(epsilon=0.04),
        Adversarial(alpha=0.2), Adversarial(similarity=0.2), Adversarial(first_step=0),
    ]  # fmt: skip
    assert len({repr(objective) for objective in objectives}) == len(objectives)


@pytest.mark.parametrize("name", ["mobilenet_attention", "alexnet_attention"])
def test_a_real_network_can_be_attacked(name):
    config, module = MODELS[name]
    torch.manual_seed(0)
    model = module(config(3))
    x = random(2, 64, 90)
    data = Batch(x, torch.ones(2, 90, dtype=torch.bool), torch.eye(3)[:2], torch.ones(2))
    loss = Adversarial(similarity=0.2, first_step=0)(model, data, 2.0, 0)
    loss.backward()
    assert torch.isfinite(loss)
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
    assert model.classifier.weight.grad.abs().max() > 0
