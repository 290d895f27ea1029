"""How well a tuned encoder does on speakers of a corpus that it was not trained on.

As `speaker_folds` and `ravdess_speaker_folds`, on the same folds, but that the encoder's blocks
learn, too, from the training part alone: RAVDESS on EmoBox's six folds of four actors; up to ten
speakers, one is left out at a time; more, five folds by speaker. The classes are the corpus' own.
`--folds 1,2` runs some of them, so that several shells share the work; what is there is taken.
"""

import hashlib
from dataclasses import replace
from pathlib import Path

import pandas as pd

from affekt.calibration import softmax
from affekt.protocols.folds import folds_of, only_corpus
from affekt.protocols.probe import RunOptions, frozen_encoder, hear
from affekt.protocols.results import Result
from affekt.protocols.spectrogram_folds import chosen_folds
from affekt.protocols.tuning import TRAINING, Floats, Plan, ask, kept_on_disk, tune, voices
from affekt.recipes.speaker_folds import report_folds
from affekt.splits import Split, guard

READS = frozenset({"upstream", "layers", "epochs", "folds", "split", "allow_shared_speakers"})
PLAN = Plan(together=0.0, batch_seconds=60.0, training=replace(TRAINING, epochs=12))


def main(options: RunOptions) -> list[Result]:
    """Run on the one corpus given and write report, predictions and picture."""
    corpus = only_corpus(options)
    encoder = frozen_encoder(options)
    heard = hear(corpus, encoder, options, in_context=False)
    table, prefix = heard.corpus.utterances, f"{corpus.name}/"
    splits, split_name = folds_of(heard.corpus, options)
    chosen = chosen_folds(splits, options)
    shared = options.allow_shared_speakers
    warnings = {
        guard(split, table, fingerprints=heard.fingerprints, allow_shared_speakers=shared)
        for split in chosen
    }
    known = voices([heard], options)
    plan = replace(PLAN, layers=options.layers)

    def fold(split: Split) -> pd.DataFrame:
        train, test = ([prefix + id_ for id_ in part] for part in (split.train, split.test))

        def compute(state: Path) -> dict[str, Floats]:
            part = known.select(train)
            tuned = tune(part, plan, encoder, options, state=state, what=f"fold {split.name}")
            return {"logits": ask(tuned.network, known.select(test))}

        how = repr((plan, options.seed, options.epochs, train, test))
        digest = hashlib.sha256(how.encode()).hexdigest()[:12]
        path = options.out / f"fold-{split.name}-{digest}.safetensors"
        scores = softmax(kept_on_disk(path, compute)["logits"])
        return pd.DataFrame(scores, list(split.test), list(corpus.scheme))

    predictions = pd.concat([fold(split) for split in chosen]).rename_axis("utterance")
    if len(chosen) < len(splits):
        split_name = f"{split_name}: {len(chosen)} of them"
    what = f"{corpus.name}, {len(corpus.scheme)} classes, tuned encoder"
    folds = pd.Series({id_: split.name for split in chosen for id_ in split.test})
    said = [warning for warning in warnings if warning]
    return [report_folds(corpus, predictions, folds, said, what, split_name, options)]
