"""IEMOCAP on small trees in the official layout; what is said and answered in them is made up."""

import numpy as np
import pandas as pd
import pytest
import soundfile

from affekt import audio
from affekt.corpora import CORPORA, iemocap
from affekt.exceptions import CorpusError
from affekt.harmonise import harmonise
from affekt.scheme import EKMAN_8, IEMOCAP_4
from affekt.splits import by_session
from affekt.votes.shares import shares
from corpus_trees import TONE
from corpus_trees import plant as plant_sounds

EVALUATION = """% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]

[6.2901 - 8.2357]\tSes03F_impro01_F000\tneu\t[2.5000, 2.5000, 2.5000]
C-E2:\tNeutral state;\t()
C-E3:\tNeutral; Sadness;\t(tired; or bored)
C-E4:\tExcited;\t()
C-F1:\tFrustration;\t(annoyed)
A-E3:\tval 3; act 2; dom  2;\t()
A-E4:\tval 2; act 3; dom  ;\t()
A-F1:\tval 1; act 5; dom  1;\t()

[10.0100 - 11.3925]\tSes03F_impro01_M003\txxx\t[4.0000, 3.5000, 3.0000]
C-E2:\tHappiness;\t()
C-E3:\tSurprise;\t()
C-E4:\tOther;\t(relieved)
C-M1:\tHappiness;\t()
A-E3:\tval 4; act 3;\t()

"""
SAID = """Ses03F_impro01_F000 [006.2901-008.2357]: Excuse me?
Ses03F_impro01_MXX0 [007.0000-007.5000]: Mm.
Ses03F_impro01_M003 [010.0100-011.3925]: You are [LAUGHTER] late.
"""
TURNS = ["Ses03F_impro01_F000", "Ses03F_impro01_M003"]


def plant(root, text=EVALUATION, *, sound=True):
    dialog = root / "Session3" / "dialog"
    (dialog / "EmoEvaluation" / "Categorical").mkdir(parents=True)
    (dialog / "EmoEvaluation" / "Categorical" / "Ses03F_impro01_e2_cat.txt").write_text(
        "Ses03F_impro01_F000 :Anger; ()\n"
    )
    (dialog / "EmoEvaluation" / "Ses03F_impro01.txt").write_text(text, encoding="utf-8")
    (dialog / "transcriptions").mkdir()
    (dialog / "transcriptions" / "Ses03F_impro01.txt").write_text(SAID)
    if sound:
        (dialog / "wav").mkdir()
        audio.write(dialog / "wav" / "Ses03F_impro01.wav", TONE)  # the whole dialogue
        folder = root / "Session3" / "sentences" / "wav" / "Ses03F_impro01"
        folder.mkdir(parents=True)
        for turn in TURNS:
            audio.write(folder / f"{turn}.wav", TONE)
    return root


def test_turns_have_the_majority_as_label_and_their_own_speaker(tmp_path):
    corpus = iemocap.load(plant(tmp_path))
    table = corpus.utterances
    assert table.index.tolist() == TURNS
    assert table["speaker"].tolist() == ["Ses03F", "Ses03M"]  # not who wears the markers
    assert table["sex"].tolist() == ["female", "male"]
    assert table["session"].tolist() == ["Ses03", "Ses03"]
    assert table["text"].tolist() == ["Excuse me?", "You are [LAUGHTER] late."]
    assert table["duration"].tolist() == pytest.approx([1.9456, 1.3825])
    assert table["start"].isna().all()  # a turn is a file of its own
    assert table["consensus"].tolist() == ["neu", "xxx"]
    assert table.loc[TURNS[1], ["valence", "arousal", "dominance"]].tolist() == [4.0, 3.5, 3.0]
    assert corpus.labels.idxmax(axis=1).to_dict() == {TURNS[0]: "neutral"}
    assert all(corpus.path(turn).is_file() for turn in TURNS)
    assert "ignored" not in corpus.card


