"""What training makes small."""

from torch import Tensor


def soft_cross_entropy(logits: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """Mean of -sum_c target_c log softmax(logits)_c, each utterance weighted.

    With one-hot targets this is the usual cross-entropy.

    Args:
        logits: (batch, n_outputs).
        target: (batch, n_outputs), each row a distribution.
        weight: (batch,), how much each utterance counts; None = all the same.

    Returns:
        A scalar, nats: the weighted mean over the batch.
    """
    losses = -(target * logits.log_softmax(-1)).sum(-1)
    if weight is None:
        return losses.mean()
    return (losses * weight).sum() / weight.sum()
