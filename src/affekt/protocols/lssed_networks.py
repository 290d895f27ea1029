"""The networks of LSSED's comparison, and two ways of training them (spec 2.3 to 2.8).

`--training paper` is what Fan et al. 2021 write: SGD, .01 falling to a tenth every 20 epochs, 60
epochs, batches of 256, whole recordings of which a step sees 5 s; for MTS and ADV what their own
authors write. It is meant for a hundred thousand clips. `--training ours` is for thousands, on two
cores: small batches, AdamW, warm-up and half a cosine, pauses at both ends left out, 2 s a step,
clips stretched, shifted along the mels and masked. In both a mel band has mean 0 and deviation 1
over the training part; the last epoch counts, but for the authors' MTS, which stops on held-out
speakers. Batches of 256 are 8 of 32: gradients are added up, batch normalisation sees 32.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from torch import nn

from affekt import augment, checkpoint
from affekt.batches import stack
from affekt.models import MODELS, MultiScale
from affekt.objectives import Adversarial
from affekt.protocols.clips import Float32, repeated
from affekt.protocols.probe import RunOptions
from affekt.protocols.spectrograms import Method, Taught
from affekt.train import TrainOptions

PLAIN, DENOISED = "log_mel_lssed", "log_mel_lssed_denoised"
HOP = 0.032  # s
FIVE_SECONDS, TWO_SECONDS = 157, 64  # frames
LEAST = {"alexnet": 64, "vgg": 32}  # frames that these need; the others read any length
MASKED_MELS, MASKED_FRAMES = 24, 12  # at most
N_TOLD = 64  # clips whose winning scales are counted

SIMILARITY = 0.2  # share of the loss that draws the embeddings of a clip and its twin together
ADVERSARIAL = Adversarial(epsilon=0.02, alpha=0.1, first_step=1000)
FIRST_TWINS = 100  # step of `ours` from which on batches have twins

NETWORKS: dict[str, tuple[str, Mapping[str, Any]]] = {  # method -> name in MODELS, its settings
    "fcn-attention": ("alexnet_attention", {}),
    **{
        f"mts-{n}-alexnet": ("multiscale", {"backbone": "alexnet", "n_branches": n}) for n in (3, 5)
    },
    **{
        f"mts-{n}-resnet{depth}": ("multiscale", {"depth": depth, "n_branches": n})
        for n in (3, 5)
        for depth in (18, 34, 50, 101, 152)
    },
    **{f"adv-vgg{depth}": ("vgg", {"depth": depth}) for depth in (11, 13, 16, 19)},
    **{f"adv-resnet{depth}": ("resnet", {"depth": depth}) for depth in (18, 34, 50, 101, 152)},
    **{
        f"adv-similar-resnet{depth}": ("resnet", {"depth": depth})
        for depth in (18, 34, 50, 101, 152)
    },
    **{f"vgg{depth}": ("vgg", {"depth": depth}) for depth in (11, 13, 16, 19)},
    **{f"resnet{depth}": ("resnet", {"depth": depth}) for depth in (18, 34, 50, 101, 152)},
    **{f"pyresnet{depth}": ("pyresnet", {"depth": depth}) for depth in (50, 101, 152)},
}

# what runs unasked with `--training ours`: one network of each kind, of a size for two cores
SMALL = ("fcn-attention", "mts-3-resnet18", "adv-resnet18", "vgg11", "resnet18", "pyresnet50")

PAPER = TrainOptions(
    epochs=60,
    learning_rate=0.01,
    optimizer="sgd",
    schedule="stairs",
    weight_decay=1e-3,
    momentum=0.9,  # of PyConv, from which their code derives (spec 2.4)
    accumulate=8,
    precision="bfloat16",
)
PAPER_MTS = TrainOptions(
    epochs=100,
    optimizer="adam",
    schedule="constant",
    weight_decay=1e-3,  # of the four that they tried
    accumulate=4,  # batches of 100; 300 for their AlexNet
    precision="bfloat16",
    patience=10,
)
PAPER_ADV = TrainOptions(optimizer="adam", schedule="constant", precision="bfloat16")
OURS = TrainOptions(
    epochs=30, learning_rate=1e-3, weight_decay=1e-2, clip=5.0, precision="bfloat16"
)


def method(name: str, options: RunOptions, *, denoised: bool) -> Method:
    """Give a row of the table: its network, and how it is trained.

    Args:
        name: one of NETWORKS.
        options: the training, and a checkpoint, whose feature is kept.
        denoised: the feature, where there is no checkpoint: as the paper has it for LSSED.
    """
    model, settings = NETWORKS[name]
    feature = DENOISED if denoised else PLAIN
    if options.init is not None:
        known = checkpoint.read_card(options.init).get("feature")
        feature = known if known in (PLAIN, DENOISED) else feature
    alexnet = model == "alexnet_attention" or settings.get("backbone") == "alexnet"
    least = LEAST.get("alexnet" if alexnet else model, 0)
    paper = options.training == "paper"
    family = name.split("-")[0]
    kept = TWO_SECONDS if not paper else FIVE_SECONDS
    found = Method(
        build=_builder(model, settings, family, paper),
        feature=feature,
        hop=HOP,
        decibel=10.0,
        training=PAPER if paper else OURS,
        batch_size=32 if paper else 16,
        change=partial(cut if paper else ours, n_frames=kept, least=least),
        standardise=True,
        choose=False,
        trim=not paper,
        least=least,
        tell=winning_scales if family == "mts" else None,
    )
    if family == "adv":
        twins = ADVERSARIAL if paper else replace(ADVERSARIAL, first_step=FIRST_TWINS)
        if "similar" in name:  # the authors' second variant (spec 2.8)
            twins = replace(twins, similarity=SIMILARITY)
        tell = partial(untaught_twins, first_step=twins.first_step)
        found = replace(found, objective=twins, attack=twins.epsilon, tell=tell)
        if paper:
            found = replace(found, training=PAPER_ADV, batch_size=16, steps=10_000)
    if family == "mts" and paper:
        how = replace(PAPER_MTS, accumulate=12) if alexnet else PAPER_MTS
        found = replace(found, training=how, batch_size=25, choose=True, after_epoch=average_scales)
    return found


def _builder(
    model: str, settings: Mapping[str, Any], family: str, paper: bool
) -> Callable[[int], nn.Module]:
    """The head of the original VGG and the averaged kernels of MTS are the papers' way."""
    config, module = MODELS[model]
    compat = paper and model in ("vgg", "multiscale") and family != "adv"
    whole = {**settings, "compat": True} if compat else settings
    return lambda n_outputs: module(config(n_outputs, **whole))


