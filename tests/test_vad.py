"""Pauses from planted loudness."""

import numpy as np
import pytest

from affekt import vad


def test_levels_are_the_naive_root_mean_square() -> None:
    x = np.random.default_rng(3).standard_normal(3_900).astype(np.float32)
    naive = [20 * np.log10(np.sqrt(np.mean(x[i : i + 800] ** 2))) for i in range(0, 3_900, 800)]
    np.testing.assert_allclose(vad.levels(x, 8_000), naive, atol=1e-4)


def test_digital_silence_has_the_quietest_level() -> None:
    assert vad.levels(np.zeros(1_600, np.float32), 16_000).tolist() == [vad.QUIETEST]


def speech(*parts: tuple[float, int]) -> np.ndarray:
    """Levels in dB, each for a number of tenths of a second."""
    return np.concatenate([np.full(count, level, dtype=np.float32) for level, count in parts])


def test_long_pauses_are_found_and_short_ones_filled() -> None:
    loudness = speech((-20, 30), (-70, 20), (-25, 30), (-70, 4), (-20, 30), (-70, 10))
    expected = [True] * 30 + [False] * 20 + [True] * 64 + [False] * 10
    assert vad.active(loudness).tolist() == expected


def test_a_click_in_a_pause_is_no_speech() -> None:
    loudness = speech((-20, 30), (-70, 20), (-10, 1), (-70, 20), (-20, 30))
    assert not vad.active(loudness)[30:71].any()


def test_gain_does_not_change_what_is_a_pause() -> None:
    rng = np.random.default_rng(4)
    loudness = speech((-20, 50), (-65, 20), (-30, 50)) + rng.normal(0, 3, 120).astype(np.float32)
    np.testing.assert_array_equal(vad.active(loudness), vad.active(loudness - 30))


@pytest.mark.parametrize("level", [-10.0, -90.0, vad.QUIETEST])
def test_steady_sound_is_all_active(level: float) -> None:
    assert vad.active(np.full(50, level, dtype=np.float32)).all()


def test_a_breath_of_speech_in_long_silence_is_found() -> None:
    loudness = speech((vad.QUIETEST, 1000), (-20, 15), (vad.QUIETEST, 1000))
    active = vad.active(loudness)
    assert active[1000:1015].all()
    assert active.sum() == 15
