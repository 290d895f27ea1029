"""Votes from exports of tools, trees of Dusha and corpus folders, from the outside."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest

import dusha_tree
import vote_tables
from affekt import votes
from affekt.cli.votes import decimals
from affekt.corpora import earkick
from affekt.tables import read_table
from affekt.votes import agreement
from vote_tables import PLAIN, names_in

place = pytest.fixture(vote_tables.place)
affekt = pytest.fixture(vote_tables.affekt)
both = pytest.fixture(vote_tables.both)


def test_exports_of_tools_are_known_by_what_they_are(affekt, place, tmp_path):
    toloka = "INPUT:audio\tOUTPUT:emo\tASSIGNMENT:worker_id\n" + "".join(
        f"a{u}.wav\t{label}\tw{rater}\n" for u, rater, label in
        [(1, 1, "Happy"), (1, 2, "Angry"), (2, 1, "Angry"), (2, 2, "Angry")])  # fmt: skip
    tasks = [
        {"id": u, "data": {"audio": f"a{u}.wav"}, "annotations": [
            {"completed_by": rater, "result": [
                {"type": "choices", "from_name": "emo", "value": {"choices": [label]}}]}
            for rater, label in answers]}
        for u, answers in [(1, [(1, "Happy"), (2, "Angry")]), (2, [(1, "Angry"), (2, "Angry")])]
    ]  # fmt: skip
    for name, text in (("pool.tsv", toloka), ("project.json", json.dumps(tasks))):
        out = tmp_path / f"{name}.csv"
        affekt("aggregate", place(name, text), "--method", "shares", "--out", out)
        assert out.read_text() == "utterance,anger,happiness\na1,0.5,0.5\na2,1.0,0.0\n"
        assert "2 raters" in affekt("raters", tmp_path / name, "--question", "emo")
        assert "--column cannot" in affekt("raters", tmp_path / name, "--column", "x=y", code=1)


def test_a_tree_of_dusha_becomes_its_manifests(affekt, tmp_path):
    dusha_tree.make(tmp_path / "raw", scale=0.0005)
    out = tmp_path / "out"
    said = affekt("aggregate", tmp_path / "raw", "--compat", "dusha", "--out", out)
    assert "annotations" in said
    assert (out / "processed_dataset_090" / "train" / "crowd_train.jsonl").stat().st_size
    assert "5 utterances" not in said
    assert "neutral" in affekt("raters", tmp_path / "raw")
    refused = affekt("aggregate", tmp_path / "raw", "--hard", "--out", out, code=1)
    assert "--hard cannot be given with a tree of Dusha" in refused


def test_excluded_raters_and_another_method_reach_the_manifests_of_dusha(affekt, tmp_path):
    raw, removed = tmp_path / "raw", tmp_path / "removed.csv"
    dusha_tree.make(raw, scale=0.0005)
    said = affekt("raters", raw, "--min-agreement", "0.7", "--removed", removed)
    gone = read_table(removed)
    assert len(gone) > 0
    assert f"{gone['rater'].nunique():,} of" in said
    manifests = []
    for name, more in (("all", []), ("some", ["--exclude", removed, "--method", "majority"])):
        affekt("aggregate", raw, *more, "--out", tmp_path / name)
        path = tmp_path / name / "processed_dataset_090" / "train" / "train.jsonl"
        manifests.append(path.read_text("utf-8"))
    assert manifests[0] != manifests[1]
    assert all(json.loads(line)["probs"] for line in manifests[1].splitlines())


def test_a_folder_that_is_neither_a_corpus_nor_dusha_is_refused(affekt, tmp_path):
    assert affekt("raters", tmp_path, code=1).count("\n") == 1


def test_a_corpus_folder_gives_its_votes_and_its_scheme(affekt, shared, tmp_path):
    corpus = earkick.load(shared / "votes" / "earkick")
    corpus.write(tmp_path / "earkick")
    said = affekt("agreement", tmp_path / "earkick", "--out", tmp_path / "agreement")
    assert corpus.votes is not None
    alpha = agreement.krippendorff_alpha(corpus.votes, corpus.scheme)
    assert f"labels: {', '.join(corpus.scheme)}\n" in said
    assert f"Krippendorff's alpha (nominal)  {decimals(alpha):>5}" in said
    assert "of 3 pairs" in said
    shared_ties = agreement.agreement_with_rest(corpus.votes, corpus.scheme)
    assert f"counted 1 / k   {decimals(shared_ties)}" in said
    written = tmp_path / "agreement"
    assert names_in(written) == {"agreement.csv", "entropy.csv", "pairs.csv", "rater_against_rest"}
    assert (written / "rater_against_rest" / "report.md").exists()


def test_the_report_on_real_raters_is_that_of_the_function(affekt, shared, tmp_path):
    corpus = earkick.load(shared / "votes" / "earkick")
    corpus.write(tmp_path / "earkick")
    assert corpus.votes is not None
    out, keep, plot = (tmp_path / name for name in ("raters.csv", "kept.csv", "plot.png"))
    said = affekt(
        "raters", tmp_path / "earkick" / "votes.csv", "--labels", ",".join(corpus.scheme),
        "--rater", "2", "--min-agreement", "0.45", "--out", out, "--keep", keep, "--plot", plot,
    )  # fmt: skip
    expected = votes.raters(corpus.votes, corpus.scheme)
    found = pd.read_csv(out, dtype={"rater": "str"}).set_index("rater")
    pd.testing.assert_frame_equal(found, expected, check_index_type=False, check_dtype=False)
    low = expected.index[expected["agreement"] < 0.45].tolist()
    assert re.findall(r"excluded: (\S+) ", said) == low
    kept = read_table(keep)
    assert len(kept) == (~corpus.votes["rater"].isin(low)).sum()
    assert kept.columns.tolist() == corpus.votes.columns.tolist()
    assert "confusions of 2" in said
    assert plot.stat().st_size


def tasks_of(rows: list[tuple[str, list[tuple[int, list[str], bool]]]]) -> str:
    """Label Studio's export of (task, [(rater, choices, cancelled)])."""
    return json.dumps([
        {"id": number, "data": {"audio": f"{name}.wav"}, "annotations": [
            {"id": 10 * number + rater, "completed_by": rater, "was_cancelled": cancelled,
             "result": [{"type": "choices", "from_name": "emo", "value": {"choices": choices}}]}
            for rater, choices, cancelled in answers]}
        for number, (name, answers) in enumerate(rows)
    ])  # fmt: skip


