"""Dusha's raw annotations: four subsets, two formats, what is broken in them."""

import json

import numpy as np
import pandas as pd
import pytest

import dusha_tree
from affekt import audio
from affekt.corpora import CORPORA, dusha
from affekt.corpora.dusha import raw as dusha_raw
from affekt.exceptions import CorpusError
from affekt.harmonise import harmonise
from affekt.scheme import EKMAN_8
from affekt.votes.shares import shares

SCALE = 0.002


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    root = tmp_path_factory.mktemp("dusha")
    return root, dusha_tree.make(root, scale=SCALE)


def record(**fields):
    plain = {
        "hash_id": "a1", "audio_path": "wavs/a1.wav", "duration": 2.5, "annotator_emo": "sad",
        "golden_emo": float("nan"), "annotator_id": "w1", "speaker_text": "да",
        "speaker_emo": "sad", "source_id": "s1",
    }  # fmt: skip
    return plain | fields


def write(root, *records, subset="crowd_train", lines=None):
    """One subset of these records, or of these very lines."""
    text = lines or [json.dumps(one, ensure_ascii=False) for one in records]
    (root / subset).mkdir(parents=True, exist_ok=True)
    path = root / subset / f"raw_{subset}.jsonl"
    path.write_text("\n".join(text) + "\n", encoding="utf-8")
    return path


def write_tsv(root, *rows, header=dusha_tree.FIELDS, subset="crowd_train"):
    (root / subset).mkdir(parents=True, exist_ok=True)
    path = root / subset / f"raw_{subset}.tsv"
    path.write_text("".join("\t".join(row) + "\n" for row in [header, *rows]), encoding="utf-8")
    return path


ROW = ("a1", "wavs/a1.wav", "2.5", "sad", "", "w1", 'скажи "да', "sad", "s1")


def test_the_corpus_holds_every_annotation_as_a_vote(tree):
    root, planted = tree
    corpus = CORPORA["dusha"].load(root)
    assert set(corpus.utterances.index) == set(planted.truth)
    assert len(corpus.votes) == planted.n_votes
    pd.testing.assert_frame_equal(
        corpus.labels, shares(corpus.votes, corpus.scheme, duplicates="keep"), check_dtype=False
    )
    true = pd.Series(planted.truth).map(dusha_raw.EMOTIONS)[corpus.labels.index]
    right = corpus.labels.idxmax(axis=1) == true
    assert right.mean() > 0.9


def test_gold_is_the_right_answer_of_control_tasks_and_missing_elsewhere(tree):
    root, planted = tree
    votes = CORPORA["dusha"].load(root).votes
    gold = votes.dropna(subset="gold").drop_duplicates("utterance").set_index("utterance")["gold"]
    assert set(gold.index) == planted.honeypots
    assert all(gold[id] == dusha_raw.EMOTIONS[planted.truth[id]] for id in planted.honeypots)


def test_columns_say_split_domain_source_text_and_intention(tree):
    root, planted = tree
    table = CORPORA["dusha"].load(root).utterances
    assert set(table["domain"] + "_" + table["split"]) == set(dusha_raw.SUBSETS)
    assert (table["session"] == table["speaker"]).all()
    assert table["session"].str.startswith("p").eq(table["domain"] == "podcast").all()
    acted = table["intended"].dropna()
    assert (table.loc[acted.index, "domain"] == "crowd").all()
    assert all(dusha_raw.EMOTIONS[planted.truth[id]] == said for id, said in acted.items())
    assert table["text"].str.contains('"', regex=False).any()
    assert (table["excluded"] == dusha.NO_RECORDING).all()


def test_json_lines_and_tabs_say_the_same(tree, tmp_path):
    dusha_tree.make(tmp_path, scale=SCALE, ending=".tsv", audio_field="wav_path")
    one, other = CORPORA["dusha"].load(tree[0]), CORPORA["dusha"].load(tmp_path)
    pd.testing.assert_frame_equal(one.utterances, other.utterances)
    pd.testing.assert_frame_equal(one.votes, other.votes)
    pd.testing.assert_frame_equal(one.labels, other.labels)


