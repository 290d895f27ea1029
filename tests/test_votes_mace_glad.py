"""MACE and GLAD: another program's values, the formulas in loops, planted truth, invariance.

Golden values: crowd-kit 1.4.2 (Python 3.11, numpy 2.4, pandas 3.1) on the votes of
`golden_votes`, 80 votes by six raters. MACE(n_restarts=1, n_iter=N, method=M), its start replaced
by spamming_ = 1/2 and thetas_ = 1/4; GLAD(n_iter=400, tol=1e-14, m_step_tol=1e-8,
m_step_max_iter=200), which converges in 36 iterations. That program's MACE takes the order of
first appearance of raters and labels for their sorted order, so the script named both by number
of first appearance.
"""

import itertools
import math
from functools import partial

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from affekt.exceptions import TableError
from affekt.scheme import Categories
from affekt.votes.coded import code
from affekt.votes.glad import _loss, _problem, glad
from affekt.votes.glad import fit as fit_glad
from affekt.votes.mace import fit as fit_mace
from affekt.votes.mace import mace
from affekt.votes.threshold import threshold

FOUR = Categories("four", ("l0", "l1", "l2", "l3"))

EM_5 = [0.999992408, 0.9997134424, 0.9988222179, 0.9999640597, 0.9999975833, 0.9999917096,
        0.5500882374, 0.9962348554, 0.9991049159, 0.998485027, 0.9991508482, 0.5164462706,
        0.9999914326, 0.9945397963, 0.516446278, 0.9998370247, 0.7832024359, 0.999991711,
        0.9961309589, 0.9891252186]  # fmt: skip
EM_300 = [0.9999997825, 0.9999985214, 0.9998038214, 0.9999999802, 0.9999999993, 0.999999999,
          0.7503874106, 0.9998168193, 0.999998791, 0.9996640585, 0.9999577005, 0.6421472696,
          0.9999997527, 0.9999953056, 0.6421472696, 0.9999999159, 0.9957136213, 0.999999999,
          0.9999769006, 0.999512618]  # fmt: skip
VARIATIONAL_5 = [0.9973746526, 0.9801964332, 0.9964186839, 0.9995846929, 0.9971045261, 0.997399679,
                 0.5567654811, 0.9800436257, 0.870556455, 0.9902674942, 0.9965822756, 0.9231345751,
                 0.9972952631, 0.8656026611, 0.9231347452, 0.9974926356, 0.6068681322,
                 0.9974056596, 0.9772913442, 0.8640977973]  # fmt: skip
VARIATIONAL_300 = [0.9984508403, 0.9885824789, 0.9955445116, 0.9997533319, 0.9982754162,
                   0.9968743708, 0.5106969688, 0.9882447338, 0.874109577, 0.9936990644,
                   0.9979143307, 0.9027320367, 0.9984004127, 0.9288942772, 0.9027321347,
                   0.9985859671, 0.7619674143, 0.9968811845, 0.9889897712,
                   0.9273243038]  # fmt: skip
EM_LABELS = [0, 1, 0, 2, 1, 2, 2, 3, 2, 0, 3, 3, 0, 1, 3, 2, 1, 2, 2, 3]
VARIATIONAL_5_LABELS = [0, 1, 0, 2, 1, 2, 0, 3, 2, 0, 3, 0, 0, 1, 0, 2, 1, 2, 2, 3]
VARIATIONAL_LABELS = [0, 1, 0, 2, 1, 2, 2, 3, 2, 0, 3, 0, 0, 1, 0, 2, 1, 2, 2, 3]
EM_COMPETENCE = [0.974894072, 0.7909016635, 0.5938877287, 0.3763992251, 0.4784281351, 0.0001985617]
EM_STRATEGY_0 = [0.01006247, 0.02650448, 0.95203556, 0.01139749]

GLAD_TOP = [0.9999897136, 0.9996670481, 0.9999869071, 0.9999874278, 0.9997965009, 0.9999869071,
            0.5550421606, 0.9996670481, 0.8911614701, 0.9888525174, 0.9997965009, 0.9692971201,
            0.9999897136, 0.7748233015, 0.9692971201, 0.9999897136, 0.4947833148, 0.9999869071,
            0.9550721391, 0.7748233015]  # fmt: skip
