import numpy as np
import pandas as pd
import pytest

from affekt import audio
from affekt.corpora import CORPORA, crema_d, emodb, ravdess
from affekt.votes.shares import shares

REAL = {  # utterances, speakers, classes
    "crema-d": (7442, 91, 6),
    "ravdess": (1440, 24, 8),
    "nemo": (4481, 9, 6),
    "tess": (2800, 2, 7),
    "emovo": (588, 6, 7),
    "emodb": (494, 10, 7),
    "urdu": (400, 29, 4),
}


@pytest.mark.parametrize("name", REAL)
def test_real_corpora_have_the_published_numbers(shared, name):
    corpus = CORPORA[name].load(shared / "corpora" / name)
    n_utterances, n_speakers, n_classes = REAL[name]
    assert len(corpus) == n_utterances
    assert corpus.utterances["speaker"].nunique() == n_speakers
    assert (corpus.labels.sum() > 0).sum() == len(corpus.scheme) == n_classes
    assert corpus.labels.index.equals(corpus.utterances.index)
    assert "ignored" not in corpus.card


@pytest.mark.parametrize("name", [name for name in REAL if name != "emodb"])
def test_real_corpora_are_complete(shared, name):
    assert CORPORA[name].check(shared / "corpora" / name).complete


def test_real_emodb_lacks_41_recordings_that_are_named(shared):
    report = CORPORA["emodb"].check(shared / "corpora" / "emodb")
    assert (report.expected, report.found, report.extra, report.problems) == (535, 494, [], [])
    letters = pd.Series([name[5] for name in report.missing]).value_counts().to_dict()
    assert letters == {"L": 15, "E": 14, "A": 12}


def test_real_emodb_judgements_give_the_494_of_the_literature(shared):
    judged = emodb.judgements(shared / "corpora" / "emodb")
    assert len(judged) == 816
    good = [name for name, (known, natural) in judged.items() if known >= 80 and natural >= 60]
    counts = pd.Series([name[5] for name in good]).value_counts().to_dict()
    assert counts == {"W": 127, "L": 79, "N": 78, "F": 64, "A": 55, "T": 53, "E": 38}


def test_real_emodb_released_names_are_those_of_the_benchmark(shared):
    listed = pd.read_csv(shared / "splits" / "emodb.csv")["file"].str.slice(4, 11)
    assert emodb.released(shared / "corpora" / "emodb") == set(listed)


def test_real_crema_d_votes_are_all_there_and_most_voices_are_misheard(shared):
    corpus = CORPORA["crema-d"].load(shared / "corpora" / "crema-d")
    table = shares(corpus.votes, corpus.scheme)
    assert len(corpus.votes) == 68_568
    assert len(table) == 7442
    right = table.idxmax(axis=1) == corpus.labels.loc[table.index].idxmax(axis=1)
    assert right.mean() == pytest.approx(0.455, abs=0.001)
    assert set(corpus.utterances.query("excluded != ''").index) == set(crema_d.EXCLUDED)
    sexes = corpus.utterances.groupby("speaker")["sex"].first().value_counts()
    assert sexes.to_dict() == {"male": 48, "female": 43}


def test_real_crema_d_excluded_pairs_are_the_same_sound_and_the_silent_one_is_silent(shared):
    corpus = CORPORA["crema-d"].load(shared / "corpora" / "crema-d")
    for name, reason in crema_d.EXCLUDED.items():
        waveform = audio.load(corpus.path(name))
        if reason == "silent":
            assert np.abs(waveform).max() < 1e-4
        else:
            other = audio.load(corpus.path(reason.split()[-1]))
            assert audio.fingerprint(waveform) == audio.fingerprint(other)


def test_real_ravdess_identical_pair_agrees_in_its_label(shared):
    corpus = CORPORA["ravdess"].load(shared / "corpora" / "ravdess")
    pair = ["03-01-03-01-02-01-07", "03-01-03-01-02-02-07"]
    sounds = {audio.fingerprint(audio.load(corpus.path(id))) for id in pair}
    assert len(sounds) == 1
    assert corpus.labels.loc[pair].drop_duplicates().shape[0] == 1
    assert len(ravdess.INTENSITIES) == corpus.utterances["intensity"].nunique() == 2


def test_real_durations_add_up_to_the_published_hours(shared):
    corpus = CORPORA["emovo"].load(shared / "corpora" / "emovo", durations=True)
    assert corpus.utterances["duration"].sum() / 3600 == pytest.approx(0.51, abs=0.005)
