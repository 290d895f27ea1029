"""The plan of the house: who may import whom, how long a file may be, what is never done."""

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import affekt

SOURCE = Path(affekt.__file__).parent
MODULES = sorted(SOURCE.rglob("*.py"))
MAX_LINES = 400

FREE = {"exceptions", "atomic"}  # floor 0: anybody may import them
FLOORS = {
    1: {
        "scheme",
        "card",
        "decode",
        "metrics",
        "calibration",
        "bootstrap",
        "losses",
        "vad",
        "ctc",
        "sequences",
        "chunks",
    },
    2: {"audio", "tables", "timeline", "augment", "denoise", "zero_shot", "adapt"},
    3: {
        *("harmonise", "corpus", "splits", "votes", "features", "models", "errors", "report"),
        *("writers", "segmenting"),
    },
    4: {
        *("corpora", "interchange", "batches", "checkpoint", "export", "resume", "concatenate"),
        *("store", "sampler", "schedule", "scan"),
    },
    5: {
        *("frozen", "objectives", "train", "recognizer", "sequencer", "annotate", "plots"),
        "sequence_batches",
    },
    6: {"service", "protocols"},
    7: {"recipes"},
    8: {"cli"},
}
FLOOR_OF = {room: floor for floor, rooms in FLOORS.items() for room in rooms}
FLOOR_OF |= dict.fromkeys(FREE, 0)

HEAVY = {
    *("torch", "transformers", "sklearn", "pandas", "scipy", "matplotlib", "pyarrow"),
    *("onnxruntime", "av", "soundfile", "rich.progress"),
}
SHUNNED_ROOMS = {"utils", "util", "common", "core", "helpers", "helper", "manager", "handler"}
UNPICKLERS = {"pickle", "dill", "joblib", "cloudpickle", "shelve", "marshal"}


def room_of(module: Path) -> str:
    """The room a file belongs to: its folder under the package, or itself."""
    return module.relative_to(SOURCE).with_suffix("").parts[0]


@cache
def tree_of(module: Path) -> ast.Module:
    return ast.parse(module.read_text(encoding="utf-8"), str(module))


def imports_of(module: Path) -> set[str]:
    """Full dotted names of all that a file imports, at the top, in functions, for types."""
    package = ["affekt", *module.relative_to(SOURCE).parent.parts]
    found = set()
    for node in ast.walk(tree_of(module)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            found |= {f"{base}.{alias.name}" for alias in node.names}
    return found


def rooms_imported(module: Path) -> set[str]:
    parts = [name.split(".") for name in imports_of(module)]
    return {name[1] for name in parts if name[0] == "affekt" and len(name) > 1} & set(FLOOR_OF)


@cache
def rooms_below(room: str) -> frozenset[str]:
    """Every room that a room imports, itself or through others."""
    reached: set[str] = set()
    waiting = {room}
    while waiting:
        here = waiting.pop()
        reached.add(here)
        direct = {name for m in MODULES if room_of(m) == here for name in rooms_imported(m)}
        waiting |= direct - reached
    return frozenset(reached - {room})


def libraries_of(room: str) -> set[str]:
    return {name.split(".")[0] for m in MODULES if room_of(m) == room for name in imports_of(m)}


ROOMED = [module for module in MODULES if room_of(module) not in ("__init__", "__main__")]


@pytest.mark.parametrize("module", ROOMED, ids=lambda m: str(m.relative_to(SOURCE)))
def test_a_room_imports_only_from_floors_below_its_own(module):
    room = room_of(module)
    assert room in FLOOR_OF, f"{room} has no floor: give it one here and in the plan"
    too_high = {
        other
        for other in rooms_imported(module)
        if other != room and other not in FREE and FLOOR_OF[other] >= FLOOR_OF[room]
    }
    assert not too_high, f"{room} (floor {FLOOR_OF[room]}) imports {sorted(too_high)}"


def test_no_room_has_two_floors():
    assert sum(len(rooms) for rooms in FLOORS.values()) + len(FREE) == len(FLOOR_OF)


def test_the_readers_of_imports_see_imports():
    module = SOURCE / "report" / "compare.py"
    assert "affekt.report.page.Report" in imports_of(module)
    assert {"report", "metrics", "tables"} <= rooms_imported(module)
    assert {"zero_shot", "scheme", "metrics"} <= rooms_below("report")


def test_votes_never_see_torch():
    seeing = {room for room in {"votes", *rooms_below("votes")} if "torch" in libraries_of(room)}
    assert not seeing


def test_models_never_see_a_corpus():
    about_data = {"corpus", "corpora", "interchange", "tables", "splits", "votes", "batches"}
    assert not rooms_below("models") & about_data


def test_metrics_never_see_who_owns_a_table():
    assert rooms_below("metrics") <= FREE
    assert "pandas" not in libraries_of("metrics")


def test_nobody_but_the_command_line_sees_a_recipe():
    seeing = {room_of(module) for module in ROOMED if "recipes" in rooms_imported(module)}
    assert seeing <= {"cli", "recipes"}


@pytest.mark.parametrize("name", ["affekt", "affekt.cli"])
def test_importing_loads_nothing_heavy(name):
    program = f"import sys, {name}; print(*sys.modules)"
    output = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    ).stdout
    assert not set(output.split()) & HEAVY


def test_no_file_is_longer_than_a_sitting():
    lengths = {m: len(m.read_text(encoding="utf-8").splitlines()) for m in MODULES}
    assert not {str(m): n for m, n in lengths.items() if n > MAX_LINES}


def test_there_is_no_room_for_odds_and_ends():
    names = {part for m in MODULES for part in m.relative_to(SOURCE).with_suffix("").parts}
    assert not names & SHUNNED_ROOMS


def test_nothing_is_unpickled_and_no_text_is_run():
    for module in MODULES:
        assert not {name.split(".")[0] for name in imports_of(module)} & UNPICKLERS, module
        for node in ast.walk(tree_of(module)):
            if isinstance(node, ast.Call):
                assert not _is_unsafe(node), f"{module}:{node.lineno}"


def _is_unsafe(call: ast.Call) -> bool:
    """`eval`, `exec`, `torch.load` that could unpickle, `np.load(allow_pickle=True)`."""
    name = ast.unparse(call.func)
    given = {k.arg: ast.unparse(k.value) for k in call.keywords}
    if name in ("eval", "exec", "pd.read_pickle"):
        return True
    if name == "torch.load":
        return given.get("weights_only") != "True"
    return given.get("allow_pickle") == "True"


@pytest.mark.parametrize(("code", "unsafe"), [
    ("eval('1')", True), ("torch.load(f)", True), ("torch.load(f, weights_only=True)", False),
    ("np.load(f, allow_pickle=True)", True), ("np.load(f)", False), ("model.eval()", False),
])  # fmt: skip
def test_the_check_for_unsafe_calls_finds_them(code, unsafe):
    call = ast.parse(code, mode="eval").body
    assert isinstance(call, ast.Call)
    assert _is_unsafe(call) is unsafe
