"""RAVDESS, 8 classes, on EmoBox's six folds of four actors (Ma et al. 2024, arXiv:2406.07162).

The probe: mean and standard deviation of the third layer of Whisper base, one linear map. It
differs from EmoBox's in that the encoder is not padded to 30 s and its weights are rounded to 8
bits.
"""

from affekt.exceptions import CorpusError
from affekt.protocols.folds import RAVDESS, only_corpus
from affekt.protocols.probe import RunOptions, frozen_encoder, hear
from affekt.protocols.results import Result
from affekt.recipes.speaker_folds import cross_validate
from affekt.splits import from_groups
from affekt.train import together

READS = frozenset({"allow_shared_speakers", "epochs", "layers", "upstream"})


def main(options: RunOptions) -> list[Result]:
    """Run the six folds and write report, predictions and picture."""
    corpus = only_corpus(options)
    if corpus.name != "ravdess":
        raise CorpusError(f"ravdess_speaker_folds needs ravdess=ROOT, not {corpus.name}")
    with together().main_process_first():
        heard = hear(corpus, frozen_encoder(options), options, in_context=False)
    splits = from_groups(heard.corpus.utterances, RAVDESS)
    return [cross_validate(heard, splits, "EmoBox, 6 folds of 4 actors", options)]
