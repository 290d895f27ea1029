"""Timelines against known borders: what is drawn, whom it is drawn of, what the page says."""

import json
from dataclasses import replace

import numpy as np
import pytest

from affekt import audio
from affekt.concatenate import Recording, sound
from affekt.corpora import CORPORA, toy
from affekt.exceptions import CheckpointError, CorpusError
from affekt.protocols.probe import RunOptions
from affekt.protocols.timeline_data import PATTERNS, draw, levelled, references, spoken, unheard
from affekt.protocols.timeline_report import compared, report
from affekt.recipes import RECIPES, timelines
from affekt.scheme import EKMAN_8
from affekt.tables import read_table
from affekt.timeline import Segment
from linear_model import write_linear_model
from media import noise, tone

CARD = {
    "labels": list(EKMAN_8),
    "corpora": [{"name": "toy", "speakers": ["toy/s01", "toy/s02"]}],
    "untrained_labels": ["other"],
}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return toy.load(tmp_path_factory.mktemp("toy"))


# --- whom, and what ---------------------------------------------------------------------------


def test_speakers_of_the_card_are_left_out(corpus):
    left, which = unheard(corpus, CARD)
    assert which == "held-out speakers s03, s04, s05, s06"
    assert set(left.utterances["speaker"]) == {"s03", "s04", "s05", "s06"}
    assert left.scheme == EKMAN_8
    other = {**CARD, "corpora": [{"name": "emovo", "speakers": ["emovo/s01"]}]}
    everybody, which = unheard(corpus, other)
    assert (len(everybody), which) == (len(corpus), "zero-shot, whole corpus")


def test_what_the_recogniser_was_not_taught_is_left_out(corpus):
    card = {**CARD, "untrained_labels": ["sadness", "other"]}
    assert not unheard(corpus, card)[0].labels["sadness"].any()


@pytest.mark.parametrize(("card", "error", "message"), [
    ({"corpora": [{"name": "toy"}]}, CheckpointError, "does not list `corpora` with their"),
    ({"labels": ["joy", "grief"]}, CheckpointError, "no scheme has the labels joy, grief"),
    ({"corpora": [{"name": "toy", "speakers": [f"toy/s0{k}" for k in range(1, 7)]}]},
     CorpusError, "0 utterances of toy are left"),
])  # fmt: skip
def test_a_card_that_cannot_be_held_against_a_corpus_is_refused(corpus, card, error, message):
    with pytest.raises(error, match=message):
        unheard(corpus, {**CARD, **card})


def test_recordings_are_neutral_speech_and_one_emotion_of_one_speaker(corpus):
    drawn = draw(corpus, 8, seed=1)
    assert len(drawn) == 8 * 6
    for number, one in enumerate(drawn):
        pattern = PATTERNS[number % len(PATTERNS)]
        assert "".join("n" if label == "neutral" else "e" for label in one.labels) == pattern
        assert len({label for label in one.labels if label != "neutral"}) == 1
        assert len(set(one.utterances)) == len(one.utterances)
        assert set(corpus.utterances.loc[list(one.utterances), "speaker"]) == {one.speaker}
        truth = corpus.labels.loc[list(one.utterances)].idxmax(axis=1)
        assert tuple(truth) == one.labels


def test_what_is_drawn_of_a_speaker_depends_on_no_other(corpus):
    alone = corpus.select(corpus.utterances.index[corpus.utterances["speaker"] == "s04"])
    assert draw(alone, 4, seed=1) == [
        one for one in draw(corpus, 4, seed=1) if one.speaker == "s04"
    ]
    assert draw(alone, 4, seed=2) != draw(alone, 4, seed=1)


def test_without_neutral_speech_nothing_can_be_drawn(corpus):
    moved = corpus.select(corpus.labels.index[corpus.labels["neutral"] == 0])
    with pytest.raises(CorpusError, match="toy: no speaker has neutral speech and an emotion"):
        draw(moved, 4, seed=0)


def test_pauses_are_cut_at_the_ends_alone(tmp_path):
    parts = [np.zeros(16_000), tone(1.0), np.zeros(12_800), tone(0.5), np.zeros(8_000)]
    (tmp_path / "anger").mkdir()
    audio.write(tmp_path / "anger/a.wav", np.concatenate(parts).astype(np.float32))
    one = CORPORA["folder"].load(tmp_path)
    assert spoken(one, str(one.utterances.index[0])).size == 16_000 + 12_800 + 8_000


