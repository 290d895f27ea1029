"""A checkpoint is a folder: `card.json` (what it is) and `model.safetensors` (its weights)."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from affekt.atomic import replacing
from affekt.exceptions import CheckpointError
from affekt.models import MODELS
from affekt.models.whisper import WhisperConfig, WhisperEncoder

FORMAT = "affekt-checkpoint/1"
WHISPER_SETTINGS = ("num_mel_bins", "d_model", "encoder_attention_heads", "encoder_layers")
MAX_CARD_BYTES = 16 * 2**20  # 16 MiB: a card is text; anything larger is something else


def save(folder: str | Path, model: nn.Module, card: Mapping[str, Any]) -> None:
    """Write a checkpoint folder.

    Args:
        folder: made if absent; an older checkpoint there is replaced, weights first.
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
        digest = hashlib.sha256(temporary.read_bytes()).hexdigest()
    whole = {
        "format": FORMAT,
        "model": names[0],
        "config": asdict(model.config),  # type: ignore[call-overload]
        **card,
        "sha256": digest,
    }
    with replacing(folder / "card.json") as temporary:
        temporary.write_text(json.dumps(whole, indent=1, ensure_ascii=False) + "\n", "utf-8")


def load(folder: str | Path) -> tuple[nn.Module, dict[str, Any]]:
    """Read a checkpoint folder; nothing is unpickled.

    Returns:
        The model in evaluation mode, and its card.

    Raises:
        CheckpointError: the folder, card or weights are missing, damaged, foreign, or disagree.
    """
    folder = Path(folder)
    card = read_card(folder)
    model = _build(folder, card)
    path = folder / "model.safetensors"
    if not path.is_file():
        raise CheckpointError(
            f"{path}: no such file; a checkpoint has card.json and model.safetensors"
        )
    if hashlib.sha256(path.read_bytes()).hexdigest() != card.get("sha256"):
        raise CheckpointError(f"{path}: damaged or not the file its card.json was written for")
    load_weights(model, _read(path), path)
    return model.eval(), card


def read_card(folder: Path) -> dict[str, Any]:
    """Read and check `card.json`: JSON of our format with a list of different labels."""
    path = folder / "card.json"
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file; is {folder} a checkpoint folder?")
    if path.stat().st_size > MAX_CARD_BYTES:
        raise CheckpointError(f"{path}: larger than {MAX_CARD_BYTES} bytes; not a card")
    try:
        card = json.loads(path.read_text("utf-8"))
    except (ValueError, OSError) as problem:
        raise CheckpointError(f"{path}: not readable as JSON ({problem})") from None
    if not isinstance(card, dict) or card.get("format") != FORMAT:
        raise CheckpointError(f"{path}: not an Affekt card of format {FORMAT}")
    labels = card.get("labels")
    if not isinstance(labels, list) or not labels or len(set(map(str, labels))) != len(labels):
        raise CheckpointError(f"{path}: `labels` must be a list of different names")
    return card


def load_weights(model: nn.Module, weights: dict[str, Tensor], path: Path) -> None:
    """Put tensors into a model if every name and shape agrees."""
    expected = model.state_dict()
    missing = sorted(expected.keys() - weights.keys())
    extra = sorted(weights.keys() - expected.keys())
    if missing or extra:
        raise CheckpointError(f"{path}: tensors missing {missing[:3]}, unknown {extra[:3]}")
    for name, value in weights.items():
        if value.shape != expected[name].shape:
            raise CheckpointError(
                f"{path}: {name} has shape {tuple(value.shape)}, not {tuple(expected[name].shape)}"
            )
        if not torch.isfinite(value).all():
            raise CheckpointError(f"{path}: {name} holds values that are not finite")
    model.load_state_dict({name: value.to(expected[name].dtype) for name, value in weights.items()})


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
        config, weights = _read_whisper_hub(str(source))
    depth = config["encoder_layers"] if n_layers is None else n_layers
    if not 0 <= depth <= config["encoder_layers"]:
        raise CheckpointError(f"{source}: has {config['encoder_layers']} layers, not {depth}")
    encoder = WhisperEncoder(
        WhisperConfig(
            config["num_mel_bins"], config["d_model"], config["encoder_attention_heads"], depth
        )
    )
    wanted = encoder.state_dict().keys()
    load_weights(encoder, {k: v for k, v in weights.items() if k in wanted}, folder)
    return encoder.eval()


def _read_whisper_folder(folder: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text("utf-8"))
        return {name: config[name] for name in WHISPER_SETTINGS}, _read(
            folder / "encoder.safetensors"
        )
    except (OSError, ValueError, TypeError, KeyError) as problem:
        raise CheckpointError(f"{path}: not a Whisper configuration ({problem!r})") from None


def _read_whisper_hub(name: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    try:
        from transformers import WhisperModel
    except ImportError:
        raise CheckpointError(
            f"{name}: no such folder; for models of the hub: pip install 'affekt[whisper]'"
        ) from None
    try:
        whole = WhisperModel.from_pretrained(name, use_safetensors=True)
    except (OSError, ValueError) as problem:
        reason = str(problem).splitlines()[0]
        raise CheckpointError(
            f"{name}: neither a local folder nor a model that can be fetched ({reason}); "
            "give a folder with config.json and encoder.safetensors or model.safetensors"
        ) from None
    return whole.config.to_dict(), dict(whole.encoder.state_dict())


def _read(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (SafetensorError, OSError) as problem:
        raise CheckpointError(f"{path}: not readable as safetensors ({problem})") from None


def _build(folder: Path, card: Mapping[str, Any]) -> nn.Module:
    """Build the model a card names, refusing names and settings that are not ours."""
    path = folder / "card.json"
    name, config = card.get("model"), card.get("config")
    if name not in MODELS or not isinstance(config, dict):
        raise CheckpointError(f"{path}: model {name!r} is not one of {', '.join(MODELS)}")
    config_class, module_class = MODELS[name]
    known = {field.name for field in fields(config_class)}
    if not config.keys() <= known:
        raise CheckpointError(f"{path}: unknown settings {sorted(config.keys() - known)} of {name}")
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in config.items()}
    try:
        model: nn.Module = module_class(config_class(**values))
    except (TypeError, ValueError, RuntimeError) as problem:
        raise CheckpointError(f"{path}: settings do not make a {name} ({problem})") from None
    if config.get("n_outputs") != len(card["labels"]):
        raise CheckpointError(
            f"{path}: {len(card['labels'])} labels for {config.get('n_outputs')} outputs"
        )
    return model
