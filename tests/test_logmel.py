"""Log-mel against Hugging Face's numpy extractor, librosa's values, closed forms, invariances."""

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import affekt
from affekt import audio
from affekt.exceptions import AudioError
from affekt.features import FEATURES, log_mel
from affekt.features.logmel import DUSHA, LSSED, WHISPER, mel_filters, n_frames

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


# DUSHA and LSSED. The tables below are librosa 0.11.0's, of seconds 0 to 2.169 of the bundled
# excerpt: librosa.feature.melspectrogram(y=y, sr=16000, power=2.0, center=True,
# pad_mode="reflect", n_fft=…, hop_length=…, n_mels=…), then librosa.power_to_db(…, ref=np.max)
# for DUSHA and log10(… + 1e-10) for LSSED.

LIBROSA_DUSHA = [  # mel bands 3, 15, … by frames 0, 36, …; dB
    [-43.1589, -48.9538, -36.8148, -31.53, -39.447, -47.9939, -46.7157],
    [-64.5677, -66.9077, -3.4114, -35.4892, -39.1005, -65.0336, -66.0574],
    [-73.3913, -68.9598, -13.0982, -38.2126, -37.6099, -80.0, -71.4883],
    [-80.0, -80.0, -41.0331, -47.4353, -41.4588, -80.0, -75.0682],
    [-79.3459, -76.6259, -18.3461, -35.3438, -43.1756, -80.0, -80.0],
    [-80.0, -79.6353, -31.075, -37.3952, -50.2739, -77.5665, -80.0],
]
LIBROSA_LSSED = [  # mel bands 5, 29, … by frames 0, 11, …
    [-2.97357, -2.47676, -2.56694, -2.06315, -1.59408, -2.11283, -2.52427],
    [-4.44885, -3.80802, 1.17373, -0.91132, -2.7821, -5.3924, -4.71991],
    [-5.15308, -4.62514, 0.04536, -0.4857, -1.72462, -5.47347, -5.90925],
    [-5.63303, -4.78926, -2.50774, -2.5546, -2.90147, -6.2944, -6.11037],
    [-5.89339, -5.08671, -0.20361, -1.91921, -4.08058, -5.60586, -6.51492],
    [-6.43213, -5.55125, -1.54103, -2.2896, -2.21762, -5.57692, -5.89999],
]
BOTH = pytest.mark.parametrize("preset", [DUSHA, LSSED], ids=["dusha", "lssed"])


@pytest.fixture(scope="module")
def speech():
    excerpt = Path(affekt.__file__).parent / "example" / "crema-d-excerpt.ogg"
    return audio.load(excerpt, end=2.169)


def test_dusha_equals_the_golden_values_of_a_swelling_tone():
    n = np.arange(16_000)
    swelling = 0.5 * np.sin(2 * np.pi * 440 * n / 16_000) * n / 16_000
    mel = log_mel(
        (swelling + 0.1 * np.sin(2 * np.pi * 3000 * n / 16_000)).astype(np.float32), DUSHA
    )
    assert mel.shape == (64, 101)
    assert mel.dtype == np.float32
    assert (mel.min(), mel.max()) == (-80.0, 0.0)
    assert mel.mean(dtype=float) == pytest.approx(-68.761398, abs=1e-4)
    cells = [mel[cell] for cell in ((0, 0), (10, 0), (10, 50), (13, 100), (5, 3))]
    golden = [-47.1683, -52.1486, -14.4396, -16.2002, -69.9399]
    np.testing.assert_allclose(cells, golden, rtol=0, atol=1e-4)


def test_dusha_filters_have_the_golden_sum_and_maximum():
    filters = mel_filters(DUSHA)
    assert filters.shape == (64, 161)
    assert filters.sum() == pytest.approx(1.2791431, abs=1e-6)
    assert filters.max() == pytest.approx(0.0214009, abs=1e-7)


@BOTH
def test_no_filter_is_empty(preset):
    assert (mel_filters(preset).max(axis=1) > 0).all()


