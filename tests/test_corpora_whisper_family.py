"""The corpora of the Whisper paper's table 1, on small trees in their official layouts."""

import re

import numpy as np
import pandas as pd
import pytest
import soundfile
from typer.testing import CliRunner

from affekt import audio
from affekt.cli.corpus import app
from affekt.corpora import CORPORA, aesdd, asvp_esd, emov_db, esd, jl, masc, ravdess, savee
from affekt.exceptions import CorpusError
from affekt.harmonise import harmonise, smooth_neutral
from affekt.scheme import EKMAN_8

TONE = (0.1 * np.sin(np.arange(800) / 5)).astype(np.float32)  # 0.05 s at 16 kHz
JL = "Raw JL corpus (unchecked and unannotated)/JL(wav+txt)"

# corpus -> files, and what their rows must say.
TREES = {
    "ravdess-song": ["Actor_01/03-01-02-01-01-01-01.wav", "Actor_24/03-02-06-02-02-02-24.wav"],
    "emov-db": ["bea_Amused/amused_57-84_0057.wav", "josh/Sleepy/sleepiness_113_140_0113.wav"],
    "jl": [f"{JL}/female1_anxious_12b_2.wav", f"{JL}/male2_excited_1a_1.wav"],
    "savee": ["AudioData/DC/sa07.wav", "AudioData/KL/n30.wav"],
    "esd": ["0004/Angry/train/0004_000351.wav", "0015/Surprise/0015_001750.wav"],
    "asvp-esd": [
        "Audio/actor_36/03-01-09-01-06-36-02-02-01-39.wav",
        "Audio/actor_7/03-02-13-02-06-07-04-03.wav",
    ],
    "aesdd": ["anger/a03 (4).wav", "sadness/s01 (5)b.wav"],
    "masc": ["data/001/panic/utterance/203.wav", "data/068/neutral/paragraph/301.wav"],
}
ROWS = {
    "ravdess-song": {
        "03-01-02-01-01-01-01": ("calm", "01", "male", "en"),
        "03-02-06-02-02-02-24": ("fear", "24", "female", "en"),
    },
    "emov-db": {
        "bea_amusement_0057": ("amusement", "bea", "female", "en"),
        "josh_sleepiness_0113": ("sleepiness", "josh", "male", "en"),
    },
    "jl": {
        "female1_anxious_12b_2": ("anxiety", "female1", "female", "en"),
        "male2_excited_1a_1": ("excitement", "male2", "male", "en"),
    },
    "savee": {
        "DC_sa07": ("sadness", "DC", "male", "en"),
        "KL_n30": ("neutral", "KL", "male", "en"),
    },
    "esd": {
        "0004_000351": ("anger", "0004", "male", "zh"),
        "0015_001750": ("surprise", "0015", "female", "en"),
    },
    "asvp-esd": {
        "03-01-09-01-06-36-02-02-01-39": ("excitement", "36", "male", "und"),
        "03-02-13-02-06-07-04-03": ("breath", "7", "female", "und"),
    },
    "aesdd": {
        "a03_4": ("anger", "4", "female", "el"),
        "s01_5b": ("sadness", "5", "male", "el"),
    },
    "masc": {
        "001_panic_utterance_203": ("panic", "001", None, "zh"),
        "068_neutral_paragraph_301": ("neutral", "068", None, "zh"),
    },
}
BY_NAME = [name for name in TREES if name != "masc"]  # there the folders alone say everything


def plant(root, files):
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        audio.write(root / file, TONE)
    return root


def decoded(corpus):
    said = corpus.labels.idxmax(axis=1)
    columns = corpus.utterances[["speaker", "sex", "language"]].astype(object)
    columns = columns.where(columns.notna(), None)
    return {id: (said[id], *columns.loc[id]) for id in corpus.utterances.index}


@pytest.mark.parametrize("name", TREES)
def test_the_official_tree_is_decoded(tmp_path, name):
    corpus = CORPORA[name].load(plant(tmp_path, TREES[name]), durations=True)
    assert decoded(corpus) == ROWS[name]
    assert corpus.name == name.removesuffix("-song")
    assert all(corpus.path(id).is_file() for id in corpus.utterances.index)
    assert corpus.utterances["duration"].tolist() == pytest.approx([0.05, 0.05])
    assert {"version", "licence", "citation", "source", "language"} <= set(corpus.card)


