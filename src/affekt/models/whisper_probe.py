"""The recogniser's network: first layers of Whisper's encoder, pooled, and two linear heads.

A sound heard alone leaves other states than the same sound within a longer recording. So there
is a head for each: `head` for a short sound that is all the encoder heard, `context_head` for a
stretch, and for what is longer than the clips that `head` learns from.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from affekt.models.heads import LinearHead, LinearHeadConfig
from affekt.models.pooling import mean_std
from affekt.models.whisper import WhisperConfig, WhisperEncoder

MAX_ALONE_FRAMES = 350  # 7 s * 50 frames/s: clips of acted speech last 1 .. 7 s


@dataclass(frozen=True)
class WhisperProbeConfig:
    """`layers`: which hidden states are pooled (0 = the stem's output); several are mixed."""

    n_outputs: int
    layers: tuple[int, ...] = (3,)
    n_mels: int = 80
    width: int = 512
    n_heads: int = 8

    def __post_init__(self) -> None:
        if not self.layers or min(self.layers) < 0:
            raise ValueError(f"layers {self.layers}: give one or more, from 0 up")

    def encoder(self) -> WhisperConfig:
        """Give the encoder that reaches just as deep as the deepest layer asked for."""
        return WhisperConfig(self.n_mels, self.width, self.n_heads, n_layers=max(self.layers))

    def head(self) -> LinearHeadConfig:
        """Give the head that reads mean and standard deviation of the layers."""
        return LinearHeadConfig(self.n_outputs, 2 * self.width, len(self.layers))


class WhisperProbe(nn.Module):
    """Log-mel (batch, n_mels, n_mel_frames), mask (batch, n_frames) -> (batch, n_outputs).

    Each item is heard alone; `segments` asks about stretches of it.
    """

    def __init__(self, config: WhisperProbeConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = WhisperEncoder(config.encoder())
        self.head = LinearHead(config.head())
        self.context_head = LinearHead(config.head())

    def statistics(self, log_mel: Tensor, mask: Tensor | None, segments: Tensor) -> Tensor:
        """Pool each chosen layer over each segment.

        Args:
            log_mel: (batch, n_mels, n_mel_frames).
            mask: (batch, n_frames), True = valid; None = all valid.
            segments: (batch, n_segments, n_frames), True = the frame is in the segment.

        Returns:
            (batch, n_segments, n_layers, 2 * width).
        """
        states = self.encoder(log_mel, mask)
        pooled = [mean_std(states[layer], segments) for layer in self.config.layers]
        return torch.stack(pooled, dim=2)

    def segments(self, log_mel: Tensor, mask: Tensor | None, segments: Tensor) -> Tensor:
        """Give logits of stretches, (batch, n_segments, n_outputs).

        A stretch that is all there is, and short, is heard alone, the others in context.
        """
        statistics = self.statistics(log_mel, mask, segments)
        valid = segments.shape[-1] if mask is None else mask.sum(-1)[:, None]
        n_frames = segments.sum(-1)
        alone = ((n_frames == valid) & (n_frames <= MAX_ALONE_FRAMES))[..., None]
        return torch.where(alone, self.head(statistics), self.context_head(statistics))

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        if mask is None:
            n_frames = -(-x.shape[-1] // 2)
            mask = torch.ones(x.shape[0], n_frames, dtype=torch.bool, device=x.device)
        return self.segments(x, mask, mask[:, None])[:, 0]
