"""`affekt predict` run with the linear model, and a recording it can tell apart."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from affekt import audio, cli
from linear_model import write_linear_model
from media import RATE, tone


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str


Run = Callable[..., Outcome]


def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_linear_model(tmp_path_factory.mktemp("linear"))


def run(model: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Run the entry point of `affekt predict` with the linear model."""

    def predict(*arguments: object) -> Outcome:
        words = ["affekt", "predict", "--model", str(model), *map(str, arguments)]
        monkeypatch.setattr(sys, "argv", words)
        with pytest.raises(SystemExit) as ended:
            cli.main()
        code = ended.value.code
        return Outcome(code if isinstance(code, int) else 0, *capfd.readouterr())

    return predict


def talk(tmp_path: Path) -> Path:
    """Five seconds that the linear model calls anger, a pause, five of sadness."""
    parts = [tone(5.0, frequency=300.0), np.zeros(2 * RATE), tone(5.0, frequency=4_000.0)]
    audio.write(tmp_path / "talk.wav", np.concatenate(parts).astype(np.float32))
    return tmp_path / "talk.wav"
