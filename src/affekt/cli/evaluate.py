"""`affekt evaluate`: how far any two label tables agree."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from affekt.exceptions import AffektError, TableError

if TYPE_CHECKING:
    import pandas as pd

    from affekt.report import Report

KEYS = ("utterance", "file")
NOT_LABELS = {
    *("corpus", "fold", "label", "rater", "channel", "truth", "correct"),
    *("confidence", "probability", "segments", "adapted"),  # as `affekt predict` writes them
}
ROUNDING = 0.01  # scores written with few decimals may miss 1 by this much


def evaluate(
    truth: Annotated[
        Path, typer.Argument(help="Table of true labels: csv, tsv, jsonl, json, parquet.")
    ],
    prediction: Annotated[Path, typer.Argument(help="Table of predicted labels, likewise.")],
    utterances: Annotated[
        Path | None, typer.Option(help="Table with speakers: intervals by speaker need it.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for report, table and pictures.")] = None,
    labels: Annotated[
        str | None,
        typer.Option(help="Compare over these labels alone, such as anger,neutral; ban others."),
    ] = None,
    common: Annotated[
        bool, typer.Option("--common", help="Compare what both tables have, and say so.")
    ] = False,
    n_resamples: Annotated[int, typer.Option(help="Number of bootstrap resamples.", min=1)] = 1000,
    seed: Annotated[int, typer.Option(help="Seed of the bootstrap.")] = 0,
) -> None:
    """Compare two label tables: accuracy, UAR, macro-F1, confusion, intervals, majority baseline.

    Either table has a key column `utterance` or `file` and one column per label,
    or one column `label`. Keys are matched exactly, then by file name without
    folder and ending. A column `speaker` or `fold` is used where a table has it.

    \b
    Examples:
      affekt evaluate labels.csv predictions.csv --labels anger,fear,neutral
      affekt evaluate labels.csv predictions.csv --utterances speakers.csv
    \b
      affekt corpus export emodb ~/data/EmoDB --target ekman_8 --out emodb
      affekt predict ~/data/EmoDB --format csv --out predictions.csv
      affekt evaluate emodb/labels.csv predictions.csv
    """
    from affekt import report

    true, answered = read_file(truth), read_file(prediction)
    people = None if utterances is None else read_file(utterances)
    if people is not None:
        people = match_keys(people, true)
        true = true.join(people[["file"]]) if "file" in people and "file" not in true else true
    answered = match_keys(answered, true)
    true_labels, predicted = labels_of(true, truth), labels_of(answered, prediction)
    speakers = _speakers(people, true, answered)
    notes = _adaptation(answered, true_labels, speakers)
    if labels is not None:
        wanted = [label.strip() for label in labels.split(",") if label.strip()]
        true_labels, predicted, note = report.restrict(true_labels, predicted, wanted)
        notes.append(note)
    found = report.evaluate(
        true_labels,
        predicted,
        speakers=speakers,
        folds=_folds(answered, true),
        common=common,
        n_resamples=n_resamples,
        seed=seed,
        notes=notes,
    )
    if out is not None:
        found.write(out, predicted)
        _draw(found, out)
    typer.echo(found.to_markdown(), nl=False)


def read_file(path: Path) -> "pd.DataFrame":
    """Read a table, keyed by `utterance` or else by `file`."""
    from affekt.tables import read_table

    table = _read_json(path) if path.suffix.lower() == ".json" else read_table(path)
    if table.index.name != "utterance":
        key = next((name for name in KEYS if name in table), None)
        if key is None:
            raise TableError(f"{path}: no column utterance or file to know the rows by")
        table = table.set_index(key, drop=key == "utterance")
    if table.index.hasnans or (table.index == "").any():
        raise TableError(f"{path}: a row without {table.index.name}")
    table.index = table.index.astype(str)
    if table.index.has_duplicates:
        twice = table.index[table.index.duplicated()][0]
        raise TableError(f"{path}: {twice!r} has more than one row; give it one")
    return table.rename_axis("utterance")


def _read_json(path: Path) -> "pd.DataFrame":
    import json

    import pandas as pd

    if not path.is_file():
        raise TableError(f"{path}: no such file")
    try:
        rows = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, OSError) as problem:
        raise TableError(f"{path}: not JSON ({problem})") from problem
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise TableError(f"{path}: needs a list of objects, one an utterance")
    return pd.DataFrame([{_text(key): _text(value) for key, value in row.items()} for row in rows])


def _text(value: object) -> object:
    """What JSON calls a string may be no text, and then no table can hold it."""
    from affekt.writers import escaped

    return escaped(value) if isinstance(value, str) else value


def match_keys(table: "pd.DataFrame", true: "pd.DataFrame") -> "pd.DataFrame":
    """Call the rows what the truth calls them: by key, by `file`, or by a file name all its own."""
    files = true["file"].dropna() if "file" in true else true.index[:0].to_series()
    exact = {str(file): key for key, file in files.items()}
    named: dict[str, set[str]] = {}
    for key in true.index:
        named.setdefault(_stem(key), set()).add(key)
    for key, file in files.items():
        named.setdefault(_stem(str(file)), set()).add(str(key))
    unknown = [key for key in table.index if key not in true.index and key not in exact]
    stems = [_stem(key) for key in unknown]
    times = Counter(stems)
    only = {
        key: next(iter(named[stem]))
        for key, stem in zip(unknown, stems, strict=True)
        if times[stem] == 1 and len(named.get(stem, ())) == 1
    }
    taken = set(table.index)
    names = {old: new for old, new in (exact | only).items() if new not in taken}
    matched = table.rename(index=names)
    if matched.index.has_duplicates:
        twice = matched.index[matched.index.duplicated()][0]
        raise TableError(f"two rows both match {twice!r} of the truth; give them its exact names")
    return matched


def _stem(key: str) -> str:
    """File name without folder and ending (`.flac`, not the `.5` or `.s_1` of a bare name)."""
    name = key.replace("\\", "/").rpartition("/")[2]
    stem, _, ending = name.rpartition(".")
    return stem if stem and ending.isalnum() and not ending.isdigit() else name


def labels_of(table: "pd.DataFrame", path: Path) -> "pd.DataFrame":
    """The label columns of a table, or its column `label` as one-hot rows."""
    from affekt.scheme import Categories
    from affekt.tables import UTTERANCE_COLUMNS, check_labels, one_hot

    scores = [name for name in table if name not in UTTERANCE_COLUMNS and name not in NOT_LABELS]
    if not scores and "label" not in table:
        raise TableError(f"{path}: neither a column label nor one column per label")
    if not scores:
        hard = table["label"]
        if hard.isna().any() or (hard == "").any():
            empty = hard.index[hard.isna() | (hard == "")][0]
            raise TableError(f"{path}: {empty!r} has no label")
        return one_hot(hard, Categories("found", tuple(sorted(set(hard)))))
    try:
        numbers = table[scores].astype(float)
        sums = numbers.sum(axis=1)
        numbers = numbers.div(sums.where((sums - 1).abs() <= ROUNDING, 1.0), axis=0)
        return check_labels(numbers)
    except (ValueError, TableError) as problem:
        reason = str(problem).splitlines()[0]
        raise TableError(
            f"{path}: label columns {', '.join(map(str, scores))}: {reason}"
        ) from problem


def _adaptation(
    answered: "pd.DataFrame", true_labels: "pd.DataFrame", speakers: "pd.Series | None"
) -> list[str]:
    """Say what answers were measured from; refuse what took the labels away with it."""
    from affekt.adapt import refuse_one_label

    if "adapted" not in answered:
        return []
    modes = sorted(set(answered["adapted"].fillna("").astype(str)) - {""})
    if "speaker" in modes and speakers is not None:
        truth = true_labels.idxmax(axis=1)
        both = truth.index.intersection(speakers.dropna().index)
        if len(both):
            refuse_one_label(list(speakers[both]), list(truth[both]), mode="speaker")
    return [f"answers are measured from: {mode}; so this is no strict zero-shot" for mode in modes]


def _speakers(*tables: "pd.DataFrame | None") -> "pd.Series | None":
    from affekt.splits import speakers_of

    found = (table for table in tables if table is not None and "speaker" in table)
    table = next(found, None)
    return None if table is None else speakers_of(table)


def _folds(*tables: "pd.DataFrame") -> "pd.Series | None":
    return next((table["fold"] for table in tables if "fold" in table), None)


def _draw(found: "Report", folder: Path) -> None:
    """Draw the pictures where matplotlib is at hand; a report is whole without them."""
    from affekt import plots

    try:
        plots.save(plots.confusion(found), folder / "confusion.png")
        if found.calibration is not None:
            plots.save(plots.reliability(found), folder / "reliability.png")
    except AffektError as problem:
        typer.echo(f"no pictures: {problem}", err=True)
