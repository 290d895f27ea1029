"""From raw annotations to manifests: what is written, by which posteriors, and what is refused."""

from collections import Counter

import numpy as np
import pandas as pd
import pytest

import dusha_subsets
import dusha_tree
from affekt.corpora import dusha
from affekt.corpora.dusha import raw as dusha_raw
from affekt.corpora.dusha.manifests import (
    AGGREGATED,
    EXPERIMENT,
    WORDS,
    process,
    read_manifest,
    read_meta,
)
from affekt.corpora.dusha.summary import PRINTED
from affekt.exceptions import CorpusError, TableError
from affekt.votes import AGGREGATORS
from affekt.votes.dawid_skene import dawid_skene
from dusha_subsets import SCALE, SUBSETS, agreed, four_subsets, lines, manifest, write

planted = pytest.fixture(scope="module")(dusha_subsets.planted)


FILES = {
    "meta.tsv",
    *(f"processed_dataset_090/aggregated_dataset/{subset}.jsonl" for subset in SUBSETS),
    *(f"processed_dataset_090/train/{name}.jsonl" for name in ("crowd_train", "podcast_train")),
    *(f"processed_dataset_090/test/{name}.jsonl" for name in ("crowd_test", "podcast_test")),
    *(f"processed_dataset_090/{split}/{split}.jsonl" for split in ("train", "test")),
}


def test_one_call_writes_the_released_layout_and_nothing_else(planted, tmp_path):
    process(planted[0], tmp_path)
    found = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")
             if path.is_file()}  # fmt: skip
    assert found == FILES


def test_records_have_the_released_fields_in_their_order(planted, tmp_path):
    process(planted[0], tmp_path, compat="dusha")
    folder = tmp_path / "processed_dataset_090"
    for subset in SUBSETS:
        for record in lines(folder / "aggregated_dataset" / f"{subset}.jsonl"):
            assert tuple(record) == AGGREGATED
            assert record["emotion"] in WORDS
    for record in lines(folder / "train" / "train.jsonl"):
        assert tuple(record) == EXPERIMENT
        assert record["label"] == ["angry", "sad", "neutral", "positive"].index(record["emotion"])
        assert 0.3 <= record["wav_length"] <= 20


def test_written_beside_the_raw_files_paths_are_the_released_ones(tmp_path):
    four_subsets(tmp_path)
    process(tmp_path, tmp_path)
    record = manifest(tmp_path, "aggregated_dataset/crowd_test").iloc[0]
    assert record["audio_path"] == f"../../crowd_test/wavs/{record['hash_id']}.wav"
    record = manifest(tmp_path, "train/train").iloc[0]
    assert record["tensor"] == f"../../features/{record['id']}.npy"


def test_written_elsewhere_paths_still_lead_to_the_recordings(tmp_path):
    four_subsets(tmp_path / "a" / "raw")
    process(tmp_path / "a", tmp_path / "b")
    record = manifest(tmp_path / "b", "aggregated_dataset/crowd_test").iloc[0]
    folder = tmp_path / "b" / "processed_dataset_090" / "aggregated_dataset"
    wav = (folder / record["audio_path"]).resolve()
    assert wav == (tmp_path / "a/raw/crowd_test/wavs" / f"{record['hash_id']}.wav").resolve()


def test_all_subsets_are_aggregated_jointly_and_posteriors_are_dawid_skenes(planted, tmp_path):
    process(planted[0], tmp_path, compat="dusha")
    votes = dusha.votes(dusha_raw.read(planted[0])).drop(columns="gold")
    expected = dawid_skene(votes, dusha_raw.DUSHA_5, duplicates="keep")
    meta = pd.read_csv(tmp_path / "meta.tsv", sep="\t", index_col="hash_id")
    assert list(meta) == list(WORDS)
    np.testing.assert_array_equal(meta.index, expected.index)
    np.testing.assert_allclose(meta, expected, atol=1e-12)


def test_planted_labels_come_back(planted, tmp_path):
    process(planted[0], tmp_path)
    truth = planted[1].truth
    for split in ("train", "test"):
        table = manifest(tmp_path, f"{split}/{split}")
        right = [truth[id] == said for id, said in zip(table["id"], table["emotion"], strict=True)]
        assert np.mean(right) > 0.97


@pytest.mark.parametrize(("drop", "in_train", "in_test"), [
    (None, False, True), (True, False, False), (False, True, True),
])  # fmt: skip
def test_control_tasks_are_dropped_as_asked_and_usually_from_training(
    planted, tmp_path, drop, in_train, in_test
):
    process(planted[0], tmp_path, drop_honeypots=drop)
    found = [bool(set(manifest(tmp_path, name)["id"]) & planted[1].honeypots)
             for name in ("train/train", "test/test")]  # fmt: skip
    assert found == [in_train, in_test]


