"""Which labels follow each other: decode what a network says of each frame, by CTC.

Connectionist Temporal Classification (Graves et al. 2006) adds to the labels a NULL, here "the
blank". A path names one column per frame; merging equal neighbours and then dropping blanks makes
it a sequence of labels, and the probability of a sequence is the sum over all its paths (spec 4.3).
Nothing here is sampled or approximated but the choice of candidates in `beam_search`.

Every function takes `log_probs`, natural logarithms of shape (n_frames, n_labels + 1), and `blank`,
the column of the blank, by default the last. Labels are numbers of columns. A span is (first frame,
past the last frame): times the hop it is seconds. Log-probabilities that break their contract raise
TableError, whose message names the row.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from affekt.exceptions import TableError

Floats = NDArray[np.float64]
Nodes = NDArray[np.intp]
Labels = Sequence[int] | NDArray[np.integer]
Span = tuple[int, int]

WIDTH = 100
BLANK = -1  # the last column
EXCESS = 0.01  # by which half precision may push a row's sum of probabilities above 1


class Decoding(NamedTuple):
    """A sequence of labels in a recording.

    Attributes:
        labels: columns, in order of time; none where nothing but the blank was found.
        log_probability: of the sequence, over all its paths; nats, at most 0.
        times: span of each label on the best path of the sequence. Outside all spans is the blank.
    """

    labels: tuple[int, ...]
    log_probability: float
    times: tuple[Span, ...]


class _Frames(NamedTuple):
    """Checked log-probabilities: `spoken` has -inf in the blank's column, `silent` is that one."""

    spoken: Floats
    silent: Floats
    blank: int


class _Tree(NamedTuple):
    """Sequences of labels: node 0 is the empty one, any other its parent's and one more label.

    Parents come before their children; node 0 is its own parent and has the blank for a label.
    """

    parent: Nodes
    label: Nodes


def collapse(path: Iterable[int], blank: int = BLANK) -> tuple[int, ...]:
    """Merge equal neighbours, then drop blanks: the mapping M of the paper (spec 4.3).

    Args:
        path: one number per frame.
        blank: the number that stands for the blank in `path`. For a path of columns name it: a path
            does not tell how many columns there are.

    >>> collapse([-1, 0, 0, -1, 1, -1, 1, -1, -1, 2, 2, 2])
    (0, 1, 1, 2)
    """
    labels: list[int] = []
    before = blank
    for label in path:
        if label not in (before, blank):
            labels.append(int(label))
        before = label
    return tuple(labels)


def best_path(log_probs: ArrayLike, *, blank: int = BLANK) -> Decoding:
    """The sequence on the one most probable path: the best column of every frame, collapsed.

    Its `log_probability` is that of the sequence, so that it compares with `beam_search`; that of
    the path alone is the sum of the rows' maxima. Among equals a frame goes to the blank, then to
    the first column.

    >>> best_path(np.log([[0.1, 0.9], [0.8, 0.2], [0.7, 0.3]])).labels
    (0,)
    """
    frames = _checked(log_probs, blank)
    tree = _chain(_greedy(frames), frames.blank)
    return _decodings(frames, tree, np.array([len(tree.parent) - 1]))[0]


def beam_search(log_probs: ArrayLike, width: int = WIDTH, *, blank: int = BLANK) -> list[Decoding]:
    """The most probable sequences, found by prefix beam search, best first.

    Frame by frame the `width` most probable beginnings are kept (Hannun et al. 2014,
    arXiv:1408.2873, without a language model). What remains, and the sequence of `best_path`, are
    then given their exact probabilities: the first answer is never less probable than the best
    path. With at least as many places as there are sequences the search is exhaustive.

    Args:
        log_probs: (n_frames, n_labels + 1).
        width: how many beginnings are kept, from 1 up.
        blank: column of the blank.

    Returns:
        At least 1 and at most `width` different sequences of a probability above 0. The empty
        sequence is one of them where it is probable enough.

    Raises:
        ValueError: the width is below 1.

    >>> found = beam_search(np.log([[0.4, 0.6], [0.4, 0.6]]), width=2)
    >>> [(labels, round(float(np.exp(p)), 2)) for labels, p, _ in found]
    [((0,), 0.64), ((), 0.36)]
    """
    if width < 1:
        raise ValueError(f"width is {width}; at least 1 sequence must be kept")
    frames = _checked(log_probs, blank)
    tree, leaves = _search(frames, width)
    return _decodings(frames, *_ancestors(tree, leaves))[:width]


