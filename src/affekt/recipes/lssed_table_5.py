"""Every network of LSSED's comparison, trained and tested on one corpus.

Table 5 of Fan et al. 2021, arXiv:2102.01754 (spec 2.3 to 2.8): accuracy ("WA") and UAR ("UA") of
FCN-Attention, MTS, ADV, VGG, ResNet and PyResNet on four classes. `--training paper` runs all its
rows, `--training ours`, the default, one small network of each kind; `--method` takes any of the
rows, and others of the same kinds, such as adv-resnet34 (all of them: lssed_networks.py). ADV is
one network and two reports: asked plainly ("real"), and after an attacker who knows it has shifted
every cell by .02 ("fake"). A row of accuracy .570 and UAR .250 is a network that always says
neutral: here a collapsed training is named, and done again at a tenth of the rate.

What differs from the paper: `--training ours` is for small corpora (lssed_networks.py has both).
The folds hold speakers apart (EmoBox's on RAVDESS, sessions of IEMOCAP); the paper's split, a fifth
of the utterances of each class, shares them: `--split stratified --allow-shared-speakers` makes it,
and the report says so. A mel band is standardised. LSSED's recordings are denoised and amplified as
the paper says, others are not. LSSED and IEMOCAP are brought to the four classes, other corpora
keep their own.
"""

from collections.abc import Sequence

from affekt.corpus import Corpus
from affekt.protocols.folds import folds_of, only_corpus
from affekt.protocols.four_classes import four_classes
from affekt.protocols.lssed_networks import NETWORKS, SMALL, method
from affekt.protocols.probe import RunOptions
from affekt.protocols.results import Result
from affekt.protocols.spectrogram_folds import (
    ATTACKED,
    FOLDS_READ,
    PLAIN,
    ask_folds,
    check_folds,
    chosen_folds,
    chosen_methods,
    report_folds,
)
from affekt.protocols.spectrograms import clips_of, usable
from affekt.splits import Split, stratified

READS = FOLDS_READ | {"method", "split", "training"}
REFERENCE = {  # accuracy, UAR; of ADV also on attacked recordings
    "fcn-attention": (0.570, 0.250),
    "mts-3-alexnet": (0.570, 0.250),
    "mts-5-alexnet": (0.570, 0.250),
    "mts-3-resnet152": (0.585, 0.296),
    "mts-5-resnet152": (0.582, 0.311),
    "adv-vgg16": (0.570, 0.250),
    "adv-vgg16-fake": (0.570, 0.250),
    "adv-resnet152": (0.548, 0.381),
    "adv-resnet152-fake": (0.453, 0.339),
    "vgg11": (0.595, 0.337),
    "vgg13": (0.604, 0.393),
    "vgg16": (0.585, 0.313),
    "vgg19": (0.585, 0.370),
    "resnet18": (0.594, 0.382),
    "resnet34": (0.598, 0.355),
    "resnet50": (0.587, 0.377),
    "resnet101": (0.592, 0.332),
    "resnet152": (0.601, 0.396),
    "pyresnet50": (0.615, 0.420),
    "pyresnet101": (0.616, 0.428),
    "pyresnet152": (0.624, 0.429),
}
ROWS = tuple(name for name in REFERENCE if name in NETWORKS)
TEST_SHARE = 0.2
FOUR = ("lssed", "iemocap")  # corpora that are brought to the four classes


def main(options: RunOptions) -> list[Result]:
    """Run the rows asked for, or all of the paper's, or the small ones, on every fold."""
    default = ROWS if options.training == "paper" else SMALL
    names = chosen_methods(NETWORKS, options, default)
    corpus = only_corpus(options)
    return [result for name in names for result in run(name, four_if_known(corpus), options)]


def four_if_known(corpus: Corpus) -> Corpus:
    """Bring LSSED and IEMOCAP to the four classes."""
    return four_classes(corpus) if corpus.name in FOUR else corpus


def run(name: str, corpus: Corpus, options: RunOptions) -> list[Result]:
    """Run one row on every fold: a report, and of ADV a second one on attacked recordings."""
    way = method(name, options, denoised=corpus.name == "lssed")
    corpus = usable(corpus)
    splits, split_name = splits_of(corpus, options)
    check_folds(corpus, chosen_folds(splits, options), name, way, options)
    clips = clips_of(corpus, way, options)
    notes = [f"training: {options.training}"]
    found = ask_folds(clips, splits, split_name, name, way, options, notes=notes)
    results = []
    for asked, folder in ((PLAIN, name), (ATTACKED, f"{name}-{ATTACKED}")):
        if asked in found.answers:
            scale = for_scale(folder)
            results.append(report_folds(clips, found, asked, folder, options, notes=scale))
    return results


def splits_of(corpus: Corpus, options: RunOptions) -> tuple[Sequence[Split], str]:
    """Give the folds: of speakers, or the paper's split of utterances."""
    if options.split == "stratified":
        table, hard = corpus.utterances, corpus.labels.idxmax(axis=1)
        splits = stratified(table, hard, test_share=TEST_SHARE, seed=options.seed)
        return splits, f"stratified 80/20, seed {options.seed}"
    return folds_of(corpus, options)


def for_scale(name: str) -> list[str]:
    """What the paper prints."""
    if name not in REFERENCE:
        return []
    accuracy, recall = REFERENCE[name]
    return [f"for scale: the paper has accuracy {accuracy:.3f} and UAR {recall:.3f} on LSSED"]
