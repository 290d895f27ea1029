"""A checkpoint comes back as it was, and whatever is damaged, foreign or absurd is refused."""

import hashlib
import json
import pickle

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

import tiny_whisper
from affekt import checkpoint
from affekt.exceptions import CheckpointError
from affekt.models import LinearHead, LinearHeadConfig, WhisperProbe, WhisperProbeConfig

one_thread = pytest.fixture(scope="module", autouse=True)(tiny_whisper.one_thread)

LABELS = ["anger", "joie de vivre", "грусть"]
CARD = {"labels": LABELS, "corpora": [{"name": "toy", "licence": "CC0-1.0"}], "seed": 3}


def head():
    model = LinearHead(LinearHeadConfig(n_outputs=3, n_features=4, n_layers=2))
    torch.manual_seed(0)
    for parameter in model.parameters():
        nn.init.normal_(parameter)
    model.standardise(torch.randn(9, 2, 4))
    return model


def probe():
    model = WhisperProbe(WhisperProbeConfig(3, layers=(0, 2), width=32, n_heads=2))
    model.head.load_state_dict(LinearHead(model.config.head()).state_dict())
    with torch.no_grad():  # as published weights hold them
        positions = model.encoder.embed_positions.weight
        positions.copy_(positions.half().float())
    return model


@pytest.fixture
def folder(tmp_path):
    checkpoint.save(tmp_path / "checkpoint", head(), CARD)
    return tmp_path / "checkpoint"


def edit_card(folder, **changes):
    """Change entries of a card; None removes one."""
    path = folder / "card.json"
    card = json.loads(path.read_text("utf-8")) | changes
    card = {name: value for name, value in card.items() if value is not None}
    path.write_text(json.dumps(card), "utf-8")


def edit_config(folder, **changes):
    card = json.loads((folder / "card.json").read_text("utf-8"))
    edit_card(folder, config=card["config"] | changes)


def replace_weights(folder, data):
    """Put other bytes in place of the weights, and a sha256 that vouches for them."""
    (folder / "model.safetensors").write_bytes(data)
    edit_card(folder, sha256=hashlib.sha256(data).hexdigest())


def refusal(folder):
    """The one line with which a folder is refused."""
    with pytest.raises(CheckpointError) as caught:
        checkpoint.load(folder)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(str(folder))
    return message


@pytest.mark.parametrize("make", [head, probe])
def test_a_saved_network_comes_back_bit_for_bit(tmp_path, make):
    model = make()
    checkpoint.save(tmp_path / "c", model, CARD)
    loaded, card = checkpoint.load(tmp_path / "c")
    assert type(loaded) is type(model)
    assert loaded.config == model.config
    assert not loaded.training
    assert loaded.state_dict().keys() == model.state_dict().keys()
    for name, value in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value), name
    assert {name: card[name] for name in CARD} == CARD


def test_a_folder_has_a_card_and_weights_and_nothing_else(folder):
    assert sorted(path.name for path in folder.iterdir()) == ["card.json", "model.safetensors"]
    card = json.loads((folder / "card.json").read_text("utf-8"))
    digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    assert card["sha256"] == digest
    assert card["model"] == "linear_head"
    assert card["labels"][2] == "грусть"
    assert "грусть" in (folder / "card.json").read_text("utf-8"), "a card is for reading"


def test_saving_again_replaces(folder):
    checkpoint.save(folder, probe(), CARD | {"seed": 4})
    model, card = checkpoint.load(folder)
    assert isinstance(model, WhisperProbe)
    assert card["seed"] == 4


def test_saving_weights_that_do_not_lie_in_order_works(tmp_path):
    model = head()
    model.linear.weight = nn.Parameter(model.linear.weight.detach().T.contiguous().T)
    assert not model.linear.weight.is_contiguous()
    checkpoint.save(tmp_path, model, CARD)
    loaded, _ = checkpoint.load(tmp_path)
    assert torch.equal(loaded.linear.weight, model.linear.weight)


def test_a_network_without_a_name_cannot_be_saved(tmp_path):
    with pytest.raises(CheckpointError, match="Linear is not in MODELS"):
        checkpoint.save(tmp_path, nn.Linear(2, 2), CARD)
    assert list(tmp_path.iterdir()) == []


# missing or damaged files


