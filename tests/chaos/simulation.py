"""The engine in a simulated world: a clock moved by hand, workers that stall, die and come back, a client that repeats itself.

One seed is one story. An oracle, a model of a few dozen lines, knows what each command must answer; whoever differs is wrong. The
engine gets its commands as the committer would hand them over: several in one transaction.
"""

from itertools import count
from random import Random
from typing import Any

import attrs

from blaxel_jobs.core.records import Execution, Failure, Leased, LeaseRef
from blaxel_jobs.core.requests import read_create
from blaxel_jobs.core.states import Completed, Failed, Released
from blaxel_jobs.engine import Engine
from blaxel_jobs.engine.batch import Created
from blaxel_jobs.engine.commands import CancelExecution, Claim, Command, CreateExecution, Extend, Recover, Report
from blaxel_jobs.errors import IllegalTransition, LeaseLost
from blaxel_jobs.stores import JobStore
from blaxel_jobs.words import FailureKind, JobPriority
from tests.chaos.audit import History, check_history, histories
from tests.clocks import ManualClock

WORKSPACE = "default"
JOBS = ("a", "b")
LEASE = 10.0
MAX_RECOVERIES = 2
WORKERS = 4
STEPS = 60
FAILED = Failed(Failure(FailureKind.ERROR, "ValueError", "no"))
PRIORITIES = tuple(JobPriority)

ORDER = (CreateExecution, Report, CancelExecution, Extend, Recover, Claim)
"""In which the commands of one batch are taken."""


class Wrong(AssertionError):
    """The engine did something that it must not."""


def expect(fact: bool, what: str) -> None:
    if not fact:
        raise Wrong(what)


@attrs.define
class TaskModel:
    """What the oracle knows of a task."""

    execution: str
    rank: int
    """Of its priority."""
    token: int = 0
    """How many times it was claimed."""
    worker: str | None = None
    """Who has it now."""
    until: float = 0.0
    losses: int = 0
    ended: str | None = None
    result: str | None = None


class Oracle:
    """Says what must come out. Tasks are named by (execution id, task id), and by their lease once they have had one."""

    def __init__(self) -> None:
        self.tasks: dict[tuple[str, str], TaskModel] = {}
        self.names: dict[int, tuple[str, str]] = {}
        """By the number that a lease gives the task."""
        self.keys: dict[tuple[str, str], tuple[str, int]] = {}
        """(job, key) -> (execution id, the body it was created with)."""

    def of(self, execution: str) -> list[TaskModel]:
        return [task for task in self.tasks.values() if task.execution == execution]

    def holds(self, lease: LeaseRef) -> TaskModel | None:
        """The task, if this lease on it is the one that counts."""
        task = self.tasks[self.names[lease.task]]
        return task if task.worker is not None and task.token == lease.token else None

    def lease(self, task: TaskModel) -> LeaseRef:
        """The lease under which it runs."""
        return next(LeaseRef(number, task.token) for number, name in self.names.items() if self.tasks[name] is task)

    def lose(self, task: TaskModel) -> None:
        task.losses += 1
        task.worker = None
        if task.losses > MAX_RECOVERIES:
            task.ended = "failed"


@attrs.define
class FakeWorker:
    """Claims and reports as it likes. A stalled one does nothing until it wakes, and then goes on as if nothing had happened."""

    name: str
    leases: list[Leased] = attrs.field(factory=list)
    stalled: bool = False


