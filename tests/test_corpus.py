import json

import numpy as np
import pandas as pd
import pytest

from affekt import audio
from affekt.corpus import Corpus, concat
from affekt.exceptions import CorpusError, TableError
from affekt.scheme import EKMAN_8, Categories

TWO = Categories("two", ("calm", "anger"))


def corpus(root, name="small", **changes):
    parts = {
        "name": name,
        "root": root,
        "scheme": TWO,
        "utterances": pd.DataFrame(
            {"file": ["x/1.wav", "2.wav", "2.wav"], "start": [None, 0.5, 2], "end": [None, 2, 4.5],
             "speaker": ["01", None, "02"], "session": "s", "take": [1, 2, 3]},
            index=["a", "b", "c"],
        ),
        "labels": pd.DataFrame({"anger": [1, 0.25], "calm": [0, 0.75]}, index=["c", "a"]),
        "votes": pd.DataFrame(
            {"utterance": ["c", "a"], "rater": ["r1", None], "label": ["anger", "joy"]}
        ),
        "ratings": pd.DataFrame(
            {"utterance": ["b"], "rater": ["r1"], "dimension": ["valence"], "value": [0.5]}
        ),
        "card": {"name": name, "licence": "CC0-1.0", "language": "und"},
    }  # fmt: skip
    return Corpus(**(parts | changes))


def assert_same(one, other):
    assert (one.name, one.scheme) == (other.name, other.scheme)
    assert one.root.resolve() == other.root.resolve()
    for table in ("utterances", "labels", "votes", "ratings"):
        pd.testing.assert_frame_equal(getattr(one, table), getattr(other, table))
    assert one.card == other.card


def test_construction_normalises_every_table(tmp_path):
    small = corpus(tmp_path)
    assert small.labels.columns.tolist() == ["calm", "anger"]
    assert small.labels.index.tolist() == ["a", "c"]
    assert small.utterances["excluded"].tolist() == [""] * 3
    assert small.votes["rater"].isna().tolist() == [False, True]
    assert len(small) == 3


def test_labels_of_no_utterance_are_refused_and_named(tmp_path):
    strange = pd.DataFrame({"anger": [1], "calm": [0]}, index=["z"])
    with pytest.raises(CorpusError, match=r"labels name 1 utterance\(s\) .* 'z' first"):
        corpus(tmp_path, labels=strange)


def test_path_joins_root_and_file_and_refuses_strangers(tmp_path):
    small = corpus(tmp_path)
    assert small.path("a") == tmp_path / "x" / "1.wav"
    with pytest.raises(CorpusError, match="no utterance 'z'"):
        small.path("z")


def test_a_recording_that_is_missing_is_named_with_its_utterance_and_row(tmp_path):
    whole = corpus(tmp_path)
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "1.wav").touch()
    said = (
        r"2\.wav: no such file, the recording of utterance 'c' \(row 3 of 'small'\): put it there"
    )
    with pytest.raises(CorpusError, match=said):
        whole.refuse_missing()
    (tmp_path / "x" / "1.wav").unlink()
    with pytest.raises(CorpusError, match=r"1\.wav: .*'a' \(row 1 of .*\), and those of 1 more"):
        whole.refuse_missing()
    (tmp_path / "x" / "1.wav").touch()
    reasons = whole.utterances.assign(excluded=["", "", "lost"])  # nobody labelled b
    corpus(tmp_path, utterances=reasons).refuse_missing()
    (tmp_path / "2.wav").touch()
    whole.refuse_missing()


def test_select_takes_the_order_given_and_everything_that_belongs_to_it(tmp_path):
    chosen = corpus(tmp_path).select(["c", "b"])
    assert chosen.utterances.index.tolist() == ["c", "b"]
    assert chosen.utterances["take"].tolist() == [3, 2]
    assert chosen.labels.index.tolist() == ["c"]
    assert chosen.votes["utterance"].tolist() == ["c"]
    assert chosen.ratings["utterance"].tolist() == ["b"]
    assert len(corpus(tmp_path).select([])) == 0


