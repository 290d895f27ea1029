"""Recognise emotions in recordings with a shipped model: ONNX on the CPU, no torch.

A recording is decoded, turned into log-mels and encoded chunk by chunk, so memory does not grow
with its length. A chunk is scored as a whole and, for a timeline, in windows, out of one pass of
the encoder. Chunks overlap by a margin, so that each window lies inside one chunk.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.abc import Traversable
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from affekt import audio, timeline, vad
from affekt.adapt import Voice, offsets, pool
from affekt.calibration import softmax
from affekt.card import RECOGNIZER, Reference, reference, temperature
from affekt.chunks import FRAME, LEVEL, frames, windows
from affekt.exceptions import AffektError, AudioError, CheckpointError, TableError
from affekt.scan import UTTERANCE_SECONDS as UTTERANCE_SECONDS
from affekt.scan import Float32, Scan, Source, listen, source_name
from affekt.timeline import Segment as Segment
from affekt.timeline import Timeline as Timeline
from affekt.zero_shot import ban

CHUNK = 15 * audio.SAMPLE_RATE  # 240_000 samples = 15 s; the encoder's limit is 30 s, but its
# attention costs by the square: 15 s at a time take a quarter less work, and half the memory
MARGIN = 1 * audio.SAMPLE_RATE  # 16_000 samples = 1 s of the neighbours on each side of a chunk
MIN_SAMPLES = 1_600  # 0.1 s: nothing shorter is scored
WINDOW_SECONDS = 1.5  # longer ones blur borders, shorter ones win no more: docs/timeline.md
HOP_SECONDS = 0.25  # a border may fall where a step ends
MIN_HOP_SECONDS = 0.1  # the resolution of pauses
MAX_WINDOW_SECONDS = 10.0  # leaves a chunk 15 - 10 = 5 s between margins of half a window


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
    settings = temperature(card, folder), reference(card, folder)
    weights = RECOGNIZER.read_weights(folder, card)
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
    return Recognizer(session, card, *settings)


class Recognizer:
    """A loaded model. `labels` are the names of its scores, in order; `card` says what it is."""

    def __init__(
        self,
        session: onnxruntime.InferenceSession,
        card: dict[str, Any],
        temperature: float,
        reference: Reference | None = None,
    ) -> None:
        self.card = card
        self.labels: tuple[str, ...] = tuple(card["labels"])
        self._temperature = temperature
        self._reference = reference
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

    def check_adaptable(self) -> Reference:
        """Give where the training data lay, from which voices are measured.

        Raises:
            CheckpointError: the model's card does not say.
        """
        if self._reference is None:
            raise CheckpointError(
                f"{self.card.get('name')}: its card has no `reference_logits`, from which voices"
                " are measured: take affekt-base, or train anew with `affekt run affekt_base`"
            )
        return self._reference

    def predict(
        self,
        source: "Source | Scan",
        *,
        labels: Sequence[str] | None = None,
        baseline: Voice | None = None,
        progress: Callable[[float], None] | None = None,
    ) -> dict[str, float]:
        """Say how much of each emotion is in a recording.

        A long recording is scored in chunks; the result is the mean of their probabilities,
        weighted by how many seconds of each are not pauses.

        Args:
            source: a file, the bytes of one, mono samples at 16 kHz, shape (n_samples,), or what
                `scan` made of any of these.
            labels: the only labels to choose among; the others get exactly 0. None = all.
            baseline: the voice to measure from (`baseline`); such answers are no strict
                zero-shot, and are to be reported apart.
            progress: is told the seconds done.

        Returns:
            Label -> probability, calibrated, in the model's order; they sum to 1.

        Raises:
            AudioError: it cannot be decoded, is silent, or shorter than 0.1 s.
            TableError: a label the model does not know.
            CheckpointError: a baseline, but a model whose card says nothing of its training mean.
        """
        allowed = self.check_labels(labels)
        scan = source if isinstance(source, Scan) else self.scan(source, progress=progress)
        return self._overall(scan, allowed, baseline)

    def predict_many(
        self,
        sources: Iterable[Source],
        *,
        labels: Sequence[str] | None = None,
        baseline: Voice | None = None,
    ) -> Iterator[tuple[Source, dict[str, float] | AudioError]]:
        """Predict one after the other; a recording that fails yields its error instead."""
        for source in sources:
            try:
                yield source, self.predict(source, labels=labels, baseline=baseline)
            except AudioError as problem:
                yield source, problem

    def timeline(
        self,
        source: "Source | Scan",
        *,
        window: float = WINDOW_SECONDS,
        hop: float = HOP_SECONDS,
        labels: Sequence[str] | None = None,
        baseline: Voice | None = None,
        smoothing: float = timeline.SMOOTHING,
        switch_cost: float = timeline.SWITCH_COST,
        min_length: float = timeline.MIN_LENGTH,
        progress: Callable[[float], None] | None = None,
    ) -> Timeline:
        """Say which emotions are in a recording, and when.

        Args:
            source: as in `predict`; a scan keeps its own window and hop.
            window: s of sound behind each score, hop..10.
            hop: s from one score to the next, at least 0.1.
            labels: the only labels to choose among; the others get exactly 0. None = all.
            baseline: as in `predict`.
            smoothing: s over which scores are averaged before a path is sought; 0 = not at all.
            switch_cost: nats of evidence that a change of label must bring; more = longer segments.
            min_length: s of speech that a label lasts at least.
            progress: is told the seconds done.

        Raises:
            AudioError: as in `predict`.
            TableError: a label the model does not know.
            AffektError: a number is out of range, or a scan without windows.
            CheckpointError: as in `predict`.
        """
        allowed = self.check_labels(labels)
        timeline.check(smoothing=smoothing, switch_cost=switch_cost, min_length=min_length)
        if not isinstance(source, Scan):
            source = self.scan(source, window=window, hop=hop, progress=progress)
        scan, times = source, source.times
        if scan.size is None:
            raise AffektError(f"{scan.name}: was scanned without windows: give scan() a window")
        found = self._probabilities(scan.step_logits, scan.step_alone, allowed, baseline)
        scores = found.astype(np.float32)
        segments = timeline.segments(
            times,
            scores,
            self.labels,
            active=timeline.active_steps(times, scan.active, vad.LEVEL_SECONDS),
            overlap=scan.size[0] / scan.size[1],
            smoothing=smoothing,
            switch_cost=switch_cost,
            min_length=min_length,
        )
        overall = self._overall(scan, allowed, baseline)
        duration = scan.n_samples / audio.SAMPLE_RATE
        return Timeline(times, scores, self.labels, segments, overall, duration)

    def scan(
        self,
        source: Source,
        *,
        window: float | None = None,
        hop: float = HOP_SECONDS,
        progress: Callable[[float], None] | None = None,
    ) -> Scan:
        """Hear a recording once, to be answered as often as one likes, under any baseline.

        Args:
            source: as in `predict`.
            window: s, as in `timeline`; None = for `predict` alone.
            hop: s, as in `timeline`.
            progress: is told the seconds done.

        Raises:
            AudioError: as in `predict`.
            AffektError: window or hop out of range.
        """
        size = None
        if window is not None:
            check_window(window, hop)
            size = (round(window * audio.SAMPLE_RATE), round(hop * audio.SAMPLE_RATE))
        return self._scan([source], size, progress=progress)

    def baseline(self, sources: Iterable[Source]) -> Voice:
        """Average unlabelled recordings: how somebody sounds every day, to measure others from.

        Each is heard alone, in pieces where it is long, and then all of them in one go, so that
        both heads know the voice. Pauses count nothing.

        Args:
            sources: as in `predict`, of one person, in as many moods as they have.

        Raises:
            AudioError: one cannot be decoded, is silent, or shorter than 0.1 s.
            CheckpointError: the model's card says nothing of its training mean.
            TableError: there is none.
        """
        recordings = list(sources)
        if not recordings:
            raise TableError("a baseline needs recordings: give one or more")
        piece = round(self.check_adaptable().alone_seconds * audio.SAMPLE_RATE) // LEVEL * LEVEL
        alone = [self._scan([one], None, chunk=piece, margin=0).voice() for one in recordings]
        window = round(UTTERANCE_SECONDS * audio.SAMPLE_RATE)
        size = (window, window // 4)  # as long as what the training mean is of, not as a timeline's
        return Voice(pool(alone).alone, self._scan(recordings, size).voice().in_context)

    def _scan(
        self,
        sources: Sequence[Source],
        size: tuple[int, int] | None,
        *,
        chunk: int = CHUNK,
        margin: int = MARGIN,
        progress: Callable[[float], None] | None = None,
    ) -> Scan:
        """Go over recordings once, as if they were one; `size`: window and hop, in samples."""
        if size is not None:
            margin = max(margin, -(-size[0] // (2 * LEVEL)) * LEVEL)
        loudness: list[Float32] = []
        bounds: list[tuple[int, int]] = []
        logits, alone = [], []
        for part, mel in listen(sources, chunk, margin, loudness):
            if part.end < MIN_SAMPLES:
                break
            stretches = [(part.begin, part.end)]
            if size is not None:
                stretches += windows(part, *size)
            n_frames = mel.shape[1] // 2
            segments = frames(stretches, part.offset, n_frames)
            logits.append(self._run(mel, segments))
            alone.append(self._is_alone(segments, n_frames))
            bounds.append(stretches[0])
            if progress is not None:
                progress(part.end / audio.SAMPLE_RATE)
        name = source_name(sources[0])
        if not bounds:
            raise AudioError(f"{name}: shorter than {MIN_SAMPLES / audio.SAMPLE_RATE} s")
        levels = np.concatenate(loudness)
        if levels.max() <= vad.QUIETEST:
            raise AudioError(
                f"{name}: is silent: nothing is above {vad.QUIETEST:g} dB of full scale"
                " (opposite channels cancel each other)"
            )
        return Scan(
            name,
            bounds[-1][1],
            np.array(bounds),
            np.stack([found[0] for found in logits]),
            np.stack([found[0] for found in alone]),
            vad.active(levels),
            size,
            np.concatenate([found[1:] for found in logits]),
            np.concatenate([found[1:] for found in alone]),
        )

    def _is_alone(self, segments: NDArray[np.int64], n_frames: int) -> NDArray[np.bool_]:
        """Which frames' stretches the network takes for all there is, as its own graph does."""
        longest = 0.0 if self._reference is None else self._reference.alone_seconds
        short = n_frames * FRAME <= longest * audio.SAMPLE_RATE
        whole: NDArray[np.bool_] = (segments == (0, n_frames)).all(axis=1)
        return whole & short

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

    def _probabilities(
        self,
        logits: Float32,
        alone: NDArray[np.bool_],
        allowed: Sequence[str],
        baseline: Voice | None,
    ) -> NDArray[np.float64]:
        if baseline is not None:
            reference = self.check_adaptable()
            short, long = offsets(baseline, reference.alone, reference.in_context)
            logits = np.where(alone[:, None], logits + short, logits + long).astype(np.float32)
        return ban(softmax(logits, self._temperature), self.labels, allowed)

    def _overall(
        self, scan: Scan, allowed: Sequence[str], baseline: Voice | None
    ) -> dict[str, float]:
        """Mean of the chunks' probabilities, weighted by how much of each is no pause."""
        scores = self._probabilities(scan.chunk_logits, scan.chunk_alone, allowed, baseline)
        mean = np.average(scores, axis=0, weights=scan.n_active(scan.bounds))
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
