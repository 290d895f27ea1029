"""Folds, their files, the audit and the guard."""

import doctest
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from affekt import audio, splits
from affekt.corpora import CORPORA
from affekt.exceptions import SplitError, TableError
from affekt.splits import Split


def utterances(counts: dict[str, int], **columns: object) -> pd.DataFrame:
    """A table of so many utterances a speaker."""
    rows = [(f"{s}_{i}", f"{s}/{s}_{i}.wav", s) for s, n in counts.items() for i in range(n)]
    table = pd.DataFrame(rows, columns=["utterance", "file", "speaker"]).set_index("utterance")
    return table.assign(**columns)


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


# --- EmoBox lists


def emobox_list(path, rows):
    lines = ["key,file,emotion,seconds,test_fold", *(f"k-{f},{f},anger,1.0,{k}" for f, k in rows)]
    path.write_text("\n".join(lines) + "\n")
    return path


def corpus_of(*files: str) -> pd.DataFrame:
    return pd.DataFrame({"file": files, "speaker": "x"}, index=[f"u{i}" for i in range(len(files))])


def test_rows_match_files_whatever_folder_ending_and_letter_case(tmp_path):
    listed = emobox_list(tmp_path / "c.csv", [("wav/03a01Wa.wav", 1), ("wav/03a02Wb.wav", "")])
    table = corpus_of("elsewhere/03A01WA.FLAC", "03a02wb.ogg")
    assert splits.emobox(table, listed) == [Split("emobox-c-fold-1", ("u1",), ("u0",))]


def test_equal_names_in_different_folders_are_told_apart_by_the_folders(tmp_path):
    rows = [("wang/neutral/1.wav", 1), ("wang/angry/1.wav", 2), ("liu/angry/1.wav", "1 2")]
    table = corpus_of("root/liu/angry/1.flac", "root/wang/angry/1.flac", "root/wang/neutral/1.flac")
    first, second = splits.emobox(table, emobox_list(tmp_path / "c.csv", rows))
    assert (first.test, second.test) == (("u0", "u2"), ("u0", "u1"))


def test_a_row_of_another_folder_does_not_take_a_recording_that_has_its_own_row(tmp_path):
    rows = [("wang/neutral/1.wav", 1), ("liu/neutral/1.wav", 2), ("liu/neutral/2.wav", "")]
    listed = emobox_list(tmp_path / "c.csv", rows)
    table = corpus_of("wang/neutral/1.flac", "liu/neutral/2.flac")
    with pytest.raises(SplitError, match=r"1 of its rows have no utterance \(liu/neutral/1.wav\)"):
        splits.emobox(table, listed)


def test_ids_that_are_keys_match_where_several_utterances_share_a_file(tmp_path):
    listed = tmp_path / "pavoque.csv"
    listed.write_text(
        "key,file,emotion,seconds,test_fold\n"
        "pavoque-p-1,p.flac,anger,1,1\npavoque-p-2,p.flac,anger,1,\n"
    )
    table = pd.DataFrame({"file": ["p.flac"] * 2}, index=["p-1", "pavoque-p-2"])
    (fold,) = splits.emobox(table, listed)
    assert (fold.train, fold.test) == (("pavoque-p-2",), ("p-1",))


def test_an_id_put_right_by_its_loader_matches_the_list_though_the_file_is_misspelt(tmp_path):
    listed = emobox_list(tmp_path / "c.csv", [("OAF_bite.wav", 1), ("OAF_cat.wav", "")])
    table = pd.DataFrame({"file": ["x/OA_bite.ogg", "x/OAF_cat.ogg"]}, ["OAF_bite", "OAF_cat"])
    (fold,) = splits.emobox(table, listed)
    assert fold.test == ("OAF_bite",)


def test_rows_and_utterances_without_counterpart_are_counted_named_and_refused(tmp_path):
    listed = emobox_list(tmp_path / "c.csv", [(f"{i}.wav", i % 2 + 1) for i in range(9)])
    table = corpus_of("0.wav", "1.wav", "new.wav")
    said = r"7 of its rows have no utterance \(2.wav, .* and 2 more\) and 1 .* no row \(u2\)"
    with pytest.raises(SplitError, match=said):
        splits.emobox(table, listed)
    folds = splits.emobox(table, listed, allow_missing=True)
    assert [(fold.train, fold.test) for fold in folds] == [(("u1",), ("u0",)), (("u0",), ("u1",))]


