"""The commands that act on executions (start, pause, resume, cancel, retry, rerun, delete), and logs and stats."""

from collections.abc import Callable
from typing import Annotated, Final

import typer

from ..errors import ConfigError
from .arguments import ApiKey, Form, Id, JobName, Url, open_client, open_job
from .executions import COMPLETED
from .output import Output, emit, follow_logs, say, show_execution, show_figures, show_logs


def start(job: JobName, id: Id, output: Form = Output.TABLE, url: Url = None, api_key: ApiKey = None) -> int:
    """Start an execution that was created with --no-start."""
    with open_job(job, url, api_key) as handle:
        show_execution(handle.start_execution(id), output)
        return COMPLETED


def pause(job: JobName, id: Id, output: Form = Output.TABLE, url: Url = None, api_key: ApiKey = None) -> int:
    """Hold an execution back; what runs stops at its next step."""
    with open_job(job, url, api_key) as handle:
        show_execution(handle.pause_execution(id), output)
        return COMPLETED


def resume(job: JobName, id: Id, output: Form = Output.TABLE, url: Url = None, api_key: ApiKey = None) -> int:
    """Let a paused execution go on."""
    with open_job(job, url, api_key) as handle:
        show_execution(handle.resume_execution(id), output)
        return COMPLETED


def cancel(job: JobName, id: Id, output: Form = Output.TABLE, url: Url = None, api_key: ApiKey = None) -> int:
    """End an execution for good."""
    with open_job(job, url, api_key) as handle:
        show_execution(handle.get_execution(id).cancel(), output)
        return COMPLETED


def retry(job: JobName, id: Id, output: Form = Output.TABLE, url: Url = None, api_key: ApiKey = None) -> int:
    """Try the failed tasks of an execution again; what is done stays done."""
    with open_job(job, url, api_key) as handle:
        show_execution(handle.retry_execution(id), output)
        return COMPLETED


def rerun(job: JobName, id: Id, output: Form = Output.TABLE, url: Url = None, api_key: ApiKey = None) -> int:
    """Create a new execution of the same work."""
    with open_job(job, url, api_key) as handle:
        created = handle.rerun_execution(id)
        if output is Output.ID:
            emit(created.id)
        else:
            say(f"created execution {created.id}")
            show_execution(created.refresh(), output)
        return COMPLETED


def delete(
    job: JobName,
    id: Id,
    force: Annotated[bool, typer.Option("--force", help="Cancel it first, if it has not ended.")] = False,
    url: Url = None,
    api_key: ApiKey = None,
) -> int:
    """Forget an execution, with its tasks, steps, events and artifacts."""
    with open_job(job, url, api_key) as handle:
        handle.delete_execution(id, force)
        say(f"deleted execution {id}")
        return COMPLETED


def logs(
    job: JobName,
    id: Id,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the execution has ended.")] = False,
    output: Form = Output.TABLE,
    url: Url = None,
    api_key: ApiKey = None,
) -> int:
    """Show what an execution's handlers have logged."""
    if output is Output.ID:
        raise ConfigError("lines of a log have no ids: -o table or -o json")
    with open_job(job, url, api_key) as handle:
        if follow:
            follow_logs(handle.stream_events(id), output)
        else:
            show_logs(handle.get_logs(id), output)
        return COMPLETED


def stats(
    job: Annotated[str | None, typer.Argument(metavar="[JOB]", help="Only this job.", show_default=False)] = None,
    output: Form = Output.TABLE,
    url: Url = None,
    api_key: ApiKey = None,
) -> int:
    """Count what became of executions, how long tasks waited and ran, and what is left to do."""
    with open_client(url, api_key) as client:
        try:
            figures = client.stats() if job is None else {job: client.stats(job)}
        except ValueError as error:
            if job is None:
                raise
            raise ConfigError(str(error)) from None
        show_figures(figures, output)
        return COMPLETED


COMMANDS: Final[dict[str, Callable[..., int]]] = {
    "start": start, "pause": pause, "resume": resume, "cancel": cancel, "retry": retry, "rerun": rerun, "delete": delete,
    "logs": logs, "stats": stats,
}  # fmt: skip
