"""Changes of waveforms: what all keep, and the closed form of each."""

from collections import Counter
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import lfilter

from affekt import augment
from affekt.augment import waveforms
from affekt.exceptions import AudioError
from augmented_sounds import impulse, level_at, power, rng, tone, voice

SAME_LENGTH = [*augment.OPERATIONS.values(), partial(augment.noise, colour="pink")]


# --- what all keep


@pytest.mark.parametrize("change", SAME_LENGTH)
@given(n=st.sampled_from([1, 2, 319, 320, 321, 5000]), seed=st.integers(0, 50),
       level=st.sampled_from([0.0, 1e-4, 0.3, 1.0, 3.0]))  # fmt: skip
@settings(deadline=None, max_examples=15)
def test_length_type_bounds_and_the_waveform_given_are_kept(change, n, seed, level):
    before = voice(n, seed, level)
    waveform = before.copy()
    waveform.flags.writeable = False
    result = change(waveform, rng(seed))
    assert (result.shape, result.dtype) == ((n,), np.float32)
    assert np.isfinite(result).all()
    assert np.abs(result).max() <= max(1.0, np.abs(before).max())
    assert not np.shares_memory(result, waveform)
    np.testing.assert_array_equal(waveform, before)


@pytest.mark.parametrize("change", SAME_LENGTH)
def test_digital_silence_stays_silent(change):
    assert not any(change(np.zeros(4000, np.float32), rng(seed)).any() for seed in range(5))


