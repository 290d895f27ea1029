"""CMU-MOSEI."""

import json
import sys

import numpy as np
import pytest

from affekt.corpora import cmu_mosei
from affekt.exceptions import CorpusError
from corpus_trees import numbers, sound, write

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
