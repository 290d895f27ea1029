"""Sequences as batches: who is inside which frame, what augmentation hears, resumed bit for bit."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

import tiny_whisper
from affekt import augment
from affekt.corpora import toy
from affekt.exceptions import CorpusError
from affekt.features.logmel import log_mel
from affekt.models import WhisperTuned, WhisperTunedConfig
from affekt.models.whisper_tuned import FromStates
from affekt.objectives import Multitask
from affekt.sampler import Piece, Sampling, decoded, pieces, sequences
from affekt.sequence_batches import (
    Lessons,
    SequenceBatches,
    StateBatches,
    _grouped,
    domains_of,
    each_alone,
)
from affekt.train import TrainOptions, train

one_thread = pytest.fixture(scope="module", autouse=True)(tiny_whisper.one_thread)

SHORT = Sampling(seconds=3.0, domain=("speaker",))
N_LABELS = 4


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    root = tmp_path_factory.mktemp("toy")
    toy.make(root)
    return toy.load(root, durations=True)


@pytest.fixture(scope="module")
def pool(corpus):
    return pieces(corpus, SHORT)


@pytest.fixture(scope="module")
def kept(corpus, pool):
    """Every piece's samples, decoded once."""
    return {piece: decoded(corpus, piece) for piece in pool}


@pytest.fixture(scope="module")
def batches(corpus, pool, kept):
    lessons = Lessons(N_LABELS, domains_of(pool))
    return SequenceBatches(
        corpus, lambda epoch: sequences(pool, SHORT, seed=1, epoch=epoch), lessons, seconds=12.0,
        seed=5, load=kept.__getitem__,
    )  # fmt: skip


def heard(batches, epoch):
    return list(batches.epoch(epoch))


def same(a, b):
    pairs = [(a.x, b.x), (a.mask, b.mask), (a.target, b.target), (a.rows, b.rows)]
    pairs += zip(a.segments.tensors(), b.segments.tensors(), strict=True)
    return all(torch.equal(x, y) for x, y in pairs)


def test_an_epoch_hears_every_utterance_once_with_its_own_labels(batches, corpus):
    rows = []
    for batch in heard(batches, 3):
        for row in range(len(batch.x)):
            for place, number in enumerate(batch.rows[row].tolist()):
                own = batch.segments.inside[row, place]
                if number < 0:
                    assert not own.any()
                    assert batch.segments.weight[row, place] == 0
                    assert not batch.target[row, place].any()
                    assert batch.segments.domain[row, place] == -1
                    continue
                rows.append(number)
                utterance = corpus.utterances.index[number]
                seconds = float(corpus.utterances["duration"].iloc[number])
                assert abs(int(own.sum()) - seconds * 50) <= 1
                expected = corpus.labels.loc[utterance].to_numpy(np.float32)
                np.testing.assert_array_equal(batch.target[row, place], expected)
                speaker = corpus.utterances["speaker"].iloc[number]
                domain = int(batch.segments.domain[row, place])
                assert batches.lessons.domains[domain] == speaker
    assert sorted(rows) == list(range(len(corpus)))


def test_segments_meet_and_fill_the_valid_frames(batches):
    for batch in heard(batches, 0):
        members = batch.segments.inside.sum(1)
        assert members.max() == 1
        uncovered = (batch.mask & (members == 0)).sum(1)
        assert uncovered.max() <= 1  # the last frame, where its middle is silence
        assert not members[~batch.mask].any()


def test_a_row_is_the_log_mel_of_its_utterances_behind_each_other(batches, pool, kept, corpus):
    pieces_of = {corpus.utterances.index.get_loc(p.utterance): p for p in pool}
    batch = heard(batches, 2)[0]
    for row, mask in enumerate(batch.mask):
        numbers = [n for n in batch.rows[row].tolist() if n >= 0]
        waveform = np.concatenate([kept[pieces_of[number]] for number in numbers])
        expected = log_mel(np.pad(waveform, (0, -waveform.size % 320)))
        assert 2 * int(mask.sum()) == expected.shape[1]
        np.testing.assert_array_equal(batch.x[row, :, : expected.shape[1]], expected)