@pytest.mark.parametrize("change", [*SAME_LENGTH, augment.speed])
def test_the_same_seed_gives_the_same_and_another_another(change):
    first, again = (change(voice(), rng(3)) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    if change not in (augment.polarity, augment.reversal):
        others = [change(voice(), rng(seed)) for seed in range(4, 8)]
        assert all(o.shape != first.shape or (o != first).any() for o in others)


@pytest.mark.parametrize("change", [*SAME_LENGTH, augment.speed, augment.augment])
@pytest.mark.parametrize("shape", [(0,), (2, 100)])
def test_what_is_no_waveform_is_refused(change, shape):
    with pytest.raises(AudioError, match="mono samples"):
        change(np.zeros(shape, np.float32), rng())


# --- the seven of the paper


def test_polarity_turns_every_sign():
    np.testing.assert_array_equal(augment.polarity(voice(), rng()), -voice())


@pytest.mark.parametrize("decibels", [-12.0, -6.0, 0.0, 6.0])
def test_gain_is_its_decibels(decibels):
    louder = augment.gain(voice(), rng(), decibels=(decibels, decibels))
    assert 10 * np.log10(power(louder) / power(voice())) == pytest.approx(decibels, abs=1e-5)
    np.testing.assert_allclose(louder, voice() * 10 ** (decibels / 20), rtol=1e-6)


def test_gains_are_even_in_decibels_within_their_range():
    quiet = np.full(4, 0.01, np.float32)
    drawn = [20 * np.log10(augment.gain(quiet, rng(s))[0] / 0.01) for s in range(2000)]
    assert -12.0001 <= min(drawn) < -11.9
    assert 5.9 < max(drawn) <= 6.0001
    # 18 dB wide: mean -3, deviation 18 / sqrt(12)
    assert np.mean(drawn) == pytest.approx(-3.0, abs=5 * 18 / np.sqrt(12 * 2000))


def test_gain_stops_at_full_scale_without_clipping():
    louder = augment.gain(voice(), rng(), decibels=(40.0, 40.0))
    assert np.abs(louder).max() == 1.0
    np.testing.assert_allclose(louder, voice() / np.abs(voice()).max(), atol=1e-6)


def test_reversal_is_its_own_inverse_and_keeps_segments_in_place():
    given = np.arange(1, 11, dtype=np.float32) / 10
    np.testing.assert_array_equal(augment.reversal(given, rng()), given[::-1])
    parts = [(1, 4), (4, 8)]
    result = augment.reversal(given, rng(), segments=parts)
    expected = np.array([1, 4, 3, 2, 8, 7, 6, 5, 9, 10], np.float32) / 10
    np.testing.assert_array_equal(result, expected)
    again = augment.reversal(result, rng(), segments=parts)
    np.testing.assert_array_equal(again, given)


@pytest.mark.parametrize("segment", [(-1, 4), (3, 11), (5, 4)])
def test_a_segment_beyond_the_waveform_is_refused(segment):
    with pytest.raises(AudioError, match="is not within"):
        augment.reversal(np.ones(10, np.float32), rng(), segments=[segment])


@pytest.mark.parametrize("colour", ["white", "pink", "babble"])
@pytest.mark.parametrize("decibels", [-5.0, 5.0, 30.0])
def test_noise_has_the_ratio_asked_for(colour, decibels):
    others = [voice(3000, 1), voice(30_000, 2, 0.01)]
    change = partial(augment.noise, decibels=(decibels, decibels), colour=colour, others=others)
    added = change(voice(), rng(5)).astype(np.float64) - voice()
    assert 10 * np.log10(power(voice()) / power(added)) == pytest.approx(decibels, abs=2e-3)


def test_noise_that_must_be_scaled_down_takes_the_voice_with_it():
    loud = voice(level=1.0)
    result = augment.noise(loud, rng(), decibels=(0.0, 0.0), colour="white").astype(np.float64)
    scale = result @ loud / (loud @ loud.astype(np.float64))
    assert scale < 0.95
    ratio = power(scale * loud) / power(result - scale * loud)
    assert 10 * np.log10(ratio) == pytest.approx(0.0, abs=0.1)  # they are nearly independent


def test_white_noise_is_flat_and_pink_falls_three_decibels_an_octave():
    octaves = [(250, 500), (500, 1000), (1000, 2000), (2000, 4000), (4000, 8000)]
    frequencies = np.fft.rfftfreq(160_000, 1 / 16_000)

    def per_hertz(draw):
        spectrum = np.square(np.abs(np.fft.rfft(draw(160_000, rng(1)))))
        bands = [(frequencies >= low) & (frequencies < high) for low, high in octaves]
        return np.diff([10 * np.log10(spectrum[band].mean()) for band in bands])

    np.testing.assert_allclose(per_hertz(waveforms.white), 0.0, atol=0.4)
    np.testing.assert_allclose(per_hertz(waveforms.pink), -10 * np.log10(2), atol=0.4)
    assert np.std(waveforms.pink(160_000, rng(2))) == pytest.approx(1.0, rel=0.1)
    low = np.abs(np.fft.rfft(waveforms.pink(waveforms.fast_length(160_000), rng(3))))
    assert low[:180].max() < 1e-3 * low.max()  # below 20 Hz


def test_colours_are_even_and_babble_needs_others():
    others = [tone(1000)]
    seen = Counter()
    for seed in range(300):
        added = augment.noise(tone(200), rng(seed), others=others) - tone(200)
        spectrum = np.abs(np.fft.rfft(added))
        low, high = spectrum[100:200].mean(), spectrum[7000:].mean()
        seen["babble" if level_at(1000, added) > 0.9 * np.sqrt(2 * power(added)) else
             "pink" if low > 3 * high else "white"] += 1  # fmt: skip
    assert set(seen) == {"white", "pink", "babble"}
    assert all(abs(n - 100) < 5 * np.sqrt(300 * 2 / 9) for n in seen.values())
    with pytest.raises(AudioError, match="give some as `others`"):
        augment.noise(voice(), rng(), colour="babble")
    with pytest.raises(AudioError, match="are silent"):
        augment.noise(voice(), rng(), colour="babble", others=[np.zeros(9, np.float32)])
    with pytest.raises(ValueError, match="choose white, pink, babble"):
        augment.noise(voice(), rng(), colour="brown")


def test_babble_is_three_to_seven_equally_loud_voices_from_random_places():
    """Steps of different heights tell voices apart, whatever their loudness was."""
    other = np.zeros(100, np.float32)
    other[0] = 5.0  # after scaling to an RMS of 1: 10
    counts = Counter()
    for seed in range(300):
        mixed = waveforms.babble([other], 250, rng(seed))
        counts[round(float(mixed[:100].sum()) / 10)] += 1
        np.testing.assert_array_equal(mixed[:150], mixed[100:])  # repeated
    assert set(counts) == {3, 4, 5, 6, 7}


def test_resampling_keeps_what_lies_below_half_the_rate_and_nothing_above():
    given = tone(1000, level=0.3) + tone(6000, level=0.3)
    narrow = augment.resampling(given, rng(), rates=(9000.0, 9000.0))
    assert level_at(1000, narrow) == pytest.approx(0.3, rel=1e-3)
    assert level_at(6000, narrow) < 1e-4
    middle = slice(4000, 12_000)
    np.testing.assert_allclose(narrow[middle], tone(1000, level=0.3)[middle], atol=1e-3)


@pytest.mark.parametrize("factor", [0.9, 1.0, 1.1])
def test_speed_moves_length_and_pitch_together(factor):
    faster = augment.speed(tone(1000, 32_000), rng(), factors=(factor, factor))
    assert faster.size == round(32_000 / factor)
    spectrum = np.abs(np.fft.rfft(faster * np.hanning(faster.size)))
    heard = spectrum.argmax() * 16_000 / faster.size
    assert heard == pytest.approx(1000 * factor, abs=1.0)


def test_an_equalised_impulse_has_the_spectrum_of_a_peaking_filter():
    change = partial(augment.equalisation, n_bands=1, decibels=(6.0, 6.0), qualities=(1.5, 1.5))
    response = change(0.1 * impulse(8000), rng(), centres=(1000.0, 1000.0)) / 0.1
    gains = 20 * np.log10(np.abs(np.fft.rfft(response)))  # 2 Hz apart
    assert gains[500] == pytest.approx(6.0, abs=1e-3)
    assert gains.argmax() == 500
    assert abs(gains[0]) < 1e-3
    assert abs(gains[-1]) < 1e-3
    # the cookbook: half the gain in dB at the edges of the band that Q defines
    above = (gains >= 3.0).nonzero()[0] * 2
    assert np.sqrt(above[0] * above[-1]) == pytest.approx(1000, rel=0.03)
    # warped by the bilinear transform: analogue edges f(1 +- ...), so 2 asinh(1 / 2Q) octaves
    edges = np.tan(np.pi * above[[0, -1]] / 16_000)
    assert np.log(edges[1] / edges[0]) == pytest.approx(2 * np.arcsinh(1 / 3), rel=0.03)


def test_equalisation_equals_the_recursive_filter():
    angle, amplitude, alpha = 2 * np.pi * 300 / 16_000, 10 ** (-8 / 40), np.sin(
        2 * np.pi * 300 / 16_000
    ) / 4.0  # fmt: skip
    b = [1 + alpha * amplitude, -2 * np.cos(angle), 1 - alpha * amplitude]
    a = [1 + alpha / amplitude, -2 * np.cos(angle), 1 - alpha / amplitude]
    once = lfilter(b, a, voice().astype(np.float64))
    expected = lfilter(b, a, once)
    result = augment.equalisation(
        voice(), rng(), n_bands=2, centres=(300.0, 300.0), decibels=(-8.0, -8.0),
        qualities=(2.0, 2.0),
    )  # fmt: skip
    np.testing.assert_allclose(result, expected, atol=1e-6)


def test_an_echo_comes_after_its_delay_at_its_decay():
    result = augment.echo(impulse(at=100), rng(), delays=(0.05, 0.05), decays=(0.4, 0.4),
                          taps=(3, 3))  # fmt: skip
    expected = np.zeros(16_000)
    expected[[100, 900, 1700, 2500]] = 1.0, 0.4, 0.16, 0.064
    np.testing.assert_allclose(result, expected, atol=1e-7)
    places = [np.flatnonzero(augment.echo(impulse(), rng(seed))) for seed in range(200)]
    assert {p.size - 1 for p in places} == {1, 2, 3}
    assert all(320 <= p[1] <= 3200 for p in places)
    assert all((np.diff(p) == p[1]).all() for p in places)


# --- roll


@given(n_frames=st.integers(1, 40), hop=st.integers(1, 5), seed=st.integers(0, 200))
def test_roll_moves_labels_with_the_sound(n_frames, hop, seed):
    names = np.arange(n_frames)
    waveform = np.repeat(names, hop).astype(np.float32)
    targets = np.stack([names, -names], axis=1)
    rolled, (frames, rows) = augment.roll(waveform, [names, targets], rng(seed))
    np.testing.assert_array_equal(rolled.reshape(n_frames, hop), frames[:, None].repeat(hop, 1))
    np.testing.assert_array_equal(rows, np.stack([frames, -frames], axis=1))
    assert (np.diff(frames) % n_frames == 1 % n_frames).all()
    np.testing.assert_array_equal(names, np.arange(n_frames))


def test_every_roll_is_as_probable():
    names = np.arange(10)
    given = np.zeros(20, np.float32)
    starts = Counter(int(augment.roll(given, [names], rng(s))[1][0][0]) for s in range(2000))
    assert set(starts) == set(range(10))
    assert max(abs(n - 200) for n in starts.values()) < 5 * np.sqrt(200)


@pytest.mark.parametrize("frames", [[], [np.arange(3)], [np.arange(5), np.arange(4)]])
def test_frames_that_do_not_fit_are_refused(frames):
    with pytest.raises(AudioError, match="one length that divides"):
        augment.roll(np.ones(20, np.float32), frames, rng())
