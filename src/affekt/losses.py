"""What training makes small."""

import torch
from torch import Tensor


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
