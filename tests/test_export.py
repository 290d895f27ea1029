"""The exported graph says what the network in torch says, and holds its weights as int8."""

import hashlib
import json

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import numpy_helper
from safetensors.torch import load_file

import affekt
import tiny_whisper
from affekt.exceptions import CheckpointError
from affekt.export import build, write_onnx
from affekt.models import WhisperProbe, WhisperProbeConfig
from affekt.models.rounding import int8, round_weights
from affekt.models.whisper import WhisperConfig
from affekt.models.whisper_probe import MAX_ALONE_FRAMES

one_thread = pytest.fixture(scope="module", autouse=True)(tiny_whisper.one_thread)

LAYERS = {"last": (3,), "mixed": (0, 1, 3), "stem": (0,)}
LARGE = 64 * 2**10  # bytes


def probe(layers, *, width=32, n_heads=2, rounded=True):
    config = WhisperProbeConfig(n_outputs=5, layers=layers, width=width, n_heads=n_heads)
    torch.manual_seed(0)
    model = WhisperProbe(config)
    for name, parameter in model.named_parameters():
        if "norm" in name or name.endswith("bias"):
            torch.nn.init.normal_(parameter, 0.5, 0.3)  # at their defaults they would hide
    for head in (model.head, model.context_head):
        torch.nn.init.normal_(head.linear.weight, std=0.2)
        torch.nn.init.normal_(head.mix)
        head.standardise(torch.randn(20, len(layers), 2 * width))
    if rounded:
        round_weights(model.encoder)
    return model.eval()


@pytest.fixture(scope="module", params=LAYERS.values(), ids=LAYERS)
def pair(request):
    """A network and a session of its graph."""
    model = probe(request.param)
    data = build(model).SerializeToString()
    return model, onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])


def run(session, mel, segments):
    (logits,) = session.run(None, {"log_mel": mel, "segments": np.array(segments, np.int64)})
    return logits


def log_mel(n_mel_frames, seed=0):
    rng = np.random.default_rng(seed)
    return rng.uniform(-1.5, 1.5, (1, 80, n_mel_frames)).astype(np.float32)


