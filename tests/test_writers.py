"""Writers, read back by the standard library or a naive parser."""

import csv
import io
import json
import os
import re

import numpy as np
import pytest

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


@pytest.mark.parametrize("timeline", [False, True])
@pytest.mark.parametrize("form", list(writers.FORMATS))
def test_a_name_that_is_not_utf_8_is_escaped_in_every_document(form: str, timeline: bool) -> None:
    name = os.fsdecode(b"lat\xe9in.wav")
    line = a_timeline(Segment(0.0, 1.5, "anger", 0.9), duration=2.0)
    one = Prediction(name, name, line.overall, line if timeline else None)
    text = "".join(writers.FORMATS[form]([one], line.labels, timeline)).encode().decode("utf-8")
    names_files = form in ("table", "json", "csv") or (form == "rttm" and timeline)
    if form == "json":
        assert json.loads(text)[0]["file"] == r"lat\udce9in.wav"
    else:
        assert (r"lat\udce9in.wav" in text) is names_files


@pytest.mark.parametrize("timeline", [False, True])
def test_what_an_answer_was_measured_from_is_said_and_otherwise_nothing_is(timeline: bool) -> None:
    line = a_timeline(Segment(0.0, 1.5, "anger", 0.9), duration=2.0)
    scores = {"anger": 0.25, "neutral": 0.75}
    found = [
        Prediction("a.wav", "a", scores, line, "recording"),
        Prediction("b.wav", "b", scores, line, ""),  # too short to be measured from itself
    ]
    rows = list(csv.DictReader(io.StringIO("".join(writers.as_csv(found, line.labels, timeline)))))
    assert [row["adapted"] for row in rows] == ["recording", ""]
    read = json.loads("".join(writers.as_json(found, line.labels, timeline)))
    assert [row["adapted"] for row in read] == ["recording", ""]
    text = "".join(writers.table(found, line.labels, timeline))
    assert "a.wav  (measured from: recording)\n" in text
    assert "\nb.wav\n" in text
    strict = Prediction("a.wav", "a", scores, line)
    for name in ("json", "csv", "table"):
        said = "".join(writers.FORMATS[name]([strict], line.labels, timeline))
        assert "adapted" not in said
        assert "measured" not in said
