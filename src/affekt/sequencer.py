"""Say which emotions follow each other in a recording, by a network trained with CTC.

A folder of it holds a checkpoint, `card.json` and `model.safetensors`, whose card says what the
network hears: the 34 short-term features, or states of a Whisper encoder, which lies beside it as
`encoder`. A recording of up to 30 s is heard in one go, as in training; a longer one in chunks
that overlap, so memory for sound does not grow with its length.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from affekt import audio, checkpoint, vad
from affekt.atomic import replacing
from affekt.chunks import FRAME, LEVEL, chunks
from affekt.ctc import WIDTH
from affekt.exceptions import AudioError, CheckpointError
from affekt.features.logmel import log_mel
from affekt.features.shortterm34 import NAMES, shortterm34
from affekt.models import Blstm, ProbedBlstm
from affekt.models.whisper import WhisperEncoder
from affekt.segmenting import Found, frame_edges, segment

Float32 = NDArray[np.float32]
Floats = NDArray[np.float64]
Source = str | Path | bytes | Float32
Network = Blstm | ProbedBlstm

HOP = LEVEL  # samples from one frame to the next: 0.1 s
HOP_SECONDS = HOP / audio.SAMPLE_RATE  # 1_600 / 16_000 = 0.1 s
MIN_SAMPLES = 2 * HOP  # one window of the 34 features; nothing shorter is heard
CHUNK = 30 * audio.SAMPLE_RATE  # 480_000 samples = 30 s, the encoder's limit
MARGIN = 2 * audio.SAMPLE_RATE  # 32_000 samples = 2 s of the neighbours on each side of a chunk
POOLED = HOP // FRAME  # 5 frames of the encoder make one of ours
BLANK = "(blank)"  # name of the last output in a card


class Hearing(Protocol):
    """What a network is given of sound: frames, `HOP` samples apart.

    `name` stands in the card; `first` is the sample at the centre of the first frame.
    """

    name: str
    n_features: int
    first: int

    def __call__(self, waveform: Float32) -> Float32:
        """Mono samples at 16 kHz, at least `MIN_SAMPLES` -> (n_frames, n_features)."""
        ...


class ShortTerm34:
    """The 34 short-term features of windows of 0.2 s; pauses are frames like any other."""

    name = "shortterm34"
    n_features = len(NAMES)
    first = HOP  # middle of a window of 3200 samples

    def __call__(self, waveform: Float32) -> Float32:
        """Give (n_frames, 34), n_frames = 1 + (n_samples - 3200) // 1600."""
        return shortterm34(waveform, audio.SAMPLE_RATE).astype(np.float32)


class WhisperStates:
    """Means over 0.1 s of a frozen encoder's last hidden state; up to 30 s in one go."""

    name = "whisper"
    first = HOP // 2

    def __init__(self, encoder: WhisperEncoder) -> None:
        self.encoder = encoder.eval()
        self.n_features = encoder.config.width

    def __call__(self, waveform: Float32) -> Float32:
        """Give (n_frames, width), n_frames = ceil(n_samples / 1600)."""
        mel = log_mel(np.pad(waveform, (0, -waveform.size % FRAME)))
        with torch.inference_mode():
            states = self.encoder(torch.from_numpy(mel)[None])[-1][0].numpy()
        starts = np.arange(0, len(states), POOLED)
        counts = np.minimum(POOLED, len(states) - starts)
        means = np.add.reduceat(states, starts, axis=0) / counts[:, None]
        return np.asarray(means, dtype=np.float32)


def save(folder: Path, model: Network, hearing: Hearing, card: Mapping[str, Any]) -> None:
    """Write a folder that `load` reads.

    Args:
        folder: made if absent.
        model: trained with CTC, the blank its last output.
        hearing: what it hears.
        card: at least `labels`, without the blank.
    """
    labels = [*card["labels"], BLANK]
    folder.mkdir(parents=True, exist_ok=True)
    if isinstance(hearing, WhisperStates):
        _save_encoder(folder / "encoder", hearing.encoder)
    checkpoint.save(folder, model, {**card, "labels": labels, "frames": hearing.name})


