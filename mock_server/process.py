"""A mock as a process of its own: its options, its socket, its end."""

import argparse
import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from blaxel_jobs.errors import ConfigError, JobsError
from blaxel_jobs.server.guard import LOOPBACK, Hosts
from blaxel_jobs.server.keys import read_key
from blaxel_jobs.server.serve import HttpServer, ReadyFile, bind, is_any_address, is_loopback, url_of

from .loop import new_loop
from .namespaces import STRICT, Hub, Options
from .pace import check_mode


def run(arguments: Sequence[str] | None = None) -> int:
    """Serve until a signal ends it. The answer is the exit code; what the user can mend is one line on stderr."""
    options = _parser().parse_args(arguments)
    try:
        return _mock(options)
    except (JobsError, OSError) as error:
        print(f"mock_server: {' '.join(str(error).split())}", file=sys.stderr)  # noqa: T201
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m mock_server", description="The Jobs API in memory, with time of its own.", allow_abbrev=False
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on; any but loopback needs --api-key")
    parser.add_argument("--port", type=int, default=8080, help="port to listen on; 0 takes a free one")
    parser.add_argument("--clock", default="virtual", help="virtual (waiting takes no time), real, or scale:60")
    parser.add_argument("--mode", default="settle", help="settle (a look sees the end) or step (a look sees one change)")
    parser.add_argument("--seed", type=int, default=0, help="the same seed gives the same ids and events")
    parser.add_argument("--worker", action="append", default=[], metavar="MODULE", help="run the jobs of this module; repeatable")
    parser.add_argument("--scenario", type=Path, metavar="FILE", help="a YAML file with faults")
    parser.add_argument("--strict", action="store_true", help="answer 500 where a request or an answer is against the contract")
    parser.add_argument("--api-key", action="append", default=[], help="a key that may do everything; repeatable")
    parser.add_argument("--ready-file", type=Path, help='holds {"url": ..., "pid": ...} for as long as connections are accepted')
    return parser


def _mock(options: argparse.Namespace) -> int:
    made = Options(
        clock=options.clock, mode=check_mode(options.mode), seed=options.seed,
        keys=[read_key(text, "--api-key") for text in options.api_key],
        strict=options.strict or os.environ.get(STRICT) == "1",
    )  # fmt: skip
    if options.worker:
        from blaxel_jobs.worker.modules import load_jobs

        made.jobs = load_jobs(options.worker)
    if options.scenario is not None:
        from .scenario import read_scenario

        made.rules = read_scenario(options.scenario)
    with contextlib.closing(bind(options.host, options.port)) as bound:
        if not made.keys and not is_loopback(bound):
            raise ConfigError(f"--host {options.host} can be reached from other machines, so it needs --api-key")
        address = bound.getsockname()[0]
        named = [f"[{name}]" if ":" in name else name for name in (options.host.strip("[]"), address)]
        made.hosts = Hosts([*LOOPBACK, *named], any_local=is_any_address(bound))
        hub = Hub(made)
        with asyncio.Runner(loop_factory=lambda: new_loop(hub.idle)) as runner:
            runner.run(_serve(hub, bound, options))
    return 0


async def _serve(hub: Hub, bound: socket.socket, options: argparse.Namespace) -> None:
    ready = ReadyFile(options.ready_file) if options.ready_file else None
    url = url_of(bound)

    def on_ready() -> None:
        if ready:
            ready.write(url)
        print(f"mock_server serves on {url} ({options.clock} time, {options.mode})", flush=True)  # noqa: T201

    def on_kill() -> None:
        if ready:
            ready.remove()

    await hub.open()
    try:
        await HttpServer(hub, bound, on_ready=on_ready, on_kill=on_kill).serve()
    finally:
        on_kill()
        await hub.close()
