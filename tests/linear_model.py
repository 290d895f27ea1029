"""A recogniser whose answer can be computed by hand: linear in the mean log-mel of a stretch."""

import hashlib
import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from affekt.card import RECOGNIZER

LABELS = ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise", "other")
N_MELS = 80
SPLIT_BAND = 40  # mel band at about 1.9 kHz


def weights() -> np.ndarray:
    """Anger hears how much stronger the low bands are than the high ones, sadness the reverse."""
    slope = np.where(np.arange(N_MELS) < SPLIT_BAND, 1.0, -1.0) * 8 / SPLIT_BAND
    matrix = np.zeros((N_MELS, len(LABELS)), dtype=np.float32)
    matrix[:, LABELS.index("anger")] = slope
    matrix[:, LABELS.index("sadness")] = -slope
    return matrix


def write_linear_model(folder: Path, temperature: float = 1.0, **card: object) -> Path:
    """Write `card.json` and `model.onnx` after the contract of a shipped recogniser."""
    folder.mkdir(parents=True, exist_ok=True)
    model = graph(weights()).SerializeToString()
    (folder / "model.onnx").write_bytes(model)
    whole = {
        "format": RECOGNIZER.format,
        "name": "linear",
        "labels": list(LABELS),
        "temperature": temperature,
        "sha256": hashlib.sha256(model).hexdigest(),
        **card,
    }
    (folder / "card.json").write_text(json.dumps(whole), "utf-8")
    return folder


def graph(matrix: np.ndarray) -> onnx.ModelProto:
    """logits = (mean over the segment's 20 ms frames of the log-mel) @ matrix."""
    constants = {
        "pairs": np.array([-1, 2, N_MELS]),
        "zero": np.array(0),
        "one": np.array(1),
        "axis0": np.array([0]),
        "axis1": np.array([1]),
        "top": np.array([1, 0, 0, 0]),
        "matrix": matrix,
    }
    nodes = [
        ("Squeeze", ["log_mel", "axis0"], "bands"),
        ("Transpose", ["bands"], "time"),
        ("Reshape", ["time", "pairs"], "two"),
        ("ReduceMean", ["two", "axis1"], "frames"),
        ("CumSum", ["frames", "zero"], "summed"),
        ("Pad", ["summed", "top"], "running"),
        ("Gather", ["segments", "zero"], "first"),
        ("Gather", ["segments", "one"], "last"),
        ("Gather", ["running", "first"], "before"),
        ("Gather", ["running", "last"], "until"),
        ("Sub", ["until", "before"], "total"),
        ("Sub", ["last", "first"], "count"),
        ("Cast", ["count"], "count_float"),
        ("Unsqueeze", ["count_float", "axis1"], "divisor"),
        ("Div", ["total", "divisor"], "mean"),
        ("MatMul", ["mean", "matrix"], "logits"),
    ]
    settings: dict[tuple[str, str], dict[str, int]] = {
        ("ReduceMean", "frames"): {"keepdims": 0},
        ("Gather", "first"): {"axis": 1},
        ("Gather", "last"): {"axis": 1},
        ("Cast", "count_float"): {"to": TensorProto.FLOAT},
    }
    model = helper.make_model(
        helper.make_graph(
            [
                helper.make_node(op, inputs, [output], **settings.get((op, output), {}))
                for op, inputs, output in nodes
            ],
            "linear",
            [
                helper.make_tensor_value_info("log_mel", TensorProto.FLOAT, [1, N_MELS, "n"]),
                helper.make_tensor_value_info("segments", TensorProto.INT64, ["s", 2]),
            ],
            [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["s", matrix.shape[1]])],
            [numpy_helper.from_array(value, name) for name, value in constants.items()],
        ),
        opset_imports=[helper.make_opsetid("", 18)],
        ir_version=9,
    )
    onnx.checker.check_model(model, full_check=True)
    return model
