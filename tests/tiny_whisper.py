"""A Whisper encoder small enough to be made anew in every test: random, three layers, width 32."""

import json
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors.torch import save_file

from affekt.models.whisper import WhisperConfig, WhisperEncoder

CONFIG = WhisperConfig(width=32, n_heads=2, n_layers=3)


def encoder(config: WhisperConfig = CONFIG, *, seed: int = 0) -> WhisperEncoder:
    """Random weights, the same for the same seed."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return WhisperEncoder(config).eval()


def write(folder: Path, *, seed: int = 0) -> Path:
    """Write it as a folder with `config.json` and `encoder.safetensors`, Hugging Face names."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {
        "model_type": "whisper",
        "num_mel_bins": CONFIG.n_mels,
        "d_model": CONFIG.width,
        "encoder_attention_heads": CONFIG.n_heads,
        "encoder_layers": CONFIG.n_layers,
    }
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    save_file(encoder(seed=seed).state_dict(), folder / "encoder.safetensors")
    return folder


def one_thread() -> Iterator[None]:
    """For networks this small: threads would only wait for each other. Use as a fixture."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