@pytest.mark.parametrize("name", TREES)
def test_any_ending_letter_case_and_a_folder_above_make_no_difference(tmp_path, name):
    shouted = [file.rsplit(".", 1)[0].swapcase() + ".Ogg" for file in TREES[name]]
    corpus = CORPORA[name].load(plant(tmp_path, [f"Unzipped/{file}" for file in shouted]))
    assert decoded(corpus) == ROWS[name]


@pytest.mark.parametrize("name", BY_NAME)
def test_strangers_and_second_copies_are_reported_not_loaded(tmp_path, name):
    first = TREES[name][0]
    plant(tmp_path, [*TREES[name], "notes.wav", f"copy/of/{first}"])
    corpus, report = CORPORA[name].load(tmp_path), CORPORA[name].check(tmp_path)
    assert decoded(corpus) == ROWS[name]
    for listed in (corpus.card["ignored"], report.extra):
        text = " | ".join(listed)
        assert len(listed) == 2
        assert "notes.wav: the name does not read as" in text
        assert re.search(rf"copy/of/{re.escape(first)}: another file of the utterance", text)


@pytest.mark.parametrize("name", TREES)
def test_a_tree_of_something_else_is_refused_with_the_expected_pattern(tmp_path, name):
    plant(tmp_path, ["other/thing.wav"])
    for verb in (CORPORA[name].load, CORPORA[name].check):
        with pytest.raises(CorpusError, match=r"no audio file whose name reads as .*[(<].*"):
            verb(tmp_path)
        with pytest.raises(CorpusError, match="nowhere: no such folder"):
            verb(tmp_path / "nowhere")


@pytest.mark.parametrize("name", TREES)
def test_labels_go_to_the_eight_with_counts_on_the_command_line(tmp_path, name):
    corpus = CORPORA[name].load(plant(tmp_path, TREES[name]))
    harmonise(pd.DataFrame(np.eye(len(corpus.scheme)), columns=list(corpus.scheme)), corpus.name,
              EKMAN_8)  # fmt: skip
    result = CliRunner().invoke(app, ["labels", name, str(tmp_path)])
    assert result.exit_code == 0
    for label, _, _, _ in ROWS[name].values():
        assert re.search(rf"│ {label} +│ 1 +│ \w+ [.\d]+", result.output)


@pytest.mark.parametrize(("name", "label", "eight"), [
    ("emov-db", "amusement", {"happiness": 1}),
    ("emov-db", "sleepiness", {"other": 1}),
    ("jl", "anxiety", {"fear": 0.7, "other": 0.3}),
    ("jl", "apology", {"other": 1}),
    ("jl", "concern", {"other": 0.5, "sadness": 0.5}),
    ("jl", "assertiveness", {"other": 0.7, "anger": 0.3}),
    ("jl", "encouragement", {"happiness": 0.5, "other": 0.5}),
    ("asvp-esd", "pleasure", {"happiness": 1}),
    ("asvp-esd", "pain", {"sadness": 0.5, "other": 0.5}),
    ("asvp-esd", "disappointment", {"sadness": 0.7, "disgust": 0.3}),
    ("asvp-esd", "breath", {"other": 1}),
    ("asvp-esd", "unknown", {"other": 1}),
    ("ogvc", "acceptance", {"happiness": 0.5, "neutral": 0.5}),
    ("ogvc", "anticipation", {"other": 1}),
    ("masc", "elation", {"happiness": 1}),
    ("masc", "panic", {"fear": 1}),
    ("hume-prosody", "interest", {"other": 1}),
    ("hume-prosody", "calm", {"neutral": 0.7, "happiness": 0.3}),
])  # fmt: skip
def test_labels_of_their_own_reach_the_eight_by_the_weights_of_the_specification(
    name, label, eight
):
    row = harmonise(pd.DataFrame([[1.0]], columns=[label]), name, EKMAN_8).loc[0]
    assert row[row > 0].to_dict() == pytest.approx(eight)


# every name of five corpora, from the lists of a benchmark