def test_a_list_that_is_none_is_refused(tmp_path):
    with pytest.raises(TableError, match="no such file"):
        splits.emobox(corpus_of("a.wav"), tmp_path / "none.csv")
    (tmp_path / "odd.csv").write_text("file,emotion\na.wav,anger\n")
    with pytest.raises(TableError, match="no column key, test_fold"):
        splits.emobox(corpus_of("a.wav"), tmp_path / "odd.csv")
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(TableError, match="cannot be read"):
        splits.emobox(corpus_of("a.wav"), tmp_path / "empty.csv")


# --- audit and guard


def test_the_audit_counts_what_stands_on_both_sides():
    table = utterances({"ann": 2, "bob": 2, "cid": 1})
    table["text"] = ["Hello  there", "x", "hello there", "y", "z"]
    split = Split("s", ("ann_0", "bob_0"), ("ann_1", "bob_1", "cid_0"))
    prints = {"ann_0": "f", "ann_1": "g", "bob_0": "g", "bob_1": "h", "cid_0": "f"}
    found = splits.audit(split, table, prints)
    assert found.shared_speakers.to_dict("index") == {
        "ann": {"n_train": 1, "n_test": 1}, "bob": {"n_train": 1, "n_test": 1}
    }  # fmt: skip
    assert found.shared_audio is not None
    assert found.shared_audio.to_dict("index") == {
        "f": {"train": "ann_0", "test": "cid_0"}, "g": {"train": "bob_0", "test": "ann_1"}
    }  # fmt: skip
    assert len(found.shared_texts) == 0
    row = splits.leak_table([found]).iloc[0].to_dict()
    assert row == {
        "fold": "s", "n_train": 2, "n_test": 3, "shared_speakers": 2, "unknown_speakers": 0,
        "shared_audio": 2, "shared_texts": 0,
    }  # fmt: skip


def test_texts_are_compared_without_case_and_spaces_and_are_no_leak():
    table = utterances({"ann": 1, "bob": 1}, text=["Hello  there", "hello THERE"])
    split = Split("s", ("ann_0",), ("bob_0",))
    found = splits.audit(split, table)
    assert found.shared_texts.index.tolist() == ["hello there"]
    assert found.leaks() == ()
    assert splits.guard(split, table) is None


def test_audio_that_was_not_compared_is_not_called_clean():
    split = Split("s", ("ann_0",), ("bob_0",))
    row = splits.audit(split, utterances({"ann": 1, "bob": 1})).table()
    assert row["shared_audio"].isna().all()


def test_shared_speakers_are_refused_and_five_of_them_named():
    table = utterances(dict.fromkeys("abcdefgh", 2))
    split = Split("s", tuple(f"{c}_0" for c in "abcdefgh"), tuple(f"{c}_1" for c in "abcdefgh"))
    with pytest.raises(SplitError) as caught:
        splits.guard(split, table)
    message = str(caught.value)
    assert "8 speaker(s) are in train and in test (a, b, c, d, e and 3 more)" in message
    assert "--allow-shared-speakers" in message
    assert "\n" not in message


def test_allowed_shared_speakers_give_the_sentence_for_the_report():
    table = utterances({"ann": 2})
    sentence = splits.guard(Split("s", ("ann_0",), ("ann_1",)), table, allow_shared_speakers=True)
    assert sentence is not None
    assert re.match(r"NOT SPEAKER-DISJOINT.*1 speaker\(s\).*ann", sentence)


def test_identical_audio_is_refused_by_name_even_when_speakers_differ():
    table = utterances({"ann": 1, "bob": 1})
    split = Split("s", ("ann_0",), ("bob_0",))
    with pytest.raises(SplitError, match=r"1 recording\(s\).*\(ann_0 = bob_0\)"):
        splits.guard(split, table, fingerprints={"ann_0": "f", "bob_0": "f"})
    assert splits.guard(split, table, fingerprints={"ann_0": "f", "bob_0": "g"}) is None


def test_unknown_speakers_cannot_be_proved_disjoint_and_are_refused():
    table = utterances({"ann": 1, "bob": 1})
    table.loc["bob_0", "speaker"] = None
    split = Split("s", ("ann_0",), ("bob_0",))
    with pytest.raises(SplitError, match=r"speaker of 1 utterance\(s\) is unknown \(bob_0\)"):
        splits.guard(split, table)
    assert splits.guard(split, table, allow_shared_speakers=True) is not None