def test_blocks_of_any_size_give_the_same(tree, monkeypatch):
    whole = dusha_raw.read(tree[0])
    monkeypatch.setattr(dusha_raw, "_BLOCK", 1)
    by_line = dusha_raw.read(tree[0])
    for name in ("subset", "utterance", "rater", "label", "gold"):
        np.testing.assert_array_equal(getattr(by_line, name), getattr(whole, name))
    pd.testing.assert_frame_equal(by_line.recordings, whole.recordings)


def test_both_spellings_unknown_fields_numbers_and_nulls_are_understood(tmp_path):
    odd = record(wav_path="wavs/b2.wav", hash_id=12, annotator_id=7.0, duration="3", extra=[1])
    del odd["audio_path"], odd["speaker_text"]
    write(tmp_path, record(), odd | {"source_id": None})
    table = CORPORA["dusha"].load(tmp_path).utterances
    assert table.index.tolist() == ["a1", "12"]
    assert table.loc["12", ["file", "duration"]].tolist() == ["crowd_train/wavs/b2.wav", 3.0]
    assert table.loc["12", ["text", "session"]].isna().all()
    assert CORPORA["dusha"].load(tmp_path).votes["rater"].tolist() == ["w1", "7"]


@pytest.mark.parametrize(("golden", "noun"), [
    (1, "happiness"), (2.0, "neutral"), ("3", "sadness"), ("4.0", "anger"), ("other", "other"),
    ("Sad", "sadness"), (None, None), ("", None), ("nan", None), (float("nan"), None),
])  # fmt: skip
def test_golden_answers_are_codes_or_words(tmp_path, golden, noun):
    write(tmp_path, record(golden_emo=golden))
    said = CORPORA["dusha"].load(tmp_path).votes["gold"].tolist()
    assert [None if pd.isna(one) else one for one in said] == [noun]


def test_an_unknown_code_is_no_gold_but_is_told(tmp_path):
    write(tmp_path, record(golden_emo=9), record(annotator_id="w2", golden_emo=2))
    corpus = CORPORA["dusha"].load(tmp_path)
    assert corpus.votes["gold"].isna().tolist() == [True, False]
    assert corpus.card["n_unknown_gold"] == 1
    assert "all: annotations with a golden_emo of unknown meaning, taken for control tasks (1)" in (
        CORPORA["dusha"].check(tmp_path).problems
    )


def test_what_is_not_as_in_the_release_is_noted_on_a_line_each(tmp_path):
    four = ("crowd_train", "crowd_test", "podcast_train")
    for subset in four:
        golden = {} if subset == "crowd_test" else {"golden_emo": 2}
        one = record(hash_id=subset, **golden)
        if subset == "crowd_test":
            one["honeypot"] = one.pop("golden_emo")
        write(tmp_path, one, subset=subset)
    assert CORPORA["dusha"].load(tmp_path).card["notes"] == [
        "podcast_test: is not there",
        "crowd_test: no annotation has a golden_emo, so control tasks cannot be known (1)",
    ]


def test_a_whole_tree_needs_no_notes(tree):
    assert "notes" not in CORPORA["dusha"].load(tree[0]).card


def test_quotes_are_letters_and_windows_line_ends_are_line_ends(tmp_path):
    path = write_tsv(tmp_path, ROW, ("b2", "wavs/b2.wav", *ROW[2:]))
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    table = CORPORA["dusha"].load(tmp_path).utterances
    assert table["text"].tolist() == ['скажи "да'] * 2
    assert table["session"].tolist() == ["s1", "s1"]


def test_json_lines_come_before_tabs_unless_asked_otherwise(tmp_path):
    write(tmp_path, record())
    write_tsv(tmp_path, ("t1", *ROW[1:]))
    assert CORPORA["dusha"].load(tmp_path).utterances.index.tolist() == ["a1"]
    tabs = CORPORA["dusha"].load(tmp_path, ending=".tsv")
    assert tabs.utterances.index.tolist() == ["t1"]


