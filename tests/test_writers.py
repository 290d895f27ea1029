"""Writers, read back by the standard library or a naive parser."""

import csv
import io
import json
import os
import re

import numpy as np

from affekt import writers
from affekt.cli.predict import Format
from affekt.timeline import Segment, Timeline
from affekt.writers import Prediction
from linear_model import LABELS


def test_every_format_has_one_writer() -> None:
    assert [str(name) for name in Format] == list(writers.FORMATS)


def a_timeline(*segments: Segment, duration: float) -> Timeline:
    scores = {"anger": 0.25, "neutral": 0.75}
    return Timeline(
        np.zeros((1, 2)), np.zeros((1, 2), np.float32), tuple(scores), segments, scores, duration
    )


def test_quotes_commas_and_newlines_survive_the_way_back() -> None:
    name = 'a "b", c\nd é 声.wav'
    line = a_timeline(Segment(0.0, 1.5, 'so-"called"', 0.9), duration=2.0)
    one = Prediction(name, "a", line.overall, line)
    labels = line.labels
    assert json.loads("".join(writers.as_json([one], labels, True)))[0]["file"] == name
    read = list(csv.reader(io.StringIO("".join(writers.as_csv([one], labels, False)))))
    assert read == [["file", "anger", "neutral"], [name, "0.250000", "0.750000"]]
    grid = "".join(writers.textgrid([one], labels, True))
    texts = [m.replace('""', '"') for m in re.findall(r'text = "((?:[^"]|"")*)"\n', grid)]
    assert texts == ['so-"called"', ""]
    assert "".join(writers.table([one], labels, True)).splitlines()[0] == 'a "b", c\\nd é 声.wav'


def test_documents_without_any_prediction_are_still_valid() -> None:
    assert json.loads("".join(writers.as_json([], LABELS, False))) == []
    assert "".join(writers.as_csv([], LABELS, False)) == ",".join(["file", *LABELS]) + "\n"
    assert "".join(writers.rttm([], LABELS, True)) == ""


def test_json_says_names_that_are_no_text() -> None:
    name = os.fsdecode(b"\xff.wav")
    text = "".join(writers.as_json([Prediction(name, "x", {"anger": 1.0})], ["anger"], False))
    assert json.loads(text.encode())[0]["file"] == name