@pytest.mark.parametrize(("list_name", "module", "codes", "step"), [
    ("emovdb", emov_db, {"Amused": "amusement", "Angry": "anger", "Disgust": "disgust",
                         "Neutral": "neutral", "Sleepy": "sleepiness"}, 7),
    ("jlcorpus", jl, jl.EMOTIONS, 3),
    ("savee", savee, savee.EMOTIONS, 1),
    ("asvpesd", asvp_esd, {**asvp_esd.EMOTIONS, "17": "unknown"}, 13),
    ("aesdd", aesdd, aesdd.EMOTIONS, 1),
])  # fmt: skip
def test_real_names_are_read_as_the_benchmark_reads_them(
    tmp_path, shared, list_name, module, codes, step
):
    listed = pd.read_csv(shared / "splits" / f"{list_name}.csv", dtype=str)[::step]
    for file in listed["file"]:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    corpus = module.load(tmp_path)
    said = pd.Series(corpus.labels.idxmax(axis=1).to_numpy(), corpus.utterances["file"])
    assert said[listed["file"]].tolist() == listed["emotion"].map(codes).tolist()
    report = module.check(tmp_path)
    assert (report.found, report.extra) == (len(listed), [])
    assert bool(report.missing) == (step > 1)  # where all are there nothing is missed


def test_emov_db_counts_are_those_of_the_benchmark(shared):
    listed = pd.read_csv(shared / "splits" / "emovdb.csv")["file"].str.extract(r"(\w+?)_.*/(\w+?)_")
    counts = listed.assign(emotion=listed[1].str.lower().map(emov_db.EMOTIONS)).value_counts(
        [0, "emotion"]
    )
    assert counts.to_dict() == {
        (speaker, emotion): n
        for speaker, emotions in emov_db.LISTED.items()
        for emotion, n in emotions.items()
    }


# ravdess with song


def test_ravdess_song_is_1012_names_more_none_by_actor_18_and_none_of_disgust(tmp_path):
    plant(tmp_path, TREES["ravdess-song"])
    report = CORPORA["ravdess-song"].check(tmp_path)
    assert (report.expected, report.found, len(report.missing)) == (2452, 2, 2450)
    sung = {name for name in report.missing if name.startswith("03-02")}
    assert {name[-2:] for name in sung} == {f"{n:02d}" for n in range(1, 25)} - {"18"}
    assert {name[6:8] for name in sung} == {"01", "02", "03", "04", "05", "06"}
    assert ravdess.check(tmp_path).expected == 1440  # speech alone is the default
    assert len(CORPORA["ravdess"].load(tmp_path)) == 1


def test_ravdess_strengths_make_normal_acting_partly_neutral(tmp_path):
    corpus = CORPORA["ravdess-song"].load(plant(tmp_path, TREES["ravdess-song"]))
    eight = harmonise(corpus.labels, corpus.name, EKMAN_8)
    soft = smooth_neutral(eight, corpus.utterances["intensity"])
    assert soft.loc["03-02-06-02-02-02-24", "fear"] == 1  # strong: 1.0
    weak = soft.loc["03-01-02-01-01-01-01"]  # 0.6 of a mean of 0.8: a quarter goes to neutral
    assert weak["neutral"] == pytest.approx(0.7 * 0.75 + 0.25)
    assert weak["happiness"] == pytest.approx(0.3 * 0.75)


# emov-db, jl, savee


def test_emov_db_sentences_come_from_the_arctic_list_and_lines_of_another_form_are_named(tmp_path):
    plant(tmp_path, TREES["emov-db"])
    prompts = tmp_path / "cmuarctic.data"
    prompts.write_text('( arctic_a0057 "Soup, please." )\n( arctic_b0001 "Other (list)." )\n')
    table = emov_db.load(tmp_path).utterances
    assert table["text"].fillna("").tolist() == ["Soup, please.", ""]
    prompts.write_text('( arctic_a0057 "Soup')
    with pytest.raises(CorpusError, match=r"cmuarctic\.data, line 1: does not read as .* load it"):
        emov_db.load(tmp_path)


