"""Pictures of errors: what is on them, what is refused."""

import numpy as np
import pandas as pd
import pytest

from affekt import errors, plots
from affekt.exceptions import AffektError
from affekt.scheme import Categories
from affekt.tables import one_hot
from affekt.votes.rest import rater_against_rest
from test_plots import overlaps, words

FOUR = Categories("four", ("anger", "excitement", "neutral", "sadness"))


@pytest.fixture(scope="module")
def found():
    rng = np.random.default_rng(0)
    names = [f"u{i}" for i in range(200)]
    truth, answer = (pd.Series(rng.choice(FOUR.labels, 200), names) for _ in range(2))
    answer = answer.where(rng.random(200) < 0.4, truth)
    votes = pd.DataFrame({"utterance": names * 5, "rater": np.repeat(list("vwxyz"), 200)})
    heard = pd.Series(rng.choice(FOUR.labels, 1000))
    votes["label"] = heard.where(rng.random(1000) < 0.3, np.tile(truth, 5))
    people = rater_against_rest(votes, FOUR)
    return errors.structure(one_hot(truth, FOUR), one_hot(answer, FOUR), votes, people=people)


def probabilities(n):
    return np.random.default_rng(n).dirichlet(np.ones(4), n)


def image(axes):
    return np.ma.getdata(axes.images[0].get_array())


def test_the_error_structure_shows_every_count_and_every_rate(found):
    figure = plots.error_structure(found, title="a model")
    left, right = figure.axes
    counts = found.confusion.to_numpy()
    np.testing.assert_allclose(image(left), counts / counts.sum(axis=1, keepdims=True))
    wide = found.by_dissent.pivot(index="label", columns="n_dissenting", values="error_rate")
    np.testing.assert_allclose(image(right), wide.loc[list(FOUR)])
    shown = words(figure)
    assert "a model" in shown
    assert {str(n) for n in counts.ravel() if n} | {str(n) for n in found.by_dissent["n"]} <= {
        *shown
    }
    assert [t.get_text() for t in right.get_xticklabels()] == [str(n) for n in wide.columns]
    assert any(word.startswith("where all agree: accuracy 0.") for word in shown)


def test_a_cell_that_nothing_falls_into_has_no_words(found):
    cells = found.by_dissent
    gone = cells.index[(cells["label"] == "anger") & (cells["n_dissenting"] == 1)]
    without = errors.ErrorStructure(**{**vars(found), "by_dissent": cells.drop(index=gone)})
    before, after = (len(plots.error_structure(e).axes[1].texts) for e in (found, without))
    assert before - after == 2  # the share, and the number below
    assert np.isnan(image(plots.error_structure(without).axes[1])[0, 1])


def test_labels_that_are_never_true_have_no_row(found):
    four = found.confusion.copy()
    four.loc["excitement"] = 0
    figure = plots.error_structure(errors.ErrorStructure(**{**vars(found), "confusion": four}))
    left, right = figure.axes
    assert image(left).shape == (3, 4)  # yet it is answered
    assert [t.get_text() for t in right.get_yticklabels()] == ["anger", "neutral", "sadness"]


def test_model_and_people_stand_side_by_side(found):
    figure = plots.model_and_people(found, title="CTC")
    for axes, table in zip(figure.axes, (found.confusion, found.people), strict=True):
        counts = table.to_numpy()
        np.testing.assert_allclose(image(axes), counts / counts.sum(axis=1, keepdims=True))
    shown = words(figure)
    assert {"CTC", "A rater against the rest", "majority of the others", "one rater"} <= {*shown}
    n = found.accuracies.loc["a rater against the rest", "n"]
    assert any(word.endswith(f"n = {n}") for word in shown)


def test_people_who_were_not_asked_are_not_drawn(found):
    alone = errors.ErrorStructure(**{**vars(found), "people": None})
    with pytest.raises(AffektError, match=r"give people= to affekt\.errors\.structure"):
        plots.model_and_people(alone)


@pytest.mark.parametrize(("n_panels", "n_cells"), [(1, 1), (2, 2), (3, 4), (4, 4)])
def test_framewise_draws_a_panel_an_utterance_and_a_curve_a_label(n_panels, n_cells):
    panels = {f"panel {n}": probabilities(20 + n) for n in range(n_panels)}
    figure = plots.framewise(panels, list(FOUR))
    assert len(figure.axes) == n_cells
    for axes, (title, values) in zip(figure.axes, panels.items(), strict=False):
        assert axes.get_title(loc="left") == title
        assert axes.get_xlabel() == "frame"
        assert [line.get_label() for line in axes.lines] == list(FOUR)
        assert [line.get_color() for line in axes.lines] == plots.colours(list(FOUR))
        np.testing.assert_allclose([line.get_ydata() for line in axes.lines], values.T)
        assert axes.lines[0].get_xdata()[-1] == len(values) - 1
    assert [axes.axison for axes in figure.axes] == [True] * n_panels + [False] * (
        n_cells - n_panels
    )
    assert [text.get_text() for text in figure.legends[0].get_texts()] == list(FOUR)


def test_framewise_counts_in_seconds_where_it_knows_the_hop():
    axes = plots.framewise({"anger": probabilities(31)}, list(FOUR), hop=0.1).axes[0]
    assert axes.get_xlabel() == "seconds"
    assert axes.lines[0].get_xdata()[-1] == pytest.approx(3.0)


@pytest.mark.parametrize("panels", [
    {}, {"a": np.zeros((0, 4))}, {"a": np.ones((5, 3))}, {"a": np.ones(4)}])  # fmt: skip
def test_framewise_refuses_what_it_cannot_draw(panels):
    with pytest.raises(AffektError, match=r"needs \(n_frames, 4\) probabilities of n > 0"):
        plots.framewise(panels, list(FOUR))


def test_no_two_words_overlap_and_pictures_are_written(found, tmp_path):
    figures = {
        "errors": plots.error_structure(found),
        "people": plots.model_and_people(found),
        "frames": plots.framewise({k: probabilities(30) for k in FOUR}, list(FOUR)),
    }
    for name, figure in figures.items():
        assert not overlaps(figure), name
        plots.save(figure, tmp_path / f"{name}.png", dpi=40)
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_labels_may_hold_dollars(tmp_path):
    scheme = Categories("odd", ("$joy$", "$x^2"))
    truth = one_hot(pd.Series({"a": "$joy$", "b": "$x^2"}), scheme)
    votes = pd.DataFrame({"utterance": ["a", "b"], "rater": None, "label": "$joy$"})
    found = errors.structure(truth, truth, votes)
    plots.save(plots.error_structure(found), tmp_path / "x.png", dpi=40)
    plots.save(plots.framewise({"$": [[0.5, 0.5]]}, list(scheme)), tmp_path / "y.png", dpi=40)
    assert "$joy$  (1)" in [w.replace("\\", "") for w in words(plots.error_structure(found))]
