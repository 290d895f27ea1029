"""Corpora and exports that come with votes: small trees in the official layouts, made up, and the
real votes of Earkick and CREMA-D."""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from affekt import audio
from affekt.corpora import (
    CORPORA,
    cmu_mosei,
    crema_d,
    earkick,
    label_studio,
    msp_improv,
    msp_podcast,
    toloka,
)
from affekt.corpora.voted import address
from affekt.exceptions import CorpusError, TableError
from affekt.harmonise import harmonise
from affekt.scheme import EKMAN_7, EKMAN_8, MSP_IMPROV_5, MSP_PODCAST_9
from affekt.splits import official
from affekt.votes.shares import shares

TONE = (0.1 * np.sin(np.arange(800) / 5)).astype(np.float32)  # 0.05 s at 16 kHz


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def sound(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    audio.write(path, TONE)


def rows(table, *columns):
    return list(table[list(columns)].itertuples(index=False, name=None))


def numbers(ratings):
    return {
        (u, r, d): v for u, r, d, v in rows(ratings, "utterance", "rater", "dimension", "value")
    }


# earkick

STEPS = (
    "audio,age,id,sad,happy,lead_time,disgust,annotator,fear,mood,surprise,sentiment,notes,anger,"
    "anxiety\n"
)
X, Z = "/data/local-files/?d=sample/x_y_3.m4a,20s,1", "/data/local-files/?d=sample/z_1.m4a,20s,2"
EARKICK = (
    f"{STEPS}{X},None,Extremely,27.6,None,2,None,Great,None,+2,,None,0 - None\n"
    f'{X},A little,A little,30,None,1,None,Meh,None,0,"odd, loud",None,9 - Most\n'
    f"{Z},None,None,5,None,2,None,Awful,None,-3,,None,4\n"
)


def test_earkick_votes_are_the_strongest_emotion_and_ties_are_none_or_several(tmp_path):
    write(tmp_path / "assessment.csv", EARKICK)
    corpus = earkick.load(tmp_path)
    columns = ("utterance", "rater", "label", "seconds")
    first, last = ("x_y_3", "2", "happiness", 27.6), ("z_1", "2", "neutral", 5.0)
    assert rows(corpus.votes, *columns) == [first, last]
    assert corpus.card["tied"] == 1
    both = earkick.load(tmp_path, several="keep")
    tied = [("x_y_3", "1", "happiness", 30.0), ("x_y_3", "1", "sadness", 30.0)]
    assert sorted(rows(both.votes, *columns)) == sorted([first, *tied, last])
    assert corpus.labels.loc["x_y_3", ["happiness", "sadness"]].tolist() == [0.75, 0.25]
    pd.testing.assert_frame_equal(both.labels, corpus.labels)
    assert corpus.utterances["session"].tolist() == ["x_y", "z"]
    assert corpus.utterances["notes"].tolist()[0] == "odd, loud"
    with pytest.raises(CorpusError, match="several must be keep or drop"):
        earkick.load(tmp_path, several="first")


def test_earkick_ratings_keep_every_step(tmp_path):
    write(tmp_path / "assessment.csv", EARKICK)
    known = numbers(earkick.load(tmp_path).ratings)
    assert len(known) == 3 * 9
    assert known["x_y_3", "2", "happiness"] == 3
    assert known["x_y_3", "1", "anxiety"] == 9
    assert (known["z_1", "2", "mood"], known["z_1", "2", "sentiment"]) == (-2, -3)


def test_earkick_finds_recordings_where_there_are_some(tmp_path):
    write(tmp_path / "votes" / "assessment.csv", EARKICK)
    sound(tmp_path / "audio" / "z_1.wav")
    corpus, report = earkick.load(tmp_path), earkick.check(tmp_path)
    assert corpus.utterances["excluded"].tolist() == ["no recording", ""]
    assert corpus.path("z_1").is_file()
    assert report.missing == ["x_y_3"]
    assert report.problems == [
        "2 clips are listed, the corpus has 348",
        "x_y_3: 2 of 3 annotators answered",
        "z_1: 1 of 3 annotators answered",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "assessment.csv: an empty file"),
        (STEPS, "the table has no row"),
        ("a;b\n1;2\n", "no column audio, annotator"),
        (EARKICK.replace("Awful", "Aw"), "row 4: mood is 'Aw', or the row is cut"),
        (EARKICK[: EARKICK.rindex(",Awful")], "row 4: anger is empty, or the row is cut"),
        (EARKICK.replace(",2,None,Awful", ",2,Some,Awful"), "row 4: fear is 'Some'"),
        (EARKICK.replace("30,None,1", "30,None,2"), "row 3: a second answer of an annotator"),
        (EARKICK.replace('loud"', "loud"), "cannot be read as a table"),
    ],
)
def test_earkick_cut_and_foreign_tables_are_refused_with_the_row(tmp_path, text, message):
    write(tmp_path / "assessment.csv", text)
    with pytest.raises(CorpusError, match=message) as found:
        earkick.load(tmp_path)
    assert "\n" not in str(found.value)


