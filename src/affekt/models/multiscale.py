"""Convolutions at several time scales: the same kernel, stretched and squeezed along time.

MTS, Guizzo et al. 2020, arXiv:2003.03375, one of LSSED's baselines (spec 2.7). Speech is faster
and slower than what a kernel learnt; of all speeds the one that fits best answers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from affekt.models.alexnet_attention import CHANNELS as ALEXNET_CHANNELS
from affekt.models.alexnet_attention import STACK, STRIDE, alexnet_trunk
from affekt.models.convolutions import OverMaps, check_choice, check_outputs, start
from affekt.models.lengths import TIME, Read, hide, read, valid
from affekt.models.pooling import ATTENTION_SCALE, POOLINGS, map_pooling
from affekt.models.resnet import DEPTHS, WIDTHS, resnet_trunk

FACTORS = {3: (0.7, 1.428), 5: (0.5, 0.7, 1.428, 2.0)}  # beside the kernel as it is
DEFAULT_LAYERS = {"alexnet": (0, 1), "resnet": tuple(range(len(WIDTHS) + 1))}
N_LAYERS = {"alexnet": len(STACK), "resnet": len(WIDTHS) + 1}


@dataclass(frozen=True)
class MultiScaleConfig:
    """`backbone` "alexnet" or "resnet", `n_branches` 3 or 5; `depth` is a ResNet's alone.

    `mts_layers`: which layers read several scales; None = those of the authors. AlexNet's
    convolutions are 0 to 4, theirs (0, 1); a ResNet's stem is 0 and its stages 1 to 4, theirs all.
    `compat`: the authors' way of tying the kernels, see `MultiScaleConv2d`.
    """

    n_outputs: int
    backbone: str = "resnet"
    depth: int = 18
    n_branches: int = 3
    mts_layers: tuple[int, ...] | None = None
    pooling: str = "mean"
    attention_scale: float = ATTENTION_SCALE
    compat: bool = False

    def __post_init__(self) -> None:
        check_outputs(self.n_outputs)
        check_choice("backbone", self.backbone, DEFAULT_LAYERS)
        check_choice("depth", self.depth, DEPTHS)
        check_choice("n_branches", self.n_branches, FACTORS)
        check_choice("pooling", self.pooling, POOLINGS)
        for layer in self.mts_layers or ():
            check_choice("mts_layers with", layer, range(N_LAYERS[self.backbone]))

    def layers(self) -> tuple[int, ...]:
        """Give the layers that read several scales."""
        return DEFAULT_LAYERS[self.backbone] if self.mts_layers is None else self.mts_layers


class MultiScale(OverMaps):
    """(batch, n_mels, time), mask (batch, time) -> (batch, n_outputs).

    `embed` gives what the last layer reads: (batch, 256) over AlexNet, (batch, 512 or 2048) over a
    ResNet. An AlexNet whose first convolution reads several scales has no stride there, as the
    authors'. With `compat` a training loop calls `average` behind every epoch.
    """

    def __init__(self, config: MultiScaleConfig) -> None:
        super().__init__()
        self.config = config
        layers = config.layers()

        def scaled(convolution: nn.Conv2d, layer: int) -> nn.Module:
            if layer not in layers:
                return convolution
            return MultiScaleConv2d(convolution, FACTORS[config.n_branches], config.compat)

        if config.backbone == "alexnet":
            self.features = alexnet_trunk(scaled, stride=1 if 0 in layers else STRIDE)
            channels = ALEXNET_CHANNELS
        else:
            self.features, channels = resnet_trunk(config.depth, scaled)
        self.pooling = map_pooling(config.pooling, channels, config.attention_scale)
        self.classifier = nn.Linear(channels, config.n_outputs)
        start(self)

    def average(self) -> None:
        """With `compat`, put the mean of its scales in each kernel's place; else do nothing."""
        for part in self.modules():
            if isinstance(part, MultiScaleConv2d):
                part.average()

    @torch.no_grad()
    def winning_scales(
        self, x: Tensor, mask: Tensor | None = None
    ) -> dict[str, dict[float, float]]:
        """Share of positions that each factor wins, layer by layer, in evaluation.

        Args:
            x: (batch, n_mels, time).
            mask: (batch, time), True = valid; None = all valid.

        Returns:
            name of a layer -> factor, 1.0 first -> share of its valid positions, sum 1.
        """
        shares: dict[str, dict[float, float]] = {}

        def count(name: str, layer: "MultiScaleConv2d", inputs: tuple[Any, ...]) -> None:
            wins = layer.wins(*inputs).double()
            factors = (1.0, *layer.factors)
            shares[name] = dict(zip(factors, (wins / wins.sum()).tolist(), strict=True))

        hooks = [
            part.register_forward_pre_hook(
                lambda layer, inputs, name=name: count(name, layer, inputs)
            )
            for name, part in self.named_modules()
            if isinstance(part, MultiScaleConv2d)
        ]
        was_training = self.training
        try:
            self.eval()(x, mask)
        finally:
            self.train(was_training)
            for hook in hooks:
                hook.remove()
        return shares


