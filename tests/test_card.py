"""The card of a model's folder: what is written reads back, anything else is refused."""

import json
from pathlib import Path

import pytest

from affekt.card import (
    CHECKPOINT,
    MAX_CARD_BYTES,
    RECOGNIZER,
    Kind,
    Reference,
    reference,
    temperature,
)
from affekt.exceptions import CheckpointError

KINDS = pytest.mark.parametrize("kind", [CHECKPOINT, RECOGNIZER], ids=lambda kind: kind.name)


@KINDS
def test_a_card_reads_back_with_its_format_first_and_its_hash_last(
    kind: Kind, tmp_path: Path
) -> None:
    kind.write_card(tmp_path, {"labels": ["anger", "Ärger"], "seed": 3}, "ab12")
    whole = {"format": kind.format, "labels": ["anger", "Ärger"], "seed": 3, "sha256": "ab12"}
    assert kind.read_card(tmp_path) == whole
    assert list(json.loads((tmp_path / "card.json").read_text("utf-8"))) == list(whole)


def test_a_card_of_one_kind_is_not_taken_for_the_other(tmp_path: Path) -> None:
    CHECKPOINT.write_card(tmp_path, {"labels": ["anger"]}, "ab12")
    with pytest.raises(CheckpointError, match="not an Affekt card of format affekt-recognizer/1"):
        RECOGNIZER.read_card(tmp_path)


@KINDS
@pytest.mark.parametrize(
    "labels", [None, [], "anger", ["a", "a"], ["a", ""], ["a", 1], ["two\nlines"], [["a"], "b"]]
)
def test_labels_are_different_names(kind: Kind, tmp_path: Path, labels: object) -> None:
    kind.write_card(tmp_path, {"labels": labels}, "ab12")
    with pytest.raises(CheckpointError, match=r"card\.json: `labels` must be a list of different"):
        kind.read_card(tmp_path)


def test_a_file_too_large_for_a_card_is_not_parsed(tmp_path: Path) -> None:
    (tmp_path / "card.json").write_text("[" + " " * MAX_CARD_BYTES + "]")
    with pytest.raises(CheckpointError, match="larger than 16777216 bytes; not a card"):
        CHECKPOINT.read_card(tmp_path)


@KINDS
def test_where_no_card_can_be_read_the_message_says_what_was_looked_for(
    kind: Kind, tmp_path: Path
) -> None:
    with pytest.raises(CheckpointError) as absent:
        kind.read_card(tmp_path)
    remedy = f"is {tmp_path} a {kind.name} folder?"
    assert str(absent.value) == f"{tmp_path / 'card.json'}: no such file; {remedy}"
    (tmp_path / "card.json").mkdir()
    with pytest.raises(CheckpointError) as folder:
        kind.read_card(tmp_path)
    assert (
        str(folder.value) == f"{tmp_path / 'card.json'}: cannot be read (Is a directory); {remedy}"
    )


# --- what a recogniser's card says of its logits --------------------------------------------

MEANS = {"alone": [0.5, 1], "in_context": [0.0, -2.5], "alone_seconds": 7.0}


def test_the_mean_of_the_training_logits_is_read_and_may_lack(tmp_path: Path) -> None:
    card = {"labels": ["anger", "fear"], "reference_logits": MEANS}
    assert reference(card, tmp_path) == Reference((0.5, 1), (0.0, -2.5), 7.0)
    assert reference({"labels": ["anger", "fear"]}, tmp_path) is None


@pytest.mark.parametrize(
    "wrong",
    [
        [],
        {},
        {**MEANS, "alone": [1.0]},
        {**MEANS, "in_context": [1.0, 2.0, 3.0]},
        {**MEANS, "alone": [1.0, float("nan")]},
        {**MEANS, "alone": [1.0, True]},
        {**MEANS, "alone": "ab"},
        {**MEANS, "alone_seconds": None},
        {**MEANS, "more": 1},
    ],
)
def test_means_that_do_not_fit_the_labels_are_refused(wrong: object, tmp_path: Path) -> None:
    card = {"labels": ["anger", "fear"], "reference_logits": wrong}
    with pytest.raises(CheckpointError, match=r"`reference_logits` must be `alone` and"):
        reference(card, tmp_path)


@pytest.mark.parametrize("wrong", [None, 0, -1.0, float("inf"), float("nan"), "1", True])
def test_a_temperature_is_a_positive_number(wrong: object, tmp_path: Path) -> None:
    assert temperature({"temperature": 2}, tmp_path) == 2.0
    with pytest.raises(CheckpointError, match="`temperature` is no positive number"):
        temperature({"temperature": wrong}, tmp_path)