def test_real_earkick_is_fully_crossed_and_its_counts_add_up(shared):
    corpus = CORPORA["earkick"].load(shared / "votes" / "earkick")
    raw = pd.read_csv(shared / "votes/earkick/assessment.csv", keep_default_na=False)
    assert len(corpus) == 348
    assert len(corpus.ratings) == 348 * 3 * 9
    assert corpus.ratings.groupby("dimension")["value"].sum()["sadness"] == sum(
        raw["sad"].map(["None", "A little", "Moderate", "Extremely"].index)
    )
    assert (len(corpus.votes), corpus.card["tied"]) == (1044 - 236, 236)
    assert not corpus.votes.duplicated(["utterance", "rater"]).any()
    several = earkick.load(shared / "votes", several="keep").votes
    assert several.value_counts(["utterance", "rater"]).value_counts().to_dict() == {
        1: 808, 2: 194, 3: 37, 4: 4, 5: 1,
    }  # fmt: skip
    assert several["seconds"].min() == 4.91
    neutral = raw[["anger", "disgust", "fear", "happy", "sad", "surprise"]].eq("None").all(axis=1)
    assert (several["label"] == "neutral").sum() == neutral.sum() == 159
    assert corpus.labels.to_numpy().sum() == pytest.approx(348)
    report = CORPORA["earkick"].check(shared / "votes")
    assert (report.expected, report.found, report.problems) == (348, 0, [])


# crema-d


