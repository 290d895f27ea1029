"""What the convolutional networks over spectrograms share: their input, start and settings."""

from collections.abc import Callable, Collection

import torch
from torch import Tensor, nn

from affekt.exceptions import AffektError
from affekt.models.lengths import lengths_of, read

Replace = Callable[[nn.Conv2d, int], nn.Module]  # a convolution and its layer -> what stands there


def keep(convolution: nn.Conv2d, layer: int) -> nn.Module:
    """Leave every convolution as it is: the `Replace` of a network as its authors drew it."""
    return convolution


class OverMaps(nn.Module):
    """(batch, n_mels, time), mask (batch, time) -> (batch, n_outputs): trunk, pooling, last layer.

    `embed` gives what the last layer, `classifier`, reads.
    """

    features: nn.Module
    pooling: nn.Module
    classifier: nn.Module

    def embed(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        maps, lengths = read(self.features, as_maps(x), lengths_of(mask))
        embedded: Tensor = self.pooling(maps, lengths)
        return embedded

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        logits: Tensor = self.classifier(self.embed(x, mask))
        return logits


def as_maps(x: Tensor) -> Tensor:
    """(batch, n_mels, time) -> (batch, 1, n_mels, time), channels last in memory.

    With one channel both orders are the same numbers in the same places, and what torch takes
    them for is told by the strides alone: those of `x[:, None]` make the whole network read its
    maps channels first, which is slower.

    Raises:
        AffektError: x has another number of axes.
    """
    if x.ndim != 3:
        raise AffektError(
            f"spectrograms of shape {tuple(x.shape)}: give them as (batch, n_mels, time)"
        )
    return x[..., None].permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)


def start(network: nn.Module) -> None:
    """Give convolutions their first weights: Kaiming's normal numbers by fan-out, biases zero."""
    for part in network.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")
            if part.bias is not None:
                nn.init.zeros_(part.bias)


def check_outputs(n_outputs: int) -> None:
    """Refuse a network without an answer.

    Raises:
        ValueError: n_outputs below 1.
    """
    if n_outputs < 1:
        raise ValueError("n_outputs is 1 or more")


def check_choice(setting: str, value: object, known: Collection[object]) -> None:
    """Refuse a setting that is none of those there are.

    Raises:
        ValueError: it names the setting, its value and what there is.

    >>> check_choice("depth", 20, (18, 34))
    Traceback (most recent call last):
    ValueError: depth 20: there is 18, 34
    """
    if value not in known:
        raise ValueError(f"{setting} {value!r}: there is {', '.join(map(str, known))}")
