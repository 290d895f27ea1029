"""The corpora that the Dusha and LSSED papers name, on small trees in their official layouts."""

import json

import numpy as np
import pandas as pd
import pytest
import soundfile

import dusha_tree
from affekt import audio
from affekt.corpora import CORPORA, afew, aibo, daic_woz, enterface, iemocap, lssed, meld, rml
from affekt.corpora.dusha import experiments
from affekt.corpora.dusha.manifests import process
from affekt.exceptions import CorpusError, SplitError, TableError
from affekt.features.logmel import DUSHA, log_mel
from affekt.harmonise import harmonise
from affekt.scheme import EKMAN_8, IEMOCAP_4
from affekt.splits import by_session, by_speaker, official
from media import encode, silent_film, tone

TONE = (0.1 * np.sin(np.arange(800) / 5)).astype(np.float32)  # 0.05 s at 16 kHz


def plant(root, files):
    """Write a short sound under every name; films are containers with a picture."""
    for file in files:
        path = root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix in (".avi", ".mp4"):
            encode(path, tone(0.2, 44_100), "libmp3lame", 44_100, picture=True)
        else:
            audio.write(path, TONE)
    return root


def said(corpus):
    return corpus.labels.idxmax(axis=1).to_dict()


# lssed

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


# daic-woz

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


# aibo

CHUNKS = ["Ohm_01_000_00", "Ohm_32_114_01", "Mont_02_007_00"]
FIVE = "Ohm_01_000_00 N 0.8\nOhm_32_114_01 E 0.6\nMont_02_007_00 P 1.0\n"
TWO = "Ohm_01_000_00 IDL 0.8\nOhm_32_114_01 NEG 0.6\nMont_02_007_00 IDL 1.0\n"


def aibo_tree(root, five=FIVE):
    plant(root, [f"wav/{chunk}.wav" for chunk in CHUNKS])
    folder = root / "labels" / "IS2009EmotionChallenge"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "chunk_labels_5cl_corpus.txt").write_text(five)
    (folder / "chunk_labels_2cl_corpus.txt").write_text(TWO)
    return root


def test_aibo_schools_are_the_parts_and_children_the_speakers(tmp_path):
    corpus = aibo.load(aibo_tree(tmp_path))
    assert said(corpus) == dict(zip(CHUNKS, ("neutral", "emphatic", "happiness"), strict=True))
    table = corpus.utterances.loc[CHUNKS]
    assert table["speaker"].tolist() == ["Ohm_01", "Ohm_32", "Mont_02"]
    assert table["split"].tolist() == ["train", "train", "test"]
    assert table["confidence"].tolist() == [0.8, 0.6, 1.0]
    two = aibo.load(tmp_path, classes=2)
    assert said(two) == dict(zip(CHUNKS, ("idle", "negative", "idle"), strict=True))
    assert aibo.check(tmp_path).complete


def test_aibo_states_have_places_in_the_eight(tmp_path):
    corpus = aibo.load(aibo_tree(tmp_path))
    row = harmonise(corpus.labels, corpus.name, EKMAN_8).loc["Ohm_32_114_01"]
    assert row[["anger", "neutral"]].tolist() == [0.5, 0.5]
    two = aibo.load(tmp_path, classes=2)
    eight = harmonise(two.labels, two.name, EKMAN_8)
    assert eight.loc["Ohm_32_114_01", ["anger", "other"]].tolist() == pytest.approx([0.7, 0.3])
    assert eight.loc["Ohm_01_000_00", ["neutral", "other"]].tolist() == pytest.approx([0.8, 0.2])


@pytest.mark.parametrize(("five", "message"), [
    (FIVE.replace(" E ", " X "), "line 2: code 'X' is not one of A, E, N, P, R"),
    (FIVE.replace("Ohm_32_114_01", "Ohm_01_000_00"), "line 2: Ohm_01_000_00 occurs twice"),
    (FIVE[:-5], "line 3: does not read as Ohm_01_000_00 code confidence, or is cut"),
    (FIVE.replace("0.6", "high"), "line 2: confidence 'high' is no number"),
    ("", "an empty file"),
])  # fmt: skip
def test_aibo_a_broken_table_is_refused_with_its_line(tmp_path, five, message):
    with pytest.raises(CorpusError, match=message):
        aibo.load(aibo_tree(tmp_path, five))


