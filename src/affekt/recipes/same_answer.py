"""Does a recogniser say the same when a codec, a telephone line or babble changed the recording?

The answer to a recording is compared with the answer to what is left of it after Opus at
24 kbit/s, a telephone band with 8 bits by G.711, MP3 at 64 kbit/s (real codecs, mono, 16 kHz) and
babble of other speakers of the same corpus at 10 dB. It takes no training: `--corpus` are tests.
Only what the recogniser was not trained on is used: of its own training corpora speakers that its
card does not name, of others everything; at most 500 utterances of each, drawn by the seed.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pandas as pd

from affekt import recognizer
from affekt.atomic import replacing
from affekt.augment.channels import telephone, transcoded
from affekt.augment.waveforms import Float32, noise
from affekt.concatenate import utterance
from affekt.corpus import Corpus
from affekt.exceptions import AudioError
from affekt.harmonise import harmonise
from affekt.protocols.clips import View
from affekt.protocols.probe import RunOptions
from affekt.protocols.results import Result, write
from affekt.protocols.unseen import unseen
from affekt.report import evaluate, restrict
from affekt.scheme import SCHEMES, Categories
from affekt.store import n_cores

READS = frozenset({"model"})
LIMIT = 500  # utterances of a corpus
BAND = (300.0, 3_400.0)  # Hz: narrowband telephony, nominally
BABBLE = 10.0  # dB of the speech over the babble
WANTED = {"opus-24-kbit": 0.95, "telephone": 0.90, "mp3-64-kbit": 0.95, "babble-10-db": 0.85}
UNCHANGED = "as recorded"
SAID = "accuracy is the share of recordings whose likeliest label is still the same, of all labels"
COLUMNS = ("what", "split", "n", "same answer", "wanted", "accuracy", "UAR", "command")


def main(options: RunOptions) -> list[Result]:
    """Ask about every corpus; write a report of each change, and `same_answer.md` of all."""
    model = recognizer.load(options.model, threads=1)
    lines = [f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|"]
    results = []
    for corpus in options.corpora.values():
        results += _run(corpus, model, options, lines)
    with replacing(options.out / "same_answer.md") as temporary:
        temporary.write_text("\n".join(lines) + "\n", "utf-8")
    return results


def changed(
    waveform: Float32, others: Sequence[Float32], rng: np.random.Generator
) -> dict[str, Float32]:
    """Give the waveform after each change of `WANTED`; `others` are utterances to babble."""
    made = [
        transcoded(waveform, "libopus", "ogg", bits_per_second=24_000),
        telephone(waveform, rng, lows=(BAND[0],) * 2, highs=(BAND[1],) * 2),
        transcoded(waveform, "libmp3lame", "mp3", bits_per_second=64_000),
        noise(waveform, rng, decibels=(BABBLE,) * 2, others=others, colour="babble"),
    ]
    return dict(zip(WANTED, made, strict=True))


def _answers(
    part: Corpus, model: recognizer.Recognizer, options: RunOptions
) -> dict[str, pd.DataFrame]:
    """Answer drawn utterances, unchanged and after each change: one predictions table each."""
    order = np.random.default_rng(options.seed).permutation(len(part))
    drawn = part.utterances.index[np.sort(order[:LIMIT])]
    voices = part.utterances["speaker"]
    tell = options.progress(f"{part.name}, {len(WANTED)} changes", len(drawn))

    def asked(number: int) -> list[dict[str, float]]:
        id_ = str(drawn[number])
        strangers = voices.index[voices != voices[id_]]
        decoded = View(strangers, [0] * len(strangers), change=partial(utterance, part))
        waveform = utterance(part, id_)
        try:
            heard = changed(waveform, decoded, np.random.default_rng((options.seed, number)))
            return [model.predict(one) for one in (waveform, *heard.values())]
        except AudioError as problem:
            raise AudioError(f"{id_}: {problem}") from None

    rows = []
    with ThreadPoolExecutor(n_cores()) as pool:  # each runs the network on one thread
        for row in pool.map(asked, range(len(drawn))):
            rows.append(row)
            tell(1)
    columns = zip((UNCHANGED, *WANTED), zip(*rows, strict=True), strict=True)
    return {name: pd.DataFrame(list(column), index=drawn) for name, column in columns}


def _run(
    corpus: Corpus, model: recognizer.Recognizer, options: RunOptions, lines: list[str]
) -> list[Result]:
    part, split = unseen(corpus, model.card)
    answers = _answers(part, model, options)
    named = (scheme for scheme in SCHEMES.values() if scheme.labels == model.labels)
    target = next(named, Categories(str(model.card.get("name")), model.labels))
    truth = harmonise(part.labels, part.name, target)
    allowed = [label for label in target if truth[label].max() > 0]
    compared = partial(evaluate, speakers=part.utterances["speaker"], seed=options.seed)
    results, notes = [], []
    for name, answer in answers.items():
        right = compared(*restrict(truth.loc[answer.index], answer, allowed)[:2])
        estimates = [right.accuracy, right.unweighted_average_recall]
        notes.append(f"{name}: of its labels accuracy {estimates[0]}, UAR {estimates[1]}")
        same = compared(answers[UNCHANGED], answer, notes=[SAID, notes[0], notes[-1]])
        cells = [f"{part.name}, {name}", split, f"{len(answer)} of {len(part)}", same.accuracy]
        cells += [WANTED.get(name, ""), *estimates, f"`{options.command}`"]
        lines.append(f"| {' | '.join(map(str, cells))} |")
        if name in WANTED:
            what, folder = f"{part.name}, same answer, {name}", options.out / part.name / name
            results.append(write(same, answer, folder, what, split, options))
    return results
