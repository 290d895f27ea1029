"""Statistics of a frozen encoder: right, in order, kept on disk, and computed anew when stale."""

import os
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

import tiny_whisper
from affekt import audio, frozen
from affekt.corpora import toy
from affekt.corpus import Corpus
from affekt.exceptions import AudioError, CorpusError
from affekt.features.logmel import log_mel
from affekt.frozen import statistics
from affekt.scheme import Categories

one_thread = pytest.fixture(scope="module", autouse=True)(tiny_whisper.one_thread)

LAYERS = (0, 2)
FRAME = 320  # samples


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return toy.load(tmp_path_factory.mktemp("toy"))


@pytest.fixture(scope="module")
def corpus(whole):
    """Nine utterances of three speakers, in no order."""
    ids = [f"s0{s}_{e}_1" for e in ("neutral", "anger", "sadness") for s in (3, 1, 2)]
    return whole.select(ids)


@pytest.fixture(scope="module")
def encoder():
    return tiny_whisper.encoder()


@pytest.fixture(scope="module")
def alone(corpus, encoder, tmp_path_factory):
    return statistics(corpus, encoder, LAYERS, store=tmp_path_factory.mktemp("store"))


def padded(waveform):
    return np.pad(waveform, (0, -waveform.size % FRAME))


@torch.inference_mode()
def states_of(encoder, waveform):
    return encoder(torch.from_numpy(log_mel(padded(waveform)))[None])


def naive(states, start, end):
    """Means and deviations of frames start .. end of the chosen layers, by hand."""
    stretches = [states[layer][0, start:end].double() for layer in LAYERS]
    return np.stack([torch.cat([s.mean(0), s.std(0, unbiased=False)]).numpy() for s in stretches])


# what they are