def test_aibo_check_names_what_is_in_one_place_only(tmp_path):
    aibo_tree(tmp_path, "Ohm_01_000_00 N 0.8\nOhm_03_001_00 A 1\n")
    report = aibo.check(tmp_path)
    assert report.missing == ["Ohm_03_001_00"]
    assert len(report.extra) == 2
    assert "Ohm_32_114_01: in one of the two tables only" in report.problems
    with pytest.raises(CorpusError, match="classes must be 5 or 2, not 3"):
        aibo.load(tmp_path, classes=3)
    for path in (tmp_path / "labels").rglob("*.txt"):
        path.unlink()
    for verb in (aibo.load, aibo.check):
        with pytest.raises(CorpusError, match=r"no .*chunk_labels_5cl_corpus"):
            verb(tmp_path)


# trees of films: enterface, rml, afew

FILMS = {
    "enterface": [
        "enterface database/subject 1/anger/sentence 1/s1_an_1.avi",
        "enterface database/subject 6/sadness/s6_sa.avi",
    ],
    "rml": ["rml-1/s1/an1.avi", "rml-2/s6/Mandarin/su12.avi"],
    "afew": ["Train/Angry/000046280.avi", "Val_AFEW/Happy/000046280.avi", "Test/011603980.avi"],
}
ROWS = {
    "enterface": {"s1_an_1": ("anger", "s1"), "s6_sa": ("sadness", "s6")},
    "rml": {"s1_an1": ("anger", "s1"), "s6_mandarin_su12": ("surprise", "s6")},
    "afew": {
        "train/000046280": ("anger", None),
        "validation/000046280": ("happiness", None),
        "test/011603980": (None, None),
    },
}


def decoded(corpus):
    labels = said(corpus)
    speakers = corpus.utterances["speaker"].astype(object).where(lambda s: s.notna(), None)
    return {id: (labels.get(id), speakers[id]) for id in corpus.utterances.index}


@pytest.mark.parametrize("name", FILMS)
def test_films_are_decoded_by_folder_and_name_and_hold_sound(tmp_path, name):
    corpus = CORPORA[name].load(plant(tmp_path, FILMS[name]), durations=True)
    assert decoded(corpus) == ROWS[name]
    assert corpus.name == name
    assert corpus.utterances["duration"].between(0.15, 0.4).all()
    assert audio.load(corpus.path(corpus.utterances.index[0])).size > 0.15 * audio.SAMPLE_RATE
    assert {"version", "licence", "citation", "source", "language"} <= set(corpus.card)
    eight = harmonise(corpus.labels, name, EKMAN_8)
    assert eight.idxmax(axis=1).to_dict() == said(corpus)


@pytest.mark.parametrize("name", FILMS)
def test_sound_taken_from_a_film_is_preferred_and_the_film_is_no_stranger(tmp_path, name):
    plant(tmp_path / "release", FILMS[name])
    sound = [file.rsplit(".", 1)[0] + ".wav" for file in FILMS[name]]
    plant(tmp_path / "sound", sound)
    corpus = CORPORA[name].load(tmp_path)
    assert decoded(corpus) == ROWS[name]
    assert set(corpus.utterances["file"]) == {f"sound/{file}" for file in sound}
    assert "ignored" not in corpus.card


@pytest.mark.parametrize("name", FILMS)
def test_strangers_among_films_are_listed_and_a_tree_of_them_refused(tmp_path, name):
    plant(tmp_path / "a", [*FILMS[name], f"copy/{FILMS[name][0]}", "trailer.mp4"])
    extra = CORPORA[name].check(tmp_path / "a").extra
    assert len(extra) == 2
    assert any("trailer.mp4: the name does not read as" in line for line in extra)
    assert any(f"copy/{FILMS[name][0]}: another file of the utterance" in line for line in extra)
    plant(tmp_path / "b", ["trailer.mp4"])
    with pytest.raises(CorpusError, match="no film or audio file whose name reads as"):
        CORPORA[name].load(tmp_path / "b")
    with pytest.raises(CorpusError, match="nowhere: no such folder"):
        CORPORA[name].load(tmp_path / "nowhere")