def test_real_crema_d_counts_and_intensities_are_the_tables_own(shared):
    root = shared / "corpora" / "crema-d"
    raw = pd.read_csv(root / "processedResults" / "tabulatedVotes.csv", keep_default_na=False)
    for first, channel in enumerate(("voice", "face", "both"), 1):
        own = raw[raw.iloc[:, 0] // 100_000 == first].set_index("fileName")
        counts = crema_d.counts(root, channel)
        assert counts.shape == (7442, 6)
        assert counts["sadness"].to_dict() == own["S"].to_dict()
        assert counts.sum(axis=1).to_dict() == own["numResponses"].to_dict()
        strengths = crema_d.intensities(root, channel)
        assert strengths.loc["1001_IEO_NEU_XX", "all"] == pytest.approx(
            own.loc["1001_IEO_NEU_XX", "meanEmoResp"] / 100
        )
        named = counts["fear"] > 0
        assert strengths["fear"].notna().equals(named)
        assert strengths.max(axis=None) <= 1


def test_real_crema_d_counts_are_the_votes_that_load_gives(shared):
    root = shared / "corpora" / "crema-d"
    corpus = crema_d.load(root, votes="face")
    counts = crema_d.counts(root, "face").loc[corpus.utterances.index]
    soft = shares(corpus.votes, corpus.scheme).loc[corpus.utterances.index]
    expected = counts.div(counts.sum(axis=1), axis=0)
    np.testing.assert_allclose(soft, expected)
    assert corpus.utterances["intensity"].equals(
        crema_d.intensities(root, "face")["all"].loc[corpus.utterances.index].rename("intensity")
    )


def test_crema_d_counts_need_no_recordings_and_refuse_a_cut_table(tmp_path):
    head = '"","A","D","F","H","N","S","fileName","meanEmoResp"\n'
    path = write(
        tmp_path / "tabulatedVotes.csv", f'{head}"100001",0,0,0,1,2,0,"1091_WSI_NEU_XX",5\n'
    )
    assert crema_d.counts(tmp_path).loc["1091_WSI_NEU_XX"].tolist() == [0, 0, 0, 1, 2, 0]
    with pytest.raises(CorpusError, match="has no column meanAngerResp"):
        crema_d.intensities(tmp_path)
    path.write_text(f'{head}"100001",0,0,0,1,2\n')
    with pytest.raises(CorpusError, match="row 2: the row is not whole, or cut"):
        crema_d.counts(tmp_path)
    path.write_text(f'{head}"100001",0,0,few,1,2,0,"1091_WSI_NEU_XX",5\n')
    with pytest.raises(CorpusError, match="a count or index is no number"):
        crema_d.counts(tmp_path)
    with pytest.raises(CorpusError, match="votes must be one of voice, face, both"):
        crema_d.counts(tmp_path, "sound")
    with pytest.raises(CorpusError, match=r"no tabulatedVotes\.csv below"):
        crema_d.counts(write(tmp_path / "empty" / "x", "").parent)


# msp-improv

IMPROV = """UTD-IMPROV-S01A-F01-P-FM01.avi; N; A:2.500000; V:3.000000; D:NaN ; N:3.200000;
WORKER0001; Neutral; Neutral, Happy; A:2.000000; V:3.000000; D:3.000000; N:4.000000;
WORKER0002; Other; Surprised; A:NaN; V:3.000000; D:2.000000; N:3.000000;
WORKER0001; Sad; Sad; A:5.000000; V:5.000000; D:5.000000; N:5.000000;

UTD-IMPROV-S12H-M06-S-MF10.avi; X; A:4.000000; V:2.000000; D:3.000000 ; N:1.000000;
WORKER0002; Angry; ; A:4.000000; V:2.000000; D:3.000000; N:4.000000;
WORKER0003; Happy; Happy; A:4.000000; V:4.000000; D:3.000000; N:4.000000;
"""
IMPROV_IDS = ["MSP-IMPROV-S01A-F01-P-FM01", "MSP-IMPROV-S12H-M06-S-MF10"]


@pytest.mark.parametrize("name", msp_improv.FILES)
def test_msp_improv_names_consensus_and_raters_are_read(tmp_path, name):
    write(tmp_path / name, IMPROV)
    sound(tmp_path / "session1" / "S01A" / "P" / f"{IMPROV_IDS[0]}.wav")
    corpus = msp_improv.load(tmp_path)
    table = corpus.utterances
    assert table.index.tolist() == IMPROV_IDS
    assert corpus.labels.idxmax(axis=1).to_dict() == {IMPROV_IDS[0]: "neutral"}
    assert table["excluded"].tolist() == ["", "no recording"]
    assert table["file"].tolist()[1] == f"session6/S12H/S/{IMPROV_IDS[1]}.wav"
    assert rows(table, "speaker", "session", "sex", "intended", "kind", "sentence") == [
        ("F01", "01", "female", "anger", "natural interaction", "01"),
        ("M06", "06", "male", "happiness", "improvised target", "12"),
    ]
    assert table["naturalness"].tolist() == [3.2, 1.0]
    assert table["dominance"].isna().tolist() == [True, False]
    assert msp_improv.check(tmp_path).missing == [IMPROV_IDS[1]]


def test_msp_improv_repeated_answers_are_copies_and_nan_is_no_rating(tmp_path):
    corpus = msp_improv.load(write(tmp_path / "Evalution.txt", IMPROV).parent)
    assert rows(corpus.votes, "utterance", "rater", "label", "others") == [
        (IMPROV_IDS[0], "WORKER0001", "neutral", "Neutral, Happy"),
        (IMPROV_IDS[0], "WORKER0002", "other", "Surprised"),
        (IMPROV_IDS[1], "WORKER0002", "anger", ""),
        (IMPROV_IDS[1], "WORKER0003", "happiness", "Happy"),
    ]
    known = numbers(corpus.ratings)
    assert len(known) == 4 * 4 - 1
    assert known[IMPROV_IDS[0], "WORKER0001", "arousal"] == 2
    assert (IMPROV_IDS[0], "WORKER0002", "arousal") not in known


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Evalution.txt: an empty file"),
        ("hello\n", "line 1: does not read as a rater's answer"),
        ("\n\n", "no turn in it; each begins with UTD-IMPROV"),
        (IMPROV[: IMPROV.index("; Sad")], "line 4: does not read as a rater's answer, or is cut"),
        (IMPROV[: IMPROV.rindex("V:") + 4], "line 8: does not read as a rater's answer, or is cut"),
        (IMPROV.replace("; N; A", "; Q; A"), "line 1: code 'Q' is not one of A, H, N, S, O, X"),
        (IMPROV.replace("S01A", "S1A"), "line 1: does not read as UTD-IMPROV"),
        (IMPROV.replace("A:2.5", "A:two"), "line 1: 'A:two00000' does not read as A:number"),
    ],
)
def test_msp_improv_cut_and_foreign_files_are_refused_with_the_line(tmp_path, text, message):
    write(tmp_path / "Evalution.txt", text)
    with pytest.raises(CorpusError, match=message) as found:
        msp_improv.load(tmp_path)
    assert "\n" not in str(found.value)


