"""Make the pictures and the sound of docs/augment.md from the bundled example.

    python scripts/make_augmentations.py

Settings are fixed near the strong end of each range, so that one can see and hear them.
"""

import json
import sys
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from affekt import audio, augment
from affekt.atomic import replacing
from affekt.features import log_mel
from affekt.plots import style
from affekt.sampler import Piece, Segment, targets
from affekt.scheme import EKMAN_8
from make_example import write_opus

Float32 = NDArray[np.float32]

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "src" / "affekt" / "example" / "crema-d-excerpt.ogg"
FOLDER = ROOT / "docs" / "augment"
CLIP = 0  # of the example: anger, actor 1091
SEED = 4
N_COLOURS = 48  # of a picture's palette: a third of the bytes
MAX_PICTURES, MAX_SOUND = 500_000, 400_000  # bytes in all
LOUDNESS = (-0.9, 1.6)  # of Whisper's scaled log-mel, darkest to brightest
HERTZ = (250, 1000, 4000)
COLOURS = {"background": style.PAPER, "wave": "#3F4F8C"}


def changes(others: list[Float32]) -> dict[str, Callable[..., Float32]]:
    """Each change of a waveform by the name of its files."""
    noise = partial(augment.noise, decibels=(5.0, 5.0), others=others)
    return {
        "original": lambda waveform, rng: waveform,
        "polarity": augment.polarity,
        "gain": partial(augment.gain, decibels=(-12.0, -12.0)),
        "reversal": augment.reversal,
        "noise-white": partial(noise, colour="white"),
        "noise-pink": partial(noise, colour="pink"),
        "noise-babble": partial(noise, colour="babble"),
        "resampling": partial(augment.resampling, rates=(8_000.0, 8_000.0)),
        "equalisation": augment.equalisation,
        "echo": partial(augment.echo, delays=(0.15, 0.15), decays=(0.5, 0.5), taps=(3, 3)),
        "room": partial(augment.room, seconds=(0.7, 0.7), decibels=(-2.0, -2.0)),
        "telephone": augment.telephone,
        "codec": partial(augment.codec, coarseness=(1.3, 1.3), cutoffs=(5_000.0, 5_000.0)),
        "speed": partial(augment.speed, factors=(1.1, 1.1)),
        "chain": partial(augment.augment, chances=augment.BEYOND, others=others),
    }


def main() -> None:
    """Write all files, then say how large they are."""
    FOLDER.mkdir(exist_ok=True)
    clips, labels = example()
    others = [clip for number, clip in enumerate(clips) if number != CLIP]
    for name, change in changes(others).items():
        changed = change(clips[CLIP], np.random.default_rng(SEED))
        draw(FOLDER / f"{name}.png", log_mel(changed), changed)
        write_opus(FOLDER / f"{name}.ogg", changed)
    mel = log_mel(clips[CLIP])
    masked = augment.spec_augment(mel, np.random.default_rng(SEED), sd=(0.1, 0.1))
    draw(FOLDER / "spec-augment.png", masked, None)
    draw_sequence(FOLDER / "sequence.png", clips, labels)
    for ending, most in ((".png", MAX_PICTURES), (".ogg", MAX_SOUND)):
        size = sum(path.stat().st_size for path in FOLDER.glob(f"*{ending}"))
        print(f"{len(list(FOLDER.glob(f'*{ending}')))} files {ending}: {size} bytes")
        if size > most:
            sys.exit(f"{size} bytes of {ending} are more than {most}")


def example() -> tuple[list[Float32], list[str]]:
    """Give the example's clips and what was meant in each."""
    waveform = audio.load(EXAMPLE)
    spoken = json.loads(EXAMPLE.with_suffix(".json").read_text("utf-8"))["clips"]
    borders = [[round(clip[key] * audio.SAMPLE_RATE) for key in ("start", "end")]
               for clip in spoken]  # fmt: skip
    return [waveform[first:end] for first, end in borders], [c["intended"] for c in spoken]


