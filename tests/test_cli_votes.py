"""`affekt aggregate`, `raters`, `agreement`, `next-votes`, and reading votes, from the outside."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import dusha_tree
from affekt import cli, votes
from affekt.cli.aggregate import Method
from affekt.cli.votes import decimals
from affekt.corpora import earkick
from affekt.exceptions import TableError
from affekt.scheme import Categories
from affekt.tables import read_table
from affekt.votes import agreement

SAID = """utterance,rater,label,gold
a1,ann,anger,anger
a1,bob,anger,anger
a1,cid,neutral,anger
a2,ann,neutral,neutral
a2,bob,neutral,neutral
a2,cid,neutral,neutral
b1,ann,anger,
b1,bob,anger,
b1,cid,neutral,
b2,ann,sadness,
b2,bob,sadness,
b2,cid,neutral,
b3,ann,neutral,
b3,bob,sadness,
"""
PLAIN = "utterance,rater,label\n1,x,calm\n1,y,fear\n2,x,fear\n2,y,fear\n"
VERBS = ("aggregate", "raters", "agreement", "next-votes")


@pytest.fixture
def place(tmp_path):
    def put(name: str, text: str | bytes) -> str:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(path)

    return put


@pytest.fixture
def affekt(monkeypatch, capsys):
    """Run the command line as its program does; give what it prints, or what it complains of."""

    def run(*words: object, code: int = 0) -> str:
        monkeypatch.setattr(sys, "argv", ["affekt", *map(str, words)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        said = capsys.readouterr()
        assert (end.value.code or 0) == code, said.err
        return said.err if code else said.out

    return run


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


# --- reading


def test_every_form_of_a_table_gives_the_same_votes(place, tmp_path):
    expected = votes.read_votes(place("v.csv", SAID))
    assert expected.index.tolist() == list(range(2, 16))
    place("v.tsv", SAID.replace(",", "\t"))
    plain = expected.astype("str")
    plain.to_json(tmp_path / "v.jsonl", orient="records", lines=True)
    plain.to_parquet(tmp_path / "v.parquet", index=False)
    place("bom.csv", b"\xef\xbb\xbf" + SAID.encode())
    place("windows.csv", SAID.replace("\n", "\r\n"))
    place("mac.csv", SAID.replace("\n", "\r"))
    place("blank.csv", "\n" + SAID.replace("b1,ann", "\nb1,ann"))
    place("quoted.csv", '"' + SAID[:-1].replace(",", '","').replace("\n", '"\n"') + '"\n')
    place("endless.csv", SAID[:-1])
    for path in sorted(tmp_path.iterdir()):
        found = votes.read_votes(path)
        pd.testing.assert_frame_equal(
            found.astype("str").reset_index(drop=True), plain.reset_index(drop=True), obj=path.name
        )


def test_a_line_number_is_the_files_own_whatever_lies_between(place):
    text = 'utterance,rater,label,note\n\n1,x,calm,"two\nlines, and a comma"\n1,y,fear,\n'
    found = votes.read_votes(place("v.csv", text), others=True)
    assert found.index.tolist() == [3, 5]
    assert found["note"].tolist()[0] == "two\nlines, and a comma"


def test_quotation_marks_and_tabs_in_texts_cost_no_vote(place):
    rows = [
        '1\tx\tcalm\t"Stop',
        "1\ty\tfear\the said",
        '2\tx\tcalm\tstop"',
        '2\ty\tcalm\t"a ""b"""',
    ]
    text = "utterance\trater\tlabel\ttext\n" + "\n".join(rows) + "\n"
    found = votes.read_votes(place("v.tsv", text), others=True)
    assert found["label"].tolist() == ["calm", "fear", "calm", "calm"]
    assert found["text"].tolist() == ['"Stop', "he said", 'stop"', 'a "b"']
    held = text.replace("he said", '"he\tsaid"')
    assert votes.read_votes(place("w.tsv", held.replace('"Stop', "Stop").replace('stop"', "stop")),
                            others=True)["text"].tolist()[1] == "he\tsaid"  # fmt: skip


