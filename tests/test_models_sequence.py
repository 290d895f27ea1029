"""BLSTM, CTC loss, forest and dummy: formulas written out, every path counted, invariances."""

import itertools
import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

import tiny_whisper
from affekt import checkpoint, ctc
from affekt.exceptions import AffektError
from affekt.losses import ctc_loss
from affekt.models import (
    MODELS,
    Blstm,
    BlstmConfig,
    Dummy,
    DummyConfig,
    Forest,
    ForestConfig,
)
from affekt.models.blstm import N_FRAMES, to_length
from affekt.models.forest import ENERGY, vote

one_thread = pytest.fixture(scope="module", autouse=True)(tiny_whisper.one_thread)

SMALL = {"n_features": 3, "hidden": 4, "dense": 6}


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def network(seed=0, **settings):
    """A network whose every parameter, the biases too, is drawn."""
    model = Blstm(BlstmConfig(**{"n_outputs": 5, **SMALL, **settings})).eval()
    with torch.no_grad():
        for number, parameter in enumerate(model.parameters()):
            if parameter.requires_grad:
                parameter.copy_(0.7 * random(*parameter.shape, seed=100 * seed + number))
    return model


def first(lengths, n_frames):
    return torch.arange(n_frames) < torch.tensor(lengths)[:, None]


# BLSTM


def test_the_ctc_network_has_the_papers_218117_parameters():
    model = Blstm(BlstmConfig(n_outputs=4 + 1, per_frame=True))
    n = sum(p.numel() for p in model.parameters() if p.requires_grad)
    lstm = sum(2 * 4 * 64 * (n_inputs + 64 + 1) for n_inputs in (34, 128))
    assert n == 218_117 == lstm + 129 * 512 + 513 * 5


def test_one_label_shares_all_but_the_output_layer():
    one_label, ctc = (Blstm(BlstmConfig(n, per_frame=n == 5)) for n in (4, 5))
    shapes = [{k: v.shape for k, v in m.state_dict().items()} for m in (one_label, ctc)]
    assert shapes[0].keys() == shapes[1].keys()
    assert {k for k in shapes[0] if shapes[0][k] != shapes[1][k]} == {
        "output.weight", "output.bias"
    }  # fmt: skip


def naive_direction(x, parameters, suffix):
    """LSTM of Hochreiter and Schmidhuber with forget gate, one frame after the other."""

    def sigmoid(v):
        return 1 / (1 + np.exp(-v))

    inputs, recurrent, bias = (parameters[f"{n}_l0{suffix}"] for n in
                               ("weight_ih", "weight_hh", "bias_ih"))  # fmt: skip
    width = recurrent.shape[1]
    state, cell, states = np.zeros(width), np.zeros(width), []
    for frame in x:
        i, f, g, o = np.split(inputs @ frame + recurrent @ state + bias, 4)
        cell = sigmoid(f) * cell + sigmoid(i) * np.tanh(g)
        state = sigmoid(o) * np.tanh(cell)
        states.append(state)
    return np.array(states)


def naive_blstm(model, x):
    """The network on one clip (n_frames, n_features), in float64, as figures 8 and 9 draw it."""
    config = model.config
    last = None
    for layer in model.layers:
        parameters = {k: v.detach().double().numpy() for k, v in layer.named_parameters()}
        forward = naive_direction(x, parameters, "")
        backward = naive_direction(x[::-1], parameters, "_reverse")
        last = np.concatenate([forward[-1], backward[-1]])
        x = np.concatenate([forward, backward if config.unreversed else backward[::-1]], axis=1)
    read = x if config.per_frame else last
    weights = {k: v.double().numpy() for k, v in model.state_dict().items()}
    dense = np.tanh(read @ weights["dense.weight"].T + weights["dense.bias"])
    return dense @ weights["output.weight"].T + weights["output.bias"]


@pytest.mark.parametrize("unreversed", [False, True])
@pytest.mark.parametrize("per_frame", [False, True])
def test_the_network_equals_its_equations_on_every_clip_of_a_batch(per_frame, unreversed):
    model = network(per_frame=per_frame, unreversed=unreversed)
    x, lengths = random(4, 9, 3), [9, 1, 4, 7]
    with torch.no_grad():
        logits = model(x, first(lengths, 9))
    for row, n in enumerate(lengths):
        expected = naive_blstm(model, x[row, :n].double().numpy())
        found = logits[row, :n] if per_frame else logits[row]
        np.testing.assert_allclose(found, expected, atol=2e-5)


