"""LocalLeases: what is leased is handed over, whatever else fails; an interrupted claim claims no more."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from blaxel_jobs.core.records import Leased
from blaxel_jobs.engine import LocalLeases
from blaxel_jobs.engine.commands import Claim, Command
from blaxel_jobs.errors import Unavailable
from blaxel_jobs.stores import MemoryJobStore
from blaxel_jobs.system import SystemClock
from tests.pace import PATIENCE

from .conftest import Harness

LONG = 30.0


class Failing(MemoryJobStore):
    """Does not give the tasks of one workspace."""

    bad = ""

    def begin(self) -> Any:
        transaction = super().begin()
        claimable = transaction.claimable  # type: ignore[attr-defined]

        def choosy(workspace: str, jobs: Any, limit: int, execution: str | None = None) -> Any:
            if workspace == self.bad:
                raise Unavailable("the disk is full")
            return claimable(workspace, jobs, limit, execution)

        transaction.claimable = choosy  # type: ignore[attr-defined]
        return transaction


class Slept:
    """Leases on a real clock; `waiting` is set when a claim has found nothing and waits."""

    def __init__(self, workspaces: Sequence[str] = ("default",)) -> None:
        self.store = Failing()
        self.waiting = asyncio.Event()
        self.claims: list[Claim] = []
        self.harness = Harness(self.store, clock=self)
        submit = self.harness.engine.asubmit

        async def noted(command: Command) -> Any:
            if isinstance(command, Claim):
                self.claims.append(command)
            return await submit(command)

        self.harness.engine.asubmit = noted  # type: ignore[method-assign]
        self.leases = LocalLeases(self.harness.engine, workspaces, "w")
        self.leases.open()

    now = staticmethod(SystemClock.now)
    monotonic = staticmethod(SystemClock.monotonic)

    async def sleep(self, seconds: float) -> None:
        await SystemClock().sleep(seconds)

    async def wait(self, flag: Any, seconds: float) -> None:
        self.waiting.set()
        await SystemClock().wait(flag, seconds)


@pytest.fixture
async def slept() -> AsyncIterator[Slept]:
    slept = Slept(["one", "two"])
    yield slept
    slept.leases.close()
    slept.harness.engine.close()


def ids(leased: list[Leased]) -> list[str]:
    return [item.execution_id for item in leased]


async def test_what_one_workspace_gave_is_not_lost_when_the_next_fails(slept: Slept) -> None:
    id = slept.harness.create(workspace="one")["executionId"]
    slept.store.bad = "two"
    assert ids(await slept.leases.claim(None, 4, 0)) == [id]
    for _ in range(2):
        with pytest.raises(Unavailable):
            await slept.leases.claim(None, 4, 0)


async def test_a_workspace_that_fails_does_not_starve_the_others(slept: Slept) -> None:
    slept.store.bad = "one"
    id = slept.harness.create(workspace="two")["executionId"]
    with pytest.raises(Unavailable):
        await slept.leases.claim(None, 4, 0)
    assert ids(await slept.leases.claim(None, 4, 0)) == [id]


async def test_an_interrupted_claim_claims_no_more(slept: Slept) -> None:
    claiming = asyncio.create_task(slept.leases.claim(None, 4, LONG))
    await asyncio.wait_for(slept.waiting.wait(), PATIENCE)
    slept.harness.engine.listeners.ready.clear()  # as when another process creates
    id = slept.harness.create(workspace="one")["executionId"]
    before = len(slept.claims)
    slept.leases.interrupt()
    assert await asyncio.wait_for(claiming, PATIENCE) == []
    assert len(slept.claims) == before
    slept.harness.engine.listeners.ready.append(slept.leases._ready)
    assert ids(await slept.leases.claim(None, 4, 0)) == [id]


async def test_what_becomes_ready_wakes_a_claim(slept: Slept) -> None:
    claiming = asyncio.create_task(slept.leases.claim(None, 4, LONG))
    await asyncio.wait_for(slept.waiting.wait(), PATIENCE)
    id = slept.harness.create(workspace="two")["executionId"]
    assert ids(await asyncio.wait_for(claiming, PATIENCE)) == [id]
