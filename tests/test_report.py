"""The evaluation of any two label tables."""

import doctest
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as reference

from affekt.exceptions import TableError
from affekt.report import RESULTS_HEADER, evaluate, restrict
from affekt.scheme import Categories

LABELS = ("anger", "calm", "fear")


def table(rows, labels=LABELS):
    return pd.DataFrame.from_dict(rows, orient="index", columns=list(labels), dtype=float)


def hard(answers, labels=LABELS):
    return table({u: np.eye(len(labels))[labels.index(a)] for u, a in answers.items()}, labels)


@pytest.fixture
def big():
    """400 utterances of 20 speakers, soft predictions, right about two times in three."""
    rng = np.random.default_rng(3)
    ids = [f"u{i:03d}" for i in range(400)]
    t = rng.integers(3, size=400)
    logits = rng.normal(size=(400, 3)) + 1.3 * np.eye(3)[t]
    scores = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    truth = pd.DataFrame(np.eye(3)[t], ids, list(LABELS))
    speakers = pd.Series([f"s{i % 20:02d}" for i in range(400)], ids)
    return truth, pd.DataFrame(scores, ids, list(LABELS)), speakers


def test_the_measures_equal_scikit_learn(big):
    truth, prediction, speakers = big
    t, p = truth.to_numpy().argmax(1), prediction.to_numpy().argmax(1)
    report = evaluate(truth, prediction, speakers=speakers, n_resamples=50)
    assert report.accuracy.value == pytest.approx(reference.accuracy_score(t, p))
    uar = reference.balanced_accuracy_score(t, p)
    assert report.unweighted_average_recall.value == pytest.approx(uar)
    assert report.macro_f1.value == pytest.approx(reference.f1_score(t, p, average="macro"))
    assert report.cross_entropy == pytest.approx(reference.log_loss(t, prediction.to_numpy()))
    np.testing.assert_array_equal(report.confusion, reference.confusion_matrix(t, p))
    precision, recall, f1, support = reference.precision_recall_fscore_support(t, p)
    expected = np.stack([recall, precision, f1, support], axis=1)
    np.testing.assert_allclose(report.per_class.to_numpy(), expected)


def test_rows_are_joined_by_id_and_columns_by_label_never_by_position(big):
    truth, prediction, speakers = big
    straight = evaluate(truth, prediction, speakers=speakers, n_resamples=50)
    shuffled = prediction.sample(frac=1, random_state=1)[["fear", "anger", "calm"]]
    turned = evaluate(
        truth, shuffled, speakers=speakers.sample(frac=1, random_state=2), n_resamples=50
    )
    assert straight.to_dict() == turned.to_dict()


def test_intervals_hold_the_value_and_resample_speakers(big):
    truth, prediction, speakers = big
    report = evaluate(truth, prediction, speakers=speakers)
    assert report.interval_by == "speaker"
    assert report.n_speakers == 20
    for estimate in report.estimates.values():
        assert estimate.low < estimate.value < estimate.high
        assert 0.02 < estimate.high - estimate.low < 0.2


def test_speakers_who_are_all_alike_inside_widen_the_interval():
    right = {f"{s}{i}": "calm" if s < "f" else "anger" for s in "abcdefghij" for i in range(30)}
    truth = hard(dict.fromkeys(right, "calm"))
    speakers = pd.Series({u: u[0] for u in right})
    by_speaker = evaluate(truth, hard(right), speakers=speakers).accuracy
    by_utterance = evaluate(truth, hard(right)).accuracy
    assert by_speaker.high - by_speaker.low > 4 * (by_utterance.high - by_utterance.low)


@pytest.mark.parametrize(("speakers", "said"), [
    (None, "speakers are not known"),
    ({"a": "x", "b": "x", "c": "y"}, "2 speakers are too few"),
    ({"z": "x"}, "speakers are not known"),
])  # fmt: skip
def test_without_three_speakers_the_interval_is_by_utterance_and_a_note_says_so(speakers, said):
    truth = hard({"a": "calm", "b": "fear", "c": "calm"})
    known = None if speakers is None else pd.Series(speakers)
    report = evaluate(truth, truth, speakers=known)
    assert report.interval_by == "utterance"
    assert any(said in note for note in report.notes)


def test_utterances_of_unknown_speakers_stand_alone_and_a_note_counts_them(big):
    truth, prediction, speakers = big
    speakers = speakers.where(speakers != "s03", None)
    report = evaluate(truth, prediction, speakers=speakers, n_resamples=50)
    assert report.n_speakers == 19
    assert any(note.startswith("20 utterance(s) of unknown speakers") for note in report.notes)


def test_ids_that_are_numbers_join_and_a_second_speaker_for_one_is_refused():
    truth = hard({1: "calm", 2: "fear", 3: "calm"})
    speakers = pd.Series(["x", "y", "z"], [1, 2, 3])
    assert evaluate(truth, truth, speakers=speakers).n_speakers == 3
    with pytest.raises(TableError, match="utterance '3' has more than one speaker"):
        evaluate(truth, truth, speakers=pd.concat([speakers, speakers[2:]]))


