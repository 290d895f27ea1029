"""Bring two label tables to the same utterances and the same labels."""

from collections.abc import Sequence

import pandas as pd

from affekt.exceptions import TableError
from affekt.scheme import Categories
from affekt.tables import check_labels
from affekt.zero_shot import ban


def restrict(
    truth: pd.DataFrame, prediction: pd.DataFrame, labels: Sequence[str]
) -> tuple[pd.DataFrame, pd.DataFrame, str]:
    """Both tables over these labels alone, and the note that says what that took.

    Utterances whose most likely true label is not among them are left out; the prediction's mass
    on other labels is banned and the rest renormalised (`zero_shot.ban`).

    Raises:
        TableError: a label that the prediction does not know, or no utterance is left.
    """
    wanted = list(dict.fromkeys(labels))
    truth, prediction = check_labels(truth), check_labels(prediction)
    asked = truth.reindex(columns=wanted, fill_value=0.0)
    others = truth.drop(columns=wanted, errors="ignore")
    kept = asked.max(axis=1) >= (others.max(axis=1) if len(others.columns) else 0.0)
    scores = ban(prediction.to_numpy(), list(prediction.columns), wanted)
    if not kept.any():
        raise TableError(f"no utterance of the truth is {' or '.join(wanted)}")
    banned = pd.DataFrame(scores, prediction.index, prediction.columns)[wanted]
    asked = asked[kept].div(asked[kept].sum(axis=1), axis=0)
    dropped = truth.index[~kept.to_numpy()]
    note = (
        f"restricted to {', '.join(wanted)}: {len(dropped)} utterance(s) of other labels left out"
    )
    return asked, banned.drop(index=dropped, errors="ignore"), note


def same_utterances(
    truth: pd.DataFrame, prediction: pd.DataFrame, common: bool, notes: list[str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows of both tables in the truth's order."""
    if truth.index.equals(prediction.index):
        return truth, prediction
    both = truth.index[truth.index.isin(prediction.index)]
    if both.empty:
        raise TableError(
            "truth and prediction have no utterance in common: the first id is "
            f"{truth.index[:1].tolist()} there and {prediction.index[:1].tolist()} here"
        )
    lacks = {
        "without prediction": truth.index.difference(both, sort=False),
        "without truth": prediction.index.difference(both, sort=False),
    }
    for what, ids in lacks.items():
        if len(ids) and not common:
            raise TableError(
                f"{len(ids)} utterance(s) {what}: {', '.join(ids[:5])}"
                f"{' …' if len(ids) > 5 else ''}; common (--common) compares the other {len(both)}"
            )
    left_out = sum(len(ids) for ids in lacks.values())
    if left_out:
        notes.append(
            f"evaluated on the {len(both)} utterances that both tables have: of {len(truth)} in "
            f"the truth and {len(prediction)} in the prediction"
        )
    return truth.loc[both], prediction.loc[both]


def same_labels(
    truth: pd.DataFrame, prediction: pd.DataFrame, categories: Categories | None, notes: list[str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Both tables over one list of labels."""
    known, answered = [str(label) for label in truth], [str(label) for label in prediction]
    extra = [label for label in answered if label not in known]
    labels = [*known, *extra]
    lacking = [label for label in known if label not in answered]
    if extra:
        notes.append(f"only the prediction knows: {', '.join(extra)}")
    if lacking:
        notes.append(f"the prediction never answers, since it does not know: {', '.join(lacking)}")
    if categories is not None:
        strange = [label for label in labels if label not in categories]
        if strange:
            raise TableError(f"scheme {categories.name!r} does not have {', '.join(strange)}")
        labels = list(categories)
    wide = [table.reindex(columns=labels, fill_value=0.0) for table in (truth, prediction)]
    return wide[0], wide[1]
