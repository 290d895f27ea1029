"""Segments from planted scores."""

from itertools import pairwise, product

import numpy as np
import pytest

from affekt import timeline
from affekt.exceptions import AffektError
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


# --- smoothing -------------------------------------------------------------------------------


def test_smoothing_is_the_mean_of_the_steps_around_weighted_by_their_length() -> None:
    rng = np.random.default_rng(3)
    times = timeline.steps(9.7, window=2.0, hop=0.5)
    scores, active = rng.dirichlet([0.5] * 3, size=len(times)), rng.random(len(times)) < 0.7
    found = timeline.smoothed(times, scores, 2.0, active=active)
    middle, length = times.mean(axis=1), np.diff(times, axis=1)[:, 0]
    for k in range(len(times)):
        near = (np.abs(middle - middle[k]) <= 1.0 + 1e-6) & active
        mean = np.average(scores[near], axis=0, weights=length[near]) if near.any() else scores[k]
        np.testing.assert_allclose(found[k], mean, atol=1e-12)
    np.testing.assert_allclose(found.sum(axis=1), 1.0)


def test_smoothing_over_nothing_changes_nothing() -> None:
    scores = planted("ansans")
    np.testing.assert_allclose(timeline.smoothed(clock(6), scores, 0.0), scores, atol=1e-12)
    raw = {"smoothing": 0.0, "switch_cost": 0.0, "min_length": 0.0}
    assert len(timeline.segments(clock(6), scores, LABELS, **raw)) == 6


def test_smoothing_removes_a_flicker_and_keeps_what_lasts() -> None:
    scores = planted("nnnnannnnaaaaa")
    found = timeline.segments(clock(14), scores, LABELS, smoothing=1.5, switch_cost=0.0)
    assert [(s.start, s.end, s.label) for s in found] == [
        (0.0, 4.5, "neutral"),
        (4.5, 7.0, "anger"),
    ]


def test_the_probability_of_a_segment_is_that_of_the_scores_as_given() -> None:
    found = timeline.segments(clock(4), planted("nnnn", 0.7), LABELS, smoothing=1.0)
    assert [s.probability for s in found] == pytest.approx([0.7])


# --- minimum length --------------------------------------------------------------------------


def runs_of(path: str, min_length: float, gain: np.ndarray | None = None, hop: float = 0.5) -> str:
    codes = np.array(["ans".index(letter) for letter in path])
    gain = np.log(planted(path)) if gain is None else gain
    seconds = np.full(len(path), hop)
    return as_letters(timeline.without_short_runs(codes, gain, seconds, min_length))


@pytest.mark.parametrize(("path", "min_length", "expected"), [
    ("nnnannn", 1.0, "nnnnnnn"),
    ("nnnaann", 1.0, "nnnaann"),  # just as long as asked for
    ("nnnasnnn", 1.0, "nnnnnnnn"),
    ("annnn", 1.0, "nnnnn"),
    ("nnnns", 1.0, "nnnnn"),
    ("ans", 9.0, "nnn"),  # the shortest, and of those the first, joins first
    ("a", 9.0, "a"),
    ("nnnannn", 0.0, "nnnannn"),
])  # fmt: skip
def test_what_is_too_short_joins_its_neighbour(path: str, min_length: float, expected: str) -> None:
    assert runs_of(path, min_length) == expected


def test_what_is_too_short_joins_the_neighbour_that_explains_it_better() -> None:
    gain = np.log(planted("aaasnnn"))
    gain[3] = np.log([0.3, 0.1, 0.6])
    assert runs_of("aaasnnn", 1.0, gain) == "aaaannn"
    gain[3] = np.log([0.1, 0.3, 0.6])
    assert runs_of("aaasnnn", 1.0, gain) == "aaannnn"


def test_no_run_is_shorter_than_asked_unless_it_is_the_only_one() -> None:
    rng = np.random.default_rng(4)
    for _ in range(30):
        n = int(rng.integers(1, 60))
        path, gain = rng.integers(0, 3, n), np.log(rng.dirichlet([0.5] * 3, size=n))
        seconds = 0.5 * (rng.random(n) < 0.8)
        found = timeline.without_short_runs(path, gain, seconds, 1.2)
        edges = np.flatnonzero(np.diff(found)) + 1
        lengths = [part.sum() for part in np.split(seconds, edges)]
        assert len(lengths) == 1 or min(lengths) >= 1.2 - 1e-9
        assert set(found) <= set(path)


def test_pauses_add_nothing_to_a_length() -> None:
    active = np.array([True] * 4 + [True, False, False, False] + [True] * 4)
    scores = planted("nnnn" + "aaaa" + "nnnn")
    args = {"active": active, "switch_cost": 0.0}
    kept = timeline.segments(clock(12), scores, LABELS, min_length=0.5, **args)
    assert [s.label for s in kept] == ["neutral", "anger", "neutral"]
    dropped = timeline.segments(clock(12), scores, LABELS, min_length=1.0, **args)
    assert [(s.start, s.end, s.label) for s in dropped] == [
        (0.0, 2.5, "neutral"),
        (4.0, 6.0, "neutral"),
    ]


@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["smoothing", "switch_cost", "min_length"])
def test_numbers_that_cannot_be_are_refused(name: str, value: float) -> None:
    said = rf"{name.replace('_', ' ')} {value}: choose 0 or more"
    with pytest.raises(AffektError, match=said):
        timeline.segments(clock(3), planted("ann"), LABELS, **{name: value})


def test_what_a_pause_cuts_off_joins_its_neighbour_behind_the_pause():
    times = np.array([[k / 4, k / 4 + 0.25] for k in range(16)])
    scores = np.repeat([[0.98, 0.02], [0.02, 0.98]], [9, 7], axis=0)
    active = np.ones(16, dtype=bool)
    active[4:8] = False  # a quarter of a second of the first label remains behind it
    found = timeline.segments(times, scores, "ab", active=active, smoothing=0.0, min_length=0.75)
    assert [(s.start, s.end, s.label) for s in found] == [(0.0, 1.0, "a"), (2.0, 4.0, "b")]
