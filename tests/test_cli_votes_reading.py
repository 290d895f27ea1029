"""Reading votes from the outside: every form of a table, its faults, and what is warned of."""

import json
import re

import pandas as pd
import pytest

import vote_tables
from affekt import votes
from affekt.cli.aggregate import Method
from affekt.exceptions import TableError
from vote_tables import PLAIN, SAID, names_in

place = pytest.fixture(vote_tables.place)
affekt = pytest.fixture(vote_tables.affekt)
both = pytest.fixture(vote_tables.both)


VERBS = ("aggregate", "raters", "agreement", "next-votes")


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


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("name", ["none.csv", "none", "none.json"])
def test_a_path_that_is_not_there_is_said_to_be_neither_file_nor_folder(
    affekt, tmp_path, verb, name
):
    path = tmp_path / name
    assert affekt(verb, path, code=1) == f"affekt: {path}: no such file or folder\n"


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
