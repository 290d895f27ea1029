"""The card of a model's folder: `card.json` says what the weights beside it are."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.abc import Traversable
from pathlib import Path
from typing import Any

from affekt.atomic import replacing
from affekt.exceptions import CheckpointError

CARD = "card.json"
MAX_CARD_BYTES = 16 * 2**20  # 16 MiB: a card is text; anything larger is something else


@dataclass(frozen=True)
class Kind:
    """A kind of folder: what it is called, the format its card names, the file of its weights."""

    name: str
    format: str
    weights: str

    def read_card(self, folder: Traversable) -> dict[str, Any]:
        """Read `card.json` and check what every kind has: format, labels, sha256 of the weights.

        Raises:
            CheckpointError: no card, not JSON, of another format, without sha256, or its `labels`
                are no list of different printable names.
        """
        path = folder / CARD
        card = _parse(path, f"is {folder} a {self.name} folder?")
        if not isinstance(card, dict) or card.get("format") != self.format:
            raise CheckpointError(f"{path}: not an Affekt card of format {self.format}")
        if not isinstance(card.get("sha256"), str):
            raise CheckpointError(f"{path}: the sha256 of {self.weights} is missing")
        if not _are_names(card.get("labels")):
            raise CheckpointError(f"{path}: `labels` must be a list of different names")
        return card

    def write_card(self, folder: Path, card: Mapping[str, Any], sha256: str) -> None:
        """Write `card.json`, whole or not at all: the format first, the weights' sha256 last."""
        whole = {"format": self.format, **card, "sha256": sha256}
        with replacing(folder / CARD) as temporary:
            temporary.write_text(json.dumps(whole, indent=1, ensure_ascii=False) + "\n", "utf-8")


CHECKPOINT = Kind("checkpoint", "affekt-checkpoint/1", "model.safetensors")
RECOGNIZER = Kind("recogniser", "affekt-recognizer/1", "model.onnx")


def _are_names(labels: Any) -> bool:
    return (
        isinstance(labels, list)
        and bool(labels)
        and all(isinstance(name, str) and name and name.isprintable() for name in labels)
        and len(set(labels)) == len(labels)
    )


def _parse(path: Traversable, remedy: str) -> Any:
    try:
        with path.open("rb") as file:
            text = file.read(MAX_CARD_BYTES + 1)
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such file; {remedy}") from None
    except OSError as problem:
        raise CheckpointError(f"{path}: cannot be read ({problem.strerror}); {remedy}") from None
    if len(text) > MAX_CARD_BYTES:
        raise CheckpointError(f"{path}: larger than {MAX_CARD_BYTES} bytes; not a card")
    try:
        return json.loads(text.decode("utf-8"))
    except (ValueError, RecursionError) as problem:
        raise CheckpointError(f"{path}: not readable as JSON ({problem})") from None
