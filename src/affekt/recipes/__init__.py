"""Recipes: RECIPES maps a name to its module's main(options). One result a file.

`probe.py`, `cross_corpus.py`, `results.py` and `card.py` are what several of them share.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from affekt.recipes import (
    affekt_base,
    ctc_table_1,
    dusha_crowd,
    dusha_table_3,
    frame_lengths,
    iemocap_4,
    lssed_figure_2,
    lssed_table_4,
    lssed_table_5,
    lssed_table_6,
    meant_and_heard,
    ravdess_speaker_folds,
    sequences,
    speaker_folds,
)
from affekt.recipes.probe import RunOptions


class Page(Protocol):
    """What says how it went."""

    def to_markdown(self) -> str:
        """The page."""
        ...


class Written(Protocol):
    """A page and the folder it was written to."""

    @property
    def report(self) -> Page:
        """The page."""
        ...

    @property
    def folder(self) -> Path:
        """Where it lies."""
        ...


RECIPES: dict[str, Callable[[RunOptions], Sequence[Written]]] = {
    "affekt_base": affekt_base.main,
    "ctc_table_1": ctc_table_1.main,
    "dusha_crowd": dusha_crowd.main,
    "dusha_table_3": dusha_table_3.main,
    "frame_lengths": frame_lengths.main,
    "iemocap_4": iemocap_4.main,
    "lssed_figure_2": lssed_figure_2.main,
    "lssed_table_4": lssed_table_4.main,
    "lssed_table_5": lssed_table_5.main,
    "lssed_table_6": lssed_table_6.main,
    "meant_and_heard": meant_and_heard.main,
    "ravdess_speaker_folds": ravdess_speaker_folds.main,
    "sequences": sequences.main,
    "speaker_folds": speaker_folds.main,
}
