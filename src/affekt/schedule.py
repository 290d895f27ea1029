"""How long, how fast, in which steps: what is said of a training before it begins.

Each of it is a function of the options, and of the step where there is one.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from affekt.exceptions import TrainingError


@dataclass(frozen=True)
class TrainOptions:
    """How to train; `l2` is the penalty l2 / 2 * |linear weights|^2 in the loss itself."""

    epochs: int = 40
    learning_rate: float = 1e-3
    optimizer: str = "adamw"  # one of OPTIMIZERS
    schedule: str = "cosine"  # one of SCHEDULES
    weight_decay: float = 0.0  # decoupled in adamw, part of the gradient in adam and sgd
    momentum: float = 0.9  # of sgd
    l2: float = 0.0
    warmup: float = 0.05  # share of all steps; of the cosine
    fall_every: int = 20  # epochs between two falls of the rate to a tenth; of the stairs
    clip: float | None = None  # largest norm of the gradient; None = as it is
    accumulate: int = 1  # batches whose gradients make one step
    seed: int = 0
    precision: str = "float32"  # of the model's arithmetic; weights are float32 always
    save_every: int = 200  # steps between two states on disk
    patience: int | None = None  # epochs without a better judgement after which to stop
    growing: bool = False  # 1, 2, 4, 8 times `accumulate` in the four quarters of all steps
    rates: tuple[tuple[str, float], ...] = ()  # beginning of parameters' names, factor on the rate
    decay_matrices_only: bool = False  # no weight decay of biases and norms


NEWER = ("growing", "rates", "decay_matrices_only")  # states older than these options still fit


Groups = list[dict[str, Any]]  # of parameters, as torch takes them, each with its `factor`


def _adamw(groups: Groups, options: TrainOptions) -> torch.optim.Optimizer:
    return torch.optim.AdamW(groups, lr=1.0)


def _adam(groups: Groups, options: TrainOptions) -> torch.optim.Optimizer:
    return torch.optim.Adam(groups, lr=1.0)


def _sgd(groups: Groups, options: TrainOptions) -> torch.optim.Optimizer:
    return torch.optim.SGD(groups, lr=1.0, momentum=options.momentum)


def _cosine(step: int, n_steps: int, options: TrainOptions) -> float:
    """Rise linearly during the warm-up, then fall along half a cosine to zero."""
    warmup = max(1, round(options.warmup * n_steps))
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, n_steps - warmup)))


def _constant(step: int, n_steps: int, options: TrainOptions) -> float:
    return 1.0


def _stairs(step: int, n_steps: int, options: TrainOptions) -> float:
    """Fall to a tenth every `fall_every` epochs."""
    return float(0.1 ** (step * options.epochs // n_steps // options.fall_every))


OPTIMIZERS = {"adamw": _adamw, "adam": _adam, "sgd": _sgd}
SCHEDULES = {"cosine": _cosine, "constant": _constant, "stairs": _stairs}


def optimizer_of(model: nn.Module, options: TrainOptions) -> torch.optim.Optimizer:
    """Give the optimizer over what is trained; its rates are factors until a step sets them."""
    return OPTIMIZERS[options.optimizer](parameter_groups(model, options), options)


def learning_rate(step: int, n_steps: int, options: TrainOptions) -> float:
    """Give the rate of a step, counted from 0.

    >>> [round(learning_rate(s, 100, TrainOptions(learning_rate=1.0)), 2) for s in (0, 4, 99)]
    [0.2, 1.0, 0.0]
    >>> stairs = TrainOptions(epochs=60, learning_rate=0.01, schedule="stairs")
    >>> [round(learning_rate(s, 600, stairs), 6) for s in (199, 200, 400)]
    [0.01, 0.001, 0.0001]
    """
    return options.learning_rate * SCHEDULES[options.schedule](step, n_steps, options)


def step_sizes(n_batches: int, options: TrainOptions) -> list[list[int]]:
    """Give how many batches each step of each epoch takes; no step reaches into the next epoch.

    `growing`: 1, 2, 4, 8 times as many in the four quarters of all steps (spec 3.7). How many
    steps there are depends on when they grow: the most for which both agree.

    >>> step_sizes(5, TrainOptions(epochs=2, accumulate=2))
    [[2, 2, 1], [2, 2, 1]]
    >>> step_sizes(30, TrainOptions(epochs=1, growing=True))
    [[1, 1, 1, 2, 2, 2, 4, 4, 4, 8, 1]]
    """
    n_steps = max(1, options.epochs * n_batches)
    while True:
        found = _laid_out(n_batches, options, n_steps)
        total = sum(map(len, found))
        if not options.growing or total in (0, n_steps):
            return found
        n_steps = total  # fewer steps grow sooner, which never makes more of them: it ends


def _laid_out(n_batches: int, options: TrainOptions, n_steps: int) -> list[list[int]]:
    """Lay out an epoch's batches in steps as if there were so many steps in all."""
    found: list[list[int]] = []
    step = 0
    for _ in range(options.epochs):
        left = n_batches
        found.append([])
        while left:
            quarter = min(3, 4 * step // n_steps) if options.growing else 0
            found[-1].append(min(left, options.accumulate * 2**quarter))
            left -= found[-1][-1]
            step += 1
    return found


def parameter_groups(model: nn.Module, options: TrainOptions) -> Groups:
    """Put parameters that require gradients together by their rate and decay, in their order.

    Raises:
        TrainingError: a beginning in `rates` is that of no such parameter.
    """
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    for start, _ in options.rates:
        if not any(name.startswith(start) for name in trained):
            raise TrainingError(f"no trained parameter's name begins with {start!r}: see `rates`")
    groups: dict[tuple[float, float], list[Tensor]] = {}
    for name, p in trained.items():
        factor = next((f for start, f in options.rates if name.startswith(start)), 1.0)
        decays = p.ndim > 1 or not options.decay_matrices_only
        groups.setdefault((factor, options.weight_decay if decays else 0.0), []).append(p)
    return [
        {"params": members, "factor": factor, "weight_decay": decay}
        for (factor, decay), members in groups.items()
    ]


def settings_of(options: TrainOptions) -> dict[str, Any]:
    """Give options by name; those of `NEWER` only where they change something."""
    plain = TrainOptions()
    return {
        name: value
        for name, value in asdict(options).items()
        if name not in NEWER or value != getattr(plain, name)
    }
