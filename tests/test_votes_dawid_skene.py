import numpy as np
import pandas as pd
import pytest

from affekt.exceptions import TableError
from affekt.metrics import expected_calibration_error
from affekt.scheme import Categories
from affekt.votes import em
from affekt.votes.coded import code
from affekt.votes.dawid_skene import dawid_skene, fit
from affekt.votes.one_coin import one_coin
from affekt.votes.threshold import threshold

FIVE = Categories("five", ("angry", "sad", "neutral", "positive", "other"))


def golden_votes():
    """The 80 votes of spec 1.2.2, whose truth is the utterance's number modulo 5."""
    names = list(FIVE)
    rows = [
        (str(t), str(w), names[t % 5 if (7 * t + 3 * w) % 10 < 6 else (t + 2 * w + 1) % 5])
        for t in range(20)
        for w in range(6)
        if (t + w) % 3
    ]
    return pd.DataFrame(rows, columns=["utterance", "rater", "label"])


def planted(n_utterances=4000, n_raters=40, votes_each=6, right=0.75, seed=0):
    """Votes of raters with known confusions: (votes, truth (n,), confusion (raters, k, l))."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(5, n_utterances, p=[0.1, 0.15, 0.5, 0.2, 0.05])
    confusion = rng.dirichlet(np.ones(5), (n_raters, 5)) * (1 - right)
    confusion += right * np.eye(5)
    utterance = np.repeat(np.arange(n_utterances), votes_each)
    rater = np.argsort(rng.random((n_utterances, n_raters)))[:, :votes_each].ravel()
    bounds = confusion[rater, truth[utterance]].cumsum(axis=1)
    label = (rng.random((len(rater), 1)) > bounds[:, :-1]).sum(axis=1)
    votes = pd.DataFrame({"utterance": utterance, "rater": rater, "label": label}).astype(str)
    votes["label"] = np.array(list(FIVE))[label]
    return votes, truth, confusion


def naive(votes, categories, n_iterations, gold=None):
    """Dawid-Skene as the formulas say it, vote by vote."""
    names, n_classes = list(categories), len(categories)
    utterances, raters = list(dict.fromkeys(votes["utterance"])), sorted(set(votes["rater"]))
    rows = [
        (utterances.index(u), raters.index(w), names.index(label))
        for u, w, label in votes[["utterance", "rater", "label"]].itertuples(index=False)
    ]
    p = np.zeros((len(utterances), n_classes))
    for u, _, label in rows:
        p[u, label] += 1
    p /= p.sum(axis=1, keepdims=True)
    for step in range(n_iterations + 1):
        for u, k in (gold or {}).items():
            p[utterances.index(u)] = np.eye(n_classes)[k]
        if step == n_iterations:
            return pd.DataFrame(p, utterances, names)
        e = np.full((len(raters), n_classes, n_classes), np.nan)  # rater, answer, truth
        for w in range(len(raters)):
            said = {label for _, rater, label in rows if rater == w}
            for label in said:
                mine = [p[u] for u, rater, answer in rows if rater == w and answer == label]
                e[w, label] = np.maximum(np.sum(mine, axis=0), 1e-10)
        e /= np.nansum(e, axis=1, keepdims=True)
        log_p = np.tile(np.log(p.mean(axis=0)), (len(utterances), 1))
        for u, w, label in rows:
            log_p[u] += np.log(e[w, label])
        p = np.exp(log_p - log_p.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
    return None


@pytest.mark.parametrize(
    ("iterations", "loss", "prior"),
    [
        (1, -2.1918737593229514, [0.208169, 0.175233, 0.206622, 0.211409, 0.198567]),
        (2, -2.0686727993406264, [0.199999, 0.193126, 0.205940, 0.199786, 0.201149]),
        (100, -2.0475799279978686, [0.2] * 5),
    ],
)
def test_the_golden_run_comes_out_to_twelve_digits(iterations, loss, prior):
    model = fit(code(golden_votes(), FIVE), max_iterations=iterations)
    assert len(model.losses) == min(iterations, 6)
    assert model.losses[-1] == pytest.approx(loss, abs=1e-12)
    assert model.prior == pytest.approx(prior, abs=1e-6)


def test_the_golden_run_finds_every_truth():
    labels = dawid_skene(golden_votes(), FIVE)
    assert labels.index.tolist() == list(dict.fromkeys(golden_votes()["utterance"]))
    assert [list(FIVE).index(x) for x in labels.idxmax(axis=1)] == [
        int(t) % 5 for t in labels.index
    ]


@pytest.mark.parametrize("n_iterations", [0, 1, 3, 10])
def test_posteriors_are_those_of_the_formulas(n_iterations):
    votes = planted(60, 8, 4, right=0.4, seed=3)[0]
    ours = dawid_skene(votes, FIVE, max_iterations=n_iterations, tolerance=-np.inf)
    pd.testing.assert_frame_equal(
        ours, naive(votes, FIVE, n_iterations), rtol=0, atol=1e-12, check_names=False
    )


def test_gold_answers_are_fixed_truth_in_every_iteration():
    votes, truth, _ = planted(60, 8, 4, right=0.4, seed=4)
    known = {str(u): int((truth[u] + 1) % 5) for u in range(10)}  # wrong on purpose
    votes["gold"] = votes["utterance"].map({u: list(FIVE)[k] for u, k in known.items()})
    ours = dawid_skene(votes, FIVE, max_iterations=5, tolerance=-np.inf, gold=True)
    assert ours.loc[list(known)].to_numpy().tolist() == np.eye(5)[list(known.values())].tolist()
    reference = naive(votes, FIVE, 5, known)
    pd.testing.assert_frame_equal(ours, reference, rtol=0, atol=1e-12, check_names=False)
    without = dawid_skene(votes, FIVE, max_iterations=5, tolerance=-np.inf)
    expected = naive(votes, FIVE, 5)
    pd.testing.assert_frame_equal(without, expected, rtol=0, atol=1e-12, check_names=False)


def test_raters_of_known_confusion_are_recovered_within_sampling_error():
    votes, truth, confusion = planted()
    model = fit(code(votes, FIVE))
    found = model.confusion[model.raters.get_indexer([str(w) for w in range(40)])]
    assert found.sum(axis=2) == pytest.approx(1)
    n_votes = np.zeros((40, 5))
    np.add.at(n_votes, (votes["rater"].astype(int), truth[votes["utterance"].astype(int)]), 1)
    error = np.sqrt(confusion * (1 - confusion) / n_votes[:, :, None])
    z = (found - confusion) / np.maximum(error, 1e-3)
    assert np.sqrt((z**2).mean()) < 1.25  # 1 where the truth is known
    assert model.prior == pytest.approx(np.bincount(truth) / len(truth), abs=0.01)


def test_labels_at_the_threshold_are_right_and_calibrated():
    votes, truth, _ = planted(right=0.65, seed=1)
    labels = dawid_skene(votes, FIVE)
    hard = threshold(labels, 0.9)
    right = hard == np.array(list(FIVE))[truth[labels.index.astype(int)]]
    assert hard.notna().mean() > 0.8
    assert right[hard.notna()].mean() >= 0.98
    columns = truth[labels.index.astype(int)]
    assert expected_calibration_error(columns, labels.to_numpy()) < 0.01


def test_order_of_votes_and_names_of_raters_change_nothing():
    votes = planted(300, 12, 5, right=0.5)[0]
    labels = dawid_skene(votes, FIVE)
    mixed = votes.sample(frac=1, random_state=0)
    mixed["rater"] = "rater-" + mixed["rater"].str[::-1]
    again = dawid_skene(mixed, FIVE)
    assert again.index.tolist() == mixed["utterance"].unique().tolist()
    pd.testing.assert_frame_equal(again.loc[labels.index], labels, rtol=0, atol=1e-10)


def test_neither_blocks_nor_threads_change_the_posteriors(monkeypatch):
    votes = planted(300, 12, 5, right=0.5)[0]
    labels = dawid_skene(votes, FIVE)
    monkeypatch.setattr(em, "BLOCK_VOTES", 100)
    many = dawid_skene(votes, FIVE)
    pd.testing.assert_frame_equal(many, labels, rtol=0, atol=1e-12)
    monkeypatch.setattr(em, "N_THREADS", 1)
    pd.testing.assert_frame_equal(dawid_skene(votes, FIVE), many, check_exact=True)


def test_a_block_never_splits_an_utterance_and_loses_none():
    rng = np.random.default_rng(0)
    row = np.sort(rng.integers(0, 400, 3000)).astype(np.int32)  # some rows have no vote
    blocks = em.blocks_of(row, np.zeros(3000, np.int32), 400, 1)
    assert [b.rows.start for b in blocks[1:]] == [b.rows.stop for b in blocks[:-1]]
    assert blocks[0].rows.start == 0
    assert blocks[-1].rows.stop == 400
    votes = np.concatenate([b.cells.sum(axis=1) for b in blocks])
    assert votes.tolist() == np.bincount(row, minlength=400).tolist()


def test_a_category_that_nobody_votes_for_has_no_mass():
    votes = planted(100, 8, 4)[0]
    few = votes[votes["label"] != "other"]
    wide, narrow = dawid_skene(few, FIVE), dawid_skene(few, Categories("four", FIVE.labels[:4]))
    assert (wide["other"] == 0).all()
    pd.testing.assert_frame_equal(wide[narrow.columns], narrow, rtol=0, atol=1e-12)


def test_one_rater_alone_is_believed():
    votes = pd.DataFrame({"utterance": ["a", "b"], "rater": "x", "label": ["sad", "angry"]})
    for method in (dawid_skene, one_coin):
        assert method(votes, FIVE).idxmax(axis=1).tolist() == ["sad", "angry"]


def test_where_every_utterance_is_a_tie_it_stays_one():
    said = [("a", "x", "sad"), ("a", "y", "angry"), ("b", "x", "angry"), ("b", "y", "sad")]
    votes = pd.DataFrame(said, columns=["utterance", "rater", "label"])
    for method in (dawid_skene, one_coin):
        labels = method(votes, FIVE)
        assert labels[["angry", "sad"]].to_numpy() == pytest.approx(0.5)
        assert threshold(labels, 0.9).isna().all()


def test_the_prior_may_be_uniform_or_given():
    votes = planted(200, 8, 3, right=0.3)[0]
    coded = code(votes, FIVE)
    uniform, given = fit(coded, prior="uniform"), fit(coded, prior=[0.2] * 5)
    assert uniform.prior.tolist() == [0.2] * 5
    pd.testing.assert_frame_equal(uniform.labels, given.labels)
    assert not np.allclose(uniform.labels, fit(coded).labels, atol=1e-3)
    for wrong in ("flat", [0.5, 0.5], [0.3] * 5, [-0.2, 0.6, 0.2, 0.2, 0.2]):
        with pytest.raises(TableError, match="prior"):
            fit(coded, prior=wrong)
    with pytest.raises(TableError, match="must be 0 or more"):
        fit(coded, smoothing=-1)


def test_smoothing_leaves_no_answer_impossible():
    votes = pd.DataFrame({"utterance": ["a", "b"], "rater": "x", "label": ["sad", "angry"]})
    assert (fit(code(votes, FIVE)).confusion == 0).any()
    smooth = fit(code(votes, FIVE), smoothing=0.5, max_iterations=0)
    assert smooth.confusion[0, 1] == pytest.approx([0.5 / 3.5, 1.5 / 3.5, *[0.5 / 3.5] * 3])
    assert smooth.confusion.sum(axis=2) == pytest.approx(1)


def test_progress_ends_at_all_iterations_even_if_fewer_were_needed():
    told = []
    dawid_skene(golden_votes(), FIVE, progress=told.append)
    assert told == [1] * 5 + [95]
    told.clear()
    dawid_skene(golden_votes(), FIVE, max_iterations=3, progress=told.append)
    assert told == [1] * 3


def test_an_update_is_close_to_fitting_anew():
    votes, _, _ = planted(right=0.6, seed=2)
    mixed = votes.sample(frac=1, random_state=0)
    before, after = mixed.iloc[:22_000], mixed.iloc[22_000:]
    model = fit(code(before, FIVE))
    updated = model.update(after)
    anew = dawid_skene(mixed, FIVE)
    assert updated.labels.index.tolist() == anew.index.tolist()
    touched = anew.index.isin(after["utterance"])
    distance = np.abs(updated.labels - anew)[touched].mean(axis=None)
    stale = model.labels.reindex(anew.index).fillna(0.2)
    assert distance < 0.1 * np.abs(stale - anew)[touched].mean(axis=None)
    assert (updated.labels.idxmax(axis=1) == anew.idxmax(axis=1)).mean() > 0.99
    untouched = anew.index[~touched]
    assert len(untouched) > 1000
    pd.testing.assert_frame_equal(updated.labels.loc[untouched], model.labels.loc[untouched])


def test_the_counts_of_an_update_are_those_of_all_votes_under_its_posteriors():
    votes, _, _ = planted(500, 10, 5, right=0.5, seed=5)
    updated = fit(code(votes.iloc[:1500], FIVE)).update(votes.iloc[1500:2000])
    updated = updated.update(votes.iloc[2000:])
    counts = np.zeros_like(updated.counts)
    for u, w, label in votes[["utterance", "rater", "label"]].itertuples(index=False):
        row, column = updated.raters.get_loc(w), FIVE.index(label)
        counts[row, :, column] += updated.labels.loc[u]
    assert updated.counts == pytest.approx(counts, abs=1e-9)
    assert updated.prior == pytest.approx(updated.labels.mean().to_numpy())
    assert updated.votes.n_votes == len(votes)


def test_an_update_knows_new_raters_and_gold_and_refuses_second_answers():
    model = fit(code(golden_votes(), FIVE), gold=True)
    new = pd.DataFrame({"utterance": ["0", "new"], "rater": "9", "label": "sad", "gold": "sad"})
    updated = model.update(new)
    assert updated.raters.tolist() == [*model.raters, "9"]
    assert updated.labels.loc[["0", "new"], "sad"].tolist() == [1, 1]
    with pytest.raises(TableError, match="row 1: rater '9' answered utterance '0' before"):
        updated.update(new.assign(utterance=["other", "0"], gold=None))
    changed = updated.update(new.assign(label="angry"), duplicates="last")
    assert changed.votes.n_votes == updated.votes.n_votes
    assert changed.confusion[-1, FIVE.index("sad"), FIVE.index("angry")] == pytest.approx(1)
    with pytest.raises(TableError, match="'new' has two different gold answers"):
        updated.update(new.iloc[1:].assign(rater="8", gold="angry"))


def test_one_coin_is_dawid_skene_with_one_number_a_rater():
    votes, truth, _ = planted(60, 8, 4, right=0.5, seed=6)
    coded = code(votes, FIVE)
    p = coded.counts() / 4
    for _ in range(5):
        right = p[coded.utterance, coded.label]
        accuracy = np.bincount(coded.rater, right) / np.bincount(coded.rater)
        log_p = np.tile(np.log(p.mean(axis=0)), (60, 1))
        for u, w, label in zip(coded.utterance, coded.rater, coded.label, strict=True):
            said = np.full(5, (1 - accuracy[w]) / 4)
            said[label] = accuracy[w]
            log_p[u] += np.log(said)
        p = np.exp(log_p) / np.exp(log_p).sum(axis=1, keepdims=True)
    ours = one_coin(votes, FIVE, max_iterations=5, tolerance=-np.inf)
    assert ours.to_numpy() == pytest.approx(p, abs=1e-12)
    assert (ours.to_numpy().argmax(axis=1) == truth).mean() > 0.8