def test_alone_equals_the_encoder_on_each_recording(corpus, encoder, alone):
    assert alone.values.shape == (9, 2, 64)
    assert alone.values.dtype == np.float32
    for row, utterance in enumerate(corpus.utterances.index):
        waveform = audio.load(corpus.path(utterance))
        states = states_of(encoder, waveform)
        expected = naive(states, 0, -(-waveform.size // FRAME))
        np.testing.assert_allclose(alone.values[row], expected, atol=1e-4)


def test_fingerprints_and_lengths_are_those_of_the_recordings(corpus, alone):
    for row, utterance in enumerate(corpus.utterances.index):
        waveform = audio.load(corpus.path(utterance))
        assert alone.fingerprints[utterance] == audio.fingerprint(waveform)
        assert alone.seconds[row] == waveform.size / 16_000


def test_in_context_equals_slices_of_the_states_of_neighbours_joined(
    corpus, encoder, alone, tmp_path
):
    found = statistics(corpus, encoder, LAYERS, store=tmp_path, in_context=True, seed=5)
    plan = frozen._by_speaker(corpus, 5)
    assert sorted(len(sequence) for sequence in plan) == [3, 3, 3]
    rows = {utterance: row for row, utterance in enumerate(corpus.utterances.index)}
    for sequence in plan:
        assert len({utterance[:3] for utterance in sequence}) == 1, "one speaker"
        waveforms = [audio.load(corpus.path(utterance)) for utterance in sequence]
        states = states_of(encoder, np.concatenate(waveforms))
        starts = np.cumsum([0, *(waveform.size for waveform in waveforms)])
        for place, utterance in enumerate(sequence):
            end = starts[place + 1] // FRAME
            if place == len(sequence) - 1:
                end = -(-starts[-1] // FRAME)
            expected = naive(states, starts[place] // FRAME, end)
            np.testing.assert_allclose(found.values[rows[utterance]], expected, atol=1e-4)
    assert found.fingerprints == alone.fingerprints
    np.testing.assert_array_equal(found.seconds, alone.seconds)
    assert np.abs(found.values - alone.values).max() > 0.01, "neighbours are heard"


def test_what_an_utterance_gets_does_not_depend_on_the_others(corpus, encoder, alone, tmp_path):
    few = corpus.select(corpus.utterances.index[[7, 2]])
    found = statistics(few, encoder, LAYERS, store=tmp_path)
    np.testing.assert_allclose(found.values, alone.values[[7, 2]], atol=1e-5)


def test_another_seed_gives_other_neighbours(corpus, encoder, tmp_path):
    runs = [
        statistics(corpus, encoder, LAYERS, store=tmp_path, in_context=True, seed=seed).values
        for seed in (0, 1)
    ]
    assert np.abs(runs[0] - runs[1]).max() > 0.01


def test_a_stretch_of_a_file_is_heard_alone(corpus, encoder, tmp_path):
    rows = corpus.utterances.iloc[:1].assign(start=0.1, end=0.4)
    stretch = replace(corpus.select(rows.index), utterances=rows)
    found = statistics(stretch, encoder, LAYERS, store=tmp_path)
    waveform = audio.load(corpus.path(rows.index[0]), start=0.1, end=0.4)
    assert found.seconds.tolist() == [0.3]
    np.testing.assert_allclose(
        found.values[0], naive(states_of(encoder, waveform), 0, 15), atol=1e-4
    )


# unusual corpora


def recordings(folder, sizes, **columns):
    """A corpus of noise: name -> number of samples."""
    rng = np.random.default_rng(0)
    for name, size in sizes.items():
        noise = (0.1 * rng.standard_normal(size)).astype(np.float32)
        audio.write(folder / f"{name}.wav", noise)
    index = pd.Index(list(sizes), name="utterance")
    utterances = pd.DataFrame({"file": [f"{name}.wav" for name in sizes], **columns}, index=index)
    labels = pd.DataFrame({"a": 1.0, "b": 0.0}, index=index)
    return Corpus("noise", folder, Categories("ab", ("a", "b")), utterances, labels, None, None, {})


def test_a_voice_that_nobody_knows_is_heard_alone(encoder, tmp_path):
    corpus = recordings(
        tmp_path / "c",
        {"u": 5_000, "v": 6_000, "x": 7_000, "y": 8_000},
        speaker=["1", None, "1", None],
    )
    found = statistics(corpus, encoder, LAYERS, store=tmp_path / "s", in_context=True)
    alone = statistics(corpus, encoder, LAYERS, store=tmp_path / "s")
    same = np.isclose(found.values, alone.values, atol=1e-5).all((1, 2))
    assert same.tolist() == [False, True, False, True]


def test_what_is_longer_than_the_encoder_hears_is_cut(encoder, tmp_path):
    corpus = recordings(tmp_path / "c", {"long": 500_000, "brief": 4_000}, speaker="1")
    waveform = audio.load(corpus.path("long"))
    expected = naive(states_of(encoder, waveform[:480_000]), 0, 1500)
    for in_context in (False, True):
        found = statistics(corpus, encoder, LAYERS, store=tmp_path / "s", in_context=in_context)
        np.testing.assert_allclose(found.values[0], expected, atol=1e-3)
        assert found.seconds.tolist() == [31.25, 0.25]


def test_neighbours_fill_thirty_seconds_at_most(encoder, tmp_path):
    sizes = {f"u{number}": 16_000 * 8 for number in range(7)}
    corpus = recordings(tmp_path / "c", sizes, speaker="1")
    plan = frozen._by_speaker(corpus, 0)
    assert [len(sequence) for sequence in plan] == [3, 3, 1]
    assert sorted(u for sequence in plan for u in sequence) == sorted(sizes)


def test_the_shortest_recordings_get_the_frame_they_lie_in(encoder, tmp_path):
    sizes = {"a": 1, "b": 100, "c": 319, "d": 320, "e": 321, "f": 5_000}
    corpus = recordings(tmp_path / "c", sizes, speaker="1")
    alone = statistics(corpus, encoder, LAYERS, store=tmp_path / "s")
    joined = statistics(corpus, encoder, LAYERS, store=tmp_path / "s", in_context=True)
    (sequence,) = frozen._by_speaker(corpus, 0)
    waveforms = [audio.load(corpus.path(utterance)) for utterance in sequence]
    states = states_of(encoder, np.concatenate(waveforms))
    start = 0
    for utterance, waveform in zip(sequence, waveforms, strict=True):
        row = list(sizes).index(utterance)
        first, end = start // FRAME, (start + waveform.size) // FRAME
        if utterance == sequence[-1]:
            end = states[0].shape[1]
        expected = naive(states, first, max(end, first + 1))
        np.testing.assert_allclose(joined.values[row][:, :32], expected[:, :32], atol=1e-4)
        expected = naive(states_of(encoder, waveform), 0, -(-waveform.size // FRAME))
        np.testing.assert_allclose(alone.values[row][:, :32], expected[:, :32], atol=1e-4)
        start += waveform.size


def test_a_table_whose_durations_are_too_short_is_refused(encoder, tmp_path):
    sizes = {"a": 16_000 * 16, "b": 16_000 * 16, "c": 16_000 * 16}
    corpus = recordings(tmp_path / "c", sizes, speaker="1", duration=2.0)
    with pytest.raises(CorpusError, match="last longer than the table's `duration`"):
        statistics(corpus, encoder, LAYERS, store=tmp_path / "s", in_context=True)


def test_a_recording_that_cannot_be_decoded_is_named(encoder, tmp_path):
    corpus = recordings(tmp_path / "c", {"u": 5_000, "v": 5_000}, speaker="1")
    corpus.path("v").write_bytes(b"no sound")
    for in_context in (False, True):
        with pytest.raises(AudioError, match=r"v\.wav"):
            statistics(corpus, encoder, LAYERS, store=tmp_path / "s", in_context=in_context)


# the store


@pytest.fixture
def shards(corpus, encoder, tmp_path, monkeypatch):
    """A filled store of three shards: its files, and a function that asks for it again."""
    monkeypatch.setattr(frozen, "UTTERANCES_PER_SHARD", 3)
    told = []

    def again(**changes):
        told.clear()
        asked = {"corpus": corpus, "encoder": encoder, "layers": LAYERS} | changes
        found = statistics(
            asked["corpus"],
            asked["encoder"],
            asked["layers"],
            store=tmp_path,
            on_utterances=told.append,
        )
        assert sum(told) == len(asked["corpus"])
        return found

    again()
    files = sorted(tmp_path.rglob("*.safetensors"))
    assert [file.name for file in files] == [f"0000{number}.safetensors" for number in range(3)]
    for file in files:
        os.utime(file, ns=(0, 0))
    return files, again


def recomputed(files):
    """Which files have been written since their times were set to 0."""
    return [file.stat().st_mtime_ns != 0 for file in files]


def test_a_full_store_is_read_not_computed(shards, alone):
    files, again = shards
    np.testing.assert_array_equal(again().values, again().values)
    np.testing.assert_allclose(again().values, alone.values, atol=1e-5)
    assert again().fingerprints == alone.fingerprints
    assert recomputed(files) == [False] * 3


def test_what_is_missing_is_computed_and_nothing_else(shards, alone):
    files, again = shards
    files[1].unlink()
    np.testing.assert_allclose(again().values, alone.values, atol=1e-5)
    assert recomputed(files) == [False, True, False]


@pytest.mark.parametrize("data", [b"", b"damaged", None])
def test_a_damaged_file_is_computed_anew(shards, alone, data):
    files, again = shards
    files[2].write_bytes(files[2].read_bytes()[:-100] if data is None else data)
    os.utime(files[2], ns=(0, 0))
    np.testing.assert_allclose(again().values, alone.values, atol=1e-5)
    assert recomputed(files) == [False, False, True]


def test_a_file_of_another_shard_is_computed_anew(corpus, shards):
    """Eight of nine utterances: the last shard has two, and a file of three in its place."""
    files, again = shards
    fewer = corpus.select(corpus.utterances.index[:8])
    expected = again(corpus=fewer)
    (last,) = (
        file for file in files[0].parent.parent.rglob("00002.safetensors") if file != files[2]
    )
    last.write_bytes(files[2].read_bytes())
    np.testing.assert_array_equal(again(corpus=fewer).values, expected.values)


def test_other_weights_layers_or_recordings_have_a_store_of_their_own(corpus, shards):
    files, again = shards
    folders = files[0].parent.parent
    again(encoder=tiny_whisper.encoder(seed=1))
    assert len(list(folders.iterdir())) == 2
    again(layers=(2, 0))
    assert len(list(folders.iterdir())) == 3
    again(corpus=corpus.select(corpus.utterances.index[::-1]))
    assert len(list(folders.iterdir())) == 4
    assert recomputed(files) == [False] * 3


def test_a_recording_that_changed_is_heard_again(encoder, tmp_path):
    corpus = recordings(tmp_path / "c", {"u": 5_000, "v": 5_000}, speaker="1")
    before = statistics(corpus, encoder, LAYERS, store=tmp_path / "s")
    audio.write(corpus.path("v"), np.zeros(5_000, np.float32))
    after = statistics(corpus, encoder, LAYERS, store=tmp_path / "s")
    np.testing.assert_array_equal(after.values[0], before.values[0])
    assert np.abs(after.values[1] - before.values[1]).max() > 0.01
    assert after.fingerprints["v"] != before.fingerprints["v"]


def test_a_copy_of_a_corpus_is_not_heard_again(encoder, tmp_path):
    here = recordings(tmp_path / "c", {"u": 5_000}, speaker="1")
    there = recordings(tmp_path / "elsewhere", {"u": 5_000}, speaker="1")
    os.utime(there.path("u"), ns=(1, 1))
    for corpus in (here, there):
        statistics(corpus, encoder, LAYERS, store=tmp_path / "s")
    assert len(list((tmp_path / "s").iterdir())) == 1


def test_a_run_that_was_stopped_goes_on_where_it_was(corpus, encoder, tmp_path, monkeypatch):
    monkeypatch.setattr(frozen, "UTTERANCES_PER_SHARD", 3)

    def stop(count):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        statistics(corpus, encoder, LAYERS, store=tmp_path, on_utterances=stop)
    (first,) = tmp_path.rglob("*.safetensors")
    os.utime(first, ns=(0, 0))
    statistics(corpus, encoder, LAYERS, store=tmp_path)
    assert len(list(tmp_path.rglob("*.safetensors"))) == 3
    assert recomputed([first]) == [False]