@pytest.mark.parametrize("per_frame", [False, True])
def test_unreversed_is_another_network(per_frame):
    x = random(1, 6, 3)
    proper, compat = (network(per_frame=per_frame, unreversed=u)(x) for u in (False, True))
    assert (proper - compat).abs().max() > 0.01


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(1, 12), min_size=1, max_size=5), st.booleans(), st.booleans(),
       st.integers(0, 6))  # fmt: skip
def test_a_clips_logits_do_not_depend_on_its_batch(lengths, per_frame, unreversed, behind):
    model = network(per_frame=per_frame, unreversed=unreversed)
    n_frames = max(lengths) + behind
    x, mask = random(len(lengths), n_frames, 3, seed=behind), first(lengths, n_frames)
    with torch.no_grad():
        together = model(x.masked_fill(~mask[..., None], float("nan")), mask)
        for row, n in enumerate(lengths):
            alone = model(x[row : row + 1, :n])[0]
            found = together[row, :n] if per_frame else together[row]
            torch.testing.assert_close(found, alone, atol=1e-6, rtol=0)


def test_padding_passes_no_gradient():
    model, x, mask = network(per_frame=True), random(2, 6, 3).requires_grad_(), first([6, 2], 6)
    (model(x, mask) * mask[..., None]).sum().backward()
    assert not x.grad[1, 2:].any()
    assert x.grad[1, :2].abs().min() > 0


def test_without_a_mask_every_frame_is_valid():
    model, x = network(), random(2, 6, 3)
    torch.testing.assert_close(model(x), model(x, torch.ones(2, 6, dtype=torch.bool)))


def test_padding_to_a_length_hears_the_padding_and_cuts_what_is_longer():
    compat, proper = network(n_frames=8, per_frame=True), network(per_frame=True)
    x, mask = random(2, 10, 3), first([10, 4], 10)
    by_hand = torch.zeros(2, 8, 3)
    by_hand[0], by_hand[1, :4] = x[0, :8], x[1, :4]
    torch.testing.assert_close(compat(x, mask), proper(by_hand))
    heard = (compat(x, mask)[1, :4] - proper(x, mask)[1, :4]).abs().max()
    assert heard > 1e-3  # the backward layers come from the padding


def test_zeros_of_the_padding_are_zeros_after_standardising():
    model = network(n_frames=6)
    model.standardise(3 + 5 * random(50, 3))
    plain = network(n_frames=6)
    x = random(1, 4, 3)
    torch.testing.assert_close(model(x), plain((x - model.mean) / model.scale))


@pytest.mark.parametrize(("n_frames", "lengths"), [(3, [3, 3, 2]), (7, [5, 4, 2]), (5, [5, 4, 2])])
def test_to_length_pads_with_zeros_and_cuts(n_frames, lengths):
    x, before = random(3, 5, 2), first([5, 4, 2], 5)
    y, mask = to_length(x, before, n_frames)
    assert y.shape == (3, n_frames, 2)
    assert torch.equal(mask, first(lengths, n_frames))
    for row, n in enumerate(lengths):
        assert torch.equal(y[row, :n], x[row, :n])
        assert not y[row, n:].any()


def test_to_length_takes_the_papers_78_frames_and_all_as_valid():
    y, mask = to_length(random(1, 80, 2))
    assert y.shape == (1, N_FRAMES, 2) == (1, 78, 2)
    assert mask.all()


