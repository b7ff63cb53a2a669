"""The leases port of the TypeScript worker, in a process of its own."""

import asyncio
import itertools
import json
import subprocess
import threading
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future
from typing import Any

from blaxel_jobs import errors
from blaxel_jobs.core.records import Leased, LeaseRef
from blaxel_jobs.core.reports import Answer, Holding, Report
from blaxel_jobs.define import JobDef
from blaxel_jobs.remote.wire import Encoded, encode, read_answers, read_claim, read_holding
from tests.pace import PATIENCE
from tests.serving import plain_environment
from tests.typescript.node import PACKAGE, node


class NodeProcess:
    """Runs typescript/tests/leases-port.js. Used from any thread."""

    def __init__(self) -> None:
        command = [node(), "tests/leases-port.js"]
        self._process = subprocess.Popen(
            command, cwd=PACKAGE, env=plain_environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._ids = itertools.count()
        self._lock = threading.Lock()
        self._asked: dict[int, Future[Any]] = {}
        threading.Thread(target=self._listen, daemon=True).start()

    def ask(self, verb: str, **given: Any) -> Future[Any]:
        """What the verb answers. Raises the error of the same name."""
        future: Future[Any] = Future()
        with self._lock:
            id = next(self._ids)
            self._asked[id] = future
            assert self._process.stdin is not None
            self._process.stdin.write(json.dumps({"id": id, "verb": verb, **given}) + "\n")
            self._process.stdin.flush()
        return future

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            answer = json.loads(line)
            future = self._asked.pop(answer["id"])
            if "error" in answer:
                future.set_exception(getattr(errors, answer["error"], AssertionError)(answer["message"]))
            else:
                future.set_result(answer["value"])


class NodeLeases:
    """The port, over the process. Its worker's names are counted."""

    _count = itertools.count()

    def __init__(self, process: NodeProcess, url: str) -> None:
        self._process = process
        self.worker = f"node-{next(self._count)}"
        self.heartbeat_every = 0.1
        self.in_place = 0.0
        self.on_lost: Callable[[Collection[LeaseRef]], None] = lambda lost: None
        self.on_stop: Callable[[Collection[LeaseRef]], None] = lambda stop: None
        self._ask("make", url=url, worker=self.worker)

    def register(self, jobs: Sequence[JobDef[Any, Any]]) -> None:
        self._ask("register", jobs=[{"key": id(job), "name": job.name, "definition": job.definition()} for job in jobs])

    def open(self) -> None:
        self._ask("open")

    async def claim(self, jobs: tuple[str, ...] | None, limit: int, wait: float) -> list[Leased]:
        asked = self._process.ask("claim", leases=self.worker, jobs=jobs, limit=limit, wait=wait * 1000)
        leased, self.in_place, self.heartbeat_every = read_claim(encode(await asyncio.wrap_future(asked)), "default")
        return leased

    async def report(self, lease: LeaseRef, report: Report) -> Answer:
        return self._answer(await asyncio.wrap_future(self._report(lease, report)))

    def report_here(self, lease: LeaseRef, report: Report) -> Answer:
        return self._answer(self._report(lease, report).result(PATIENCE))

    def artifacts(self, workspace: str) -> Any:
        raise NotImplementedError("the TypeScript worker has no artifacts")

    def heartbeat(self, leases: Sequence[LeaseRef]) -> Holding:
        refs = [{"task": lease.task, "token": lease.token} for lease in leases]
        return read_holding(encode(self._ask("heartbeat", refs=refs)))

    def interrupt(self) -> None:
        self._ask("interrupt")

    def close(self) -> None:
        self._ask("close")

    def _ask(self, verb: str, **given: Any) -> Any:
        return self._process.ask(verb, leases=self.worker, **given).result(PATIENCE)

    def _report(self, lease: LeaseRef, report: Report) -> Future[Any]:
        return self._process.ask("report", leases=self.worker, report=json.loads(Encoded(lease, report).text))

    def _answer(self, answer: Any) -> Answer:
        [read] = read_answers(encode({"answers": [answer]}), 1)
        assert isinstance(read, Answer)
        return read
