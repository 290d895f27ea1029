"""LSSED: its table, its words for emotions, and what breaks them."""

import pytest

from affekt.corpora import lssed
from affekt.exceptions import CorpusError, SplitError
from affekt.harmonise import harmonise
from affekt.scheme import EKMAN_8
from affekt.splits import by_speaker
from corpus_trees import plant, said

METADATA = """name,faces,speaker,gender,age,split
u1,Angry,p1,Female,young,train
u2,"sad, disappointed",p2,M,41,test
u3,normal,p1,Female,young,train
u4,,p2,M,41,dev
"""


def lssed_tree(root, text=METADATA):
    plant(root, [f"wav_all/u{number}.wav" for number in (1, 2, 3)])
    (root / "metadata_english_all.csv").write_text(text, encoding="utf-8")
    return root


def test_lssed_words_of_any_form_become_nouns_and_the_first_of_several_is_the_label(tmp_path):
    corpus = lssed.load(lssed_tree(tmp_path))
    assert said(corpus) == {"u1": "anger", "u2": "sadness", "u3": "neutral"}
    table = corpus.utterances
    assert table["speaker"].tolist() == ["p1", "p2", "p1", "p2"]
    assert table["sex"].tolist() == ["female", "male", "female", "male"]
    assert table["age"].fillna(-1).tolist() == [-1, 41, -1, 41]
    assert table["age_group"].fillna("").tolist() == ["young", "", "young", ""]
    assert table["split"].tolist() == ["train", "test", "train", "validation"]
    assert table["excluded"].tolist() == ["", "", "", "no recording"]
    assert table.loc["u1", "file"] == "wav_all/u1.wav"


def test_lssed_several_emotions_can_share_and_disappointment_has_a_place_in_the_eight(tmp_path):
    corpus = lssed.load(lssed_tree(tmp_path), labels="shares")
    row = corpus.labels.loc["u2"]
    assert row[["sadness", "disappointment"]].tolist() == [0.5, 0.5]
    eight = harmonise(corpus.labels, "lssed", EKMAN_8).loc["u2"]
    assert eight["sadness"] == pytest.approx(0.5 + 0.5 * 0.7)
    assert eight["disgust"] == pytest.approx(0.15)


def test_lssed_four_classes_stand_in_the_order_of_the_release(tmp_path):
    corpus = lssed.load(lssed_tree(tmp_path), four=True)
    assert list(corpus.scheme) == ["anger", "neutral", "happiness", "sadness"]
    assert corpus.utterances.index.tolist() == ["u1", "u2", "u3"]
    shared = lssed.load(tmp_path, four=True, labels="shares")
    assert shared.utterances.index.tolist() == ["u1", "u3"]  # u2 names disappointment too


def test_lssed_columns_may_have_other_names_and_names_an_ending(tmp_path):
    text = "file;x,emotion\nu1.wav,happy\nu2.WAV,surprised|fear\n"
    root = lssed_tree(tmp_path, text)
    names = {"utterance": "file;x", "label": "emotion"}
    corpus = lssed.load(root, columns=names)
    assert said(corpus) == {"u1": "happiness", "u2": "surprise"}
    with pytest.raises(SplitError):
        by_speaker(corpus.utterances, 2)
    problems = lssed.check(root, columns=names).problems
    assert any("no split by speaker" in line for line in problems)


def test_lssed_check_counts_what_the_paper_counts(tmp_path):
    report = lssed.check(lssed_tree(tmp_path))
    assert (report.expected, report.found, report.missing) == (4, 3, ["u4"])
    assert report.problems[0] == "the table lists 4 utterances, the paper counts 147025"
    assert report.problems[1] == "1 utterances have no label"


@pytest.mark.parametrize(("text", "message"), [
    (METADATA.replace("faces", "emotion"), "no column faces; its header is name.*columns= takes"),
    (METADATA.replace("normal", "wistful"), "line 4: 'wistful' is no emotion of the corpus"),
    (METADATA.replace("u3", "u1"), "line 4: u1 occurs twice; keep one of its rows"),
    (METADATA.replace("u3,", ","), "line 4: no name"),
    (METADATA[:-9], "line 5: 4 cells where the header names 6: the file is cut"),
    (METADATA[: METADATA.index(" disapp")], "line 3: not a table's row, or cut"),
    ("name,faces\n", "no row below the header"),
    ("", "an empty file"),
])  # fmt: skip
def test_lssed_a_broken_table_is_refused_with_line_and_remedy(tmp_path, text, message):
    lssed_tree(tmp_path, text)
    for verb in (lssed.load, lssed.check):
        with pytest.raises(CorpusError, match=message):
            verb(tmp_path)


def test_lssed_arguments_that_mean_nothing_are_refused(tmp_path):
    plant(tmp_path, ["wav_all/u1.wav"])
    with pytest.raises(CorpusError, match=r"no metadata_english_all\.csv below it; metadata="):
        lssed.load(tmp_path)
    lssed_tree(tmp_path)
    with pytest.raises(CorpusError, match="labels must be first or shares, not 'last'"):
        lssed.load(tmp_path, labels="last")
    with pytest.raises(CorpusError, match="columns: 'sound' is none of utterance, label"):
        lssed.load(tmp_path, columns={"sound": "x"})
    with pytest.raises(CorpusError, match="no column who"):
        lssed.load(tmp_path, columns={"speaker": "who"})
