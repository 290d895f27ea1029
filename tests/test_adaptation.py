"""Recognisers measure from a voice: against a model whose answers can be computed by hand."""

from pathlib import Path

import numpy as np
import pytest

from affekt import recognizer
from affekt.adapt import Baseline, Voice, offsets, pool
from affekt.exceptions import AffektError, AudioError, CheckpointError, TableError
from affekt.features.logmel import log_mel
from affekt.recognizer import Recognizer
from linear_model import LABELS, weights, write_linear_model
from media import RATE, noise, tone

ALONE = [0.5, 0.0, 0.0, 1.0, -1.0, 0.0, 0.0, 0.0]
IN_CONTEXT = [-2.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0]
REFERENCE = {"alone": ALONE, "in_context": IN_CONTEXT, "alone_seconds": 7.0}
TEMPERATURE = 1.5


@pytest.fixture(scope="module")
def linear(tmp_path_factory: pytest.TempPathFactory) -> Recognizer:
    folder = tmp_path_factory.mktemp("linear")
    return recognizer.load(write_linear_model(folder, TEMPERATURE, reference_logits=REFERENCE))


def clip(seconds: float, frequency: float, seed: int = 0) -> np.ndarray:
    return tone(seconds, frequency=frequency) + noise(seconds, seed=seed) / 10


def logits(waveform: np.ndarray) -> np.ndarray:
    return log_mel(waveform).mean(axis=1) @ weights()


def softmax(scores: np.ndarray) -> np.ndarray:
    odds = np.exp(scores / TEMPERATURE - (scores / TEMPERATURE).max())
    return odds / odds.sum()


def test_a_short_recording_is_shifted_by_what_the_voice_has_of_its_head(linear: Recognizer) -> None:
    own = [clip(1.0, f, seed) for seed, f in enumerate((200.0, 500.0, 900.0))]
    mean = np.mean([logits(x) for x in own], axis=0)
    x = clip(2.0, 700.0, seed=9)
    expected = softmax(logits(x) + 3 / (3 + 3) * (np.array(ALONE) - mean))
    found = linear.predict(x, baseline=linear.baseline(own))
    np.testing.assert_allclose(list(found.values()), expected, atol=1e-5)
    assert max(abs(expected - softmax(logits(x)))) > 0.04  # and it is no small matter


def test_a_long_recording_is_shifted_by_what_the_voice_has_of_the_other_head(
    linear: Recognizer,
) -> None:
    voice = Voice(None, Baseline(np.arange(8.0), 4.0))
    x = clip(8.0, 700.0)
    _, shift = offsets(voice, ALONE, IN_CONTEXT)
    found = linear.predict(x, baseline=voice)
    np.testing.assert_allclose(list(found.values()), softmax(logits(x) + shift), atol=1e-5)


@pytest.mark.parametrize(("seconds", "head"), [(1.9, 0), (7.0, 0), (7.02, 1), (20.0, 1)])
def test_up_to_seven_seconds_a_recording_is_heard_alone(
    linear: Recognizer, seconds: float, head: int
) -> None:
    scan = linear.scan(clip(seconds, 300.0))
    voice = scan.voice()
    assert [voice.alone is not None, voice.in_context is not None] == [head == 0, head == 1]
    assert scan.chunk_alone.tolist() == [head == 0] * len(scan.bounds)


def test_windows_are_heard_in_context_but_where_one_is_all_there_is(linear: Recognizer) -> None:
    assert not linear.scan(clip(5.0, 300.0), window=2.0).step_alone.any()
    assert linear.scan(clip(2.0, 300.0), window=2.0).step_alone.tolist() == [True]


