import math

import pytest
import torch
from torch.nn import functional as F

from affekt.losses import soft_cross_entropy


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