def test_dusha_of_real_speech_equals_librosa(speech):
    mel = log_mel(speech, DUSHA)
    assert mel.shape == (64, 217)
    np.testing.assert_allclose(mel[3::12, ::36], LIBROSA_DUSHA, rtol=0, atol=1e-3)
    assert mel.mean(dtype=float) == pytest.approx(-53.558791, abs=1e-3)
    assert mel.std(dtype=float) == pytest.approx(20.664875, abs=1e-3)
    assert (mel == -80.0).mean() == pytest.approx(0.177203, abs=1e-3)


def test_lssed_of_real_speech_equals_librosa(speech):
    mel = log_mel(speech, LSSED)
    assert mel.shape == (128, 68)
    assert mel.dtype == np.float32
    np.testing.assert_allclose(mel[5::24, ::11], LIBROSA_LSSED, rtol=0, atol=1e-4)
    assert mel.mean(dtype=float) == pytest.approx(-3.176740, abs=1e-4)
    assert mel.std(dtype=float) == pytest.approx(2.123653, abs=1e-4)


def test_lssed_without_its_logarithm_is_power(speech):
    power = log_mel(speech, replace(LSSED, scaling="power"))
    assert power.min() >= 0
    logarithm = np.log10(power.astype(np.float64) + 1e-10)
    np.testing.assert_allclose(log_mel(speech, LSSED), logarithm, atol=1e-5)


@BOTH
@pytest.mark.parametrize("n_samples", [1, 2, 3, 100, 161, 511, 1500])
def test_clips_shorter_than_a_window_mirror_as_often_as_needed(preset, n_samples):
    clip = noise(n_samples, seed=n_samples).astype(np.float64)
    count, half = 1 + n_samples // preset.hop, preset.n_fft // 2
    place = np.arange(-half, (count - 1) * preset.hop + half)
    # there and back again: a triangle wave over the samples, its corners not repeated
    period = max(2 * n_samples - 2, 1)
    mirrored = clip[(n_samples - 1) - np.abs(place % period - (n_samples - 1))]
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(preset.n_fft) / preset.n_fft)
    turn = np.outer(np.arange(half + 1), np.arange(preset.n_fft))
    frames = [mirrored[k * preset.hop :][: preset.n_fft] * window for k in range(count)]
    power = np.abs(np.exp(-2j * np.pi * turn / preset.n_fft) @ np.transpose(frames)) ** 2
    mel = mel_filters(preset).astype(np.float64) @ power
    if preset is DUSHA:
        expected = np.maximum(10 * np.log10(np.maximum(mel, 1e-10) / mel.max()), -80)
    else:
        expected = np.log10(mel + 1e-10)
    ours = log_mel(clip.astype(np.float32), preset)
    assert ours.shape == (preset.n_mels, count) == (preset.n_mels, n_frames(n_samples, preset))
    np.testing.assert_allclose(ours, expected, rtol=0, atol=0.02 if preset is DUSHA else 0.002)


def test_dusha_does_not_change_with_gain(speech):
    quieter = log_mel(speech * np.float32(0.5), DUSHA)
    np.testing.assert_allclose(quieter, log_mel(speech, DUSHA), atol=1e-4)


def test_dusha_silence_is_its_own_loudest_cell():
    assert (log_mel(np.zeros(800, np.float32), DUSHA) == 0).all()


def test_lssed_silence_is_ten_decades_down():
    np.testing.assert_allclose(log_mel(np.zeros(800, np.float32), LSSED), -10.0, atol=1e-5)


@BOTH
def test_silence_between_sounds_stays_above_the_floor(preset):
    mel = log_mel(np.concatenate([tone(1000.0), np.zeros(16_000, np.float32)]), preset)
    assert mel[:, -10:].max() == (-80.0 if preset is DUSHA else pytest.approx(-10.0, abs=1e-5))


@BOTH
@pytest.mark.parametrize("shape", [(0,), (2, 100)])
def test_the_other_presets_refuse_what_is_not_mono_samples_too(preset, shape):
    with pytest.raises(AudioError, match=r"mono samples, shape \(n_samples,\)"):
        log_mel(np.zeros(shape, np.float32), preset)


@pytest.mark.parametrize(("name", "preset"), [("log_mel_dusha", DUSHA), ("log_mel_lssed", LSSED)])
def test_the_register_holds_presets_that_can_be_sent_to_processes(speech, name, preset):
    assert pickle.dumps(FEATURES[name])
    np.testing.assert_array_equal(FEATURES[name](speech), log_mel(speech, preset))
