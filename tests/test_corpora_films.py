"""Corpora whose recordings are films: eNTERFACE, RML, AFEW and MELD."""

import pytest

from affekt import audio
from affekt.corpora import CORPORA, afew, enterface, meld, rml
from affekt.exceptions import CorpusError
from affekt.harmonise import harmonise
from affekt.scheme import EKMAN_8
from corpus_trees import plant, said
from media import silent_film

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
