"""The probe that recipes share: weights of classes, what is heard, the head that is fitted."""

from dataclasses import replace

import numpy as np
import pytest

import recipe_corpora
import tiny_whisper
from affekt.protocols.probe import Heard, class_weights, fit, frozen_encoder, hear, probabilities

place = pytest.fixture(scope="module")(recipe_corpora.place)
one_thread = pytest.fixture(scope="module", autouse=True)(tiny_whisper.one_thread)


def test_class_weights_let_every_class_count_the_same():
    target = np.array([[1, 0, 0], [1, 0, 0], [1, 0, 0], [0, 1, 0]], np.float32)
    weight = class_weights(target)
    np.testing.assert_allclose(weight, [2 / 3, 2 / 3, 2 / 3, 2])
    np.testing.assert_allclose(weight @ target, [2, 2, 0])


def test_class_weights_of_soft_labels_average_one():
    target = np.random.default_rng(0).dirichlet(np.ones(5), 40).astype(np.float32)
    assert class_weights(target).mean() == pytest.approx(1)


@pytest.fixture(scope="module")
def heard(place, tmp_path_factory):
    options = place.options(tmp_path_factory.mktemp("heard"), "toy")
    corpus = options.corpora["toy"]
    return hear(corpus, frozen_encoder(options), options, in_context=True), options


def test_selected_utterances_keep_their_statistics(heard):
    whole, _ = heard
    ids = [whole.corpus.utterances.index[place] for place in (50, 3, 20)]
    part = whole.select(ids)
    assert part.corpus.utterances.index.tolist() == ids
    assert part.corpus.labels.index.tolist() == ids
    np.testing.assert_array_equal(part.alone, whole.alone[[50, 3, 20]])
    np.testing.assert_array_equal(part.in_context, whole.in_context[[50, 3, 20]])


def test_a_row_without_a_label_or_with_a_reason_against_it_is_left_out(heard):
    whole, options = heard
    corpus = whole.corpus
    table = corpus.utterances.assign(excluded="")
    table.loc[table.index[0], "excluded"] = "silent"
    odd = replace(corpus, utterances=table, labels=corpus.labels.drop(table.index[1]))
    left = hear(odd, frozen_encoder(options), options, in_context=False)
    assert left.corpus.utterances.index.tolist() == table.index[2:].tolist()
    np.testing.assert_allclose(left.alone, whole.alone[2:], atol=1e-5)
    assert len(left.in_context) == 0


def test_a_head_fits_the_utterances_in_the_order_of_their_labels(heard):
    whole, options = heard
    ids = np.random.default_rng(0).permutation(whole.corpus.utterances.index)
    parts = [whole.select(ids[:36]), whole.select(ids[36:])]
    head = fit(parts, l2=0.01, options=replace(options, epochs=300))
    predicted = probabilities(head, whole)
    assert predicted.index.equals(whole.corpus.labels.index)
    right = predicted.idxmax(axis=1) == whole.corpus.labels.idxmax(axis=1)
    assert right.mean() > 0.8


def test_statistics_that_do_not_fit_their_corpus_are_refused(heard):
    whole, _ = heard
    with pytest.raises(AssertionError):
        Heard(whole.corpus, whole.alone[1:], whole.in_context, whole.seconds, whole.fingerprints)