def test_each_step_of_a_timeline_is_shifted_alike(linear: Recognizer) -> None:
    x = np.concatenate([clip(5.0, 300.0), clip(5.0, 4_000.0)])
    voice = Voice(None, Baseline(np.arange(8.0) / 4, 4.0))
    _, shift = offsets(voice, ALONE, IN_CONTEXT)
    strict, found = linear.timeline(x), linear.timeline(x, baseline=voice)
    odds = strict.scores.astype(float) * np.exp(shift / TEMPERATURE)
    np.testing.assert_allclose(found.scores, odds / odds.sum(1, keepdims=True), atol=1e-4)
    np.testing.assert_array_equal(found.times, strict.times)


def test_a_scan_is_answered_as_its_recording_is(linear: Recognizer) -> None:
    x = clip(20.0, 300.0)
    assert linear.predict(linear.scan(x)) == linear.predict(x)
    scan = linear.scan(x, window=1.0, hop=0.2)
    line, again = linear.timeline(x, window=1.0, hop=0.2), linear.timeline(scan)
    np.testing.assert_array_equal(again.scores, line.scores)
    assert (again.segments, again.overall, again.duration) == (
        line.segments,
        line.overall,
        line.duration,
    )
    with pytest.raises(AffektError, match="<samples>: was scanned without windows"):
        linear.timeline(linear.scan(x))


def test_a_voice_is_heard_by_both_heads_whatever_its_recordings_length(linear: Recognizer) -> None:
    short = linear.baseline([clip(2.0, 300.0, seed) for seed in range(5)])
    long = linear.baseline([clip(10.0, 300.0)])
    for voice in (short, long):
        assert voice.alone
        assert voice.in_context
        assert voice.in_context.n == pytest.approx(5)  # ten seconds, two an utterance
    assert short.alone
    assert short.alone.n == 5
    assert long.alone
    assert long.alone.n == 2  # pieces of at most seven seconds
    np.testing.assert_allclose(short.alone.mean, long.alone.mean, atol=0.1)


def test_pauses_are_no_part_of_a_voice(linear: Recognizer) -> None:
    voice = clip(6.0, 300.0)
    pause = noise(6.0, level=1e-4)
    bare, among = linear.baseline([voice]), linear.baseline([np.concatenate([voice, pause])])
    assert bare.in_context
    assert among.in_context
    assert among.in_context.n == pytest.approx(bare.in_context.n, abs=0.3)
    alone = linear.scan(np.concatenate([voice, pause]), window=2.0).voice().in_context
    assert alone
    assert alone.n == pytest.approx(3, abs=0.3)


def test_groups_pooled_from_scans_have_the_mean_of_their_recordings(linear: Recognizer) -> None:
    clips = [clip(1.0, f) for f in (200.0, 2_000.0, 5_000.0)]
    whole = pool(linear.scan(x).voice() for x in clips)
    assert whole.alone
    assert whole.alone.n == 3
    np.testing.assert_allclose(
        whole.alone.mean, np.mean([logits(x) for x in clips], axis=0), atol=1e-4
    )


def test_a_restriction_holds_under_a_baseline(linear: Recognizer) -> None:
    voice = linear.baseline([clip(2.0, 300.0)])
    found = linear.predict(clip(2.0, 900.0), labels=["anger", "fear"], baseline=voice)
    assert {label for label, share in found.items() if share} == {"anger", "fear"}
    assert tuple(found) == LABELS


def test_an_older_model_says_what_to_do(tmp_path: Path) -> None:
    old = recognizer.load(write_linear_model(tmp_path))
    remedy = r"linear: its card has no `reference_logits`.*train anew"
    with pytest.raises(CheckpointError, match=remedy):
        old.baseline([clip(2.0, 300.0)])
    with pytest.raises(CheckpointError, match=remedy):
        old.predict(clip(2.0, 300.0), baseline=Voice(Baseline(np.zeros(8), 1), None))


def test_a_baseline_of_nothing_or_of_silence_is_refused(linear: Recognizer) -> None:
    with pytest.raises(TableError, match="a baseline needs recordings"):
        linear.baseline([])
    with pytest.raises(AudioError, match="is silent"):
        linear.baseline([clip(2.0, 300.0), np.zeros(RATE, np.float32)])
