"""All changes of a waveform together: chances, order, what is refused; and of spectrograms."""

import numpy as np
import pytest

from affekt import augment
from augmented_sounds import impulse, level_at, rng, tone, voice

# --- all of them


def test_the_papers_seven_have_the_papers_chance():
    names = {"polarity", "gain", "reversal", "noise", "resampling", "equalisation", "echo"}
    assert dict.fromkeys(names, 0.2) == augment.PAPER
    assert set(augment.BEYOND) == names | {"room", "telephone", "codec"} == set(augment.OPERATIONS)


def test_each_change_happens_as_often_as_its_chance():
    """Polarity and reversal of a ramp are seen in the result, whatever else is drawn."""
    ramp = np.array([0.25, 0.5], np.float32)
    chances = {"polarity": 0.2, "reversal": 0.5}
    generator = rng(2)
    results = [augment.augment(ramp, generator, chances) for _ in range(4000)]
    turned = np.mean([r[0] < 0 for r in results])
    reversed_ = np.mean([abs(r[0]) > abs(r[1]) for r in results])
    both = np.mean([r[0] < 0 and abs(r[0]) > abs(r[1]) for r in results])
    assert turned == pytest.approx(0.2, abs=5 * np.sqrt(0.16 / 4000))
    assert reversed_ == pytest.approx(0.5, abs=5 * np.sqrt(0.25 / 4000))
    assert both == pytest.approx(0.1, abs=5 * np.sqrt(0.09 / 4000))


def test_without_chances_nothing_happens_and_as_much_chance_is_used():
    first, second = rng(1), rng(1)
    result = augment.augment(voice(), first, {})
    np.testing.assert_array_equal(result, voice())
    augment.augment(voice(), second, augment.BEYOND)
    assert first.random() == second.random()


@pytest.mark.parametrize("name", augment.OPERATIONS)
def test_turning_one_change_on_or_off_alters_no_other(name):
    """Where polarity is on as well, it is the same draw: the result is the other's, turned."""
    for seed in range(5):
        alone = augment.augment(voice(4000), rng(seed), {name: 1.0})
        turned = augment.augment(voice(4000), rng(seed), {name: 1.0, "polarity": 1.0})
        np.testing.assert_array_equal(turned, -voice(4000) if name == "polarity" else -alone)
        assert name == "polarity" or (alone != voice(4000)).any()


def test_a_chain_is_its_parts_in_the_order_of_the_register():
    def peaks(chances):
        return augment.augment(impulse(at=10), rng(7), chances)

    both = peaks({"echo": 1.0, "reversal": 1.0})
    assert both[:15_989].max() == 0.0  # reversed first: the echo still comes after
    assert both[15_989] > 0


def test_segments_and_others_reach_the_changes_that_need_them():
    given_ = np.arange(1, 5, dtype=np.float32) / 8
    result = augment.augment(given_, rng(), {"reversal": 1.0}, segments=[(0, 2), (2, 4)])
    np.testing.assert_array_equal(result * 8, [2, 1, 4, 3])
    babbled = [
        augment.augment(tone(200), rng(s), {"noise": 1.0}, others=[tone(1000)]) for s in range(30)
    ]
    assert 3 <= sum(level_at(1000, x) > 0.01 for x in babbled) <= 20


@pytest.mark.parametrize(("chances", "said"), [
    ({"chorus": 0.2}, "'chorus' is no augmentation: choose of reversal"),
    ({"echo": 1.2}, "chance of echo is 1.2"), ({"gain": -0.1}, "chance of gain"),
])  # fmt: skip
def test_unknown_names_and_chances_are_refused(chances, said):
    with pytest.raises(ValueError, match=said):
        augment.augment(voice(), rng(), chances)


# --- spectrograms


def test_spec_augment_masks_twice_each_way_with_the_clips_mean():
    given_ = rng(1).normal(0.5, 1.0, (80, 300)).astype(np.float32)
    n_bands, n_frames = set(), set()
    for seed in range(200):
        result = augment.spec_augment(given_, rng(seed), sd=(0.0, 0.0))
        masked = result == np.float32(given_.mean(dtype=np.float32))
        bands, frames = masked.all(axis=1), masked.all(axis=0)
        n_bands.add(int(bands.sum()))
        n_frames.add(int(frames.sum()))
        kept = ~(bands[:, None] | frames[None, :])
        np.testing.assert_array_equal(result[kept], given_[kept])
        for flags in (bands, frames):
            assert np.count_nonzero(np.diff(np.concatenate([[0], flags])) == 1) <= 2
    assert 27 < max(n_bands) <= 54
    assert 15 < max(n_frames) <= 30
    assert len(n_bands) > 30


def test_noise_on_spectrograms_has_its_deviation_and_type():
    for dtype in (np.float32, np.float64):
        given_ = np.zeros((80, 500), dtype)
        result = augment.spectrogram_noise(given_, rng(), sd=(0.05, 0.05))
        assert result.dtype == dtype
        assert result.std() == pytest.approx(0.05, rel=0.03)
        assert not given_.any()
    deviations = [augment.spectrogram_noise(given_, rng(s)).std() for s in range(100)]
    assert 0 <= min(deviations) < 0.01
    assert 0.09 < max(deviations) < 0.11
