"""Small networks and rows to train on, and ways to stop a training or share it among processes."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

from affekt.batches import ArrayBatches
from affekt.models import LinearHead, LinearHeadConfig
from affekt.objectives import SoftLabels
from affekt.train import TrainOptions
from affekt.train import train as train_to

HERE = Path(__file__).parent
OPTIONS = TrainOptions(epochs=6, learning_rate=0.05, l2=0.01, save_every=4)
N = 4  # steps an epoch of `toy`
N_STEPS = 6 * N
CONSTANT = TrainOptions(epochs=5, learning_rate=0.05, schedule="constant", save_every=1)


def train(model, batches, options, objective=SoftLabels(), **rest):  # noqa: B008
    """Most of what the loop promises does not hang on the objective."""
    return train_to(model, batches, options, objective, **rest)


class Wobbly(nn.Module):
    """A network with dropout: what it does in a step depends on random numbers."""

    def __init__(self, n_hidden: int = 8) -> None:
        super().__init__()
        self.inner = nn.Linear(5, n_hidden)
        self.outer = nn.Linear(n_hidden, 3)

    def forward(self, x, mask):
        hidden = nn.functional.dropout(self.inner(x[:, 0]).relu(), 0.5, self.training)
        return self.outer(hidden)


def toy(n: int = 30, seed: int = 0) -> ArrayBatches:
    """Four batches of soft-labelled rows."""
    rng = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 1, 5, generator=rng)
    target = (x[:, 0, :3] + 0.3 * torch.randn(n, 3, generator=rng)).softmax(-1)
    return ArrayBatches(x, target, 0.5 + torch.rand(n, generator=rng), batch_size=8, seed=3)


def wobbly() -> Wobbly:
    torch.manual_seed(7)
    return Wobbly()


def head() -> LinearHead:
    return LinearHead(LinearHeadConfig(n_outputs=3, n_features=5))


def weighted_loss(model, batch):
    each = F.cross_entropy(model(batch.x, batch.mask), batch.target, reduction="none")
    return (each * batch.weight).sum() / batch.weight.sum()


def stop_at(last: int, kind: type[BaseException]):
    def on_step(step: int, n_steps: int, loss: float) -> None:
        if step == last:
            raise kind

    return on_step


def assert_same_weights(model: nn.Module, other: nn.Module) -> None:
    """Bit for bit."""
    for (name, a), b in zip(model.state_dict().items(), other.state_dict().values(), strict=True):
        assert torch.equal(a, b), name


def kill_at(last: int, program: str) -> None:
    """Kill a program that prints its steps after the `last`."""
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(HERE)},
    ) as process:
        for line in process.stdout:
            if int(line) == last:
                process.send_signal(signal.SIGKILL)
                break
    assert process.returncode == -signal.SIGKILL


# as `affekt run` does: threads that still talk at the exit would end the process with a signal
LEAVE = """
from accelerate import PartialState
PartialState().destroy_process_group()
"""


def run_two_processes(program: str, folder: Path) -> None:
    """Run a program in two processes that share the work; each is told `folder`/its rank."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    place = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    place |= {"ACCELERATE_USE_CPU": "true", "PYTHONPATH": str(HERE)}
    processes = []
    for rank in ("0", "1"):
        environment = os.environ | place | {"RANK": rank, "LOCAL_RANK": rank}
        command = [sys.executable, "-c", program + LEAVE, str(folder / rank)]
        processes.append(subprocess.Popen(command, env=environment))
    try:
        assert [process.wait(120) for process in processes] == [0, 0]
    finally:
        for process in processes:
            process.kill()
            process.wait()
