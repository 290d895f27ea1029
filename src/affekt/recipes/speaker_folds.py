"""How well a frozen probe does on speakers of a corpus that it was not trained on.

Up to ten speakers: leave one out; more: five folds by speaker; or the split that is asked for.
The classes are the corpus' own; CREMA-D is labelled with the actors' intention. The probe hears
every utterance alone, as EmoBox's do (Ma et al. 2024, arXiv:2406.07162).
"""

from collections.abc import Iterable, Sequence

import pandas as pd

from affekt.corpus import Corpus
from affekt.protocols.folds import only_corpus, speakers_of
from affekt.protocols.probe import (
    INVERSE_L2,
    Heard,
    RunOptions,
    fit,
    frozen_encoder,
    hear,
    probabilities,
)
from affekt.protocols.results import Result, write
from affekt.report import evaluate
from affekt.splits import Split, guard
from affekt.train import together

READS = frozenset({"allow_shared_speakers", "epochs", "layers", "split", "upstream"})
REFERENCE = {"emovo": 0.5782, "ravdess": 0.7532}  # UAR, EmoBox's best frozen encoders, its folds


def main(options: RunOptions) -> list[Result]:
    """Run on the one corpus given and write report, predictions and picture."""
    corpus = only_corpus(options)
    with together().main_process_first():
        heard = hear(corpus, frozen_encoder(options), options, in_context=False)
    splits, name = speakers_of(heard.corpus, options)
    return [cross_validate(heard, splits, name, options)]


def cross_validate(
    heard: Heard, splits: Sequence[Split], split_name: str, options: RunOptions
) -> Result:
    """Train on each fold's training part, predict its test part, report all of them together."""
    corpus = heard.corpus
    parts, folds, warnings = [], [], set()
    tell = options.progress("folds", len(splits))
    for split in splits:
        warning = guard(
            split,
            corpus.utterances,
            fingerprints=heard.fingerprints,
            allow_shared_speakers=options.allow_shared_speakers,
        )
        warnings |= {warning} if warning else set()
        head = fit(
            [heard.select(split.train)], l2=1 / (INVERSE_L2 * len(split.train)), options=options
        )
        parts.append(probabilities(head, heard.select(split.test)))
        folds.append(pd.Series(split.name, index=parts[-1].index))
        tell(1)
    what = f"{corpus.name}, {len(corpus.scheme)} classes"
    return report_folds(
        corpus, pd.concat(parts), pd.concat(folds), warnings, what, split_name, options
    )


def report_folds(
    corpus: Corpus,
    predictions: pd.DataFrame,
    folds: pd.Series,
    warnings: Iterable[str],
    what: str,
    split_name: str,
    options: RunOptions,
) -> Result:
    """Report the answers of all folds together, EmoBox's best beside them."""
    notes = sorted(warnings)
    if corpus.name in REFERENCE:
        uar = REFERENCE[corpus.name]
        notes.append(f"for scale: EmoBox's best frozen encoder has UAR {uar:.4f} on its own folds")
    report = evaluate(
        corpus.labels.loc[predictions.index],
        predictions,
        speakers=corpus.utterances["speaker"],
        folds=folds,
        notes=notes,
        seed=options.seed,
    )
    return write(report, predictions, options.out, what, split_name, options)
