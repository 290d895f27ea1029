"""Pictures: confusion, reliability, errors, emotion along time, corpora, people.

Figures are made as objects, never through pyplot, so nobody's global state or window changes.
Every function gives a matplotlib Figure; `save` writes it.
"""

from affekt.plots.along_time import sequences, timeline
from affekt.plots.composition import classes, durations
from affekt.plots.errors import error_structure, framewise, model_and_people
from affekt.plots.evaluation import confusion, confusions, reliability
from affekt.plots.pages import write_errors
from affekt.plots.people import meant_and_heard
from affekt.plots.style import COLOURS, ENDINGS, SPARE, colours, save

__all__ = [
    "COLOURS",
    "ENDINGS",
    "SPARE",
    "classes",
    "colours",
    "confusion",
    "confusions",
    "durations",
    "error_structure",
    "framewise",
    "meant_and_heard",
    "model_and_people",
    "reliability",
    "save",
    "sequences",
    "timeline",
    "write_errors",
]
