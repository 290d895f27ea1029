"""CTC decoding against every path, torch's loss, a search over dictionaries, and each other."""

from itertools import pairwise, product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from affekt.ctc import (
    Decoding,
    align,
    beam_search,
    best_path,
    collapse,
    one_label_posterior,
    sequence_log_probability,
)
from drawn_tensors import logs, random_log_probs

EVERYTHING = 10**6  # wider than there are sequences
CLOSE = {"rtol": 1e-10, "atol": 1e-10}


@st.composite
def small(draw):
    """Up to 6 frames and 4 columns, with ties and probabilities of 0, the blank anywhere."""
    n_frames, n_columns = draw(st.integers(0, 6)), draw(st.integers(2, 4))
    row = st.lists(st.sampled_from([0, 1, 1, 2, 5, 40]), min_size=n_columns, max_size=n_columns)
    rows = [draw(row.filter(any)) for _ in range(n_frames)]
    probabilities = np.array(rows, dtype=float).reshape(n_frames, n_columns)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    return logs(probabilities), draw(st.integers(0, n_columns - 1))


def every_path(log_probs, blank):
    """Probability of each sequence and of its most probable path, by writing out all paths."""
    n_frames, n_columns = log_probs.shape
    whole, best = {}, {}
    for path in product(range(n_columns), repeat=n_frames):
        p = float(np.prod(np.exp(log_probs[np.arange(n_frames), list(path)])))
        merged = [label for t, label in enumerate(path) if not t or label != path[t - 1]]
        labels = tuple(label for label in merged if label != blank)
        whole[labels] = whole.get(labels, 0.0) + p
        best[labels] = max(best.get(labels, 0.0), p)
    return whole, best


def path_of(labels, times, n_frames, blank):
    path = np.full(n_frames, blank)
    for label, (first, end) in zip(labels, times, strict=True):
        path[first:end] = label
    return path


def check_times(decoding, n_frames, blank):
    """Spans lie in order, inside the recording, and spell the labels."""
    edges = [edge for span in decoding.times for edge in span]
    assert edges == sorted(edges)
    assert all(0 <= first < end <= n_frames for first, end in decoding.times)
    path = path_of(decoding.labels, decoding.times, n_frames, blank)
    assert collapse(path.tolist(), blank) == decoding.labels
    return path


def search_over_dictionaries(log_probs, width):
    """Give the beginnings that a textbook prefix beam search ends with (blank last)."""
    blank = log_probs.shape[1] - 1
    beam = {(): (1.0, 0.0)}
    for row in np.exp(log_probs):
        grown = {}
        for prefix, (in_blank, in_label) in beam.items():
            for label, p in enumerate(row):
                end = prefix if label == blank else (*prefix, label)
                b, n = grown.get(end, (0.0, 0.0))
                if label == blank:
                    grown[end] = b + p * (in_blank + in_label), n
                elif prefix and prefix[-1] == label:
                    grown[end] = b, n + p * in_blank
                    b, n = grown.get(prefix, (0.0, 0.0))
                    grown[prefix] = b, n + p * in_label
                else:
                    grown[end] = b, n + p * (in_blank + in_label)
        beam = dict(sorted(grown.items(), key=lambda item: -sum(item[1]))[:width])
    return set(beam)


@given(small())
@settings(max_examples=60, deadline=None)
def test_exhaustive_search_ranks_all_sequences_as_the_sum_over_every_path_does(case):
    log_probs, blank = case
    whole, best = every_path(log_probs, blank)
    found = beam_search(log_probs, EVERYTHING, blank=blank)
    possible = {labels: p for labels, p in whole.items() if p > 0}
    assert {d.labels for d in found} == set(possible)
    assert len(found) == len(possible)
    for d in found:
        np.testing.assert_allclose(np.exp(d.log_probability), possible[d.labels], **CLOSE)
        path = check_times(d, len(log_probs), blank)
        p = np.exp(log_probs[np.arange(len(path)), path].sum())
        np.testing.assert_allclose(p, best[d.labels], **CLOSE)
    assert all(a.log_probability >= b.log_probability for a, b in pairwise(found))


@given(small())
@settings(max_examples=60, deadline=None)
def test_forward_recursions_equal_the_sum_over_every_path(case):
    log_probs, blank = case
    n_columns = log_probs.shape[1]
    whole, _ = every_path(log_probs, blank)
    columns = [k for k in range(n_columns) if k != blank]
    posterior = np.exp(one_label_posterior(log_probs, blank=blank))
    np.testing.assert_allclose(posterior, [whole.get((k,), 0.0) for k in columns], **CLOSE)
    for n_labels in range(4):
        for labels in product(columns, repeat=n_labels):
            p = np.exp(sequence_log_probability(log_probs, labels, blank=blank))
            np.testing.assert_allclose(p, whole.get(labels, 0.0), **CLOSE)


