"""A worker that hangs up on its claim is given no work by the server."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from blaxel_jobs.server.claims import claim_leases
from blaxel_jobs.server.exchange import ClientGone

LEASES = [{"task": 1, "token": 2, "job": "j"}, {"task": 3, "token": 4, "job": "j"}]
ARGUMENTS = {"body": b"{}"}


class Engine:
    """Answers a claim when it is told to, and keeps what else it is called for."""

    def __init__(self) -> None:
        self.leased: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
        self.waiting = asyncio.Event()
        self.cancelled = False
        self.calls: list[tuple[str, str, Any]] = []

    async def __call__(self, operation: str, workspace: str, arguments: Mapping[str, Any]) -> Any:
        if operation != "claim_leases":
            self.calls.append((operation, workspace, arguments["body"]))
            return {}
        assert (workspace, arguments) == ("mine", ARGUMENTS)
        self.waiting.set()
        try:
            return {"leases": await self.leased, "leaseMs": 1, "heartbeatMs": 1}
        except asyncio.CancelledError:
            self.cancelled = True
            raise


class Caller:
    """ASGI's receive of one who has sent everything."""

    def __init__(self) -> None:
        self.gone = asyncio.Event()

    async def __call__(self) -> dict[str, Any]:
        await self.gone.wait()
        return {"type": "http.disconnect"}


async def test_one_who_stays_is_given_what_is_leased() -> None:
    engine, caller = Engine(), Caller()
    engine.leased.set_result(LEASES)
    assert (await claim_leases(engine, "mine", ARGUMENTS, caller))["leases"] == LEASES
    assert engine.calls == []


async def test_one_who_hangs_up_ends_the_wait() -> None:
    engine, caller = Engine(), Caller()
    claim = asyncio.create_task(claim_leases(engine, "mine", ARGUMENTS, caller))
    await engine.waiting.wait()
    caller.gone.set()
    with pytest.raises(ClientGone):
        await claim
    await asyncio.sleep(0)
    assert engine.cancelled


async def test_what_is_leased_to_one_who_hangs_up_in_that_moment_goes_back() -> None:
    engine, caller = Engine(), Caller()
    claim = asyncio.create_task(claim_leases(engine, "mine", ARGUMENTS, caller))
    await engine.waiting.wait()
    engine.leased.set_result(LEASES)
    caller.gone.set()
    with pytest.raises(ClientGone):
        await claim
    released = [{"task": 1, "token": 2, "type": "released"}, {"task": 3, "token": 4, "type": "released"}]
    assert engine.calls == [("report_leases", "mine", {"reports": released})]
