"""From frames to segments: closed forms, invariances, and defined answers where nothing is said."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from affekt import ctc
from affekt.exceptions import TableError
from affekt.segmenting import MAX_FRAMES, filled, frame_edges, segment
from affekt.sequences import fill, frame_log_probs
from affekt.timeline import Segment

LABELS = ["calm", "anger"]


def frames(text: str, sure: float = 0.9):
    """Rows that are `sure` of c, a or the blank -."""
    rows = np.full((len(text), 3), (1 - sure) / 2)
    rows[np.arange(len(text)), ["ca-".index(letter) for letter in text]] = sure
    return np.log(rows)


def edges(n: int):
    return np.stack([np.arange(n), np.arange(1, n + 1)], axis=1) / 10


@pytest.mark.parametrize("decoder", ["beam", "best-path"])
@pytest.mark.parametrize(("text", "expected"), [
    ("--c---a--", [(0.0, 0.45, "calm"), (0.45, 0.9, "anger")]),
    ("cccaaa", [(0.0, 0.3, "calm"), (0.3, 0.6, "anger")]),
    ("c--c", [(0.0, 0.4, "calm")]),  # a blank parts them for CTC, not for a listener
    ("-a-", [(0.0, 0.3, "anger")]),
    ("c-a-c", [(0.0, 0.15, "calm"), (0.15, 0.35, "anger"), (0.35, 0.5, "calm")]),
])  # fmt: skip
def test_marks_become_segments_that_meet_halfway(text, expected, decoder):
    found = segment(frames(text, 0.98), LABELS, edges(len(text)), decoder=decoder)
    got = [(round(s.start, 6), round(s.end, 6), s.label) for s in found.segments]
    assert got == expected
    assert found.labels == tuple(label for *_, label in expected)
    assert not found.empty


@given(st.text("ca-", min_size=1, max_size=40))
@settings(deadline=None, max_examples=60)
def test_segments_tile_the_recording_and_neighbours_differ(text):
    found = segment(frames(text), LABELS, edges(len(text)))
    assert found.segments[0].start == 0
    assert found.segments[-1].end == found.duration == pytest.approx(len(text) / 10)
    for before, after in zip(found.segments, found.segments[1:], strict=False):
        assert before.end == after.start
        assert before.label != after.label
    assert all(0 <= part.probability <= 1 for part in found.segments)


def test_an_empty_decode_is_answered_by_the_most_probable_single_label():
    quiet = np.log([[0.02, 0.08, 0.9]] * 5)
    assert ctc.best_path(quiet).labels == ()
    found = segment(quiet, LABELS, edges(5), decoder="best-path")
    assert found.empty
    assert [(s.start, s.end, s.label) for s in found.segments] == [(0.0, 0.5, "anger")]
    assert found.segments[0].probability == pytest.approx(0.8)
    assert found.log_probability == pytest.approx(ctc.one_label_posterior(quiet)[1])


def test_a_probability_is_the_share_among_labels_within_the_segment():
    rows = np.array([[0.6, 0.2, 0.2], [0.1, 0.1, 0.8], [0.1, 0.8, 0.1], [0.0, 0.9, 0.1]])
    with np.errstate(divide="ignore"):
        found = segment(np.log(rows), LABELS, edges(4), decoder="best-path")
    (calm, anger) = found.segments
    assert calm.end == pytest.approx(0.15)
    assert calm.probability == pytest.approx(0.6 / 0.8)
    assert anger.probability == pytest.approx((0.1 + 0.8 + 0.9) / (0.2 + 0.9 + 0.9))


def test_a_long_recording_is_decoded_in_parts_that_join_without_a_trace():
    text = ("c" * 70 + "-" * 30 + "a" * 70 + "-" * 30) * 9
    assert len(text) > 2 * MAX_FRAMES
    found = segment(frames(text, 0.999), LABELS, edges(len(text)), decoder="beam", width=5)
    assert found.labels == ("calm", "anger") * 9
    whole = ctc.best_path(frames(text, 0.999))
    assert [LABELS[k] for k in whole.labels] == list(found.labels)


def test_best_path_of_parts_is_best_path_of_the_whole():
    rng = np.random.default_rng(0)
    rows = np.log(rng.dirichlet([0.3, 0.3, 2.0], size=MAX_FRAMES * 3))
    found = segment(rows, LABELS, edges(len(rows)), decoder="best-path")
    whole = ctc.best_path(rows)
    merged = [k for n, k in enumerate(whole.labels) if n == 0 or whole.labels[n - 1] != k]
    assert [LABELS[k] for k in merged] == list(found.labels)


@pytest.mark.parametrize(("log_probs", "times"), [
    (np.zeros((0, 3)), np.zeros((0, 2))), (frames("ca"), edges(3)),
    (frames("ca")[:, :2], edges(2)), (frames("ca"), edges(2)[:, 0]),
])  # fmt: skip
def test_frames_that_do_not_fit_are_refused(log_probs, times):
    with pytest.raises(TableError, match="frames of shape"):
        segment(log_probs, LABELS, times)


def test_an_unknown_decoder_is_refused():
    with pytest.raises(ValueError, match="decoder must be one of beam, best-path"):
        segment(frames("c"), LABELS, edges(1), decoder="magic")


def test_scores_of_any_model_can_be_decoded():
    scores = [[0.9, 0.1]] * 3 + [[0.5, 0.5]] * 2 + [[0.3, 0.7]] * 3
    pause = [False] * 3 + [True] * 2 + [False] * 3
    log_probs = frame_log_probs(scores, pause=pause)
    np.testing.assert_allclose(np.exp(log_probs).sum(axis=1), 1)
    found = segment(log_probs, LABELS, edges(8), decoder="best-path")
    assert [(round(s.start, 6), round(s.end, 6), s.label) for s in found.segments] == [
        (0.0, 0.4, "calm"),
        (0.4, 0.8, "anger"),
    ]
    with pytest.raises(TableError, match="n_frames"):
        frame_log_probs([0.1, 0.9])


def test_a_timelines_segments_are_stretched_over_its_pauses():
    parts = [Segment(0.5, 1.0, "calm", 0.6), Segment(2.0, 5.0, "calm", 0.8)]
    parts += [Segment(6.0, 7.0, "anger", 0.5)]
    found = filled(parts, 8.0)
    assert [(s.start, s.end, s.label) for s in found.segments] == [
        (0.0, 5.5, "calm"),
        (5.5, 8.0, "anger"),
    ]
    assert found.segments[0].probability == pytest.approx((0.5 * 0.6 + 3 * 0.8) / 3.5)
    rounded = filled([Segment(0.0, 1.235, "calm", 0.6)], 1.2346)
    assert rounded.segments == (Segment(0.0, 1.2346, "calm", 0.6),)
    with pytest.raises(TableError, match="no segment"):
        filled([], 8.0)


def test_edges_lie_half_a_step_around_each_centre_and_fill_the_ends():
    assert frame_edges([0.1, 0.2, 0.3], 0.1, 0.5) == pytest.approx(
        np.array([[0, 0.15], [0.15, 0.25], [0.25, 0.5]])
    )
    assert frame_edges([0.1], 0.1, 0.2).tolist() == [[0.0, 0.2]]


def test_filling_leaves_what_already_tiles_and_gives_nothing_for_nothing():
    tiles = [(0.0, 1.0, "calm"), (1.0, 3.0, "anger")]
    assert fill(tiles, 3.0) == tiles
    assert fill(tiles[::-1], 3.0) == tiles
    assert fill([], 3.0) == []
    with pytest.raises(TableError, match="duration"):
        fill(tiles, 2.0)
    with pytest.raises(TableError, match="overlaps"):
        fill([(0.0, 1.0, "calm"), (0.5, 2.0, "anger")], 3.0)
