"""Small trees in a corpus's layout, made up for a test, and what is read from them."""

import numpy as np

from affekt import audio
from media import encode, tone

TONE = (0.1 * np.sin(np.arange(800) / 5)).astype(np.float32)  # 0.05 s at 16 kHz


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def sound(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    audio.write(path, TONE)


def plant(root, files):
    """Write a short sound under every name; films are containers with a picture."""
    for file in files:
        path = root / file
        if path.suffix in (".avi", ".mp4"):
            path.parent.mkdir(parents=True, exist_ok=True)
            encode(path, tone(0.2, 44_100), "libmp3lame", 44_100, picture=True)
        else:
            sound(path)
    return root


def said(corpus):
    """The strongest label of each utterance."""
    return corpus.labels.idxmax(axis=1).to_dict()


def rows(table, *columns):
    return list(table[list(columns)].itertuples(index=False, name=None))


def numbers(ratings):
    return {
        (u, r, d): v for u, r, d, v in rows(ratings, "utterance", "rater", "dimension", "value")
    }
