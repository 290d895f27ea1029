import pytest

from affekt.exceptions import TableError
from affekt.scheme import EKMAN_8, NOUNS, SCHEMES, Categories


def test_every_scheme_is_registered_under_its_own_name():
    assert all(name == scheme.name for name, scheme in SCHEMES.items())


def test_the_default_scheme_keeps_its_order():
    assert EKMAN_8.labels == (
        *("anger", "disgust", "fear", "happiness"),
        *("neutral", "sadness", "surprise", "other"),
    )


def test_shipped_schemes_use_the_nouns_except_for_what_hume_asks_beyond_them():
    beyond = {label for scheme in SCHEMES.values() for label in scheme} - set(NOUNS)
    assert beyond == {"concentration", "determination", "interest", "tiredness"}


def test_index_is_the_position_and_an_unknown_label_names_the_known_ones():
    assert [EKMAN_8.index(label) for label in EKMAN_8] == list(range(8))
    with pytest.raises(TableError, match=r"'angry' is not in scheme 'ekman_8' \(anger, "):
        EKMAN_8.index("angry")


@pytest.mark.parametrize(
    ("labels", "reason"),
    [((), "needs labels"), (("a", ""), "needs labels"), (("a", "b", "a"), "twice: a")],
)
def test_a_scheme_without_clear_labels_is_refused(labels, reason):
    with pytest.raises(TableError, match=reason):
        Categories("odd", labels)
