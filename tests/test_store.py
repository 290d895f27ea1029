"""The store of features: right, in order, computed once, and anew where it is stale or damaged."""

import json
import os
import pickle
import signal
import subprocess
import sys
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from affekt import audio
from affekt import store as room
from affekt.cli import app
from affekt.corpora import toy
from affekt.decode import AudioWarning
from affekt.exceptions import AffektError, AudioError
from affekt.features import DUSHA, LSSED, log_mel
from affekt.features.shortterm34 import shortterm34
from affekt.store import file_hashes, n_cores, stored

DUSHA_MEL = partial(log_mel, preset=DUSHA)
CALLS = []


def counted(waveform):
    """Its first samples; notes that it was asked."""
    CALLS.append(waveform.size)
    return waveform[: 10 + waveform.size % 5].copy()


def times(waveform, factor):
    return waveform * np.float32(factor)


def refusing(waveform):
    """Takes nothing but the test sound of one second."""
    if waveform.size != audio.SAMPLE_RATE:
        raise AudioError("too strange")
    return waveform


def ending(waveform):
    """Ends the process, unless it hears the test sound."""
    if waveform.size != audio.SAMPLE_RATE:
        os._exit(3)
    return waveform


def of_many_kinds(waveform):
    return waveform[: waveform.size // 2].astype(float) if waveform.size % 2 else waveform[None]


def nothing(waveform):
    return waveform[:0].reshape(0, 34)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return toy.load(tmp_path_factory.mktemp("toy"))


@pytest.fixture
def few(corpus):
    """Twenty utterances in no order."""
    return corpus.select(corpus.utterances.index[np.random.default_rng(0).permutation(72)[:20]])


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(room, "UTTERANCES_PER_SHARD", 8)
    CALLS.clear()


def shards(folder):
    return sorted(folder.rglob("*.safetensors"))


def in_process(corpus, compute, store, **settings):
    """What is stored, and how often the function was asked apart from the test sound."""
    CALLS.clear()
    found = stored(corpus, compute, store=store, workers=1, **settings)
    return found, len(CALLS) - 1


# what it gives


@pytest.mark.parametrize("workers", [1, 2])
def test_features_are_those_of_each_recording_in_the_tables_order(few, tmp_path, workers):
    done = []
    found = stored(few, DUSHA_MEL, store=tmp_path, workers=workers, on_utterances=done.append)
    assert len(found.features) == len(found.seconds) == 20
    assert list(found.fingerprints) == list(few.utterances.index)
    for row, utterance in enumerate(few.utterances.index):
        waveform = audio.load(few.path(utterance))
        np.testing.assert_array_equal(found.features[row], log_mel(waveform, DUSHA))
        assert found.features[row].dtype == np.float32
        assert found.fingerprints[utterance] == audio.fingerprint(waveform)
        assert found.seconds[row] == waveform.size / 16_000
    assert found.features.shapes == [mel.shape for mel in found.features]
    assert sum(done) == 20
    assert sorted(done) == [0, 4, 8, 8]
    assert len(shards(tmp_path)) == 3


def test_double_precision_and_other_shapes_are_kept(few, tmp_path):
    compute = partial(shortterm34, sample_rate=16_000, window=0.2, hop=0.1)
    found, _ = in_process(few, compute, tmp_path)
    assert found.features[3].dtype == np.float64
    expected = compute(audio.load(few.path(few.utterances.index[3])))
    np.testing.assert_array_equal(found.features[3], expected)


def test_no_frames_at_all_are_a_result(few, tmp_path):
    found, _ = in_process(few, nothing, tmp_path)
    assert found.features[7].shape == (0, 34)


def test_the_sequence_is_indexed_as_lists_are(few, tmp_path):
    found, _ = in_process(few, counted, tmp_path)
    np.testing.assert_array_equal(found.features[-1], found.features[19])
    for ours, theirs in zip(found.features[3:9:2], (3, 5, 7), strict=True):
        np.testing.assert_array_equal(ours, found.features[theirs])
    with pytest.raises(IndexError):
        found.features[20]


def test_what_a_caller_writes_into_an_array_is_not_stored(few, tmp_path):
    found, _ = in_process(few, counted, tmp_path)
    before = found.features[0].copy()
    found.features[0][:] = 7.0
    np.testing.assert_array_equal(found.features[0], before)
    again, _ = in_process(few, counted, tmp_path)
    np.testing.assert_array_equal(again.features[0], before)


def test_it_can_be_sent_to_other_processes_without_its_arrays(few, tmp_path):
    found, _ = in_process(few, DUSHA_MEL, tmp_path)
    assert found.features[0].nbytes > 10_000
    assert len(pickle.dumps(found.features)) < 10_000


def test_opening_reads_little_into_memory(few, tmp_path):
    in_process(few, DUSHA_MEL, tmp_path)
    found, _ = in_process(few, DUSHA_MEL, tmp_path)
    assert found.features._opened == {}, "nothing is opened before it is asked for"
    found.features[0]
    assert len(found.features._opened) == 1


def test_an_empty_corpus_gives_an_empty_sequence(corpus, tmp_path):
    found, asked = in_process(corpus.select([]), counted, tmp_path)
    assert (len(found.features), found.fingerprints, found.seconds.shape) == (0, {}, (0,))
    assert asked == 0


# computed once


def test_what_is_there_is_not_computed_again(few, tmp_path):
    first, asked = in_process(few, counted, tmp_path)
    assert asked == 20
    second, asked = in_process(few, counted, tmp_path)
    assert asked == 0
    for ours, theirs in zip(first.features, second.features, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_part_in_another_order_and_a_larger_corpus_share_what_is_there(corpus, few, tmp_path):
    in_process(few, counted, tmp_path)
    part = few.select(few.utterances.index[[9, 2, 14]])
    found, asked = in_process(part, counted, tmp_path)
    assert asked == 0
    waveform = audio.load(part.path(part.utterances.index[1]))
    np.testing.assert_array_equal(found.features[1], waveform[: found.features[1].size])
    assert in_process(corpus, counted, tmp_path)[1] == 72 - 20


def test_one_sound_under_two_names_is_computed_once(few, tmp_path):
    rows = few.utterances.iloc[[0, 0, 1]].copy()
    rows.index = pd.Index(["a", "b", "c"], name="utterance")
    twins = replace(few, utterances=rows, labels=few.labels.iloc[:0])
    done = []
    found, asked = in_process(twins, counted, tmp_path, on_utterances=done.append)
    assert asked == 2
    assert sum(done) == 3
    np.testing.assert_array_equal(found.features[0], found.features[1])


def test_a_recording_with_other_content_is_computed_anew(few, tmp_path):
    copy = replace(few, root=tmp_path / "copy")
    for utterance in few.utterances.index:
        audio.write(copy.path(utterance), audio.load(few.path(utterance)))
    in_process(copy, counted, tmp_path / "store")
    changed = copy.path(few.utterances.index[4])
    audio.write(changed, -audio.load(changed))
    found, asked = in_process(copy, counted, tmp_path / "store")
    assert asked == 1
    np.testing.assert_array_equal(found.features[4], audio.load(changed)[: found.features[4].size])


def test_stretches_of_one_file_are_told_apart(few, tmp_path):
    rows = few.utterances.iloc[[0, 0, 0]].assign(
        start=[np.nan, 0.1, 0.1], end=[np.nan, np.nan, 0.3]
    )
    rows.index = pd.Index(["whole", "rest", "middle"], name="utterance")
    cut = replace(few, utterances=rows, labels=few.labels.iloc[:0])
    found, _ = in_process(cut, partial(times, factor=1.0), tmp_path)
    whole = audio.load(few.path(few.utterances.index[0]))
    for ours, expected in zip(found.features, (whole, whole[1600:], whole[1600:4800]), strict=True):
        np.testing.assert_array_equal(ours, expected)


@pytest.mark.parametrize(
    "other",
    [
        partial(log_mel, preset=LSSED),
        partial(log_mel, preset=replace(DUSHA, floor=1e-12)),  # the test sound does not show it
        log_mel,
    ],
)
def test_other_settings_have_another_place(few, tmp_path, other):
    assert room._folder_name(other) != room._folder_name(DUSHA_MEL)
    stored(few, DUSHA_MEL, store=tmp_path, workers=1)
    found = stored(few, other, store=tmp_path, workers=1)
    waveform = audio.load(few.path(few.utterances.index[0]))
    np.testing.assert_array_equal(found.features[0], other(waveform))


def test_a_function_whose_code_changed_has_another_place(monkeypatch):
    before = room._folder_name(partial(times, factor=2))
    assert room._folder_name(partial(times, factor=2)) == before

    def changed(waveform, factor):
        return waveform * factor + 1

    changed.__module__, changed.__qualname__, changed.__name__ = __name__, "times", "times"
    assert room._folder_name(partial(changed, factor=2)) != before


@pytest.mark.parametrize(
    "compute", [lambda waveform: waveform, partial(times, factor=np.ones(1)), DUSHA.__eq__]
)
def test_a_function_without_a_name_to_be_known_by_is_refused(few, tmp_path, compute):
    with pytest.raises(TypeError, match="methods and arrays have no name"):
        stored(few, compute, store=tmp_path, workers=1)


def test_equal_settings_in_another_order_are_the_same():
    one = partial(shortterm34, sample_rate=16_000, window=0.2, hop=0.1)
    other = partial(shortterm34, hop=0.1, window=0.2, sample_rate=16_000)
    assert room._folder_name(one) == room._folder_name(other)


# stopped, damaged, missing


@pytest.mark.parametrize("harm", ["cut", "emptied", "foreign", "removed", "inconsistent"])
def test_a_damaged_file_of_the_store_is_computed_anew(few, tmp_path, harm):
    before, _ = in_process(few, counted, tmp_path)
    kept = [array.copy() for array in before.features]
    victim = shards(tmp_path)[1]
    content = victim.read_bytes()
    if harm == "cut":
        victim.write_bytes(content[:-20])
    elif harm == "emptied":
        victim.write_bytes(b"")
    elif harm == "foreign":
        victim.write_bytes(b"this is no store " * 20)
    elif harm == "removed":
        victim.unlink()
    else:  # a header with more lengths than utterances
        length = int.from_bytes(content[:8], "little")
        header = json.loads(content[8 : 8 + length])
        header["seconds"]["dtype"], header["seconds"]["shape"] = "F32", [16]
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 8)
        victim.write_bytes(len(text).to_bytes(8, "little") + text + content[8 + length :])
    after, asked = in_process(few, counted, tmp_path)
    assert asked in (4, 8)
    assert len(shards(tmp_path)) == 3
    for ours, theirs in zip(after.features, kept, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(("harm", "workers"), [("missing", 1), ("damaged", 2)])
def test_a_recording_that_cannot_be_read_is_named_and_the_rest_kept(few, tmp_path, workers, harm):
    copy = replace(few, root=tmp_path / "copy")
    for utterance in few.utterances.index:
        audio.write(copy.path(utterance), audio.load(few.path(utterance)))
    victim = copy.path(few.utterances.index[18])  # in the last of three shards
    sound = audio.load(victim)
    if harm == "missing":
        victim.unlink()
    else:
        victim.write_bytes(b"no sound")
    with pytest.raises(AudioError, match=rf"{victim.name}: .*: leave it out of the table, or"):
        stored(copy, counted, store=tmp_path / "store", workers=workers)
    assert len(shards(tmp_path / "store")) == 2
    audio.write(victim, sound)
    found, asked = in_process(copy, counted, tmp_path / "store")
    assert asked == 4
    assert len(found.features) == 20


def test_what_the_function_refuses_names_the_recording(few, tmp_path):
    name = few.path(few.utterances.index[0]).name
    with pytest.raises(AudioError, match=f"{name}: too strange"):
        stored(few, refusing, store=tmp_path, workers=1)


def test_arrays_of_several_kinds_are_refused(few, tmp_path):
    odd = replace(few, root=tmp_path)
    for row, utterance in enumerate(few.utterances.index):
        audio.write(odd.path(utterance), np.zeros(100 + row, np.float32))
    with pytest.raises(TypeError, match="of_many_kinds gives arrays of several kinds"):
        stored(odd, of_many_kinds, store=tmp_path / "store", workers=1)


def test_a_worker_that_dies_is_told_with_the_remedy(few, tmp_path):
    with pytest.raises(AffektError, match=r"a worker process ended .* workers=1"):
        stored(few, ending, store=tmp_path, workers=2)


def test_a_recording_cut_short_is_used_with_a_warning_from_another_process(corpus, tmp_path):
    copy = replace(corpus.select(corpus.utterances.index[:10]), root=tmp_path / "copy")
    for utterance in copy.utterances.index:
        audio.write(copy.path(utterance), audio.load(corpus.path(utterance)))
    victim = copy.path(copy.utterances.index[9])
    victim.write_bytes(victim.read_bytes()[:-4000])
    with pytest.warns(AudioWarning, match=victim.name):
        found = stored(copy, counted, store=tmp_path / "store", workers=2)
    assert found.seconds[9] < copy.with_durations().utterances["duration"].iloc[9] + 1


SLOW = """
import sys, time
from pathlib import Path
from affekt import store
from affekt.corpora import toy

store.UTTERANCES_PER_SHARD = 8

def slow(waveform):
    time.sleep(0.02)
    return waveform

if __name__ == "__main__":
    done = lambda count: print(count, flush=True)
    store.stored(toy.load(Path(sys.argv[1])), slow, store=Path(sys.argv[2]),
                 workers=int(sys.argv[3]), on_utterances=done)
"""


def test_an_interrupt_leaves_what_is_finished_and_nothing_half_written(corpus, tmp_path):
    script, store = tmp_path / "slow.py", tmp_path / "store"
    script.write_text(SLOW)
    running = subprocess.Popen(
        [sys.executable, script, corpus.root, store, "2"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert running.stdout is not None
    assert running.stdout.readline() == "0\n"
    assert running.stdout.readline() == "8\n"
    os.killpg(running.pid, signal.SIGINT)  # as a terminal does: to every process of the group
    _, said = running.communicate(timeout=30)
    assert running.returncode != 0
    assert said.count("Traceback") == 1, "the workers say nothing"
    assert "KeyboardInterrupt" in said
    files = [path for path in store.rglob("*") if path.is_file()]
    assert 1 <= len(files) < 9
    assert not [path for path in files if path.name.startswith(".")]
    kept = {path: path.stat().st_mtime_ns for path in files}
    again = [sys.executable, script, corpus.root, store, "1"]
    done = subprocess.run(again, check=True, capture_output=True, text=True)
    assert done.stdout.split()[0] == str(8 * len(kept))
    assert {path: path.stat().st_mtime_ns for path in kept} == kept


# small things


def test_files_are_hashed_by_content_and_absent_ones_as_empty(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    hashes = file_hashes([tmp_path / "a", tmp_path / "b", tmp_path])
    # FIPS 180-2's examples
    assert hashes[tmp_path / "a"] == (
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert hashes[tmp_path / "b"] == hashes[tmp_path] == empty


def test_cores_are_those_this_process_may_use():
    assert 1 <= n_cores() <= (os.cpu_count() or 1)


# the command line


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