def test_a_second_run_leaves_no_manifests_of_subsets_that_are_gone(tmp_path):
    four_subsets(tmp_path)
    process(tmp_path, tmp_path / "out")
    folder = tmp_path / "out" / "processed_dataset_090"
    (folder / "train" / "my_notes.jsonl").write_text("mine")
    for subset in ("podcast_train", "podcast_test", "crowd_test"):
        (tmp_path / subset / f"raw_{subset}.jsonl").unlink()
    process(tmp_path, tmp_path / "out")
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*.*")}
    assert found == {"aggregated_dataset/crowd_train.jsonl", "train/crowd_train.jsonl",
                     "train/train.jsonl", "train/my_notes.jsonl"}  # fmt: skip


@pytest.mark.parametrize("ending", [".jsonl", ".tsv"])
def test_experiment_manifests_hold_the_posterior_as_the_word_of_each_answer(tmp_path, ending):
    dusha_tree.make(tmp_path, scale=SCALE, ending=ending)
    process(tmp_path, tmp_path)
    meta = read_meta(tmp_path / "meta.tsv").set_axis(list(WORDS), axis=1)
    for name in ("train/train", "test/crowd_test"):
        table = manifest(tmp_path, name)
        assert tuple(table) == (*EXPERIMENT, "probs")
        probs = pd.DataFrame(table["probs"].tolist(), index=table["id"])
        assert list(probs) == list(WORDS)
        np.testing.assert_allclose(probs, meta.loc[table["id"]], atol=1e-6)
    process(tmp_path, tmp_path / "out", compat="dusha")
    assert tuple(manifest(tmp_path / "out", "train/train")) == EXPERIMENT


@pytest.mark.parametrize("method", ["majority", "shares", "one-coin", "weighted-majority"])
def test_another_method_gives_its_own_posteriors(planted, tmp_path, method):
    process(planted[0], tmp_path, method=method)
    table = dusha.votes(dusha_raw.read(planted[0]))
    table = table if method == "weighted-majority" else table.drop(columns="gold")
    if method == "weighted-majority":
        table["gold"] = table["utterance"].map(table.dropna().drop_duplicates("utterance")
                                               .set_index("utterance")["gold"])  # fmt: skip
    expected = AGGREGATORS[method](table, dusha_raw.DUSHA_5, duplicates="keep")
    np.testing.assert_allclose(read_meta(tmp_path / "meta.tsv"), expected, atol=1e-12)


def test_excluded_raters_count_for_nothing_in_the_manifests(tmp_path):
    rows = [*agreed("x", "sad"), *agreed("y", "angry"), ("z", "bad", "angry", None)]
    rows += [(id, f"bad{k}", "neutral", None) for id in "xy" for k in range(9)]
    write(tmp_path, "crowd_train", rows)
    bad = ["bad", *(f"bad{k}" for k in range(9)), "stranger"]
    (tmp_path / "bad.txt").write_text("\n".join(bad) + "\n", "utf-8")
    pd.DataFrame({"rater": bad, "reason": "careless"}).to_csv(tmp_path / "bad.csv", index=False)
    process(tmp_path, tmp_path / "all", method="majority")
    assert set(manifest(tmp_path / "all", "train/train")["emotion"]) == {"neutral", "angry"}
    for number, exclude in enumerate([bad, tmp_path / "bad.txt", str(tmp_path / "bad.csv")]):
        out = tmp_path / str(number)
        found = process(tmp_path, out, method="majority", exclude=exclude)["found"]
        table = manifest(out, "train/train")
        assert dict(zip(table["id"], table["emotion"], strict=True)) == {"x": "sad", "y": "angry"}
        assert set(read_meta(out / "meta.tsv").index) == {"x", "y"}
        assert found["note", "all", "annotations of excluded raters left out"] == 19
        assert found["note", "all", "excluded raters are unknown"] == 1
        assert found["experiments", "all", "train undecided"] == 1


def test_a_control_task_stays_one_when_who_knew_it_is_excluded(tmp_path):
    rows = [("x", "bad", "sad", 3), *agreed("x", "sad"), *agreed("y", "angry")]
    write(tmp_path, "crowd_train", rows)
    process(tmp_path, tmp_path / "out", exclude=["bad"])
    assert manifest(tmp_path / "out", "train/train")["id"].tolist() == ["y"]


