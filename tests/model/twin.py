"""An engine and the reference side by side: both get the same commands; every answer, and all that can be seen, is compared."""

import math
from collections.abc import Callable, Sequence
from copy import deepcopy
from itertools import count
from random import Random
from typing import Any, Final

import msgspec

from blaxel_jobs.core.records import Definition, Execution, Failure, Leased, LeaseRef, Policy, Progress, RetryPolicy
from blaxel_jobs.core.reports import Answer, Completed, Failed, Holding, Noted, Report
from blaxel_jobs.core.requests import Create, read_batch, read_create
from blaxel_jobs.engine import Engine
from blaxel_jobs.engine.commands import (
    Claim,
    Command,
    CreateBatch,
    CreateExecution,
    Define,
    Delete,
    Extend,
    SendEvent,
    Steer,
    Tell,
    Tick,
    Ticked,
    Verb,
)
from blaxel_jobs.engine.effects import Created
from blaxel_jobs.errors import RequestError
from blaxel_jobs.stores import JobStore
from blaxel_jobs.words import FailureKind, JobPriority, JobStatus, WaitingFor
from tests.clocks import ManualClock
from tests.model import seen
from tests.model.reference import ENDED, OPEN, Lease, Reference, Refused, Row, status
from tests.model.seen import Wrong, expect

WORKSPACE: Final = "default"
MAX_RECOVERIES: Final = 2
ORDER: Final = (Define, CreateExecution, CreateBatch, Tell, Steer, Delete, SendEvent, Extend, Tick, Claim)
"""In which the commands of one transaction are taken."""


