"""Corpora of the Whisper paper that have votes, ratings or tables, on trees in their layouts."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from affekt import audio
from affekt.cli.corpus import app
from affekt.corpora import CORPORA, hume_prosody, ogvc, studies
from affekt.corpus import Corpus
from affekt.exceptions import CorpusError, SplitError
from affekt.harmonise import harmonise, smooth_neutral
from affekt.scheme import EKMAN_8, HUME_9
from affekt.splits import by_speaker
from affekt.votes.shares import shares

TONE = (0.1 * np.sin(np.arange(800) / 5)).astype(np.float32)  # 0.05 s at 16 kHz


def plant(root, files):
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        audio.write(root / file, TONE)
    return root


def said(corpus):
    return corpus.labels.idxmax(axis=1).to_dict()


def write(path, text, encoding="utf-8"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode(encoding))


# ogvc

TRANSCRIPTS = {
    "01_MAD_1": "1,0.5000,1.2500,A:,えっと、はい,うん\n2,2.0,2.5,A:,やった{笑}\n3,3.0,3.0,A:,あ\n",
    "03_FTY": "7,0.0100,0.0400,B:,怖い\n8,0.0410,0.0500,B:,ん\n",
}
CATEGORY = "01_MAD_1,1,JOY,JOY,NEU\n01_MAD_1,2,ACC,ANT,SUR\n03_FTY,7,FEA,FEA,FEA\n"
INTENSITY = "01_MAD_1,1,JOY,1,2,3,\n03_FTY,7,FEA,5,5,4,4\n"
ACTED = ["Acted/wav/F1/A/FOY0101ANT0.wav", "Acted/wav/M2/B/MOY1708ANG3.wav"]


def ogvc_tree(root, category=CATEGORY, intensity=INTENSITY, encoding="utf-8"):
    plant(root, [*ACTED, "Natural/wav/01_MAD_1.wav", "Natural/wav/03_FTY.wav"])
    for name, text in TRANSCRIPTS.items():
        write(root / "Natural" / "trans" / f"{name}.txt", text, encoding)
    write(root / "Natural" / "eval" / "category.txt", category)
    write(root / "Natural" / "eval" / "intensity.txt", intensity)
    return root


@pytest.mark.parametrize("encoding", ["utf-8", "cp932"])
def test_ogvc_both_volumes_are_one_corpus_with_votes_ratings_and_times(tmp_path, encoding):
    corpus = ogvc.load(ogvc_tree(tmp_path, encoding=encoding))
    assert said(corpus) == {
        "01_MAD_1_1": "happiness",
        "03_FTY_7": "fear",
        "FOY0101ANT0": "anticipation",
        "MOY1708ANG3": "anger",
    }
    table = corpus.utterances
    row = table.loc["01_MAD_1_1"]
    assert row[["file", "speaker", "session", "sex", "kind"]].tolist() == [
        *("Natural/wav/01_MAD_1.wav", "01_MAD", "01", "male", "spontaneous"),
    ]
    assert row[["start", "end", "duration"]].tolist() == [0.5, 1.25, 0.75]
    assert row["text"] == "えっと、はい,うん"  # a comma in the words
    assert table.loc["MOY1708ANG3", ["speaker", "session"]].tolist() == ["MOY", "M2"]
    assert corpus.votes["label"].groupby(corpus.votes["utterance"]).agg("+".join).to_dict() == {
        "01_MAD_1_1": "happiness+happiness+neutral",
        "01_MAD_1_2": "acceptance+anticipation+surprise",  # votes, but no label
        "03_FTY_7": "fear+fear+fear",
    }
    assert corpus.votes["rater"].unique().tolist() == ["1", "2", "3"]
    ratings = corpus.ratings[corpus.ratings["utterance"] == "01_MAD_1_1"]
    assert ratings["value"].tolist() == [1, 2, 3]
    assert table["intensity"].round(4).dropna().to_dict() == {
        "01_MAD_1_1": 0.4, "03_FTY_7": 0.9, "FOY0101ANT0": 0, "MOY1708ANG3": 1,
    }  # fmt: skip
    assert corpus.card["ignored"] == ["01_MAD_1_3: an utterance of no length"]


def test_ogvc_every_vote_is_mapped_then_averaged(tmp_path):
    corpus = ogvc.load(ogvc_tree(tmp_path), part="spontaneous")
    eight = harmonise(shares(corpus.votes, corpus.scheme), "ogvc", EKMAN_8)
    row = eight.loc["01_MAD_1_2"]  # acceptance: .5 happiness .5 neutral; anticipation: other
    assert row[row > 0].to_dict() == pytest.approx(
        {"happiness": 1 / 6, "neutral": 1 / 6, "other": 1 / 3, "surprise": 1 / 3}
    )


def test_ogvc_parts_can_be_had_alone_and_a_volume_may_be_absent(tmp_path):
    ogvc_tree(tmp_path)
    assert set(ogvc.load(tmp_path, part="acted").utterances["kind"]) == {"acted"}
    assert set(ogvc.load(tmp_path, part="spontaneous").utterances["kind"]) == {"spontaneous"}
    alone = plant(tmp_path / "2", ACTED)
    assert ogvc.load(alone).votes is None
    assert "no transcripts (volume 1, Natural/trans) are there" in ogvc.check(alone).problems
    with pytest.raises(CorpusError, match=r"no Natural/trans/\*\.txt with utterances"):
        ogvc.load(alone, part="spontaneous")
    with pytest.raises(CorpusError, match="part must be all, spontaneous or acted, not 'both'"):
        ogvc.load(alone, part="both")
    with pytest.raises(CorpusError, match="no audio file whose name reads as FOY0101ANT0"):
        ogvc.load(plant(tmp_path / "3", ["thing.wav"]))


def test_ogvc_check_expects_four_actors_at_four_levels_and_names_what_has_no_sound(tmp_path):
    ogvc_tree(tmp_path, intensity=INTENSITY.replace("1,JOY", "1,SAD"))
    (tmp_path / "Natural" / "wav" / "03_FTY.wav").unlink()
    plant(tmp_path, ["Natural/wav/09_MXX.wav"])
    report = ogvc.check(tmp_path)
    assert report.expected == 2 * 4 * 4 + 4
    assert {"FYN0101ANT2", "MTY1708ANG0", "03_FTY_7", "03_FTY_8"} <= set(report.missing)
    assert report.problems == ["01_MAD_1_1: intensity.txt says sadness, votes happiness"]
    assert "Natural/wav/09_MXX.wav: not in the corpus' tables" in report.extra
    lost = ogvc.load(tmp_path).utterances["excluded"]
    assert lost[lost != ""].to_dict() == {"03_FTY_7": "no recording", "03_FTY_8": "no recording"}


@pytest.mark.parametrize("text", [
    CATEGORY.replace(",", "\t"), CATEGORY.replace(",", ";"),
    "file,number,labeler1,labeler2,labeler3\n" + CATEGORY,
])  # fmt: skip
def test_ogvc_votes_divided_by_anything_and_with_a_header_are_the_same(tmp_path, text):
    corpus = ogvc.load(ogvc_tree(tmp_path / "a"))
    other = ogvc.load(ogvc_tree(tmp_path / "b", category=text))
    pd.testing.assert_frame_equal(corpus.votes, other.votes)


@pytest.mark.parametrize(("category", "intensity", "message"), [
    (CATEGORY.replace("ANT", "ANX"), INTENSITY, r"category\.txt, line 2: \['ANX'\] is none of JOY"),
    (CATEGORY + "03_FTY,7,FEA,FEA,FEA\n", INTENSITY, "line 4: 03_FTY_7 occurs twice; keep one"),
    (CATEGORY + "03_FTY\n", INTENSITY, "line 4: does not read as 01_MAD_1,12,JOY,…, or is cut"),
    (CATEGORY, INTENSITY.replace("5,5", "5,6"), r"intensity\.txt, line 2: an intensity is no"),
    ("", INTENSITY, r"category\.txt: an empty file"),
])  # fmt: skip
def test_ogvc_a_broken_table_is_refused_with_its_line(tmp_path, category, intensity, message):
    ogvc_tree(tmp_path, category, intensity)
    for verb in (ogvc.load, ogvc.check):
        with pytest.raises(CorpusError, match=message):
            verb(tmp_path)


@pytest.mark.parametrize(("text", "message"), [
    ("1,0.5,1.25\n", "line 1: does not read as number,start,end,channel,words, or is cut"),
    ("1,0.5,1.25,A:,a\n1,2,3,A:,b\n", "line 2: the number 1 occurs twice; keep one of the lines"),
])  # fmt: skip
def test_ogvc_a_broken_transcript_is_refused_with_its_line(tmp_path, text, message):
    ogvc_tree(tmp_path)
    write(tmp_path / "Natural" / "trans" / "01_MAD_1.txt", text)
    with pytest.raises(CorpusError, match=rf"01_MAD_1\.txt, {message}"):
        ogvc.load(tmp_path)


def test_ogvc_votes_on_what_no_transcript_has_are_noted(tmp_path):
    corpus = ogvc.load(ogvc_tree(tmp_path, category=CATEGORY + "03_FTY,99,SAD,SAD,SAD\n"))
    assert corpus.card["notes"] == ["03_FTY_99: votes, but no line in the transcripts"]
    assert "03_FTY_99" not in set(corpus.votes["utterance"])


# studies

LAST = "Long_dialogue/LD01/wav/LD01-Dialogue-01-Teacher-Turn-02"
TALK = "講師|平静|こんにちは。|x\n女子生徒|喜び|やったー！|x\n講師|喜び|よかったね。|x\n"


def studies_tree(root):
    long = "Long_dialogue/LD01"
    plant(root, [
        f"{long}/wav/LD01-Dialogue-01-Teacher-Turn-01.wav",
        f"{long}/wav/LD01-Dialogue-01-Teacher-Turn-02.wav",
        f"{long}/wav/LD01-Dialogue-01-FStudent-Turn-01.wav",
        "ITA/Emotion100-Angry/MStudent/wav/Emotion100-Angry-MStudent-001.wav",
    ])  # fmt: skip
    write(root / long / "txt" / "LD01-Dialogue-01.txt", TALK)
    write(root / "ITA" / "Emotion100-Angry" / "MStudent" / "txt" / "a.txt", "男子生徒|怒り|えっ|\n")
    return root


def test_studies_the_kth_line_of_a_person_is_their_kth_recording(tmp_path):
    corpus = studies.load(studies_tree(tmp_path / "Unzipped").parent)
    table = corpus.utterances
    assert {id.rpartition("/")[2]: label for id, label in said(corpus).items()} == {
        "LD01-Dialogue-01-Teacher-Turn-01": "neutral",
        "LD01-Dialogue-01-Teacher-Turn-02": "happiness",
        "LD01-Dialogue-01-FStudent-Turn-01": "happiness",
        "Emotion100-Angry-MStudent-001": "anger",
    }
    last = table.loc[LAST]
    assert last[["speaker", "session", "sex", "text"]].tolist() == [
        *("Teacher", "LD01", "female", "よかったね。"),
    ]
    assert table["kind"].unique().tolist() == ["ita", "long_dialogue"]
    report = studies.check(tmp_path)
    assert (report.expected, report.found) == (5689, 4)
    assert report.missing == ["5685 of 5689 recordings"]
    assert report.problems == []


def test_studies_refuses_to_guess_where_lines_and_recordings_differ_in_number(tmp_path):
    studies_tree(tmp_path)
    (tmp_path / "Long_dialogue/LD01/wav/LD01-Dialogue-01-Teacher-Turn-01.wav").unlink()
    corpus = studies.load(tmp_path)
    left = corpus.utterances.loc[LAST]
    assert left["excluded"] == "long_dialogue/LD01: 2 lines and 1 recordings of Teacher"
    assert len(corpus.labels) == 2  # of the others
    (note,) = corpus.card["notes"]
    assert note.endswith("which is which cannot be known; unpack it anew")
    assert studies.check(tmp_path).problems == [note]


@pytest.mark.parametrize(("text", "message"), [
    (TALK.replace("平静", "静か"), "line 1: does not read as .* with one of 講師、女子生徒"),
    (TALK.replace("女子生徒", "先生"), "line 2: does not read as speaker"),
    (TALK + "講師|怒り", "line 4: does not read as speaker.*, or is cut"),
])  # fmt: skip
def test_studies_a_broken_text_is_refused_with_its_line(tmp_path, text, message):
    studies_tree(tmp_path)
    write(tmp_path / "Long_dialogue" / "LD01" / "txt" / "LD01-Dialogue-01.txt", text)
    for verb in (studies.load, studies.check):
        with pytest.raises(CorpusError, match=message):
            verb(tmp_path)


def test_studies_texts_or_recordings_alone_are_refused(tmp_path):
    plant(tmp_path, ["ITA/a/wav/a-Teacher-1.wav"])
    with pytest.raises(CorpusError, match=r"no text as \{ITA,Long_dialogue,Short_dialogue\}"):
        studies.load(tmp_path)
    write(tmp_path / "ITA" / "a" / "txt" / "a.txt", TALK)
    (tmp_path / "ITA/a/wav/a-Teacher-1.wav").unlink()
    with pytest.raises(CorpusError, match="ita/a: 1 lines and 0 recordings of FStudent"):
        studies.load(tmp_path)


# hume-prosody

HEAD = "filename,Anger,Boredom,Calmness,Concentration,Determination,Excitement,Interest,Sadness,"
HEAD += "Tiredness\n"
TRAIN = HEAD + "[0001].wav,0.5,0,0.25,0,0,0,0.25,0,0\n[0002].wav,0,0,0,0,0,0,0,0,0\n"
DEVEL = HEAD + "[0003].wav,0.1,0.2,0.3,0.4,0.5,0.6,0.7,0.8,0.9\n"
TEST = HEAD + "[0004].wav" + 9 * ",?" + "\n"


def hume_tree(root, train=TRAIN):
    plant(root, [f"wav/[000{number}].wav" for number in (1, 2, 3, 4)])
    for part, text in (("train", train), ("devel", DEVEL), ("test", TEST)):
        write(root / "lab" / f"{part}.csv", text)
    return root


def test_hume_prosody_numbers_stay_as_ratings_and_labels_are_their_shares(tmp_path):
    corpus = hume_prosody.load(hume_tree(tmp_path), durations=True)
    assert corpus.utterances["split"].tolist() == ["train", "train", "validation", "test"]
    assert corpus.labels.loc["[0001]", ["anger", "calm", "interest"]].tolist() == [0.5, 0.25, 0.25]
    assert corpus.labels.index.tolist() == ["[0001]", "[0003]"]  # zeros and masked: no label
    assert corpus.utterances["intensity"].fillna(-1).tolist() == [0.5, 0, 0.9, -1]
    numbers = hume_prosody.targets(corpus)
    assert list(numbers) == list(HUME_9)
    assert numbers.index.tolist() == ["[0001]", "[0002]", "[0003]"]
    assert numbers.loc["[0003]"].tolist() == pytest.approx([n / 10 for n in range(1, 10)])
    assert numbers.loc["[0002]"].sum() == 0
    assert corpus.ratings["rater"].isna().all()
    assert hume_prosody.targets(corpus.select(["[0003]", "[0001]"])).index.tolist() == [
        *("[0003]", "[0001]"),
    ]
    assert hume_prosody.check(tmp_path).complete
    with pytest.raises(SplitError):
        by_speaker(corpus.utterances, 2)


def test_hume_prosody_check_names_missing_sound_tables_and_masked_parts(tmp_path):
    hume_tree(tmp_path, train=TRAIN.replace("0,0,0,0,0,0,0,0,0", ",".join("?" * 9)))
    (tmp_path / "wav" / "[0004].wav").unlink()
    (tmp_path / "lab" / "devel.csv").unlink()
    report = hume_prosody.check(tmp_path)
    assert report.missing == ["[0004]"]
    assert report.problems == [
        "lab/devel.csv is not there: the corpus loads without that part",
        "1 clips outside the test part have no numbers, [0002] too",
    ]
    assert report.extra == ["wav/[0003].wav: not in the corpus' tables"]


@pytest.mark.parametrize(("train", "message"), [
    (TRAIN.replace("0.5", "1.5"), r"train\.csv, line 2: Anger is '1\.5', no number from 0 to 1"),
    (TRAIN.replace("0.5", "nan"), "line 2: Anger is 'nan', no number"),
    (TRAIN.replace("0002", "0001"), r"line 3: \[0001\] occurs twice; keep one row for each clip"),
    (TRAIN.replace("[0002].wav", ""), "line 3: no filename; keep one row"),
    (TRAIN.replace("Tiredness", "Fatigue"), "no column Tiredness; its header is filename, Anger"),
    (TRAIN[:-4], "line 3: 9 cells where the header names 10: the file is cut"),
])  # fmt: skip
def test_hume_prosody_a_broken_table_is_refused_with_its_line(tmp_path, train, message):
    hume_tree(tmp_path, train)
    for verb in (hume_prosody.load, hume_prosody.check):
        with pytest.raises(CorpusError, match=message):
            verb(tmp_path)


def test_hume_prosody_without_tables_or_ratings_is_refused(tmp_path):
    with pytest.raises(CorpusError, match=r"no lab/train\.csv, lab/devel\.csv, lab/test\.csv"):
        hume_prosody.load(plant(tmp_path / "a", ["wav/1.wav"]))
    corpus = replace(hume_prosody.load(hume_tree(tmp_path / "b")), ratings=None)
    with pytest.raises(CorpusError, match="'hume-prosody' has no ratings of anger, boredom"):
        hume_prosody.targets(corpus)


# the command line


@pytest.mark.parametrize(("name", "tree", "line"), [
    ("ogvc", ogvc_tree, r"│ anticipation +│ 1 +│ other 1 "),
    ("studies", studies_tree, r"│ happiness +│ 2 +│ happiness 1 "),
    ("hume-prosody", hume_tree, r"│ interest +│ 0\.40\d+ +│ other 1 "),
])  # fmt: skip
def test_labels_go_to_the_eight_with_counts_on_the_command_line(tmp_path, name, tree, line):
    result = CliRunner().invoke(app, ["labels", name, str(tree(tmp_path))])
    assert result.exit_code == 0
    assert re.search(line, result.output)


# vesus, through the loaders of one's own recordings

VESUS = (
    "file,speaker,neutral,happy,angry,sad,fearful\n"
    "audio/1_1.wav,11,6,0,4,0,0\naudio/2_1.wav,22,0,1,0,8,1\n"
)


def test_vesus_counts_of_answers_in_a_table_become_soft_labels(tmp_path):
    plant(tmp_path, ["audio/1_1.wav", "audio/2_1.wav"])
    write(tmp_path / "vesus.csv", VESUS)
    corpus = CORPORA["csv"].load(tmp_path / "vesus.csv", name="vesus")
    assert corpus.labels.loc["audio/2_1"].to_dict() == pytest.approx(
        {"neutral": 0, "happiness": 0.1, "anger": 0, "sadness": 0.8, "fear": 0.1}
    )
    assert corpus.utterances["speaker"].tolist() == ["11", "22"]
    assert CORPORA["csv"].check(tmp_path / "vesus.csv").complete
    eight = harmonise(corpus.labels, "vesus", EKMAN_8)
    soft = smooth_neutral(eight, 1 - eight["neutral"])  # as strong as answers are not neutral
    assert soft.loc["audio/2_1"].to_dict() == pytest.approx(eight.loc["audio/2_1"].to_dict())
    assert soft.loc["audio/1_1", "neutral"] == pytest.approx(0.6 * (1 - 3 / 7) + 3 / 7)
    result = CliRunner().invoke(app, ["labels", "csv", str(tmp_path / "vesus.csv")])
    assert re.search(r"│ sadness +│ 0\.8 +│ sadness 1 ", result.output)


def test_vesus_answers_themselves_are_kept_in_a_corpus_folder(tmp_path):
    plant(tmp_path, ["audio/1_1.wav", "audio/2_1.wav"])
    write(tmp_path / "vesus.csv", VESUS)
    corpus = CORPORA["csv"].load(tmp_path / "vesus.csv", name="vesus")
    corpus.write(tmp_path / "vesus")
    answers = [("audio/1_1", who, "neutral" if who < 6 else "anger") for who in range(10)]
    rows = "".join(f"{id},r{who},{label}\n" for id, who, label in answers)
    write(tmp_path / "vesus" / "votes.csv", "utterance,rater,label\n" + rows)
    voted = Corpus.read(tmp_path / "vesus")
    assert shares(voted.votes, voted.scheme).loc["audio/1_1", "anger"] == 0.4
    assert len(voted.votes) == 10
