"""Write a recogniser's network as ONNX: weights as int8, arithmetic in float32.

The graph is built by hand from standard operators of opset 20, so that it needs no tracing and
runs wherever onnxruntime does. The weights lie on the 8-bit grid already (models/rounding.py):
storing them as int8 loses nothing, and a runtime turns them back into float32 once, when loading.
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from safetensors.torch import save_file
from torch import Tensor, nn

from affekt.atomic import replacing
from affekt.card import RECOGNIZER
from affekt.exceptions import CheckpointError
from affekt.models import WhisperProbe
from affekt.models.heads import LinearHead
from affekt.models.pooling import VARIANCE_FLOOR
from affekt.models.rounding import int8
from affekt.models.whisper import MAX_FRAMES, Block, sinusoids
from affekt.models.whisper_probe import MAX_ALONE_FRAMES

OPSET = 20  # Gelu came with it
POSITION_ERROR = 2**-11 + 1e-4  # published positions are rounded to half precision; sin differs
IR_VERSION = 10  # what onnxruntime reads since 1.18


class Graph:
    """Nodes and constants of a graph under construction."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, value: NDArray[Any]) -> str:
        """Add a constant and give its name."""
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def add(
        self, operator: str, *inputs: str | NDArray[Any], n: int = 1, **settings: Any
    ) -> list[str]:
        """Add a node and give the names of its `n` outputs."""
        names = [x if isinstance(x, str) else self.constant(x) for x in inputs]
        outputs = [f"n{len(self.nodes)}_{number}" for number in range(n)]
        self.nodes.append(helper.make_node(operator, names, outputs, **settings))
        return outputs

    def op(self, operator: str, *inputs: str | NDArray[Any], **settings: Any) -> str:
        """Add a node with one output and give its name."""
        return self.add(operator, *inputs, **settings)[0]


def write_onnx(model: WhisperProbe, folder: str | Path, card: Mapping[str, Any]) -> None:
    """Write `model.onnx`, `card.json` and `head.safetensors`: a folder that `affekt.load` takes.

    The heads alone are enough to rebuild the network in torch, given the upstream encoder.

    Inputs `log_mel` (1, n_mels, n_mel_frames), n_mel_frames even and at most 3000, and `segments`
    (n_segments, 2), start and end in frames of 20 ms, none empty; output `logits` (n_segments,
    n_labels), before the temperature.

    Raises:
        CheckpointError: weights that are not rounded, or positions that are not Whisper's.
    """
    folder = Path(folder)
    data = build(model).SerializeToString()
    with replacing(folder / "model.onnx") as temporary:
        temporary.write_bytes(data)
    with replacing(folder / "head.safetensors") as temporary:
        weights = model.state_dict().items()
        save_file({k: v.contiguous() for k, v in weights if "head." in k}, temporary)
    RECOGNIZER.write_card(folder, card, hashlib.sha256(data).hexdigest())


def build(model: WhisperProbe) -> onnx.ModelProto:
    """Build the graph of a network."""
    graph = Graph()
    states = _encoder(graph, model)
    member = _segment_weights(graph, states)
    layers = model.config.layers
    mixed = [_pool(graph, states[layer], member) for layer in layers]
    alone = _is_alone(graph, states[0])
    logits = graph.op(
        "Where", alone, _head(graph, model.head, mixed), _head(graph, model.context_head, mixed)
    )
    graph.nodes.append(helper.make_node("Identity", [logits], ["logits"]))
    config = model.config
    mel = helper.make_tensor_value_info(
        "log_mel", TensorProto.FLOAT, [1, config.n_mels, "n_mel_frames"]
    )
    segments = helper.make_tensor_value_info("segments", TensorProto.INT64, ["n_segments", 2])
    output = helper.make_tensor_value_info(
        "logits", TensorProto.FLOAT, ["n_segments", config.n_outputs]
    )
    whole = helper.make_graph(graph.nodes, "affekt", [mel, segments], [output], graph.constants)
    proto = helper.make_model(
        whole, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION
    )
    onnx.checker.check_model(proto)
    return proto


def _numpy(tensor: Tensor | nn.Parameter) -> NDArray[np.float32]:
    return tensor.detach().float().cpu().numpy()


def _weight(graph: Graph, weight: Tensor, transpose: bool) -> str:
    """Store a weight as int8; a cast and a product restore it, which a runtime folds on loading."""
    levels, step = int8(weight)
    shape = (-1, *[1] * (weight.ndim - 1))
    if not torch.allclose(levels * step.view(shape), weight, rtol=1e-5, atol=0):
        raise CheckpointError("weights are off the grid of 8 bits: call round_weights, then train")
    values, steps = levels.numpy(), step.numpy().reshape(shape)
    if transpose:
        values, steps = values.T, steps.T
    restored = graph.op("Cast", np.ascontiguousarray(values), to=TensorProto.FLOAT)
    return graph.op("Mul", restored, np.ascontiguousarray(steps))


def _linear(graph: Graph, x: str, layer: nn.Linear) -> str:
    y = graph.op("MatMul", x, _weight(graph, layer.weight, transpose=True))
    return y if layer.bias is None else graph.op("Add", y, _numpy(layer.bias))


def _norm(graph: Graph, x: str, norm: nn.LayerNorm) -> str:
    weight, bias = _numpy(norm.weight), _numpy(norm.bias)
    return graph.op("LayerNormalization", x, weight, bias, axis=-1, epsilon=norm.eps)


def _convolution(graph: Graph, x: str, layer: nn.Conv1d) -> str:
    assert layer.bias is not None
    y = graph.op(
        "Conv",
        x,
        _weight(graph, layer.weight, transpose=False),
        _numpy(layer.bias),
        kernel_shape=[3],
        pads=[1, 1],
        strides=list(layer.stride),
    )
    return graph.op("Gelu", y)


