"""How right timelines are: EDER, seconds right and wrong, each emotion, intervals by speaker."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

from affekt.atomic import replacing
from affekt.bootstrap import choose_groups
from affekt.concatenate import Recording
from affekt.protocols.by_speaker import estimate, line, ratios
from affekt.sequences import Segment as Span
from affekt.sequences import TimeErrors, time_errors
from affekt.tables import write_table
from affekt.timeline import Segment

MEASURES = {  # name -> what stands above and below the line
    "EDER": ("rate", "n"),
    "time-weighted error": ("wrong", "total"),
    "time accuracy": ("right", "labelled"),
}
OF_A_LABEL = {
    "right": ("right", "labelled"),
    "missed": ("missed", "labelled"),
    "another emotion": ("confusion", "labelled"),
    "precision": ("right", "answered"),
}
EXPLAINED = (
    "EDER: s of false alarm, missed emotion and confusion / s of the recording, mean over the"
    " recordings, as SpeechBrain has it; neutral and pauses are no emotion. Time-weighted error:"
    " the same s of all recordings / s of all. Time accuracy: s with the very label, neutral"
    " included / s labelled. Intervals: 95 %, bootstrap by speaker."
)


@dataclass(frozen=True, eq=False)
class TimelineReport:
    """Scores of each method, those of each label by the first method, and all recordings."""

    title: str
    notes: tuple[str, ...]
    scores: pd.DataFrame
    labels: pd.DataFrame
    rows: pd.DataFrame

    def to_markdown(self) -> str:
        """The page."""
        lines = [*(f"> {note}\n" for note in self.notes), f"# {self.title}\n", f"{EXPLAINED}\n"]
        lines += _table(self.scores, ("answer", "recordings"), MEASURES)
        lines += ["\nOf each label's seconds, and of the seconds that were given it:\n"]
        lines += _table(self.labels, ("label", "s"), OF_A_LABEL)
        return "\n".join(lines) + "\n"

    def results_rows(self, what: str, split: str, command: str) -> str:
        """Rows for RESULTS.md, one an answer."""
        head = ("what", "split", "recordings", *MEASURES, "command")
        lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
        for _, row in self.scores.iterrows():
            cells = [f"{what}, {row['answer']}", split, row["recordings"]]
            cells += [estimate(row, name, joint=" ") for name in MEASURES]
            lines.append(f"| {' | '.join(map(str, cells))} | `{command}` |")
        return "\n".join(lines) + "\n"

    def typical(self) -> tuple[str, int]:
        """Name and number of a recording with as many borders as any, whose EDER is average."""
        first = self.scores.iloc[0]
        rows = self.rows[self.rows["answer"] == first["answer"]].reset_index(drop=True)
        borders = rows["truth"].str.count(",")
        distance = (rows["rate"] - first["EDER"]).abs()[borders == borders.max()]
        number = int(distance.idxmin())
        return str(rows.loc[number, "recording"]), number

    def write(self, folder: Path, results_rows: str) -> None:
        """Write `report.md`, `results_rows.md`, and the tables as CSV."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in (("report", self.to_markdown()), ("results_rows", results_rows)):
            with replacing(folder / f"{name}.md") as temporary:
                temporary.write_text(text, "utf-8")
        tables = {"scores": self.scores, "labels": self.labels, "recordings": self.rows}
        for name, table in tables.items():
            write_table(table, folder / f"{name}.csv")


def compared(
    name: str, speaker: str, made: Recording, answers: Mapping[str, Sequence[Segment]]
) -> list[dict[str, object]]:
    """Compare a recording's answers with its truth: a row each, and a row each for every label.

    `label` is "" in the row of the whole.
    """
    end, rows = made.duration, []
    truth = _within([Segment(*part, 1.0) for part in made.segments], end)
    for answer, segments in answers.items():
        found = _within(segments, end)
        about = {"recording": name, "speaker": speaker, "answer": answer}
        whole = {"truth": line(truth), "prediction": line(found)}
        rows.append({**about, **whole, "label": "", **_counts(time_errors(truth, found, end))})
        for label in sorted({label for _, _, label in truth + found}):
            own, given = ([s for s in part if s[2] == label] for part in (truth, found))
            counts = _counts(time_errors(own, found, end))
            answered = {"answered": time_errors(given, truth, end).labelled}
            rows.append({**about, "label": label, **counts, **answered})
    return rows


def report(
    rows: Sequence[Mapping[str, object]], title: str, notes: Sequence[str], *, seed: int
) -> TimelineReport:
    """Score rows of `compared`; the labels' scores are those of the first answer.

    Args:
        rows: of all recordings.
        title: of the page.
        notes: above everything.
        seed: of the bootstrap.
    """
    table = pd.DataFrame(rows)
    whole, parts = table[table["label"] == ""], table[table["label"] != ""]
    scores = [
        {"answer": answer, "recordings": len(part), **ratios(part, MEASURES, seed, joint=" ")}
        for answer, part in whole.groupby("answer", sort=False)
    ]
    first = parts[parts["answer"] == table["answer"].iloc[0]]
    labels = [
        {
            "label": label,
            "s": round(part["labelled"].sum()),
            **ratios(part, OF_A_LABEL, seed, joint=" "),
        }
        for label, part in first.groupby("label", sort=True)
    ]
    _, note = choose_groups(whole["speaker"].to_numpy(), len(whole))
    notes = [*notes, *([note] if note else [])]
    kept = whole.drop(columns=["label", "answered"]).reset_index(drop=True)
    return TimelineReport(
        title,
        tuple(notes),
        *(pd.DataFrame(part).rename_axis("row") for part in (scores, labels, kept)),
    )


def _counts(errors: TimeErrors) -> dict[str, float]:
    wrong = errors.false_alarm + errors.missed + errors.confusion
    return {"n": 1, "rate": errors.rate, "wrong": wrong, **asdict(errors)}


def _table(
    scores: pd.DataFrame, columns: tuple[str, str], measures: Mapping[str, tuple[str, str]]
) -> list[str]:
    head = [*columns, *measures]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for _, row in scores.iterrows():
        cells = [
            *(str(row[name]) for name in columns),
            *(estimate(row, k, joint=" ") for k in measures),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _within(segments: Sequence[Segment], end: float) -> list[Span]:
    """Cut at the recording's end: times are rounded."""
    return [(s.start, min(s.end, end), s.label) for s in segments if s.start < end]
