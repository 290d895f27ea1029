"""Whisper's encoder, its top blocks tuned, and linear heads for all that its states may teach.

The stem (convolutions and positions) and the lower blocks stay as they are; the top `n_tuned`
blocks learn, whole or through matrices of low rank. Each head mixes the chosen layers for itself.
"""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from affekt.losses import reverse_gradient
from affekt.models.heads import LinearHead, LinearHeadConfig
from affekt.models.pooling import mean_std
from affekt.models.whisper import MEL_FRAMES_PER_FRAME, WhisperConfig, WhisperEncoder
from affekt.models.whisper_probe import WhisperProbe, WhisperProbeConfig


@dataclass(frozen=True)
class WhisperTunedConfig:
    """What is built, what of it learns, and what it is asked.

    Attributes:
        n_outputs: labels.
        layers: which hidden states the heads read (0 = the stem's output); several are mixed.
        n_tuned: how many of the top blocks learn; 0 = the heads alone.
        lora_rank: of the matrices added to those of the tuned blocks, which then stay as they
            are; 0 = the blocks learn whole.
        n_domains: outputs of the domain head; 0 = there is none.
        n_dimensions: outputs in 0 .. 1 of the head for ratings; 0 = there is none.
        per_frame: whether there is a head for each frame's label.
    """

    n_outputs: int
    layers: tuple[int, ...] = (3,)
    n_tuned: int = 1
    lora_rank: int = 0
    n_domains: int = 0
    n_dimensions: int = 0
    per_frame: bool = False
    n_mels: int = 80
    width: int = 512
    n_heads: int = 8

    def __post_init__(self) -> None:
        if not self.layers or min(self.layers) < 0:
            raise ValueError(f"layers {self.layers}: give one or more, from 0 up")
        if not 0 <= self.n_tuned <= max(self.layers):
            raise ValueError(f"n_tuned {self.n_tuned}: {max(self.layers)} blocks are built")
        if not 0 <= self.lora_rank <= self.width:
            raise ValueError(f"lora_rank {self.lora_rank}: choose 0 .. {self.width}, the width")
        if self.lora_rank and not self.n_tuned:
            raise ValueError("lora_rank without a block to tune: give n_tuned, too")
        if self.n_domains < 0 or self.n_domains == 1:
            raise ValueError(f"n_domains {self.n_domains}: there are two or more to tell apart")
        if self.n_dimensions < 0:
            raise ValueError(f"n_dimensions {self.n_dimensions}: choose 0 or more")

    @property
    def n_frozen(self) -> int:
        """How many blocks stay as they are."""
        return max(self.layers) - self.n_tuned

    def encoder(self) -> WhisperConfig:
        """Give the encoder that reaches just as deep as the deepest layer asked for."""
        return WhisperConfig(self.n_mels, self.width, self.n_heads, n_layers=max(self.layers))


class Answers(NamedTuple):
    """What the heads say; None where there is no such head.

    `labels` (batch, n_segments, n_outputs) and `domains` (batch, n_segments, n_domains) logits of
    each segment; `frames` (batch, n_frames, n_outputs) logits of each frame; `dimensions` (batch,
    n_segments, n_dimensions) in 0 .. 1.
    """

    labels: Tensor
    frames: Tensor | None
    domains: Tensor | None
    dimensions: Tensor | None