@pytest.mark.parametrize(("amplitudes", "expected"), [
    ([0.1, 0.4, 0.025], [0.1, 0.1, 0.1]),
    ([0.0, 0.4, 0.1], [0.0, 0.4, 0.1]),  # silence is no level to be brought to
    ([0.2, 0.0, 0.4], [0.2, 0.0, 0.2]),  # nor can it be brought to one
])  # fmt: skip
def test_every_piece_gets_the_level_of_the_first(amplitudes, expected):
    lengths = (1.0, 0.5, 2.0)
    edges = np.cumsum([0.0, *lengths])
    spans = [(float(edges[k]), float(edges[k + 1]), "ab"[k % 2]) for k in range(3)]

    def waves(of):
        parts = [tone(s, level=a) for a, s in zip(of, lengths, strict=True)]
        return np.concatenate(parts).astype(np.float32)

    found = levelled(Recording(waves(amplitudes), tuple(spans)))
    np.testing.assert_allclose(found.waveform, waves(expected), atol=1e-4)
    assert found.segments == tuple(spans)
    assert found.waveform.dtype == np.float32


def test_levels_that_exceed_full_scale_bring_all_of_it_down():
    square = np.full(16_000, 0.9, np.float32)  # root mean square .9
    click = np.zeros(16_000, np.float32)
    click[::100] = 0.5  # root mean square .05: the gain is 18, and 9 would be its peak
    found = levelled(Recording(np.concatenate([square, click]), ((0, 1, "a"), (1, 2, "b"))))
    np.testing.assert_allclose(found.waveform[:16_000], 0.1, rtol=1e-5)
    np.testing.assert_allclose(found.waveform[16_000:].max(), 1.0, rtol=1e-6)
    assert found.waveform.max() <= 1.0
    np.testing.assert_allclose(np.sqrt(np.square(found.waveform[16_000:]).mean()), 0.1, rtol=1e-5)


def test_recordings_that_are_made_have_one_level_unless_told(corpus):
    for settings, equal_level in (({}, True), ({"equal_level": False}, False)):
        made = references(corpus, 3, seed=0, **settings)[2][2]()
        edges = [round(start * 16_000) for start, _, _ in made.segments]
        levels = [np.sqrt(np.square(x).mean()) for x in np.split(made.waveform, edges[1:])]
        assert len(levels) == 3
        assert (np.ptp(levels) < 1e-4 * max(levels)) == equal_level


# --- how right --------------------------------------------------------------------------------


def made(*segments):
    return Recording(np.zeros(16_000 * 4, np.float32), segments)


def row(rows, answer, label=""):
    return next(r for r in rows if (r["answer"], r["label"]) == (answer, label))


def test_each_label_counts_its_own_seconds():
    truth = made((0.0, 1.0, "neutral"), (1.0, 4.0, "anger"))
    found = [Segment(0.0, 2.0, "neutral", 1.0), Segment(2.0, 3.0, "fear", 1.0)]
    found.append(Segment(3.0, 4.001, "anger", 1.0))  # rounded beyond the end
    rows = compared("r", "s", truth, {"timeline": found})
    whole = row(rows, "timeline")
    assert (whole["rate"], whole["wrong"], whole["right"]) == (2 / 4, 2.0, 2.0)
    anger = row(rows, "timeline", "anger")
    assert [anger[k] for k in ("labelled", "right", "missed", "confusion", "answered")] == [
        3.0, 1.0, 1.0, 1.0, 1.0,
    ]  # fmt: skip
    assert row(rows, "timeline", "neutral")["answered"] == 2.0
    assert row(rows, "timeline", "fear")["labelled"] == 0.0


def test_eder_is_the_mean_over_recordings_and_the_other_error_that_over_seconds():
    short = Recording(np.zeros(16_000, np.float32), ((0.0, 1.0, "anger"),))
    long = made((0.0, 4.0, "anger"))
    right = [Segment(0.0, 4.0, "anger", 1.0)]
    rows = compared("a", "s", short, {"timeline": []}) + compared(
        "b", "s", long, {"timeline": right}
    )
    scores = report(rows, "t", [], seed=0).scores.iloc[0]
    assert (scores["EDER"], scores["time-weighted error"]) == (0.5, 0.2)
    assert scores["time accuracy"] == 0.8


def test_the_typical_recording_has_the_most_borders_and_an_average_error():
    rows = []
    for name, n_parts, seconds in [("a", 1, 2.0), ("b", 2, 0.0), ("c", 2, 1.0), ("d", 2, 4.0)]:
        labels = ["neutral", "anger"][-n_parts:]
        parts = [(4 / n_parts * k, 4 / n_parts * (k + 1), x) for k, x in enumerate(labels)]
        wrong = [Segment(0.0, seconds, "fear", 1.0)] if seconds else []
        right = [Segment(max(a, seconds), b, x, 1.0) for a, b, x in parts if b > seconds]
        rows += compared(name, "s", made(*parts), {"timeline": wrong + right, "none": []})
    found = report(rows, "t", [], seed=0)
    assert found.rows["rate"].tolist()[::2] == [0.5, 0.0, 0.25, 1.0]
    assert found.typical() == ("c", 2)


