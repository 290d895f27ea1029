"""What recipes say that they read of their options is what they read."""

import dataclasses
import sys
from dataclasses import dataclass, replace
from typing import ClassVar

import pandas as pd
import pytest
import torch

import tiny_whisper
from affekt import checkpoint
from affekt.corpora import toy
from affekt.models import ResNet, ResNetConfig
from affekt.protocols.lssed_networks import PLAIN
from affekt.protocols.probe import RunOptions
from affekt.recipes import (
    ALWAYS_READ,
    RECIPES,
    frame_lengths,
    meant_and_heard,
    read_by,
    sequences,
)

one_thread = pytest.fixture(scope="module", autouse=True)(tiny_whisper.one_thread)


class Recorded(RunOptions):
    """Options that remember which of them were asked for; copies share the memory."""

    seen: ClassVar[set[str]] = set()

    def __getattribute__(self, name):
        copying = sys._getframe(1).f_globals["__name__"] == dataclasses.__name__
        if not copying and name in FIELDS:
            Recorded.seen.add(name)
        return super().__getattribute__(name)


FIELDS = {field.name for field in dataclasses.fields(RunOptions)}


@dataclass(frozen=True)
class Place:
    """Corpora, encoder and checkpoint that all recipes here share."""

    corpora: dict
    store: object
    upstream: str
    backbone: object


def few(folder, name, seed):
    toy.make(folder, seed=seed)
    corpus = toy.load(folder, durations=True)
    ids = [id_ for id_ in corpus.utterances.index if id_.endswith("_1")]
    return replace(corpus.select(ids), name=name)


def voted(corpus):
    """Two raters say what was meant, a third says neutral."""
    said = corpus.labels.idxmax(axis=1)
    rows = [(id_, rater, label) for id_, label in said.items() for rater in ("r1", "r2")]
    rows += [(id_, "r3", "neutral") for id_ in said.index]
    votes = pd.DataFrame(rows, columns=["utterance", "rater", "label"])
    return replace(corpus, votes=votes)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("place")
    toys = few(folder / "toy", "toy", 0)
    others = few(folder / "emovo", "emovo", 3)
    torch.manual_seed(0)
    parts = [{"name": "lssed", "speakers": ["1"]}]
    card = {"labels": list(toys.scheme), "feature": PLAIN, "corpora": parts}
    checkpoint.save(folder / "backbone", ResNet(ResNetConfig(4)), card)
    upstream = str(tiny_whisper.write(folder / "tiny"))
    corpora = {"toy": toys, "voted": voted(toys), "emovo": others, "ravdess": few24(toys)}
    corpora["emodb"] = replace(others, name="emodb")
    return Place(corpora, folder / "store", upstream, folder / "backbone")


def few24(corpus):
    """As many actors as EmoBox's folds of RAVDESS name, one clip each."""
    table = corpus.utterances.iloc[:24]
    named = table.assign(speaker=[f"{number:02d}" for number in range(1, 25)])
    return replace(corpus, utterances=named, name="ravdess")


CASES = {  # recipe -> corpora, options
    "ctc_table_1": (["toy"], {"method": "dummy,one-label"}),
    "dusha_crowd": (["voted", "emovo"], {}),
    "dusha_table_3": (["toy"], {"method": "dusha"}),
    "frame_lengths": (["toy"], {}),
    "iemocap_4": (["toy"], {"method": "dusha"}),
    "lssed_figure_2": (["toy"], {"method": "resnet18,vgg11"}),
    "lssed_table_4": (["toy", "emovo"], {"method": "resnet18"}),
    "lssed_table_5": (["toy"], {"method": "resnet18"}),
    "lssed_table_6": (["toy"], {"method": "asr,ser", "init": "backbone", "folds": None}),
    "meant_and_heard": (["voted"], {"folds": None}),
    "networks_zero_shot": (["toy", "emodb"], {"method": "resnet18", "folds": None}),
    "ravdess_speaker_folds": (["ravdess"], {"folds": None}),
    "sequences": (["toy"], {"method": "whisper"}),
    "speaker_folds": (["toy"], {"folds": None}),
}
SLOW = {"dusha_crowd", "lssed_figure_2", "lssed_table_4", "meant_and_heard"}  # several trainings


@pytest.fixture
def small(monkeypatch):
    """The least that still goes every way."""
    monkeypatch.setattr(frame_lengths, "WINDOWS", (0.2,))
    monkeypatch.setattr(sequences, "N_PER_SPEAKER", 2)
    monkeypatch.setattr(meant_and_heard, "L2_CHOICES", (0.1,))
    monkeypatch.setattr(meant_and_heard, "write_onnx", lambda *given: None)


@pytest.mark.parametrize(
    "recipe", [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in CASES]
)
def test_a_recipe_reads_what_it_says_and_nothing_else(place, small, tmp_path, recipe):
    corpora, changes = CASES[recipe]
    given = {"epochs": 1, "folds": ("1",), "layers": (2,)} | changes
    if "init" in given:
        given["init"] = place.backbone
    options = Recorded(
        corpora={name: place.corpora[name] for name in corpora},
        out=tmp_path,
        upstream=place.upstream,
        store=place.store,
        command="affekt run",
        progress=lambda what, total: lambda more: None,
        **given,
    )
    Recorded.seen.clear()
    RECIPES[recipe](options)
    assert Recorded.seen - ALWAYS_READ == read_by(recipe) - ALWAYS_READ


def test_every_recipe_says_what_it_reads_in_fields_that_there_are():
    assert not [name for name in RECIPES if read_by(name) is None]
    for name in CASES:
        assert read_by(name) <= FIELDS
    assert ALWAYS_READ < FIELDS


def test_the_recorder_sees_what_is_read_and_not_what_is_copied(tmp_path):
    options = Recorded({}, tmp_path, "u/whisper", tmp_path, "", print)
    Recorded.seen.clear()
    copy = replace(options, seed=3)
    assert (type(copy), Recorded.seen) == (Recorded, set())
    assert copy.upstream_name == "whisper"
    assert Recorded.seen == {"upstream"}