def one_label_posterior(log_probs: ArrayLike, *, blank: int = BLANK) -> Floats:
    """Log p((k,) | X) of the sequence that is label k alone, for every k.

    p = sum over first <= last frame of the products of the blank before, k within, and the blank
    after (spec 4.3), by the forward recursion, in O(n_frames * n_labels). Its softmax is the
    posterior given that there is exactly one label; its argmax classifies an utterance and, unlike
    a decoded sequence, is never empty.

    Returns:
        (n_labels,), nats, for the columns without the blank in their order; -inf for all where
        there is no frame.

    >>> np.exp(one_label_posterior(np.log([[0.4, 0.6], [0.4, 0.6]]))).round(2).tolist()
    [0.64]
    """
    frames = _checked(log_probs, blank)
    columns = np.delete(np.arange(frames.spoken.shape[1]), frames.blank)
    label = np.concatenate([[frames.blank], columns])
    return _log_probabilities(frames, _Tree(np.zeros_like(label), label))[1:]


def sequence_log_probability(log_probs: ArrayLike, labels: Labels, *, blank: int = BLANK) -> float:
    """Log p(labels | X), summed over all paths by the forward recursion; minus the CTC loss.

    Returns:
        Nats; -inf for a sequence that has no path, such as one longer than the input. The empty
        sequence has one path, all blanks.

    Raises:
        TableError: a label that is no column, or the blank.

    >>> p = sequence_log_probability(np.log([[0.4, 0.6], [0.4, 0.6]]), [0])
    >>> round(float(np.exp(p)), 2)
    0.64
    """
    frames = _checked(log_probs, blank)
    tree = _chain(_checked_labels(labels, frames), frames.blank)
    return float(_log_probabilities(frames, tree)[-1])


def align(log_probs: ArrayLike, labels: Labels, *, blank: int = BLANK) -> tuple[Span, ...]:
    """Span of each label on the most probable path of a given sequence (Viterbi 1967).

    Raises:
        TableError: a label that is no column, or a sequence that has no path in these frames.

    >>> align(np.log([[0.1, 0.9], [0.8, 0.2], [0.7, 0.3]]), [0])
    ((1, 3),)
    """
    frames = _checked(log_probs, blank)
    wanted = _checked_labels(labels, frames)
    found = _decodings(frames, _chain(wanted, frames.blank), np.array([len(wanted)]))
    if found:
        return found[0].times
    n_frames = len(frames.silent)
    n_needed = len(wanted) + sum(a == b for a, b in pairwise(wanted))
    if n_needed > n_frames:
        raise TableError(
            f"{len(wanted)} labels cannot be aligned with {n_frames} frames: they need {n_needed} "
            "or more, as a blank stands between equal neighbours; shorten them, or the hop"
        )
    raise TableError(f"the labels {wanted} have probability 0 in these {n_frames} frames")


def _checked(log_probs: ArrayLike, blank: int) -> _Frames:
    try:
        values = np.array(log_probs, dtype=np.float64)
    except (TypeError, ValueError):
        raise TableError("log_probs are not a table of numbers, one row per frame") from None
    if values.ndim != 2 or values.shape[1] < 2:
        raise TableError(
            f"log_probs have shape {values.shape}, not (n_frames, n_labels + 1): one recording, "
            "one label or more, and the blank"
        )
    n_columns = values.shape[1]
    if not -n_columns <= blank < n_columns:
        raise ValueError(f"blank is {blank}; there are {n_columns} columns")
    with np.errstate(over="ignore"):
        sums = np.exp(values).sum(axis=1)
    wrong = np.flatnonzero(~((sums > 0) & (sums <= 1 + EXCESS)))
    if wrong.size:
        row = int(wrong[0])
        if np.isnan(sums[row]):
            raise TableError(f"log_probs, row {row}: NaN; the network or its input is damaged")
        raise TableError(
            f"log_probs, row {row}: probabilities sum to {sums[row]:.4g}, not 1; give natural "
            "logarithms of probabilities, such as log_softmax of the logits"
        )
    silent = values[:, blank].copy()
    values[:, blank] = -np.inf
    return _Frames(values, silent, blank % n_columns)


