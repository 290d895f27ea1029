"""The training loop, in the open.

Everything random or scheduled is a function of (seed, epoch, step), and the whole state is one
file that is replaced whole. So a run that was interrupted, even by kill -9, and started again
ends with the same weights as one that was not.
"""

import hashlib
import json
import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Protocol

import torch
from accelerate import Accelerator, PartialState
from accelerate.utils import broadcast
from torch import Tensor, nn

from affekt.batches import Batch
from affekt.exceptions import CheckpointError, TrainingError
from affekt.resume import REMEDY, State, restore_state, save_state
from affekt.schedule import TrainOptions as TrainOptions
from affekt.schedule import learning_rate as learning_rate
from affekt.schedule import optimizer_of, settings_of, step_sizes

LONGEST_WAIT = timedelta(days=7)  # of a process for another, which computes features or judges
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


class Batches(Protocol):
    """What the loop asks of its data: a length, and the same batches for the same epoch."""

    def __len__(self) -> int: ...

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """Give one epoch's batches."""
        ...


Objective = Callable[[nn.Module, Batch, float, int], Tensor]
"""objective(model, batch, total, step): the weighted sum over the batch's rows / `total`."""
Judge = Callable[[nn.Module], float]
"""judge(model in evaluation mode): how well it does on what is held out; more is better."""


@dataclass(frozen=True)
class Trained:
    """What the loop did.

    `losses`: mean loss of each epoch that it ran; `resumed_from`: steps done before; `scores`:
    what the judge said of each epoch, of all runs; `best_epoch`: whose weights the model has now,
    counted from 0, None without a judge; `seconds`: how long all runs took.
    """

    losses: tuple[float, ...]
    resumed_from: int
    scores: tuple[float, ...] = ()
    seconds: float = field(default=0.0, compare=False)

    @property
    def best_epoch(self) -> int | None:
        """The first of the best epochs."""
        return self.scores.index(max(self.scores)) if self.scores else None


def train(
    model: nn.Module,
    batches: Batches,
    options: TrainOptions,
    objective: Objective,
    *,
    judge: Judge | None = None,
    after_epoch: Callable[[nn.Module], None] | None = None,
    state: Path | None = None,
    on_step: Callable[[int, int, float], None] | None = None,
    names: Sequence[str] | None = None,
) -> Trained:
    """Train the parameters that require gradients, in place.

    Args:
        model: called by the objective as model(x, mask) -> logits.
        batches: the training part.
        options: how long, how fast, which seed.
        objective: what is made small, of `affekt.objectives`.
        judge: looks at a held-out part of the training data after each epoch; the model ends with
            the weights of the first epoch that it liked best. Without it: with the last ones.
        after_epoch: changes the model behind each epoch, before it is judged.
        state: file for the resumable state; if it exists, training goes on from there.
        on_step: told (steps done, all steps, loss) after each step: a progress bar, a log.
        names: the utterance of each row of the training part, which errors then name.

    Raises:
        CheckpointError: `state` is damaged, belongs to another model, data or options, or cannot
            be written.
        TrainingError: the loss of a batch or a weight is not finite, or processes outnumber
            devices.
    """
    together()
    accelerator = Accelerator()
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = optimizer_of(model, options)
    sizes = step_sizes(len(batches), options)
    n_steps = sum(map(len, sizes))
    identity = "" if state is None else _identity(model, batches, options, objective)
    now = State()
    if state is not None and state.exists():
        now = restore_state(state, model, optimizer, identity)
        _check_judge(state, now, judge, len(sizes[0]))
    home = parameters[0].device
    network, optimizer = accelerator.prepare(model.to(accelerator.device), optimizer)
    done, losses, step = now.step, [], 0
    began = time.monotonic() - now.seconds
    for epoch in range(options.epochs):
        per_epoch = len(sizes[epoch])
        if step + per_epoch <= done:
            step += per_epoch
            continue
        if _is_enough(now.scores, options.patience):
            break
        ran = []
        for number, group in enumerate(_groups(batches.epoch(epoch), sizes[epoch])):
            step += 1
            if step <= done:
                continue
            network.train()
            where = (step - 1, n_steps)
            ran.append(_step(network, group, objective, optimizer, accelerator, options, where))
            _check_loss(ran[-1], epoch, number, group, names, state)
            now = replace(now, step=step, seconds=time.monotonic() - began)
            if number == per_epoch - 1:
                now = _end_of_epoch(model, now, judge, after_epoch, accelerator)
            if on_step is not None:
                on_step(step, n_steps, ran[-1])
            last = step == n_steps or (
                number == per_epoch - 1 and _is_enough(now.scores, options.patience)
            )
            if step % options.save_every and not last:
                continue
            _check_weights(parameters, step, state)
            if state is not None:
                accelerator.wait_for_everyone()
                if accelerator.is_main_process:
                    save_state(state, model, optimizer, now, identity)
        losses.append(sum(ran) / len(ran))
    if now.best is not None:
        model.load_state_dict(now.best)
    model.to(home)
    return Trained(tuple(losses), done, now.scores, now.seconds)


