"""Votes and corpora from exports of Label Studio, Toloka and Crowd-Kit."""

import json

import pandas as pd
import pytest

from affekt.corpora import CORPORA, label_studio, toloka
from affekt.corpora.voted import address
from affekt.exceptions import CorpusError, TableError
from corpus_trees import rows, sound, write

# label studio


def choice(*words, name="emotion", **value):
    return {
        "from_name": name,
        "to_name": "audio",
        "type": "choices",
        "value": {"choices": list(words), **value},
    }


def annotation(rater, *result, **more):
    made = {"id": 1, "completed_by": rater, "result": list(result), "was_cancelled": False}
    return {**made, "ground_truth": False, "lead_time": 4.5, **more}


STARS = {"from_name": "strength", "to_name": "audio", "type": "rating", "value": {"rating": 4}}
TASKS = [
    {
        "id": 7,
        "data": {"audio": "/data/upload/3/0a1b2c3d-monday 1.wav", "topic": "tram"},
        "annotations": [
            annotation(10, choice("Happy"), STARS),
            annotation(
                {"id": 11, "email": "b@c.org"}, choice("Angry", "Sad", "Angry"), lead_time=9
            ),
            annotation(12, was_cancelled=True),
            annotation(13, STARS),
            annotation(10, choice("Happy"), ground_truth=True),
        ],
        "predictions": [{"result": [choice("Fear")]}],
    },
    {
        "id": 8,
        "data": {"audio": "/data/local-files/?d=b/tuesday.wav", "topic": "tram"},
        "annotations": [annotation(10, choice("Not speech"), lead_time=None)],
    },
    {"id": 9, "data": {"audio": "s3://bucket/c.wav", "topic": "bus"}, "annotations": []},
]


def export(root, tasks):
    return write(root / "project-1.json", json.dumps(tasks))


def test_label_studio_annotations_become_votes_with_seconds_and_gold(tmp_path):
    path = export(tmp_path, TASKS)
    votes = label_studio.read_votes(path)
    assert rows(votes, "utterance", "rater", "label") == [
        ("monday 1", "10", "happiness"),
        ("monday 1", "11", "anger"),
        ("monday 1", "11", "sadness"),
        ("tuesday", "10", "Not speech"),
    ]
    assert votes["seconds"].fillna(-1).tolist() == [4.5, 9, 9, -1]
    assert votes["gold"].fillna("").tolist() == ["happiness"] * 3 + [""]
    read = label_studio.read(path, several="drop")
    assert read.votes["label"].tolist() == ["happiness", "Not speech"]
    assert rows(read.skipped, "rater", "reason") == [
        ("11", "several choices"),
        ("12", "skipped by the annotator"),
        ("13", "no choice"),
        ("10", "the ground truth"),
    ]
    assert rows(label_studio.read_ratings(path), "utterance", "rater", "dimension", "value") == [
        ("monday 1", "10", "strength", 4.0),
        ("monday 1", "13", "strength", 4.0),
    ]
    assert "gold" not in label_studio.read_votes(export(tmp_path, TASKS[1:]))


def test_label_studio_exports_make_a_corpus_with_the_recordings_beside_them(tmp_path):
    export(tmp_path, TASKS)
    sound(tmp_path / "sound" / "monday 1.wav")
    corpus = CORPORA["label-studio"].load(tmp_path)
    assert corpus.utterances.index.tolist() == ["c", "monday 1", "tuesday"]
    assert corpus.path("monday 1").is_file()
    assert corpus.labels.loc["monday 1"].to_dict() == pytest.approx(
        {"Not speech": 0, "anger": 1 / 3, "happiness": 1 / 3, "sadness": 1 / 3}
    )
    assert len(corpus.ratings) == 2
    report = CORPORA["label-studio"].check(tmp_path)
    assert (report.expected, report.found, report.missing) == (3, 1, ["c", "tuesday"])
    assert report.problems == ["c: no answer"]


