"""The four classes that LSSED's authors and most papers on IEMOCAP take (spec 2.1, 2.10, 6.1)."""

from affekt.corpora.lssed import LSSED_4
from affekt.corpus import Corpus
from affekt.exceptions import CorpusError
from affekt.harmonise import harmonise
from affekt.scheme import IEMOCAP_4, Categories

MERGED = {"iemocap": ("excitement",)}  # corpus -> labels that count as happiness there
CERTAIN = 1 - 1e-9  # label mass


def four_classes(corpus: Corpus, scheme: Categories = LSSED_4) -> Corpus:
    """Keep the utterances that are anger, happiness, neutral or sadness and nothing else.

    Of IEMOCAP happiness and excitement are one class, 5531 turns with a majority in all.

    Args:
        corpus: any that has the four.
        scheme: the order: LSSED_4 or IEMOCAP_4.

    Raises:
        CorpusError: a class that it does not have, or no such utterance.
    """
    missing = [label for label in scheme if label not in corpus.scheme]
    if missing:
        raise CorpusError(
            f"corpus {corpus.name!r} has no {missing[0]}: the four classes are {', '.join(scheme)}"
        )
    taken = [*scheme, *(name for name in MERGED.get(corpus.name, ()) if name in corpus.scheme)]
    labels = corpus.labels[taken]
    labels = labels[labels.sum(axis=1) > CERTAIN]
    if labels.empty:
        raise CorpusError(f"corpus {corpus.name!r} has no utterance of {', '.join(scheme)}")
    four = harmonise(labels, corpus.name, IEMOCAP_4)[list(scheme)]
    return corpus.select(four.index).relabel(four, scheme)