# msp-podcast

CONSENSUS = """FileName,EmoClass,EmoAct,EmoVal,EmoDom,SpkrID,Gender,Split_Set
MSP-PODCAST_0001_0008.wav,N,4.0,4.2,3.8,127,Male,Train
MSP-PODCAST_0002_0033_0001.wav,X,5.5,2.0,5.0,Unknown,Unknown,Development
MSP-PODCAST_1023_0235.wav,C,5.0,2.0,5.0,9,Female,Test1
"""
PODCAST_IDS = ["MSP-PODCAST_0001_0008", "MSP-PODCAST_0002_0033_0001", "MSP-PODCAST_1023_0235"]
ANSWERS = [
    (PODCAST_IDS[0], "WORKER01", "Neutral", "Neutral,Happy", "4", "4", "4"),
    (PODCAST_IDS[0], "WORKER02", "Other-confused, a bit", "Other-confused, a bit", "5", "4", "NaN"),
    (PODCAST_IDS[1], "WORKER01", "Happy", "Happy", "6", "6", "6"),
    (PODCAST_IDS[1], "WORKER01", "Sad", "Sad", "1", "1", "1"),
]


def columns_of(name):
    cells = [[f"{file}.wav", *answer] for file, *answer in ANSWERS]
    names = [*("FileName", name, "EmoClass_Major", "EmoClass_Second"), "EmoAct", "EmoVal", "EmoDom"]
    return pd.DataFrame(cells, columns=names).to_csv(index=False)


def in_one_cell():
    cells = [
        (f"{file}.wav", f"{worker}; {major}; {second}; A:{a}; V:{v}; D:{d};")
        for file, worker, major, second, a, v, d in ANSWERS
    ]
    return pd.DataFrame(cells, columns=["FileName", "EmoDetail"]).to_csv(index=False)


def as_json():
    names = ("EmoClass_Major", "EmoClass_Second", "EmoAct", "EmoVal", "EmoDom")
    entries = {}
    for file, worker, *fields in ANSWERS[:3]:
        entries.setdefault(f"{file}.wav", {})[worker] = dict(zip(names, fields, strict=True))
    return json.dumps(entries)


def podcast(root, detailed=None, ending=".csv", name="labels_consensus"):
    write(root / "Labels" / f"{name}.csv", CONSENSUS)
    if detailed is not None:
        write(root / "Labels" / f"labels_detailed{ending}", detailed)
    sound(root / "Audios" / f"{PODCAST_IDS[0]}.wav")
    return root


def test_msp_podcast_consensus_has_official_parts_and_unknown_speakers(tmp_path):
    corpus = msp_podcast.load(podcast(tmp_path, name="labels_concensus"))
    table = corpus.utterances
    assert table["split"].tolist() == ["train", "validation", "test1"]
    assert table["speaker"].fillna("").tolist() == ["127", "", "9"]
    assert table["sex"].fillna("").tolist() == ["male", "", "female"]
    assert corpus.labels.idxmax(axis=1).to_dict() == {
        PODCAST_IDS[0]: "neutral",
        PODCAST_IDS[2]: "contempt",
    }
    assert table["arousal"].tolist() == [4.0, 5.5, 5.0]
    assert table["excluded"].tolist() == ["", "no recording", "no recording"]
    assert table["file"].tolist()[2] == "Audios/MSP-PODCAST_1023_0235.wav"
    assert corpus.votes is None
    (fold,) = official(table)
    assert (fold.train, fold.test) == ((PODCAST_IDS[0],), (PODCAST_IDS[2],))