class Twin:
    """One store, one engine, one reference, one clock."""

    def __init__(self, store: JobStore) -> None:
        ids = count(1)
        self.clock = ManualClock()
        self.store = store
        self.engine = Engine(
            store, clock=self.clock, new_id=lambda: f"e{next(ids)}", rng=Random(0), max_recoveries=MAX_RECOVERIES, owns_store=False
        )
        self.reference = Reference(MAX_RECOVERIES)
        self.names: dict[int, tuple[str, int]] = {}
        """(execution id, index) by the number that a lease gives its task."""
        self._expected: dict[type[Command], Callable[[Any, Any], tuple[Any, Any]]] = {
            Define: self._define,
            CreateExecution: self._create,
            CreateBatch: self._create_batch,
            Tell: self._tell,
            Steer: self._steer,
            Delete: self._delete,
            SendEvent: self._send,
            Extend: self._extend,
            Tick: self._tick,
            Claim: self._claim,
        }
        """What the engine answered and what it should have, in the same words; or Refused."""
        self._said: dict[int, Any] = {}
        """What a create said, by the id of its command."""

    def close(self) -> None:
        self.engine.close()

    # Commands

    def create(self, job: str, tasks: int, said: Row) -> CreateExecution:
        """`tasks` 0 is a single input."""
        create = read_create(WORKSPACE, job, {**_work(tasks), **said})
        return self._note(CreateExecution(create), _for_reference(job, tasks, said))

    def batch(self, id: str, items: Sequence[tuple[str, int, Row]]) -> CreateBatch:
        creates = read_batch(WORKSPACE, {"items": [{"job": job, **_work(tasks), **said} for job, tasks, said in items]}).creates
        return self._note(CreateBatch(id, creates), [_for_reference(*item) for item in items])

    def _note(self, command: Any, said: Any) -> Any:
        self._said[id(command)] = (command, said)
        return command

    # Both sides

    def commit(self, *commands: Command) -> list[Any]:
        """Do these in one transaction, and compare all that comes of it. The engine's answers."""
        engine, reference = self.engine, self.reference
        revoked: list[LeaseRef] = []
        stopped: list[LeaseRef] = []
        engine.listeners.revoked[:] = [revoked.extend]
        engine.listeners.stopped[:] = [stopped.extend]
        outcomes = engine._apply(commands)
        reference.now = self.clock.now()
        expected = _Told()
        for command, outcome in sorted(zip(commands, outcomes, strict=True), key=lambda pair: ORDER.index(type(pair[0]))):
            before = reference.live()
            paused = {lease for lease in before if reference.executions[lease[0]]["paused"]}
            self._compare(command, outcome)
            after = reference.live()
            if not isinstance(command, Tell) or isinstance(outcome, Answer):
                mine = {self.name(command.lease)} if isinstance(command, Tell) else set()
                expected.revoked |= before - after - mine
                expected.stopped |= {lease for lease in after - paused if reference.executions[lease[0]]["paused"]}
        told = {self.name(lease) for lease in revoked}
        expect(told == expected.revoked, f"told that {told} are revoked, and not {expected.revoked}")
        told = {self.name(lease) for lease in stopped}
        expect(told == expected.stopped, f"told that {told} are to stop, and not {expected.stopped}")
        return outcomes

    def name(self, lease: LeaseRef) -> Lease:
        return (*self.names.get(lease.task, (f"task {lease.task}", 0)), lease.token)

    def _compare(self, command: Any, outcome: Any) -> None:
        try:
            expected = self._expected[type(command)](command, outcome)
        except Refused as refused:
            said = outcome.word if isinstance(outcome, RequestError) else outcome
            expect(said == refused.args[0], f"{command} was answered {outcome!r}, and not refused with {refused}")
        else:
            answer, wanted = expected
            expect(answer == wanted, f"{command} was answered {answer}, and not {wanted}")

    def _define(self, command: Define, outcome: Any) -> tuple[Any, Any]:
        definition, policy = command.definition, command.definition.policy
        delay = None if policy.retry is None else policy.retry.initial * 1000
        timeout = None if policy.timeout is None else policy.timeout * 1000
        defaults = {"retries": policy.max_retries, "retry_delay": delay, "timeout": timeout}
        self.reference.jobs[definition.job] = {
            "concurrency": definition.concurrency,
            "per_key": definition.concurrency_per_key,
            "priority": "medium" if definition.priority is None else list(JobPriority)[definition.priority].value,
            "defaults": {name: value for name, value in defaults.items() if value is not None},
        }
        return outcome, definition

    def _create(self, command: CreateExecution, outcome: Any) -> tuple[Any, Any]:
        job, tasks, said = self._said[id(command)][1]
        new_id = outcome.execution.id if isinstance(outcome, Created) and outcome.disposition == "created" else "?"
        expected = self.reference.create(new_id, job, tasks, said)
        if not isinstance(outcome, Created):
            return repr(outcome), expected
        disposition = outcome.disposition
        if disposition == "existing" and not self._same(command.create, outcome.execution):
            disposition = "conflict"
        return (disposition, outcome.execution.id), expected

    def _same(self, create: Create, execution: Execution) -> bool:
        return create.made(execution, self.store.tasks(WORKSPACE, execution.seq, -1, execution.total))

    def _create_batch(self, command: CreateBatch, outcome: Any) -> tuple[Any, Any]:
        items = self._said[id(command)][1]
        disposition = self.reference.create_batch(command.id, items)
        if not isinstance(outcome, list):
            return repr(outcome), disposition
        made = [(created.execution.id, created.disposition, created.execution.batch) for created in outcome]
        return made, [(f"{command.id}-{place}", disposition, command.id) for place in range(len(items))]

    def _tell(self, command: Tell, outcome: Any) -> tuple[Any, Any]:
        kind, arguments = _report(command.report)
        expected = self.reference.tell(self.name(command.lease), kind, **arguments)
        return outcome, Answer(**expected)

    def _exists(self, id: str) -> None:
        if id not in self.reference.executions:
            raise Refused("not_found")

    def _steer(self, command: Steer, outcome: Any) -> tuple[Any, Any]:
        self._exists(command.id)
        self.reference.steer(command.id, command.verb.value)
        return outcome.status if isinstance(outcome, Execution) else outcome, status(self.reference.executions[command.id])

    def _delete(self, command: Delete, outcome: Any) -> tuple[Any, Any]:
        self._exists(command.id)
        self.reference.delete(command.id, command.force)
        return outcome.id if isinstance(outcome, Execution) else outcome, command.id

    def _send(self, command: SendEvent, outcome: Any) -> tuple[Any, Any]:
        self._exists(command.id)
        return outcome, self.reference.send(command.id, command.name, command.payload, command.event_id)

    def _extend(self, command: Extend, outcome: Any) -> tuple[Any, Any]:
        expected = self.reference.beat([self.name(lease) for lease in command.leases], command.lease)
        if not isinstance(outcome, Holding):
            return outcome, expected
        return ({self.name(lease) for lease in outcome.lost}, {self.name(lease) for lease in outcome.stop}), expected

    def _tick(self, command: Tick, outcome: Any) -> tuple[Any, Any]:
        return outcome, Ticked(self.reference.tick(command.dead), more=False)

    def _claim(self, command: Claim, outcome: Any) -> tuple[Any, Any]:
        without = {id for id, execution in self.reference.executions.items() if not execution["slot"]}
        expected = self.reference.claim(command.worker, command.jobs, command.limit, command.lease)
        self._check_limits(without)
        given = [_leased(leased) for leased in outcome] if isinstance(outcome, list) else outcome
        for leased in outcome if isinstance(outcome, list) else ():
            self.names[leased.lease.task] = (leased.execution_id, leased.index)
        wanted = [(lease, attempt, _steps(steps, self.clock.now())) for lease, attempt, steps in expected]
        return given, wanted

    def _check_limits(self, without: set[str]) -> None:
        """Invariant 6, said directly: whoever got a slot just now got one within the limits."""
        executions = self.reference.executions
        with self.store.begin() as transaction:
            held = [each for each in transaction.find(WORKSPACE, list(executions)) if each.slot]
        for execution in held:
            if execution.id in without:
                job = self.reference.jobs.get(execution.job, {})
                of_job = [each for each in held if each.job == execution.job]
                of_key = [each for each in of_job if each.concurrency_key == execution.concurrency_key]
                expect(len(of_job) <= (job.get("concurrency") or len(of_job)), f"too many of {execution.job} have a slot")
                if execution.concurrency_key is not None:
                    expect(len(of_key) <= job.get("per_key", 1), f"too many of {execution.concurrency_key} have a slot")

    # What can be seen

    def check(self) -> None:
        """Compare every execution and every task."""
        reference = self.reference
        executions = {each.id: each for each in self.store.get(WORKSPACE, list(reference.executions))}
        expect(executions.keys() == reference.executions.keys(), "other executions are there than were created")
        claimable = self._claimable()
        for id, execution in executions.items():
            model = reference.executions[id]
            tasks = self.store.tasks(WORKSPACE, execution.seq, -1, execution.total)
            seen.same(f"execution {id}", seen.of_execution(execution), seen.of_execution_model(model))
            steps = self.store.steps(WORKSPACE, execution.seq, 0, 1000)
            for task, wanted in zip(tasks, model["tasks"], strict=True):
                names = sorted((step.name, step.kind) for of, step in steps if of == task.id)
                seen.same(f"task {id} {task.index}", seen.of_task(task, names), seen.of_task_model(wanted, model))
                parked = task.waiting_for is WaitingFor.CONCURRENCY and task.status is JobStatus.PENDING
                expect(not parked or (id, task.index) not in claimable, f"{id} {task.index} is parked, and there is room for it")
            seen.check_wait(execution, tasks)

    def drain(self) -> None:
        """Everybody is done: what is left is resumed, started and run to its end, and nothing is stuck."""
        reference = self.reference
        for id, execution in reference.executions.items():
            for verb in ("resume", "start"):
                if status(execution) not in ENDED:
                    self.commit(steer(id, verb))
        for _ in range(1000):
            waiting = [task for each in reference.executions.values() for task in each["tasks"] if task["awaiting"]]
            self.clock.advance(60.0)
            self.commit(Tick())
            [given] = self.commit(Claim(WORKSPACE, None, 100, "last", 60.0))
            self.commit(*[Tell(leased.lease, Completed("1")) for leased in given])
            self.check()
            open_ones = [id for id, each in reference.executions.items() if status(each) in OPEN]
            if not open_ones:
                return
            for id in open_ones if waiting else ():
                self.commit(
                    *[SendEvent(WORKSPACE, None, id, name, "0", f"{name} {self.clock.now()}") for name in _awaited(reference, id)]
                )
        raise Wrong("something never ends")

    def _claimable(self) -> set[tuple[str, int]]:
        """The tasks that a claim without limits would get: the reference is asked in a world that is the same."""
        world = Reference(MAX_RECOVERIES)
        world.jobs = self.reference.jobs
        world.executions = {id: deepcopy(each) for id, each in self.reference.executions.items() if status(each) in OPEN}
        return {(id, index) for (id, index, _), _, _ in world.claim("", None, math.inf, 1.0)}

    def definition(self, job: str, **limits: Any) -> Define:
        """A command that defines a job: `concurrency`, `per_key`, `retries`, `retry_delay`, `timeout`, `priority` (rank)."""
        delay = limits.get("retry_delay")
        retry = None if delay is None else RetryPolicy(initial=delay, factor=1.0, max=delay, jitter="none")
        policy = Policy(bound=True, max_retries=limits.get("retries"), retry=retry, timeout=limits.get("timeout"))
        return Define(
            Definition(
                workspace=WORKSPACE, job=job, policy=policy, priority=limits.get("priority"), concurrency=limits.get("concurrency"),
                concurrency_per_key=limits.get("per_key", 1),
            )
        )  # fmt: skip


