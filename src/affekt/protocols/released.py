"""A network on spectrograms as a checkpoint folder, with the card that its user needs."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from affekt import __version__, checkpoint
from affekt.corpus import Corpus
from affekt.exceptions import CheckpointError, SplitError
from affekt.protocols.probe import RunOptions
from affekt.protocols.spectrograms import Method, Taught, start_from


def release(
    folder: Path,
    taught: Taught,
    corpora: Sequence[Corpus],
    method: Method,
    options: RunOptions,
    *,
    split: str,
) -> None:
    """Write card and weights: what `--init` takes.

    Args:
        folder: made if absent; an older checkpoint there is replaced.
        taught: the network, and what its input is standardised with.
        corpora: what it learned from, the training part alone.
        method: its feature and its training.
        options: seed, and the checkpoint that it started from.
        split: which part of the corpora that is.
    """
    how: dict[str, Any] = asdict(method.training)
    how |= {
        "epochs": taught.epochs,
        "learning_rate": float(f"{taught.rate:.6g}"),
        "seed": options.seed,
    }
    card = {
        "version": __version__,
        "licence": "see the licences of its corpora",
        "labels": list(corpora[0].scheme),
        "corpora": [_described(corpus) for corpus in corpora],
        "split": split,
        "seed": options.seed,
        "feature": method.feature,
        "hop": method.hop,
        "window": method.window,
        "mean": [float(value) for value in taught.mean[:, 0]],
        "scale": [float(value) for value in taught.scale[:, 0]],
        "options": {**how, "batch_size": method.batch_size},
        "started_from": None if options.init is None else name_of(options.init),
        "learned_before": [] if options.init is None else _learned(options.init),
    }
    checkpoint.save(folder, taught.model, card)


def started_from(options: RunOptions) -> str:
    """Part of a state's name: a training from one checkpoint never goes on as one from another."""
    if options.init is None:
        return ""
    return f"-from-{str(checkpoint.read_card(options.init).get('sha256', ''))[:8]}"


def name_of(folder: Path) -> str:
    """Give a checkpoint's name for reports: the folder and the one above it."""
    return "/".join(folder.resolve().parts[-2:])


def with_start(split: str, options: RunOptions) -> str:
    """Name a split for RESULTS.md: what training started from belongs to it."""
    return split if options.init is None else f"{split}, started from {name_of(options.init)}"


def check_start(folder: Path, method: Method, labels: Sequence[str], options: RunOptions) -> None:
    """Refuse a checkpoint of `--init` that training cannot start from, before it does.

    Args:
        folder: where this run writes what the method learns.
        method: its network and feature.
        labels: of the network's outputs, in order.
        options: the checkpoint, if there is one.

    Raises:
        CheckpointError: it lies in `folder`, or `start_from` refuses it.
    """
    if options.init is None:
        return
    if options.init.resolve().is_relative_to(folder.resolve()):
        raise CheckpointError(
            f"{options.init}: this run would overwrite it: give another --out, or copy the"
            " checkpoint elsewhere and start from the copy"
        )
    start_from(method.build(len(labels)), options.init, labels, method.feature)


def guard_start(corpus: Corpus, tested: Iterable[str], options: RunOptions) -> str | None:
    """Refuse to test a network on speakers that the checkpoint of `--init` learned from.

    Speakers are compared as corpus and speaker, also with what that checkpoint started from. Where
    the card names no speakers, or an utterance of a corpus that it learned from has none, nobody
    can say that the voices are new.

    Args:
        corpus: has all that is tested.
        tested: utterances of all test parts.
        options: the checkpoint, and whether shared speakers are allowed.

    Returns:
        None for new voices; else, where it is allowed, the first line of the report.

    Raises:
        CheckpointError: the card is damaged.
        SplitError: speakers are shared, or unknown, and it is not allowed.
    """
    allowed = options.allow_shared_speakers
    if options.init is None:
        return None
    learned = _learned(options.init)
    mine = [part for part in learned if part["name"] == corpus.name]
    speakers = corpus.utterances.loc[list(tested), "speaker"]
    known = {name for part in mine for name in part["speakers"]}
    shared = sorted(known.intersection(speakers.dropna().astype(str)))
    leak = ""
    if shared:
        leak = f"learned from {len(shared)} speaker(s) that are tested ({corpus.name}: "
        leak += f"{', '.join(shared[:5])}{', ...' if shared[5:] else ''})"
    elif not learned or any(not part["speakers"] for part in mine):
        leak = "does not say which speakers it learned from"
    elif mine and speakers.isna().any():
        leak = f"learned from {corpus.name}, and {speakers.isna().sum()} speaker(s) are unknown"
    if not leak:
        return None
    leak = f"the checkpoint {name_of(options.init)} {leak}"
    if allowed:
        return f"NOT SPEAKER-DISJOINT, the scores do not hold for new voices: {leak}."
    raise SplitError(
        f"{leak}: give --init a checkpoint that never heard them, take --folds that it was not"
        " taught, or pass --allow-shared-speakers and the report will say so"
    )


def _learned(folder: Path) -> list[dict[str, Any]]:
    """Corpora that a checkpoint learned from, each with `name` and `speakers`, as its card says.

    Raises:
        CheckpointError: they are no such list.
    """
    card = checkpoint.read_card(folder)
    found: list[dict[str, Any]] = []
    for key in ("corpora", "learned_before"):
        parts = card.get(key, [])
        whole = isinstance(parts, list) and all(
            isinstance(part, dict)
            and isinstance(part.get("name"), str)
            and isinstance(part.get("speakers"), list)
            and all(isinstance(speaker, str) for speaker in part["speakers"])
            for part in parts
        )
        if not whole:
            raise CheckpointError(
                f"{folder}: `{key}` of its card is no list of corpora with `name` and `speakers`"
            )
        found += parts
    return found


def _described(corpus: Corpus) -> dict[str, Any]:
    known = {key: corpus.card.get(key) for key in ("version", "licence", "citation")}
    speakers = sorted(str(name) for name in corpus.utterances["speaker"].dropna().unique())
    return {"name": corpus.name, **known, "utterances": len(corpus), "speakers": speakers}
