"""Toy voices under the names of several corpora, and recipes run on them."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import tiny_whisper
from affekt import cli
from affekt.corpora import CORPORA, toy
from affekt.protocols.probe import RunOptions

SPEAKERS = {  # whose voices of the toy corpus stand in for those of another
    "emovo": ("f1", "m1", "f2", "m2", "f3", "m3"),
    "emodb": ("03", "08", "09", "10", "11", "12"),
    "ravdess": ("01", "02", "03", "04", "05", "06"),
}
EMOTIONS = {
    "emovo": {"anger": "rab", "happiness": "gio", "neutral": "neu", "sadness": "tri"},
    "emodb": {"anger": "W", "happiness": "F", "neutral": "N", "sadness": "T"},
}
SENTENCES = {"emovo": ("b1", "b2", "d1"), "emodb": ("a01", "b02", "b10")}
NAMES = {"emovo": "{emotion}-{speaker}-{sentence}", "emodb": "{speaker}{sentence}{emotion}a"}


def make_tree(root: Path, name: str, seed: int) -> Path:
    """Write other toy voices under the names of another corpus."""
    toy.make(root, seed=seed)
    for path in sorted(root.rglob("*.flac")):
        speaker, emotion, clip = path.stem.split("_")
        stem = NAMES[name].format(
            speaker=SPEAKERS[name][int(speaker[1:]) - 1],
            emotion=EMOTIONS[name][emotion],
            sentence=SENTENCES[name][int(clip) - 1],
        )
        path.rename(path.with_name(f"{stem}.flac"))
    return root


@dataclass(frozen=True)
class Place:
    """Corpora, an encoder and a store that all runs of this file share."""

    folder: Path

    def root(self, name: str) -> str:
        return f"{name}={self.folder / name}"

    def corpora(self, *names: str) -> list[str]:
        return [part for name in names for part in ("--corpus", self.root(name))]

    def affekt_run(self, *arguments: str | Path) -> int:
        """Call `affekt run` as the shell does; gives the exit code."""
        before = sys.argv
        sys.argv = ["affekt", "run", *map(str, arguments), "--store", str(self.folder / "store")]
        sys.argv += ["--upstream", str(self.folder / "tiny-whisper")]
        try:
            cli.main()
        except SystemExit as end:
            return int(end.code or 0)
        finally:
            sys.argv = before
        return 0

    def options(self, out: Path, *names: str) -> RunOptions:
        return RunOptions(
            corpora={name: CORPORA[name].load(self.folder / name) for name in names},
            out=out,
            upstream=str(self.folder / "tiny-whisper"),
            store=self.folder / "store",
            command="affekt run",
            progress=lambda what, total: lambda more: None,
        )


def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recipes")
    tiny_whisper.write(folder / "tiny-whisper")
    toy.make(folder / "toy")
    make_tree(folder / "emovo", "emovo", seed=1)
    make_tree(folder / "emodb", "emodb", seed=2)
    return Place(folder)


def report_of(folder: Path) -> dict:
    return json.loads((folder / "report.json").read_text("utf-8"))
