"""The wall clock is set while the engine runs: leases are kept by those who live, and end for those who do not."""

from pathlib import Path

import pytest

from blaxel_jobs.core.records import LeaseRef
from blaxel_jobs.core.reports import Holding
from blaxel_jobs.engine.commands import Extend
from tests.clocks import ManualClock

from .conftest import Harness

LEASE = 10.0


def beat(harness: Harness, *leases: LeaseRef, lease: float = LEASE) -> set[LeaseRef]:
    holding: Holding = harness.engine.submit(Extend(leases, lease))
    return set(holding.lost)


def run(harness: Harness, seconds: float, *alive: LeaseRef, lease: float = LEASE) -> set[LeaseRef]:
    """Let time pass as a process does: recovery looks every second, live workers send a heartbeat every three."""
    lost: set[LeaseRef] = set()
    for second in range(int(seconds)):
        harness.engine.poll()
        if second % 3 == 2 and alive:
            lost |= beat(harness, *alive, lease=lease)
        harness.clock.advance(1.0)
    harness.engine.poll()
    return lost


def recoveries(harness: Harness, id: str) -> int:
    return len(harness.get(id)["recoveries"])


@pytest.mark.parametrize("jump", [3600.0, 12.0, -3600.0, -12.0])
def test_a_worker_that_lives_keeps_its_lease_over_a_jump(harness: Harness, jump: float) -> None:
    id = harness.create()["executionId"]
    [leased] = harness.claim()
    run(harness, 5, leased.lease)
    harness.clock.set(jump)
    assert run(harness, 60, leased.lease) == set()
    assert recoveries(harness, id) == 0


@pytest.mark.parametrize("jump", [3600.0, 12.0, -3600.0, -12.0])
def test_a_worker_that_died_is_found_after_a_jump(harness: Harness, jump: float) -> None:
    id = harness.create()["executionId"]
    harness.claim()
    run(harness, 5)
    harness.clock.set(jump)
    run(harness, 2 * LEASE)
    assert recoveries(harness, id) == 1


def test_a_longer_lease_than_this_engine_s_ends_when_it_should(harness: Harness) -> None:
    harness.create(tasks=[{}, {}])
    alive, _ = harness.claim(lease=60.0)
    run(harness, 5)
    harness.clock.set(-3600.0)
    assert run(harness, 50, alive.lease, lease=60.0) == set()
    assert harness.claim() == []
    run(harness, 10, alive.lease, lease=60.0)
    assert len(harness.claim()) == 1
    assert beat(harness, alive.lease) == set()


def test_a_clock_that_is_set_back_and_forth_comes_out_even(harness: Harness) -> None:
    id = harness.create()["executionId"]
    [leased] = harness.claim()
    run(harness, 1)
    for jump in (-3600.0, 7200.0, -3600.0):
        harness.clock.set(jump)
        run(harness, 1)
    assert beat(harness, leased.lease) == set()
    assert recoveries(harness, id) == 0
    run(harness, 2 * LEASE)
    assert recoveries(harness, id) == 1


def test_two_processes_that_see_the_clock_go_back_take_a_task_once(tmp_path: Path) -> None:
    clock = ManualClock()
    first, second = [Harness(f"sqlite:///{tmp_path}/jobs.db", clock=clock) for _ in range(2)]
    id = first.create()["executionId"]
    [leased] = first.claim()
    for harness in (first, second):
        harness.engine.poll()
    clock.set(-3600.0)
    for second_passed in range(40):
        for harness in (first, second):
            harness.engine.poll()
        if second_passed in (2, 5, 8):
            assert beat(first, leased.lease) == set()
        clock.advance(1.0)
    assert recoveries(first, id) == 1
    for harness in (first, second):
        harness.engine.close()