def test_a_folder_above_the_tree_will_do(tmp_path):
    write(tmp_path / "dusha", record())
    corpus = CORPORA["dusha"].load(tmp_path)
    assert corpus.utterances.loc["a1", "file"] == "dusha/crowd_train/wavs/a1.wav"


def test_a_recording_in_train_and_test_is_a_test_one(tmp_path):
    for subset in ("crowd_train", "crowd_test"):
        write(tmp_path, record(), record(annotator_id="w2"), subset=subset)
    corpus = CORPORA["dusha"].load(tmp_path)
    assert corpus.utterances["split"].tolist() == ["test"]
    assert len(corpus.votes) == 4
    report = CORPORA["dusha"].check(tmp_path)
    assert "1 recordings are in more than one subset" in report.problems


def test_recordings_of_any_ending_are_found_and_check_names_what_lacks(tmp_path):
    write(tmp_path, *(record(hash_id=id, audio_path=f"wavs/{id}.wav") for id in ("a1", "b2", "c3")))
    write(tmp_path, record(hash_id="p1", audio_path="wavs/p1.wav"), subset="podcast_test")
    for name in ("a1.flac", "b2.WAV", "stranger.wav", ".hidden.wav"):
        audio.write(tmp_path / "crowd_train" / "wavs" / "x.wav", np.zeros(160, np.float32))
        (tmp_path / "crowd_train/wavs/x.wav").rename(tmp_path / "crowd_train/wavs" / name)
    table = CORPORA["dusha"].load(tmp_path).utterances
    assert table["excluded"].eq("").tolist() == [False, True, True, False]
    assert table.loc["a1", "file"] == "crowd_train/wavs/a1.flac"
    report = CORPORA["dusha"].check(tmp_path)
    assert (report.expected, report.found, report.missing) == (4, 2, ["c3"])
    assert [line.rpartition("/")[2] for line in report.extra] == [
        "stranger.wav: no annotation names it"
    ]
    assert report.problems == [
        "podcast_train: is not there", "crowd_test: is not there",
        "podcast_test: no annotation has a golden_emo, so control tasks cannot be known (1)",
        "crowd_train: no annotation has a golden_emo, so control tasks cannot be known (3)",
        "podcast_test: none of its 1 recordings is there (the release has none)",
    ]  # fmt: skip


def test_release_words_harmonise_as_the_nouns_do():
    words = pd.DataFrame(np.eye(5), columns=list(dusha_raw.EMOTIONS))
    nouns = words.set_axis(list(dusha_raw.EMOTIONS.values()), axis=1)
    pd.testing.assert_frame_equal(
        harmonise(words, "dusha", EKMAN_8), harmonise(nouns, "dusha", EKMAN_8)
    )
    assert list(dusha_raw.EMOTIONS.values()) == list(dusha_raw.DUSHA_5)


GOOD = json.dumps(record())


@pytest.mark.parametrize(("lines", "reason"), [
    ([GOOD, GOOD[:40]], r"raw_crowd_train\.jsonl, line 2: not a JSON object .*is the file whole\?"),
    ([GOOD, "[1, 2]"], "line 2: not a JSON object but '\\[1, 2\\]'"),
    ([GOOD, '{"a": 1', '"b": 2}'], "line 2: not a JSON object"),
    ([GOOD, "", GOOD, "{}"], r"raw_crowd_train\.jsonl, line 4: annotator_emo None is none of"),
    ([GOOD, json.dumps(record(annotator_emo="fear"))], "line 2: annotator_emo 'fear'"),
    ([GOOD, "", json.dumps(record(hash_id=""))], "line 3: the annotation has no hash_id"),
    ([GOOD, GOOD, json.dumps(record(annotator_id=None))], "line 3: .* has no annotator_id"),
    ([GOOD, json.dumps(record(annotator_id=float("nan")))], "line 2: .* has no annotator_id"),
    ([GOOD, json.dumps(record(hash_id="b", audio_path=None))], "line 2: .* has no audio_path"),
    ([GOOD, json.dumps(record(hash_id="b", duration="long"))], "line 2: duration 'long' of a rec"),
    ([GOOD, json.dumps(record(hash_id="b", duration=-1))], "line 2: duration -1 of a rec"),
    ([GOOD, json.dumps(record(hash_id=["b"]))], r"line 2: hash_id \['b'\] is no word or number"),
])  # fmt: skip
@pytest.mark.parametrize("block", [1, 1 << 17])
def test_what_is_broken_in_json_lines_is_named_with_its_place(
    tmp_path, monkeypatch, lines, reason, block
):
    monkeypatch.setattr(dusha_raw, "_BLOCK", block)
    write(tmp_path, record(hash_id="other", annotator_id="w9"), subset="podcast_train")
    write(tmp_path, lines=lines)
    with pytest.raises(CorpusError, match=reason):
        CORPORA["dusha"].load(tmp_path)


