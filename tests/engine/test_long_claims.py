"""Claims of workers elsewhere, which wait for work: nothing that comes is missed, and nothing is leased to one who has gone."""

import asyncio

from blaxel_jobs.engine.verbs import OPERATIONS, Commit

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
