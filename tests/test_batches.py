from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from affekt.batches import ArrayBatches, FrameBatches, collate, length_buckets


def batches(n=23, batch_size=5, seed=0):
    rows = torch.arange(n, dtype=torch.float32)
    return ArrayBatches(rows.view(n, 1, 1), rows.view(n, 1), rows, batch_size, seed)


def order(data, epoch):
    return torch.cat([batch.weight for batch in data.epoch(epoch)]).tolist()


@pytest.mark.parametrize(("n", "batch_size"), [(23, 5), (20, 5), (3, 5), (1, 1)])
def test_every_row_comes_once_an_epoch(n, batch_size):
    data = batches(n, batch_size)
    sizes = [len(batch.x) for batch in data.epoch(0)]
    assert len(sizes) == len(data)
    assert set(sizes[:-1]) <= {batch_size}
    assert sorted(order(data, 0)) == list(range(n))


def test_the_same_seed_and_epoch_give_the_same_order():
    assert order(batches(), 3) == order(batches(), 3)


def test_another_epoch_or_seed_gives_another_order():
    orders = [order(batches(seed=seed), epoch) for seed in (0, 1) for epoch in (0, 1)]
    assert len({tuple(rows) for rows in orders}) == 4
    assert list(range(23)) not in orders


def test_input_target_and_weight_stay_together():
    for batch in batches().epoch(1):
        assert batch.mask is None
        torch.testing.assert_close(batch.x[:, 0, 0], batch.weight)
        torch.testing.assert_close(batch.target[:, 0], batch.weight)


def test_collate_pads_with_zeros_and_marks_what_is_valid():
    mels = [np.full((2, n), n, np.float32) for n in (3, 6, 4, 1)]
    x, mask = collate(mels)
    assert x.shape == (4, 2, 6)
    assert x.dtype == torch.float32
    for row, mel in enumerate(mels):
        n = mel.shape[1]
        np.testing.assert_array_equal(x[row, :, :n], mel)
        assert not x[row, :, n:].any()
    assert mask.tolist() == [
        [True, True, False],
        [True, True, True],
        [True, True, False],
        [True, False, False],
    ]


def test_collate_of_odd_clips_has_a_frame_for_the_last_half():
    x, mask = collate([np.ones((2, 5), np.float32)])
    assert x.shape == (1, 2, 5)
    assert mask.shape == (1, 3)


@given(st.lists(st.integers(1, 3000), max_size=60), st.integers(1, 6000))
def test_length_buckets_hold_every_row_once_within_the_budget(lengths, budget):
    groups = [group.tolist() for group in length_buckets(lengths, budget)]
    assert Counter(row for group in groups for row in group) == Counter(range(len(lengths)))
    for group in groups:
        assert len(group) == 1 or len(group) * max(lengths[row] for row in group) <= budget
    ordered = [lengths[row] for group in groups for row in group]
    assert ordered == sorted(ordered)


@given(st.lists(st.integers(1, 100), min_size=2, max_size=40), st.integers(100, 1000))
def test_no_bucket_could_have_taken_the_next_row_too(lengths, budget):
    groups = length_buckets(lengths, budget)
    for group, following in pairwise(groups):
        assert (len(group) + 1) * lengths[following[0]] > budget


# clips of frames


def clips():
    rng = np.random.default_rng(0)
    return [rng.standard_normal((n, 3)).astype(np.float32) for n in (4, 1, 7, 2, 5)]


def test_an_epoch_of_clips_gives_each_once_with_its_own_target_and_zeros_behind_it():
    frames = clips()
    target, weight = torch.arange(5)[:, None], torch.arange(5.0)
    seen = []
    for batch in FrameBatches(frames, target, weight, batch_size=2, seed=3).epoch(1):
        for x, mask, number, weighs in zip(
            batch.x, batch.mask, batch.target[:, 0].tolist(), batch.weight, strict=True
        ):
            np.testing.assert_array_equal(x[mask].numpy(), frames[number])
            assert not x[~mask].any()
            assert weighs == number
            seen.append(number)
    assert sorted(seen) == list(range(5))


def test_clips_come_in_an_order_of_their_own_each_epoch_and_always_the_same():
    batches = FrameBatches(clips(), torch.arange(5)[:, None], torch.ones(5), 5, 0)
    orders = [next(batches.epoch(epoch)).target[:, 0].tolist() for epoch in (0, 1, 0)]
    assert orders[0] == orders[2] != orders[1]
    assert len(batches) == 1
