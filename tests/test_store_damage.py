"""The store of features: stopped, damaged, and of recordings that cannot be read."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

import counted_features
from affekt import audio
from affekt.decode import AudioWarning
from affekt.exceptions import AffektError, AudioError
from affekt.store import stored
from counted_features import counted, in_process, shards

corpus = pytest.fixture(scope="module")(counted_features.corpus)
few = pytest.fixture(counted_features.few)
small_shards = pytest.fixture(autouse=True)(counted_features.small_shards)


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
