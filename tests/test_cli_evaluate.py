"""`affekt evaluate` and `affekt audit` from the outside."""

import json

import numpy as np
import pandas as pd
import pytest
import typer
from typer.testing import CliRunner

from affekt import audio, splits
from affekt.cli.audit import audit
from affekt.cli.evaluate import _stem, evaluate
from affekt.exceptions import AffektError, CorpusError, SplitError, TableError

app = typer.Typer()
app.command()(evaluate)
app.command()(audit)

TRUTH = "utterance,speaker,label\nu1,ann,calm\nu2,bob,fear\nu3,cid,calm\nu4,dan,fear\n"
SCORES = "file,calm,fear\nu1,0.9,0.1\nu2,0.2,0.8\nu3,0.3,0.7\nu4,0.4,0.6\n"


@pytest.fixture
def place(tmp_path):
    def put(name: str, text: str):
        (tmp_path / name).write_text(text)
        return str(tmp_path / name)

    return put


def run(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, list(arguments))
    if isinstance(result.exception, AffektError):
        raise result.exception
    assert result.exit_code == code, result.output
    return result.output


def test_hard_truth_and_soft_prediction_are_compared(place):
    page = run("evaluate", place("t.csv", TRUTH), place("p.csv", SCORES))
    assert "| accuracy | .750 |" in page
    assert "speakers: 4" in page
    assert "bootstrap by speaker" in page


@pytest.mark.parametrize("ending", ["tsv", "jsonl", "json", "parquet"])
def test_every_table_format_gives_the_same_page(place, tmp_path, ending):
    truth = place("t.csv", TRUTH)
    expected = run("evaluate", truth, place("p.csv", SCORES))
    table = pd.read_csv(tmp_path / "p.csv")
    target = tmp_path / f"p.{ending}"
    if ending == "tsv":
        table.to_csv(target, sep="\t", index=False)
    elif ending == "parquet":
        table.to_parquet(target, index=False)
    else:
        table.to_json(target, orient="records", lines=ending == "jsonl")
    assert run("evaluate", truth, str(target)) == expected


def test_paths_match_ids_by_their_file_name(place):
    scores = "file,calm,fear\n" + "".join(
        f"../some where/u{i}.flac,{0.9 if i % 2 else 0.1},{0.1 if i % 2 else 0.9}\n"
        for i in (1, 2, 3, 4)
    )
    assert "| accuracy | 1.000 |" in run("evaluate", place("t.csv", TRUTH), place("p.csv", scores))


def test_a_file_column_in_the_utterances_table_leads_from_path_to_id(place):
    truth = "utterance,label\n1,calm\n2,fear\n3,calm\n"
    people = "utterance,file,speaker\n1,a/x.wav,ann\n2,a/y.wav,bob\n3,b/x.wav,cid\n"
    scores = "file,label\nb/x.wav,calm\na/x.wav,fear\n/data/y.wav,fear\n"
    page = run(
        "evaluate", place("t.csv", truth), place("p.csv", scores),
        "--utterances", place("u.csv", people),
    )  # fmt: skip
    assert "| accuracy | .667 |" in page
    assert "speakers: 3" in page


def test_file_names_that_two_utterances_share_are_not_guessed(place):
    truth = "file,label\na/x.wav,calm\nb/x.wav,fear\n"
    scores = "file,label\nc/x.wav,calm\nb/x.wav,fear\n"
    with pytest.raises(TableError, match=r"a/x\.wav"):
        run("evaluate", place("t.csv", truth), place("p.csv", scores))


@pytest.mark.parametrize(("key", "stem"), [
    ("a/b/03a01Wa.flac", "03a01Wa"), ("C:\\x\\y.MP3", "y"), ("m3.s_trzymaj_5", "m3.s_trzymaj_5"),
    ("m3.s_trzymaj_5.wav", "m3.s_trzymaj_5"), ("1001_IEO", "1001_IEO"), ("take.2", "take.2"),
    (".hidden", ".hidden"), ("", ""),
])  # fmt: skip
def test_the_stem_of_a_key_loses_its_folder_and_an_ending_but_no_part_of_a_bare_name(key, stem):
    assert _stem(key) == stem


def test_labels_restrict_the_comparison(place):
    truth = TRUTH + "u5,eve,joy\n"
    scores = "utterance,calm,fear,joy\n" + "".join(f"u{i},0.2,0.1,0.7\n" for i in range(1, 6))
    page = run("evaluate", place("t.csv", truth), place("p.csv", scores), "--labels", "calm,fear")
    assert page.startswith("> restricted to calm, fear: 1 utterance(s) of other labels left out")
    assert "| joy" not in page
    assert "| accuracy | .500 |" in page


