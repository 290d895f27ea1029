"""Spectral subtraction against its formula and on noisy sound; a video's sound by its times."""

from dataclasses import replace

import numpy as np
import pytest
import soxr

from affekt import audio
from affekt.denoise import LSSED, amplify, denoise
from affekt.exceptions import AudioError
from affekt.features import FEATURES, log_mel
from affekt.features.logmel import LSSED as LOG_MEL
from media import RATE, encode, noise, tone

NOTHING = replace(LSSED, over_subtraction=0.0)


def in_pauses(waveform, seconds=4.0):
    """The waveform in the middle of this long a silence."""
    padded = np.zeros(round(seconds * RATE), np.float32)
    first = (padded.size - waveform.size) // 2
    padded[first : first + waveform.size] = waveform
    return padded


def level(waveform):
    return np.sqrt(np.mean(np.square(waveform, dtype=np.float64)))


@pytest.mark.parametrize("n_samples", [1, 2, 511, 512, 513, 1023, 1024, 1025, 3072, 50_001])
def test_where_nothing_is_subtracted_the_samples_come_back(n_samples):
    waveform = noise(4.0)[:n_samples]
    result = denoise(waveform, NOTHING)
    assert result.shape == (n_samples,)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, waveform, rtol=0, atol=1e-7)


def test_the_middle_equals_the_formula_written_out():
    waveform = (noise(2.0) * np.linspace(0.2, 1.0, 2 * RATE)).astype(np.float64)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(1024) / 1024)
    count = (waveform.size - 1024) // 512 + 1
    spectra = [np.fft.rfft(window * waveform[512 * k :][:1024]) for k in range(count)]
    magnitudes = np.abs(spectra)
    order = np.argsort((magnitudes**2).sum(axis=1))
    noisy = magnitudes[order[: int(0.1 * count)]].mean(axis=0)
    assert int(0.1 * count) == 6
    expected = np.zeros(waveform.size)
    for k, spectrum in enumerate(spectra):
        left = np.maximum(np.abs(spectrum) - 2.0 * noisy, 0.02 * np.abs(spectrum))
        expected[512 * k :][:1024] += np.fft.irfft(left * np.exp(1j * np.angle(spectrum)))
    found = denoise(waveform.astype(np.float32))
    np.testing.assert_allclose(found[512:-1024], expected[512:-1024], atol=1e-6)


def test_of_a_short_clip_the_five_quietest_frames_are_the_noise():
    steps = np.repeat([1.0, 0.1], 5 * 512).astype(np.float32)
    waveform = noise(1.0)[: steps.size] * steps
    five, three = denoise(waveform), denoise(waveform, replace(LSSED, min_quiet=3))
    assert np.abs(five - three).max() > 1e-3


def test_noise_between_words_falls_and_a_tone_stays():
    spoken = in_pauses(tone(2.0))
    noisy = spoken + noise(4.0, level=0.02)
    clean = denoise(noisy)
    pause = slice(0, 12_000)
    assert level(clean[pause]) < 0.2 * level(noisy[pause])
    middle = slice(24_000, 40_000)
    assert level(clean[middle] - spoken[middle]) < 0.5 * level(noisy[middle] - spoken[middle])
    assert level(clean[middle]) == pytest.approx(level(spoken[middle]), rel=0.02)


def test_every_frame_keeps_at_least_its_floor():
    waveform = noise(2.0)
    everything = denoise(waveform, replace(LSSED, over_subtraction=1e9))
    np.testing.assert_allclose(everything, 0.02 * waveform, atol=1e-7)


def test_frames_that_reach_beyond_the_ends_do_not_pass_for_quiet():
    # 32 periods in a hop: all frames within are alike, and twice their mean leaves the floor
    steady = tone(2.0, frequency=1000.0)
    middle = slice(1_024, -2_048)
    left = level(denoise(steady)[middle])
    assert left == pytest.approx(0.02 * level(steady[middle]), rel=1e-3)


def test_a_recording_without_noise_stays():
    spoken = in_pauses(tone(2.0))
    np.testing.assert_allclose(denoise(spoken), spoken, atol=1e-6)


def test_gain_before_is_gain_after():
    waveform = in_pauses(tone(2.0)) + noise(4.0, level=0.02)
    np.testing.assert_allclose(denoise(4 * waveform), 4 * denoise(waveform), rtol=0, atol=1e-5)


@pytest.mark.parametrize("n_samples", [1, 1000, 3071])
def test_too_short_a_clip_to_know_its_noise_stays(n_samples):
    waveform = noise(1.0)[:n_samples]
    np.testing.assert_allclose(denoise(waveform), waveform, atol=1e-7)


def test_the_waveform_itself_is_left_alone():
    waveform = noise(1.0)
    before = waveform.copy()
    denoise(waveform)
    amplify(waveform)
    np.testing.assert_array_equal(waveform, before)


@pytest.mark.parametrize("shape", [(0,), (2, 100)])
def test_what_is_not_mono_samples_is_refused(shape):
    with pytest.raises(AudioError, match=r"mono samples, shape \(n_samples,\)"):
        denoise(np.zeros(shape, np.float32))


def test_doubling_the_volume_does_not_clip():
    np.testing.assert_array_equal(amplify(np.float32([0.9, -0.75])), np.float32([1.8, -1.5]))


def test_lssed_prepares_in_the_papers_order():
    waveform = in_pauses(tone(2.0)) + noise(4.0, level=0.02)
    found = FEATURES["log_mel_lssed_denoised"](waveform)
    np.testing.assert_allclose(found, log_mel(2 * denoise(waveform), LOG_MEL), atol=1e-5)


@pytest.mark.parametrize(
    ("ending", "coder", "rate"),
    [(".mp4", "aac", 44_100), (".mkv", "ac3", 48_000), (".mov", "aac", 48_000)],
)
def test_a_stretch_of_a_video_is_cut_where_its_times_say(tmp_path, ending, coder, rate):
    hum = noise(6.0, rate=4_000)  # below 2 kHz, where no coder saves
    sound = soxr.resample(hum, 4_000, rate)
    path = encode(tmp_path / f"film{ending}", sound, coder, rate, picture=True)
    expected = soxr.resample(sound, rate, RATE)
    for start, end in ((0.0, 1.0), (1.25, 3.5), (4.0, 5.5)):
        cut = audio.load(path, start=start, end=end)
        assert cut.size == round((end - start) * RATE)
        true = expected[round(start * RATE) :][: cut.size]
        spectrum = np.fft.rfft(true, 2 * cut.size) * np.fft.rfft(cut, 2 * cut.size).conj()
        assert np.fft.irfft(spectrum).argmax() == 0, "shifted by samples"
        assert np.corrcoef(cut[200:-200], true[200:-200])[0, 1] > 0.9
