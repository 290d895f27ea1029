"""A checkpoint is a folder: `card.json` (what it is) and `model.safetensors` (its weights)."""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from affekt.atomic import replacing
from affekt.card import CHECKPOINT
from affekt.exceptions import CheckpointError
from affekt.models import MODELS
from affekt.models.whisper import MAX_LAYERS, WhisperConfig, WhisperEncoder

Module = TypeVar("Module", bound=nn.Module)

WHISPER_SETTINGS = ("num_mel_bins", "d_model", "encoder_attention_heads", "encoder_layers")


def save(folder: str | Path, model: nn.Module, card: Mapping[str, Any]) -> None:
    """Write a checkpoint folder.

    Args:
        folder: made if absent; an older checkpoint there is replaced once all is written.
        model: one of MODELS.
        card: at least `labels` (list of str, in the order of the outputs); also corpora,
            licences, speakers, split, seed, metrics, temperature and prior where there are any.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    names = [name for name, (_, module) in MODELS.items() if type(model) is module]
    if not names:
        raise CheckpointError(
            f"{type(model).__name__} is not in MODELS: it cannot be saved by name"
        )
    weights = {name: value.contiguous() for name, value in model.state_dict().items()}
    with replacing(folder / "model.safetensors") as temporary:
        save_file(weights, temporary)
        digest = _sha256(temporary)
        config: Any = model.config
        # before the weights take their place: where the disk is full now, the older pair stays
        whole = {"model": names[0], "config": asdict(config), **card}
        CHECKPOINT.write_card(folder, whole, digest)


def load(folder: str | Path) -> tuple[nn.Module, dict[str, Any]]:
    """Read a checkpoint folder; nothing is unpickled.

    Returns:
        The model in evaluation mode, and its card.

    Raises:
        CheckpointError: the folder, card or weights are missing, damaged, foreign, or disagree.
    """
    folder = Path(folder)
    card = read_card(folder)
    build = _builder(folder / "card.json", card)
    path = folder / "model.safetensors"
    if not path.is_file():
        raise CheckpointError(
            f"{path}: no such file; a checkpoint has card.json and model.safetensors"
        )
    return _filled(build, _read(path, card.get("sha256")), path).eval(), card


def read_card(folder: Path) -> dict[str, Any]:
    """Read and check `card.json`: JSON of our format with a list of different labels."""
    return CHECKPOINT.read_card(folder)


def load_weights(model: nn.Module, weights: dict[str, Tensor], path: Path) -> None:
    """Put tensors into a model if every name and shape agrees."""
    expected = model.state_dict()
    _compare(expected, weights, path)
    values = {name: value.to(expected[name].dtype) for name, value in weights.items()}
    for name, value in values.items():
        if not torch.isfinite(value).all():
            raise CheckpointError(f"{path}: {name} holds values that are not finite")
    model.load_state_dict(values)


def _compare(expected: Mapping[str, Tensor], weights: Mapping[str, Tensor], path: Path) -> None:
    """Refuse tensors whose names, shapes or kind of number are not those expected."""
    missing = sorted(expected.keys() - weights.keys())
    extra = sorted(weights.keys() - expected.keys())
    if missing or extra:
        raise CheckpointError(f"{path}: tensors missing {missing[:3]}, unknown {extra[:3]}")
    for name, value in weights.items():
        if value.shape != expected[name].shape:
            raise CheckpointError(
                f"{path}: {name} has shape {tuple(value.shape)}, not {tuple(expected[name].shape)}"
            )
        if value.is_floating_point() != expected[name].is_floating_point():
            raise CheckpointError(f"{path}: {name} holds {value.dtype}, not what its name says")


def _filled(build: Callable[[], Module], weights: dict[str, Tensor], path: Path) -> Module:
    """Build a network around weights that are at hand.

    First without memory for its own, so that settings which do not fit the file cost nothing,
    however large they are.
    """
    try:
        with torch.device("meta"):
            _compare(build().state_dict(), weights, path)
    except (TypeError, ValueError, RuntimeError, OverflowError) as problem:
        raise CheckpointError(
            f"{path}: the settings beside it make no network ({_first_line(problem)})"
        ) from None
    model = build()
    load_weights(model, weights, path)
    return model


HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")  # ORGANISATION/NAME


def load_whisper_encoder(source: str | Path, n_layers: int | None = None) -> WhisperEncoder:
    """Load the first `n_layers` blocks of a Whisper encoder (None = all).

    Args:
        source: a folder with `config.json` and `encoder.safetensors` (Hugging Face names), or, with
            the extra `whisper`, whatever transformers takes: a folder with the whole model, or a
            name such as "openai/whisper-small".

    Raises:
        CheckpointError: the folder lacks a file, or the weights do not fit their config.
    """
    folder = Path(source)
    if (folder / "encoder.safetensors").is_file():
        config, weights = _read_whisper_folder(folder)
    else:
        config, weights = _read_whisper_model(str(source))
    for name in WHISPER_SETTINGS:
        if type(config.get(name)) is not int or config[name] < 1:
            raise CheckpointError(f"{source}: not a Whisper configuration: no {name}, 1 or more")
    n_mels, width, n_heads, deepest = (int(config[name]) for name in WHISPER_SETTINGS)
    depth = deepest if n_layers is None else n_layers
    if not 0 <= depth <= deepest:
        raise CheckpointError(f"{source}: has {deepest} layers, not {depth}")
    beyond = tuple(f"layers.{number}." for number in range(depth, min(deepest, MAX_LAYERS)))
    weights = {
        name: value
        for name, value in weights.items()
        if not name.startswith(("layer_norm.", *beyond))
    }

    def build() -> WhisperEncoder:
        return WhisperEncoder(WhisperConfig(n_mels, width, n_heads, depth))

    return _filled(build, weights, folder).eval()


def _read_whisper_folder(folder: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as problem:
        raise CheckpointError(f"{path}: not readable as JSON ({problem})") from None
    if not isinstance(config, dict):
        raise CheckpointError(f"{path}: not a Whisper configuration")
    return config, _read(folder / "encoder.safetensors")


def _read_whisper_model(name: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Let transformers read a whole model, from a folder or from the hub."""
    remedy = "give a folder with config.json and encoder.safetensors or model.safetensors"
    if not HUB_NAME.fullmatch(name) and not Path(name).is_dir():  # asks no network
        raise CheckpointError(f"{name}: no such folder; {remedy}, or a name on the hub")
    try:
        from transformers import WhisperModel
    except ImportError:
        raise CheckpointError(
            f"{name}: needs transformers: pip install 'affekt[whisper]'; or {remedy}"
        ) from None
    try:
        loaded: Any = WhisperModel.from_pretrained(
            name, use_safetensors=True, output_loading_info=True
        )
    except (OSError, ValueError, RuntimeError, SafetensorError) as problem:
        raise CheckpointError(
            f"{name}: neither a folder that holds a Whisper model nor one that can be fetched"
            f" ({_first_line(problem)}); {remedy}"
        ) from None
    whole, found = loaded
    absent = sorted(key for key in found["missing_keys"] if key.startswith("encoder."))
    if absent:  # transformers would have filled them with random numbers
        raise CheckpointError(f"{name}: holds no whole Whisper encoder, {absent[0]} is missing")
    return whole.config.to_dict(), dict(whole.encoder.state_dict())