def _checked_labels(labels: Labels, frames: _Frames) -> tuple[int, ...]:
    n_columns = frames.spoken.shape[1]
    for place, label in enumerate(labels):
        whole = isinstance(label, int | np.integer)
        if not whole or not 0 <= label < n_columns or label == frames.blank:
            raise TableError(
                f"label {place} is {label!r:.20}; it must be one of the columns "
                f"0 .. {n_columns - 1}, without the blank, {frames.blank}"
            )
    return tuple(int(label) for label in labels)


def _greedy(frames: _Frames) -> tuple[int, ...]:
    heard = frames.spoken.max(axis=1) > frames.silent
    path = np.where(heard, frames.spoken.argmax(axis=1), frames.blank)
    return collapse(path.tolist(), frames.blank)


def _chain(labels: Sequence[int], blank: int) -> _Tree:
    """One sequence as a tree; its node is the last."""
    steps = np.arange(len(labels))
    return _Tree(np.append(0, steps), np.append(blank, np.array(labels, dtype=np.intp)))


def _start(tree: _Tree) -> tuple[Floats, Floats]:
    """Log-probabilities, per node, of paths that end in the blank (or are none), in its label."""
    in_blank = np.full(len(tree.parent), -np.inf)
    in_label = in_blank.copy()
    in_blank[0] = 0.0
    return in_blank, in_label


def _log_probabilities(frames: _Frames, tree: _Tree) -> Floats:
    """Log-probability of every node's sequence.

    The forward recursion of Graves et al. 2006, where sequences share what they begin with.
    """
    parent, label = tree
    changes = label != label[parent]  # only then may a label follow another without a blank
    in_blank, in_label = _start(tree)
    for spoken, silent in zip(frames.spoken, frames.silent, strict=True):
        total = np.logaddexp(in_blank, in_label)
        from_parent = np.where(changes, total[parent], in_blank[parent])
        in_label = np.logaddexp(in_label, from_parent) + spoken[label]
        in_blank = total + silent
    return np.logaddexp(in_blank, in_label)


def _best_paths(frames: _Frames, tree: _Tree, leaves: Nodes) -> Nodes:
    """Best path of each leaf's sequence: node whose label is emitted, 0 for the blank.

    The recursion of `_log_probabilities` with max for sum, then back along the choices. Leaves must
    have a path. Shape (n_leaves, n_frames).
    """
    parent, label = tree
    changes = label != label[parent]
    in_blank, in_label = _start(tree)
    shape = (len(frames.silent), len(parent))
    ended_in_label, stayed = np.empty(shape, dtype=bool), np.empty(shape, dtype=bool)
    for t, (spoken, silent) in enumerate(zip(frames.spoken, frames.silent, strict=True)):
        ended_in_label[t] = in_label > in_blank
        total = np.maximum(in_blank, in_label)
        from_parent = np.where(changes, total[parent], in_blank[parent])
        stayed[t] = in_label >= from_parent
        in_label = np.maximum(in_label, from_parent) + spoken[label]
        in_blank = total + silent
    paths = np.zeros((len(leaves), len(frames.silent)), dtype=np.intp)
    node, emits = leaves, (in_label > in_blank)[leaves]
    for t in range(len(frames.silent) - 1, -1, -1):
        paths[:, t] = np.where(emits, node, 0)
        stays = stayed[t, node] & emits
        came_from = np.where(emits & ~stays, parent[node], node)
        emits = stays | (ended_in_label[t, came_from] & (changes[node] | ~emits))
        node = came_from
    return paths


def _decodings(frames: _Frames, tree: _Tree, leaves: Nodes) -> list[Decoding]:
    """The leaves' sequences that have a path, the most probable first."""
    scores = _log_probabilities(frames, tree)[leaves]
    order = np.argsort(-scores, kind="stable")
    order = order[scores[order] > -np.inf]
    paths = _best_paths(frames, tree, leaves[order])
    emits = paths != 0
    first = emits & (paths != np.pad(paths, ((0, 0), (1, 0)))[:, :-1])
    last = emits & (paths != np.pad(paths, ((0, 0), (0, 1)))[:, 1:])
    labels = tree.label[paths[first]].tolist()
    starts, stops = np.nonzero(first)[1], np.nonzero(last)[1] + 1
    spans = list(zip(starts.tolist(), stops.tolist(), strict=True))
    ends = first.sum(axis=1).cumsum().tolist()
    return [
        Decoding(tuple(labels[begin:end]), score, tuple(spans[begin:end]))
        for (begin, end), score in zip(pairwise([0, *ends]), scores[order].tolist(), strict=True)
    ]


