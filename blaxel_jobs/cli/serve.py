"""`blaxel-jobs serve`: store, engine, worker, app and socket put together."""

import contextlib
import gc
import math
import os
import re
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import attrs

from .. import __version__
from ..define import JobDef
from ..engine import Engine, LocalLeases
from ..errors import ConfigError
from ..server.app import App
from ..server.guard import LOOPBACK, Hosts
from ..server.keys import DEFAULT_WORKSPACE, Key, Keyring, read_key, read_key_file
from ..server.runner_data import SECRET_VARIABLE, RunnerData, read_secret
from ..server.serve import HttpServer, ReadyFile, bind, is_any_address, is_loopback, url_of
from ..stores import open_store
from ..system import SystemClock, id_factory, new_key, rng
from ..worker import Worker
from ..worker.modules import load_jobs
from ..worker.worker import DEFAULT_SLOTS

SWITCH_INTERVAL: Final = 0.0005
"""Seconds. By Python's default a thread that computes holds up every statement of a commit for 5 ms."""
GC_THRESHOLDS: Final = (50_000, 20, 50)
"""Records hold no cycles, so looking for them after every 700 new ones (Python's default) is a third of a create's time."""
SIMULATED_SLOTS: Final = 1000
"""A simulated task only waits."""
KEY_VARIABLE: Final = "BLAXEL_JOBS_SERVER_KEY"

_ORIGIN: Final = re.compile(r"[a-z][a-z0-9+.-]*://(?:\[[0-9a-f:]+\]|[a-z0-9._-]+)(?::[0-9]{1,5})?")
_HOST: Final = re.compile(r"(?:\[[0-9a-f:]+\]|[a-z0-9._-]+)(?::[0-9]{1,5})?")


@attrs.frozen(kw_only=True)
class Serve:
    """A server as its options describe it. `run` raises ConfigError or StoreError for what the user can mend."""

    store: str
    host: str
    port: int
    api_keys: list[str]
    api_key_file: Path | None
    allow_origins: list[str]
    allow_hosts: list[str]
    worker_modules: list[str]
    simulate: bool
    slots: int | None
    lease: float
    max_recoveries: int
    grace: float
    ready_file: Path | None

    def run(self) -> None:
        """Serve until a signal ends it. Everything that can be wrong is looked at before the store is opened."""
        _check_seconds("--lease", self.lease, least=0.1)
        _check_seconds("--grace", self.grace, least=0)
        keys = self._keys()
        data = RunnerData(read_secret(os.environ.get(SECRET_VARIABLE)))
        jobs = load_jobs(self.worker_modules)
        with contextlib.closing(bind(self.host, self.port)) as bound:
            if not keys and not is_loopback(bound):
                raise ConfigError(
                    f"--host {self.host} can be reached from other machines, so it needs a key: --api-key, --api-key-file or "
                    f"{KEY_VARIABLE}; or serve this machine alone with --host 127.0.0.1"
                )
            hosts, origins = self._hosts(bound), self._origins()
            with self._engine() as engine, self._worker(engine, jobs, keys) as stop_worker:
                app = App(
                    engine, version=__version__, new_id=new_key, keys=Keyring(keys), hosts=hosts, origins=origins, runner_data=data
                )
                self._serve(app, bound, stop_worker)

    def _serve(self, app: App, bound: socket.socket, stop_worker: Callable[[], None]) -> None:
        gc.set_threshold(*GC_THRESHOLDS)
        gc.freeze()  # what is loaded stays; to look through it would stop everything for 40 ms, each time
        url = url_of(bound)
        ready = ReadyFile(self.ready_file) if self.ready_file else None

        def on_ready() -> None:
            if ready:
                ready.write(url)
            print(f"blaxel-jobs {__version__} serves {self.store} on {url} ({self._runs()})", flush=True)

        try:
            HttpServer(app, bound, on_ready=on_ready, on_kill=ready.remove if ready else _nothing, finish=stop_worker).run()
        finally:
            if ready:
                ready.remove()

    @contextlib.contextmanager
    def _engine(self) -> Iterator[Engine]:
        store = open_store(self.store)
        engine = Engine(
            store, clock=SystemClock(), new_id=id_factory(), rng=rng, lease=self.lease, max_recoveries=self.max_recoveries,
            simulate=self.simulate,
        )  # fmt: skip
        try:
            engine.start()
            yield engine
        finally:
            engine.close()

    @contextlib.contextmanager
    def _worker(self, engine: Engine, jobs: list[JobDef[Any]], keys: list[Key]) -> Iterator[Callable[[], None]]:
        """A worker that serves; the value stops it. Without a job to run there is none."""
        if not jobs and not self.simulate:
            yield _nothing
            return
        sys.setswitchinterval(SWITCH_INTERVAL)
        workspaces = sorted({key.principal.workspace for key in keys} or {DEFAULT_WORKSPACE})
        leases = LocalLeases(engine, workspaces, new_key())
        worker = Worker(leases, jobs, slots=self._slots(), simulate=self.simulate, clock=SystemClock(), rng=rng)
        worker.start()
        try:
            yield lambda: worker.stop(self.grace)
        finally:
            worker.stop(self.grace)

    def _slots(self) -> int:
        return self.slots or (DEFAULT_SLOTS if self.worker_modules else SIMULATED_SLOTS)

    def _runs(self) -> str:
        """What happens to tasks here, in a few words."""
        kinds = [f"runs the jobs of {', '.join(self.worker_modules)}"] if self.worker_modules else []
        kinds += ["simulates jobs without a handler"] if self.simulate else []
        return f"{' and '.join(kinds)}, {self._slots()} tasks at once" if kinds else "runs no jobs: executions wait for a worker"

    def _keys(self) -> list[Key]:
        keys = [read_key(text, "--api-key") for text in self.api_keys]
        if KEY_VARIABLE in os.environ:
            keys.append(read_key(os.environ[KEY_VARIABLE], KEY_VARIABLE))
        if self.api_key_file:
            keys += read_key_file(self.api_key_file)
        return keys

    def _hosts(self, bound: socket.socket) -> Hosts:
        for host in self.allow_hosts:
            if not _HOST.fullmatch(host.lower()):
                raise ConfigError(f"--allow-host takes NAME or NAME:PORT, not {host!r}")
        address = bound.getsockname()[0]
        named = [f"[{name}]" if ":" in name else name for name in (self.host.strip("[]"), address)]
        return Hosts([*LOOPBACK, *named, *self.allow_hosts], any_local=is_any_address(bound))

    def _origins(self) -> list[str]:
        origins = [origin.lower() for origin in self.allow_origins]
        for origin in origins:
            if not _ORIGIN.fullmatch(origin):
                raise ConfigError(f"--allow-origin takes an origin like https://app.example.com, not {origin!r}")
        return origins


def _check_seconds(option: str, seconds: float, least: float) -> None:
    if not (math.isfinite(seconds) and least <= seconds <= 86_400):
        raise ConfigError(f"{option} is a number of seconds from {least:g} to 86400, not {seconds:g}")


def _nothing() -> None:
    pass