class World:
    """One story on one store. `run` tells it to its end and checks it."""

    def __init__(self, store: JobStore, seed: int) -> None:
        ids = count(1)
        self._rng = Random(seed)
        self._clock = ManualClock()
        self._store = store
        self._engine = Engine(
            store, clock=self._clock, new_id=lambda: f"e{next(ids)}", rng=Random(0), lease=LEASE, max_recoveries=MAX_RECOVERIES
        )
        self._oracle = Oracle()
        self._names = count(1)
        self._keys = count(1)
        self._workers = [FakeWorker(f"w{next(self._names)}") for _ in range(WORKERS)]
        self._final: dict[str, History] = {}

    def run(self) -> dict[str, History]:
        """Every execution at the end. Raises Wrong or AssertionError."""
        for step in range(STEPS):
            self._clock.advance(self._rng.choice((0.0, self._rng.uniform(0.0, LEASE))))
            self._disturb()
            self._commit(self._batch())
            if step == STEPS // 2:
                self._final = {id: history for id, history in histories(self._store).items() if history.execution.done}
        self._drain()
        return self._check()

    def close(self) -> None:
        self._engine.close()

    # What happens

    def _batch(self) -> list[Command]:
        """Commands that meet in one transaction; now and then the same one twice."""
        commands = [self._choose() for _ in range(self._rng.choice((1, 1, 2, 5)))]
        return [*commands, self._rng.choice(commands)] if self._rng.random() < 0.1 else commands

    def _disturb(self) -> None:
        """Workers stall, wake up, and die. Who dies is replaced; what it held is lost, now or when its lease ends."""
        rng = self._rng
        worker = rng.choice(self._workers)
        roll = rng.random()
        if roll < 0.1:
            worker.stalled = True
        elif roll < 0.2:
            worker.stalled = False
        elif roll < 0.25:
            self._workers[self._workers.index(worker)] = FakeWorker(f"w{next(self._names)}")
            if rng.random() < 0.5:
                self._commit([Recover((worker.name,))])

    def _choose(self) -> Command:
        return self._rng.choices(
            (self._create, self._again, self._cancel, self._claim, self._report, self._beat, self._recover), (4, 1, 1, 6, 8, 3, 2)
        )[0]()

    def _create(self) -> Command:
        return self._creating(self._rng.choice(JOBS), str(next(self._keys)), self._rng.randrange(1, 5))

    def _again(self) -> Command:
        """A create that was sent before, with the same body or with another."""
        if not self._oracle.keys:
            return self._create()
        (job, key), (_, size) = self._rng.choice(list(self._oracle.keys.items()))
        return self._creating(job, key, size if self._rng.random() < 0.7 else size + 1)

    def _creating(self, job: str, key: str, size: int) -> Command:
        body = {"tasks": [{"n": n} for n in range(size)], "priority": PRIORITIES[int(key) % len(PRIORITIES)]}
        return CreateExecution(read_create(WORKSPACE, job, body, key))

    def _cancel(self) -> Command:
        if not self._oracle.keys:
            return self._create()
        (job, _), (id, _) = self._rng.choice(list(self._oracle.keys.items()))
        return CancelExecution(WORKSPACE, job, id)

    def _claim(self) -> Command:
        jobs = self._rng.choice((None, JOBS, JOBS[:1]))
        return Claim(WORKSPACE, jobs, self._rng.randrange(1, 4), self._awake().name, LEASE)

    def _report(self) -> Command:
        worker = self._awake()
        if not worker.leases:
            return self._claim()
        leased = self._rng.choice(worker.leases)
        if self._rng.random() < 0.8:
            worker.leases.remove(leased)  # else it tells it twice
        return Report(leased.lease, self._rng.choices((self._result(leased), FAILED, Released()), (6, 1, 1))[0])

    def _result(self, leased: Leased) -> Completed:
        return Completed(f'"{leased.execution_id} {leased.task_id} {leased.attempt}"')

    def _beat(self) -> Command:
        return Extend(tuple(leased.lease for leased in self._awake().leases), LEASE)

    def _recover(self) -> Command:
        return Recover()

    def _awake(self) -> FakeWorker:
        """A stalled worker may still have its say, late: one in four times it is its turn."""
        awake = [worker for worker in self._workers if not worker.stalled]
        return self._rng.choice(awake if awake and self._rng.random() < 0.75 else self._workers)

    def _drain(self) -> None:
        """Everybody wakes up and says what it has to say; then what is left is done."""
        for worker in self._workers:
            worker.stalled = False
            for leased in worker.leases:
                self._commit([Report(leased.lease, self._result(leased))])
            worker.leases = []
        while any(task.ended is None for task in self._oracle.tasks.values()):
            self._clock.advance(LEASE)
            self._commit([Recover(), Claim(WORKSPACE, None, 100, self._workers[0].name, LEASE)])
            for leased in self._workers[0].leases:
                self._commit([Report(leased.lease, self._result(leased))])
            self._workers[0].leases = []

    # What must come out

    def _commit(self, commands: list[Command]) -> None:
        revoked: list[LeaseRef] = []
        self._engine.listeners.revoked[:] = [revoked.extend]
        outcomes = self._engine._apply(commands)
        expected: list[LeaseRef] = []
        for command, outcome in sorted(zip(commands, outcomes, strict=True), key=lambda pair: ORDER.index(type(pair[0]))):
            match command:
                case CreateExecution():
                    self._created(command, outcome)
                case Report():
                    self._reported(command, outcome)
                case CancelExecution():
                    expected += self._cancelled(command, outcome)
                case Extend():
                    self._extended(command, outcome)
                case Recover():
                    expected += self._recovered(command, outcome)
                case Claim():
                    self._claimed(command, outcome)
        expect(sorted(revoked, key=str) == sorted(expected, key=str), f"told that {revoked} are revoked, and not {expected}")

    def _created(self, command: CreateExecution, outcome: Any) -> None:
        create = command.create
        name = (create.job, create.idempotency_key or "")
        id, size = self._oracle.keys.get(name, (None, len(create.inputs)))
        expect(isinstance(outcome, Created), f"created: {outcome}")
        execution, disposition = outcome.execution, outcome.disposition
        tasks = self._engine.store.tasks(execution.workspace, execution.seq, -1, execution.total) if id else ()
        expect(id is None or create.made(execution, tasks) == (size == len(create.inputs)), f"the key {name} has another body")
        expect(disposition == ("created" if id is None else "existing"), f"{name} is {disposition}")
        expect(id in (None, execution.id), f"{name} is {id} and {execution.id}")
        if id is None:
            self._oracle.keys[name] = (execution.id, size)
            for index in range(size):
                self._oracle.tasks[execution.id, f"task-{index}"] = TaskModel(execution.id, create.priority.rank)

    def _reported(self, command: Report, outcome: Any) -> None:
        task = self._oracle.holds(command.lease)
        if task is None:
            expect(isinstance(outcome, LeaseLost), f"a report under the old {command.lease} was taken")
            return
        expect(outcome is None, f"a report under {command.lease} was refused: {outcome}")
        task.worker = None
        match command.event:
            case Completed(result):
                task.ended, task.result = "completed", result
            case Failed():
                task.ended = "failed"

    def _cancelled(self, command: CancelExecution, outcome: Any) -> list[LeaseRef]:
        tasks = self._oracle.of(command.id)
        still_open = [task for task in tasks if task.ended is None]
        if not still_open and "cancelled" not in {task.ended for task in tasks}:
            expect(isinstance(outcome, IllegalTransition), f"{command.id} had ended and was cancelled: {outcome}")
            return []
        expect(isinstance(outcome, Execution) and outcome.status == "cancelled", f"{command.id} was not cancelled: {outcome}")
        revoked = [self._oracle.lease(task) for task in still_open if task.worker is not None]
        for task in still_open:
            task.ended, task.worker = "cancelled", None
        return revoked

    def _extended(self, command: Extend, outcome: Any) -> None:
        holding = [(lease, self._oracle.holds(lease)) for lease in command.leases]
        expect(outcome == {lease for lease, task in holding if task is None}, f"of {command.leases} these are lost: {outcome}")
        for _, task in holding:
            if task is not None:
                task.until = self._clock.now() + command.lease

    def _recovered(self, command: Recover, outcome: Any) -> list[LeaseRef]:
        lost = [
            task
            for task in self._oracle.tasks.values()
            if task.worker is not None and (task.until <= self._clock.now() or task.worker in command.workers)
        ]
        expect(outcome == len(lost), f"{outcome} tasks were taken back, and {len(lost)} were lost")
        revoked = [self._oracle.lease(task) for task in lost]
        for task in lost:
            self._oracle.lose(task)
        return revoked

    def _claimed(self, command: Claim, outcome: Any) -> None:
        jobs = command.jobs or JOBS
        of_job = {id: job for (job, _), (id, _) in self._oracle.keys.items()}
        waiting = [
            (name, task)
            for name, task in self._oracle.tasks.items()
            if task.ended is None and task.worker is None and of_job[task.execution] in jobs
        ]
        waiting.sort(key=lambda entry: entry[1].rank)
        given = [(leased.execution_id, leased.task_id) for leased in outcome]
        expect(given == [name for name, _ in waiting[: command.limit]], f"given out: {given}")
        for leased, (name, task) in zip(outcome, waiting, strict=False):
            self._oracle.names[leased.lease.task] = name
            task.token += 1
            task.worker, task.until = command.worker, self._clock.now() + command.lease
            expect(leased.attempt == leased.lease.token == task.token, f"{leased.lease} is no new lease of {name}")
        for worker in self._workers:
            if worker.name == command.worker:
                worker.leases += outcome

    def _check(self) -> dict[str, History]:
        found = histories(self._store)
        expect(found.keys() == {id for id, _ in self._oracle.keys.values()}, "the executions are not those that were created")
        for id, history in found.items():
            check_history(history, MAX_RECOVERIES)
            expect(history.execution.done, f"{id} has not ended")
            for task in history.tasks:
                model = self._oracle.tasks[id, task.id]
                seen = (task.status, task.result, task.losses, task.attempt)
                expect(seen == (model.ended, model.result, model.losses, model.token), f"{id} {task.id} is {seen}, not {model}")
        for id, history in self._final.items():
            expect(found[id] == history, f"{id} had ended and changed")
        return found
