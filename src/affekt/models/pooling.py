"""From frames to one vector: statistics over the valid frames of each segment."""

import torch
from torch import Tensor

VARIANCE_FLOOR = 1e-6  # keeps the gradient of the square root finite where frames do not vary


def mean_std(states: Tensor, mask: Tensor) -> Tensor:
    """Mean and standard deviation over the frames that a segment covers.

    Args:
        states: (batch, n_frames, width).
        mask: (batch, n_segments, n_frames), True = the frame belongs to the segment.

    Returns:
        (batch, n_segments, 2 * width): means, then standard deviations (divided by n).
    """
    weights = mask.to(states.dtype)
    weights = weights / weights.sum(-1, keepdim=True).clamp(min=1)
    # centred first: E[x^2] - E[x]^2 loses its digits where a channel's mean is far from zero
    centre = states.mean(1, keepdim=True)
    centred = states - centre
    mean = weights @ centred
    variance = weights @ centred.square() - mean.square()
    return torch.cat([mean + centre, variance.clamp(min=VARIANCE_FLOOR).sqrt()], dim=-1)
