"""LSSED's figure 2: confusions of two networks beside the printed ones."""

import numpy as np
import pytest

import lssed_runs
import tiny_whisper
from affekt.corpora.lssed import LSSED_4
from affekt.exceptions import AffektError, CorpusError
from affekt.plots import confusions
from affekt.recipes import iemocap_4, lssed_figure_2, lssed_table_5
from lssed_runs import like_lssed

corpus = pytest.fixture(scope="module")(lssed_runs.corpus)
store = pytest.fixture(scope="module")(lssed_runs.store)
run = pytest.fixture(lssed_runs.run)
one_thread = pytest.fixture(scope="module", autouse=True)(tiny_whisper.one_thread)


@pytest.mark.parametrize(
    ("name", "accuracy", "recall"),
    [("mts-3-resnet152", 0.585, 0.2965), ("pyresnet152", 0.624, 0.4287)],
)
def test_the_printed_matrices_give_the_printed_figures(name, accuracy, recall):
    counts = lssed_figure_2.as_counts(lssed_figure_2.REFERENCE[name])
    found = lssed_figure_2.accuracy_and_recall(counts)
    assert found[0] == pytest.approx(accuracy, abs=5e-4)
    assert found[1] == pytest.approx(recall, abs=5e-5)
    printed = lssed_table_5.REFERENCE[name]
    assert found == pytest.approx(printed, abs=6e-4)
    assert counts.sum(axis=1) == pytest.approx(lssed_figure_2.N_TESTED)


def test_figure_2_draws_two_networks_and_the_papers_beside_them(run, corpus, monkeypatch):
    drawn = {}
    monkeypatch.setattr(lssed_figure_2, "PAIR", ("resnet18",))
    monkeypatch.setattr(
        lssed_figure_2, "REFERENCE", {"resnet18": lssed_figure_2.REFERENCE["pyresnet152"]}
    )
    real = confusions
    monkeypatch.setattr(
        lssed_figure_2.plots, "confusions", lambda m, labels: drawn.update(m) or real(m, labels)
    )
    options = run(like_lssed(corpus), method="resnet18,fcn-attention")
    results = lssed_figure_2.main(options)
    assert list(drawn) == ["resnet18", "fcn-attention", "resnet18, paper"]
    assert results[0].report.labels == LSSED_4.labels  # the order of what is printed
    np.testing.assert_array_equal(drawn["fcn-attention"], results[1].report.confusion)
    assert (options.out / "confusions.png").stat().st_size > 10_000
    page = (options.out / "lssed_figure_2.md").read_text("utf-8")
    assert "| anger | 32.43 | 47.23 | 16.56 | 3.78 |" in page
    assert "accuracy 0.624, UAR 0.429" in page


def test_summary_pages_open_with_what_their_reports_open_with(run, corpus):
    options = run(method="ours", seeds=2, protocol="paper", folds=("1", "2"))
    iemocap_4.main(options)
    page = (options.out / "iemocap_4.md").read_text("utf-8")
    assert page.startswith("> SELECTED ON THE TEST PART: the epoch was chosen by what is reported")
    assert (
        "> seed-1/ours: split: SELECTED ON THE TEST PART: 3 folds by session, seed 1: 2 of them\n"
    ) in page
    assert page.index("> seed-1") < page.index("| method |")


def test_figure_2_says_above_page_and_picture_what_no_reader_may_miss(run, monkeypatch):
    above = []
    real = confusions

    def spied(matrices, labels):
        figure = real(matrices, labels)
        monkeypatch.setattr(figure, "suptitle", lambda text, **_: above.append(text))
        return figure

    monkeypatch.setattr(lssed_figure_2.plots, "confusions", spied)
    how = {"split": "stratified", "allow_shared_speakers": True, "protocol": "paper"}
    options = run(method="resnet18,fcn-attention", **how)
    lssed_figure_2.main(options)
    assert above == ["SELECTED ON THE TEST PART; NOT SPEAKER-DISJOINT"]
    page = (options.out / "lssed_figure_2.md").read_text("utf-8").split("## ")[0]
    for line in ("> SELECTED ON THE TEST PART: ", "> NOT SPEAKER-DISJOINT, ", "> training: ours"):
        assert line in page
    assert "> fcn-attention: " in page  # its parameters are its own


def test_figure_2_needs_two_networks(run):
    with pytest.raises(CorpusError, match="give two different networks"):
        lssed_figure_2.main(run(method="resnet18"))


def test_confusions_say_the_share_of_each_row_and_refuse_what_does_not_fit():
    figure = confusions({"one": np.array([[3, 1], [0, 0]]), "two": np.eye(2)}, ["a", "b"])
    texts = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert texts[:4] == ["75%", "25%", "0%", "0%"]
    assert "accuracy 0.750   UAR 0.750" in texts
    assert "accuracy 1.000   UAR 1.000" in texts
    with pytest.raises(AffektError, match="'odd' is not 2 x 2"):
        confusions({"odd": np.eye(3)}, ["a", "b"])
    with pytest.raises(AffektError, match="no confusion"):
        confusions({}, ["a", "b"])
