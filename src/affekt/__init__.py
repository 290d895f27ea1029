"""Affekt: emotion in speech, from raters' votes and recordings to scores and timelines.

The face of the package stays light: `import affekt` loads neither torch nor transformers,
nor pandas; each name below is imported when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from affekt.corpus import Corpus
    from affekt.recognizer import Recognizer, load
    from affekt.report import evaluate
    from affekt.scheme import Categories

__all__ = ["Categories", "Corpus", "Recognizer", "__version__", "evaluate", "load"]

_HOME = {
    "Categories": "affekt.scheme",
    "Corpus": "affekt.corpus",
    "Recognizer": "affekt.recognizer",
    "evaluate": "affekt.report",
    "load": "affekt.recognizer",
}


def __getattr__(name: str) -> Any:
    """Import a public name on first use (PEP 562), so that the face stays light."""
    if name not in _HOME:
        raise AttributeError(f"module 'affekt' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