@pytest.mark.parametrize(("ids", "reason"), [(["a", "q"], "'q'"), (["a", "a"], "selected twice")])
def test_select_refuses_unknown_and_repeated_ids(tmp_path, ids, reason):
    with pytest.raises(CorpusError, match=reason):
        corpus(tmp_path).select(ids)


def test_relabel_changes_labels_and_scheme_alone(tmp_path):
    small = corpus(tmp_path)
    new = pd.DataFrame(np.eye(8)[[0]], ["b"], list(EKMAN_8))
    again = small.relabel(new, EKMAN_8)
    assert again.scheme == EKMAN_8
    assert again.labels.loc["b", "anger"] == 1
    pd.testing.assert_frame_equal(again.votes, small.votes)


def test_durations_come_from_times_where_given_and_from_headers_elsewhere(tmp_path):
    audio.write(tmp_path / "x" / "1.wav", np.zeros(8000, np.float32))
    found = corpus(tmp_path).with_durations().utterances["duration"]
    assert found.to_dict() == {"a": 0.5, "b": 1.5, "c": 2.5}


def test_files_that_cannot_be_read_keep_no_duration_and_are_excluded_with_the_reason(tmp_path):
    audio.write(tmp_path / "good.wav", np.zeros(8000, np.float32))
    (tmp_path / "junk.wav").write_bytes(b"no sound" * 100)
    (tmp_path / "empty.wav").touch()
    rows = {
        "good": ("good.wav", np.nan, np.nan, ""),
        "late": ("good.wav", 2.0, np.nan, ""),
        "gone": ("gone.wav", np.nan, np.nan, ""),
        "gone part": ("gone.wav", 1.0, 1.75, ""),
        "junk": ("junk.wav", np.nan, np.nan, ""),
        "known": ("junk.wav", np.nan, np.nan, "two people talk"),
        "empty": ("empty.wav", 0.0, 1.0, ""),
    }
    table = pd.DataFrame(rows, index=["file", "start", "end", "excluded"]).T
    labels = pd.DataFrame(columns=list(EKMAN_8), dtype=float)
    whole = Corpus("own", tmp_path, EKMAN_8, table, labels, None, None, {"name": "own"})
    found = whole.with_durations().utterances
    assert found["duration"].fillna(-1).to_dict() == {
        "good": 0.5, "late": -1, "gone": -1, "gone part": 0.75, "junk": -1, "known": -1, "empty": 1
    }  # fmt: skip
    assert found.at["junk", "excluded"]
    assert "\n" not in found.at["junk", "excluded"]
    assert found["excluded"].drop("junk").to_dict() == {
        "good": "",
        "late": "starts at 2 s, its file ends at 0.5 s",
        "gone": "does not exist",
        "gone part": "does not exist",
        "known": "two people talk",
        "empty": "is empty (0 bytes)",
    }


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".jsonl", ".parquet"])
def test_a_corpus_survives_its_folder(tmp_path, ending):
    if ending == ".parquet":
        pytest.importorskip("pyarrow", reason="the extra `parquet` is not installed")
    small = corpus(tmp_path / "audio")
    (tmp_path / "audio").mkdir()
    small.write(tmp_path / "tables" / "small", ending=ending)
    assert_same(Corpus.read(tmp_path / "tables" / "small"), small)


def test_writing_again_leaves_no_table_of_an_earlier_ending(tmp_path):
    small = corpus(tmp_path)
    small.write(tmp_path, ending=".jsonl")
    corpus(tmp_path, votes=None, ratings=None).write(tmp_path)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["card.json", "labels.csv", "utterances.csv"]


def test_the_folder_may_move_together_with_its_recordings(tmp_path):
    corpus(tmp_path / "old" / "audio").write(tmp_path / "old" / "tables")
    (tmp_path / "old").rename(tmp_path / "new")
    moved = Corpus.read(tmp_path / "new" / "tables")
    assert moved.path("a").resolve() == (tmp_path / "new" / "audio" / "x" / "1.wav").resolve()


