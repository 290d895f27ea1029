"""A synthetic tree in the layout of Dusha's release: raters of known confusion, no recordings.

At scale 1 it has the release's number of rows. By hand, as large as wished:
`python tests/dusha_tree.py FOLDER [SCALE] [.jsonl|.tsv]`.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

WORDS = ("angry", "sad", "neutral", "positive", "other")
CODES = {"positive": 1, "neutral": 2, "sad": 3, "angry": 4, "other": 5}
FIELDS = (
    *("hash_id", "audio_path", "duration", "annotator_emo", "golden_emo", "annotator_id"),
    *("speaker_text", "speaker_emo", "source_id"),
)
SIZES = {  # recordings and annotations
    "crowd_train": (184_600, 898_136),
    "crowd_test": (17_250, 78_205),
    "podcast_train": (90_100, 645_813),
    "podcast_test": (12_013, 83_447),
}
PRIORS = {
    "crowd": (0.104, 0.142, 0.650, 0.094, 0.010),
    "podcast": (0.023, 0.013, 0.897, 0.065, 0.002),
}
PHRASES = (
    "добрый вечер", "как ты устал", '"война и мир" на ночь', "какой молодец", 'скажи "да',
    "это был не я", "ну и погода сегодня", "где мои ключи", "включи музыку погромче", '"',
)  # fmt: skip
N_RATERS = 5000
HONEYPOTS = 0.01


@dataclass(frozen=True)
class Planted:
    """What the tree was made from: hash_id -> word, and each rater's confusion."""

    truth: dict[str, str]
    honeypots: frozenset[str]
    confusion: np.ndarray  # (n_raters, truth, answer)
    n_votes: int


def make(
    root: Path,
    *,
    scale: float = 1.0,
    ending: str = ".jsonl",
    audio_field: str = "audio_path",
    seed: int = 0,
) -> Planted:
    """Write raw_*.jsonl or .tsv of the four subsets below `root`."""
    rng = np.random.default_rng(seed)
    n_raters = max(20, int(N_RATERS * scale))
    confusion = _confusions(n_raters, rng)
    truth: dict[str, str] = {}
    honeypots: set[str] = set()
    n_written = 0
    for number, (subset, (n, n_votes)) in enumerate(SIZES.items()):
        n, n_votes = max(5, int(n * scale)), max(20, int(n_votes * scale))
        ids = [f"{number}{word:015x}" for word in rng.integers(2**60, size=n)]
        domain = subset.split("_")[0]
        true = rng.choice(5, size=n, p=PRIORS[domain])
        golden = rng.random(n) < HONEYPOTS
        golden[0] = True
        recording, rater = _who(n, n_votes, n_raters, rng)
        sure = confusion[rater, true[recording]].cumsum(axis=1)
        answer = np.minimum((rng.random((len(rater), 1)) > sure).sum(axis=1), 4)
        parts = _parts(ids, true, golden, domain, ending, rng)
        lines = _lines(parts, recording, rater, answer, ending)
        head = [] if ending == ".jsonl" else ["\t".join(FIELDS).replace("audio_path", audio_field)]
        text = "\n".join([*head, *lines]) + "\n"
        if ending == ".jsonl":
            text = text.replace('"audio_path"', f'"{audio_field}"')
        (root / subset).mkdir(parents=True, exist_ok=True)
        (root / subset / f"raw_{subset}{ending}").write_text(text, encoding="utf-8")
        truth |= {id: WORDS[k] for id, k in zip(ids, true, strict=True)}
        honeypots |= {id for id, control in zip(ids, golden, strict=True) if control}
        n_written += len(lines)
    return Planted(truth, frozenset(honeypots), confusion, n_written)


def _confusions(n_raters: int, rng: np.random.Generator) -> np.ndarray:
    """Right answers in 70 to 95 %, wrong ones mostly `neutral`."""
    skill = rng.uniform(0.70, 0.95, size=(n_raters, 5))
    wrong = np.tile([1.0, 1.0, 3.0, 1.0, 0.3], (5, 1)) * (1 - np.eye(5))
    wrong /= wrong.sum(axis=1, keepdims=True)
    diagonal = np.eye(5) * skill[:, :, None]
    return diagonal + wrong * (1 - skill[:, :, None])


def _who(
    n: int, n_votes: int, n_raters: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Recording and rater of each vote: at least three votes each, no rater twice on one."""
    more = rng.multinomial(max(0, n_votes - 3 * n), np.full(n, 1 / n))
    counts = np.minimum(3 + more, n_raters)
    recording = np.repeat(np.arange(n), counts)
    turn = np.arange(len(recording)) - np.repeat(np.cumsum(counts) - counts, counts)
    first = rng.integers(n_raters, size=n)
    rater = (first[recording] + turn) % n_raters
    mixed = rng.permutation(len(recording))
    return recording[mixed], rater[mixed]


def _parts(
    ids: list[str],
    true: np.ndarray,
    golden: np.ndarray,
    domain: str,
    ending: str,
    rng: np.random.Generator,
) -> list[tuple[str, str, str]]:
    """Of each recording what comes before the answer, between answer and rater, and after."""
    seconds = np.clip(rng.gamma(9, 0.5, size=len(ids)), 0.3, 20).round(3)
    texts = rng.integers(len(PHRASES), size=(len(ids), 2))
    sources = rng.integers(max(2, len(ids) // 90), size=len(ids))
    parts = []
    for i, id in enumerate(ids):
        text = " ".join(PHRASES[k] for k in texts[i])
        acted = WORDS[true[i]] if domain == "crowd" and true[i] < 4 else None
        code, source = CODES[WORDS[true[i]]], f"{domain[0]}{sources[i]:05x}"
        if ending == ".tsv":
            gold = str(code) if golden[i] else ""
            parts.append((f"{id}\twavs/{id}.wav\t{seconds[i]}\t", f"\t{gold}\t",
                          f"\t{text}\t{acted or ''}\t{source}"))  # fmt: skip
        else:
            gold = f"{code}.0" if golden[i] else "NaN"
            tail = {"speaker_text": text, "speaker_emo": acted, "source_id": source}
            parts.append((
                f'{{"hash_id": "{id}", "audio_path": "wavs/{id}.wav", "duration": {seconds[i]}, '
                '"annotator_emo": "', f'", "golden_emo": {gold}, "annotator_id": "',
                '", ' + json.dumps(tail, ensure_ascii=False)[1:].replace("null", "NaN"),
            ))  # fmt: skip
    return parts


def _lines(
    parts: list[tuple[str, str, str]],
    recording: np.ndarray,
    rater: np.ndarray,
    answer: np.ndarray,
    ending: str,
) -> list[str]:
    people = [f"{k:032x}" for k in range(int(rater.max()) + 1)]
    rows = zip(recording.tolist(), rater.tolist(), answer.tolist(), strict=True)
    return [parts[i][0] + WORDS[a] + parts[i][1] + people[who] + parts[i][2] for i, who, a in rows]


if __name__ == "__main__":
    folder, *more = sys.argv[1:]
    done = make(
        Path(folder),
        scale=float(more[0]) if more else 1.0,
        ending=more[1] if len(more) > 1 else ".jsonl",
    )
    print(f"{done.n_votes} annotations of {len(done.truth)} recordings in {folder}")