def test_a_restriction_takes_the_mass_of_other_labels_off_both_tables(place):
    truth = "utterance,calm,fear,joy\nu1,.6,.3,.1\nu2,.1,.7,.2\nu3,.2,.1,.7\nu4,.8,.2,0\n"
    scores = "utterance,calm,fear,joy\nu1,.3,.2,.5\nu2,.3,.1,.6\nu3,1,0,0\nu4,.1,.3,.6\n"
    asked = ["--labels", "fear, calm,", "--seed", "1"]
    page = run("evaluate", place("t.csv", truth), place("p.csv", scores), *asked)
    assert page.startswith("> restricted to fear, calm: 1 utterance(s) of other labels left out")
    assert "| accuracy | .333 |" in page  # u1 calm calm, u2 fear calm, u4 calm fear
    true = ((1 / 3, 2 / 3), (7 / 8, 1 / 8), (1 / 5, 4 / 5))
    said = ((2 / 5, 3 / 5), (1 / 4, 3 / 4), (3 / 4, 1 / 4))
    errors = [
        sum((t - s) ** 2 for t, s in zip(*pair, strict=True))
        for pair in zip(true, said, strict=True)
    ]
    assert f"| Brier score | {sum(errors) / 3:.3f}".replace(" 0.", " .") in page


def test_a_restriction_to_a_label_the_prediction_lacks_is_refused(place):
    with pytest.raises(TableError, match="unknown label 'joy'; choose from calm, fear"):
        run("evaluate", place("t.csv", TRUTH), place("p.csv", SCORES), "--labels", "calm,joy")


def test_common_compares_what_both_have_and_without_it_the_missing_are_named(place):
    truth, scores = place("t.csv", TRUTH), place("p.csv", SCORES.replace("u4", "u9"))
    with pytest.raises(TableError, match=r"without prediction: u4; common \(--common\)"):
        run("evaluate", truth, scores)
    assert "on the 3 utterances that both tables have" in run("evaluate", truth, scores, "--common")


def test_a_fold_column_gives_the_mean_of_folds(place):
    scores = "utterance,fold,label\nu1,1,calm\nu2,1,fear\nu3,1,fear\nu4,2,fear\n"
    page = run("evaluate", place("t.csv", TRUTH), place("p.csv", scores))
    assert "| accuracy (pooled) | .750 |" in page
    assert "| accuracy (mean of folds) | .833 |" in page


def test_out_gets_report_json_predictions_and_pictures(place, tmp_path):
    folder = tmp_path / "out"
    page = run("evaluate", place("t.csv", TRUTH), place("p.csv", SCORES), "--out", str(folder))
    names = {"report.md", "report.json", "predictions.csv", "confusion.png", "reliability.png"}
    assert {path.name for path in folder.iterdir()} == names
    assert (folder / "report.md").read_text() == page
    assert json.loads((folder / "report.json").read_text())["n"] == 4
    again = run("evaluate", place("t.csv", TRUTH), str(folder / "predictions.csv"))
    assert again == page


def test_scores_rounded_to_three_decimals_are_accepted_and_renormalised(place):
    scores = "file,calm,fear,joy\n" + "".join(f"u{i},0.333,0.333,0.333\n" for i in (1, 2, 3))
    scores += "u4,0.2,0.7,0.101\n"
    assert "prediction(s) tie" in run("evaluate", place("t.csv", TRUTH), place("p.csv", scores))


@pytest.mark.parametrize(("scores", "said"), [
    ("name,calm\nu1,1\n", "no column utterance or file"),
    ("file,duration\nu1,1\n", "neither a column label nor one column per label"),
    ("file,calm,fear\nu1,0.5,0.1\n", "does not sum to 1"),
    ("file,calm,fear\nu1,much,little\n", "label columns calm, fear"),
    ("file,calm,fear\nu1,1,0\nu1,1,0\n", "'u1' has more than one row"),
    ("file,calm\n,1\n", "a row without file"),
    ("file,label\nu1,\n", "'u1' has no label"),
    ("", "cannot be read"),
])  # fmt: skip
def test_a_prediction_that_is_no_table_of_labels_is_refused_in_one_line(place, scores, said):
    with pytest.raises(TableError, match=said) as caught:
        run("evaluate", place("t.csv", TRUTH), place("p.csv", scores))
    assert "\n" not in str(caught.value)
    assert "p.csv" in str(caught.value)


def test_the_segments_that_predict_adds_to_its_json_are_passed_over(place):
    rows = [
        {"file": f"u{i}", "calm": 0.7, "fear": 0.3, "segments": [{"start": 0.0, "label": "calm"}]}
        for i in (1, 2, 3, 4)
    ]
    page = run("evaluate", place("t.csv", TRUTH), place("p.json", json.dumps(rows)))
    assert "COLLAPSED: every one of the 4 predictions is calm" in page


@pytest.mark.parametrize("text", ["{", '{"file": "u1"}', "[1, 2]"])
def test_json_that_is_no_list_of_records_is_refused(place, text):
    with pytest.raises(TableError, match=r"p\.json: "):
        run("evaluate", place("t.csv", TRUTH), place("p.json", text))


def test_names_in_json_that_are_no_text_are_rows_as_any_other(place):
    rows = [{"file": name, "calm": 0.7, "fear": 0.3} for name in ("lat\udce9in.wav", "b.wav")]
    table = place("p.json", json.dumps(rows))
    assert "| calm | 2 | 0 |" in run("evaluate", table, table)