def test_raters_of_one_split_alone_can_be_aggregated_apart(tmp_path):
    for subset in SUBSETS:
        rows = [row for i in "123" for row in agreed(f"{subset}-{i}", "sad")]
        write(tmp_path, subset, [(id, f"{subset}{who}", *more) for id, who, *more in rows])
    process(tmp_path, tmp_path / "out", per_split=True)
    assert len(manifest(tmp_path / "out", "test/test")) == 6


def test_the_summary_notes_what_is_not_as_in_the_release(tmp_path):
    write(tmp_path, "crowd_train", agreed("x", "sad", 9))
    write(tmp_path, "crowd_test", agreed("y", "sad"))
    found = process(tmp_path, tmp_path / "out")["found"]["note"].to_dict()
    assert found == {
        ("podcast_test", "is not there"): 0,
        ("podcast_train", "is not there"): 0,
        ("crowd_test", "no annotation has a golden_emo, so control tasks cannot be known"): 4,
        ("all", "annotations with a golden_emo of unknown meaning, taken for control tasks"): 4,
    }


def test_apart_test_posteriors_do_not_depend_on_training_votes(planted, tmp_path):
    root = tmp_path / "tests_only"
    for subset in ("crowd_test", "podcast_test"):
        (root / subset).mkdir(parents=True)
        name = f"{subset}/raw_{subset}.jsonl"
        (root / name).write_bytes((planted[0] / name).read_bytes())
    process(planted[0], tmp_path / "apart", per_split=True)
    process(planted[0], tmp_path / "joint")
    process(root, tmp_path / "alone")
    read = {name: pd.read_csv(tmp_path / name / "meta.tsv", sep="\t", index_col="hash_id")
            for name in ("apart", "joint", "alone")}  # fmt: skip
    tests = read["alone"].index
    pd.testing.assert_frame_equal(read["apart"].loc[tests], read["alone"])
    assert not np.allclose(read["joint"].loc[tests], read["alone"])
    assert set(read["apart"].index) == set(read["joint"].index)


def test_a_recording_in_both_parts_is_only_tested_on_unless_released_so(tmp_path):
    four_subsets(tmp_path)
    for subset in ("crowd_train", "crowd_test"):
        write(tmp_path, subset, [*agreed("both", "sad"), *agreed(subset, "angry")])
    for compat, in_train in (("dusha", True), (None, False)):
        process(tmp_path, tmp_path / "out", compat=compat)
        assert ("both" in set(manifest(tmp_path / "out", "train/train")["id"])) is in_train
        assert "both" in set(manifest(tmp_path / "out", "test/test")["id"])


def test_tabs_in_are_tabs_out_and_hold_the_same(tmp_path):
    for ending in (".jsonl", ".tsv"):
        dusha_tree.make(tmp_path / ending, scale=SCALE, ending=ending)
        process(tmp_path / ending, tmp_path / ending)
    for name in ("aggregated_dataset/crowd_train", "train/train", "test/test"):
        one, other = manifest(tmp_path / ".jsonl", name), manifest(tmp_path / ".tsv", name)
        pd.testing.assert_frame_equal(one, other, check_dtype=False)


def test_the_summary_counts_what_was_written(planted, tmp_path):
    found = process(planted[0], tmp_path)["found"]
    assert found["raw", "all", "annotations"] == planted[1].n_votes
    assert found["raw", "all", "recordings"] == len(planted[1].truth)
    tables = {subset: manifest(tmp_path, f"aggregated_dataset/{subset}") for subset in SUBSETS}
    crowd = pd.concat([tables["crowd_train"], tables["crowd_test"]])
    counts = Counter(crowd["emotion"])
    assert found["table 1", "crowd", "happiness"] == counts["positive"]
    assert found["table 1", "crowd", "total"] == len(crowd)
    hours = tables["podcast_test"]["duration"].sum() / 3600
    assert found["table 2", "podcast", "test hours"] == pytest.approx(hours)
    for split in ("train", "test"):
        n = len(manifest(tmp_path, f"{split}/{split}"))
        assert found["experiments", "all", f"{split} in the manifest"] == n
        n_all = sum(len({row["hash_id"] for row in lines(planted[0] / s / f"raw_{s}.jsonl")})
                    for s in SUBSETS if s.endswith(split))  # fmt: skip
        undecided = found["experiments", "all", f"{split} undecided"]
        assert undecided + found["table 2", "all", f"{split} files"] == n_all


