"""The card of a model's folder: `card.json` says what the weights beside it are."""

import hashlib
import json
import math
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

    def read_weights(self, folder: Traversable, card: Mapping[str, Any]) -> bytes:
        """Read the file of the weights that a card was written for.

        Raises:
            CheckpointError: it cannot be read, or is another file.
        """
        try:
            data = (folder / self.weights).read_bytes()
        except OSError as problem:
            raise CheckpointError(
                f"{folder}: {self.weights} cannot be read ({problem.strerror}); a {self.name} is a"
                f" folder with {CARD} and {self.weights}"
            ) from None
        if hashlib.sha256(data).hexdigest() != card["sha256"]:
            raise CheckpointError(
                f"{folder}: {self.weights} is not the file its {CARD} was written for"
            )
        return data

    def write_card(self, folder: Path, card: Mapping[str, Any], sha256: str) -> None:
        """Write `card.json`, whole or not at all: the format first, the weights' sha256 last."""
        whole = {"format": self.format, **card, "sha256": sha256}
        with replacing(folder / CARD) as temporary:
            temporary.write_text(json.dumps(whole, indent=1, ensure_ascii=False) + "\n", "utf-8")


CHECKPOINT = Kind("checkpoint", "affekt-checkpoint/1", "model.safetensors")
RECOGNIZER = Kind("recogniser", "affekt-recognizer/1", "model.onnx")


def temperature(card: Mapping[str, Any], folder: Traversable) -> float:
    """Give what a recogniser's logits are divided by.

    Raises:
        CheckpointError: the card has no positive number there.
    """
    value: Any = card.get("temperature")
    if not _is_number(value) or not value > 0:
        raise CheckpointError(f"{folder}: {CARD}: `temperature` is no positive number")
    return float(value)


@dataclass(frozen=True)
class Reference:
    """Where the training data lay: mean logits, before the temperature, of a recogniser's heads.

    `alone`: of the head for what is all that is heard and lasts `alone_seconds` at most;
    `in_context`: of the head for everything else. (n_labels,) each.
    """

    alone: tuple[float, ...]
    in_context: tuple[float, ...]
    alone_seconds: float


def reference(card: Mapping[str, Any], folder: Traversable) -> Reference | None:
    """Read `reference_logits` of a recogniser's card; None where it has none.

    Raises:
        CheckpointError: they are not one number per label and head.
    """
    found = card.get("reference_logits")
    if found is None:
        return None
    names = Reference.__dataclass_fields__
    if isinstance(found, dict) and found.keys() == names.keys():
        heads, seconds = [found["alone"], found["in_context"]], found["alone_seconds"]
        fit = all(isinstance(head, list) and len(head) == len(card["labels"]) for head in heads)
        if fit and all(map(_is_number, [*heads[0], *heads[1], seconds])):
            return Reference(tuple(heads[0]), tuple(heads[1]), seconds)
    raise CheckpointError(
        f"{folder}: {CARD}: `reference_logits` must be `alone` and `in_context`, a number per"
        " label each, and `alone_seconds`"
    )


def _is_number(value: Any) -> bool:
    numeric = isinstance(value, int | float) and not isinstance(value, bool)
    return numeric and math.isfinite(value)


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