def test_columns_go_by_crowd_kits_names_or_by_those_that_are_given(place):
    crowd = votes.read_votes(place("c.csv", PLAIN.replace("utterance,rater", "task,worker")))
    mine = PLAIN.replace("utterance,rater,label", "clip,who,emo")
    names = {"utterance": "clip", "rater": "who", "label": "emo"}
    pd.testing.assert_frame_equal(crowd, votes.read_votes(place("m.csv", mine), columns=names))


def test_a_given_column_wins_over_one_of_our_name(place):
    text = "utterance,rater,label,voice\n1,x,face,calm\n"
    found = votes.read_votes(place("v.csv", text), columns={"label": "voice"})
    assert found.columns.tolist() == ["utterance", "rater", "label"]
    assert found["label"].tolist() == ["calm"]


def test_pyarrow_reads_sooner_and_the_same(place, monkeypatch):
    text = SAID + 'NA,"dé, ""d""",null,\n' + '"q",zoe,"anger",""\n'
    path = place("v.tsv", text.replace(",", "\t").replace("dé\t", "dé,"))
    fast = votes.read_votes(path)
    monkeypatch.setattr("affekt.votes.cells.find_spec", lambda name: None)
    plain = votes.read_votes(path)
    pd.testing.assert_frame_equal(fast, plain, check_categorical=False)
    assert plain.iloc[-2].fillna("").tolist() == ["NA", 'dé, "d"', "null", ""]
    assert plain.iloc[-1].fillna("").tolist() == ["q", "zoe", "anger", ""]


def test_a_line_longer_than_pyarrows_blocks_is_read(place):
    text = f"utterance,rater,label,text\n1,x,calm,{'a' * 3_000_000}\n1,y,fear,\n"
    assert votes.read_votes(place("v.csv", text))["label"].tolist() == ["calm", "fear"]


def test_blocks_do_not_change_what_is_read(place, monkeypatch):
    path = place("v.csv", SAID)
    whole = votes.read_votes(path)
    bad = place("bad.csv", SAID.replace("b2,cid,neutral,", "b2,cid"))
    for size in (1, 7, 64):
        monkeypatch.setattr("affekt.votes.cells._BLOCK", size)
        pd.testing.assert_frame_equal(votes.read_votes(path), whole)
        with pytest.raises(TableError, match="line 13: 2 cell"):
            votes.read_votes(bad)


def test_numbers_as_ids_and_labels_are_the_same_text_in_every_form(place):
    rows = [{"utterance": 12, "rater": 7, "label": 1}, {"utterance": 13, "rater": 7, "label": 0}]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    found = votes.read_votes(place("v.jsonl", lines))
    assert found.to_numpy().tolist() == [["12", "7", "1"], ["13", "7", "0"]]
    assert votes.occurring(found).labels == ("0", "1")


