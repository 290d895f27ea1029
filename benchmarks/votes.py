"""Dawid-Skene beside crowd-kit 1.4.2 in one run: the same posteriors, and how much sooner.

    pip install crowd-kit==1.4.2
    python benchmarks/votes.py                         # parity and speed, about two minutes
    python benchmarks/votes.py --planted               # how right, how calibrated
    python benchmarks/votes.py --write votes.tsv       # then: time affekt aggregate votes.tsv ...
    python benchmarks/votes.py --scale 1e6 1e7 1e8     # time and memory by number of votes

300,000 utterances, 1.65 M votes in shuffled order, 5,000 raters, 5 classes, 10 iterations, each
from a DataFrame to its result: a labels table here, the most probable labels there. Votes are given
as text, as a file of an annotation platform has them, and as integers, which suits crowd-kit best.
Ours is the median of five runs after a warm-up. Without crowd-kit only our times are printed.
"""

import argparse
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import TypeVar

import numpy as np
import pandas as pd

from affekt.metrics import expected_calibration_error
from affekt.scheme import Categories
from affekt.votes.coded import CodedVotes, code
from affekt.votes.dawid_skene import dawid_skene, fit

CLASSES = Categories("five", ("angry", "sad", "neutral", "positive", "other"))
DIGITS = Categories("digits", tuple("01234"))
N_UTTERANCES, N_VOTES, N_RATERS = 300_000, 1_650_000, 5_000
N_ITERATIONS = 10
N_RUNS = 5
WITHOUT_END = -1e9  # tolerance: all iterations are done
T = TypeVar("T")


def synthetic(
    n_votes: int, n_utterances: int, shuffled: bool = True
) -> tuple[pd.DataFrame, np.ndarray]:
    """Votes as integers, every utterance has one or more; and what is true of each.

    A vote is right in 76 % of cases (a known 70 % and a fifth of the rest), a tenth of the raters
    in 44 %.
    """
    rng = np.random.default_rng(0)
    extra = rng.integers(0, n_utterances, n_votes - n_utterances, dtype=np.int32)
    utterance = np.append(np.arange(n_utterances, dtype=np.int32), extra)
    del extra
    if shuffled:
        rng.shuffle(utterance)
    rater = rng.integers(0, N_RATERS, n_votes, dtype=np.int32)
    truth = rng.integers(0, len(CLASSES), n_utterances, dtype=np.int16)
    label = rng.integers(0, len(CLASSES), n_votes, dtype=np.int16)
    right = rng.random(n_votes, dtype=np.float32) < 0.7 - 0.4 * (rater % 10 == 0)  # a tenth is bad
    label[right] = truth[utterance[right]]
    votes = pd.DataFrame({"utterance": utterance, "rater": rater, "label": label}, copy=False)
    return votes, truth


def as_text(votes: pd.DataFrame) -> pd.DataFrame:
    """Give the same votes under 32-character ids of utterances and raters, and words."""
    rng = np.random.default_rng(1)
    utterances = np.array([rng.bytes(16).hex() for _ in range(N_UTTERANCES)], dtype=object)
    raters = np.array([rng.bytes(16).hex() for _ in range(N_RATERS)], dtype=object)
    words = np.array(list(CLASSES), dtype=object)
    return pd.DataFrame(
        {
            "utterance": utterances[votes["utterance"]],
            "rater": raters[votes["rater"]],
            "label": words[votes["label"]],
        },
        dtype="str",
    )


def timed(run: Callable[[], T], n_runs: int) -> tuple[float, T]:
    """Give median seconds and the last result."""
    taken = []
    for _ in range(n_runs):
        start = time.perf_counter()
        found = run()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken), found


def beside_crowd_kit(kind: str, votes: pd.DataFrame, categories: Categories) -> None:
    """Print one row: ours, the peer's, their ratio, the largest difference of posteriors."""

    def ours() -> pd.DataFrame:
        return dawid_skene(
            votes,
            categories,
            max_iterations=N_ITERATIONS,
            tolerance=WITHOUT_END,
            duplicates="keep",
        )

    ours()
    mine, labels = timed(ours, N_RUNS)
    try:
        from crowdkit.aggregation import DawidSkene
    except ImportError:
        print(f"| {kind} | {mine:.2f} s | not installed: pip install crowd-kit==1.4.2 | | |")
        return
    peer = DawidSkene(n_iter=N_ITERATIONS, tol=WITHOUT_END)
    asked = votes.rename(columns={"utterance": "task", "rater": "worker"})
    theirs, _ = timed(lambda: peer.fit_predict(asked), 1)
    posterior = peer.probas_.set_axis(peer.probas_.index.astype(str)).loc[labels.index]
    columns = posterior.set_axis(posterior.columns.astype(str), axis=1)[list(labels)]
    apart = np.abs(columns.to_numpy() - labels.to_numpy()).max()
    print(f"| {kind} | {mine:.2f} s | {theirs:.1f} s | {theirs / mine:.1f} | {apart:.1e} |")


