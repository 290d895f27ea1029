"""The 34 features beside pyAudioAnalysis 0.3.14 in one run: the same numbers, and how much sooner.

    pip install pyAudioAnalysis==0.3.14 scipy matplotlib tqdm
    python benchmarks/shortterm34.py [--seconds 120]

One file of 120 s, the bundled example over and over, from samples to features. Times are medians of
seven runs in turn (ours, peer, ours, peer ...) after a warm-up, wall clock; the CPU's time beside
ours says how many cores it took. The goal is 12 times sooner at 200/100 ms. Without pyAudioAnalysis
only our times are printed.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from importlib.resources import files

import numpy as np

from affekt import audio
from affekt.features import shortterm34

N_RUNS = 7
FRAMINGS = ((0.2, 0.1), (0.1, 0.05), (0.03, 0.01))  # seconds; the first is the CTC paper's
GOAL = 12


def in_turn(*contenders: Callable[[], object]) -> list[tuple[float, float]]:
    """Give each contender's median wall and CPU seconds over runs in turn, after a warm-up."""
    times: list[list[tuple[float, float]]] = [[] for _ in contenders]
    for number in range(N_RUNS + 1):
        for run, taken in zip(contenders, times, strict=True):
            wall, cpu = time.perf_counter(), time.process_time()
            run()
            if number:
                taken.append((time.perf_counter() - wall, time.process_time() - cpu))
    medians = [[statistics.median(column) for column in zip(*t, strict=True)] for t in times]
    return [(wall, cpu) for wall, cpu in medians]


def row(waveform: np.ndarray, window: float, hop: float) -> str:
    """Measure one framing: ours, CPU, the peer's, their ratio, the largest difference."""

    def ours() -> np.ndarray:
        return shortterm34(waveform, audio.SAMPLE_RATE, window=window, hop=hop)

    def clean() -> np.ndarray:
        return shortterm34(waveform, audio.SAMPLE_RATE, window=window, hop=hop, variant="clean")

    framing = f"{window * 1e3:.0f}/{hop * 1e3:.0f} ms"
    try:
        from pyAudioAnalysis.ShortTermFeatures import feature_extraction
    except ImportError:
        (wall, cpu), (wall_clean, _) = in_turn(ours, clean)
        cells = [framing, *map(milliseconds, (wall, cpu, wall_clean)), "not installed", "", ""]
        return " | ".join(cells)
    samples = waveform * 32768.0  # full scale of 16 bits, which it expects
    n_window, n_hop = (round(seconds * audio.SAMPLE_RATE) for seconds in (window, hop))

    def peer() -> np.ndarray:
        return feature_extraction(samples, audio.SAMPLE_RATE, n_window, n_hop, deltas=False)[0].T

    (wall, cpu), (wall_clean, _), (theirs, _) = in_turn(ours, clean, peer)
    apart = np.abs(ours() - peer()).max()
    times = map(milliseconds, (wall, cpu, wall_clean, theirs))
    return " | ".join([framing, *times, f"{theirs / wall:.1f}", f"{apart:.1e}"])


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1e3:.1f} ms"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=120)
    seconds = parser.parse_args().seconds
    example = audio.load(str(files("affekt") / "example" / "crema-d-excerpt.ogg"))
    waveform = np.resize(example, round(seconds * audio.SAMPLE_RATE))
    print(f"{seconds:g} s of speech; goal: {GOAL} times sooner at 200/100 ms\n")
    print("| framing | paa | its CPU | clean | pyAudioAnalysis | ratio | apart by at most |")
    print("|---|---|---|---|---|---|---|", flush=True)
    for window, hop in FRAMINGS:
        print(f"| {row(waveform, window, hop)} |", flush=True)


if __name__ == "__main__":
    main()