def test_a_missing_file_is_named():
    for name in ("nowhere.csv", "nowhere.json"):
        with pytest.raises(TableError, match=f"{name}: no such file"):
            run("evaluate", name, name)


# --- affekt audit


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    from affekt.corpora import toy as source

    root = tmp_path_factory.mktemp("toy")
    source.load(root)
    return str(root)


def test_the_leak_table_of_folds_by_speaker_is_clean(toy):
    page = run("audit", "toy", toy, "--split", "by-speaker", "--folds", "3")
    assert page.count("by-speaker-seed-0-fold") == 3
    assert "not looked" in page
    assert "no leak: speakers (audio was not compared: --audio)" in page


def test_the_leak_table_of_a_stratified_split_names_the_shared_speakers(toy):
    page = run("audit", "toy", toy, "--split", "stratified", code=1)
    assert "stratified-25-seed-0: 6 speaker(s) are in train and in test" in page
    assert "no leak" not in page


def test_audio_is_compared_when_asked(toy):
    page = run("audit", "toy", toy, "--split", "leave-one-speaker-out", "--audio")
    assert "not looked" not in page
    assert "no leak: speakers and audio" in page


def test_a_stored_split_is_audited_as_it_was_made(toy, tmp_path):
    stored = tmp_path / "folds.csv"
    made = run("audit", "toy", toy, "--folds", "2", "--seed", "5", "--out", str(stored))
    assert [fold.name for fold in splits.read(stored)] == [
        "by-speaker-seed-5-fold-1-of-2", "by-speaker-seed-5-fold-2-of-2"
    ]  # fmt: skip
    assert run("audit", "toy", toy, "--split", f"file:{stored}") == made


def test_the_emobox_split_of_crema_d_shows_its_91_shared_speakers(shared):
    page = run(
        "audit", "crema-d", str(shared / "corpora" / "crema-d"),
        "--split", f"emobox:{shared / 'splits' / 'cremad.csv'}", code=1,
    )  # fmt: skip
    assert "emobox-cremad-fold-1: 91 speaker(s) are in train and in test (" in page


def test_an_unknown_corpus_is_refused_with_the_known_ones(toy):
    with pytest.raises(CorpusError, match=r"^no corpus 'toys': there are crema-d, ravdess, .*toy$"):
        run("audit", "toys", toy)


def test_folds_by_speaker_adapt_to_few_speakers_unless_a_number_is_asked_for(place):
    rows = "file,label,speaker\n1.wav,sad,a\n2.wav,sad,b\n3.wav,calm,c\n"
    table = place("my.csv", rows)
    assert run("audit", "csv", table).count("of-3") == 3
    with pytest.raises(SplitError, match=r"give n_folds \(--folds\) from 2 to 3"):
        run("audit", "csv", table, "--folds", "5")


def test_several_corpora_are_audited_leaving_one_out(place, tmp_path):
    audio.write(tmp_path / "same.wav", np.ones(1000, np.float32) / 4)
    audio.write(tmp_path / "other.wav", np.ones(900, np.float32) / 4)
    rows = "file,label,speaker\nsame.wav,{},01\nother{}.wav,sad,02\n"
    first = place("first.csv", rows.format("happy", ""))
    second = place("second.csv", rows.format("calm", "gone"))
    both = ("--corpus", f"csv={second}", "--split", "leave-one-corpus-out")
    page = run("audit", "csv", first, *both)
    assert [line.split() for line in page.splitlines()[1:3]] == [
        ["corpus-first", "2", "2", "0", "0", "not", "looked", "0"],
        ["corpus-second", "2", "2", "0", "0", "not", "looked", "0"],
    ]
    assert run("audit", "--corpus", f"csv={first}", *both) == page
    heard = run("audit", "--corpus", f"csv={first}", *both, "--audio", code=1)
    assert "corpus-first: 1 recording(s) are in train and in test" in heard
    assert "first/same = second/same" in heard or "second/same = first/same" in heard


@pytest.mark.parametrize(("words", "error", "said"), [
    ((), CorpusError, "no corpus: give NAME ROOT, or --corpus NAME=ROOT"),
    (("toy",), CorpusError, "toy: say also where it lies"),
    (("--corpus", "toy"), CorpusError, "--corpus toy: give NAME=ROOT with a name of crema-d, "),
    (("--corpus", "toys=x"), CorpusError, "no corpus 'toys'"),
    (("toy", "TOY", "--corpus", "toy=TOY"), CorpusError, "two corpora are called 'toy'"),
    (("toy", "TOY", "--split", "leave-one-corpus-out"), SplitError, "give --corpus NAME=ROOT"),
])  # fmt: skip
def test_corpora_that_cannot_be_joined_or_left_out_are_refused(toy, words, error, said):
    with pytest.raises(error, match=said):
        run("audit", *(word.replace("TOY", toy) for word in words))


@pytest.mark.parametrize("kind", ["by-moon", "emobox", "file"])
def test_an_unknown_kind_of_split_is_refused_with_the_known_ones(toy, kind):
    with pytest.raises(SplitError, match="is none of by-speaker"):
        run("audit", "toy", toy, "--split", kind)
