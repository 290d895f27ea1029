"""Bring a corpus' own labels to a common scheme by the weights of `harmonise.toml`."""

import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from affekt.exceptions import TableError
from affekt.scheme import SCHEMES, Categories

ANY = "*"
OTHER = "other"
NEUTRAL = "neutral"

MAX_SMOOTHING = 0.45
TOP_MARGIN = 1e-3  # what the first label stays above neutral by

Smoothing = Literal["neutral", "printed"]
"""Where `smooth_neutral` puts what it takes: to neutral, or to every label alike."""

Rows = Mapping[str, Mapping[str, Mapping[str, Mapping[str, float]]]]
"""Target scheme -> corpus (or `*`) -> source label -> target label -> weight."""

_SLACK = 1e-9  # decimal weights such as .7 + .3 need not sum to exactly 1 in binary


def harmonise(
    labels: pd.DataFrame,
    corpus_name: str,
    target: Categories,
    *,
    rest: Literal["other", "nothing"] = "other",
    rows: Rows | None = None,
) -> pd.DataFrame:
    """Bring labels to the scheme `target`: result = labels @ weights (spec 3.2).

    Since the map is linear, harmonising vote shares equals harmonising every vote and averaging.

    Args:
        labels: one column a source label (n utterances x n source labels).
        corpus_name: whose rows of the table are preferred.
        target: the scheme wanted.
        rest: weights that sum to w < 1 leave 1 - w to `other`, or to nothing: the rows of the
            result then sum to less than 1 and say how much of the target emotions there is.
        rows: a table of one's own (`read_rows`) in place of the one that is shipped.

    Raises:
        TableError: a source label has no row and is not in `target`.

    >>> from affekt.scheme import EKMAN_8
    >>> calm = pd.DataFrame({"calm": [1.0]}, index=["a"])
    >>> harmonise(calm, "ravdess", EKMAN_8).loc["a", ["happiness", "neutral"]].tolist()
    [0.3, 0.7]
    """
    sources = [str(name) for name in labels.columns]
    matrix = weights(sources, corpus_name, target, rest=rest, rows=rows)
    result = labels.to_numpy(dtype=float) @ matrix.to_numpy()
    return pd.DataFrame(result, index=labels.index, columns=list(target))


def weights(
    sources: Sequence[str],
    corpus_name: str,
    target: Categories,
    *,
    rest: Literal["other", "nothing"] = "other",
    rows: Rows | None = None,
) -> pd.DataFrame:
    """The matrix that `harmonise` multiplies with: one row a source, one column a target label.

    A source label is looked up among the corpus' own rows, then among those of any corpus; one
    without a row maps to the label of the same name.

    Raises:
        TableError: a source label has no row and is not in `target`.
    """
    for_target = (_shipped() if rows is None else rows).get(target.name, {})
    known = {**for_target.get(ANY, {}), **for_target.get(corpus_name, {})}
    matrix = pd.DataFrame(0.0, index=list(sources), columns=list(target))
    for source in sources:
        if source not in known and source not in target:
            raise TableError(
                f"label {source!r} of corpus {corpus_name!r} has no place in scheme "
                f"{target.name!r}; add a row to harmonise.toml or pass rows=read_rows(path)"
            )
        for label, weight in known.get(source, {source: 1.0}).items():
            matrix.loc[source, label] = weight
    if rest == "other" and OTHER in target:
        matrix[OTHER] += np.clip(1 - matrix.sum(axis=1), 0, None).where(
            lambda left: left > _SLACK, 0
        )
    return matrix


