"""When is each emotion: a recogniser's timeline against known borders, of voices it never learned.

Speech emotion diarization (Wang, Ravanelli, Yacoubi 2023, arXiv:2306.12991) asks which emotion
appears when. Recordings are glued of neutral speech and one emotion, as there, of the speakers of
each corpus whom the recogniser's card does not name; ZED is taken as it is. The one label that
the recogniser gives the whole recording, and neutral throughout, stand beside its timeline.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from affekt import plots, recognizer
from affekt.concatenate import NEUTRAL, Recording
from affekt.corpus import Corpus
from affekt.protocols.probe import RunOptions
from affekt.protocols.timeline_data import references, unheard
from affekt.protocols.timeline_report import TimelineReport, compared, report
from affekt.timeline import Segment

READS = frozenset({"model"})
N_PER_SPEAKER = 20


@dataclass(frozen=True)
class Result:
    """A report and the folder it was written to."""

    report: TimelineReport
    folder: Path


def main(options: RunOptions) -> list[Result]:
    """Ask the recogniser about each corpus; write reports, rows for RESULTS.md, and a picture."""
    model = recognizer.load(options.model)
    return [_evaluate(model, corpus, options) for corpus in options.corpora.values()]


def _evaluate(model: recognizer.Recognizer, corpus: Corpus, options: RunOptions) -> Result:
    corpus, split = unheard(corpus, model.card)
    labels = [label for label in corpus.scheme if corpus.labels[label].any()]
    asked = references(corpus, N_PER_SPEAKER, seed=options.seed)
    folder = options.out / corpus.name
    tell = options.progress(f"{corpus.name}, recordings", len(asked))
    rows: list[dict[str, object]] = []
    said: list[dict[str, Sequence[Segment]]] = []
    for name, speaker, make in asked:
        made = make()
        line = model.timeline(made.waveform, labels=labels)
        commonest = max(line.overall, key=line.overall.__getitem__)
        said.append({"timeline": line.segments})
        for answer, label in (("one label", commonest), ("neutral throughout", NEUTRAL)):
            said[-1][answer] = [Segment(0.0, made.duration, label, 1.0)]
        rows += compared(name, speaker, made, said[-1])
        tell(1)
    called = str(model.card.get("name", "the recogniser"))
    n_speakers = len({speaker for _, speaker, _ in asked})
    notes = [f"{split}, {n_speakers} speakers; the answer is chosen among {', '.join(labels)}"]
    page = report(rows, f"Timelines of {called}, {corpus.name}", notes, seed=options.seed)
    page.write(folder, page.results_rows(f"{called}, {corpus.name}", split, options.command))
    if find_spec("matplotlib"):
        name, number = page.typical()
        _draw_example(f"{corpus.name}, {name}", asked[number][2](), said[number], folder)
    return Result(page, folder)


def _draw_example(
    title: str, made: Recording, said: Mapping[str, Sequence[Segment]], folder: Path
) -> None:
    """Draw the truth above the answers; neutral throughout needs no picture."""
    rows = {"truth": [Segment(*part, 1.0) for part in made.segments], **said}
    del rows["neutral throughout"]
    figure = plots.sequences(rows, waveform=made.waveform, title=title)
    plots.save(figure, folder / "example.png")
