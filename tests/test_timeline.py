"""Segments from planted scores."""

from itertools import pairwise, product

import numpy as np
import pytest

from affekt import timeline
from affekt.timeline import Segment

LABELS = ("anger", "neutral", "sadness")


def planted(path: str, share: float = 0.8) -> np.ndarray:
    """Scores that give each letter's label (a, n, s) `share`, and the others the rest."""
    scores = np.full((len(path), 3), (1 - share) / 2)
    scores[np.arange(len(path)), ["ans".index(letter) for letter in path]] = share
    return scores


def clock(n_steps: int, hop: float = 0.5) -> np.ndarray:
    return timeline.steps(n_steps * hop, window=hop, hop=hop)


def as_letters(path: np.ndarray) -> str:
    return "".join("ans"[k] for k in path)


def test_steps_tile_the_recording_and_the_last_is_cut() -> None:
    times = timeline.steps(10.3, window=2.0, hop=0.5)
    assert times.shape == (21, 2)
    np.testing.assert_array_equal(times[1:, 0], times[:-1, 1])
    assert times[0, 0] == 0.0
    assert times[-1].tolist() == [10.0, 10.3]


@pytest.mark.parametrize("duration", [0.1, 1.3, 2.0])
def test_a_recording_no_longer_than_a_window_is_one_step(duration: float) -> None:
    assert timeline.steps(duration, window=2.0, hop=0.5).tolist() == [[0.0, duration]]


def test_a_length_of_whole_steps_gets_no_empty_last_step() -> None:
    assert len(timeline.steps(0.1 * 1001, window=0.1, hop=0.1)) == 1001


def test_the_best_path_is_the_best_of_all_paths() -> None:
    rng = np.random.default_rng(0)
    for switch_cost in (0.0, 0.3, 1.0, 5.0):
        scores = rng.dirichlet([0.5] * 3, size=6)
        gain = np.log(np.maximum(scores, timeline.LOWEST))

        def value(path: tuple[int, ...], gain: np.ndarray = gain, c: float = switch_cost) -> float:
            changes = sum(a != b for a, b in pairwise(path))
            return float(gain[np.arange(6), path].sum() - c * changes)

        found = timeline.best_path(scores, switch_cost=switch_cost)
        best = max(value(path) for path in product(range(3), repeat=6))
        assert value(tuple(found.tolist())) == pytest.approx(best, abs=1e-12)


def test_without_a_cost_each_step_takes_its_own_best_label() -> None:
    scores = np.random.default_rng(1).dirichlet([1.0] * 3, size=50)
    found = timeline.best_path(scores, switch_cost=0.0)
    np.testing.assert_array_equal(found, scores.argmax(axis=1))


def test_a_change_needs_as_much_evidence_as_it_costs() -> None:
    # one step of .8 against .1 brings log 8 = 2.08 nats; a stretch inside costs two changes
    scores = planted("nnnnannnn")
    assert as_letters(timeline.best_path(scores, switch_cost=np.log(8) / 2 - 0.01)) == "nnnnannnn"
    assert as_letters(timeline.best_path(scores, switch_cost=np.log(8) / 2 + 0.01)) == "nnnnnnnnn"
    assert as_letters(timeline.best_path(planted("nnaa"), switch_cost=4.0)) == "nnaa"


def test_half_the_evidence_needs_twice_the_steps() -> None:
    scores = planted("nnnnannnn")
    half = np.full(9, 0.5)
    assert as_letters(timeline.best_path(scores, evidence=half, switch_cost=0.6)) == "nnnnnnnnn"
    longer = planted("nnnnaannnn")
    found = timeline.best_path(longer, evidence=np.full(10, 0.5), switch_cost=0.6)
    assert as_letters(found) == "nnnnaannnn"


def test_a_label_with_no_mass_is_never_answered() -> None:
    scores = np.array([[0.0, 1.0, 0.0], [0.0, 0.5, 0.5], [0.0, 0.0, 1.0]] * 4)
    assert 0 not in timeline.best_path(scores)


def test_segments_carry_the_times_label_and_mean_score_of_their_steps() -> None:
    scores = planted("aaaannnn")
    scores[0] = [0.6, 0.2, 0.2]
    found = timeline.segments(clock(8), scores, LABELS)
    assert found == (
        Segment(0.0, 2.0, "anger", pytest.approx((0.6 + 3 * 0.8) / 4)),
        Segment(2.0, 4.0, "neutral", pytest.approx(0.8)),
    )


def test_a_pause_cuts_even_one_label_and_belongs_to_no_segment() -> None:
    active = np.array([True, True, False, False, True, True])
    found = timeline.segments(clock(6), planted("aaaaaa"), LABELS, active=active)
    assert [(s.start, s.end, s.label) for s in found] == [
        (0.0, 1.0, "anger"),
        (2.0, 3.0, "anger"),
    ]


def test_what_a_pause_sounds_like_does_not_count() -> None:
    active = np.array([True] * 3 + [False] * 5 + [True] * 3)
    found = timeline.segments(clock(11), planted("aaa" + "sssss" + "aaa"), LABELS, active=active)
    assert {s.label for s in found} == {"anger"}


def test_segments_never_overlap_and_stay_inside_the_recording() -> None:
    rng = np.random.default_rng(2)
    scores, active = rng.dirichlet([0.3] * 3, size=200), rng.random(200) < 0.8
    times = timeline.steps(99.7, window=2.0, hop=0.5)
    found = timeline.segments(times, scores, LABELS, active=active, overlap=4.0)
    edges = [edge for s in found for edge in (s.start, s.end)]
    assert edges == sorted(edges)
    assert edges[0] >= 0.0
    assert edges[-1] <= 99.7
    spoken = sum(s.end - s.start for s in found)
    assert spoken == pytest.approx(np.diff(times, axis=1)[active].sum(), abs=1e-6)


def test_a_step_is_a_pause_only_if_none_of_it_is_active() -> None:
    times = timeline.steps(2.0, window=0.5, hop=0.5)
    flags = np.zeros(20, dtype=bool)
    flags[[4, 15]] = True  # 0.4..0.5 s and 1.5..1.6 s
    assert timeline.active_steps(times, flags, 0.1).tolist() == [True, False, False, True]
