"""Speech and noise for the 34 features, and the variants of these."""

from importlib.resources import files

import numpy as np

from affekt import audio

VARIANTS = ["paa", "paa_copy", "clean"]
FIRST_CLIP = 34_704  # samples: 2.169 s * 16 samples/ms


def noise(n_samples, seed=0):
    return 0.1 * np.random.default_rng(seed).standard_normal(n_samples)


def speech():
    return audio.load(str(files("affekt") / "example" / "crema-d-excerpt.ogg"))
