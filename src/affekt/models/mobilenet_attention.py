"""The Dusha baseline: a narrow MobileNetV2 over a log-mel spectrogram, self-attention, a mean.

Kondratenko et al. 2022, arXiv:2212.12266; shapes and key names as in the one published checkpoint
(spec 1.4).
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from affekt.models.convolutions import OverMaps, as_maps, check_outputs
from affekt.models.lengths import Read, lengths_of, mean_over_time, read, valid

STEM = 4  # channels
STAGES = ((1, 16, 1, 1), (2, 32, 2, 2), (2, 64, 2, 6), (2, 128, 2, 6))  # expansion, out, stride, n
LAST = 128  # channels


@dataclass(frozen=True)
class MobileNetAttentionConfig:
    """514,909 parameters with 4 outputs. `masked` False: padding is heard, as in the paper.

    `dropout`: share of the embedding that training leaves out; the paper has none.
    """

    n_outputs: int
    masked: bool = True
    dropout: float = 0.0

    def __post_init__(self) -> None:
        check_outputs(self.n_outputs)
        if not 0 <= self.dropout < 1:
            raise ValueError("dropout is from 0 to below 1")


class MobileNetAttention(OverMaps):
    """(batch, n_mels, time), mask (batch, time) -> (batch, n_outputs); any n_mels, 64 by design.

    dB from -80 to 0, clip maximum 0: the first layers' normalisation takes them as they are.
    `embed` gives what the last layer reads, (batch, 128).
    """

    def __init__(self, config: MobileNetAttentionConfig) -> None:
        super().__init__()
        self.config = config
        layers: list[nn.Module] = [_convolution(1, STEM, 3)]
        channels = STEM
        for expansion, n_out, stride, repeats in STAGES:
            for number in range(repeats):
                layers.append(InvertedResidual(channels, n_out, 1 if number else stride, expansion))
                channels = n_out
        layers.append(_convolution(channels, LAST, 1))
        self.features = nn.Sequential(*layers)
        self.pooling = nn.ModuleList([SelfAttention(LAST)])
        self.dropout = nn.Dropout(config.dropout)
        self.classifier = nn.Linear(LAST, config.n_outputs)

    def embed(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        lengths = lengths_of(mask) if self.config.masked else None
        maps, lengths = read(self.features, as_maps(x), lengths)
        for attention in self.pooling.children():
            maps = attention(maps, lengths)
        embedded: Tensor = self.dropout(mean_over_time(maps, lengths).mean(-1))
        return embedded


class InvertedResidual(nn.Module):
    """Widen (not by an expansion of 1), filter each channel, narrow; add where shapes allow."""

    reads_lengths = True

    def __init__(self, n_in: int, n_out: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = n_in * expansion
        layers: list[nn.Module] = [] if expansion == 1 else [_convolution(n_in, wide, 1)]
        layers.append(_convolution(wide, wide, 3, stride, groups=wide))
        layers += [nn.Conv2d(wide, n_out, 1, bias=False), nn.BatchNorm2d(n_out)]
        self.conv = nn.Sequential(*layers)
        self.adds = stride == 1 and n_in == n_out

    def forward(self, x: Tensor, lengths: Tensor | None) -> Read:
        maps, shrunk = read(self.conv, x, lengths)
        return (x + maps if self.adds else maps), shrunk


class SelfAttention(nn.Module):
    """Every cell of a map reads all others; what it reads is added with a learned weight, first 0.

    (batch, channels, frequency, time) -> the same. Scores are not scaled, and each reading cell's
    weights over what it reads sum to 1.
    """

    def __init__(self, channels: int, reduction: int = 8) -> None:
        super().__init__()
        self.query = nn.Conv1d(channels, channels // reduction, 1, bias=False)
        self.key = nn.Conv1d(channels, channels // reduction, 1, bias=False)
        self.value = nn.Conv1d(channels, channels, 1, bias=False)
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, maps: Tensor, lengths: Tensor | None) -> Tensor:
        cells = maps.flatten(2)
        query, key, value = self.query(cells), self.key(cells), self.value(cells)
        scores = query.transpose(1, 2) @ key  # (batch, read, reading)
        if lengths is not None:
            there = valid(maps, lengths).expand(-1, 1, maps.shape[2], -1).flatten(2)
            scores = scores.masked_fill(~there.transpose(1, 2), -torch.inf)
        heard = value @ scores.softmax(1)
        added: Tensor = self.gamma * heard.view_as(maps)
        return added + maps


def _convolution(
    n_in: int, n_out: int, kernel: int, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(n_in, n_out, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(n_out),
        nn.ReLU6(inplace=True),
    )
