"""Errors of sequences: closed forms, the definitions written naively, invariances."""

import math
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from affekt.exceptions import TableError
from affekt.sequences import TimeErrors, edit_distance, emotion_error_rate, time_errors

WORDS = st.text("ans", max_size=6)
TRUTH = [(0.0, 1.0, "neutral"), (1.0, 4.0, "anger"), (4.0, 5.0, "sadness")]


@cache
def by_definition(a, b):
    """Give Levenshtein's recursion as it is written."""
    if not a or not b:
        return len(a) + len(b)
    return min(
        by_definition(a[1:], b) + 1,
        by_definition(a, b[1:]) + 1,
        by_definition(a[1:], b[1:]) + (a[0] != b[0]),
    )


@pytest.mark.parametrize(("truth", "prediction", "distance"), [
    ("", "", 0), ("anger", "anger", 0), ("", "abc", 3), ("abc", "", 3), ("kitten", "sitting", 3),
    ("ab", "ba", 2), ("aaa", "a", 2), ("flaw", "lawn", 2),
])  # fmt: skip
def test_edit_distances_known_by_heart(truth, prediction, distance):
    assert edit_distance(truth, prediction) == distance


@given(WORDS, WORDS)
@settings(deadline=None)
def test_edit_distance_is_the_recursion_written_out(a, b):
    assert edit_distance(a, b) == by_definition(a, b)


@given(WORDS, WORDS, WORDS)
@settings(deadline=None)
def test_edit_distance_is_a_metric(a, b, c):
    assert edit_distance(a, b) == edit_distance(b, a)
    assert (edit_distance(a, b) == 0) == (a == b)
    assert edit_distance(a, c) <= edit_distance(a, b) + edit_distance(b, c)


def test_labels_count_as_wholes_not_as_letters():
    assert edit_distance(["anger", "fear"], ("anger", "disgust")) == 1
    assert edit_distance([0, 1], [1]) == 1


def test_emotion_error_rate_counts_edits_over_all_labels_of_the_truth():
    truths = [["neutral", "anger"], ["sadness"], ["fear", "neutral", "fear"]]
    predictions = [["neutral", "anger"], ["anger", "sadness"], ["fear"]]
    assert emotion_error_rate(truths, predictions) == (0 + 1 + 2) / 6


def test_empty_predictions_cost_all_and_inventions_more():
    assert emotion_error_rate([["anger"], ["fear", "anger"]], [[], []]) == 1.0
    assert emotion_error_rate([["anger"]], [["fear", "sadness", "fear"]]) == 3.0


def test_the_error_rate_of_no_truth_is_undefined():
    assert math.isnan(emotion_error_rate([], []))
    assert math.isnan(emotion_error_rate([[]], [["anger"]]))


def test_lists_of_different_lengths_are_refused():
    with pytest.raises(TableError, match="2 true sequences, but 1 predicted"):
        emotion_error_rate([["anger"], ["fear"]], [["anger"]])


def test_each_kind_of_time_error_is_the_seconds_it_lasts():
    prediction = [
        (0.5, 2.0, "anger"),
        (2.0, 3.0, "neutral"),
        (3.0, 4.5, "fear"),
        (4.5, 5, "sadness"),
    ]
    found = time_errors(TRUTH, prediction)
    assert found == TimeErrors(
        false_alarm=0.5, missed=1.0, confusion=1.5, total=5.0, labelled=5.0, right=1.5
    )
    assert found.rate == 3.0 / 5.0
    assert found.accuracy == 1.5 / 5.0  # the gap 0 - 0.5 s is not the label neutral


def test_the_definition_of_eder_on_a_clip_with_one_emotion():
    # heard 0.21 s too late, until the end of the clip, 0.12 s too long
    truth = [(0.39, 1.10, "anger")]
    prediction = [(0.0, 0.6, "neutral"), (0.6, 1.22, "anger")]
    found = time_errors(truth, prediction, 1.22)
    assert found.missed == pytest.approx(0.21)
    assert found.false_alarm == pytest.approx(0.12)
    assert found.rate == pytest.approx(0.2704918032786885)  # the example of SpeechBrain's EDER


@pytest.mark.parametrize(("duration", "emotion", "step", "frames", "eder"), [
    (3.0, (0.9, 2.2, "anger"), 0.5, "nnaaan", 0.1333333333333333),
    (4.5, (1.0, 4.5, "sadness"), 0.75, "hhhhss", 0.6666666666666667),
    (2.0, (0.5, 1.5, "happiness"), 0.5, "nnnn", 0.5),
])  # fmt: skip
def test_the_rate_is_what_speechbrain_1_1_2_gives(duration, emotion, step, frames, eder):
    # golden values of speechbrain.utils.EDER.EDER(frames, ..., window_length=step, stride=step)
    names = {"n": "neutral", "a": "anger", "s": "sadness", "h": "happiness"}
    answer = [(k * step, (k + 1) * step, names[letter]) for k, letter in enumerate(frames)]
    assert time_errors([emotion], answer, duration).rate == pytest.approx(eder, abs=1e-12)


def test_a_perfect_answer_has_no_error_and_an_empty_one_misses_every_emotion():
    right = time_errors(TRUTH, TRUTH)
    assert (right.rate, right.accuracy) == (0.0, 1.0)
    empty = time_errors(TRUTH, [])
    assert (empty.rate, empty.missed, empty.accuracy) == (4 / 5, 4.0, 0.0)


