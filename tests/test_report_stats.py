"""What a corpus is made of: tables, pictures, and the verb that shows them."""

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import dusha_tree
from affekt import plots
from affekt.cli.corpus import app
from affekt.corpora import CORPORA, toy
from affekt.corpora.dusha.manifests import process
from affekt.exceptions import TableError
from affekt.report import stats

IDS = list("abcdef")


@pytest.fixture
def utterances():
    return pd.DataFrame(
        {
            "duration": [3600.0, 1800.0, 900.0, np.nan, 1.0, 3.0],
            "speaker": ["x", "x", "y", None, "z", "z"],
            "sex": ["f", "f", "m", "m", None, "m"],
            "split": ["train"] * 6,
        },
        index=pd.Index(IDS, name="utterance"),
    )


@pytest.fixture
def labels():
    rows = [[1, 0], [0.8, 0.2], [0.5, 0.5], [0.1, 0.9], [0.3, 0.7]]
    return pd.DataFrame(rows, IDS[:5], ["calm", "anger"])


def run(*arguments):
    return CliRunner().invoke(app, ["stats", *map(str, arguments)])


def test_an_utterance_counts_for_its_likeliest_label(utterances, labels):
    hard = stats.hard_labels(utterances, labels)
    assert hard.tolist() == ["calm", "calm", "undecided", "anger", "anger", "no label"]


def test_labels_below_the_threshold_are_undecided_and_at_it_decided(utterances, labels):
    hard = stats.hard_labels(utterances, labels, at=0.8)
    assert hard.tolist() == ["calm", "calm", "undecided", "anger", "undecided", "no label"]


def test_the_first_usual_column_with_two_values_groups(utterances):
    assert stats.grouping(utterances).tolist() == ["f", "f", "m", "m", "unknown", "m"]
    assert stats.grouping(utterances).name == "sex"
    assert stats.grouping(utterances, "split").unique().tolist() == ["train"]
    assert stats.grouping(utterances[["duration"]]).unique().tolist() == ["all"]


def test_an_unknown_column_is_refused_with_the_known_ones(utterances):
    with pytest.raises(TableError, match=r"no column 'mood'.*duration, speaker, sex, split"):
        stats.grouping(utterances, "mood")


def test_classes_by_group_add_up_and_keep_the_schemes_order(utterances, labels):
    hard = stats.hard_labels(utterances, labels)
    table = stats.class_table(hard, stats.grouping(utterances), ["calm", "fear", "anger"])
    assert table.index.tolist() == ["calm", "fear", "anger", "undecided", "no label", "total"]
    assert table.loc["calm"].to_dict() == {"f": 2, "m": 0, "unknown": 0, "all": 2}
    assert table.loc["fear"].sum() == 0
    assert table.loc["total"].to_dict() == {"f": 2, "m": 3, "unknown": 1, "all": 6}
    alone = stats.class_table(hard, stats.grouping(utterances, "split"), ["calm", "anger"])
    assert alone.columns.tolist() == ["train"]


def test_hours_and_lengths_leave_out_what_is_unknown_and_say_how_many(utterances):
    table = stats.duration_table(utterances, stats.grouping(utterances))
    assert table.loc["f", "hours"] == 1.5
    assert table.loc["f", ["mean", "median", "shortest", "longest"]].tolist() == [
        2700, 2700, 1800, 3600
    ]  # fmt: skip
    assert table["unknown"].tolist() == [0, 1, 0, 1]
    assert table["utterances"].tolist() == [2, 3, 1, 6]
    assert table["speakers"].tolist() == [1, 2, 1, 3]
    assert table.loc["all", "hours"] == pytest.approx(table["hours"].iloc[:-1].sum())


def test_a_histogram_counts_each_known_length_once():
    rng = np.random.default_rng(0)
    seconds = pd.Series(np.append(rng.gamma(9, 0.5, 999), np.nan))
    groups = pd.Series(rng.choice(["x", "y"], 1000))
    table = stats.duration_histogram(seconds, groups)
    assert table.sum().to_dict() == groups[seconds.notna()].value_counts().sort_index().to_dict()
    for interval, row in table.iterrows():
        inside = (seconds >= interval.left) & (seconds < interval.right)
        assert row.tolist() == [(inside & (groups == name)).sum() for name in ("x", "y")]


def test_a_few_very_long_recordings_share_the_last_bar():
    seconds = pd.Series([*np.linspace(1, 9.9, 999), 7200.0])
    table = stats.duration_histogram(seconds, pd.Series("x", seconds.index))
    assert len(table) <= stats.N_BARS + 1
    assert table.index[-1].right == np.inf
    assert table["x"].sum() == 1000
    even = stats.duration_histogram(seconds[:999], pd.Series("x", seconds.index[:999]))
    assert np.isfinite(even.index.right).all()


