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

from affekt import audio
from affekt.atomic import replacing
from affekt.batches import collate, length_buckets
from affekt.corpus import Corpus
from affekt.exceptions import CorpusError
from affekt.features.logmel import log_mel
from affekt.models.pooling import mean_std
from affekt.models.whisper import MAX_FRAMES, WhisperEncoder
from affekt.store import file_hashes

UTTERANCES_PER_SHARD = 400
MEL_FRAMES_PER_BATCH = 3000  # one 30 s window's worth, padding included
MAX_SECONDS = 30.0  # the encoder's limit; a longer utterance is cut there
FRAME_SAMPLES = 320  # 20 ms * 16 samples/ms: one frame of the encoder

Float32 = NDArray[np.float32]
Plan = list[list[str]]  # sequences of utterances that the encoder hears in one go


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
    in_context: bool = False,
    seed: int = 0,
    on_utterances: Callable[[int], None] | None = None,
) -> Statistics:
    """Give mean and standard deviation over time of the chosen hidden states.

    Args:
        corpus: its files are decoded to 16 kHz mono.
        encoder: frozen; its weights are part of the store's key.
        layers: 0 = the stem's output, k = the k-th block's.
        store: folder for the results; made if absent.
        in_context: the encoder hears each utterance among others of its speaker, up to 30 s in
            one go, in an order drawn with `seed`; only the utterance's own frames are pooled.
            Without it each utterance is heard alone.
        on_utterances: told how many more utterances are done, for a progress bar.

    Raises:
        AudioError: a recording cannot be decoded.
        CorpusError: recordings are much longer than the table says.
    """
    plan = _by_speaker(corpus, seed) if in_context else [[u] for u in corpus.utterances.index]
    folder = store / f"{corpus.name}-{_key(corpus, encoder, layers, plan)}"
    folder.mkdir(parents=True, exist_ok=True)
    parts = []
    for number, shard in enumerate(_shards(plan)):
        path = folder / f"{number:05d}.safetensors"
        count = sum(map(len, shard))
        part = _read_shard(path, count)
        if part is None:
            part = _compute_shard(corpus, shard, encoder, layers)
            with replacing(path) as temporary:
                save_file(part, temporary)
        parts.append(part)
        if on_utterances is not None:
            on_utterances(count)
    planned = [utterance for sequence in plan for utterance in sequence]
    place = {utterance: row for row, utterance in enumerate(planned)}
    order = [place[utterance] for utterance in corpus.utterances.index]
    values, hashes, seconds = (
        np.concatenate([part[name] for part in parts])[order]
        for name in ("values", "fingerprints", "seconds")
    )
    fingerprints = dict(
        zip(corpus.utterances.index, (h.tobytes().hex() for h in hashes), strict=True)
    )
    return Statistics(values, fingerprints, seconds)


def _by_speaker(corpus: Corpus, seed: int) -> Plan:
    """Put utterances of one speaker behind each other, in random order, up to 30 s a sequence."""
    rng = np.random.default_rng(seed)
    table = corpus.with_durations().utterances
    durations = table["duration"].fillna(MAX_SECONDS).clip(upper=MAX_SECONDS)
    # whose voice is unknown is heard alone
    speakers = table["speaker"].fillna(table.index.to_series())
    plan: Plan = []
    for _, spoken in durations.groupby(speakers, sort=True):
        filled = MAX_SECONDS
        for utterance in rng.permutation(spoken.index.to_numpy()):
            if filled + spoken[utterance] > MAX_SECONDS:
                plan.append([])
                filled = 0.0
            plan[-1].append(str(utterance))
            filled += spoken[utterance]
    return plan


def _shards(plan: Plan) -> list[Plan]:
    """Group sequences into shards of about `UTTERANCES_PER_SHARD`, in order."""
    shards: list[Plan] = [[]]
    count = 0
    for sequence in plan:
        if count >= UTTERANCES_PER_SHARD:
            shards.append([])
            count = 0
        shards[-1].append(sequence)
        count += len(sequence)
    return shards


