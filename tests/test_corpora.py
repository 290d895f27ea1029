import re

import numpy as np
import pytest

from affekt import audio
from affekt.corpora import CORPORA, crema_d
from affekt.corpora.tree import audio_files
from affekt.exceptions import CorpusError
from affekt.harmonise import harmonise
from affekt.scheme import EKMAN_8, NOUNS

TONE = (0.1 * np.sin(np.arange(800) / 5)).astype(np.float32)  # 0.05 s at 16 kHz
LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 77\n"

# Small trees in the official layouts: corpus -> files, and what their rows must say.
TREES = {
    "crema-d": ["AudioWAV/1001_IEO_ANG_HI.wav", "AudioWAV/1091_WSI_NEU_XX.wav"],
    "ravdess": ["Actor_01/03-01-02-01-01-01-01.wav", "Actor_24/03-01-08-02-02-02-24.wav"],
    "nemo": ["samples/WR0_surprised_64.wav", "samples/EB0_anger_1.wav"],
    "tess": ["OAF_Pleasant_surprise/OAF_back_ps.wav", "YAF_sad/YAF_bar_sad.wav"],
    "emovo": ["f1/gio-f1-b1.wav", "m3/pau-m3-n5.wav"],
    "emodb": ["wav/03a01Fa.wav", "wav/16b10Lb.wav"],
    "urdu": ["Angry/SM1_F10_A010.wav", "Neutral/SF9_F1_N01.wav"],
    "toy": ["s01/s01_anger_1.flac", "s06/s06_sadness_3.flac"],
}
ROWS = {
    "crema-d": {"1001_IEO_ANG_HI": ("anger", "1001"), "1091_WSI_NEU_XX": ("neutral", "1091")},
    "ravdess": {
        "03-01-02-01-01-01-01": ("calm", "01"),
        "03-01-08-02-02-02-24": ("surprise", "24"),
    },
    "nemo": {"EB0_anger_1": ("anger", "EB0"), "WR0_surprised_64": ("surprise", "WR0")},
    "tess": {"OAF_back_ps": ("surprise", "OAF"), "YAF_bar_sad": ("sadness", "YAF")},
    "emovo": {"gio-f1-b1": ("happiness", "f1"), "pau-m3-n5": ("fear", "m3")},
    "emodb": {"03a01Fa": ("happiness", "03"), "16b10Lb": ("boredom", "16")},
    "urdu": {"SF9_F1_N01": ("neutral", "SF9"), "SM1_F10_A010": ("anger", "SM1")},
    "toy": {"s01_anger_1": ("anger", "s01"), "s06_sadness_3": ("sadness", "s06")},
}


def plant(root, files):
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        audio.write(root / file, TONE)
    return root


def decoded(corpus):
    said = corpus.labels.idxmax(axis=1)
    speakers = corpus.utterances["speaker"]
    return {id: (said[id], speakers[id]) for id in corpus.utterances.index}


@pytest.mark.parametrize("name", TREES)
def test_names_of_the_official_tree_are_decoded(tmp_path, name):
    corpus = CORPORA[name].load(plant(tmp_path, TREES[name]))
    assert decoded(corpus) == ROWS[name]
    assert corpus.name == name
    assert set(corpus.scheme) <= set(NOUNS)
    assert all(corpus.path(id).is_file() for id in corpus.utterances.index)
    assert {"version", "licence", "citation", "source", "language"} <= set(corpus.card)


@pytest.mark.parametrize("name", TREES)
def test_any_ending_letter_case_and_a_folder_above_make_no_difference(tmp_path, name):
    shouted = [file.rsplit(".", 1)[0].swapcase() + ".Ogg" for file in TREES[name]]
    corpus = CORPORA[name].load(
        plant(tmp_path / "a", [f"Unzipped/{file}" for file in shouted]).parent
    )
    assert decoded(corpus) == ROWS[name]


@pytest.mark.parametrize("name", TREES)
def test_strangers_and_second_copies_are_reported_not_loaded(tmp_path, name):
    first = TREES[name][0]
    plant(tmp_path, [*TREES[name], "notes.wav", f"copy/of/{first}"])
    (tmp_path / "__MACOSX").mkdir()
    (tmp_path / "__MACOSX" / first.rsplit("/", 1)[1]).write_bytes(b"junk")
    (tmp_path / ("._" + first.rsplit("/", 1)[1])).write_bytes(b"junk")
    corpus, report = CORPORA[name].load(tmp_path), CORPORA[name].check(tmp_path)
    assert decoded(corpus) == ROWS[name]
    assert first in set(corpus.utterances["file"])
    for listed in (corpus.card["ignored"], report.extra):
        text = " | ".join(listed)
        assert len(listed) == 2
        assert "notes.wav: the name does not read as" in text
        assert re.search(rf"copy/of/{re.escape(first)}: another file of the utterance", text)