def test_a_film_without_sound_or_bytes_is_excluded_with_the_reason(tmp_path):
    plant(tmp_path, FILMS["rml"])
    (tmp_path / "rml-1/s2").mkdir()
    (tmp_path / "rml-1/s2/fe1.avi").touch()
    silent_film(tmp_path / "rml-1/s2/fe2.avi")
    table = rml.load(tmp_path, durations=True).utterances
    assert table.loc["s2_fe1", "excluded"] == "an empty file"
    assert "holds no sound" in table.loc["s2_fe2", "excluded"]
    assert rml.check(tmp_path).problems == ["rml-1/s2/fe1.avi: an empty file"]


def test_enterface_names_that_the_release_got_wrong_are_read(tmp_path):
    base = "enterface database"
    plant(tmp_path, [
        f"{base}/subject 11/fear/sentence 2/s12_fe_2.avi",
        f"{base}/subject 12/fear/sentence 2/s12_fe_2.avi",
        f"{base}/subject 16/surprise/sentence 3/s16_su_3avi.avi",
        f"{base}/subject 3/anger/sentence 1/s_3_an_1.avi",
        f"{base}/subject 4/anger/sentence 1/s4_di_1.avi",
        f"{base}/subject 6/sadness/s6_sa_1.avi",
    ])  # fmt: skip
    corpus = enterface.load(tmp_path)
    assert sorted(corpus.utterances.index) == [
        *("s11_fe_2", "s12_fe_2", "s16_su_3", "s3_an_1", "s4_di_1", "s6_sa_1"),
    ]
    assert corpus.utterances.loc["s6_sa_1", "excluded"] == enterface.WHY_UNCUT
    report = enterface.check(tmp_path)
    assert (report.expected, report.found, len(report.missing)) == (1290, 5, 1285)
    assert len(report.problems) == 1
    assert "s4_di_1.avi: the name says disgust, the folder anger" in report.problems[0]


def test_rml_languages_and_halves_are_known_and_clips_counted(tmp_path):
    plant(tmp_path, [*FILMS["rml"], "rml-1/s2/Klingon/ha3.avi", "rml-1/x9/an1.avi"])
    corpus = rml.load(tmp_path)
    assert corpus.utterances["language"].to_dict() == {
        "s1_an1": "und", "s2_klingon_ha3": "und", "s6_mandarin_su12": "zh",
    }  # fmt: skip
    assert corpus.utterances["session"].tolist() == ["rml-1", "rml-1", "rml-2"]
    assert len(corpus.card["ignored"]) == 1
    report = rml.check(tmp_path)
    assert (report.expected, report.found) == (720, 3)
    assert "every film of s8" in report.missing
    assert "119 of 120 films of anger" in report.missing


def test_afew_a_clip_under_two_emotions_is_refused_and_an_unknown_folder_ignored(tmp_path):
    plant(tmp_path, [*FILMS["afew"], "Train/Contempt/1.avi"])
    corpus = afew.load(tmp_path)
    assert "Contempt is none of anger" in corpus.card["ignored"][0]
    assert corpus.utterances["split"].tolist() == ["test", "train", "validation"]
    assert "the part train has no film of fear" in afew.check(tmp_path).problems
    plant(tmp_path, ["Train/Sad/000046280.avi"])
    with pytest.raises(CorpusError, match=r"Sad/000046280\.avi: an utterance of sadness, but by "):
        afew.load(tmp_path)


# meld

MELD_HEAD = (
    "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,"
    "Season,Episode,StartTime,EndTime\n"
)
MELD = {
    "train": '1,"also I, well…",Chandler,neutral,neutral,0,0,8,21,"00:16:16,059","00:16:21,731"\n'
    '2,Yes!,Monica,joy,positive,125,3,8,21,"00:16:21,940","00:16:23,442"\n',
    "dev": '1,Oh my,Phoebe,surprise,negative,0,0,4,7,"00:20:57,256","00:21:00,049"\n'
    '2,What,Joey,anger,negative,110,7,4,7,"00:21:01,000","00:21:02,000"\n',
    "test": '1,Why,Mark,sadness,negative,0,0,4,19,"00:14:38,127","00:14:40,378"\n',
}
MELD_FILMS = [
    *("train_splits/dia0_utt0.mp4", "dev_splits_complete/dia0_utt0.mp4"),
    *("train_splits/dia125_utt3.mp4", "output_repeated_splits_test/dia0_utt0.mp4"),
]