def test_ids_missing_on_either_side_are_named():
    truth = hard({"a": "calm", "b": "fear", "c": "calm"})
    with pytest.raises(TableError, match=r"1 utterance\(s\) without prediction: b; .*--common"):
        evaluate(truth, truth.loc[["a", "c"]])
    with pytest.raises(TableError, match=r"1 utterance\(s\) without truth: b"):
        evaluate(truth.loc[["a", "c"]], truth)


def test_the_common_utterances_are_compared_when_asked_and_the_note_counts():
    truth = hard({"a": "calm", "b": "fear", "c": "calm"})
    report = evaluate(truth.loc[["a", "b"]], truth.loc[["b", "c"]], common=True)
    assert report.n == 1
    assert any("on the 1 utterances that both tables have" in note for note in report.notes)


def test_tables_without_a_common_id_are_refused_even_then():
    with pytest.raises(TableError, match="no utterance in common"):
        evaluate(hard({"a": "calm"}), hard({"b": "calm"}), common=True)


def test_a_truth_that_ties_is_no_answer_and_never_the_first_in_the_alphabet():
    truth = table({"a": [0.5, 0.5, 0], "b": [0, 0.4, 0.6]})
    prediction = table({"a": [1, 0, 0], "b": [0, 0, 1]})
    report = evaluate(truth, prediction)
    assert (report.n, report.n_hard) == (2, 1)
    assert report.confusion.sum() == 1
    assert any(note.startswith("1 utterance(s) whose truth ties") for note in report.notes)
    with pytest.raises(TableError, match="no right answer"):
        evaluate(truth.loc[["a"]], prediction.loc[["a"]])


def test_soft_truth_counts_whole_in_cross_entropy_and_brier_score():
    truth = table({"a": [0.5, 0.5, 0], "b": [0, 0.4, 0.6]})
    report = evaluate(truth, truth)
    entropy = (np.log(2) - 0.4 * np.log(0.4) - 0.6 * np.log(0.6)) / 2
    assert report.cross_entropy == pytest.approx(entropy)
    assert report.brier == 0


def test_a_prediction_that_ties_is_noted():
    truth = hard({"a": "calm", "b": "fear"})
    report = evaluate(truth, table({"a": [0.4, 0.4, 0.2], "b": [0, 0, 1]}))
    assert any(note.startswith("1 prediction(s) tie") for note in report.notes)


def test_hard_predictions_have_no_confidence_so_none_is_reported():
    truth = hard({"a": "calm", "b": "fear"})
    report = evaluate(truth, truth)
    assert report.cross_entropy is report.brier is report.calibration_error is None
    assert "cross-entropy" not in report.to_markdown()


def test_a_constant_prediction_is_called_collapsed():
    truth = hard({"a": "calm", "b": "fear", "c": "anger"})
    report = evaluate(truth, table({u: [0.2, 0.5, 0.3] for u in "abc"}))
    assert report.constant == "calm"
    assert any("COLLAPSED" in note and "calm" in note for note in report.notes)
    assert report.unweighted_average_recall.value == pytest.approx(1 / 3)
    assert evaluate(truth, truth).constant is None


def test_the_majority_baseline_is_the_training_datas_where_that_is_given():
    truth = hard({"a": "calm", "b": "calm", "c": "calm", "d": "fear"})
    own = evaluate(truth, truth)
    assert (own.majority_label, own.accuracy.majority) == ("calm", 0.75)
    assert own.unweighted_average_recall.majority == 0.5
    assert any("of the truth itself" in note for note in own.notes)
    trained = evaluate(truth, truth, training_labels=hard({"x": "fear", "y": "fear", "z": "calm"}))
    assert (trained.majority_label, trained.accuracy.majority) == ("fear", 0.25)
    assert any("of the training data" in note for note in trained.notes)


def test_labels_of_only_one_table_join_in_a_stable_order_with_a_note():
    truth = hard({"a": "fear", "b": "calm"}, ("fear", "calm"))
    prediction = hard({"a": "joy", "b": "calm"}, ("joy", "calm"))
    report = evaluate(truth, prediction)
    assert report.labels == ("fear", "calm", "joy")
    assert report.unweighted_average_recall.value == 0.5  # joy is not in the mean, but an error
    assert "only the prediction knows: joy" in report.notes
    assert any("never answers" in note and "fear" in note for note in report.notes)


def test_a_scheme_sets_the_order_and_refuses_labels_it_does_not_have():
    truth = hard({"a": "fear", "b": "calm"}, ("fear", "calm"))
    report = evaluate(truth, truth, categories=Categories("abc", LABELS))
    assert report.labels == LABELS
    with pytest.raises(TableError, match="'two' does not have fear"):
        evaluate(truth, truth, categories=Categories("two", ("calm", "joy")))


