"""The commands, the options of `serve`, and what each error is on stderr and as an exit code."""

import logging
import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer
from typer.main import get_command

from .. import __version__
from ..errors import ConfigError, InvalidRequest, JobsError, RequestError, ServerError, StoreError, Unauthorized
from . import executions, steering
from .executions import INTERRUPTED
from .output import emit, say

ERROR: Final = 1
USAGE: Final = 2

app = typer.Typer(no_args_is_help=False, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
for name, command in {**executions.COMMANDS, **steering.COMMANDS}.items():
    app.command(name)(command)


class LogLevel(StrEnum):
    """How much is written to stderr."""

    CRITICAL = "critical"
    ERROR = "error"
    WARNING = "warning"
    INFO = "info"
    DEBUG = "debug"


def run(arguments: Sequence[str]) -> int:
    """Run a command line; the answer is the exit code. Whatever the user can mend is one line on stderr."""
    try:
        code = get_command(app).main(args=list(arguments), prog_name="blaxel-jobs", standalone_mode=False)
    except JobsError as error:
        say(_explained(error))
        return _code(error)
    except BrokenPipeError:
        raise
    except OSError as error:
        say(str(error))
        return ERROR
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except Exception as error:
        format_message = getattr(error, "format_message", None)
        if format_message is None:
            raise
        context = getattr(error, "ctx", None)
        say(f"{format_message()} (see {context.command_path if context else 'blaxel-jobs'} --help)")
        return USAGE
    return code if isinstance(code, int) else 0


def _code(error: JobsError) -> int:
    """2 for what another command line would mend, 1 for what a server or a network refused."""
    sent = isinstance(error, RequestError) and error.body is not None
    local = (ConfigError, StoreError, InvalidRequest)
    return USAGE if isinstance(error, local) and not sent else ERROR


def _explained(error: JobsError) -> str:
    if not isinstance(error, RequestError):
        return error.message
    text = error.message
    if isinstance(error, InvalidRequest) and error.path and error.path not in text:
        text = f"{error.path}: {text}"
    if isinstance(error, Unauthorized):
        text += (
            "; name a key with BL_API_KEY or --api-key, and this server with BL_API_URL or --url: a key alone means the platform"
        )
    if isinstance(error, ServerError) and error.request_id:
        text += f" (request {error.request_id})"
    return text


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context, show_version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False
) -> None:
    """Durable job executions: serve them, create them, wait for them.

    Exit codes: 0 completed, 1 error of the server or the network, 2 usage, 10 failed, 11 cancelled, 124 wait timed out,
    130 interrupted.
    """
    if show_version:
        emit(f"blaxel-jobs {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        emit(context.get_help())
        raise typer.Exit


@app.command()
def serve(
    store: Annotated[str, typer.Option(help="Where executions are kept: sqlite:///FILE or memory:")] = "sqlite:///jobs.db",
    host: Annotated[str, typer.Option(help="Address to listen on. Any but loopback needs an API key.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = 8080,
    api_key: Annotated[
        list[str] | None, typer.Option(help="A key that may do everything, or sha256:HEX of it. Repeatable.", show_default=False)
    ] = None,
    api_key_file: Annotated[
        Path | None, typer.Option(help="Keys, one a line: KEY|sha256:HEX [workspace=NAME] [scopes=read,submit,worker,admin]")
    ] = None,
    allow_origin: Annotated[
        list[str] | None, typer.Option(help="A web page's origin that may call this server. Repeatable.", show_default=False)
    ] = None,
    allow_host: Annotated[
        list[str] | None, typer.Option(help="A further NAME or NAME:PORT to answer for. Repeatable.", show_default=False)
    ] = None,
    worker: Annotated[
        list[str] | None, typer.Option(help="Run the jobs that this Python module defines. Repeatable.", show_default=False)
    ] = None,
    simulate: Annotated[
        bool, typer.Option("--simulate", help="Run jobs without a handler: each task takes its `duration`.")
    ] = False,
    slots: Annotated[
        int | None,
        typer.Option(min=1, max=10_000, help="Tasks that run at once: 8, or 1000 where all are simulated.", show_default=False),
    ] = None,
    lease: Annotated[float, typer.Option(help="Seconds until a lost worker's tasks are given to another.")] = 10.0,
    max_recoveries: Annotated[
        int, typer.Option(min=0, help="How many times a task may be lost with its worker before it fails.")
    ] = 5,
    grace: Annotated[float, typer.Option(help="Seconds that running tasks get to end when the server stops.")] = 10.0,
    ready_file: Annotated[
        Path | None, typer.Option(help='Holds {"url": ..., "pid": ...} for as long as connections are accepted.')
    ] = None,
    log_level: Annotated[LogLevel, typer.Option(help="What is written to stderr.")] = LogLevel.INFO,
) -> None:
    """Serve the Jobs API, and run jobs when a worker module is named."""
    from .serve import Serve  # everything else here does without the server

    _log(log_level)
    Serve(
        store=store, host=host, port=port, api_keys=api_key or [], api_key_file=api_key_file, allow_origins=allow_origin or [],
        allow_hosts=allow_host or [], worker_modules=worker or [], simulate=simulate, slots=slots,
        lease=lease, max_recoveries=max_recoveries, grace=grace, ready_file=ready_file,
    ).run()  # fmt: skip


def _log(level: LogLevel) -> None:
    logging.basicConfig(level=level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    for noisy in ("uvicorn.error", "asyncio", "alembic"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, logging.getLogger().level))
