"""The loop's protocols interrupted, killed and shared by processes; states that do not fit."""

import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import tiny_whisper
from affekt import augment
from affekt.batches import SpectrogramBatches, neighbours_in_length, stack
from affekt.exceptions import CheckpointError
from affekt.models import MobileNetAttention, MobileNetAttentionConfig
from affekt.objectives import Adversarial, SoftLabels
from affekt.train import TrainOptions, train
from toy_training import (
    CONSTANT,
    assert_same_weights,
    head,
    kill_at,
    run_two_processes,
    stop_at,
    toy,
    weighted_loss,
    wobbly,
)

one_thread = pytest.fixture(scope="module", autouse=True)(tiny_whisper.one_thread)


# interrupted


def shrink(model):
    """What an `after_epoch` may do: change the weights in place."""
    with torch.no_grad():
        for value in model.parameters():
            value.mul_(0.97)


def on_held_out(model):
    """Minus the loss on other rows."""
    (batch,) = replace(toy(20, seed=5), batch_size=20).epoch(0)
    return -float(weighted_loss(model, batch))


PROTOCOLS = {
    "sgd": TrainOptions(
        epochs=6, learning_rate=0.1, optimizer="sgd", schedule="stairs", fall_every=2,
        weight_decay=1e-3, save_every=1,
    ),
    "adam": TrainOptions(
        epochs=6, learning_rate=0.05, optimizer="adam", schedule="constant", weight_decay=1e-3,
        clip=0.5, accumulate=3, patience=3, save_every=3,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PROTOCOLS)
@pytest.mark.parametrize("stopped_at", [1, 4, 7, 8])
def test_a_judged_run_that_was_interrupted_equals_one_that_was_not(tmp_path, name, stopped_at):
    state, options = tmp_path / "state.safetensors", PROTOCOLS[name]
    judged = {"judge": on_held_out, "after_epoch": shrink}
    whole, resumed = wobbly(), wobbly()
    expected = train(whole, toy(), options, SoftLabels(), **judged)
    for later in (0, 3):  # once, and again further on
        on_step = stop_at(stopped_at + later, KeyboardInterrupt)
        with pytest.raises(KeyboardInterrupt):
            train(wobbly(), toy(), options, SoftLabels(), **judged, state=state, on_step=on_step)
    found = train(resumed, toy(), options, SoftLabels(), **judged, state=state)
    assert found.scores == expected.scores
    assert found.best_epoch == expected.best_epoch
    assert found.resumed_from == (stopped_at + 2) // options.save_every * options.save_every
    assert_same_weights(resumed, whole)


def clips():
    rng = np.random.default_rng(0)
    return [rng.uniform(-80, 0, (16, n)).astype(np.float32) for n in (24, 31, 40, 22, 35, 28) * 2]


def changed(spectrogram, rng):
    spectrogram = augment.shift_mels(augment.stretch_time(spectrogram, rng), rng)
    return augment.window(augment.dusha(spectrogram, rng), rng, n_frames=30)


def spectrograms():
    known = clips()
    return SpectrogramBatches(
        known,
        torch.eye(3)[torch.arange(12) % 3],
        torch.linspace(0.5, 2, 12),
        partial(neighbours_in_length, [clip.shape[1] for clip in known], 4, pool=2),
        seed=2,
        change=changed,
        fill=-80.0,
    )


def mobilenet():
    torch.manual_seed(1)
    return MobileNetAttention(MobileNetAttentionConfig(3))


def on_other_clips(model):
    x, mask = stack([clip[::-1] for clip in clips()])
    return float(model(x, mask)[torch.arange(12), torch.arange(12) % 3].mean())


SPECTROGRAM_RUN = {"judge": on_other_clips, "after_epoch": shrink}


@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_network_on_changed_spectrograms_resumes_bit_for_bit(tmp_path, name):
    """Normalisation's running statistics, and augmentation's random numbers, too."""
    options = replace(PROTOCOLS[name], epochs=3, learning_rate=1e-3, save_every=1)
    state = tmp_path / "state.safetensors"
    whole, resumed = mobilenet(), mobilenet()
    objective = Adversarial(epsilon=1.0, alpha=0.5, similarity=0.2, first_step=1)
    expected = train(whole, spectrograms(), options, objective, **SPECTROGRAM_RUN)
    on_step = stop_at(2, KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        train(
            mobilenet(), spectrograms(), options, objective, **SPECTROGRAM_RUN, state=state,
            on_step=on_step,
        )  # fmt: skip
    found = train(resumed, spectrograms(), options, objective, **SPECTROGRAM_RUN, state=state)
    assert found.resumed_from == 1
    assert found.scores == expected.scores
    assert_same_weights(resumed, whole)


KILLED = """
from pathlib import Path
import torch
torch.set_num_threads(1)
from test_train_protocols_resume import *

train(mobilenet(), spectrograms(), MOBILENET, SoftLabels(), **SPECTROGRAM_RUN,
      state=Path({state!r}), on_step=lambda step, *_: print(step, flush=True))
"""
MOBILENET = replace(PROTOCOLS["sgd"], learning_rate=1e-3, epochs=8)


def test_a_network_on_changed_spectrograms_survives_a_kill(tmp_path):
    state = tmp_path / "state.safetensors"
    kill_at(5, KILLED.format(state=str(state)))
    whole, resumed = mobilenet(), mobilenet()
    expected = train(whole, spectrograms(), MOBILENET, SoftLabels(), **SPECTROGRAM_RUN)
    found = train(resumed, spectrograms(), MOBILENET, SoftLabels(), **SPECTROGRAM_RUN, state=state)
    assert 4 <= found.resumed_from < 24
    assert found.scores == expected.scores
    assert_same_weights(resumed, whole)


def test_a_state_that_a_judge_chose_is_not_taken_where_none_does(tmp_path):
    judged, unjudged = tmp_path / "judged", tmp_path / "unjudged"
    train(wobbly(), toy(), CONSTANT, SoftLabels(), judge=on_held_out, state=judged)
    train(wobbly(), toy(), CONSTANT, SoftLabels(), state=unjudged)
    with pytest.raises(CheckpointError, match="judged: was made with choosing among epochs; del"):
        train(wobbly(), toy(), CONSTANT, SoftLabels(), state=judged)
    with pytest.raises(CheckpointError, match="unjudged: was made without choosing among epochs"):
        train(wobbly(), toy(), CONSTANT, SoftLabels(), judge=on_held_out, state=unjudged)


@pytest.mark.parametrize("other", [SoftLabels(), Adversarial(epsilon=0.04)])
def test_the_state_of_another_attack_is_refused(tmp_path, other):
    state = tmp_path / "state.safetensors"
    train(head(), toy(), CONSTANT, Adversarial(), state=state)
    with pytest.raises(CheckpointError, match="another model, data or options"):
        train(head(), toy(), CONSTANT, other, state=state)


# several processes


SHARED_WORK = """
import json
import sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from safetensors.torch import save_file
from test_train_protocols_resume import *

model = mobilenet()
found = train(model, spectrograms(), SHARED, Adversarial(1.0, 0.5, 0.2, 3), **SPECTROGRAM_RUN)
save_file(model.state_dict(), sys.argv[1] + ".safetensors")
Path(sys.argv[1] + ".json").write_text(json.dumps(found.scores))
"""
SHARED = replace(PROTOCOLS["sgd"], learning_rate=1e-3, epochs=4, patience=2)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_processes_judge_alike_though_each_normalises_over_its_own_rows(tmp_path):
    """Else one would stop while the other waits for it."""
    run_two_processes(SHARED_WORK, tmp_path)
    scores = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in (0, 1)]
    assert scores[0] == scores[1]
    assert len(set(scores[0])) > 1
    first, second = (load_file(tmp_path / f"{rank}.safetensors") for rank in (0, 1))
    for name, value in first.items():
        assert torch.equal(value, second[name]), name