@pytest.mark.parametrize(
    ("detailed", "ending"),
    [
        (columns_of("Workers"), ".csv"),
        (columns_of("WorkerID"), ".csv"),
        (in_one_cell(), ".csv"),
        (as_json(), ".json"),
    ],
    ids=["release 1.6", "release 2.0", "releases between", "json"],
)
def test_msp_podcast_answers_are_the_same_in_every_form_of_the_release(tmp_path, detailed, ending):
    corpus = msp_podcast.load(podcast(tmp_path, detailed, ending))
    assert rows(corpus.votes, "utterance", "rater", "label") == [
        (PODCAST_IDS[0], "WORKER01", "neutral"),
        (PODCAST_IDS[0], "WORKER02", "other"),
        (PODCAST_IDS[1], "WORKER01", "happiness"),  # the second row of a rater is a copy
    ]
    assert corpus.votes["said"].fillna("").tolist() == ["", "Other-confused, a bit", ""]
    assert corpus.votes["others"].tolist()[0] == "Neutral,Happy"
    known = numbers(corpus.ratings)
    assert len(known) == 3 * 3 - 1
    assert known[PODCAST_IDS[1], "WORKER01", "valence"] == 6


def test_msp_podcast_consensus_may_be_json_and_texts_are_read_when_asked_for(tmp_path):
    table = pd.read_csv(podcast(tmp_path) / "Labels" / "labels_consensus.csv", dtype=str)
    entries = table.set_index("FileName").to_dict("index")
    write(tmp_path / "b" / "Labels" / "labels_consensus.json", json.dumps(entries))
    write(tmp_path / "b" / "Transcripts" / f"{PODCAST_IDS[2]}.txt", "Oh well.\n")
    plain, spoken = (msp_podcast.load(tmp_path / "b", texts=texts) for texts in (False, True))
    pd.testing.assert_frame_equal(plain.labels, msp_podcast.load(tmp_path).labels)
    assert spoken.utterances["text"].fillna("").tolist() == ["", "", "Oh well."]
    assert plain.utterances["text"].isna().all()


def test_msp_podcast_check_says_what_is_not_there(tmp_path):
    sound(podcast(tmp_path) / "Audios" / "MSP-PODCAST_9999_0001.wav")
    report = msp_podcast.check(tmp_path)
    assert (report.expected, report.found, report.missing) == (3, 1, PODCAST_IDS[1:])
    assert report.extra == ["Audios/MSP-PODCAST_9999_0001.wav: not in the corpus' tables"]
    assert report.problems == [
        "labels_detailed.csv is not there: the corpus loads without votes and ratings"
    ]


@pytest.mark.parametrize(
    ("detailed", "ending", "message"),
    [
        ("", ".csv", "labels_detailed.csv: an empty file"),
        ("a,b\n1,2\n", ".csv", "no column FileName"),
        ("FileName,b\nx,2\n", ".csv", "no column worker, EmoClass_Major, .*nor EmoDetail"),
        (columns_of("Workers")[:-16], ".csv", "answer 4: not whole, or cut"),
        (in_one_cell()[:-12], ".csv", "answer 4: not whole, or cut|cannot be read"),
        (as_json()[:-9], ".json", "not a JSON document, or cut"),
        ("[1]", ".json", "the document: an object was expected, not"),
        ('{"a.wav": {"W": 3}}', ".json", "a.wav, W: an object was expected, not '3'"),
    ],
)
def test_msp_podcast_cut_and_foreign_answers_are_refused(tmp_path, detailed, ending, message):
    with pytest.raises(CorpusError, match=message) as found:
        msp_podcast.load(podcast(tmp_path, detailed, ending))
    assert "\n" not in str(found.value)


def test_msp_podcast_refuses_a_cut_consensus_and_a_tree_without_one(tmp_path):
    with pytest.raises(CorpusError, match=r"no Labels/labels_consensus\.csv \(or \.json\)"):
        msp_podcast.load(write(tmp_path / "a" / "x.txt", "x").parent)
    path = podcast(tmp_path / "b") / "Labels" / "labels_consensus.csv"
    path.write_text(CONSENSUS[: CONSENSUS.rindex("9,Female")])
    with pytest.raises(CorpusError, match=r"row 4: no file, code .* or part, or cut"):
        msp_podcast.load(tmp_path / "b")