GLAD_LABELS = VARIATIONAL_5_LABELS
GLAD_ABILITY = [0.96159439, 0.41843349, 0.74367272, -0.06008037, 0.69138278, -0.84797969]
GLAD_EASINESS = [4.6538564, 4.1300579, 4.6769991, 3.9715878, 3.6251255, 4.6769991]  # of the first


def golden_votes() -> pd.DataFrame:
    """A formula's votes: the higher a rater's number, the worse the rater."""
    rows = []
    for t, w in itertools.product(range(20), range(6)):
        if (t + w) % 3 != 2:
            right = (5 * t + 3 * w + t * w) % 10 < 8 - w
            answer = (t * t + t // 3) % 4 if right else (t + 2 * w + t * w // 4) % 4
            rows.append((f"t{t}", f"w{w}", f"l{answer}"))
    return pd.DataFrame(rows, columns=["utterance", "rater", "label"])


def planted(
    accuracy: np.ndarray, n_utterances: int, n_each: int, seed: int, easiness: float = 0.0
) -> tuple[pd.DataFrame, np.ndarray]:
    """Votes of raters of known accuracy on a known truth; `easiness` spreads the log easiness."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(len(FOUR), size=n_utterances)
    rater = np.stack([rng.permutation(len(accuracy))[:n_each] for _ in range(n_utterances)])
    ability = np.log(accuracy / (1 - accuracy))[rater]
    right = rng.random(rater.shape) < expit(
        ability * np.exp(easiness * rng.normal(size=(n_utterances, 1)))
    )
    wrong = (truth[:, None] + rng.integers(1, len(FOUR), size=rater.shape)) % len(FOUR)
    label = np.where(right, truth[:, None], wrong)
    votes = pd.DataFrame({
        "utterance": np.repeat([f"u{i}" for i in range(n_utterances)], n_each),
        "rater": [f"r{i}" for i in rater.ravel()],
        "label": [f"l{i}" for i in label.ravel()],
    })  # fmt: skip
    return votes, truth


def share_right(labels: pd.DataFrame, truth: np.ndarray) -> float:
    return float((labels.to_numpy().argmax(axis=1) == truth).mean())


@pytest.mark.parametrize(("training", "n_rounds", "top", "winners"), [
    ("em", 5, EM_5, EM_LABELS),
    ("em", 300, EM_300, EM_LABELS),
    ("variational", 5, VARIATIONAL_5, VARIATIONAL_5_LABELS),
    ("variational", 300, VARIATIONAL_300, VARIATIONAL_LABELS),
])  # fmt: skip
def test_mace_gives_crowd_kits_posteriors(training, n_rounds, top, winners):
    labels = mace(golden_votes(), FOUR, training=training, n_starts=1, max_iterations=n_rounds,
                  tolerance=-1)  # fmt: skip
    assert labels.index.tolist() == [f"t{i}" for i in range(20)]
    np.testing.assert_allclose(labels.to_numpy().max(axis=1), top, atol=1e-9)
    assert labels.to_numpy().argmax(axis=1).tolist() == winners


def test_mace_by_em_gives_crowd_kits_competences_and_strategies():
    model = fit_mace(code(golden_votes(), FOUR), training="em", n_starts=1,
                          max_iterations=300, tolerance=-1)  # fmt: skip
    np.testing.assert_allclose(model.competence.sort_index(), EM_COMPETENCE, atol=1e-9)
    np.testing.assert_allclose(model.strategy.loc["w0"], EM_STRATEGY_0, atol=1e-8)


def test_one_round_of_mace_is_the_formula_in_loops():
    votes = golden_votes().to_numpy().tolist()
    raters = sorted({rater for _, rater, _ in votes})
    knows, guesses = dict.fromkeys(raters, 0.5), {r: dict.fromkeys(FOUR, 0.25) for r in raters}

    def weight(rater, answer, truth):
        return (1 - knows[rater]) * guesses[rater][answer] + knows[rater] * (answer == truth)

    def believe(utterance):
        said = [(r, a) for u, r, a in votes if u == utterance]
        joint = {k: math.prod(weight(r, a, k) for r, a in said) / 4 for k in FOUR}
        return {k: p / sum(joint.values()) for k, p in joint.items()}

    utterances = list(dict.fromkeys(u for u, _, _ in votes))
    beliefs = {u: believe(u) for u in utterances}
    known = dict.fromkeys(raters, 0.0025)
    guessed = {r: dict.fromkeys(FOUR, 0.0025) for r in raters}
    lazy = dict.fromkeys(raters, 0.0025)
    for u, r, a in votes:
        knew = beliefs[u][a] * knows[r] / weight(r, a, a)
        known[r] += knew
        lazy[r] += 1 - knew
        guessed[r][a] += 1 - knew
    knows = {r: known[r] / (known[r] + lazy[r]) for r in raters}
    guesses = {r: {a: n / sum(guessed[r].values()) for a, n in guessed[r].items()} for r in raters}

    model = fit_mace(code(golden_votes(), FOUR), training="em", n_starts=1, max_iterations=1)
    np.testing.assert_allclose(model.competence[raters], [knows[r] for r in raters], rtol=1e-12)
    expected = [[believe(u)[k] for k in FOUR] for u in utterances]
    np.testing.assert_allclose(model.labels, expected, rtol=1e-11)


@pytest.mark.parametrize("training", ["em", "variational"])
@pytest.mark.parametrize("seed", range(3))
def test_no_round_of_mace_lowers_its_objective(training, seed):
    accuracy = np.random.default_rng(seed).uniform(0.1, 0.95, 12)
    votes, _ = planted(accuracy, 60, 4, seed)
    model = fit_mace(code(votes, FOUR), training=training, seed=seed, max_iterations=80,
                          tolerance=-1)  # fmt: skip
    assert len(model.losses) == 80
    assert np.diff(model.losses).min() > -1e-12
    assert model.losses[-1] > model.losses[0]


def test_mace_recovers_who_knows_and_how_the_others_guess():
    rng = np.random.default_rng(5)
    n, knows = 4000, np.array([0.9, 0.7, 0.5, 0.3, 0.05])
    habit = np.array([[0.25] * 4, [0.7, 0.1, 0.1, 0.1], [0.25] * 4, [0, 0, 0.5, 0.5], [1, 0, 0, 0]])
    truth = rng.integers(4, size=n)
    said = [
        np.where(rng.random(n) < k, truth, rng.choice(4, n, p=h))
        for k, h in zip(knows, habit, strict=True)
    ]
    votes = pd.DataFrame({
        "utterance": np.tile([f"u{i}" for i in range(n)], 5),
        "rater": np.repeat(list("abcde"), n),
        "label": [f"l{i}" for i in np.concatenate(said)],
    })  # fmt: skip
    for training in ("em", "variational"):
        model = fit_mace(code(votes, FOUR), training=training, n_starts=2, max_iterations=200)
        np.testing.assert_allclose(model.competence, knows, atol=0.04)
        np.testing.assert_allclose(model.strategy.iloc[1:], habit[1:], atol=0.06)
    top = model.labels.to_numpy().max(axis=1)
    assert abs(top.mean() - share_right(model.labels, truth)) < 0.02  # it knows what it knows


def test_both_beat_the_majority_where_some_raters_only_guess():
    accuracy = np.array([0.95, 0.9, 0.9, *[0.27] * 9])
    votes, truth = planted(accuracy, 1500, 6, 0)
    counts = code(votes, FOUR).counts()
    by_majority = (counts.argmax(axis=1) == truth).mean()
    for labels in (mace(votes, FOUR), glad(votes, FOUR)):
        assert share_right(labels, truth) > by_majority + 0.1


def test_further_starts_of_mace_never_end_worse_and_depend_on_the_seed_alone():
    votes, _ = planted(np.full(8, 0.4), 50, 4, 3)
    coded = code(votes, FOUR)
    alone = fit_mace(coded, training="em", n_starts=1)
    many = fit_mace(coded, training="em", n_starts=10, seed=4)
    assert many.losses[-1] > alone.losses[-1]
    again = fit_mace(coded, training="em", n_starts=10, seed=4)
    pd.testing.assert_frame_equal(many.labels, again.labels)


def test_glad_gives_crowd_kits_posteriors_and_parameters():
    model = fit_glad(code(golden_votes(), FOUR), max_iterations=500, tolerance=1e-15)
    np.testing.assert_allclose(model.labels.to_numpy().max(axis=1), GLAD_TOP, atol=1e-6)
    assert model.labels.to_numpy().argmax(axis=1).tolist() == GLAD_LABELS
    np.testing.assert_allclose(model.ability.sort_index(), GLAD_ABILITY, atol=2e-6)
    np.testing.assert_allclose(model.easiness.iloc[:6], GLAD_EASINESS, rtol=2e-6)


def test_glads_objective_is_the_formula_in_loops():
    votes = golden_votes()
    model = fit_glad(code(votes, FOUR), prior=[0.4, 0.3, 0.2, 0.1])
    total = 0.0
    for utterance, rows in votes.groupby("utterance"):
        joint = np.log([0.4, 0.3, 0.2, 0.1])
        for rater, label in zip(rows["rater"], rows["label"], strict=True):
            right = expit(model.ability[rater] * model.easiness[utterance])
            joint += [np.log(right if k == label else (1 - right) / 3) for k in FOUR]
        total += np.log(np.exp(joint).sum())
        np.testing.assert_allclose(model.labels.loc[utterance], np.exp(joint) / np.exp(joint).sum())
    total -= ((model.ability - 1) ** 2).sum() / 2 + ((np.log(model.easiness) - 1) ** 2).sum() / 2
    assert model.losses[-1] == pytest.approx(total / len(votes), rel=1e-12)


def test_no_small_step_from_glads_end_is_uphill():
    coded = code(golden_votes(), FOUR)
    problem = _problem(coded, np.full(4, 0.25), gold=False)
    rng = np.random.default_rng(0)
    start = rng.normal(size=coded.n_raters + coded.n_utterances)
    value, slope = _loss(problem, start)
    for direction in rng.normal(size=(5, len(start))):
        ahead, behind = (_loss(problem, start + s * direction)[0] for s in (1e-5, -1e-5))
        assert (ahead - behind) / 2e-5 == pytest.approx(slope @ direction, rel=1e-5)
    assert np.isfinite(value)


def test_glad_finds_able_raters_misleading_ones_and_easy_utterances():
    accuracy = np.array([0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.7, 0.65, 0.6, 0.03])
    votes, truth = planted(accuracy, 1500, 8, 1, easiness=0.8)
    model = fit_glad(code(votes, FOUR))
    ability = model.ability[[f"r{i}" for i in range(10)]]
    assert np.corrcoef(ability, np.log(accuracy / (1 - accuracy)))[0, 1] > 0.97
    assert ability["r9"] < -0.2
    assert share_right(model.labels, truth) > 0.9
    unanimous = code(votes, FOUR).counts().max(axis=1) >= 7
    assert model.easiness[unanimous].median() > 2 * model.easiness[~unanimous].median()


@pytest.mark.parametrize(
    "method", [partial(mace, n_starts=1), partial(glad, tolerance=1e-14, max_iterations=300)]
)
def test_order_of_rows_and_names_change_no_posterior(method):
    votes = golden_votes()
    labels = method(votes, FOUR)
    shuffled = method(votes.sample(frac=1, random_state=3), FOUR)
    np.testing.assert_allclose(shuffled.loc[labels.index], labels, atol=1e-6)
    renamed = method(votes.assign(label=votes["label"].str.replace("l", "x")),
                     Categories("x", ("x3", "x2", "x1", "x0")))  # fmt: skip
    np.testing.assert_allclose(renamed.to_numpy()[:, ::-1], labels, atol=1e-6)
    np.testing.assert_allclose(labels.sum(axis=1), 1)


@pytest.mark.parametrize("method", [mace, glad])
def test_a_control_task_is_held_at_its_right_answer_where_that_is_asked(method):
    votes = golden_votes()
    votes["gold"] = votes["utterance"].map({"t0": "l3", "t6": "l2"})
    free, held = method(votes, FOUR), method(votes, FOUR, gold=True)
    assert free.loc["t0"].idxmax() == "l0"
    assert held.loc["t0"].tolist() == [0, 0, 0, 1]
    assert held.loc["t6"].tolist() == [0, 0, 1, 0]
    assert not np.allclose(held.loc["t3"], free.loc["t3"], atol=1e-9)


@pytest.mark.parametrize("method", [mace, glad])
def test_progress_adds_up_to_all_rounds(method):
    told: list[int] = []
    n_starts = {"n_starts": 3} if method is mace else {}
    method(golden_votes(), FOUR, max_iterations=40, progress=told.append, **n_starts)
    assert sum(told) == 40 * n_starts.get("n_starts", 1)
    assert len(told) > 3


@pytest.mark.parametrize("method", [mace, glad])
@pytest.mark.parametrize("n_votes", [1, 4])
def test_one_rater_alone_is_believed_but_not_blindly(method, n_votes):
    votes = pd.DataFrame({"utterance": [f"u{i}" for i in range(n_votes)], "rater": "x"})
    labels = method(votes.assign(label="l1"), FOUR)
    assert (labels.to_numpy().argmax(axis=1) == 1).all()
    assert labels.to_numpy().max() < 1


@pytest.mark.parametrize("method", [mace, glad])
def test_a_tie_of_equal_raters_stays_a_tie(method):
    votes = pd.DataFrame({"utterance": ["a", "a"], "rater": ["x", "y"], "label": ["l0", "l1"]})
    np.testing.assert_allclose(
        method(votes, FOUR).loc["a", ["l0", "l1"]].diff().iloc[1], 0, atol=1e-9
    )


@pytest.mark.parametrize("training", ["variational", "em"])
@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_a_table_of_nothing_but_ties_is_not_decided_by_random_starts(training, mirrored, seed):
    sides = [("l0", "l1"), ("l1", "l0")] if mirrored else [("l0", "l1")]
    said = [(f"u{i}", r, a) for i in range(400) for r, a in zip("xy", sides[i % len(sides)],
                                                                strict=True)]  # fmt: skip
    votes = pd.DataFrame(said, columns=["utterance", "rater", "label"])
    labels = mace(votes, FOUR, training=training, seed=seed)
    np.testing.assert_allclose(labels["l0"], labels["l1"], rtol=1e-12)
    np.testing.assert_allclose(labels.sum(axis=1), 1)
    assert threshold(labels, 1e-9).isna().all()


def test_hundreds_of_votes_for_one_utterance_neither_overflow_nor_vanish():
    votes = pd.DataFrame({"utterance": "a", "rater": [f"r{i}" for i in range(900)]})
    votes["label"] = ["l0" if i % 3 else "l1" for i in range(900)]
    for method in (mace, glad):
        row = method(votes, FOUR).loc["a"]
        assert np.isfinite(row).all()
        assert row.idxmax() == "l0"


@pytest.mark.parametrize("method", [mace, glad])
@pytest.mark.parametrize(("change", "message"), [
    ({"rater": None}, "column rater is empty"),
    ({"rater": "w0", "utterance": "t0"}, "answered utterance 't0' before"),
    ({"label": "l9"}, "label 'l9' is not one of l0, l1, l2, l3"),
])  # fmt: skip
def test_bad_votes_are_refused_by_name(method, change, message):
    votes = golden_votes().assign(**change)
    with pytest.raises(TableError, match=message):
        method(votes, FOUR)
    with pytest.raises(TableError, match="no votes"):
        method(votes.iloc[:0], FOUR)


@pytest.mark.parametrize(("method", "options", "message"), [
    (mace, {"training": "gibbs"}, "'variational' or 'em', not 'gibbs'"),
    (mace, {"n_starts": 0}, "n_starts and max_iterations"),
    (mace, {"smoothing": -1.0}, "smoothing is -1.0"),
    (mace, {"strategy_prior": 0.0}, "above 0"),
    (glad, {"max_iterations": 0}, "max_iterations is 0"),
    (glad, {"prior": "estimated"}, "cannot estimate"),
    (glad, {"prior": [0.5, 0.5]}, "4 probabilities"),
])  # fmt: skip
def test_options_out_of_range_are_refused(method, options, message):
    with pytest.raises(TableError, match=message):
        method(golden_votes(), FOUR, **options)


def test_glad_needs_a_wrong_label_to_choose_from():
    votes = golden_votes().assign(label="l0")
    with pytest.raises(TableError, match="two categories"):
        glad(votes, Categories("one", ("l0",)))
