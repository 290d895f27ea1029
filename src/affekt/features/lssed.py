"""What LSSED's networks see of a recording: denoised, twice as loud, log-mel (Fan et al. 2021)."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from affekt.denoise import amplify, denoise
from affekt.features.logmel import LSSED, Scaling, log_mel

Float32 = NDArray[np.float32]


def log_mel_lssed_denoised(
    waveform: Float32, *, factor: float = 2.0, scaling: Scaling = "log10"
) -> Float32:
    """Take noise off, double the volume, compute the spectrogram; in the paper's order.

    Args:
        waveform: mono samples at 16 kHz, shape (n_samples,).
        factor: gain on the samples.
        scaling: "power" leaves out the logarithm, which the paper does not mention.

    Returns:
        Shape (128, 1 + n_samples // 512), float32.

    Raises:
        AudioError: the waveform is not one-dimensional or has no sample.
    """
    return log_mel(amplify(denoise(waveform), factor), replace(LSSED, scaling=scaling))
