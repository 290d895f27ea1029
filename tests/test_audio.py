"""Decoding: any container, any damage, the same samples whole or in blocks."""

import os
import re
import tracemalloc
import warnings
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from affekt import audio
from affekt.audio import AudioWarning
from affekt.exceptions import AudioError
from media import CODERS, RATE, bad_files, encode, noise, tone


def middle(waveform: np.ndarray) -> np.ndarray:
    """Without the fifth of a second at each end where filters ring."""
    return waveform[RATE // 5 : -RATE // 5]


def test_a_wav_file_gives_its_samples_back(tmp_path: Path) -> None:
    x = noise(1.0)
    soundfile.write(tmp_path / "x.wav", x, RATE, subtype="FLOAT")
    y = audio.load(tmp_path / "x.wav")
    assert y.dtype == np.float32
    np.testing.assert_array_equal(y, x)


def test_channels_are_averaged(tmp_path: Path) -> None:
    x = np.stack([noise(0.5, seed=channel) for channel in range(8)], axis=1)
    soundfile.write(tmp_path / "x.wav", x, RATE, subtype="FLOAT")
    np.testing.assert_allclose(audio.load(tmp_path / "x.wav"), x.mean(axis=1), atol=1e-7)


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 44_100, 48_000, 96_000, 192_000])
def test_a_tone_stays_that_tone_at_any_rate(tmp_path: Path, rate: int) -> None:
    soundfile.write(tmp_path / "x.wav", tone(1.0, rate), rate, subtype="FLOAT")
    y = audio.load(tmp_path / "x.wav")
    assert y.size == RATE
    np.testing.assert_allclose(middle(y), middle(tone(1.0)), atol=1e-3)


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 48_000])
@pytest.mark.parametrize("block_seconds", [0.05, 0.7, 30.0])
def test_streamed_blocks_join_to_what_one_resampling_gives(
    tmp_path: Path, rate: int, block_seconds: float
) -> None:
    x = noise(2.3, rate)
    soundfile.write(tmp_path / "x.wav", x, rate, subtype="FLOAT")
    blocks = list(audio.stream(tmp_path / "x.wav", block_seconds=block_seconds))
    assert {block.size for block in blocks[:-1]} <= {round(block_seconds * RATE)}
    assert 0 < blocks[-1].size <= round(block_seconds * RATE)
    joined = np.concatenate(blocks)
    np.testing.assert_allclose(joined, soxr.resample(x, rate, RATE), atol=1e-4)
    np.testing.assert_array_equal(joined, audio.load(tmp_path / "x.wav"))


