"""The Dusha baseline, a narrow MobileNetV2 with self-attention, on corpora that have folds.

Table 3 of Kondratenko et al. 2022, arXiv:2212.12266 (spec 1.3 to 1.8): accuracy, UAR and macro-F1
of one network. `dusha` is the paper's training, but that the epoch is chosen on held-out speakers
of the training part, where the paper chose it on the test part (`--protocol paper` does so, too);
`ours` is for small corpora, `tuned` for what `--init FOLDER` brings (dusha_networks.py has all
three). Of the release's set-ups (spec 1.6.3) `crowd`, `podcast` and `podcast-tune` learn from one
domain of Dusha; its test part is reported whole and by domain. Dusha has its own split (`--corpus
dusha-manifests=FOLDER`; features will do), on RAVDESS the folds are those of EmoBox, on IEMOCAP its
sessions, elsewhere speakers.
"""

from dataclasses import replace

from affekt.corpus import Corpus
from affekt.exceptions import CheckpointError, CorpusError
from affekt.protocols.dusha_networks import METHODS
from affekt.protocols.folds import folds_of, only_corpus
from affekt.protocols.probe import RunOptions
from affekt.protocols.results import Result
from affekt.protocols.spectrogram_folds import (
    FOLDS_READ,
    PLAIN,
    ask_folds,
    check_folds,
    chosen_folds,
    chosen_methods,
    report_folds,
)
from affekt.protocols.spectrograms import clips_of, usable

READS = FOLDS_READ | {"method", "split"}
REFERENCE = {  # trained on both parts: accuracy, UAR, macro-F1; the paper calls the first UA
    "dusha, crowd": (0.83, 0.76, 0.77),
    "dusha, podcast": (0.89, 0.53, 0.54),
    "iemocap, 4 classes": (0.59, 0.59, 0.59),
}
LEARN_FROM = {"crowd": "crowd", "podcast": "podcast", "podcast-tune": "podcast"}  # method -> domain
TUNE = {  # method -> what it starts from, and what does without
    "podcast-tune": "a checkpoint of `--method crowd`; what learns from podcasts alone is `--method"
    " podcast`",
    "tuned": "a checkpoint, such as `affekt run networks_zero_shot` leaves; what starts from"
    " nothing is `--method ours`",
}


def main(options: RunOptions) -> list[Result]:
    """Run the methods asked for on every fold."""
    corpus = only_corpus(options)
    default = ("dusha", "ours")
    names = chosen_methods(METHODS, options, default)
    return [result for name in names for result in run(name, corpus, options)]


def run(name: str, corpus: Corpus, options: RunOptions) -> list[Result]:
    """Run a method: a report of all, and of Dusha one of each domain's test part.

    Raises:
        CheckpointError: `podcast-tune` or `tuned` has nothing to tune.
        CorpusError: the corpus has nothing of the domain that the method learns from.
    """
    method = METHODS[name]
    if name in TUNE and options.init is None:
        raise CheckpointError(f"{name} needs --init FOLDER, {TUNE[name]}")
    if name in LEARN_FROM and LEARN_FROM[name] not in set(corpus.utterances.get("domain", ())):
        raise CorpusError(
            f"--method {name} learns from Dusha's {LEARN_FROM[name]} part, and no row of"
            f" {corpus.name} has it under `domain`: give --corpus dusha-manifests=FOLDER, or"
            " --method dusha or ours"
        )
    corpus = usable(corpus)
    splits, split_name = folds_of(corpus, options)
    domains = corpus.utterances.get("domain")
    if name in LEARN_FROM and domains is not None:
        known = domains == LEARN_FROM[name]
        splits = [replace(s, train=tuple(u for u in s.train if known[u])) for s in splits]
    check_folds(corpus, chosen_folds(splits, options), name, method, options)
    clips = clips_of(corpus, method, options)
    found = ask_folds(clips, splits, split_name, name, method, options, notes=for_scale(corpus))
    results = [report_folds(clips, found, PLAIN, name, options)]
    if domains is not None and domains.nunique() > 1:
        for domain, ids in domains.loc[found.answers[PLAIN].index].groupby(domains).groups.items():
            part = replace(found, answers={PLAIN: found.answers[PLAIN].loc[ids]})
            results.append(report_folds(clips, part, PLAIN, f"{name}-{domain}", options))
    return results


def for_scale(corpus: Corpus) -> list[str]:
    """What the paper prints."""
    return [
        f"for scale: the paper has accuracy {accuracy:.2f}, UAR {recall:.2f}, macro-F1 {f1:.2f} on"
        f" {what}"
        for what, (accuracy, recall, f1) in REFERENCE.items()
        if what.startswith(corpus.name)
    ]
