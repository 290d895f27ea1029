from collections import Counter
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from affekt import augment
from affekt.batches import (
    ArrayBatches,
    Batch,
    FrameBatches,
    SpectrogramBatches,
    by_length,
    collate,
    length_buckets,
    neighbours_in_length,
    stack,
)


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


# parts of a batch


def whole(n=7):
    rows = torch.arange(n)
    return Batch(
        rows[:, None] * torch.ones(n, 2), rows[:, None] < 4, rows[:, None], rows + 0.5, rows
    )


@pytest.mark.parametrize("n_parts", [1, 2, 3, 9])
def test_parts_of_a_batch_hold_every_row_once_and_whole(n_parts):
    parts = [whole().part(number, n_parts) for number in range(n_parts)]
    assert sorted(row for part in parts for row in part.rows.tolist()) == list(range(7))
    assert max(len(part.x) for part in parts) - min(len(part.x) for part in parts) <= 1
    for part in parts:
        assert torch.equal(part.x[:, 1], part.rows.float())
        assert torch.equal(part.mask[:, 0], part.rows < 4)
        assert torch.equal(part.target[:, 0], part.rows)
        assert torch.equal(part.weight, part.rows + 0.5)


def test_a_batch_that_moves_takes_all_but_its_rows_along():
    moved = whole().to(torch.device("meta"))
    assert {t.device.type for t in (moved.x, moved.mask, moved.target, moved.weight)} == {"meta"}
    assert moved.rows.tolist() == list(range(7))
    bare = Batch(torch.zeros(2), None, torch.zeros(2), torch.zeros(2))
    for same in (bare.to(torch.device("cpu")), bare.part(0, 2)):
        assert same.mask is None
        assert same.rows is None


# neighbours in length

LENGTHS = st.lists(st.integers(1, 500), min_size=1, max_size=200)


@given(LENGTHS, st.integers(1, 16), st.integers(1, 9), st.integers(0, 99))
def test_neighbours_in_length_hold_every_row_once(lengths, size, pool, seed):
    batches = neighbours_in_length(lengths, size, np.random.default_rng(seed), pool=pool)
    assert Counter(np.concatenate(batches).tolist()) == Counter(range(len(lengths)))
    sizes = [len(rows) for rows in batches]
    assert 1 <= min(sizes) <= max(sizes) < 2 * size
    assert sum(n < size for n in sizes) <= 1  # the rest of the last pool, if it is less
    again = neighbours_in_length(lengths, size, np.random.default_rng(seed + 1), pool=pool)
    assert len(again) == len(batches)  # steps an epoch do not hang on the epoch


@given(LENGTHS, st.integers(1, 16), st.integers(0, 99))
def test_in_one_pool_batches_do_not_overlap_in_length(lengths, size, seed):
    batches = neighbours_in_length(lengths, size, np.random.default_rng(seed), pool=10_000)
    spans = sorted((min(lengths[r] for r in b), max(lengths[r] for r in b)) for b in batches)
    assert all(first[1] <= second[0] for first, second in pairwise(spans))


def test_neighbours_save_padding_and_differ_from_epoch_to_epoch():
    rng = np.random.default_rng(0)
    lengths = rng.integers(50, 500, 640)

    def padding(batches):
        return sum(int(lengths[rows].max() * len(rows) - lengths[rows].sum()) for rows in batches)

    near = [neighbours_in_length(lengths.tolist(), 16, np.random.default_rng(s)) for s in (0, 1)]
    anyhow = np.array_split(rng.permutation(640), 40)
    assert padding(near[0]) < 0.3 * padding(anyhow)
    assert {tuple(sorted(rows)) for rows in near[0]} != {tuple(sorted(rows)) for rows in near[1]}
    pooled = neighbours_in_length(lengths.tolist(), 16, np.random.default_rng(0), pool=40)
    means = [lengths[rows].mean() for rows in pooled]
    assert means != sorted(means)  # short ones do not always come first


