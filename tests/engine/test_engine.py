"""The engine as a whole: it is closed once and for all, and owns what it was told to own."""

import pytest

from blaxel_jobs.core.records import LeaseRef
from blaxel_jobs.core.reports import Released
from blaxel_jobs.engine.commands import Tell
from blaxel_jobs.errors import StoreError, Unavailable
from blaxel_jobs.stores import MemoryJobStore

from .conftest import Harness


async def test_a_closed_engine_says_so(harness: Harness) -> None:
    id = harness.create()["executionId"]
    harness.engine.ready()
    harness.engine.close()
    arguments = {"job": "job", "execution_id": id}
    for call in (harness.create, lambda: harness.get(id), harness.engine.ready, harness.claim):
        with pytest.raises(Unavailable, match="closed"):
            call()
    with pytest.raises(Unavailable, match="closed"):
        await harness.engine.acall("get_job_execution", "default", arguments)
    with pytest.raises(Unavailable, match="closed"):
        await harness.engine.asubmit(Tell(LeaseRef(1, 1), Released()))
    with pytest.raises(Unavailable, match="closed"):
        harness.engine.watch("default", {"ids": [id]}, 1.0)


def test_a_store_that_is_told_to_nobody_has_one_engine() -> None:
    store = MemoryJobStore()
    first = Harness(store)
    with pytest.raises(StoreError, match="another engine"):
        Harness(store)
    first.engine.close()
    second = Harness(store)
    second.create()
    second.engine.close()


class Closable(MemoryJobStore):
    closed = False

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize("owns", [True, False])
def test_only_a_store_of_its_own_is_closed(owns: bool) -> None:
    store = Closable()
    Harness(store, owns_store=owns).engine.close()
    assert store.closed is owns