def test_label_studio_projects_with_several_questions_need_one_named(tmp_path):
    tasks = [
        {**TASKS[1], "annotations": [annotation(1, choice("Yes", name="clear"), choice("Sad"))]}
    ]
    path = export(tmp_path, tasks)
    with pytest.raises(
        TableError, match=r"which question.* 'clear', 'emotion'; choose with questi"
    ):
        label_studio.read_votes(path)
    assert label_studio.read_votes(path, question="clear")["label"].tolist() == ["Yes"]
    with pytest.raises(TableError, match="no question 'mood'"):
        label_studio.read_votes(path, question="mood")
    assert label_studio.read_votes(path, question="clear", key="topic")["utterance"][0] == "tram"


@pytest.mark.parametrize(
    ("tasks", "message"),
    [
        ({"a": 1}, "a Label Studio export is a list of tasks"),
        ([], "the export has no task"),
        ([{"id": 3, "audio": "a.wav", "emotion": "Sad"}], "task 3: has no data .*not JSON-MIN"),
        ([*TASKS, {**TASKS[0], "id": 70}], "tasks 7 and 70 are both 'monday 1'; name them by key="),
        ([{**TASKS[2], "annotations": [annotation(1)]}], "no annotation has a choice"),
        (
            [{**TASKS[2], "annotations": [annotation(1, choice("Sad", start=1, end=2))]}],
            r"annotation 1: a choice on a stretch of the recording \(perRegion\)",
        ),
        (
            [{**TASKS[2], "annotations": [
                annotation(n, choice(word), ground_truth=True) for n, word in enumerate("ab")
            ]}],
            "task 9: its ground truth is not one label",
        ),
        ([{**TASKS[2], "annotations": "none"}], "task 9: its annotations are no list of objects"),
    ],
)  # fmt: skip
def test_label_studio_foreign_exports_are_refused_with_the_task(tmp_path, tasks, message):
    with pytest.raises(TableError, match=message) as found:
        label_studio.read_votes(export(tmp_path, tasks))
    assert "\n" not in str(found.value)


def test_label_studio_cut_empty_and_absent_files_are_refused(tmp_path):
    path = write(tmp_path / "a.json", json.dumps(TASKS)[:-40])
    with pytest.raises(TableError, match=r"a\.json: not a JSON document, or cut"):
        label_studio.read_votes(path)
    path.write_bytes(b"")
    with pytest.raises(TableError, match=r"a\.json: an empty file"):
        label_studio.read_votes(path)
    with pytest.raises(TableError, match=r"b\.json: no such file"):
        label_studio.read_votes(tmp_path / "b.json")
    with pytest.raises(TableError, match="its data has no 'name'"):
        label_studio.read_votes(export(tmp_path, TASKS), key="name")
    with pytest.raises(CorpusError, match="2 files could be the Label Studio export"):
        label_studio.load(tmp_path)


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("https://a.org/x/b%20c.wav?token=1", "a.org/x/b c.wav"),
        ("/data/local-files/?d=x/b.wav", "x/b.wav"),
        ("/data/upload/12/abcdef01-b.wav", "b.wav"),
        ("http://host:8080/data/upload/abcdef01-b.wav", "b.wav"),
        ("b.wav", "b.wav"),
    ],
)
def test_addresses_lead_back_to_the_name_a_file_had(url, path):
    assert address(url) == path


# crowd-kit and toloka


LONG = (
    "task\tworker\tlabel\tgold\na/1.wav\tw1\tHappy\t\na/1.wav\tw2\tschadenfreude\t\n"
    "t 2\tw1\tsad\tSad\n"
)
PAGE = "p1\tw1\tAPPROVED\t2023-01-01T10:00:00.000\t2023-01-01T10:00:12\n"
ASSIGNMENTS = (
    "INPUT:audio\tINPUT:text\tOUTPUT:emotion\tGOLDEN:emotion\tASSIGNMENT:assignment_id\t"
    "ASSIGNMENT:worker_id\tASSIGNMENT:status\tASSIGNMENT:started\tASSIGNMENT:submitted\n"
    f'https://x.org/1.wav\t"say ""hi"""\tangry\t\t{PAGE}https://x.org/2.wav\t\tsad\tsad\t{PAGE}'
    "\t\t\t\t\t\t\t\t\n"
    "https://x.org/1.wav\t\tsad\t\tp2\tw2\tREJECTED\t2023-01-01T10:00:00.5\t2023-01-01T10:00:05\n"
    "https://x.org/2.wav\t\t\tsad\tp3\tw3\tSUBMITTED\t2023-01-01T10:00:00\t2023-01-01T10:00:05\n"
)


