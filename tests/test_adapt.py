"""Adaptation without labels: in closed form, and refused where it would take the labels away."""

import numpy as np
import pytest

from affekt.adapt import (
    MAX_BYTES,
    MODES,
    MOST,
    PRIOR,
    Baseline,
    Voice,
    adapt,
    baseline,
    offsets,
    pool,
    read_voice,
    refuse_one_label,
    shift,
    write_voice,
)
from affekt.exceptions import AffektError, TableError

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


# --- voices: means of logits ----------------------------------------------------------------

CARD = {"name": "small", "labels": ["anger", "fear", "sadness"], "sha256": "ab12"}
ALONE, IN_CONTEXT = np.array([0.5, -1.0, 2.0]), np.array([0.0, 1.0, 0.0])


def a_voice(n=(4.0, 2.5)):
    rng = np.random.default_rng(1)
    return Voice(*(Baseline(rng.normal(size=3).round(6), count) for count in n))


def test_shifting_what_a_linear_head_reads_is_adding_to_what_it_says():
    """The reason why means of logits are enough."""
    weights, bias = RNG.normal(size=(4, 3)), RNG.normal(size=3)
    read, training = RNG.normal(size=(5, 4)), RNG.normal(size=(50, 4)) + 1
    shifted = shift(read, baseline(read), baseline(training), prior=PRIOR) @ weights + bias
    own = Voice(baseline(read @ weights + bias), None)
    added, _ = offsets(own, training.mean(0) @ weights + bias, np.zeros(3))
    np.testing.assert_allclose(read @ weights + bias + added, shifted)


def test_a_head_is_measured_from_what_it_said_itself():
    voice = a_voice(n=(1.0, 3.0))
    short, long = offsets(voice, ALONE, IN_CONTEXT)
    np.testing.assert_allclose(short, (ALONE - voice.alone.mean) * 1 / (1 + PRIOR))
    np.testing.assert_allclose(long, (IN_CONTEXT - voice.in_context.mean) * 3 / (3 + PRIOR))


def test_however_much_was_heard_a_third_of_a_voice_stays_its_own():
    voice = a_voice(n=(1e6, 1e9))
    short, long = offsets(voice, ALONE, IN_CONTEXT)
    np.testing.assert_allclose(short, MOST * (ALONE - voice.alone.mean))
    np.testing.assert_allclose(long, MOST * (IN_CONTEXT - voice.in_context.mean))


def test_a_head_that_heard_nothing_takes_over_the_others_shift():
    whole = a_voice()
    short, long = offsets(Voice(whole.alone, None), ALONE, IN_CONTEXT)
    np.testing.assert_array_equal(short, long)
    np.testing.assert_array_equal(short, offsets(whole, ALONE, IN_CONTEXT)[0])
    short, long = offsets(Voice(None, whole.in_context), ALONE, IN_CONTEXT)
    np.testing.assert_array_equal(short, long)
    np.testing.assert_array_equal(long, offsets(whole, ALONE, IN_CONTEXT)[1])
    with pytest.raises(TableError, match="a baseline needs recordings"):
        offsets(Voice(None, None), ALONE, IN_CONTEXT)


def test_voices_are_pooled_as_if_all_had_been_heard_at_once():
    x = RNG.normal(size=(9, 3))
    whole = pool([Voice(baseline(x[:2]), None), Voice(baseline(x[2:]), baseline(x[:1]))])
    np.testing.assert_allclose(whole.alone.mean, x.mean(0))
    assert (whole.alone.n, whole.in_context.n) == (9, 1)
    assert pool([Voice(None, None)]) == Voice(None, None)


@pytest.mark.parametrize("heard", [(True, True), (True, False), (False, True)])
def test_a_voice_reads_back(tmp_path, heard):
    rows = [a_voice().alone, a_voice().in_context]
    rows = [row if kept else None for row, kept in zip(rows, heard, strict=True)]
    write_voice(tmp_path / "anna.json", Voice(*rows), CARD)
    voice = read_voice(tmp_path / "anna.json", CARD)
    for before, after in zip(rows, (voice.alone, voice.in_context), strict=True):
        assert (before is None) == (after is None)
        if before and after:
            np.testing.assert_array_equal(before.mean, after.mean)
            assert before.n == after.n
    assert (tmp_path / "anna.json").stat().st_size < 1_000  # numbers, no sound


def test_a_voice_that_another_model_heard_is_refused_with_the_remedy(tmp_path):
    write_voice(tmp_path / "anna.json", a_voice(), {**CARD, "sha256": "cd34"})
    with pytest.raises(AffektError, match=r"anna.json: was heard by another model.*enrol it anew"):
        read_voice(tmp_path / "anna.json", CARD)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("affekt-voice/1", "affekt-voice/9"),
        ('"n": 4.0', '"n": -4.0'),
        ('"n": 4.0', '"n": NaN'),
        ('"n": 4.0', '"n": null'),
        ('"mean": [', '"mean": [1.0,'),
        ('"mean": [', '"mean": [Infinity],"old":['),
        ('"alone"', '"Alone"'),
        ("{", "["),
        ("{", " " * MAX_BYTES + "{"),
        ("ab12", "\udcff"),
    ],
    ids=range(10),
)
def test_what_is_no_voice_is_refused_with_the_remedy(tmp_path, old, new):
    path = tmp_path / "anna.json"
    write_voice(path, a_voice(), CARD)
    text = path.read_text("utf-8")
    assert old in text
    path.write_bytes(text.replace(old, new, 1).encode("utf-8", "surrogateescape"))
    with pytest.raises(AffektError, match=r"anna.json: is no enrolled voice .*: enrol it anew"):
        read_voice(path, CARD)


def test_a_voice_that_cannot_be_read_is_one_line(tmp_path):
    with pytest.raises(AffektError, match=r"none.json: cannot be read \(No such file"):
        read_voice(tmp_path / "none.json", CARD)
