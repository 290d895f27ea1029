"""`affekt raters`, `agreement`, `next-votes` and their page, from the outside."""

import re
from pathlib import Path

import pytest

import vote_tables
from affekt import votes
from affekt.cli.votes import decimals
from affekt.scheme import Categories
from affekt.tables import read_table
from affekt.votes import agreement
from vote_tables import PLAIN, SAID

place = pytest.fixture(vote_tables.place)
affekt = pytest.fixture(vote_tables.affekt)
both = pytest.fixture(vote_tables.both)


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
