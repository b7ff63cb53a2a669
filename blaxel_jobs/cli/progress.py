"""Waiting for an execution with its progress on stderr: a bar on a terminal, else a line now and then."""

import contextlib
import sys
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

from ..errors import JobsError
from ..waiting import said
from .output import counts, printable, progress_of, say

if TYPE_CHECKING:
    from ..execution import Execution
    from ..jobs import Job

BAR_SECONDS: Final = 0.5
"""Between two looks for the bar."""
FIRST_LINE: Final = 2.0
"""Seconds until the first line; twice as many until each further one, up to the last."""
LAST_LINE: Final = 60.0

Show = Callable[["Execution"], None]


def wait(job: "Job", first: "Execution", max_wait: float) -> "Execution":
    """The execution once it has ended, of which `first` is what is known. Raises what `Job.wait_for_execution` raises.

    The wait is the SDK's. Progress is looked at beside it, and a look that fails tells nothing: the wait goes on.
    """
    if first.done:
        return first
    stop = threading.Event()
    pause, longest = (BAR_SECONDS, BAR_SECONDS) if sys.stderr.isatty() else (FIRST_LINE, LAST_LINE)
    with _bar(first) if sys.stderr.isatty() else _lines() as show:
        looks = threading.Thread(target=_look, args=(job, first.id, show, stop, pause, longest), daemon=True)
        looks.start()
        try:
            ended = job.wait_for_execution(first.id, max_wait=max_wait)
        finally:
            stop.set()
        show(ended)
    return ended


def _look(job: "Job", id: str, show: Show, stop: threading.Event, pause: float, longest: float) -> None:
    while not stop.wait(pause):
        pause = min(2 * pause, longest)
        try:
            seen = job.get_execution(id)
        except JobsError:
            continue
        except Exception:
            if stop.is_set():  # the wait is over, and its connections are closed
                return
            raise
        if not stop.is_set() and not seen.done:
            show(seen)


@contextlib.contextmanager
def _bar(first: "Execution") -> Iterator[Show]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task(_described(first), total=first.spec.task_count, completed=counts(first)[0])

        def show(execution: "Execution") -> None:
            progress.update(bar, description=_described(execution), completed=counts(execution)[0])

        yield show


@contextlib.contextmanager
def _lines() -> Iterator[Show]:
    told = ""

    def show(execution: "Execution") -> None:
        nonlocal told
        line = f"{execution.id}: {_state(execution)}, {progress_of(execution)}"
        if line != told:
            told = line
            say(line)

    yield show


def _described(execution: "Execution") -> str:
    failed = execution.stats.get("failure", 0)
    return printable(f"{execution.job} {_state(execution)}" + (f", {failed} failed" if failed else ""))


def _state(execution: "Execution") -> str:
    return f"{execution.status} (waits for {said(execution.waiting_for)})" if execution.waiting_for else execution.status
