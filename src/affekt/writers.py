"""Predictions as text: a table to read, JSON, CSV, RTTM, Praat TextGrid, SRT subtitles.

Each writer takes predictions one by one, as they come, and yields pieces of text; what it has
yielded by the end is a whole document, however many predictions there were. Names that are no text
on disk are escaped, so every document is UTF-8.
"""

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from affekt.decode import name_of
from affekt.timeline import Segment, Timeline

BAR_CELLS = 24  # cells of a bar for probability 1
SHOWN = 0.005  # labels below half a percent are left out of the table
DIGITS = 6  # decimals of a probability: rows of dozens of labels still sum to 1 within 1e-4


@dataclass(frozen=True)
class Prediction:
    """What was found in one recording; `name` tells it apart where a path does not fit.

    `adapted`: the voice it was measured from, "" = none under a mode that has one for others;
    None = strictly on its own. Answers of the one kind and of the other are reported apart.
    """

    file: str
    name: str
    scores: dict[str, float]
    timeline: Timeline | None = None
    adapted: str | None = None

    @property
    def segments(self) -> tuple[Segment, ...]:
        """Segments of the timeline, none without one."""
        return self.timeline.segments if self.timeline else ()


Writer = Callable[[Iterable[Prediction], Sequence[str], bool], Iterator[str]]


def table(
    predictions: Iterable[Prediction], labels: Sequence[str], timeline: bool
) -> Iterator[str]:
    """Yield blocks for people: the labels by probability, with bars, then the segments."""
    width = max(map(len, labels))
    for prediction in predictions:
        how = f"  (measured from: {prediction.adapted})" if prediction.adapted else ""
        yield f"{name_of(prediction.file)}{how}\n"
        for label, share in sorted(prediction.scores.items(), key=lambda item: -item[1]):
            if share >= SHOWN:
                bar = "█" * round(share * BAR_CELLS)
                yield f"  {label:<{width}}  {share:4.0%}  {bar}".rstrip() + "\n"
        for s in prediction.segments:
            span = f"{_clock(s.start)} - {_clock(s.end)}"
            yield f"  {span}  {s.label:<{width}}  {s.probability:4.0%}\n"


def as_json(
    predictions: Iterable[Prediction], labels: Sequence[str], timeline: bool
) -> Iterator[str]:
    """Yield a list of objects: `file`, a number per label, with a timeline also `segments`.

    Under adaptation `adapted` says by what.
    """
    opening = "[\n"
    for prediction in predictions:
        row: dict[str, Any] = {"file": escaped(prediction.file)}
        row |= {label: round(share, DIGITS) for label, share in prediction.scores.items()}
        if prediction.adapted is not None:
            row["adapted"] = prediction.adapted
        if timeline:
            row["segments"] = [
                asdict(s) | {"probability": round(s.probability, DIGITS)}
                for s in prediction.segments
            ]
        yield opening + json.dumps(row, ensure_ascii=False)
        opening = ",\n"
    yield "[]\n" if opening == "[\n" else "\n]\n"


def as_csv(
    predictions: Iterable[Prediction], labels: Sequence[str], timeline: bool
) -> Iterator[str]:
    """Yield `file` and a column per label; with a timeline a row per segment instead.

    Under adaptation a last column `adapted` says by what.
    """
    columns = ["file", "start", "end", "label", "probability"] if timeline else ["file", *labels]
    header = True
    for prediction in predictions:
        how = [] if prediction.adapted is None else [prediction.adapted]
        if header:
            yield _row([*columns, *(["adapted"] if how else [])])
            header = False
        name = escaped(prediction.file)
        if not timeline:
            shares = (f"{prediction.scores[label]:.{DIGITS}f}" for label in labels)
            yield _row([name, *shares, *how])
        for s in prediction.segments if timeline else ():
            times = [f"{s.start:.3f}", f"{s.end:.3f}"]
            yield _row([name, *times, s.label, f"{s.probability:.{DIGITS}f}", *how])
    if header:
        yield _row(columns)