def test_a_label_that_some_draws_lack_has_no_interval():
    truth = made((0.0, 2.0, "fear"), (2.0, 4.0, "anger"))
    anger = [Segment(0.0, 4.0, "anger", 1.0)]
    rows = [r for s in "abc" for r in compared("r", s, truth, {"timeline": anger})]
    rows += compared("r", "d", truth, {"timeline": [Segment(0.0, 1.0, "fear", 1.0)]})
    page = report(rows, "t", [], seed=0).to_markdown()
    assert "| fear | 8 | .125 [.000, .375] |" in page
    assert page.splitlines()[-1].endswith("| 1.000 |")


def test_an_interval_by_speaker_is_as_wide_as_speakers_differ():
    truth = made((0.0, 4.0, "anger"))
    right, wrong = ([Segment(0.0, 4.0, label, 1.0)] for label in ("anger", "fear"))
    answers = {"a": right, "b": wrong, "c": right}
    differ = [r for s, a in answers.items() for r in compared("r", s, truth, {"timeline": a}) * 9]
    scores = report(differ, "t", [], seed=0).scores.iloc[0]
    assert (scores["EDER low"], scores["EDER high"]) == (0.0, 1.0)
    alike = [r for s in answers for r in compared("r", s, truth, {"timeline": right})]
    scores = report(alike, "t", [], seed=0).scores.iloc[0]
    assert (scores["EDER low"], scores["EDER high"]) == (0.0, 0.0)


# --- the whole --------------------------------------------------------------------------------


def options(folder, model, **corpora):
    told = []

    def progress(what, total):
        return lambda more: told.append((what, total))

    made = RunOptions(
        corpora, folder, "", folder, "affekt run timelines", progress, model=str(model)
    )
    return made, told


def zed(folder):
    """Low tones that the linear recogniser calls anger, then high ones that it calls sadness."""
    entries = {}
    for number in range(3):
        x = np.concatenate([tone(3.0, frequency=300.0), tone(3.0, frequency=4_000.0)])
        audio.write(folder / f"{number}.wav", (x + noise(6.0, level=0.01)).astype(np.float32))
        spans = [("angry", 0, 3), ("sad", 3, 6)]
        emotion = [{"emo": word, "start": start, "end": end} for word, start, end in spans]
        entries[f"p{number}_1"] = {"wav": f"{number}.wav", "duration": 6.0, "emotion": emotion}
    (folder / "ZED.json").write_text(json.dumps(entries), "utf-8")
    return CORPORA["zed"].load(folder)


def test_a_recording_with_marked_borders_is_taken_as_it_is(tmp_path):
    corpus = zed(tmp_path)
    (name, speaker, make), *others = references(corpus, 40, seed=0)
    assert (name, speaker, len(others)) == ("p0_1", "p0", 2)
    assert make().segments == ((0.0, 3.0, "anger"), (3.0, 6.0, "sadness"))
    assert make().duration == 6.0


def test_the_recipe_finds_borders_that_can_be_heard(tmp_path):
    model = write_linear_model(tmp_path / "linear", **{k: CARD[k] for k in ("corpora",)})
    asked, told = options(tmp_path / "out", model, zed=zed(tmp_path))
    (result,) = RECIPES["timelines"](asked)
    assert told == [("zed, recordings", 3)] * 3
    scores = result.report.scores.set_index("answer")
    assert scores["EDER"]["timeline"] < 0.1  # a border within .5 s of 6
    assert scores["EDER"]["one label"] == pytest.approx(0.5, abs=1e-3)
    assert scores["EDER"]["neutral throughout"] == 1.0
    assert set(result.report.labels["label"]) == {"anger", "sadness"}
    page = (result.folder / "report.md").read_text("utf-8")
    assert (
        "> zero-shot, whole corpus, 3 speakers; the answer is chosen among anger, sadness" in page
    )
    lines = (result.folder / "results_rows.md").read_text("utf-8")
    assert "| linear, zed, timeline | zero-shot, whole corpus | 3 |" in lines
    assert len(read_table(result.folder / "recordings.csv")) == 9
    assert (result.folder / "example.png").stat().st_size > 5_000


def test_the_same_seed_gives_the_same_report(corpus, tmp_path, monkeypatch):
    model = write_linear_model(tmp_path / "linear", corpora=CARD["corpora"])
    monkeypatch.setattr(timelines, "N_PER_SPEAKER", 2)
    pages = []
    for name in ("one", "two"):
        asked, _ = options(tmp_path / name, model, toy=corpus)
        (result,) = RECIPES["timelines"](replace(asked, seed=3))
        pages.append(result.report.to_markdown())
        assert result.report.scores["recordings"].tolist() == [8, 8, 8]
    assert pages[0] == pages[1]


def test_drawn_recordings_have_the_length_of_their_parts(corpus):
    one = draw(corpus, 3, seed=0)[2]
    whole = sound(corpus, one, load=lambda id_: spoken(corpus, id_))
    assert whole.duration == pytest.approx(whole.segments[-1][1])
    assert len(whole.segments) == 3
