"""The Dusha baseline, a narrow MobileNetV2 with self-attention, on corpora that have folds.

Table 3 of Kondratenko et al. 2022, arXiv:2212.12266 (spec 1.3 to 1.8): accuracy, UAR and macro-F1
of one network. `dusha` is the paper's training: Adam at 1e-3, weight decay 1e-6, 100 epochs,
batches of 64 clips of about one length, masks and crops, padding that the network hears; the
epoch is chosen on held-out speakers of the training part, where the paper chose it on the test
part (`--protocol paper` does so, too). `ours` hides the padding, learns from all speakers of the
training part in more and smaller steps, warms up and cools down, and also stretches clips and
shifts them along the mels. On RAVDESS the folds are those of EmoBox, on IEMOCAP its sessions,
elsewhere speakers.
"""

from functools import partial

import numpy as np

from affekt import augment
from affekt.models import MobileNetAttention, MobileNetAttentionConfig
from affekt.recipes.frames import folds_of
from affekt.recipes.probe import RunOptions
from affekt.recipes.results import Result
from affekt.recipes.spectrograms import Float32, Method, clips_of, cross_validate
from affekt.recipes.speaker_folds import only_corpus
from affekt.train import TrainOptions

REFERENCE = {  # trained on both parts: accuracy, UAR, macro-F1; the paper calls the first UA
    "dusha, crowd": (0.83, 0.76, 0.77),
    "dusha, podcast": (0.89, 0.53, 0.54),
    "iemocap, 4 classes": (0.59, 0.59, 0.59),
}
SILENCE = -80.0  # dB
LONGEST = 128  # frames of 10 ms that one step of `ours` sees of a clip


def main(options: RunOptions) -> list[Result]:
    """Run the methods asked for on every fold."""
    corpus = only_corpus(options)
    names = [options.method] if options.method else list(METHODS)
    return [
        cross_validate(
            clips_of(corpus, METHODS[name], options),
            *folds_of(corpus, options),
            name,
            METHODS[name],
            options,
        )
        for name in names
    ]


def ours(spectrogram: Float32, rng: np.random.Generator) -> Float32:
    """Stretch, shift, mask and cut."""
    changed = augment.shift_mels(augment.stretch_time(spectrogram, rng), rng, most=1)
    changed = augment.dusha(changed, rng, value=SILENCE)
    return augment.window(changed, rng, n_frames=LONGEST)


METHODS = {
    "dusha": Method(
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
        on_both_sides=True,
    ),
    "ours": Method(
        build=lambda n: MobileNetAttention(MobileNetAttentionConfig(n)),
        feature="log_mel_dusha",
        hop=0.01,
        decibel=1.0,
        training=TrainOptions(
            epochs=70,
            learning_rate=3e-3,
            weight_decay=1e-2,
            clip=5.0,
            precision="bfloat16",
        ),
        batch_size=16,
        change=ours,
        fill=SILENCE,
        choose=False,
    ),
}
