"""The manifests of Dusha's experiments as a corpus: with its features, or with recordings.

Podcasts were released as features alone, so a corpus here need not have any sound (spec 1.9).
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from affekt.audio import AUDIO_ENDINGS
from affekt.corpora.dusha.corpus import CARD, NO_RECORDING
from affekt.corpora.dusha.files import PROBS, WORDS, read_manifest
from affekt.corpora.dusha.raw import EMOTIONS, ENDINGS, SUBSETS
from affekt.corpora.tree import CheckReport, fault
from affekt.corpus import Corpus
from affekt.exceptions import CorpusError
from affekt.scheme import DUSHA_4
from affekt.tables import one_hot

N_MELS = 64
N_ABOVE = 4  # folders above a manifest in which features and recordings are looked for

Source = Literal["features", "audio"]

_WHERE = {  # part -> where its manifest lies in a processed data set, then in the released set-ups
    "train": ("train/", ""),
    "test": ("test/",),
}


@dataclass(frozen=True)
class _Read:
    """Rows of all manifests, and what was left out of them.

    Attributes:
        rows: columns utterance, file (absolute; "" = there is none), label, duration, split,
            place (`path, line n`), and probs where the manifests have them.
        notes: what was left out and how often.
    """

    rows: pd.DataFrame
    notes: tuple[str, ...]


def load(
    path: str | Path,
    *,
    train: str = "train",
    test: str = "test",
    source: Source = "features",
    soft: bool = False,
    durations: bool = False,
) -> Corpus:
    """Load what an experiment reads: the manifests of training and test, or a single one.

    Both kinds of manifest are read, experiments' (`id, tensor, …`) and aggregated ones
    (`hash_id, audio_path, …`), as .jsonl or .tsv, the release's broken headers included. Of the
    answer `other`, a quality reject, rows are left out. A row that repeats another is left out; a
    clip of the training and the test manifest is a test one. All of this is counted in `notes`.

    Args:
        path: a manifest, or the folder of `train/` and `test/` (`processed_dataset_090`,
            `paper_setups`), or the folder of that one.
        train: stem of the training manifest: train, crowd_train, crowd_large, …
        test: stem of the test manifest: test, crowd_test, podcast_test, …
        source: "features" takes the `.npy` files, for `read_features`; a row without one is left
            out and counted. "audio" takes the recordings; a row without one is `excluded`.
        soft: labels are the field `probs`, the share of `other` spread over the four.
        durations: with "audio", fill what is missing of `duration` from the files' headers.

    Returns:
        The corpus; `split` is train or test. Where aggregated manifests lie beside
        (`aggregated_dataset/`), `speaker` and `session` are the source, `domain` is crowd or
        podcast, and texts are known. `file` leads to the features or the recording.

    Raises:
        CorpusError: no such manifest; a row with another label or label number; an id twice with
            two labels; no row has features (or recordings at all); `soft` without `probs`.
    """
    if source not in ("features", "audio"):
        raise CorpusError(f"source must be features or audio, not {source!r}")
    path = Path(path)
    manifests = _manifests(path, train, test)
    read = _read(manifests, source)
    rows, notes = read.rows, list(read.notes)
    here = rows["file"] != ""
    _refuse_none(here, path, _looked_for(next(iter(manifests.values()))[0], source), source)
    if source == "features" and not here.all():
        notes.append(f"{int((~here).sum())} rows without features left out")
        rows = rows[here]
    root = _above({file.rpartition("/")[0] for file in rows["file"] if file})
    corpus = Corpus(
        name=str(CARD["name"]),
        root=root,
        scheme=DUSHA_4,
        utterances=_utterances(rows, root, _origins(manifests)),
        labels=_soft(rows, path) if soft else one_hot(_labels(rows), DUSHA_4),
        votes=None,
        ratings=None,
        card=_card(manifests, source, notes),
    )
    return corpus.with_durations() if durations and source == "audio" else corpus


def check(
    path: str | Path, *, train: str = "train", test: str = "test", source: Source = "features"
) -> CheckReport:
    """Name the rows without features (or recordings); repeated and left out rows are problems."""
    read = _read(_manifests(Path(path), train, test), source)
    here = read.rows["file"] != ""
    return CheckReport(
        expected=len(read.rows),
        found=int(here.sum()),
        missing=sorted(read.rows["utterance"][~here]),
        extra=[],
        problems=list(read.notes),
    )


def read_features(path: str | Path) -> NDArray[np.float32]:
    """Read the features of a clip, as the release or the preset `dusha` of `features` has them.

    Returns:
        Log-mel spectrogram, float32 (64, n_frames), dB, a frame each 10 ms.

    Raises:
        CorpusError: no such file, no array of numbers, (1, 64, n) nor (64, n), not finite.
    """
    path = Path(path)
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as problem:
        raise CorpusError(f"{path}: cannot be read as an array of numbers ({problem})") from problem
    shape = np.shape(array)
    if len(shape) == 3 and shape[0] == 1:
        array = array[0]
    if array.ndim != 2 or len(array) != N_MELS or not array.shape[1]:
        raise CorpusError(
            f"{path}: features of shape {shape}, not (1, {N_MELS}, n): compute them again"
        )
    if array.dtype.kind != "f" or not np.isfinite(array).all():
        raise CorpusError(f"{path}: not all of its features are finite numbers")
    return np.ascontiguousarray(array, dtype=np.float32)


def _refuse_none(here: pd.Series, path: Path, folders: list[str], source: Source) -> None:
    if not here.any():
        remedy = {"features": "features.tar, or take source='audio'", "audio": "crowd.tar"}[source]
        raise CorpusError(
            f"{path}: none of its {len(here)} rows has {source} in {' or '.join(folders)}: "
            f"unpack {remedy}"
        )


def _card(manifests: dict[str, list[Path]], source: Source, notes: list[str]) -> dict[str, Any]:
    names = [path.name for paths in manifests.values() for path in paths]
    card = {**CARD, "manifests": names, "source_of_sound": source}
    return card | ({"notes": notes} if notes else {})


def _manifests(path: Path, train: str, test: str) -> dict[str, list[Path]]:
    """Part -> its manifest."""
    if path.is_file():
        word = next((w for w in ("train", "test") if w in (path.stem, path.parent.name)), None)
        return {word or ("test" if path.stem.endswith("test") else "train"): [path]}
    if not path.is_dir():
        raise CorpusError(f"{path}: no such folder or manifest")
    stems = {"train": train, "test": test}
    places = {
        part: [f"{folder}{stem}{ending}" for folder in _WHERE[part] for ending in ENDINGS]
        for part, stem in stems.items()
    }
    below = [*sorted(path.glob("processed_dataset_*")), path / "paper_setups"]
    for folders in ([path], below):
        whole = [found for folder in folders if len(found := _in(folder, places)) == len(places)]
        if len(whole) > 1:
            names = ", ".join(str(one["test"][0].parents[1].name) for one in whole)
            raise CorpusError(f"{path}: manifests in {names}: give the path of one of them")
        if whole:
            return whole[0]
    raise CorpusError(f"{path}: no {places['train'][0]} and {places['test'][0]} (or .tsv) in it")


def _in(folder: Path, places: dict[str, list[str]]) -> dict[str, list[Path]]:
    """Part -> the first of its places that there is in a folder."""
    first = {
        part: next((folder / name for name in names if (folder / name).is_file()), None)
        for part, names in places.items()
    }
    return {part: [path] for part, path in first.items() if path is not None}


def _read(manifests: dict[str, list[Path]], source: Source) -> _Read:
    notes = []
    parts = [
        _rows(path, source).assign(split=part)
        for part, paths in manifests.items()
        for path in paths
    ]
    rows = pd.concat(parts, ignore_index=True)
    rejects = rows["label"] == "other"
    if rejects.any():
        notes.append(f"{int(rejects.sum())} rows of the answer other left out")
        rows = rows[~rejects]
    conflict = rows.drop_duplicates(["utterance", "label"]).duplicated("utterance")
    if conflict.any():
        row = rows.loc[conflict.index[conflict][0]]
        raise CorpusError(
            f"{row['place']}: {row['utterance']} is {row['label']} here, but has another label "
            "in an earlier row: keep one of them"
        )
    twice = int(rows.duplicated(["utterance", "split"]).sum())
    both = int((rows.groupby("utterance")["split"].nunique() > 1).sum())
    notes += [f"{twice} repeated rows left out"] if twice else []
    notes += [f"{both} clips of training and test taken for test"] if both else []
    order = rows["split"].ne("test").sort_values(kind="stable").index
    kept = rows.loc[order].drop_duplicates("utterance").sort_index()
    if kept.empty:
        raise CorpusError(f"{next(iter(manifests.values()))[0]}: no row with an emotion in it")
    return _Read(kept.reset_index(drop=True), tuple(notes))


def _rows(path: Path, source: Source) -> pd.DataFrame:
    """A manifest's rows under our names; `file` is "" where there is no such file."""
    if reason := fault(path):
        raise CorpusError(f"{path}: {reason}")
    try:
        table = read_manifest(path)
    except (OSError, UnicodeDecodeError) as problem:
        raise CorpusError(f"{path}: cannot be read ({problem})") from problem
    table = table.rename(columns={"hash_id": "id", "wav_length": "duration"})
    places = [f"{path}, row {number}" for number in range(1, len(table) + 1)]
    for place, id, word in zip(places, table["id"], table["emotion"], strict=True):
        if pd.isna(id) or word not in EMOTIONS:
            raise CorpusError(f"{place}: {word!r} is none of {', '.join(EMOTIONS)}, or has no id")
    if "label" in table.columns:
        numbers = table["emotion"].map(WORDS.index)
        wrong = table["label"].notna() & (table["label"] != numbers)
        if wrong.any():
            row = int(wrong.to_numpy().argmax())
            raise CorpusError(
                f"{places[row]}: label {table['label'].iloc[row]:g} is not that of "
                f"{table['emotion'].iloc[row]}: this manifest has another order of labels than "
                f"{', '.join(WORDS[: len(DUSHA_4)])}"
            )
    column = "tensor" if source == "features" else "audio_path"
    named = table[column] if column in table.columns else [None] * len(table)
    files = _files(path, list(zip(table["id"].astype(str), named, strict=True)), source)
    return pd.DataFrame(
        {
            "utterance": table["id"].astype(str),
            "file": files,
            "label": table["emotion"].map(EMOTIONS),
            "duration": table["duration"],
            "place": places,
            PROBS: table[PROBS] if PROBS in table.columns else None,
        }
    )