# cmu-mosei

SEGMENTS = {
    "vid-A_1": [
        "vid-A_1___0___-0.5___2.25___ Well___ I liked _it_.",
        "vid-A_1___3___2.25___7.0___So bad",
        "vid-A_1___4___7.0___7.0___",
    ],
    "Vid-a_1": ["Vid-a_1___0___1.0___2.0___Hm"],
}
HITS = (
    "Input.VIDEO_ID,Input.CLIP,WorkerId,Answer.sentiment,Answer.anger,Answer.disgust,"
    "Answer.fear,Answer.happiness,Answer.sadness,Answer.surprise\n"
    "vid-A_1,0,W1,2,0,0,0,3,0,0\nvid-A_1,0,W2,1,0,0,0,2,0,1\nvid-A_1,0,W1,-3,3,3,3,0,3,3\n"
    "vid-A_1,3,W1,-2,1,0,0,0,1,0\nVid-a_1,0,W3,0,0,0,0,0,0,0\ngone,0,W1,1,0,0,0,0,0,0\n"
)


def mosei(root):
    for video, lines in SEGMENTS.items():
        write(
            root / "Raw/Transcript/Segmented/Combined" / f"{video}.txt",
            "".join(f"{line}\n" for line in lines),
        )
    write(root / "Raw" / "Labels" / "5000_batch_raw.csv", HITS)
    sound(root / "Raw" / "Audio" / "Full" / "WAV_16000" / "vid-A_1.wav")
    return root


def test_cmu_mosei_sentences_are_stretches_of_a_video_with_their_ratings(tmp_path):
    corpus = cmu_mosei.load(mosei(tmp_path), scores="ratings")
    table = corpus.utterances
    assert table.index.tolist() == ["Vid-a_1_0", "vid-A_1_0", "vid-A_1_3"]
    assert table["start"].tolist() == [1.0, 0.0, 2.25]  # a negative start is the beginning
    assert table["end"].tolist() == [2.0, 2.25, 7.0]
    assert table["text"].tolist()[1] == " Well___ I liked _it_."
    assert table["excluded"].tolist() == ["no recording", "", ""]  # case tells videos apart
    assert table["file"].tolist()[1] == "Raw/Audio/Full/WAV_16000/vid-A_1.wav"
    assert corpus.card["ignored"] == ["vid-A_1_4: a sentence of no length"]
    known = numbers(corpus.ratings)
    assert len(known) == 4 * 7  # W1's second answer is a copy, `gone` is no sentence here
    assert known["vid-A_1_0", "W1", "sentiment"] == 2
    assert table.loc["vid-A_1_0", ["sentiment", "happiness", "surprise"]].tolist() == [
        1.5,
        2.5,
        0.5,
    ]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("majority", {"Vid-a_1_0": {"neutral": 1}, "vid-A_1_0": {"happiness": 1}}),
        ("plurality", {"Vid-a_1_0": {"neutral": 1}, "vid-A_1_0": {"happiness": 1}}),
        (
            "shares",
            {
                "Vid-a_1_0": {"neutral": 1},
                "vid-A_1_0": {"happiness": 2.5 / 3, "surprise": 0.5 / 3},
                "vid-A_1_3": {"anger": 0.5, "sadness": 0.5},
            },
        ),
    ],
)
def test_cmu_mosei_labels_follow_the_rule_and_ties_stay_undecided(tmp_path, rule, expected):
    labels = cmu_mosei.load(mosei(tmp_path), scores="ratings", rule=rule).labels
    said = {id: row[row > 0].to_dict() for id, row in labels.iterrows()}
    assert said == {id: pytest.approx(row) for id, row in expected.items()}


