"""Decode a recording with libsndfile or FFmpeg, block by block, at its own sample rate.

Which of the two is asked depends on a file's first bytes, never on its name. Damage costs what
is damaged: what can be decoded is, and a warning says how much that was.
"""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import soundfile
from numpy.typing import NDArray

from affekt.exceptions import AudioError

if TYPE_CHECKING:
    import av.container

Float32 = NDArray[np.float32]
Decoded = Iterator[tuple[int, Float32]]  # (sample rate in Hz, mono samples at that rate)

MAX_CHANNELS = 64
MIN_SAMPLE_RATE = 1_000  # Hz
MAX_SAMPLE_RATE = 768_000  # Hz = 16 * 48 kHz
BLOCK_FRAMES = 4096  # frames decoded at once: what a damaged FLAC can lose, .26 s at 16 kHz
OGG_PAGE = 27 + 255 + 255 * 255  # 65_307 bytes: header, segment table, segments of the largest
OGG_LAST_PAGE = 4  # header flag: the stream ends with this page
RIFF_SLACK = 64  # bytes a sound WAV file may be short of its header's size

# libsndfile knows more, but its MP3 decoder prints to stderr and its headerless formats accept junk
LIBSNDFILE_MAGIC = frozenset({b"RIFF", b"RIFX", b"RF64", b"FORM", b"caff", b"fLaC", b"OggS"})
FFMPEG_STORES_LENGTH = frozenset({"mov,mp4,m4a,3gp,3g2,mj2", "flac", "wav"})  # containers


class AudioWarning(UserWarning):
    """A recording is damaged, but part of it could be decoded and is used."""


def name_of(source: str | Path | bytes) -> str:
    r"""Name a source in a message, on one line whatever characters its name has.

    >>> print(name_of("a\nb.wav"), name_of(b"RIFF"))
    a\nb.wav <4 bytes>
    """
    if isinstance(source, bytes):
        return f"<{len(source)} bytes>"
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in str(source)
    )


@contextmanager
def opened(source: str | Path | bytes, name: str) -> Iterator[BinaryIO]:
    """Open a source for reading; whatever the system says against it becomes one line."""
    if isinstance(source, bytes):
        if not source:
            raise AudioError(f"{name}: is empty")
        yield io.BytesIO(source)
        return
    path = Path(source)
    try:
        status = path.stat()  # before opening: opening a pipe without a writer never returns
        if S_ISDIR(status.st_mode):
            raise AudioError(f"{name}: is a folder, not a recording")
        if not S_ISREG(status.st_mode):
            raise AudioError(f"{name}: is not a regular file")
        if status.st_size == 0:
            raise AudioError(f"{name}: is empty (0 bytes)")
        file = path.open("rb")
    except FileNotFoundError:
        reason = "is a link to a missing file" if path.is_symlink() else "does not exist"
        raise AudioError(f"{name}: {reason}") from None
    except OSError as problem:
        raise AudioError(f"{name}: cannot be read ({problem.strerror})") from None
    except ValueError as problem:
        raise AudioError(f"{name}: no file can have this name ({problem})") from None
    with file:
        yield file


def decode(source: str | Path | bytes, name: str, start: float) -> Decoded:
    """Yield (sample rate, mono block) from `start` seconds on; `name` is for messages."""
    with opened(source, name) as file:
        sound = open_libsndfile(file)
        if sound is not None:
            empty = True
            with sound:
                for rate, block in _decode_libsndfile(sound, file, name, start):
                    empty = False
                    yield rate, block
            if not empty or start:
                return
            file.seek(0)  # of a file that is cut early FFmpeg finds more than libsndfile
        yield from _decode_ffmpeg(file, name, start)


def open_libsndfile(file: BinaryIO) -> soundfile.SoundFile | None:
    """Open with libsndfile, or None (and the file rewound) if that is not its format."""
    magic = file.read(4)
    file.seek(0)
    if magic not in LIBSNDFILE_MAGIC:
        return None
    try:
        return soundfile.SoundFile(file)
    except (soundfile.LibsndfileError, TypeError):  # TypeError: soundfile, about a name in .raw
        file.seek(0)
        return None


def _decode_libsndfile(
    sound: soundfile.SoundFile, file: BinaryIO, name: str, start: float
) -> Decoded:
    rate = sound.samplerate
    _check_format(name, rate, sound.channels)
    total = _declared_seconds(sound, file)
    first = min(round(start * rate), sound.frames)
    n_decoded = first
    try:
        if first:
            sound.seek(first)
        while len(block := sound.read(BLOCK_FRAMES, dtype="float32", always_2d=True)):
            n_decoded += len(block)
            yield rate, block[:, 0] if block.shape[1] == 1 else block.mean(axis=1)
    except soundfile.LibsndfileError:
        total = max(total, (n_decoded + 1) / rate)  # damaged, whatever its header says
    if first < n_decoded < total * rate - 1:
        _warn_cut(name, n_decoded / rate, total)


