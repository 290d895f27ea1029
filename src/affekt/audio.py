"""Decode any recording to mono float32 at one rate, in constant memory; write one.

libsndfile reads WAV, AIFF, CAF, FLAC and Ogg (Vorbis, Opus); FFmpeg, through PyAV, reads all else:
MP3, AAC, M4A, MP4, MKV, WebM, MOV, AMR, WMA, … Which one is asked depends on a file's first
bytes, never on its name. Channels are averaged; rates are converted by soxr at its high quality.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from affekt.atomic import replacing
from affekt.decode import AudioWarning as AudioWarning
from affekt.decode import Decoded, decode, open_libsndfile, opened
from affekt.decode import name_of as name_of
from affekt.exceptions import AudioError

Float32 = NDArray[np.float32]

SAMPLE_RATE = 16_000  # Hz
LOUDEST = 32.0  # 30 dB above full scale: more is no recording on the scale -1 .. 1
MAX_SECONDS = 24 * 3600  # 86_400 s: a day; nothing longer is decoded
MAX_LOADED_SAMPLES = 2 * 3600 * SAMPLE_RATE  # 115_200_000 samples * 4 bytes = 461 MB held by `load`
WRITE_FRAMES = 4096  # libsndfile's Ogg encoders overflow the stack on one long write

# fmt: off
AUDIO_ENDINGS = frozenset({
    ".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".m4a", ".aac", ".aif", ".aiff", ".aifc",
    ".caf", ".au", ".amr", ".wma", ".mka", ".ac3", ".w64", ".rf64",
})
VIDEO_ENDINGS = frozenset({
    ".mp4", ".m4v", ".mkv", ".webm", ".mov", ".avi", ".wmv", ".3gp", ".mpg", ".mpeg", ".ts", ".flv",
})
# fmt: on
ENCODINGS = {  # ending -> container and coding for `write`
    ".wav": ("WAV", "PCM_16"),
    ".flac": ("FLAC", "PCM_16"),
    ".ogg": ("OGG", "VORBIS"),
    ".opus": ("OGG", "OPUS"),
}


def load(
    source: str | Path | bytes,
    *,
    start: float = 0.0,
    end: float | None = None,
    sample_rate: int = SAMPLE_RATE,
) -> Float32:
    """Decode a recording, or a stretch of it, into memory.

    Args:
        source: a path, or the bytes of a file; any container libsndfile or FFmpeg can decode,
            video too.
        start: seconds to skip.
        end: where to stop, seconds from the beginning; None or beyond the end = all.
        sample_rate: Hz of the result.

    Returns:
        Mean of the channels, float32, shape (n_samples,), full scale = 1.

    Raises:
        AudioError: missing, empty, damaged beyond use, no sound in it, NaN or infinite samples,
            nothing between start and end, or over `MAX_LOADED_SAMPLES`.

    Warns:
        AudioWarning: only part of it could be decoded; that part is returned.
    """
    blocks: list[Float32] = []
    n_samples = 0
    for block in stream(source, start=start, end=end, sample_rate=sample_rate):
        blocks.append(block)
        n_samples += block.size
        if n_samples > MAX_LOADED_SAMPLES:
            raise AudioError(
                f"{name_of(source)}: over {MAX_LOADED_SAMPLES / sample_rate:.0f} s, too long to"
                " hold in memory: use affekt.audio.stream, or give start and end"
            )
    return np.concatenate(blocks)


def stream(
    source: str | Path | bytes,
    *,
    block_seconds: float = 30.0,
    sample_rate: int = SAMPLE_RATE,
    start: float = 0.0,
    end: float | None = None,
) -> Iterator[Float32]:
    """Decode a recording block by block in constant memory; the samples are those of `load`.

    Yields:
        Blocks of `block_seconds`, shape (n_samples,); the last may be shorter, none is empty.

    Raises:
        AudioError: as `load`, at the first block or where the fault is; never for length below
            `MAX_SECONDS`.
    """
    name = name_of(source)
    if not 0 <= start < (np.inf if end is None else end):
        raise AudioError(f"{name}: no sound can lie between start {start} s and end {end} s")
    seconds = MAX_SECONDS if end is None else end - start
    decoded = _finite(_until(decode(source, name, start), seconds, name, end is None), name, start)
    resampled = _resample(decoded, sample_rate, name)
    empty = True
    for block in _regroup(resampled, max(1, round(block_seconds * sample_rate))):
        empty = False
        yield block
    if empty:
        raise AudioError(f"{name}: holds no samples" + (f" after {start} s" if start else ""))


def duration(source: str | Path | bytes) -> float:
    """Length in seconds: as the header says where libsndfile reads it, else by decoding all.

    Raises:
        AudioError: it cannot be decoded, or holds no samples.
    """
    name = name_of(source)
    with opened(source, name) as file:
        sound = open_libsndfile(file)
        if sound is not None:
            with sound:
                if sound.frames > 0:
                    return float(sound.frames / sound.samplerate)
    return sum(block.size for block in stream(source)) / SAMPLE_RATE


def write(path: str | Path, waveform: Float32, sample_rate: int = SAMPLE_RATE) -> None:
    """Write a mono waveform; the ending chooses the coding (.wav .flac 16 bit, .ogg, .opus).

    Samples beyond full scale (±1) are clipped. The file appears whole or not at all.

    Raises:
        AudioError: an unknown ending, or a waveform that is not one-dimensional.
    """
    target = Path(path)
    coding = ENCODINGS.get(target.suffix.lower())
    if coding is None:
        raise AudioError(f"{name_of(path)}: cannot write this ending: use {', '.join(ENCODINGS)}")
    if waveform.ndim != 1:
        raise AudioError(f"{name_of(path)}: needs mono samples, (n_samples,): {waveform.shape}")
    with (
        replacing(target) as temporary,
        soundfile.SoundFile(
            temporary, "w", sample_rate, 1, format=coding[0], subtype=coding[1]
        ) as file,
    ):
        for first in range(0, waveform.size, WRITE_FRAMES):
            file.write(np.clip(waveform[first : first + WRITE_FRAMES], -1.0, 1.0))


def fingerprint(waveform: Float32) -> str:
    """Name a waveform by its sound: 32 hex digits of BLAKE2b over its samples rounded to int16.

    >>> fingerprint(np.zeros(3, np.float32)) == fingerprint(np.full(3, 1e-6, np.float32))
    True
    """
    rounded = np.rint(np.clip(waveform, -1.0, 1.0) * np.float32(32767)).astype("<i2")
    return hashlib.blake2b(rounded.tobytes(), digest_size=16).hexdigest()


def _until(decoded: Decoded, seconds: float, name: str, whole: bool) -> Decoded:
    """Stop after `seconds`; where the whole was asked for, more is an error."""
    done = 0
    for rate, block in decoded:
        room = round(seconds * rate) - done
        if whole and block.size > room:
            raise AudioError(f"{name}: longer than {seconds / 3600:g} h: cut it into parts")
        if room <= 0:
            return
        done += block.size
        yield rate, block[:room]


def _finite(decoded: Decoded, name: str, start: float) -> Decoded:
    done = 0
    for rate, block in decoded:
        finite = np.isfinite(block)
        if not finite.all():
            second = start + (done + int(np.argmin(finite))) / rate
            raise AudioError(f"{name}: sample at {second:.3f} s is NaN or infinite")
        loud = np.abs(block) > LOUDEST
        if loud.any():
            first = int(np.argmax(loud))
            second = start + (done + first) / rate
            raise AudioError(
                f"{name}: sample at {second:.3f} s is {block[first]:g}, but full scale is 1: scale"
                " the samples (16-bit values are divided by 32768)"
            )
        done += block.size
        yield rate, block


def _resample(decoded: Decoded, sample_rate: int, name: str) -> Iterator[Float32]:
    resampler: soxr.ResampleStream | None = None
    first_rate = 0
    for rate, block in decoded:
        if not first_rate:
            first_rate = rate
            if rate != sample_rate:
                resampler = soxr.ResampleStream(rate, sample_rate, 1, dtype="float32")
        elif rate != first_rate:
            raise AudioError(f"{name}: sample rate changes from {first_rate} to {rate} Hz midway")
        yield block if resampler is None else resampler.resample_chunk(block)
    if resampler is not None:
        yield resampler.resample_chunk(np.empty(0, np.float32), last=True)


def _regroup(blocks: Iterator[Float32], size: int) -> Iterator[Float32]:
    """Cut a stream of blocks anew into blocks of `size`, the last one shorter."""
    waiting: list[Float32] = []
    n_waiting = 0
    for block in blocks:
        waiting.append(block)
        n_waiting += block.size
        if n_waiting < size:
            continue
        joined = np.concatenate(waiting)
        whole = n_waiting - n_waiting % size
        yield from joined[:whole].reshape(-1, size)
        waiting, n_waiting = [joined[whole:]], n_waiting - whole
    if n_waiting:
        yield np.concatenate(waiting)