def test_emov_db_check_counts_by_speaker_and_emotion(tmp_path):
    plant(tmp_path, [*TREES["emov-db"], "josh_Angry/anger_1-28_0001.wav", "anger_1-28_0002.wav"])
    report = emov_db.check(tmp_path)
    assert (report.expected, report.found) == (6887, 3)
    assert "295 of 296 recordings of amusement by bea" in report.missing
    assert report.extra == [
        "anger_1-28_0002.wav: in no folder of a speaker (bea, jenie, josh, sam)"
    ]
    assert report.problems == [
        "josh_Angry/anger_1-28_0001.wav: josh recorded no anger",
        "cmuarctic.data is not there: the corpus loads without texts",
    ]


def test_jl_words_lie_beside_the_sound_and_the_grid_has_2400_names(tmp_path):
    plant(tmp_path, TREES["jl"])
    (tmp_path / JL / "female1_anxious_12b_2.txt").write_text("Jack views an art piece\n")
    table = jl.load(tmp_path).utterances
    assert table["text"].fillna("").tolist() == ["Jack views an art piece", ""]
    assert table["kind"].tolist() == ["secondary", "primary"]
    assert table["repetition"].tolist() == [2, 1]
    report = jl.check(tmp_path)
    assert (report.expected, report.found, len(report.missing)) == (2400, 2, 2398)
    assert report.problems == ["male2_excited_1a_1: no .txt with its words, as for 1 in all"]


@pytest.mark.parametrize("file", ["JE_su15.wav", "JEsu15.wav", "AudioData/je/su15.wav"])
def test_savee_flat_copies_and_folders_name_the_same_utterance(tmp_path, file):
    assert decoded(savee.load(plant(tmp_path, [file]))) == {
        "JE_su15": ("surprise", "JE", "male", "en")
    }


def test_savee_a_file_of_nobody_is_ignored_and_numbers_beyond_the_corpus_are_extra(tmp_path):
    plant(tmp_path, ["a01.wav", "DC/a16.wav", "DC/n30.wav"])
    report = savee.check(tmp_path)
    assert (report.expected, report.found, len(report.missing)) == (480, 2, 479)
    assert report.extra == [
        "DC/a16.wav: not in the corpus",
        "a01.wav: neither name nor folder says who speaks (DC, JE, JK, KL)",
    ]


# esd

SPOKEN = "0004_000351\t打远一看\t生气\n\n0004_000001\t 打远一看 \t中立\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gbk", "utf-16", "utf-16-le"])
def test_esd_tables_are_read_in_every_encoding_that_its_speakers_have(tmp_path, encoding):
    plant(tmp_path, [*TREES["esd"], "0004/Neutral/test/0004_000001.wav"])
    (tmp_path / "0004" / "0004.txt").write_bytes(SPOKEN.encode(encoding))
    table = esd.load(tmp_path).utterances
    assert table["text"].fillna("").tolist() == ["打远一看", "打远一看", ""]
    assert table["split"].fillna("").tolist() == ["test", "train", ""]
    assert table["sentence"].tolist() == [1, 1, 350]  # of each emotion the first, and the last
    assert esd.check(tmp_path).problems == [
        "0015.txt is not there: its utterances load without texts"
    ]


def test_esd_the_folder_decides_and_check_says_where_number_and_table_differ(tmp_path):
    plant(tmp_path, ["0011/Sad/0011_000001.wav", "0011/Happy/0011_000701.wav", "0011_001401.wav"])
    (tmp_path / "0011.txt").write_text("0011_000701\tHello\tAngry\n0011_000702 Hello Happy\n")
    corpus = esd.load(tmp_path)
    assert corpus.labels.idxmax(axis=1).to_dict() == {
        "0011_000001": "sadness", "0011_000701": "happiness", "0011_001401": "surprise",
    }  # fmt: skip
    report = esd.check(tmp_path)
    assert (report.expected, len(report.missing)) == (35_000, 34_997)
    assert report.problems == [
        "0011.txt, line 2: not id, text, emotion divided by tabs",
        "0011/Sad/0011_000001.wav: its number is one of neutral",
        "0011/Happy/0011_000701.wav: its speaker's table says anger",
    ]


