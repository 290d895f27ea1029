"""The forest of frames and the dummy that answers the majority."""

import subprocess
import sys

import numpy as np
import pytest

import tiny_whisper
from affekt.exceptions import AffektError
from affekt.models import Dummy, DummyConfig, Forest, ForestConfig
from affekt.models.forest import ENERGY, vote

one_thread = pytest.fixture(scope="module", autouse=True)(tiny_whisper.one_thread)


def utterances(classes, *, seed=0, n_features=4):
    """Frames that tell the class in their loudest frames only; the others are noise."""
    rng = np.random.default_rng(seed)
    made = []
    for label in classes:
        frames = rng.normal(size=(int(rng.integers(3, 9)), n_features))
        frames[:, ENERGY] = rng.uniform(0, 1, len(frames))
        frames[:2, ENERGY] = 5 + rng.uniform(0, 1, 2)
        frames[:2, 2] = 10 * label + rng.normal(size=2)
        made.append(frames)
    return made


def forest(n_outputs=3, **settings):
    return Forest(ForestConfig(n_outputs, **{"n_trees": 20, **settings}))


def test_the_papers_forest_has_1000_trees_taught_two_frames():
    config = ForestConfig(n_outputs=4)
    assert (config.n_trees, config.n_loudest) == (1000, 2)


def test_the_forest_is_scikit_learns_on_the_two_loudest_frames_and_its_frames_vote():
    from sklearn.ensemble import RandomForestClassifier

    classes = np.arange(30) % 3
    classes[:8] = 0
    features = utterances(classes)
    ours = forest(seed=7)
    ours.fit(features, classes)
    loudest = [sorted(f.tolist(), key=lambda frame: -frame[ENERGY])[:2] for f in features]
    peer = RandomForestClassifier(20, class_weight="balanced", random_state=7)
    peer.fit(np.concatenate(loudest), np.repeat(classes, 2))
    unseen = utterances(classes, seed=1)
    expected = []
    for frames in unseen:
        probabilities, said = peer.predict_proba(frames), peer.predict(frames).tolist()
        votes = [said.count(k) for k in range(3)]
        best = [k for k in range(3) if votes[k] == max(votes)]
        expected.append(max(best, key=lambda k: probabilities[:, k].sum()))
    assert ours.predict(unseen).tolist() == expected
    for frames, shares in zip(unseen, ours.frame_probabilities(unseen), strict=True):
        np.testing.assert_array_equal(shares, peer.predict_proba(frames))


def test_a_forest_learns_from_loud_frames_and_is_reproducible():
    classes = np.arange(60) % 3
    one, other = forest(), forest()
    for trees in (one, other):
        trees.fit(utterances(classes), classes)
    loud = [frames[:2] for frames in utterances(classes, seed=1)]
    assert (one.predict(loud) == classes).mean() > 0.95
    unseen = utterances(classes, seed=2)
    assert one.predict(unseen).tolist() == other.predict(unseen).tolist()


@pytest.mark.parametrize(("probabilities", "winner"), [
    ([[0.6, 0.4], [0.6, 0.4], [0.0, 1.0]], 0),  # two frames against one, though 1.2 : 1.8
    ([[0.6, 0.4], [0.1, 0.9]], 1),  # a frame each, 0.7 : 1.3
    ([[0.9, 0.1], [0.4, 0.6]], 0),
    ([[0.5, 0.3, 0.2], [0.1, 0.45, 0.45], [0.4, 0.1, 0.5]], 2),  # 1.0 : 0.85 : 1.15
    ([[0.34, 0.33, 0.33], [0.0, 0.5, 0.5], [0.34, 0.0, 0.66], [0.0, 0.6, 0.4]], 1),
    # the last: third label sums highest, 1.89, but only the second has two frames
])  # fmt: skip
def test_frames_vote_and_ties_go_to_the_higher_sum(probabilities, winner):
    assert vote(np.array(probabilities)) == winner


def test_a_class_that_is_not_in_the_training_part_is_never_answered():
    classes = np.array([0, 2] * 10)
    trees = forest()
    trees.fit(utterances(classes), classes)
    shares = np.concatenate(trees.frame_probabilities(utterances([0, 1, 2], seed=3)))
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    assert not shares[:, 1].any()


@pytest.mark.parametrize("model", [forest(), Dummy(DummyConfig(3))], ids=["forest", "dummy"])
def test_one_class_in_the_training_part_is_answered_always(model):
    model.fit(utterances([2, 2, 2]), [2, 2, 2])
    assert model.predict(utterances([0, 1, 2], seed=1)).tolist() == [2, 2, 2]


@pytest.mark.parametrize(("labels", "answer"), [([0, 1, 1], 1), ([2, 0, 0, 2], 0), ([2], 2)])
def test_the_dummy_answers_the_majority_and_the_first_of_equals(labels, answer):
    dummy = Dummy(DummyConfig(3))
    dummy.fit(utterances(labels), labels)
    assert dummy.predict(utterances([0, 1])).tolist() == [answer, answer]


@pytest.mark.parametrize("model", [forest(), Dummy(DummyConfig(3))], ids=["forest", "dummy"])
def test_a_training_part_that_cannot_be_is_refused(model):
    with pytest.raises(AffektError, match="no utterance: there is nothing to learn"):
        model.fit([], [])
    with pytest.raises(ValueError, match="one an utterance"):
        model.fit(utterances([0, 1]), [0])
    with pytest.raises(ValueError, match="one an utterance"):
        model.fit(utterances([0, 1]), [0.0, 1.0])
    with pytest.raises(ValueError, match=r"must lie in 0 \.\. 2"):
        model.fit(utterances([0, 1]), [0, 3])
    with pytest.raises(RuntimeError, match="fit comes before predict"):
        model.predict(utterances([0]))


def test_a_silent_or_broken_utterance_is_named():
    trees, features = forest(), utterances([0, 1, 2])
    silent, broken = [*features, np.zeros((0, 4))], [features[0], np.full((3, 4), np.nan)]
    with pytest.raises(AffektError, match="utterance 3 has no frame: leave it out"):
        trees.fit(silent, [0, 1, 2, 0])
    with pytest.raises(AffektError, match="utterance 1: a feature is not finite"):
        trees.fit(broken, [0, 1])
    trees.fit(features, [0, 1, 2])
    with pytest.raises(AffektError, match="utterance 3 has no frame"):
        trees.predict(silent)
    assert trees.predict([]).tolist() == []


@pytest.mark.parametrize("settings", [{"n_trees": 0}, {"n_loudest": 0}])
def test_a_forest_without_trees_or_frames_is_refused(settings):
    with pytest.raises(ValueError, match="1 or more"):
        ForestConfig(3, **settings)


def test_models_import_without_scikit_learn_and_a_forest_says_what_to_install():
    program = """
import sys
sys.modules["sklearn"] = None
from affekt.exceptions import AffektError
from affekt.models import Forest, ForestConfig
try:
    Forest(ForestConfig(2)).fit([], [])
except AffektError as problem:
    assert "pip install 'affekt[train]'" in str(problem)
else:
    sys.exit("no error")
"""
    subprocess.run([sys.executable, "-c", program], check=True)
