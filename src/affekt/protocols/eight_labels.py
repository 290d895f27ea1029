"""Which corpora the shipped recogniser learns from, and what of the eight labels they teach."""

from affekt.harmonise import Smoothing, harmonise, smooth_neutral
from affekt.protocols.probe import Heard
from affekt.scheme import EKMAN_8
from affekt.votes.shares import shares

TRAINED_ON = ("crema-d", "ravdess", "nemo", "tess", "emovo")
ZERO_SHOT = ("emodb", "urdu")  # tests, looked at once, after everything is chosen
DEVELOPMENT = ("banglaser", "hindi")  # languages to look at while choosing nothing by them
NEVER_TRAINED_ON = (*ZERO_SHOT, *DEVELOPMENT)
HELD_OUT = ("1088", "1089", "1090", "1091")  # CREMA-D's last actors: the demo's voices
TARGETS = ("intention", "crowd", "both")  # what a corpus with votes teaches


def actors(heard: Heard, *, held_out: bool = False) -> Heard:
    """Keep CREMA-D's held-out actors apart; other corpora are used whole."""
    if heard.corpus.name != "crema-d":
        return heard
    table = heard.corpus.utterances
    return heard.select(table.index[table["speaker"].isin(HELD_OUT) == held_out])


def teach(heard: Heard, target: str = "both", smoothing: Smoothing | None = None) -> Heard:
    """Map a corpus' labels to the eight.

    Args:
        heard: of its own scheme.
        target: what utterances with votes teach: what was meant, what the crowd heard, or the
            mean of both. Without votes: what was meant.
        smoothing: of weak utterances, where the table has their intensity (spec 3.3).
    """
    corpus = heard.corpus
    labels = harmonise(corpus.labels, corpus.name, EKMAN_8)
    if corpus.votes is not None and target != "intention":
        crowd = harmonise(shares(corpus.votes, corpus.scheme), corpus.name, EKMAN_8)
        crowd = crowd.loc[labels.index]
        labels = crowd if target == "crowd" else (labels + crowd) / 2
    if smoothing is not None and corpus.utterances["intensity"].notna().any():
        strength = corpus.utterances["intensity"].loc[labels.index]
        labels = smooth_neutral(labels, strength, mode=smoothing)
    return heard.relabel(labels, EKMAN_8)
