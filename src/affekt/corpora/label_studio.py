"""Label Studio's JSON export: tasks with the annotations that people made on them.

Format: https://labelstud.io/guide/task_format. A project with `<Choices>` gives votes, `<Rating>`
and `<Number>` give ratings.
"""

import json
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from affekt.corpora.tree import CheckReport, read_text
from affekt.corpora.voted import (
    Export,
    address,
    check_export,
    corpus_of,
    find_export,
    is_recording,
    label_of,
    one_of,
)
from affekt.corpus import Corpus
from affekt.exceptions import CorpusError, TableError

Several = Literal["keep", "drop"]

_NUMBERS = ("rating", "number")  # types of a result that are a number


def read(
    path: str | Path,
    *,
    question: str | None = None,
    key: str | None = None,
    several: Several = "keep",
) -> Export:
    """Read an export ("JSON", not "JSON-MIN").

    Answers that are no votes are listed in `skipped`: skipped tasks (`was_cancelled`), annotations
    without a choice, the annotation marked as ground truth, which becomes the task's `gold`, and
    with `several="drop"` those that name more than one choice. Predictions are passed over.

    Args:
        path: the file.
        question: the name of the `<Choices>` whose answers are the votes, where there are several.
        key: the field of a task's data that names the utterance. Without it the one that names a
            recording: its stem is the id; a task without a recording is called by its number.
        several: choices that name several labels are a vote for each, or no vote.

    Raises:
        TableError: not such an export, or cut; a choice on a stretch of the recording; two tasks
            of one name; two ground truths of a task that differ; an unknown question or key.
    """
    if several not in ("keep", "drop"):
        raise TableError(f"several must be keep or drop, not {several!r}")
    tasks = _tasks(Path(path))
    names = sorted(
        {_name(one, path) for _, one in _results(tasks, path) if _type(one) == "choices"}
    )
    asked = one_of(question, names, "question", "question", str(path)) if names else None
    ids = _ids(tasks, key, path)
    gold = {id: _gold(task, asked, path) for id, task in zip(ids, tasks, strict=True)}
    votes: list[tuple[str, str | None, str, float | None, str | None]] = []
    ratings: list[tuple[str, str | None, str, float]] = []
    skipped: list[tuple[str, str | None, str]] = []
    for utterance, task in zip(ids, tasks, strict=True):
        for annotation in _annotations(task, path):
            rater, labels = _rater(annotation), _labels(annotation, asked, path)
            reason = _reason(annotation, labels, several)
            if reason:
                skipped.append((utterance, rater, reason))
            else:
                seconds = annotation.get("lead_time")
                votes += [(utterance, rater, one, seconds, gold[utterance]) for one in labels]
            if not annotation.get("was_cancelled") and not annotation.get("ground_truth"):
                ratings += [(utterance, rater, *rated) for rated in _numbers(annotation, path)]
    columns = ["utterance", "rater", "label", "seconds", "gold"]
    table = pd.DataFrame(votes, columns=columns).astype({"seconds": float})
    return Export(
        table if any(gold.values()) else table.drop(columns="gold"),
        pd.DataFrame(ratings, columns=["utterance", "rater", "dimension", "value"]),
        pd.DataFrame(skipped, columns=["utterance", "rater", "reason"]),
        {id: _file(task) for id, task in zip(ids, tasks, strict=True)},
    )


def read_votes(
    path: str | Path,
    *,
    question: str | None = None,
    key: str | None = None,
    several: Several = "keep",
) -> pd.DataFrame:
    """The votes of an export: `utterance`, `rater`, `label`, `seconds` (and `gold`); see `read`.

    Raises:
        TableError: as `read`; or the export holds no choice at all.
    """
    votes = read(path, question=question, key=key, several=several).votes
    if votes.empty:
        raise TableError(f"{path}: no annotation has a choice, so there are no votes")
    return votes


def read_ratings(path: str | Path, *, key: str | None = None) -> pd.DataFrame:
    """The ratings of an export: one dimension for each `<Rating>` or `<Number>`, by its name.

    Raises:
        TableError: as `read`; or the export holds no rating.
    """
    rows = []
    tasks = _tasks(Path(path))
    for utterance, task in zip(_ids(tasks, key, path), tasks, strict=True):
        for annotation in _annotations(task, path):
            if not annotation.get("was_cancelled") and not annotation.get("ground_truth"):
                rows += [
                    (utterance, _rater(annotation), *one) for one in _numbers(annotation, path)
                ]
    if not rows:
        raise TableError(f"{path}: no annotation has a rating")
    return pd.DataFrame(rows, columns=["utterance", "rater", "dimension", "value"])


def load(root: str | Path, *, question: str | None = None, durations: bool = False) -> Corpus:
    """Load an export and the recordings beside it as a corpus; labels are the votes' shares.

    Args:
        root: the export, or a folder in which it is the only .json; recordings are found by name
            below its folder.
        question: as in `read`.
        durations: fill the column `duration` from the files' headers.

    Raises:
        CorpusError, TableError: no export, none that `read` can read, or nobody answered.
    """
    path = find_export(root, [".json"], "Label Studio export")
    return corpus_of(root, path, read(path, question=question), durations=durations)


