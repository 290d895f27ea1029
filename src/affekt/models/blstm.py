"""Stacked bidirectional LSTM layers over frames: one answer, or one a frame for CTC.

Chernykh and Prikhodko 2017, arXiv:1701.08071, figures 8 and 9 (spec 4.3). Each clip is read at
its true length. What the authors' code did otherwise is a setting: `n_frames` pads and cuts, and
the padding is heard; `unreversed` leaves the backward layers' outputs in the order of reading.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from affekt.exceptions import AffektError

N_FRAMES = 78  # of 100 ms: about the 90th percentile of the paper's utterances
MAX_LAYERS = 16  # eight times the paper's: a card that asks for more is damaged


@dataclass(frozen=True)
class BlstmConfig:
    """`hidden` units a direction and layer; `n_outputs` counts CTC's blank, the last, too.

    `per_frame`: logits for every frame. `n_frames`: pad and cut to so many; None = true lengths.
    """

    n_outputs: int
    n_features: int = 34
    hidden: int = 64
    n_layers: int = 2
    dense: int = 512
    per_frame: bool = False
    unreversed: bool = False
    n_frames: int | None = None

    def __post_init__(self) -> None:
        if min(self.n_outputs, self.n_features, self.hidden, self.dense) < 1:
            raise ValueError("n_outputs, n_features, hidden and dense are 1 or more")
        if not 1 <= self.n_layers <= MAX_LAYERS:
            raise ValueError(f"{self.n_layers} layers: there can be 1 to {MAX_LAYERS}")
        if self.n_frames is not None and self.n_frames < 1:
            raise ValueError(f"n_frames {self.n_frames}: give 1 or more, or None")


class Blstm(nn.Module):
    """(batch, time, n_features), mask (batch, time) -> (batch, n_outputs).

    With `per_frame` -> (batch, time, n_outputs). Valid frames come first; logits behind a clip's
    end mean nothing. With `n_frames` time is that many, and the mask only says what is padding:
    `to_length` gives the mask that fits the logits.
    """

    def __init__(self, config: BlstmConfig) -> None:
        super().__init__()
        self.config = config
        widths = [config.n_features] + [2 * config.hidden] * (config.n_layers - 1)
        self.layers = nn.ModuleList(_lstm(width, config.hidden) for width in widths)
        self.dense = nn.Linear(2 * config.hidden, config.dense)
        self.output = nn.Linear(config.dense, config.n_outputs)
        self.register_buffer("mean", torch.zeros(config.n_features))
        self.register_buffer("scale", torch.ones(config.n_features))
        for linear in (self.dense, self.output):
            nn.init.xavier_uniform_(linear.weight)
            nn.init.zeros_(linear.bias)

    def standardise(self, frames: Tensor) -> None:
        """Set mean and scale from all frames of the training part, (n, n_features)."""
        self.mean = frames.mean(0)
        self.scale = frames.std(0, unbiased=False).clamp(min=1e-6)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        x = (x - self.mean) / self.scale
        if self.config.n_frames is not None:
            x, mask = to_length(x, mask, self.config.n_frames)[0], None
        lengths = _lengths(x, mask)
        last = x
        for layer in self.layers:
            assert isinstance(layer, nn.LSTM)
            x, last = _read(layer, x, lengths)
            if self.config.unreversed:
                forward, backward = x.chunk(2, dim=-1)
                x = torch.cat([forward, _mirrored(backward, lengths)], dim=-1)
        hidden = self.dense(x if self.config.per_frame else last)
        logits: Tensor = self.output(torch.tanh(hidden))
        return logits


def to_length(
    x: Tensor, mask: Tensor | None = None, n_frames: int = N_FRAMES
) -> tuple[Tensor, Tensor]:
    """Cut what is longer, and put zeros behind what is shorter.

    Args:
        x: (batch, time, n_features).
        mask: (batch, time), True = valid; None = all valid. What is not becomes zero.
        n_frames: how many frames all shall have.

    Returns:
        (batch, n_frames, n_features), and the mask of what is still valid, (batch, n_frames).
    """
    if mask is None:
        mask = torch.ones(x.shape[:2], dtype=torch.bool, device=x.device)
    behind = n_frames - x.shape[1]  # below zero it cuts
    x = x.masked_fill(~mask[..., None], 0.0)
    return F.pad(x, (0, 0, 0, behind)), F.pad(mask, (0, behind), value=False)


def _lstm(n_inputs: int, hidden: int) -> nn.LSTM:
    """One bidirectional layer that begins as those of Keras do.

    torch adds two biases where one says it all: the second is zero and stays so. The forget gate
    begins open, so that a clip's beginning is not forgotten before anything is learned.
    """
    lstm = nn.LSTM(n_inputs, hidden, batch_first=True, bidirectional=True)
    for name, parameter in lstm.named_parameters():
        if name.startswith("bias"):
            nn.init.zeros_(parameter)
            parameter.requires_grad_(name.startswith("bias_ih"))
            if name.startswith("bias_ih"):
                nn.init.ones_(parameter.detach()[hidden : 2 * hidden])  # gates: in, forget, ...
            continue
        start = nn.init.xavier_uniform_ if "_ih_" in name else nn.init.orthogonal_
        for gate in parameter.detach().chunk(4):
            start(gate)
    return lstm


def _read(lstm: nn.LSTM, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """States of both directions, (batch, time, 2 * hidden), and their last, (batch, 2 * hidden).

    What a packed sequence gives, faster on a CPU (benchmarks/lstm.py): each direction reads on into
    the padding, the backward one from each clip's own end, and nobody looks at what it says there.
    """
    weights: list[Tensor] = [parameter for _, parameter in lstm.named_parameters()]
    half = len(weights) // 2
    start = x.new_zeros(1, len(x), lstm.hidden_size)
    rows = torch.arange(len(x), device=x.device)
    ends = lengths.to(x.device) - 1
    both, lasts = [], []
    for mirrored, direction in ((False, weights[:half]), (True, weights[half:])):
        heard = _mirrored(x, lengths) if mirrored else x
        states, _, _ = torch.lstm(
            heard, (start, start), direction, True, 1, 0.0, lstm.training, False, True
        )
        lasts.append(states[rows, ends])
        both.append(_mirrored(states, lengths) if mirrored else states)
    return torch.cat(both, dim=-1), torch.cat(lasts, dim=-1)


def _lengths(x: Tensor, mask: Tensor | None) -> Tensor:
    """Valid frames of each clip."""
    if mask is None:
        lengths = torch.full((len(x),), x.shape[1])
    else:
        if (mask[:, 1:] & ~mask[:, :-1]).any():
            raise ValueError("a clip's valid frames must come first, without a gap")
        lengths = mask.sum(1)
    if (lengths == 0).any():
        row = int((lengths == 0).int().argmax())
        raise AffektError(
            f"utterance {row} of the batch has no frame: leave it out, "
            "or lower the energy below which frames are dropped"
        )
    return lengths


def _mirrored(x: Tensor, lengths: Tensor) -> Tensor:
    """Each clip back to front within its own length; what is behind its end stays."""
    ends = lengths.to(x.device)[:, None]
    time = torch.arange(x.shape[1], device=x.device)
    source = torch.where(time < ends, ends - 1 - time, time)
    return x.gather(1, source[..., None].expand_as(x))