@given(small(), st.integers(1, 6))
@settings(max_examples=100, deadline=None)
def test_a_beam_of_any_width_is_never_worse_than_the_best_path(case, width):
    log_probs, blank = case
    found = beam_search(log_probs, width, blank=blank)
    greedy = best_path(log_probs, blank=blank)
    assert 1 <= len(found) <= width
    assert found[0].log_probability >= greedy.log_probability
    assert len({d.labels for d in found}) == len(found)


@pytest.mark.parametrize(("width", "rows"), [
    (1, [[0.7, 0.1, 0.2], [0.2, 0.5, 0.3], [0.1, 0.3, 0.6]]),
    (2, [[0.3, 0.2, 0.5], [0.4, 0.5, 0.1], [0.5, 0.4, 0.1]]),
])  # fmt: skip
def test_the_best_path_stands_in_where_a_narrow_beam_loses_it(width, rows):
    greedy = best_path(logs(rows))
    lost = search_over_dictionaries(logs(rows), width)
    assert greedy.labels not in lost
    assert all(
        sequence_log_probability(logs(rows), labels) < greedy.log_probability for labels in lost
    )
    assert beam_search(logs(rows), width)[0] == greedy


def test_the_best_path_goes_column_by_column_and_to_the_blank_among_equals():
    for seed in range(5):
        log_probs = random_log_probs(50, 5, sharpness=0.5, seed=seed)
        labels = collapse(log_probs.argmax(axis=1).tolist(), blank=4)
        assert best_path(log_probs).labels == labels
    assert best_path(logs([[0.3, 0.3, 0.4], [0.4, 0.2, 0.4], [0.4, 0.4, 0.2]])).labels == (0,)


@given(small())
@settings(max_examples=100, deadline=None)
def test_the_best_path_is_the_most_probable_of_all_and_its_sequence_is_given_its_whole_sum(case):
    log_probs, blank = case
    _, best = every_path(log_probs, blank)
    found = best_path(log_probs, blank=blank)
    path = check_times(found, len(log_probs), blank)
    p = log_probs[np.arange(len(path)), path].sum()
    np.testing.assert_allclose(np.exp(p), max(best.values()), **CLOSE)
    np.testing.assert_allclose(p, log_probs.max(axis=1, initial=-np.inf).sum() if len(path) else 0)
    assert found.log_probability == sequence_log_probability(log_probs, found.labels, blank=blank)


@pytest.mark.parametrize("width", [1, 2, 5, 20, 100])
@pytest.mark.parametrize("sharpness", [0.5, 1.0, 3.0])
def test_the_vectorised_search_keeps_what_a_search_over_dictionaries_keeps(width, sharpness):
    for seed in range(3):
        log_probs = random_log_probs(25, 5, sharpness=sharpness, seed=seed)
        expected = search_over_dictionaries(log_probs, width)
        greedy = best_path(log_probs).labels
        found = {d.labels for d in beam_search(log_probs, width)}
        assert found <= expected | {greedy}
        assert len(found) == min(width, len(expected | {greedy}))
        assert len(expected - found) <= 1  # what the best path may have pushed out


@pytest.mark.parametrize("n_columns", [5, 6])
@pytest.mark.parametrize("sharpness", [0.3, 1.0, 4.0])
def test_every_answer_of_a_long_search_has_its_exact_probability_and_best_alignment(
    n_columns, sharpness
):
    log_probs = random_log_probs(100, n_columns, sharpness=sharpness, seed=n_columns)
    found = beam_search(log_probs)
    assert len(found) == 100
    assert found[0].log_probability >= best_path(log_probs).log_probability
    for d in found[::9]:
        assert d.log_probability == pytest.approx(
            sequence_log_probability(log_probs, d.labels), rel=1e-12
        )
        assert d.times == align(log_probs, d.labels)
        check_times(d, 100, n_columns - 1)


def test_the_search_finds_more_than_the_best_path_where_paths_of_one_sequence_add_up():
    log_probs = logs([[0.4, 0.6], [0.4, 0.6]])
    assert best_path(log_probs) == Decoding((), pytest.approx(np.log(0.36)), ())
    found = beam_search(log_probs)[0]
    assert found.labels == (0,)
    assert np.exp(found.log_probability) == pytest.approx(1 - 0.36)


