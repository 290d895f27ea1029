"""Small tables of votes, and `affekt` run on them as its program runs."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from affekt import cli
from affekt.scheme import Categories

SAID = """utterance,rater,label,gold
a1,ann,anger,anger
a1,bob,anger,anger
a1,cid,neutral,anger
a2,ann,neutral,neutral
a2,bob,neutral,neutral
a2,cid,neutral,neutral
b1,ann,anger,
b1,bob,anger,
b1,cid,neutral,
b2,ann,sadness,
b2,bob,sadness,
b2,cid,neutral,
b3,ann,neutral,
b3,bob,sadness,
"""
PLAIN = "utterance,rater,label\n1,x,calm\n1,y,fear\n2,x,fear\n2,y,fear\n"
DIGITS = Categories("digits", tuple("012345"))


def place(tmp_path):
    def put(name: str, text: str | bytes) -> str:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(path)

    return put


def affekt(monkeypatch, capsys):
    """Run the command line as its program does; give what it prints, or what it complains of."""

    def run(*words: object, code: int = 0) -> str:
        monkeypatch.setattr(sys, "argv", ["affekt", *map(str, words)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        said = capsys.readouterr()
        assert (end.value.code or 0) == code, said.err
        return said.err if code else said.out

    return run


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def both(monkeypatch, capsys):
    """Run a command that succeeds; give what it prints and what it warns of."""

    def run(*words: object) -> tuple[str, str]:
        monkeypatch.setattr(sys, "argv", ["affekt", *map(str, words)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        said = capsys.readouterr()
        assert not end.value.code, said.err
        return said.out, said.err

    return run


def votes(labels):
    """Long table of a list of rows, one row an utterance, one entry a rater; None: no vote."""
    rows = [
        (f"u{i}", f"r{j}", str(label))
        for i, row in enumerate(labels)
        for j, label in enumerate(row)
        if label is not None
    ]
    return pd.DataFrame(rows, columns=["utterance", "rater", "label"])


def ratings(values, dimension="arousal"):
    table = votes([[None if np.isnan(x) else x for x in row] for row in np.array(values, float)])
    numbers = table.pop("label").astype(float)
    return table.assign(dimension=dimension, value=numbers)


def answers():
    """Votes of 30 utterances by 5 raters, a third of them missing, all utterances with two."""
    rng = np.random.default_rng(11)
    truth = rng.integers(6, size=(30, 1))
    said = np.where(rng.random((30, 5)) < 0.6, truth, rng.integers(6, size=(30, 5)))
    gone = rng.random((30, 5)) < 0.33
    gone[:, :2] = False
    return [
        [None if g else int(s) for s, g in zip(*row, strict=True)]
        for row in zip(said, gone, strict=True)
    ]
