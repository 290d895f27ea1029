"""From Dusha's raw annotations to the manifests that its models were trained on (spec 1.2).

The layout is the release's; the decisions are its script's with `compat="dusha"`, and without it
these are better: control tasks reach no training manifest (the script drops them when it reads .tsv
and keeps them when it reads .jsonl), an exact tie stays undecided instead of going to the label
that happened to appear last, a recording in a training and a test subset is a test one, and
experiment manifests hold the posterior too.
"""

import os
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from affekt.atomic import replacing
from affekt.corpora.dusha.corpus import each_once, votes
from affekt.corpora.dusha.files import (
    AGGREGATED,
    EXPERIMENT,
    PROBS,
    WORDS,
    lines_of,
    read_manifest,
    read_meta,
    write,
)
from affekt.corpora.dusha.raw import (
    DUSHA_5,
    ENDINGS,
    NO_GOLD,
    SUBSETS,
    Progress,
    Raw,
    is_empty,
    read,
)
from affekt.corpora.dusha.summary import Note, notes, summary
from affekt.exceptions import CorpusError, TableError
from affekt.scheme import DUSHA_4
from affekt.tables import read_table
from affekt.votes import AGGREGATORS
from affekt.votes.dawid_skene import fit
from affekt.votes.threshold import threshold as harden

__all__ = ["AGGREGATED", "EXPERIMENT", "WORDS", "process", "read_manifest", "read_meta"]

SPLITS = ("train", "test")
DOMAINS = ("podcast", "crowd")
"""In the order in which the combined manifests have them."""

MAX_ITERATIONS = 100
UNDECIDED = -1


