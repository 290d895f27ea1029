"""From a corpus and a recogniser to a zero-shot number: export, predict, evaluate."""

import json
from importlib.resources import files
from pathlib import Path

import pytest
from typer.testing import CliRunner

from affekt import cli
from affekt.scheme import EKMAN_8
from linear_model import write_linear_model

# the sixth character of a name, "03a01Wa"; boredom counts as sadness among the eight
EMOTIONS = {
    "W": "anger",
    "L": "sadness",
    "E": "disgust",
    "A": "fear",
    "F": "happiness",
    "T": "sadness",
    "N": "neutral",
}
ASKED = ["anger", "disgust", "fear", "happiness", "neutral", "sadness"]


def run(*words: object) -> str:
    result = CliRunner().invoke(cli.app, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give the bundled model, or where it is not built yet the tests' linear one."""
    if (files("affekt") / "weights" / "affekt-base" / "model.onnx").is_file():
        return "affekt-base"
    return str(write_linear_model(tmp_path_factory.mktemp("linear")))


@pytest.fixture(scope="module")
def recordings(shared: Path) -> list[Path]:
    """Give two of each emotion, by several speakers."""
    found = sorted((shared / "corpora" / "emodb" / "wav").iterdir())
    ordered = [[path for path in found if path.stem[5] == emotion] for emotion in EMOTIONS]
    return [path for paths in ordered for path in (paths[0], paths[len(paths) // 2])]


@pytest.fixture(scope="module")
def exported(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("emodb")
    source = shared / "corpora" / "emodb"
    said = run("corpus", "export", "emodb", source, "--target", "ekman_8", "--out", folder)
    assert said.rstrip().endswith(" utterances of emodb, labels ekman_8")
    return folder


@pytest.mark.parametrize("form", ["csv", "json"])
@pytest.mark.parametrize("labels", [None, ASKED], ids=["all", "six"])
def test_exported_labels_and_predictions_give_the_accuracy_counted_by_hand(
    exported: Path,
    recordings: list[Path],
    model: str,
    tmp_path: Path,
    form: str,
    labels: list[str] | None,
) -> None:
    written = tmp_path / f"predictions.{form}"
    run("predict", *recordings, "--model", model, "--format", form, "--out", written)
    restriction = [] if labels is None else ["--labels", ",".join(labels)]
    page = run(
        "evaluate", exported / "labels.csv", written, "--common", *restriction,
        "--utterances", exported / "utterances.csv", "--out", tmp_path / "report",
    )  # fmt: skip

    rows = json.loads(run("predict", *recordings, "--model", model, "--format", "json"))
    allowed = EKMAN_8.labels if labels is None else labels
    answers = [max(allowed, key=lambda label, row=row: row[label]) for row in rows]
    right = sum(
        answer == EMOTIONS[path.stem[5]] for answer, path in zip(answers, recordings, strict=True)
    )
    report = json.loads((tmp_path / "report" / "report.json").read_text("utf-8"))
    assert report["n"] == len(recordings) == 14
    assert report["measures"]["accuracy"]["value"] == pytest.approx(right / 14)
    assert "bootstrap by speaker" in page
    assert "boredom" not in page


def test_without_a_target_the_corpus_own_labels_stand_and_the_report_says_what_is_never_answered(
    shared: Path, recordings: list[Path], model: str, tmp_path: Path
) -> None:
    run("corpus", "export", "emodb", shared / "corpora" / "emodb", "--out", tmp_path / "own")
    run("predict", *recordings, "--model", model, "--format", "csv", "--out", tmp_path / "p.csv")
    page = run("evaluate", tmp_path / "own" / "labels.csv", tmp_path / "p.csv", "--common")
    assert "the prediction never answers, since it does not know: boredom" in page