@pytest.mark.parametrize("name", TREES)
def test_a_tree_of_something_else_is_refused_with_the_expected_pattern(tmp_path, name):
    plant(tmp_path, ["other/thing.wav"])
    verb = CORPORA[name].check if name == "toy" else CORPORA[name].load
    with pytest.raises(CorpusError, match=r"no audio file whose name reads as .*, "):
        verb(tmp_path)


@pytest.mark.parametrize("name", [name for name in TREES if name != "toy"])
def test_a_missing_folder_is_named(tmp_path, name):
    for verb in (CORPORA[name].load, CORPORA[name].check):
        with pytest.raises(CorpusError, match="nowhere: no such folder"):
            verb(tmp_path / "nowhere")


def test_empty_files_and_pointers_keep_their_row_and_are_problems(tmp_path):
    plant(tmp_path, TREES["urdu"])
    (tmp_path / TREES["urdu"][0]).write_bytes(b"")
    (tmp_path / "Sad").mkdir()
    (tmp_path / "Sad" / "SM2_F1_S001.wav").write_text(LFS)
    corpus = CORPORA["urdu"].load(tmp_path, durations=True)
    assert corpus.utterances["excluded"].to_dict() == {
        "SF9_F1_N01": "",
        "SM1_F10_A010": "an empty file",
        "SM2_F1_S001": "a git-lfs pointer, run `git lfs pull`",
    }
    assert corpus.utterances["duration"].notna().tolist() == [True, False, False]
    assert CORPORA["urdu"].check(tmp_path).problems == [
        "Angry/SM1_F10_A010.wav: an empty file",
        "Sad/SM2_F1_S001.wav: a git-lfs pointer, run `git lfs pull`",
    ]


def test_a_tree_of_nothing_but_pointers_is_refused_with_the_remedy(tmp_path):
    for file in TREES["crema-d"]:
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text(LFS)
    with pytest.raises(
        CorpusError, match="every recording is a git-lfs pointer, run `git lfs pull`"
    ):
        CORPORA["crema-d"].load(tmp_path)


def test_links_in_a_circle_end(tmp_path):
    plant(tmp_path, TREES["emovo"])
    (tmp_path / "f1" / "up").symlink_to(tmp_path, target_is_directory=True)
    assert len(audio_files(tmp_path)) == 2


# crema-d

TABULATED = """"","A","D","F","H","N","S","fileName","meanEmoResp"
"100001",0,0,0,1,2,0,"1091_WSI_NEU_XX",50
"100002",3,1,0,0,0,0,"1001_IEO_ANG_HI",80
"200001",0,0,0,0,1,0,"1091_WSI_NEU_XX",60
"300001",0,0,0,0,0,1,"1091_WSI_NEU_XX",-1
"100003",1,0,0,0,0,0,"1002_IEO_ANG_HI",70
"""


def crema_tables(root):
    plant(root, TREES["crema-d"])
    (root / "processedResults").mkdir()
    (root / "processedResults" / "tabulatedVotes.csv").write_text(TABULATED)
    (root / "VideoDemographics.csv").write_text(
        '"ActorID","Age","Sex","Race","Ethnicity"\n1001,51,"Male","","" \n1091,29,"Female","",""\n'
    )
    (root / "SentenceFilenames.csv").write_text(
        '"Stimulus_Number","Filename"\n1,"1001_IEO_ANG_HI"\n2,"1091_WSI_NEU_XX"\n'
    )
    return root


def test_crema_d_counts_become_anonymous_votes_of_the_channel_asked_for(tmp_path):
    corpus = CORPORA["crema-d"].load(crema_tables(tmp_path))
    assert corpus.votes["rater"].isna().all()
    assert corpus.votes.value_counts(["utterance", "label"]).to_dict() == {
        ("1001_IEO_ANG_HI", "anger"): 3,
        ("1001_IEO_ANG_HI", "disgust"): 1,
        ("1091_WSI_NEU_XX", "neutral"): 2,
        ("1091_WSI_NEU_XX", "happiness"): 1,
    }
    assert corpus.utterances["intensity"].to_dict() == {
        "1001_IEO_ANG_HI": 0.8,
        "1091_WSI_NEU_XX": 0.5,
    }
    assert corpus.utterances["age"].tolist() == [51, 29]
    assert corpus.utterances["sex"].tolist() == ["male", "female"]
    face = CORPORA["crema-d"].load(tmp_path, votes="face")
    assert face.votes["label"].tolist() == ["neutral"]
    both = CORPORA["crema-d"].load(tmp_path, votes="both")
    assert both.votes["label"].tolist() == ["sadness"]
    assert both.utterances["intensity"].isna().all()
    with pytest.raises(CorpusError, match="votes must be one of voice, face, both"):
        CORPORA["crema-d"].load(tmp_path, votes="sound")