def _encoder(graph: Graph, model: WhisperProbe) -> list[str]:
    """The stem with its positions, then the blocks: names of all states, (1, n_frames, width)."""
    encoder = model.encoder
    positions = sinusoids(MAX_FRAMES, model.config.width)
    if (encoder.embed_positions.weight - positions).abs().max() > POSITION_ERROR:
        raise CheckpointError("positions are not Whisper's sinusoids: they cannot be exported")
    x = _convolution(graph, _convolution(graph, "log_mel", encoder.conv1), encoder.conv2)
    x = graph.op("Transpose", x, perm=[0, 2, 1])
    half = model.config.width // 2
    rates = np.exp(-math.log(10_000) / (half - 1) * np.arange(half)).astype(np.float32)
    frame = graph.op("Cast", _frames(graph, x), to=TensorProto.FLOAT)
    angles = graph.op("Mul", graph.op("Unsqueeze", frame, _ints(1)), rates[None])
    computed = graph.op("Concat", graph.op("Sin", angles), graph.op("Cos", angles), axis=-1)
    states = [graph.op("Add", x, computed)]
    for block in encoder.layers:
        states.append(_block(graph, states[-1], block))
    return states


def _ints(*values: int) -> NDArray[np.int64]:
    return np.array(values, dtype=np.int64)


def _frames(graph: Graph, states: str) -> str:
    """Frame numbers, (n_frames,)."""
    count = graph.op("Squeeze", graph.op("Shape", states, start=1, end=2), _ints(0))
    return graph.op("Range", np.array(0), count, np.array(1))


def _block(graph: Graph, x: str, block: nn.Module) -> str:
    assert isinstance(block, Block)
    attention = block.self_attn
    n_heads, width = attention.n_heads, attention.q_proj.in_features
    heads = _ints(0, 0, n_heads, width // n_heads)
    normed = _norm(graph, x, block.self_attn_layer_norm)
    q, k, v = (
        graph.op("Reshape", _linear(graph, normed, layer), heads)
        for layer in (attention.q_proj, attention.k_proj, attention.v_proj)
    )
    scaled = graph.op("Mul", q, np.array((width // n_heads) ** -0.5, np.float32))
    scores = graph.op(
        "MatMul",
        graph.op("Transpose", scaled, perm=[0, 2, 1, 3]),
        graph.op("Transpose", k, perm=[0, 2, 3, 1]),
    )
    shares = graph.op("Softmax", scores, axis=-1)
    read = graph.op("MatMul", shares, graph.op("Transpose", v, perm=[0, 2, 1, 3]))
    joined = graph.op("Reshape", graph.op("Transpose", read, perm=[0, 2, 1, 3]), _ints(0, 0, width))
    x = graph.op("Add", x, _linear(graph, joined, attention.out_proj))
    inner = graph.op("Gelu", _linear(graph, _norm(graph, x, block.final_layer_norm), block.fc1))
    return graph.op("Add", x, _linear(graph, inner, block.fc2))


def _segment_weights(graph: Graph, states: Sequence[str]) -> str:
    """Row s: 1 / length of segment s on its frames, 0 elsewhere; (n_segments, n_frames)."""
    frame = graph.op("Unsqueeze", _frames(graph, states[0]), _ints(0))
    start, end = graph.add("Split", "segments", n=2, axis=1, num_outputs=2)
    inside = graph.op("And", graph.op("GreaterOrEqual", frame, start), graph.op("Less", frame, end))
    member = graph.op("Cast", inside, to=TensorProto.FLOAT)
    return graph.op("Div", member, graph.op("ReduceSum", member, _ints(1), keepdims=1))


def _pool(graph: Graph, states: str, member: str) -> str:
    """Mean and standard deviation over each segment, as models/pooling.py; (n_segments, 2 w)."""
    x = graph.op("Squeeze", states, _ints(0))
    centre = graph.op("ReduceMean", x, _ints(0), keepdims=1)
    centred = graph.op("Sub", x, centre)
    mean = graph.op("MatMul", member, centred)
    square = graph.op("MatMul", member, graph.op("Mul", centred, centred))
    variance = graph.op("Sub", square, graph.op("Mul", mean, mean))
    spread = graph.op("Sqrt", graph.op("Max", variance, np.array(VARIANCE_FLOOR, np.float32)))
    return graph.op("Concat", graph.op("Add", mean, centre), spread, axis=-1)


def _is_alone(graph: Graph, states: str) -> str:
    """Whether a segment is all that is heard, and short, (n_segments, 1)."""
    start, end = graph.add("Split", "segments", n=2, axis=1, num_outputs=2)
    count = graph.op("Shape", states, start=1, end=2)
    first = graph.op("Equal", start, np.array(0))
    whole = graph.op("And", first, graph.op("Equal", end, count))
    return graph.op("And", whole, graph.op("LessOrEqual", end, np.array(MAX_ALONE_FRAMES)))


def _head(graph: Graph, head: LinearHead, pooled: Sequence[str]) -> str:
    """Standardise, mix and map; (n_segments, n_outputs)."""
    mix = _numpy(head.mix.softmax(0))
    parts = []
    for number, x in enumerate(pooled):
        centred = graph.op("Sub", x, _numpy(head.mean[number]))
        parts.append(graph.op("Mul", centred, mix[number] / _numpy(head.scale[number])))
    mixed = parts[0] if len(parts) == 1 else graph.op("Sum", *parts)
    product = graph.op("MatMul", mixed, _numpy(head.linear.weight).T)
    return graph.op("Add", product, _numpy(head.linear.bias))
