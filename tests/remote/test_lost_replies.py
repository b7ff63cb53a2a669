"""A server that does what it is asked, and whose replies to workers are lost: of each report the first."""

import json
import logging
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from blaxel_jobs import JobsClient, define_job
from blaxel_jobs.engine import Engine
from blaxel_jobs.errors import PermanentError
from blaxel_jobs.remote import RemoteWorker
from blaxel_jobs.server.app import create_app
from blaxel_jobs.server.asgi import Receive, Scope, Send
from blaxel_jobs.stores import open_store
from blaxel_jobs.system import SystemClock, id_factory, new_key, rng
from tests.pace import PATIENCE
from tests.serving import live


class Lossy:
    """An app whose first reply to each report of a worker is a gateway's page instead, of this status."""

    def __init__(self, app: Any, status: int) -> None:
        self._app = app
        self._status = status
        self._known: set[str] = set()
        self.lost: Counter[str] = Counter()
        """Reports whose replies were lost, by their type."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._app, name)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get("path") != "/v0/leases/report":
            await self._app(scope, receive, send)
            return
        body = b""
        while (message := await receive())["type"] == "http.request":
            body += message["body"]
            if not message.get("more_body"):
                break
        new = [report for report in json.loads(body)["reports"] if json.dumps(report) not in self._known]
        self._known.update(map(json.dumps, new))
        self.lost.update(report["type"] for report in new)
        whole = iter([{"type": "http.request", "body": body}])

        async def again() -> Any:
            return next(whole, None) or await receive()

        async def forget(message: Any) -> None:
            """What the app says."""

        await self._app(scope, again, forget if new else send)
        if new:
            await send({"type": "http.response.start", "status": self._status, "headers": []})
            await send({"type": "http.response.body", "body": b"<html>Soon.</html>"})


class Shop:
    def __init__(self, url: str, engine: Engine, app: Lossy) -> None:
        self.url = url
        self.engine = engine
        self.app = app
        self.client = JobsClient(base_url=url)


@pytest.fixture(params=[("memory", 503), ("sqlite", 502), ("memory", 200)], ids=repr)
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shop]:
    kind, status = request.param
    store = open_store("memory:" if kind == "memory" else f"sqlite:///{tmp_path}/jobs.db")
    engine = Engine(store, clock=SystemClock(), new_id=id_factory(), rng=rng)
    engine.start()
    lossy = Lossy(create_app(engine, version="1", new_id=new_key), status)
    with live(lossy) as url:
        yield Shop(url, engine, lossy)
    engine.close()


def complaints(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What a worker says of outcomes that it could not deliver."""
    said = [record.getMessage() for record in caplog.records]
    return [line for line in said if "lease lost" in line or "failed, the lease will run out" in line]


def test_nothing_runs_twice_and_nothing_is_called_lost(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    runs: Counter[str] = Counter()

    def once(what: str) -> str:
        runs[what] += 1
        return what

    @define_job("steps")
    def steps(context: Any, payload: int) -> list[str]:
        done = [context.run(f"s{number}", once, f"steps {payload} {number}") for number in range(3)]
        context.log.info("done")
        context.sleep("nap", 0.01)
        return done

    @define_job("waits")
    async def waits(context: Any, payload: int) -> Any:
        await context.run("before", once, f"waits {payload}")
        return await context.wait_for_event("go", timeout=60)

    @define_job("fails", max_retries=2, retry_delay=0)
    def fails(context: Any, payload: int) -> None:
        once(f"fails {payload} {context.attempt}")
        raise ValueError("no")

    @define_job("ends")
    def ends(context: Any, payload: int) -> None:
        once(f"ends {payload}")
        raise PermanentError("never")

    caplog.set_level(logging.INFO, "blaxel_jobs")
    with RemoteWorker([steps, waits, fails, ends], base_url=shop.url, slots=4):
        made = {
            name: [shop.client.job(name).trigger(number) for number in range(5)] for name in ("steps", "waits", "fails", "ends")
        }
        for execution in made["waits"]:
            execution.send_event("go", 7)
        ended = {name: shop.client.wait_for_executions([each.id for each in made[name]], PATIENCE) for name in made}
    found = {name: [each.refresh() for each in ended[name]] for name in ended}
    assert [each.get_result() for each in found["steps"]] == [[f"steps {n} {i}" for i in range(3)] for n in range(5)]
    assert [each.get_result() for each in found["waits"]] == [7] * 5
    assert {each.status for each in found["fails"] + found["ends"]} == {"failed"}
    assert set(runs.values()) == {1}
    assert len(runs) == 15 + 5 + 15 + 5
    assert shop.app.lost >= Counter(completed=10, failed=20, stepped=20, slept=5, awaited=5)
    for execution in [each for executions in found.values() for each in executions]:
        assert not list(execution.recoveries), execution
    assert [[line.message for line in each.logs()] for each in found["steps"]] == [["done"]] * 5
    assert complaints(caplog) == []


def test_what_a_paused_handler_gives_back_is_not_called_lost(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    began, go_on = threading.Event(), threading.Event()

    @define_job("long")
    def long(context: Any) -> str:
        began.set()
        assert go_on.wait(PATIENCE)
        context.run("one", lambda: 1)
        context.run("two", lambda: 2)
        return "done"

    with RemoteWorker([long], base_url=shop.url, slots=1):
        execution = shop.client.job("long").trigger()
        assert began.wait(PATIENCE)
        execution.pause()
        go_on.set()
        deadline = time.monotonic() + PATIENCE
        while shop.engine.store.get("default", [execution.id])[0].running:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        execution.resume()
        assert execution.get_result(PATIENCE) == "done"
    assert shop.app.lost["released"] == 1
    assert complaints(caplog) == []
    assert not list(execution.refresh().recoveries)
