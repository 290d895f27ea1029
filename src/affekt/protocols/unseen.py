"""Who a recogniser was not trained on, by its own card."""

from dataclasses import replace
from typing import Any

from affekt.corpus import Corpus
from affekt.exceptions import CheckpointError, CorpusError


def unseen(corpus: Corpus, card: dict[str, Any]) -> tuple[Corpus, str]:
    """Keep the utterances with a label that a recogniser was not trained on, and say which.

    Raises:
        CheckpointError: its card does not say what it was trained on.
        CorpusError: fewer than two speakers are left.
    """
    try:
        taught = {str(one["name"]): set(one["speakers"]) for one in card["corpora"]}
    except (KeyError, TypeError):
        raise CheckpointError(
            "the recogniser's card.json does not list `corpora` with their `speakers`, so nobody"
            " can tell what it was trained on: add them"
        ) from None
    table, split = corpus.utterances.loc[corpus.labels.index], "zero-shot, whole corpus"
    table = table[table["excluded"] == ""]
    if corpus.name in taught:
        named = corpus.name + "/" + table["speaker"]
        table = table[named.notna() & ~named.isin(taught[corpus.name])]
        split = f"held-out speakers {', '.join(sorted(table['speaker'].unique()))}"
    # whom nobody knows is somebody else each time
    table = table.assign(speaker=table["speaker"].fillna(table.index.to_series()))
    if table["speaker"].nunique() < 2:
        raise CorpusError(
            f"{corpus.root}: {len(table)} utterances of {corpus.name} are left that"
            f" {card.get('name')} was not trained on: give one with two speakers it never met"
        )
    return replace(corpus.select(table.index), utterances=table), split
