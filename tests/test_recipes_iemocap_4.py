"""The four classes of IEMOCAP, on a few toy voices."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import lssed_runs
import tiny_whisper
from affekt.corpora.lssed import LSSED_4
from affekt.exceptions import CorpusError
from affekt.protocols.four_classes import four_classes
from affekt.recipes import iemocap_4
from affekt.scheme import IEMOCAP_4, IEMOCAP_10
from lssed_runs import like_daic

corpus = pytest.fixture(scope="module")(lssed_runs.corpus)
store = pytest.fixture(scope="module")(lssed_runs.store)
run = pytest.fixture(lssed_runs.run)
one_thread = pytest.fixture(scope="module", autouse=True)(tiny_whisper.one_thread)


def ten(corpus, name):
    labels = corpus.labels.reindex(columns=list(IEMOCAP_10), fill_value=0.0)
    labels.iloc[0] = np.eye(10)[IEMOCAP_10.index("excitement")]
    labels.iloc[1] = np.eye(10)[IEMOCAP_10.index("fear")]
    labels.iloc[2] = (np.eye(10)[0] + np.eye(10)[1]) / 2  # anger or happiness: one of the four
    return replace(corpus.relabel(labels, IEMOCAP_10), name=name)


def test_of_iemocap_excitement_is_happiness_and_the_rest_is_left_out(corpus):
    first, second = corpus.utterances.index[:2]
    found = four_classes(ten(corpus, "iemocap"), IEMOCAP_4)
    assert found.labels.loc[first].to_dict() == {
        "anger": 0, "happiness": 1, "neutral": 0, "sadness": 0,
    }  # fmt: skip
    assert second not in found.utterances.index
    assert len(found) == 23
    other = four_classes(ten(corpus, "lssed"))
    assert other.scheme == LSSED_4
    assert first not in other.utterances.index
    assert len(other) == 22


def test_a_corpus_without_the_four_is_refused(corpus):
    with pytest.raises(CorpusError, match="has no anger"):
        four_classes(like_daic(corpus))


def test_iemocap_4_gives_mean_and_deviation_over_folds_and_seeds(run):
    options = run(method="ours", seeds=2, folds=None)
    results = iemocap_4.main(options)
    assert [result.folder.relative_to(options.out).as_posix() for result in results] == [
        "seed-0/ours", "seed-1/ours",
    ]  # fmt: skip
    rows = pd.concat([result.report.folds for result in results])
    assert len(rows) == 6  # three sessions, twice
    assert results[0].report.folds.index.tolist() == ["session-1", "session-2", "session-3"]
    page = (options.out / "iemocap_4.md").read_text("utf-8").splitlines()
    page = page[page.index(next(line for line in page if line.startswith("| method"))) :]
    cells = [cell.strip() for cell in page[2].split("|")[1:-1]]
    accuracy = rows["accuracy"]
    spread = np.sqrt(((accuracy - accuracy.mean()) ** 2).sum() / 5)
    assert cells[:3] == ["ours", "6", f"{accuracy.mean():.3f} ± {spread:.3f}"]
    assert "0.59" in page[3]
    assert len(list(options.out.glob("seed-1/ours/checkpoint-session-*"))) == 3


def test_iemocap_4_runs_two_methods_unasked_and_knows_no_domains(run, monkeypatch):
    def chosen(known, options, default):
        assert tuple(known) == tuple(default) == ("dusha", "ours")
        raise CorpusError("enough")

    monkeypatch.setattr(iemocap_4, "chosen_methods", chosen)
    with pytest.raises(CorpusError, match="enough"):
        iemocap_4.main(run())
