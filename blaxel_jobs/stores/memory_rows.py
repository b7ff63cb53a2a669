"""All that the store in memory holds, and what it is found by. Whatever changes here can be taken back by a call.

A new task is not held: it is made from what its execution was created with until something happens to it.
"""

from collections.abc import Collection, Iterable, Sequence
from heapq import heappop, heappush
from itertools import islice
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from ..core.records import Definition, Event, Execution, NewTasks, Signal, Step, Task
from ..words import JobStatus
from .base import Tally
from .memory_indexes import ExecutionIndex, Run, Runs

PENDING: Final = JobStatus.PENDING
RUNNING: Final = JobStatus.RUNNING
PAUSED: Final = JobStatus.PAUSED


class Whole(Struct):
    """All that there is of one execution."""

    execution: Execution
    tasks: range
    made: NewTasks | None
    held: list[Task]
    events: list[Event] | None
    steps: dict[int, dict[str, Step]]
    signals: dict[str, Signal] | None


class Rows:
    """Records by their numbers. No record is changed; a newer one takes its place."""

    def __init__(self) -> None:
        self.last_execution = 0
        self.last_task = 0
        self.executions: dict[int, Execution] = {}
        self.index = ExecutionIndex(self._is_deadline)
        self.tasks: dict[int, Task] = {}
        """Those to which something happened; of the others `made` knows all there is."""
        self.made: dict[int, NewTasks] = {}
        self.by_id: dict[tuple[str, str], int] = {}
        self.by_key: dict[tuple[str, str, str], int] = {}
        self.tasks_of: dict[int, range] = {}
        self.events: dict[int, list[Event]] = {}
        """All but the first, which the execution tells by itself. None until there is another."""
        self.steps: dict[int, dict[str, Step]] = {}
        """By their task, and then by name."""
        self.signals: dict[int, dict[str, Signal]] = {}
        """By their execution, and then by id."""
        self.definitions: dict[tuple[str, str], Definition] = {}
        self.tallies: dict[tuple[str, str, str, int], Tally] = {}
        self.ready: dict[str, dict[str, Runs]] = {}
        """By workspace and job, the first by (priority, seq) first."""
        self.ready_from: dict[int, int] = {}
        """Of executions that are asked for alone: no task before this one is ready."""
        self.running: dict[int, None] = {}
        """Tasks, in the order of their claims."""
        self.due = Runs(self._is_due)

    def find(self, workspace: str, ids: Collection[str]) -> list[Execution]:
        by_id = self.by_id
        seqs = {seq for name in ids if (seq := by_id.get((workspace, name))) is not None}
        return [self.executions[seq] for seq in sorted(seqs)]

    def is_in(self, workspace: str, execution: int) -> bool:
        found = self.executions.get(execution)
        return found is not None and found.workspace == workspace

    def task(self, seq: int, execution: int) -> Task:
        task = self.tasks.get(seq)
        if task is None:
            task = self.made[execution].make(seq - self.tasks_of[execution].start, seq, execution)
        return task

    def is_ready(self, run: Run) -> bool:
        task = self.tasks.get(run[1])
        if task is None:
            made = self.made.get(run[3])
            return made is not None and made.ready
        return task.ready and task.priority == run[0]

    def _is_due(self, run: Run) -> bool:
        task = self.tasks.get(run[1])
        if task is None:
            if run[3] not in self.made:
                return False
            task = self.task(run[1], run[3])
        return task.due_at == run[0] and task.status is not PAUSED

    def _is_deadline(self, run: Run) -> bool:
        execution = self.executions.get(run[1])
        return execution is not None and execution.deadline == run[0]

    def add(self, new: Execution, tasks: Sequence[Task]) -> int:
        """Keep a new execution and its tasks, and number them. The answer is the execution's number."""
        seq = self.last_execution = self.last_execution + 1
        first = self.last_task + 1
        stop = first + len(tasks)
        self.last_task = stop - 1
        if type(tasks) is NewTasks:
            self._register(replace(new, seq=seq), range(first, stop), tasks)
        else:
            self._register(replace(new, seq=seq), range(first, stop), None)
            for number, task in enumerate(tasks, first):
                self.put(replace(task, seq=number, execution=seq), None)
        return seq

    def _register(self, execution: Execution, tasks: range, made: NewTasks | None) -> None:
        seq = execution.seq
        self.executions[seq] = execution
        self.by_id[execution.workspace, execution.id] = seq
        if execution.idempotency_key is not None:
            self.by_key[execution.workspace, execution.job, execution.idempotency_key] = seq
        self.index.add(execution)
        self.tasks_of[seq] = tasks
        if made is not None and tasks:
            self.made[seq] = made
            if made.ready:
                self.push_ready(execution.workspace, execution.job, (execution.priority, tasks.start, tasks.stop, seq))
            elif (due := made[0].due_at) is not None:
                self.due.push((due, tasks.start, tasks.stop, seq))

    def take_out(self, seq: int) -> Whole:
        """Forget an execution and all that belongs to it. The heaps find out by themselves."""
        execution = self.executions.pop(seq)
        self.index.drop(execution)
        del self.by_id[execution.workspace, execution.id]
        if execution.idempotency_key is not None:
            del self.by_key[execution.workspace, execution.job, execution.idempotency_key]
        self.ready_from.pop(seq, None)
        tasks = self.tasks_of.pop(seq)
        held = [task for number in tasks if (task := self.tasks.pop(number, None)) is not None]
        for task in held:
            self.running.pop(task.seq, None)
        steps = {number: self.steps.pop(number) for number in tasks if number in self.steps}
        return Whole(
            execution, tasks, self.made.pop(seq, None), held, self.events.pop(seq, None), steps, self.signals.pop(seq, None)
        )  # fmt: skip

    def put_back(self, whole: Whole) -> None:
        seq = whole.execution.seq
        self._register(whole.execution, whole.tasks, whole.made)
        if whole.events is not None:
            self.events[seq] = whole.events
        self.steps.update(whole.steps)
        if whole.signals is not None:
            self.signals[seq] = whole.signals
        for task in whole.held:
            self.put(task, None)

    def put_execution(self, execution: Execution) -> Execution:
        """Keep a newer record; the answer is the one before."""
        before = self.executions[execution.seq]
        self.executions[execution.seq] = execution
        self.index.change(before, execution)
        return before

    def put(self, task: Task, before: Task | None) -> None:
        """Keep a task, and what it is found by."""
        seq, status, due = task.seq, task.status, task.due_at
        self.tasks[seq] = task
        if status is RUNNING:
            self.running[seq] = None
        elif before is not None and before.status is RUNNING:
            self.running.pop(seq, None)
        if due is not None and status is not PAUSED and (before is None or before.due_at != due or before.status is PAUSED):
            self.due.push((due, seq, seq + 1, task.execution))
        if status is PENDING and task.ready and (before is None or not before.ready or before.priority != task.priority):
            self.push_ready(task.workspace, task.job, (task.priority, seq, seq + 1, task.execution))

    def take_back(self, task: Task, before: Task | None) -> None:
        """Keep what was there before this task was saved."""
        if before is not None:
            self.put(before, task)
            return
        del self.tasks[task.seq]
        self.running.pop(task.seq, None)
        made = self.task(task.seq, task.execution)
        if made.ready:
            self.push_ready(made.workspace, made.job, (made.priority, made.seq, made.seq + 1, made.execution))
        elif made.due_at is not None:
            self.due.push((made.due_at, made.seq, made.seq + 1, made.execution))

    def push_ready(self, workspace: str, job: str, run: Run) -> None:
        jobs = self.ready.get(workspace)
        if jobs is None:
            jobs = self.ready[workspace] = {}
        runs = jobs.get(job)
        if runs is None:
            runs = jobs[job] = Runs(self.is_ready)
        runs.push(run)
        if self.ready_from and run[1] < self.ready_from.get(run[3], 0):
            self.ready_from[run[3]] = run[1]

    def first_of(self, execution: int, limit: int) -> list[Task]:
        """The first ready tasks of an execution. They have one priority, and it is not searched from its start every time."""
        tasks = self.tasks_of[execution]
        start = self.ready_from.get(execution, tasks.start)
        all_ready = (task for seq in range(start, tasks.stop) if (task := self.task(seq, execution)).ready)
        found = list(islice(all_ready, limit))
        self.ready_from[execution] = found[0].seq if found else tasks.stop
        return found

    def take_first(self, workspace: str, jobs: Collection[str] | None, limit: int) -> list[Task]:
        """Take the first ready tasks of these jobs out of their heaps; of all jobs for None."""
        ready = self.ready.get(workspace, {})
        heads: list[tuple[float, int, int, str]] = []
        for job in list(ready) if jobs is None else dict.fromkeys(jobs):
            if job in ready:
                _push_head(heads, ready, job)
        taken: list[Task] = []
        while heads and len(taken) < limit:
            _, seq, execution, job = heappop(heads)
            taken.append(self.task(seq, execution))
            ready[job].take()
            _push_head(heads, ready, job)
        return taken

    def offer_again(self, taken: Iterable[Task]) -> None:
        """Put those of them back into their heaps that are still ready."""
        for task in taken:
            run = (task.priority, task.seq, task.seq + 1, task.execution)
            if self.is_ready(run):
                self.push_ready(task.workspace, task.job, run)


def _push_head(heads: list[tuple[float, int, int, str]], ready: dict[str, Runs], job: str) -> None:
    first = ready[job].first()
    if first is None:
        del ready[job]
    else:
        heappush(heads, (first[0], first[1], first[3], job))