def load(folder: str | Path) -> "Sequencer":
    """Read a folder that `affekt run sequences` left; nothing is unpickled.

    Raises:
        CheckpointError: missing, damaged, foreign, or no network of CTC.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise CheckpointError(f"{audio.name_of(folder)}: no such folder")
    model, card = checkpoint.load(folder)
    name = card.get("frames")
    if (
        not isinstance(model, Network)
        or (isinstance(model, Blstm) and not model.config.per_frame)
        or card["labels"][-1] != BLANK
    ):
        raise CheckpointError(
            f"{folder}: holds no network of CTC: give a folder of `affekt run sequences`"
        )
    hearing: Hearing
    if name == ShortTerm34.name:
        hearing = ShortTerm34()
    elif name == WhisperStates.name:
        hearing = WhisperStates(checkpoint.load_whisper_encoder(folder / "encoder"))
    else:
        raise CheckpointError(f"{folder}: card.json: `frames` {name!r} are not known")
    if model.config.n_features != hearing.n_features:
        raise CheckpointError(
            f"{folder}: the network wants {model.config.n_features} features a frame,"
            f" {hearing.name} gives {hearing.n_features}"
        )
    return Sequencer(model, hearing, card)


class Sequencer:
    """A loaded network. `labels` are the emotions it knows, `card` says what it is."""

    def __init__(self, model: Network, hearing: Hearing, card: Mapping[str, Any]) -> None:
        self.card = card
        self.labels: tuple[str, ...] = tuple(card["labels"][:-1])
        self._model, self._hearing = model.eval(), hearing

    def sequence(
        self,
        source: Source,
        *,
        decoder: str = "beam",
        width: int = WIDTH,
        progress: Callable[[float], None] | None = None,
    ) -> Found:
        """Say which emotions follow each other, and when.

        Args:
            source: a file, the bytes of one, or mono samples at 16 kHz, shape (n_samples,).
            decoder: one of `affekt.segmenting.DECODERS`.
            width: of the beam.
            progress: is told the seconds done.

        Raises:
            AudioError: it cannot be decoded, is silent, or shorter than 0.2 s.
        """
        log_probs, edges = self.frames(source, progress)
        return segment(log_probs, self.labels, edges, decoder=decoder, width=width)

    def frames(
        self, source: Source, progress: Callable[[float], None] | None = None
    ) -> tuple[Floats, Floats]:
        """Log-probabilities of each frame, (n, n_labels + 1), and its edges in s, (n, 2).

        Raises:
            AudioError: as `sequence`.
        """
        name = "<samples>" if isinstance(source, np.ndarray) else audio.name_of(source)
        found, centres, loudest, end = [], [], vad.QUIETEST, 0
        for chunk in chunks(_blocks(source), CHUNK, MARGIN):
            if chunk.end < MIN_SAMPLES:
                raise AudioError(
                    f"{name}: shorter than {MIN_SAMPLES / audio.SAMPLE_RATE:g} s, one frame"
                )
            own = chunk.waveform[chunk.begin - chunk.offset : chunk.end - chunk.offset]
            loudest = max(loudest, float(vad.levels(own, audio.SAMPLE_RATE).max()))
            logits = self._logits(self._hearing(chunk.waveform))
            centre = chunk.offset + self._hearing.first + HOP * np.arange(len(logits))
            kept = (centre >= chunk.begin) & (chunk.last | (centre < chunk.end))
            found.append(logits[kept])
            centres.append(centre[kept])
            end = chunk.end
            if progress is not None:
                progress(end / audio.SAMPLE_RATE)
        if loudest <= vad.QUIETEST:
            raise AudioError(f"{name}: is silent: nothing is above {vad.QUIETEST:g} dB")
        seconds = np.concatenate(centres) / audio.SAMPLE_RATE
        edges = frame_edges(seconds, HOP_SECONDS, end / audio.SAMPLE_RATE)
        return np.concatenate(found), edges

    def _logits(self, frames: Float32) -> Floats:
        with torch.inference_mode():
            logits = self._model(torch.from_numpy(frames)[None])[0]
        return np.asarray(logits.double().log_softmax(-1).numpy())


def _blocks(source: Source) -> Iterator[Float32]:
    """Samples as a stream; those in hand are checked as a file's are."""
    if not isinstance(source, np.ndarray):
        yield from audio.stream(source)
        return
    if source.ndim != 1 or not source.size:
        raise AudioError(f"samples must be mono, shape (n_samples,): got {source.shape}")
    if not np.abs(source).max() <= audio.LOUDEST:  # NaN is not, either
        raise AudioError("<samples>: hold NaN, infinity or values far above full scale, 1")
    yield source.astype(np.float32, copy=False)


def _save_encoder(folder: Path, encoder: WhisperEncoder) -> None:
    """Write what `checkpoint.load_whisper_encoder` reads."""
    folder.mkdir(parents=True, exist_ok=True)
    shape = encoder.config
    settings = (shape.n_mels, shape.width, shape.n_heads, shape.n_layers)
    with replacing(folder / "encoder.safetensors") as temporary:
        save_file({k: v.contiguous() for k, v in encoder.state_dict().items()}, temporary)
    with replacing(folder / "config.json") as temporary:
        config = dict(zip(checkpoint.WHISPER_SETTINGS, settings, strict=True))
        temporary.write_text(json.dumps(config, indent=1) + "\n", "utf-8")
