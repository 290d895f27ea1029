"""MSP-IMPROV and MSP-Podcast."""

import json

import pandas as pd
import pytest

from affekt.corpora import msp_improv, msp_podcast
from affekt.exceptions import CorpusError
from affekt.splits import official
from corpus_trees import numbers, rows, sound, write

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