def together() -> PartialState:
    """Join the processes that were started together: on GPUs, or on cores where there are none.

    `with together().main_process_first():` lets the others wait for what the first one computes;
    in a process alone it does nothing.

    Raises:
        TrainingError: as `check_processes`.
    """
    check_processes(int(os.environ.get("LOCAL_WORLD_SIZE", "1")))
    several = int(os.environ.get("WORLD_SIZE", "1")) > 1
    return PartialState(cpu=several and not torch.cuda.is_available(), timeout=LONGEST_WAIT)


def check_processes(n_processes: int) -> None:
    """Refuse more processes on this machine than there are devices, or cores without any.

    Raises:
        TrainingError: naming both numbers.
    """
    on_gpu = torch.cuda.is_available()
    n_devices = torch.cuda.device_count() if on_gpu else os.cpu_count() or 1
    if n_processes > n_devices:
        what = "devices" if on_gpu else "cores"
        raise TrainingError(
            f"{n_processes} processes for {n_devices} {what}: start {n_devices} or fewer"
            f" (torchrun --standalone --nproc-per-node {n_devices} -m affekt run ...)"
        )


def _groups(batches: Iterator[Batch], sizes: Sequence[int]) -> Iterator[tuple[Batch, ...]]:
    """Give each step's batches."""
    return (tuple(islice(batches, size)) for size in sizes)


def _is_enough(scores: Sequence[float], patience: int | None) -> bool:
    """Whether the best judgement is more than so many epochs old."""
    return bool(
        scores and patience is not None and len(scores) - 1 - scores.index(max(scores)) >= patience
    )


def _end_of_epoch(
    model: nn.Module,
    now: State,
    judge: Judge | None,
    after_epoch: Callable[[nn.Module], None] | None,
    accelerator: Accelerator,
) -> State:
    """Change the model, judge it, and keep its weights if none were better.

    Several processes go by the first one's running statistics and its judgement: else they would
    not stop together.
    """
    several = accelerator.num_processes > 1
    if several:
        broadcast(list(model.buffers()))
    if after_epoch is not None:
        after_epoch(model)
    if judge is None:
        return now
    model.eval()
    with torch.inference_mode():
        score = judge(model)
    if several:
        shared = torch.tensor(score, dtype=torch.float64, device=accelerator.device)
        score = float(broadcast(shared))
    best = now.best
    if not now.scores or score > max(now.scores):
        best = {name: value.detach().clone() for name, value in model.state_dict().items()}
    return replace(now, scores=(*now.scores, score), best=best)