FAULTS = {
    "a wrong delimiter": ("v.csv", PLAIN.replace(",", ";"),
        r"v\.csv, line 1: divided by semicolons, not by commas; give .*--delimiter ';'"),
    "tabs in a .csv": ("v.csv", PLAIN.replace(",", "\t"),
        "line 1: divided by tabs.*--delimiter tab"),
    "mixed encodings": ("v.csv", PLAIN.encode() + "3,zoë,calm\n".encode("latin-1"),
        r"v\.csv, line 6: byte 0xeb is not UTF-8"),
    "UTF-16": ("v.csv", PLAIN.encode("utf-16"), r"v\.csv, line 1: "),
    "zero bytes": ("v.csv", PLAIN + "3,x,\0\n", "line 6: a zero byte"),
    "a text with a bare tab": ("v.tsv", "utterance\trater\tlabel\ttext\n1\tx\tcalm\toh\tno\n",
        r"v\.tsv, line 2: 5 cell\(s\), not 4 as in line 1: a cell holds the separator"),
    "an open quote": ("v.csv", PLAIN + '3,"x,ca,lm\n', r"v\.csv, line 6: a quotation mark opens"),
    "a quote inside": ("v.csv", PLAIN + '3,"x"y","ca,lm"\n', "line 6: a quotation mark inside"),
    "a line cut to fewer cells": ("v.csv", PLAIN + "3,x", r"line 6: 2 cell\(s\).*the line is cut"),
    "a line cut within its label": ("v.csv", PLAIN + "3,x,ca",
        "line 6: the last line does not end and its label 'ca' looks cut"),
    "a line cut before its label": ("v.csv", PLAIN + "3,x,", "line 6: column label is empty"),
    "a cut line of JSON": ("v.jsonl", '{"utterance": "1", "rater": "x", "label": "calm"}\n{"utt',
        r"v\.jsonl, line 2: not JSON, or cut"),
    "a line that is no object": ("v.jsonl", "[1, 2]\n", "line 1: not a JSON object"),
    "JSON in Latin-1": ("v.jsonl", b'{"utterance": "\xeb"}\n', "line 1: byte 0xeb is not UTF-8"),
    "a list of labels": ("v.jsonl", '{"utterance": "1", "rater": "x", "label": ["calm"]}\n',
        "line 1: label is a list"),
    "no bytes": ("v.csv", "", r"v\.csv: the file is empty \(0 bytes\)"),
    "no bytes of JSON": ("v.jsonl", "", r"the file is empty \(0 bytes\)"),
    "no bytes of Parquet": ("v.parquet", "", r"the file is empty \(0 bytes\)"),
    "no Parquet": ("v.parquet", "PAR1 cut", r"v\.parquet: cannot be read"),
    "blank lines alone": ("v.csv", "\n\n", "nothing but blank lines"),
    "an empty table": ("v.csv", "utterance,rater,label\n", "there are no votes"),
    "unknown columns": ("v.csv", "a,b,c\n1,2,3\n",
        r"no column utterance, rater, label; there are a, b, c: .*--column label=NAME"),
    "a column twice": ("v.csv", "utterance,label,rater,label\n1,a,x,b\n",
        "line 1: two columns are called label"),
    "an empty utterance": ("v.csv", PLAIN + ",x,calm\n", "line 6: column utterance is empty"),
    "another ending": ("v.xlsx", "PK", r"v\.xlsx: votes end in \.csv, \.tsv, \.jsonl, \.parquet"),
    "a second answer": ("v.csv", PLAIN + "1,x,fear\n",
        r"line 6: rater 'x' answered utterance '1' before; .*--duplicates first, last or keep"),
    "two right answers": ("v.csv", "utterance,rater,label,gold\n1,x,calm,calm\n1,y,calm,fear\n",
        r"v\.csv, line [23]: utterance '1' has two different gold answers"),
    "no JSON of Label Studio": ("v.json", '[{"id": 1', r"v\.json: not a JSON document"),
}  # fmt: skip


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_one_line_that_names_the_place_and_leaves_no_file(
    affekt, place, tmp_path, verb, fault
):
    name, text, said = FAULTS[fault]
    place(name, text)
    complaint = affekt(verb, tmp_path / name, "--out", tmp_path / "out.csv", code=1)
    lines = [line for line in complaint.splitlines() if line.startswith("affekt: ")]
    assert len(lines) == 1
    assert "Traceback" not in complaint
    assert name in lines[0]
    assert re.search(said, lines[0]), lines[0]
    assert names_in(tmp_path) == {name}


def test_a_vote_outside_the_scheme_names_its_line_and_the_scheme(affekt, place, tmp_path):
    path = place("v.csv", PLAIN.replace("2,y,fear", "2,y,feer"))
    out = tmp_path / "labels.csv"
    said = affekt("aggregate", path, "--labels", "calm,fear", "--out", out, code=1)
    assert said == f"affekt: {path}, line 5: label 'feer' is not one of calm, fear\n"
    assert not out.exists()
    noted = affekt("aggregate", path)
    assert "labels: calm, fear, feer (those that occur; --labels names others)" in noted


@pytest.mark.parametrize(("verb", "said"), [
    ("aggregate", "line 2: column rater is empty"), ("raters", "line 2: column rater is empty"),
    ("next-votes", "line 2: column rater is empty"), ("agreement", ""),
])  # fmt: skip
def test_votes_of_nobody_known_are_refused_where_raters_matter(affekt, place, verb, said):
    path = place("v.csv", "utterance,rater,label\n1,,calm\n1,,fear\n1,,fear\n")
    found = affekt(verb, path, code=1 if said else 0)
    assert (said or "Cohen's kappa of pairs: none, raters are not all known") in found
    assert "by unknown raters" in affekt("aggregate", path, "--method", "majority")


