"""From Dusha's raw annotations to the manifests that its models were trained on (spec 1.2).

The layout is the release's; the decisions are its script's with `compat="dusha"`, and without it
these are better: control tasks never reach an experiment manifest (the script drops them when it
reads .tsv and keeps them when it reads .jsonl), an exact tie stays undecided instead of going to
the label that happened to appear last, and a recording in a training and a test subset is a test
one.
"""

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from affekt.atomic import replacing
from affekt.corpora.dusha.corpus import each_once
from affekt.corpora.dusha.raw import (
    DUSHA_5,
    EMOTIONS,
    NO_GOLD,
    SUBSETS,
    Progress,
    Raw,
    is_empty,
    read,
)
from affekt.corpora.dusha.summary import summary
from affekt.exceptions import CorpusError, TableError
from affekt.scheme import DUSHA_4
from affekt.votes.dawid_skene import fit
from affekt.votes.threshold import threshold as harden

WORDS = tuple(EMOTIONS)
"""The release's words in the order of DUSHA_5; those of DUSHA_4 have the label ids 0 to 3."""

AGGREGATED = (
    *("hash_id", "audio_path", "duration", "emotion", "golden_emo"),
    *("speaker_text", "speaker_emo", "source_id"),
)
EXPERIMENT = ("id", "tensor", "wav_length", "label", "emotion")
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
    compat: Literal["dusha"] | None = None,
    per_split: bool = False,
    ending: str | None = None,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Read the raw annotations, aggregate them with Dawid-Skene, write all manifests.

    ```
    OUT/meta.tsv                                 posterior of every recording
    OUT/processed_dataset_090/
       aggregated_dataset/<subset>.jsonl         decided recordings, `other` and control tasks too
       train/{crowd_train,podcast_train,train}.jsonl   test/…     what experiments read
    ```

    Args:
        root: the folder of the four subsets, or one above it.
        out: where to write; `root` gives the release's own relative paths.
        threshold: least posterior probability (`>=`) of a decided recording.
        compat: "dusha" takes the released script's decisions.
        per_split: aggregate training and test votes apart, so that test labels do not rest on
            what annotators did in the training part. The release aggregates all jointly.
        ending: .jsonl or .tsv, read and written; None takes .jsonl where both are there.
        progress: draws bars.

    Returns:
        Counts and hours beside those that the papers print, and their difference; index `source`,
        `domain`, `what`, columns `found`, `printed`, `difference`.

    Raises:
        CorpusError: nothing to read, a broken line, an unknown `compat`; with `compat` a subset
            that is not there, as all are aggregated jointly.
        TableError: `threshold` is not in (0, 1].
    """
    if compat not in (None, "dusha"):
        raise CorpusError(f"compat {compat!r}: there is 'dusha' alone")
    if not 0 < threshold <= 1:
        raise TableError(f"threshold {threshold} is not in (0, 1]")
    root, out = Path(root), Path(out)
    raw = read(root, ending=ending, progress=progress)
    absent = [subset for subset in SUBSETS if subset not in raw.files]
    if compat and absent:
        raise CorpusError(f"{root}: compat='dusha' needs all subsets, {', '.join(absent)} is gone")
    posteriors = _posteriors(raw, per_split, progress)
    kept = _decided(raw, posteriors, threshold, compat)
    folder = out / f"processed_dataset_{round(threshold * 100):03d}"
    _write_meta(posteriors, out / "meta.tsv")
    used = _write_manifests(raw, kept, root, folder, progress)
    return summary(raw, kept, used)


def _posteriors(raw: Raw, per_split: bool, progress: Progress | None) -> dict[str, pd.DataFrame]:
    """Split -> labels table; the same one for both where they are aggregated jointly."""
    parts = {split: [s for s in raw.files if s.endswith(split)] for split in SPLITS}
    groups = [parts[split] for split in SPLITS if parts[split]] if per_split else [list(raw.files)]
    more = progress("aggregating", MAX_ITERATIONS * len(groups)) if progress else None
    tables = [
        fit(raw.coded(group), max_iterations=MAX_ITERATIONS, progress=more).labels
        for group in groups
    ]
    table_of = {subset: table for group, table in zip(groups, tables, strict=True)
                for subset in group}  # fmt: skip
    return {split: table_of[subsets[0]] for split, subsets in parts.items() if subsets}


def _decided(
    raw: Raw,
    posteriors: dict[str, pd.DataFrame],
    threshold: float,
    compat: str | None,
) -> pd.DataFrame:
    """Recordings with `emotion` (position in DUSHA_5, -1 undecided), `golden_emo`, `control`."""
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
        table.loc[mine, "emotion"] = chosen[rows]
    if compat:
        golden = table["golden_emo"]
        table["control"] = [isinstance(value, str) and value != "" for value in golden]
        table["golden_emo"] = [None if is_empty(value) else value for value in golden]
    else:
        gold = _gold(raw)[table["utterance"]]
        table["control"] = gold != NO_GOLD
        table["golden_emo"] = np.array([*WORDS, "unknown", None], dtype=object)[gold]
    return table


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
    raw: Raw, kept: pd.DataFrame, root: Path, folder: Path, progress: Progress | None
) -> pd.DataFrame:
    """Write all manifests; the rows of the experiment manifests come back."""
    decided = kept[kept["emotion"] != UNDECIDED]
    used = decided[(decided["emotion"] < len(DUSHA_4)) & ~decided["control"]]
    more = progress("writing", len(decided) + len(used)) if progress else _ignore
    features = Path(os.path.relpath(root / "features", folder / "train")).as_posix()
    # JSON lines hold any text; what was between tabs can lie there again
    ending = ".tsv" if {path.suffix for path in raw.files.values()} == {".tsv"} else ".jsonl"
    for split in SPLITS:
        combined: list[str] = []
        for subset in [f"{domain}_{split}" for domain in DOMAINS]:
            if subset not in raw.files:
                continue
            at = os.path.relpath(raw.files[subset].parent, folder / "aggregated_dataset")
            mine = decided[decided["subset"] == SUBSETS.index(subset)]
            path = folder / "aggregated_dataset" / f"{subset}{ending}"
            _write(path, AGGREGATED, _lines(_aggregated(mine, Path(at).as_posix()), ending))
            own = used[used["subset"] == SUBSETS.index(subset)]
            lines = list(_lines(_experiment(own, features), ending))
            _write(folder / split / f"{subset}{ending}", EXPERIMENT, lines)
            combined += lines
            more(len(mine) + len(own))
        if combined:
            _write(folder / split / f"{split}{ending}", EXPERIMENT, combined)
    return used


def _aggregated(rows: pd.DataFrame, prefix: str) -> pd.DataFrame:
    words = np.array(WORDS, dtype=object)[rows["emotion"]]
    paths = f"{prefix}/" + rows["audio_path"]
    return rows.assign(audio_path=paths, emotion=words)[list(AGGREGATED)]


def _experiment(rows: pd.DataFrame, features: str) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "id": rows["hash_id"],
            "tensor": f"{features}/" + rows["hash_id"] + ".npy",
            "wav_length": rows["duration"],
            "label": rows["emotion"],
            "emotion": np.array(WORDS, dtype=object)[rows["emotion"]],
        }
    )


def _lines(rows: pd.DataFrame, ending: str) -> Iterator[str]:
    """Rows as JSON objects (missing is null) or between tabs (missing is empty)."""
    filled = rows.astype(object).where(rows.notna(), None)
    records = zip(*(filled[name].tolist() for name in filled), strict=True)
    names = list(rows.columns)
    if ending == ".jsonl":
        encode = json.JSONEncoder(ensure_ascii=False).encode
        return (encode(dict(zip(names, record, strict=True))) for record in records)
    return ("\t".join("" if cell is None else str(cell) for cell in row) for row in records)


def _write(path: Path, names: Sequence[str], lines: Iterator[str] | list[str]) -> None:
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        if path.suffix == ".tsv":
            file.write("\t".join(names) + "\n")
        file.writelines(f"{line}\n" for line in lines)


def read_manifest(path: str | Path) -> pd.DataFrame:
    """Read an aggregated or experiment manifest, this module's or the release's.

    The release's .tsv files are read too, whose headers call audio_path `wav_path` and name four
    of the experiment manifests' five fields (spec 1.2.1).

    Returns:
        Columns AGGREGATED or EXPERIMENT; numbers where there are numbers.

    Raises:
        CorpusError: another ending, a broken line, or neither kind of manifest.
    """
    path = Path(path)
    if path.suffix not in (".jsonl", ".tsv"):
        raise CorpusError(f"{path}: a manifest of Dusha ends in .jsonl or .tsv")
    lines = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    if path.suffix == ".jsonl":
        rows = [_object(line, path, number) for number, line in enumerate(lines, start=1) if line]
        table = pd.DataFrame(rows).rename(columns={"wav_path": "audio_path"})
    else:
        header, *cells = [line.split("\t") for line in lines]
        names = AGGREGATED if "hash_id" in header else EXPERIMENT
        for number, row in enumerate(cells, start=2):
            if len(row) != len(names):
                raise CorpusError(f"{path}, line {number}: {len(row)} fields, not {len(names)}")
        table = pd.DataFrame(cells, columns=list(names)).replace("", None)
    for names in (AGGREGATED, EXPERIMENT):
        if set(names) <= set(table.columns):
            table = table[list(names)].copy()
            for name in {"duration", "wav_length", "label"} & set(names):
                table[name] = pd.to_numeric(table[name], errors="coerce")
            return table
    raise CorpusError(f"{path}: fields {', '.join(map(str, table))} are no manifest of Dusha")


def _object(line: str, path: Path, number: int) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except ValueError as problem:
        raise CorpusError(f"{path}, line {number}: not a JSON object ({problem})") from problem
    if not isinstance(record, dict):
        raise CorpusError(f"{path}, line {number}: not a JSON object")
    return record


def _ignore(count: int) -> None:
    """No progress is wanted."""