class MultiScaleConv2d(nn.Module):
    """A convolution, read at several time scales; the largest answer at each position is taken.

    (batch, n_in, frequency, time), lengths (batch,) -> (batch, n_out, frequency, time), lengths.
    For every factor s the kernel is resampled along time, bilinearly, to floor(s * its length) taps
    (1 at least); stride and padding are the same for all; each map, a few frames longer or shorter
    for it, is resampled likewise to the frames that the kernel as it is gives. A clip shorter than
    a stretched kernel is read as if zeros came behind it.

    The kernels are one parameter, and gradients flow through the resampling. `compat`: each factor
    has a parameter of its own, overwritten from the kernel at every forward pass, so that a step of
    the optimiser on it lasts only if `average` comes next; the bias is shared. (One bias takes the
    sum of the branches' gradients; the authors' is stepped once a branch, the same for SGD.)
    """

    reads_lengths = True

    def __init__(
        self, convolution: nn.Conv2d, factors: Sequence[float], compat: bool = False
    ) -> None:
        super().__init__()
        if not factors or min(factors) <= 0:
            raise ValueError(f"factors {tuple(factors)}: give one or more, all above 0")
        self.convolution = convolution
        self.factors = tuple(factors)
        taps = convolution.weight.shape[TIME]
        self.sizes = tuple(max(1, int(factor * taps)) for factor in factors)
        self.branches: nn.ParameterList | None = None
        if compat:
            weight = convolution.weight.detach()
            self.branches = nn.ParameterList(resampled(weight, size) for size in self.sizes)

    def forward(self, x: Tensor, lengths: Tensor | None) -> Read:
        maps, shrunk = self._scales(x, lengths)
        return reduce(torch.maximum, maps), shrunk

    def wins(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        """How many valid positions each scale wins, the kernel as it is first and in ties.

        Returns:
            (1 + n_factors,), int64, over all clips, channels, frequencies and valid frames.
        """
        maps, shrunk = self._scales(x, lengths)
        best, winner = maps[0], torch.zeros_like(maps[0], dtype=torch.int64)
        for number, scale in enumerate(maps[1:], start=1):
            winner = torch.where(scale > best, number, winner)
            best = torch.maximum(best, scale)
        if shrunk is not None:
            winner = winner[valid(winner, shrunk).expand_as(winner)]
        return winner.flatten().bincount(minlength=len(maps))

    @torch.no_grad()
    def average(self) -> None:
        """With `compat`, make the kernel the mean of all scales, each resampled to its length."""
        if self.branches is None:
            return
        weight = self.convolution.weight
        taps = weight.shape[TIME]
        weight.copy_(torch.stack([weight, *(resampled(k, taps) for k in self.branches)]).mean(0))

    def _scales(self, x: Tensor, lengths: Tensor | None) -> tuple[list[Tensor], Tensor | None]:
        """Maps of all scales, in the size of the first, the kernel as it is; and their lengths."""
        plain, shrunk = read(self.convolution, x, lengths)
        x = hide(x, lengths)
        maps = [plain]
        for kernel in self._kernels():
            scale, valid_frames = self._convolve(x, lengths, kernel)
            maps.append(_resized(scale, valid_frames, plain.shape[TIME], shrunk))
        return maps, shrunk

    def _kernels(self) -> list[Tensor]:
        kernels = [resampled(self.convolution.weight, size) for size in self.sizes]
        if self.branches is None:
            return kernels
        for branch, kernel in zip(self.branches, kernels, strict=True):
            # .data: two passes before one way back would else be refused, though nothing changed
            branch.data.copy_(kernel.detach())
        return list(self.branches)

    def _convolve(self, x: Tensor, lengths: Tensor | None, kernel: Tensor) -> Read:
        plain = self.convolution
        assert not isinstance(plain.padding, str), "padding by name has no place here"
        reach = kernel.shape[TIME] - 2 * plain.padding[TIME]
        x = F.pad(x, (0, max(0, reach - x.shape[TIME])))
        maps = F.conv2d(x, kernel, plain.bias, plain.stride, plain.padding, groups=plain.groups)
        if lengths is not None:
            lengths = (lengths - reach).clamp(min=0) // plain.stride[TIME] + 1
        return maps, lengths


def resampled(x: Tensor, n_frames: int) -> Tensor:
    """Resample the last axis bilinearly, ends of first and last frame kept in place.

    Args:
        x: (n, channels, frequency, time).
        n_frames: how many frames there shall be.

    >>> resampled(torch.tensor([[[[0.0, 4.0, 8.0]]]]), 2).flatten().tolist()
    [1.0, 7.0]
    """
    if n_frames == x.shape[TIME]:
        return x
    return F.interpolate(x, (x.shape[2], n_frames), mode="bilinear", align_corners=False)


def _resized(x: Tensor, lengths: Tensor | None, n_frames: int, targets: Tensor | None) -> Tensor:
    """Resample time to n_frames, each clip's valid frames to its own target as if it stood alone.

    Each frame is a mean of two, so for clips of several lengths a product with a matrix for each
    gives them. Its order of axes leaves the maps channels last.
    """
    if lengths is None or targets is None:
        return resampled(x, n_frames)
    frame = torch.arange(n_frames, device=x.device, dtype=torch.float32) + 0.5
    source = frame * (lengths.float() / targets.float())[:, None] - 0.5
    source = source.clamp(min=0).minimum(lengths.float()[:, None] - 1)[..., None]
    time = torch.arange(x.shape[TIME], device=x.device, dtype=torch.float32)
    shares = (1 - (source - time).abs()).clamp(min=0).to(x.dtype)  # (batch, n_frames, time)
    return (shares[:, None] @ x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
