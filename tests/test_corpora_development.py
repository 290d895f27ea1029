"""Two languages to look at, never to train on: Bangla and Hindi, on trees as they are found."""

import numpy as np
import pytest

from affekt import audio
from affekt.corpora import CORPORA
from affekt.exceptions import CorpusError
from affekt.harmonise import harmonise
from affekt.scheme import EKMAN_8

TONE = (0.1 * np.sin(np.arange(800) / 5)).astype(np.float32)  # 0.05 s at 16 kHz
BANGLA = [
    "dataset/03-01-01-01-02-03-07.wav",
    "dataset/03-01-02-01-01-01-34.wav",
    "dataset/03-01-03-02-01-02-10.wav",
    "dataset/01-01-04-02-03-01-15.wav",
    "dataset/03-01-05-01-03-03-01.wav",
]
HINDI = [
    "my Dataset/my Dataset/1/session1/anger/1.1. anger-01.wav",
    "my Dataset/my Dataset/2/session3/happy/2.3.happpy-04.wav",
    "my Dataset/my Dataset/2/session5/disgust/2.5.dusgust-09.wav",
    "my Dataset/my Dataset/4/session3/disgust/4.3.disgust 07.wav",
    "my Dataset/my Dataset/7/session5/sad/7.5.Sad-05.wav",
    "my Dataset/my Dataset/8/session2/neutral/8.2.neutral-10.wav",
    "my Dataset/my Dataset/8/session2/surprise/8.2.surprise-10.wav",
    "my Dataset/my Dataset/8/session4/fear/8.4.fear-03.wav",
]


def plant(root, files):
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        audio.write(root / file, TONE)
    return root


def rows(corpus, *columns):
    said = corpus.labels.idxmax(axis=1)
    table = corpus.utterances
    return {id: (said[id], *table.loc[id, list(columns)]) for id in table.index}


def test_bangla_names_give_emotion_speaker_and_strength_also_where_the_first_number_is_wrong(
    tmp_path,
):
    corpus = CORPORA["banglaser"].load(plant(tmp_path, BANGLA), durations=True)
    assert rows(corpus, "speaker", "intensity", "language") == {
        "03-01-01-01-02-03-07": ("happiness", "07", 0.6, "bn"),
        "03-01-02-01-01-01-34": ("sadness", "34", 0.6, "bn"),
        "03-01-03-02-01-02-10": ("anger", "10", 1.0, "bn"),
        "03-01-04-02-03-01-15": ("surprise", "15", 1.0, "bn"),
        "03-01-05-01-03-03-01": ("neutral", "01", 0.6, "bn"),
    }
    assert corpus.utterances["file"]["03-01-04-02-03-01-15"] == BANGLA[3]
    assert corpus.utterances["duration"].tolist() == pytest.approx([0.05] * 5)


def test_hindi_names_are_read_as_they_are_spelt_and_sarcasm_is_left_aside(tmp_path):
    aside = "my Dataset/my Dataset/1/session1/sarcastic/1.1.sarcastic-01.wav"
    corpus = CORPORA["hindi"].load(plant(tmp_path, [*HINDI, aside]))
    assert rows(corpus, "speaker", "session", "sentence") == {
        "1.1.anger-01": ("anger", "1", "1", "01"),
        "2.3.happiness-04": ("happiness", "2", "3", "04"),
        "2.5.disgust-09": ("disgust", "2", "5", "09"),
        "4.3.disgust-07": ("disgust", "4", "3", "07"),
        "7.5.sadness-05": ("sadness", "7", "5", "05"),
        "8.2.neutral-10": ("neutral", "8", "2", "10"),
        "8.2.surprise-10": ("surprise", "8", "2", "10"),
        "8.4.fear-03": ("fear", "8", "4", "03"),
    }
    assert set(corpus.utterances["language"]) == {"hi"}
    assert corpus.card["ignored"] == [f"{aside}: sarcasm, which is no emotion"]


def test_hindi_names_decide_where_a_recording_lies_in_the_folder_of_another_session(tmp_path):
    plant(tmp_path, ["4/session4/happy/4.5.happy-08.wav", "4/session4/happy/4.4.happy-08.wav"])
    corpus = CORPORA["hindi"].load(tmp_path)
    assert corpus.utterances["session"].to_dict() == {
        "4.4.happiness-08": "4",
        "4.5.happiness-08": "5",
    }


@pytest.mark.parametrize(("name", "file"), [("banglaser", BANGLA[0]), ("hindi", HINDI[0])])
def test_strangers_and_second_copies_are_reported_and_a_tree_of_nothing_else_refused(
    tmp_path, name, file
):
    plant(tmp_path, ["temp.wav"])
    with pytest.raises(CorpusError, match="no audio file whose name reads as"):
        CORPORA[name].load(tmp_path)
    plant(tmp_path, [file, f"copy/{file}"])
    extra = CORPORA[name].check(tmp_path).extra
    assert len(CORPORA[name].load(tmp_path)) == 1
    assert [entry.split(": ")[0] for entry in extra] == ["temp.wav", f"copy/{file}"]


def test_bangla_is_complete_with_45_takes_of_each_speaker_and_36_of_those_without_neutral(tmp_path):
    plant(tmp_path, BANGLA)
    report = CORPORA["banglaser"].check(tmp_path)
    everything = [*report.missing, *CORPORA["banglaser"].load(tmp_path).utterances.index]
    takes = [sum(id.endswith(f"-{speaker:02d}") for id in everything) for speaker in range(1, 35)]
    assert (report.expected, report.found, len(everything)) == (1467, 5, 1467)
    assert [speaker for speaker, n in enumerate(takes, 1) if n == 36] == [
        11,
        12,
        13,
        16,
        18,
        20,
        29,
    ]
    assert set(takes) == {36, 45}
    assert not report.extra


def test_hindi_is_complete_with_ten_sentences_of_each_speaker_session_and_emotion(tmp_path):
    report = CORPORA["hindi"].check(plant(tmp_path, HINDI))
    everything = [*report.missing, *CORPORA["hindi"].load(tmp_path).utterances.index]
    cells = {id.rsplit("-", 1)[0] for id in everything}
    assert (report.expected, report.found) == (2800, 8)
    assert len(everything) == 2800 == 10 * len(cells)


@pytest.mark.parametrize(("name", "files"), [("banglaser", BANGLA), ("hindi", HINDI)])
def test_every_label_has_its_place_among_the_eight(tmp_path, name, files):
    corpus = CORPORA[name].load(plant(tmp_path, files))
    harmonised = harmonise(corpus.labels, name, EKMAN_8)
    assert set(corpus.labels.idxmax(axis=1)) == set(corpus.scheme)
    assert harmonised["other"].sum() == 0
    assert harmonised.idxmax(axis=1).equals(corpus.labels.idxmax(axis=1))