def test_what_casts_no_vote_is_counted_in_an_export_of_label_studio(both, place):
    path = place("p.json", tasks_of([
        ("a", [(1, ["Sad"], False), (2, ["Sad"], False)]),
        ("b", [(1, ["Sad"], True), (2, ["Angry"], True)]),
        ("c", [(1, ["Angry"], False), (2, [], False)]),
    ]))  # fmt: skip
    said, _ = both("aggregate", path, "--method", "shares")
    assert "answers without a vote: 2 skipped by the annotator, 1 no choice\n" in said
    assert "utterances without a vote: 1 of 3, which get no label (b)\n" in said


def test_what_casts_no_vote_is_counted_in_tolokas_assignments(both, place):
    rows = [("a", 1, "Sad", "APPROVED"), ("a", 2, "Sad", "APPROVED"), ("b", 1, "Sad", "REJECTED")]
    text = "INPUT:audio\tOUTPUT:emo\tASSIGNMENT:worker_id\tASSIGNMENT:status\n" + "".join(
        f"{task}.wav\t{label}\t{rater}\t{status}\n" for task, rater, label, status in rows
    )
    said, _ = both("raters", place("pool.tsv", text))
    assert "answers without a vote: 1 rejected\n" in said
    assert "utterances without a vote: 1 of 2, which get no label (b)\n" in said


def test_an_export_without_any_vote_says_why(affekt, place):
    path = place("p.json", tasks_of([("a", [(1, ["Sad"], True)])]))
    complaint = affekt("aggregate", path, code=1)
    assert complaint == f"affekt: {path}: no answer is a vote (1 skipped by the annotator)\n"


def test_what_casts_no_vote_is_counted_in_a_corpus_folder(both, shared, tmp_path):
    corpus = earkick.load(shared / "votes" / "earkick")
    corpus.write(tmp_path / "earkick")
    said, _ = both("raters", tmp_path / "earkick")
    assert "answers without a vote: 236 tied\n" in said
    assert re.search(
        r"utterances without a vote: 7 of 348, which get no label \((\S+, ){5}…\)\n", said
    )


def test_a_corpus_folder_in_which_all_have_votes_says_nothing_of_silence(both, tmp_path):
    said, _ = both("raters", corpus_folder(tmp_path / "c", ["a", "b"]))
    assert "without a vote" not in said
    said, _ = both("raters", corpus_folder(tmp_path / "d", ["a", "b", "c"]))
    assert "utterances without a vote: 1 of 3, which get no label (c)\n" in said


def corpus_folder(root: Path, utterances: list[str]) -> Path:
    """A corpus folder with two votes on a and on b."""
    root.mkdir()
    card = {"name": "mine", "scheme": {"name": "two", "labels": ["calm", "fear"]}}
    (root / "card.json").write_text(json.dumps(card))
    rows = "".join(f"{name},{name}.wav\n" for name in utterances)
    (root / "utterances.csv").write_text("utterance,file\n" + rows)
    said = "utterance,rater,label\na,x,calm\na,y,calm\nb,x,fear\nb,y,calm\n"
    (root / "votes.csv").write_text(said)
    return root


def test_a_fault_in_a_corpus_folder_names_its_table_and_the_line_or_vote(affekt, tmp_path):
    root = corpus_folder(tmp_path / "c", ["a", "b"])
    table = root / "votes.csv"
    good = table.read_text()
    table.write_text(good.replace("b,x,fear", "b,x,"))
    complaint = affekt("raters", root, code=1)
    assert complaint == f"affekt: {table}, line 4: column label is empty\n"
    table.write_text(good + "a,y,fear\n")
    complaint = affekt("aggregate", root, code=1)
    assert complaint.startswith(f"affekt: {table}, vote of rater 'y' on utterance 'a': ")
    table.write_text(good.replace("b,x,fear", "b,,fear"))
    complaint = affekt("aggregate", root, code=1)
    assert f"{table}, vote of nobody known on utterance 'b': column rater is empty" in complaint


def test_a_fault_in_an_export_names_the_vote_and_what_can_be_done(affekt, both, place):
    path = place("p.json", tasks_of([
        ("a", [(1, ["Sad", "Angry"], False), (2, ["Sad"], False), (3, ["Sad"], False)]),
    ]))  # fmt: skip
    complaint = affekt("aggregate", path, code=1)
    assert f"{path}, vote of rater '1' on utterance 'a': " in complaint
    assert "row" not in complaint
    assert complaint.endswith("choose: --duplicates first, last or keep, or --several drop\n")
    said, _ = both("aggregate", path, "--several", "drop", "--labels", "sadness,anger")
    assert "2 votes on 1 utterances by 2 raters" in said
    assert "answers without a vote: 1 several choices\n" in said
    table = place("v.csv", PLAIN)
    assert "--several cannot be given" in affekt("raters", table, "--several", "drop", code=1)
