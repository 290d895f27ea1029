"""DAIC-WOZ: turns of participants, errata, parts and scores of people."""

import pandas as pd
import pytest

from affekt.corpora import daic_woz
from affekt.exceptions import CorpusError, TableError
from affekt.harmonise import harmonise
from affekt.scheme import EKMAN_8
from affekt.splits import official
from corpus_trees import plant, said

HEAD = "start_time\tstop_time\tspeaker\tvalue\n"
TALK = HEAD + (
    "1.0\t2.0\tEllie\thi i'm ellie\n"
    '2.5\t4.0\tParticipant\t"good\n'  # a lone quote is a letter
    "4.2\t4.9\tParticipant\tyes\n"
    "\n"
    "5.0\t6.5\tParticipant\t<sync>\n"
    "7.0\t9.0\tParticipant\t[syncing] xxx <laughter>\n"
)
BROKEN_OFF = (
    HEAD
    + "390\t394.5\tParticipant\tbefore\n394\t396\tParticipant\tin\n429\t431\tParticipant\tafter\n"
)
PARTS = {
    "train_split_Depression_AVEC2017.csv": (
        "Participant_ID,PHQ8_Binary,PHQ8_Score,Gender,PHQ8_NoInterest,PHQ8_Sleep\n"
        "300,0,2,1,0,0\n318,1,15,0,2,2\n319,1,13,1,2,\n409,0,10,0,1,1\n"
    ),
    "dev_split_Depression_AVEC2017.csv": (
        "Participant_ID,PHQ8_Binary,PHQ8_Score,Gender,PHQ8_NoInterest,PHQ8_Sleep\n373,0,4,0,0,0\n"
    ),
    "test_split_Depression_AVEC2017.csv": "participant_ID,Gender\n451,1\n",
}
TALKS = {"300": TALK, "318": TALK, "319": TALK, "409": TALK, "373": BROKEN_OFF, "451": TALK}


def daic_tree(root, talks=None, parts=None):
    for person, text in (TALKS if talks is None else talks).items():
        plant(root, [f"{person}_P/{person}_AUDIO.wav"])
        (root / f"{person}_P" / f"{person}_TRANSCRIPT.csv").write_text(text, encoding="utf-8")
    for name, text in (PARTS if parts is None else parts).items():
        (root / name).write_text(text, encoding="utf-8")
    return root


def test_daic_woz_turns_of_participants_of_a_second_are_utterances(tmp_path):
    corpus = daic_woz.load(daic_tree(tmp_path))
    own = corpus.utterances[corpus.utterances["speaker"] == "300"]
    assert own.index.tolist() == ["300_0003", "300_0007"]
    assert own["start"].tolist() == [2.5, 7.0]
    assert own["duration"].tolist() == [1.5, 2.0]
    assert own["text"].tolist() == ['"good', "xxx <laughter>"]
    assert own["sex"].tolist() == ["female", "female"]
    assert set(own["file"]) == {"300_P/300_AUDIO.wav"}
    assert corpus.card["n_short"] == 5  # one of 0.7 s in each whole interview
    longer = daic_woz.load(tmp_path, shortest=0.5)
    assert "300_0004" in longer.utterances.index
    assert longer.card["n_short"] == 0


def test_daic_woz_errata_are_applied_listed_and_can_be_left_out(tmp_path):
    corpus = daic_woz.load(daic_tree(tmp_path))
    labels = {id[:3]: label for id, label in said(corpus).items()}
    assert labels == {
        **{"300": "not depressed", "318": "depressed", "319": "depressed"},
        **{"409": "depressed", "373": "not depressed"},
    }
    table = corpus.utterances
    assert table.loc["318_0003", ["start", "end"]].tolist() == pytest.approx(
        [2.5 + 34.319917, 4.0 + 34.319917]
    )
    within = table[table["excluded"] != ""]
    assert within["excluded"].to_dict() == {"373_0003": "within an interruption of the interview"}
    applied = corpus.card["errata"]
    assert applied[0] == "409: depressed, as the score of 10 says"
    assert "318: transcript shifted by 34.3199 s" in applied
    assert "373: 1 turns between 395 and 428 s excluded" in applied
    assert "300: 2 marks of synchronisation removed" in applied
    assert any(line.startswith("451: the interviewer is not") for line in applied)
    plain = daic_woz.load(tmp_path, errata=False)
    assert plain.card["errata"] == []
    assert said(plain)["409_0003"] == "not depressed"
    assert plain.utterances.loc["318_0003", "start"] == 2.5
    assert plain.utterances.loc["300_0006", "text"] == "<sync>"
    assert (plain.utterances["excluded"] == "").all()


