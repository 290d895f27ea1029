"""Folds, their rules and their files."""

import doctest
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from affekt import splits
from affekt.exceptions import SplitError
from affekt.splits import Split
from speaker_tables import utterances

FIVE = {"ann": 9, "bob": 7, "cid": 5, "dan": 5, "eve": 4}


def speakers_in(ids: tuple[str, ...]) -> set[str]:
    return {utterance.partition("_")[0] for utterance in ids}


# --- folds


def test_folds_by_speaker_test_every_utterance_once_and_never_share_a_speaker():
    table = utterances(FIVE)
    folds = splits.by_speaker(table, 3, seed=4)
    tested = [utterance for fold in folds for utterance in fold.test]
    assert sorted(tested) == sorted(table.index)
    for fold in folds:
        assert not speakers_in(fold.train) & speakers_in(fold.test)
        assert sorted(fold.train + fold.test) == sorted(table.index)
        assert splits.guard(fold, table) is None


@pytest.mark.parametrize("seed", range(5))
def test_folds_by_speaker_differ_by_no_more_than_the_utterances_of_one_speaker(seed):
    sizes = np.random.default_rng(seed).integers(1, 60, 20)
    counts = dict(zip("abcdefghijklmnopqrst", sizes.tolist(), strict=True))
    sizes = [len(fold.test) for fold in splits.by_speaker(utterances(counts), 4, seed=seed)]
    assert max(sizes) - min(sizes) <= max(counts.values())


def test_equal_speakers_are_dealt_evenly():
    counts = {f"actor{i:02d}": 6 for i in range(24)}
    folds = splits.by_speaker(utterances(counts), 6)
    assert [len(speakers_in(fold.test)) for fold in folds] == [4] * 6


def test_folds_by_speaker_depend_on_the_seed_alone_not_on_the_order_of_rows():
    counts = {f"actor{i:02d}": 6 for i in range(24)}
    table = utterances(counts)
    shuffled = table.sample(frac=1, random_state=0)
    plain, again, other = (
        [set(fold.test) for fold in splits.by_speaker(rows, 6, seed=seed)]
        for rows, seed in ((table, 1), (shuffled, 1), (table, 2))
    )
    assert plain == again
    assert plain != other


def test_the_seed_stands_in_the_name_of_every_fold():
    assert all("seed-17" in fold.name for fold in splits.by_speaker(utterances(FIVE), 2, seed=17))
    labels = pd.Series("anger", utterances(FIVE).index)
    assert "seed-17" in splits.stratified(utterances(FIVE), labels, seed=17)[0].name


@pytest.mark.parametrize("n_folds", [0, 1, 6])
def test_more_folds_than_speakers_or_fewer_than_two_are_refused(n_folds):
    with pytest.raises(SplitError, match=r"5 speakers; give n_folds \(--folds\) from 2 to 5"):
        splits.by_speaker(utterances(FIVE), n_folds)


@pytest.mark.parametrize("n_speakers", [2, 3, 5, 7])
def test_folds_by_speaker_are_five_or_as_many_as_there_are_speakers(n_speakers):
    table = utterances({f"s{number}": 2 for number in range(n_speakers)})
    folds = splits.named("by-speaker", table, pd.DataFrame())
    assert len(folds) == min(5, n_speakers)


@pytest.mark.parametrize("seed", range(5))
def test_a_fifth_of_the_speakers_is_held_out_whole(seed):
    table = utterances(FIVE | {"fay": 5, "gus": 6, "hal": 5, "ida": 7, "joe": 5})
    split = splits.held_out_speakers(table, seed=seed)
    assert not speakers_in(split.train) & speakers_in(split.test)
    assert len(speakers_in(split.test)) == 2
    assert sorted([*split.train, *split.test]) == sorted(table.index)
    two = splits.held_out_speakers(utterances({"ann": 3, "bob": 2}), seed=seed)
    assert len(speakers_in(two.test)) == 1