class WhisperTuned(nn.Module):
    """Log-mel (batch, n_mels, n_mel_frames), mask (batch, n_frames) -> (batch, n_outputs).

    With `inside` (batch, n_segments, n_frames), True = the frame is in the segment -> Answers.
    `reverse`: what hears the domain head's gradient hears it reversed; else as it is.
    """

    def __init__(self, config: WhisperTunedConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = WhisperEncoder(config.encoder())
        self.encoder.requires_grad_(False)
        for block in self._tuned():
            if config.lora_rank:
                _replace(block, lambda plain: LowRank.of(plain, config.lora_rank))
            else:
                block.requires_grad_(True)
        of_segments = LinearHeadConfig(config.n_outputs, 2 * config.width, len(config.layers))
        self.head = LinearHead(of_segments)
        self.frame_head: LinearHead | None = None
        self.domain_head: LinearHead | None = None
        self.dimension_head: LinearHead | None = None
        if config.per_frame:
            self.frame_head = LinearHead(replace(of_segments, n_features=config.width))
        if config.n_domains:
            self.domain_head = LinearHead(replace(of_segments, n_outputs=config.n_domains))
        if config.n_dimensions:
            self.dimension_head = LinearHead(replace(of_segments, n_outputs=config.n_dimensions))

    def start_from(self, encoder: WhisperEncoder) -> None:
        """Take over an encoder's weights: at least as deep, and of the same shape.

        Raises:
            ValueError: it is of another shape, or has fewer blocks.
        """
        mine, theirs = self.encoder.config, encoder.config
        if replace(theirs, n_layers=mine.n_layers) != mine or theirs.n_layers < mine.n_layers:
            raise ValueError(f"an encoder of {theirs} does not fit one of {mine}")
        given, own = encoder.state_dict(), self.encoder.state_dict()
        self.encoder.load_state_dict(own | {k: v for k, v in given.items() if k in own})

    def standardise(self, statistics: Tensor) -> None:
        """Set every head's mean and scale from `statistics` of training segments.

        Args:
            statistics: (n, n_layers, 2 * width), means and deviations within each segment.

        The frames' own follow from these: their variance is that within segments, on average,
        and that of the segments' means.
        """
        for head in (self.head, self.domain_head, self.dimension_head):
            if head is not None:
                head.standardise(statistics)
        if self.frame_head is not None:
            mean, spread = statistics.chunk(2, dim=-1)
            variance = spread.square().mean(0) + mean.var(0, unbiased=False)
            self.frame_head.mean = mean.mean(0)
            self.frame_head.scale = variance.sqrt().clamp(min=1e-6)

    def lower(self, log_mel: Tensor, mask: Tensor | None = None) -> Tensor:
        """Give what the first tuned block sees, (batch, n_frames, width): it never changes."""
        x = self.encoder.stem(log_mel, mask)
        for block in self.encoder.layers[: self.config.n_frozen]:
            x = block(x, _attend(mask))
        return x

    def statistics(self, x: Tensor, mask: Tensor | None, inside: Tensor) -> Tensor:
        """Pool the chosen layers over segments, (batch, n_segments, n_layers, 2 * width)."""
        return _pooled(self._chosen(self.encoder(x, mask)), inside)

    def forward(
        self,
        x: Tensor,
        mask: Tensor | None = None,
        inside: Tensor | None = None,
        reverse: bool = True,
    ) -> Tensor | Answers:
        if inside is None:
            mask = _whole(x, MEL_FRAMES_PER_FRAME) if mask is None else mask
            found = self._answer(self._chosen(self.encoder(x, mask)), mask[:, None], reverse)
            return found.labels[:, 0]
        return self._answer(self._chosen(self.encoder(x, mask)), inside, reverse)

    def merged(self) -> "WhisperTuned":
        """Give the same network with each matrix of low rank added to the plain one it is for."""
        plain = copy.deepcopy(self)
        for block in plain._tuned():
            _replace(block, lambda part: part.merged() if isinstance(part, LowRank) else part)
        plain.config = replace(self.config, lora_rank=0)
        return plain

    def probe(self) -> WhisperProbe:
        """Give the network of a recogniser: merged, both of its heads this one's for segments."""
        c = self.config
        shape = WhisperProbeConfig(c.n_outputs, c.layers, c.n_mels, c.width, c.n_heads)
        probe = WhisperProbe(shape)
        probe.encoder = self.merged().encoder
        probe.head, probe.context_head = (copy.deepcopy(self.head) for _ in range(2))
        return probe.requires_grad_(False).eval()

    def _tuned(self) -> nn.ModuleList:
        return self.encoder.layers[self.config.n_frozen :]

    def _chosen(self, states: list[Tensor]) -> list[Tensor]:
        return [states[layer] for layer in self.config.layers]

    def _answer(self, states: list[Tensor], inside: Tensor, reverse: bool) -> Answers:
        """Ask every head, in float32 whatever the encoder's arithmetic: sums over many frames."""
        with torch.autocast(inside.device.type, enabled=False):
            states = [state.float() for state in states]
            pooled = _pooled(states, inside)
            frames = domains = dimensions = None
            if self.frame_head is not None:
                frames = self.frame_head(torch.stack(states, dim=2))
            if self.domain_head is not None:
                domains = self.domain_head(reverse_gradient(pooled) if reverse else pooled)
            if self.dimension_head is not None:
                dimensions = self.dimension_head(pooled).sigmoid()
            return Answers(self.head(pooled), frames, domains, dimensions)


class FromStates(nn.Module):
    """The same network above what `lower` gave, which can be computed once and kept on disk.

    States (batch, n_frames, width) instead of log-mels; all else as `WhisperTuned`, whose
    parameters it trains.
    """

    def __init__(self, tuned: WhisperTuned) -> None:
        super().__init__()
        if min(tuned.config.layers) < tuned.config.n_frozen:
            raise ValueError(
                f"layers {tuned.config.layers}: those below block {tuned.config.n_frozen} are"
                " not among the states kept; tune more blocks, or read higher layers"
            )
        self.tuned = tuned

    def forward(
        self,
        x: Tensor,
        mask: Tensor | None = None,
        inside: Tensor | None = None,
        reverse: bool = True,
    ) -> Tensor | Answers:
        states = {self.tuned.config.n_frozen: x}
        for number, block in enumerate(self.tuned._tuned(), start=self.tuned.config.n_frozen):
            states[number + 1] = block(states[number], _attend(mask))
        chosen = [states[layer] for layer in self.tuned.config.layers]
        if inside is None:
            mask = _whole(x.transpose(1, 2), 1) if mask is None else mask
            return self.tuned._answer(chosen, mask[:, None], reverse).labels[:, 0]
        return self.tuned._answer(chosen, inside, reverse)


class LowRank(nn.Linear):
    """A linear layer that stays as it is, and beside it one of low rank that learns.

    (..., n_inputs) -> (..., n_outputs): x W' + b + x A' B', where B (n_outputs, rank) begins at
    zero. The usual factor alpha / rank is left out: with Adam it is a rate by another name.

    Source: Hu et al. 2021, arXiv:2106.09685.
    """

    def __init__(self, n_inputs: int, n_outputs: int, rank: int, bias: bool = True) -> None:
        super().__init__(n_inputs, n_outputs, bias)
        self.requires_grad_(False)
        self.down = nn.Parameter(torch.empty(rank, n_inputs))
        self.up = nn.Parameter(torch.zeros(n_outputs, rank))
        nn.init.kaiming_uniform_(self.down, a=math.sqrt(5))

    @classmethod
    def of(cls, plain: nn.Linear, rank: int) -> "LowRank":
        """Put it beside a plain layer."""
        layer = cls(plain.in_features, plain.out_features, rank, plain.bias is not None)
        layer.load_state_dict(layer.state_dict() | plain.state_dict())
        return layer

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + F.linear(F.linear(x, self.down), self.up)

    def merged(self) -> nn.Linear:
        """Give the plain layer that does the same."""
        plain = nn.Linear(self.in_features, self.out_features, self.bias is not None)
        plain.load_state_dict(
            {k: v for k, v in self.state_dict().items() if k in ("weight", "bias")}
        )
        with torch.no_grad():
            plain.weight += self.up @ self.down
        return plain


def _replace(block: nn.Module, change: Callable[[nn.Linear], nn.Module]) -> None:
    """Put another layer in the place of every linear one."""
    for part in list(block.modules()):
        for name, child in part.named_children():
            if isinstance(child, nn.Linear):
                setattr(part, name, change(child))


def _pooled(states: list[Tensor], inside: Tensor) -> Tensor:
    return torch.stack([mean_std(state, inside) for state in states], dim=2)


def _attend(mask: Tensor | None) -> Tensor | None:
    return None if mask is None else mask[:, None, None, :]


def _whole(x: Tensor, hop: int) -> Tensor:
    """A mask of all frames, `hop` columns of x each: (batch, n_frames)."""
    return torch.ones(x.shape[0], -(-x.shape[-1] // hop), dtype=torch.bool, device=x.device)