@pytest.mark.parametrize("name", ["card.json", "model.safetensors"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    assert f"{name}: no such file" in refusal(folder)


def test_a_missing_folder_is_named(tmp_path):
    assert "no such file" in refusal(tmp_path / "nothing")


@pytest.mark.parametrize("place", [0, 40, -1])
def test_one_flipped_byte_is_noticed(folder, place):
    path = folder / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)
    assert "damaged or not the file its card.json was written for" in refusal(folder)


def test_weights_of_another_checkpoint_are_noticed(folder, tmp_path):
    other = head()
    nn.init.ones_(other.linear.weight)
    checkpoint.save(tmp_path / "other", other, CARD)
    (tmp_path / "other" / "model.safetensors").replace(folder / "model.safetensors")
    assert "damaged or not the file its card.json was written for" in refusal(folder)


class Bomb:
    """Unpickling this would write a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_a_pickle_is_refused_and_never_opened(folder, tmp_path):
    replace_weights(folder, pickle.dumps({"linear.weight": Bomb(tmp_path / "boom")}))
    assert "not readable as safetensors" in refusal(folder)
    torch.save({"linear.weight": Bomb(tmp_path / "boom")}, folder / "model.safetensors")
    replace_weights(folder, (folder / "model.safetensors").read_bytes())
    assert "not readable as safetensors" in refusal(folder)
    assert not (tmp_path / "boom").exists()


@pytest.mark.parametrize("data", [b"", b"\xff" * 64, b"\x08" + b"\x00" * 7 + b"{}      "])
def test_what_is_no_file_of_tensors_is_refused(folder, data):
    replace_weights(folder, data)
    assert "model.safetensors" in refusal(folder)


@pytest.mark.parametrize("text", ["", "{", "null", "[]", "[" * 100_000, '{"a": 1}'])
def test_what_is_no_card_is_refused(folder, text):
    (folder / "card.json").write_text(text, "utf-8")
    assert "card.json" in refusal(folder)


def test_a_card_that_is_no_text_is_refused(folder):
    (folder / "card.json").write_bytes(b"\xff\xfe\x00{}")
    assert "not readable as JSON" in refusal(folder)


def test_a_card_over_the_limit_is_refused_unread(folder):
    with (folder / "card.json").open("r+b") as file:
        file.truncate(16 * 2**20 + 1)
    assert "larger than" in refusal(folder)


# cards that say something else


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "affekt-checkpoint/2"}, "not an Affekt card of format affekt-checkpoint/1"),
        ({"format": "affekt-recognizer/1"}, "not an Affekt card of format affekt-checkpoint/1"),
        ({"sha256": None}, "sha256 of model.safetensors is missing"),
        ({"sha256": 5}, "sha256 of model.safetensors is missing"),
        ({"labels": None}, "`labels` must be a list of different names"),
        ({"labels": []}, "`labels` must be a list of different names"),
        ({"labels": "abc"}, "`labels` must be a list of different names"),
        ({"labels": ["a", "b", "a"]}, "`labels` must be a list of different names"),
        ({"labels": ["a", "b", 3]}, "`labels` must be a list of different names"),
        ({"labels": ["a", "b", ""]}, "`labels` must be a list of different names"),
        ({"labels": ["a", "b"]}, "2 labels for 3 outputs"),
        ({"model": "gpt"}, "model 'gpt' is not one of linear_head, whisper_probe"),
        ({"model": ["linear_head"]}, "is not one of linear_head"),
        ({"model": None}, "model None is not one of"),
        ({"model": "forest"}, "forest is no network"),
        ({"model": "whisper_probe"}, "unknown settings"),
        ({"config": None}, "is not one of"),
        ({"config": [3, 4]}, "is not one of"),
    ],
)
def test_a_card_that_does_not_fit_is_refused(folder, changes, message):
    edit_card(folder, **changes)
    assert message in refusal(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden": 3}, "unknown settings ['hidden'] of linear_head"),
        ({"n_outputs": 4}, "3 labels for 4 outputs"),
        ({"n_features": 5}, "has shape (3, 4), not (3, 5)"),
        ({"n_layers": 3}, "has shape"),
        ({"n_features": "4"}, "make no network"),
        ({"n_features": -4}, "make no network"),
        ({"n_features": [4]}, "make no network"),
        ({"n_features": 10**9, "n_layers": 10**6}, "has shape"),
        ({"n_features": 10**30}, "make no network"),
    ],
)
def test_settings_that_do_not_fit_are_refused(folder, changes, message):
    edit_config(folder, **changes)
    assert message in refusal(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"width": 10**5}, "has shape"),
        ({"width": 10**9}, "make no network"),
        ({"width": 33}, "make no network (width 33 cannot be shared by 2 heads)"),
        ({"n_heads": 0}, "make no network"),
        ({"layers": [0, 10**9]}, "make no network (1000000000 layers: there can be 0 to 64)"),
        ({"layers": []}, "make no network"),
        ({"layers": [0, -1]}, "make no network"),
        ({"layers": ["a"]}, "make no network"),
        ({"layers": [0, 1]}, "unknown ['encoder.layers.1."),
        ({"n_mels": 10**12}, "has shape"),
    ],
)
def test_absurd_encoders_are_refused_before_memory_is_taken(tmp_path, changes, message):
    """Width 10^5 would need 10^12 bytes: only a refusal in time comes back at all."""
    checkpoint.save(tmp_path, probe(), CARD)
    edit_config(tmp_path, **changes)
    assert message in refusal(tmp_path)


# tensors that are not those of the network


def edit_weights(folder, change):
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors")
    replace_weights(folder, (folder / "model.safetensors").read_bytes())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w.pop("linear.bias"), "missing ['linear.bias']"),
        (lambda w: w.update(extra=torch.zeros(1)), "unknown ['extra']"),
        (lambda w: w.update(mix=torch.zeros(5)), "mix has shape (5,), not (2,)"),
        (lambda w: w["linear.weight"].fill_(float("nan")), "linear.weight holds values that are"),
        (lambda w: w["scale"][0].fill_(float("inf")), "scale holds values that are not finite"),
        (
            lambda w: w.update(mix=torch.full((2,), 1e300, dtype=torch.float64)),
            "mix holds values that are not",
        ),
        (lambda w: w.update(mix=torch.zeros(2, dtype=torch.int8)), "mix holds torch.int8"),
    ],
)
def test_weights_that_do_not_fit_are_refused(folder, change, message):
    edit_weights(folder, change)
    assert message in refusal(folder)


def test_half_precision_weights_are_taken(folder):
    edit_weights(folder, lambda w: w.update({name: value.half() for name, value in w.items()}))
    model, _ = checkpoint.load(folder)
    torch.testing.assert_close(model.linear.weight, head().linear.weight, rtol=1e-3, atol=1e-3)
    assert model.linear.weight.dtype == torch.float32


@pytest.mark.parametrize("source", ["nosuch", "./no/such", "../no", "/no/such/folder", "a/b/c"])
def test_an_upstream_that_is_neither_a_folder_nor_a_name_asks_no_network(source):
    with pytest.raises(CheckpointError, match="no such folder; give a folder"):
        checkpoint.load_whisper_encoder(source)