def test_the_summary_puts_the_printed_numbers_beside_as_differences(planted, tmp_path):
    table = process(planted[0], tmp_path)
    assert set(PRINTED) <= set(table.index)
    known = table.dropna()
    assert len(known) == len(PRINTED)
    np.testing.assert_allclose(known["difference"], known["found"] - known["printed"])
    assert known.loc[("table 1", "crowd", "neutral"), "printed"] == 106_850


def test_the_printed_tables_agree_with_themselves():
    for domain in ("crowd", "podcast"):
        counts = [PRINTED["table 1", domain, label] for label in dusha_raw.DUSHA_5]
        total = PRINTED["table 1", domain, "total"]
        assert sum(counts) == total
        files = [PRINTED["table 2", domain, f"{split} files"] for split in ("train", "test")]
        assert sum(files) == total


def test_the_releases_broken_tables_are_read(tmp_path):
    rows = [["a", "../../features/a.npy", "2.5", "1", "sad"]]
    header = ["id", "tensor", "wav_lengh", "label"]
    path = tmp_path / "train.tsv"
    path.write_text("".join("\t".join(row) + "\n" for row in [header, *rows]), "utf-8")
    table = read_manifest(path)
    assert table.iloc[0].to_dict() == dict(
        zip(EXPERIMENT, ["a", "../../features/a.npy", 2.5, 1, "sad"], strict=True)
    )
    header = [*AGGREGATED[:1], "wav_path", *AGGREGATED[2:]]
    path.write_text("\t".join(header) + '\na\tw/a.wav\t2.5\tsad\t\tскажи "да\tsad\ts\n', "utf-8")
    table = read_manifest(path)
    assert tuple(table) == AGGREGATED
    assert table.loc[0, "audio_path"] == "w/a.wav"
    assert table.loc[0, "speaker_text"] == 'скажи "да'


@pytest.mark.parametrize(("name", "text", "reason"), [
    ("a.csv", "", "ends in .jsonl or .tsv"),
    ("a.jsonl", '{"x": 1}\n', "are no manifest"),
    ("a.jsonl", '{"x": \n', "line 1: not a JSON object"),
    ("a.tsv", "id\ttensor\na\tb\n", "line 2: 2 fields, not 5"),
    ("a.tsv", "id\tprobs\na\tb\tc\td\te\t\n", "line 2: not a JSON object"),
])  # fmt: skip
def test_what_is_no_manifest_is_refused(tmp_path, name, text, reason):
    (tmp_path / name).write_text(text, "utf-8")
    with pytest.raises(CorpusError, match=reason):
        read_manifest(tmp_path / name)


def test_a_part_of_the_release_is_enough_unless_compat(tmp_path):
    write(tmp_path, "crowd_train", [*agreed("x", "sad"), *agreed("y", "angry")])
    process(tmp_path, tmp_path / "out")
    folder = tmp_path / "out" / "processed_dataset_090"
    assert {path.name for path in folder.rglob("*.jsonl")} == {"crowd_train.jsonl", "train.jsonl"}
    with pytest.raises(CorpusError, match="needs all subsets, podcast_test, podcast_train"):
        process(tmp_path, tmp_path / "other", compat="dusha")


@pytest.mark.parametrize(("options", "error", "reason"), [
    ({"threshold": 0.0}, TableError, "threshold 0.0"),
    ({"threshold": 90}, TableError, "threshold 90"),
    ({"compat": "golos"}, CorpusError, "compat 'golos'"),
    ({"method": "oracle"}, TableError, "no method 'oracle': there are shares"),
    ({"method": "shares", "compat": "dusha"}, CorpusError, "Dawid-Skene, not shares"),
    ({"exclude": [f"w{k}" for k in range(4)]}, TableError, "every rater is excluded"),
    ({"exclude": "none.txt"}, TableError, "none.txt: cannot be read"),
])  # fmt: skip
def test_options_out_of_range_leave_nothing_behind(tmp_path, options, error, reason):
    four_subsets(tmp_path)
    with pytest.raises(error, match=reason):
        process(tmp_path, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_an_annotation_of_nobody_or_a_broken_line_leaves_nothing_behind(tmp_path):
    four_subsets(tmp_path)
    write(tmp_path, "crowd_test", [("x", None, "sad", None)])
    with pytest.raises(CorpusError, match="line 1: the annotation has no annotator_id"):
        process(tmp_path, tmp_path / "out")
    path = tmp_path / "crowd_test" / "raw_crowd_test.jsonl"
    path.write_text('{"hash_id": "x"', "utf-8")
    with pytest.raises(CorpusError, match="line 1"):
        process(tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()
