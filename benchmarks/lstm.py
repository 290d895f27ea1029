"""A training step of the CTC network, its clips padded as ours are, or packed as torch offers.

    python benchmarks/lstm.py                   # a minute

64 clips of 2 to 20 s at 10 frames a second, 34 features, loss and gradient; one thread. The peer
is the same layers with `pack_padded_sequence`, the usual way to read clips at their true lengths.
Each time is the median of runs in turn; both give the same gradients, which is checked first.
"""

import statistics
import time
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from affekt.models import Blstm, BlstmConfig

N_CLIPS, N_FEATURES = 64, 34
N_RUNS = 5


def packed(model: Blstm, x: Tensor, mask: Tensor) -> Tensor:
    """The network's forward pass with packed sequences."""
    x = (x - model.mean) / model.scale
    lengths = mask.sum(1)
    for layer in model.layers:
        clips = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        x, _ = pad_packed_sequence(layer(clips)[0], batch_first=True, total_length=x.shape[1])
    return model.output(torch.tanh(model.dense(x)))


def step(forward: Callable[[], Tensor], model: nn.Module, mask: Tensor) -> Tensor:
    """A step without its update: give the gradient of the first weights."""
    model.zero_grad()
    (forward().log_softmax(-1).square() * mask[..., None]).sum().backward()
    return next(p.grad for p in model.parameters() if p.grad is not None)


def main() -> None:
    torch.set_num_threads(1)
    print("| frames of a clip | ours (ms) | packed (ms) | ratio |\n|---|---|---|---|")
    for longest in (30, 100, 200):
        torch.manual_seed(0)
        x = torch.randn(N_CLIPS, longest, N_FEATURES)
        lengths = torch.randint(longest * 3 // 5, longest + 1, (N_CLIPS, 1))
        mask = torch.arange(longest) < lengths.clamp(max=longest)
        mask[0] = True
        model = Blstm(BlstmConfig(6, per_frame=True))
        ways = (partial(model, x, mask), partial(packed, model, x, mask))
        ours, theirs = (step(way, model, mask).clone() for way in ways)
        assert (ours - theirs).abs().max() < 1e-5 * theirs.abs().max()  # float32
        taken: list[list[float]] = [[], []]
        for _ in range(N_RUNS):
            for number, way in enumerate(ways):
                start = time.perf_counter()
                step(way, model, mask)
                taken[number].append(1000 * (time.perf_counter() - start))
        fast, slow = map(statistics.median, taken)
        span = f"{longest * 3 // 5} to {longest}"
        print(f"| {span} | {fast:.0f} | {slow:.0f} | {slow / fast:.1f} |", flush=True)


if __name__ == "__main__":
    main()
