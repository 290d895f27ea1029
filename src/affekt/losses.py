"""What training makes small."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from affekt.exceptions import AffektError


def soft_cross_entropy(
    logits: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    *,
    total: Tensor | float | None = None,
) -> Tensor:
    """Mean of -sum_c target_c log softmax(logits)_c, each utterance weighted.

    With one-hot targets this is the usual cross-entropy.

    Args:
        logits: (batch, n_outputs).
        target: (batch, n_outputs), each row a distribution.
        weight: (batch,), how much each utterance counts; None = all the same.
        total: what the weighted sum is divided by, where these rows are a part of a larger
            batch; None = the sum of their weights.

    Returns:
        A scalar, nats: the weighted mean over the batch.
    """
    losses = -(target * logits.log_softmax(-1)).sum(-1)
    if weight is None:
        weight = torch.ones_like(losses)
    return (losses * weight).sum() / (weight.sum() if total is None else total)


def reverse_gradient(x: Tensor, weight: float = 1.0) -> Tensor:
    """Give x as it is; on the way back its gradient is multiplied by -`weight`.

    What is behind it learns to tell domains apart, what is before it learns to hide them.

    Source: Ganin and Lempitsky 2015, arXiv:1409.7495; spec 3.7.

    >>> x = torch.tensor([1.0, 2.0], requires_grad=True)
    >>> reverse_gradient(x, 0.5).sum().backward()
    >>> x.grad.tolist()
    [-0.5, -0.5]
    """
    here = x.detach()
    return here - weight * (x - here)  # the bracket is zero, its gradient is not


def ctc_loss(
    logits: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    *,
    mask: Tensor | None = None,
    blank: int = -1,
    skip: int = 0,
    total: Tensor | float | None = None,
) -> Tensor:
    """Mean of -log p(target | utterance), each utterance weighted.

    p is the sum over all paths, one output a frame, that give the target once repeats and then
    blanks are taken away. It is not divided by the target's length.

    Args:
        logits: (batch, n_frames, n_outputs).
        target: (batch, n_targets) indices of labels, -1 behind the last; (batch, 1) where each
            utterance has one label.
        weight: (batch,), how much each utterance counts; None = all the same.
        mask: (batch, n_frames), True = valid, valid frames first; None = all valid.
        blank: column of the blank; the last by default.
        skip: so many frames at the beginning are not looked at: 2 in the paper's code.
        total: what the weighted sum is divided by, where these rows are a part of a larger
            batch; None = the sum of their weights.

    Returns:
        A scalar, nats: the weighted mean over the batch. Always finite for finite logits.

    Raises:
        AffektError: a target that no path through its utterance's frames can give.
        ValueError: a target outside the labels.

    Source: Graves et al. 2006; spec 4.3.
    """
    n_outputs = logits.shape[-1]
    blank %= n_outputs
    inside = target >= 0
    if ((target >= n_outputs) | (target == blank)).any():
        raise ValueError(f"targets lie in 0 .. {n_outputs - 1} and are not {blank}, the blank")
    if mask is None:
        mask = torch.ones(logits.shape[:2], dtype=torch.bool, device=logits.device)
    n_frames = mask.sum(1) - skip
    _check_room(target, n_frames)
    log_probs = logits[:, skip:].log_softmax(-1).transpose(0, 1)
    losses = F.ctc_loss(
        log_probs, target[inside], n_frames, inside.sum(1), blank=blank, reduction="none"
    )
    if weight is None:
        weight = torch.ones_like(losses)
    return (losses * weight).sum() / (weight.sum() if total is None else total)


def _check_room(target: Tensor, n_frames: Tensor) -> None:
    """Refuse targets that need more frames than there are: one a label, one between equal ones."""
    repeats = (target[:, 1:] == target[:, :-1]) & (target[:, 1:] >= 0)
    needed = ((target >= 0).sum(1) + repeats.sum(1)).clamp(min=1)
    short = needed > n_frames
    if short.any():
        row = int(short.int().argmax())
        raise AffektError(
            f"utterance {row} of the batch has {max(int(n_frames[row]), 0)} usable frame(s) and "
            f"its target needs {int(needed[row])}: leave it out, or take frames at a shorter step"
        )


def fast_gradient_sign(model: nn.Module, x: Tensor, mask: Tensor | None, epsilon: float) -> Tensor:
    """Give the change of an input that hurts a network most, each cell changed by `epsilon`.

    epsilon * sign(d loss / d x), the loss taken towards what the network itself predicts, in
    evaluation mode; no parameter's gradient is touched, and the mode is put back.

    Args:
        model: called as model(x, mask) -> logits (batch, n_outputs).
        x: the network's input, (batch, ...).
        mask: its mask, or None; what is no part of a clip gets no change.
        epsilon: in units of the input.

    Returns:
        Of x's shape, values in {-epsilon, 0, epsilon}.

    Source: Goodfellow et al. 2015, arXiv:1412.6572; Ren et al. 2020 (spec 2.8).
    """
    was_training = model.training
    model.eval()
    attacked = x.detach().clone().requires_grad_(True)
    logits = model(attacked, mask).float()
    loss = F.cross_entropy(logits, logits.argmax(-1), reduction="sum")
    (gradient,) = torch.autograd.grad(loss, attacked)
    model.train(was_training)
    return epsilon * gradient.sign()