def test_standardised_frames_have_mean_0_and_deviation_1_and_constant_columns_stay_finite():
    model, frames = network(), 3 + 5 * random(200, 3)
    frames[:, 2] = 7.0
    model.standardise(frames)
    standard = (frames - model.mean) / model.scale
    torch.testing.assert_close(standard.mean(0), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(
        standard.std(0, unbiased=False), torch.tensor([1.0, 1.0, 0.0]), atol=1e-4, rtol=0
    )


def test_an_utterance_without_a_frame_is_named():
    with pytest.raises(AffektError, match=r"utterance 1 of the batch has no frame: leave it out"):
        network()(random(3, 4, 3), first([4, 0, 2], 4))
    with pytest.raises(AffektError, match="utterance 0 of the batch has no frame"):
        network()(random(1, 0, 3))


def test_a_mask_with_a_gap_is_refused():
    with pytest.raises(ValueError, match="must come first"):
        network()(random(1, 3, 3), torch.tensor([[True, False, True]]))


@pytest.mark.parametrize("settings", [
    {"n_outputs": 0}, {"hidden": 0}, {"dense": -1}, {"n_features": 0}, {"n_layers": 0},
    {"n_layers": 17}, {"n_frames": 0}])  # fmt: skip
def test_sizes_that_cannot_be_are_refused(settings):
    with pytest.raises(ValueError, match=r"or more|can be 1 to"):
        BlstmConfig(**{"n_outputs": 4, **settings})


def test_the_second_bias_of_torch_stays_zero_when_trained():
    model = Blstm(BlstmConfig(n_outputs=3, **SMALL))
    optimizer = torch.optim.Adam(p for p in model.parameters() if p.requires_grad)
    F.cross_entropy(model(random(8, 5, 3)), torch.arange(8) % 3).backward()
    optimizer.step()
    biases = {k: v for layer in model.layers for k, v in layer.named_parameters() if "bias" in k}
    assert not any(v.any() for k, v in biases.items() if "_hh_" in k)
    assert all(v.any() for k, v in biases.items() if "_ih_" in k)


def test_a_new_network_begins_with_open_forget_gates_and_orthogonal_recurrences():
    layer = Blstm(BlstmConfig(n_outputs=3)).layers[0]
    expected = torch.cat([torch.zeros(64), torch.ones(64), torch.zeros(128)])
    for name, parameter in layer.named_parameters():
        if name.startswith("bias_ih"):
            assert torch.equal(parameter, expected)
        if name.startswith("weight_hh"):
            for gate in parameter.detach().chunk(4):
                torch.testing.assert_close(gate @ gate.T, torch.eye(64), atol=1e-4, rtol=0)


def test_a_checkpoint_gives_back_the_network_its_statistics_and_its_compat_settings(tmp_path):
    model = network(n_outputs=3, per_frame=True, unreversed=True, n_frames=7)
    model.standardise(random(20, 3))
    checkpoint.save(tmp_path, model, {"labels": ["anger", "calm", "blank"]})
    loaded, card = checkpoint.load(tmp_path)
    assert card["model"] == "blstm"
    assert loaded.config == model.config
    x = random(2, 5, 3)
    assert torch.equal(loaded(x), model(x))


# CTC


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


# forest and dummy


def utterances(classes, *, seed=0, n_features=4):
    """Frames that tell the class in their loudest frames only; the others are noise."""
    rng = np.random.default_rng(seed)
    made = []
    for label in classes:
        frames = rng.normal(size=(int(rng.integers(3, 9)), n_features))
        frames[:, ENERGY] = rng.uniform(0, 1, len(frames))
        frames[:2, ENERGY] = 5 + rng.uniform(0, 1, 2)
        frames[:2, 2] = 10 * label + rng.normal(size=2)
        made.append(frames)
    return made


def forest(n_outputs=3, **settings):
    return Forest(ForestConfig(n_outputs, **{"n_trees": 20, **settings}))


def test_the_papers_forest_has_1000_trees_taught_two_frames():
    config = ForestConfig(n_outputs=4)
    assert (config.n_trees, config.n_loudest) == (1000, 2)


def test_the_forest_is_scikit_learns_on_the_two_loudest_frames_and_its_frames_vote():
    from sklearn.ensemble import RandomForestClassifier

    classes = np.arange(30) % 3
    classes[:8] = 0
    features = utterances(classes)
    ours = forest(seed=7)
    ours.fit(features, classes)
    loudest = [sorted(f.tolist(), key=lambda frame: -frame[ENERGY])[:2] for f in features]
    peer = RandomForestClassifier(20, class_weight="balanced", random_state=7)
    peer.fit(np.concatenate(loudest), np.repeat(classes, 2))
    unseen = utterances(classes, seed=1)
    expected = []
    for frames in unseen:
        probabilities, said = peer.predict_proba(frames), peer.predict(frames).tolist()
        votes = [said.count(k) for k in range(3)]
        best = [k for k in range(3) if votes[k] == max(votes)]
        expected.append(max(best, key=lambda k: probabilities[:, k].sum()))
    assert ours.predict(unseen).tolist() == expected
    for frames, shares in zip(unseen, ours.frame_probabilities(unseen), strict=True):
        np.testing.assert_array_equal(shares, peer.predict_proba(frames))


def test_a_forest_learns_from_loud_frames_and_is_reproducible():
    classes = np.arange(60) % 3
    one, other = forest(), forest()
    for trees in (one, other):
        trees.fit(utterances(classes), classes)
    loud = [frames[:2] for frames in utterances(classes, seed=1)]
    assert (one.predict(loud) == classes).mean() > 0.95
    unseen = utterances(classes, seed=2)
    assert one.predict(unseen).tolist() == other.predict(unseen).tolist()


@pytest.mark.parametrize(("probabilities", "winner"), [
    ([[0.6, 0.4], [0.6, 0.4], [0.0, 1.0]], 0),  # two frames against one, though 1.2 : 1.8
    ([[0.6, 0.4], [0.1, 0.9]], 1),  # a frame each, 0.7 : 1.3
    ([[0.9, 0.1], [0.4, 0.6]], 0),
    ([[0.5, 0.3, 0.2], [0.1, 0.45, 0.45], [0.4, 0.1, 0.5]], 2),  # 1.0 : 0.85 : 1.15
    ([[0.34, 0.33, 0.33], [0.0, 0.5, 0.5], [0.34, 0.0, 0.66], [0.0, 0.6, 0.4]], 1),
    # the last: third label sums highest, 1.89, but only the second has two frames
])  # fmt: skip
def test_frames_vote_and_ties_go_to_the_higher_sum(probabilities, winner):
    assert vote(np.array(probabilities)) == winner


def test_a_class_that_is_not_in_the_training_part_is_never_answered():
    classes = np.array([0, 2] * 10)
    trees = forest()
    trees.fit(utterances(classes), classes)
    shares = np.concatenate(trees.frame_probabilities(utterances([0, 1, 2], seed=3)))
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    assert not shares[:, 1].any()


@pytest.mark.parametrize("model", [forest(), Dummy(DummyConfig(3))], ids=["forest", "dummy"])
def test_one_class_in_the_training_part_is_answered_always(model):
    model.fit(utterances([2, 2, 2]), [2, 2, 2])
    assert model.predict(utterances([0, 1, 2], seed=1)).tolist() == [2, 2, 2]


@pytest.mark.parametrize(("labels", "answer"), [([0, 1, 1], 1), ([2, 0, 0, 2], 0), ([2], 2)])
def test_the_dummy_answers_the_majority_and_the_first_of_equals(labels, answer):
    dummy = Dummy(DummyConfig(3))
    dummy.fit(utterances(labels), labels)
    assert dummy.predict(utterances([0, 1])).tolist() == [answer, answer]


@pytest.mark.parametrize("model", [forest(), Dummy(DummyConfig(3))], ids=["forest", "dummy"])
def test_a_training_part_that_cannot_be_is_refused(model):
    with pytest.raises(AffektError, match="no utterance: there is nothing to learn"):
        model.fit([], [])
    with pytest.raises(ValueError, match="one an utterance"):
        model.fit(utterances([0, 1]), [0])
    with pytest.raises(ValueError, match="one an utterance"):
        model.fit(utterances([0, 1]), [0.0, 1.0])
    with pytest.raises(ValueError, match=r"must lie in 0 \.\. 2"):
        model.fit(utterances([0, 1]), [0, 3])
    with pytest.raises(RuntimeError, match="fit comes before predict"):
        model.predict(utterances([0]))


def test_a_silent_or_broken_utterance_is_named():
    trees, features = forest(), utterances([0, 1, 2])
    silent, broken = [*features, np.zeros((0, 4))], [features[0], np.full((3, 4), np.nan)]
    with pytest.raises(AffektError, match="utterance 3 has no frame: leave it out"):
        trees.fit(silent, [0, 1, 2, 0])
    with pytest.raises(AffektError, match="utterance 1: a feature is not finite"):
        trees.fit(broken, [0, 1])
    trees.fit(features, [0, 1, 2])
    with pytest.raises(AffektError, match="utterance 3 has no frame"):
        trees.predict(silent)
    assert trees.predict([]).tolist() == []


@pytest.mark.parametrize("settings", [{"n_trees": 0}, {"n_loudest": 0}])
def test_a_forest_without_trees_or_frames_is_refused(settings):
    with pytest.raises(ValueError, match="1 or more"):
        ForestConfig(3, **settings)


def test_models_import_without_scikit_learn_and_a_forest_says_what_to_install():
    program = """
import sys
sys.modules["sklearn"] = None
from affekt.exceptions import AffektError
from affekt.models import Forest, ForestConfig
try:
    Forest(ForestConfig(2)).fit([], [])
except AffektError as problem:
    assert "pip install 'affekt[train]'" in str(problem)
else:
    sys.exit("no error")
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_the_register_knows_the_sequence_models():
    assert {name: MODELS[name][1] for name in ("blstm", "forest", "dummy")} == {
        "blstm": Blstm, "forest": Forest, "dummy": Dummy
    }  # fmt: skip
