"""What the recipes that tune Whisper share: sounds, a plan, a network taught by it, and asked.

A `Plan` says how: each of its fields is a row of the ablation. The encoder's weights begin as
published, the head as a linear probe on what they say; both then learn together from waveforms
that are changed anew each time, so nothing above the stem can be computed once.
"""

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import overload

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from affekt import audio, augment
from affekt.atomic import replacing
from affekt.batches import collate, length_buckets
from affekt.corpus import concat
from affekt.features.logmel import log_mel
from affekt.models import WhisperTuned, WhisperTunedConfig
from affekt.models.whisper import WhisperConfig, WhisperEncoder
from affekt.objectives import Multitask
from affekt.protocols.probe import Heard, RunOptions, class_weights, fit
from affekt.sampler import FRAME, Piece, Sampling, pieces, sequences
from affekt.sequence_batches import Drawn, Lessons, SequenceBatches, domains_of, each_alone
from affekt.store import Features, stored
from affekt.train import PRECISIONS, TrainOptions, train

FULL_SCALE = 32_767  # of 16 bits, as which sound is kept
FRAMES_PER_BATCH = 8_000  # of 20 ms, 160 s, when a network is asked
L2 = 0.03  # of the probe that the head begins as
SHARE_FLOOR = 1e-6  # of a label that was never taught, before its logarithm is taken

Float32 = NDArray[np.float32]
Floats = NDArray[np.float64]


TRAINING = TrainOptions(
    epochs=8,
    learning_rate=5e-5,
    weight_decay=0.05,
    warmup=0.1,
    clip=1.0,
    precision="bfloat16",
    decay_matrices_only=True,
)


@dataclass(frozen=True)
class Plan:
    """How an encoder is tuned.

    Attributes:
        layers: hidden states that the heads read; several are mixed.
        n_tuned: how many of the top blocks learn.
        lora_rank: 0 = they learn whole.
        chances: changes of waveforms and how often each is made; none: {}.
        masks: whether log-mels are masked and made noisy.
        shift: mel bands that a voice is moved up or down by, at most.
        together: share of the utterances that is heard in sequences; the others are alone.
        seconds: of a sequence, at most.
        domain_weight: of gradient reversal; 0 = there is no domain head.
        balance: "weights", every class counts the same in the loss; "logits", as often as it is
            there, and log priors are taken off the answers; "none".
        smoothing: share of each target that is spread over all labels.
        clips: utterances an epoch, drawn anew; None = all.
        batch_seconds: of sound in a batch.
        head_rate: the heads learn so many times as fast as the blocks.
        training: how long and how fast.
    """

    layers: tuple[int, ...] = (3,)
    n_tuned: int = 3
    lora_rank: int = 0
    chances: Mapping[str, float] = field(default_factory=lambda: augment.BEYOND)
    masks: bool = True
    shift: int = 0
    together: float = 0.3
    seconds: float = 15.0
    domain_weight: float = 0.01
    balance: str = "weights"
    smoothing: float = 0.1
    clips: int | None = None
    batch_seconds: float = 100.0
    head_rate: float = 20.0
    training: TrainOptions = TRAINING

    def change_mel(self, log_mel: Float32, rng: np.random.Generator) -> Float32:
        """Move a voice, then mask it: of a sequence's log-mel, (n_mels, time)."""
        if self.shift:
            log_mel = augment.shift_mels(log_mel, rng, most=self.shift)
        return augment.spec_augment(log_mel, rng) if self.masks else log_mel

    def network(self, n_outputs: int, n_domains: int, encoder: WhisperConfig) -> WhisperTuned:
        """Build it for encoders of a shape, with weights at random."""
        return WhisperTuned(
            WhisperTunedConfig(
                n_outputs,
                self.layers,
                min(self.n_tuned, max(self.layers)),
                self.lora_rank,
                n_domains,
                n_mels=encoder.n_mels,
                width=encoder.width,
                n_heads=encoder.n_heads,
            )
        )


