import numpy as np
import pandas as pd

from affekt import audio
from affekt.corpora import CORPORA, toy
from affekt.corpora.tree import audio_files


def test_toy_makes_itself_once_and_is_complete(tmp_path):
    corpus = CORPORA["toy"].load(tmp_path / "toy", durations=True)
    assert corpus.labels.sum().tolist() == [18] * 4
    assert corpus.utterances["speaker"].nunique() == 6
    assert corpus.utterances["session"].nunique() == 3
    assert corpus.utterances["duration"].between(0.6, 1.2).all()
    assert CORPORA["toy"].check(tmp_path / "toy").complete
    first = corpus.path("s01_anger_1")
    first.unlink()
    assert len(CORPORA["toy"].load(tmp_path / "toy")) == 71


def test_toy_is_the_same_from_the_same_seed_and_another_from_another(tmp_path):
    def sound(folder, seed):
        toy.make(tmp_path / folder, seed=seed)
        return [audio.fingerprint(audio.load(path)) for path in audio_files(tmp_path / folder)]

    first = sound("a", 0)
    assert sound("b", 0) == first
    assert not set(sound("c", 1)) & set(first)
    assert len(set(first)) == 72


def test_toy_emotions_differ_in_loudness_in_every_voice(tmp_path):
    corpus = CORPORA["toy"].load(tmp_path)
    level = pd.Series(
        {id: float(np.std(audio.load(corpus.path(id)))) for id in corpus.utterances.index}
    )
    mean = level.groupby([corpus.utterances["speaker"], corpus.labels.idxmax(axis=1)]).mean()
    ranked = mean.unstack()[["anger", "happiness", "neutral", "sadness"]]
    assert (ranked.diff(axis=1).iloc[:, 1:] < 0).all(axis=None)
