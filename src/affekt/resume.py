"""A training's whole state as one safetensors file, replaced whole."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from affekt.atomic import replacing
from affekt.exceptions import CheckpointError

REMEDY = "delete it to start anew, or give another output folder"


@dataclass
class State:
    """What a training carries from step to step beside weights and the optimizer's moments.

    `seconds`: how long the steps took, in all runs; `scores`: what the judge said of each epoch;
    `best`: the weights of the best of them.
    """

    step: int = 0
    seconds: float = 0.0
    scores: tuple[float, ...] = ()
    best: Mapping[str, Tensor] | None = None


def save_state(
    path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, state: State, identity: str
) -> None:
    """Write it; where that fails (a full disk, say) the file that was there stays as it was.

    Raises:
        CheckpointError: it cannot be written.
    """
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    tensors |= {f"best.{name}": value for name, value in (state.best or {}).items()}
    for number, slots in optimizer.state_dict()["state"].items():
        for slot, value in slots.items():
            if isinstance(value, Tensor):
                tensors[f"optimizer.{number}.{slot}"] = value
    scores = ",".join(score.hex() for score in state.scores)
    metadata = {"step": str(state.step), "scores": scores, "identity": identity}
    metadata["seconds"] = str(state.seconds)
    try:
        with replacing(path) as temporary:
            save_file({k: v.contiguous() for k, v in tensors.items()}, temporary, metadata)
    except (OSError, SafetensorError) as problem:
        kept = "; the state before it is kept" if path.exists() else ""
        raise CheckpointError(
            f"{path}: the state of step {state.step} cannot be written ({problem}){kept}: make"
            " room, or give another --out; give the command again and it goes on"
        ) from None


def restore_state(
    path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, identity: str
) -> State:
    """Load what `save_state` wrote into a model and its optimizer.

    Raises:
        CheckpointError: the file is damaged or belongs to another training.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            names = file.keys()
            tensors: dict[str, Tensor] = {name: file.get_tensor(name) for name in names}
    except (SafetensorError, OSError) as problem:
        raise CheckpointError(
            f"{path}: not a readable training state ({problem}); {REMEDY}"
        ) from None
    if metadata.get("identity") != identity:
        raise CheckpointError(f"{path}: was made by another model, data or options; {REMEDY}")
    model.load_state_dict(_under(tensors, "model."))
    slots: dict[int, dict[str, Tensor]] = {}
    for key, value in _under(tensors, "optimizer.").items():
        number, slot = key.split(".")
        slots.setdefault(int(number), {})[slot] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": slots})
    scores = tuple(map(float.fromhex, filter(None, metadata["scores"].split(","))))
    seconds = float(metadata["seconds"])
    return State(int(metadata["step"]), seconds, scores, _under(tensors, "best.") or None)


def _under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