class _Told:
    def __init__(self) -> None:
        self.revoked: set[Lease] = set()
        self.stopped: set[Lease] = set()


def steer(id: str, verb: str, job: str | None = None) -> Steer:
    return Steer(WORKSPACE, job, id, Verb(verb))


def failed(kind: str = "error", retry_after: float | None = None) -> Failed:
    return Failed(Failure(FailureKind(kind), "ValueError", "no"), retry_after)


def _awaited(reference: Reference, id: str) -> list[str]:
    return sorted({task["awaiting"] for task in reference.executions[id]["tasks"] if task["awaiting"]})


def _work(tasks: int) -> Row:
    return {"tasks": [{"n": n} for n in range(tasks)]} if tasks else {"input": 0}


def _for_reference(job: str, tasks: int, said: Row) -> tuple[str, int, Row]:
    """One input is not the same work as one task."""
    return job, max(1, tasks), {**said, "single": not tasks}


def _report(report: Report) -> tuple[str, Row]:
    match report:
        case Failed(failure, retry_after):
            return "failed", {"error": failure.kind.value, "retry_after": retry_after}
        case Noted():
            return "noted", {}
        case _:
            return type(report).__name__.lower(), msgspec.structs.asdict(report)


def _leased(leased: Leased) -> Any:
    steps = sorted((step.name, step.kind, step.value, step.remaining) for step in leased.steps)
    return (leased.execution_id, leased.index, leased.lease.token), leased.attempt, steps


def _steps(steps: Row, now: float) -> list[tuple[str, str, Any, float]]:
    return [
        (name, step["kind"], step.get("value"), 0.0 if step.get("due", math.inf) == math.inf else max(0.0, step["due"] - now))
        for name, step in sorted(steps.items())
    ]


def progress(current: float) -> Noted:
    return Noted(Progress(current))
