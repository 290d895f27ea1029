"""The encoder against transformers' own, for padding and batches, and its loading."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn import functional as F

import tiny_whisper
from affekt import audio
from affekt.batches import collate
from affekt.checkpoint import load_whisper_encoder
from affekt.exceptions import CheckpointError
from affekt.features.logmel import log_mel
from affekt.models.whisper import MAX_FRAMES, WhisperConfig, WhisperEncoder, sinusoids

LAYERS = range(7)  # of Whisper base: the stem's output and six blocks
THIRTY_SECONDS = 480_000  # samples
one_thread = pytest.fixture(scope="module", autouse=True)(tiny_whisper.one_thread)


@pytest.fixture(scope="module")
def base(shared):
    return load_whisper_encoder(shared / "weights" / "whisper-base")


@pytest.fixture(scope="module")
def speech(shared):
    return audio.load(shared / "corpora" / "emodb" / "wav" / "03a01Wa.flac")


@pytest.fixture
def no_hub(monkeypatch):
    """Never ask the network."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)


def transformers_encoder(folder):
    """The same weights in transformers' encoder, every tensor of the file."""
    from transformers import WhisperConfig as TheirConfig
    from transformers.models.whisper.modeling_whisper import WhisperEncoder as TheirEncoder

    config = json.loads((folder / "config.json").read_text("utf-8"))
    encoder = TheirEncoder(TheirConfig(**config))
    weights = load_file(folder / "encoder.safetensors")
    encoder.load_state_dict({name: value.float() for name, value in weights.items()}, strict=True)
    return encoder.eval()


def tensor(waveform):
    return torch.from_numpy(log_mel(waveform))[None]


@torch.inference_mode()
def states_alone(encoder, mel):
    """(n_frames, width) of every layer for one log-mel, without a mask."""
    return [state[0] for state in encoder(torch.from_numpy(mel)[None])]


def mels_of(lengths, seed=1):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal((80, n)).astype(np.float32) / 4 for n in lengths]


# what it computes


@torch.inference_mode()
def test_every_layer_equals_transformers_on_a_padded_window(shared, base, speech):
    theirs = transformers_encoder(shared / "weights" / "whisper-base")
    mel = tensor(np.pad(speech, (0, THIRTY_SECONDS - speech.size)))
    expected = theirs(mel, output_hidden_states=True).hidden_states
    states = base(mel)
    for layer in LAYERS[:-1]:
        torch.testing.assert_close(states[layer], expected[layer], rtol=0, atol=1e-4)
    # transformers norms the last one, which is no part of any layer
    torch.testing.assert_close(theirs.layer_norm(states[6]), expected[6], rtol=0, atol=1e-4)


@torch.inference_mode()
def test_one_block_equals_the_formula_written_out():
    encoder = tiny_whisper.encoder(WhisperConfig(n_mels=4, width=8, n_heads=2, n_layers=1))
    block = encoder.layers[0]
    x = start = torch.randn(1, 5, 8, generator=torch.Generator().manual_seed(0))
    y = F.layer_norm(x, (8,), block.self_attn_layer_norm.weight, block.self_attn_layer_norm.bias)
    attention = block.self_attn
    q, k, v = (p(y)[0] for p in (attention.q_proj, attention.k_proj, attention.v_proj))
    heads = []
    for head in (slice(0, 4), slice(4, 8)):
        shares = torch.softmax(q[:, head] @ k[:, head].T / 4**0.5, dim=1)
        heads.append(shares @ v[:, head])
    x = x + attention.out_proj(torch.cat(heads, dim=1))
    y = F.layer_norm(x, (8,), block.final_layer_norm.weight, block.final_layer_norm.bias)
    inner = block.fc1(y)
    inner = inner * 0.5 * (1 + torch.erf(inner / 2**0.5))
    expected = x + block.fc2(inner)
    torch.testing.assert_close(block(start, None), expected, rtol=1e-5, atol=1e-6)


def test_positions_equal_those_of_transformers():
    from transformers.models.whisper.modeling_whisper import sinusoids as their_sinusoids

    torch.testing.assert_close(sinusoids(1500, 512), their_sinusoids(1500, 512), rtol=0, atol=1e-6)


# any length, any batch


@torch.inference_mode()
def test_a_batch_of_eight_gives_each_clip_what_it_gets_alone(shared):
    """In float64, where six layers of other rounding stay far below 1e-5."""
    encoder = load_whisper_encoder(shared / "weights" / "whisper-base").double()
    clips = mels_of([10, 11, 50, 51, 78, 100, 101, 101])
    x, mask = collate(clips)
    together = encoder(x.double(), mask)
    for row, mel in enumerate(clips):
        for layer, state in enumerate(encoder(torch.from_numpy(mel)[None].double())):
            found = together[layer][row, : state.shape[1]]
            torch.testing.assert_close(found, state[0], rtol=0, atol=1e-9)


