"""Training throughput of the Dusha baseline beside a plain loop, in one run.

    pip install librosa
    python benchmarks/training.py [ravdess=ROOT] [--clips 320] [--batch 64]

The plain loop is what one writes first: it shuffles, decodes and computes each clip's spectrogram
with librosa when its turn comes, pads each batch to its longest clip with what comes, and takes a
step of Adam in float32, torch's own layout. Ours reads the spectrograms from the store, which is
filled before the clock starts (its time is told beside), puts clips of about one length together,
and takes the same step; in float32, and in bfloat16 as the recipes do. Same network, same clips,
same number of steps, whole clips, no augmentation. Epochs in turn after a warm-up (plain, ours,
ours in bfloat16, plain ...), medians of three, wall clock. The goal is twice the clips a second.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import nn

from affekt.batches import SpectrogramBatches, neighbours_in_length
from affekt.corpora import source, toy
from affekt.corpus import Corpus
from affekt.features import FEATURES
from affekt.models import MobileNetAttention, MobileNetAttentionConfig
from affekt.objectives import SoftLabels
from affekt.store import stored
from affekt.train import TrainOptions, train

PLAIN = "plain loop, librosa on the fly, float32"
N_EPOCHS = 3
GOAL = 2.0


class Plain(nn.Module):
    """The same layers in torch's own layout, without masks."""

    def __init__(self, n_labels: int) -> None:
        super().__init__()
        network = MobileNetAttention(MobileNetAttentionConfig(n_labels, masked=False))
        self.features, self.classifier = _unfold(network.features), network.classifier
        self.attention = network.pooling[0]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        maps = self.attention(self.features(x[:, None].contiguous()), None)
        return self.classifier(maps.mean((2, 3)))


class Residual(nn.Module):
    """One block, read without lengths."""

    def __init__(self, conv: nn.Module, adds: bool) -> None:
        super().__init__()
        self.conv, self.adds = conv, adds

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.conv(x) if self.adds else self.conv(x)


def _unfold(layers: nn.Sequential) -> nn.Sequential:
    return nn.Sequential(
        *(Residual(part.conv, part.adds) if hasattr(part, "adds") else part for part in layers)
    )


def plain_epoch(corpus: Corpus, batch_size: int) -> None:
    import librosa

    target = torch.from_numpy(corpus.labels.to_numpy().argmax(1))
    model = Plain(len(corpus.scheme))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, weight_decay=1e-6)
    order = np.random.default_rng(0).permutation(len(corpus))
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        clips = []
        for row in rows:
            waveform, rate = librosa.load(corpus.path(corpus.utterances.index[row]), sr=16_000)
            power = librosa.feature.melspectrogram(
                y=waveform, sr=rate, n_fft=320, hop_length=160, n_mels=64, pad_mode="reflect"
            )
            clips.append(torch.from_numpy(librosa.power_to_db(power, ref=np.max)).T)
        x = nn.utils.rnn.pad_sequence(clips, batch_first=True).transpose(1, 2)
        loss = nn.functional.cross_entropy(model(x), target[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def our_epoch(corpus: Corpus, clips: list[np.ndarray], batch_size: int, precision: str) -> None:
    lengths = [clip.shape[1] for clip in clips]
    target = torch.from_numpy(corpus.labels.to_numpy(np.float32).copy())
    draw = partial(neighbours_in_length, lengths, batch_size)
    batches = SpectrogramBatches(clips, target, torch.ones(len(clips)), draw, seed=0, fill=-80.0)
    options = TrainOptions(
        epochs=1, optimizer="adam", schedule="constant", weight_decay=1e-6, precision=precision
    )
    train(
        MobileNetAttention(MobileNetAttentionConfig(len(corpus.scheme))),
        batches,
        options,
        SoftLabels(),
    )


def in_turn(contenders: dict[str, Callable[[], None]]) -> dict[str, float]:
    """Median seconds of each, over epochs in turn, after a warm-up."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(N_EPOCHS + 1):
        for name, epoch in contenders.items():
            began = time.perf_counter()
            epoch()
            if number:
                times[name].append(time.perf_counter() - began)
    return {name: statistics.median(seconds) for name, seconds in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "corpus", metavar="NAME=ROOT", nargs="?", help="by default synthetic voices"
    )
    parser.add_argument("--clips", type=int, default=320)
    parser.add_argument("--batch", type=int, default=64)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        name, _, root = (arguments.corpus or f"toy={folder}/toy").partition("=")
        if arguments.corpus is None:
            toy.make(Path(root))
        whole = source(name).load(root)
        ids = np.random.default_rng(0).permutation(whole.labels.index.to_numpy())
        compare(name, whole.select(ids[: arguments.clips]), arguments.batch, Path(folder))


def compare(name: str, corpus: Corpus, batch_size: int, folder: Path) -> None:
    """Print what each loop takes."""
    began = time.perf_counter()
    found = stored(corpus, FEATURES["log_mel_dusha"], store=folder / "store", workers=1)
    filled = time.perf_counter() - began
    clips = list(found.features)
    loops = {
        PLAIN: partial(plain_epoch, corpus, batch_size),
        "ours, float32": partial(our_epoch, corpus, clips, batch_size, "float32"),
        "ours, bfloat16": partial(our_epoch, corpus, clips, batch_size, "bfloat16"),
    }
    if find_spec("librosa") is None:
        print("librosa is not installed: only our own loops are timed\n")
        del loops[PLAIN]
    seconds = in_turn(loops)
    plain = seconds.get(PLAIN, float("nan"))
    print(f"{len(corpus)} clips of {name}, {found.seconds.sum():.0f} s; batches of {batch_size}")
    threads = torch.get_num_threads()
    print(f"the store was filled in {filled:.1f} s; {threads} threads; goal: {GOAL:g}\n")
    print("| loop | s an epoch | clips a second | times the plain loop |\n|---|---|---|---|")
    for name, taken in seconds.items():
        print(f"| {name} | {taken:.1f} | {len(corpus) / taken:.0f} | {plain / taken:.1f} |")


if __name__ == "__main__":
    main()