def _first_line(problem: Exception) -> str:
    return (str(problem).splitlines() or [type(problem).__name__])[0]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read(path: Path, sha256: str | None = None) -> dict[str, Tensor]:
    try:
        if sha256 is not None and _sha256(path) != sha256:
            raise CheckpointError(f"{path}: damaged or not the file its card.json was written for")
        return load_file(path)
    except (SafetensorError, OSError) as problem:
        raise CheckpointError(f"{path}: not readable as safetensors ({problem})") from None


def _builder(path: Path, card: Mapping[str, Any]) -> Callable[[], nn.Module]:
    """Give what builds the model a card names, refusing names and settings that are not ours."""
    name, config = card.get("model"), card.get("config")
    if not isinstance(name, str) or name not in MODELS or not isinstance(config, dict):
        raise CheckpointError(f"{path}: model {name!r} is not one of {', '.join(MODELS)}")
    config_class, module_class = MODELS[name]
    if not issubclass(module_class, nn.Module):
        raise CheckpointError(f"{path}: {name} is no network: no checkpoint holds one, fit it anew")
    known = {field.name for field in fields(config_class)}
    if not config.keys() <= known:
        raise CheckpointError(f"{path}: unknown settings {sorted(config.keys() - known)} of {name}")
    if config.get("n_outputs") != len(card["labels"]):
        raise CheckpointError(
            f"{path}: {len(card['labels'])} labels for {config.get('n_outputs')} outputs"
        )
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in config.items()}
    return lambda: module_class(config_class(**values))