@pytest.mark.parametrize("separator", "\t,;")
def test_crowd_kit_tables_become_votes_whatever_divides_them(tmp_path, separator):
    path = write(tmp_path / "votes.csv", LONG.replace("\t", separator))
    votes = toloka.read_votes(path)
    assert rows(votes, "utterance", "rater", "label") == [
        ("a/1.wav", "w1", "happiness"),
        ("a/1.wav", "w2", "schadenfreude"),
        ("t 2", "w1", "sadness"),
    ]
    assert votes["gold"].fillna("").tolist() == ["", "", "sadness"]
    old = write(tmp_path / "old.tsv", LONG.replace("worker", "performer"))
    pd.testing.assert_frame_equal(toloka.read_votes(old), votes)


def test_toloka_assignments_become_votes_with_gold_and_seconds(tmp_path):
    path = write(tmp_path / "assignments.tsv", ASSIGNMENTS)
    votes = toloka.read_votes(path)
    assert rows(votes, "utterance", "rater", "label") == [
        ("1", "w1", "anger"),
        ("2", "w1", "sadness"),
    ]
    assert votes["gold"].fillna("").tolist() == ["", "sadness"]
    assert votes["seconds"].tolist() == [6.0, 6.0]  # 12 s for the two tasks of the page
    assert rows(toloka.read(path).skipped, "utterance", "rater", "reason") == [
        ("1", "w2", "rejected"),
        ("2", "w3", "no answer"),
    ]
    assert len(toloka.read_votes(path, rejected=True)) == 3
    assert toloka.read_votes(path, key="audio").equals(votes)


def test_toloka_files_make_a_corpus_with_the_recordings_beside_them(tmp_path):
    write(tmp_path / "pool" / "assignments.tsv", ASSIGNMENTS)
    sound(tmp_path / "pool" / "wav" / "2.flac")
    corpus = CORPORA["toloka"].load(tmp_path / "pool")
    assert corpus.name == "assignments"
    assert corpus.utterances["excluded"].to_dict() == {"1": "no recording", "2": ""}
    assert corpus.labels.idxmax(axis=1).to_dict() == {"1": "anger", "2": "sadness"}
    assert CORPORA["toloka"].check(tmp_path / "pool").missing == ["1"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "votes.tsv: an empty file"),
        ("task\tworker\tlabel\n", "the table has no row"),
        ("a b c\n1 2 3\n", "neither a table of task, worker, label nor Toloka's assignments"),
        (LONG[: LONG.rindex("\tsad")], "row 4: column label is empty, or the row is cut"),
        (LONG + "t\tw9\tsad\tsad\tmore\n", "cannot be read as a table"),
        (LONG + '"t\tw9\tsad\tsad\n', "cannot be read as a table"),
        (ASSIGNMENTS.replace("https://x.org/1.wav\t\t", "\t\t"), "row 5: INPUT:audio is empty"),
        (ASSIGNMENTS.replace("\tw2\t", "\t\t"), "row 5: ASSIGNMENT:worker_id is empty"),
        (ASSIGNMENTS.replace("OUTPUT:", "OUT:"), "which question.* there are none"),
        (ASSIGNMENTS.replace(".wav", ""), "which field.* 'audio', 'text'; choose with key="),
    ],
)
def test_toloka_cut_and_foreign_tables_are_refused_with_the_row(tmp_path, text, message):
    with pytest.raises(TableError, match=message) as found:
        toloka.read_votes(write(tmp_path / "votes.tsv", text))
    assert "\n" not in str(found.value)


def test_votes_in_another_encoding_are_refused_not_guessed(tmp_path):
    path = tmp_path / "votes.tsv"
    path.write_bytes(LONG.replace("t 2", "é").encode("latin-1"))
    with pytest.raises(TableError, match=r"votes\.tsv: cannot be read as a table"):
        toloka.read_votes(path)
