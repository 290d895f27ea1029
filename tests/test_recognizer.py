"""The recogniser against a model whose answers can be computed by hand."""

import json
from pathlib import Path

import numpy as np
import psutil
import pytest
import soundfile

import affekt
from affekt import audio, recognizer
from affekt.card import RECOGNIZER
from affekt.chunks import chunks
from affekt.exceptions import AffektError, AudioError, CheckpointError, TableError
from affekt.features.logmel import log_mel
from affekt.recognizer import CHUNK, MARGIN, Recognizer
from linear_model import LABELS, weights, write_linear_model
from media import RATE, noise, silent_blocks, tone

CORE = CHUNK - 2 * MARGIN  # samples that belong to one chunk alone
LOW, HIGH = 300.0, 4_000.0  # Hz: what the linear model calls anger, and sadness


@pytest.fixture(scope="module")
def linear(tmp_path_factory: pytest.TempPathFactory) -> Recognizer:
    return recognizer.load(write_linear_model(tmp_path_factory.mktemp("linear")))


def softmax(logits: np.ndarray) -> np.ndarray:
    odds = np.exp(logits - logits.max(-1, keepdims=True))
    return odds / odds.sum(-1, keepdims=True)


def by_hand(waveform: np.ndarray) -> np.ndarray:
    """Mean log-mel frame of a waveform of whole 20 ms, times the matrix."""
    return softmax(log_mel(waveform).mean(axis=1) @ weights())


# --- scores against the hand-made formula ---------------------------------------------------


def test_scores_of_a_clip_are_the_models_formula(linear: Recognizer) -> None:
    x = tone(1.0, frequency=LOW) + noise(1.0, level=0.01)
    found = linear.predict(x)
    assert tuple(found) == LABELS
    np.testing.assert_allclose(list(found.values()), by_hand(x), atol=1e-5)
    assert sum(found.values()) == pytest.approx(1.0, abs=1e-9)
    assert max(found, key=found.__getitem__) == "anger"


def test_temperature_divides_the_logits(tmp_path: Path, linear: Recognizer) -> None:
    x = tone(1.0, frequency=LOW) + noise(1.0, level=0.01)
    warm = recognizer.load(write_linear_model(tmp_path, temperature=2.5))
    cold, warmer = (np.log(list(r.predict(x).values())) for r in (linear, warm))
    np.testing.assert_allclose(np.diff(cold) / 2.5, np.diff(warmer), atol=1e-5)


def test_an_odd_tail_is_filled_with_silence(linear: Recognizer) -> None:
    x = noise(1.0)[:15_850]
    expected = by_hand(np.pad(x, (0, 150)))
    np.testing.assert_allclose(list(linear.predict(x).values()), expected, atol=1e-5)


def test_files_bytes_and_samples_get_the_same_scores(tmp_path: Path, linear: Recognizer) -> None:
    audio.write(tmp_path / "x.wav", noise(2.0))
    from_file = linear.predict(tmp_path / "x.wav")
    assert linear.predict(str(tmp_path / "x.wav")) == from_file
    assert linear.predict((tmp_path / "x.wav").read_bytes()) == from_file
    assert linear.predict(audio.load(tmp_path / "x.wav")) == from_file


def test_each_score_of_a_timeline_is_the_models_formula_on_its_window(linear: Recognizer) -> None:
    x = np.concatenate([tone(4.0, frequency=LOW), tone(4.0, frequency=HIGH)]) + noise(8.0) / 10
    found = linear.timeline(x, window=2.0, hop=0.5)
    mel = log_mel(x)
    centres = 0.25 + 0.5 * np.arange(16)
    for centre, score in zip(centres, found.scores, strict=True):
        first, last = max(0.0, centre - 1), min(8.0, centre + 1)
        # 20 ms frames that the window touches, as pairs of 10 ms frames
        rows = slice(2 * int(first / 0.02 + 1e-9), 2 * int(np.ceil(last / 0.02 - 1e-9)))
        expected = softmax(mel[:, rows].mean(axis=1) @ weights())
        np.testing.assert_allclose(score, expected, atol=1e-4)


def test_the_timeline_finds_what_was_planted(linear: Recognizer) -> None:
    parts = [tone(5.0, frequency=LOW), np.zeros(2 * RATE), tone(5.0, frequency=HIGH)]
    found = linear.timeline(np.concatenate(parts).astype(np.float32))
    assert [(s.label, s.start, s.end) for s in found.segments] == [
        ("anger", 0.0, 5.0),
        ("sadness", 7.0, 12.0),
    ]
    assert found.duration == 12.0
    assert found.scores.shape == (48, 8)
    assert found.labels == LABELS