def test_cmu_mosei_published_scores_are_matched_by_their_times(tmp_path):
    h5py = pytest.importorskip("h5py", reason="the published scores are HDF5, read with h5py")
    names = ["sentiment", "happy", "sad", "anger", "surprise", "disgust", "fear"]
    with h5py.File(mosei(tmp_path) / "CMU_MOSEI_Labels.csd", "w") as file:
        file["All Labels/metadata/dimension names"] = [json.dumps(names).encode()]
        for video, intervals, features in (
            (
                "vid-A_1",
                [[2.25, 7.0], [-0.5, 2.25]],
                [[-1, 0, 0.2, 1, 0, 0, 0], [2, 3, 0, 1, 0, 0, 0]],
            ),
            ("other", [[0, 1]], [[0, 0, 0, 0, 0, 0, 0]]),
        ):
            file[f"All Labels/data/{video}/intervals"] = np.array(intervals, np.float32)
            file[f"All Labels/data/{video}/features"] = np.array(features, np.float32)
    corpus = cmu_mosei.load(tmp_path)
    assert corpus.labels.idxmax(axis=1).to_dict() == {
        "vid-A_1_0": "happiness",
        "vid-A_1_3": "anger",
    }
    assert corpus.utterances.loc["vid-A_1_3", "sadness"] == pytest.approx(0.2)
    assert corpus.utterances.loc["Vid-a_1_0", "sadness"] is not None
    (tmp_path / "CMU_MOSEI_Labels.csd").write_bytes(b"\x89HDF\r\n\x1a\n cut")
    with pytest.raises(CorpusError, match="not the corpus' table of scores, or cut"):
        cmu_mosei.load(tmp_path)


def test_cmu_mosei_published_scores_need_a_package_and_say_which(tmp_path, monkeypatch):
    write(mosei(tmp_path) / "CMU_MOSEI_Labels.csd", "HDF5")
    monkeypatch.setitem(sys.modules, "h5py", None)  # importing it now fails as if it were absent
    with pytest.raises(CorpusError, match=r'needs `pip install h5py`; scores="ratings" does'):
        cmu_mosei.load(tmp_path)


def test_cmu_mosei_says_what_is_missing_or_cut(tmp_path):
    report = cmu_mosei.check(mosei(tmp_path))
    assert (report.expected, report.found, report.missing) == (3, 2, ["Vid-a_1_0"])
    assert report.extra == ["vid-A_1_4: a sentence of no length"]
    assert report.problems == ["CMU_MOSEI_Labels.csd is not there: the corpus has no scores"]
    with pytest.raises(CorpusError, match=r'no CMU_MOSEI_Labels\.csd below it; scores="ratings"'):
        cmu_mosei.load(tmp_path)
    with pytest.raises(CorpusError, match="rule must be one of majority, plurality, shares"):
        cmu_mosei.load(tmp_path, rule="most")
    table = tmp_path / "Raw" / "Labels" / "5000_batch_raw.csv"
    table.write_text(HITS.replace("W3,0", "W3,none"))
    with pytest.raises(CorpusError, match=r"5000_batch_raw\.csv: 'none' is no rating"):
        cmu_mosei.load(tmp_path, scores="ratings")
    table.unlink()
    with pytest.raises(CorpusError, match=r"no Raw/Labels/\*\.csv"):
        cmu_mosei.load(tmp_path, scores="ratings")
    text = tmp_path / "Raw/Transcript/Segmented/Combined/Vid-a_1.txt"
    text.write_text("Vid-a_1___0___1.0__")
    with pytest.raises(CorpusError, match="line 1: does not read as video___clip___start___end"):
        cmu_mosei.check(tmp_path)


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


# all of them


@pytest.mark.parametrize("scheme", [EKMAN_7, MSP_IMPROV_5, MSP_PODCAST_9])
def test_the_schemes_have_a_place_among_the_eight_categories(scheme):
    table = harmonise(pd.DataFrame(np.eye(len(scheme)), columns=list(scheme)), "any", EKMAN_8)
    assert table.sum(axis=1).tolist() == pytest.approx([1.0] * len(scheme))


@pytest.mark.parametrize("name", ["earkick", "msp-improv", "msp-podcast", "cmu-mosei", "toloka"])
def test_a_tree_of_something_else_and_a_missing_folder_are_refused(tmp_path, name):
    write(tmp_path / "notes.txt", "none")
    for verb in (CORPORA[name].load, CORPORA[name].check):
        for root in (tmp_path, Path(tmp_path / "nowhere")):
            with pytest.raises(CorpusError) as found:
                verb(root)
            assert str(root) in str(found.value)
            assert "\n" not in str(found.value)