def test_each_evaluator_votes_and_may_vote_several_times(tmp_path):
    votes = iemocap.load(plant(tmp_path)).votes
    assert list(votes.itertuples(index=False, name=None)) == [
        (TURNS[0], "E2", "neutral"),
        (TURNS[0], "E3", "neutral"),
        (TURNS[0], "E3", "sadness"),
        (TURNS[0], "E4", "excitement"),
        (TURNS[1], "E2", "happiness"),
        (TURNS[1], "E3", "surprise"),
        (TURNS[1], "E4", "other"),
    ]
    once = iemocap.load(tmp_path, several="drop").votes
    assert not once.duplicated(["utterance", "rater"]).any()
    assert len(once) == len(votes) - 2


def test_the_actors_own_reports_are_apart_and_bear_the_speakers_names(tmp_path):
    plant(tmp_path)
    actors = iemocap.load(tmp_path, raters="actors")
    assert actors.votes["rater"].tolist() == ["Ses03F", "Ses03M"]
    assert actors.votes["label"].tolist() == ["frustration", "happiness"]
    assert set(actors.ratings["rater"]) == {"Ses03F"}
    everyone = iemocap.load(tmp_path, raters="all")
    assert len(everyone.votes) == 7 + 2
    with pytest.raises(CorpusError, match="raters must be one of evaluators, actors, all"):
        iemocap.load(tmp_path, raters="experts")
    with pytest.raises(CorpusError, match="several must be keep or drop, not 'first'"):
        iemocap.load(tmp_path, several="first")


def test_ratings_know_two_blanks_and_a_dominance_that_was_not_given(tmp_path):
    ratings = iemocap.load(plant(tmp_path)).ratings
    known = ratings.set_index(["utterance", "rater", "dimension"])["value"].to_dict()
    assert known == {
        (TURNS[0], "E3", "valence"): 3,
        (TURNS[0], "E3", "arousal"): 2,
        (TURNS[0], "E3", "dominance"): 2,
        (TURNS[0], "E4", "valence"): 2,
        (TURNS[0], "E4", "arousal"): 3,
        (TURNS[1], "E3", "valence"): 4,
        (TURNS[1], "E3", "arousal"): 3,
    }


def test_without_recordings_the_labels_can_still_be_worked_on(tmp_path):
    corpus = iemocap.load(plant(tmp_path, sound=False))
    assert corpus.utterances["excluded"].tolist() == ["no recording"] * 2
    file = "Session3/sentences/wav/Ses03F_impro01/Ses03F_impro01_F000.wav"
    assert corpus.utterances["file"].iloc[0] == file
    soft = shares(corpus.votes, corpus.scheme, duplicates="keep")
    relabelled = corpus.relabel(soft, corpus.scheme)  # xxx is labelled by its votes
    assert relabelled.labels.loc[TURNS[1], ["happiness", "surprise", "other"]].tolist() == (
        pytest.approx([1 / 3] * 3)
    )
    assert iemocap.check(tmp_path).missing[-2:] == TURNS


def test_a_folder_above_another_ending_and_a_second_copy_make_no_difference(tmp_path):
    plant(tmp_path / "a" / "IEMOCAP_full_release")
    plant(tmp_path / "a" / "more" / "copy", sound=False)
    for path in (tmp_path / "a").rglob("*_F000.wav"):
        path.rename(path.with_name(path.name.lower()).with_suffix(".FLAC"))
    corpus = iemocap.load(tmp_path)
    assert corpus.utterances.index.tolist() == TURNS
    assert len(corpus.votes) == 7
    assert corpus.utterances["excluded"].tolist() == ["", ""]
    assert corpus.utterances["file"].iloc[0].endswith("ses03f_impro01_f000.FLAC")