@dataclass(frozen=True, eq=False)
class Voices:
    """What is learned from: what the published encoder says of utterances, and their sound.

    `sounds`: utterance -> where its samples lie, int16 at 16 kHz.
    """

    heard: Heard
    sounds: Mapping[str, tuple[Features, int]]

    def select(self, ids: Iterable[str]) -> "Voices":
        """Keep some utterances, in the order given."""
        return Voices(self.heard.select(ids), self.sounds)

    def part(self, corpus: str, *, without: bool = False) -> "Voices":
        """Keep one corpus, or all others."""
        table = self.heard.corpus.utterances
        return self.select(table.index[(table["corpus"] == corpus) != without])

    def load(self, piece: Piece) -> Float32:
        """Give a piece's samples, (n_samples,)."""
        features, row = self.sounds[piece.utterance]
        first = round(piece.start * audio.SAMPLE_RATE)
        part = features[row][first : first + round(piece.duration * audio.SAMPLE_RATE)]
        return (part / np.float32(FULL_SCALE)).astype(np.float32, copy=False)


@dataclass(frozen=True, eq=False)
class Sounds(Sequence[Float32]):
    """The sound of pieces, loaded when it is asked for: what babble is made of."""

    pool: Sequence[Piece]
    load: Callable[[Piece], Float32]

    def __len__(self) -> int:
        return len(self.pool)

    @overload
    def __getitem__(self, row: int) -> Float32: ...
    @overload
    def __getitem__(self, row: slice) -> "Sounds": ...
    def __getitem__(self, row: int | slice) -> "Float32 | Sounds":
        found = self.pool[row]
        return self.load(found) if isinstance(found, Piece) else Sounds(found, self.load)


@dataclass(frozen=True, eq=False)
class Tuned:
    """A network, and what it began as: the published encoder with a linear probe."""

    network: WhisperTuned
    before: WhisperTuned

    def kept(self, share: float) -> WhisperTuned:
        """Draw the network back: share * before + (1 - share) * now, weight by weight.

        What was learned stays in part, what was known before returns in part, and answers hold
        better where the data shift (Wortsman et al. 2022, arXiv:2109.01903).
        """
        old = self.before.state_dict()
        mixed = copy.deepcopy(self.network)
        mixed.load_state_dict(
            {name: torch.lerp(now, old[name], share) for name, now in mixed.state_dict().items()}
        )
        return mixed


def samples(waveform: Float32) -> NDArray[np.int16]:
    """Keep sound as 16 bits: what lies beyond full scale is cut off.

    >>> samples(np.array([0.5, 2.0], np.float32)).tolist()
    [16384, 32767]
    """
    return np.rint(np.clip(waveform, -1, 1) * FULL_SCALE).astype(np.int16)


def voices(heard: Sequence[Heard], options: RunOptions) -> Voices:
    """Put corpora of one scheme together, their sounds decoded once and kept in the store.

    Utterances become `corpus/utterance`.
    """
    sounds: dict[str, tuple[Features, int]] = {}
    fingerprints: dict[str, str] = {}
    corpora = []
    for part in heard:
        name, table = part.corpus.name, part.corpus.utterances
        tell = options.progress(f"{name}, sound", len(table))
        found = stored(part.corpus, samples, store=options.store, on_utterances=tell)
        sounds |= {f"{name}/{id_}": (found.features, row) for row, id_ in enumerate(table.index)}
        fingerprints |= {f"{name}/{id_}": of_it for id_, of_it in part.fingerprints.items()}
        measured = part.corpus.utterances.assign(duration=found.seconds)
        corpora.append(replace(part.corpus, utterances=measured))
    alone = np.concatenate([part.alone for part in heard])
    whole = Heard(
        concat(corpora),
        alone,
        alone[:0],
        np.concatenate([part.seconds for part in heard]),
        fingerprints,
    )
    return Voices(whole, sounds)


