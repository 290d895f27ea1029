"""What a step of training makes small: a function of the network, a batch and the step.

An objective gives the weighted sum of the rows' losses divided by `total`. It calls the network
itself, so that it may look twice: at a batch, and at what an attacker would make of it.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from affekt.batches import Batch, Segments
from affekt.losses import ctc_loss, fast_gradient_sign, soft_cross_entropy


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
class Ratings:
    """Mean squared difference of sigmoid(logits) from numbers in 0 .. 1: (batch, n_outputs)."""

    def __call__(self, model: nn.Module, batch: Batch, total: float, step: int) -> Tensor:
        """Weighted sum / total."""
        answers = model(batch.x, batch.mask).float().sigmoid()
        apart = (answers - batch.target).square().mean(1)
        missed: Tensor = (apart * batch.weight).sum() / total
        return missed


@dataclass(frozen=True)
class Adversarial:
    """Half the loss on a batch, half on its twin that an attacker shifted (Ren et al. 2020).

    The attacker moves each input by `epsilon` along the sign of the gradient of the network's
    loss towards what it predicts itself. With `similarity` the two embeddings are drawn together
    as well: (1 - s) / 2 of the loss on each, s of the mean squared difference (spec 2.8). The
    network needs a part `classifier`, fed with the embedding. Normalisation in training sees batch
    and twin together.
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


@dataclass(frozen=True)
class Multitask:
    """What segments teach a `WhisperTuned`: labels, frame by frame too, domains, ratings.

    A segment's loss is the sum of its tasks', each segment counts by its weight in all of them.

    - labels: cross-entropy to its shares; of `frame_share` of it the logits are not those of the
      segment, but of its frames one by one, and the mean of their losses counts. A segment that
      nobody labelled adds nothing.
    - domains: cross-entropy, times `domain_weight`. The head learns to tell them apart and the
      encoder, behind reversed gradients, to hide them. `printed`: as the Whisper paper writes it,
      subtracted, so that the head, too, learns to be wrong; each segment's no further than
      guessing is, log(n_domains) nats, for it has no bound (spec 3.7).
    - ratings: mean squared difference, times `rating_weight`, over the dimensions rated.
    """

    frame_share: float = 0.0
    domain_weight: float = 0.01
    rating_weight: float = 1.0
    printed: bool = False
    smoothing: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.frame_share <= 1 or not 0 <= self.smoothing <= 1:
            raise ValueError(f"{self}: frame_share and smoothing are shares, 0 .. 1")
        if min(self.domain_weight, self.rating_weight) < 0:
            raise ValueError(f"{self}: weights are 0 or more")

    def __call__(self, model: nn.Module, batch: Batch, total: float, step: int) -> Tensor:
        """Weighted sum / total, nats."""
        segments = batch.segments
        if segments is None:
            raise ValueError("Multitask learns from segments: see affekt.sequence_batches")
        answers = model(batch.x, batch.mask, segments.inside, not self.printed)
        labelled = batch.target.sum(-1, keepdim=True)
        spread = self.smoothing / batch.target.shape[-1]
        target = batch.target * (1 - self.smoothing) + spread * labelled
        chances = (1 - self.frame_share) * answers.labels.float().log_softmax(-1)
        if self.frame_share:
            if answers.frames is None:
                raise ValueError("frame_share needs a network with per_frame=True")
            of_frames = answers.frames.float().log_softmax(-1)
            chances = chances + self.frame_share * _means(of_frames, segments)
        missed = -(target * chances).sum(-1)
        if answers.domains is not None:
            missed = missed + self._domains(answers.domains.float(), segments.domain)
        if answers.dimensions is not None and segments.ratings is not None:
            rated = segments.ratings.isfinite()
            apart = (answers.dimensions - segments.ratings.nan_to_num()).square() * rated
            missed = missed + self.rating_weight * apart.sum(-1) / rated.sum(-1).clamp(min=1)
        loss: Tensor = (missed * segments.weight).sum() / total
        return loss

    def _domains(self, logits: Tensor, domain: Tensor) -> Tensor:
        """Each segment's share of the loss, (batch, n_segments); 0 where it has no domain."""
        known = domain >= 0
        chance = logits.log_softmax(-1).gather(-1, domain.clamp(min=0)[..., None])[..., 0]
        missed = torch.where(known, -chance, torch.zeros_like(chance))
        if self.printed:
            return -self.domain_weight * missed.clamp(max=math.log(logits.shape[-1]))
        return self.domain_weight * missed


def _means(of_frames: Tensor, segments: Segments) -> Tensor:
    """Mean over each segment's frames, (batch, n_segments, n_outputs); of none it is 0."""
    member = segments.inside
    if segments.spoken is not None:
        member = member & segments.spoken[:, None]
    shares = member.float()
    return shares / shares.sum(-1, keepdim=True).clamp(min=1) @ of_frames


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
