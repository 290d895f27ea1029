"""The recipe for sequences, on the toy corpus; what is scored, naively; who is never taught."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

import tiny_whisper
from affekt import audio, cli, plots, sequencer
from affekt.concatenate import Concatenation, draw
from affekt.corpora import toy
from affekt.exceptions import AffektError, AudioError
from affekt.models import ProbedBlstm, ProbedBlstmConfig
from affekt.protocols import sequence_data, sequence_networks
from affekt.protocols.probe import RunOptions
from affekt.protocols.sequence_data import Heard, LengthBatches, check_lengths, hear, targets
from affekt.protocols.sequence_report import compared, constant, report
from affekt.recipes import sequences
from affekt.segmenting import Found
from affekt.sequencer import ShortTerm34, WhisperStates
from affekt.tables import read_table
from affekt.timeline import Segment

one_thread = pytest.fixture(scope="module", autouse=True)(tiny_whisper.one_thread)


def nobody(count: int) -> None:
    """Told of progress."""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sequences")
    toy.make(folder / "toy")
    tiny_whisper.write(folder / "tiny")
    return folder


@pytest.fixture(scope="module")
def corpus(place):
    whole = toy.load(place / "toy")
    table = whole.utterances
    return whole.select(table.index[table["speaker"].isin(["s01", "s02", "s03"])]).with_durations()


@pytest.fixture(scope="module")
def run(place, corpus):
    """Run the recipe on three speakers of the toy corpus; give its folder."""
    corpus.write(place / "three")

    def call():
        words = ["--corpus", f"affekt={place / 'three'}", "--out", str(place / "out")]
        words += ["--upstream", str(place / "tiny"), "--store", str(place / "store")]
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(sequences, "N_PER_SPEAKER", 6)
            result = CliRunner().invoke(cli.app, ["run", "sequences", *words, "--epochs", "2"])
        assert result.exit_code == 0, result.output
        return result.output

    return place / "out", call(), call


def test_every_method_decoder_and_recording_has_its_row(run, corpus):
    folder, page, _ = run
    rows = read_table(folder / "recordings.csv")
    n_recordings = 3 * 6 + len(corpus)
    counts = rows.groupby(["method", "decoder"]).size()
    assert set(counts) == {n_recordings}
    assert set(counts.index) == {
        ("always the same", "none"),
        *((m, d) for m in ("34-features", "whisper") for d in ("beam", "best-path")),
    }
    assert "emotion error rate" in page
    assert (rows["fold"].str.contains("s0")).all()
    lines = (folder / "results_rows.md").read_text("utf-8").splitlines()
    assert len(lines) == 2 + 5
    assert len({line.count("|") for line in lines}) == 1


def test_a_run_given_again_ends_the_same(run):
    folder, _, call = run
    files = ["report.md", "scores.csv", "whisper/model/model.safetensors"]
    before = [(folder / name).read_bytes() for name in files]
    states = list(folder.rglob("state-*.safetensors"))
    times = [path.stat().st_mtime_ns for path in states]
    assert len(states) == 2 * (3 + 1)
    call()
    assert [(folder / name).read_bytes() for name in files] == before
    assert [path.stat().st_mtime_ns for path in states] == times


def test_the_models_that_are_left_answer(run):
    folder, _, _ = run
    for method in ("34-features", "whisper"):
        loaded = sequencer.load(folder / method / "model")
        examples = sorted((folder / "examples").glob("*.wav"))
        assert examples
        found = loaded.sequence(examples[0])
        assert found.duration == pytest.approx(audio.duration(examples[0]))
        assert set(found.labels) <= set(loaded.labels)
        assert examples[0].with_suffix(".png").is_file()


def test_frames_are_kept_and_computed_anew_when_a_file_is_damaged(corpus, tmp_path, monkeypatch):
    drawn = draw(corpus, 2)
    first = hear(corpus, drawn, ShortTerm34(), tmp_path, nobody)
    (file,) = tmp_path.rglob("*.safetensors")
    monkeypatch.setattr(sequence_data, "_compute", lambda *given: pytest.fail("computed again"))
    again = hear(corpus, drawn, ShortTerm34(), tmp_path, nobody)
    for one, other in zip(first.frames, again.frames, strict=True):
        np.testing.assert_array_equal(one, other)
    assert first.segments == again.segments
    monkeypatch.undo()
    file.write_bytes(file.read_bytes()[:-10])
    whole = hear(corpus, drawn, ShortTerm34(), tmp_path, nobody)
    np.testing.assert_array_equal(whole.frames[-1], first.frames[-1])
    assert whole.fingerprints == first.fingerprints


def test_other_weights_recordings_or_silences_have_another_store(corpus, tmp_path):
    drawn = draw(corpus, 1)
    for seed in (0, 1):
        hearing = WhisperStates(tiny_whisper.encoder(seed=seed))
        hear(corpus, drawn[:1], hearing, tmp_path, nobody)
    hear(corpus, drawn[1:2], hearing, tmp_path, nobody)
    silent = replace(drawn[0], silences=tuple(n + 1_600 for n in drawn[0].silences))
    hear(corpus, [silent], hearing, tmp_path, nobody)
    assert len(list(tmp_path.iterdir())) == 4


def test_a_recording_shorter_than_a_frame_is_named(corpus, tmp_path):
    short = tmp_path / "short.wav"
    audio.write(short, np.full(1_000, 0.1, np.float32))
    id_ = corpus.utterances.index[0]
    table = corpus.utterances.loc[[id_]].assign(file=short.name)
    one = replace(corpus.select([id_]), root=tmp_path, utterances=table)
    alone = Concatenation(id_, "s01", (id_,), ("anger",), ())
    with pytest.raises(AudioError, match=f"recording {id_}: .* shorter than one window"):
        hear(one, [alone], ShortTerm34(), tmp_path, nobody)


def made(n_frames: list[int], speakers: str) -> Heard:
    rng = np.random.default_rng(0)
    names = [f"{speaker}/{n}" for n, speaker in enumerate(speakers)]
    recordings = [Concatenation(n, n[0], (n,), ("anger",), ()) for n in names]
    frames = [rng.standard_normal((n, 3)).astype(np.float32) for n in n_frames]
    truth = [((0.0, n / 10, "anger"),) for n in n_frames]
    return Heard(recordings, frames, truth, np.array(n_frames) / 10, names, 0.1)


def test_sides_part_the_speakers():
    heard = made([3, 4, 5, 6], "abab")
    known, asked = heard.sides({"b"})
    assert [one.name for one in known.recordings] == ["a/0", "a/2"]
    assert [one.name for one in asked.recordings] == ["b/1", "b/3"]
    assert [len(clip) for clip in asked.frames] == [4, 6]
    assert asked.seconds.tolist() == [0.4, 0.6]


def test_speakers_of_the_test_part_and_those_asked_are_never_taught(corpus, tmp_path, monkeypatch):
    taught, judged = [], []

    def spy(model, batches, how, objective, *, judge, state, on_step, names):
        taught.append({clip.tobytes() for clip in batches.frames})
        judged.append({clip.tobytes() for clip in judge.keywords["heard"].frames})

    monkeypatch.setattr(sequence_networks, "train", spy)
    heard = hear(corpus, draw(corpus, 3), ShortTerm34(), tmp_path, nobody)
    known, asked = heard.sides({"s02"})
    options = RunOptions({}, tmp_path, "", tmp_path, "", lambda what, total: nobody, epochs=1)
    sequence_networks.taught(known, corpus, options, None, probed=False)
    tested = {clip.tobytes() for clip in asked.frames}
    assert taught[0]
    assert judged[0]
    assert not (taught[0] | judged[0]) & tested
    assert not taught[0] & judged[0]
    assert len(taught[0] | judged[0]) == len(known)


def test_batches_hold_every_recording_once_and_those_of_like_length_together():
    lengths = np.random.default_rng(1).integers(5, 200, size=101).tolist()
    heard = made(lengths, "a" * 101)
    batches = LengthBatches(heard.frames, targets(heard.recordings, ["anger"]), 8, seed=0)
    epoch = list(batches.epoch(3))
    assert len(epoch) == len(batches) == 13
    rows = [int(row) for batch in epoch for row in batch.rows]
    assert sorted(rows) == list(range(101))
    for batch in epoch:
        for place, row in enumerate(batch.rows):
            assert int(batch.mask[place].sum()) == lengths[row]
            valid = batch.x[place, : lengths[row]].numpy()
            np.testing.assert_array_equal(valid, heard.frames[row])
    padded = sum(batch.mask.numel() for batch in epoch)
    assert padded < 1.4 * sum(lengths)
    again = list(batches.epoch(3))
    assert all(torch.equal(a.rows, b.rows) for a, b in zip(epoch, again, strict=True))
    assert rows != [int(row) for batch in batches.epoch(4) for row in batch.rows]


def test_targets_are_label_numbers_with_minus_one_behind():
    one = Concatenation("x", "s", ("u", "v"), ("fear", "anger"), (0,))
    two = Concatenation("y", "s", ("u",), ("anger",), ())
    assert targets([one, two], ["anger", "fear"]).tolist() == [[1, 0], [0, -1]]


def test_mean_and_scale_are_those_of_all_frames():
    heard = made([3, 50, 7], "aab")
    mean, scale = sequence_data.mean_and_scale(heard.frames)
    together = np.concatenate(heard.frames)
    np.testing.assert_allclose(mean, together.mean(0), atol=1e-6)
    np.testing.assert_allclose(scale, together.std(0), atol=1e-6)


def test_more_labels_than_frames_are_refused_by_name():
    heard = made([2, 1], "ab")
    long = replace(heard.recordings[1], labels=("anger", "fear"), utterances=("u", "v"))
    with pytest.raises(AffektError, match="recording b/1: 2 labels, but 1 frames"):
        check_lengths(replace(heard, recordings=[heard.recordings[0], long]))


def test_scores_are_sums_over_recordings_and_intervals_resample_speakers():
    tiles = (Segment(0.0, 1.0, "anger", 1.0), Segment(1.0, 4.0, "neutral", 1.0))
    found = Found(tiles, -1.0, False, 4.0)
    rows = []
    for number, speaker in enumerate("abcabc"):
        right = Concatenation(f"r{number}", speaker, ("u", "v"), ("anger", "neutral"), (0,))
        truth = ((0.0, 2.0, "anger"), (2.0, 4.0, "neutral"))
        if number == 5:
            right = replace(right, labels=("fear", "neutral"))
            truth = ((0.0, 2.0, "fear"), (2.0, 4.0, "neutral"))
        rows.append(compared(right, truth, found, method="m", decoder="beam"))
    page = report(pd.DataFrame(rows), "Page", ["note"], seed=0)
    (row,) = [r for _, r in page.scores.iterrows() if r["group"] == "2 to 4 emotions"]
    assert row["emotion_error_rate"] == pytest.approx(1 / 12)
    assert row["time_error"] == pytest.approx(
        (5 * 1 + 2) / 24
    )  # missed 1 s each; confused and missed
    assert row["time_accuracy"] == pytest.approx((5 * 3 + 2) / 24)
    assert row["all_right"] == pytest.approx(5 / 6)
    assert row["emotion_error_rate_low"] == 0
    assert row["emotion_error_rate_high"] == pytest.approx(3 / 12)  # speaker c three times
    assert page.to_markdown().startswith("> note")


def test_the_answer_that_is_always_the_same_covers_the_recording():
    found = constant("calm", 3.0)
    assert found.labels == ("calm",)
    assert found.segments == (Segment(0.0, 3.0, "calm", 1.0),)


def test_a_picture_has_a_row_for_each_answer_and_one_for_the_sound():
    parts = [Segment(0.0, 1.0, "calm", 1.0), Segment(1.0, 4.0, "anger", 1.0)]
    rows = {"truth": parts, "one": [Segment(0.0, 4.0, "anger", 0.5)]}
    figure = plots.sequences(rows, waveform=np.ones(64_000, np.float32), title="A clip")
    assert [axes.get_ylabel() for axes in figure.axes] == ["truth", "one", ""]
    assert figure.axes[0].get_xlim() == (0.0, 4.0)
    shown = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert [name for name in shown if name in ("calm", "anger")] == ["calm", "anger", "anger"]
    with pytest.raises(AffektError, match="no segment to draw"):
        plots.sequences({"truth": []})


def test_a_probe_is_taught_the_label_that_stands_at_each_frame():
    """Two labels, each a number of its own: windows inside one of them are answered right."""
    heard = made([40] * 30, "abc" * 10)
    rng = np.random.default_rng(0)
    truth = [((0.0, 2.0, "anger"), (2.0, 4.0, "fear"))] * 30
    frames = [np.r_[np.full(20, -1.0), np.full(20, 1.0)][:, None] for _ in range(30)]
    frames = [(clip + 0.1 * rng.standard_normal((40, 1))).astype(np.float32) for clip in frames]
    heard = replace(heard, frames=frames, segments=truth)
    model = ProbedBlstm(ProbedBlstmConfig(3, n_features=1))
    options = RunOptions({}, Path(), "", Path(), "", lambda what, total: nobody)
    sequence_networks.fit_probe(model, heard, ["anger", "fear"], options)
    answers = np.array([clip.argmax(1) for clip in sequence_networks.said(model, heard)])
    assert (answers[:, :16] == 0).all()
    assert (answers[:, 24:] == 1).all()
