"""Recognise emotions in recordings with a shipped model: ONNX on the CPU, no torch.

A recording is decoded, turned into log-mels and encoded chunk by chunk, so memory does not grow
with its length. A chunk is scored as a whole and, for a timeline, in windows, out of one pass of
the encoder. Chunks overlap by a margin, so that each window lies inside one chunk.
"""

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.abc import Traversable
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from affekt import audio, timeline, vad
from affekt.calibration import softmax
from affekt.card import RECOGNIZER
from affekt.chunks import FRAME, LEVEL, Chunk, chunks, frames, windows
from affekt.exceptions import AffektError, AudioError, CheckpointError, TableError
from affekt.features.logmel import log_mel
from affekt.timeline import Segment as Segment
from affekt.timeline import Timeline as Timeline
from affekt.zero_shot import ban

Float32 = NDArray[np.float32]
Source = str | Path | bytes | Float32
Item = TypeVar("Item")

CHUNK = 15 * audio.SAMPLE_RATE  # 240_000 samples = 15 s; the encoder's limit is 30 s, but its
# attention costs by the square: 15 s at a time take a quarter less work, and half the memory
MARGIN = 1 * audio.SAMPLE_RATE  # 16_000 samples = 1 s of the neighbours on each side of a chunk
MIN_SAMPLES = 1_600  # 0.1 s: nothing shorter is scored
WINDOW_SECONDS = 2.0
HOP_SECONDS = 0.5
MIN_HOP_SECONDS = 0.1  # the resolution of pauses
MAX_WINDOW_SECONDS = 10.0  # leaves a chunk 15 - 10 = 5 s between margins of half a window


@dataclass(frozen=True, eq=False)
class _Scan:
    """All that one pass over a recording leaves: logits and loudness, not sound."""

    n_samples: int
    bounds: NDArray[np.int64]  # samples, (n_chunks, 2)
    chunk_logits: Float32  # (n_chunks, n_labels)
    step_logits: Float32  # (n_steps, n_labels)
    active: NDArray[np.bool_]  # (n_levels,), one every 0.1 s


def load(model: str | Path = "affekt-base", *, threads: int | None = None) -> "Recognizer":
    """Load a recogniser once, to be used for any number of recordings.

    Args:
        model: the name of a bundled model, or a folder with `card.json` and `model.onnx`.
        threads: of the encoder; None = one per core.

    Raises:
        CheckpointError: unknown, damaged or foreign; nothing is ever unpickled.
    """
    folder = _find(model)
    card = RECOGNIZER.read_card(folder)
    temperature = _temperature(card, folder)
    weights = _read(folder, RECOGNIZER.weights)
    if hashlib.sha256(weights).hexdigest() != card["sha256"]:
        raise CheckpointError(f"{folder}: model.onnx is not the file its card.json was written for")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    options.inter_op_num_threads = 1
    # waiting threads would burn the core that decodes the next chunk
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4  # fatal only: what fails is raised, and said once
    try:
        session = onnxruntime.InferenceSession(weights, options, providers=["CPUExecutionProvider"])
    except Exception as problem:  # onnxruntime's own classes have no public common base
        reason = str(problem).splitlines()[0]
        raise CheckpointError(f"{folder}: model.onnx cannot be run ({reason})") from None
    names = {node.name for node in session.get_inputs()}, {n.name for n in session.get_outputs()}
    if names != ({"log_mel", "segments"}, {"logits"}):
        raise CheckpointError(f"{folder}: model.onnx is no recogniser: it maps {names}")
    return Recognizer(session, card, temperature)