def smooth_neutral(
    scores: pd.DataFrame, intensity: pd.Series | None = None, *, mode: Smoothing = "neutral"
) -> pd.DataFrame:
    """Make the labels of weak utterances softer (spec 3.3; the Whisper paper, section 2.2).

    An utterance weaker than the mean of the data set, E_i < E, gives away the part
    a = min((E - E_i) / E, .45) of its labels. "neutral": every score is scaled by 1 - a and what
    that takes away goes to neutral, as far as the first label stays 0.001 above it.
    "printed": e' = e (1 - a) + (1 - e) a / M over M labels, as the paper prints; that is uniform
    smoothing, which favours neutral no more than any other label and never changes the first.
    Rows are divided by their sum after that.

    Args:
        scores: of one data set; one column a label, neutral among them, entries in 0..1. Labels
            times their intensity, or labels alone where `intensity` is given.
        intensity: E_i by utterance, at least 0: a strength, or the share of votes that are not
            neutral. Without it the sum of the row. Where it is missing the row is not smoothed.
        mode: "neutral" or "printed".

    Returns:
        A labels table. With "neutral" a row of zeros, which no emotion was found in, is neutral.

    Raises:
        TableError: another mode, no column neutral, a score outside 0..1, a negative intensity,
            or one of an utterance that has no scores.

    >>> said = pd.DataFrame({"anger": [0.6, 1.0], "neutral": [0.0, 0.0]}, index=["weak", "strong"])
    >>> smooth_neutral(said).round(3).loc["weak"].tolist()
    [0.75, 0.25]
    """
    if mode not in ("neutral", "printed"):
        raise TableError(f"mode must be neutral or printed, not {mode!r}")
    if NEUTRAL not in scores.columns:
        raise TableError(f"scores have no column {NEUTRAL}: harmonise to a scheme that has it")
    values = scores.to_numpy(dtype=float)
    outside = ~((values >= 0) & (values <= 1)).all(axis=1)
    if outside.any():
        raise TableError(
            f"scores of {scores.index[int(outside.argmax())]!r} are not all within 0..1"
        )
    given = _strength(scores.index, values.sum(axis=1), intensity)
    part = _removed_part(given)[:, None]
    column = list(scores.columns).index(NEUTRAL)
    if mode == "neutral":
        values = _towards_neutral(values, part[:, 0], column)
        values[values.sum(axis=1) == 0, column] = 1.0
    else:
        values = values * (1 - part) + (1 - values) * part / values.shape[1]
    total = values.sum(axis=1, keepdims=True)
    if (total == 0).any():
        raise TableError(f"scores of {scores.index[int((total == 0).argmax())]!r} are all 0")
    return pd.DataFrame(values / total, scores.index, scores.columns)


def _strength(index: pd.Index, sums: np.ndarray, intensity: pd.Series | None) -> np.ndarray:
    if intensity is None:
        return sums
    strange = index.difference(intensity.index)
    if len(strange):
        raise TableError(f"no intensity of {strange[0]!r}: give NaN where it is not known")
    given = intensity.reindex(index).to_numpy(dtype=float)
    if (given < 0).any():
        raise TableError(f"the intensity of {index[int((given < 0).argmax())]!r} is below 0")
    return given


def _removed_part(intensity: np.ndarray) -> np.ndarray:
    """Alpha of each utterance, 0 where its intensity is not known."""
    known = np.isfinite(intensity)
    mean = intensity[known].mean() if known.any() else 0.0
    if mean == 0:
        return np.zeros(len(intensity))
    alpha = np.where(known, (mean - intensity) / mean, 0.0)
    return np.clip(alpha, 0.0, MAX_SMOOTHING)


def _towards_neutral(values: np.ndarray, part: np.ndarray, column: int) -> np.ndarray:
    scaled: np.ndarray = values * (1 - part)[:, None]
    others = np.delete(values, column, axis=1).max(axis=1, initial=0.0)
    moved = scaled[:, column] + part * values.sum(axis=1)
    cap = np.maximum(others * (1 - part) - TOP_MARGIN, scaled[:, column])
    first = values[:, column] >= others
    scaled[:, column] = np.where(first, moved, np.minimum(moved, cap))
    return scaled


def read_rows(path: str | Path, schemes: Mapping[str, Categories] = SCHEMES) -> Rows:
    """Read and check a table of weights in the form of `harmonise.toml`.

    Args:
        path: a TOML file.
        schemes: the target schemes by name; pass one's own where rows lead to it.

    Raises:
        TableError: not TOML; an unknown scheme or target label; a weight outside 0..1; weights of
            a row that sum to more than 1, or to less where the scheme has no `other`.
    """
    path = Path(path)
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise TableError(f"{path}: cannot be read as TOML ({problem})") from problem
    for scheme, corpora in document.items():
        if scheme not in schemes:
            raise TableError(f"{path}: [{scheme}] is not a scheme ({', '.join(schemes)})")
        for corpus, sources in _sections(corpora, f"{path}: [{scheme}]"):
            for source, row in _sections(sources, f"{path}: [{scheme}.{corpus}]"):
                where = f"{path}: [{scheme}.{corpus}] {source}"
                _check_row(row, schemes[scheme], where)
    return document


def _check_row(row: Any, target: Categories, where: str) -> None:
    total = 0.0
    for label, weight in _sections(row, where):
        if label not in target:
            raise TableError(f"{where}: {label!r} is not in {', '.join(target)}")
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight <= 1:
            raise TableError(f"{where}: the weight of {label} is {weight!r}, not within 0..1")
        total += weight
    if total > 1 + _SLACK:
        raise TableError(f"{where}: the weights sum to {total:g}, more than 1")
    if total < 1 - _SLACK and OTHER not in target:
        raise TableError(f"{where}: the weights sum to {total:g}, and there is no 'other' to fill")


def _sections(value: Any, where: str) -> Any:
    if not isinstance(value, dict) or not value:
        raise TableError(f"{where}: must be a table with entries, not {value!r}")
    return value.items()


@cache
def _shipped() -> Rows:
    return read_rows(Path(__file__).with_name("harmonise.toml"))
