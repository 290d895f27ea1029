"""IEMOCAP's four classes, one session left out at a time: the Dusha network.

Table 3 of Kondratenko et al. 2022, arXiv:2212.12266, the row IEMOCAP (spec 1.8, 6.1): happiness
and excitement are one class, 5531 turns that most evaluators agree on, five folds of two actors
each. Methods are `dusha` and `ours` of `dusha_table_3`. What differs from the paper: it does not
say how it split, here both actors of a session are unheard of, and all folds count; with `--seeds
3` each is trained three times, and means and standard deviations are over folds and trainings.
Another corpus with sessions and the four classes will do as well.
"""

from dataclasses import replace

import pandas as pd

from affekt.atomic import replacing
from affekt.protocols.dusha_networks import METHODS
from affekt.protocols.folds import only_corpus
from affekt.protocols.four_classes import four_classes
from affekt.protocols.probe import RunOptions
from affekt.protocols.results import Result, opening
from affekt.protocols.spectrogram_folds import (
    FOLDS_READ,
    check_folds,
    chosen_folds,
    chosen_methods,
    cross_validate,
)
from affekt.protocols.spectrograms import clips_of, usable
from affekt.recipes.dusha_table_3 import REFERENCE as DUSHA
from affekt.report.page import MEASURES, TITLES
from affekt.scheme import IEMOCAP_4
from affekt.splits import by_session

READS = FOLDS_READ | {"method", "seeds"}
DEFAULT = ("dusha", "ours")
REFERENCE = DUSHA["iemocap, 4 classes"]  # accuracy, UAR, macro-F1
N_TURNS = 5531  # of IEMOCAP


def main(options: RunOptions) -> list[Result]:
    """Run the methods asked for, on every session, with every seed; write `iemocap_4.md`."""
    corpus = usable(four_classes(only_corpus(options), IEMOCAP_4))
    table = corpus.utterances
    splits = by_session(table)
    results: list[Result] = []
    rows = []
    for name in chosen_methods(DEFAULT, options, DEFAULT):
        check_folds(corpus, chosen_folds(splits, options), name, METHODS[name], options)
        clips = clips_of(corpus, METHODS[name], options)
        folds = []
        for seed in range(options.seed, options.seed + options.seeds):
            several = options.seeds > 1
            here = replace(options, seed=seed, out=options.out / f"seed-{seed}")
            result = cross_validate(
                clips,
                splits,
                f"{len(splits)} folds by session" + (f", seed {seed}" if several else ""),
                name,
                METHODS[name],
                here if several else options,
                notes=_notes(corpus.name, len(table)),
            )
            assert result.report.folds is not None
            folds.append(result.report.folds)
            results.append(result)
        rows.append(row_of(name, folds))
    head = ["method", "trainings", *(f"{TITLES[measure]}, mean ± sd" for measure in MEASURES)]
    paper = ["the paper, IEMOCAP", "", *(f"{value:.2f}" for value in REFERENCE)]
    lines = [head, ["---"] * len(head), *rows, paper]
    with replacing(options.out / "iemocap_4.md") as temporary:
        page = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
        temporary.write_text(f"{opening(results, options.out)}{page}\n", "utf-8")
    return results


def row_of(name: str, folds: list[pd.DataFrame]) -> list[str]:
    """Mean and standard deviation over all folds of all trainings, for each measure."""
    whole = pd.concat(folds)
    cells = [f"{whole[m].mean():.3f} ± {whole[m].std(ddof=1):.3f}" for m in MEASURES]
    return [name, str(len(whole)), *cells]


def _notes(name: str, n: int) -> list[str]:
    accuracy, recall, f1 = REFERENCE
    notes = [
        f"for scale: the paper has accuracy {accuracy:.2f}, UAR {recall:.2f}, macro-F1 {f1:.2f}"
        " on IEMOCAP"
    ]
    if name == "iemocap" and n != N_TURNS:
        notes.insert(0, f"{n} turns of the {N_TURNS} that IEMOCAP has of the four classes")
    return notes