@pytest.mark.parametrize(("place", "value", "reason"), [
    (0, "", "line 3: the annotation has no hash_id"),
    (5, "", "line 3: the annotation has no annotator_id"),
    (2, "long", "line 3: duration 'long'"),
    (3, "fear", "line 3: annotator_emo 'fear'"),
])  # fmt: skip
def test_what_is_broken_between_tabs_is_named_with_its_place(tmp_path, place, value, reason):
    row = list(ROW)
    row[0], row[place] = ("b2", value) if place else (value, value)
    write_tsv(tmp_path, ROW, row)
    with pytest.raises(CorpusError, match=rf"raw_crowd_train\.tsv, {reason}"):
        CORPORA["dusha"].load(tmp_path)


def test_a_block_with_a_blank_line_is_read_on(tmp_path):
    write(tmp_path, lines=[GOOD, "", GOOD])
    assert len(CORPORA["dusha"].load(tmp_path).votes) == 2


def test_a_tab_in_a_text_is_refused_with_its_line(tmp_path):
    write_tsv(tmp_path, ROW, (*ROW[:6], "one\ttwo", *ROW[7:]))
    with pytest.raises(CorpusError, match="line 3: 10 fields where the header names 9"):
        CORPORA["dusha"].load(tmp_path)


def test_a_truncated_last_row_is_refused_with_its_line(tmp_path):
    write_tsv(tmp_path, ROW, ROW[:4])
    with pytest.raises(CorpusError, match="line 3: 4 fields where the header names 9"):
        CORPORA["dusha"].load(tmp_path)


def test_a_table_of_something_else_and_an_empty_file_are_refused(tmp_path):
    path = write_tsv(tmp_path, ("a", "b"), header=("x", "hash_id"))
    with pytest.raises(CorpusError, match="no column audio_path, annotator_emo, annotator_id"):
        CORPORA["dusha"].load(tmp_path)
    path.write_bytes(b"")
    with pytest.raises(CorpusError, match=r"raw_crowd_train\.tsv is empty"):
        CORPORA["dusha"].load(tmp_path)


def test_bytes_that_are_no_text_are_refused_with_their_line(tmp_path):
    path = write_tsv(tmp_path, ROW, ROW)
    path.write_bytes(path.read_bytes() + "да".encode("cp1251"))
    with pytest.raises(CorpusError, match="line 4: not UTF-8"):
        CORPORA["dusha"].load(tmp_path)


def test_no_tree_and_no_such_ending_are_refused(tmp_path):
    with pytest.raises(CorpusError, match="no crowd_train/raw_crowd_train"):
        CORPORA["dusha"].load(tmp_path)
    with pytest.raises(CorpusError, match="no such folder"):
        CORPORA["dusha"].check(tmp_path / "none")
    with pytest.raises(CorpusError, match=r"'\.csv': raw annotations of Dusha end in"):
        CORPORA["dusha"].load(tmp_path, ending=".csv")


def test_progress_counts_every_byte(tree):
    told = []

    def progress(what, total):
        told.append(total)
        return told.append

    dusha_raw.read(tree[0], progress=progress)
    assert told[0] == sum(told[1:]) > 0
