"""Pictures: what is on them, and that nothing global changes."""

import itertools
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from affekt import plots
from affekt.exceptions import AffektError
from affekt.plots import along_time
from affekt.report import evaluate
from affekt.scheme import EKMAN_8, NOUNS
from affekt.timeline import Segment

LABELS = list(EKMAN_8)
VISION = {  # Machado et al. 2009, severity 1.0, on linear RGB
    "normal": np.eye(3),
    "protan": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
    "deutan": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
}


def cie_lab(colour, vision):
    srgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(np.array(vision) @ linear, 0, 1)
    xyz = np.array([[0.4125, 0.3576, 0.1804], [0.2127, 0.7152, 0.0722], [0.0193, 0.1192, 0.9503]])
    x, y, z = np.cbrt(xyz @ seen / [0.9505, 1, 1.0888])
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("vision", VISION)
def test_the_eight_standard_colours_stay_apart_for_colour_blind_eyes(vision):
    seen = {label: cie_lab(plots.COLOURS[label], VISION[vision]) for label in EKMAN_8}
    for one, other in itertools.combinations(EKMAN_8, 2):
        assert np.linalg.norm(seen[one] - seen[other]) > 16, (one, other)


def test_every_noun_has_a_colour_of_its_own_and_strangers_get_one_too():
    assert set(plots.COLOURS) == set(NOUNS)
    assert len(set(plots.COLOURS.values())) == len(NOUNS)
    assert plots.colours(["joy", "anger", "awe"]) == [
        plots.SPARE[0], plots.COLOURS["anger"], plots.SPARE[1]
    ]  # fmt: skip


@pytest.fixture
def report():
    rng = np.random.default_rng(0)
    ids = [f"u{i}" for i in range(300)]
    t = rng.integers(7, size=300)
    logits = rng.normal(size=(300, 8)) + 2 * np.eye(8)[t]
    scores = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    truth = pd.DataFrame(np.eye(8)[t], ids, LABELS)
    return evaluate(truth, pd.DataFrame(scores, ids, LABELS), n_resamples=20)


def words(figure):
    from matplotlib.text import Text

    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


def scores_of(n, c=8):
    return np.random.default_rng(1).dirichlet(np.ones(c), n)


def windows(n, hop=0.5):
    return np.stack([np.arange(n) * hop, np.arange(1, n + 1) * hop], axis=1)


@pytest.mark.parametrize("ending", [".png", ".svg", ".pdf"])
def test_pictures_are_written_whole(tmp_path, report, ending):
    target = tmp_path / "deep" / f"confusion{ending}"
    plots.save(plots.confusion(report), target)
    starts = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}
    assert target.read_bytes().startswith(starts[ending])
    assert [path.name for path in target.parent.iterdir()] == [target.name]


def test_another_ending_is_refused_and_leaves_nothing(tmp_path, report):
    with pytest.raises(AffektError, match=r"ends in \.png, \.svg, \.pdf"):
        plots.save(plots.confusion(report), tmp_path / "x.bmp")
    assert list(tmp_path.iterdir()) == []


def test_the_confusion_picture_shows_every_count_and_the_true_labels(report):
    shown = words(plots.confusion(report))
    assert {str(n) for n in report.confusion.ravel() if n} <= set(shown)
    assert f"anger  ({report.confusion[0].sum()})" in shown
    assert not any(word.startswith("other  (") for word in shown)  # never true: no row
    assert "other" in shown  # but answered: a column


def test_no_two_words_of_the_confusion_picture_overlap(report):
    assert not overlaps(plots.confusion(report))


def test_no_two_words_of_a_timeline_overlap():
    segments = [Segment(i * 3.0, i * 3 + 3.0, LABELS[i], 0.9) for i in range(8)]
    segments.append(Segment(24.0, 24.5, "surprise", 0.9))
    assert not overlaps(plots.timeline(windows(49), scores_of(49), LABELS, segments, title="t"))


def overlaps(figure):
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.text import Text

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    width, height = canvas.get_width_height()
    seen = [text for text in figure.findobj(Text) if text.get_text().strip() and _shown(text)]
    boxes = [(text.get_text(), text.get_window_extent(renderer).shrunk(0.98, 0.9)) for text in seen]
    assert all(b.x0 >= 0 and b.x1 <= width and b.y0 >= 0 and b.y1 <= height for _, b in boxes)
    pairs = itertools.combinations([b for b in boxes if not _turned(b[0], seen)], 2)
    return [(one[0], other[0]) for one, other in pairs if one[1].overlaps(other[1])]


def _shown(text):
    axes = text.axes
    inside = axes is None or text not in [t.label1 for t in axes.xaxis.get_major_ticks()] or (
        axes.xaxis.get_tick_params().get("labelbottom", True))  # fmt: skip
    return text.get_visible() and inside


def _turned(words, texts):
    """Slanted words have wide boxes that may cross where the letters do not."""
    return any(text.get_text() == words and text.get_rotation() % 90 for text in texts)


def test_reliability_needs_confidences(report):
    assert f"ECE {report.calibration_error:.3f}" in " ".join(words(plots.reliability(report)))
    truth = pd.DataFrame(np.eye(2), ["a", "b"], ["anger", "calm"])
    with pytest.raises(AffektError, match="no confidence"):
        plots.reliability(evaluate(truth, truth, n_resamples=5))