def test_who_stands_beside_whom_changes_though_lengths_are_equal():
    met = {
        tuple(sorted(rows.tolist()))
        for seed in range(20)
        for rows in neighbours_in_length([9] * 8, 4, np.random.default_rng(seed))
    }
    assert len(met) > 15


# by length, as Dusha


def draws(seconds, size=4, times=300, **settings):
    rng = np.random.default_rng(5)
    return [rows for _ in range(times) for rows in by_length(seconds, size, rng, **settings)]


@pytest.mark.parametrize(("n", "size", "n_batches"), [(64, 64, 1), (63, 64, 1), (200, 64, 3)])
def test_an_epoch_by_length_has_as_many_batches_as_fit(n, size, n_batches):
    batches = by_length(np.linspace(1, 5, n), size, np.random.default_rng(0))
    assert [len(rows) for rows in batches] == [size] * n_batches


def test_a_batch_by_length_reaches_just_so_far():
    seconds = [0.96, 1.04, 1.3, 1.6, 1.9, 8.0]  # rounded: 1.0, 1.0, 1.3, 1.6, 1.9, 8.0
    near = {(0, 1, 2), (0, 1, 2, 3), (2, 3, 4), (3, 4), (5,)}  # around each of the lengths
    seen = Counter(tuple(sorted(set(rows.tolist()))) for rows in draws(seconds, size=60))
    assert set(seen) == near


def test_a_length_is_drawn_as_often_as_clips_have_it():
    rows = [batch[0] for batch in draws([1.0] * 30 + [5.0] * 10, size=20, times=1000)]
    long = np.mean([row >= 30 for row in rows])  # 2000 draws: sd 0.0097
    assert abs(long - 0.25) < 4 * 0.0097
    rows = draws([1.0] * 3 + [5.0], size=4, times=1000, chance=[1, 1, 1, 1000])
    # the weight of a clip does not make its length more likely
    assert abs(np.mean([batch[0] == 3 for batch in rows]) - 0.25) < 4 * 0.0137


def test_among_clips_of_a_length_chance_decides_and_repeats():
    rows = np.concatenate(draws([2.0, 2.1, 2.2, 9.0], size=8, times=2000, chance=[10, 20, 0, 5]))
    counts = np.bincount(rows[rows < 3], minlength=3)
    assert counts[2] == 0
    n = counts.sum()
    assert abs(counts[1] / n - 2 / 3) < 4 * np.sqrt(2 / 9 / n)
    assert any(len(set(batch.tolist())) < 8 for batch in draws([2.0] * 8, size=8, times=20))


def test_without_chances_all_clips_of_a_length_are_alike():
    counts = np.bincount(np.concatenate(draws([2.0] * 8, size=8, times=1000)), minlength=8)
    assert max(abs(counts - 1000)) < 5 * np.sqrt(1000)


# spectrograms


def mels(lengths=(4, 1, 7, 2, 5, 9, 3, 6)):
    """Every cell tells its clip: 100 * row + frame."""
    return [
        np.tile(100.0 * row + np.arange(n, dtype=np.float32), (2, 1))
        for row, n in enumerate(lengths, start=1)
    ]


def spectrograms(seed=0, **settings):
    known = mels()
    n = len(known)
    draw = partial(neighbours_in_length, [clip.shape[1] for clip in known], 3, pool=1)
    weight = torch.arange(n) + 0.5
    settings = {"draw": draw, "seed": seed, **settings}
    return SpectrogramBatches(known, torch.arange(n)[:, None], weight, **settings)


def test_stacked_spectrograms_stand_first_and_the_rest_is_filled():
    x, mask = stack(mels((3, 1, 4)), -80.0)
    assert x.dtype == torch.float32
    assert mask.tolist() == [[True] * 3 + [False], [True] + [False] * 3, [True] * 4]
    for row, clip in enumerate(mels((3, 1, 4))):
        np.testing.assert_array_equal(x[row][:, mask[row]], clip)
        assert (x[row][:, ~mask[row]] == -80.0).all()