def _looked_for(path: Path, source: Source) -> list[str]:
    """The folders above a manifest that may hold features or recordings."""
    names = ["features"] if source == "features" else [f"{subset}/wavs" for subset in SUBSETS]
    above = list(path.absolute().parents)[:N_ABOVE]
    there = [str(folder / name) for folder in above for name in names if (folder / name).is_dir()]
    return there or [str(folder / name) for folder in above[-1:] for name in names]


def _files(path: Path, rows: list[tuple[str, Any]], source: Source) -> list[str]:
    """The file of each row (id, its place by the row): there, else by its id; "" if nowhere."""
    folders = [_folder(Path(one)) for one in _looked_for(path, source)]
    said: dict[str, tuple[str, frozenset[str]]] = {}
    endings = [".npy"] if source == "features" else sorted(AUDIO_ENDINGS, key=len)
    files = []
    for id, place in rows:
        parent, _, name = place.rpartition("/") if isinstance(place, str) else ("", "", "")
        if name and parent not in said:
            said[parent] = _folder(path.absolute().parent / parent)
        tried = [(said[parent], name)] if name else []
        tried += [(folder, id + ending) for folder in folders for ending in endings]
        files.append(next((f"{at}/{name}" for (at, names), name in tried if name in names), ""))
    return files


