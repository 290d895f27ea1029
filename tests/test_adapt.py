"""Adaptation without labels: in closed form, and refused where it would take the labels away."""

import numpy as np
import pytest

from affekt.adapt import MODES, Baseline, adapt, baseline, refuse_one_label, shift
from affekt.exceptions import TableError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(12, 2, 3))
SPEAKERS = np.array(list("aabbbbcccaca"))
REFERENCE = Baseline(RNG.normal(size=(2, 3)), 500)


def test_every_groups_mean_becomes_the_references():
    found = adapt(X, SPEAKERS, REFERENCE, mode="speaker")
    for speaker in "abc":
        mean = found[speaker == SPEAKERS].mean(0)
        np.testing.assert_allclose(mean, REFERENCE.mean, atol=1e-12)


def test_what_tells_a_groups_utterances_apart_stays():
    found = adapt(X, SPEAKERS, REFERENCE, mode="speaker")
    for speaker in "abc":
        mine = speaker == SPEAKERS
        np.testing.assert_allclose(np.diff(found[mine], axis=0), np.diff(X[mine], axis=0))


def test_a_shift_that_a_speaker_has_throughout_makes_no_difference():
    shifts = dict(zip("abc", RNG.normal(size=(3, 2, 3)), strict=True))
    moved = X + np.stack([shifts[s] for s in SPEAKERS])
    expected = adapt(X, SPEAKERS, REFERENCE, mode="speaker")
    np.testing.assert_allclose(adapt(moved, SPEAKERS, REFERENCE, mode="speaker"), expected)


def test_the_order_of_rows_makes_no_difference():
    order = RNG.permutation(len(X))
    found = adapt(X[order], SPEAKERS[order], REFERENCE, mode="speaker")
    np.testing.assert_allclose(found, adapt(X, SPEAKERS, REFERENCE, mode="speaker")[order])


def test_one_folder_is_shifted_as_a_whole():
    found = adapt(X, ["all"] * len(X), REFERENCE, mode="folder")
    np.testing.assert_allclose(found, X - X.mean(0) + REFERENCE.mean)


def test_a_prior_of_as_many_utterances_shifts_half_the_way():
    own = baseline(X[:4])
    whole, half, none = (shift(X, own, REFERENCE, prior=p) for p in (0, 4, np.inf))
    np.testing.assert_allclose(half, (X + whole) / 2)
    np.testing.assert_array_equal(none, X)


def test_who_is_enrolled_needs_no_other_recording():
    enrolled = baseline(X[:5])
    found = shift(X[5:6], enrolled, REFERENCE)
    np.testing.assert_allclose(found, X[5:6] - X[:5].mean(0) + REFERENCE.mean)


def test_a_group_of_one_is_refused_unless_there_is_a_prior():
    with pytest.raises(TableError, match=r"'x' has 1 utterance, of which nothing is left"):
        adapt(X[:3], ["x", "y", "y"], REFERENCE, mode="speaker")
    found = adapt(X[:1], ["x"], REFERENCE, mode="speaker", prior=1.0)
    np.testing.assert_allclose(found, (X[:1] + REFERENCE.mean) / 2)


def test_speakers_of_one_emotion_are_refused_and_others_are_not():
    with pytest.raises(TableError, match=r"speaker: 2 of 3 groups have one label only, 's1' first"):
        refuse_one_label(["s1", "s1", "s2", "s3", "s3"], list("aabab"), mode="speaker")
    refuse_one_label(["s1", "s1", "s2", "s3", "s3"], list("ababa"), mode="speaker")
    refuse_one_label(["s1", "s2", "s3"], list("aaa"), mode="speaker")  # nothing to tell apart


def test_labels_survive_in_a_wider_mode():
    refuse_one_label(["urdu"] * 4, list("aabb"), mode="folder")


@pytest.mark.parametrize(("groups", "message"), [
    (["a"] * 11, "11 groups for 12 utterances"),
    (["a"] * 11 + [None], "row 11 has no speaker"),
    (["a"] * 11 + [float("nan")], "row 11 has no speaker"),
    ([""] + ["a"] * 11, "row 0 has no speaker"),
])  # fmt: skip
def test_groups_that_do_not_fit_are_refused(groups, message):
    with pytest.raises(TableError, match=message):
        adapt(X, groups, REFERENCE, mode="speaker")


def test_an_unknown_mode_names_the_known_ones():
    with pytest.raises(TableError, match="unknown adaptation 'corpus': choose recording, speaker"):
        adapt(X, SPEAKERS, REFERENCE, mode="corpus")
    assert MODES == ("recording", "speaker", "folder")


@pytest.mark.parametrize("values", [np.empty((0, 3)), [[np.nan]], 1.0])
def test_a_baseline_of_nothing_is_refused(values):
    with pytest.raises(TableError, match="a baseline"):
        baseline(values)


def test_statistics_of_another_encoder_are_refused():
    with pytest.raises(TableError, match="take the same encoder and layers"):
        shift(X[:, :1], baseline(X), REFERENCE)
    with pytest.raises(TableError, match="prior -1: choose 0 or more"):
        shift(X, baseline(X), REFERENCE, prior=-1)
