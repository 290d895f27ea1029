"""What was meant and what is heard are two targets: CREMA-D's actors, its crowd, and a model.

CREMA-D (Cao et al. 2014, doi:10.1109/TAFFC.2014.2336244) has what 91 actors meant and what about
nine raters heard in each voice. One probe (mean and standard deviation of the third layer of
Whisper base, one linear map) is taught four targets: the intention, the crowd's majority (tied
labels share), the label on which `THRESHOLD` of the votes agree, and the vote shares. Each model
answers for actors it never met and is compared with the intention, with the crowd, and with
people. Classes are not balanced: how often an emotion is heard is part of the answer. The penalty
is chosen in each fold on actors of its training part, by cross-entropy to the target taught.
"""

from collections.abc import Sequence
from importlib.util import find_spec

import pandas as pd

from affekt import plots
from affekt.exceptions import CorpusError
from affekt.export import write_onnx
from affekt.metrics import cross_entropy
from affekt.models.whisper import WhisperEncoder
from affekt.protocols.card import card_of
from affekt.protocols.cross_corpus import Heads, assemble
from affekt.protocols.folds import only_corpus
from affekt.protocols.people import beside_people, write_comparison
from affekt.protocols.probe import Heard, RunOptions, fit, frozen_encoder, hear, probabilities
from affekt.protocols.results import Result, write
from affekt.report import evaluate
from affekt.splits import Split, by_speaker, guard
from affekt.tables import one_hot
from affekt.train import together
from affekt.votes.majority import majority
from affekt.votes.shares import shares
from affekt.votes.threshold import threshold

READS = frozenset({"epochs", "layers", "upstream"})
N_FOLDS = 5
THRESHOLD = 0.9
L2_CHOICES = (0.01, 0.03, 0.1, 0.3)
SELECTION = "penalty by cross-entropy on held-out speakers of the training part"
GIVES = {  # target -> what its recogniser's card says that it gives
    "the intention": "meant: what an actor meant",
    "the shares": "heard: the shares of listeners who hear each emotion",
}


def main(options: RunOptions) -> list[Result]:
    """Teach each target, compare with people, write tables, reports and the picture."""
    corpus = only_corpus(options)
    if corpus.votes is None:
        raise CorpusError(f"{corpus.name} has no votes: meant_and_heard needs crema-d=ROOT")
    encoder = frozen_encoder(options)
    with together().main_process_first():
        heard = hear(corpus, encoder, options, in_context=True)
    table = heard.corpus.utterances
    votes = corpus.votes[corpus.votes["utterance"].isin(table.index)]
    splits = _folds(heard, options)
    targets = targets_of(heard, votes)
    crowd = targets["the shares"]
    answers = {"always the same": _constant(crowd, splits)}
    tell = options.progress("targets taught", len(targets) * len(splits))
    for name, target in targets.items():
        taught = heard.select(target.index).relabel(target, corpus.scheme)
        parts = []
        for split in splits:
            train = taught.select(taught.corpus.utterances.index.intersection(list(split.train)))
            head = fit([train], l2=_penalty(train, options), options=options, balanced=False)
            parts.append(probabilities(head, heard.select(split.test)))
            tell(1)
        answers[f"taught {name}"] = pd.concat(parts).loc[table.index]
    meant = heard.corpus.labels
    comparison = beside_people(meant, votes, answers, table["speaker"], seed=options.seed)
    write_comparison(comparison, options.out)
    for name, gives in GIVES.items():
        taught = heard.relabel(targets[name], corpus.scheme)
        _write_recognizer(encoder, taught, gives, comparison.T[f"taught {name}"], options)
    if find_spec("matplotlib"):
        picture = plots.meant_and_heard(meant, crowd, comparison)
        plots.save(picture, options.out / "meant_and_heard.png")
    results = []
    for name, answer in answers.items():
        report = evaluate(crowd, answer, speakers=table["speaker"], seed=options.seed)
        folder = options.out / name.replace(" ", "-").replace("%", "")
        what, how = f"{corpus.name}, what is heard, {name}", f"{len(splits)} folds by speaker"
        results.append(write(report, answer, folder, what, how, options))
    return results


def targets_of(heard: Heard, votes: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Labels to teach: of all utterances, or of those on which enough raters agree."""
    scheme = heard.corpus.scheme
    crowd = shares(votes, scheme).loc[heard.corpus.utterances.index]
    decided = threshold(crowd, THRESHOLD).dropna()
    return {
        "the intention": heard.corpus.labels,
        "the majority": majority(votes, scheme).loc[crowd.index],
        f"{THRESHOLD:.0%} agreement": one_hot(decided, scheme),
        "the shares": crowd,
    }


def _folds(heard: Heard, options: RunOptions) -> list[Split]:
    table = heard.corpus.utterances
    splits = by_speaker(table, min(N_FOLDS, table["speaker"].nunique()), seed=options.seed)
    for split in splits:
        guard(split, table, fingerprints=heard.fingerprints)
    return splits


def _penalty(train: Heard, options: RunOptions) -> float:
    """Choose the penalty that does best on some speakers of the training part."""
    inner, *_ = _folds(train, options)
    known, unknown = train.select(inner.train), train.select(inner.test)
    truth = unknown.corpus.labels.to_numpy()
    missed = {}
    for l2 in L2_CHOICES:
        head = fit([known], l2=l2, options=options, balanced=False)
        missed[l2] = cross_entropy(truth, probabilities(head, unknown).to_numpy())
    return min(missed, key=missed.__getitem__)


def _write_recognizer(
    encoder: WhisperEncoder, taught: Heard, gives: str, measured: pd.Series, options: RunOptions
) -> None:
    """Train on all speakers and write a recogniser whose card says what it answers."""
    l2 = _penalty(taught, options)
    heads = Heads(
        *(
            fit([taught], l2=l2, options=options, balanced=False, in_context=way)
            for way in (False, True)
        )
    )
    name = gives.partition(":")[0]
    card = card_of({taught.corpus.name: taught}, {"target": gives, "l2": l2}, 1.0, {}, options)
    card |= {"name": f"{taught.corpus.name}-{name}", "target": gives, "selection": SELECTION}
    card["prior"] = card["training_shares"]  # classes were not balanced
    card["metrics"] = {"held_out_speakers": measured.round(4).to_dict()}
    model = assemble(encoder, heads, len(taught.corpus.scheme), options)
    write_onnx(model, options.out / f"recognizer-{name}", card)


def _constant(crowd: pd.DataFrame, splits: Sequence[Split]) -> pd.DataFrame:
    """Answer the training part's mean shares, whatever is heard."""
    answer = crowd.copy()
    for split in splits:
        answer.loc[list(split.test)] = crowd.loc[list(split.train)].mean().to_numpy()
    return answer
