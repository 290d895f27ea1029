"""FAU Aibo: schools, children and states."""

import pytest

from affekt.corpora import aibo
from affekt.exceptions import CorpusError
from affekt.harmonise import harmonise
from affekt.scheme import EKMAN_8
from corpus_trees import plant, said

CHUNKS = ["Ohm_01_000_00", "Ohm_32_114_01", "Mont_02_007_00"]
FIVE = "Ohm_01_000_00 N 0.8\nOhm_32_114_01 E 0.6\nMont_02_007_00 P 1.0\n"
TWO = "Ohm_01_000_00 IDL 0.8\nOhm_32_114_01 NEG 0.6\nMont_02_007_00 IDL 1.0\n"


def aibo_tree(root, five=FIVE):
    plant(root, [f"wav/{chunk}.wav" for chunk in CHUNKS])
    folder = root / "labels" / "IS2009EmotionChallenge"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "chunk_labels_5cl_corpus.txt").write_text(five)
    (folder / "chunk_labels_2cl_corpus.txt").write_text(TWO)
    return root


def test_aibo_schools_are_the_parts_and_children_the_speakers(tmp_path):
    corpus = aibo.load(aibo_tree(tmp_path))
    assert said(corpus) == dict(zip(CHUNKS, ("neutral", "emphatic", "happiness"), strict=True))
    table = corpus.utterances.loc[CHUNKS]
    assert table["speaker"].tolist() == ["Ohm_01", "Ohm_32", "Mont_02"]
    assert table["split"].tolist() == ["train", "train", "test"]
    assert table["confidence"].tolist() == [0.8, 0.6, 1.0]
    two = aibo.load(tmp_path, classes=2)
    assert said(two) == dict(zip(CHUNKS, ("idle", "negative", "idle"), strict=True))
    assert aibo.check(tmp_path).complete


def test_aibo_states_have_places_in_the_eight(tmp_path):
    corpus = aibo.load(aibo_tree(tmp_path))
    row = harmonise(corpus.labels, corpus.name, EKMAN_8).loc["Ohm_32_114_01"]
    assert row[["anger", "neutral"]].tolist() == [0.5, 0.5]
    two = aibo.load(tmp_path, classes=2)
    eight = harmonise(two.labels, two.name, EKMAN_8)
    assert eight.loc["Ohm_32_114_01", ["anger", "other"]].tolist() == pytest.approx([0.7, 0.3])
    assert eight.loc["Ohm_01_000_00", ["neutral", "other"]].tolist() == pytest.approx([0.8, 0.2])


@pytest.mark.parametrize(("five", "message"), [
    (FIVE.replace(" E ", " X "), "line 2: code 'X' is not one of A, E, N, P, R"),
    (FIVE.replace("Ohm_32_114_01", "Ohm_01_000_00"), "line 2: Ohm_01_000_00 occurs twice"),
    (FIVE[:-5], "line 3: does not read as Ohm_01_000_00 code confidence, or is cut"),
    (FIVE.replace("0.6", "high"), "line 2: confidence 'high' is no number"),
    ("", "an empty file"),
])  # fmt: skip
def test_aibo_a_broken_table_is_refused_with_its_line(tmp_path, five, message):
    with pytest.raises(CorpusError, match=message):
        aibo.load(aibo_tree(tmp_path, five))


def test_aibo_check_names_what_is_in_one_place_only(tmp_path):
    aibo_tree(tmp_path, "Ohm_01_000_00 N 0.8\nOhm_03_001_00 A 1\n")
    report = aibo.check(tmp_path)
    assert report.missing == ["Ohm_03_001_00"]
    assert len(report.extra) == 2
    assert "Ohm_32_114_01: in one of the two tables only" in report.problems
    with pytest.raises(CorpusError, match="classes must be 5 or 2, not 3"):
        aibo.load(tmp_path, classes=3)
    for path in (tmp_path / "labels").rglob("*.txt"):
        path.unlink()
    for verb in (aibo.load, aibo.check):
        with pytest.raises(CorpusError, match=r"no .*chunk_labels_5cl_corpus"):
            verb(tmp_path)