def test_gaps_are_neutral_to_the_rate_but_not_to_the_accuracy():
    gap = [(0.0, 1.0, "anger"), (3.0, 4.0, "anger")]
    filled = [*gap, (1.0, 3.0, "neutral")]
    assert time_errors(gap, filled).rate == time_errors(filled, gap).rate == 0.0
    assert time_errors(gap, filled).accuracy == 1.0
    assert time_errors(filled, gap).accuracy == 0.5


def test_neutral_may_be_an_emotion_like_others():
    found = time_errors([(0, 2, "neutral")], [(0, 1, "anger")], 4, neutral=None)
    assert (found.false_alarm, found.missed, found.confusion) == (0, 1, 1)
    assert found.rate == 2 / 4
    named = time_errors([(0, 2, "calm")], [(0, 1, "anger")], 4, neutral="calm")
    assert (named.false_alarm, named.missed, named.confusion) == (1, 0, 0)


def test_what_is_predicted_beyond_the_end_is_not_counted():
    assert time_errors([(0, 2, "anger")], [(0, 9, "anger")]).rate == 0.0
    assert time_errors([(0, 2, "anger")], [(0, 9, "anger")], 4).rate == 0.5
    assert time_errors([(0, 2, "anger")], [(3, 9, "anger")]).missed == 2


def test_recordings_are_pooled_by_their_seconds():
    first = time_errors([(0, 9, "anger")], [(0, 9, "anger")])
    second = time_errors([(0, 1, "fear")], [(0, 1, "anger")])
    pooled = sum([first, second], TimeErrors())
    assert pooled.rate == 0.1
    assert pooled.accuracy == 0.9


def test_without_duration_or_label_nothing_is_defined():
    assert math.isnan(TimeErrors().rate)
    assert math.isnan(TimeErrors().accuracy)
    silence = time_errors([], [(0, 1, "anger")], 4)
    assert silence.rate == 1 / 4
    assert math.isnan(silence.accuracy)


@st.composite
def tilings(draw):
    """Two segmentations of one recording in whole seconds, with gaps or without."""
    labels = ["anger", "neutral", "fear", *draw(st.sampled_from([[], [None]]))]
    frames = st.lists(st.sampled_from(labels), min_size=12, max_size=12)
    return draw(frames), draw(frames)


def as_segments(frames):
    return [(float(t), t + 1.0, label) for t, label in enumerate(frames) if label]


@given(tilings())
@settings(deadline=None)
def test_seconds_are_what_counting_frame_by_frame_gives(pair):
    true, predicted = pair
    found = time_errors(as_segments(true), as_segments(predicted), 12.0)
    counts = dict.fromkeys(("false_alarm", "missed", "confusion"), 0)
    for a, b in zip(true, predicted, strict=True):
        a, b = (None if label == "neutral" else label for label in (a, b))
        counts["false_alarm"] += a is None and b is not None
        counts["missed"] += a is not None and b is None
        counts["confusion"] += a is not None and b is not None and a != b
    assert {kind: getattr(found, kind) for kind in counts} == counts
    assert found.labelled == sum(a is not None for a in true)
    assert found.right == sum(
        a is not None and a == b for a, b in zip(true, predicted, strict=True)
    )
    if None not in (*true, *predicted):
        assert found.accuracy == pytest.approx(1 - found.rate)


@given(tilings(), st.randoms())
@settings(deadline=None)
def test_neither_order_nor_cutting_of_segments_matters(pair, random):
    true, predicted = map(as_segments, pair)
    whole = time_errors(true, predicted, 12.0)
    halves = [(s + h / 2, s + (h + 1) / 2, label) for s, _, label in predicted for h in (0, 1)]
    random.shuffle(halves)
    assert time_errors(true, halves, 12.0) == whole


@pytest.mark.parametrize(("segments", "message"), [
    ([(2.0, 1.0, "anger")], "anger from 2.0 to 1.0 s is no segment"),
    ([(-1.0, 1.0, "anger")], "anger from -1.0 to 1.0 s is no segment"),
    ([(0.0, math.nan, "anger")], "anger from 0.0 to nan s is no segment"),
    ([(math.nan, 1.0, "anger")], "anger from nan to 1.0 s is no segment"),
    ([(0.0, math.inf, "anger")], "anger from 0.0 to inf s is no segment"),
    ([(2.0, 4.0, "fear"), (0.0, 2.5, "anger")], "anger until 2.5 s overlaps fear from 2.0 s"),
])  # fmt: skip
def test_segments_that_cannot_be_are_refused(segments, message):
    with pytest.raises(TableError, match=f"truth: {message}"):
        time_errors(segments, [], 9.0)
    with pytest.raises(TableError, match=f"prediction: {message}"):
        time_errors([], segments, 9.0)


def test_rounded_neighbours_do_not_overlap_and_empty_segments_are_nothing():
    rounded = [(0.0, 0.1 + 0.2, "anger"), (0.5, 0.5, "sadness"), (0.3, 1.0, "fear")]
    assert time_errors(rounded, rounded).accuracy == pytest.approx(1)


@pytest.mark.parametrize("duration", [3.0, -1.0, math.nan, math.inf])
def test_a_duration_that_cannot_be_is_refused(duration):
    with pytest.raises(TableError, match=r"duration is .* the truth's last segment ends at 5.0 s"):
        time_errors(TRUTH, [], duration)


def test_a_truth_without_segments_needs_a_duration():
    with pytest.raises(TableError, match="give the duration"):
        time_errors([], [(0, 1, "anger")])