def test_one_rater_alone_can_be_aggregated_but_agrees_with_nobody(affekt, place, tmp_path):
    path = place("v.csv", "utterance,rater,label\n1,x,calm\n2,x,fear\n")
    for method in Method:
        code = 1 if method == Method.weighted_majority else 0  # there is no control task
        affekt("aggregate", path, "--method", method, "--out", tmp_path / "l.csv", code=code)
    assert "by 1 raters" in affekt("raters", path)
    said = affekt("agreement", path, "--out", tmp_path / "out", code=1)
    assert said.startswith(f"affekt: {path}: ")
    assert not (tmp_path / "out").exists()


def test_all_ties_stay_undecided_and_are_counted(affekt, place, tmp_path):
    path = place("v.csv", "utterance,rater,label\n1,x,calm\n1,y,fear\n2,x,fear\n2,y,calm\n")
    out = tmp_path / "labels.csv"
    said = affekt("aggregate", path, "--method", "majority", "--hard", "--out", out)
    assert "majority: 2 of 2 utterances undecided by an exact tie (100.0%)" in said
    assert out.read_text() == "utterance,label,probability\n1,,0.5\n2,,0.5\n"
    assert "not defined for these votes" not in affekt("agreement", path)


# --- aggregate


def test_the_methods_of_the_command_line_are_those_of_the_room():
    assert [method.value for method in Method] == list(votes.AGGREGATORS)


@pytest.mark.parametrize("method", list(Method))
def test_labels_are_those_of_the_function_of_that_name(affekt, place, tmp_path, method):
    path, out = place("v.csv", SAID), tmp_path / "labels.csv"
    said = affekt("aggregate", path, "--method", method, "--out", out)
    assert "14 votes on 5 utterances by 3 raters" in said
    three = Categories("three", ("anger", "neutral", "sadness"))
    expected = votes.AGGREGATORS[method](votes.read_votes(path), three)
    pd.testing.assert_frame_equal(read_table(out), expected, check_index_type=False)


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".jsonl", ".parquet"])
def test_a_threshold_adds_hard_labels_and_leaves_the_undecided_empty(
    affekt, place, tmp_path, ending
):
    out = tmp_path / f"labels{ending}"
    said = affekt("aggregate", place("v.csv", SAID), "--threshold", "0.9", "--out", out)
    table = read_table(out)
    assert table.columns.tolist() == ["anger", "neutral", "sadness", "label", "probability"]
    soft = table[["anger", "neutral", "sadness"]].astype(float)
    hard = votes.threshold(soft, 0.9)
    assert table["label"].fillna("").tolist() == hard.fillna("").tolist()
    assert np.allclose(table["probability"].astype(float), soft.max(axis=1))
    assert f"{hard.isna().sum()} of 5 utterances undecided below 0.9" in said


def test_several_labels_of_an_utterance_are_ones_beside_zeros(affekt, place, tmp_path):
    path, out = place("v.csv", PLAIN), tmp_path / "many.csv"
    affekt("aggregate", path, "--method", "shares", "--multi-label", "0.5", "--out", out)
    assert out.read_text() == "utterance,calm,fear\n1,1,1\n2,0,1\n"


def test_control_tasks_are_judged_fixed_or_left_out_as_asked(affekt, place, tmp_path):
    path, out = place("v.csv", SAID.replace("a1,ann,anger,", "a1,ann,neutral,")), tmp_path / "l.csv"
    said = affekt("aggregate", path, "--method", "majority", "--out", out)
    assert "control tasks: 1 of 2 labelled right (.500)" in said
    fixed = affekt("aggregate", path, "--gold", "--out", out)
    assert "control tasks" not in fixed
    assert read_table(out).loc["a1", "anger"] == 1
    affekt("aggregate", path, "--drop-control", "--out", out)
    assert read_table(out).index.tolist() == ["b1", "b2", "b3"]


