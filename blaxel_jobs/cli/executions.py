"""The commands that create executions and look at them: run, list, get, wait, events. They need the SDK and no more."""

import math
import shlex
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ..errors import ConfigError, WaitTimeoutError
from ..words import JobPriority, JobStatus, OnConflict
from .arguments import ApiKey, Form, Id, JobName, MaxWait, Url, open_job
from .output import Output, because, emit, follow_events, say, show_events, show_execution, show_executions
from .request import read_env, read_request

if TYPE_CHECKING:
    from ..execution import Execution
    from ..jobs import Job

COMPLETED: Final = 0
FAILED: Final = 10
CANCELLED: Final = 11
TIMED_OUT: Final = 124
INTERRUPTED: Final = 130

PAGE: Final = 1000
"""Rows that are read at once."""


def run(
    job: JobName,
    task: Annotated[
        list[str] | None,
        typer.Option(help="One task, as 'NAME=VALUE NAME=VALUE' or a JSON object. Repeatable.", show_default=False),
    ] = None,
    file: Annotated[
        str | None,
        typer.Option(help="JSON: a list of tasks, or an object that is a whole request. - is stdin.", show_default=False),
    ] = None,
    input: Annotated[str | None, typer.Option(help="JSON: the input of a single task.", show_default=False)] = None,
    wait: Annotated[
        bool | None, typer.Option("--wait/--no-wait", help="Wait for the end; its outcome is the exit code.", show_default=False)
    ] = None,
    max_wait: MaxWait = None,
    name: Annotated[str | None, typer.Option(help="Free text.", show_default=False)] = None,
    tag: Annotated[list[str] | None, typer.Option(help="A label. Repeatable.", show_default=False)] = None,
    priority: Annotated[JobPriority | None, typer.Option(help="What is taken first.", show_default=False)] = None,
    execution_id: Annotated[str | None, typer.Option(help="An id of your own for the execution.", show_default=False)] = None,
    idempotency_key: Annotated[
        str | None, typer.Option(help="Run again with the same key, it is the same execution.", show_default=False)
    ] = None,
    env: Annotated[
        list[str] | None, typer.Option(help="NAME=VALUE, an environment variable for the tasks. Repeatable.", show_default=False)
    ] = None,
    delay: Annotated[float | None, typer.Option(help="Seconds until it may start.", show_default=False)] = None,
    run_at: Annotated[
        str | None, typer.Option(help="When it may start, such as 2026-01-31T08:00; UTC unless it says more.", show_default=False)
    ] = None,
    no_start: Annotated[bool, typer.Option("--no-start", help="Let it wait for `blaxel-jobs start`.")] = False,
    max_retries: Annotated[int | None, typer.Option(help="Tries of a task after the first.", show_default=False)] = None,
    retry_delay: Annotated[float | None, typer.Option(help="Seconds between two tries.", show_default=False)] = None,
    timeout: Annotated[float | None, typer.Option(help="Seconds from its start to its end.", show_default=False)] = None,
    fail_fast: Annotated[bool, typer.Option("--fail-fast", help="The first task that fails ends the others.")] = False,
    key: Annotated[
        str | None, typer.Option(help="Executions with the same key run one after the other.", show_default=False)
    ] = None,
    on_conflict: Annotated[OnConflict | None, typer.Option(help="What to do while the key is in use.", show_default=False)] = None,
    output: Form = Output.TABLE,
    url: Url = None,
    api_key: ApiKey = None,
) -> int:
    """Create an execution. Without --task, --file and --input the job's input is null."""
    if wait is False and max_wait is not None:
        raise ConfigError("--max-wait and --no-wait exclude each other")
    seconds = _seconds(max_wait)
    request = read_request(task or [], file, input)
    variables = read_env(env or [])
    with open_job(job, url, api_key) as handle:
        try:
            id = handle.create_execution(
                request, name=name, tags=tag or None, priority=priority and str(priority), execution_id=execution_id,
                idempotency_key=idempotency_key, env=variables, delay=delay, run_at=run_at, auto_start=False if no_start else None,
                max_retries=max_retries, retry_delay=retry_delay, timeout=timeout, fail_fast=fail_fast or None,
                concurrency_key=key, on_conflict=on_conflict and str(on_conflict),
            )  # fmt: skip
        except KeyboardInterrupt:
            say(f"interrupted before the answer: whether the execution was created tells blaxel-jobs list {job}")
            return INTERRUPTED
        if output is Output.ID:
            emit(id)
        else:
            say(f"created execution {id}")
        if wait or max_wait is not None:
            return _wait(handle, id, seconds, url, None if output is Output.ID else output)
        if output is not Output.ID:
            show_execution(handle.get_execution(id), output)
        return COMPLETED