def test_crema_d_check_needs_its_list_of_names_to_name_what_is_missing(tmp_path):
    crema_tables(tmp_path)
    assert CORPORA["crema-d"].check(tmp_path).complete
    (tmp_path / TREES["crema-d"][0]).unlink()
    assert CORPORA["crema-d"].check(tmp_path).missing == ["1001_IEO_ANG_HI"]
    (tmp_path / "SentenceFilenames.csv").unlink()
    report = CORPORA["crema-d"].check(tmp_path)
    assert (report.expected, report.found, report.missing) == (7442, 1, [])
    assert "1 of 7442 clips found" in report.problems[0]


def test_crema_d_tables_that_are_pointers_or_foreign_are_refused(tmp_path):
    crema_tables(tmp_path)
    table = tmp_path / "processedResults" / "tabulatedVotes.csv"
    table.write_text(LFS)
    with pytest.raises(CorpusError, match="is a git-lfs pointer, run `git lfs pull`"):
        CORPORA["crema-d"].load(tmp_path)
    table.write_text("a,b\n1,2\n")
    with pytest.raises(CorpusError, match="has no column A, D, F"):
        CORPORA["crema-d"].load(tmp_path)


def test_crema_d_unfit_clips_stay_with_a_reason(tmp_path):
    files = [f"AudioWAV/{name}.wav" for name in crema_d.EXCLUDED]
    corpus = CORPORA["crema-d"].load(plant(tmp_path, files))
    assert corpus.utterances["excluded"].to_dict() == crema_d.EXCLUDED


def test_crema_d_clip_with_half_a_level_is_the_one_in_the_tables(tmp_path):
    corpus = CORPORA["crema-d"].load(plant(tmp_path, ["AudioWAV/1040_ITH_SAD_X.wav"]))
    assert corpus.utterances["level"].to_dict() == {"1040_ITH_SAD_XX": "XX"}


# ravdess


def test_ravdess_strength_sex_and_song(tmp_path):
    plant(
        tmp_path, [*TREES["ravdess"], "song/03-02-03-01-01-01-02.wav", "01-01-03-01-01-01-02.wav"]
    )
    spoken = CORPORA["ravdess"].load(tmp_path)
    assert spoken.utterances["intensity"].tolist() == [0.6, 1.0]
    assert spoken.utterances["sex"].tolist() == ["male", "female"]
    assert [entry.split(": ")[1] for entry in spoken.card["ignored"]] == [
        "a video's sound; the audio-only files (03-…) hold the same takes",
        "sung, not spoken",
    ]
    sung = CORPORA["ravdess"].load(tmp_path, song=True)
    assert sung.utterances["channel"].tolist() == ["speech", "speech", "song"]


def test_ravdess_loaded_twice_over_is_reported_once_each(tmp_path):
    twice = [*TREES["ravdess"], *(f"audio_speech_actors_01-24/{file}" for file in TREES["ravdess"])]
    corpus = CORPORA["ravdess"].load(plant(tmp_path, twice))
    assert decoded(corpus) == ROWS["ravdess"]
    assert corpus.utterances["file"].tolist() == TREES["ravdess"]


def test_ravdess_check_knows_all_1440_names(tmp_path):
    report = CORPORA["ravdess"].check(plant(tmp_path, TREES["ravdess"]))
    assert (report.expected, report.found, len(report.missing)) == (1440, 2, 1438)
    assert "03-01-01-02-01-01-01" not in report.missing  # there is no strong neutral
    assert "03-01-01-01-01-01-01" in report.missing


def test_a_name_outside_the_grammar_is_extra(tmp_path):
    report = CORPORA["ravdess"].check(plant(tmp_path, ["03-01-01-02-01-01-01.wav"]))
    assert report.extra == ["03-01-01-02-01-01-01.wav: not in the corpus"]


# nemo

NEMO = (
    "file_id\temotion\traw_text\tnormalized_text\tspeaker_id\tgender\tage\n"
    'WR0_surprised_64.wav\tsurprised\tOn ma "ucho".\ton ma ucho\t        WR0\tmale\t23\n'
    "EB0_anger_1.wav\tanger\tCzytam.\tczytam\t        EB0\tfemale\t27\n"
)


def test_nemo_takes_text_sex_and_age_from_its_table_whatever_the_endings(tmp_path):
    plant(tmp_path, [file.replace(".wav", ".ogg") for file in TREES["nemo"]])
    (tmp_path / "data.tsv").write_text(NEMO, encoding="utf-8")
    table = CORPORA["nemo"].load(tmp_path).utterances
    assert table.loc["WR0_surprised_64", ["speaker", "text", "sex", "age"]].tolist() == [
        *("WR0", 'On ma "ucho".', "male", 23.0),
    ]
    assert CORPORA["nemo"].check(tmp_path).complete


