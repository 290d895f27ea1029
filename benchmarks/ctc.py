"""Beam search beside two peers in one run: the textbook in plain Python, and a compiled one.

    pip install fast-ctc-decode==0.3.7          # optional: written in Rust, gives one sequence
    python benchmarks/ctc.py                    # a minute

10 s at 10 frames a second, width 100, 4 and 5 labels beside the blank: the claim is 30 ms on one
core. Frames are random, from undecided to sharp, so sequences are long (35 to 70 labels) and the
search is at its slowest. Ours gives up to 100 sequences with exact probabilities and times; the
textbook only beginnings, without either. Each time is the median of runs in turn. The last columns
are log-probabilities: ours, how far each of the others' first answers lies below it.
"""

import math
import statistics
import time
from collections.abc import Callable

import numpy as np

from affekt.ctc import Decoding, beam_search, best_path, sequence_log_probability

WIDTH = 100
LIMIT = 30.0  # ms
N_RUNS = 15
Labels = tuple[int, ...]


def random_log_probs(n_frames: int, n_columns: int, sharpness: float) -> np.ndarray:
    logits = np.random.default_rng(0).normal(size=(n_frames, n_columns)) * sharpness
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


def textbook(probabilities: list[list[float]]) -> Labels:
    """Give the most probable beginning; one entry of a dictionary for each, blank last."""
    beam: dict[Labels, tuple[float, float]] = {(): (1.0, 0.0)}
    for row in probabilities:
        grown: dict[Labels, tuple[float, float]] = {}
        for prefix, (in_blank, in_label) in beam.items():
            total = in_blank + in_label
            b, n = grown.get(prefix, (0.0, 0.0))
            repeated = in_label * row[prefix[-1]] if prefix else 0.0
            grown[prefix] = b + total * row[-1], n + repeated
            for label, p in enumerate(row[:-1]):
                again = bool(prefix) and prefix[-1] == label
                b, n = grown.get((*prefix, label), (0.0, 0.0))
                grown[*prefix, label] = b, n + p * (in_blank if again else total)
        beam = dict(sorted(grown.items(), key=lambda entry: -sum(entry[1]))[:WIDTH])
    return next(iter(beam))


def compiled() -> Callable[[np.ndarray], Labels] | None:
    """Give fast-ctc-decode as a function of probabilities (blank last), if it is installed."""
    try:
        import fast_ctc_decode
    except ImportError:
        return None

    def decode(probabilities: np.ndarray) -> Labels:
        names = "-abcdefgh"[: probabilities.shape[1]]
        blank_first = np.roll(probabilities, 1, axis=1).astype(np.float32)
        text, _ = fast_ctc_decode.beam_search(blank_first, names, beam_size=WIDTH)
        return tuple(names.index(letter) - 1 for letter in text)

    return decode


def in_turn(contenders: list[Callable[[], object]]) -> list[float]:
    """Give each contender's median milliseconds over runs in turn, after one warm-up."""
    taken: list[list[float]] = [[] for _ in contenders]
    for number in range(N_RUNS + 1):
        for run, times in zip(contenders, taken, strict=True):
            start = time.perf_counter()
            run()
            if number:
                times.append(1e3 * (time.perf_counter() - start))
    return [statistics.median(times) for times in taken]


def row(n_columns: int, sharpness: float) -> None:
    log_probs = random_log_probs(100, n_columns, sharpness)
    probabilities = np.exp(log_probs)
    rows = probabilities.tolist()
    peer = compiled()
    runs: list[Callable[[], object]] = [lambda: beam_search(log_probs), lambda: textbook(rows)]
    runs += [lambda: peer(probabilities)] if peer else []
    ours, plain, *rest = in_turn(runs)
    found: Decoding = beam_search(log_probs)[0]

    def below(labels: Labels) -> str:
        return f"{found.log_probability - sequence_log_probability(log_probs, labels):.2f}"

    print(
        f"| {n_columns - 1} + blank | {sharpness:g} | {len(found.labels)} "
        f"| {ours:.1f} ms ({'within' if ours <= LIMIT else 'OVER'} {LIMIT:g}) "
        f"| {plain:.1f} ms, {plain / ours:.1f} x ours "
        f"| {f'{rest[0]:.1f} ms, {rest[0] / ours:.2f} x ours' if rest else 'not installed'} "
        f"| {found.log_probability:.2f} | {below(best_path(log_probs).labels)} "
        f"| {below(textbook(rows))} | {below(peer(probabilities)) if peer else ''} |",
        flush=True,
    )


def by_length() -> None:
    """Print what longer recordings and wider beams cost."""
    print("\n| frames | width | time | a frame |\n|---|---|---|---|")
    for n_frames, width in [(100, 10), (100, 100), (100, 1000), (1000, 100), (3000, 100)]:
        log_probs = random_log_probs(n_frames, 5, 4.0)
        start = time.perf_counter()
        found = beam_search(log_probs, width)
        taken = 1e3 * (time.perf_counter() - start)
        assert math.isfinite(found[0].log_probability)
        print(f"| {n_frames} | {width} | {taken:.0f} ms | {taken / n_frames:.2f} ms |", flush=True)


def main() -> None:
    print(
        "| columns | sharpness | labels | ours | textbook | fast-ctc-decode "
        "| log p | best path below | textbook below | fast-ctc-decode below |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    for n_columns in (5, 6):
        for sharpness in (0.3, 1.0, 4.0):
            row(n_columns, sharpness)
    by_length()


if __name__ == "__main__":
    main()
