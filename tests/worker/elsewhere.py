"""Handlers that another process can import."""

import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

import attrs

from blaxel_jobs.define import define_job
from blaxel_jobs.errors import LeaseLost, NotFound, PermanentError, RetryAfter
from blaxel_jobs.worker import Suspended, TaskContext


@attrs.define
class Order:
    id: str
    amount: float


@define_job("process", executor="process")
def in_a_process(context: TaskContext, payload: Any) -> dict[str, Any]:
    return {"pid": os.getpid(), "payload": payload, "attempt": context.attempt, "metadata": context.metadata, "env": context.env}


def write(path: str, text: str) -> str:
    with Path(path).open("a") as file:
        file.write(text)
    return text


@define_job("verbs", executor="process")
def verbs(context: TaskContext, path: str) -> list[Any]:
    context.log.info("begun", path=path)
    first = context.run("first", write, path, "1")
    context.sleep("nap", 0.3)
    context.progress(1, 2, "half")
    event = context.wait_for_event("go")
    results: list[str] = []
    threads = [
        threading.Thread(target=lambda n=n: results.append(context.run(f"beside-{n}", write, path, "b")))  # type: ignore[misc]
        for n in range(5)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    context.progress(2, 2)
    return [first, event, results, context.execution_id]


@define_job("retried", executor="process")
def retried(context: TaskContext, path: str) -> int:
    def flaky() -> int:
        if len(write(path, "x")) and Path(path).stat().st_size < 3:
            raise OSError("not yet")
        return Path(path).stat().st_size

    return context.options(max_retries=5, retry_delay=0.01).run("flaky", flaky)


@define_job("typed", executor="process")
def typed(context: TaskContext, order: Order) -> Order:
    return context.run("double", double, order)


def double(order: Order) -> Order:
    return Order(order.id, order.amount * 2)


@define_job("bad", executor="process")
def bad(context: TaskContext, how: str) -> Any:
    match how:
        case "raise":
            raise KeyError("missing")
        case "permanent":
            raise PermanentError("never")
        case "later":
            raise RetryAfter(3)
        case "exit":
            sys.exit(3)
        case "duplicate":
            context.run("a", int)
            context.run("a", int)
        case "set":
            return {1}
        case _:
            return os._exit(int(how))
    return None


@define_job("crash-once", executor="process")
def crashes_once(context: TaskContext, path: str) -> str:
    context.run("first", write, path, "1")
    if len(write(path, "2")) and Path(path).read_text().count("2") == 1:
        os._exit(9)
    return Path(path).read_text()


@define_job("hang", executor="process")
def hangs(context: TaskContext, path: str) -> None:
    write(path, str(os.getpid()))
    while True:
        time.sleep(0.01)


@define_job("polite", executor="process")
def polite(context: TaskContext, path: str) -> str:
    """Ends when it is told to."""
    write(path, "begun ")
    try:
        while True:
            context.progress(1)
            time.sleep(0.005)
    except LeaseLost:
        write(path, f"lost {context.cancelled}")
        raise
    except Suspended:
        write(path, f"suspended {context.cancelled}")
        raise


@define_job("sleeper", executor="process")
def sleeper(context: TaskContext, path: str) -> str:
    try:
        context.sleep("nap", 50)
    finally:
        write(path, "unwound")
    return "rested"


@define_job("artifacts", executor="process")
def artifacts(context: TaskContext, payload: str) -> list[Any]:
    ref = context.artifacts.put(b"x" * 1_000_000 + payload.encode(), content_type="text/plain")
    with context.artifacts.open(ref) as reader:
        told = [reader.size, reader.content_type, reader.read()[-5:].decode()]
    try:
        context.artifacts.get("artifact:e/" + "0" * 64)
    except NotFound as error:
        told.append(type(error).__name__)
    return [ref, *told]


def by_name(context: TaskContext, payload: Any) -> list[Any]:
    return [os.getpid(), payload, context.job, context.attempt]


def with_verbs(context: TaskContext, verb: str) -> Any:
    match verb:
        case "run":
            return context.run("s", int)
        case "sleep":
            return context.sleep("s", 1)
        case "wait_for_event":
            return context.wait_for_event("s")
        case "progress":
            return context.progress(1)
        case "log":
            return context.log.info("line")
        case "artifacts":
            return context.artifacts
        case "options":
            return context.options(max_retries=1).run("s", int)
        case _:
            return context.cancelled


def raises(context: TaskContext, payload: Any) -> None:
    raise RetryAfter(5, "busy")


def exits() -> None:
    os._exit(5)


def counted(order: Order) -> int:
    return int(order.amount)


class Method:
    def run(self) -> int:
        return 1


a_method = Method().run
a_lambda = lambda: 1  # noqa: E731