def _declared_seconds(sound: soundfile.SoundFile, file: BinaryIO) -> float:
    """Seconds the header promises; infinite for an Ogg file whose last page is missing.

    libsndfile counts only the part of a cut WAV or Ogg file that is there, so look again.
    """
    seconds = float(sound.frames / sound.samplerate)
    position = file.tell()
    n_bytes = file.seek(0, io.SEEK_END)
    file.seek(max(0, n_bytes - OGG_PAGE))
    tail = file.read()
    file.seek(0)
    head = file.read(8)
    file.seek(position)
    if head[:4] == b"OggS":
        flags = tail[tail.rfind(b"OggS") :][5:6]
        return seconds if flags and flags[0] & OGG_LAST_PAGE else float("inf")
    promised = int.from_bytes(head[4:], "little") + 8
    streamed = promised >= 0x7FFFFFFF  # written to a pipe: the size was never filled in
    if head[:4] == b"RIFF" and not streamed and n_bytes < promised - RIFF_SLACK:
        return seconds * promised / n_bytes
    return seconds


def _decode_ffmpeg(file: BinaryIO, name: str, start: float) -> Decoded:
    import av

    try:
        # the whitelist keeps playlists from opening further files or addresses
        container = av.open(
            file, mode="r", metadata_errors="replace", options={"protocol_whitelist": "none"}
        )
    except (av.FFmpegError, ValueError) as problem:
        reason = getattr(problem, "strerror", None) or problem
        raise AudioError(
            f"{name}: is not a recording libsndfile or FFmpeg can read ({reason})"
        ) from None
    with container:
        track = container.streams.best("audio")
        if not isinstance(track, av.AudioStream):
            raise AudioError(f"{name}: holds no sound (no audio track)")
        total = None
        if track.duration and track.time_base and _stores_length(container, file):
            total = float(track.duration * track.time_base)
        yield from _skip(_decode_track(container, track, name, total), start)


def _decode_track(
    container: "av.container.InputContainer",
    track: "av.AudioStream",
    name: str,
    total: float | None,
) -> Decoded:
    """Decode packet by packet, so that one damaged packet does not end it."""
    import av

    packets = container.demux(track)
    seconds, fault = 0.0, ""
    while True:
        try:
            packet = next(packets, None)
            if packet is None:
                break
            frames = packet.decode()
        except av.FFmpegError as problem:
            fault = str(problem.strerror)
            continue
        for frame in frames:
            assert isinstance(frame, av.AudioFrame)
            _check_format(name, frame.sample_rate, frame.layout.nb_channels)
            seconds += frame.samples / frame.sample_rate
            yield frame.sample_rate, _mono(frame)
    if fault and not seconds:
        raise AudioError(f"{name}: damaged: none of its sound can be decoded ({fault})")
    if fault or (total is not None and seconds < total - max(0.1, 0.01 * total)):
        _warn_cut(name, seconds, total)


def _stores_length(container: "av.container.InputContainer", file: BinaryIO) -> bool:
    """Whether a file says how long it is; elsewhere FFmpeg guesses from the bit rate."""
    if container.format.name != "mp3":
        return container.format.name in FFMPEG_STORES_LENGTH
    position = file.tell()
    file.seek(0)
    head = file.read(1 << 18)  # 262_144 bytes: the tag follows titles and a cover picture
    file.seek(position)
    return b"Xing" in head or b"Info" in head  # the tags that count an MP3's frames


def _mono(frame: "av.AudioFrame") -> Float32:
    """Mean over channels of a decoded frame of any sample format, full scale = 1."""
    samples: NDArray[Any] = frame.to_ndarray()
    if not frame.format.is_planar:
        samples = samples.reshape(-1, frame.layout.nb_channels).T
    mean: NDArray[np.float64] = samples.mean(axis=0, dtype=np.float64)
    if samples.dtype == np.uint8:
        mean = (mean - 128) / 128
    elif samples.dtype.kind == "i":
        mean = mean / -float(np.iinfo(samples.dtype).min)
    return mean.astype(np.float32)


def _check_format(name: str, sample_rate: int, n_channels: int) -> None:
    if not MIN_SAMPLE_RATE <= sample_rate <= MAX_SAMPLE_RATE:
        raise AudioError(
            f"{name}: sample rate {sample_rate} Hz is outside"
            f" {MIN_SAMPLE_RATE}..{MAX_SAMPLE_RATE} Hz"
        )
    if not 1 <= n_channels <= MAX_CHANNELS:
        raise AudioError(f"{name}: has {n_channels} channels; 1..{MAX_CHANNELS} are read")


def _warn_cut(name: str, seconds: float, total: float | None) -> None:
    known = f" of about {total:.2f} s" if total and seconds < total < float("inf") else ""
    warnings.warn(
        f"{name}: damaged or cut short: only {seconds:.2f} s{known} could be decoded and is used",
        AudioWarning,
        stacklevel=2,
    )


def _skip(decoded: Decoded, seconds: float) -> Decoded:
    done = 0
    for rate, block in decoded:
        first = max(0, round(seconds * rate) - done)
        done += block.size
        if first < block.size:
            yield rate, block[first:]
