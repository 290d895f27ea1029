"""The training loop, in the open.

Everything random or scheduled is a function of (seed, epoch, step), and the whole state is one
file that is replaced whole. So a run that was interrupted, even by kill -9, and started again
ends with the same weights as one that was not.
"""

import hashlib
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

import torch
from accelerate import Accelerator
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from affekt.atomic import replacing
from affekt.batches import Batch
from affekt.exceptions import CheckpointError
from affekt.losses import ctc_loss, soft_cross_entropy

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


class Batches(Protocol):
    """What the loop asks of its data: a length, and the same batches for the same epoch."""

    def __len__(self) -> int: ...

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """Give one epoch's batches."""
        ...


@dataclass(frozen=True)
class TrainOptions:
    """How to train; `l2` is the penalty l2 / 2 * |linear weights|^2 in the loss itself."""

    epochs: int = 40
    learning_rate: float = 1e-3
    weight_decay: float = 0.0  # AdamW's, decoupled
    l2: float = 0.0
    warmup: float = 0.05  # share of all steps
    clip: float | None = None  # largest norm of the gradient; None = as it is
    seed: int = 0
    precision: str = "float32"  # of the model's arithmetic; weights are float32 always
    save_every: int = 200  # steps between two states on disk


@dataclass(frozen=True)
class Trained:
    """What the loop did: the mean loss of each epoch it ran, and the step it resumed from."""

    losses: tuple[float, ...]
    resumed_from: int


def learning_rate(step: int, n_steps: int, options: TrainOptions) -> float:
    """Linear warm-up, then half a cosine down to zero.

    >>> [round(learning_rate(s, 100, TrainOptions(learning_rate=1.0)), 2) for s in (0, 4, 99)]
    [0.2, 1.0, 0.0]
    """
    warmup = max(1, round(options.warmup * n_steps))
    if step < warmup:
        return options.learning_rate * (step + 1) / warmup
    done = (step - warmup) / max(1, n_steps - warmup)
    return options.learning_rate * 0.5 * (1 + math.cos(math.pi * done))


Loss = Callable[[Tensor, Batch, float], Tensor]
"""loss(logits, batch, total): the weighted sum over the batch's rows divided by `total`."""


def soft_labels(logits: Tensor, batch: Batch, total: float) -> Tensor:
    """Cross-entropy to a distribution over the labels: targets (batch, n_outputs)."""
    return soft_cross_entropy(logits, batch.target, batch.weight, total=total)


def label_sequences(logits: Tensor, batch: Batch, total: float) -> Tensor:
    """CTC: targets (batch, n_targets) label indices, -1 behind the last."""
    return ctc_loss(logits, batch.target, batch.weight, mask=batch.mask, total=total)


def train(
    model: nn.Module,
    batches: Batches,
    options: TrainOptions,
    *,
    loss: Loss = soft_labels,
    state: Path | None = None,
    on_step: Callable[[int, int, float], None] | None = None,
) -> Trained:
    """Train the parameters that require gradients, in place.

    Args:
        model: called as model(x, mask) -> logits (batch, n_outputs).
        batches: the training part; nothing here ever sees another part.
        options: how long, how fast, which seed.
        loss: what is made small, a function with a name; `soft_labels` or `label_sequences`.
        state: file for the resumable state; if it exists, training goes on from there.
        on_step: told (steps done, all steps, loss) after each step: a progress bar, a log.

    Raises:
        CheckpointError: `state` is damaged or belongs to another model, data or options.
    """
    accelerator = Accelerator()
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=1.0, weight_decay=options.weight_decay)
    n_steps = options.epochs * len(batches)
    identity = "" if state is None else _identity(model, batches, options, loss)
    done = 0
    if state is not None and state.exists():
        done = _restore(state, model, optimizer, identity)
    home = parameters[0].device
    network, optimizer = accelerator.prepare(model.to(accelerator.device), optimizer)
    network.train()
    resumed_from, losses, step = done, [], 0
    for epoch in range(options.epochs):
        if step + len(batches) <= done:
            step += len(batches)
            continue
        ran = []
        for batch in batches.epoch(epoch):
            step += 1
            if step <= done:
                continue
            where = (step - 1, n_steps)
            ran.append(_step(network, batch, loss, optimizer, accelerator, options, where))
            if on_step is not None:
                on_step(step, n_steps, ran[-1])
            if state is not None and (step % options.save_every == 0 or step == n_steps):
                accelerator.wait_for_everyone()
                if accelerator.is_main_process:
                    _save(state, model, optimizer, step, identity)
        losses.append(sum(ran) / len(ran))
    model.to(home)
    return Trained(tuple(losses), resumed_from)