def test_a_long_timeline_does_not_show_where_chunks_meet(linear: Recognizer) -> None:
    x = noise(75.0) + tone(75.0, frequency=LOW, level=0.02)
    whole = linear.timeline(x)
    late = linear.timeline(x[12 * RATE : 40 * RATE])  # other chunk borders, same sound
    np.testing.assert_allclose(late.scores[8:-8], whole.scores[56:152], atol=0.01)


def test_a_short_recording_is_one_step_with_the_overall_scores(linear: Recognizer) -> None:
    found = linear.timeline(noise(1.5))
    assert found.times.tolist() == [[0.0, 1.5]]
    np.testing.assert_allclose(found.scores[0], list(found.overall.values()), atol=1e-6)
    assert len(found.segments) == 1


@pytest.mark.parametrize("seconds", [1.0, 29.9, 31.0, 75.0])
def test_predict_and_timeline_agree_on_the_recording_as_a_whole(
    linear: Recognizer, seconds: float
) -> None:
    x = noise(seconds) * np.linspace(0.1, 1, round(seconds * RATE), dtype=np.float32)
    assert linear.timeline(x).overall == pytest.approx(linear.predict(x), abs=1e-9)


def test_a_long_recording_is_the_mean_of_its_chunks_by_seconds_of_sound(
    linear: Recognizer,
) -> None:
    # three chunks: all of it low, half of it high and half silent, all silent but for its margin
    seconds = CORE / RATE
    low, high = tone(seconds, frequency=LOW), tone(seconds / 2, frequency=HIGH)
    x = np.concatenate([low, high, np.zeros(3 * CORE // 2, np.float32)])
    bounds = [(c.begin, c.end) for c in chunks(silent_blocks(x.size), CHUNK, MARGIN)]
    assert bounds == [(0, CORE), (CORE, 2 * CORE), (2 * CORE, 3 * CORE)]
    first, second = linear.predict(x[:CORE]), linear.predict(x[CORE : 2 * CORE])
    found = linear.predict(x)
    for label in ("anger", "sadness"):
        expected = (2 * first[label] + second[label]) / 3
        assert found[label] == pytest.approx(expected, abs=0.02)


def test_a_restriction_gives_the_other_labels_exactly_nothing(linear: Recognizer) -> None:
    x = noise(3.0)
    free, bound = linear.predict(x), linear.predict(x, labels=["sadness", "fear"])
    assert tuple(bound) == LABELS
    assert {label for label, share in bound.items() if share} == {"sadness", "fear"}
    assert bound["fear"] / bound["sadness"] == pytest.approx(free["fear"] / free["sadness"])
    assert sum(bound.values()) == pytest.approx(1.0)
    line = linear.timeline(x, labels=["sadness", "fear"])
    assert {s.label for s in line.segments} <= {"sadness", "fear"}
    assert not line.scores[:, [LABELS.index("anger"), LABELS.index("other")]].any()


def test_gain_moves_the_scores_of_the_linear_model_but_not_the_segments(
    linear: Recognizer,
) -> None:
    x = np.concatenate([tone(4.0, frequency=LOW), tone(4.0, frequency=HIGH)])
    loud, quiet = linear.timeline(x), linear.timeline(x * np.float32(1e-3))
    assert [s.label for s in loud.segments] == [s.label for s in quiet.segments]
    borders = [[s.end for s in line.segments] for line in (loud, quiet)]
    np.testing.assert_allclose(*borders, atol=recognizer.HOP_SECONDS)


def test_progress_is_told_as_seconds_up_to_the_end(linear: Recognizer) -> None:
    told: list[float] = []
    linear.predict(noise(75.0), progress=told.append)
    assert told == sorted(told)
    assert told[-1] == 75.0
    assert len(told) == len(list(chunks(silent_blocks(75 * RATE), CHUNK, MARGIN))) > 1


def test_many_recordings_go_on_behind_one_that_fails(tmp_path: Path, linear: Recognizer) -> None:
    audio.write(tmp_path / "x.wav", noise(0.5))
    sources = [tmp_path / "x.wav", tmp_path / "none.wav", tmp_path / "x.wav"]
    results = list(linear.predict_many(sources))
    assert [source for source, _ in results] == sources
    assert isinstance(results[1][1], AudioError)
    assert results[0][1] == results[2][1] == linear.predict(tmp_path / "x.wav")


# --- what is refused ------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [1e5, 1e30])
def test_samples_far_above_full_scale_are_refused_with_the_remedy(
    linear: Recognizer, tmp_path: Path, scale: float
) -> None:
    x = noise(1.0) * np.float32(scale)
    with pytest.raises(AudioError, match=r"<samples>: hold .* full scale is 1"):
        linear.predict(x)
    path = tmp_path / "loud.wav"
    soundfile.write(path, x, RATE, subtype="FLOAT")
    with pytest.raises(AudioError, match=r"loud.wav: sample at .* full scale is 1: scale"):
        linear.predict(path)


def test_a_label_that_was_never_taught_is_no_choice(linear: Recognizer) -> None:
    card = {**linear.card, "untrained_labels": ["other"]}
    known = Recognizer(linear._session, card, 1.0)
    with pytest.raises(TableError, match="other: the model was taught no example of it"):
        known.predict(noise(1.0), labels=["other", "anger"])
    assert known.predict(noise(1.0))["other"] > 0


def test_silence_is_refused_and_near_silence_is_not(linear: Recognizer) -> None:
    with pytest.raises(AudioError, match=r"<samples>: is silent: nothing is above -200 dB"):
        linear.predict(np.zeros(RATE, np.float32))
    faint = linear.predict(noise(1.0, level=1e-6))
    assert sum(faint.values()) == pytest.approx(1.0)


@pytest.mark.parametrize("n_samples", [1, 320, 1_599])
def test_what_is_too_short_is_refused_with_the_limit(linear: Recognizer, n_samples: int) -> None:
    with pytest.raises(AudioError, match=r"shorter than 0\.1 s"):
        linear.predict(noise(1.0)[:n_samples])
    with pytest.raises(AudioError, match=r"shorter than 0\.1 s"):
        linear.timeline(noise(1.0)[:n_samples])


def test_a_tenth_of_a_second_is_enough(linear: Recognizer) -> None:
    assert sum(linear.predict(noise(0.1)).values()) == pytest.approx(1.0)


@pytest.mark.parametrize("shape", [(0,), (100, 2)])
def test_samples_that_are_not_mono_are_refused(linear: Recognizer, shape: tuple[int, ...]) -> None:
    with pytest.raises(AudioError, match="mono"):
        linear.predict(np.zeros(shape, np.float32))


def test_samples_that_are_not_numbers_are_refused(linear: Recognizer) -> None:
    with pytest.raises(AudioError, match="NaN"):
        linear.predict(np.full(RATE, np.nan, np.float32))


@pytest.mark.parametrize("labels", [["joy"], ["anger", "joy"], []])
def test_an_unknown_label_is_refused_before_the_file_is_looked_at(
    linear: Recognizer, labels: list[str]
) -> None:
    with pytest.raises(TableError, match="choose from anger, disgust"):
        linear.predict("nowhere.wav", labels=labels)


@pytest.mark.parametrize("labels", [["fear"], ["fear", "fear"]])
def test_one_label_alone_is_no_choice(linear: Recognizer, labels: list[str]) -> None:
    with pytest.raises(TableError, match="'fear' alone would always get 100 %: give two or more"):
        linear.predict("nowhere.wav", labels=labels)


@pytest.mark.parametrize(("window", "hop"), [(2.0, 0.0), (2.0, 3.0), (10.5, 1.0), (np.nan, 0.5)])
def test_a_window_that_cannot_slide_is_refused(
    linear: Recognizer, window: float, hop: float
) -> None:
    with pytest.raises(AffektError, match="choose"):
        linear.timeline(noise(1.0), window=window, hop=hop)


@pytest.mark.parametrize("name", ["smoothing", "switch_cost", "min_length"])
def test_numbers_that_no_path_can_have_are_refused_before_anything_is_heard(
    linear: Recognizer, name: str
) -> None:
    with pytest.raises(AffektError, match=f"{name.replace('_', ' ')} -1: choose 0 or more"):
        linear.timeline("nowhere.wav", **{name: -1.0})


def test_the_numbers_of_the_path_do_what_they_say(linear: Recognizer) -> None:
    parts = [tone(4.0, frequency=HIGH), tone(1.0, frequency=LOW), tone(4.0, frequency=HIGH)]
    scan = linear.scan(np.concatenate(parts), window=0.5)

    def labels(**numbers: float) -> list[str]:
        return [s.label for s in linear.timeline(scan, **numbers).segments]

    assert labels() == ["sadness", "anger", "sadness"]
    for numbers in ({"smoothing": 9.0}, {"switch_cost": 30.0}, {"min_length": 2.0}):
        assert labels(**numbers) == ["sadness"], numbers


def test_an_unknown_model_is_refused() -> None:
    with pytest.raises(CheckpointError, match=r"^affekt-huge: no such model: bundled are"):
        recognizer.load("affekt-huge")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"format": "other/1"}, "not an Affekt card of format"),
        ({"labels": []}, "`labels`"),
        ({"labels": ["a", "a"]}, "`labels`"),
        ({"labels": "anger"}, "`labels`"),
        ({"labels": ["two\nlines"]}, "`labels`"),
        ({"temperature": 0}, "`temperature`"),
        ({"temperature": "1"}, "`temperature`"),
        ({"temperature": float("nan")}, "`temperature`"),
        ({"sha256": None}, "the sha256 of model.onnx is missing"),
        ({"sha256": "00"}, "is not the file its card"),
    ],
)
def test_a_foreign_card_is_refused(tmp_path: Path, change: dict[str, object], reason: str) -> None:
    write_linear_model(tmp_path, **change)
    with pytest.raises(CheckpointError, match=reason) as caught:
        recognizer.load(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"[1]", b"{", b"null", b"[" * 100_000])
