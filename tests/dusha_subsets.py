"""Dusha's four subsets with the annotations a test asks for, and their manifests read back."""

import json

import dusha_tree
from affekt.corpora.dusha.manifests import WORDS, read_manifest

SCALE = 0.002
SUBSETS = ("podcast_test", "podcast_train", "crowd_train", "crowd_test")


def planted(tmp_path_factory):
    root = tmp_path_factory.mktemp("dusha")
    return root, dusha_tree.make(root, scale=SCALE)


def write(root, subset, rows, *, ending=".jsonl"):
    """A subset of (hash_id, annotator, answer, golden) rows."""
    (root / subset).mkdir(parents=True, exist_ok=True)
    records = [
        {
            "hash_id": id, "audio_path": f"wavs/{id}.wav", "duration": 1.5, "annotator_emo": said,
            "golden_emo": golden, "annotator_id": who, "speaker_text": "да", "speaker_emo": None,
            "source_id": "s",
        }
        for id, who, said, golden in rows
    ]  # fmt: skip
    lines = [json.dumps(one) for one in records]
    if ending == ".tsv":
        cells = [["" if cell is None else str(cell) for cell in one.values()] for one in records]
        lines = ["\t".join(row) for row in [list(records[0]), *cells]]
    (root / subset / f"raw_{subset}{ending}").write_text("\n".join(lines) + "\n", "utf-8")


def agreed(id, said, golden=None, n=4):
    return [(id, f"w{k}", said, golden) for k in range(n)]


def four_subsets(root, ending=".jsonl", golden=None):
    """Undisputed recordings of all five answers in each subset, of which one is a control task."""
    for subset in SUBSETS:
        rows = [
            row for word in WORDS for i in "123" for row in agreed(f"{subset}-{word}-{i}", word)
        ]
        rows += agreed(f"{subset}-control", "sad", golden)
        write(root, subset, rows, ending=ending)


def manifest(out, name):
    path = next((out / "processed_dataset_090").glob(f"{name}.*"))
    return read_manifest(path)


def lines(path):
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]
