"""Dusha as its experiments read it: manifests of features, with or without recordings."""

import json

import numpy as np
import pytest

import dusha_tree
from affekt.corpora.dusha import experiments
from affekt.corpora.dusha.manifests import process
from affekt.exceptions import CorpusError
from affekt.features.logmel import DUSHA, log_mel
from affekt.splits import by_speaker
from corpus_trees import plant, said
from media import tone

RECORDS = [
    {"id": "a1", "label": 0, "emotion": "angry"},
    {"id": "a2", "label": 3, "emotion": "positive"},
    {"id": "a3", "label": 2, "emotion": "neutral"},
]


def feature_file(path, n_frames=7):
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, np.full((1, 64, n_frames), -40, np.float32))


def setups(root, train=RECORDS, test=({"id": "b1", "label": 1, "emotion": "sad"},), lost=()):
    """Manifests as in paper_setups, features above them, no recording anywhere."""
    for name, records in (("crowd_large", train), ("test/podcast_test", test)):
        path = root / "paper_setups" / f"{name}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = [
            {**one, "tensor": f"../features/{one['id']}.npy", "wav_length": 1.5} for one in records
        ]
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        for one in records:
            if one["id"] not in lost:
                feature_file(root / "features" / f"{one['id']}.npy")
    return root


NAMES = {"train": "crowd_large", "test": "podcast_test"}


def test_dusha_manifests_of_features_alone_are_a_corpus(tmp_path):
    corpus = experiments.load(setups(tmp_path), **NAMES)
    assert said(corpus) == {"a1": "anger", "a2": "happiness", "a3": "neutral", "b1": "sadness"}
    assert corpus.utterances["split"].tolist() == ["train"] * 3 + ["test"]
    assert corpus.utterances["duration"].tolist() == [1.5] * 4
    assert (corpus.utterances["excluded"] == "").all()
    features = experiments.read_features(corpus.path("b1"))
    assert features.shape == (64, 7)
    assert features.dtype == np.float32
    assert "notes" not in corpus.card
    assert experiments.check(tmp_path, **NAMES).complete


def test_dusha_rows_without_features_are_left_out_and_counted(tmp_path):
    corpus = experiments.load(setups(tmp_path, lost=("a2",)), **NAMES)
    assert corpus.utterances.index.tolist() == ["a1", "a3", "b1"]
    assert corpus.card["notes"] == ["1 rows without features left out"]
    assert experiments.check(tmp_path, **NAMES).missing == ["a2"]
    for path in (tmp_path / "features").iterdir():
        path.unlink()
    with pytest.raises(
        CorpusError, match=r"none of its 4 rows has features in .*unpack features\.tar"
    ):
        experiments.load(tmp_path, **NAMES)


def test_dusha_repeated_rows_and_clips_of_both_parts_are_settled_and_counted(tmp_path):
    test = [{"id": "a1", "label": 0, "emotion": "angry"}]
    corpus = experiments.load(setups(tmp_path, [*RECORDS, RECORDS[2]], test), **NAMES)
    assert corpus.utterances["split"].to_dict() == {"a2": "train", "a3": "train", "a1": "test"}
    assert corpus.card["notes"] == [
        "1 repeated rows left out", "1 clips of training and test taken for test",
    ]  # fmt: skip


@pytest.mark.parametrize(("record", "message"), [
    ({"emotion": "happy"}, "row 1: 'happy' is none of angry, sad"),
    ({"label": 1}, "row 1: label 1 is not that of angry: this manifest has another order"),
    ({"id": "a2"}, "row 2: a2 is happiness here, but has another label in an earlier row"),
    ({"emotion": None}, "row 1: nan is none of angry, .* or has no id"),
])  # fmt: skip
def test_dusha_a_wrong_row_of_a_manifest_is_refused(tmp_path, record, message):
    setups(tmp_path, [{**RECORDS[0], **record}, *RECORDS[1:]])
    with pytest.raises(CorpusError, match=message):
        experiments.load(tmp_path, **NAMES)


