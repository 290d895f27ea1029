"""What a frozen encoder says of each utterance: computed once, kept on disk, read ever after.

Training a head then takes seconds. The store is a folder of small files, one per few hundred
utterances, so a run that was stopped goes on where it was.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from torch import nn

from affekt import audio
from affekt.atomic import replacing
from affekt.batches import collate, length_buckets
from affekt.corpus import Corpus
from affekt.features.logmel import log_mel
from affekt.models.pooling import mean_std
from affekt.models.whisper import WhisperEncoder

UTTERANCES_PER_SHARD = 400
MEL_FRAMES_PER_BATCH = 3000  # one 30 s window's worth, padding included
MAX_SECONDS = 30.0  # the encoder's limit; what is longer is cut there

Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class Statistics:
    """Pooled layers of a corpus' utterances, in the order of its table.

    `values` (n, n_layers, 2 * width); `fingerprints`: utterance -> hash of its samples;
    `seconds` (n,): how long each recording is.
    """

    values: Float32
    fingerprints: dict[str, str]
    seconds: NDArray[np.float64]


def statistics(
    corpus: Corpus,
    encoder: WhisperEncoder,
    layers: Sequence[int],
    *,
    store: Path,
    on_utterances: Callable[[int], None] | None = None,
) -> Statistics:
    """Give mean and standard deviation over time of the chosen hidden states.

    Args:
        corpus: its files are decoded to 16 kHz mono.
        encoder: frozen; its weights are part of the store's key.
        layers: 0 = the stem's output, k = the k-th block's.
        store: folder for the results; made if absent.
        on_utterances: told how many more utterances are done, for a progress bar.

    Raises:
        AudioError: a recording cannot be decoded.
    """
    folder = store / f"{corpus.name}-{_key(corpus, encoder, layers)}"
    folder.mkdir(parents=True, exist_ok=True)
    ids = list(corpus.utterances.index)
    parts = []
    for first in range(0, len(ids), UTTERANCES_PER_SHARD):
        shard = ids[first : first + UTTERANCES_PER_SHARD]
        path = folder / f"{first // UTTERANCES_PER_SHARD:05d}.safetensors"
        part = _read_shard(path, len(shard))
        if part is None:
            part = _compute_shard(corpus, shard, encoder, layers)
            with replacing(path) as temporary:
                save_file(part, temporary)
        parts.append(part)
        if on_utterances is not None:
            on_utterances(len(shard))
    hashes = np.concatenate([part["fingerprints"] for part in parts])
    return Statistics(
        np.concatenate([part["values"] for part in parts]),
        dict(zip(ids, (row.tobytes().hex() for row in hashes), strict=True)),
        np.concatenate([part["seconds"] for part in parts]),
    )


def _key(corpus: Corpus, encoder: nn.Module, layers: Sequence[int]) -> str:
    """Hash what the results depend on: weights, layers, and each file's place, size and time."""
    digest = hashlib.sha256(repr((UTTERANCES_PER_SHARD, tuple(layers))).encode())
    for name, value in encoder.state_dict().items():
        digest.update(name.encode() + value.numpy().tobytes())
    table = corpus.utterances
    for utterance, start, end in zip(table.index, table["start"], table["end"], strict=True):
        path = corpus.path(utterance)
        found = path.stat() if path.is_file() else None
        size = (found.st_size, found.st_mtime_ns) if found else None
        digest.update(repr((utterance, float(start), float(end), size)).encode())
    return digest.hexdigest()[:16]


def _read_shard(path: Path, count: int) -> dict[str, NDArray[np.generic]] | None:
    """Read a finished shard; None if it is absent or damaged (then it is computed anew)."""
    try:
        part: dict[str, NDArray[np.generic]] = load_file(path)
    except (SafetensorError, OSError):
        return None
    names = {"values", "fingerprints", "seconds"}
    return part if part.keys() == names and len(part["values"]) == count else None


def _compute_shard(
    corpus: Corpus, shard: Sequence[str], encoder: WhisperEncoder, layers: Sequence[int]
) -> dict[str, NDArray[np.generic]]:
    mels, hashes, seconds = [], [], []
    for utterance in shard:
        row = corpus.utterances.loc[utterance]
        end = None if np.isnan(row["end"]) else float(row["end"])
        start = 0.0 if np.isnan(row["start"]) else float(row["start"])
        waveform = audio.load(corpus.path(utterance), start=start, end=end)
        hashes.append(np.frombuffer(bytes.fromhex(audio.fingerprint(waveform)), dtype=np.uint8))
        seconds.append(waveform.size / audio.SAMPLE_RATE)
        mels.append(log_mel(waveform[: int(MAX_SECONDS * audio.SAMPLE_RATE)]))
    values = np.zeros((len(shard), len(layers), 2 * encoder.config.width), dtype=np.float32)
    for rows in length_buckets([mel.shape[1] for mel in mels], MEL_FRAMES_PER_BATCH):
        x, mask = collate([mels[row] for row in rows])
        with torch.inference_mode():
            states = encoder(x, mask)
            for number, layer in enumerate(layers):
                values[rows, number] = mean_std(states[layer], mask[:, None])[:, 0].numpy()
    return {
        "values": values,
        "fingerprints": np.stack(hashes),
        "seconds": np.array(seconds, dtype=np.float64),
    }
