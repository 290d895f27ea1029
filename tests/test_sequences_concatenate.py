"""Recordings made of utterances: what may follow what, and borders known to the sample."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from affekt import audio
from affekt.concatenate import Concatenation, Drawing, borders, draw, singles, sound, usable
from affekt.corpora import toy
from affekt.exceptions import CorpusError


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return toy.load(tmp_path_factory.mktemp("toy")).with_durations()


HOW = st.builds(
    Drawing,
    n_min=st.just(2),
    n_max=st.integers(2, 4),
    neutral=st.sampled_from(["as others", "between", "never"]),
    silence=st.sampled_from([(0.0, 0.0), (0.1, 0.5)]),
    max_seconds=st.floats(6.0, 30.0),
)


@given(how=HOW, seed=st.integers(0, 1000))
@settings(deadline=None, max_examples=12)
def test_what_is_drawn_keeps_the_rules(corpus, how, seed):
    table = usable(corpus)
    drawn = draw(corpus, 3, how, seed=seed)
    assert len(drawn) == 3 * table["speaker"].nunique()
    for one in drawn:
        rows = table.loc[list(one.utterances)]
        assert set(rows["speaker"]) == {one.speaker}
        assert tuple(rows["label"]) == one.labels
        assert all(a != b for a, b in pairwise(one.labels))
        assert len(set(one.utterances)) == len(one.utterances)
        emotions = [k for k in one.labels if k != "neutral" or how.neutral == "as others"]
        assert 2 <= len(emotions) <= how.n_max
        if how.neutral == "between":
            assert set(one.labels[1::2]) == {"neutral"}
            assert "neutral" not in one.labels[::2]
            assert one.has_gaps
        if how.neutral == "never":
            assert "neutral" not in one.labels
        pauses = np.array(one.silences) / audio.SAMPLE_RATE
        assert len(pauses) == len(one.labels) - 1
        assert ((pauses >= how.silence[0] - 1e-4) & (pauses <= how.silence[1] + 1e-4)).all()
        assert rows["seconds"].sum() + pauses.sum() <= how.max_seconds + 1e-6


def test_the_same_seed_draws_the_same_and_another_does_not(corpus):
    assert draw(corpus, 4, seed=3) == draw(corpus, 4, seed=3)
    assert draw(corpus, 4, seed=3) != draw(corpus, 4, seed=4)


def test_what_is_drawn_of_a_speaker_depends_on_nobody_else(corpus):
    table = corpus.utterances
    alone = corpus.select(table.index[table["speaker"] == "s04"][::-1])
    of_all = [one for one in draw(corpus, 5, seed=1) if one.speaker == "s04"]
    assert draw(alone, 5, seed=1) == of_all
    assert draw(corpus, 2, seed=1)[:2] == draw(corpus, 5, seed=1)[:2]


def test_every_label_comes_first_as_often_as_any_other(corpus):
    first = [one.labels[0] for one in draw(corpus, 100, seed=0)]
    shares = {label: first.count(label) / len(first) for label in corpus.scheme}
    assert all(abs(share - 0.25) < 0.07 for share in shares.values()), shares


def test_the_sound_is_the_utterances_and_the_silences_behind_each_other(corpus):
    one = draw(corpus, 1, Drawing(n_min=3, silence=(0.2, 0.4)), seed=2)[0]
    made = sound(corpus, one)
    position = 0
    for id_, (start, end, label), behind in zip(
        one.utterances, made.segments, (*one.silences, 0), strict=True
    ):
        samples = audio.load(corpus.path(id_))
        assert corpus.labels.loc[id_].idxmax() == label
        assert (start, end) == (position / 16_000, (position + samples.size) / 16_000)
        np.testing.assert_array_equal(made.waveform[position : position + samples.size], samples)
        position += samples.size
        assert not made.waveform[position : position + behind].any()
        position += behind
    assert made.waveform.size == position
    assert made.duration == position / 16_000
    middles = [(a[1] + b[0]) / 2 for a, b in pairwise(made.segments)]
    assert borders(made) == tuple(middles)


def test_singles_are_the_utterances_in_their_order(corpus):
    alone = singles(corpus)
    assert [one.utterances for one in alone] == [(id_,) for id_ in corpus.utterances.index]
    assert not any(one.has_gaps for one in alone)


@pytest.mark.parametrize(("labels", "gaps"), [
    (("anger", "neutral", "anger"), True), (("neutral", "anger", "neutral"), False),
    (("anger", "neutral"), False), (("anger",), False), (("anger", "fear", "anger"), False),
    (("fear", "neutral", "anger", "neutral", "fear"), True),
])  # fmt: skip
def test_gaps_are_neutral_speech_between_every_two_emotions(labels, gaps):
    assert Concatenation("x", "s", labels, labels, (0,) * (len(labels) - 1)).has_gaps is gaps


def test_utterances_without_one_label_speaker_or_recording_are_left_out(corpus):
    table = corpus.utterances.copy()
    undecided, nobodys, bad = table.index[:3]
    table.loc[nobodys, "speaker"] = None
    table.loc[bad, "excluded"] = "noise"
    labels = corpus.labels.copy()
    labels.loc[undecided] = [0.5, 0.5, 0, 0]
    left = usable(replace(corpus, utterances=table, labels=labels))
    assert set(table.index) - set(left.index) == {undecided, nobodys, bad}


def test_one_label_alone_cannot_follow_itself(corpus):
    angry = corpus.labels.index[corpus.labels["anger"] == 1]
    with pytest.raises(CorpusError, match="no speaker has two different labels"):
        draw(corpus.select(angry), 1)


def test_where_nothing_fits_the_speaker_is_named(corpus):
    with pytest.raises(CorpusError, match="speaker s01: 2 emotions do not fit"):
        draw(corpus, 1, Drawing(max_seconds=0.5))


@pytest.mark.parametrize(("wrong", "message"), [
    ({"n_min": 0}, "emotions"), ({"n_min": 3, "n_max": 2}, "emotions"),
    ({"neutral": "often"}, "neutral"), ({"silence": (0.5, 0.1)}, "silence"),
    ({"silence": (-1.0, 0.1)}, "silence"), ({"max_seconds": 0.0}, "max_seconds"),
])  # fmt: skip
def test_a_drawing_that_makes_no_sense_is_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        Drawing(**wrong)
