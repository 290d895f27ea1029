"""From frames, or maps, to one vector: means, spreads, and means weighed by attention."""

import torch
from torch import Tensor, nn

from affekt.models.convolutions import check_choice
from affekt.models.lengths import mean_over_time, valid

VARIANCE_FLOOR = 1e-6  # keeps the gradient of the square root finite where frames do not vary
ATTENTION_SCALE = 0.3  # Zhang et al. 2018: below 1 it keeps the weights from settling on one cell
POOLINGS = ("mean", "attention")


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


class MeanPooling(nn.Module):
    """Maps (batch, channels, frequency, time), lengths (batch,) -> their mean, (batch, channels).

    Over all frequencies and each clip's valid time.
    """

    def forward(self, maps: Tensor, lengths: Tensor | None) -> Tensor:
        return mean_over_time(maps, lengths).mean(-1)


class AttentionPooling(nn.Module):
    """Maps (batch, channels, frequency, time), lengths (batch,) -> (batch, channels).

    A mean over all valid cells a_i of a map, weighed by softmax(scale * e), where
    e_i = u' tanh(W a_i + b) and W is square. Zhang et al. 2018, FCN-Attention (spec 2.6).
    """

    def __init__(self, channels: int, scale: float = ATTENTION_SCALE) -> None:
        super().__init__()
        self.scale = scale
        self.hidden = nn.Linear(channels, channels)
        self.score = nn.Linear(channels, 1, bias=False)

    def forward(self, maps: Tensor, lengths: Tensor | None) -> Tensor:
        weights = self.weights(maps, lengths).flatten(1)
        pooled: Tensor = weights[:, None].to(maps.dtype) @ _cells(maps)
        return pooled.squeeze(1)

    def weights(self, maps: Tensor, lengths: Tensor | None) -> Tensor:
        """How much each cell counts, (batch, frequency, time): 0 behind a clip's end, sum 1."""
        scores: Tensor = self.scale * self.score(self.hidden(_cells(maps)).tanh()).squeeze(-1)
        if lengths is not None:
            there = valid(maps, lengths)[:, 0].expand(-1, maps.shape[2], -1).flatten(1)
            scores = scores.masked_fill(~there, -torch.inf)
        return scores.softmax(1).view(len(maps), *maps.shape[2:])


def map_pooling(pooling: str, channels: int, scale: float = ATTENTION_SCALE) -> nn.Module:
    """Build one of POOLINGS for maps of so many channels.

    Raises:
        ValueError: no pooling has that name.
    """
    check_choice("pooling", pooling, POOLINGS)
    return MeanPooling() if pooling == "mean" else AttentionPooling(channels, scale)


def _cells(maps: Tensor) -> Tensor:
    """(batch, channels, frequency, time) -> (batch, frequency * time, channels)."""
    return maps.permute(0, 2, 3, 1).flatten(1, 2)
