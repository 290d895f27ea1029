"""Adaptation without labels: take away what recordings of a speaker or a corpus have in common.

Heads read pooled statistics of an encoder (`affekt.frozen`). How a voice sounds on average, and
the room and line it is heard through, shift them all alike; a mean over unlabelled recordings
tells that shift. What is left is measured from it, and put where the training data lay.

A head that is linear in those statistics shifts with them: to take a mean away from what it reads
is to take the mean of its logits away from what it says. So of a voice a recogniser needs to keep
its mean logits alone (`Voice`), a few numbers from which no sound comes back.

Answers then depend on which other recordings there are. So they are no strict zero-shot results,
and are reported apart, under the mode's name.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from affekt.atomic import replacing
from affekt.exceptions import AffektError, TableError

MODES = ("recording", "speaker", "folder")
"""Whose mean is taken away: that of a recording's segments, of a speaker's recordings, of all."""

LEAST = 2  # of a group: one minus itself is nothing
PRIOR = 3.0  # utterances; of 0 .. 32 what leave-one-corpus-out likes best for 1 .. 4 recordings
MOST = 2 / 3  # of a mean that is believed: who speaks in one mood only is not robbed of it

FORMAT = "affekt-voice/1"
MAX_BYTES = 2**16  # 64 KiB: a voice is a few dozen numbers


@dataclass(frozen=True, eq=False)
class Baseline:
    """How somebody, or a corpus, sounds on average: `mean` (...), over `n` utterances."""

    mean: NDArray[np.float64]
    n: float


def baseline(statistics: ArrayLike) -> Baseline:
    """Average over utterances, labelled or not.

    Args:
        statistics: (n, ...), n utterances, segments or enrolled files.

    Raises:
        TableError: there is none, or a value is not finite.
    """
    values = np.asarray(statistics, dtype=float)
    if values.ndim < 1 or not len(values):
        raise TableError("a baseline needs recordings: give one or more")
    if not np.isfinite(values).all():
        raise TableError("a baseline of values that are not finite: compute the statistics anew")
    return Baseline(values.mean(axis=0), len(values))


def shift(
    statistics: ArrayLike, own: Baseline, reference: Baseline, *, prior: float = 0.0
) -> NDArray[np.float64]:
    """Give x - m + r: measured from the own mean, put where the training data lay.

    m = (n own + prior r) / (n + prior): a mean over few is drawn to the reference, as if so many
    of the training utterances had been among them.

    Args:
        statistics: (n, ...), to be changed.
        own: of the same speaker, recording or corpus.
        reference: r, of the training utterances.
        prior: utterances, 0 or more; infinite: nothing changes.

    Raises:
        TableError: shapes differ, or `prior` is negative.

    >>> enrolled, reference = Baseline(np.array([5.0]), 3), Baseline(np.array([1.0]), 100)
    >>> shift([[6.0]], enrolled, reference).tolist()
    [[2.0]]
    >>> shift([[6.0]], enrolled, reference, prior=3).tolist()
    [[4.0]]
    """
    values = np.asarray(statistics, dtype=float)
    if not values.shape[1:] == own.mean.shape == reference.mean.shape:
        raise TableError(
            f"statistics of shape {values.shape[1:]}, a baseline of {own.mean.shape} and a"
            f" reference of {reference.mean.shape} do not fit: take the same encoder and layers"
        )
    if not prior >= 0:
        raise TableError(f"prior {prior}: choose 0 or more utterances")
    share = 0.0 if prior == np.inf else own.n / (own.n + prior)
    moved: NDArray[np.float64] = values - share * (own.mean - reference.mean)
    return moved


def adapt(
    statistics: ArrayLike,
    groups: Sequence[Any] | NDArray[Any],
    reference: Baseline,
    *,
    mode: str,
    prior: float = 0.0,
) -> NDArray[np.float64]:
    """Shift each group of utterances by its own unlabelled mean.

    Args:
        statistics: (n, ...).
        groups: (n,), the recording, speaker or folder that each is of.
        reference: of the training utterances.
        mode: one of MODES, which says what the groups are; for messages.
        prior: as in `shift`.

    Returns:
        (n, ...), in the order given. With `prior` 0 every group's mean is the reference's.

    Raises:
        TableError: an unknown mode; groups do not fit, or one is unknown; a group has less than
            two utterances and no prior, so that nothing would be left of it.
    """
    values = np.asarray(statistics, dtype=float)
    names, codes = _coded(groups, len(values), mode)
    counts = np.bincount(codes, minlength=len(names))
    if prior == 0 and counts.min() < LEAST:
        alone = names[int(counts.argmin())]
        raise TableError(
            f"--adapt {mode}: {alone!r} has {counts.min()} utterance, of which nothing is left"
            " when its mean is taken away: choose a wider mode, or a prior above 0"
        )
    adapted = np.empty_like(values)
    for code in range(len(names)):
        mine = codes == code
        adapted[mine] = shift(values[mine], baseline(values[mine]), reference, prior=prior)
    return adapted


@dataclass(frozen=True)
class Voice:
    """What the two heads of a recogniser say of somebody, or of a folder, on average.

    `alone`, `in_context`: mean logits, before the temperature, of what was heard alone and of
    stretches of something longer; None where that head heard nothing. `n` counts utterances'
    worth of sound, pauses left out.
    """

    alone: Baseline | None
    in_context: Baseline | None


def pool(voices: Iterable[Voice]) -> Voice:
    """Join what was heard of the same voice, or of one folder: each utterance counts the same."""
    found = list(voices)
    return Voice(_joined(v.alone for v in found), _joined(v.in_context for v in found))


def offsets(
    voice: Voice, alone: ArrayLike, in_context: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give what is to be added to the logits of either head.

    The mean is believed as `shift` does with a prior of `PRIOR` utterances, and never more than
    `MOST`: of what a few recordings, or many in one mood, have in common, part is what they say.
    A head that heard nothing takes over the other's.

    Args:
        voice: whose recordings are to be answered.
        alone: mean logits of the training utterances, (n_labels,), by the head for what is short.
        in_context: likewise, by the other.

    Raises:
        TableError: shapes differ, or neither head heard anything.

    >>> voice = Voice(Baseline(np.array([4.0, 1.0]), 3), None)
    >>> offsets(voice, [0.0, 0.0], [1.0, 1.0])[0].tolist()
    [-2.0, -0.5]
    """
    heads = ((voice.alone, alone), (voice.in_context, in_context))
    found = [None if own is None else _offset(own, reference) for own, reference in heads]
    heard = [offset for offset in found if offset is not None]
    if not heard:
        raise TableError("a baseline needs recordings: give one or more")
    short, long = (heard[0] if offset is None else offset for offset in found)
    return short, long


