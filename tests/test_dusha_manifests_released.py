"""From raw annotations to manifests: the released script's decisions, and the better ones."""

import pandas as pd
import pytest

import dusha_subsets
from affekt.corpora.dusha.manifests import process
from dusha_subsets import SUBSETS, agreed, four_subsets, lines, manifest, write

planted = pytest.fixture(scope="module")(dusha_subsets.planted)


def naive(root, meta):
    """The released script's steps 6 to 9, row by row."""
    emotion = {}
    for id, row in meta.iterrows():
        if max(row) >= 0.9:
            emotion[id] = row.idxmax()
    kept = {}
    for subset in SUBSETS:
        rows = lines(root / subset / f"raw_{subset}.jsonl")
        first = {}
        for row in rows:
            first.setdefault(row["hash_id"], row)
        kept[subset] = [id for id in first if id in emotion]
    train = [id for subset in ("podcast_train", "crowd_train") for id in kept[subset]]
    test = [id for subset in ("podcast_test", "crowd_test") for id in kept[subset]]
    return kept, emotion, train, test


def test_the_released_decisions_are_reproduced_row_by_row(planted, tmp_path):
    process(planted[0], tmp_path, compat="dusha")
    meta = pd.read_csv(tmp_path / "meta.tsv", sep="\t", index_col="hash_id")
    kept, emotion, train, test = naive(planted[0], meta)
    for subset in SUBSETS:
        table = manifest(tmp_path, f"aggregated_dataset/{subset}")
        assert table["hash_id"].tolist() == kept[subset]
        assert table["emotion"].tolist() == [emotion[id] for id in kept[subset]]
    for split, ids in {"train": train, "test": test}.items():
        wanted = [id for id in ids if emotion[id] != "other"]
        assert manifest(tmp_path, f"{split}/{split}")["id"].tolist() == wanted


@pytest.mark.parametrize(("drop", "n_controls"), [(None, 4), (True, 0), (False, 4)])
def test_the_released_decisions_can_be_taken_without_control_tasks(tmp_path, drop, n_controls):
    four_subsets(tmp_path, golden=3.0)
    process(tmp_path, tmp_path / "out", compat="dusha", drop_honeypots=drop)
    ids = [id for split in ("train", "test")
           for id in manifest(tmp_path / "out", f"{split}/{split}")["id"]]  # fmt: skip
    assert sum(id.endswith("control") for id in ids) == n_controls


def test_control_tasks_are_named_in_the_aggregated_manifests(planted, tmp_path):
    process(planted[0], tmp_path)
    honeypots = planted[1].honeypots
    golden = pd.concat(
        [manifest(tmp_path, f"aggregated_dataset/{subset}") for subset in SUBSETS]
    ).set_index("hash_id")["golden_emo"].dropna()  # fmt: skip
    assert set(golden.index) <= honeypots
    assert len(golden) > 3
    assert all(planted[1].truth[id] == word for id, word in golden.items())


@pytest.mark.parametrize(("ending", "golden", "compat", "n_controls"), [
    (".jsonl", 3.0, "dusha", 4), (".jsonl", "3", "dusha", 0), (".tsv", 3, "dusha", 0),
    (".jsonl", 3.0, None, 2), (".tsv", 3, None, 2),
])  # fmt: skip
def test_the_released_script_keeps_control_tasks_of_json_numbers_we_those_of_test(
    tmp_path, ending, golden, compat, n_controls
):
    four_subsets(tmp_path, ending, golden)
    process(tmp_path, tmp_path / "out", compat=compat)
    ids = [id for split in ("train", "test")
           for id in manifest(tmp_path / "out", f"{split}/{split}")["id"]]  # fmt: skip
    assert sum(id.endswith("control") for id in ids) == n_controls
    assert len(ids) == 4 * 4 * 3 + n_controls


def test_a_control_answer_on_a_later_row_counts_only_without_compat(tmp_path):
    four_subsets(tmp_path, ".tsv")
    rows = [*agreed("x", "sad")[:3], ("x", "w9", "sad", "3"), *agreed("y", "angry")]
    write(tmp_path, "crowd_train", rows, ending=".tsv")
    for compat, ids in (("dusha", ["x", "y"]), (None, ["y"])):
        process(tmp_path, tmp_path / "out", compat=compat)
        assert manifest(tmp_path / "out", "train/crowd_train")["id"].tolist() == ids


@pytest.mark.parametrize(("first", "second"), [("sad", "angry"), ("angry", "sad")])
def test_a_tie_goes_to_the_label_that_appeared_last_or_stays_undecided(tmp_path, first, second):
    for subset in SUBSETS:
        rows = [("t", "a", first, None), ("t", "b", second, None)]
        write(tmp_path, subset, [(f"{subset}-{id}", *row) for id, *row in rows])
    for compat, said in (("dusha", [second]), (None, [])):
        process(tmp_path, tmp_path / "out", threshold=0.5, compat=compat)
        folder = tmp_path / "out/processed_dataset_050/aggregated_dataset"
        assert [one["emotion"] for one in lines(folder / "crowd_train.jsonl")] == said


@pytest.mark.parametrize(("threshold", "name"), [
    (0.58, "058"), (0.9, "090"), (0.905, "0905"), (0.9055, "09055"), (1, "100"), (0.05, "005"),
])  # fmt: skip
def test_the_threshold_names_the_folder_with_all_its_digits(tmp_path, threshold, name):
    write(tmp_path, "crowd_train", agreed("x", "sad"))
    process(tmp_path, tmp_path / "out", threshold=threshold)
    folders = [path.name for path in (tmp_path / "out").iterdir() if path.is_dir()]
    assert folders == [f"processed_dataset_{name}"]
