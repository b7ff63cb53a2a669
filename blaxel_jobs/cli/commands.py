"""The commands and their options. What they do stands in modules of their own."""

import logging
import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from typer.main import get_command

from ..errors import JobsError
from .serve import Serve, version

app = typer.Typer(
    help="Blaxel Jobs: durable job executions.", no_args_is_help=False, add_completion=False, pretty_exceptions_enable=False
)


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
    except (JobsError, OSError) as error:
        return _refuse(str(error))
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except Exception as error:
        format_message = getattr(error, "format_message", None)
        if format_message is None:
            raise
        return _refuse(f"{format_message()} (blaxel-jobs --help, blaxel-jobs serve --help)")
    return code if isinstance(code, int) else 0


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context, show_version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False
) -> None:
    """Durable job executions: one server, one contract."""
    if show_version:
        print(f"blaxel-jobs {version()}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        print(context.get_help())
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
    grace: Annotated[float, typer.Option(help="Seconds that running tasks get to end when the server stops.")] = 10.0,
    ready_file: Annotated[
        Path | None, typer.Option(help='Holds {"url": ..., "pid": ...} for as long as connections are accepted.')
    ] = None,
    log_level: Annotated[LogLevel, typer.Option(help="What is written to stderr.")] = LogLevel.INFO,
) -> None:
    """Serve the Jobs API, and run jobs when a worker module is named."""
    _log(log_level)
    slots = slots or (1000 if simulate and not worker else 8)  # simulated tasks only sleep
    Serve(
        store=store, host=host, port=port, api_keys=api_key or [], api_key_file=api_key_file, allow_origins=allow_origin or [],
        allow_hosts=allow_host or [], worker_modules=worker or [], simulate=simulate, slots=slots,
        lease=lease, grace=grace, ready_file=ready_file,
    ).run()  # fmt: skip


def _log(level: LogLevel) -> None:
    logging.basicConfig(level=level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    for noisy in ("uvicorn.error", "asyncio", "alembic"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, logging.getLogger().level))


def _refuse(message: str) -> int:
    print(f"blaxel-jobs: {' '.join(message.split())}", file=sys.stderr)
    return 2
