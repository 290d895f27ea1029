"""What a step of training makes small: a function of the network, a batch and the step.

An objective gives the weighted sum of the rows' losses divided by `total`. It calls the network
itself, so that it may look twice: at a batch, and at what an attacker would make of it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from affekt.batches import Batch
from affekt.losses import ctc_loss, fast_gradient_sign, soft_cross_entropy


class Objective(Protocol):
    """What the loop calls; its `repr` and all it holds tell one objective from another."""

    def __call__(self, model: nn.Module, batch: Batch, total: float, step: int) -> Tensor:
        """Give a scalar; `total` is the weight of all rows that make up the step."""
        ...


@dataclass(frozen=True)
class SoftLabels:
    """Cross-entropy to a distribution over the labels: targets (batch, n_outputs).

    `smoothing`: so much of each target's mass is spread evenly over all labels.
    """

    smoothing: float = 0.0

    def __call__(self, model: nn.Module, batch: Batch, total: float, step: int) -> Tensor:
        """Weighted sum / total, nats."""
        logits = model(batch.x, batch.mask).float()
        target = batch.target * (1 - self.smoothing) + self.smoothing / logits.shape[1]
        return soft_cross_entropy(logits, target, batch.weight, total=total)


@dataclass(frozen=True)
class LabelSequences:
    """CTC: targets (batch, n_targets) label indices, -1 behind the last."""

    def __call__(self, model: nn.Module, batch: Batch, total: float, step: int) -> Tensor:
        """Weighted sum / total, nats."""
        logits = model(batch.x, batch.mask).float()
        return ctc_loss(logits, batch.target, batch.weight, mask=batch.mask, total=total)


@dataclass(frozen=True)
class Adversarial:
    """Half the loss on a batch, half on its twin that an attacker shifted (Ren et al. 2020).

    The attacker moves each input by `epsilon` along the sign of the gradient of the network's
    loss towards what it predicts itself. With `similarity` the two embeddings are drawn together
    as well: (1 - s) / 2 of the loss on each, s of the mean squared difference (spec 2.8).
    The network needs a part `classifier`, fed with the
    embedding. Normalisation in training sees batch and twin together.
    """

    epsilon: float = 0.02  # in units of the input
    alpha: float = 0.1  # largest change of one cell
    similarity: float = 0.0  # 0.2 in the authors' second variant
    first_step: int = 1000  # before it there are no twins

    def __call__(self, model: nn.Module, batch: Batch, total: float, step: int) -> Tensor:
        """Weighted sum / total, nats."""
        if step < self.first_step:
            return SoftLabels()(model, batch, total, step)
        change = fast_gradient_sign(model, batch.x, batch.mask, self.epsilon)
        twin = batch.x + change.clamp(-self.alpha, self.alpha)
        mask = None if batch.mask is None else batch.mask.repeat(2, 1)
        with _inputs_of(model, "classifier") as seen:
            logits = model(torch.cat([batch.x, twin]), mask).float()
        losses = [
            soft_cross_entropy(half, batch.target, batch.weight, total=total)
            for half in logits.chunk(2)
        ]
        missed = (1 - self.similarity) / 2 * (losses[0] + losses[1])
        if self.similarity:
            real, fake = seen[0].float().chunk(2)
            apart = (real - fake).square().mean(1)
            missed = missed + self.similarity * (apart * batch.weight).sum() / total
        return missed


@contextmanager
def _inputs_of(model: nn.Module, name: str) -> Iterator[list[Tensor]]:
    """Note what a part of a network is fed; it is called as usual, in several processes, too."""
    seen: list[Tensor] = []
    network: nn.Module = getattr(model, "module", model)
    part = network.get_submodule(name)
    handle = part.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    try:
        yield seen
    finally:
        handle.remove()
