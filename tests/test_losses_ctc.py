"""The CTC loss: every path written out, targets that cannot be, and learning by it."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

import tiny_whisper
from affekt import ctc
from affekt.exceptions import AffektError
from affekt.losses import ctc_loss
from affekt.models import Blstm, BlstmConfig
from drawn_tensors import first, random

one_thread = pytest.fixture(scope="module", autouse=True)(tiny_whisper.one_thread)


def collapse(path, blank):
    kept = [label for label, _ in itertools.groupby(path)]
    return tuple(label for label in kept if label != blank)


def every_path(log_probs, target, blank):
    """-log of the summed probability of all paths that collapse to the target."""
    n_frames, n_outputs = log_probs.shape
    total = sum(
        math.exp(sum(float(log_probs[t, label]) for t, label in enumerate(path)))
        for path in itertools.product(range(n_outputs), repeat=n_frames)
        if collapse(path, blank) == tuple(target)
    )
    return -math.log(total)


TARGETS = [(0,), (1,), (0, 1), (1, 1), (0, 1, 0), (2, 2), (2, 0, 1)]


@pytest.mark.parametrize("blank", [-1, 0, 1])
@pytest.mark.parametrize("n_frames", [1, 3, 5])
def test_the_loss_counts_every_path(n_frames, blank):
    blank_column = blank % 4
    labels = [label for label in range(4) if label != blank_column]
    targets = [tuple(labels[label] for label in target) for target in TARGETS]
    needs = [len(t) + sum(a == b for a, b in itertools.pairwise(t)) for t in targets]
    for target, need in zip(targets, needs, strict=True):
        if need > n_frames:
            continue
        logits = random(1, n_frames, 4, seed=n_frames).double()
        expected = every_path(logits[0].log_softmax(-1), target, blank_column)
        found = ctc_loss(logits, torch.tensor([target]), blank=blank)
        assert float(found) == pytest.approx(expected, abs=1e-9)


def test_the_probabilities_of_all_sequences_add_up_to_1():
    logits = random(1, 3, 3, seed=3).double()
    sequences = {collapse(path, 2) for path in itertools.product(range(3), repeat=3)}
    costs = [
        ctc_loss(logits, torch.tensor([sequence], dtype=torch.long).reshape(1, -1))
        for sequence in sequences
    ]
    assert sum(math.exp(-float(cost)) for cost in costs) == pytest.approx(1)


def batch():
    lengths = [6, 2, 4]
    target = torch.tensor([[0, 1, 0], [2, -1, -1], [1, 1, -1]])
    return random(3, 6, 4).double(), target, first(lengths, 6), lengths


def test_each_utterance_is_scored_over_its_own_frames_and_labels():
    logits, target, mask, lengths = batch()
    each = [
        every_path(logits[i, :n].log_softmax(-1), [k for k in target[i].tolist() if k >= 0], 3)
        for i, n in enumerate(lengths)
    ]
    assert float(ctc_loss(logits, target, mask=mask)) == pytest.approx(np.mean(each))
    weight = torch.tensor([1.0, 0.0, 3.0])
    expected = (each[0] + 3 * each[2]) / 4
    assert float(ctc_loss(logits, target, weight, mask=mask)) == pytest.approx(expected)
    halved = ctc_loss(logits, target, weight, mask=mask, total=8.0)
    assert float(halved) == pytest.approx(expected / 2)


def test_the_loss_is_what_the_decoder_says_of_the_sequence():
    logits, target, mask, lengths = batch()
    for row, n in enumerate(lengths):
        labels = [label for label in target[row].tolist() if label >= 0]
        log_probs = logits[row, :n].log_softmax(-1).numpy()
        cost = ctc_loss(logits[row : row + 1], target[row : row + 1], mask=mask[row : row + 1])
        assert float(cost) == pytest.approx(-ctc.sequence_log_probability(log_probs, labels))


def test_frames_behind_the_end_do_not_matter():
    logits, target, mask, _ = batch()
    other = logits.masked_fill(~mask[..., None], 30.0)
    other.requires_grad_()
    loss = ctc_loss(other, target, mask=mask)
    torch.testing.assert_close(loss, ctc_loss(logits, target, mask=mask))
    loss.backward()
    assert not other.grad[~mask].any()
    assert other.grad[mask].any(dim=-1).all()


def test_skip_takes_frames_from_the_beginning():
    logits, target = random(2, 7, 4), torch.tensor([[0, 1], [2, -1]])
    mask = first([7, 5], 7)
    skipped = ctc_loss(logits, target, mask=mask, skip=2)
    torch.testing.assert_close(skipped, ctc_loss(logits[:, 2:], target, mask=mask[:, 2:]))
    assert abs(float(skipped - ctc_loss(logits, target, mask=mask))) > 0.01


def test_certain_logits_cost_nothing_and_wrong_ones_stay_finite():
    path = torch.tensor([3, 0, 0, 3, 1])
    logits = 200.0 * F.one_hot(path, 4).float()[None]
    assert float(ctc_loss(logits, torch.tensor([[0, 1]]))) == pytest.approx(0, abs=1e-6)
    wrong = ctc_loss(logits, torch.tensor([[2, 1]]))
    assert 100 < float(wrong) < math.inf


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000), st.floats(0.1, 60))
def test_loss_and_gradient_are_finite_wherever_the_target_fits(seed, scale):
    _, target, mask, _ = batch()
    logits = (scale * random(3, 6, 4, seed=seed)).requires_grad_()
    loss = ctc_loss(logits, target, mask=mask)
    loss.backward()
    assert loss.isfinite()
    assert loss >= -1e-4
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize(("target", "n_frames", "skip", "needs"), [
    ([[0, 1, 2]], 2, 0, "has 2 usable frame.* needs 3"),
    ([[1, 1]], 2, 0, "has 2 usable frame.* needs 3"),  # equal neighbours need a blank between
    ([[0]], 2, 2, "has 0 usable frame.* needs 1"),
    ([[0]], 1, 2, "has 0 usable frame.* needs 1"),
])  # fmt: skip
def test_a_target_longer_than_its_input_is_named(target, n_frames, skip, needs):
    with pytest.raises(AffektError, match=f"utterance 0 of the batch {needs}: leave it out"):
        ctc_loss(random(1, n_frames, 4), torch.tensor(target), skip=skip)


def test_it_is_the_row_with_too_long_a_target_that_is_named():
    with pytest.raises(AffektError, match="utterance 2 of the batch has 1 usable"):
        ctc_loss(random(3, 4, 4), torch.tensor([[0, 1]] * 3), mask=first([4, 2, 1], 4))


@pytest.mark.parametrize("target", [[[3]], [[4]], [[0, 3]]])
def test_the_blank_and_strangers_are_no_targets(target):
    with pytest.raises(ValueError, match=r"targets lie in 0 \.\. 3 and are not 3, the blank"):
        ctc_loss(random(1, 5, 4), torch.tensor(target))


def test_a_small_network_learns_the_order_of_two_sounds():
    """All four orders, told by CTC without any time."""
    torch.manual_seed(0)
    model = Blstm(BlstmConfig(n_outputs=3, n_features=2, hidden=8, dense=16, per_frame=True))
    target = torch.tensor([[0, 1], [1, 0], [0, -1], [1, -1]])
    x = torch.zeros(4, 10, 2)
    for row, labels in enumerate([(0, 1), (1, 0), (0, 0), (1, 1)]):
        x[row, :5, labels[0]], x[row, 5:, labels[1]] = 1.0, 1.0
    optimizer = torch.optim.Adam((p for p in model.parameters() if p.requires_grad), lr=0.02)
    for _ in range(80):
        optimizer.zero_grad()
        ctc_loss(model(x), target).backward()
        optimizer.step()
    paths = model(x).argmax(-1).tolist()
    assert [collapse(path, 2) for path in paths] == [(0, 1), (1, 0), (0,), (1,)]