def test_a_damaged_card_is_refused(tmp_path: Path, content: bytes) -> None:
    write_linear_model(tmp_path)
    (tmp_path / "card.json").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"card\.json"):
        recognizer.load(tmp_path)


def test_missing_files_are_named(tmp_path: Path) -> None:
    write_linear_model(tmp_path)
    (tmp_path / "model.onnx").unlink()
    with pytest.raises(CheckpointError, match=r"model\.onnx cannot be read"):
        recognizer.load(tmp_path)
    (tmp_path / "card.json").unlink()
    with pytest.raises(
        CheckpointError, match=r"card\.json: no such file; is .* a recogniser folder"
    ):
        recognizer.load(tmp_path)


@pytest.mark.parametrize("content", [b"", b"\x80\x04K\x01.", b"no onnx at all"])
def test_weights_that_are_no_onnx_are_refused_even_with_a_fitting_hash(
    tmp_path: Path, content: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    import hashlib

    write_linear_model(tmp_path, sha256=hashlib.sha256(content).hexdigest())
    (tmp_path / "model.onnx").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"model\.onnx") as caught:
        recognizer.load(tmp_path)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_a_changed_byte_of_the_weights_is_noticed(tmp_path: Path) -> None:
    write_linear_model(tmp_path)
    content = bytearray((tmp_path / "model.onnx").read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "model.onnx").write_bytes(bytes(content))
    with pytest.raises(CheckpointError, match="is not the file its card"):
        recognizer.load(tmp_path)