def test_check_counts_the_turns_of_each_session_and_names_those_without_sound(tmp_path):
    plant(tmp_path)
    stray = tmp_path / "Session3" / "sentences" / "wav" / "Ses03F_impro01" / "Ses03F_x_F001.wav"
    audio.write(stray, TONE)
    (tmp_path / "Session3/sentences/wav/Ses03F_impro01" / f"{TURNS[1]}.wav").write_bytes(b"")
    (tmp_path / "Session3/sentences/wav/Ses03F_impro01" / f"{TURNS[0]}.wav").unlink()
    report = iemocap.check(tmp_path)
    assert (report.expected, report.found) == (10_039, 1)
    assert report.missing[2] == "2134 of 2136 turns of Ses03 are in no EmoEvaluation file"
    assert report.missing[-1] == TURNS[0]
    assert report.extra == [f"{stray.relative_to(tmp_path)}: not in the corpus' tables"]
    assert report.problems == [
        f"Session3/sentences/wav/Ses03F_impro01/{TURNS[1]}.wav: an empty file"
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Ses03F_impro01.txt: an empty file"),
        ("hello\n", "no turn in it; an EmoEvaluation file has lines"),
        (EVALUATION[: EVALUATION.index("[2.5000") + 9], r"line 3: does not read as \[start - end"),
        (EVALUATION[: EVALUATION.index("act 2") + 3], "line 8: does not read as an evaluator's"),
        (EVALUATION.replace("Excited;", "Excit"), "line 6: does not read as an evaluator's"),
        (EVALUATION.replace("Excited;", "Bemused;"), "line 6: 'Bemused' is no emotion of the"),
        (EVALUATION.replace("\tneu\t", "\tnew\t"), "line 3: code 'new' is not one of ang, hap"),
        (EVALUATION.replace("[2.5000, 2.5000, ", "[2.5000, "), "line 3: times or the three means"),
        (EVALUATION.replace("_M003", "_F000"), "line 12: a second block of Ses03F_impro01_F000"),
        (EVALUATION[EVALUATION.index("C-E2") :], "line 1: does not read as an evaluator's answer"),
        ("version https://git-lfs.github.com/spec/v1\n", "is a git-lfs|a git-lfs pointer"),
    ],
)
def test_cut_and_foreign_evaluations_are_refused_with_the_line(tmp_path, text, message):
    with pytest.raises(CorpusError, match=message) as found:
        iemocap.load(plant(tmp_path, text, sound=False))
    assert "\n" not in str(found.value)


def test_a_tree_of_something_else_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("none")
    for verb in (iemocap.load, iemocap.check):
        with pytest.raises(CorpusError, match=r"no Session1/dialog/EmoEvaluation/Ses….txt below"):
            verb(tmp_path)
        with pytest.raises(CorpusError, match="nowhere: no such folder"):
            verb(tmp_path / "nowhere")


def test_old_files_in_another_encoding_are_read(tmp_path):
    plant(tmp_path)
    path = tmp_path / "Session3" / "dialog" / "EmoEvaluation" / "Ses03F_impro01.txt"
    path.write_bytes(EVALUATION.replace("annoyed", "blasé").encode("cp1252"))
    assert len(iemocap.load(tmp_path).votes) == 7


def test_its_labels_have_a_place_among_the_eight_and_its_sessions_make_folds(tmp_path):
    corpus = CORPORA["iemocap"].load(plant(tmp_path))
    every = pd.DataFrame(np.eye(len(corpus.scheme)), columns=list(corpus.scheme))
    table = harmonise(every, corpus.name, EKMAN_8)
    assert table.sum(axis=1).tolist() == pytest.approx([1.0] * len(corpus.scheme))
    assert corpus.scheme.labels == tuple(iemocap.CODES.values())
    second = corpus.utterances.assign(session=["Ses03", "Ses04"])
    assert len(by_session(second)) == 2


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
        plant_sounds(folder.parent / "sentences" / "wav" / dialog, turns)
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
