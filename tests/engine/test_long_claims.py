"""Claims of workers elsewhere, which wait for work: nothing that comes is missed, and nothing is leased to one who has gone."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from blaxel_jobs.engine import LocalLeases
from blaxel_jobs.engine.verbs import OPERATIONS, Commit
from blaxel_jobs.stores.sql.sqlite import SQLiteStore
from tests.pace import PATIENCE

from .conftest import Harness

BODY = {"worker": "w", "jobs": ["job"], "limit": 3, "waitMs": 30_000}


async def test_what_comes_while_a_claim_looks_is_no_arrival_of_before(harness: Harness) -> None:
    claim = OPERATIONS["claim_leases"](harness.engine, "default", body=BODY)
    assert [isinstance(wanted, Commit) for wanted in (claim.send(None), claim.send([]))] == [True, True]
    harness.engine.arrivals.wake({("default", "job")})  # after the commit that found nothing, before its answer
    await asyncio.sleep(0)
    waiting = claim.send([])
    assert waiting.event.is_set()  # type: ignore[union-attr]
    claim.close()


class Stuck(SQLiteStore):
    """Commits when it may."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.may, self.began = threading.Event(), threading.Event()
        self.may.set()

    def begin(self) -> Any:
        self.began.set()
        assert self.may.wait(PATIENCE)
        return super().begin()


@pytest.fixture
def stuck(tmp_path: Path) -> Iterator[tuple[Stuck, Harness]]:
    store = Stuck(tmp_path / "jobs.db")
    harness = Harness(store)
    yield store, harness
    store.may.set()
    harness.engine.close()
    store.close()


@pytest.mark.parametrize("where", ["elsewhere", "here"])
async def test_what_is_claimed_for_one_who_goes_in_that_moment_goes_back(stuck: tuple[Stuck, Harness], where: str) -> None:
    store, harness = stuck
    ids = [harness.create()["executionId"] for _ in range(2)]
    store.may.clear()
    store.began.clear()
    if where == "here":
        claim = asyncio.ensure_future(LocalLeases(harness.engine, ["default"], "w").claim(None, 5, 0))
    else:
        claim = asyncio.ensure_future(harness.engine.acall("claim_leases", "default", {"body": {**BODY, "waitMs": 0}}))
    assert await asyncio.to_thread(store.began.wait, PATIENCE)
    claim.cancel()
    with pytest.raises(asyncio.CancelledError):
        await claim
    store.may.set()
    async with asyncio.timeout(PATIENCE):
        while not all(harness.engine.store.get("default", [id])[0].version >= 3 for id in ids):
            await asyncio.sleep(0.005)
    leased = harness.claim()
    assert [(each.execution_id, each.attempt) for each in leased] == [(id, 1) for id in ids]
    assert harness.get(ids[0])["recoveries"] == []