def write_voice(path: str | Path, voice: Voice, card: Mapping[str, Any]) -> None:
    """Write a voice as JSON, tied to the model that heard it: `card` is the recogniser's."""
    heads = {
        name: own and {"mean": own.mean.round(6).tolist(), "n": round(own.n, 2)}
        for name, own in (("alone", voice.alone), ("in_context", voice.in_context))
    }
    model = {key: card.get(key) for key in ("name", "labels", "sha256")}
    with replacing(path) as temporary:
        whole = {"format": FORMAT, "model": model, **heads}
        temporary.write_text(json.dumps(whole, indent=1, ensure_ascii=False) + "\n", "utf-8")


def read_voice(path: str | Path, card: Mapping[str, Any]) -> Voice:
    """Read a voice that the recogniser of this card heard.

    Raises:
        AffektError: it cannot be read, is no voice, or is what another model heard.
    """
    try:
        with Path(path).open("rb") as file:
            text = file.read(MAX_BYTES)  # what is cut there is no JSON
    except OSError as problem:
        raise AffektError(f"{path}: cannot be read ({problem.strerror})") from None
    try:
        found = json.loads(text.decode("utf-8"))
        if found["format"] != FORMAT:
            raise ValueError(f"another format than {FORMAT}")
        model, n_labels = found["model"], len(card["labels"])
        same = model["sha256"] == card["sha256"]
        voice = Voice(*(_read(found[name], n_labels) for name in ("alone", "in_context")))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as problem:
        raise AffektError(f"{path}: is no enrolled voice ({problem!r}): enrol it anew") from None
    if not same:
        raise AffektError(
            f"{path}: was heard by another model, whose scores are no measure for those of"
            f" {card.get('name')}: enrol it anew, or choose that model with --model"
        )
    return voice


def refuse_one_label(groups: Sequence[Any], labels: Sequence[Any], *, mode: str) -> None:
    """Refuse a mode that takes the labels away with the groups' means (URDU's speakers, say).

    Where each speaker was recorded in one emotion, the mean of a speaker is that emotion. Labels
    are looked at for this alone, where there are any: an evaluation asks before it adapts.

    Args:
        groups: (n,), as in `adapt`.
        labels: (n,), the true class of each.
        mode: one of MODES.

    Raises:
        TableError: most groups have one label only, though there are several labels.
    """
    names, codes = _coded(groups, len(labels), mode)
    found: list[set[Any]] = [set() for _ in names]
    for code, label in zip(codes, labels, strict=True):
        found[code].add(label)
    pure = [str(name) for name, own in zip(names, found, strict=True) if len(own) == 1]
    if len(set().union(*found)) > 1 and 2 * len(pure) > len(names):
        raise TableError(
            f"--adapt {mode}: {len(pure)} of {len(names)} groups have one label only, {pure[0]!r}"
            " first: their means are what is to be told apart; choose a wider mode, or none"
        )


def _coded(
    groups: Sequence[Any] | NDArray[Any], n: int, mode: str
) -> tuple[list[Any], NDArray[np.int64]]:
    """Give the groups in order of appearance, and the number of each row's."""
    if mode not in MODES:
        raise TableError(f"unknown adaptation {mode!r}: choose {', '.join(MODES)}")
    if len(groups) != n or not n:
        raise TableError(f"--adapt {mode}: {len(groups)} groups for {n} utterances")
    numbers: dict[Any, int] = {}
    for row, group in enumerate(groups):
        if group is None or group == "" or group != group:
            raise TableError(
                f"--adapt {mode}: row {row} has no {mode}: name it, or choose another mode"
            )
        numbers.setdefault(group, len(numbers))
    return list(numbers), np.array([numbers[group] for group in groups])


def _joined(parts: Iterable[Baseline | None]) -> Baseline | None:
    found = [part for part in parts if part is not None and part.n > 0]
    if not found:
        return None
    counts = [part.n for part in found]
    return Baseline(np.average([part.mean for part in found], axis=0, weights=counts), sum(counts))


def _offset(own: Baseline, reference: ArrayLike) -> NDArray[np.float64]:
    prior = max(PRIOR, own.n * (1 / MOST - 1))
    mean = np.asarray(reference, dtype=float)
    moved: NDArray[np.float64]
    (moved,) = shift(np.zeros((1, *own.mean.shape)), own, Baseline(mean, np.inf), prior=prior)
    return moved


def _read(found: Mapping[str, Any] | None, n_labels: int) -> Baseline | None:
    if found is None:
        return None
    mean, n = np.array(found["mean"], dtype=float), float(found["n"])
    if mean.shape != (n_labels,) or not np.isfinite(mean).all() or not 0 < n < np.inf:
        raise ValueError("its means do not fit the labels")
    return Baseline(mean, n)
