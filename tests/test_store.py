"""The store of features: right, in order, computed once, and anew where it is stale."""

import os
import pickle
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest

import counted_features
from affekt import audio
from affekt import store as room
from affekt.features import DUSHA, LSSED, log_mel
from affekt.features.shortterm34 import shortterm34
from affekt.store import file_hashes, n_cores, stored
from counted_features import DUSHA_MEL, counted, in_process, shards

corpus = pytest.fixture(scope="module")(counted_features.corpus)
few = pytest.fixture(counted_features.few)
small_shards = pytest.fixture(autouse=True)(counted_features.small_shards)


def times(waveform, factor):
    return waveform * np.float32(factor)


def nothing(waveform):
    return waveform[:0].reshape(0, 34)


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