def tune(
    known: Voices,
    plan: Plan,
    encoder: WhisperEncoder,
    options: RunOptions,
    *,
    state: Path | None = None,
    what: str = "tuning",
) -> Tuned:
    """Teach a network by a plan, from a published encoder on; nothing but `known` is looked at.

    Args:
        known: the training part.
        plan: how.
        encoder: rounded to 8 bits, at least as deep as the plan's deepest layer; stays as it is.
        options: seed, and epochs instead of the plan's.
        state: file that makes the training resumable.
        what: name of the progress bar.

    Returns:
        In evaluation mode. Of balance "logits" the log priors are off the head's bias already.
    """
    heard = known.heard
    pool = pieces(heard.corpus)
    domains = domains_of(pool) if plan.domain_weight else ()
    target = heard.corpus.labels.to_numpy(np.float32)
    torch.manual_seed(options.seed)
    model = plan.network(target.shape[1], len(domains), encoder.config)
    model.start_from(encoder)
    balanced = plan.balance == "weights"
    probe = fit([heard], l2=L2, options=replace(options, epochs=None), balanced=balanced)
    model.standardise(torch.from_numpy(heard.alone))
    model.head.load_state_dict(probe.state_dict())
    before = copy.deepcopy(model)
    weights = class_weights(target) if balanced else np.ones(len(target), np.float32)
    of_utterance = dict(zip(heard.corpus.labels.index, weights.tolist(), strict=True))
    batches = SequenceBatches(
        heard.corpus,
        partial(drawn, pool, plan, options.seed),
        Lessons(target.shape[1], domains, of_utterance),
        plan.batch_seconds,
        options.seed,
        load=known.load,
        change=partial(augment.augment, chances=plan.chances, others=Sounds(pool, known.load)),
        change_mel=plan.change_mel,
    )
    heads = ("head", "domain_head") if domains else ("head",)
    rates = tuple((name, plan.head_rate) for name in heads)
    how = replace(plan.training, seed=options.seed, rates=rates)
    if options.epochs is not None:
        how = replace(how, epochs=options.epochs)
    tell = options.progress(what, how.epochs * len(batches))
    objective = Multitask(domain_weight=plan.domain_weight, smoothing=plan.smoothing)
    names = list(heard.corpus.utterances.index)
    train(model, batches, how, objective, state=state, on_step=lambda *_: tell(1), names=names)
    if plan.balance == "logits":
        for network in (model, before):
            network.head.linear.bias.data -= torch.from_numpy(np.log(target.mean(0) + SHARE_FLOOR))
    return Tuned(model.requires_grad_(False).eval(), before.requires_grad_(False).eval())


def drawn(pool: Sequence[Piece], plan: Plan, seed: int, epoch: int) -> Drawn:
    """Draw what is heard in an epoch: some pieces alone, the others in sequences."""
    rng = np.random.default_rng((seed, epoch))
    chosen = [pool[row] for row in rng.permutation(len(pool))[: plan.clips]]
    n_together = round(plan.together * len(chosen))
    longest = Sampling(seconds=max(plan.seconds, *(piece.duration for piece in chosen)))
    together = sequences(chosen[:n_together], longest, seed=seed, epoch=epoch)
    return [*each_alone(chosen[n_together:]), *together]


def ask(model: WhisperTuned, asked: Voices, *, precision: str = "float32") -> Floats:
    """Give logits of utterances heard alone, (n, n_outputs), in the order of their table.

    Of what is longer than 30 s each part is asked; their mean counts.
    """
    pool = pieces(asked.heard.corpus, Sampling(domain=("corpus",)))
    index = asked.heard.corpus.utterances.index
    rows = index.get_indexer(pd.Index([piece.utterance for piece in pool]))
    sums, counts = np.zeros((len(index), model.config.n_outputs)), np.zeros(len(index))
    lengths = [-(-round(piece.duration * audio.SAMPLE_RATE) // FRAME) for piece in pool]
    dtype = PRECISIONS[precision]
    with torch.inference_mode(), torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
        for group in length_buckets(lengths, FRAMES_PER_BATCH):
            waveforms = [asked.load(pool[number]) for number in group]
            x, mask = collate([log_mel(np.pad(w, (0, -w.size % FRAME))) for w in waveforms])
            np.add.at(sums, rows[group], model(x, mask).double().numpy())
            np.add.at(counts, rows[group], 1)
    return sums / np.maximum(counts, 1)[:, None]


def kept_on_disk(path: Path, compute: Callable[[Path], dict[str, Floats]]) -> dict[str, Floats]:
    """Give arrays from a file; where there is none, or a damaged one, compute and write them.

    `compute` gets a file for the state of its training, which goes when all is done.
    """
    try:
        return dict(load_file(path))
    except (OSError, SafetensorError):
        pass
    state = path.with_name(f"training-{path.name}")
    found = compute(state)
    with replacing(path) as temporary:
        save_file(found, temporary)
    state.unlink(missing_ok=True)
    return found
