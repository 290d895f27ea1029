"""Assemble the bundled example from CREMA-D: one clip of each emotion, by actors held out.

    python scripts/make_example.py ROOT        ROOT: CREMA-D's folder

Which clips is settled by what people heard (RULE), never by a model's answers.
"""

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from affekt import audio
from affekt.atomic import replacing
from affekt.corpora import crema_d
from affekt.corpus import Corpus
from affekt.protocols.eight_labels import HELD_OUT

CLIPS_PER_ACTOR = 2
PAUSE = 1 * audio.SAMPLE_RATE  # 16_000 samples: 1 s of silence between clips
MAX_BYTES = 150_000
RULE = (
    "Of each emotion, in the scheme's order, the clip that the largest share of those raters who"
    " only heard the voice took for what the actor meant (ties: more votes, then the name);"
    " no actor speaks more than twice."
)
FOLDER = Path(__file__).resolve().parents[1] / "src" / "affekt" / "example"
NAME = "crema-d-excerpt"


def main(root: str) -> None:
    """Write the recording and what was said in it."""
    waveform, spoken = assemble(crema_d.load(root))
    recording = FOLDER / f"{NAME}.ogg"
    write_opus(recording, waveform)
    if recording.stat().st_size > MAX_BYTES:
        sys.exit(f"{recording.name} has {recording.stat().st_size} bytes, more than {MAX_BYTES}")
    about = {
        "source": crema_d.CARD["source"],
        "licence": crema_d.CARD["licence"],
        "held_out_actors": list(HELD_OUT),
        "rule": RULE,
        "clips": spoken,
    }
    with replacing(recording.with_suffix(".json")) as temporary:
        temporary.write_text(json.dumps(about, indent=1) + "\n", "utf-8")
    print(f"{recording.name}: {waveform.size / audio.SAMPLE_RATE:.1f} s, "
          f"{recording.stat().st_size} bytes")  # fmt: skip


def assemble(corpus: Corpus) -> tuple[NDArray[np.float32], list[dict[str, Any]]]:
    """Give the samples at 16 kHz, and of each clip where it lies, who spoke, and its votes."""
    counts = count_votes(corpus)
    silence = np.zeros(PAUSE, dtype=np.float32)
    parts: list[NDArray[np.float32]] = []
    spoken: list[dict[str, Any]] = []
    done = 0
    for utterance in choose(corpus, counts):
        if parts:
            parts.append(silence)
            done += PAUSE
        clip = audio.load(corpus.path(utterance))
        parts.append(clip)
        start, done = done, done + clip.size
        spoken.append(
            {
                "start": round(start / audio.SAMPLE_RATE, 3),  # s
                "end": round(done / audio.SAMPLE_RATE, 3),  # s
                "source": utterance,
                "actor": corpus.utterances.at[utterance, "speaker"],
                "text": corpus.utterances.at[utterance, "text"],
                "intended": corpus.labels.loc[utterance].idxmax(),
                "voice_votes": {label: counts[utterance][label] for label in corpus.scheme},
            }
        )
    return np.concatenate(parts), spoken


def choose(corpus: Corpus, counts: dict[str, Counter[str]]) -> list[str]:
    """Apply RULE; utterances in the order in which they are spoken."""
    actors = corpus.utterances["speaker"]
    intended = corpus.labels.idxmax(axis=1)
    chosen: list[str] = []
    for emotion in corpus.scheme:
        taken = Counter(actors[utterance] for utterance in chosen)

        def rank(utterance: str, emotion: str = emotion) -> tuple[float, int, str]:
            votes = counts[utterance]
            return -votes[emotion] / votes.total(), -votes.total(), utterance

        open_to = [actor for actor in HELD_OUT if taken[actor] < CLIPS_PER_ACTOR]
        clips = intended.index[(intended == emotion) & actors.isin(open_to)]
        chosen.append(min(clips, key=rank))
    return chosen


def count_votes(corpus: Corpus) -> dict[str, Counter[str]]:
    """How often each clip was taken for each emotion."""
    if corpus.votes is None:
        sys.exit("the rule needs the crowd's votes: processedResults/tabulatedVotes.csv is missing")
    counts: dict[str, Counter[str]] = {}
    for utterance, label in zip(corpus.votes["utterance"], corpus.votes["label"], strict=True):
        counts.setdefault(utterance, Counter())[label] += 1
    return counts


def write_opus(path: Path, waveform: NDArray[np.float32]) -> None:
    """Write Ogg Opus under the ending .ogg, which every player knows."""
    with (
        replacing(path) as temporary,
        soundfile.SoundFile(
            temporary, "w", audio.SAMPLE_RATE, 1, format="OGG", subtype="OPUS"
        ) as file,
    ):
        for first in range(0, waveform.size, audio.WRITE_FRAMES):
            file.write(waveform[first : first + audio.WRITE_FRAMES])


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit("usage: python scripts/make_example.py ROOT")
    main(sys.argv[1])