def draw(path: Path, mel: Float32, waveform: Float32 | None) -> None:
    """Draw a spectrogram, and above it the waveform where there is one."""
    figure = style.new_figure(4.6, 1.9)
    seconds = mel.shape[1] / 100
    rows = figure.subplots(
        1 if waveform is None else 2,
        1,
        squeeze=False,
        sharex=True,
        gridspec_kw=None if waveform is None else {"height_ratios": (1, 3)},
    )
    below = rows[-1, 0]
    if waveform is not None:
        above = rows[0, 0]
        times = np.arange(waveform.size) / audio.SAMPLE_RATE
        above.plot(times, waveform, color=COLOURS["wave"], linewidth=0.3)
        above.set_ylim(-1, 1)
        above.set_yticks([])
        style.no_frame(above)
    show(below, mel, seconds)
    below.set_xlabel("s", fontsize=7.5)
    save(figure, path)


def show(axes, mel: Float32, seconds: float) -> None:
    """Show a spectrogram with its frequencies."""
    axes.imshow(mel, origin="lower", aspect="auto", cmap="magma", vmin=LOUDNESS[0],
                vmax=LOUDNESS[1], extent=(0, seconds, 0, mel.shape[0]))  # fmt: skip
    axes.set_yticks([band_of(hertz) for hertz in HERTZ], [f"{h / 1000:g} kHz" for h in HERTZ])
    style.no_frame(axes)
    axes.tick_params(labelsize=7.5, length=2)


def band_of(hertz: float) -> float:
    """Where a frequency lies on Slaney's scale of 80 bands up to 8 kHz."""

    def mel(frequency: float) -> float:
        if frequency < 1000:
            return frequency * 3 / 200
        return 15 + 27 * np.log(frequency / 1000) / np.log(6.4)

    return mel(hertz) / mel(8000) * 81 - 0.5  # a band is one high, its middle in the middle


def draw_sequence(path: Path, clips: list[Float32], labels: list[str]) -> None:
    """Draw a sequence with its frames' targets, and the same rolled."""
    ends = np.cumsum([0, *(clip.size for clip in clips)]).tolist()
    sequence = []
    for number, (first, end) in enumerate(pairwise(ends)):
        shares = tuple(float(label == labels[number]) for label in EKMAN_8)
        piece = Piece(str(number), 0.0, (end - first) / audio.SAMPLE_RATE, shares, "")
        sequence.append(Segment(piece, first / audio.SAMPLE_RATE, end / audio.SAMPLE_RATE))
    seconds = -(-ends[-1] // audio.SAMPLE_RATE) + 1
    waveform = np.zeros(seconds * audio.SAMPLE_RATE, np.float32)
    waveform[: ends[-1]] = np.concatenate(clips)
    shares = targets(sequence, len(EKMAN_8), seconds=seconds).shares
    rolled, (moved,) = augment.roll(waveform, [shares], np.random.default_rng(SEED))
    figure = style.new_figure(8, 3.2)
    rows = figure.subplots(4, 1, sharex=True, gridspec_kw={"height_ratios": (5, 1, 5, 1)})
    for pair, sound, frames in ((rows[:2], waveform, shares), (rows[2:], rolled, moved)):
        show(pair[0], log_mel(sound), seconds)
        paint(pair[1], frames, seconds)
    rows[-1].set_xlabel("s", fontsize=7.5)
    figure.legend(handles=keys(labels), loc="outside lower center", ncols=len(labels),
                  frameon=False, fontsize=8)  # fmt: skip
    save(figure, path)


def paint(axes, shares: Float32, seconds: float) -> None:
    """Paint each frame's label; frames outside the loss stay white."""
    hexes = [style.COLOURS[label] for label in EKMAN_8]
    rgb = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in hexes]) / 255
    strip = shares @ rgb + (1 - shares.sum(axis=1, keepdims=True))
    axes.imshow(strip[None], aspect="auto", extent=(0, seconds, 0, 1), interpolation="nearest")
    axes.set_yticks([])
    style.no_frame(axes)
    axes.tick_params(labelsize=7.5, length=2)


def keys(labels: list[str]) -> list:
    """The labels' colours."""
    from matplotlib.patches import Patch

    return [Patch(color=style.COLOURS[label], label=label) for label in labels]


def save(figure, path: Path) -> None:
    """Write a picture with few colours: noise and a smooth palette compress badly."""
    style.save(figure, path, dpi=100)
    with Image.open(path) as full, replacing(path) as temporary:
        full.convert("RGB").quantize(N_COLOURS, dither=Image.Dither.NONE).save(
            temporary, optimize=True
        )


if __name__ == "__main__":
    main()
