"""Recipes: RECIPES maps a name to its module's main(options). One result a file.

`probe.py`, `cross_corpus.py`, `results.py` and `card.py` are what several of them share.
"""

from affekt.recipes import (
    affekt_base,
    ctc_table_1,
    meant_and_heard,
    ravdess_speaker_folds,
    speaker_folds,
)

RECIPES = {
    "affekt_base": affekt_base.main,
    "ctc_table_1": ctc_table_1.main,
    "meant_and_heard": meant_and_heard.main,
    "ravdess_speaker_folds": ravdess_speaker_folds.main,
    "speaker_folds": speaker_folds.main,
}
