"""Sounds whose change can be computed by hand, and what is measured of them."""

import numpy as np


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