def test_of_one_speaker_none_is_held_out_and_an_unknown_one_is_refused():
    assert splits.held_out_speakers(utterances({"ann": 3})) is None
    with pytest.raises(SplitError, match="the speaker of 5 utterance"):
        splits.held_out_speakers(utterances({"ann": 3, "bob": 2}, speaker=None))


def test_one_speaker_makes_no_folds_whatever_their_number():
    with pytest.raises(SplitError, match=r"only one speaker \(ann\): nothing is left to train on"):
        splits.named("by-speaker", utterances({"ann": 4}), pd.DataFrame())


def test_unknown_speakers_are_named_and_refused():
    table = utterances(FIVE)
    table.loc[["ann_0", "bob_1"], "speaker"] = None
    with pytest.raises(SplitError, match=r"of 2 utterance\(s\) is unknown \(ann_0, bob_1\)"):
        splits.by_speaker(table, 2)


def test_leaving_one_speaker_out_tests_each_speaker_alone():
    folds = splits.leave_one_speaker_out(utterances(FIVE))
    assert [speakers_in(fold.test) for fold in folds] == [{name} for name in sorted(FIVE)]


def test_one_speaker_alone_cannot_be_left_out():
    with pytest.raises(SplitError, match="nothing is left to train on"):
        splits.leave_one_speaker_out(utterances({"ann": 3}))


def test_a_session_is_tested_whole():
    table = utterances(FIVE)
    table["session"] = table["speaker"].map({"ann": "1", "bob": "1"}).fillna("2")
    first, second = splits.by_session(table)
    assert speakers_in(first.test) == {"ann", "bob"}
    assert set(second.test) == set(first.train)
    with pytest.raises(SplitError, match="session of 30"):
        splits.by_session(table.assign(session=None))


def test_the_official_split_has_a_fold_for_each_test_set_and_leaves_development_out():
    table = utterances(FIVE)
    parts = {"ann": "Train", "bob": "test1", "cid": "Test2", "dan": "dev", "eve": None}
    table["split"] = table["speaker"].map(parts)
    first, second = splits.official(table)
    assert (first.name, speakers_in(first.train), speakers_in(first.test)) == (
        "official-test1", {"ann"}, {"bob"}
    )  # fmt: skip
    assert speakers_in(second.test) == {"cid"}


@pytest.mark.parametrize(("values", "said"), [
    (None, "its column 'split' is empty"),
    ("train", "no test rows"),
    ("fold 1", "says fold 1"),
    ("test", "train part is empty"),
])  # fmt: skip
def test_an_official_split_that_is_none_is_refused(values, said):
    with pytest.raises(SplitError, match=said):
        splits.official(utterances(FIVE, split=values))


def test_a_corpus_left_out_is_tested_whole_and_equal_codes_of_two_corpora_are_two_people():
    one = utterances({"01": 3, "02": 3}, corpus="here").rename(lambda u: f"here/{u}")
    two = utterances({"01": 2}, corpus="there").rename(lambda u: f"there/{u}")
    table = pd.concat([one, two])
    folds = splits.leave_one_corpus_out(table)
    assert [fold.name for fold in folds] == ["corpus-here", "corpus-there"]
    assert [len(fold.test) for fold in folds] == [6, 2]
    assert splits.guard(folds[0], table) is None
    with pytest.raises(SplitError, match="1 speaker"):
        splits.guard(folds[0], table.drop(columns="corpus"))


def test_speakers_that_already_carry_their_corpus_are_left_alone():
    table = utterances({"03": 1, "emodb/08": 1}, corpus="emodb")
    assert splits.speakers_of(table).tolist() == ["emodb/03", "emodb/08"]


def test_leaving_a_corpus_out_needs_corpora():
    with pytest.raises(SplitError, match="join corpora with concat"):
        splits.leave_one_corpus_out(utterances(FIVE))


