"""The tuned encoder: what learns and what stays, heads against their formulas, ranks merged."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import tiny_whisper
from affekt import checkpoint
from affekt.batches import collate
from affekt.models import MODELS, WhisperTuned, WhisperTunedConfig
from affekt.models.whisper import WhisperConfig
from affekt.models.whisper_tuned import Answers, FromStates, LowRank

one_thread = pytest.fixture(scope="module", autouse=True)(tiny_whisper.one_thread)

SMALL = WhisperTunedConfig(
    n_outputs=4, layers=(2, 3), n_tuned=2, n_domains=3, n_dimensions=2, per_frame=True,
    width=32, n_heads=2,
)  # fmt: skip
CARD = {"labels": ["anger", "fear", "happiness", "sadness"]}


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def network(config=SMALL, seed=0):
    """Random encoder, heads and ranks, none of them zero."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = WhisperTuned(config)
        model.start_from(tiny_whisper.encoder())
        for part in model.modules():
            if isinstance(part, nn.Linear):
                if hasattr(part, "mix") or part.out_features <= 4:
                    nn.init.normal_(part.weight, std=0.1)
                if isinstance(part, LowRank):
                    nn.init.normal_(part.up, std=0.1)
        for name, parameter in model.named_parameters():
            if name.endswith("mix"):
                nn.init.normal_(parameter)
    return model.eval()


LOW_RANK = replace(SMALL, lora_rank=3)
CLIPS = [random(80, n, seed=n).numpy() for n in (60, 41, 24)]


def batch():
    """Three clips of several lengths, two segments each, the last without its second."""
    x, mask = collate(CLIPS)
    frames = torch.arange(mask.shape[1])
    inside = torch.stack([frames < 9, (frames >= 9) & (frames < 21)])[None] & mask[:, None]
    return x, mask, inside


@pytest.fixture(params=[SMALL, LOW_RANK, replace(SMALL, layers=(3,))], ids=["whole", "low", "one"])
def model(request):
    return network(request.param)


# what learns


def trained(model):
    return {name for name, p in model.named_parameters() if p.requires_grad}


def test_the_stem_and_the_lower_blocks_get_no_gradient_and_the_rest_does(model):
    x, mask, inside = batch()
    answers = model(x, mask, inside)
    sum(part.square().sum() for part in answers).backward()
    with_gradient = {n for n, p in model.named_parameters() if p.grad is not None}
    assert with_gradient == trained(model)
    low = model.config.lora_rank > 0
    lowest = model.config.n_frozen
    for name, parameter in model.encoder.named_parameters():
        block = int(name.split(".")[1]) if name.startswith("layers.") else -1
        learns = block >= lowest and (not low or name.endswith((".up", ".down")))
        assert parameter.requires_grad == learns, name


def test_with_no_block_tuned_the_heads_alone_learn():
    model = network(replace(SMALL, n_tuned=0))
    assert trained(model)
    assert all("head." in name for name in trained(model))


def test_it_starts_from_any_encoder_that_is_deep_enough():
    shallow = WhisperTuned(replace(SMALL, layers=(2,), n_tuned=1))
    shallow.start_from(tiny_whisper.encoder())
    given = tiny_whisper.encoder().state_dict()
    for name, value in shallow.encoder.state_dict().items():
        assert torch.equal(value, given[name]), name
    with pytest.raises(ValueError, match="does not fit"):
        WhisperTuned(SMALL).start_from(tiny_whisper.encoder(WhisperConfig(width=64, n_heads=2)))
    shallower = tiny_whisper.encoder(WhisperConfig(width=32, n_heads=2, n_layers=2))
    with pytest.raises(ValueError, match="does not fit"):
        WhisperTuned(SMALL).start_from(shallower)


# low rank


def test_before_training_low_ranks_change_nothing():
    plain, low = (WhisperTuned(config) for config in (SMALL, LOW_RANK))
    for part in (plain, low):
        part.start_from(tiny_whisper.encoder())
    x, mask, _ = batch()
    for a, b in zip(plain.encoder(x, mask), low.encoder(x, mask), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)


