import os
import signal
import stat
import subprocess
import sys
from pathlib import Path
from subprocess import PIPE

import pytest

from affekt.atomic import replacing


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_file_appears_whole_with_its_content(tmp_path):
    with replacing(tmp_path / "a.csv") as temporary:
        temporary.write_text("new")
        assert temporary.parent == tmp_path
        assert temporary.suffix == ".csv"
        assert not (tmp_path / "a.csv").exists()
    assert names(tmp_path) == ["a.csv"]
    assert (tmp_path / "a.csv").read_text() == "new"


def test_readers_see_the_old_content_until_the_new_is_whole(tmp_path):
    target = tmp_path / "a.txt"
    target.write_text("old")
    with replacing(target) as temporary:
        temporary.write_text("half of the n")
        assert target.read_text() == "old"
        temporary.write_text("new")
    assert target.read_text() == "new"


@pytest.mark.parametrize("interruption", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_interruption_leaves_the_old_content_and_no_litter(tmp_path, interruption):
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(interruption), replacing(target) as temporary:  # noqa: PT012
        temporary.write_text("half")
        raise interruption
    assert names(tmp_path) == ["a.txt"]
    assert target.read_text() == "old"


@pytest.mark.parametrize("old", [None, "old"])
def test_what_another_language_says_of_a_full_disk_is_an_error_of_the_system(tmp_path, old):
    target = tmp_path / "a.safetensors"
    if old is not None:
        target.write_text(old)
    said = "Error while serializing: I/O error: No space left on device (os error 28)"
    with pytest.raises(OSError, match="No space left on device") as caught, replacing(target):
        raise RuntimeError(said)
    assert (caught.value.errno, caught.value.filename) == (28, str(target))
    assert names(tmp_path) == ([] if old is None else [target.name])
    assert old is None or target.read_text() == old


WAITING = """
import sys, time
from affekt import cli
from affekt.atomic import replacing

@cli.app.command()
def wait(path: str) -> None:
    with replacing(path) as temporary:
        temporary.write_text("half")
        print("writing", flush=True)
        time.sleep(60)

cli.main()
"""


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize(("number", "code", "said"), [
    (signal.SIGTERM, 143, "terminated"), (signal.SIGINT, 130, "interrupted"),
])  # fmt: skip
def test_a_signal_to_the_command_line_leaves_the_old_content_and_no_litter(
    tmp_path, number, code, said
):
    target = tmp_path / "a.txt"
    target.write_text("old")
    command = [sys.executable, "-c", WAITING, "wait", str(target)]
    with subprocess.Popen(command, stdout=PIPE, stderr=PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "writing\n"
        process.send_signal(number)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == code
    assert errors.splitlines()[-1].startswith(f"affekt: {said}")
    assert names(tmp_path) == ["a.txt"]
    assert target.read_text() == "old"


def test_a_writer_that_removed_its_file_leaves_the_old_content(tmp_path):
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(FileNotFoundError), replacing(target) as temporary:
        temporary.unlink()
    assert names(tmp_path) == ["a.txt"]
    assert target.read_text() == "old"


def test_missing_folders_are_made(tmp_path):
    with replacing(tmp_path / "x" / "y" / "a.txt") as temporary:
        temporary.write_text("new")
    assert (tmp_path / "x" / "y" / "a.txt").read_text() == "new"


def test_others_may_read_the_file_as_any_other(tmp_path):
    before = os.umask(0o022)
    try:
        with replacing(tmp_path / "a.txt") as temporary:
            temporary.write_text("new")
        assert os.umask(0o022) == 0o022, "the process keeps its mask"
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == 0o644


def test_two_writers_of_one_file_do_not_meet(tmp_path):
    target = tmp_path / "a.txt"
    with replacing(target) as first, replacing(target) as second:
        assert first != second
        first.write_text("first")
        second.write_text("second")
    assert target.read_text() == "first", "the last to finish stays"
    assert names(tmp_path) == ["a.txt"]


def test_a_fault_of_the_system_names_the_target_not_the_temporary_file(tmp_path):
    target = tmp_path / "a.txt"
    with pytest.raises(OSError, match="full") as unnamed, replacing(target):
        raise OSError(28, "full")
    with pytest.raises(OSError, match="full") as temporarily, replacing(target) as temporary:
        raise OSError(28, "full", str(temporary))
    with pytest.raises(OSError, match="gone") as other, replacing(target):
        raise OSError(2, "gone", "elsewhere")
    assert unnamed.value.filename == temporarily.value.filename == str(target)
    assert other.value.filename == "elsewhere"
    assert names(tmp_path) == []


def test_a_link_is_followed_and_stays_a_link(tmp_path):
    real, link = tmp_path / "real.csv", tmp_path / "link.csv"
    real.write_text("old")
    link.symlink_to(real)
    with replacing(link) as temporary:
        temporary.write_text("new")
    assert link.is_symlink()
    assert real.read_text() == "new"


def test_a_pipe_is_written_to_and_not_replaced(tmp_path):
    pipe = tmp_path / "pipe.csv"
    os.mkfifo(pipe)
    reader = subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE, text=True)
    with replacing(pipe) as temporary:
        temporary.write_text("through")
    assert reader.communicate(timeout=20)[0] == "through"
    assert pipe.is_fifo()
    assert [path.name for path in tmp_path.iterdir()] == ["pipe.csv"]
