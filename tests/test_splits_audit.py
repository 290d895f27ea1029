"""The audit of a split, and the guard."""

import re

import pandas as pd
import pytest

from affekt import audio, splits
from affekt.exceptions import SplitError
from affekt.splits import Split
from speaker_tables import utterances


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