class Recognizer:
    """A loaded model. `labels` are the names of its scores, in order; `card` says what it is."""

    def __init__(
        self, session: onnxruntime.InferenceSession, card: dict[str, Any], temperature: float
    ) -> None:
        self.card = card
        self.labels: tuple[str, ...] = tuple(card["labels"])
        self._temperature = temperature
        self._session = session

    def check_labels(self, labels: Sequence[str] | None) -> tuple[str, ...]:
        """Give the labels to choose among, None = all of the model's.

        Raises:
            TableError: a label the model does not know or was never taught, or fewer than two:
                one alone would always get 1.
        """
        if labels is None:
            return self.labels
        allowed = tuple(dict.fromkeys(labels))
        ban(np.ones(len(self.labels)), self.labels, allowed)
        untaught = [label for label in allowed if label in self.card.get("untrained_labels", [])]
        if untaught:
            raise TableError(
                f"{', '.join(untaught)}: the model was taught no example of it, so its score says"
                " nothing: leave it out of the labels"
            )
        if len(allowed) == 1 < len(self.labels):
            raise TableError(
                f"{allowed[0]!r} alone would always get 100 %: give two or more labels of"
                f" {', '.join(self.labels)}"
            )
        return allowed

    def predict(
        self,
        source: Source,
        *,
        labels: Sequence[str] | None = None,
        progress: Callable[[float], None] | None = None,
    ) -> dict[str, float]:
        """Say how much of each emotion is in a recording.

        A long recording is scored in chunks; the result is the mean of their probabilities,
        weighted by how many seconds of each are not pauses.

        Args:
            source: a file, the bytes of one, or mono samples at 16 kHz, shape (n_samples,).
            labels: the only labels to choose among; the others get exactly 0. None = all.
            progress: is told the seconds done.

        Returns:
            Label -> probability, calibrated, in the model's order; they sum to 1.

        Raises:
            AudioError: it cannot be decoded, is silent, or shorter than 0.1 s.
            TableError: a label the model does not know.
        """
        allowed = self.check_labels(labels)
        return self._overall(self._scan(source, None, progress), allowed)

    def predict_many(
        self, sources: Iterable[Source], *, labels: Sequence[str] | None = None
    ) -> Iterator[tuple[Source, dict[str, float] | AudioError]]:
        """Predict one after the other; a recording that fails yields its error instead."""
        for source in sources:
            try:
                yield source, self.predict(source, labels=labels)
            except AudioError as problem:
                yield source, problem

    def timeline(
        self,
        source: Source,
        *,
        window: float = WINDOW_SECONDS,
        hop: float = HOP_SECONDS,
        labels: Sequence[str] | None = None,
        switch_cost: float = timeline.SWITCH_COST,
        progress: Callable[[float], None] | None = None,
    ) -> Timeline:
        """Say which emotions are in a recording, and when.

        Args:
            source: as in `predict`.
            window: s of sound behind each score, hop..10.
            hop: s from one score to the next, at least 0.1.
            labels: the only labels to choose among; the others get exactly 0. None = all.
            switch_cost: nats of evidence that a change of label must bring; more = longer segments.
            progress: is told the seconds done.

        Raises:
            AudioError: as in `predict`.
            TableError: a label the model does not know.
            AffektError: window or hop out of range.
        """
        check_window(window, hop)
        allowed = self.check_labels(labels)
        size = (round(window * audio.SAMPLE_RATE), round(hop * audio.SAMPLE_RATE))
        scan = self._scan(source, size, progress)
        duration = scan.n_samples / audio.SAMPLE_RATE
        times = timeline.steps(duration, *(n / audio.SAMPLE_RATE for n in size))
        scores = self._probabilities(scan.step_logits, allowed).astype(np.float32)
        segments = timeline.segments(
            times,
            scores,
            self.labels,
            active=timeline.active_steps(times, scan.active, vad.LEVEL_SECONDS),
            overlap=window / hop,
            switch_cost=switch_cost,
        )
        overall = self._overall(scan, allowed)
        return Timeline(times, scores, self.labels, segments, overall, duration)

    def _scan(
        self,
        source: Source,
        size: tuple[int, int] | None,
        progress: Callable[[float], None] | None,
    ) -> _Scan:
        """Go over a recording once; `size`: window and hop in samples, None = no steps."""
        margin = MARGIN if size is None else max(MARGIN, -(-size[0] // (2 * LEVEL)) * LEVEL)
        loudness: list[Float32] = []
        bounds: list[tuple[int, int]] = []
        whole, steps = [], []
        sound = _measured(_blocks(source, CHUNK - 2 * margin), loudness)
        for chunk, mel in _ahead(_with_mel(chunks(sound, CHUNK, margin))):
            if chunk.end < MIN_SAMPLES:
                break
            stretches = [(chunk.begin, chunk.end)]
            if size is not None:
                stretches += windows(chunk, *size)
            logits = self._run(mel, frames(stretches, chunk.offset, mel.shape[1] // 2))
            whole.append(logits[0])
            steps.append(logits[1:])
            bounds.append(stretches[0])
            if progress is not None:
                progress(chunk.end / audio.SAMPLE_RATE)
        name = _name(source)
        if not bounds:
            raise AudioError(f"{name}: shorter than {MIN_SAMPLES / audio.SAMPLE_RATE} s")
        levels = np.concatenate(loudness)
        if levels.max() <= vad.QUIETEST:
            raise AudioError(
                f"{name}: is silent: nothing is above {vad.QUIETEST:g} dB of full scale"
                " (opposite channels cancel each other)"
            )
        return _Scan(
            bounds[-1][1],
            np.array(bounds),
            np.stack(whole),
            np.concatenate(steps),
            vad.active(levels),
        )

    def _run(self, mel: Float32, segments: NDArray[np.int64]) -> Float32:
        try:
            (logits,) = self._session.run(["logits"], {"log_mel": mel[None], "segments": segments})
        except Exception as problem:  # onnxruntime's own classes have no public common base
            reason = str(problem).splitlines()[0]
            raise CheckpointError(f"model.onnx cannot be run ({reason})") from None
        if logits.shape != (len(segments), len(self.labels)) or not np.isfinite(logits).all():
            raise CheckpointError(
                f"model.onnx gives {logits.shape} for {len(segments)} stretches and"
                f" {len(self.labels)} labels, or values that are not finite"
            )
        return np.asarray(logits, dtype=np.float32)

    def _probabilities(self, logits: Float32, allowed: Sequence[str]) -> NDArray[np.float64]:
        return ban(softmax(logits, self._temperature), self.labels, allowed)

    def _overall(self, scan: _Scan, allowed: Sequence[str]) -> dict[str, float]:
        """Mean of the chunks' probabilities, weighted by how much of each is no pause."""
        heard = np.concatenate([[0], np.cumsum(scan.active)])
        edges = np.minimum(-(-scan.bounds // LEVEL), scan.active.size)
        weights = heard[edges[:, 1]] - heard[edges[:, 0]]
        mean = np.average(self._probabilities(scan.chunk_logits, allowed), axis=0, weights=weights)
        return dict(zip(self.labels, (mean / mean.sum()).tolist(), strict=True))


def check_window(window: float, hop: float) -> None:
    """Refuse a window or hop, in s, that the recogniser cannot slide.

    Raises:
        AffektError: not 0.1 <= hop <= window <= 10.
    """
    if not MIN_HOP_SECONDS <= hop <= window <= MAX_WINDOW_SECONDS:
        raise AffektError(
            f"window {window:g} s, hop {hop:g} s: choose {MIN_HOP_SECONDS:g} <= hop <= window"
            f" <= {MAX_WINDOW_SECONDS:g}"
        )


def _find(model: str | Path) -> Traversable:
    bundled = files("affekt") / "weights"
    if isinstance(model, str) and model in _names(bundled):
        return bundled / model
    folder = Path(model)
    if not folder.is_dir():
        names = ", ".join(_names(bundled)) or "none"
        raise CheckpointError(
            f"{audio.name_of(model)}: no such model: bundled are {names}; or give a folder with"
            " card.json and model.onnx"
        )
    return folder


def _names(bundled: Traversable) -> list[str]:
    return sorted(f.name for f in bundled.iterdir() if f.is_dir()) if bundled.is_dir() else []


def _read(folder: Traversable, name: str) -> bytes:
    try:
        return (folder / name).read_bytes()
    except OSError as problem:
        raise CheckpointError(
            f"{folder}: {name} cannot be read ({problem.strerror}); a recogniser is a folder with"
            " card.json and model.onnx"
        ) from None


def _temperature(card: dict[str, Any], folder: Traversable) -> float:
    temperature = card.get("temperature")
    if not isinstance(temperature, int | float) or not 0 < temperature < math.inf:
        raise CheckpointError(f"{folder}: card.json: `temperature` is no positive number")
    return float(temperature)


def _name(source: Source) -> str:
    return "<samples>" if isinstance(source, np.ndarray) else audio.name_of(source)


def _blocks(source: Source, n_samples: int) -> Iterator[Float32]:
    if not isinstance(source, np.ndarray):
        yield from audio.stream(source, block_seconds=n_samples / audio.SAMPLE_RATE)
        return
    if source.ndim != 1 or not source.size:
        raise AudioError(f"samples must be mono, shape (n_samples,): got {source.shape}")
    if not np.abs(source).max() <= audio.LOUDEST:  # NaN is not, either
        raise AudioError(
            "<samples>: hold NaN, infinity or values far above 1: full scale is 1 (16-bit values"
            " are divided by 32768)"
        )
    for first in range(0, source.size, n_samples):
        yield source[first : first + n_samples].astype(np.float32, copy=False)


def _measured(blocks: Iterator[Float32], loudness: list[Float32]) -> Iterator[Float32]:
    for block in blocks:
        loudness.append(vad.levels(block, audio.SAMPLE_RATE))
        yield block


def _with_mel(parts: Iterator[Chunk]) -> Iterator[tuple[Chunk, Float32]]:
    """Add the log-mel; silence fills the last encoder frame, which takes two of its frames."""
    for chunk in parts:
        yield chunk, log_mel(np.pad(chunk.waveform, (0, -chunk.waveform.size % FRAME)))


def _ahead(items: Iterator[Item]) -> Iterator[Item]:
    """Make the next item in a thread while this one is used: decode while the encoder runs."""
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = pool.submit(next, items, None)
            yield item