def test_restricting_bans_labels_and_leaves_their_utterances_out():
    truth = hard({"a": "calm", "b": "fear", "c": "anger"})
    prediction = table({"a": [0.5, 0.3, 0.2], "b": [0, 0, 1], "c": [0.2, 0.2, 0.6]})
    kept, banned, note = restrict(truth, prediction, ["calm", "fear"])
    assert kept.index.tolist() == banned.index.tolist() == ["a", "b"]
    assert banned.loc["a"].tolist() == [0.6, 0.4]
    assert "1 utterance(s) of other labels left out" in note
    assert evaluate(kept, banned).accuracy.value == 1.0


def test_restricting_to_a_label_the_prediction_lacks_is_refused():
    with pytest.raises(TableError, match="'joy'; choose from anger, calm, fear"):
        restrict(hard({"a": "calm"}), hard({"a": "calm"}), ["calm", "joy"])


def test_folds_are_told_apart_from_the_pool():
    ids = list("abcd")
    truth = hard(dict(zip(ids, ["calm", "fear", "calm", "calm"], strict=True)))
    prediction = hard(dict(zip(ids, ["calm", "calm", "calm", "calm"], strict=True)))
    folds = pd.Series([1, 1, 1, 2], ids)
    report = evaluate(truth, prediction, folds=folds)
    assert report.folds is not None
    assert report.folds["n"].to_dict() == {"1": 3, "2": 1}
    assert report.folds["accuracy"].tolist() == pytest.approx([2 / 3, 1])
    assert report.accuracy.value == 0.75
    assert report.to_dict()["mean_of_folds"]["accuracy"] == pytest.approx(5 / 6)
    page = report.to_markdown()
    assert "accuracy (pooled)" in page
    assert "| accuracy (mean of folds) | .833 |" in page
    with pytest.raises(TableError, match=r"1 utterance\(s\) have no fold, 'd'"):
        evaluate(truth, prediction, folds=folds.drop("d"))


def test_what_the_guard_said_is_the_very_first_line(big):
    truth, prediction, speakers = big
    report = evaluate(truth, prediction, speakers=speakers, notes=["NOT SPEAKER-DISJOINT: x"])
    assert report.to_markdown().splitlines()[0] == "> NOT SPEAKER-DISJOINT: x"
    assert report.to_dict()["notes"][0] == "NOT SPEAKER-DISJOINT: x"


def test_the_report_is_valid_json_with_null_for_what_is_undefined(tmp_path, big):
    truth, prediction, speakers = big
    prediction = prediction.assign(joy=0.0)
    report = evaluate(truth, prediction, speakers=speakers, folds=speakers.str[1])
    report.write(tmp_path / "out", prediction)
    read = json.loads((tmp_path / "out" / "report.json").read_text())
    assert read == report.to_dict()
    assert read["per_class"]["joy"]["recall"] is None
    assert read["measures"]["accuracy"]["value"] == report.accuracy.value
    assert (tmp_path / "out" / "report.md").read_text() == report.to_markdown()
    written = pd.read_csv(tmp_path / "out" / "predictions.csv")
    np.testing.assert_array_equal(written[list(LABELS)], prediction[list(LABELS)])
    assert written["utterance"].tolist() == prediction.index.tolist()


def test_the_page_and_the_row_say_what_there_is():
    truth = hard({"a": "calm", "b": "calm", "c": "fear", "d": "fear"})
    prediction = hard({"a": "calm", "b": "calm", "c": "fear", "d": "calm"})
    report = evaluate(truth, prediction, speakers=pd.Series(dict(zip("abcd", "wxyz", strict=True))))
    page = report.to_markdown()
    assert "| accuracy | .750 |" in page
    assert "| calm | 1.000 | .667 | .800 | 2 |" in page
    assert "| fear | 0 | 1 | 1 |" in page
    row = report.results_row("two | words", "5 folds", "affekt run x")
    assert row.startswith("| two \\| words | 5 folds | 4 | .750 [")
    assert row.endswith(".500 / .500 / .333 | `affekt run x` |")
    assert row.replace("\\|", "").count("|") == RESULTS_HEADER.splitlines()[0].count("|")


def test_the_row_says_where_speakers_are_shared():
    truth = hard({"a": "calm", "b": "fear"})
    warned = evaluate(truth, truth, notes=["NOT SPEAKER-DISJOINT, the scores do not hold: x."])
    assert "| NOT SPEAKER-DISJOINT: 5 folds |" in warned.results_row("w", "5 folds", "affekt run")
    assert "DISJOINT" not in evaluate(truth, truth).results_row("w", "5 folds", "affekt run")


def test_a_table_that_breaks_its_contract_is_refused():
    with pytest.raises(TableError, match="does not sum to 1"):
        evaluate(hard({"a": "calm"}), table({"a": [0.5, 0.1, 0]}))


def test_the_page_about_evaluation_tells_the_truth():
    page = Path(__file__).parents[1] / "docs" / "evaluation.md"
    result = doctest.testfile(
        str(page), module_relative=False, optionflags=doctest.ELLIPSIS, encoding="utf-8"
    )
    assert result.attempted > 5
    assert result.failed == 0