def test_padding_on_both_sides_starts_anywhere_and_has_no_mask():
    clips, rng, starts = mels((2, 6)), np.random.default_rng(0), Counter()
    for _ in range(1000):
        x, mask = stack(clips, 0.0, rng)
        assert mask is None
        np.testing.assert_array_equal(x[1], clips[1])
        (frames,) = np.nonzero(x[0, 0].numpy())
        np.testing.assert_array_equal(x[0][:, frames], clips[0])
        assert np.diff(frames).tolist() == [1]
        starts[int(frames[0])] += 1
    assert set(starts) == {0, 1, 2, 3, 4}
    assert max(abs(n - 200) for n in starts.values()) < 5 * np.sqrt(200)


@pytest.mark.parametrize("both", [False, True])
def test_an_epoch_of_spectrograms_gives_each_once_with_its_own_target(both):
    data, seen = spectrograms(fill=-1.0, on_both_sides=both), []
    for batch in data.epoch(3):
        assert (batch.mask is None) is both
        for row, x, target, weight in zip(
            batch.rows.tolist(), batch.x, batch.target, batch.weight, strict=True
        ):
            np.testing.assert_array_equal(x[:, x[0] != -1.0], data.spectrograms[row])
            assert target.tolist() == [row]
            assert weight == row + 0.5
            seen.append(row)
    assert sorted(seen) == list(range(8))
    assert len(list(data.epoch(0))) == len(list(data.epoch(7))) == len(data)


def told(data, epoch):
    return [(b.rows.tolist(), b.x.tolist()) for b in data.epoch(epoch)]


def noisy(clip, rng):
    return augment.crop(clip + rng.standard_normal(clip.shape).astype(np.float32), rng, most=2)


@pytest.mark.parametrize("both", [False, True])
def test_what_an_epoch_gives_hangs_on_seed_and_epoch_alone(both):
    data = spectrograms(change=noisy, on_both_sides=both)
    second = told(data, 2)
    told(data, 0)
    assert told(data, 2) == second  # whatever was asked for between
    assert told(spectrograms(change=noisy, on_both_sides=both), 2) == second
    assert told(data, 3) != second
    assert told(spectrograms(seed=1, change=noisy, on_both_sides=both), 2) != second


def test_augmentation_is_drawn_anew_and_never_touches_the_clips_themselves():
    data = spectrograms(change=noisy)
    before = [clip.copy() for clip in data.spectrograms]
    values = {batch.x[0, 0, 0].item() for epoch in range(5) for batch in data.epoch(epoch)}
    assert len(values) == 5 * len(data)
    for clip, was in zip(data.spectrograms, before, strict=True):
        np.testing.assert_array_equal(clip, was)


def test_batches_by_length_have_a_length_and_one_length():
    lengths = [clip.shape[1] for clip in mels()]
    data = spectrograms(draw=partial(by_length, lengths, 4))
    assert len(data) == 2
    for epoch in range(5):
        for batch in data.epoch(epoch):
            assert len(batch.x) == 4
            assert batch.mask.all()  # whole seconds: nobody else is within reach


# a window


def test_a_window_is_any_stretch_of_so_many_frames():
    (clip,) = mels((12,))
    rng, firsts = np.random.default_rng(0), Counter()
    for _ in range(1600):
        found = augment.window(clip, rng, n_frames=5)
        assert not np.shares_memory(found, clip)
        first = int(found[0, 0]) - 100
        np.testing.assert_array_equal(found, clip[:, first : first + 5])
        assert found.shape == (2, 5)
        firsts[first] += 1
    assert set(firsts) == set(range(8))
    assert max(abs(n - 200) for n in firsts.values()) < 5 * np.sqrt(200)


@pytest.mark.parametrize("n", [1, 4, 5])
def test_a_clip_that_fits_its_window_stays_whole(n):
    (clip,) = mels((n,))
    np.testing.assert_array_equal(augment.window(clip, np.random.default_rng(0), n_frames=5), clip)
