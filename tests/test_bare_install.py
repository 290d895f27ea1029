"""`pip install affekt` without extras can predict: proved in an environment made for it."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
EXTRAS = ("torch", "transformers", "sklearn", "accelerate", "safetensors", "onnx", "matplotlib",
          "pyarrow", "fastapi", "sqlalchemy")  # fmt: skip
HEAVY = ("pandas", "scipy", "matplotlib", "torch")  # what a prediction has no use for

pytestmark = pytest.mark.slow


def run(*command: str | Path, cwd: Path) -> str:
    """Give what a program prints; its failure is the test's, with all it said."""
    clean = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(command, cwd=cwd, env=clean, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(
        sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", folder, ROOT, cwd=folder
    )
    (made,) = folder.glob("affekt-*.whl")
    return made


@pytest.fixture(scope="module")
def bare(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder of programs of an environment with the wheel and its dependencies alone."""
    folder = tmp_path_factory.mktemp("bare")
    run(sys.executable, "-m", "venv", folder / "venv", cwd=folder)
    programs = folder / "venv" / ("Scripts" if os.name == "nt" else "bin")
    constraints = ROOT / "constraints.txt"
    run(
        programs / "python", "-m", "pip", "install", "--quiet", "-c", constraints, wheel, cwd=folder
    )
    return programs


def test_the_wheel_carries_model_example_and_licences_and_nothing_else_large(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        sizes = {info.filename: info.file_size for info in archive.infolist()}
    for name in (
        "affekt/py.typed",
        "affekt/harmonise.toml",
        "affekt/weights/affekt-base/model.onnx",
        "affekt/weights/affekt-base/card.json",
        "affekt/weights/affekt-base/LICENSE-whisper",
        "affekt/example/crema-d-excerpt.ogg",
        "affekt/example/crema-d-excerpt.json",
        "affekt/example/LICENSE-ODbL.txt",
        "affekt/example/LICENSE-DbCL.txt",
        "affekt/example/ATTRIBUTION.md",
    ):
        assert name in sizes
    assert sizes.pop("affekt/weights/affekt-base/model.onnx") <= 12 * 2**20
    assert max(sizes.values()) < 300_000
    assert not [name for name in sizes if name.startswith(("tests/", "docs/"))]


def test_a_bare_install_has_no_extra(bare: Path, tmp_path: Path) -> None:
    code = f"import importlib.util as u; print([n for n in {EXTRAS} if u.find_spec(n)])"
    assert run(bare / "python", "-c", code, cwd=tmp_path).strip() == "[]"


def test_a_bare_install_predicts_with_probabilities_that_sum_to_one(
    bare: Path, tmp_path: Path
) -> None:
    recording = ROOT / "src" / "affekt" / "example" / "crema-d-excerpt.ogg"
    printed = run(bare / "affekt", "predict", recording, "--format", "json", cwd=tmp_path)
    (row,) = json.loads(printed)
    assert row.pop("file") == str(recording)
    assert len(row) == 8
    assert all(0 <= share <= 1 for share in row.values())
    assert sum(row.values()) == pytest.approx(1, abs=1e-4)


def test_a_bare_install_shows_the_demo_without_a_picture(bare: Path, tmp_path: Path) -> None:
    printed = run(bare / "affekt", "demo", cwd=tmp_path)
    assert "No picture without matplotlib: pip install 'affekt[plots]'" in printed
    assert list(tmp_path.iterdir()) == []


def test_a_prediction_imports_nothing_heavy(bare: Path, tmp_path: Path) -> None:
    recording = ROOT / "src" / "affekt" / "example" / "crema-d-excerpt.ogg"
    code = (
        "import sys, affekt; affekt.load().predict(sys.argv[1]);"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    assert run(bare / "python", "-c", code, recording, cwd=tmp_path).strip() == "[]"
