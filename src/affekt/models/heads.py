"""Heads: from pooled statistics to logits."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class LinearHeadConfig:
    """`n_layers` pooled layers of `n_features` numbers each -> `n_outputs` logits."""

    n_outputs: int
    n_features: int = 1024  # 2 * 512: mean and standard deviation of Whisper base's width
    n_layers: int = 1


class LinearHead(nn.Module):
    """Standardise each layer's statistics, mix the layers, one linear map.

    (batch, ..., n_layers, n_features) -> (batch, ..., n_outputs). The mix is a softmax over
    learned weights; with one layer it is that layer.
    """

    def __init__(self, config: LinearHeadConfig) -> None:
        super().__init__()
        self.config = config
        self.mix = nn.Parameter(torch.zeros(config.n_layers), requires_grad=config.n_layers > 1)
        self.linear = nn.Linear(config.n_features, config.n_outputs)
        self.register_buffer("mean", torch.zeros(config.n_layers, config.n_features))
        self.register_buffer("scale", torch.ones(config.n_layers, config.n_features))
        nn.init.zeros_(self.linear.weight)  # a convex problem: nothing to break by symmetry
        nn.init.zeros_(self.linear.bias)

    def standardise(self, statistics: Tensor) -> None:
        """Set mean and scale from the training statistics, (n, n_layers, n_features)."""
        self.mean = statistics.mean(0)
        self.scale = statistics.std(0, unbiased=False).clamp(min=1e-6)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        return self.classify((x - self.mean) / self.scale)

    def classify(self, standard: Tensor) -> Tensor:
        """Mix and map statistics that are standardised already, as when training on an array."""
        if self.config.n_layers == 1:
            mixed = standard.squeeze(-2)
        else:
            mixed = (standard * self.mix.softmax(0)[:, None]).sum(-2)
        logits: Tensor = self.linear(mixed)
        return logits
