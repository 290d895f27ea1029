"""How well a frozen probe does on speakers of a corpus that it was not trained on.

Up to ten speakers: leave one out; more: five folds by speaker. The classes are the corpus' own.
Reference values are those of EmoBox (Ma et al. 2024, arXiv:2406.07162) for its best frozen
encoder: EMOVO .5782. CREMA-D here is labelled with the actors' intention.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from affekt import plots
from affekt.recipes.probe import (
    INVERSE_L2,
    Heard,
    RunOptions,
    as_table,
    fit,
    frozen_encoder,
    hear,
    logits,
)
from affekt.report import Report, evaluate
from affekt.splits import Split, by_speaker, guard, leave_one_speaker_out

REFERENCE = {"emovo": 0.5782}  # UAR, EmoBox's best frozen encoder
MOST_LEFT_OUT = 10  # speakers up to which each is left out on its own
N_FOLDS = 5


def main(options: RunOptions) -> Report:
    """Run on the one corpus given and write report, predictions and picture."""
    (corpus,) = options.corpora.values()
    heard = hear(corpus, frozen_encoder(options.upstream), options)
    table = heard.corpus.utterances
    if table["speaker"].nunique() <= MOST_LEFT_OUT:
        splits = leave_one_speaker_out(table)
        name = "leave one speaker out"
    else:
        splits = by_speaker(table, N_FOLDS, seed=options.seed)
        name = f"{N_FOLDS} folds by speaker, seed {options.seed}"
    return cross_validate(heard, splits, name, options)


def cross_validate(
    heard: Heard, splits: Sequence[Split], split_name: str, options: RunOptions
) -> Report:
    """Train on each fold's training part, predict its test part, report all of them together."""
    corpus = heard.corpus
    target = corpus.labels.to_numpy(np.float32)
    parts, folds, notes = [], [], set()
    tell = options.progress("folds", len(splits))
    for split in splits:
        warning = guard(
            split,
            corpus.utterances,
            fingerprints=heard.fingerprints,
            allow_shared_speakers=options.allow_shared_speakers,
        )
        notes |= {warning} if warning else set()
        rows = corpus.utterances.index.get_indexer(pd.Index(split.train))
        test = corpus.utterances.index.get_indexer(pd.Index(split.test))
        head = fit(
            np.concatenate([heard.alone[rows], heard.in_context[rows]]),
            np.concatenate([target[rows], target[rows]]),
            l2=1 / (INVERSE_L2 * len(rows)),
            seed=options.seed,
            epochs=options.epochs,
        )
        parts.append(as_table(logits(head, heard.alone[test]), pd.Index(split.test), corpus.scheme))
        folds.append(pd.Series(split.name, index=pd.Index(split.test)))
        tell(1)
    predictions = pd.concat(parts)
    report = evaluate(
        corpus.labels.loc[predictions.index],
        predictions,
        speakers=corpus.utterances["speaker"],
        folds=pd.concat(folds),
        notes=tuple(sorted(notes)),
        seed=options.seed,
    )
    report.write(options.out, predictions=predictions)
    plots.save(plots.confusion(report), options.out / "confusion.png")
    row = report.results_row(f"{corpus.name}, {len(corpus.scheme)} classes", split_name, options.command)
    (options.out / "results_row.md").write_text(row + "\n", "utf-8")
    return report
