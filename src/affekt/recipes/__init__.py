"""Recipes: RECIPES maps a name to its module's main(options). One result a file.

A recipe's `READS` names the fields of `RunOptions` that it reads, beside those of `ALWAYS_READ`.

What several of them share is in `affekt.protocols`.
"""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from affekt.protocols.probe import RunOptions
from affekt.recipes import (
    affekt_base,
    ctc_table_1,
    dusha_crowd,
    dusha_table_3,
    frame_lengths,
    generalizable,
    generalizable_ablation,
    hume_prosody,
    iemocap_4,
    lssed_figure_2,
    lssed_table_4,
    lssed_table_5,
    lssed_table_6,
    meant_and_heard,
    networks_zero_shot,
    ravdess_speaker_folds,
    same_answer,
    sequences,
    speaker_folds,
    timelines,
    tuned_folds,
)


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
    "generalizable": generalizable.main,
    "generalizable_ablation": generalizable_ablation.main,
    "hume_prosody": hume_prosody.main,
    "iemocap_4": iemocap_4.main,
    "lssed_figure_2": lssed_figure_2.main,
    "lssed_table_4": lssed_table_4.main,
    "lssed_table_5": lssed_table_5.main,
    "lssed_table_6": lssed_table_6.main,
    "meant_and_heard": meant_and_heard.main,
    "networks_zero_shot": networks_zero_shot.main,
    "ravdess_speaker_folds": ravdess_speaker_folds.main,
    "same_answer": same_answer.main,
    "sequences": sequences.main,
    "speaker_folds": speaker_folds.main,
    "timelines": timelines.main,
    "tuned_folds": tuned_folds.main,
}
ALWAYS_READ = frozenset({"corpora", "out", "store", "command", "progress", "seed"})


def read_by(recipe: str) -> frozenset[str] | None:
    """Give the fields of `RunOptions` that a recipe reads; None where its module does not say."""
    stated: frozenset[str] | None
    stated = getattr(sys.modules[RECIPES[recipe].__module__], "READS", None)
    return None if stated is None else stated | ALWAYS_READ