def test_a_length_on_a_border_belongs_to_the_interval_it_opens():
    table = stats.duration_histogram(pd.Series([0.0, 1.0, 1.5]), pd.Series(["x"] * 3), width=1.0)
    assert table["x"].tolist() == [1, 2]


def test_no_known_length_and_no_width_are_refused():
    with pytest.raises(TableError, match="no duration is known"):
        stats.duration_histogram(pd.Series([np.nan]), pd.Series(["x"]))
    with pytest.raises(TableError, match="0 s wide"):
        stats.duration_histogram(pd.Series([1.0]), pd.Series(["x"]), width=0)


def test_bars_of_labels_show_the_shares_of_each_group():
    counts = pd.DataFrame({"f": [3, 1], "m": [0, 5]}, index=["anger", "fear"])
    axes = plots.classes(counts).axes[0]
    widths = np.array([bar.get_width() for bar in axes.patches]).reshape(2, 2)
    np.testing.assert_allclose(widths, [[0.75, 0], [0.25, 1]])
    assert [text.get_text() for text in axes.get_yticklabels()] == ["f  (4)", "m  (5)"]
    assert [text.get_text() for text in axes.texts if "%" in text.get_text()] == [
        "75%", "25%", "100%"
    ]  # fmt: skip


def test_panels_of_durations_are_stacked_and_share_the_longest_axis():
    seconds = pd.Series([0.5, 0.6, 1.5, 2.5])
    names = pd.Series(["anger", "fear", "fear", "anger"])
    long = stats.duration_histogram(seconds, names, width=1.0)
    short = stats.duration_histogram(seconds[:3], names[:3], width=1.0)
    figure = plots.durations({"long": long, "short": short})
    upper, lower = figure.axes
    assert [axes.get_ylabel() for axes in (upper, lower)] == ["long", "short"]
    top = upper.patches[1].get_data()
    assert top.values.tolist() == [2, 1, 1]
    assert top.baseline.tolist() == [1, 0, 1]
    assert upper.get_xlim() == lower.get_xlim() == (0, 3)


def test_the_verb_prints_counts_and_hours_and_draws(tmp_path):
    toy.make(tmp_path / "toy")
    result = run("toy", tmp_path / "toy", "--plot", tmp_path / "figures")
    assert result.exit_code == 0
    hours = CORPORA["toy"].load(tmp_path / "toy", durations=True).utterances["duration"].sum()
    rows = [line.replace("│", " ").split() for line in result.output.splitlines()]
    assert ["anger", "9", "9", "18"] in rows
    assert ["total", "36", "36", "72"] in rows
    assert any(row[:4] == ["all", "72", "6", f"{hours / 3600:.2f}"] for row in rows)
    assert {path.name for path in (tmp_path / "figures").iterdir()} == {
        "classes.png", "durations.png", "class_durations.png"
    }  # fmt: skip


def test_without_lengths_the_verb_draws_labels_alone(tmp_path):
    toy.make(tmp_path / "toy")
    result = run("toy", tmp_path / "toy", "--no-durations", "--by", "speaker", "--plot", tmp_path)
    rows = [line.replace("│", " ").split() for line in result.output.splitlines()]
    assert ["s01", "12", "1"] in rows
    assert [path.name for path in tmp_path.glob("*.png")] == ["classes.png"]


def test_too_many_groups_for_a_picture_are_refused_by_number(tmp_path):
    toy.make(tmp_path / "toy")
    result = run("toy", tmp_path / "toy", "--by", "file", "--no-durations", "--plot", tmp_path)
    assert isinstance(result.exception, TableError)
    assert "file has 72 values" in str(result.exception)


def test_the_legend_has_the_labels_in_the_order_of_the_bars():
    counts = pd.DataFrame({"f": [3, 1, 2]}, index=["anger", "fear", "calm"])
    legend = plots.classes(counts).axes[0].get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["anger", "fear", "calm"]


def test_several_columns_group_together(utterances):
    groups = stats.grouping(utterances, ["split", "sex"])
    assert groups.tolist()[3:5] == ["train m", "train unknown"]
    assert groups.name == "split, sex"
    with pytest.raises(TableError, match="no column 'mood'"):
        stats.grouping(utterances, ["sex", "mood"])


