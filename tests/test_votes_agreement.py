"""Agreement against printed examples, other libraries' values and the formulas written out.

Golden values: krippendorff 0.9.0 (alpha), scikit-learn 1.9.1 (Cohen), pingouin 0.7.0 (ICC).
"""

import itertools

import numpy as np
import pandas as pd
import pytest

import vote_tables
from affekt.corpora import CORPORA
from affekt.exceptions import TableError
from affekt.report import evaluate
from affekt.scheme import Categories
from affekt.votes.agreement import (
    agreement_with_rest,
    alpha_of_ratings,
    cohen_kappa,
    entropy,
    fleiss_kappa,
    icc,
    krippendorff_alpha,
    krippendorff_interval,
    percent,
    rater_against_rest,
    summary,
)
from vote_tables import DIGITS, ratings, votes

answers = pytest.fixture(vote_tables.answers)


TWO = Categories("two", ("yes", "no"))

# Krippendorff 2011, section C: four observers, twelve units, 0 = no value.
OBSERVERS = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, 0, 0, 0],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, 0, 3],
        [0, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, 0],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, 0],
    ]
)
FIVE = Categories("five", tuple("12345"))


def anonymous(counts, categories):
    """Long table of counts (n_utterances, n_categories) whose raters nobody knows."""
    rows = [
        (f"u{i}", None, label)
        for i, row in enumerate(counts)
        for label, n in zip(categories, row, strict=True)
        for _ in range(int(n))
    ]
    return pd.DataFrame(rows, columns=["utterance", "rater", "label"])


def observers():
    return votes([[x or None for x in unit] for unit in OBSERVERS.T.tolist()])


def naive_alpha(units, distance):
    """The definition: mean distance within units over that of all pairs."""
    units = [[x for x in unit if x is not None] for unit in units]
    units = [unit for unit in units if len(unit) > 1]
    pooled = [x for unit in units for x in unit]
    within = sum(
        sum(distance(a, b, pooled) for a, b in itertools.permutations(unit, 2)) / (len(unit) - 1)
        for unit in units
    )
    across = sum(distance(a, b, pooled) for a, b in itertools.permutations(pooled, 2))
    return 1 - (within / len(pooled)) / (across / (len(pooled) * (len(pooled) - 1)))


def between(a, b, pooled):
    low, high = min(a, b), max(a, b)
    ends = (pooled.count(low) + pooled.count(high)) / 2
    return (sum(low <= x <= high for x in pooled) - ends) ** 2


DISTANCES = {
    "nominal": lambda a, b, _: float(a != b),
    "ordinal": between,
    "interval": lambda a, b, _: (a - b) ** 2,
}


@pytest.mark.parametrize(
    ("level", "printed"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)]
)
def test_krippendorffs_worked_example(level, printed):
    assert round(krippendorff_alpha(observers(), FIVE, level=level), 3) == printed
    numbers = ratings(np.where(OBSERVERS.T == 0, np.nan, OBSERVERS.T))
    assert round(alpha_of_ratings(numbers, level=level).loc["arousal", "alpha"], 3) == printed


@pytest.mark.parametrize(
    ("level", "golden"),
    [
        ("nominal", 0.28910648714810283),
        ("ordinal", 0.39165131615820037),
        ("interval", 0.3866085440278989),
    ],
)
def test_alpha_equals_the_krippendorff_package(level, golden):
    units = [
        [
            None if (t + 2 * r) % 5 == 0 else (t + t * r % 3 + (r if t * r % 7 == 1 else 0)) % 6
            for r in range(5)
        ]
        for t in range(25)
    ]
    assert krippendorff_alpha(votes(units), DIGITS, level=level) == pytest.approx(golden, abs=1e-12)


@pytest.mark.parametrize("level", DISTANCES)
def test_alpha_equals_its_definition_over_pairs(level, answers):
    expected = naive_alpha(answers, DISTANCES[level])
    assert krippendorff_alpha(votes(answers), DIGITS, level=level) == pytest.approx(expected)


def test_alpha_knows_no_raters_no_order_and_no_utterances_of_one_vote():
    full = observers()
    assert full.groupby("utterance").size().min() == 1
    expected = krippendorff_alpha(full, FIVE, level="ordinal")
    paired = full[full["utterance"] != "u11"].sample(frac=1, random_state=0).assign(rater=None)
    assert krippendorff_alpha(paired, FIVE, level="ordinal") == pytest.approx(expected)


def test_interval_alpha_takes_the_numbers_labels_stand_for():
    assert krippendorff_alpha(
        observers(), FIVE, level="interval", values=[10, 20, 30, 40, 50]
    ) == pytest.approx(krippendorff_alpha(observers(), FIVE, level="interval"))
    far = [0, 0, 0, 0, 1]
    units = [[None if x == 0 else int(x == 5) for x in unit] for unit in OBSERVERS.T.tolist()]
    assert krippendorff_alpha(observers(), FIVE, level="interval", values=far) == pytest.approx(
        naive_alpha(units, DISTANCES["interval"])
    )
    with pytest.raises(TableError, match="5 labels, but values are 2"):
        krippendorff_alpha(observers(), FIVE, level="interval", values=[1, 2])


