"""Does the length of a frame matter? CTC on the 34 features of frames of 30 to 200 ms.

Chernykh and Prikhodko 2017, arXiv:1701.08071 (spec 4.2), tried frames of 30 to 200 ms and found no
significant difference. Here each length has the network, the folds and the training of
`ctc_table_1`; frames overlap by half. What differs: that half, where the paper names no step.
"""

from dataclasses import replace

from affekt.atomic import replacing
from affekt.protocols.folds import only_corpus
from affekt.protocols.frames import Frames, Lesson, frames_of, probabilities, taught
from affekt.protocols.probe import RunOptions
from affekt.protocols.results import Result
from affekt.recipes.ctc_table_1 import Answers, compare, usable

READS = frozenset({"epochs", "folds", "split"})
WINDOWS = (0.03, 0.05, 0.1, 0.2)  # s
OVERLAP = 0.5  # of neighbouring frames


def main(options: RunOptions) -> list[Result]:
    """Run CTC with each length of frame, write a report each and a table of all."""
    corpus = usable(only_corpus(options))
    results = []
    for window in WINDOWS:
        hop = window * (1 - OVERLAP)
        frames, prints = frames_of(corpus, options, window=window, hop=hop)
        name = f"{window * 1000:.0f}-ms"
        here = replace(options, out=options.out / name)
        results += compare(corpus, frames, prints, {"ctc": _ctc}, here, hop=hop, people=False)
    lines = ["| frame, ms | accuracy | UAR |", "|---|---|---|"]
    for window, result in zip(WINDOWS, results, strict=True):
        found = (result.report.accuracy, result.report.unweighted_average_recall)
        cells = [f"{e.value:.3f} [{e.low:.3f}, {e.high:.3f}]" for e in found]
        lines.append(f"| {window * 1000:.0f} | {' | '.join(cells)} |")
    with replacing(options.out / "frame_lengths.md") as temporary:
        temporary.write_text("\n".join(lines) + "\n", "utf-8")
    return results


def _ctc(lesson: Lesson, asked: Frames, options: RunOptions) -> Answers:
    """Answer by the exact posterior of each label alone."""
    return Answers({"ctc": probabilities(taught(lesson, options, per_frame=True), asked)})
