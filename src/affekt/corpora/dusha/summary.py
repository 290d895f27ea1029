"""What came out of Dusha beside what its papers print: differences, never demands (spec 1.7).

The release has 9,700 annotations fewer than the papers count, so nothing can agree exactly.
"""

from typing import NamedTuple

import pandas as pd

from affekt.corpora.dusha.raw import DUSHA_5, NO_GOLD, SUBSETS, UNKNOWN_GOLD, Raw

PRINTED: dict[tuple[str, str, str], float] = {
    ("raw", "all", "annotations"): 1_715_301,
    ("raw", "crowd", "recordings"): 201_850,
    ("raw", "podcast", "recordings"): 102_113,
    ("raw", "crowd", "hours"): 255.7,
    ("raw", "podcast", "hours"): 90.9,
    ("raw", "crowd", "sources"): 2_068,
    ("raw", "podcast", "sources"): 6_240,
    ("table 1", "crowd", "happiness"): 15_446,
    ("table 1", "crowd", "sadness"): 23_316,
    ("table 1", "crowd", "anger"): 17_120,
    ("table 1", "crowd", "neutral"): 106_850,
    ("table 1", "crowd", "other"): 1_655,
    ("table 1", "crowd", "total"): 164_387,
    ("table 1", "podcast", "happiness"): 5_909,
    ("table 1", "podcast", "sadness"): 1_170,
    ("table 1", "podcast", "anger"): 2_057,
    ("table 1", "podcast", "neutral"): 81_104,
    ("table 1", "podcast", "other"): 222,
    ("table 1", "podcast", "total"): 90_462,
    ("table 2", "crowd", "train files"): 150_352,
    ("table 2", "crowd", "train hours"): 188 + 44 / 60,
    ("table 2", "crowd", "test files"): 14_035,
    ("table 2", "crowd", "test hours"): 18 + 29 / 60,
    ("table 2", "podcast", "train files"): 79_825,
    ("table 2", "podcast", "train hours"): 71 + 23 / 60,
    ("table 2", "podcast", "test files"): 10_637,
    ("table 2", "podcast", "test hours"): 9 + 25 / 60,
    ("table 2", "all", "train files"): 230_177,
    ("table 2", "all", "train hours"): 260 + 7 / 60,
    ("table 2", "all", "test files"): 24_672,
    ("table 2", "all", "test hours"): 27 + 54 / 60,
}
"""Numbers of the papers; hours as decimals."""

DOMAINS = ("crowd", "podcast", "all")


class Note(NamedTuple):
    """What a reader of the numbers must know."""

    part: str  # a subset, or all
    what: str
    n: int  # annotations or raters that it is about

    def __str__(self) -> str:
        """The note as one line.

        >>> str(Note("crowd_test", "not there", 0)), str(Note("all", "odd", 2))
        ('crowd_test: not there', 'all: odd (2)')
        """
        return f"{self.part}: {self.what}" + (f" ({self.n:,})" if self.n else "")


def notes(raw: Raw) -> list[Note]:
    """Subsets that are missing, control tasks that nobody can know, codes that nobody knows."""
    found = [Note(subset, "is not there", 0) for subset in SUBSETS if subset not in raw.files]
    for subset in raw.files:
        gold = raw.gold[raw.of([subset])]
        if (gold == NO_GOLD).all():
            what = "no annotation has a golden_emo, so control tasks cannot be known"
            found.append(Note(subset, what, len(gold)))
    if strange := int((raw.gold == UNKNOWN_GOLD).sum()):
        what = "annotations with a golden_emo of unknown meaning, taken for control tasks"
        found.append(Note("all", what, strange))
    return found


def summary(
    raw: Raw, kept: pd.DataFrame, used: pd.DataFrame, told: list[Note] | None = None
) -> pd.DataFrame:
    """Counts and hours of each step, beside those printed; NaN where none is.

    Args:
        raw: the annotations.
        kept: a row a recording; `domain`, `split`, `duration` (s), `emotion` (position in
            DUSHA_5, -1 undecided), `control`.
        used: the rows of `kept` that the experiment manifests have.
        told: notes; each is a row of source "note", at the end.
    """
    decided = kept[kept["emotion"] >= 0]
    found: dict[tuple[str, str, str], float] = {("raw", "all", "annotations"): len(raw.label)}
    of_domain = raw.recordings["subset"].map(lambda subset: SUBSETS[subset].split("_")[0])
    for domain in DOMAINS:
        every = raw.recordings if domain == "all" else raw.recordings[of_domain == domain]
        found["raw", domain, "recordings"] = every["utterance"].nunique()
        found["raw", domain, "hours"] = every["duration"].sum() / 3600
        found["raw", domain, "sources"] = every["source_id"].nunique()
    for domain in DOMAINS:
        mine = decided if domain == "all" else decided[decided["domain"] == domain]
        counts = mine["emotion"].value_counts()
        for k, label in enumerate(DUSHA_5):
            found["table 1", domain, label] = counts.get(k, 0)
        found["table 1", domain, "total"] = len(mine)
    for domain in DOMAINS:
        for split in ("train", "test"):
            rows = _part(decided, domain, split)
            found["table 2", domain, f"{split} files"] = len(rows)
            found["table 2", domain, f"{split} hours"] = rows["duration"].sum() / 3600
    for domain in DOMAINS:
        for split in ("train", "test"):
            every, rows = _part(kept, domain, split), _part(decided, domain, split)
            left_out = {
                "undecided": len(every) - len(rows),
                "quality rejects": (rows["emotion"] == DUSHA_5.index("other")).sum(),
                "control tasks": rows["control"].sum(),
                "in the manifest": len(_part(used, domain, split)),
            }
            found |= {("experiments", domain, f"{split} {what}"): int(n)
                      for what, n in left_out.items()}  # fmt: skip
    found |= {("note", note.part, note.what): note.n for note in told or []}
    return _beside(found)


def _part(rows: pd.DataFrame, domain: str, split: str) -> pd.DataFrame:
    inside = rows["split"] == split
    return rows[inside if domain == "all" else inside & (rows["domain"] == domain)]


def _beside(found: dict[tuple[str, str, str], float]) -> pd.DataFrame:
    index = pd.MultiIndex.from_tuples(list(found), names=["source", "domain", "what"])
    table = pd.DataFrame({"found": pd.Series(found, dtype=float).to_numpy()}, index=index)
    table["printed"] = [PRINTED.get(key, float("nan")) for key in found]
    table["difference"] = table["found"] - table["printed"]
    return table