def test_an_unknown_speaker_of_another_corpus_is_somebody_else():
    table = utterances({"ann": 1, "bob": 1}, corpus=["here", "there"])
    table.loc["bob_0", "speaker"] = None
    assert splits.guard(Split("s", ("ann_0",), ("bob_0",)), table) is None


def test_ids_the_table_or_the_fingerprints_lack_are_named():
    split = Split("s", ("ann_0",), ("gone",))
    with pytest.raises(SplitError, match=r"1 test utterance\(s\) are not in the table \(gone\)"):
        splits.audit(split, utterances({"ann": 1}))
    split = Split("s", ("ann_0",), ("ann_1",))
    with pytest.raises(SplitError, match=r"no fingerprint \(ann_1\)"):
        splits.audit(split, utterances({"ann": 2}), {"ann_0": "f"})


# --- real corpora and the EmoBox lists that belong to them


def real(root, speaker_of, pattern="*.*") -> pd.DataFrame:
    files = sorted(p for p in root.rglob(pattern) if p.suffix in (".flac", ".ogg"))
    table = pd.DataFrame({"file": [str(p.relative_to(root)) for p in files]})
    table.index = pd.Index([p.stem for p in files], name="utterance")
    return table.assign(speaker=[speaker_of(p.stem) for p in files])


def test_ravdess_in_emobox_is_six_folds_of_four_actors_without_a_leak(shared):
    table = real(shared / "corpora" / "ravdess", lambda stem: stem[-2:])
    folds = splits.emobox(table, shared / "splits" / "ravdess.csv")
    assert len(folds) == 6
    assert all(len(fold.test) == 240 for fold in folds)
    assert all(splits.guard(fold, table) is None for fold in folds)
    assert all(table.loc[list(fold.test), "speaker"].nunique() == 4 for fold in folds)


def test_crema_d_in_emobox_shares_its_actors_and_is_refused(shared):
    table = real(shared / "corpora" / "crema-d", lambda stem: stem[:4])
    (fold,) = splits.emobox(table, shared / "splits" / "cremad.csv")
    assert (len(fold.train), len(fold.test)) == (5586, 1856)
    with pytest.raises(SplitError, match=r"91 speaker\(s\) are in train and in test \(1001"):
        splits.guard(fold, table)


def test_emodb_lacks_41_files_of_the_emobox_list_and_says_so(shared):
    table = real(shared / "corpora" / "emodb", lambda stem: stem[:2])
    with pytest.raises(SplitError, match="41 of its rows have no utterance"):
        splits.emobox(table, shared / "splits" / "emodb.csv")
    folds = splits.emobox(table, shared / "splits" / "emodb.csv", allow_missing=True)
    assert sum(len(fold.test) for fold in folds) == 494


@pytest.mark.parametrize(("name", "n"), [("tess", 700), ("urdu", 100), ("emovo", 588)])
def test_other_lists_match_their_corpora_completely(shared, name, n):
    table = CORPORA[name].load(shared / "corpora" / name, durations=False).utterances
    folds = splits.emobox(table, shared / "splits" / f"{name}.csv")
    assert sum(len(fold.test) for fold in folds) == n


def test_an_audit_finds_the_identical_recordings_of_crema_d(shared):
    root = shared / "corpora" / "crema-d"
    stems = ["1017_IWW_ANG_XX", "1017_IWW_FEA_XX", "1013_WSI_DIS_XX", "1013_WSI_SAD_XX"]
    stems += ["1006_TIE_HAP_XX", "1006_TIE_NEU_XX", "1001_IEO_ANG_HI", "1002_IEO_ANG_HI"]
    files = {stem: next(root.rglob(f"{stem}.*")) for stem in stems}
    prints = {stem: audio.fingerprint(audio.load(path)) for stem, path in files.items()}
    table = pd.DataFrame({"file": stems, "speaker": stems}, index=stems)
    split = Split("s", tuple(stems[::2]), tuple(stems[1::2]))
    found = splits.audit(split, table, prints).shared_audio
    assert found is not None
    expected = list(zip(stems[:6:2], stems[1:6:2], strict=True))
    assert sorted(zip(found["train"], found["test"], strict=True)) == sorted(expected)


def test_the_page_about_splits_tells_the_truth():
    page = Path(__file__).parents[1] / "docs" / "splits.md"
    result = doctest.testfile(str(page), module_relative=False, encoding="utf-8")
    assert result.attempted > 5
    assert result.failed == 0