def process(
    root: str | Path,
    out: str | Path,
    *,
    threshold: float = 0.9,
    method: str = "dawid-skene",
    compat: Literal["dusha"] | None = None,
    per_split: bool = False,
    drop_honeypots: bool | None = None,
    exclude: Sequence[str] | str | Path | None = None,
    ending: str | None = None,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Read the raw annotations, aggregate them, write all manifests.

    ```
    OUT/meta.tsv                                 posterior of every recording
    OUT/processed_dataset_090/
       aggregated_dataset/<subset>.jsonl         decided recordings, `other` and control tasks too
       train/{crowd_train,podcast_train,train}.jsonl   test/…     what experiments read
    ```

    Manifests that an earlier run left in the folder and this one has not written are removed.

    Args:
        root: the folder of the four subsets, or one above it.
        out: where to write; `root` gives the release's own relative paths.
        threshold: least posterior probability (`>=`) of a decided recording.
        method: how votes become labels: a name in `affekt.votes.AGGREGATORS`, with its defaults
            and all votes of a rater on a recording. Of the others than Dawid-Skene only
            weighted-majority sees the right answers of control tasks.
        compat: "dusha" takes the released script's decisions.
        per_split: aggregate training and test votes apart, so that test labels do not rest on
            what annotators did in the training part. The release aggregates all jointly.
        drop_honeypots: leave control tasks (honeypots) out of the experiment manifests: True in
            train/ and test/, False in neither. None takes the words of spec 1.2.1, "default true
            for training manifests": out of train/, but in test/, where they are recordings like
            any other; `golden_emo` of the aggregated manifests names them. With `compat` None is
            the script, which drops those of both whose golden_emo is text.
        exclude: raters whose votes do not count: their ids, or a file with an id a line (.txt) or
            a table with a column `rater`. A recording that has no other votes is undecided.
        ending: .jsonl or .tsv, read and written; None takes .jsonl where both are there.
        progress: draws bars.

    Returns:
        Counts and hours beside those that the papers print, and their difference; index `source`,
        `domain`, `what`, columns `found`, `printed`, `difference`. Rows of source "note" say what
        is not as in the release: a missing subset, no or unknown golden_emo.

    Raises:
        CorpusError: nothing to read, a broken line, an unknown `compat`; with `compat` another
            method, or a subset that is not there, as all are aggregated jointly.
        TableError: `threshold` is not in (0, 1], no such method, no vote is left.
    """
    _check(threshold, method, compat)
    root, out, left_out = Path(root), Path(out), _names(exclude)
    raw = read(root, ending=ending, progress=progress)
    absent = [subset for subset in SUBSETS if subset not in raw.files]
    if compat and absent:
        raise CorpusError(f"{root}: compat='dusha' needs all subsets, {', '.join(absent)} is gone")
    counted = ~raw.raters.isin(left_out)[raw.rater]
    posteriors = _posteriors(raw, counted, method, per_split, progress)
    kept = _decided(raw, posteriors, threshold, compat)
    kept["control"] = _control(raw, kept, released=compat is not None and drop_honeypots is None)
    usual = SPLITS if compat else ("train",)
    dropped = usual if drop_honeypots is None else SPLITS if drop_honeypots else ()
    used = kept["emotion"].between(0, len(DUSHA_4) - 1)
    kept["used"] = used & ~(kept["control"] & kept["split"].isin(dropped))
    _write_meta(posteriors, out / "meta.tsv")
    probs = None if compat else posteriors
    _write_manifests(raw, kept, probs, root, out / _folder(threshold), progress)
    told = [*notes(raw), *_about_raters(raw, left_out, counted)]
    return summary(raw, kept, kept[kept["used"]], told)


def _check(threshold: float, method: str, compat: str | None) -> None:
    if compat not in (None, "dusha"):
        raise CorpusError(f"compat {compat!r}: there is 'dusha' alone")
    if not 0 < threshold <= 1:
        raise TableError(f"threshold {threshold} is not in (0, 1]")
    if method not in AGGREGATORS:
        raise TableError(f"no method {method!r}: there are {', '.join(AGGREGATORS)}")
    if compat and method != "dawid-skene":
        raise CorpusError(f"compat='dusha' is Dawid-Skene, not {method}")


def _names(exclude: Sequence[str] | str | Path | None) -> list[str]:
    """The ids of raters to leave out; a word is a file."""
    if not isinstance(exclude, (str, Path)):
        return [str(name) for name in exclude] if exclude is not None else []
    path = Path(exclude)
    if path.suffix.lower() == ".txt":
        try:
            lines = path.read_text("utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as problem:
            raise TableError(f"{path}: cannot be read as text ({problem})") from problem
        return [line.strip() for line in lines if line.strip()]
    table = read_table(path)
    if "rater" not in table.columns:
        raise TableError(f"{path}: no column rater, whose votes are to be left out")
    return [str(name) for name in table["rater"].dropna()]


def _about_raters(raw: Raw, left_out: list[str], counted: NDArray[np.bool_]) -> list[Note]:
    """How many votes were left out, and how many of the raters named have none."""
    if not left_out:
        return []
    strangers = len(set(left_out) - set(raw.raters))
    lost = Note("all", "annotations of excluded raters left out", int((~counted).sum()))
    return [lost, *([Note("all", "excluded raters are unknown", strangers)] if strangers else [])]


def _folder(threshold: float) -> str:
    """`processed_dataset_` and the percents, of which three digits are before the point.

    >>> _folder(0.9), _folder(0.905), _folder(1.0), _folder(0.58)[-3:]
    ('processed_dataset_090', 'processed_dataset_0905', 'processed_dataset_100', '058')
    """
    percents = f"{Decimal(f'{threshold:.12g}') * 100:f}"
    whole, _, rest = percents.partition(".")
    return f"processed_dataset_{whole:0>3}{rest.rstrip('0')}"


def _posteriors(
    raw: Raw,
    counted: NDArray[np.bool_],
    method: str,
    per_split: bool,
    progress: Progress | None,
) -> dict[str, pd.DataFrame]:
    """Split -> labels table; the same one for both where they are aggregated jointly."""
    parts = {split: [s for s in raw.files if s.endswith(split)] for split in SPLITS}
    groups = [parts[split] for split in SPLITS if parts[split]] if per_split else [list(raw.files)]
    chosen = [raw.of(group) & counted for group in groups]
    for group, mine in zip(groups, chosen, strict=True):
        if not mine.any():
            raise TableError(f"{', '.join(group)}: every rater is excluded, no vote is left")
    if method == "dawid-skene":
        more = progress("aggregating", MAX_ITERATIONS * len(groups)) if progress else None
        tables = [
            fit(raw.coded(mine), max_iterations=MAX_ITERATIONS, progress=more).labels
            for mine in chosen
        ]
    else:
        table = votes(raw)
        gold = np.array([*DUSHA_5, None], dtype=object)[np.maximum(_gold(raw), NO_GOLD)]
        table["gold"] = gold[raw.utterance]
        table = table if method == "weighted-majority" else table.drop(columns="gold")
        tables = [AGGREGATORS[method](table[mine], DUSHA_5, duplicates="keep") for mine in chosen]
    table_of = {subset: table for group, table in zip(groups, tables, strict=True)
                for subset in group}  # fmt: skip
    return {split: table_of[subsets[0]] for split, subsets in parts.items() if subsets}


def _decided(
    raw: Raw,
    posteriors: dict[str, pd.DataFrame],
    threshold: float,
    compat: str | None,
) -> pd.DataFrame:
    """Recordings with `emotion` (position in DUSHA_5, -1 undecided) and `golden_emo`."""
    table = raw.recordings.copy() if compat else each_once(raw)
    names = [SUBSETS[subset] for subset in table["subset"]]
    table["domain"] = [name.split("_")[0] for name in names]
    table["split"] = [name.split("_")[1] for name in names]
    table["hash_id"] = raw.utterances.take(table["utterance"].to_numpy())
    table["emotion"] = UNDECIDED
    for split, labels in posteriors.items():
        mine = table["split"] == split
        rows = labels.index.get_indexer(pd.Index(table.loc[mine, "hash_id"]))
        chosen = _last_of_ties(labels, threshold, raw) if compat else _hard(labels, threshold)
        table.loc[mine, "emotion"] = np.where(rows >= 0, chosen[rows], UNDECIDED)
    if compat:
        table["golden_emo"] = table["golden_emo"].where(~table["golden_emo"].map(is_empty), None)
    else:
        words = np.array([*WORDS, "unknown", None], dtype=object)
        table["golden_emo"] = words[_gold(raw)[table["utterance"]]]
    return table


def _control(raw: Raw, kept: pd.DataFrame, *, released: bool) -> NDArray[np.bool_]:
    """Which recordings are control tasks; as released: whose first golden_emo is text."""
    said = raw.recordings["golden_emo"]
    if released:
        return np.array([isinstance(value, str) and value != "" for value in said], dtype=bool)
    return np.asarray(_gold(raw)[kept["utterance"]] != NO_GOLD)


def _hard(labels: pd.DataFrame, threshold: float) -> NDArray[np.int64]:
    chosen = harden(labels, threshold)
    return np.asarray(pd.Index(list(DUSHA_5)).get_indexer(pd.Index(chosen)))


def _last_of_ties(labels: pd.DataFrame, threshold: float, raw: Raw) -> NDArray[np.int64]:
    """The likeliest label; of several that share the top the one whose first vote came last."""
    columns = np.array([DUSHA_5.index(label) for label in reversed(raw.appearance)])
    values = labels.to_numpy()
    winner = columns[values[:, columns].argmax(axis=1)]
    return np.where(values.max(axis=1) >= threshold, winner, UNDECIDED)


def _gold(raw: Raw) -> NDArray[np.int16]:
    """The right answer of each utterance, by the first of its annotations that knows one."""
    gold = np.full(len(raw.utterances), NO_GOLD, dtype=np.int16)
    known = np.flatnonzero(raw.gold != NO_GOLD)[::-1]
    gold[raw.utterance[known]] = raw.gold[known]
    return gold


def _write_meta(posteriors: dict[str, pd.DataFrame], path: Path) -> None:
    tables = list({id(table): table for table in posteriors.values()}.values())
    meta = pd.concat(tables).set_axis(list(WORDS), axis=1).rename_axis("hash_id")
    with replacing(path) as temporary:
        meta.to_csv(temporary, sep="\t", lineterminator="\n")


def _write_manifests(
    raw: Raw,
    kept: pd.DataFrame,
    probs: dict[str, pd.DataFrame] | None,
    root: Path,
    folder: Path,
    progress: Progress | None,
) -> None:
    """Write all manifests, with `probs` unless they are None; what else is there goes."""
    decided = kept[kept["emotion"] != UNDECIDED]
    more = progress("writing", len(decided) + int(kept["used"].sum())) if progress else _ignore
    features = Path(os.path.relpath(root / "features", folder / "train")).as_posix()
    # JSON lines hold any text; what was between tabs can lie there again
    ending = ".tsv" if {path.suffix for path in raw.files.values()} == {".tsv"} else ".jsonl"
    names = EXPERIMENT if probs is None else (*EXPERIMENT, PROBS)
    written = set()
    for split in SPLITS:
        combined: list[str] = []
        for subset in [f"{domain}_{split}" for domain in DOMAINS]:
            if subset not in raw.files:
                continue
            at = os.path.relpath(raw.files[subset].parent, folder / "aggregated_dataset")
            mine = decided[decided["subset"] == SUBSETS.index(subset)]
            aggregated = folder / "aggregated_dataset" / f"{subset}{ending}"
            write(aggregated, AGGREGATED, lines_of(_aggregated(mine, Path(at).as_posix()), ending))
            own = mine[mine["used"]]
            soft = None if probs is None else probs[split]
            lines = list(lines_of(_experiment(own, features, soft), ending))
            single = folder / split / f"{subset}{ending}"
            write(single, names, lines)
            combined += lines
            written |= {aggregated, single}
            more(len(mine) + len(own))
        if combined:
            both = folder / split / f"{split}{ending}"
            write(both, names, combined)
            written.add(both)
    for path in set(_possible(folder)) - written:
        path.unlink(missing_ok=True)


def _possible(folder: Path) -> Iterator[Path]:
    """Every manifest that a run can write."""
    for split in SPLITS:
        for subset in [f"{domain}_{split}" for domain in DOMAINS]:
            for ending in ENDINGS:
                yield folder / "aggregated_dataset" / f"{subset}{ending}"
                yield folder / split / f"{subset}{ending}"
                yield folder / split / f"{split}{ending}"


def _aggregated(rows: pd.DataFrame, prefix: str) -> pd.DataFrame:
    words = np.array(WORDS, dtype=object)[rows["emotion"]]
    paths = f"{prefix}/" + rows["audio_path"]
    return rows.assign(audio_path=paths, emotion=words)[list(AGGREGATED)]


def _experiment(rows: pd.DataFrame, features: str, probs: pd.DataFrame | None) -> pd.DataFrame:
    """The records; `probs` are all five answers' probabilities, rounded to a millionth."""
    table = pd.DataFrame(
        {
            "id": rows["hash_id"],
            "tensor": f"{features}/" + rows["hash_id"] + ".npy",
            "wav_length": rows["duration"],
            "label": rows["emotion"],
            "emotion": np.array(WORDS, dtype=object)[rows["emotion"]],
        }
    )
    if probs is not None:
        soft = probs.loc[rows["hash_id"]].to_numpy().round(6).tolist()
        maps = [dict(zip(WORDS, row, strict=True)) for row in soft]
        table[PROBS] = pd.Series(maps, table.index, dtype=object)
    return table


def _ignore(count: int) -> None:
    """No progress is wanted."""