@pytest.mark.parametrize("ending", [*CODERS, ".wav", ".flac", ".ogg", ".opus"])
def test_every_container_gives_the_tone_that_was_put_in(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"x{ending}"
    if ending in CODERS:
        coder, rate = CODERS[ending]
        encode(path, tone(1.0, rate), coder, rate)
    else:
        audio.write(path, tone(1.0))
    y = audio.load(path)
    assert y.size == pytest.approx(RATE, abs=0.15 * RATE)  # coders pad to whole frames
    assert audio.duration(path) == pytest.approx(y.size / RATE, abs=1e-3)
    # a coder may delay: compare spectra, not samples
    spectrum = np.abs(np.fft.rfft(middle(y) * np.hanning(middle(y).size)))
    peak = np.argmax(spectrum) * RATE / middle(y).size
    assert peak == pytest.approx(440.0, abs=2.0)
    assert np.sqrt(np.mean(middle(y) ** 2)) == pytest.approx(0.3 / np.sqrt(2), rel=0.2)


def test_the_sound_of_a_video_is_decoded(tmp_path: Path) -> None:
    encode(tmp_path / "x.mp4", tone(1.0, 44_100), "aac", 44_100, picture=True)
    y = audio.load(tmp_path / "x.mp4")
    assert np.sqrt(np.mean(middle(y) ** 2)) == pytest.approx(0.3 / np.sqrt(2), rel=0.05)


@pytest.mark.parametrize("coder", ["pcm_u8", "pcm_s16le", "pcm_s32le", "pcm_f64le"])
def test_ffmpegs_sample_formats_share_one_full_scale(tmp_path: Path, coder: str) -> None:
    path = encode(tmp_path / "x.mkv", tone(1.0), coder, RATE)
    tolerance = 1 / 64 if coder == "pcm_u8" else 1e-4
    np.testing.assert_allclose(audio.load(path), tone(1.0), atol=tolerance)


@pytest.mark.parametrize("ending", [".wav", ".flac", ".ogg", ".opus", ".mp3", ".m4a"])
def test_bytes_give_what_the_file_gives(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"x{ending}"
    if ending in CODERS:
        encode(path, noise(0.5), *CODERS[ending])
    else:
        audio.write(path, noise(0.5))
    np.testing.assert_array_equal(audio.load(path.read_bytes()), audio.load(path))


@pytest.mark.parametrize("ending", [".wav", ".flac", ".ogg", ".mp3", ".m4a"])
def test_a_stretch_is_the_slice_of_the_whole(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"x{ending}"
    if ending in CODERS:
        encode(path, noise(2.0), *CODERS[ending])
    else:
        audio.write(path, noise(2.0))
    whole = audio.load(path)
    part = audio.load(path, start=0.5, end=1.25)
    np.testing.assert_allclose(part, whole[RATE // 2 : RATE * 5 // 4], atol=1e-6)
    np.testing.assert_allclose(audio.load(path, start=1.5, end=99.0), whole[24_000:], atol=1e-6)


def test_the_kind_of_a_file_is_read_from_its_bytes_not_its_name(tmp_path: Path) -> None:
    audio.write(tmp_path / "x.flac", noise(0.5))
    (tmp_path / "x.flac").rename(tmp_path / "x.raw")
    assert audio.load(tmp_path / "x.raw").size == RATE // 2


@pytest.mark.parametrize(
    "name", ["a b.wav", "глас 声 😀.wav", "two\nlines.wav", "-n.wav", "%d.wav"]
)
def test_names_may_hold_anything(tmp_path: Path, name: str) -> None:
    audio.write(tmp_path / name, noise(0.5))
    assert audio.load(tmp_path / name).size == RATE // 2


def test_a_name_that_is_no_text_is_read_too(tmp_path: Path) -> None:
    audio.write(tmp_path / "x.wav", noise(0.5))
    path = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.wav")
    (tmp_path / "x.wav").rename(path)
    assert audio.load(path).size == RATE // 2


KINDS = [
    *("missing", "folder", "empty", "text", "text as mp3", "zeros", "dangling", "loop", "pipe"),
    *("no samples", "header only", "cut at once", "film", "subtitles", "nan", "infinite", "rate"),
    *("channels", "playlist"),
]


@pytest.mark.parametrize("kind", KINDS)
def test_what_cannot_be_used_is_refused_in_one_line_that_names_it(
    tmp_path: Path, kind: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path, reason = bad_files(tmp_path)[kind]
    with pytest.raises(AudioError) as caught:
        audio.load(path)
    details = r"( \([^()\n]*\))?"  # what the system or FFmpeg says about it
    assert re.fullmatch(re.escape(f"{path}: {reason}") + details, str(caught.value))
    assert capfd.readouterr() == ("", "")  # the C libraries keep quiet


def test_a_name_that_no_file_can_have_is_refused_in_one_line() -> None:
    with pytest.raises(AudioError, match=r"^a\\x00b: no file can have this name \(.*null.*\)$"):
        audio.load("a\0b")


def test_an_error_stays_on_one_line_whatever_the_name() -> None:
    with pytest.raises(AudioError, match=r"^no\\nsuch \\x1b file\.wav: does not exist$"):
        audio.load("no\nsuch \x1b file.wav")


@pytest.mark.parametrize(("start", "end"), [(-1.0, None), (2.0, 1.0), (1.0, 1.0), (np.nan, None)])
def test_a_stretch_that_cannot_be_is_refused(
    tmp_path: Path, start: float, end: float | None
) -> None:
    audio.write(tmp_path / "x.wav", noise(0.5))
    with pytest.raises(AudioError, match="no sound can lie between"):
        audio.load(tmp_path / "x.wav", start=start, end=end)


def test_a_stretch_behind_the_end_is_refused(tmp_path: Path) -> None:
    audio.write(tmp_path / "x.wav", noise(0.5))
    with pytest.raises(AudioError, match=r"holds no samples after 3\.0 s"):
        audio.load(tmp_path / "x.wav", start=3.0)


@pytest.mark.parametrize("ending", [".wav", ".flac", ".ogg", ".opus", ".mp3"])
def test_of_a_cut_file_the_part_that_is_there_is_used_with_a_warning(
    tmp_path: Path, ending: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / f"x{ending}"
    if ending in CODERS:
        encode(path, noise(20.0), *CODERS[ending])
    else:
        audio.write(path, noise(20.0))
    whole = audio.load(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.warns(AudioWarning, match=r"cut short: only \d+\.\d\d s .*is used") as caught:
        part = audio.load(path)
    assert str(caught[0].message).startswith(f"{path}: ")
    assert len(caught) == 1
    assert 8.5 * RATE < part.size < 11 * RATE
    np.testing.assert_allclose(part[: 8 * RATE], whole[: 8 * RATE], atol=1e-4)
    assert capfd.readouterr() == ("", "")


def test_a_damaged_packet_costs_itself_alone(tmp_path: Path) -> None:
    path = encode(tmp_path / "x.mp4", noise(4.0), "aac", RATE)
    whole = audio.load(path)
    content = bytearray(path.read_bytes())
    rng = np.random.default_rng(0)
    start = len(content) // 2
    content[start : start + 500] = rng.integers(0, 256, 500, dtype=np.uint8).tobytes()
    path.write_bytes(bytes(content))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AudioWarning)  # whether it warns depends on the noise
        part = audio.load(path)
    assert part.size > 0.8 * whole.size


def test_a_whole_file_gives_no_warning(tmp_path: Path) -> None:
    for ending, (coder, rate) in CODERS.items():
        encode(tmp_path / f"x{ending}", noise(1.0, rate), coder, rate, picture=ending == ".mp4")
        audio.load(tmp_path / f"x{ending}")  # warnings are errors here
    for ending in audio.ENCODINGS:
        audio.write(tmp_path / f"x{ending}", noise(1.0))
        audio.load(tmp_path / f"x{ending}")


def test_a_wav_file_written_to_a_pipe_is_not_called_cut(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "x.wav", noise(0.5), RATE)
    content = bytearray((tmp_path / "x.wav").read_bytes())
    content[4:8] = b"\xff\xff\xff\xff"
    content[content.index(b"data") + 4 :][:4] = b"\xff\xff\xff\xff"
    (tmp_path / "x.wav").write_bytes(bytes(content))
    assert audio.load(tmp_path / "x.wav").size == RATE // 2


def test_what_is_too_long_to_hold_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    audio.write(tmp_path / "x.wav", noise(0.5))
    monkeypatch.setattr(audio, "MAX_LOADED_SAMPLES", RATE // 4)
    with pytest.raises(AudioError, match="too long to hold in memory"):
        audio.load(tmp_path / "x.wav")
    assert audio.load(tmp_path / "x.wav", end=0.25).size == RATE // 4
    monkeypatch.setattr(audio, "MAX_SECONDS", 0.4)
    with pytest.raises(AudioError, match="longer than"):
        list(audio.stream(tmp_path / "x.wav"))


def test_streaming_holds_one_block_not_the_file(tmp_path: Path) -> None:
    with soundfile.SoundFile(tmp_path / "x.flac", "w", 8_000, 1) as file:
        for _ in range(60):
            file.write(noise(10.0, 8_000))
    tracemalloc.start()
    n_samples = sum(block.size for block in audio.stream(tmp_path / "x.flac", block_seconds=1.0))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert n_samples == 600 * RATE
    assert peak < 2_000_000  # bytes; the whole is 600 s * 16_000 * 4 = 38_400_000


def test_writing_clips_at_full_scale_and_reads_back(tmp_path: Path) -> None:
    audio.write(tmp_path / "x.wav", np.array([0.0, 0.5, 2.0, -2.0], np.float32))
    np.testing.assert_allclose(audio.load(tmp_path / "x.wav"), [0.0, 0.5, 1.0, -1.0], atol=1e-4)


def test_writing_an_unknown_ending_or_two_channels_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"x\.xyz: cannot write this ending"):
        audio.write(tmp_path / "x.xyz", noise(0.1))
    with pytest.raises(AudioError, match="needs mono"):
        audio.write(tmp_path / "x.wav", np.zeros((4, 2), np.float32))
    assert list(tmp_path.iterdir()) == []


def test_a_fingerprint_tells_samples_apart_to_half_a_step_of_16_bits() -> None:
    x = noise(0.1)
    on_grid = np.rint(x * 32767).astype(np.float32) / np.float32(32767)
    assert audio.fingerprint(x) == audio.fingerprint(on_grid)
    on_grid[7] += 1 / 32767
    assert audio.fingerprint(x) != audio.fingerprint(on_grid)
    assert len(audio.fingerprint(x)) == 32


def test_a_real_recording_reads_alike_through_both_decoders(shared: Path) -> None:
    path = shared / "corpora" / "emodb" / "wav" / "03a01Wa.flac"
    rate, samples = 16_000, soundfile.read(path, dtype="float32")[0]
    assert soundfile.info(path).samplerate == rate
    np.testing.assert_array_equal(audio.load(path), samples)
    from affekt import decode

    with path.open("rb") as file:
        parts = [block for _, block in decode._decode_ffmpeg(file, str(path), 0.0)]
    np.testing.assert_allclose(np.concatenate(parts), samples, atol=1e-6)