def _folder(place: Path) -> tuple[str, frozenset[str]]:
    """A folder's own path, and the names in it."""
    place = place.resolve()
    names = (one.name for one in place.iterdir()) if place.is_dir() else ()
    return place.as_posix(), frozenset(names)


def _above(folders: set[str]) -> Path:
    """The deepest folder that holds all others."""
    return Path(os.path.commonpath(sorted(folders)))


def _labels(rows: pd.DataFrame) -> pd.Series:
    return rows.set_index("utterance")["label"]


def _soft(rows: pd.DataFrame, path: Path) -> pd.DataFrame:
    whole = [
        isinstance(one, dict) and set(one) >= set(WORDS[: len(DUSHA_4)]) for one in rows[PROBS]
    ]
    if not all(whole):
        row = rows.iloc[whole.index(False)]
        raise CorpusError(
            f"{row['place']}: no probs of {', '.join(WORDS[: len(DUSHA_4)])}: soft=True needs the "
            "manifests that affekt.corpora.dusha.manifests.process writes"
        )
    mass = np.array(
        [[float(one[word]) for word in WORDS[: len(DUSHA_4)]] for one in rows[PROBS]], dtype=float
    )
    total = mass.sum(axis=1, keepdims=True)
    if not (total > 0).all():
        row = rows.iloc[int((total[:, 0] <= 0).argmax())]
        raise CorpusError(f"{row['place']}: its probs leave nothing to the four emotions")
    return pd.DataFrame(mass / total, pd.Index(rows["utterance"]), list(DUSHA_4))


def _origins(manifests: dict[str, list[Path]]) -> pd.DataFrame:
    """What aggregated manifests beside say of clips: domain, source, text; else the domain."""
    folders = {path.parent.parent / "aggregated_dataset" for paths in manifests.values()
               for path in paths}  # fmt: skip
    parts = []
    for subset, path in _subsets(folders):
        table = read_manifest(path)
        parts.append(
            pd.DataFrame(
                {
                    "domain": subset.split("_")[0],
                    "speaker": table["source_id"].to_numpy(),
                    "text": table["speaker_text"].to_numpy(),
                    "intended": table["speaker_emo"].replace(EMOTIONS).to_numpy(),
                },
                index=pd.Index(table["hash_id"].astype(str)),
            )
        )
    whole = pd.concat(parts) if parts else pd.DataFrame(columns=["domain"])
    return whole[~whole.index.duplicated()]


def _subsets(folders: set[Path]) -> Iterator[tuple[str, Path]]:
    for folder in sorted(folders):
        for subset in SUBSETS:
            for ending in ENDINGS:
                if (folder / f"{subset}{ending}").is_file():
                    yield subset, folder / f"{subset}{ending}"
                    break


def _utterances(rows: pd.DataFrame, root: Path, origins: pd.DataFrame) -> pd.DataFrame:
    table = rows.set_index("utterance")[["file", "duration", "split"]]
    there = table["file"] != ""
    prefix = root.as_posix().rstrip("/") + "/"
    table["file"] = [
        file.removeprefix(prefix) if file else f"{id}.wav" for id, file in table["file"].items()
    ]
    table["excluded"] = np.where(there, "", NO_RECORDING)
    table["language"] = "ru"
    known = origins.reindex(table.index)
    for name in known.columns:
        table[name] = known[name]
    if "speaker" in table.columns:
        table["session"] = table["speaker"]
    return table