@torch.inference_mode()
def test_real_clips_of_several_lengths_get_in_a_batch_what_they_get_alone(shared):
    encoder = load_whisper_encoder(shared / "weights" / "whisper-base", n_layers=3)
    clips = sorted((shared / "corpora" / "emodb" / "wav").glob("03*.flac"))[:4]
    mels = [log_mel(audio.load(clip)) for clip in clips]
    assert len({mel.shape[1] % 2 for mel in mels}) == 2, "odd and even frame counts are wanted"
    together = encoder(*collate(mels))
    for row, mel in enumerate(mels):
        for layer, alone in enumerate(states_alone(encoder, mel)):
            found = together[layer][row, : len(alone)]
            assert (found - alone).abs().max() <= 1e-5 * alone.abs().max(), (row, layer)


@torch.inference_mode()
def test_what_stands_behind_a_mask_does_not_matter():
    encoder = tiny_whisper.encoder()
    x, mask = collate(mels_of([40, 64]))
    garbage = x.clone()
    garbage[0, :, 40:] = 1e3
    for clean, dirty in zip(encoder(x, mask), encoder(garbage, mask), strict=True):
        torch.testing.assert_close(clean[0, :20], dirty[0, :20], rtol=0, atol=0)
        torch.testing.assert_close(clean[1], dirty[1], rtol=0, atol=0)


@torch.inference_mode()
def test_without_the_mask_it_would_matter():
    encoder = tiny_whisper.encoder()
    x, mask = collate(mels_of([40, 64]))
    assert (encoder(x)[1][0, :20] - encoder(x, mask)[1][0, :20]).abs().max() > 1e-3