def test_hours_of_what_is_decided_stand_beside_those_of_all(utterances, labels):
    hard = stats.hard_labels(utterances, labels, at=0.8)
    table = stats.duration_table(utterances, stats.grouping(utterances), hard)
    assert table["decided"].tolist() == [2, 1, 0, 3]
    assert table["decided_hours"].tolist() == [1.5, 0, 0, 1.5]


def test_hard_labels_of_an_aggregation_are_taken_as_they_are(utterances):
    table = pd.DataFrame(
        {"label": ["calm", None, "anger"], "probability": [0.95, 0.5, 0.6]}, list("abc")
    )
    both = ["calm", "anger"]
    said = stats.answers(utterances, table, both)
    assert said.tolist() == ["calm", "undecided", "anger", *["no label"] * 3]
    assert stats.answers(utterances, table, both, 0.9).tolist()[2] == "undecided"
    with pytest.raises(TableError, match="'anger' is none of calm"):
        stats.answers(utterances, table, ["calm"])
    with pytest.raises(TableError, match="no utterance in common"):
        stats.answers(utterances, table.set_axis(list("xyz")), both)
    with pytest.raises(TableError, match="no labels table"):
        stats.answers(utterances, table[["probability"]], both)


def rows_of(result):
    assert result.exit_code == 0, result.output
    lines = [
        line.replace("│", " ").replace("┃", " ").split() for line in result.output.splitlines()
    ]
    return [row for row in lines if row]


def test_dusha_is_counted_by_aggregated_labels_as_its_papers_do(tmp_path):
    dusha_tree.make(tmp_path, scale=0.002)
    found = process(tmp_path, tmp_path / "out")["found"]
    asked = ("dusha", tmp_path, "--at", 0.9, "--no-durations")
    meta = tmp_path / "out" / "meta.tsv"
    for how in (("--labels", meta), ("--method", "dawid-skene")):
        rows = rows_of(run(*asked, *how))
        for label in ("neutral", "anger"):
            wanted = [str(int(found["table 1", domain, label])) for domain in ("crowd", "podcast")]
            assert any(row[:3] == [label, *wanted] for row in rows)
    rows = rows_of(run(*asked, "--by", "domain,split", "--labels", meta))
    for domain in ("crowd", "podcast"):
        for split in ("train", "test"):
            n = int(found["table 2", domain, f"{split} files"])
            hours = found["table 2", domain, f"{split} hours"]
            row = next(row for row in rows if row[:2] == [domain, split] and len(row) > 6)
            assert row[-2:] == [str(n), f"{hours:.2f}"]


def test_labels_and_method_are_one_too_many_and_both_must_exist(tmp_path):
    toy.make(tmp_path / "toy")
    (tmp_path / "a.csv").write_text("x\n1\n")
    for more, reason in [
        (("--labels", tmp_path / "a.csv", "--method", "mace"), "one of the two"),
        (("--labels", tmp_path / "a.csv"), "no column utterance"),
        (("--method", "oracle"), "no method 'oracle'"),
        (("--method", "mace"), "toy has no votes"),
    ]:
        result = run("toy", tmp_path / "toy", *more)
        assert isinstance(result.exception, TableError)
        assert reason in str(result.exception)


def test_a_corpus_without_labels_is_still_counted(tmp_path):
    toy.make(tmp_path / "toy")
    CORPORA["toy"].load(tmp_path / "toy").write(tmp_path / "folder")
    labels = tmp_path / "folder" / "labels.csv"
    labels.write_text(labels.read_text().splitlines()[0] + "\n")
    rows = rows_of(run("affekt", tmp_path / "folder", "--by", "language"))
    assert any(row[:2] == ["no", "label"] and row[-1] == "72" for row in rows)


def test_notes_on_a_corpus_are_shown(tmp_path):
    dusha_tree.make(tmp_path, scale=0.001)
    (tmp_path / "crowd_test" / "raw_crowd_test.jsonl").unlink()
    result = run("dusha", tmp_path, "--no-durations")
    assert "note: crowd_test: is not there" in result.stderr.splitlines()


def test_dusha_is_shown_by_domain(tmp_path):
    planted = dusha_tree.make(tmp_path, scale=0.001)
    result = run("dusha", tmp_path, "--at", 0.6)
    assert result.exit_code == 0
    rows = [line.replace("│", " ").split() for line in result.output.splitlines()]
    assert ["label", "crowd", "podcast", "all"] in [[w for w in row if w != "┃"] for row in rows]
    assert any(row[0] == "total" and row[-1] == str(len(planted.truth)) for row in rows if row)
    assert any(row[0] == "undecided" for row in rows if row)