def rttm(predictions: Iterable[Prediction], labels: Sequence[str], timeline: bool) -> Iterator[str]:
    """Yield NIST's Rich Transcription lines of ten fields: the label stands where the speaker does.

    The ninth field is the probability; the file id has "_" for white space.
    """
    for prediction in predictions:
        name = _word(prediction.name)
        for s in prediction.segments:
            yield (
                f"SPEAKER {name} 1 {s.start:.3f} {s.end - s.start:.3f} <NA> <NA> {_word(s.label)}"
                f" {s.probability:.{DIGITS}f} <NA>\n"
            )


def textgrid(
    predictions: Iterable[Prediction], labels: Sequence[str], timeline: bool
) -> Iterator[str]:
    """Yield one recording as Praat's long TextGrid: a tier `emotion`, pauses as empty text."""
    for prediction in predictions:
        if prediction.timeline is None:
            continue
        end = round(prediction.timeline.duration, 3)
        intervals = _tiling(prediction.segments, end)
        yield (
            'File type = "ooTextFile"\nObject class = "TextGrid"\n\n'
            f"xmin = 0\nxmax = {end:.3f}\ntiers? <exists>\nsize = 1\nitem []:\n"
            '    item [1]:\n        class = "IntervalTier"\n        name = "emotion"\n'
            f"        xmin = 0\n        xmax = {end:.3f}\n"
            f"        intervals: size = {len(intervals)}\n"
        )
        for number, (first, last, label) in enumerate(intervals, start=1):
            text = label.replace('"', '""')
            yield (
                f"        intervals [{number}]:\n            xmin = {first:.3f}\n"
                f'            xmax = {last:.3f}\n            text = "{text}"\n'
            )


def srt(predictions: Iterable[Prediction], labels: Sequence[str], timeline: bool) -> Iterator[str]:
    """Yield one recording as SubRip subtitles: label and percent, one subtitle a segment."""
    for prediction in predictions:
        for number, s in enumerate(prediction.segments, start=1):
            span = f"{_subtitle_time(s.start)} --> {_subtitle_time(s.end)}"
            yield f"{number}\n{span}\n{s.label} {s.probability:.0%}\n\n"


FORMATS: dict[str, Writer] = {
    "table": table,
    "json": as_json,
    "csv": as_csv,
    "rttm": rttm,
    "textgrid": textgrid,
    "srt": srt,
}
TIMELINE_FORMATS = frozenset({"rttm", "textgrid", "srt"})  # say nothing without a timeline
ENDINGS = {"textgrid": ".TextGrid", "srt": ".srt"}  # formats that hold one recording


def escaped(name: str) -> str:
    r"""Write what is no text in a name, bytes that are not UTF-8, as backslash escapes.

    >>> print(escaped("lat\udce9in.wav"), escaped("latéin.wav"))
    lat\udce9in.wav latéin.wav
    """
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def _word(text: str) -> str:
    return re.sub(r"\s+", "_", escaped(text))


def _row(values: Sequence[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(values)
    return line.getvalue()


def _tiling(segments: Sequence[Segment], end: float) -> list[tuple[float, float, str]]:
    """Fill the gaps between segments with intervals without a label."""
    tiles: list[tuple[float, float, str]] = []
    done = 0.0
    for s in segments:
        if s.start > done:
            tiles.append((done, s.start, ""))
        tiles.append((s.start, s.end, s.label))
        done = s.end
    return [*tiles, (done, end, "")] if done < end else tiles


def _clock(seconds: float) -> str:
    """Write a time as minutes, or hours, and tenths of seconds: 1:02.5.

    >>> _clock(62.46), _clock(3723.0)
    ('1:02.5', '1:02:03.0')
    """
    tenths = round(seconds * 10)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    head = f"{hours}:{minutes:02d}" if hours else f"{minutes}"
    return f"{head}:{rest / 10:04.1f}"


def _subtitle_time(seconds: float) -> str:
    """Write a time as SubRip does.

    >>> _subtitle_time(3723.5)
    '01:02:03,500'
    """
    milliseconds = round(seconds * 1000)
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{rest // 1000:02d},{rest % 1000:03d}"