def meld_tree(root, tables=MELD, encoding="utf-8"):
    plant(root, MELD_FILMS)
    for part, rows in tables.items():
        (root / f"{part}_sent_emo.csv").write_text(MELD_HEAD + rows, encoding=encoding)
    return root


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252"])
def test_meld_names_that_repeat_in_the_parts_are_kept_apart(tmp_path, encoding):
    corpus = meld.load(meld_tree(tmp_path, encoding=encoding))
    assert said(corpus) == {
        "train_dia0_utt0": "neutral", "train_dia125_utt3": "happiness",
        "dev_dia0_utt0": "surprise", "dev_dia110_utt7": "anger", "test_dia0_utt0": "sadness",
    }  # fmt: skip
    table = corpus.utterances
    assert table.loc[
        "train_dia0_utt0", ["file", "speaker", "session", "text", "split"]
    ].tolist() == [
        *("train_splits/dia0_utt0.mp4", "Chandler", "s08e21", "also I, well…", "train"),
    ]
    assert table.loc["dev_dia0_utt0", "split"] == "validation"
    assert table.loc["test_dia0_utt0", "file"] == "output_repeated_splits_test/dia0_utt0.mp4"
    assert table["excluded"][table["excluded"] != ""].to_dict() == {
        "train_dia125_utt3": "its film is broken in the release",
        "dev_dia110_utt7": "no recording",
    }
    assert meld.check(tmp_path).complete


def test_meld_sound_in_folders_of_ones_own_is_preferred(tmp_path):
    plant(meld_tree(tmp_path), ["wav/train/dia0_utt0.wav", "wav/audio_dev/dia0_utt0.wav", "x.wav"])
    table = meld.load(tmp_path).utterances
    assert table.loc["train_dia0_utt0", "file"] == "wav/train/dia0_utt0.wav"
    assert table.loc["dev_dia0_utt0", "file"] == "wav/audio_dev/dia0_utt0.wav"
    assert meld.check(tmp_path).extra == ["x.wav: of no part whose table is there"]


def test_meld_a_part_may_be_absent_and_a_lost_film_is_named(tmp_path):
    meld_tree(tmp_path)
    (tmp_path / "test_sent_emo.csv").unlink()
    (tmp_path / "train_splits/dia0_utt0.mp4").unlink()
    report = meld.check(tmp_path)
    assert report.missing == ["train_dia0_utt0"]
    assert report.problems == ["test_sent_emo.csv is not there: the corpus loads without that part"]
    with pytest.raises(CorpusError, match=r"no train_sent_emo\.csv, .* below it"):
        meld.load(plant(tmp_path / "none", ["train_splits/dia0_utt0.wav"]))


@pytest.mark.parametrize(("old", "new", "message"), [
    ("joy", "glee", "line 3: 'glee' is none of anger"),
    ("125,3,8", "0,0,8", "line 3: dia0_utt0 occurs twice; keep one of its rows"),
    ('"00:16:21,940","00:16:23,442"\n', '"00:16:21,940"', "line 3: 10 cells where the header"),
    ('"00:16:23,442"\n', '"00:16:2', "line 3: not a table's row, or cut"),
    ('"00:16:23,442"\n', "00:16", "line 3: ids or times do not read as 12 or"),
])  # fmt: skip
def test_meld_a_broken_table_is_refused_with_its_line(tmp_path, old, new, message):
    meld_tree(tmp_path, {**MELD, "train": MELD["train"].replace(old, new)})
    with pytest.raises(CorpusError, match=message):
        meld.load(tmp_path)


def test_meld_another_header_is_refused_with_what_it_has(tmp_path):
    meld_tree(tmp_path)
    (tmp_path / "dev_sent_emo.csv").write_text("a,b\n1,2\n")
    with pytest.raises(CorpusError, match=r"dev_sent_emo\.csv: no column Utterance, .* is a, b"):
        meld.load(tmp_path)


