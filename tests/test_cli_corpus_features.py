"""`affekt corpus features` fills the store."""

import numpy as np
import pytest
from typer.testing import CliRunner

import counted_features
from affekt import audio
from affekt.cli import app
from affekt.corpora import toy
from affekt.exceptions import AffektError
from affekt.store import stored
from counted_features import DUSHA_MEL, shards

corpus = pytest.fixture(scope="module")(counted_features.corpus)
small_shards = pytest.fixture(autouse=True)(counted_features.small_shards)


def run(*words):
    return CliRunner().invoke(app, ["corpus", "features", *map(str, words)])


def test_the_verb_fills_the_store_that_the_function_reads(corpus, tmp_path):
    found = run("toy", corpus.root, "--preset", "dusha", "--out", tmp_path, "--workers", 1)
    assert found.exit_code == 0, found.output
    assert "dusha of 72 utterances of toy" in found.output
    assert "64 x " in found.output
    before = {path: path.stat().st_mtime_ns for path in shards(tmp_path)}
    result = stored(corpus, DUSHA_MEL, store=tmp_path, workers=1)
    assert {path: path.stat().st_mtime_ns for path in shards(tmp_path)} == before
    frames = [shape[1] for shape in result.features.shapes]
    assert f"64 x {min(frames)}..{max(frames)}" in found.output


def test_the_verb_leaves_out_what_the_corpus_excludes(corpus, tmp_path):
    root = tmp_path / "toy"
    toy.make(root)
    victim = toy.load(root).path("s01_anger_1")
    victim.write_bytes(b"")
    found = run("toy", root, "--preset", "lssed", "--out", tmp_path / "store", "--workers", 1)
    assert found.exit_code == 0, found.output
    assert "left out: s01_anger_1 (an empty file)" in found.output
    assert "lssed of 71 utterances" in found.output


@pytest.mark.parametrize(("preset", "frame"), [("dusha", "0.02"), ("lssed", "0.064")])
def test_the_verb_counts_what_is_shorter_than_a_frame(tmp_path, preset, frame):
    for name, seconds in (("long", 0.5), ("between", 0.05), ("short", 0.01), ("least", 0.002)):
        audio.write(tmp_path / f"{name}.wav", np.full(round(16_000 * seconds), 0.1, np.float32))
    rows = "".join(f"{name}.wav,sad\n" for name in ("long", "between", "short", "least"))
    (tmp_path / "mine.csv").write_text(f"file,label\n{rows}")
    found = run("csv", tmp_path / "mine.csv", "--preset", preset, "--out", tmp_path / "store")
    assert found.exit_code == 0, found.output
    first, n = ("short", 2) if preset == "dusha" else ("between", 3)
    assert f"{n} shorter than a frame of {frame} s, which recipes refuse: {first} ..." in (
        " ".join(found.output.split())
    )


def test_the_verb_refuses_an_unknown_preset_with_the_known_ones(corpus, tmp_path):
    found = run("toy", corpus.root, "--preset", "nope", "--out", tmp_path / "store")
    assert isinstance(found.exception, AffektError)
    assert str(found.exception) == (
        "--preset 'nope': there are whisper, dusha, lssed, lssed_denoised"
    )
    assert not (tmp_path / "store").exists()