@pytest.mark.parametrize(("options", "said"), [
    (["--gold"], "no column gold"), (["--drop-control"], "no column gold"),
    (["--method", "shares", "--max-iterations", "5"],
     "--max-iterations cannot be given with --method shares"),
    (["--method", "shares", "--tolerance", "0"], "--tolerance cannot be given with"),
    (["--method", "majority", "--gold"], "--gold cannot be given with --method majority"),
    (["--threshold", "1.5"], "--threshold 1.5 is not in (0, 1]"),
    (["--multi-label", "0.3", "--hard"], "--hard cannot be given with --multi-label"),
    (["--compat", "dusha"], "--compat cannot be given with votes other than a tree of Dusha"),
    (["--question", "emo"], "--question cannot be given with a table of votes"),
    (["--column", "label"], "--column 'label': write label=NAME"),
    (["--column", "mood=label"], "votes have no mood"),
    (["--column", "label=mood"], "no column mood"),
    (["--delimiter", "::"], "delimiter '::' is not one character"),
    (["--labels", "calm,calm"], "names a label twice"),
    (["--out", "labels.xlsx"], "labels.xlsx: a table ends in"),
])  # fmt: skip
def test_an_option_that_has_no_sense_is_refused_in_one_line(affekt, place, options, said):
    complaint = affekt("aggregate", place("v.csv", PLAIN), *options, code=1)
    assert said in complaint.splitlines()[-1]


def test_the_votes_themselves_are_never_replaced(affekt, place):
    path = place("v.csv", PLAIN)
    for words in (
        ("aggregate", path, "--out"),
        ("raters", path, "--keep"),
        ("next-votes", path, "--out"),
    ):
        assert "would replace the votes" in affekt(*words, path, code=1)
    assert Path(path).read_text() == PLAIN


def test_a_semicolon_is_read_when_it_is_named(affekt, place, tmp_path):
    path, out = place("v.csv", PLAIN.replace(",", ";")), tmp_path / "l.csv"
    affekt("aggregate", path, "--delimiter", ";", "--method", "shares", "--out", out)
    assert out.read_text() == "utterance,calm,fear\n1,0.5,0.5\n2,0.0,1.0\n"


def test_a_second_answer_is_taken_as_asked(affekt, place, tmp_path):
    path, out = place("v.csv", PLAIN + "1,x,fear\n"), tmp_path / "l.csv"
    for how, calm in (("first", 1 / 2), ("last", 0.0), ("keep", 1 / 3)):
        affekt("aggregate", path, "--method", "shares", "--duplicates", how, "--out", out)
        assert np.isclose(read_table(out)["calm"].iloc[0], calm)


# --- exports and folders


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


# --- raters, agreement, next votes


def test_a_rule_says_whom_it_excludes_and_keeps_the_other_votes_whole(affekt, place, tmp_path):
    noted = "".join(f"{line},n\n" for line in SAID.splitlines()).replace("gold,n", "gold,note")
    keep = tmp_path / "kept.tsv"
    path = place("v.csv", noted)
    said = affekt("raters", path, "--min-control-accuracy", "0.6", "--keep", keep)
    assert "excluded: cid (4 votes): control_accuracy 0.5 is below 0.6\n" in said
    assert "1 of 3 raters excluded; 10 of 14 votes stay; 0 utterances lose all votes" in said
    rows = [line for line in noted.splitlines() if ",cid," not in line]
    assert keep.read_text().splitlines() == [row.replace(",", "\t") for row in rows]
    everyone = affekt("raters", path, "--min-votes", "99", "--keep", keep, code=1)
    assert "no vote would stay" in everyone


def test_an_unknown_rater_is_named(affekt, place):
    assert "no vote is by rater 'zoe'" in affekt(
        "raters", place("v.csv", SAID), "--rater", "zoe", code=1
    )


def test_the_measures_of_agreement_are_those_of_the_room(affekt, place):
    path = place("v.csv", PLAIN)
    two = Categories("two", ("calm", "fear"))
    table = votes.read_votes(path)
    said = affekt("agreement", path, "--n-resamples", "10")
    for name, value in (
        ("percent", agreement.percent(table, two)),
        ("Krippendorff's alpha (nominal)", agreement.krippendorff_alpha(table, two)),
        ("Fleiss' kappa", agreement.fleiss_kappa(table, two)),
    ):
        assert re.search(rf"{re.escape(name)} +{re.escape(decimals(value))}", said)
    assert "Cohen's kappa of 1 pairs" in said