def test_dusha_a_manifest_that_is_cut_absent_or_none_is_refused(tmp_path):
    path = setups(tmp_path) / "paper_setups" / "crowd_large.jsonl"
    path.write_text(path.read_text()[:-10])
    with pytest.raises(CorpusError, match="line 3: not a JSON object"):
        experiments.load(tmp_path, **NAMES)
    with pytest.raises(CorpusError, match=r"no train/train\.jsonl and test/test\.jsonl"):
        experiments.load(tmp_path)
    with pytest.raises(CorpusError, match="no such folder or manifest"):
        experiments.load(tmp_path / "nowhere")
    for threshold in ("080", "090"):
        for part in ("train", "test"):
            folder = tmp_path / f"processed_dataset_{threshold}" / part
            folder.mkdir(parents=True)
            (folder / f"{part}.jsonl").write_text("")
    with pytest.raises(CorpusError, match="in processed_dataset_080, processed_dataset_090: give"):
        experiments.load(tmp_path)
    with pytest.raises(CorpusError, match=r"train\.jsonl: an empty file"):
        experiments.load(tmp_path / "processed_dataset_080")
    with pytest.raises(CorpusError, match="source must be features or audio, not 'mp3'"):
        experiments.load(tmp_path, source="mp3")


def test_dusha_the_released_tsv_with_its_broken_header_is_read(tmp_path):
    path = tmp_path / "test" / "crowd_test.tsv"
    path.parent.mkdir()
    path.write_text("id\ttensor\twav_lengh\tlabel\na1\t../../features/a1.npy\t2.5\t0\tangry\n")
    feature_file(tmp_path / "features" / "a1.npy")
    corpus = experiments.load(path)
    assert said(corpus) == {"a1": "anger"}
    assert corpus.utterances.loc["a1", ["split", "duration"]].tolist() == ["test", 2.5]
    path.write_text("id\ttensor\twav_lengh\tlabel\na1\t../../features/a1.npy\t2.5\t0\n")
    with pytest.raises(CorpusError, match="line 2: 4 fields, not 5"):
        experiments.load(path)


def test_dusha_manifests_that_process_wrote_know_sources_texts_and_soft_labels(tmp_path):
    dusha_tree.make(tmp_path, scale=0.0005)
    process(tmp_path, tmp_path)
    written = tmp_path / "processed_dataset_090" / "train" / "train.jsonl"
    records = [json.loads(line) for line in written.read_text("utf-8").splitlines()]
    tests = (tmp_path / "processed_dataset_090/test/test.jsonl").read_text("utf-8").splitlines()
    for record in [*records, *map(json.loads, tests)]:
        feature_file(tmp_path / "features" / f"{record['id']}.npy")
    corpus = experiments.load(tmp_path, soft=True)
    assert len(corpus) == len(records) + len(tests)
    assert set(corpus.utterances["domain"]) == {"crowd", "podcast"}
    assert corpus.utterances[["speaker", "text"]].notna().all(axis=None)
    split = by_speaker(corpus.utterances, 2)[0]
    assert not set(split.train) & set(split.test)
    probs = records[0]["probs"]
    four = np.array([probs[word] for word in ("angry", "sad", "neutral", "positive")])
    assert corpus.labels.loc[records[0]["id"]].to_numpy() == pytest.approx(four / four.sum())
    first = records[0]["id"]
    subset = tmp_path / f"{corpus.utterances.loc[first, 'domain']}_train"
    plant(subset, [f"wavs/{first}.wav"])
    heard = experiments.load(tmp_path, source="audio")
    assert (heard.utterances["excluded"] == "").sum() == 1
    assert heard.path(first).is_file()
    listed = tmp_path / "processed_dataset_090/aggregated_dataset" / f"{subset.name}.jsonl"
    aggregated = experiments.load(listed, source="audio")
    assert aggregated.path(first).is_file()
    assert set(aggregated.utterances["split"]) == {"train"}


def test_dusha_soft_labels_need_probs(tmp_path):
    with pytest.raises(CorpusError, match=r"row 1: no probs of angry, .*manifests\.process writes"):
        experiments.load(setups(tmp_path), soft=True, **NAMES)


def test_dusha_features_are_those_of_the_preset_and_others_are_refused(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, log_mel(tone(0.5), DUSHA)[None])
    assert experiments.read_features(path).shape == (64, 1 + 8000 // 160)
    for wrong, message in (
        (np.zeros((1, 80, 5), np.float32), r"features of shape \(1, 80, 5\), not \(1, 64, n\)"),
        (np.zeros((64, 0), np.float32), r"features of shape \(64, 0\)"),
        (np.full((64, 3), np.nan, np.float32), "not all of its features are finite numbers"),
        (np.zeros((64, 3), np.int16), "not all of its features are finite numbers"),
    ):
        np.save(path, wrong)
        with pytest.raises(CorpusError, match=message):
            experiments.read_features(path)
    np.save(path, np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(CorpusError, match=r"a\.npy: cannot be read as an array of numbers"):
        experiments.read_features(path)
    path.write_bytes(b"")
    with pytest.raises(CorpusError, match="cannot be read as an array of numbers"):
        experiments.read_features(path)