def test_nemo_check_compares_names_and_labels_with_the_table(tmp_path):
    plant(tmp_path, TREES["nemo"])
    lines = (
        NEMO.replace("_1.wav\tanger", "_1.wav\tfear") + "EB0_fear_7.wav\tfear\tA\ta\tEB0\tf\t1\n"
    )
    (tmp_path / "data.tsv").write_text(lines, encoding="utf-8")
    report = CORPORA["nemo"].check(tmp_path)
    assert report.missing == ["EB0_fear_7"]
    assert report.problems == ["samples/EB0_anger_1.wav: the name says anger, data.tsv fear"]
    (tmp_path / "data.tsv").unlink()
    assert "data.tsv is not there" in CORPORA["nemo"].check(tmp_path).problems[0]
    (tmp_path / "data.tsv").write_text("a\tb\n")
    with pytest.raises(CorpusError, match="has no column file_id"):
        CORPORA["nemo"].load(tmp_path)


# tess, emovo, emodb, urdu


def test_tess_misnamed_file_is_the_older_actress(tmp_path):
    corpus = CORPORA["tess"].load(plant(tmp_path, ["OAF_neutral/OA_bite_neutral.wav"]))
    assert decoded(corpus) == {"OAF_bite_neutral": ("neutral", "OAF")}
    assert corpus.utterances["age"].tolist() == [64]
    assert corpus.utterances["text"].tolist() == ["bite"]


def test_tess_pleasant_surprise_is_partly_happiness(tmp_path):
    corpus = CORPORA["tess"].load(plant(tmp_path, TREES["tess"]))
    row = harmonise(corpus.labels, corpus.name, EKMAN_8).loc["OAF_back_ps"]
    assert row["surprise"] == pytest.approx(0.7)
    assert row["happiness"] == pytest.approx(0.3)


def test_tess_check_expects_every_word_from_both_in_all_emotions(tmp_path):
    report = CORPORA["tess"].check(plant(tmp_path, TREES["tess"]))
    assert report.expected == 2 * 7 * 2  # words back and bar
    assert "YAF_back_ps" in report.missing
    assert report.problems == ["2 different words, the corpus has 200"]


ERKENNUNG = (
    "Nr.\tSatz\terkannt\tnatuerlich\n"
    "1\xa0\t03a01Fa.wav\t90,00\xa0\xa0\t75,00\xa0\n"
    "2\xa0\t16b10Lb.wav\t80,00\xa0\xa0\t55,00\xa0\n"
    "3\xa0\t03a01Ab.wav\t65,00\xa0\xa0\t35,00\xa0\n"
    "4\xa0\t03a02Ab.wav\t85,00\xa0\xa0\t35,00\xa0\n"
    "5\xa0\t03a01Wa.wav\t99,50\xa0\xa0\t95,00\xa0\n"
)


def test_emodb_judgements_choose_the_subset_and_name_the_missing(tmp_path):
    plant(tmp_path, TREES["emodb"])
    (tmp_path / "erkennung.txt").write_text(ERKENNUNG, encoding="latin-1")
    table = CORPORA["emodb"].load(tmp_path).utterances
    assert table["recognition"].tolist() == [90, 80]
    assert table["naturalness"].tolist() == [75, 55]
    subset = CORPORA["emodb"].load(tmp_path, subset_494=True)
    assert subset.utterances.index.tolist() == ["03a01Fa"]
    assert subset.card["subset"] == "494"
    # 03a02Ab was recognised well enough but never released
    assert CORPORA["emodb"].check(tmp_path).missing == ["03a01Wa"]


def test_emodb_without_its_table_is_checked_by_counts(tmp_path):
    plant(tmp_path, TREES["emodb"])
    report = CORPORA["emodb"].check(tmp_path)
    assert (report.expected, report.found) == (535, 2)
    assert "70 of 71 recordings of happiness" in report.missing
    with pytest.raises(CorpusError, match=r"the 494 subset needs erkennung\.txt"):
        CORPORA["emodb"].load(tmp_path, subset_494=True)


def test_urdu_check_looks_for_the_running_numbers_of_each_emotion(tmp_path):
    plant(tmp_path, [*TREES["urdu"], "Angry/SM2_F1_A10.wav", "Sad/SM2_F1_S101.wav"])
    report = CORPORA["urdu"].check(tmp_path)
    assert len(report.missing) == 400 - 2
    assert "*_A011" in report.missing
    assert "*_A010" not in report.missing
    assert report.extra == ["Sad/SM2_F1_S101.wav: not in the corpus"]
    assert report.problems == ["the number A10 occurs 2 times"]
