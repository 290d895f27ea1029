"""Changes of waveforms: closed forms of each, bounds, chances, and never in place."""

from collections import Counter
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import lfilter

from affekt import augment
from affekt.augment import channels, waveforms
from affekt.exceptions import AudioError

SAME_LENGTH = [*augment.OPERATIONS.values(), partial(augment.noise, colour="pink")]


def voice(n=16_000, seed=0, level=0.1):
    """Some tones and some noise, louder and quieter along time."""
    t = np.arange(n) / 16_000
    tones = sum(np.sin(2 * np.pi * f * t) for f in (150, 300, 1200, 3000, 6500))
    hiss = 0.3 * np.random.default_rng(seed).standard_normal(n)
    return (level * (tones + hiss) * (1.2 + np.sin(2 * np.pi * 2.5 * t)) / 3).astype(np.float32)


def tone(frequency, n=16_000, level=0.5):
    return (level * np.sin(2 * np.pi * frequency * np.arange(n) / 16_000)).astype(np.float32)


def rng(seed=0):
    return np.random.default_rng(seed)


def power(x):
    return float(np.square(x, dtype=np.float64).mean())


def level_at(frequency, x):
    """Amplitude of a tone of a whole number of periods a second, from the middle second."""
    middle = x[x.size // 2 - 8000 : x.size // 2 + 8000].astype(np.float64)
    return 2 * abs(np.exp(-2j * np.pi * frequency * np.arange(16_000) / 16_000) @ middle) / 16_000


def impulse(n=16_000, at=0):
    given = np.zeros(n, np.float32)
    given[at] = 1.0
    return given


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


# --- room, telephone, codec


@pytest.mark.parametrize("decibels", [-3.0, 12.0])
@pytest.mark.parametrize("seconds", [0.2, 0.8])
def test_a_room_has_its_direct_sound_and_its_decay(decibels, seconds):
    """Below 1 kHz by 60 dB in `seconds`, above 4 kHz by 120, octave by octave in between."""
    length = round(seconds * 16_000)
    energies = []
    for seed in range(60):
        response = channels.impulse_response(rng(seed), seconds, decibels).astype(np.float64)
        assert response[0] == 1.0
        assert not response[1:33].any()  # 2 ms at least until the first reflection
        assert 33 <= response.size - length <= 161
        energy = np.square(response[-length:])
        assert -10 * np.log10(energy.sum()) == pytest.approx(decibels, abs=1e-3)
        energies.append(energy.reshape(10, -1).sum(axis=1) / energy.sum())
    time = np.arange(length) / length
    shares = np.interp(np.log2(np.arange(5, 8000, 10)), np.log2([1000, 4000]), [0, 1])[:, None]
    falling = (1 - shares) * 10 ** (-3 * time) + shares * 10 ** (-6 * time)
    expected = np.square(falling).mean(axis=0).reshape(10, -1).sum(axis=1)
    np.testing.assert_allclose(np.mean(energies, axis=0), expected / expected.sum(), rtol=0.12)


def test_a_room_is_the_convolution_with_its_response():
    result = augment.room(0.1 * voice(3000), rng(9), seconds=(0.3, 0.3), decibels=(3.0, 3.0))
    own = rng(9)
    own.uniform()
    own.uniform()
    response = channels.impulse_response(own, 0.3, 3.0)
    expected = np.convolve(0.1 * voice(3000), response)[:3000]
    np.testing.assert_allclose(result, expected, atol=1e-6)


def test_a_telephone_passes_speech_band_alone_and_delays_nothing():
    change = partial(augment.telephone, lows=(300.0, 300.0), highs=(3400.0, 3400.0))
    for seed in range(4):
        for frequency in (50, 100, 3900, 5000, 7000):
            assert level_at(frequency, change(tone(frequency), rng(seed))) < 1e-3
        heard = change(tone(997), rng(seed))
        assert level_at(997, heard) == pytest.approx(0.5, rel=0.002)
        error = (heard - tone(997))[4000:12_000]
        assert 10 * np.log10(power(tone(997)) / power(error)) > 35.0
        assert power(error) > 1e-9  # 8 bits are heard


@pytest.mark.parametrize("law", [channels.mu_law, channels.a_law])
def test_companding_gives_256_values_whose_step_grows_with_the_sample(law):
    samples = np.linspace(-1, 1, 200_001)
    heard = law(samples)
    assert 200 <= np.unique(heard).size <= 256
    assert (np.diff(heard) >= 0).all()
    np.testing.assert_array_equal(heard, -heard[::-1])
    np.testing.assert_allclose(heard[[0, 100_000, -1]], [-1, 0, 1], atol=1e-12)
    loud = np.abs(samples) > 0.1
    assert (np.abs(heard - samples)[loud] / np.abs(samples[loud])).max() < 0.025
    np.testing.assert_allclose(law(heard), heard, atol=1e-12)  # what is coded once stays


def test_the_two_laws_are_their_formulas_to_half_a_code():
    x = np.linspace(0.0, 1.0, 999)
    mu = np.log1p(255 * x) / np.log(256)
    coded = np.log1p(255 * channels.mu_law(x)) / np.log(256)
    assert np.abs(mu - coded).max() <= 0.5 / 127 + 1e-12
    a = np.where(x < 1 / 87.6, 87.6 * x, 1 + np.log(np.maximum(87.6 * x, 1))) / (1 + np.log(87.6))
    y = channels.a_law(x)
    b = np.where(y < 1 / 87.6, 87.6 * y, 1 + np.log(np.maximum(87.6 * y, 1))) / (1 + np.log(87.6))
    assert np.abs(a - b).max() <= 0.5 / 127 + 1e-12


@given(n=st.integers(1, 2000), seed=st.integers(0, 100))
@settings(deadline=None)
def test_what_the_codec_transforms_comes_back(n, seed):
    given_ = rng(seed).standard_normal(n).astype(np.float32)
    back = channels.inverse_mdct(channels.mdct(given_))
    np.testing.assert_allclose(back[:n], given_, atol=3e-6)
    assert n <= back.size < n + 320
    np.testing.assert_allclose(back[n:], 0.0, atol=3e-6)


def test_the_transform_is_the_cosine_sum_of_its_definition():
    given_ = voice(960)
    n, k = np.arange(640)[:, None], np.arange(320)[None, :]
    window = np.sin(np.pi * (n + 0.5) / 640)
    basis = window * np.cos(np.pi / 320 * (n + 0.5 + 160) * (k + 0.5)) * np.sqrt(2 / 320)
    padded = np.pad(given_, 320)
    expected = [padded[s : s + 640] @ basis for s in range(0, 1281 - 320, 320)]
    np.testing.assert_allclose(channels.mdct(given_), expected, atol=1e-5)


def test_a_finer_codec_is_nearer_and_above_its_cutoff_nothing_is_left():
    def ratio(coarseness):
        change = partial(augment.codec, cutoffs=(8000.0, 8000.0))
        coded = change(voice(), rng(), coarseness=(coarseness, coarseness))
        return 10 * np.log10(power(voice()) / power(coded - voice()))

    # uniform rounding: an error of step^2 / 12, band by band, where steps are fine
    assert ratio(0.1) == pytest.approx(10 * np.log10(12 / 0.1**2), abs=1.0)
    assert ratio(0.3) > ratio(1.0) > 3.0
    cut = augment.codec(tone(1000) + tone(6000, level=0.2), rng(), cutoffs=(4500.0, 4500.0))
    assert level_at(6000, cut) < 1e-3
    assert level_at(1000, cut) == pytest.approx(0.5, rel=0.2)


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
