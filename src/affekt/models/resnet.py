"""ResNet 18, 34, 50, 101 and 152 for spectrograms.

He et al. 2015, arXiv:1512.03385, with one input channel, and the stride of a bottleneck in its 3x3
convolution, as torchvision has it; LSSED's backbone (spec 2.3.2).
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from affekt.models.convolutions import (
    OverMaps,
    Replace,
    check_choice,
    check_outputs,
    keep,
    start,
)
from affekt.models.lengths import Read, read
from affekt.models.pooling import ATTENTION_SCALE, POOLINGS, map_pooling

STEM = 64  # channels
WIDTHS = (64, 128, 256, 512)  # channels of the stages' 3x3 convolutions
EXPANSION = 4  # a bottleneck gives four times its width
BASIC = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}  # depth -> blocks of each stage
BOTTLENECK = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
DEPTHS = BASIC | BOTTLENECK


@dataclass(frozen=True)
class ResNetConfig:
    """`depth` 18, 34, 50, 101 or 152; 11,172,292 parameters with depth 18 and 4 outputs.

    `pooling`: "mean" or "attention", over all frequencies and valid time.
    """

    n_outputs: int
    depth: int = 18
    pooling: str = "mean"
    attention_scale: float = ATTENTION_SCALE

    def __post_init__(self) -> None:
        check_outputs(self.n_outputs)
        check_choice("depth", self.depth, DEPTHS)
        check_choice("pooling", self.pooling, POOLINGS)


class ResNet(OverMaps):
    """(batch, n_mels, time), mask (batch, time) -> (batch, n_outputs); any n_mels and length.

    `embed` gives what the last layer reads: (batch, 512), from depth 50 on (batch, 2048).
    """

    def __init__(self, config: ResNetConfig) -> None:
        super().__init__()
        self.config = config
        self.features, channels = resnet_trunk(config.depth)
        self.pooling = map_pooling(config.pooling, channels, config.attention_scale)
        self.classifier = nn.Linear(channels, config.n_outputs)
        start(self)


class Residual(nn.Module):
    """The maps of a body and of a shortcut (empty: the input), added; behind it a ReLU."""

    reads_lengths = True

    def __init__(self, body: nn.Sequential, shortcut: nn.Sequential) -> None:
        super().__init__()
        self.body = body
        self.shortcut = shortcut

    def forward(self, x: Tensor, lengths: Tensor | None) -> Read:
        maps, shrunk = read(self.body, x, lengths)
        beside, _ = read(self.shortcut, x, lengths)
        return torch.relu_(maps + beside), shrunk


def resnet_trunk(depth: int, replace: Replace = keep) -> tuple[nn.Sequential, int]:
    """Build stem and four stages, without pooling and head.

    Args:
        depth: one of DEPTHS.
        replace: what stands in place of the stem's 7x7 convolution (layer 0) and of every 3x3
            (layer 1 to 4, its stage).

    Returns:
        (batch, 1, frequency, time) -> (batch, channels, frequency / 32, time / 32), sizes rounded
        up; and its channels.
    """
    stem = [replace(_convolution(1, STEM, 7, stride=2), 0), *_normed(STEM)]
    stages = [nn.Sequential(*stem, nn.MaxPool2d(3, 2, padding=1))]
    channels = STEM
    for layer, (width, n_blocks) in enumerate(zip(WIDTHS, DEPTHS[depth], strict=True), start=1):
        blocks: list[nn.Module] = []
        for number in range(n_blocks):
            stride = 1 if number or layer == 1 else 2
            build = _basic if depth in BASIC else _bottleneck
            body, n_out = build(channels, width, stride, layer, replace)
            blocks.append(Residual(body, _shortcut(channels, n_out, stride)))
            channels = n_out
        stages.append(nn.Sequential(*blocks))
    return nn.Sequential(*stages), channels


def _basic(
    n_in: int, width: int, stride: int, layer: int, replace: Replace
) -> tuple[nn.Sequential, int]:
    body = nn.Sequential(
        replace(_convolution(n_in, width, 3, stride), layer),
        *_normed(width),
        replace(_convolution(width, width, 3), layer),
        nn.BatchNorm2d(width),
    )
    return body, width


def _bottleneck(
    n_in: int, width: int, stride: int, layer: int, replace: Replace
) -> tuple[nn.Sequential, int]:
    n_out = EXPANSION * width
    body = nn.Sequential(
        _convolution(n_in, width, 1),
        *_normed(width),
        replace(_convolution(width, width, 3, stride), layer),
        *_normed(width),
        _convolution(width, n_out, 1),
        nn.BatchNorm2d(n_out),
    )
    return body, n_out


def _shortcut(n_in: int, n_out: int, stride: int) -> nn.Sequential:
    if stride == 1 and n_in == n_out:
        return nn.Sequential()
    return nn.Sequential(_convolution(n_in, n_out, 1, stride), nn.BatchNorm2d(n_out))


def _normed(width: int) -> tuple[nn.Module, nn.Module]:
    return nn.BatchNorm2d(width), nn.ReLU(inplace=True)


def _convolution(n_in: int, n_out: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(n_in, n_out, kernel, stride, kernel // 2, bias=False)
