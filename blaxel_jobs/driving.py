"""Running tasks here and now, in the caller's time: those of one execution, or whatever there is to do."""

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from .core.ports import Clock, Rng
from .define import JobDef
from .engine import Engine, LocalLeases
from .errors import LeaseHeld
from .words import JobStatus
from .worker import Worker

Serve = Callable[[float | None], int]
"""Runs what there is of an execution for so many seconds; returns how many tasks that were."""

SETTLES_WITHIN: Final = 1.0
"""Seconds for handlers to come to their next step once the time is over; then they are stopped where they are."""


def serve_for(
    engine: Engine,
    workspaces: Sequence[str],
    jobs: Iterable[JobDef[Any, Any]],
    *,
    clock: Clock,
    rng: Rng,
    slots: int,
    simulate: bool,
    execution: str | None = None,
    queues: Sequence[str] | None = None,
    until_idle: bool,
    max_runtime: float | None,
) -> int:
    """Run a worker beside the caller, who waits until it has nothing to do, or for `max_runtime` seconds. Returns how many tasks it
    was given.

    execution: run the tasks of this one only. until_idle: end when nothing can be claimed now, and nothing runs here.
    """
    enough = threading.Event()
    leases = LocalLeases(engine, workspaces, engine.new_id(), execution=execution)
    worker = Worker(leases, jobs, slots=slots, simulate=simulate, clock=clock, rng=rng, queues=queues)

    def check_idle() -> None:
        if not worker.holding:
            enough.set()

    if until_idle:
        leases.on_empty = check_idle
        worker.when_idle(leases.look)
    worker.start()
    try:
        enough.wait(max_runtime)
    finally:
        worker.stop(SETTLES_WITHIN, at_next_step=True)
    return leases.claimed


def drive(engine: Engine, workspace: str, execution_id: str, max_runtime: float | None, serve: Serve, *, beside: str) -> None:
    """Have an execution run until it has ended, or nothing of it can run now, or for so many seconds. What the worker `beside`
    took before is waited for. Raises LeaseHeld when only other workers run it."""
    deadline = None if max_runtime is None else engine.clock.monotonic() + max_runtime
    while True:
        left = None if deadline is None else deadline - engine.clock.monotonic()
        if left is not None and left <= 0:
            return
        driven = serve(left)
        found = engine.store.get(workspace, [execution_id])
        if not found or not found[0].running:
            return
        execution = found[0]
        tasks = engine.store.tasks(workspace, execution.seq, -1, execution.total, results=False)
        holders = {task.worker for task in tasks if task.status is JobStatus.RUNNING}
        if holders - {beside}:
            if driven:
                return
            raise LeaseHeld(f"another worker runs execution {execution_id}", path="executionId")
        engine.await_change(execution, left)
