"""Progress bars on stderr, where it is a terminal; a line per finished step elsewhere."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


@contextmanager
def bars() -> Iterator[Callable[[str, int], Callable[[int], None]]]:
    """Give a function (what, total) -> (told how many more are done) that draws a bar."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:

        def start(what: str, total: int) -> Callable[[int], None]:
            task = progress.add_task(what, total=total)
            done = 0

            def more(count: int) -> None:
                nonlocal done
                done += count
                progress.advance(task, count)
                if done == total and not console.is_terminal:
                    console.print(f"{what}: {total} done")

            return more

        yield start