def test_groups_of_speakers_are_tested_together_and_strangers_are_named():
    (fold,) = splits.from_groups(utterances(FIVE), {"pair": ["ann", "eve"]})
    assert speakers_in(fold.test) == {"ann", "eve"}
    with pytest.raises(SplitError, match="spoken by zoe"):
        splits.from_groups(utterances(FIVE), {"pair": ["ann", "zoe"]})


def test_a_stratified_fold_tests_a_quarter_of_every_label_whatever_the_row_order():
    table = utterances({"ann": 40, "bob": 80})
    labels = pd.Series(np.where(np.arange(120) % 3 == 0, "anger", "calm"), table.index)
    (fold,) = splits.stratified(table, labels)
    assert labels[list(fold.test)].value_counts().to_dict() == {"calm": 20, "anger": 10}
    (again,) = splits.stratified(table.iloc[::-1], labels.iloc[::-1])
    assert set(fold.test) == set(again.test)


def test_a_stratified_fold_leaves_the_unlabelled_out_and_refuses_odd_shares():
    table = utterances({"ann": 8})
    labels = pd.Series("calm", table.index[:4])
    (fold,) = splits.stratified(table, labels, test_share=0.5)
    assert set(fold.train) | set(fold.test) == set(table.index[:4])
    with pytest.raises(SplitError, match="between 0 and 1"):
        splits.stratified(table, labels, test_share=1.0)


def test_excluded_utterances_are_never_trained_on_but_tested():
    table = utterances(FIVE, excluded="")
    table.loc["ann_0", "excluded"] = "silent"
    folds = splits.leave_one_speaker_out(table)
    assert "ann_0" in folds[0].test
    assert not any("ann_0" in fold.train for fold in folds)


# --- the rules of a split


@pytest.mark.parametrize(("train", "test", "said"), [
    ((), ("a",), "the train part is empty"),
    (("a",), (), "the test part is empty"),
    (("a", "a"), ("b",), "names a more than once"),
    (("a", "b", "c"), ("c", "b"), r"2 utterance\(s\) are in train and in test \(b, c\)"),
])  # fmt: skip
def test_a_split_that_tests_what_it_trained_on_cannot_exist(train, test, said):
    with pytest.raises(SplitError, match=said):
        Split("x", train, test)


# --- files


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".jsonl", ".parquet"])
def test_stored_splits_come_back_as_they_were(tmp_path, ending):
    folds = splits.by_speaker(utterances(FIVE), 3, seed=2)
    splits.write(folds, tmp_path / f"folds{ending}")
    assert splits.read(tmp_path / f"folds{ending}") == folds


def test_ids_with_leading_zeros_survive_the_file(tmp_path):
    fold = Split("one", ("007",), ("08",))
    splits.write([fold], tmp_path / "s.csv")
    assert splits.read(tmp_path / "s.csv") == [fold]


@pytest.mark.parametrize(("text", "said"), [
    ("utterance,part\na,train\n", "no column fold"),
    ("utterance,fold,part\na,1,train\nb,1,dev\n", "not dev"),
    ("utterance,fold,part\na,1,train\n", "the test part is empty"),
    ("utterance,fold,part\na,1,train\na,1,test\n", "in train and in test"),
    ("utterance,fold,part\n,1,train\n", "without utterance or fold"),
    ("utterance,fold,part\n", "no rows"),
])  # fmt: skip
def test_a_file_that_is_no_split_is_refused_in_one_line(tmp_path, text, said):
    (tmp_path / "s.csv").write_text(text)
    with pytest.raises(SplitError, match=said) as caught:
        splits.read(tmp_path / "s.csv")
    assert "\n" not in str(caught.value)


def test_two_folds_of_one_name_are_not_written(tmp_path):
    fold = Split("one", ("a",), ("b",))
    with pytest.raises(SplitError, match="two folds are called one"):
        splits.write([fold, fold], tmp_path / "s.csv")


def test_the_page_about_splits_tells_the_truth():
    page = Path(__file__).parents[1] / "docs" / "splits.md"
    result = doctest.testfile(str(page), module_relative=False, encoding="utf-8")
    assert result.attempted > 5
    assert result.failed == 0