def test_padding_goes_to_the_longest_of_the_batch_only(batches):
    for batch in heard(batches, 0):
        assert bool(batch.mask.all(1).any())
        assert batch.mask.shape[1] <= 3 * 50


def test_every_epoch_has_as_many_batches_and_none_is_empty(batches):
    for epoch in range(4):
        found = heard(batches, epoch)
        assert len(found) == len(batches)
        seconds = [float(batch.mask.sum()) / 50 for batch in found]
        assert all(6.0 < s < 24.0 for s in seconds)


def test_an_epoch_is_the_same_again_and_another_is_another(batches):
    first, again, other = heard(batches, 0), heard(batches, 0), heard(batches, 1)
    assert all(same(a, b) for a, b in zip(first, again, strict=True))
    assert not any(a.x.shape == b.x.shape and same(a, b) for a, b in zip(first, other, strict=True))


def test_processes_that_prepare_batches_change_nothing(batches):
    changing = replace(batches, change=augment.augment, change_mel=augment.spec_augment)
    ahead = replace(changing, n_workers=2)
    for a, b in zip(heard(changing, 0), heard(ahead, 0), strict=True):
        assert same(a, b)


def test_torchs_random_numbers_are_not_touched(batches):
    before = torch.get_rng_state()
    heard(batches, 0)
    assert torch.equal(torch.get_rng_state(), before)


# augmentation


def test_each_segment_is_changed_by_itself_and_anew_in_each_epoch(batches):
    told = []

    def change(waveform, rng):
        told.append((waveform.size, float(rng.random())))
        return waveform

    changing = replace(batches, change=change)
    found = []
    for epoch in (0, 0, 1):
        told.clear()
        heard(changing, epoch)
        found.append(list(told))
    assert found[0] == found[1]
    assert len(found[0]) == len(found[2]) == 72
    draws = {draw for which in (found[0], found[2]) for _, draw in which}
    assert len(draws) == 2 * 72


def test_an_augmented_sequence_keeps_its_segments(batches):
    loud = partial(augment.augment, chances=dict.fromkeys(augment.BEYOND, 1.0))
    changing = replace(batches, change=loud, change_mel=augment.spec_augment)
    for a, b in zip(heard(batches, 0), heard(changing, 0), strict=True):
        assert torch.equal(a.segments.inside, b.segments.inside)
        assert torch.equal(a.rows, b.rows)
        assert not torch.equal(a.x, b.x)


def test_a_change_of_length_is_refused_by_name(batches):
    changing = replace(batches, change=lambda waveform, rng: waveform[:-1])
    with pytest.raises(ValueError, match=r"of 's\d\d_\w+': what alters the length"):
        heard(changing, 0)


# lessons


def test_weights_ratings_and_pauses_go_with_their_utterances(batches, corpus):
    ids = list(corpus.utterances.index)
    weights = {ids[0]: 2.5, ids[1]: 0.0}
    ratings = {ids[2]: [0.25, np.nan]}
    lessons = Lessons(N_LABELS, weights=weights, ratings=ratings, pauses=False)
    seen = {}
    for batch in heard(replace(batches, lessons=lessons), 0):
        segments = batch.segments
        torch.testing.assert_close(batch.weight, segments.weight.sum(1))
        assert (segments.domain == -1).all()
        assert not (segments.spoken & ~batch.mask).any()
        for place in (batch.rows >= 0).nonzero():
            row, number = tuple(place.tolist()), int(batch.rows[tuple(place)])
            seen[number] = (float(segments.weight[row]), segments.ratings[row].tolist())
            if number not in (0, 1, 2):
                assert seen[number][0] == 1.0
                assert np.isnan(seen[number][1]).all()
    assert (seen[0][0], seen[1][0]) == (2.5, 0.0)
    assert seen[2][1][0] == 0.25
    assert np.isnan(seen[2][1][1])


