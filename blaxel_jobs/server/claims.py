"""Claims: long polls that must not give work to a worker that has hung up."""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any, Final, Protocol

from .asgi import Receive
from .body import gone
from .exchange import ClientGone

logger: Final = logging.getLogger("blaxel_jobs.server")


class Call(Protocol):
    """`Engine.acall`."""

    async def __call__(self, operation: str, workspace: str, arguments: Mapping[str, Any]) -> Any: ...


async def claim_leases(call: Call, workspace: str, arguments: Mapping[str, Any], receive: Receive) -> Any:
    """The answer of a claim. A worker that hangs up ends it; what it was given in that moment goes back. Raises ClientGone."""
    answer = asyncio.ensure_future(call("claim_leases", workspace, arguments))
    hung_up = asyncio.ensure_future(gone(receive))
    try:
        await asyncio.wait({answer, hung_up}, return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            raise ClientGone
        view = answer.result()
        if view["leases"]:
            await asyncio.sleep(0)  # so that a hang-up which is there already is seen
            if hung_up.done():
                await _give_back(call, workspace, view["leases"])
                raise ClientGone
        return view
    finally:
        answer.cancel()
        hung_up.cancel()


async def _give_back(call: Call, workspace: str, leases: list[Any]) -> None:
    reports = [{"task": lease["task"], "token": lease["token"], "type": "released"} for lease in leases]
    logger.info("a worker hung up while it was given %d tasks, which go back", len(reports))
    await call("report_leases", workspace, {"body": {"reports": reports}})
