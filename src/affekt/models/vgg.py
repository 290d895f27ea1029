"""VGG 11, 13, 16 and 19 for spectrograms: 3x3 convolutions, halved five times.

Simonyan and Zisserman 2014, arXiv:1409.1556, with one input channel; LSSED's backbone (spec 2.3.2).
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from affekt.models.convolutions import OverMaps, check_choice, check_outputs, start
from affekt.models.lengths import TIME
from affekt.models.pooling import ATTENTION_SCALE, POOLINGS, map_pooling

WIDTHS = (64, 128, 256, 512, 512)  # channels of the stages
DEPTHS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
GRID = 7  # rows and columns that the head of the original reads
HIDDEN = 4096  # units of its two layers


@dataclass(frozen=True)
class VggConfig:
    """`depth` 11, 13, 16 or 19; 9,226,884 parameters with depth 11 and 4 outputs.

    `compat`: the head of the original, a 7x7 grid of means, two layers of 4096 units and dropout,
    instead of `pooling` ("mean" or "attention", over all frequencies and valid time).
    """

    n_outputs: int
    depth: int = 11
    batch_norm: bool = True
    pooling: str = "mean"
    attention_scale: float = ATTENTION_SCALE
    compat: bool = False

    def __post_init__(self) -> None:
        check_outputs(self.n_outputs)
        check_choice("depth", self.depth, DEPTHS)
        check_choice("pooling", self.pooling, POOLINGS)
        if self.compat and self.pooling != "mean":
            raise ValueError("compat pools as the original does: leave pooling as it is")


class Vgg(OverMaps):
    """(batch, n_mels, time), mask (batch, time) -> (batch, n_outputs); 32 bins and frames or more.

    `embed` gives what the last layer reads, (batch, 512), with `compat` (batch, 4096).
    """

    def __init__(self, config: VggConfig) -> None:
        super().__init__()
        self.config = config
        self.features = _stages(DEPTHS[config.depth], config.batch_norm)
        self.pooling: nn.Module
        if config.compat:
            self.pooling = _OriginalHead()
        else:
            self.pooling = map_pooling(config.pooling, WIDTHS[-1], config.attention_scale)
        width = HIDDEN if config.compat else WIDTHS[-1]
        self.classifier = nn.Linear(width, config.n_outputs)
        start(self)


def grid_of_means(maps: Tensor, lengths: Tensor | None, size: int = GRID) -> Tensor:
    """Means over a grid of equal parts of each clip's map, as `adaptive_avg_pool2d` cuts it.

    Args:
        maps: (batch, channels, frequency, time).
        lengths: valid frames of each clip, (batch,), or None = all.
        size: rows and columns of the grid. Parts share cells where the map does not divide.

    Returns:
        (batch, channels, size, size).
    """
    if lengths is None:
        return F.adaptive_avg_pool2d(maps, size)
    rows = F.adaptive_avg_pool2d(maps, (size, None))
    part = torch.arange(size, device=maps.device)
    first = part * lengths[:, None] // size
    behind = -(-(part + 1) * lengths[:, None] // size)
    time = torch.arange(maps.shape[TIME], device=maps.device)
    inside = (time >= first[..., None]) & (time < behind[..., None])  # (batch, size, time)
    shares = inside.to(maps.dtype) / (behind - first)[..., None].to(maps.dtype)
    return rows @ shares.transpose(1, 2)[:, None]


class _OriginalHead(nn.Module):
    """(batch, 512, frequency, time), lengths (batch,) -> (batch, 4096)."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for width in (WIDTHS[-1] * GRID * GRID, HIDDEN):
            layers += [nn.Linear(width, HIDDEN), nn.ReLU(inplace=True), nn.Dropout(0.5)]
        self.hidden = nn.Sequential(*layers)

    def forward(self, maps: Tensor, lengths: Tensor | None) -> Tensor:
        hidden: Tensor = self.hidden(grid_of_means(maps, lengths).flatten(1))
        return hidden


def _stages(repeats: tuple[int, ...], batch_norm: bool) -> nn.Sequential:
    layers: list[nn.Module] = []
    channels = 1
    for width, n_convolutions in zip(WIDTHS, repeats, strict=True):
        for _ in range(n_convolutions):
            layers.append(nn.Conv2d(channels, width, 3, padding=1))
            if batch_norm:
                layers.append(nn.BatchNorm2d(width))
            layers.append(nn.ReLU(inplace=True))
            channels = width
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers)