def test_what_nobody_labelled_has_a_target_of_zeros(batches, pool):
    bare = replace(pool[0], shares=None)
    drawn = each_alone([bare, pool[1]])
    (batch,) = heard(replace(batches, draw=lambda epoch: drawn, load=None), 0)
    row = batch.rows[:, 0].tolist().index(0)
    assert not batch.target[row].any()
    assert batch.segments.weight[row, 0] == 1.0
    assert batch.segments.domain[row, 0] >= 0


def test_clips_alone_are_sequences_of_one(batches, pool, corpus):
    found = heard(replace(batches, draw=lambda epoch: each_alone(pool), seconds=6.0), 0)
    assert sum(len(batch.x) for batch in found) == len(corpus)
    for batch in found:
        assert batch.segments.inside.shape[1] == 1
        assert batch.weight.tolist() == [1.0] * len(batch.x)


def test_one_domain_is_refused(pool):
    with pytest.raises(CorpusError, match=r"needs two domains or more, there is d1: .*n_domains=0"):
        domains_of([replace(piece, domain="d1") for piece in pool])
    with pytest.raises(CorpusError, match="there is none"):
        domains_of([replace(piece, domain="") for piece in pool])
    assert domains_of(pool) == tuple(sorted({piece.domain for piece in pool}))


def test_batches_shorter_than_a_sequence_and_empty_draws_are_refused(batches):
    with pytest.raises(ValueError, match=r"batches of 1 s: a sequence has"):
        len(replace(batches, seconds=1.0))
    with pytest.raises(CorpusError, match="no sequence was drawn"):
        len(replace(batches, draw=lambda epoch: []))


@pytest.mark.parametrize("seed", range(5))
def test_batches_are_about_equally_long_of_like_lengths_and_none_is_empty(seed):
    rng = np.random.default_rng(seed)
    lengths = rng.uniform(1, 10, 400)
    groups = _grouped(lengths, 40, rng)
    assert sorted(np.concatenate(groups).tolist()) == list(range(400))
    sums = np.array([lengths[group].sum() for group in groups])
    assert np.abs(sums - sums.mean()).max() <= 10
    spreads = [lengths[group].max() / lengths[group].min() for group in groups]
    assert np.median(spreads) < 1.4
    crowded = _grouped([30.0, 1.0, 1.0], 3, rng)
    assert sorted(map(len, crowded)) == [1, 1, 1]


# training


CONFIG = WhisperTunedConfig(
    n_outputs=N_LABELS, layers=(2, 3), n_tuned=1, n_domains=6, per_frame=True, width=32, n_heads=2
)
TASKS = Multitask(frame_share=0.3)


def network(batches, config=CONFIG):
    """A tiny random Whisper, its heads standardised on the first batches."""
    torch.manual_seed(0)
    model = WhisperTuned(config)
    model.start_from(tiny_whisper.encoder())
    found = []
    with torch.inference_mode():
        for batch in batches.epoch(0):
            pooled = model.statistics(batch.x, batch.mask, batch.segments.inside)
            found.append(pooled[batch.rows >= 0])
    model.standardise(torch.cat(found).clone())
    return model


def right(model, batches):
    """Share of segments, and of frames, whose label is found."""
    hits, frames = [], []
    model.eval()
    with torch.inference_mode():
        for batch in batches.epoch(0):
            answers = model(batch.x, batch.mask, batch.segments.inside)
            there = batch.rows >= 0
            hits.append((answers.labels.argmax(-1) == batch.target.argmax(-1))[there])
            member = batch.segments.inside.float()
            truth = member.transpose(1, 2) @ batch.target
            inside = member.sum(1) > 0
            frames.append((answers.frames.argmax(-1) == truth.argmax(-1))[inside])
    return float(torch.cat(hits).float().mean()), float(torch.cat(frames).float().mean())