# manifests of dusha

RECORDS = [
    {"id": "a1", "label": 0, "emotion": "angry"},
    {"id": "a2", "label": 3, "emotion": "positive"},
    {"id": "a3", "label": 2, "emotion": "neutral"},
]


def feature_file(path, n_frames=7):
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, np.full((1, 64, n_frames), -40, np.float32))


def setups(root, train=RECORDS, test=({"id": "b1", "label": 1, "emotion": "sad"},), lost=()):
    """Manifests as in paper_setups, features above them, no recording anywhere."""
    for name, records in (("crowd_large", train), ("test/podcast_test", test)):
        path = root / "paper_setups" / f"{name}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = [
            {**one, "tensor": f"../features/{one['id']}.npy", "wav_length": 1.5} for one in records
        ]
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        for one in records:
            if one["id"] not in lost:
                feature_file(root / "features" / f"{one['id']}.npy")
    return root


NAMES = {"train": "crowd_large", "test": "podcast_test"}


def test_dusha_manifests_of_features_alone_are_a_corpus(tmp_path):
    corpus = experiments.load(setups(tmp_path), **NAMES)
    assert said(corpus) == {"a1": "anger", "a2": "happiness", "a3": "neutral", "b1": "sadness"}
    assert corpus.utterances["split"].tolist() == ["train"] * 3 + ["test"]
    assert corpus.utterances["duration"].tolist() == [1.5] * 4
    assert (corpus.utterances["excluded"] == "").all()
    features = experiments.read_features(corpus.path("b1"))
    assert features.shape == (64, 7)
    assert features.dtype == np.float32
    assert "notes" not in corpus.card
    assert experiments.check(tmp_path, **NAMES).complete


def test_dusha_rows_without_features_are_left_out_and_counted(tmp_path):
    corpus = experiments.load(setups(tmp_path, lost=("a2",)), **NAMES)
    assert corpus.utterances.index.tolist() == ["a1", "a3", "b1"]
    assert corpus.card["notes"] == ["1 rows without features left out"]
    assert experiments.check(tmp_path, **NAMES).missing == ["a2"]
    for path in (tmp_path / "features").iterdir():
        path.unlink()
    with pytest.raises(
        CorpusError, match=r"none of its 4 rows has features in .*unpack features\.tar"
    ):
        experiments.load(tmp_path, **NAMES)


def test_dusha_repeated_rows_and_clips_of_both_parts_are_settled_and_counted(tmp_path):
    test = [{"id": "a1", "label": 0, "emotion": "angry"}]
    corpus = experiments.load(setups(tmp_path, [*RECORDS, RECORDS[2]], test), **NAMES)
    assert corpus.utterances["split"].to_dict() == {"a2": "train", "a3": "train", "a1": "test"}
    assert corpus.card["notes"] == [
        "1 repeated rows left out", "1 clips of training and test taken for test",
    ]  # fmt: skip


@pytest.mark.parametrize(("record", "message"), [
    ({"emotion": "happy"}, "row 1: 'happy' is none of angry, sad"),
    ({"label": 1}, "row 1: label 1 is not that of angry: this manifest has another order"),
    ({"id": "a2"}, "row 2: a2 is happiness here, but has another label in an earlier row"),
    ({"emotion": None}, "row 1: nan is none of angry, .* or has no id"),
])  # fmt: skip
def test_dusha_a_wrong_row_of_a_manifest_is_refused(tmp_path, record, message):
    setups(tmp_path, [{**RECORDS[0], **record}, *RECORDS[1:]])
    with pytest.raises(CorpusError, match=message):
        experiments.load(tmp_path, **NAMES)


