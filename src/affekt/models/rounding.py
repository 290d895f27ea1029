"""Weights on a grid of 8 bits: what is trained on them is what ships.

Every matrix and convolution of an encoder is rounded, output channel by output channel, before
any head sees its states. The exported file then holds the very same numbers in a quarter of the
space, and differs from the network in torch by rounding errors of float32 only.
"""

import torch
from torch import Tensor, nn

LEVELS = 127  # symmetric: -127 .. 127 of int8, so that zero stays zero


def int8(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Round a weight to the grid of its output channels.

    Args:
        weight: (n_outputs, ...).

    Returns:
        int8 of the same shape, and the step of each channel, (n_outputs,), float32.

    >>> levels, step = int8(torch.tensor([[2.54, -1.27], [0.0, 0.0]]))
    >>> levels.tolist(), [round(s, 4) for s in step.tolist()]
    ([[127, -64], [0, 0]], [0.02, 1.0])
    """
    rows = weight.detach().float().flatten(1)
    step = rows.abs().amax(1) / LEVELS
    step = torch.where(step > 0, step, torch.ones_like(step))
    return (rows / step[:, None]).round().to(torch.int8).view(weight.shape), step


def round_weights(module: nn.Module) -> None:
    """Round all matrices and convolutions of a module in place; biases and norms stay.

    Doing it twice changes nothing.
    """
    with torch.no_grad():
        for part in module.modules():
            if isinstance(part, nn.Linear | nn.Conv1d):
                levels, step = int8(part.weight)
                part.weight.copy_(levels * step.view(-1, *[1] * (part.weight.ndim - 1)))
