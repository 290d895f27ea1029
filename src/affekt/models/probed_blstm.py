"""A linear probe on windows of frames, and recurrent layers over what it says.

Frames of a large encoder have hundreds of numbers, and a few hours of speech do not teach an LSTM
which of them matter: it learns its recordings by heart. A linear map that was taught each window's
label beforehand leaves as many numbers as there are labels; the layers learn their order alone.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from affekt.models.blstm import Blstm, BlstmConfig
from affekt.models.heads import LinearHead, LinearHeadConfig
from affekt.models.pooling import VARIANCE_FLOOR


@dataclass(frozen=True)
class ProbedBlstmConfig:
    """`n_outputs` counts CTC's blank, the last, too; `beside`: frames on each side of a window."""

    n_outputs: int
    n_features: int = 512
    beside: int = 7
    hidden: int = 64

    def __post_init__(self) -> None:
        if self.n_outputs < 2:
            raise ValueError("n_outputs is 2 or more: a label and the blank")
        if min(self.n_features, self.hidden) < 1 or self.beside < 0:
            raise ValueError("n_features and hidden are 1 or more, beside is 0 or more")


class ProbedBlstm(nn.Module):
    """(batch, time, n_features), mask (batch, time) -> (batch, time, n_outputs).

    Valid frames come first; logits behind a clip's end mean nothing. `probe` stays as it is while
    the layers learn: fit it to windows first, or train `blstm` alone on what `said` gives.
    """

    def __init__(self, config: ProbedBlstmConfig) -> None:
        super().__init__()
        self.config = config
        n_labels = config.n_outputs - 1
        self.probe = LinearHead(LinearHeadConfig(n_labels, 2 * config.n_features))
        self.probe.requires_grad_(False)
        self.blstm = Blstm(
            BlstmConfig(config.n_outputs, n_features=n_labels, hidden=config.hidden, per_frame=True)
        )

    def said(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Give the probe's logits of the window around each frame, (batch, time, n_outputs - 1)."""
        logits: Tensor = self.probe(windows(x, mask, self.config.beside)[:, :, None])
        return logits

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        logits: Tensor = self.blstm(self.said(x, mask), mask)
        return logits


def windows(x: Tensor, mask: Tensor | None, beside: int) -> Tensor:
    """Mean and standard deviation over each frame and those beside it.

    Args:
        x: (batch, time, n_features).
        mask: (batch, time), True = valid, which come first; None = all are.
        beside: frames on each side; at a clip's ends there are fewer.

    Returns:
        (batch, time, 2 * n_features): means, then deviations (divided by n), as `mean_std`'s.
    """
    if mask is None:
        mask = torch.ones(x.shape[:2], dtype=torch.bool, device=x.device)
    time = torch.arange(x.shape[1], device=x.device)
    ends = mask.sum(1, keepdim=True)
    first = (time - beside).clamp(min=0)[None].minimum(ends - 1)
    past = (time + beside + 1)[None].minimum(ends)
    x = x.double() * mask[..., None]  # sums over a whole clip, of which small ones are taken off

    def over(values: Tensor) -> Tensor:
        sums = F.pad(values.cumsum(1), (0, 0, 1, 0))
        ahead, behind = (
            sums.gather(1, edge[..., None].expand(-1, -1, x.shape[2])) for edge in (past, first)
        )
        return (ahead - behind) / (past - first)[..., None]

    mean = over(x)
    deviation = (over(x.square()) - mean.square()).clamp(min=VARIANCE_FLOOR).sqrt()
    return torch.cat([mean, deviation], dim=-1).float()
