"""The folds that a corpus is tested on: its own, or speakers."""

from affekt.corpus import Corpus
from affekt.exceptions import CorpusError
from affekt.protocols.probe import RunOptions
from affekt.splits import Split, by_session, from_groups, named, official

MOST_LEFT_OUT = 10  # speakers up to which each is left out on its own
N_FOLDS = 5
RAVDESS = {  # fold -> the actors tested in it: EmoBox, Ma et al. 2024, arXiv:2406.07162
    "1": ("01", "11", "20", "21"),
    "2": ("04", "10", "12", "14"),
    "3": ("08", "09", "19", "23"),
    "4": ("03", "05", "07", "24"),
    "5": ("02", "15", "16", "18"),
    "6": ("06", "13", "17", "22"),
}


def only_corpus(options: RunOptions) -> Corpus:
    """Give the one corpus of a run.

    Raises:
        CorpusError: there are several.
    """
    if len(options.corpora) != 1:
        raise CorpusError(f"give one --corpus, not {', '.join(options.corpora)}")
    return next(iter(options.corpora.values()))


def folds_of(corpus: Corpus, options: RunOptions) -> tuple[list[Split], str]:
    """Give the split asked for, else the corpus' own, and its name.

    Sessions of IEMOCAP, EmoBox's folds of RAVDESS, Dusha's own split, speakers elsewhere.
    """
    table = corpus.utterances
    if options.split is not None:
        return speakers_of(corpus, options)
    if corpus.name == "dusha":
        return official(table), "official"
    if corpus.name == "ravdess":
        return from_groups(table, RAVDESS), "EmoBox, 6 folds of 4 actors"
    if corpus.name == "iemocap":
        return by_session(table), "5 folds by session"
    return speakers_of(corpus, options)


def speakers_of(corpus: Corpus, options: RunOptions) -> tuple[list[Split], str]:
    """Give the split asked for, else one speaker a fold or five folds of speakers; and its name."""
    table = corpus.utterances
    kind = options.split
    if kind is None:
        few = table["speaker"].nunique() <= MOST_LEFT_OUT
        kind = "leave-one-speaker-out" if few else "by-speaker"
    splits = named(
        kind, table, corpus.labels, n_folds=N_FOLDS, seed=options.seed, allow_missing=True
    )
    name = f"{N_FOLDS} folds by speaker, seed {options.seed}" if kind == "by-speaker" else kind
    return splits, name
