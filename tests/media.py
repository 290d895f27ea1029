"""Make small recordings in every container that tests need."""

import os
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import soundfile

from affekt import audio

RATE = 16_000
# ending -> FFmpeg's coder and the rate it takes
CODERS = {
    ".mp3": ("libmp3lame", 16_000),
    ".m4a": ("aac", 16_000),
    ".aac": ("aac", 16_000),
    ".mp4": ("aac", 44_100),
    ".mov": ("aac", 48_000),
    ".mkv": ("ac3", 48_000),
    ".webm": ("libopus", 48_000),
    ".wma": ("wmav2", 44_100),
    ".avi": ("libmp3lame", 44_100),
    ".amr": ("libopencore_amrnb", 8_000),
    ".aiff": ("pcm_s16be", 22_050),
}


def tone(
    seconds: float, rate: int = RATE, frequency: float = 440.0, level: float = 0.3
) -> np.ndarray:
    """A sine from phase 0, float32."""
    t = np.arange(round(seconds * rate)) / rate
    return (level * np.sin(2 * np.pi * frequency * t)).astype(np.float32)


def noise(seconds: float, rate: int = RATE, level: float = 0.1, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (level * rng.standard_normal(round(seconds * rate))).astype(np.float32)


def silent_blocks(n_samples: int) -> Iterator[np.ndarray]:
    """A silent stream in blocks of a second."""
    for first in range(0, n_samples, RATE):
        yield np.zeros(min(RATE, n_samples - first), np.float32)


def encode(
    path: Path, waveform: np.ndarray, coder: str, rate: int, *, picture: bool = False
) -> Path:
    """Write a mono waveform through FFmpeg; `picture` adds a video track of the same length."""
    with av.open(str(path), "w") as container:
        track = container.add_stream(coder, rate=rate)
        track.layout = "mono"
        if coder == "wmav2":
            track.bit_rate = 64_000  # it refuses its own default
        video = _add_video(container) if picture else None
        frame = av.AudioFrame.from_ndarray(waveform[None], format="fltp", layout="mono")
        frame.sample_rate = rate
        frame.pts = 0  # without it no edit list takes the coder's delay off
        resampler = av.AudioResampler(track.format, "mono", rate, track.frame_size or 1024)
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(track.encode(part))
        container.mux(track.encode(None))
        if video is not None:
            _draw(container, video, round(10 * waveform.size / rate))
    return path


def silent_film(path: Path, seconds: float = 0.5) -> Path:
    """Write a video without any audio track."""
    with av.open(str(path), "w") as container:
        _draw(container, _add_video(container), round(10 * seconds))
    return path


def _add_video(container: av.container.OutputContainer) -> av.VideoStream:
    video = container.add_stream("mpeg4", rate=10)
    video.width, video.height, video.pix_fmt = 32, 32, "yuv420p"
    return video


def _draw(container: av.container.OutputContainer, video: av.VideoStream, n_frames: int) -> None:
    for _ in range(n_frames):
        picture = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
        container.mux(video.encode(picture))
    container.mux(video.encode(None))


def bad_files(folder: Path) -> dict[str, tuple[Path, str]]:
    """Make one file of each kind that cannot be used: kind -> path, message without brackets."""
    unreadable = "is not a recording libsndfile or FFmpeg can read"
    files = {
        "missing": (folder / "nowhere.wav", "does not exist"),
        "folder": (folder, "is a folder, not a recording"),
        "empty": (folder / "empty.wav", "is empty"),
        "text": (folder / "text.wav", unreadable),
        "text as mp3": (folder / "text.mp3", unreadable),
        "zeros": (folder / "zeros.mp3", unreadable),
        "dangling": (folder / "dangling.wav", "is a link to a missing file"),
        "loop": (folder / "loop.wav", "cannot be read"),
        "pipe": (folder / "pipe.wav", "is not a regular file"),
        "no samples": (folder / "none.wav", "holds no samples"),
        "header only": (folder / "header.wav", unreadable),
        "cut at once": (folder / "cut.flac", "damaged: none of its sound can be decoded"),
        "film": (folder / "film.mp4", "holds no sound"),
        "subtitles": (folder / "text.srt", "holds no sound"),
        "nan": (folder / "nan.wav", "sample at 0.500 s is NaN or infinite"),
        "infinite": (folder / "inf.wav", "sample at 0.250 s is NaN or infinite"),
        "rate": (folder / "rate.wav", "sample rate 100 Hz is outside 1000..768000 Hz"),
        "channels": (folder / "channels.wav", "has 100 channels; 1..64 are read"),
        "playlist": (folder / "list.mp3", unreadable),
    }
    (folder / "empty.wav").touch()
    (folder / "text.wav").write_text("This is no sound.\n" * 50)
    (folder / "text.mp3").write_text("This is no sound.\n" * 50)
    (folder / "zeros.mp3").write_bytes(bytes(5000))
    (folder / "dangling.wav").symlink_to(folder / "gone.wav")
    (folder / "loop.wav").symlink_to(folder / "loop.wav")
    os.mkfifo(folder / "pipe.wav")
    soundfile.write(folder / "none.wav", np.empty(0, np.float32), RATE)
    (folder / "header.wav").write_bytes(b"RIFF\0\0\0\0WAVEfmt ")
    audio.write(folder / "cut.flac", noise(1.0))
    (folder / "cut.flac").write_bytes((folder / "cut.flac").read_bytes()[:200])
    silent_film(folder / "film.mp4")
    (folder / "text.srt").write_text("1\n00:00:00,000 --> 00:00:01,000\nhello\n")
    broken = noise(1.0)
    broken[RATE // 2 :] = np.nan
    soundfile.write(folder / "nan.wav", broken, RATE, subtype="FLOAT")
    broken[RATE // 4] = -np.inf
    soundfile.write(folder / "inf.wav", broken, RATE, subtype="FLOAT")
    soundfile.write(folder / "rate.wav", noise(1.0), 100)
    soundfile.write(folder / "channels.wav", np.zeros((100, 100)), RATE)
    (folder / "list.mp3").write_text(f"ffconcat version 1.0\nfile '{folder}/nan.wav'\n")
    return files