@pytest.mark.parametrize(("content", "message"), [
    (b"", "0004.txt: an empty file"),
    (b"0004_000351\t\xff\xff\xff", "0004.txt: neither UTF-8, UTF-16 nor GBK; unpack it anew"),
])  # fmt: skip
def test_esd_a_table_that_is_no_text_is_refused(tmp_path, content, message):
    plant(tmp_path, TREES["esd"])
    (tmp_path / "0004" / "0004.txt").write_bytes(content)
    for verb in (esd.load, esd.check):
        with pytest.raises(CorpusError, match=message):
            verb(tmp_path)


# asvp-esd, aesdd, masc


def test_asvp_esd_missing_fields_odd_codes_and_suffixes_are_tolerated(tmp_path):
    plant(tmp_path, [
        "Audio/actor_36/03-01-17-021-06-36.wav",
        "Audio/actor_98/03-02-04-02-52-150-04-01-00-14 -03b.wav",
    ])  # fmt: skip
    table = asvp_esd.load(tmp_path).utterances
    assert table.index.tolist() == ["03-01-17-021-06-36", "03-02-04-02-52-150-04-01-00-14-03b"]
    assert table["intensity"].fillna(-1).tolist() == [-1, 1.0]
    assert table["age_group"].fillna("").tolist() == ["", "baby"]
    assert table["language_code"].fillna("").tolist() == ["", "00"]
    assert table["vocal"].tolist() == ["speech", "non-speech"]
    assert asvp_esd.check(tmp_path).problems == [
        "Audio/actor_36/03-01-17-021-06-36.wav: an emotion of unknown meaning",
        "Audio/actor_98/03-02-04-02-52-150-04-01-00-14 -03b.wav: the name says actor 150",
    ]
    assert asvp_esd.check(tmp_path).missing == ["13962 of 13964 recordings"]


def test_asvp_esd_can_be_had_without_sounds_that_are_no_speech(tmp_path):
    plant(tmp_path, TREES["asvp-esd"])
    spoken = asvp_esd.load(tmp_path, speech_only=True)
    assert spoken.utterances["vocal"].tolist() == ["speech"]
    assert spoken.utterances["intensity"].tolist() == [0.6]
    assert spoken.card["subset"] == "speech"


def test_aesdd_blanks_are_optional_and_the_broken_file_is_excluded(tmp_path):
    plant(tmp_path, ["sadness/s05 (3).wav", "fear/f12(01).wav", "fear/f11 ( 2 ).wav"])
    table = aesdd.load(tmp_path).utterances
    assert table["excluded"].to_dict() == {
        "f11_2": "", "f12_1": "", "s05_3": "a file that the release broke",
    }  # fmt: skip
    report = aesdd.check(tmp_path)
    assert (report.expected, report.found, report.extra) == (605, 3, [])
    assert "s01_5b" in report.missing
    assert not {"s01_5", "f02_4"} & set(report.missing)  # never released
    (tmp_path / "sadness" / "s05 (3).wav").unlink()
    assert aesdd.check(tmp_path).expected == 604  # nobody misses it


@pytest.mark.parametrize("ending", ["wav", "sph"])
def test_masc_sphere_files_are_read_whatever_they_are_called(tmp_path, ending):
    path = tmp_path / "data" / "002" / "elation" / "phrase" / f"101.{ending}"
    path.parent.mkdir(parents=True)
    soundfile.write(path, TONE, 16_000, format="NIST", subtype="PCM_16")
    corpus = masc.load(tmp_path, durations=True)
    assert corpus.utterances["duration"].tolist() == pytest.approx([0.05])
    assert audio.load(corpus.path("002_elation_phrase_101")) == pytest.approx(TONE, abs=1e-4)


def test_masc_check_counts_each_speaker_and_ignores_other_folders(tmp_path):
    plant(tmp_path, [*TREES["masc"], "data/001/joy/utterance/1.wav", "001_2.wav"])
    report = masc.check(tmp_path)
    assert (report.expected, report.found) == (25_636, 2)
    assert report.missing[0] == "66 of 68 speakers"
    assert "74 of 75 phrases and utterances of panic by 001" in report.missing
    assert "1 of 2 paragraphs of neutral by 068" in report.missing
    assert "2 of 2 paragraphs of neutral by 001" in report.missing
    assert sorted(line.split(":")[0] for line in report.extra) == [
        "001_2.wav", "data/001/joy/utterance/1.wav",
    ]  # fmt: skip
