import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from affekt.losses import fast_gradient_sign, reverse_gradient, soft_cross_entropy


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_one_hot_targets_give_the_usual_cross_entropy():
    logits, classes = random(20, 5), torch.arange(20) % 5
    expected = F.cross_entropy(logits, classes)
    torch.testing.assert_close(soft_cross_entropy(logits, F.one_hot(classes, 5).float()), expected)


def test_soft_targets_give_what_torch_gives_for_probabilities():
    logits, target = random(20, 5), random(20, 5, seed=1).softmax(-1)
    torch.testing.assert_close(soft_cross_entropy(logits, target), F.cross_entropy(logits, target))


def test_equal_logits_cost_the_logarithm_of_the_number_of_classes():
    loss = soft_cross_entropy(torch.zeros(3, 8), random(3, 8).softmax(-1))
    assert float(loss) == pytest.approx(math.log(8))


def test_a_perfect_prediction_costs_the_entropy_of_the_target():
    target = torch.tensor([[0.7, 0.2, 0.1]])
    entropy = -sum(p * math.log(p) for p in (0.7, 0.2, 0.1))
    assert float(soft_cross_entropy(target.log(), target)) == pytest.approx(entropy)


def test_weights_are_shares_of_their_sum():
    logits, target = random(4, 3), random(4, 3, seed=1).softmax(-1)
    weight = torch.tensor([1.0, 0.0, 2.0, 5.0])
    each = [soft_cross_entropy(logits[i : i + 1], target[i : i + 1]) for i in range(4)]
    expected = (each[0] + 2 * each[2] + 5 * each[3]) / 8
    torch.testing.assert_close(soft_cross_entropy(logits, target, weight), expected)
    torch.testing.assert_close(soft_cross_entropy(logits, target, 10 * weight), expected)


def test_parts_of_a_batch_add_up_to_it():
    logits, target = random(5, 3), random(5, 3, seed=1).softmax(-1)
    weight = random(5, seed=2).abs()
    total = weight.sum()
    parts = [
        soft_cross_entropy(logits[part], target[part], weight[part], total=total)
        for part in (slice(0, 2), slice(2, 5), slice(5, 5))
    ]
    torch.testing.assert_close(sum(parts), soft_cross_entropy(logits, target, weight))


def test_the_gradient_is_prediction_minus_target():
    logits = random(1, 4).requires_grad_()
    target = random(1, 4, seed=1).softmax(-1)
    soft_cross_entropy(logits, target).backward()
    torch.testing.assert_close(logits.grad, logits.detach().softmax(-1) - target)


# an attacker


class Straight(nn.Module):
    """A linear network on what is not padding: (batch, 2, time) -> (batch, 3)."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(random(3, 2, 5, seed=4))

    def forward(self, x, mask):
        x = x if mask is None else x * mask[:, None]
        return torch.einsum("bft,cft->bc", x, self.weight)


def closed_form(model, x, mask, epsilon):
    """d loss / d x = sum over classes of (probability - own answer) * the class' weights."""
    logits = model(x, mask)
    surplus = logits.softmax(-1) - F.one_hot(logits.argmax(-1), 3)
    gradient = torch.einsum("bc,cft->bft", surplus, model.weight)
    gradient = gradient if mask is None else gradient * mask[:, None]
    return epsilon * gradient.sign()


MASK = torch.arange(5) < torch.tensor([5, 2, 4, 1])[:, None]


@pytest.mark.parametrize("mask", [None, MASK])
@pytest.mark.parametrize("epsilon", [0.02, 3.0])
def test_the_worst_change_of_a_linear_network_has_a_closed_form(mask, epsilon):
    model, x = Straight(), random(4, 2, 5)
    with torch.no_grad():
        expected = closed_form(model, x, mask, epsilon)
    found = fast_gradient_sign(model, x, mask, epsilon)
    torch.testing.assert_close(found, expected)
    assert found.abs().max() == pytest.approx(epsilon)


def test_no_change_of_that_size_hurts_a_linear_network_more():
    model, x = Straight(), random(4, 2, 5)
    answer = model(x, None).argmax(-1)

    def loss(change):
        return F.cross_entropy(model(x + change, None), answer, reduction="none")

    with torch.no_grad():
        worst = loss(closed_form(model, x, None, 1e-3))
        found = loss(fast_gradient_sign_of(model, x, 1e-3))
        torch.testing.assert_close(found, worst)
        assert (found > loss(torch.zeros_like(x))).all()
        for seed in range(200):
            assert (loss(1e-3 * random(4, 2, 5, seed=seed).sign()) <= worst + 1e-6).all()


def fast_gradient_sign_of(model, x, epsilon):
    with torch.enable_grad():
        return fast_gradient_sign(model, x, None, epsilon)


def test_padding_gets_no_change():
    found = fast_gradient_sign(Straight(), random(4, 2, 5), MASK, 0.1)
    there = MASK[:, None].expand_as(found)
    assert not found[~there].any()
    assert found[there].all()


def test_an_attack_leaves_gradients_weights_and_input_alone():
    model, x = Straight(), random(4, 2, 5)
    model.weight.grad = torch.full_like(model.weight, 7.0)
    weight, before = model.weight.clone(), x.clone()
    fast_gradient_sign(model, x, None, 0.1)
    assert (model.weight.grad == 7.0).all()
    assert torch.equal(model.weight, weight)
    assert torch.equal(x, before)
    assert not x.requires_grad
    assert x.grad is None


def test_a_network_that_learns_nothing_can_be_attacked():
    model, x = Straight().requires_grad_(False), random(4, 2, 5)
    assert torch.equal(fast_gradient_sign(model, x, None, 0.1), closed_form(model, x, None, 0.1))


@pytest.mark.parametrize("training", [True, False])
def test_an_attacker_meets_the_network_as_it_answers_and_puts_its_mode_back(training):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(6), nn.Linear(6, 3)).train(training)

    class Masked(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = model

        def forward(self, x, mask):
            return self.inner(x)

    masked = Masked().train(training)
    x = random(4, 6)
    running = model[1].running_mean.clone()
    first, again = (fast_gradient_sign(masked, x, None, 0.1) for _ in range(2))
    assert torch.equal(first, again)  # no dropout
    assert torch.equal(model[1].running_mean, running)
    assert masked.training is model[0].training is training


@pytest.mark.parametrize("weight", [1.0, 0.01, 0.0, -2.0])
def test_a_reversed_gradient_is_minus_weight_times_the_true_one(weight):
    """The true one from differences: of a step along each input, through what follows."""
    x, matrix = random(4).double().requires_grad_(), random(4, 4, seed=1).double()

    def follow(x):
        return (matrix @ x).tanh().square().sum()

    follow(reverse_gradient(x, weight)).backward()
    step = 1e-6
    steps = step * torch.eye(4, dtype=torch.float64)
    with torch.no_grad():
        slopes = [(follow(x + s) - follow(x - s)) / (2 * step) for s in steps]
    torch.testing.assert_close(x.grad, -weight * torch.stack(slopes), rtol=1e-6, atol=1e-8)


def test_a_reversed_gradient_leaves_values_and_what_follows_alone():
    x, layer = random(3, 4).requires_grad_(), nn.Linear(4, 2)
    assert torch.equal(reverse_gradient(x), x)
    layer(reverse_gradient(x)).square().sum().backward()
    reversed_, theirs = x.grad.clone(), layer.weight.grad.clone()
    x.grad = layer.weight.grad = None
    layer(x).square().sum().backward()
    torch.testing.assert_close(reversed_, -x.grad)
    torch.testing.assert_close(theirs, layer.weight.grad)