def test_alpha_of_fine_grained_numbers_equals_the_krippendorff_package():
    values = [
        [2.5 if t * r % 5 == 2 else 1.25 * t % 7 + 0.3 * r for r in range(3)] for t in range(25)
    ]
    for level, golden in [("ordinal", 0.7355372907153729), ("interval", 0.7227891916033944)]:
        found = alpha_of_ratings(ratings(values), level=level, n_resamples=20)
        assert found.loc["arousal", "alpha"] == pytest.approx(golden, abs=1e-12)
        assert found.loc["arousal", "low"] < golden < found.loc["arousal", "high"]


def test_perfect_agreement_is_1_and_votes_that_are_all_equal_say_nothing():
    assert krippendorff_alpha(votes([[1, 1], [2, 2]]), DIGITS) == 1.0
    assert np.isnan(krippendorff_alpha(votes([[1, 1], [1, 1]]), DIGITS))
    assert np.isnan(krippendorff_interval(votes([[1, 1], [1, 1]]), DIGITS, n_resamples=5)).all()
    assert np.isnan(fleiss_kappa(votes([[1, 1], [1, 1]]), DIGITS))
    assert np.isnan(cohen_kappa(votes([[1, 1], [1, 1]]), DIGITS, "r0", "r1"))


def test_the_interval_of_alpha_is_that_of_resampled_utterances(answers):
    table = votes(answers)
    found = krippendorff_interval(table, DIGITS, level="ordinal", n_resamples=2000, seed=1)
    rng = np.random.default_rng(2)
    counts = np.array([[row.count(label) for label in range(6)] for row in answers])
    drawn = []
    for _ in range(400):
        again = counts[rng.integers(30, size=30)]
        drawn.append(krippendorff_alpha(anonymous(again, DIGITS), DIGITS, level="ordinal"))
    np.testing.assert_allclose(found, np.quantile(drawn, [0.025, 0.975]), atol=0.05)
    assert found == krippendorff_interval(
        table.assign(rater=None), DIGITS, level="ordinal", n_resamples=2000, seed=1
    )


def test_the_interval_of_alpha_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(4)

    def draw(n):
        truth = rng.integers(2, size=(n, 1))
        said = np.where(rng.random((n, 3)) < 0.6, truth, rng.integers(2, size=(n, 3)))
        return anonymous(np.stack([(said == 0).sum(1), (said == 1).sum(1)], axis=1), TWO)

    true = 0.36  # two votes on one utterance agree with .6 * .6 beyond chance
    assert krippendorff_alpha(draw(20_000), TWO) == pytest.approx(true, abs=0.02)
    intervals = [krippendorff_interval(draw(120), TWO, n_resamples=200) for _ in range(100)]
    assert sum(low <= true <= high for low, high in intervals) >= 88


def test_percent_is_the_share_of_agreeing_pairs_of_an_utterance(answers):
    expected = np.mean(
        [
            np.mean(
                [a == b for a, b in itertools.combinations([x for x in row if x is not None], 2)]
            )
            for row in answers
        ]
    )
    assert percent(votes([*answers, [1, None]]), DIGITS) == pytest.approx(expected)


def test_entropy_is_0_where_all_agree_and_log2_c_where_none_do():
    found = entropy(
        votes([[1, 1, 1, 1], [0, 1, 2, 3], [0, 0, 1, 2], [4, None, None, None]]), DIGITS
    )
    assert found.to_dict() == {"u0": 0.0, "u1": 2.0, "u2": 1.5, "u3": 0.0}
    assert found.index.name == "utterance"


@pytest.mark.parametrize("measure", [percent, krippendorff_alpha, agreement_with_rest, summary])
def test_votes_that_all_stand_alone_cannot_agree(measure):
    with pytest.raises(TableError, match="no utterance has two votes"):
        measure(votes([[1, None], [None, 1]]), DIGITS)


def test_a_rater_heard_twice_is_refused_unless_told_what_to_do():
    twice = pd.concat([votes([[1, 2]]), votes([[2]])])
    with pytest.raises(TableError, match="'r0' answered utterance 'u0' before"):
        percent(twice, DIGITS)
    assert percent(twice, DIGITS, duplicates="first") == 0.0
    assert percent(twice, DIGITS, duplicates="last") == 1.0
    assert percent(twice, DIGITS, duplicates="keep") == pytest.approx(1 / 3)


def test_each_vote_stands_beside_the_shares_of_the_others():
    truth, vote = rater_against_rest(votes([[0, 0, 1], [2, None, None]]), DIGITS)
    assert truth.index.tolist() == vote.index.tolist() == ["u0/r0", "u0/r1", "u0/r2"]
    assert truth.to_numpy()[:, :2].tolist() == [[0.5, 0.5], [0.5, 0.5], [1, 0]]
    assert vote.to_numpy()[:, :2].tolist() == [[1, 0], [1, 0], [0, 1]]
    report = evaluate(truth, vote, n_resamples=10)
    assert report.accuracy.value == 0.0  # the two whose rest ties have no right answer
    assert report.n_hard == 1


