"""Sequences of 30 s: what fits, who is heard how often, that it ends, and each frame's target."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from affekt import audio, augment
from affekt.corpora import toy
from affekt.corpus import Corpus, concat
from affekt.exceptions import CorpusError
from affekt.sampler import (
    Piece,
    Sampling,
    Segment,
    decoded,
    pieces,
    sequences,
    sound,
    targets,
    without_pauses,
)
from affekt.scheme import Categories

TWO = Categories("two", ("calm", "anger"))


def pool_of(seconds, shares=(1.0, 0.0)):
    """A piece a length, s, rounded to whole samples."""
    return [
        Piece(f"u{k}", 0.0, round(s * 16_000) / 16_000, shares, "d") for k, s in enumerate(seconds)
    ]


def corpus_of(seconds, **columns):
    index = [f"u{k}" for k in range(len(seconds))]
    table = pd.DataFrame({"file": [f"{i}.wav" for i in index], "duration": seconds}, index)
    columns = {"speaker": "s1", "language": "de"} | columns
    labels = pd.DataFrame({"calm": 0.25, "anger": 0.75}, index[:-1])  # nobody labelled the last
    return Corpus("some", ".", TWO, table.assign(**columns), labels, None, None, {"name": "some"})


def total(sequence):
    return sequence[-1].end


def heard(drawn):
    return Counter(segment.piece.utterance for sequence in drawn for segment in sequence)


LENGTHS = st.lists(st.floats(0.02, 30.0), min_size=1, max_size=60)


@given(seconds=LENGTHS, seed=st.integers(0, 99), epoch=st.integers(0, 3))
@settings(deadline=None)
def test_one_pass_hears_every_piece_once_and_never_over_30_s(seconds, seed, epoch):
    pool = pool_of(seconds)
    drawn = sequences(pool, seed=seed, epoch=epoch)
    assert heard(drawn) == Counter(piece.utterance for piece in pool)
    assert all(0 < total(sequence) <= 30.0 for sequence in drawn)
    for sequence in drawn:
        assert sequence[0].start == 0.0
        assert all(a.end == b.start for a, b in pairwise(sequence))
        for segment in sequence:
            assert segment.end - segment.start == pytest.approx(segment.piece.duration, abs=1e-9)
            assert segment.start < 24.0  # what is that long is long enough


@given(seconds=LENGTHS, seed=st.integers(0, 99))
@settings(deadline=None)
def test_a_short_sequence_is_one_to_which_nothing_left_could_be_added(seconds, seed):
    """Sequences are shuffled, so: some order of the short ones leaves nothing that fits."""
    drawn = sequences(pool_of(seconds), seed=seed)
    short = [sequence for sequence in drawn if total(sequence) < 24]
    # of two short sequences the later one had no piece that fitted into the earlier: so of each
    # pair, one consists of pieces that do not fit into the other
    for k, one in enumerate(short):
        for other in short[k + 1 :]:
            shortest = [min(s.piece.duration for s in each) for each in (one, other)]
            room = [30.0 - total(each) for each in (one, other)]
            assert shortest[1] > room[0] - 1e-9 or shortest[0] > room[1] - 1e-9


@given(seconds=LENGTHS, seed=st.integers(0, 99), n=st.integers(1, 5))
@settings(deadline=None)
def test_refreshing_ends_and_no_sequence_has_a_piece_twice(seconds, seed, n):
    pool = pool_of(seconds)
    drawn = sequences(pool, Sampling(n_refreshes=n), seed=seed)
    assert all(0 < total(sequence) <= 30.0 for sequence in drawn)
    for sequence in drawn:
        names = [segment.piece.utterance for segment in sequence]
        assert len(set(names)) == len(names)
    counts = heard(drawn)
    assert max(counts.values()) <= n + 1
    assert set(counts) == {piece.utterance for piece in pool}  # the last pass is a whole one


def test_refreshing_fills_sequences_that_one_pass_leaves_short():
    pool = pool_of([20.0] * 10 + [5.0] * 2)
    plain, refreshed = (
        [total(s) for s in sequences(pool, Sampling(n_refreshes=n), seed=1)] for n in (0, 8)
    )
    assert sum(t < 24 for t in plain) >= 8
    assert np.mean(np.array(refreshed) < 24) < 0.7 * np.mean(np.array(plain) < 24)


def test_where_the_papers_loop_would_never_end_this_one_does():
    """Pieces of 20 s: 10 s stay open, and nothing fits, however often the pool is refreshed."""
    for n in (0, 1, 50):
        drawn = sequences(pool_of([20.0] * 4), Sampling(n_refreshes=n), seed=0)
        assert [len(sequence) for sequence in drawn] == [1] * len(drawn)
        assert 4 <= len(drawn) <= 4 * (n + 1)
    assert sequences([], seed=0) == []
    assert sequences(pool_of([1.0]), Sampling(n_refreshes=3), seed=0, worker=1, n_workers=2) == []


def test_exactly_30_s_fit_and_one_sample_more_does_not():
    for seed in range(20):
        assert len(sequences(pool_of([15.0, 15.0]), seed=seed)) == 1
        assert len(sequences(pool_of([15.0, 15.0 + 1 / 16_000]), seed=seed)) == 2


def test_at_24_s_a_sequence_is_long_enough():
    """6 s and 24 s share one only where the 6 s come first."""
    found = set()
    for seed in range(40):
        drawn = sequences(pool_of([24.0, 6.0]), seed=seed)
        found.add(tuple(sorted(tuple(s.piece.duration for s in sequence) for sequence in drawn)))
    assert found == {((6.0, 24.0),), ((6.0,), (24.0,))}


def test_sequences_come_in_random_order():
    """The 5 s are in the first that is made: only there they always fit."""
    places = Counter()
    for seed in range(900):
        drawn = sequences(pool_of([5.0] + [20.0] * 9), seed=seed)
        places[[len(sequence) for sequence in drawn].index(2)] += 1
    assert len(places) == 9
    assert max(abs(n - 100) for n in places.values()) < 5 * np.sqrt(100)


def test_what_begins_a_sequence_is_drawn_evenly():
    pool = pool_of([25.0, 26.0, 27.0, 28.0])
    first = Counter(sequences(pool, seed=s)[0][0].piece.utterance for s in range(2000))
    assert len(first) == 4
    assert max(abs(n - 500) for n in first.values()) < 5 * np.sqrt(2000 * 3 / 16)


def test_what_is_added_is_drawn_evenly_among_what_fits():
    pool = pool_of([24 - 1 / 16_000, 1.0, 3.0, 5.0, 6.0, 7.0])
    after = Counter()
    for seed in range(3000):
        for sequence in sequences(pool, seed=seed):
            if sequence[0].piece.utterance == "u0" and len(sequence) > 1 and _whole(sequence, seed):
                after[sequence[1].piece.utterance] += 1
    assert "u5" not in after
    counts = [after[f"u{k}"] for k in (1, 2, 3, 4)]
    assert min(counts) > 60
    assert max(counts) - min(counts) < 6 * np.sqrt(np.mean(counts))


def _whole(sequence, seed):
    """Whether this sequence was the first: the others hold all the rest."""
    return len(sequences(pool_of([24 - 1 / 16_000, 1.0, 3.0, 5.0, 6.0, 7.0]), seed=seed)) == 2


@given(n=st.integers(1, 50), n_workers=st.integers(1, 5), seed=st.integers(0, 20))
@settings(deadline=None)
def test_workers_share_the_pieces_out_among_them(n, n_workers, seed):
    pool = pool_of(np.linspace(1, 9, n))
    parts = [sequences(pool, seed=seed, worker=w, n_workers=n_workers) for w in range(n_workers)]
    assert sum((heard(part) for part in parts), Counter()) == Counter(p.utterance for p in pool)


def test_the_same_arguments_draw_the_same_and_others_do_not():
    pool = pool_of(np.linspace(1, 9, 40))
    assert sequences(pool, seed=1, epoch=2) == sequences(list(pool), seed=1, epoch=2)
    assert sequences(pool, seed=1, epoch=2) != sequences(pool, seed=1, epoch=3)
    assert sequences(pool, seed=1, epoch=2) != sequences(pool, seed=2, epoch=2)


def test_bad_settings_are_refused():
    for wrong in ({"seconds": 0.01}, {"least_share": 0.0}, {"least_share": 1.1},
                  {"n_refreshes": -1}, {"seconds": float("inf")}):  # fmt: skip
        with pytest.raises(ValueError, match=r"choose|a sequence has a frame"):
            Sampling(**wrong)
    with pytest.raises(ValueError, match="worker 2 of 2"):
        sequences(pool_of([1.0]), seed=0, worker=2, n_workers=2)
    with pytest.raises(CorpusError, match="'u1' has 12 s, a sequence 10"):
        sequences(pool_of([1.0, 12.0]), Sampling(seconds=10.0), seed=0)


# --- what sequences are made of


def test_pieces_have_labels_domains_and_lengths():
    found = pieces(corpus_of([2.0, 3.5], speaker=["s1", "s2"]))
    assert found == [
        Piece("u0", 0.0, 2.0, (0.25, 0.75), "some:s1:de"),
        Piece("u1", 0.0, 3.5, None, "some:s2:de"),
    ]


@pytest.mark.parametrize(("seconds", "lengths"), [
    (30.0, [30.0]), (65.0, [30.0, 30.0, 5.0]), (60.0, [30.0, 30.0]), (30.01, [30.0]),
    (30.02, [30.0, 0.02]),
])  # fmt: skip
def test_what_is_over_30_s_is_cut(seconds, lengths):
    found = pieces(corpus_of([seconds]))
    assert [piece.duration for piece in found] == lengths
    assert [piece.start for piece in found] == [30.0 * k for k in range(len(lengths))]


def test_what_is_over_30_s_is_refused_where_it_may_not_be_cut():
    with pytest.raises(CorpusError, match=r"'u1' has 31 s, a sequence 30: leave it out"):
        pieces(corpus_of([30.0, 31.0]), Sampling(cut=False))


def test_excluded_and_shorter_than_a_frame_are_left_out():
    found = pieces(corpus_of([2.0, 0.019, 3.0, 1.0], excluded=["", "", "noise", ""]))
    assert [piece.utterance for piece in found] == ["u0", "u3"]
    with pytest.raises(CorpusError, match="no utterance to make sequences of"):
        pieces(corpus_of([0.01]))


def test_a_domain_needs_its_speaker_but_not_its_language():
    without = corpus_of([1.0, 2.0], speaker=["s1", None], language=None)
    with pytest.raises(CorpusError, match=r"1 utterance\(s\) have no speaker, 'u1' first"):
        pieces(without)
    assert [p.domain for p in pieces(without, Sampling(domain=("corpus",)))] == ["some"] * 2
    assert [p.domain for p in pieces(without, Sampling(domain=()))] == ["", ""]
    assert pieces(corpus_of([1.0], language=None))[0].domain == "some:s1:"
    with pytest.raises(CorpusError, match="no column 'room'"):
        pieces(corpus_of([1.0]), Sampling(domain=("room",)))


def test_joined_corpora_are_different_domains(corpus):
    other = Corpus(**{**vars(corpus), "name": "other"})
    found = pieces(concat([corpus, other]))
    assert len(found) == 2 * len(corpus)
    assert {p.domain.split(":")[0] for p in found} == {"toy", "other"}
    n_speakers = corpus.utterances["speaker"].nunique()
    assert len({p.domain for p in found}) == 2 * n_speakers


# --- targets


@given(
    n_samples=st.lists(st.integers(320, 64_000), min_size=1, max_size=7),
    labelled=st.lists(st.booleans(), min_size=7, max_size=7),
    seed=st.integers(0, 9),
)
@settings(deadline=None, max_examples=30)
def test_each_frame_has_the_target_of_the_segment_its_middle_lies_in(n_samples, labelled, seed):
    shares = np.random.default_rng(seed).dirichlet(np.ones(3), size=len(n_samples))
    ends = np.cumsum(n_samples)
    sequence = [
        Segment(
            Piece(f"u{k}", 0.0, n / 16_000, tuple(row) if known else None, ""),
            (end - n) / 16_000,
            end / 16_000,
        )
        for k, (n, end, row, known) in enumerate(zip(n_samples, ends, shares, labelled))  # noqa: B905
    ]
    found = targets(sequence, 3)
    middles = 320 * np.arange(1500) + 160
    inside = (middles[:, None] >= ends - n_samples) & (middles[:, None] < ends)
    assert found.shares.shape == (1500, 3)
    assert found.shares.dtype == np.float32
    expected = np.where(inside.any(axis=1), inside.argmax(axis=1), -1)
    np.testing.assert_array_equal(found.segment, expected)
    assert inside.any(axis=0).all()  # no segment is too short to be seen
    known = inside[:, np.array(labelled[: len(n_samples)])].any(axis=1)
    np.testing.assert_array_equal(found.mask, known)
    rows = (inside @ shares) * known[:, None]
    np.testing.assert_allclose(found.shares, rows, rtol=1e-6)


def test_targets_can_end_with_the_last_segment():
    sequence = (Segment(pool_of([0.05])[0], 0.0, 0.05),)
    found = targets(sequence, 2, seconds=None)
    assert found.segment.tolist() == [0, 0, -1]  # 40 .. 60 ms: its middle is the end
    assert found.mask.tolist() == [True, True, False]
    assert targets(sequence, 2, seconds=10.0).mask.shape == (500,)
    with pytest.raises(ValueError, match="'u0' has shares of 2 labels, targets were asked for 8"):
        targets(sequence, 8)


def test_targets_roll_with_the_sound_and_segments_keep_their_numbers():
    pool = pool_of([2.0, 3.0])
    sequence = (Segment(pool[0], 0.0, 2.0), Segment(pool[1], 2.0, 5.0))
    found = targets(sequence, 2, seconds=6.0)
    waveform = np.repeat(found.segment + 2, 320).astype(np.float32)
    rolled, (shares, mask, segment) = augment.roll(
        waveform, [found.shares, found.mask, found.segment], np.random.default_rng(3)
    )
    np.testing.assert_array_equal(rolled.reshape(300, 320)[:, 160] - 2, segment)
    np.testing.assert_array_equal(mask, segment >= 0)
    np.testing.assert_array_equal(shares[:, 0], mask)
    assert Counter(segment.tolist()) == {-1: 50, 0: 100, 1: 150}


def test_pauses_within_segments_can_be_left_out():
    rng = np.random.default_rng(0)
    waveform = (1e-4 * rng.standard_normal(96_000)).astype(np.float32)
    waveform[8_000:24_000] += 0.3 * rng.standard_normal(16_000).astype(np.float32)
    waveform[48_000:64_000] += 0.01 * rng.standard_normal(16_000).astype(np.float32)
    pool = pool_of([2.0, 3.0])
    sequence = (Segment(pool[0], 0.0, 2.0), Segment(pool[1], 2.0, 5.0))
    found = without_pauses(targets(sequence, 2, seconds=6.0), sequence, waveform)
    # 0.5 .. 1.5 s, and, quieter but loud within its own segment, 3 .. 4 s
    expected = np.zeros(300, bool)
    expected[25:75] = expected[150:200] = True
    np.testing.assert_array_equal(found.mask, expected)
    np.testing.assert_array_equal(found.shares[:, 0], expected)
    assert Counter(found.segment.tolist()) == {-1: 50, 0: 100, 1: 150}


@pytest.mark.parametrize(("late", "first"), [(150, 100), (170, 101)])
def test_a_frame_is_in_a_pause_where_its_middle_is(late, first):
    """Speech begins `late` samples into frame 100 of 20 ms, whose middle is its sample 160."""
    rng = np.random.default_rng(1)
    pool = pool_of([late / 16_000 + 1.0, 3.0])
    sequence = (Segment(pool[0], 0.0, 1 + late / 16_000), Segment(pool[1], 1 + late / 16_000, 4.0))
    waveform = (1e-4 * rng.standard_normal(64_000)).astype(np.float32)
    waveform[32_000 + late : 48_000] += 0.3
    mask = without_pauses(targets(sequence, 2, seconds=4.0), sequence, waveform).mask
    assert np.flatnonzero(mask[60:])[0] + 60 == first


# --- sound


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return toy.load(tmp_path_factory.mktemp("toy")).with_durations()


def test_the_sound_is_the_utterances_in_their_places(corpus):
    drawn = sequences(pieces(corpus), seed=0)
    assert heard(drawn) == Counter(corpus.utterances.index)
    for sequence in drawn[:2]:
        waveform = sound(corpus, sequence)
        assert (waveform.shape, waveform.dtype) == ((480_000,), np.float32)
        for segment in sequence:
            first, end = round(segment.start * 16_000), round(segment.end * 16_000)
            own = audio.load(corpus.path(segment.piece.utterance))
            np.testing.assert_array_equal(waveform[first:end], own)
        assert not waveform[end:].any()
    assert sound(corpus, sequence, seconds=None).size == end


def test_what_is_loaded_may_be_changed_and_a_little_shorter():
    some, pool = corpus_of([1.0, 1.0]), pool_of([1.0, 1.0])
    sequence = (Segment(pool[0], 0.0, 1.0), Segment(pool[1], 1.0, 2.0))
    waveform = sound(some, sequence, load=lambda piece: np.ones(15_000 + 2000 * (
        piece.utterance == "u1"), np.float32), seconds=2.0)  # fmt: skip
    assert waveform.tolist() == [1.0] * 15_000 + [0.0] * 1000 + [1.0] * 16_000
    with pytest.raises(CorpusError, match=r"'u0' has 0\.8 s where its table says 1"):
        sound(some, sequence, load=lambda _: np.ones(12_800, np.float32))


def test_a_piece_of_a_stretch_of_a_file_is_that_stretch(tmp_path):
    waveform = (np.arange(64_000) / 64_000).astype(np.float32)
    audio.write(tmp_path / "u0.wav", waveform)
    some = corpus_of([3.0], start=[0.5], end=[3.5])
    some = Corpus(**{**vars(some), "root": tmp_path})
    found = decoded(some, Piece("u0", 1.0, 0.5, None, ""))
    np.testing.assert_allclose(found, waveform[24_000:32_000], atol=1e-4)