def test_dusha_a_manifest_that_is_cut_absent_or_none_is_refused(tmp_path):
    path = setups(tmp_path) / "paper_setups" / "crowd_large.jsonl"
    path.write_text(path.read_text()[:-10])
    with pytest.raises(CorpusError, match="line 3: not a JSON object"):
        experiments.load(tmp_path, **NAMES)
    with pytest.raises(CorpusError, match=r"no train/train\.jsonl and test/test\.jsonl"):
        experiments.load(tmp_path)
    with pytest.raises(CorpusError, match="no such folder or manifest"):
        experiments.load(tmp_path / "nowhere")
    for threshold in ("080", "090"):
        for part in ("train", "test"):
            folder = tmp_path / f"processed_dataset_{threshold}" / part
            folder.mkdir(parents=True)
            (folder / f"{part}.jsonl").write_text("")
    with pytest.raises(CorpusError, match="in processed_dataset_080, processed_dataset_090: give"):
        experiments.load(tmp_path)
    with pytest.raises(CorpusError, match=r"train\.jsonl: an empty file"):
        experiments.load(tmp_path / "processed_dataset_080")
    with pytest.raises(CorpusError, match="source must be features or audio, not 'mp3'"):
        experiments.load(tmp_path, source="mp3")


def test_dusha_the_released_tsv_with_its_broken_header_is_read(tmp_path):
    path = tmp_path / "test" / "crowd_test.tsv"
    path.parent.mkdir()
    path.write_text("id\ttensor\twav_lengh\tlabel\na1\t../../features/a1.npy\t2.5\t0\tangry\n")
    feature_file(tmp_path / "features" / "a1.npy")
    corpus = experiments.load(path)
    assert said(corpus) == {"a1": "anger"}
    assert corpus.utterances.loc["a1", ["split", "duration"]].tolist() == ["test", 2.5]
    path.write_text("id\ttensor\twav_lengh\tlabel\na1\t../../features/a1.npy\t2.5\t0\n")
    with pytest.raises(CorpusError, match="line 2: 4 fields, not 5"):
        experiments.load(path)


def test_dusha_manifests_that_process_wrote_know_sources_texts_and_soft_labels(tmp_path):
    dusha_tree.make(tmp_path, scale=0.0005)
    process(tmp_path, tmp_path)
    written = tmp_path / "processed_dataset_090" / "train" / "train.jsonl"
    records = [json.loads(line) for line in written.read_text("utf-8").splitlines()]
    tests = (tmp_path / "processed_dataset_090/test/test.jsonl").read_text("utf-8").splitlines()
    for record in [*records, *map(json.loads, tests)]:
        feature_file(tmp_path / "features" / f"{record['id']}.npy")
    corpus = experiments.load(tmp_path, soft=True)
    assert len(corpus) == len(records) + len(tests)
    assert set(corpus.utterances["domain"]) == {"crowd", "podcast"}
    assert corpus.utterances[["speaker", "text"]].notna().all(axis=None)
    split = by_speaker(corpus.utterances, 2)[0]
    assert not set(split.train) & set(split.test)
    probs = records[0]["probs"]
    four = np.array([probs[word] for word in ("angry", "sad", "neutral", "positive")])
    assert corpus.labels.loc[records[0]["id"]].to_numpy() == pytest.approx(four / four.sum())
    first = records[0]["id"]
    subset = tmp_path / f"{corpus.utterances.loc[first, 'domain']}_train"
    plant(subset, [f"wavs/{first}.wav"])
    heard = experiments.load(tmp_path, source="audio")
    assert (heard.utterances["excluded"] == "").sum() == 1
    assert heard.path(first).is_file()
    listed = tmp_path / "processed_dataset_090/aggregated_dataset" / f"{subset.name}.jsonl"
    aggregated = experiments.load(listed, source="audio")
    assert aggregated.path(first).is_file()
    assert set(aggregated.utterances["split"]) == {"train"}


def test_dusha_soft_labels_need_probs(tmp_path):
    with pytest.raises(CorpusError, match=r"row 1: no probs of angry, .*manifests\.process writes"):
        experiments.load(setups(tmp_path), soft=True, **NAMES)


