"""One evaluation for every pair of tables: model and consensus, rater and the rest, two models.

`evaluate` joins two label tables by utterance and says how far they agree, how sure that is for
new speakers, and what answering the most frequent label would have scored (docs/evaluation.md).
"""

from affekt.report.compare import evaluate
from affekt.report.join import restrict
from affekt.report.page import MEASURES, RESULTS_HEADER, Estimate, Report

__all__ = ["MEASURES", "RESULTS_HEADER", "Estimate", "Report", "evaluate", "restrict"]
