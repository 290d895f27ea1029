"""Fixtures that more than one room's tests need."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared() -> Path:
    """Give the folder of real corpora, splits and weights (`../shared` or `$AFFEKT_SHARED`).

    Skips where it is absent; on CI it must be there, so its absence is a failure.
    """
    root = Path(__file__).resolve().parents[1]
    place = Path(os.environ.get("AFFEKT_SHARED", root.parent / "shared"))
    if not (place / "corpora").is_dir():
        reason = f"no real corpora at {place}: set AFFEKT_SHARED or link them beside the project"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return place