def list_executions(
    job: JobName,
    limit: Annotated[int, typer.Option(min=1, help="How many, the newest first.")] = 50,
    all: Annotated[bool, typer.Option("--all", help="All there are.")] = False,
    output: Form = Output.TABLE,
    url: Url = None,
    api_key: ApiKey = None,
) -> int:
    """List the executions of a job, the newest first."""
    with open_job(job, url, api_key) as handle:
        rows: list[Execution] = []
        cursor: str | None = None
        left: float = math.inf if all else limit
        while left:
            page = handle.list_executions(limit=int(min(left, PAGE)), cursor=cursor)
            rows += page
            left -= min(left, len(page))
            cursor = page.next_cursor if page.has_more else None
            if cursor is None:
                break
        show_executions(rows, cursor, output)
        if cursor is not None:
            say("there are more: --limit N or --all")
        return COMPLETED


def get(job: JobName, id: Id, output: Form = Output.TABLE, url: Url = None, api_key: ApiKey = None) -> int:
    """Show an execution."""
    with open_job(job, url, api_key) as handle:
        show_execution(handle.get_execution(id), output)
        return COMPLETED


def wait(
    job: JobName, id: Id, max_wait: MaxWait = None, output: Form = Output.TABLE, url: Url = None, api_key: ApiKey = None
) -> int:
    """Wait until an execution has ended; its outcome is the exit code."""
    seconds = _seconds(max_wait)
    with open_job(job, url, api_key) as handle:
        return _wait(handle, id, seconds, url, output)


def events(
    job: JobName,
    id: Id,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the execution has ended.")] = False,
    output: Form = Output.TABLE,
    url: Url = None,
    api_key: ApiKey = None,
) -> int:
    """List what happened to an execution, the oldest first."""
    with open_job(job, url, api_key) as handle:
        if follow:
            follow_events(handle.stream_events(id), output)
        else:
            show_events(list(handle.get_execution(id).list_events(limit=PAGE).auto_paging_iter()), output)
        return COMPLETED


COMMANDS: Final[dict[str, Callable[..., int]]] = {
    "run": run, "list": list_executions, "get": get, "wait": wait, "events": events,
}  # fmt: skip


def _wait(job: "Job", id: str, max_wait: float, url: str | None, output: Output | None) -> int:
    """The exit code that tells how it ended. None for `output` shows nothing."""
    from .progress import wait

    again = shlex.join(["blaxel-jobs", "wait", job.name, id, *(["--url", url] if url else [])])
    try:
        ended = wait(job, job.get_execution(id), max_wait)
    except WaitTimeoutError as error:
        say(f"{error.message} ({again})")
        return TIMED_OUT
    except KeyboardInterrupt:
        say(f"detached, the execution goes on; wait for it again with: {again}")
        return INTERRUPTED
    if output is not None:
        show_execution(ended, output)
    return _outcome(ended)


def _outcome(execution: "Execution") -> int:
    if execution.status == JobStatus.COMPLETED:
        return COMPLETED
    why = f": {because(execution.error)}" if execution.error else ""
    say(f"execution {execution.id} {execution.status}{why}")
    return CANCELLED if execution.status == JobStatus.CANCELLED else FAILED


def _seconds(max_wait: float | None) -> float:
    if max_wait is None:
        return math.inf
    if not 0 <= max_wait <= math.inf:
        raise ConfigError(f"--max-wait is a number of seconds, 0 or more, not {max_wait:g}")
    return max_wait