def _key(corpus: Corpus, encoder: WhisperEncoder, layers: Sequence[int], plan: Plan) -> str:
    """Hash what the results depend on: weights, layers, plan, and what is in each file."""
    settings = (UTTERANCES_PER_SHARD, encoder.config, tuple(layers), plan)
    digest = hashlib.sha256(repr(settings).encode())
    for name, value in encoder.state_dict().items():
        digest.update(name.encode() + value.numpy().tobytes())
    table = corpus.utterances
    paths = [corpus.path(utterance) for utterance in table.index]
    known = file_hashes(paths)
    rows = zip(table.index, table["start"], table["end"], paths, strict=True)
    for utterance, start, end, path in rows:
        digest.update(repr((utterance, float(start), float(end), known[path])).encode())
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
    corpus: Corpus, shard: Plan, encoder: WhisperEncoder, layers: Sequence[int]
) -> dict[str, NDArray[np.generic]]:
    """Decode, encode and pool the utterances of a shard, in its order."""
    mels, segments, hashes, seconds = [], [], [], []
    for sequence in shard:
        waveforms = [_waveform(corpus, utterance) for utterance in sequence]
        hashes += [bytes.fromhex(audio.fingerprint(waveform)) for waveform in waveforms]
        seconds += [waveform.size / audio.SAMPLE_RATE for waveform in waveforms]
        sound = np.concatenate(waveforms)[: int(MAX_SECONDS * audio.SAMPLE_RATE)]
        # silence fills the last frame of the encoder, as it will when a recogniser listens
        mels.append(log_mel(np.pad(sound, (0, -sound.size % FRAME_SAMPLES))))
        segments.append(_borders([waveform.size for waveform in waveforms]))
        if segments[-1][-2] >= MAX_FRAMES:
            raise CorpusError(
                f"{corpus.root}: {', '.join(sequence)} last longer than the table's `duration`"
                " says; correct it, or leave it empty"
            )
    pooled: list[Float32] = [np.empty(0, np.float32)] * len(shard)
    for rows in length_buckets([mel.shape[1] for mel in mels], MEL_FRAMES_PER_BATCH):
        x, mask = collate([mels[row] for row in rows])
        with torch.inference_mode():
            states = encoder(x, mask)
            for place, row in enumerate(rows):
                inside = _segment_mask(segments[row], mask.shape[1])
                chosen = [mean_std(states[layer][place][None], inside)[0] for layer in layers]
                pooled[row] = torch.stack(chosen, dim=1).numpy()
    return {
        "values": np.concatenate(pooled),
        "fingerprints": np.frombuffer(b"".join(hashes), np.uint8).reshape(len(hashes), -1),
        "seconds": np.array(seconds, dtype=np.float64),
    }


def _borders(sizes: Sequence[int]) -> list[int]:
    """Where utterances behind each other begin, and the last one ends, in encoder frames.

    A frame that two share belongs to the second; what ends within a frame takes all of it.
    """
    samples = np.cumsum([0, *sizes])
    borders = [*(samples[:-1] // FRAME_SAMPLES), -(-samples[-1] // FRAME_SAMPLES)]
    return [int(border) for border in borders]


def _segment_mask(borders: Sequence[int], n_frames: int) -> torch.Tensor:
    """Frames between neighbouring borders, one at least, (1, len(borders) - 1, n_frames)."""
    frame = torch.arange(n_frames)
    limits = torch.tensor(borders)
    first = limits[:-1, None]
    return ((frame >= first) & (frame < torch.maximum(limits[1:, None], first + 1)))[None]


def _waveform(corpus: Corpus, utterance: str) -> Float32:
    """Decode one utterance, whole or its stretch of a file."""
    start, end = corpus.utterances.loc[[utterance], ["start", "end"]].to_numpy(float)[0]
    return audio.load(
        corpus.path(utterance),
        start=0.0 if np.isnan(start) else start,
        end=None if np.isnan(end) else end,
    )
