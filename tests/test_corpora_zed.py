"""ZED: stretches with borders, out of `ZED.json`, wherever its recordings were put."""

import json

import numpy as np
import pytest

from affekt import audio
from affekt.corpora import CORPORA
from affekt.exceptions import CorpusError

ENTRIES = {
    "amy_1": {
        "wav": "/data/ZED/amy/1.wav",
        "duration": 4.0,
        "emotion": [{"emo": "angry", "start": 1.25, "end": 3.0}],
    },
    "ben_7": {
        "wav": "/data/ZED/ben/1.wav",
        "duration": "2.5",
        "emotion": [{"emo": "happy", "start": 0, "end": 2.51}],
    },
    "clip": {
        "wav": "ZED\\cleo\\talk.wav",
        "duration": 3.0,
        "emotion": [{"emo": "sad", "start": 2.0, "end": 3.0}],
    },
}


def plant(root, entries, *files):
    for number, file in enumerate(files):
        path = root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        audio.write(path, np.full(16_000, 0.01 * (number + 1), np.float32))
    (root / "ZED.json").write_text(json.dumps(entries), "utf-8")
    return root


@pytest.fixture
def tree(tmp_path):
    return plant(tmp_path, ENTRIES, "amy/1.wav", "ben/1.wav", "ben/2.wav")


def test_stretches_tile_each_recording_and_what_is_not_marked_is_neutral(tree):
    corpus = CORPORA["zed"].load(tree)
    table = corpus.utterances
    assert list(table[["start", "end"]].itertuples(index=False, name=None)) == [
        (0.0, 1.25), (1.25, 3.0), (3.0, 4.0), (0.0, 2.5), (0.0, 2.0), (2.0, 3.0),
    ]  # fmt: skip
    assert corpus.labels.idxmax(axis=1).to_dict() == {
        "amy_1/0": "neutral", "amy_1/1": "anger", "amy_1/2": "neutral", "ben_7/0": "happiness",
        "clip/0": "neutral", "clip/1": "sadness",
    }  # fmt: skip
    assert list(table["session"]) == ["amy_1"] * 3 + ["ben_7"] + ["clip"] * 2
    assert list(table["speaker"].iloc[:4]) == ["amy"] * 3 + ["ben"]
    assert table["speaker"].iloc[4:].isna().all()
    np.testing.assert_allclose(table["duration"], table["end"] - table["start"])


def test_of_two_files_of_one_name_the_folder_decides(tree):
    corpus = CORPORA["zed"].load(tree)
    assert corpus.path("amy_1/1") == tree / "amy/1.wav"
    assert corpus.path("ben_7/0") == tree / "ben/1.wav"
    assert corpus.card["ignored"] == ["ben/2.wav: not in ZED.json"]


def test_what_lacks_is_named(tree):
    corpus, report = CORPORA["zed"].load(tree), CORPORA["zed"].check(tree)
    assert corpus.utterances["excluded"].to_dict()["clip/1"] == "no recording"
    assert report.missing == ["clip/0", "clip/1"]
    assert report.extra == ["ben/2.wav: not in ZED.json"]
    assert (report.expected, report.found) == (6, 4)
    (tree / "amy/1.wav").write_bytes(b"")
    assert CORPORA["zed"].check(tree).problems == ["amy/1.wav: an empty file"] * 3
    assert CORPORA["zed"].load(tree).utterances["excluded"]["amy_1/0"] == "an empty file"


def test_a_tree_without_its_table_is_refused(tmp_path):
    with pytest.raises(CorpusError, match=r"no ZED\.json below it"):
        CORPORA["zed"].load(tmp_path)


def test_a_table_that_is_cut_is_refused(tree):
    text = (tree / "ZED.json").read_text("utf-8")
    (tree / "ZED.json").write_text(text[:-9], "utf-8")
    with pytest.raises(CorpusError, match=r"ZED\.json: not JSON, or cut"):
        CORPORA["zed"].check(tree)


@pytest.mark.parametrize(("entry", "message"), [
    ({"duration": None}, "`duration` is None, not seconds"),
    ({"duration": True}, "`duration` is True, not seconds"),
    ({"duration": "inf"}, "`duration` is 'inf', not seconds"),
    ({"wav": ""}, "`wav` names no recording"),
    ({"wav": "/"}, "`wav` names no recording"),
    ({"emotion": []}, "`emotion` is no list"),
    ({"emotion": [{"emo": "bored", "start": 0, "end": 1}]}, "'bored' is none of angry, happy"),
    ({"emotion": [{"emo": "sad", "start": 2, "end": 1}]}, r"sad from 2\.0 to 1\.0 s"),
    ({"emotion": [{"emo": "sad", "start": 1, "end": 5}]}, r"sad from 1\.0 to 5\.0 s, of 4\.0 s"),
    ({"emotion": [{"emo": "sad", "start": 4.01, "end": 4.04}]}, r"sad from 4\.01 to 4\.04 s"),
    ({"emotion": [{"emo": "sad", "start": 0, "end": 2}, {"emo": "sad", "start": 1, "end": 3}]},
     "two emotions overlap"),
    ({"emotion": ["sad"]}, "`start` is None, not seconds"),
])  # fmt: skip
def test_an_entry_that_cannot_be_is_named(tmp_path, entry, message):
    plant(tmp_path, {"amy_1": {**ENTRIES["amy_1"], **entry}}, "amy/1.wav")
    with pytest.raises(CorpusError, match=rf"ZED\.json, amy_1: {message}"):
        CORPORA["zed"].load(tmp_path)