class _Trie:
    """A tree that grows; each sequence has one node, however often it is asked for."""

    def __init__(self, n_columns: int, blank: int) -> None:
        self.size = 1
        self.parent = np.zeros(1, dtype=np.intp)
        self.label = np.full(1, blank, dtype=np.intp)
        self.child = np.zeros((1, n_columns), dtype=np.intp)  # 0 = not there yet

    def extend(self, nodes: Nodes, labels: Nodes) -> Nodes:
        """Nodes of the sequences that are each one label longer than those given."""
        found: Nodes = self.child[nodes, labels]
        new = np.flatnonzero(found == 0)
        end = self.size + len(new)
        while end > len(self.parent):
            self.parent, self.label, self.child = (
                np.concatenate([old, np.zeros_like(old)])
                for old in (self.parent, self.label, self.child)
            )
        fresh = np.arange(self.size, end)
        self.parent[fresh], self.label[fresh] = nodes[new], labels[new]
        self.child[nodes[new], labels[new]] = fresh
        self.size = end
        found[new] = fresh
        return found


def _search(frames: _Frames, width: int) -> tuple[_Tree, Nodes]:
    """Prefix beam search: the tree of all that was looked at, and the nodes that remain.

    The nodes of the beam stay sorted, so a parent is found by bisection.
    """
    n_columns = frames.spoken.shape[1]
    trie = _Trie(n_columns, frames.blank)
    beam = np.zeros(1, dtype=np.intp)
    in_blank, in_label = np.zeros(1), np.full(1, -np.inf)
    for spoken, silent in zip(frames.spoken, frames.silent, strict=True):
        n = len(beam)
        last, parent = trie.label[beam], trie.parent[beam]
        total = np.logaddexp(in_blank, in_label)
        longer = total[:, None] + spoken
        longer[np.arange(n), last] = in_blank + spoken[last]  # a repeat needs a blank between
        in_label = in_label + spoken[last]
        place = np.searchsorted(beam, parent)
        kept = np.flatnonzero(beam[place] == parent)  # parents grow into these
        grown = place[kept], last[kept]
        in_label[kept] = np.logaddexp(in_label[kept], longer[grown])
        longer[grown] = -np.inf
        in_blank = total + silent

        scores = np.concatenate([np.logaddexp(in_blank, in_label), longer.ravel()])
        best = np.flatnonzero(scores > -np.inf)
        if best.size > width:
            best = np.argpartition(-scores, width - 1)[:width]
        stay, grow = best[best < n], best[best >= n] - n
        nodes = np.concatenate([beam[stay], trie.extend(beam[grow // n_columns], grow % n_columns)])
        order = np.argsort(nodes)
        beam = nodes[order]
        nothing = np.full(len(grow), -np.inf)
        in_blank = np.concatenate([in_blank[stay], nothing])[order]
        in_label = np.concatenate([in_label[stay], longer.ravel()[grow]])[order]
    node = np.zeros(1, dtype=np.intp)
    for label in _greedy(frames):
        node = trie.extend(node, np.array([label]))
    tree = _Tree(trie.parent[: trie.size], trie.label[: trie.size])
    return tree, np.union1d(beam, node)


def _ancestors(tree: _Tree, leaves: Nodes) -> tuple[_Tree, Nodes]:
    """The leaves and what leads to them alone, numbered anew."""
    wanted = np.zeros(len(tree.parent), dtype=bool)
    wanted[0] = True
    nodes = leaves
    while nodes.size:
        wanted[nodes] = True
        nodes = np.unique(tree.parent[nodes])
        nodes = nodes[~wanted[nodes]]
    number = wanted.cumsum() - 1
    return _Tree(number[tree.parent[wanted]], tree.label[wanted]), number[leaves]
