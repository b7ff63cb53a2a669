"""What workers ask of a server: claims, heartbeats, reports."""

from collections.abc import Generator
from typing import TYPE_CHECKING, Any, Final

from ...core.lease_requests import read_claim, read_heartbeat, read_reports, too_large
from ...core.records import Leased
from ...core.reports import Holding
from ...core.views import answer_view, claim_view, holding_view
from ...errors import LeaseHeld, RequestError
from ..arrivals import Awaiting
from ..commands import Claim, Command, Extend, Tell
from .asking import Asked, Commit, CommitAll, Verb, find

if TYPE_CHECKING:
    from ..engine import Engine


LOOKS_EVERY: Final = 1.0
"""Seconds between two looks at the store, which other processes may write too."""


def claim_leases(engine: "Engine", workspace: str, *, body: Any) -> Verb:
    wanted = read_claim(body)
    claim = Claim(workspace, wanted.jobs, wanted.limit, wanted.worker, engine.lease, wanted.execution_id)
    engine.serving(workspace, wanted.jobs)
    leased = yield from _claim(claim)
    if not leased and wanted.wait:
        deadline = engine.clock.monotonic() + wanted.wait
        arrived = engine.arrivals.note(workspace, wanted.jobs)
        try:
            leased = yield from _claim(claim)  # what came since, nobody told of
            while not leased and (left := deadline - engine.clock.monotonic()) > 0 and not engine.arrivals.released:
                came = yield Awaiting(arrived, min(left, engine.lease / 2, LOOKS_EVERY))
                engine.serving(workspace, wanted.jobs)
                if came or engine.store.shared:
                    arrived.clear()  # before the look: what comes while it is under way is another arrival
                    leased = yield from _claim(claim)
        finally:
            engine.arrivals.forget(workspace, wanted.jobs, arrived)
    if not leased and wanted.execution_id is not None:
        yield from _refuse_held(engine, workspace, wanted.execution_id)
    return claim_view(leased, engine.lease, engine.heartbeat)


def _claim(claim: Claim) -> Generator[Asked, Any, list[Leased]]:
    leased: list[Leased] | None = None
    while leased is None:
        leased = yield Commit(claim)
    return leased


def _refuse_held(engine: "Engine", workspace: str, execution_id: str) -> Generator[Asked, Any, None]:
    """Raise LeaseHeld when another worker runs this execution, NotFound when there is none."""
    execution = yield from find(engine, workspace, None, execution_id)
    if execution.running:
        raise LeaseHeld(f"another worker runs execution {execution_id}", path="executionId")


def extend_leases(engine: "Engine", workspace: str, *, body: Any) -> Verb:
    beat = read_heartbeat(body)
    if beat.jobs is not None:
        engine.serving(workspace, beat.jobs)
    holding: Holding = yield Commit(Extend(beat.leases, engine.lease, workspace))
    return holding_view(holding)


def report_leases(_engine: "Engine", workspace: str, *, body: Any) -> Verb:
    told = read_reports(body)
    refused = [too_large(report) for _, report in told]
    tells: list[Command] = [
        Tell(lease, report, workspace) for (lease, report), why in zip(told, refused, strict=True) if why is None
    ]
    taken: list[Any] = yield CommitAll(tells)
    rest = iter(taken)
    answers = [next(rest) if why is None else why for why in refused]
    for answer in answers:
        if isinstance(answer, Exception) and not isinstance(answer, RequestError):
            raise answer
    return {"answers": [answer_view(answer) for answer in answers]}
