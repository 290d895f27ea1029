"""The Dusha network, and ways of training it (spec 1.4 to 1.6).

`dusha` is what Kondratenko et al. 2022 write: Adam at 1e-3, weight decay 1e-6, 100 epochs, batches
of 64 clips of about one length, masks and crops, padding that the network hears. `ours` is for a
thousand clips on two cores: it hides the padding, learns from all speakers of the training part in
more and smaller steps, warms up and cools down, leaves a fifth of the embedding out, smooths
labels, also stretches clips and shifts them along the mels, and answers by the mean of windows as
long as those it learned from. `tuned` is the same, shorter and at a third of the rate, for what a
checkpoint brings.
"""

from dataclasses import replace
from functools import partial

import numpy as np

from affekt import augment
from affekt.models import MobileNetAttention, MobileNetAttentionConfig
from affekt.objectives import SoftLabels
from affekt.protocols.clips import Float32
from affekt.protocols.spectrograms import Method
from affekt.train import TrainOptions

SILENCE = -80.0  # dB
LONGEST = 192  # frames of 10 ms that `ours` sees of a clip at once


def ours(spectrogram: Float32, rng: np.random.Generator) -> Float32:
    """Stretch, shift, mask and cut."""
    changed = augment.shift_mels(augment.stretch_time(spectrogram, rng), rng, most=1)
    changed = augment.dusha(changed, rng, value=SILENCE)
    return augment.window(changed, rng, n_frames=LONGEST)


DUSHA = Method(
    build=lambda n: MobileNetAttention(MobileNetAttentionConfig(n, masked=False)),
    feature="log_mel_dusha",
    hop=0.01,
    decibel=1.0,
    training=TrainOptions(
        epochs=100,
        learning_rate=1e-3,
        optimizer="adam",
        schedule="constant",
        weight_decay=1e-6,
        precision="bfloat16",
    ),
    change=partial(augment.dusha, value=0.0),
    draw_by_length=True,
    balanced=False,
    on_both_sides=True,
)
OURS = Method(
    build=lambda n: MobileNetAttention(MobileNetAttentionConfig(n, dropout=0.2)),
    feature="log_mel_dusha",
    hop=0.01,
    decibel=1.0,
    training=TrainOptions(
        epochs=50,
        learning_rate=3e-3,
        weight_decay=1e-2,
        clip=5.0,
        precision="bfloat16",
    ),
    batch_size=16,
    objective=SoftLabels(smoothing=0.1),
    change=ours,
    fill=SILENCE,
    choose=False,
    window=LONGEST,
)
FASTER = replace(DUSHA, training=replace(DUSHA.training, learning_rate=5e-3))
RARE = {"anger": 10.0, "sadness": 20.0, "happiness": 5.0}  # of podcasts, nine tenths are neutral
METHODS = {
    "dusha": DUSHA,
    "crowd": DUSHA,
    "podcast": replace(FASTER, chances=RARE),
    "podcast-tune": replace(DUSHA, chances=RARE),  # with --init, a checkpoint of `crowd`
    "ours": OURS,
    "tuned": replace(OURS, training=replace(OURS.training, epochs=20, learning_rate=1e-3)),
}
