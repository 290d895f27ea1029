"""CTC decoding of silence, of nothing and of one class; what has no alignment or is refused."""

import numpy as np
import pytest

from affekt.ctc import (
    Decoding,
    align,
    beam_search,
    best_path,
    one_label_posterior,
    sequence_log_probability,
)
from affekt.exceptions import TableError
from drawn_tensors import logs, random_log_probs


def test_silence_decodes_to_the_empty_sequence():
    log_probs = logs([[0.1, 0.9]] * 3)
    found = best_path(log_probs)
    assert found == Decoding((), pytest.approx(3 * np.log(0.9)), ())
    assert beam_search(log_probs, 1) == [found]
    assert align(log_probs, []) == ()


def test_no_frames_are_the_empty_sequence_for_certain():
    nothing = np.empty((0, 5))
    assert best_path(nothing) == Decoding((), 0.0, ())
    assert beam_search(nothing) == [Decoding((), 0.0, ())]
    assert sequence_log_probability(nothing, ()) == 0.0
    assert one_label_posterior(nothing).tolist() == [-np.inf] * 4


def test_one_class_can_be_decoded():
    log_probs = logs([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]])
    assert best_path(log_probs).labels == (0, 0)
    assert one_label_posterior(log_probs).shape == (1,)


@pytest.mark.parametrize(("labels", "n_needed"), [([0, 1, 0, 1], 4), ([0, 0], 3), ([1, 0, 0], 4)])
def test_a_target_longer_than_the_input_has_probability_0_and_no_alignment(labels, n_needed):
    log_probs = random_log_probs(n_needed, 3)
    assert sequence_log_probability(log_probs, labels) > -np.inf
    assert len(align(log_probs, labels)) == len(labels)
    assert sequence_log_probability(log_probs[1:], labels) == -np.inf
    with pytest.raises(TableError, match=f"{n_needed - 1} frames: they need {n_needed} or more"):
        align(log_probs[1:], labels)


def test_an_impossible_target_that_is_short_enough_has_no_alignment_either():
    log_probs = logs([[0.5, 0.0, 0.5]] * 4)
    assert sequence_log_probability(log_probs, [1]) == -np.inf
    assert {d.labels for d in beam_search(log_probs)} == {(), (0,), (0, 0)}
    with pytest.raises(TableError, match=r"labels \(1,\) have probability 0 in these 4 frames"):
        align(log_probs, [1])


DECODERS = [
    best_path,
    beam_search,
    one_label_posterior,
    lambda log_probs, **options: sequence_log_probability(log_probs, [0], **options),
    lambda log_probs, **options: align(log_probs, [0], **options),
]


@pytest.mark.parametrize("decode", DECODERS)
@pytest.mark.parametrize(("log_probs", "message"), [
    (logs([[0.5, 0.5], [np.nan, 0.5]]), "row 1: NaN"),
    (np.array([[2.0, 1.0]]), "row 0: probabilities sum to 10.11, not 1"),
    (np.array([[0.5, 0.5]]), "row 0: probabilities sum to 3.297, not 1"),
    (np.array([[np.inf, 0.0]]), "row 0: probabilities sum to inf"),
    (np.array([[1e5, 0.0]]), "row 0: probabilities sum to inf"),
    (np.array([[0.0, -np.inf], [-np.inf, -np.inf]]), "row 1: probabilities sum to 0, not 1"),
    (np.zeros((3, 1)), r"shape \(3, 1\), not \(n_frames, n_labels \+ 1\)"),
    (np.zeros((2, 3, 4)), r"shape \(2, 3, 4\)"),
    (np.zeros(4), r"shape \(4,\)"),
    ([[0.0, 1.0], [0.0]], "not a table of numbers"),
    ([["a", "b"]], "not a table of numbers"),
])  # fmt: skip
def test_what_are_no_log_probabilities_is_refused_in_one_line(decode, log_probs, message):
    with pytest.raises(TableError, match=message) as caught:
        decode(log_probs)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("decode", DECODERS)
@pytest.mark.parametrize("blank", [3, -4])
def test_a_blank_outside_the_columns_is_refused(decode, blank):
    with pytest.raises(ValueError, match=f"blank is {blank}; there are 3 columns"):
        decode(random_log_probs(2, 3), blank=blank)


@pytest.mark.parametrize("width", [0, -1])
def test_a_beam_of_no_width_is_refused(width):
    with pytest.raises(ValueError, match=f"width is {width}; at least 1"):
        beam_search(random_log_probs(2, 3), width)


@pytest.mark.parametrize("score", [align, sequence_log_probability])
@pytest.mark.parametrize(("labels", "message"), [
    ([0, 3], r"label 1 is 3; it must be one of the columns 0 .. 2"),
    ([-1], "label 0 is -1"),
    ([1, 2], "label 1 is 2; .* without the blank, 2"),
    ([0.5], "label 0 is 0.5"),
    (["anger"], "label 0 is 'anger'"),
    ([[0, 1]], "label 0 is"),
    (np.array([[0, 1]]), "label 0 is"),
])  # fmt: skip
def test_labels_that_are_no_columns_are_refused_in_one_line(score, labels, message):
    with pytest.raises(TableError, match=message) as caught:
        score(random_log_probs(5, 3), labels)
    assert "\n" not in str(caught.value)


def test_the_input_is_left_as_it_was():
    log_probs = random_log_probs(10, 4)
    before = log_probs.copy()
    for decode in DECODERS:
        decode(log_probs)
    np.testing.assert_array_equal(log_probs, before)