def test_merged_it_answers_the_same_with_plain_matrices():
    model = network(LOW_RANK)
    merged = model.merged()
    x, mask, inside = batch()
    assert not any(isinstance(part, LowRank) for part in merged.modules())
    for mine, theirs in zip(model(x, mask, inside), merged(x, mask, inside), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)
    untuned = WhisperTuned(SMALL)
    untuned.start_from(tiny_whisper.encoder())
    names = {n for n, v in merged.encoder.state_dict().items()
             if not torch.equal(v, untuned.encoder.state_dict()[n])}  # fmt: skip
    matrices = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.out_proj",
                "fc1", "fc2")  # fmt: skip
    assert names == {f"layers.{block}.{part}.weight" for block in (1, 2) for part in matrices}
    assert merged.encoder.state_dict().keys() == tiny_whisper.encoder().state_dict().keys()
    assert any(isinstance(part, LowRank) for part in model.modules())


def test_a_layer_of_low_rank_is_the_sum_of_two():
    layer = LowRank(6, 4, rank=2)
    nn.init.normal_(layer.up)
    x = random(5, 6)
    expected = x @ (layer.weight + layer.up @ layer.down).T + layer.bias
    torch.testing.assert_close(layer(x), expected)
    torch.testing.assert_close(layer.merged()(x), expected)


# what it answers


def test_segments_frames_domains_and_ratings_follow_from_the_states(model):
    x, mask, inside = batch()
    answers = model(x, mask, inside)
    states = [model.encoder(x, mask)[layer] for layer in model.config.layers]

    def ask(head, features):
        mix = head.mix.softmax(0) if len(features) > 1 else torch.ones(1)
        mixed = sum(share * f for share, f in zip(mix, features, strict=True))
        return head.linear.weight @ mixed + head.linear.bias

    for row in range(len(x)):
        for frame in range(int(mask[row].sum())):
            expected = ask(model.frame_head, [state[row, frame] for state in states])
            torch.testing.assert_close(answers.frames[row, frame], expected, rtol=1e-4, atol=1e-4)
        for segment in range(2):
            own = inside[row, segment]
            if not own.any():
                continue
            pooled = [
                torch.cat([s[row, own].mean(0), s[row, own].var(0, unbiased=False).sqrt()])
                for s in states
            ]
            for head, found in (
                (model.head, answers.labels),
                (model.domain_head, answers.domains),
            ):
                expected = ask(head, pooled)
                torch.testing.assert_close(found[row, segment], expected, rtol=1e-3, atol=1e-3)
            rating = ask(model.dimension_head, pooled).sigmoid()
            torch.testing.assert_close(answers.dimensions[row, segment], rating, rtol=1e-3,
                                       atol=1e-3)  # fmt: skip


