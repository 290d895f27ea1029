"""Codecs, a telephone line and babble: what they do, and how often an answer survives them."""

import json
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from affekt import audio, recognizer
from affekt.augment.channels import transcoded
from affekt.corpora import CORPORA, toy
from affekt.exceptions import AudioError, CheckpointError, CorpusError
from affekt.protocols.probe import RunOptions
from affekt.recipes import same_answer
from affekt.tables import read_table
from linear_model import write_linear_model

RATE = 16_000
N = 12  # utterances asked about: the tests are about the path


@dataclass(frozen=True)
class Options(RunOptions):
    """What `affekt run` gives, with a recogniser."""

    model: str = ""


def speech(seconds=1.0, frequency=500.0, seed=0):
    """A tone that swells, with some noise: what a codec finds neither trivial nor impossible."""
    t = np.arange(round(seconds * RATE)) / RATE
    noise = np.random.default_rng(seed).standard_normal(t.size)
    swelling = 0.2 * np.sin(2 * np.pi * frequency * t) * np.sin(2 * np.pi * 3 * t)
    return (swelling + 0.01 * noise).astype(np.float32)


def decibels(power, other):
    return 10 * np.log10(np.square(power).sum() / np.square(other).sum())


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    root = tmp_path_factory.mktemp("toy")
    toy.make(root)
    return CORPORA["toy"].load(root)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(write_linear_model(tmp_path_factory.mktemp("linear"), corpora=[]))


def options(corpus, model, out, **more):
    return Options(
        corpora={corpus.name: corpus},
        out=out,
        upstream="",
        store=out,
        command="affekt run same_answer",
        progress=lambda what, total: lambda more: None,
        model=model,
        **more,
    )