@torch.inference_mode()
def in_torch(model, mel, segments):
    frame = torch.arange(mel.shape[2] // 2)
    inside = torch.stack([(frame >= start) & (frame < end) for start, end in segments])[None]
    return model.segments(torch.from_numpy(mel), None, inside)[0].numpy()


@pytest.mark.parametrize("n_mel_frames", [2, 4, 30, 298, 3000])
def test_a_whole_recording_gets_the_logits_of_torch(pair, n_mel_frames):
    model, session = pair
    mel = log_mel(n_mel_frames)
    with torch.inference_mode():
        expected = model(torch.from_numpy(mel)).numpy()
    np.testing.assert_allclose(run(session, mel, [(0, n_mel_frames // 2)]), expected, atol=1e-4)
    assert np.ptp(expected) > 0.1, "there should be something to compare"


@pytest.mark.parametrize(
    "segments",
    [
        [(0, 50)],
        [(0, 1)],
        [(49, 50)],
        [(0, 25), (25, 50)],
        [(10, 20), (10, 20), (0, 50), (3, 4)],
        [(start, start + 5) for start in range(45)],
    ],
)
def test_segments_of_a_recording_get_the_logits_of_torch(pair, segments):
    model, session = pair
    mel = log_mel(100)
    found = run(session, mel, segments)
    assert found.shape == (len(segments), 5)
    np.testing.assert_allclose(found, in_torch(model, mel, segments), atol=1e-4)


def test_more_heads_and_width_make_no_difference():
    model = probe((2,), width=64, n_heads=8)
    session = onnxruntime.InferenceSession(
        build(model).SerializeToString(), providers=["CPUExecutionProvider"]
    )
    mel = log_mel(60)
    np.testing.assert_allclose(
        run(session, mel, [(2, 17)]), in_torch(model, mel, [(2, 17)]), atol=1e-4
    )


@pytest.mark.parametrize("n_frames", [MAX_ALONE_FRAMES, MAX_ALONE_FRAMES + 1])
def test_a_long_recording_is_answered_as_a_stretch_is(pair, n_frames):
    model, session = pair
    mel = log_mel(2 * n_frames)
    with torch.inference_mode():
        pooled = model.statistics(
            torch.from_numpy(mel), None, torch.ones(1, 1, n_frames, dtype=torch.bool)
        )[:, 0]
        head = model.head if n_frames == MAX_ALONE_FRAMES else model.context_head
        expected = head(pooled).numpy()
        np.testing.assert_allclose(model(torch.from_numpy(mel)).numpy(), expected, atol=1e-5)
    np.testing.assert_allclose(run(session, mel, [(0, n_frames)]), expected, atol=1e-4)


def test_inputs_and_output_are_those_of_the_contract(pair):
    _, session = pair
    inputs = {node.name: (node.type, node.shape) for node in session.get_inputs()}
    assert inputs == {
        "log_mel": ("tensor(float)", [1, 80, "n_mel_frames"]),
        "segments": ("tensor(int64)", ["n_segments", 2]),
    }
    (output,) = session.get_outputs()
    assert (output.name, output.type) == ("logits", "tensor(float)")
    assert output.shape == ["n_segments", 5]


def test_every_matrix_of_the_encoder_is_held_as_the_int8_it_was_rounded_to():
    model = probe((1, 3))
    held = [numpy_helper.to_array(value) for value in build(model).graph.initializer]
    bytes8 = {value.tobytes() for value in held if value.dtype == np.int8}
    expected = set()
    for name, weight in model.encoder.state_dict().items():
        if weight.ndim > 1 and "embed_positions" not in name:
            levels = int8(weight)[0]
            expected.add((levels.T if weight.ndim == 2 else levels).contiguous().numpy().tobytes())
    assert bytes8 == expected
    assert len(expected) == 2 + 3 * 6


def test_nothing_large_is_held_as_float():
    model = probe((3,), width=512, n_heads=8)
    graph = build(model)
    held = [numpy_helper.to_array(value) for value in graph.graph.initializer]
    large = [value for value in held if value.nbytes > LARGE]
    assert len(large) == 2 + 3 * 6
    assert {value.dtype for value in large} == {np.dtype(np.int8)}
    assert graph.ByteSize() < 11e6


def test_only_standard_operators_are_used():
    graph = build(probe((1, 3)))
    onnx.checker.check_model(graph, full_check=True)
    assert {node.domain for node in graph.graph.node} == {""}
    assert [(o.domain, o.version) for o in graph.opset_import] == [("", 20)]


def test_building_leaves_the_network_as_it_was():
    model = probe((3,))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    build(model)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


CARD = {"labels": list("abcde"), "temperature": 1.5, "prior": dict.fromkeys("abcde", 0.2)}


def test_a_written_folder_can_be_loaded_and_predicts(tmp_path):
    model = probe((3,))
    write_onnx(model, tmp_path, CARD)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "card.json",
        "head.safetensors",
        "model.onnx",
    ]
    card = json.loads((tmp_path / "card.json").read_text("utf-8"))
    assert card["sha256"] == hashlib.sha256((tmp_path / "model.onnx").read_bytes()).hexdigest()
    assert {name: card[name] for name in CARD} == CARD
    recognizer = affekt.load(tmp_path)
    waveform = np.random.default_rng(0).standard_normal(16_000).astype(np.float32) / 10
    mel = affekt.features.log_mel(waveform)[None]
    with torch.inference_mode():
        expected = (model(torch.from_numpy(mel))[0] / 1.5).softmax(0)
    assert list(recognizer.predict(waveform).values()) == pytest.approx(expected.tolist(), abs=1e-5)


def test_the_head_lies_beside_the_graph_for_torch(tmp_path):
    model = probe((1, 2))
    write_onnx(model, tmp_path, CARD)
    weights = load_file(tmp_path / "head.safetensors")
    heads = {k: v for k, v in model.state_dict().items() if not k.startswith("encoder.")}
    assert weights.keys() == heads.keys()
    assert all(torch.equal(weights[name], value) for name, value in heads.items())


def test_weights_off_the_grid_are_refused_not_rounded_in_silence(tmp_path):
    with pytest.raises(CheckpointError, match="off the grid of 8 bits: call round_weights"):
        write_onnx(probe((3,), rounded=False), tmp_path, CARD)
    assert list(tmp_path.iterdir()) == []


def test_positions_that_the_graph_would_not_compute_are_refused(tmp_path):
    model = probe((3,))
    with torch.no_grad():
        model.encoder.embed_positions.weight[700, 3] += 0.1
    with pytest.raises(CheckpointError, match="positions are not Whisper's sinusoids"):
        write_onnx(model, tmp_path, CARD)


def test_published_positions_in_half_precision_are_near_enough():
    model = probe((0, 3))
    with torch.no_grad():
        positions = model.encoder.embed_positions.weight
        positions.copy_(positions.half().float())
    session = onnxruntime.InferenceSession(
        build(model).SerializeToString(), providers=["CPUExecutionProvider"]
    )
    mel = log_mel(300)
    with torch.inference_mode():
        expected = model(torch.from_numpy(mel)).softmax(-1)
    found = torch.from_numpy(run(session, mel, [(0, 150)])).softmax(-1)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-3)


def test_the_first_layers_of_whisper_base_are_exported_faithfully(shared):
    from affekt import audio, features
    from affekt.checkpoint import load_whisper_encoder

    model = WhisperProbe(WhisperProbeConfig(n_outputs=5))
    model.encoder = load_whisper_encoder(shared / "weights" / "whisper-base", 3)
    assert model.encoder.config == WhisperConfig()
    round_weights(model.encoder)
    torch.manual_seed(0)
    for head in (model.head, model.context_head):
        torch.nn.init.normal_(head.linear.weight, std=0.1)
    waveform = audio.load(shared / "corpora" / "emodb" / "wav" / "03a01Wa.flac")
    mel = features.log_mel(waveform)
    mel = mel[None, :, : mel.shape[1] // 2 * 2]
    data = build(model).SerializeToString()
    assert len(data) < 11e6
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    segments = [(0, mel.shape[2] // 2), (5, 30)]
    found = torch.from_numpy(run(session, mel, segments)).softmax(-1).numpy()
    expected = torch.from_numpy(in_torch(model, mel, segments)).softmax(-1).numpy()
    np.testing.assert_allclose(found, expected, atol=2e-3)