@pytest.mark.parametrize("blank", [0, 2, 5])
def test_sequence_probability_is_minus_torchs_ctc_loss(blank):
    rng = np.random.default_rng(3)
    labels_of = [k for k in range(6) if k != blank]
    for n_frames, n_labels in [(1, 1), (7, 7), (40, 12), (100, 30), (300, 4), (50, 0)]:
        log_probs = random_log_probs(n_frames, 6, sharpness=2.0, seed=n_frames)
        labels = rng.choice(labels_of, n_labels)
        loss = torch.nn.functional.ctc_loss(
            torch.from_numpy(log_probs)[:, None],
            torch.from_numpy(labels)[None],
            torch.tensor([n_frames]),
            torch.tensor([n_labels]),
            blank=blank,
            reduction="sum",
        ).item()
        found = sequence_log_probability(log_probs, labels, blank=blank)
        assert found == pytest.approx(-loss, rel=1e-10), (n_frames, n_labels)


def test_the_one_label_posterior_is_minus_torchs_ctc_loss_of_each_label():
    log_probs = random_log_probs(78, 5, sharpness=3.0)
    losses = torch.nn.functional.ctc_loss(
        torch.from_numpy(log_probs)[:, None].expand(-1, 4, -1),
        torch.arange(4)[:, None],
        torch.full((4,), 78),
        torch.ones(4, dtype=torch.long),
        blank=4,
        reduction="none",
    )
    np.testing.assert_allclose(one_label_posterior(log_probs), -losses.numpy(), rtol=1e-12)


def test_the_one_label_posterior_is_the_sum_over_first_and_last_frame():
    p = np.exp(random_log_probs(9, 3))
    for k in (0, 1):
        total = sum(
            p[:first, 2].prod() * p[first:end, k].prod() * p[end:, 2].prod()
            for first in range(9)
            for end in range(first + 1, 10)
        )
        assert np.exp(one_label_posterior(np.log(p))[k]) == pytest.approx(total, rel=1e-12)


def test_all_sequences_together_have_probability_1():
    found = beam_search(random_log_probs(6, 4), EVERYTHING)
    assert sum(np.exp(d.log_probability) for d in found) == pytest.approx(1)


def test_renaming_the_columns_renames_the_answer():
    log_probs = random_log_probs(60, 5, sharpness=2.0)
    order = np.array([3, 4, 0, 2, 1])
    expected = beam_search(log_probs, 20)
    found = beam_search(log_probs[:, order], 20, blank=1)
    assert [tuple(order[list(d.labels)].tolist()) for d in found] == [d.labels for d in expected]
    assert [d.times for d in found] == [d.times for d in expected]
    np.testing.assert_allclose(
        one_label_posterior(log_probs[:, order], blank=1),
        one_label_posterior(log_probs)[[3, 0, 2, 1]],
    )


def test_the_blank_may_be_counted_from_the_end():
    log_probs = random_log_probs(30, 5)
    assert beam_search(log_probs, 5, blank=-1) == beam_search(log_probs, 5, blank=4)
    assert best_path(log_probs, blank=-5) == best_path(log_probs, blank=0)


def test_planted_labels_are_found_where_they_were_planted():
    path = [4, 4, 0, 0, 0, 4, 0, 2, 2, 4, 1, 4]
    log_probs = logs(np.full((12, 5), 0.02) + 0.9 * np.eye(5)[path])
    for found in (best_path(log_probs), beam_search(log_probs)[0]):
        assert found.labels == (0, 0, 2, 1)
        assert found.times == ((2, 5), (6, 7), (7, 9), (10, 11))
    assert align(log_probs, [0, 0, 2]) == ((2, 5), (6, 7), (7, 9))


def test_probabilities_far_below_the_smallest_float_are_told_apart():
    log_probs = np.repeat(random_log_probs(1, 3, sharpness=3.0), 5000, axis=0)
    alternating = [0, 1] * 1200
    p = sequence_log_probability(log_probs, alternating)
    assert -np.inf < p < np.log(np.finfo(float).smallest_subnormal)
    assert sequence_log_probability(log_probs, alternating[:-1]) != p
    assert np.isfinite(one_label_posterior(log_probs)).all()


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_single_and_half_precision_are_taken(dtype):
    log_probs = random_log_probs(40, 5, sharpness=3.0)
    found = beam_search(log_probs.astype(dtype))[0]
    assert found.labels == beam_search(log_probs)[0].labels
    assert isinstance(found.log_probability, float)


def test_the_paths_of_the_paper_collapse_as_it_says():
    paths = {"-aa-b-b--ccc": "abbc", "": "", "---": "", "aaa": "a", "a-a": "aa", "aab": "ab"}
    code = {"-": -1, "a": 0, "b": 1, "c": 2}
    for path, labels in paths.items():
        assert collapse([code[c] for c in path]) == tuple(code[c] for c in labels)
    assert collapse(np.array([0, 3, 3, 1, 0]), blank=0) == (3, 1)


def test_one_label_in_an_utterance_has_the_four_shapes_of_the_paper():
    for path in ([0, 0], [2, 0], [0, 2], [2, 0, 2]):
        assert collapse(path, blank=2) == (0,)
