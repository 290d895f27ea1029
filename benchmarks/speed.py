"""Speed of the recogniser, each figure beside its peer in the same run.

    python benchmarks/speed.py [--upstream FOLDER] [--minutes 60]

Prints one row a claim: what, ours, the peer's or the limit, the ratio. Times are medians of runs
in turn (ours, peer, ours, peer ...). Needs the extra `whisper`; run it on an idle machine.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import numpy as np

import affekt
from affekt import audio
from affekt.features.logmel import log_mel

N_RUNS = 7
CLIP_SECONDS = 3
LAYERS = 3
Row = tuple[str, str, str, str, str]


def in_turn(*contenders: Callable[[], object]) -> list[float]:
    """Give each contender's median seconds over runs in turn, after one warm-up."""
    times: list[list[float]] = [[] for _ in contenders]
    for number in range(N_RUNS + 1):
        for run, taken in zip(contenders, times, strict=True):
            start = time.perf_counter()
            run()
            if number:
                taken.append(time.perf_counter() - start)
    return [statistics.median(taken) for taken in times]


def example() -> np.ndarray:
    """Give the bundled example's samples."""
    return audio.load(str(files("affekt") / "example" / "crema-d-excerpt.ogg"))


def log_mels() -> list[Row]:
    """Ours against the Hugging Face extractor, as called, on a clip and on a full window.

    The extractor asks torch, which takes all cores, where it is installed, else numpy; ours takes
    one core and no torch.
    """
    from transformers import WhisperFeatureExtractor

    peer = WhisperFeatureExtractor()
    without_torch = WhisperFeatureExtractor()
    without_torch._torch_extract_fbank_features = lambda waveforms, device: (
        without_torch._np_extract_fbank_features(waveforms, device)
    )
    asked = {"sampling_rate": audio.SAMPLE_RATE, "return_tensors": "np"}
    rows = []
    for seconds in (CLIP_SECONDS, 30):
        waveform = np.resize(example(), seconds * audio.SAMPLE_RATE)
        for name, extractor in (("with torch", peer), ("without torch", without_torch)):
            # a pair at a time: the threads of one peer would still wait busily beside the other
            ours, theirs = in_turn(
                lambda w=waveform: log_mel(w),
                lambda w=waveform, extractor=extractor: extractor(w, **asked),
            )
            rows.append(row(f"log-mel of {seconds} s, peer {name}", ours, theirs, ">= 3"))
    return rows


def clips(upstream: Path) -> list[Row]:
    """One loaded clip, sound to scores, against the same layers padded to 30 s in transformers."""
    import torch
    from safetensors.torch import load_file
    from transformers import WhisperConfig, WhisperFeatureExtractor
    from transformers.models.whisper.modeling_whisper import WhisperEncoder

    config = json.loads((upstream / "config.json").read_text("utf-8"))
    encoder = WhisperEncoder(WhisperConfig(**{**config, "encoder_layers": LAYERS})).eval()
    weights = {k: v.float() for k, v in load_file(upstream / "encoder.safetensors").items()}
    encoder.load_state_dict(weights, strict=False)
    extractor = WhisperFeatureExtractor()
    recognizer = affekt.load()
    waveform = np.resize(example(), CLIP_SECONDS * audio.SAMPLE_RATE)

    def padded() -> object:
        with torch.inference_mode():
            x = extractor(waveform, sampling_rate=audio.SAMPLE_RATE, return_tensors="pt")
            return encoder(x.input_features).last_hidden_state

    ours, theirs = in_turn(lambda: recognizer.predict(waveform), padded)
    return [row(f"encode a {CLIP_SECONDS} s clip", ours, theirs, ">= 8")]


def processes(minutes: float) -> list[Row]:
    """`affekt predict` as a process: one clip from start to end, and a long recording."""
    with tempfile.TemporaryDirectory() as folder:
        clip, long = Path(folder) / "clip.wav", Path(folder) / "long.wav"
        audio.write(clip, np.resize(example(), CLIP_SECONDS * audio.SAMPLE_RATE))
        audio.write(long, np.resize(example(), int(minutes * 60 * audio.SAMPLE_RATE)))
        starts = [process(clip)[0] for _ in range(N_RUNS)]
        wall, rss = min(process(long) for _ in range(2))
        wall_timeline, rss_timeline = process(long, "--timeline")
    start = statistics.median(starts)
    seconds = minutes * 60

    def speed(what: str, wall: float, rss: float) -> Row:
        value = f"{wall:.1f} s, {rss:.0f} MB"
        return (
            what,
            value,
            f"{seconds:.0f} s of speech",
            f"{seconds / wall:.0f}",
            ">= 100, <= 700 MB",
        )

    return [
        (f"process, {CLIP_SECONDS} s clip", f"{start:.2f} s", "", "", "<= 1.5 s"),
        speed(f"process, {minutes:g} min", wall, rss),
        speed(f"process, {minutes:g} min, timeline", wall_timeline, rss_timeline),
    ]


def process(recording: Path, *flags: str) -> tuple[float, float]:
    """Run `affekt predict` on a file; give wall seconds and peak resident megabytes."""
    command = [
        sys.executable,
        "-m",
        "affekt",
        "predict",
        str(recording),
        "--format",
        "json",
        *flags,
    ]
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as running:
        _, status, usage = os.wait4(running.pid, 0)
        running.returncode = os.waitstatus_to_exitcode(status)
    if running.returncode:
        raise SystemExit(f"{' '.join(command)}: exit code {running.returncode}")
    return time.perf_counter() - start, usage.ru_maxrss * 1024 / 1e6


def row(what: str, ours: float, theirs: float, goal: str) -> Row:
    return (what, f"{ours * 1e3:.2f} ms", f"{theirs * 1e3:.2f} ms", f"{theirs / ours:.1f}", goal)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    shared = Path(os.environ.get("AFFEKT_SHARED", "../shared"))
    parser.add_argument("--upstream", type=Path, default=shared / "weights" / "whisper-base")
    parser.add_argument("--minutes", type=float, default=60)
    given = parser.parse_args()
    print("| what | Affekt | peer | ratio | goal |\n| --- | --- | --- | --- | --- |")
    # processes first: a child's peak counts what its parent held when it forked
    for measure in (lambda: processes(given.minutes), log_mels, lambda: clips(given.upstream)):
        for cells in measure():
            print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