def _step(
    model: nn.Module,
    batch: Batch,
    loss: Loss,
    optimizer: torch.optim.Optimizer,
    accelerator: Accelerator,
    options: TrainOptions,
    where: tuple[int, int],
) -> float:
    """One step; in several processes each takes its own rows of the same batch.

    There gradients are averaged, so each process weighs its rows as a share of the whole batch.
    """
    step, n_steps = where
    torch.manual_seed(options.seed * 1_000_003 + step)  # dropout and the like: a pure function
    for group in optimizer.param_groups:
        group["lr"] = learning_rate(step, n_steps, options)
    mine = slice(accelerator.process_index, None, accelerator.num_processes)
    device = accelerator.device
    mask = None if batch.mask is None else batch.mask[mine].to(device)
    target, weight = batch.target[mine].to(device), batch.weight[mine].to(device)
    part = Batch(batch.x[mine].to(device), mask, target, weight)
    dtype = PRECISIONS[options.precision]
    with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
        logits = model(part.x, mask)
    missed = loss(logits.float(), part, float(batch.weight.sum()) / accelerator.num_processes)
    if options.l2:
        matrices = (p for p in model.parameters() if p.requires_grad and p.ndim > 1)
        missed = missed + options.l2 / 2 * torch.stack([p.square().sum() for p in matrices]).sum()
    accelerator.backward(missed)
    if options.clip is not None:
        accelerator.clip_grad_norm_(model.parameters(), options.clip)
    optimizer.step()
    optimizer.zero_grad()
    return float(missed.detach())


def _identity(model: nn.Module, batches: Batches, options: TrainOptions, loss: Loss) -> str:
    """Hash what must agree before a state may go on: shapes, options, and the first batch."""
    trained = [name for name, p in model.named_parameters() if p.requires_grad]
    settings = [asdict(options), trained, loss.__name__]
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for name, value in model.state_dict().items():
        digest.update(f"{name}{tuple(value.shape)}{value.dtype}".encode())
    first = next(iter(batches.epoch(0)))
    for part in (first.x, first.target, first.weight):
        digest.update(part.contiguous().numpy().tobytes())
    digest.update(str(len(batches)).encode())
    return digest.hexdigest()


def _save(
    path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, step: int, identity: str
) -> None:
    """Write weights, optimizer moments and the step as one safetensors file, replaced whole."""
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    for number, slots in optimizer.state_dict()["state"].items():
        for slot, value in slots.items():
            tensors[f"optimizer.{number}.{slot}"] = value
    metadata = {"step": str(step), "identity": identity}
    with replacing(path) as temporary:
        save_file({k: v.contiguous() for k, v in tensors.items()}, temporary, metadata)


def _restore(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, identity: str) -> int:
    """Load what `_save` wrote and give the number of steps already done."""
    remedy = "delete it to start anew, or give another output folder"
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors: dict[str, Tensor] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as problem:
        raise CheckpointError(
            f"{path}: not a readable training state ({problem}); {remedy}"
        ) from None
    if metadata.get("identity") != identity:
        raise CheckpointError(f"{path}: was made by another model, data or options; {remedy}")
    weights = {k.removeprefix("model."): v for k, v in tensors.items() if k.startswith("model.")}
    model.load_state_dict(weights)
    slots: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith("optimizer."):
            _, number, slot = key.split(".")
            slots.setdefault(int(number), {})[slot] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": slots})
    return int(metadata["step"])
