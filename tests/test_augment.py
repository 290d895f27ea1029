"""Changes of spectrograms: what each may do, how far, how often, and never in place."""

from collections import Counter
from functools import partial

import numpy as np
import pytest

from affekt import augment

MASKS = [augment.mask_frequencies, augment.mask_time]
ALL = [*MASKS, augment.crop, augment.stretch_time, augment.shift_mels, augment.dusha]


def clip(n_mels=64, n_frames=120):
    """Every cell has a value of its own, none is -80."""
    return -np.arange(n_mels * n_frames, dtype=np.float32).reshape(n_mels, n_frames) - 100


def drawn(function, spectrogram, times=400, **settings):
    rng = np.random.default_rng(7)
    return [function(spectrogram, rng, **settings) for _ in range(times)]


def run_lengths(flags):
    """Lengths of the stretches of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(int), [0]])))
    return (edges[1::2] - edges[::2]).tolist()


@pytest.mark.parametrize("function", ALL)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_spectrogram_given_stays_as_it_is_and_shares_no_memory(function, dtype):
    given = clip().astype(dtype)
    before = given.copy()
    for result in drawn(function, given, times=30):
        assert not np.shares_memory(result, given)
        assert result.dtype == dtype
        result[:] = 1.0
    np.testing.assert_array_equal(given, before)


@pytest.mark.parametrize("function", ALL)
def test_the_same_seed_gives_the_same_and_another_another(function):
    first, again = (function(clip(), np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    others = [function(clip(), np.random.default_rng(seed)) for seed in range(4, 10)]
    assert any(o.shape != first.shape or (o != first).any() for o in others)


@pytest.mark.parametrize(("function", "axis", "most"), [
    (augment.mask_frequencies, 1, 15), (augment.mask_time, 0, 39),
])  # fmt: skip
def test_a_mask_is_one_stretch_of_any_width_up_to_its_limit(function, axis, most):
    given = clip()
    widths, firsts = Counter(), set()
    for result in drawn(function, given, times=2000):
        masked = (result == -80.0).all(axis=axis)
        runs = run_lengths(masked)
        assert len(runs) <= 1
        widths[sum(runs)] += 1
        firsts |= {int(masked.argmax())} if runs else set()
        kept = result[~masked] if axis == 1 else result[:, ~masked]
        np.testing.assert_array_equal(kept, given[~masked] if axis == 1 else given[:, ~masked])
    assert set(widths) == set(range(most + 1))
    # uniform: 2000 / (most + 1) each, five standard deviations off at most
    expected = 2000 / (most + 1)
    assert max(abs(n - expected) for n in widths.values()) < 5 * np.sqrt(expected)
    assert min(firsts) == 0
    assert max(firsts) >= given.shape[1 - axis] - 3


@pytest.mark.parametrize("function", [*MASKS, augment.dusha])
def test_the_value_of_the_mask_is_the_callers(function):
    zeros = [(result == 0.0).any() for result in drawn(function, clip(), times=50, value=0.0)]
    assert np.mean(zeros) > 0.8
    assert not any((r == -80.0).any() for r in drawn(function, clip(), times=50, value=0.0))


def test_a_crop_removes_any_number_up_to_its_limit_from_both_ends():
    given = clip()
    removed, starts = Counter(), Counter()
    for result in drawn(augment.crop, given, times=2000):
        start = int(np.flatnonzero(given[0] == result[0, 0])[0])
        np.testing.assert_array_equal(result, given[:, start : start + result.shape[1]])
        removed[given.shape[1] - result.shape[1]] += 1
        starts[start] += 1
    assert set(removed) == set(range(40))
    assert max(abs(n - 50) for n in removed.values()) < 5 * np.sqrt(50)
    assert set(starts) == set(range(40))


@pytest.mark.parametrize("n_frames", [1, 2, 5, 39, 40])
def test_short_clips_keep_something(n_frames):
    short = clip(n_frames=n_frames)
    lengths = {result.shape[1] for result in drawn(augment.crop, short)}
    assert lengths == set(range(max(1, n_frames - 39), n_frames + 1))
    for function in (augment.mask_time, augment.dusha):
        assert all(result.shape[1] >= 1 for result in drawn(function, short, times=100))
    assert all((r != -80.0).any() for r in drawn(augment.mask_time, short, times=100))


def test_few_bands_are_never_all_masked():
    assert all((r != -80.0).any() for r in drawn(augment.mask_frequencies, clip(n_mels=3)))


def test_dusha_masks_both_ways_and_crops():
    results = drawn(augment.dusha, clip(), times=60)
    assert any((r == -80.0).all(axis=1).any() for r in results)
    assert any((r == -80.0).all(axis=0).any() for r in results)
    assert {r.shape[0] for r in results} == {64}
    assert len({r.shape[1] for r in results}) > 10


def test_stretching_a_ramp_gives_a_ramp_of_the_new_length():
    ramp = np.tile(np.linspace(0.0, 1.0, 101), (4, 1))
    for result in drawn(augment.stretch_time, ramp, times=50):
        n = result.shape[1]
        assert 91 <= n <= 111
        np.testing.assert_allclose(result, np.tile(np.linspace(0.0, 1.0, n), (4, 1)), atol=1e-12)
    assert len({r.shape[1] for r in drawn(augment.stretch_time, ramp, times=100)}) > 15


def test_stretching_equals_interpolation_band_by_band():
    given = np.random.default_rng(0).standard_normal((5, 37))
    for result in drawn(augment.stretch_time, given, times=20, least=0.5, most=2.0):
        place = np.linspace(0, 36, result.shape[1])
        expected = [np.interp(place, np.arange(37), band) for band in given]
        np.testing.assert_allclose(result, expected, atol=1e-12)


@pytest.mark.parametrize("n_frames", [1, 2])
def test_the_shortest_clips_can_be_stretched(n_frames):
    for result in drawn(partial(augment.stretch_time, least=0.1, most=3.0), clip(4, n_frames)):
        assert 1 <= result.shape[1] <= 3 * n_frames
        np.testing.assert_array_equal(result[:, 0], clip(4, n_frames)[:, 0])


def test_a_factor_of_one_changes_nothing():
    for result in drawn(augment.stretch_time, clip(), times=3, least=1.0, most=1.0):
        np.testing.assert_array_equal(result, clip())


def test_a_shift_moves_bands_and_repeats_the_outermost():
    given, shifts = clip(10, 4), Counter()
    for result in drawn(augment.shift_mels, given):
        options = {
            shift: np.pad(given, ((max(shift, 0), max(-shift, 0)), (0, 0)), mode="edge")[
                max(-shift, 0) :
            ][:10]
            for shift in range(-2, 3)
        }
        shifts[next(s for s, rows in options.items() if (rows == result).all())] += 1
    assert set(shifts) == {-2, -1, 0, 1, 2}
    assert min(shifts.values()) > 40