def test_a_clip_alone_is_answered_as_in_a_padded_batch(model):
    x, mask, inside = batch()
    together, whole = model(x, mask, inside), model(x, mask)
    for row, clip in enumerate(CLIPS):
        alone, valid = collate([clip])
        n = valid.shape[1]
        answers = model(alone, valid, inside[row : row + 1, :, :n])
        for one, many in zip(answers, together, strict=True):
            torch.testing.assert_close(one[0, :n], many[row, : len(one[0])][:n], rtol=1e-3,
                                       atol=1e-4)  # fmt: skip
        torch.testing.assert_close(model(alone, valid)[0], whole[row], rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(model(alone)[0], whole[row], rtol=1e-3, atol=1e-4)


def test_without_segments_the_whole_clip_is_one(model):
    x, mask, _ = batch()
    torch.testing.assert_close(model(x, mask), model(x, mask, mask[:, None]).labels[:, 0])


def test_heads_that_are_not_asked_for_are_not_there():
    model = network(WhisperTunedConfig(n_outputs=4, width=32, n_heads=2))
    answers = model(*batch())
    assert answers[1:] == (None, None, None)
    assert isinstance(answers, Answers)


def test_bfloat16_pools_in_float32():
    model = network()
    x, mask, inside = batch()
    with torch.autocast("cpu", torch.bfloat16):
        answers = model(x, mask, inside)
    assert {part.dtype for part in answers} == {torch.float32}
    torch.testing.assert_close(answers.labels, model(x, mask, inside).labels, rtol=0.1, atol=0.2)


# the domain head's gradient


def test_the_encoder_hears_the_domain_heads_gradient_reversed_and_the_head_does_not(model):
    x, mask, inside = batch()
    found = []
    for reverse in (True, False):
        model.zero_grad()
        model(x, mask, inside, reverse).domains.square().sum().backward()
        found.append({n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None})
    for name, gradient in found[0].items():
        sign = -1 if name.startswith("encoder.") else 1
        torch.testing.assert_close(gradient, sign * found[1][name])
    assert any(n.startswith("encoder.") and g.abs().max() > 1e-6 for n, g in found[0].items())


# standardised


def test_heads_are_standardised_by_segments_and_frames():
    """Segments of equal lengths: then the frames' mean and spread are those of all frames."""
    model = network()
    x = random(4, 80, 80)
    inside = torch.zeros(4, 2, 40, dtype=torch.bool)
    inside[:, 0, :20], inside[:, 1, 20:] = True, True
    statistics = model.statistics(x, None, inside).flatten(0, 1).detach()
    model.standardise(statistics)
    torch.testing.assert_close(model.head.mean, statistics.mean(0))
    torch.testing.assert_close(model.domain_head.scale, statistics.std(0, unbiased=False))
    for place, layer in enumerate(SMALL.layers):
        frames = model.encoder(x)[layer].flatten(0, 1).detach()
        torch.testing.assert_close(model.frame_head.mean[place], frames.mean(0))
        spread = frames.std(0, unbiased=False)
        torch.testing.assert_close(model.frame_head.scale[place], spread, rtol=1e-3, atol=1e-4)


# kept states, checkpoints, recognisers


@pytest.mark.parametrize("config", [
    replace(SMALL, layers=(3,), n_tuned=1), replace(SMALL, layers=(2, 3), n_tuned=1),
    replace(LOW_RANK, layers=(3,), n_tuned=3), replace(SMALL, layers=(3,), n_tuned=0),
])  # fmt: skip
def test_above_kept_states_it_is_the_same_network(config):
    model = network(config)
    x, mask, inside = batch()
    states = model.lower(x, mask).detach()
    above = FromStates(model)
    for a, b in zip(above(states, mask, inside), model(x, mask, inside), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)
    torch.testing.assert_close(above(states, mask), model(x, mask), rtol=0, atol=0)
    torch.testing.assert_close(above(states[:1]), model(x[:1]), rtol=1e-4, atol=1e-5)


def test_states_that_were_not_kept_cannot_be_read():
    with pytest.raises(ValueError, match="those below block 2 are not among the states kept"):
        FromStates(network(replace(SMALL, layers=(1, 3), n_tuned=1)))


@pytest.mark.parametrize("config", [SMALL, LOW_RANK], ids=["whole", "low"])
def test_a_checkpoint_brings_it_back(tmp_path, config):
    model = network(config)
    checkpoint.save(tmp_path, model, CARD)
    again, card = checkpoint.load(tmp_path)
    assert again.config == config
    assert card["model"] == "whisper_tuned"
    assert MODELS[card["model"]][1] is type(again)
    x, mask, inside = batch()
    for a, b in zip(model(x, mask, inside), again(x, mask, inside), strict=True):
        assert torch.equal(a, b)


def test_a_recognisers_network_gives_the_same_logits_alone_and_in_context():
    model = network(LOW_RANK)
    probe = model.probe()
    x, mask, inside = batch()
    torch.testing.assert_close(probe(x, mask), model(x, mask), rtol=1e-4, atol=1e-4)
    found, labels = probe.segments(x, mask, inside), model(x, mask, inside).labels
    torch.testing.assert_close(found, labels, rtol=1e-3, atol=1e-3)
    assert not any(parameter.requires_grad for parameter in probe.parameters())


@pytest.mark.parametrize(("change", "message"), [
    ({"layers": ()}, "give one or more"), ({"layers": (-1,)}, "from 0 up"),
    ({"n_tuned": 4}, "3 blocks are built"), ({"n_tuned": -1}, "3 blocks are built"),
    ({"lora_rank": -1}, "choose 0 .. 32"), ({"lora_rank": 33}, "choose 0 .. 32"),
    ({"lora_rank": 2, "n_tuned": 0}, "give n_tuned, too"),
    ({"n_domains": 1}, "two or more to tell apart"), ({"n_dimensions": -1}, "choose 0 or more"),
])  # fmt: skip
def test_settings_that_make_no_network_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        replace(SMALL, **change)


def test_a_clip_over_30_s_is_refused():
    with pytest.raises(ValueError, match="3000"):
        network()(torch.from_numpy(np.zeros((1, 80, 3002), np.float32)))
