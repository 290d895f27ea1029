"""Category schemes: which labels there are, and in which order.

A label table, a model's output and a report all carry their labels in the order of one scheme.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from affekt.exceptions import TableError

NOUNS = (
    "anger",
    "boredom",
    "calm",
    "contempt",
    "disgust",
    "excitement",
    "fear",
    "frustration",
    "happiness",
    "neutral",
    "sadness",
    "surprise",
    "other",
)
"""The field's nouns: what every loader calls a category, whatever its files say."""


@dataclass(frozen=True)
class Categories:
    """An ordered set of category labels under one name.

    Raises:
        TableError: no label, an empty label, or the same label twice.

    >>> four = Categories("four", ("anger", "happiness", "neutral", "sadness"))
    >>> len(four), "fear" in four, four.index("neutral"), list(four)[-1]
    (4, False, 2, 'sadness')
    """

    name: str
    labels: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.labels or not all(isinstance(label, str) and label for label in self.labels):
            raise TableError(f"scheme {self.name!r} needs labels, each a non-empty string")
        twice = sorted({label for label in self.labels if self.labels.count(label) > 1})
        if twice:
            raise TableError(f"scheme {self.name!r} names a label twice: {', '.join(twice)}")

    def __len__(self) -> int:
        return len(self.labels)

    def __iter__(self) -> Iterator[str]:
        return iter(self.labels)

    def __contains__(self, label: object) -> bool:
        return label in self.labels

    def index(self, label: str) -> int:
        """Position of `label`; TableError names the scheme's labels where it is not among them."""
        if label not in self.labels:
            known = ", ".join(self.labels)
            raise TableError(f"label {label!r} is not in scheme {self.name!r} ({known})")
        return self.labels.index(label)


EKMAN_8 = Categories(
    "ekman_8",
    ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise", "other"),
)
EKMAN_7 = Categories("ekman_7", EKMAN_8.labels[:-1])
CREMA_D_6 = Categories("crema_d_6", ("anger", "disgust", "fear", "happiness", "neutral", "sadness"))
RAVDESS_8 = Categories(
    "ravdess_8",
    ("neutral", "calm", "happiness", "sadness", "anger", "fear", "disgust", "surprise"),
)
NEMO_6 = Categories("nemo_6", ("anger", "fear", "happiness", "neutral", "sadness", "surprise"))
EMODB_7 = Categories(
    "emodb_7", ("anger", "boredom", "disgust", "fear", "happiness", "neutral", "sadness")
)
URDU_4 = Categories("urdu_4", ("anger", "happiness", "neutral", "sadness"))
IEMOCAP_4 = Categories("iemocap_4", ("anger", "happiness", "neutral", "sadness"))
IEMOCAP_10 = Categories(
    "iemocap_10",
    (
        *("anger", "happiness", "sadness", "neutral", "excitement"),
        *("frustration", "fear", "surprise", "disgust", "other"),
    ),
)
MSP_PODCAST_9 = Categories(
    "msp_podcast_9",
    (
        *("anger", "contempt", "disgust", "fear", "happiness"),
        *("neutral", "sadness", "surprise", "other"),
    ),
)
MSP_IMPROV_5 = Categories("msp_improv_5", ("anger", "happiness", "neutral", "sadness", "other"))
DUSHA_4 = Categories("dusha_4", ("anger", "sadness", "neutral", "happiness"))
HUME_9 = Categories(
    "hume_9",
    (
        "anger",
        "boredom",
        "calm",
        "concentration",
        "determination",
        "excitement",
        "interest",
        "sadness",
        "tiredness",
    ),
)

SCHEMES: dict[str, Categories] = {
    "ekman_8": EKMAN_8,
    "ekman_7": EKMAN_7,
    "crema_d_6": CREMA_D_6,
    "ravdess_8": RAVDESS_8,
    "nemo_6": NEMO_6,
    "emodb_7": EMODB_7,
    "urdu_4": URDU_4,
    "iemocap_4": IEMOCAP_4,
    "iemocap_10": IEMOCAP_10,
    "msp_podcast_9": MSP_PODCAST_9,
    "msp_improv_5": MSP_IMPROV_5,
    "dusha_4": DUSHA_4,
    "hume_9": HUME_9,
}