def _step(
    model: nn.Module,
    group: Sequence[Batch],
    objective: Objective,
    optimizer: torch.optim.Optimizer,
    accelerator: Accelerator,
    options: TrainOptions,
    where: tuple[int, int],
) -> float:
    """One step; in several processes each takes its own rows of the same batches.

    There gradients are averaged, so each process weighs its rows as a share of all of them.
    """
    step, n_steps = where
    torch.manual_seed(options.seed * 1_000_003 + step)  # dropout and the like: a pure function
    for settings in optimizer.param_groups:
        settings["lr"] = settings["factor"] * learning_rate(step, n_steps, options)
    device, dtype = accelerator.device, PRECISIONS[options.precision]
    total = sum(float(batch.weight.sum()) for batch in group) / accelerator.num_processes
    missed = 0.0
    for number, batch in enumerate(group):
        part = batch.part(accelerator.process_index, accelerator.num_processes).to(device)
        with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
            loss = objective(model, part, total, step)
        if options.l2 and number == 0:
            matrices = (p for p in model.parameters() if p.requires_grad and p.ndim > 1)
            loss = loss + options.l2 / 2 * torch.stack([p.square().sum() for p in matrices]).sum()
        accelerator.backward(loss)
        missed += float(loss.detach())
    if options.clip is not None:
        accelerator.clip_grad_norm_(model.parameters(), options.clip)
    if math.isfinite(missed):
        optimizer.step()
    optimizer.zero_grad()
    return missed


def _check_loss(
    loss: float,
    epoch: int,
    number: int,
    group: Sequence[Batch],
    names: Sequence[str] | None,
    state: Path | None,
) -> None:
    """Stop where a loss is not finite, before anything is saved."""
    if math.isfinite(loss):
        return
    rows = [int(row) for batch in group if batch.rows is not None for row in batch.rows.flatten()]
    rows = [row for row in rows if row >= 0]
    which, more = "", " ..." if rows[8:] else ""
    if rows and names is not None:
        which = f", utterances {', '.join(names[row] for row in rows[:8])}{more}"
    elif rows:
        which = f", utterances {rows[:8]}{more} of the training part"
    raise TrainingError(
        f"epoch {epoch}, batch {number}{which}: the loss is {loss}{_saved(state)}: look at these"
        " utterances, or lower the learning rate"
    )


def _saved(state: Path | None) -> str:
    """Say that there is a state to go on from, where there is one."""
    there = state is not None and state.exists()
    return "; the last state saved is whole" if there else ""


def _check_weights(parameters: Sequence[Tensor], step: int, state: Path | None) -> None:
    """Stop before weights are saved that a finite loss with an infinite gradient has spoilt."""
    if not all(bool(torch.isfinite(values).all()) for values in parameters):
        raise TrainingError(
            f"step {step}: weights are not finite, though the loss was{_saved(state)}: lower the"
            " learning rate, or clip the gradient"
        )


def _check_judge(state: Path, now: State, judge: Judge | None, per_epoch: int) -> None:
    """Refuse to go on with weights that a judge chose where none does, and the reverse."""
    if now.step >= per_epoch and bool(now.scores) != (judge is not None):
        made = "with" if now.scores else "without"
        raise CheckpointError(f"{state}: was made {made} choosing among epochs; {REMEDY}")


def _identity(
    model: nn.Module, batches: Batches, options: TrainOptions, objective: Objective
) -> str:
    """Hash what must agree before a state may go on: shapes, options, and the first batch."""
    trained = [name for name, p in model.named_parameters() if p.requires_grad]
    settings = [settings_of(options), trained, repr(objective)]
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for name, value in model.state_dict().items():
        digest.update(f"{name}{tuple(value.shape)}{value.dtype}".encode())
    first = next(iter(batches.epoch(0)))
    parts = [first.x, first.target, first.weight]
    if first.segments is not None:
        parts += first.segments.tensors()
    for part in parts:
        digest.update(part.contiguous().numpy().tobytes())
    digest.update(str(len(batches)).encode())
    return digest.hexdigest()
