"""The Dusha and LSSED networks, taught by many corpora, asked about corpora they never met.

LSSED's table 4 (Fan et al. 2021, arXiv:2102.01754, spec 2.10) shows what a network of one corpus
loses on another; this is what remains to it where many corpora teach. Labels are brought to the
eight. emodb and urdu (the Whisper paper's zero-shot tests, spec 3.8) and the development languages
are only asked about, wherever they stand; all others given are learned from, whole. Labels that an
asked corpus does not have are banned. `--method dusha`, the default, is `ours` of dusha_table_3,
any other a row of lssed_table_5 in its training. The network is released as a checkpoint folder,
which `--init` of the other recipes takes: `affekt run dusha_table_3 --method tuned` starts there.
"""

from collections.abc import Mapping
from dataclasses import replace

import pandas as pd

from affekt.exceptions import CorpusError
from affekt.harmonise import harmonise
from affekt.protocols import eight_labels
from affekt.protocols.clips import Clips, joined
from affekt.protocols.cross_corpus import refuse_leaks
from affekt.protocols.dusha_networks import OURS
from affekt.protocols.lssed_networks import NETWORKS, method
from affekt.protocols.probe import RunOptions
from affekt.protocols.released import check_start, guard_start, name_of, release, started_from
from affekt.protocols.results import Result, write_zero_shot
from affekt.protocols.spectrogram_folds import chosen_methods, count_parameters, held_out, lasted
from affekt.protocols.spectrograms import Method, Taught, clips_of, teach, usable
from affekt.recipes.generalizable import REFERENCE
from affekt.scheme import EKMAN_8

READS = frozenset({"allow_shared_speakers", "epochs", "init", "method", "training"})
DUSHA = replace(OURS, training=replace(OURS.training, epochs=10))


def main(options: RunOptions) -> list[Result]:
    """Teach every network asked for, release it, and report on each corpus it never met."""
    names = chosen_methods(("dusha", *NETWORKS), options, ("dusha",))
    taught = [n for n in options.corpora if n not in eight_labels.NEVER_TRAINED_ON]
    if not taught or len(taught) == len(options.corpora):
        never = ", ".join(eight_labels.NEVER_TRAINED_ON)
        raise CorpusError(
            "networks_zero_shot needs a corpus to learn from, such as crema-d=ROOT, and one of"
            f" {never} to ask about; there are {', '.join(options.corpora)}"
        )
    ways = {n: DUSHA if n == "dusha" else method(n, options, denoised=False) for n in names}
    for name, way in ways.items():
        check_start(options.out / name, way, EKMAN_8.labels, options)
    asked = {n: usable(corpus) for n, corpus in options.corpora.items() if n not in taught}
    leaks = {n: guard_start(part, part.utterances.index, options) for n, part in asked.items()}
    return [result for n, way in ways.items() for result in run(n, way, leaks, options)]


def run(
    name: str, way: Method, leaks: Mapping[str, str | None], options: RunOptions
) -> list[Result]:
    """Run one network: a report of each corpus that it is asked about, not taught.

    Args:
        name: of the network.
        way: how it is taught.
        leaks: corpus that is asked about -> what the checkpoint of `--init` learned of it.
        options: all corpora.
    """
    heard = {n: clips_of(corpus, way, options) for n, corpus in options.corpora.items()}
    brought = {n: _in_eight_labels(clips) for n, clips in heard.items()}
    corpora = {n: clips for n, clips in brought.items() if n not in leaks}
    refuse_leaks(corpora, [brought[n] for n in leaks])
    labels, said, network = _teach(name, way, list(corpora.values()), options)
    return [
        write_zero_shot(
            heard[n].corpus,
            network.ask(heard[n].spectrograms),
            labels,
            f"zero-shot {name}",
            options,
            REFERENCE,
            notes=[leak, *said] if leak else said,
        )
        for n, leak in leaks.items()
    ]


def _teach(
    name: str, way: Method, corpora: list[Clips], options: RunOptions
) -> tuple[pd.DataFrame, list[str], Taught]:
    """Teach one network and release it; give labels, what there is to say, and the network."""
    known = joined(corpora)
    part, judged = held_out(known, options.seed) if way.choose else (known, None)
    state = options.out / f"{name}{started_from(options)}"
    taught = teach(way, part, judged, options, state=state, what=name)
    learned = [clips.corpus for clips in corpora]
    release(options.out / name, taught, learned, way, options, split="whole corpora")
    said = [
        f"{name}, {count_parameters(taught.model):,} parameters;"
        f" {lasted(taught.trained.seconds / 60)} of training; epochs: {taught.epochs}",
        f"learned from {', '.join(corpus.name for corpus in learned)}",
    ]
    if options.init is not None:
        said.append(f"training started from the checkpoint {name_of(options.init)}")
    return known.corpus.labels, said, taught


def _in_eight_labels(clips: Clips) -> Clips:
    corpus = clips.corpus
    labels = harmonise(corpus.labels, corpus.name, EKMAN_8)
    return replace(clips, corpus=corpus.relabel(labels, EKMAN_8))