def test_daic_woz_parts_are_official_and_the_full_test_table_labels_the_test(tmp_path):
    corpus = daic_woz.load(daic_tree(tmp_path))
    parts = corpus.utterances.groupby("split")["speaker"].unique().map(sorted).to_dict()
    assert parts == {
        "train": ["300", "318", "319", "409"], "validation": ["373"], "test": ["451"],
    }  # fmt: skip
    assert not any(id.startswith("451") for id in corpus.labels.index)
    split = official(corpus.utterances)[0]
    assert {id[:3] for id in split.test} == {"451"}
    (tmp_path / "full_test_split.csv").write_text(
        "Participant_ID,PHQ_Binary,PHQ_Score,Gender\n451,1,11,1\n,,,\n"
    )
    full = daic_woz.load(tmp_path)
    assert said(full)["451_0003"] == "depressed"
    assert full.utterances.loc["451_0003", "phq8"] == 11


def test_daic_woz_scores_of_people_are_means_over_their_turns(tmp_path):
    corpus = daic_woz.load(daic_tree(tmp_path))
    turns = ["300_0003", "300_0007", "318_0003"]
    scores = pd.DataFrame({"not depressed": [0.2, 0.6, 0.1], "depressed": [0.8, 0.4, 0.9]}, turns)
    people = daic_woz.by_person(scores, corpus)
    assert people["depressed"].to_dict() == pytest.approx({"300": 0.6, "318": 0.9})
    truth = daic_woz.by_person(corpus.labels, corpus)
    assert truth["depressed"].to_dict() == {"300": 0, "318": 1, "319": 1, "373": 0, "409": 1}
    with pytest.raises(TableError, match="'not depressed' of corpus 'daic-woz' has no place"):
        harmonise(corpus.labels, corpus.name, EKMAN_8)  # a state of a person is no emotion
    with pytest.raises(CorpusError, match="has no utterance '999_0001'"):
        daic_woz.by_person(scores.rename(index={"300_0003": "999_0001"}), corpus)


def test_daic_woz_check_counts_people_and_lists_the_errata(tmp_path):
    daic_tree(tmp_path)
    (tmp_path / "373_P" / "373_AUDIO.wav").unlink()
    (tmp_path / "319_P" / "319_TRANSCRIPT.csv").unlink()
    plant(tmp_path, ["342_P/342_AUDIO.wav"])
    report = daic_woz.check(tmp_path)
    assert (report.expected, report.found) == (189, 4)
    assert report.missing[0].startswith("103 of 107 people of the part train")
    assert {"373_P/373_AUDIO.wav", "319_P/319_TRANSCRIPT.csv"} <= set(report.missing)
    assert report.extra == ["342_P: not in the tables"]
    assert "erratum: 409: depressed, as the score of 10 says" in report.problems
    assert report.problems[-1].startswith("1 people have no label: full_test_split.csv")
    corpus = daic_woz.load(tmp_path)
    assert corpus.card["without_transcript"] == ["319"]
    assert set(corpus.utterances.loc[corpus.utterances["speaker"] == "373", "excluded"]) == {
        "no recording"
    }


@pytest.mark.parametrize(("talk", "message"), [
    (TALK.replace("\t", ","), "300_TRANSCRIPT.csv: its header is not start_time, .* by tabs"),
    (TALK + "10.0\t11", "line 8: no start, stop, Ellie or Participant, text: is it whole"),
    (TALK.replace("7.0", "7:0"), "line 7: start or stop is no number of seconds"),
    (HEAD, "no turn in it of 1 s"),
    ("", "an empty file"),
])  # fmt: skip
def test_daic_woz_a_broken_transcript_is_refused_with_its_line(tmp_path, talk, message):
    daic_tree(tmp_path, {"300": talk})
    with pytest.raises(CorpusError, match=message):
        daic_woz.load(tmp_path)


@pytest.mark.parametrize(("old", "new", "message"), [
    ("300,0,2,1,0,0", "300,0,2,1", "line 2: 4 cells where the header names 6: the file is cut"),
    ("300,0,2", "300,2,2", "line 2: PHQ8_Binary or Gender is neither 0 nor 1"),
    ("300,0,2", "300,0,two", "line 2: PHQ8_Score 'two' is no number"),
    ("318,1", "300,1", "line 3: '300' is no number as 300, or occurs twice"),
    ("Participant_ID", "Person", "no column Participant_ID; it has Person"),
])  # fmt: skip
def test_daic_woz_a_broken_table_is_refused_with_its_line(tmp_path, old, new, message):
    name = "train_split_Depression_AVEC2017.csv"
    daic_tree(tmp_path, parts={**PARTS, name: PARTS[name].replace(old, new)})
    with pytest.raises(CorpusError, match=message):
        daic_woz.load(tmp_path)


def test_daic_woz_without_tables_is_refused(tmp_path):
    daic_tree(tmp_path, parts={})
    with pytest.raises(
        CorpusError, match=r"none of train_split_Depression_AVEC2017\.csv, .* below"
    ):
        daic_woz.load(tmp_path)
