"""Corpora with the votes of known raters: Earkick and CREMA-D, and what all of them share."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from affekt.corpora import CORPORA, crema_d, earkick
from affekt.exceptions import CorpusError
from affekt.harmonise import harmonise
from affekt.scheme import EKMAN_7, EKMAN_8, MSP_IMPROV_5, MSP_PODCAST_9
from affekt.votes.shares import shares
from corpus_trees import numbers, rows, sound, write

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