def test_a_hand_written_folder_needs_a_card_and_utterances_only(tmp_path):
    (tmp_path / "card.json").write_text('{"name": "mine", "scheme": "ekman_8"}')
    (tmp_path / "utterances.csv").write_text("utterance,file\n007,a.wav\n")
    mine = Corpus.read(tmp_path)
    assert mine.utterances.index.tolist() == ["007"]
    assert mine.labels.shape == (0, 8)
    assert mine.votes is None
    assert mine.path("007") == tmp_path / "a.wav"


@pytest.mark.parametrize(
    ("card", "reason"),
    [
        (None, "no card.json"),
        ("{", "not a JSON document"),
        ("[]", "at least a name"),
        ('{"scheme": "ekman_8"}', "at least a name"),
        ('{"name": "x"}', "scheme must be"),
        ('{"name": "x", "scheme": "ekman_99"}', "'ekman_99' is none of ekman_8"),
        ('{"name": "x", "scheme": {"labels": ["a", "a"]}}', "twice: a"),
        ('{"name": "x", "scheme": {"labels": [1]}}', "non-empty string"),
    ],
)
def test_a_folder_without_a_good_card_is_refused(tmp_path, card, reason):
    if card is not None:
        (tmp_path / "card.json").write_text(card)
    (tmp_path / "utterances.csv").write_text("utterance,file\na,a.wav\n")
    with pytest.raises(CorpusError, match=reason) as caught:
        Corpus.read(tmp_path)
    assert str(tmp_path) in str(caught.value)


def test_a_folder_without_utterances_or_with_two_of_them_is_refused(tmp_path):
    with pytest.raises(CorpusError, match="no such folder"):
        Corpus.read(tmp_path / "none")
    (tmp_path / "card.json").write_text(json.dumps({"name": "x", "scheme": "ekman_8"}))
    with pytest.raises(CorpusError, match=r"no utterances\.csv"):
        Corpus.read(tmp_path)
    for ending in (".csv", ".tsv"):
        (tmp_path / f"utterances{ending}").write_text("utterance\tfile\na\ta.wav\n")
    with pytest.raises(CorpusError, match=r"utterances\.csv and utterances\.tsv are both there"):
        Corpus.read(tmp_path)


def test_an_unknown_ending_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(CorpusError, match=r"'\.xls'"):
        corpus(tmp_path).write(tmp_path / "out", ending=".xls")
    assert not (tmp_path / "out").exists()


def test_concat_puts_the_corpus_before_ids_speakers_sessions_and_raters(tmp_path):
    both = concat([corpus(tmp_path / "p", "one"), corpus(tmp_path / "q" / "r", "two")])
    assert both.name == "one+two"
    assert both.utterances.index.tolist() == [f"{n}/{u}" for n in ("one", "two") for u in "abc"]
    assert both.utterances["corpus"].tolist() == ["one"] * 3 + ["two"] * 3
    assert both.utterances["speaker"].dropna().tolist() == [
        *("one/01", "one/02", "two/01", "two/02"),
    ]
    assert both.utterances.at["two/b", "session"] == "two/s"
    assert both.path("two/a") == tmp_path / "q" / "r" / "x" / "1.wav"
    assert both.votes["rater"].dropna().tolist() == ["one/r1", "two/r1"]
    assert both.labels.loc["two/a"].to_dict() == {"calm": 0.75, "anger": 0.25}
    assert [card["name"] for card in both.card["corpora"]] == ["one", "two"]


def test_concat_refuses_nothing_namesakes_and_other_labels(tmp_path):
    small = corpus(tmp_path)
    with pytest.raises(CorpusError, match="no corpus"):
        concat([])
    with pytest.raises(CorpusError, match="two corpora are called 'small'"):
        concat([small, small])
    eight = corpus(tmp_path, "eight").relabel(
        pd.DataFrame(np.eye(8)[[0]], ["b"], list(EKMAN_8)), EKMAN_8
    )
    with pytest.raises(CorpusError, match="harmonise them to one scheme first"):
        concat([small, eight])


def test_a_broken_table_on_disk_is_named(tmp_path):
    corpus(tmp_path).write(tmp_path)
    (tmp_path / "labels.csv").write_text("utterance,calm,anger\na,0.5,0.6\n")
    with pytest.raises(TableError, match="row 'a': the row does not sum to 1"):
        Corpus.read(tmp_path)