def test_the_timeline_names_its_long_segments_and_leaves_short_ones_unnamed():
    segments = [Segment(0, 4, "anger", 0.8), Segment(4, 4.2, "calm", 0.8), Segment(5, 9, "joy", 1)]
    shown = words(plots.timeline(windows(20), scores_of(20), LABELS, segments, title="a.wav"))
    assert shown.count("anger") == 2  # in the strip and in the legend
    assert "calm" not in shown
    assert "joy" in shown
    assert "a.wav" in shown


def test_the_stacked_areas_reach_from_the_first_start_to_the_last_end_and_up_to_1():
    figure = plots.timeline(windows(20), scores_of(20), LABELS, [])
    corners = np.concatenate(
        [p.vertices for c in figure.axes[1].collections for p in c.get_paths()]
    )
    assert corners[:, 0].min() == 0
    assert corners[:, 0].max() == 10
    assert corners[:, 1].max() == pytest.approx(1)


def test_a_gap_between_windows_stays_empty():
    times = np.array([[0.0, 1.0], [1.0, 2.0], [5.0, 6.0]])
    figure = plots.timeline(times, scores_of(3), LABELS, [])
    spans = {
        tuple(p.get_extents().intervalx) for c in figure.axes[1].collections for p in c.get_paths()
    }
    assert spans == {(0.0, 2.0), (5.0, 6.0)}


def test_a_long_recording_is_thinned_without_changing_its_mean():
    scores = scores_of(5000)
    times = windows(5000)
    times[2501:] += 100.0
    spans, means, breaks = along_time._thinned(times, scores, np.array([2501]))
    assert len(means) <= along_time.N_POINTS + 2
    assert spans[breaks[0] - 1, 1] == times[2500, 1]
    assert spans[breaks[0], 0] == times[2501, 0]
    weights = np.diff(spans, axis=1)[:, 0]
    np.testing.assert_allclose((means * weights[:, None]).sum(0) / weights.sum(), scores.mean(0))


@pytest.mark.parametrize("title", ["cash $5 and $x^2.wav", "odd $.wav", "声音 🎙.wav"])
def test_any_file_name_can_be_a_title(tmp_path, title):
    segments = [Segment(0, 10, "$joy$", 1.0)]
    figure = plots.timeline(windows(20), scores_of(20, 1), ["$joy$"], segments, title=title)
    plots.save(figure, tmp_path / "t.svg")
    plots.save(figure, tmp_path / "t.png")
    assert (tmp_path / "t.png").stat().st_size > 1000


def test_a_recording_of_no_length_is_drawn_too(tmp_path):
    figure = plots.timeline([[0.0, 0.0]], scores_of(1), LABELS, [Segment(0, 0, "anger", 1.0)])
    plots.save(figure, tmp_path / "t.png", dpi=40)
    assert figure.axes[0].get_xlim()[1] > 0


@pytest.mark.parametrize(("seconds", "label"), [(60, "seconds"), (600, "time")])
def test_the_time_axis_counts_seconds_or_shows_a_clock(seconds, label):
    figure = plots.timeline([[0.0, seconds]], scores_of(1), LABELS, [])
    assert figure.axes[-1].get_xlabel() == label
    assert along_time._clock(61) == "1:01"
    assert along_time._clock(3661) == "1:01:01"


@pytest.mark.parametrize("n_samples", [0, 1, 5000, 160_001])
def test_a_waveform_of_any_length_is_drawn(tmp_path, n_samples):
    wave = np.random.default_rng(0).normal(size=n_samples).astype(np.float32)
    figure = plots.timeline(windows(20), scores_of(20), LABELS, [], waveform=wave)
    plots.save(figure, tmp_path / "t.png", dpi=40)
    assert len(figure.axes) == 3


@pytest.mark.parametrize(("times", "scores"), [
    (np.zeros((0, 2)), np.zeros((0, 8))), (np.zeros((3, 2)), np.zeros((2, 8))),
    (np.zeros((3, 2)), np.zeros((3, 7)))])  # fmt: skip
def test_shapes_that_do_not_fit_are_refused(times, scores):
    with pytest.raises(AffektError, match="a timeline needs times"):
        plots.timeline(times, scores, LABELS, [])


def test_drawing_leaves_pyplot_and_the_settings_alone(tmp_path):
    program = f"""
import sys
import numpy as np, matplotlib
settings = set(matplotlib.rcParams) - {{"backend"}}  # reading that one loads pyplot
before = {{name: matplotlib.rcParams[name] for name in settings}}
from affekt import plots
figure = plots.timeline([[0.0, 1.0]], np.array([[0.4, 0.6]]), ["anger", "calm"], [])
plots.save(figure, {str(tmp_path / "x.png")!r})
assert "matplotlib.pyplot" not in sys.modules
assert {{name: matplotlib.rcParams[name] for name in settings}} == before
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_without_matplotlib_the_message_says_what_to_install(tmp_path):
    program = """
import sys
sys.modules["matplotlib"] = None
from affekt import plots
from affekt.exceptions import AffektError
try:
    plots.timeline([[0.0, 1.0]], [[0.4, 0.6]], ["anger", "calm"], [])
except AffektError as problem:
    assert "pip install 'affekt[plots]'" in str(problem)
else:
    sys.exit("no error")
"""
    subprocess.run([sys.executable, "-c", program], check=True)