def test_votes_of_unknown_raters_are_numbered_and_say_the_same(answers):
    named, _ = rater_against_rest(votes(answers), DIGITS)
    truth, vote = rater_against_rest(votes(answers).assign(rater=None), DIGITS)
    np.testing.assert_array_equal(truth, named)
    assert truth.index[:2].tolist() == ["u0/1", "u0/2"]
    assert truth.index.is_unique
    assert (vote.sum(axis=1) == 1).all()


def test_agreement_with_the_rest_shares_what_ties(answers):
    truth, vote = rater_against_rest(votes(answers), DIGITS)
    top = truth.eq(truth.max(axis=1), axis=0)
    expected = (top * vote).sum(axis=1) / top.sum(axis=1)
    assert agreement_with_rest(votes(answers), DIGITS) == pytest.approx(expected.mean())


def test_the_summary_holds_what_the_functions_give(answers):
    table = votes([*answers, [1, None]])
    found = summary(table, DIGITS, level="ordinal", n_resamples=50, seed=3)
    alpha = found.loc["Krippendorff's alpha (ordinal)"]
    assert alpha["value"] == krippendorff_alpha(table, DIGITS, level="ordinal")
    assert (alpha["low"], alpha["high"]) == krippendorff_interval(
        table, DIGITS, level="ordinal", n_resamples=50, seed=3
    )
    assert found.loc["percent", "value"] == percent(table, DIGITS)
    assert found.loc["percent", "note"] == "1 utterance(s) with one vote left out"
    assert found.loc["agreement with the rest", "value"] == agreement_with_rest(table, DIGITS)
    assert found.loc["entropy", "value"] == pytest.approx(entropy(table, DIGITS).mean())
    assert np.isnan(found.loc["Fleiss' kappa", "value"])
    assert "different numbers" in found.loc["Fleiss' kappa", "note"]
    equal = anonymous([[3, 0], [2, 1], [0, 3], [0, 3]], TWO)
    same = summary(equal, TWO, n_resamples=5).loc["Fleiss' kappa", "value"]
    assert same == fleiss_kappa(equal, TWO)


def test_the_voice_votes_of_crema_d_agree_with_the_rest_in_569_of_1000_cases(shared):
    corpus = CORPORA["crema-d"].load(shared / "corpora" / "crema-d")
    found = summary(corpus.votes, corpus.scheme, n_resamples=100)["value"]
    assert found["agreement with the rest"] == pytest.approx(0.5690, abs=5e-5)
    assert found["percent"] == pytest.approx(0.4653, abs=5e-5)
    truth, vote = rater_against_rest(corpus.votes, corpus.scheme)
    utterance = truth.index.to_series().str.rsplit("/", n=1).str[0]
    ceiling = evaluate(truth, vote, speakers=utterance, n_resamples=20)
    assert ceiling.accuracy.value == pytest.approx(0.5918, abs=5e-5)  # ties left out
    assert ceiling.n == 68_568


STEPS = Categories("steps", ("None", "A little", "Moderate", "Extremely"))
EARKICK = {  # emotion: alpha nominal, ordinal, interval; weighted kappa of 1-2, 1-3, 2-3; ICC(2,1)
    "sad": (0.189863, 0.275121, 0.273828, 0.310226, 0.330001, 0.196614, 0.284308),
    "happy": (0.187495, 0.337722, 0.386325, 0.375447, 0.498177, 0.353910, 0.404874),
    "disgust": (0.134906, 0.185150, 0.225286, 0.125256, 0.402775, 0.151273, 0.246680),
    "fear": (0.179122, 0.232758, 0.316094, 0.253238, 0.316793, 0.402597, 0.321074),
    "surprise": (0.138183, 0.242672, 0.335183, 0.280499, 0.315365, 0.401556, 0.337447),
    "anger": (0.209968, 0.306213, 0.366860, 0.222907, 0.577571, 0.251994, 0.379355),
}


@pytest.mark.parametrize("emotion", EARKICK)
def test_three_named_annotators_of_real_speech_agree_as_other_libraries_say(shared, emotion):
    table = pd.read_csv(shared / "votes" / "earkick" / "assessment.csv", keep_default_na=False)
    said = pd.DataFrame(
        {"utterance": table["audio"], "rater": table["annotator"], "label": table[emotion]}
    )
    numbers = said.assign(dimension=emotion, value=said["label"].map(STEPS.index))
    found = [
        *(krippendorff_alpha(said, STEPS, level=level) for level in DISTANCES),
        *(
            cohen_kappa(said, STEPS, *pair, weights="quadratic")
            for pair in itertools.combinations("123", 2)
        ),
        icc(numbers, "2,1")[emotion],
    ]
    np.testing.assert_allclose(found, EARKICK[emotion], atol=1e-6)
    low, high = krippendorff_interval(said, STEPS, level="ordinal", n_resamples=200)
    assert 0 < low < found[1] < high < 0.5  # better than chance, far from what one would train on