def updates(votes: pd.DataFrame) -> None:
    """Print what 0.1 % more votes cost, beside fitting anew."""
    n_new = N_VOTES // 1000
    model = fit(code(votes.iloc[:-n_new], CLASSES, duplicates="keep"))
    new = votes.iloc[-n_new:]
    update, _ = timed(lambda: model.update(new, duplicates="keep"), N_RUNS)
    anew, _ = timed(lambda: fit(code(votes, CLASSES, duplicates="keep")), 1)
    print(f"\nupdate by {n_new} votes: {update:.2f} s; anew, to convergence: {anew:.2f} s")


def scale(n_votes: int) -> None:
    """Print time and memory of a fit from integers on; a process of its own measures its peak."""
    table, _ = synthetic(n_votes, int(n_votes / 5.5), shuffled=False)
    n_utterances = int(n_votes / 5.5)
    coded = CodedVotes(
        utterance=table["utterance"].to_numpy(),
        rater=table["rater"].to_numpy(),
        label=table["label"].to_numpy(),
        utterances=pd.RangeIndex(n_utterances, name="utterance"),
        raters=pd.RangeIndex(N_RATERS, name="rater"),
        categories=CLASSES,
        gold=np.full(n_utterances, -1, dtype=np.int16),
    )
    before = peak()
    taken, _ = timed(
        lambda: fit(coded, max_iterations=N_ITERATIONS, tolerance=WITHOUT_END), n_runs=1
    )
    each = 1e9 * taken / n_votes / N_ITERATIONS
    print(
        f"| {n_votes:,} | {taken:.1f} s | {each:.1f} ns | {before:.2f} GB | {peak():.2f} GB |",
        flush=True,
    )


def planted(votes: pd.DataFrame, truth: np.ndarray) -> None:
    """How right and how calibrated labels are where the truth is known."""
    print("| smoothing | right | decided at .9 | of these right | stated | calibration error |")
    print("|---|---|---|---|---|---|", flush=True)
    for smoothing in (0.0, 1.0):
        labels = dawid_skene(votes, DIGITS, duplicates="keep", smoothing=smoothing)
        true = truth[labels.index.astype(int)]
        scores = labels.to_numpy()
        top, right = scores.max(axis=1), scores.argmax(axis=1) == true
        decided = top >= 0.9
        error = expected_calibration_error(true, scores)
        cells = (right.mean(), decided.mean(), right[decided].mean(), top[decided].mean(), error)
        print(f"| {smoothing:g} | " + " | ".join(f"{cell:.4f}" for cell in cells) + " |")


def peak() -> float:
    """Give the peak resident size of this process in gigabytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scale", type=float, nargs="+", metavar="VOTES")
    parser.add_argument("--planted", action="store_true", help="only compare with the truth")
    parser.add_argument("--write", metavar="FILE", help="only write the votes, as text, to a .tsv")
    parser.add_argument("--one", type=float, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        scale(int(asked.one))
        return
    if asked.scale:
        print("| votes | 10 iterations | a vote and iteration | peak before | peak |")
        print("|---|---|---|---|---|", flush=True)
        for n_votes in asked.scale:
            subprocess.run([sys.executable, __file__, "--one", str(n_votes)], check=True)
        return
    integers, truth = synthetic(N_VOTES, N_UTTERANCES)
    if asked.planted:
        planted(integers, truth)
        return
    text = as_text(integers)
    if asked.write:
        text.drop_duplicates(["utterance", "rater"]).to_csv(asked.write, sep="\t", index=False)
        return
    print("| votes given as | ours | crowd-kit | ratio | posteriors differ by at most |")
    print("|---|---|---|---|---|", flush=True)
    beside_crowd_kit("integers", integers, DIGITS)
    beside_crowd_kit("text", text, CLASSES)
    updates(text)


if __name__ == "__main__":
    main()