@pytest.mark.parametrize("n_mel_frames", [1, 2, 3, 4, 7, 60, 61, 2999, 3000])
@torch.inference_mode()
def test_a_clip_of_any_length_gives_a_frame_per_two(n_mel_frames):
    states = tiny_whisper.encoder()(torch.zeros(1, 80, n_mel_frames))
    assert [state.shape for state in states] == [(1, (n_mel_frames + 1) // 2, 32)] * 4
    assert all(state.isfinite().all() for state in states)


@torch.inference_mode()
def test_an_odd_clip_gets_what_it_gets_with_a_zero_frame_behind():
    encoder = tiny_whisper.encoder()
    (mel,) = mels_of([51])
    odd, even = states_alone(encoder, mel), states_alone(encoder, np.pad(mel, ((0, 0), (0, 1))))
    for a, b in zip(odd, even, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)


def test_more_than_thirty_seconds_are_refused():
    with pytest.raises(ValueError, match=r"3001 mel frames: the encoder sees 3000 \(30 s\)"):
        tiny_whisper.encoder()(torch.zeros(1, 80, 3001))


# loading


@torch.inference_mode()
def test_loading_some_layers_gives_the_first_states_of_all(base, shared):
    mel = torch.from_numpy(mels_of([50])[0])[None]
    some = load_whisper_encoder(shared / "weights" / "whisper-base", n_layers=2)
    assert len(some.layers) == 2
    for a, b in zip(some(mel), base(mel)[:3], strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)


def test_no_layer_at_all_is_the_stem(shared):
    stem = load_whisper_encoder(shared / "weights" / "whisper-base", n_layers=0)
    assert len(stem(torch.zeros(1, 80, 10))) == 1


def test_a_loaded_encoder_is_float32_and_its_positions_do_not_learn(base):
    assert {value.dtype for value in base.state_dict().values()} == {torch.float32}
    assert not base.training
    assert not base.embed_positions.weight.requires_grad


@pytest.mark.parametrize("n_layers", [7, -1])
def test_more_layers_than_there_are_is_refused(shared, n_layers):
    with pytest.raises(CheckpointError, match=f"has 6 layers, not {n_layers}"):
        load_whisper_encoder(shared / "weights" / "whisper-base", n_layers)


@pytest.fixture
def saved_by_transformers(tmp_path):
    from transformers import WhisperConfig as TheirConfig
    from transformers import WhisperModel

    config = TheirConfig(
        d_model=16,
        encoder_layers=3,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=64,
        decoder_ffn_dim=64,
        num_mel_bins=128,
        vocab_size=32,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=3,
    )
    torch.manual_seed(0)
    model = WhisperModel(config).eval()
    model.save_pretrained(tmp_path / "whole")
    return tmp_path / "whole", model


@torch.inference_mode()
def test_any_size_loads_from_a_folder_that_transformers_saved(saved_by_transformers):
    folder, model = saved_by_transformers
    encoder = load_whisper_encoder(folder, n_layers=2)
    assert encoder.config == WhisperConfig(n_mels=128, width=16, n_heads=2, n_layers=2)
    mel = torch.randn(1, 128, 3000, generator=torch.Generator().manual_seed(0))
    expected = model.encoder(mel, output_hidden_states=True).hidden_states
    for state, reference in zip(encoder(mel), expected[:3], strict=True):
        torch.testing.assert_close(state, reference, rtol=0, atol=1e-5)


def test_a_whole_model_without_its_encoder_is_refused_not_filled_with_noise(saved_by_transformers):
    folder, _ = saved_by_transformers
    weights = load_file(folder / "model.safetensors")
    kept = {name: value for name, value in weights.items() if "encoder.layers.1" not in name}
    save_file(kept, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(CheckpointError, match=r"no whole Whisper encoder, encoder\.layers\.1"):
        load_whisper_encoder(folder)


def test_a_damaged_model_of_transformers_is_refused(saved_by_transformers):
    folder, _ = saved_by_transformers
    (folder / "model.safetensors").write_bytes(b"not a tensor in sight")
    with pytest.raises(CheckpointError, match=r"model\.safetensors") as caught:
        load_whisper_encoder(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("no_hub")
def test_an_unreachable_name_is_one_clear_line():
    name = "nobody/no-such-whisper"
    with pytest.raises(CheckpointError, match=f"^{name}: neither a folder") as caught:
        load_whisper_encoder(name)
    assert "\n" not in str(caught.value)
    assert "config.json and encoder.safetensors" in str(caught.value)


def test_a_missing_folder_is_not_looked_for_on_the_hub(tmp_path):
    with pytest.raises(CheckpointError, match=r"no such folder; give a folder with config\.json"):
        load_whisper_encoder(tmp_path / "nothing")


@pytest.mark.usefixtures("no_hub")
def test_an_empty_folder_is_one_clear_line(tmp_path):
    with pytest.raises(CheckpointError, match="neither a folder that holds a Whisper model"):
        load_whisper_encoder(tmp_path)


def damaged(tmp_path, **settings):
    """A tiny folder whose config has other settings; None removes one."""
    folder = tiny_whisper.write(tmp_path / "tiny")
    config = json.loads((folder / "config.json").read_text("utf-8")) | settings
    config = {name: value for name, value in config.items() if value is not None}
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    return folder


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"encoder_layers": None}, "no encoder_layers"),
        ({"encoder_layers": "3"}, "no encoder_layers"),
        ({"d_model": -32}, "no d_model"),
        ({"d_model": True}, "no d_model"),
        ({"encoder_attention_heads": 5}, "cannot be shared by 5 heads"),
        ({"d_model": 2, "encoder_attention_heads": 1}, "cannot be shared"),
        ({"d_model": 64}, r"has shape \(32,.*not \(64,"),
        ({"num_mel_bins": 128}, r"has shape \(32, 80, 3\), not \(32, 128, 3\)"),
        ({"encoder_layers": 4}, r"tensors missing \['layers\.3\."),
        ({"encoder_layers": 2}, r"unknown \['layers\.2\."),
        ({"encoder_layers": 10**9}, "there can be 0 to 64"),
        ({"d_model": 10**12}, "shape|make no network"),
        ({"num_mel_bins": 10**30}, "make no network"),
    ],
)
def test_settings_that_do_not_fit_the_weights_are_refused(tmp_path, settings, message):
    with pytest.raises(CheckpointError, match=message) as caught:
        load_whisper_encoder(damaged(tmp_path, **settings))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000, "\xff"])
def test_a_config_that_is_no_json_object_is_refused(tmp_path, text):
    folder = tiny_whisper.write(tmp_path)
    (folder / "config.json").write_text(text, "latin-1")
    with pytest.raises(CheckpointError, match=r"config\.json"):
        load_whisper_encoder(folder)


def test_damaged_weights_are_refused(tmp_path):
    path = tiny_whisper.write(tmp_path) / "encoder.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match=r"encoder\.safetensors: not readable as safetensors"):
        load_whisper_encoder(tmp_path)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(tmp_path, value):
    path = tiny_whisper.write(tmp_path) / "encoder.safetensors"
    weights = load_file(path)
    weights["layers.1.fc1.bias"][3] = value
    save_file(weights, path)
    with pytest.raises(CheckpointError, match=r"layers\.1\.fc1\.bias holds values that"):
        load_whisper_encoder(tmp_path)


def test_whole_numbers_in_place_of_weights_are_refused(tmp_path):
    path = tiny_whisper.write(tmp_path) / "encoder.safetensors"
    weights = load_file(path)
    weights["conv1.bias"] = torch.zeros(32, dtype=torch.int64)
    save_file(weights, path)
    with pytest.raises(CheckpointError, match=r"conv1\.bias holds torch\.int64"):
        load_whisper_encoder(tmp_path)


def test_the_limit_of_thirty_seconds_is_that_of_the_positions():
    encoder = WhisperEncoder(tiny_whisper.CONFIG)
    assert len(encoder.embed_positions.weight) == MAX_FRAMES == 30 * 50