def test_the_undecided_are_listed_best_first(affekt, place, tmp_path):
    out = tmp_path / "next.csv"
    said = affekt("next-votes", place("v.csv", SAID), "--n", "2", "--threshold", "1", "--out", out)
    table = read_table(out)
    assert len(table) == 2
    assert table.columns.tolist() == ["label", "probability", "entropy", "expected_gain"]
    assert table["expected_gain"].is_monotonic_decreasing
    assert "utterances undecided below 1" in said


def test_the_functions_of_the_room_are_there_by_name():
    for name in votes.__all__:
        assert hasattr(votes, name)
    assert callable(votes.dawid_skene)
    assert callable(votes.raters)
    from affekt.votes.dawid_skene import fit

    assert callable(fit)


# --- what a reader of a result must know


@pytest.fixture
def both(monkeypatch, capsys):
    """Run a command that succeeds; give what it prints and what it warns of."""

    def run(*words: object) -> tuple[str, str]:
        monkeypatch.setattr(sys, "argv", ["affekt", *map(str, words)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        said = capsys.readouterr()
        assert not end.value.code, said.err
        return said.out, said.err

    return run


MOODS = "utterance,rater,label\n" + "".join(
    f"{u},{r},{label}\n"
    for u, said in enumerate([(-1, 2), (2, 2), (10, 2), (10, 10), (-1, -1)])
    for r, label in zip("xy", said, strict=True)
)


@pytest.mark.parametrize("level", ["ordinal", "interval"])
def test_labels_that_are_numbers_are_steps_of_a_scale_by_their_value(both, place, level):
    path = place("v.csv", MOODS)
    rising = Categories("rising", ("-1", "2", "10"))
    table = votes.read_votes(path)
    values = [-1, 2, 10] if level == "interval" else None
    alpha = agreement.krippendorff_alpha(table, rising, level=level, values=values)
    low, high = agreement.krippendorff_interval(
        table, rising, level=level, values=values, n_resamples=50
    )
    said, _ = both("agreement", path, "--level", level, "--n-resamples", 50)
    assert "labels: -1, 2, 10" in said
    expected = f"{decimals(alpha)}  [{decimals(low)}, {decimals(high)}]"
    assert re.search(rf"\({level}\) +{re.escape(expected)}", said), said


@pytest.mark.parametrize("level", ["ordinal", "interval"])
def test_a_scale_of_words_needs_their_order(affekt, place, level):
    path = place("v.csv", PLAIN)
    complaint = affekt("agreement", path, "--level", level, code=1)
    assert "needs labels that are numbers, or their rising order" in complaint
    assert level in affekt("agreement", path, "--level", level, "--labels", "calm,fear")


def test_the_picture_of_a_rater_names_its_axes_and_has_real_intervals(
    affekt, place, tmp_path, monkeypatch
):
    monkeypatch.setitem(pytest.importorskip("matplotlib").rcParams, "svg.fonttype", "none")
    plot = tmp_path / "ann.svg"
    rows = "".join(
        f"u{u},{r},{'calm' if (u + k) % (k + 2) else 'fear'}\n"
        for u in range(20) for k, r in enumerate(("ann", "bob", "cid"), 1)
    )  # fmt: skip
    path = place("v.csv", "utterance,rater,label\n" + rows)
    affekt("raters", path, "--rater", "ann", "--plot", plot)
    words = plot.read_text()
    assert "most of the others" in words
    assert "this rater" in words
    assert "prediction" not in words
    value, low, high = map(float, re.findall(r"accuracy ([.\d]+) \[([.\d]+), ([.\d]+)\]", words)[0])
    assert low <= value <= high
    assert low < high


def test_the_report_of_agreement_says_that_utterances_were_resampled(affekt, place, tmp_path):
    affekt("agreement", place("v.csv", SAID), "--out", tmp_path / "out", "--n-resamples", 20)
    report = (tmp_path / "out" / "rater_against_rest" / "report.md").read_text()
    assert "bootstrap by utterance" in report
    assert "bootstrap by speaker" not in report
    assert "speakers: 5" not in report


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


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("name", ["none.csv", "none", "none.json"])
def test_a_path_that_is_not_there_is_said_to_be_neither_file_nor_folder(
    affekt, tmp_path, verb, name
):
    path = tmp_path / name
    assert affekt(verb, path, code=1) == f"affekt: {path}: no such file or folder\n"


def test_one_rater_alone_is_warned_of_and_labels_stay(both, place, tmp_path):
    path = place("v.csv", "utterance,rater,label\n1,x,calm\n2,x,fear\n")
    said, warned = both("aggregate", path, "--out", tmp_path / "l.csv")
    assert warned == (
        f"warning: {path}: 1 rater(s) voted on no utterance with another (x): "
        "nothing checks the labels of 2 utterance(s)\n"
    )
    assert "warning" not in said
    two = Categories("two", ("calm", "fear"))
    expected = votes.dawid_skene(votes.read_votes(path), two)
    pd.testing.assert_frame_equal(read_table(tmp_path / "l.csv"), expected, check_index_type=False)


@pytest.mark.parametrize("verb", ["aggregate", "raters", "next-votes"])
def test_raters_whom_nobody_meets_are_warned_of(both, place, verb):
    _, warned = both(verb, place("v.csv", PLAIN + "3,ann,calm\n4,ann,fear\n5,bob,fear\n"))
    assert "2 rater(s) voted on no utterance with another (ann, bob)" in warned
    assert "labels of 3 utterance(s)" in warned
    assert both(verb, place("w.csv", PLAIN + "3,x,calm\n"))[1] == ""


@pytest.mark.parametrize("name", ["v.csv", "v.tsv", "v.jsonl"])
def test_a_last_line_that_does_not_end_is_warned_of(both, place, name):
    separator = {"v.csv": ",", "v.tsv": "\t"}.get(name)
    if separator:
        text = PLAIN.replace(",", separator)
    else:
        keys = ("utterance", "rater", "label")
        rows = [dict(zip(keys, row.split(","), strict=True)) for row in PLAIN.split()[1:]]
        text = "".join(json.dumps(row) + "\n" for row in rows)
    path = place(name, text[:-1])
    said, warned = both("aggregate", path)
    n = text.count("\n")
    assert warned == f"warning: {path}, line {n}: the last line does not end; is the file cut?\n"
    place(name, text)
    assert both("aggregate", path) == (said, "")


def test_a_last_line_that_does_not_end_is_warned_of_in_tolokas_assignments_too(both, place):
    text = "INPUT:audio\tOUTPUT:emo\tASSIGNMENT:worker_id\na.wav\tSad\t1\na.wav\tSad\t2"
    path = place("pool.tsv", text)
    assert f"warning: {path}, line 3: the last line does not end" in both("raters", path)[1]


def test_labels_that_differ_by_capitals_or_blanks_alone_are_warned_of(both, place):
    path = place("v.csv", PLAIN.replace("2,x,fear", "2,x,Fear ") + "3,x,calm\n3,y,calm\n")
    _, warned = both("raters", path)
    assert warned == (
        f"warning: {path}: labels differ by capitals or blanks alone: 'Fear ' and 'fear'\n"
    )


def test_the_summary_of_several_labels_counts_what_is_written(both, place, tmp_path):
    out = tmp_path / "many.csv"
    said, _ = both("aggregate", place("v.csv", PLAIN), "--method", "shares", "--multi-label", 0.5,
                   "--out", out)  # fmt: skip
    assert "shares: 3 labels of 2 utterances reach 0.5; 0 utterances have none\n" in said
    assert "undecided" not in said
    assert re.search(r"calm +1 +\.500 +\.250\n", said), said
    assert re.search(r"fear +2 +1\.000 +\.750\n", said), said


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_of_two_right_answers_the_contradicting_line_is_named(place, ending):
    rows = [("1", "x", "calm", "calm"), ("2", "x", "calm", ""), ("1", "y", "calm", "calm"),
            ("1", "z", "calm", "fear"), ("1", "w", "calm", "calm")]  # fmt: skip
    names = ("utterance", "rater", "label", "gold")
    if ending == "csv":
        text = "".join(",".join(row) + "\n" for row in [names, *rows])
    else:
        text = "".join(
            json.dumps({k: v for k, v in zip(names, row, strict=True) if v}) + "\n" for row in rows
        )
    line, first = (5, 2) if ending == "csv" else (4, 1)
    with pytest.raises(TableError) as refused:
        votes.read_votes(place(f"v.{ending}", text))
    assert str(refused.value).endswith(
        f"v.{ending}, line {line}: utterance '1' has two different gold answers: 'fear' here, "
        f"'calm' in line {first}"
    )


# --- options of methods, and how their rounds end


@pytest.mark.parametrize("tolerance", ["0", "-1", "nan", "inf"])
def test_a_tolerance_that_stops_nothing_is_refused(affekt, place, tolerance):
    complaint = affekt("aggregate", place("v.csv", SAID), "--tolerance", tolerance, code=1)
    assert complaint == f"affekt: --tolerance {float(tolerance):g} is not a number above 0\n"


@pytest.mark.parametrize("option", [
    "--min-control-accuracy", "--min-agreement", "--max-commonest-share", "--min-run-probability",
])  # fmt: skip
@pytest.mark.parametrize("share", ["1.5", "-0.1", "nan"])
def test_a_share_outside_nought_and_one_is_refused(affekt, place, option, share):
    complaint = affekt("raters", place("v.csv", SAID), option, share, code=1)
    assert complaint == f"affekt: {option} {float(share):g} is not in [0, 1]\n"


@pytest.mark.parametrize("method", ["dawid-skene", "one-coin", "mace", "glad"])
def test_the_summary_says_how_the_rounds_ended(both, place, method):
    path = place("v.csv", SAID)
    said, _ = both("aggregate", path, "--method", method, "--tolerance", "0.001")
    assert re.search(rf"{method}: converged after \d+ rounds\n", said)
    said, _ = both("aggregate", path, "--method", method, "--tolerance", "1e-15",
                   "--max-iterations", 2)  # fmt: skip
    assert f"{method}: stopped at the limit of 2 rounds: not converged\n" in said
    assert "rounds" not in both("aggregate", path, "--method", "shares")[0]


def test_the_number_of_rounds_is_that_of_the_fit(both, place):
    from affekt.votes.coded import code
    from affekt.votes.dawid_skene import fit

    path = place("v.csv", SAID)
    table = votes.read_votes(path)
    n = len(fit(code(table, votes.occurring(table))).losses)
    for verb in ("aggregate", "next-votes"):
        said, warned = both(verb, path)
        assert f"dawid-skene: converged after {n} rounds\n" in said
        assert "100 done" not in warned


def test_the_prior_and_the_seed_are_those_of_the_function(affekt, place, tmp_path):
    path, out = place("v.csv", SAID), tmp_path / "l.csv"
    table = votes.read_votes(path)
    three = votes.occurring(table)
    affekt("aggregate", path, "--prior", "uniform", "--out", out)
    expected = votes.dawid_skene(table, three, prior="uniform")
    pd.testing.assert_frame_equal(read_table(out), expected, check_index_type=False)
    assert not np.allclose(expected, votes.dawid_skene(table, three), atol=1e-6)
    affekt("aggregate", path, "--method", "mace", "--seed", 7, "--out", out)
    expected = votes.mace(table, three, seed=7)
    pd.testing.assert_frame_equal(read_table(out), expected, check_index_type=False)
    assert "--seed cannot be given" in affekt("aggregate", path, "--seed", 7, code=1)
    assert "--prior cannot be given" in affekt(
        "aggregate", path, "--method", "mace", "--prior", "uniform", code=1
    )


# --- the page


def test_the_page_shows_what_its_commands_print(affekt, tmp_path, monkeypatch):
    page = (Path(__file__).parents[1] / "docs" / "votes.md").read_text("utf-8")
    said = re.findall(r"```csv\n(.*?)```", page, re.DOTALL)[0]
    shown = re.findall(r"```\n\$ affekt (.*?)\n(.*?)```", page, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    Path("votes.csv").write_text(said)
    lines = said.splitlines()
    lines[7] = lines[7].replace(",anger,", ",")
    Path("broken.csv").write_text("\n".join(lines) + "\n")
    assert len(shown) >= 6
    for command, output in shown:
        assert affekt(*command.split(), code=int("broken" in command)) == output
