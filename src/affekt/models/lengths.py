"""Convolutions over clips of several lengths, each clip read as if it stood alone.

Spectrograms of a batch are padded to the longest. `read` carries the true lengths through the
layers: what lies behind a clip's end is zero wherever a kernel could reach it, as it is at the
edge of a clip that stands alone, and lengths shrink as the maps do. So in evaluation a clip's
logits do not depend on its neighbours. Batch normalisation in training does see the padding.
"""

from typing import Protocol, TypeGuard

import torch
from torch import Tensor, nn

from affekt.exceptions import AffektError

FREQUENCY, TIME = -2, -1  # axes in maps of (batch, channels, frequency, time)
Read = tuple[Tensor, Tensor | None]


class Block(Protocol):
    """A module of several paths: it is called with lengths and gives them back, too."""

    reads_lengths: bool

    def __call__(self, x: Tensor, lengths: Tensor | None) -> Read: ...


def lengths_of(mask: Tensor | None) -> Tensor | None:
    """Valid frames of each clip, (batch,); None where nothing is padding.

    Args:
        mask: (batch, time), True = valid, valid frames first; or None.

    >>> lengths_of(torch.tensor([[True, True], [True, False]])).tolist()
    [2, 1]
    """
    if mask is None or bool(mask.all()):
        return None
    if (mask[:, 1:] & ~mask[:, :-1]).any():
        raise ValueError("a clip's valid frames must come first, without a gap")
    return mask.sum(1)


def read(layer: nn.Module, x: Tensor, lengths: Tensor | None) -> Read:
    """Apply a layer, or a sequence of them, to maps of clips.

    Args:
        layer: convolutions and poolings over (batch, channels, frequency, time), `Block`s, what
            works on each cell alone, and `nn.Sequential` of all these. Maxima are taken over
            values of 0 and more only: they all come from a ReLU.
        x: (batch, channels, frequency, time).
        lengths: (batch,), or None = all of it is valid.

    Returns:
        The layer's maps and their lengths.

    Raises:
        AffektError: a clip is too short for the layer's kernel, or has too few frequencies.
    """
    if isinstance(layer, nn.Sequential):
        for part in layer:
            x, lengths = read(part, x, lengths)
        return x, lengths
    if _is_block(layer):
        return layer(x, lengths)
    if isinstance(layer, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d):
        kernel, stride, padding = (
            _along(value) for value in (layer.kernel_size, layer.stride, layer.padding)
        )
        height = x.shape[FREQUENCY] + 2 * _along(layer.padding, FREQUENCY)
        if height < _along(layer.kernel_size, FREQUENCY):
            raise AffektError(
                "spectrograms have too few mel bands for the network: take a feature with more"
            )
        shortest = x.shape[TIME] if lengths is None else int(lengths.min())
        if shortest + 2 * padding < kernel:
            raise AffektError(
                f"a clip is too short for the network: {shortest} frame(s) are left where it needs"
                f" {kernel - 2 * padding}; leave it out, or pad it with silence"
            )
        if lengths is not None:
            if kernel > 1:
                x = hide(x, lengths)
            lengths = (lengths + 2 * padding - kernel) // stride + 1
    return layer(x), lengths


def valid(x: Tensor, lengths: Tensor) -> Tensor:
    """Where maps are no padding: (batch, 1, 1, time), True = valid."""
    return (torch.arange(x.shape[TIME], device=x.device) < lengths[:, None])[:, None, None]


def hide(x: Tensor, lengths: Tensor | None) -> Tensor:
    """Set what lies behind each clip's end to zero.

    By a product: `masked_fill` forgets the order of the axes in memory on the way back, and
    training takes three times as long.
    """
    return x if lengths is None else x * valid(x, lengths).to(x.dtype)


def mean_over_time(x: Tensor, lengths: Tensor | None) -> Tensor:
    """Mean over each clip's valid frames, (batch, channels, frequency, time) -> without time."""
    if lengths is None:
        return x.mean(TIME)
    return hide(x, lengths).sum(TIME) / lengths[:, None, None].to(x.dtype)


def _is_block(layer: nn.Module) -> TypeGuard[Block]:
    return getattr(layer, "reads_lengths", False)


def _along(value: int | str | tuple[int, ...], axis: int = TIME) -> int:
    assert not isinstance(value, str), "padding by name has no place here"
    return value if isinstance(value, int) else value[axis]
