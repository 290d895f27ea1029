"""EmoBox's lists, on small tables and on the real corpora they belong to."""

import pandas as pd
import pytest

from affekt import splits
from affekt.corpora import CORPORA
from affekt.exceptions import SplitError, TableError
from affekt.splits import Split

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