def check(root: str | Path) -> CheckReport:
    """Name the tasks without a recording and those that nobody answered."""
    path = find_export(root, [".json"], "Label Studio export")
    return check_export(root, path, read(path))


def _tasks(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        raise TableError(f"{path}: no such file")
    try:
        tasks = json.loads(read_text(path))
    except CorpusError as problem:
        raise TableError(str(problem)) from problem
    except ValueError as problem:
        raise TableError(f"{path}: not a JSON document, or cut ({problem})") from problem
    if not isinstance(tasks, list) or not all(isinstance(task, dict) for task in tasks):
        raise TableError(f"{path}: a Label Studio export is a list of tasks")
    for number, task in enumerate(tasks):
        if not isinstance(task.get("data"), dict) or "annotations" not in task:
            raise TableError(
                f"{path}, task {task.get('id', number)}: has no data or no annotations; "
                "export as JSON, not JSON-MIN"
            )
    if not tasks:
        raise TableError(f"{path}: the export has no task")
    return tasks


def _annotations(task: dict[str, Any], path: str | Path) -> list[dict[str, Any]]:
    annotations = task["annotations"] or []
    if not isinstance(annotations, list) or not all(isinstance(one, dict) for one in annotations):
        raise TableError(f"{path}, task {task.get('id')}: its annotations are no list of objects")
    return annotations


def _results(tasks: list[dict[str, Any]], path: str | Path) -> list[tuple[Any, dict[str, Any]]]:
    return [
        (annotation, one)
        for task in tasks
        for annotation in _annotations(task, path)
        for one in _answers(annotation, path)
    ]


def _answers(annotation: dict[str, Any], path: str | Path) -> list[dict[str, Any]]:
    """The results of an annotation; a skipped one may have an empty object in their place."""
    answers = annotation.get("result") or []
    if not isinstance(answers, list) or not all(isinstance(one, dict) for one in answers):
        raise TableError(f"{path}, annotation {annotation.get('id')}: its result is no list")
    return [one for one in answers if isinstance(one.get("value"), dict)]


def _type(answer: dict[str, Any]) -> str:
    return str(answer.get("type", "")).lower()


def _name(answer: dict[str, Any], path: str | Path) -> str:
    if "from_name" not in answer:
        raise TableError(f"{path}: an answer {str(answer)[:60]} has no from_name")
    return str(answer["from_name"])


def _labels(annotation: dict[str, Any], asked: str | None, path: str | Path) -> list[str]:
    """What an annotation chose, each label once."""
    labels: dict[str, None] = {}
    for answer in _answers(annotation, path):
        if _type(answer) != "choices" or _name(answer, path) != asked:
            continue
        value = answer["value"]
        if "start" in value:
            raise TableError(
                f"{path}, annotation {annotation.get('id')}: a choice on a stretch of the "
                "recording (perRegion); cut the recordings into utterances first"
            )
        labels |= {label_of(str(word)): None for word in value.get("choices", [])}
    return list(labels)


def _numbers(annotation: dict[str, Any], path: str | Path) -> list[tuple[str, float]]:
    numbers = []
    for answer in _answers(annotation, path):
        if _type(answer) in _NUMBERS:
            value = answer["value"].get(_type(answer))
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise TableError(
                    f"{path}, annotation {annotation.get('id')}: {value!r} is no rating"
                )
            numbers.append((_name(answer, path), float(value)))
    return numbers


def _reason(annotation: dict[str, Any], labels: list[str], several: Several) -> str:
    """Why an annotation is no vote; "" where it is."""
    if annotation.get("was_cancelled"):
        return "skipped by the annotator"
    if annotation.get("ground_truth"):
        return "the ground truth"
    if not labels:
        return "no choice"
    return "several choices" if several == "drop" and len(labels) > 1 else ""


def _gold(task: dict[str, Any], asked: str | None, path: str | Path) -> str | None:
    truths = {
        tuple(_labels(annotation, asked, path))
        for annotation in _annotations(task, path)
        if annotation.get("ground_truth") and not annotation.get("was_cancelled")
    } - {()}
    if not truths:
        return None
    if len(truths) > 1 or len(*truths) > 1:
        raise TableError(f"{path}, task {task.get('id')}: its ground truth is not one label")
    return truths.pop()[0]


def _rater(annotation: dict[str, Any]) -> str | None:
    """Who made an annotation: a number, or an object that has it; None where it is not said."""
    who = annotation.get("completed_by")
    if isinstance(who, dict):
        who = who.get("id", who.get("email"))
    return None if who is None else str(who)


def _ids(tasks: list[dict[str, Any]], key: str | None, path: str | Path) -> list[str]:
    """One name a task."""
    ids: dict[str, Any] = {}
    for number, task in enumerate(tasks):
        here = task.get("id", number)
        if key is not None and task["data"].get(key) in (None, ""):
            raise TableError(f"{path}, task {here}: its data has no {key!r}")
        id = str(task["data"][key]) if key else Path(_file(task)).stem or str(here)
        if id in ids:
            raise TableError(
                f"{path}: tasks {ids[id]} and {here} are both {id!r}; name them by key="
            )
        ids[id] = here
    return list(ids)


def _file(task: dict[str, Any]) -> str:
    """The address of a task's recording, "" without one."""
    return next((address(value) for value in task["data"].values() if is_recording(value)), "")
