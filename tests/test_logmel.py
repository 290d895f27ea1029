"""Log-mel against Hugging Face's numpy extractor, closed forms and invariances."""

import numpy as np
import pytest

from affekt import audio
from affekt.exceptions import AudioError
from affekt.features import FEATURES, log_mel
from affekt.features.logmel import WHISPER, mel_filters, n_frames

LENGTHS = [1, 2, 159, 160, 161, 199, 200, 201, 400, 48_000, 478_400, 479_801, 479_999, 480_000]


@pytest.fixture(scope="module")
def extractor():
    from transformers import WhisperFeatureExtractor

    return WhisperFeatureExtractor()


def reference(extractor, waveform):
    """What the Hugging Face extractor gives in numpy, (80, 3000)."""
    padded = np.pad(waveform, (0, WHISPER.n_samples - waveform.size))
    return extractor._np_extract_fbank_features(padded[None], "cpu")[0]


def noise(n_samples, seed=0, level=0.1):
    rng = np.random.default_rng(seed)
    return (level * rng.standard_normal(n_samples)).astype(np.float32)


def tone(frequency, n_samples=16_000):
    return np.sin(2 * np.pi * frequency * np.arange(n_samples) / 16_000).astype(np.float32)


@pytest.mark.parametrize("n_samples", LENGTHS)
def test_noise_of_any_length_equals_hugging_face(extractor, n_samples):
    waveform = noise(n_samples)
    ours, theirs = log_mel(waveform), reference(extractor, waveform)
    assert ours.shape == (80, n_frames(n_samples))
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, theirs[:, : ours.shape[1]], rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    "recording",
    ["emodb/wav/03a01Wa.flac", "crema-d/AudioWAV/1001_IEO_ANG_HI.ogg"],
)
def test_real_speech_equals_hugging_face(shared, extractor, recording):
    waveform = audio.load(shared / "corpora" / recording)
    ours, theirs = log_mel(waveform), reference(extractor, waveform)
    assert ours.std() > 0.2, "this should be speech, not silence"
    np.testing.assert_allclose(ours, theirs[:, : ours.shape[1]], rtol=0, atol=1e-4)


def test_real_speech_of_thirty_seconds_equals_hugging_face(shared, extractor):
    clips = sorted((shared / "corpora" / "ravdess").rglob("*.flac"))[:12]
    waveform = np.concatenate([audio.load(clip) for clip in clips])
    assert waveform.size > WHISPER.n_samples
    for n_samples in (478_400, 480_000):
        stretch = waveform[:n_samples]
        ours, theirs = log_mel(stretch), reference(extractor, stretch)
        np.testing.assert_allclose(ours, theirs[:, : ours.shape[1]], rtol=0, atol=1e-4)


def test_mel_filters_equal_those_of_transformers():
    from transformers.audio_utils import mel_filter_bank

    theirs = mel_filter_bank(
        num_frequency_bins=201,
        num_mel_filters=80,
        min_frequency=0.0,
        max_frequency=8000.0,
        sampling_rate=16_000,
        norm="slaney",
        mel_scale="slaney",
    )
    np.testing.assert_allclose(mel_filters(), theirs.T, rtol=1e-5, atol=1e-8)


def test_spectrum_equals_the_transform_written_out():
    waveform = noise(4_000, seed=3)
    frame = 10  # well inside
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    piece = waveform[frame * 160 - 200 : frame * 160 + 200] * window
    turns = np.exp(-2j * np.pi * np.outer(np.arange(201), np.arange(400)) / 400)
    power = np.abs(turns @ piece) ** 2
    expected = (np.log10(mel_filters().astype(np.float64) @ power) + 4) / 4
    ours = log_mel(waveform)
    np.testing.assert_allclose(ours[:, frame], expected, atol=1e-4)


@pytest.mark.parametrize("frequency", [220.0, 1000.0, 3300.0, 7000.0])
def test_a_pure_tone_peaks_in_the_band_that_lies_on_it(frequency):
    band = mel_filters()[:, round(frequency / 40)].argmax()
    loudest = log_mel(tone(frequency))[:, 10:-10].argmax(0)
    assert (np.abs(loudest - band) <= 1).all()


def test_a_louder_recording_lies_higher_by_its_gain():
    waveform = noise(16_000)
    louder = log_mel(waveform * np.float32(2)) - log_mel(waveform)
    np.testing.assert_allclose(louder, np.log10(4) / 4, atol=1e-5)


def test_nothing_lies_more_than_eight_decades_under_the_loudest_cell():
    waveform = np.concatenate([tone(1000.0), np.zeros(16_000, np.float32)])
    mel = log_mel(waveform)
    assert mel.max() - mel.min() == pytest.approx(8.0 / 4, abs=1e-6)
    np.testing.assert_allclose(mel[:, -50:], mel.max() - 2.0, atol=1e-6)


def test_gain_moves_the_clamp_with_the_loudest_cell():
    waveform = np.concatenate([tone(1000.0), np.zeros(16_000, np.float32)])
    shift = log_mel(waveform) - log_mel(waveform * np.float32(0.1))
    np.testing.assert_allclose(shift, 2 / 4, atol=1e-5)


@pytest.mark.parametrize("n_samples", [1, 400, 16_000])
def test_silence_is_flat_and_finite(n_samples):
    # power 1e-10, the floor: (log10(1e-10) + 4) / 4
    np.testing.assert_allclose(log_mel(np.zeros(n_samples, np.float32)), -1.5, atol=1e-6)


def test_silence_behind_a_recording_changes_none_of_its_frames():
    waveform = noise(8_000)
    longer = np.pad(waveform, (0, 8_000))
    np.testing.assert_allclose(log_mel(longer)[:, :50], log_mel(waveform), atol=1e-6)


def test_the_waveform_itself_is_left_alone():
    waveform = noise(1_600)
    before = waveform.copy()
    log_mel(waveform)
    np.testing.assert_array_equal(waveform, before)


def test_other_number_types_give_the_same():
    waveform = noise(1_600)
    np.testing.assert_array_equal(log_mel(waveform.astype(np.float64)), log_mel(waveform))


@pytest.mark.parametrize("shape", [(0,), (2, 100), ()])
def test_what_is_not_mono_samples_is_refused(shape):
    with pytest.raises(AudioError, match=r"mono samples, shape \(n_samples,\)"):
        log_mel(np.zeros(shape, np.float32))


def test_the_register_holds_it():
    assert FEATURES["log_mel"] is log_mel
