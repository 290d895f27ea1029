import os

import numpy as np
import pytest
from typer.testing import CliRunner

from affekt import audio
from affekt.cli.corpus import app
from affekt.corpora import CORPORA
from affekt.corpora.generic import ALIASES, SYNONYMS, noun
from affekt.exceptions import CorpusError, TableError

TONE = (0.1 * np.sin(np.arange(800) / 5)).astype(np.float32)  # 0.05 s at 16 kHz


def plant(root, files):
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        audio.write(root / file, TONE)
    return root


def decoded(corpus):
    said = corpus.labels.idxmax(axis=1)
    speakers = corpus.utterances["speaker"]
    return {id: (said[id], speakers[id]) for id in corpus.utterances.index}


def own(tmp_path, text, name="mine.csv"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_csv_takes_any_delimiter_other_names_and_label_words(tmp_path, delimiter):
    text = "Path,Emotion,SpkrID,take\nx/1.wav,Angry,007,1\n2.wav, happy,,2\n"
    corpus = CORPORA["csv"].load(own(tmp_path, text.replace(",", delimiter)))
    assert corpus.name == "mine"
    assert list(corpus.scheme) == ["anger", "happiness"]
    assert corpus.labels.idxmax(axis=1).to_dict() == {"x/1": "anger", "2": "happiness"}
    assert corpus.utterances.at["x/1", "speaker"] == "007"
    assert corpus.utterances["speaker"].isna().tolist() == [False, True]
    assert corpus.utterances["take"].tolist() == ["1", "2"]
    assert corpus.path("x/1") == tmp_path / "x" / "1.wav"


def test_csv_columns_of_numbers_are_soft_labels(tmp_path):
    text = "file,angry,neutral,anger_note\na.wav,3,1,x\nb.wav,,2,\nc.wav,0,0,\n"
    corpus = CORPORA["csv"].load(own(tmp_path, text))
    assert corpus.labels.to_dict("index") == {
        "a": {"anger": 0.75, "neutral": 0.25},
        "b": {"anger": 0.0, "neutral": 1.0},
    }
    assert corpus.utterances["excluded"].tolist() == ["", "", "no label"]
    assert "anger_note" in corpus.utterances.columns


def test_csv_utterances_may_be_parts_of_a_file(tmp_path):
    text = "file,start,end,label\na.wav,0,1.5,sad\na.wav,1.5,3,sad\nb.wav,,,\n"
    corpus = CORPORA["csv"].load(own(tmp_path, text))
    assert corpus.utterances.index.tolist() == ["a#0-1.5", "a#1.5-3", "b"]
    assert corpus.utterances["end"].iloc[1] == 3
    assert corpus.utterances.at["b", "excluded"] == "no label"


def test_csv_keeps_a_name_where_its_alias_is_there_too(tmp_path):
    text = "file,path,id,label\na.wav,elsewhere,7,joy\n"
    table = CORPORA["csv"].load(own(tmp_path, text)).utterances
    assert table.loc["7", ["file", "path"]].tolist() == ["a.wav", "elsewhere"]


@pytest.mark.parametrize(
    ("text", "error", "reason"),
    [
        ("", CorpusError, "cannot be read as a table"),
        ("label\nsad\n", CorpusError, r"no column file \(or path, wav,"),
        ("file,who\na.wav,x\n", CorpusError, r"no column label \(or emotion, emo, emoclass\)"),
        ("file,label\n", CorpusError, "the table has no row"),
        ("file,label\na.wav,\n", CorpusError, "no row has a label"),
        ("file,sad\na.wav,much\n", CorpusError, "category columns must hold numbers"),
        ("file,File,label\na,b,c\n", CorpusError, "more than one column is called 'file'"),
        (
            "file,label\nb.wav,sad\na.wav,sad\nc.wav,sad\na.wav,sad\n",
            TableError,
            r"\.csv, row 4: utterance 'a' occurs twice, first in row 2: leave one out",
        ),
        ("file,sad,calm\na.wav,2,-1\n", TableError, "a value is below 0"),
        ("file,sad,sadness\na.wav,2,1\n", TableError, "a label twice: sadness"),
        ("file,label,start\na.wav,sad,soon\n", TableError, "start of 'a#soon-' is not a number"),
    ],
)
def test_csv_faults_are_named(tmp_path, text, error, reason):
    with pytest.raises(error, match=reason):
        CORPORA["csv"].load(own(tmp_path, text))


def test_csv_check_names_missing_empty_and_unlabelled_files(tmp_path):
    plant(tmp_path, ["a.wav"])
    (tmp_path / "b.wav").write_bytes(b"")
    path = own(tmp_path, "file,label\na.wav,sad\nb.wav,sad\nc.wav,\n")
    report = CORPORA["csv"].check(path)
    assert (report.expected, report.found, report.missing) == (3, 2, ["c.wav"])
    assert report.problems == ["b.wav: an empty file", "c: no label"]
    with pytest.raises(CorpusError, match="give the path of the csv file itself"):
        CORPORA["csv"].load(tmp_path)


def test_an_export_excludes_files_that_are_missing_or_no_sound_and_says_why(tmp_path):
    plant(tmp_path, ["a.wav"])
    (tmp_path / "junk.wav").write_bytes(b"no sound" * 100)
    path = own(tmp_path, "file,label\na.wav,sad\njunk.wav,sad\ngone.wav,calm\nd.wav,\n")
    words = ["export", "csv", str(path), "--out", str(tmp_path / "out")]
    assert CliRunner().invoke(app, words).exit_code == 0
    reasons = CORPORA["affekt"].load(tmp_path / "out").utterances["excluded"]
    assert reasons.drop("junk").to_dict() == {"a": "", "gone": "does not exist", "d": "no label"}
    assert reasons["junk"].startswith("is not a recording libsndfile or FFmpeg can read")


def test_label_words_lead_to_nouns_and_aliases_are_lower_case():
    assert not set(SYNONYMS) & set(SYNONYMS.values())
    assert all(name == name.lower() for name in (*SYNONYMS, *ALIASES))
    assert [noun(word) for word in ("FEARFUL", "anger", "odd")] == ["fear", "anger", "odd"]


def test_folders_are_labels_and_those_above_speakers(tmp_path):
    plant(tmp_path, ["anna/Angry/1.wav", "anna/Sad/1.wav", "ben/Angry/1.flac", "loose.wav"])
    corpus = CORPORA["folder"].load(tmp_path, name="mine", durations=True)
    assert decoded(corpus) == {
        "anna/Angry/1": ("anger", "anna"),
        "anna/Sad/1": ("sadness", "anna"),
        "ben/Angry/1": ("anger", "ben"),
    }
    assert corpus.card["ignored"] == ["loose.wav: in no label folder"]
    assert corpus.utterances["duration"].tolist() == [0.05] * 3
    assert CORPORA["folder"].check(tmp_path).extra == ["loose.wav: in no label folder"]


def test_folders_of_labels_alone_have_unknown_speakers_also_from_one_level_above(tmp_path):
    plant(tmp_path, ["corpus/angry/1.wav", "corpus/sad/1.wav"])
    for root in (tmp_path, tmp_path / "corpus"):
        corpus = CORPORA["folder"].load(root)
        assert corpus.utterances["speaker"].isna().all()
        assert list(corpus.scheme) == ["anger", "sadness"]


def test_one_label_folder_is_a_label(tmp_path):
    corpus = CORPORA["folder"].load(plant(tmp_path, ["angry/1.wav", "angry/2.wav"]))
    assert corpus.labels["anger"].tolist() == [1, 1]
    with pytest.raises(CorpusError, match=r"no audio file as label/name\.wav"):
        CORPORA["folder"].load(tmp_path / "angry")


def test_a_file_name_that_is_no_text_is_refused_in_one_line(tmp_path):
    audio.write(tmp_path / "anger" / "a.wav", np.zeros(1_600, np.float32))
    audio.write(tmp_path / "calm" / "b.wav", np.zeros(1_600, np.float32))
    try:
        (tmp_path / "calm" / "b.wav").rename(tmp_path / "calm" / os.fsdecode(b"lat\xe9in.wav"))
    except OSError:
        pytest.skip("this file system takes UTF-8 names alone")
    with pytest.raises(CorpusError, match=r"lat\\udce9in.wav: the name is not UTF-8, .*rename it"):
        CORPORA["folder"].load(tmp_path)