@pytest.fixture(scope="module")
def run(corpus, model, tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(same_answer, "LIMIT", N)
        results = same_answer.main(options(corpus, model, out))
    return out, results


# what is done to a recording


@pytest.mark.parametrize(("coder", "container", "bits"), [
    ("libopus", "ogg", 24_000), ("libmp3lame", "mp3", 64_000),
])  # fmt: skip
def test_a_coded_recording_is_as_long_as_before_and_nothing_is_delayed(coder, container, bits):
    given = speech(1.03)
    heard = transcoded(given, coder, container, bits_per_second=bits)
    lags = range(-400, 401)
    likeness = [float(given[400:-400] @ np.roll(heard, lag)[400:-400]) for lag in lags]
    assert heard.shape == given.shape
    assert heard.dtype == np.float32
    assert lags[int(np.argmax(likeness))] == 0
    assert 5 < decibels(given, heard - given) < 60


def test_fewer_bits_lose_more():
    given = speech()
    kept = [
        decibels(given, transcoded(given, "libmp3lame", "mp3", bits_per_second=bits) - given)
        for bits in (8_000, 24_000, 64_000)
    ]
    assert kept[0] < kept[1] < kept[2]


def test_a_coder_that_ffmpeg_lacks_is_named():
    with pytest.raises(AudioError, match="shellac in ogg: FFmpeg cannot code it"):
        transcoded(speech(), "shellac", "ogg", bits_per_second=24_000)


def test_the_telephone_passes_its_band_alone_and_babble_lies_ten_decibels_below():
    given = speech()
    heard = same_answer.changed(given, [speech(seed=1)], np.random.default_rng(0))
    assert list(heard) == list(same_answer.WANTED)
    spectrum = np.abs(np.fft.rfft(heard["telephone"])) ** 2
    outside = np.fft.rfftfreq(given.size, 1 / RATE)
    outside = (outside < 270) | (outside > 3740)
    assert spectrum[outside].sum() < 0.01 * spectrum.sum()
    assert decibels(given, heard["babble-10-db"] - given) == pytest.approx(10, abs=0.01)


# who is asked about


def card(*speakers, name="toy"):
    named = [f"{name}/{speaker}" for speaker in speakers]
    return {"name": "ours", "corpora": [{"name": name, "speakers": named}]}


def test_of_a_training_corpus_only_speakers_that_the_card_does_not_name_are_asked(corpus):
    part, split = same_answer.unseen(corpus, card("s01", "s03", "s04", "s06"))
    assert set(part.utterances["speaker"]) == {"s02", "s05"}
    assert len(part) == 24
    assert split == "held-out speakers s02, s05"


def test_of_a_corpus_that_it_was_not_trained_on_everything_usable_is_asked(corpus):
    table = corpus.utterances
    spoilt = corpus.select(table.index)
    spoilt.utterances.loc[table.index[0], "excluded"] = "silent"
    part, split = same_answer.unseen(spoilt, card("s01", name="another"))
    assert list(part.utterances.index) == list(table.index[1:])
    assert split == "zero-shot, whole corpus"


def test_an_unknown_speaker_may_have_been_trained_on_and_else_is_somebody_else_each_time(corpus):
    nobody = corpus.select(corpus.utterances.index)
    nobody.utterances["speaker"] = pd.Series(pd.NA, nobody.utterances.index, dtype="str")
    part, _ = same_answer.unseen(nobody, card("s01", name="another"))
    assert part.utterances["speaker"].is_unique
    with pytest.raises(CorpusError, match="0 utterances of toy are left"):
        same_answer.unseen(nobody, card("s01"))


def test_a_recogniser_that_met_everybody_or_does_not_say_whom_it_met_is_refused(corpus):
    everybody = sorted(corpus.utterances["speaker"].unique())
    with pytest.raises(CorpusError, match="two speakers it never met"):
        same_answer.unseen(corpus, card(*everybody[:-1]))
    with pytest.raises(CheckpointError, match=r"card.json does not list `corpora`"):
        same_answer.unseen(corpus, {"name": "ours"})


def test_babble_is_made_of_other_speakers(corpus, model, tmp_path, monkeypatch):
    drawn = []
    real = same_answer.changed

    def listening(waveform, others, rng):
        drawn.append((audio.fingerprint(waveform), {audio.fingerprint(other) for other in others}))
        return real(waveform, others, rng)

    two = corpus.select(corpus.utterances.query("speaker in ['s01', 's02']").index)
    monkeypatch.setattr(same_answer, "changed", listening)
    monkeypatch.setattr(same_answer, "LIMIT", 3)
    same_answer.main(options(two, model, tmp_path))
    speakers = two.utterances["speaker"]
    prints = {audio.fingerprint(audio.load(two.path(id))): speakers[id] for id in speakers.index}
    assert len(drawn) == 3
    for own, others in drawn:
        assert {prints[other] for other in others} == {"s01", "s02"} - {prints[own]}


# what is reported


def test_the_share_is_that_of_recordings_whose_likeliest_label_is_the_same(run, corpus, model):
    _, results = run
    asked = recognizer.load(model)
    assert [result.folder.name for result in results] == list(same_answer.WANTED)
    for result in results:
        after = read_table(result.folder / "predictions.csv")
        before = pd.DataFrame({id: asked.predict(corpus.path(id)) for id in after.index}).T
        same = (before.idxmax(axis=1) == after.idxmax(axis=1)).mean()
        report = json.loads((result.folder / "report.json").read_text("utf-8"))
        assert report["measures"]["accuracy"]["value"] == pytest.approx(same)
        assert report["n"] == len(after) == N
        truth = corpus.labels.loc[after.index].idxmax(axis=1)
        own = after[list(corpus.scheme)].idxmax(axis=1)
        right = f"{(truth == own).mean():.3f}".removeprefix("0")
        assert f"{result.folder.name}: of its labels accuracy {right} [" in report["notes"][2]


def test_one_table_holds_a_row_for_each_change_and_says_how_many_of_whom_were_asked(run):
    out, _ = run
    rows = (out / "same_answer.md").read_text("utf-8").splitlines()
    assert len(rows) == 2 + 1 + len(same_answer.WANTED)
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    assert {len(row) for row in cells} == {len(same_answer.COLUMNS)}
    assert cells[2][:4] == [
        "toy, as recorded",
        "zero-shot, whole corpus",
        f"{N} of 72",
        "1.000 [1.000, 1.000]",
    ]
    assert all(row[-1] == "`affekt run same_answer`" for row in cells[2:])


def test_the_same_seed_asks_the_same_whatever_the_number_of_threads(
    run, corpus, model, tmp_path, monkeypatch
):
    out, _ = run
    monkeypatch.setattr(same_answer, "LIMIT", N)
    monkeypatch.setattr(same_answer, "n_cores", lambda: 3)
    same_answer.main(options(corpus, model, tmp_path / "again"))
    same_answer.main(options(corpus, model, tmp_path / "other", seed=1))
    table = "toy/babble-10-db/predictions.csv"
    assert (tmp_path / "again" / table).read_bytes() == (out / table).read_bytes()
    assert (tmp_path / "other" / table).read_bytes() != (out / table).read_bytes()
