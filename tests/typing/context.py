"""What a type checker sees within handlers: read by mypy --strict and pyright --strict in `make check`, never run."""

import asyncio
from datetime import datetime
from functools import partial
from typing import Any, assert_type

from blaxel_jobs import define_job
from blaxel_jobs.artifacts import Artifacts, AsyncArtifacts
from blaxel_jobs.worker import AsyncTaskContext, TaskContext


class User:
    name: str


class Fetcher:
    def __call__(self, id: str) -> User:
        return User()

    async def fetch(self, id: str) -> User:
        return User()


def fetch(id: str, *, retries: int = 0) -> User:
    return User()


async def afetch(id: str, *, retries: int = 0) -> User:
    return User()


@define_job("sync")
def sync_handler(context: TaskContext, payload: dict[str, str]) -> str:
    assert_type(context.run("fetch", fetch, payload["id"], retries=2), User)
    assert_type(context.run("lambda", lambda: 1), int)
    assert_type(context.run("partial", partial(fetch, "id")), User)
    assert_type(context.run("callable", Fetcher(), "id"), User)
    assert_type(context.run("name", fetch, id="a"), User)
    assert_type(context.options(max_retries=3, retry_delay=1, timeout=5).run("again", fetch, "a"), User)
    assert_type(context.run("class", datetime, 2030, 1, 1), datetime)
    assert_type(context.sleep("nap", 60), None)
    assert_type(context.wait_for_event("go", timeout=5), Any)
    assert_type(context.progress(1, 2, "half"), None)
    assert_type(context.log.info("line", rows=3), None)
    assert_type(context.artifacts, Artifacts)
    assert_type(context.attempt, int)
    assert_type(context.metadata, dict[str, Any])
    context.run("wrong", fetch, 3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    context.run("missing", fetch)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    return context.run("fetch", fetch, "id").name


@define_job("async")
async def async_handler(context: AsyncTaskContext, payload: dict[str, str]) -> str:
    assert_type(await context.run("fetch", afetch, payload["id"], retries=2), User)
    assert_type(await context.run("sync", fetch, payload["id"]), User)
    assert_type(await context.run("lambda", lambda: 1), int)
    assert_type(await context.run("method", Fetcher().fetch, "id"), User)
    assert_type(await context.run("partial", partial(fetch, "id")), User)
    assert_type(await context.run("async lambda", lambda: afetch("id")), User)
    assert_type(await context.options(max_retries=3, retry_delay=1, timeout=5).run("again", afetch, "a"), User)
    one, two = await asyncio.gather(context.run("one", afetch, "a"), context.run("two", int, "3"))
    assert_type(one, User)
    assert_type(two, int)
    assert_type(await context.sleep("nap", 60), None)
    assert_type(await context.wait_for_event("go", timeout=5), Any)
    assert_type(context.artifacts, AsyncArtifacts)
    return (await context.run("last", afetch, "id")).name