def test_toy_voices_are_told_apart_in_sequences(batches, pool):
    """Four speakers teach, two are asked."""
    speakers = sorted({piece.domain for piece in pool})
    parts = [
        [piece for piece in pool if (piece.domain in speakers[:4]) == known]
        for known in (True, False)
    ]
    lessons = Lessons(N_LABELS, tuple(speakers))
    known, unseen = (
        replace(
            batches, lessons=lessons, seconds=6.0,
            draw=lambda epoch, part=part: sequences(part, SHORT, seed=1, epoch=epoch),
        )
        for part in parts
    )  # fmt: skip
    model = network(known)
    how = TrainOptions(
        epochs=12, learning_rate=2e-2, rates=(("encoder.", 0.1),), clip=5.0,
    )  # fmt: skip
    result = train(model, known, how, TASKS)
    assert result.losses[-1] < 0.6 * result.losses[0]
    of_segments, of_frames = right(model, unseen)
    assert of_segments > 0.7
    assert of_frames > 0.5


def test_a_training_on_sequences_resumes_bit_for_bit(batches, tmp_path):
    changing = replace(batches, change=augment.augment, change_mel=augment.spec_augment)
    how = TrainOptions(epochs=2, learning_rate=1e-2, save_every=2, growing=True)
    models = [network(batches, replace(CONFIG, lora_rank=2)) for _ in range(3)]
    train(models[0], changing, how, TASKS)
    state = tmp_path / "state.safetensors"

    def stop(step, *_):
        if step == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(models[1], changing, how, TASKS, state=state, on_step=stop)
    assert train(models[2], changing, how, TASKS, state=state).resumed_from == 4
    for name, value in models[0].state_dict().items():
        assert torch.equal(value, models[2].state_dict()[name]), name


def test_the_blocks_below_are_as_they_were(batches):
    model = network(batches)
    train(model, batches, TrainOptions(epochs=1, weight_decay=0.1), TASKS)
    before = tiny_whisper.encoder().state_dict()
    changed = {n for n, v in model.encoder.state_dict().items() if not torch.equal(v, before[n])}
    assert changed
    assert all(name.startswith("layers.2.") for name in changed)


def test_kept_states_train_the_same_network_as_the_sound_itself(batches, pool, corpus):
    """One batch an epoch, so that order makes no difference."""
    drawn = sequences(pool[:12], SHORT, seed=0)
    from_sound = replace(batches, draw=lambda epoch: drawn, seconds=1e6)
    config = replace(CONFIG, layers=(3,))
    models = [network(from_sound, config) for _ in range(2)]
    (batch,) = heard(from_sound, 0)
    with torch.inference_mode():
        lower = models[1].lower(batch.x, batch.mask).numpy()
    lengths = batch.mask.sum(1).tolist()
    by_first = {int(n): lower[k, : lengths[k]] for k, n in enumerate(batch.rows[:, 0])}
    index = corpus.utterances.index
    states = [by_first[index.get_loc(sequence[0].piece.utterance)] for sequence in drawn]
    from_states = StateBatches(corpus, drawn, states, batches.lessons, 1e6, seed=5)
    how = TrainOptions(epochs=3, learning_rate=1e-2, optimizer="sgd")
    a = train(models[0], from_sound, how, TASKS)
    b = train(FromStates(models[1]), from_states, how, TASKS)
    np.testing.assert_allclose(a.losses, b.losses, rtol=1e-3)
    for name, value in models[0].state_dict().items():
        torch.testing.assert_close(models[1].state_dict()[name], value, rtol=1e-3, atol=1e-5)


def test_a_piece_of_another_scheme_is_refused(batches, pool):
    odd = [Piece(pool[0].utterance, 0.0, pool[0].duration, (1.0, 0.0), "x")]
    with pytest.raises(ValueError, match="harmonise to one scheme"):
        heard(replace(batches, draw=lambda epoch: each_alone(odd), load=None), 0)
