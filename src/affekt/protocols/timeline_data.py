"""Recordings with known borders, of speakers that a recogniser was not trained on.

Wang, Ravanelli, Yacoubi (2023, arXiv:2306.12991) and their recipe in SpeechBrain
(recipes/ZaionEmotionDataset) glue one speaker's neutral utterances and utterances of one emotion,
in four patterns, at equal level. So it is here, but that every emotion is taken that the
recogniser knows, not anger, happiness and sadness alone, and that `ee` is always two utterances.
ZED, whose borders people marked, is taken as it is.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from affekt import audio, vad
from affekt.concatenate import NEUTRAL, Concatenation, Recording, sound, usable, utterance
from affekt.corpus import Corpus
from affekt.exceptions import CheckpointError, CorpusError
from affekt.harmonise import harmonise
from affekt.protocols.unseen import unseen
from affekt.scheme import SCHEMES

PATTERNS = ("ne", "en", "nen", "ee")  # n: a neutral utterance, e: one of the emotion
DEEPEST = 60.0  # dB from the loudest to what counts as the quietest of an utterance
WITH_BORDERS = ("zed",)  # corpora whose utterances are the stretches of whole recordings

Float32 = NDArray[np.float32]
Reference = tuple[str, str, Callable[[], Recording]]  # name, speaker, sound with its truth


def unheard(corpus: Corpus, card: Mapping[str, Any]) -> tuple[Corpus, str]:
    """Keep what a recogniser was not trained on, in its words, and say which that is.

    Args:
        corpus: any; its labels are harmonised.
        card: of a recogniser: `labels`, `corpora` with their `speakers`, `untrained_labels`.

    Raises:
        CheckpointError: the card does not say who it was trained on, or its labels are no scheme.
        CorpusError: fewer than two speakers are left.
    """
    scheme = next((s for s in SCHEMES.values() if list(s) == list(card["labels"])), None)
    if scheme is None:
        raise CheckpointError(f"card.json: no scheme has the labels {', '.join(card['labels'])}")
    corpus, which = unseen(corpus, dict(card))
    labels = harmonise(corpus.labels, corpus.name, scheme)
    taught = ~labels.idxmax(axis=1).isin(card.get("untrained_labels", []))
    return corpus.relabel(labels[taught], scheme).select(labels.index[taught]), which


def references(
    corpus: Corpus, n_per_speaker: int, *, seed: int, equal_level: bool = True
) -> list[Reference]:
    """List recordings with known borders; sound is made of one when it is asked for.

    Args:
        corpus: drawn from, or taken as it is where its borders were marked.
        n_per_speaker: how many are drawn of each.
        seed: 0 or more.
        equal_level: whether those drawn are `levelled`.

    Raises:
        CorpusError: as `draw`.
    """
    if corpus.name not in WITH_BORDERS:
        drawn = draw(corpus, n_per_speaker, seed=seed)
        make = partial(_glued, corpus, equal_level=equal_level)
        return [(one.name, one.speaker, partial(make, one)) for one in drawn]
    table = corpus.utterances.join(corpus.labels.idxmax(axis=1).rename("label"))
    found: list[Reference] = []
    for session, rows in table[table["excluded"] == ""].groupby("session", sort=True):
        found.append((str(session), str(rows["speaker"].iloc[0]), partial(_marked, corpus, rows)))
    return found


def draw(corpus: Corpus, n_per_speaker: int, *, seed: int) -> list[Concatenation]:
    """Draw recordings of neutral speech and one emotion, the patterns in turn, speaker by speaker.

    An emotion counts of which a speaker has two utterances, a speaker who has two neutral ones.

    Raises:
        CorpusError: there is no such speaker.
    """
    drawn = []
    for speaker, rows in usable(corpus).groupby("speaker", sort=True):
        pools = {str(k): sorted(map(str, part.index)) for k, part in rows.groupby("label")}
        emotions = sorted(k for k, ids in pools.items() if k != NEUTRAL and len(ids) > 1)
        if not emotions or len(pools.get(NEUTRAL, [])) < 2:
            continue
        for number in range(n_per_speaker):
            rng = np.random.default_rng([seed, number, *str(speaker).encode()])
            emotion = emotions[int(rng.integers(len(emotions)))]
            pattern = PATTERNS[number % len(PATTERNS)]
            labels = tuple(NEUTRAL if part == "n" else emotion for part in pattern)
            shuffled = {k: iter(rng.permutation(pools[k]).tolist()) for k in (NEUTRAL, emotion)}
            ids = tuple(next(shuffled[label]) for label in labels)
            silences = (0,) * (len(ids) - 1)
            drawn.append(Concatenation(f"{speaker}/{number}", str(speaker), ids, labels, silences))
    if not drawn:
        raise CorpusError(f"{corpus.name}: no speaker has neutral speech and an emotion, two each")
    return drawn


def spoken(corpus: Corpus, id_: str) -> Float32:
    """Decode an utterance, and cut off what is quiet before and behind its speech.

    Quiet is a tenth of a second nearer, in dB, to the quietest one than to the loudest, or 30 dB
    below the loudest. `affekt.vad` would leave noise there, as it is shy of calling it a pause.

    Raises:
        AudioError: it cannot be decoded.
    """
    waveform = utterance(corpus, id_)
    levels = vad.levels(waveform, audio.SAMPLE_RATE)
    threshold = levels.max() - min(float(np.ptp(levels)), DEEPEST) / 2
    size = round(vad.LEVEL_SECONDS * audio.SAMPLE_RATE)
    heard = np.flatnonzero(levels >= threshold)
    return waveform[heard[0] * size : (heard[-1] + 1) * size]


def levelled(recording: Recording) -> Recording:
    """Bring each piece to the root mean square of the first; silent ones stay.

    Where a sample would exceed full scale, all of them are scaled down alike.

    Args:
        recording: whose segments tile it.
    """
    edges = [round(start * audio.SAMPLE_RATE) for start, _, _ in recording.segments]
    pieces = np.split(recording.waveform, edges[1:])
    levels = [float(np.sqrt(np.mean(np.square(piece, dtype=np.float64)))) for piece in pieces]
    gains = [levels[0] / level if level and levels[0] else 1.0 for level in levels]
    heard = np.concatenate([np.float32(k) * x for k, x in zip(gains, pieces, strict=True)])
    heard /= max(1.0, float(np.abs(heard).max()))
    return Recording(heard, recording.segments)


def _glued(corpus: Corpus, drawn: Concatenation, *, equal_level: bool) -> Recording:
    made = sound(corpus, drawn, load=partial(spoken, corpus))
    return levelled(made) if equal_level else made


def _marked(corpus: Corpus, rows: pd.DataFrame) -> Recording:
    spans = rows[["start", "end", "label"]].sort_values("start")
    samples = audio.load(corpus.path(str(rows.index[0])))
    return Recording(samples, tuple(spans.itertuples(index=False, name=None)))