def cut(spectrogram: Float32, rng: np.random.Generator, *, n_frames: int, least: int) -> Float32:
    """Keep a random stretch, repeated where it is shorter than `least`."""
    return repeated(augment.window(spectrogram, rng, n_frames=n_frames), least)


def ours(spectrogram: Float32, rng: np.random.Generator, *, n_frames: int, least: int) -> Float32:
    """Stretch, shift, mask with the bands' means, and cut."""
    changed = augment.shift_mels(augment.stretch_time(spectrogram, rng), rng)
    changed = augment.mask_frequencies(changed, rng, most=MASKED_MELS, value=0.0)
    changed = augment.mask_time(changed, rng, most=MASKED_FRAMES, value=0.0)
    return cut(changed, rng, n_frames=n_frames, least=least)


def average_scales(model: nn.Module) -> None:
    """What the authors of MTS do behind each epoch."""
    assert isinstance(model, MultiScale)
    model.average()


def winning_scales(taught: Taught, clips: Sequence[Float32]) -> str:
    """Say which share of positions each time scale won, the mean over layers that have several."""
    assert isinstance(taught.model, MultiScale)
    layers = taught.model.winning_scales(*stack(taught.standardised(clips[:N_TOLD])))
    factors = next(iter(layers.values()))
    mean = {factor: np.mean([layer[factor] for layer in layers.values()]) for factor in factors}
    shares = [f"x{factor:g} {share:.3f}" for factor, share in mean.items()]
    return f"time scales that won: {', '.join(shares)}"


def untaught_twins(taught: Taught, clips: Sequence[Float32], *, first_step: int) -> str:
    """Say where ADV never learned from an attacked twin; "" where it did."""
    if taught.steps > first_step:
        return ""
    return (
        f"NO ADVERSARIAL TRAINING: twins begin behind step {first_step}, and it had"
        f" {taught.steps}: give more --epochs"
    )