def test_dusha_features_are_those_of_the_preset_and_others_are_refused(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, log_mel(tone(0.5), DUSHA)[None])
    assert experiments.read_features(path).shape == (64, 1 + 8000 // 160)
    for wrong, message in (
        (np.zeros((1, 80, 5), np.float32), r"features of shape \(1, 80, 5\), not \(1, 64, n\)"),
        (np.zeros((64, 0), np.float32), r"features of shape \(64, 0\)"),
        (np.full((64, 3), np.nan, np.float32), "not all of its features are finite numbers"),
        (np.zeros((64, 3), np.int16), "not all of its features are finite numbers"),
    ):
        np.save(path, wrong)
        with pytest.raises(CorpusError, match=message):
            experiments.read_features(path)
    np.save(path, np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(CorpusError, match=r"a\.npy: cannot be read as an array of numbers"):
        experiments.read_features(path)
    path.write_bytes(b"")
    with pytest.raises(CorpusError, match="cannot be read as an array of numbers"):
        experiments.read_features(path)


# iemocap: the four classes, and the sound of the ctc recogniser


def iemocap_tree(root):
    """Two sessions of a dialogue each; left and right channel of the dialogues differ."""
    codes = ("ang", "hap", "exc", "sad", "neu", "fru")
    rate = 8000
    for session in (1, 2):
        dialog = f"Ses0{session}F_impro01"
        folder = root / f"Session{session}" / "dialog"
        (folder / "EmoEvaluation").mkdir(parents=True)
        (folder / "wav").mkdir()
        blocks = [
            f"[{number:.4f} - {number + 0.5:.4f}]\t{dialog}_{'FM'[number % 2]}00{number}\t{code}"
            "\t[3.0, 3.0, 3.0]\n"
            for number, code in enumerate(codes)
        ]
        turns = [f"{dialog}_{'FM'[number % 2]}00{number}.wav" for number in range(len(codes))]
        plant(folder.parent / "sentences" / "wav" / dialog, turns)
        (folder / "EmoEvaluation" / f"{dialog}.txt").write_text("\n".join(["% head", *blocks]))
        ramp = np.repeat(np.arange(len(codes)) / 10, rate)
        soundfile.write(folder / "wav" / f"{dialog}.wav", np.stack([ramp, -ramp], axis=1), rate)
    return root


def test_iemocap_four_classes_count_excitement_as_happiness_and_leave_a_session_out(tmp_path):
    corpus = iemocap.load(iemocap_tree(tmp_path))
    four = corpus.labels[["anger", "sadness", "neutral", "happiness", "excitement"]]
    four = harmonise(four[four.sum(axis=1) == 1], "iemocap", IEMOCAP_4)
    small = corpus.select(four.index).relabel(four, IEMOCAP_4)
    assert small.labels.idxmax(axis=1).value_counts().to_dict() == {
        "happiness": 4, "anger": 2, "sadness": 2, "neutral": 2,
    }  # fmt: skip
    folds = by_session(small.utterances)
    assert [{id[:5] for id in fold.test} for fold in folds] == [{"Ses01"}, {"Ses02"}]
    speakers = small.utterances["speaker"]
    assert not set(speakers[list(folds[0].train)]) & set(speakers[list(folds[0].test)])


def test_iemocap_turns_can_be_cut_from_the_left_channel_of_the_dialogues(tmp_path):
    whole = iemocap.load(iemocap_tree(tmp_path / "IEMOCAP"), sound="dialogs")
    turn = "Ses02F_impro01_M003"
    assert whole.utterances.loc[turn, ["file", "start", "end"]].tolist() == [
        *("Session2/dialog/wav/Ses02F_impro01.wav", 3.0, 3.5),
    ]
    cut = iemocap.left_channel(whole, tmp_path / "left")
    samples, rate = soundfile.read(cut.path(turn))
    assert (len(samples), rate) == (4000, 8000)
    assert samples == pytest.approx(0.3, abs=1e-4)  # the channels' mean would be 0
    assert cut.utterances["start"].isna().all()
    assert cut.labels.equals(whole.labels)
    with pytest.raises(CorpusError, match="load it with sound='dialogs'"):
        iemocap.left_channel(cut, tmp_path / "again")
    with pytest.raises(CorpusError, match="sound must be turns or dialogs, not 'left'"):
        iemocap.load(tmp_path / "IEMOCAP", sound="left")
    (tmp_path / "IEMOCAP/Session1/dialog/wav/Ses01F_impro01.wav").write_bytes(b"RIFF")
    with pytest.raises(CorpusError, match=r"Ses01F_impro01\.wav: cannot be read"):
        iemocap.left_channel(whole, tmp_path / "left")
