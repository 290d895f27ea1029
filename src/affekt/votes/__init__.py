"""From raters' votes to labels: read them, look at the raters, aggregate, decide, ask for more.

The functions that a user needs are here by name, so `votes.dawid_skene` is the method, not its
file, and so are `raters`, `next_votes`, `threshold`. What else such a file has is imported from it:
`from affekt.votes.dawid_skene import fit`. `agreement` and `ratings` are modules of measures.
"""

from collections.abc import Callable

import pandas as pd

from affekt.votes import agreement, ratings
from affekt.votes.dawid_skene import dawid_skene
from affekt.votes.glad import glad
from affekt.votes.mace import mace
from affekt.votes.majority import majority
from affekt.votes.next_votes import next_votes
from affekt.votes.one_coin import one_coin
from affekt.votes.raters import confusion, exclude, raters
from affekt.votes.read import occurring, read_votes
from affekt.votes.shares import shares
from affekt.votes.threshold import multi_label, threshold
from affekt.votes.weighted_majority import weighted_majority

__all__ = [
    "AGGREGATORS",
    "agreement",
    "confusion",
    "dawid_skene",
    "exclude",
    "glad",
    "mace",
    "majority",
    "multi_label",
    "next_votes",
    "occurring",
    "one_coin",
    "raters",
    "ratings",
    "read_votes",
    "shares",
    "threshold",
    "weighted_majority",
]

AGGREGATORS: dict[str, Callable[..., pd.DataFrame]] = {
    "shares": shares,
    "majority": majority,
    "weighted-majority": weighted_majority,
    "dawid-skene": dawid_skene,
    "one-coin": one_coin,
    "mace": mace,
    "glad": glad,
}
"""Every method: `method(votes, categories, *, options...)` gives a labels table."""