def test_labels_that_do_not_fit_the_weights_are_refused(tmp_path: Path) -> None:
    write_linear_model(tmp_path, labels=["anger", "sadness"])
    with pytest.raises(CheckpointError, match="2 labels"):
        recognizer.load(tmp_path).predict(noise(1.0))


# --- long recordings and the bundled model --------------------------------------------------


def test_memory_does_not_grow_with_length(tmp_path: Path, linear: Recognizer) -> None:
    import soundfile

    with soundfile.SoundFile(tmp_path / "x.flac", "w", 8_000, 1) as file:
        for part in range(60):
            file.write(tone(10.0, 8_000) if part % 2 else np.zeros(80_000, np.float32))
    process = psutil.Process()
    linear.timeline(noise(60.0))
    before, most = process.memory_info().rss, [0]

    def watch(seconds: float) -> None:
        most[0] = max(most[0], process.memory_info().rss)

    found = linear.timeline(tmp_path / "x.flac", progress=watch)
    assert found.duration == 600.0
    assert len(found.segments) == 30
    assert (
        most[0] - before < 30_000_000
    )  # bytes; the sound alone is 600 s * 16_000 * 4 = 38_400_000


@pytest.mark.slow
def test_ten_hours_take_no_more_memory_than_ten_minutes(tmp_path: Path, linear: Recognizer) -> None:
    import soundfile

    with soundfile.SoundFile(tmp_path / "x.flac", "w", 8_000, 1) as file:
        for part in range(600):
            file.write(tone(60.0, 8_000) if part % 2 else np.zeros(480_000, np.float32))
    process = psutil.Process()
    linear.timeline(noise(60.0))
    before = process.memory_info().rss
    found = linear.timeline(tmp_path / "x.flac")
    assert found.duration == 36_000.0
    assert len(found.segments) == 300
    assert process.memory_info().rss - before < 60_000_000  # bytes


def test_the_bundled_model_hears_anger_in_an_angry_recording(shared: Path) -> None:
    loaded = affekt.load()
    found = loaded.predict(shared / "corpora" / "emodb" / "wav" / "03a01Wa.flac")
    assert max(found, key=found.__getitem__) == "anger"
    assert json.dumps(found)
    assert loaded.card["format"] == RECOGNIZER.format
