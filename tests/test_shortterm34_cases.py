"""The 34 features in closed forms and invariances; silence, short input, edges and statistics."""

import numpy as np
import pytest

import shortterm34_inputs
from affekt.exceptions import AudioError
from affekt.features import FEATURES, shortterm34
from affekt.features.shortterm34 import CTC_MIN_FRAMES, ENERGY, NAMES, ZScores, kept_frames
from shortterm34_inputs import FIRST_CLIP, VARIANTS, noise

speech = pytest.fixture(scope="module")(shortterm34_inputs.speech)


MFCC = slice(NAMES.index("mfcc_1"), NAMES.index("mfcc_13") + 1)
CHROMA = slice(NAMES.index("chroma_1"), NAMES.index("chroma_12") + 1)
FLUX = NAMES.index("spectral_flux")


def tone(frequency, n_samples=16_000):
    return np.sin(2 * np.pi * frequency * np.arange(n_samples) / 16_000)


@pytest.mark.parametrize(("note", "frequency"), list(enumerate(440 * 2 ** (np.arange(12) / 12))))
def test_a_pure_note_fills_its_own_chroma(note, frequency):
    chroma = shortterm34(tone(frequency), 16_000, variant="clean")[:, CHROMA]
    assert (chroma.argmax(1) == note).all()
    assert (chroma.max(1) > 0.9).all()


def test_clean_chroma_sums_to_one_and_the_first_eight_features_are_those_of_paa(speech):
    clean, paa = (shortterm34(speech, 16_000, variant=v) for v in ("clean", "paa"))
    sounding = clean[:, ENERGY] > 1e-6
    assert 150 < sounding.sum() < len(clean), "there are speech and digital silence"
    np.testing.assert_allclose(clean[sounding, CHROMA].sum(1), 1, atol=1e-9)
    np.testing.assert_array_equal(clean[:, :8], paa[:, :8])
    assert (np.abs(clean[:, MFCC] - paa[:, MFCC]).max(0) > 0.1).all()


def test_windows_too_short_for_the_peers_chroma_get_the_right_one():
    paa, clean = (shortterm34(noise(800), 16_000, window=0.01, variant=v) for v in ("paa", "clean"))
    np.testing.assert_array_equal(paa[:, CHROMA], clean[:, CHROMA])


def test_windows_of_over_a_second_have_no_note_of_no_hertz():
    # integer division puts the first bins at 0 Hz, whose logarithm the old copy stumbled over
    ours, clean = (
        shortterm34(noise(40_000), 16_000, window=2.0, variant=v) for v in ("paa_copy", "clean")
    )
    np.testing.assert_allclose(ours[:, CHROMA], clean[:, CHROMA], atol=1e-6)


def test_a_sine_has_the_energy_and_the_crossings_of_a_sine():
    features = shortterm34(tone(1000.0), 16_000)
    np.testing.assert_allclose(features[:, ENERGY], 0.5, atol=1e-6)
    np.testing.assert_allclose(features[:, 0], 1 / 8, atol=1e-3)  # two a period of 16 samples
    centroid, spread, rolloff = features[:, 3], features[:, 4], features[:, 7]
    np.testing.assert_allclose(centroid, 1005 / 8000, atol=1e-9)  # bins are counted from 1
    np.testing.assert_allclose(spread, 0, atol=1e-4)
    np.testing.assert_array_equal(rolloff, 200 / 1600)


def test_flux_is_nought_in_the_first_frame_and_in_steady_sound():
    assert shortterm34(noise(16_000), 16_000)[0, FLUX] == 0
    assert shortterm34(noise(16_000), 16_000)[1:, FLUX].min() > 1e-5
    np.testing.assert_allclose(shortterm34(tone(1000.0), 16_000)[:, FLUX], 0, atol=1e-20)


@pytest.mark.parametrize("variant", ["paa", "clean"])
def test_neither_gain_nor_a_constant_changes_the_features(speech, variant):
    clip = speech[:FIRST_CLIP].astype(np.float64)
    moved = shortterm34(clip * 3 + 0.25, 16_000, variant=variant)
    np.testing.assert_allclose(moved, shortterm34(clip, 16_000, variant=variant), atol=1e-6)


def test_half_the_hop_gives_every_other_frame(speech):
    clip = speech[:FIRST_CLIP]
    twice = shortterm34(clip, 16_000, hop=0.05)[::2]
    once = shortterm34(clip, 16_000)
    others = [i for i in range(34) if i != FLUX]
    np.testing.assert_allclose(twice[:, others], once[:, others], atol=1e-12)


@pytest.mark.parametrize(
    ("n_samples", "n_frames"), [(3200, 1), (4799, 1), (4800, 2), (16_000, 9), (300_000, 186)]
)
def test_only_whole_windows_count(n_samples, n_frames):
    assert shortterm34(noise(n_samples), 16_000).shape == (n_frames, 34)


def test_the_waveform_itself_is_left_alone_and_its_number_type_does_not_matter():
    waveform = noise(8_000).astype(np.float32)
    before = waveform.copy()
    single = shortterm34(waveform, 16_000)
    np.testing.assert_array_equal(waveform, before)
    np.testing.assert_array_equal(shortterm34(waveform.astype(np.float64), 16_000), single)


