"""Whisper's audio encoder (Radford et al. 2022), readable, for any length up to 30 s.

Parameter names follow the Hugging Face checkpoints, so that `encoder.safetensors` of any size
loads as it is. The first `n_layers` blocks are built; the rest of a checkpoint is not read.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

MAX_FRAMES = 1500  # 30 s * 50 encoder frames/s, of 20 ms each
MEL_FRAMES_PER_FRAME = 2  # the second convolution has stride 2: 10 ms -> 20 ms
MAX_LAYERS = 64  # twice those of the largest Whisper: a card that asks for more is damaged


@dataclass(frozen=True)
class WhisperConfig:
    """Shape of an encoder; the defaults are Whisper base's first three layers."""

    n_mels: int = 80
    width: int = 512
    n_heads: int = 8
    n_layers: int = 3

    def __post_init__(self) -> None:
        if self.n_heads < 1 or self.width < 4 or self.width % 2 or self.width % self.n_heads:
            raise ValueError(f"width {self.width} cannot be shared by {self.n_heads} heads")
        if not 0 <= self.n_layers <= MAX_LAYERS:
            raise ValueError(f"{self.n_layers} layers: there can be 0 to {MAX_LAYERS}")


def sinusoids(length: int, width: int) -> Tensor:
    """Fixed positional embedding, shape (length, width): sines then cosines of 1 .. 1e-4 rad."""
    rates = torch.exp(-math.log(10_000) / (width // 2 - 1) * torch.arange(width // 2))
    angles = torch.arange(length)[:, None] * rates[None, :]
    return torch.cat([angles.sin(), angles.cos()], dim=1)


class SelfAttention(nn.Module):
    """(batch, time, width), mask (batch, 1, 1, time) or None -> (batch, time, width)."""

    def __init__(self, width: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.q_proj = nn.Linear(width, width)
        self.k_proj = nn.Linear(width, width, bias=False)
        self.v_proj = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        q, k, v = (
            project(x).unflatten(-1, (self.n_heads, -1)).transpose(1, 2)
            for project in (self.q_proj, self.k_proj, self.v_proj)
        )
        heads = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        out: Tensor = self.out_proj(heads.transpose(1, 2).flatten(2))
        return out


class Block(nn.Module):
    """One pre-norm transformer block, (batch, time, width) -> the same."""

    def __init__(self, config: WhisperConfig) -> None:
        super().__init__()
        self.self_attn = SelfAttention(config.width, config.n_heads)
        self.self_attn_layer_norm = nn.LayerNorm(config.width)
        self.fc1 = nn.Linear(config.width, 4 * config.width)
        self.fc2 = nn.Linear(4 * config.width, config.width)
        self.final_layer_norm = nn.LayerNorm(config.width)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        x = x + self.self_attn(self.self_attn_layer_norm(x), mask)
        out: Tensor = x + self.fc2(F.gelu(self.fc1(self.final_layer_norm(x))))
        return out


class WhisperEncoder(nn.Module):
    """Log-mel (batch, n_mels, n_mel_frames) -> hidden states of every layer.

    Unlike the original it needs no padding to 30 s: with a mask, padded frames neither receive
    attention nor leak through the convolutions, so a clip's states do not depend on its batch.
    """

    def __init__(self, config: WhisperConfig) -> None:
        super().__init__()
        self.config = config
        self.conv1 = nn.Conv1d(config.n_mels, config.width, kernel_size=3, padding=1)
        self.conv2 = nn.Conv1d(config.width, config.width, kernel_size=3, stride=2, padding=1)
        self.layers = nn.ModuleList(Block(config) for _ in range(config.n_layers))
        # fixed, yet part of a checkpoint: published ones hold it rounded to half precision
        self.embed_positions = nn.Embedding(MAX_FRAMES, config.width)
        positions = sinusoids(MAX_FRAMES, config.width)
        self.embed_positions.weight = nn.Parameter(positions, requires_grad=False)

    def stem(self, log_mel: Tensor, mask: Tensor | None = None) -> Tensor:
        """Give what the first block sees: (batch, n_frames, width), n_frames = ceil(mel / 2).

        Args:
            log_mel: (batch, n_mels, n_mel_frames), n_mel_frames <= 3000; behind an odd number
                of frames stands a zero, as it does in a batch.
            mask: (batch, n_frames) of 20 ms frames, True = valid; None = all valid.
        """
        if log_mel.shape[-1] > MEL_FRAMES_PER_FRAME * MAX_FRAMES:
            raise ValueError(
                f"{log_mel.shape[-1]} mel frames: the encoder sees 3000 (30 s) at most"
            )
        log_mel = F.pad(log_mel, (0, log_mel.shape[-1] % MEL_FRAMES_PER_FRAME))
        if mask is not None:  # the second convolution reads nothing behind a valid frame's pair
            log_mel = log_mel * mask.repeat_interleave(MEL_FRAMES_PER_FRAME, 1)[:, None]
        x = F.gelu(self.conv1(log_mel))
        x = F.gelu(self.conv2(x)).transpose(1, 2)
        return x + self.embed_positions.weight[: x.shape[1]].to(x.dtype)

    def forward(self, log_mel: Tensor, mask: Tensor | None = None) -> list[Tensor]:
        """Give the stem's output and every block's: n_layers + 1 of (batch, n_frames, width)."""
        x = self.stem(log_mel, mask)
        attend = None if mask is None else mask[:, None, None, :]
        states = [x]
        for block in self.layers:
            x = block(x, attend)
            states.append(x)
        return states
