"""PyResNet 50, 101 and 152: bottlenecks whose 3x3 convolution is a pyramid of kernel sizes.

The network that LSSED proposes (Fan et al. 2021); shapes as in its released file (spec 2.3.1).
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from affekt.exceptions import AffektError
from affekt.models.convolutions import OverMaps, as_maps, check_choice, check_outputs, start
from affekt.models.lengths import Read, hide, lengths_of, mean_over_time, read
from affekt.models.resnet import BOTTLENECK, EXPANSION, STEM, Residual

DEPTHS = BOTTLENECK  # depth -> blocks of each stage
HALVINGS = 5  # the stem and each stage
PYRAMIDS = (  # width of a stage -> (kernel size, groups, output channels) of each branch
    (64, ((3, 1, 16), (5, 4, 16), (7, 8, 16), (9, 16, 16))),
    (128, ((3, 1, 32), (5, 4, 32), (7, 8, 64))),
    (256, ((3, 1, 128), (5, 4, 128))),
    (512, ((3, 1, 512),)),
)
Branches = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True)
class PyResNetConfig:
    """`depth` 50, 101 or 152; 22,825,220 parameters with depth 50 and 4 outputs.

    The head reads every row of the last map, so `n_mels` is fixed: 128 make 4 rows.
    """

    n_outputs: int
    depth: int = 50
    n_mels: int = 128
    dropout: float = 0.0

    def __post_init__(self) -> None:
        check_outputs(self.n_outputs)
        check_choice("depth", self.depth, DEPTHS)
        if self.n_mels < 1 or not 0 <= self.dropout < 1:
            raise ValueError("n_mels is 1 or more, dropout from 0 to below 1")


class PyResNet(OverMaps):
    """(batch, n_mels, time), mask (batch, time) -> (batch, n_outputs); any length.

    `embed` gives what the last layer reads, (batch, 2048 * rows), means over time only.
    """

    def __init__(self, config: PyResNetConfig) -> None:
        super().__init__()
        self.config = config
        self.features, channels = _trunk(DEPTHS[config.depth])
        rows = -(-config.n_mels // 2**HALVINGS)
        self.dropout = nn.Dropout(config.dropout)
        self.classifier = nn.Linear(channels * rows, config.n_outputs)
        start(self)

    def embed(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        maps = as_maps(x)
        if x.shape[1] != self.config.n_mels:
            raise AffektError(
                f"spectrograms of {x.shape[1]} mel bins for a PyResNet of {self.config.n_mels}:"
                " compute them with so many, or build it with another n_mels"
            )
        maps, lengths = read(self.features, maps, lengths_of(mask))
        embedded: Tensor = self.dropout(mean_over_time(maps, lengths).flatten(1))
        return embedded


class PyramidConvolution(nn.Module):
    """Convolutions of several kernel sizes beside each other, their channels joined."""

    reads_lengths = True

    def __init__(self, n_in: int, branches: Branches, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.branches = nn.ModuleList(
            nn.Conv2d(n_in, n_out, kernel, stride, kernel // 2, groups=groups, bias=False)
            for kernel, groups, n_out in branches
        )

    def forward(self, x: Tensor, lengths: Tensor | None) -> Read:
        x = hide(x, lengths)  # once for all: each pads by half its kernel, so their sizes agree
        maps = torch.cat([branch(x) for branch in self.branches], dim=1)
        return maps, None if lengths is None else (lengths - 1) // self.stride + 1


def _trunk(repeats: tuple[int, ...]) -> tuple[nn.Sequential, int]:
    """Stem without pooling, and four stages that each halve the map; and the last channels."""
    stem = nn.Conv2d(1, STEM, 7, stride=2, padding=3, bias=False)
    stages = [nn.Sequential(stem, nn.BatchNorm2d(STEM), nn.ReLU(inplace=True))]
    channels = STEM
    for (width, branches), n_blocks in zip(PYRAMIDS, repeats, strict=True):
        blocks: list[nn.Module] = []
        for number in range(n_blocks):
            blocks.append(_bottleneck(channels, width, branches, stride=1 if number else 2))
            channels = EXPANSION * width
        stages.append(nn.Sequential(*blocks))
    return nn.Sequential(*stages), channels


def _bottleneck(n_in: int, width: int, branches: Branches, stride: int) -> Residual:
    n_out = EXPANSION * width
    body = nn.Sequential(
        nn.Conv2d(n_in, width, 1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
        PyramidConvolution(width, branches, stride),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
        nn.Conv2d(width, n_out, 1, bias=False),
        nn.BatchNorm2d(n_out),
    )
    shortcut: list[nn.Module] = [nn.MaxPool2d(3, stride, padding=1)] if stride > 1 else []
    if n_in != n_out:
        shortcut += [nn.Conv2d(n_in, n_out, 1, bias=False), nn.BatchNorm2d(n_out)]
    return Residual(body, nn.Sequential(*shortcut))