@pytest.mark.parametrize(
    ("variant", "epsilon"), [("paa", 2**-52), ("clean", 2**-52), ("paa_copy", 1e-8)]
)
def test_silence_is_defined_and_no_frame_of_it_is_kept(variant, epsilon):
    features = shortterm34(np.zeros(16_000), 16_000, variant=variant)
    expected = np.zeros(34)
    expected[MFCC.start] = np.sqrt(40) * np.log10(epsilon)
    np.testing.assert_allclose(features, np.tile(expected, (9, 1)), atol=1e-12)
    assert not kept_frames(features).any()


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("level", [0.0, 0.1, 1e-30])
def test_silence_around_speech_or_alone_gives_finite_features(speech, variant, level):
    padded = np.concatenate([np.full(16_000, level), speech[:FIRST_CLIP], np.full(16_000, level)])
    assert np.isfinite(shortterm34(padded, 16_000, variant=variant)).all()
    alone = shortterm34(np.full(16_000, level), 16_000, variant=variant)
    assert np.isfinite(alone).all()
    assert not kept_frames(alone).any()


@pytest.mark.parametrize("window", [0.2, 0.1, 0.05, 0.03])
def test_constant_stretches_have_no_spread(window):
    # all their power is in one bin, whose variance rounding may leave below 0
    steps = np.repeat([1e-3, -0.7], [16_000, 20_000])
    spread = shortterm34(steps, 16_000, window=window)[[0, -1], 4]
    np.testing.assert_allclose(spread, 0, atol=1e-6)


def test_a_recording_shorter_than_one_window_is_refused_with_both_lengths():
    with pytest.raises(AudioError, match=r"0\.15 s of sound are shorter than one window of 0\.2 s"):
        shortterm34(noise(2_400), 16_000)
    with pytest.raises(AudioError, match="0 s of sound"):
        shortterm34(np.array([]), 16_000)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_samples_that_are_no_numbers_are_refused(value):
    waveform = noise(8_000)
    waveform[5_000] = value
    with pytest.raises(AudioError, match="finite samples"):
        shortterm34(waveform, 16_000)


def test_stereo_is_refused():
    with pytest.raises(AudioError, match=r"mono samples, .*\(2, 8000\)"):
        shortterm34(noise(16_000).reshape(2, -1), 16_000)


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"window": 0.001}, "window of 0.001 s has 16 samples"),
        ({"window": -1.0}, "give one of 20 samples or more"),
        ({"hop": 0.0}, "hop of 0 s has 0 samples"),
        ({"hop": np.nan}, "no such framing"),
        ({"sample_rate": 0}, "no such framing"),
    ],
)
def test_windows_and_hops_of_too_few_samples_are_refused(asked, reason):
    with pytest.raises(AudioError, match=reason):
        shortterm34(noise(8_000), **{"sample_rate": 16_000, **asked})


def test_the_shortest_window_is_defined_in_every_variant():
    for variant in VARIANTS:
        features = shortterm34(noise(8_000), 16_000, window=0.00125, hop=0.001, variant=variant)
        assert features.shape == (499, 34)
        assert np.isfinite(features).all()


def test_an_unknown_variant_is_named_with_the_known_ones():
    with pytest.raises(ValueError, match="paa, paa_copy, clean, not 'head'"):
        shortterm34(noise(8_000), 16_000, variant="head")


@pytest.mark.parametrize(
    ("n_frames", "kept"), [(0, []), (1, [0]), (2, [0]), (3, [1]), (5, [1, 2, 3])]
)
def test_edges_are_dropped_as_the_paper_does(n_frames, kept):
    loud = np.ones((n_frames, 34))
    assert np.flatnonzero(kept_frames(loud)).tolist() == kept
    assert kept_frames(loud, drop_edges=False).all()


def test_pauses_are_dropped_and_a_frame_at_the_limit_is_one():
    features = np.ones((6, 34))
    features[:, ENERGY] = [1, 1, 1e-4, 1.01e-4, 0, 1]
    assert kept_frames(features).tolist() == [False, True, False, True, False, False]
    assert kept_frames(features, min_energy=0.5).sum() == 1
    assert kept_frames(features, min_energy=None).sum() == 4


def test_an_utterance_with_five_frames_left_has_none_for_ctc():
    for n_frames, n_kept in ((7, 0), (8, 6)):
        loud = np.ones((n_frames, 34))
        assert kept_frames(loud, min_frames=CTC_MIN_FRAMES).sum() == n_kept


def test_only_rows_of_34_have_edges():
    with pytest.raises(ValueError, match=r"\(n_frames, 34\), not \(34, 5\)"):
        kept_frames(np.ones((34, 5)))


def test_the_training_fold_gets_mean_nought_and_deviation_one():
    rng = np.random.default_rng(0)
    training = [rng.normal(5, 3, (n, 34)) for n in (10, 1, 200)]
    z_scores = ZScores.of(training)
    standardised = z_scores(np.concatenate(training))
    np.testing.assert_allclose(standardised.mean(0), 0, atol=1e-12)
    np.testing.assert_allclose(standardised.std(0), 1, atol=1e-12)
    np.testing.assert_allclose(z_scores(np.full((2, 34), 5.0)), 0, atol=0.5)


def test_a_feature_that_never_changes_becomes_nought():
    frames = np.full((1000, 34), 0.1)
    np.testing.assert_allclose(ZScores.of([frames])(frames), 0, atol=1e-12)


@pytest.mark.parametrize("training", [[], [np.empty((0, 34))]])
def test_a_training_fold_without_a_frame_is_refused(training):
    with pytest.raises(AudioError, match=f"no frame in {len(training)} training utterances"):
        ZScores.of(training)


def test_names_and_register():
    assert len(NAMES) == len(set(NAMES)) == 34
    assert NAMES[8] == "mfcc_1"
    assert NAMES[21] == "chroma_1"
    assert FEATURES["shortterm34"] is shortterm34
