"""The Dusha baseline, a narrow MobileNetV2 with self-attention, on corpora that have folds.

Table 3 of Kondratenko et al. 2022, arXiv:2212.12266 (spec 1.3 to 1.8): accuracy, UAR and macro-F1
of one network. `dusha` is the paper's training: Adam at 1e-3, weight decay 1e-6, 100 epochs,
batches of 64 clips of about one length, masks and crops, padding that the network hears; the
epoch is chosen on held-out speakers of the training part, where the paper chose it on the test
part (`--protocol paper` does so, too). `ours` hides the padding, learns from all speakers of the
training part in more and smaller steps, warms up and cools down, leaves a fifth of the embedding
out, smooths labels, and also stretches clips and shifts them along the mels. `tuned` is the same,
shorter and at a third of the rate, for what `--init FOLDER` brings. Of the release's set-ups (spec
1.6.3) `crowd`, `podcast` and `podcast-tune` learn from one domain of Dusha; its test part is
reported whole and by domain. Dusha has its own split (`--corpus dusha-manifests=FOLDER`; features
will do), on RAVDESS the folds are those of EmoBox, on IEMOCAP its sessions, elsewhere speakers.
"""

from dataclasses import replace
from functools import partial

import numpy as np

from affekt import augment
from affekt.corpus import Corpus
from affekt.exceptions import CheckpointError, CorpusError
from affekt.models import MobileNetAttention, MobileNetAttentionConfig
from affekt.objectives import SoftLabels
from affekt.protocols.clips import Float32
from affekt.protocols.folds import folds_of, only_corpus
from affekt.protocols.probe import RunOptions
from affekt.protocols.results import Result
from affekt.protocols.spectrogram_folds import (
    FOLDS_READ,
    PLAIN,
    ask_folds,
    check_folds,
    chosen_folds,
    chosen_methods,
    report_folds,
)
from affekt.protocols.spectrograms import Method, clips_of, usable
from affekt.train import TrainOptions

READS = FOLDS_READ | {"method", "split"}
REFERENCE = {  # trained on both parts: accuracy, UAR, macro-F1; the paper calls the first UA
    "dusha, crowd": (0.83, 0.76, 0.77),
    "dusha, podcast": (0.89, 0.53, 0.54),
    "iemocap, 4 classes": (0.59, 0.59, 0.59),
}
SILENCE = -80.0  # dB
LONGEST = 192  # frames of 10 ms that one step of `ours` sees of a clip


def main(options: RunOptions) -> list[Result]:
    """Run the methods asked for on every fold."""
    corpus = only_corpus(options)
    default = ("dusha", "ours")
    names = chosen_methods(METHODS, options, default)
    return [result for name in names for result in run(name, corpus, options)]


def run(name: str, corpus: Corpus, options: RunOptions) -> list[Result]:
    """Run a method: a report of all, and of Dusha one of each domain's test part.

    Raises:
        CheckpointError: `podcast-tune` or `tuned` has nothing to tune.
        CorpusError: the corpus has nothing of the domain that the method learns from.
    """
    method = METHODS[name]
    if name in TUNE and options.init is None:
        raise CheckpointError(f"{name} needs --init FOLDER, {TUNE[name]}")
    if name in LEARN_FROM and LEARN_FROM[name] not in set(corpus.utterances.get("domain", ())):
        raise CorpusError(
            f"--method {name} learns from Dusha's {LEARN_FROM[name]} part, and no row of"
            f" {corpus.name} has it under `domain`: give --corpus dusha-manifests=FOLDER, or"
            " --method dusha or ours"
        )
    corpus = usable(corpus)
    splits, split_name = folds_of(corpus, options)
    domains = corpus.utterances.get("domain")
    if name in LEARN_FROM and domains is not None:
        known = domains == LEARN_FROM[name]
        splits = [replace(s, train=tuple(u for u in s.train if known[u])) for s in splits]
    check_folds(corpus, chosen_folds(splits, options), name, method, options)
    clips = clips_of(corpus, method, options)
    found = ask_folds(clips, splits, split_name, name, method, options, notes=for_scale(corpus))
    results = [report_folds(clips, found, PLAIN, name, options)]
    if domains is not None and domains.nunique() > 1:
        for domain, ids in domains.loc[found.answers[PLAIN].index].groupby(domains).groups.items():
            part = replace(found, answers={PLAIN: found.answers[PLAIN].loc[ids]})
            results.append(report_folds(clips, part, PLAIN, f"{name}-{domain}", options))
    return results


def for_scale(corpus: Corpus) -> list[str]:
    """What the paper prints."""
    return [
        f"for scale: the paper has accuracy {accuracy:.2f}, UAR {recall:.2f}, macro-F1 {f1:.2f} on"
        f" {what}"
        for what, (accuracy, recall, f1) in REFERENCE.items()
        if what.startswith(corpus.name)
    ]


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
)
FASTER = replace(DUSHA, training=replace(DUSHA.training, learning_rate=5e-3))
RARE = {"anger": 10.0, "sadness": 20.0, "happiness": 5.0}  # of podcasts, nine tenths are neutral
LEARN_FROM = {"crowd": "crowd", "podcast": "podcast", "podcast-tune": "podcast"}  # method -> domain
TUNE = {  # method -> what it starts from, and what does without
    "podcast-tune": "a checkpoint of `--method crowd`; what learns from podcasts alone is `--method"
    " podcast`",
    "tuned": "a checkpoint, such as `affekt run networks_zero_shot` leaves; what starts from"
    " nothing is `--method ours`",
}
METHODS = {
    "dusha": DUSHA,
    "crowd": DUSHA,
    "podcast": replace(FASTER, chances=RARE),
    "podcast-tune": replace(DUSHA, chances=RARE),  # with --init, a checkpoint of `crowd`
    "ours": OURS,
    "tuned": replace(OURS, training=replace(OURS.training, epochs=20, learning_rate=1e-3)),
}
