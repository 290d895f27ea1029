"""Room, telephone and codec: decays, bands, laws and the transform written out."""

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from affekt import augment
from affekt.augment import channels
from augmented_sounds import level_at, power, rng, tone, voice


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
