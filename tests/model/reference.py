"""What the design says, done the slow way: plain dicts, no store, every question answered by looking at everything.

Written from the words of the design and the contract, not from the code. A lease is (execution id, index of the task, token).
"""

from math import inf
from typing import Any

Row = dict[str, Any]
Lease = tuple[str, int, int]

OPEN = ("pending", "running", "paused")
ENDED = ("completed", "failed", "cancelled")
RANKS = {"critical": 0, "high": 1, "medium": 2, "low": 3}
BACK: Row = {"status": "pending", "why": None, "due": inf}
OPTIONS: Row = {"maxRetries": ("retries", 0), "retryDelayMs": ("retry_delay", 1000), "timeoutMs": ("timeout", inf)}


class Refused(Exception):
    """The word of the error that is answered."""


class Reference:
    def __init__(self, max_recoveries: int) -> None:
        self.now, self.max_recoveries = 0.0, max_recoveries
        self.executions: dict[str, Row] = {}  # by id, in the order in which they were created
        self.jobs: dict[str, Row] = {}  # concurrency, per_key, priority, and the defaults that are said

    def create(self, id: str, job: str, tasks: int, said: Row, batch: str | None = None) -> tuple[str, str]:
        mine = (job, said.get("idempotencyKey"))
        for same in self.executions.values():
            if same["id"] == id or (same["job"], same["body"][1].get("idempotencyKey", 0)) == mine:
                return ("existing" if same["body"] == (tasks, said) else "conflict"), same["id"]
        execution = self._new(id, job, tasks, said, batch)
        others = [each for each in self.executions.values() if each["job"] == job and each["key"] == execution["key"] is not None]
        waiting = [each for each in others if status(each) == "pending" and not each["started"]]
        ahead = (self._in_line(job), len(waiting))
        full = [of_key for of_key, most, having in self._limits(execution) if len(having) + ahead[of_key] >= most]
        if said.get("onConflict") == "coalesce" and waiting:
            return "coalesced", waiting[0]["id"]
        if said.get("onConflict") == "reject" and True in full:
            raise Refused("key_in_use")
        if not said.get("allowQueue", True) and full:
            raise Refused("too_many_requests")
        self.executions[id] = execution
        return "created", id  # the disposition, and of which

    def create_batch(self, batch: str, items: list[tuple[str, int, Row]]) -> str:
        """All of (job, tasks, options), or none; the disposition of all. Their ids follow from the batch's."""
        before, self.executions = self.executions, dict(self.executions)
        keys = [(job, said["idempotencyKey"]) for job, _, said in items if "idempotencyKey" in said]
        try:
            made = [self.create(f"{batch}-{place}", *item, batch) for place, item in enumerate(items) if len({*keys}) == len(keys)]
            if [id for _, id in made] != [f"{batch}-{place}" for place in range(len(items))] or len({said for said, _ in made}) > 1:
                raise Refused("conflict")
        except Refused:
            self.executions = before
            raise
        return made[0][0]

    def claim(self, worker: str, jobs: tuple[str, ...] | None, limit: float, lease: float) -> list[tuple[Lease, int, Row]]:
        """(lease, attempt, steps) of each task given out: by priority, then in the order of their creation."""
        given: list[tuple[Lease, int, Row]] = []
        wanted = [each for each in self.executions.values() if not each["paused"] and (jobs is None or each["job"] in jobs)]
        for execution in sorted(wanted, key=lambda each: each["rank"]):
            for index, task in enumerate(execution["tasks"]):
                limits = self._limits(execution)
                under_way = any(each["status"] == "running" for each in execution["tasks"])
                may = execution["slot"] or under_way or all(len(having) < most for _, most, having in limits)
                if may and len(given) < limit and task["status"] == "pending" and task["why"] is None:
                    execution["slot"] = execution["slot"] or (bool(limits) and not under_way)
                    if not execution["started"]:
                        self._bind(execution)
                        execution.update(started=True, deadline=self.now + execution["timeout"] / 1000)
                    task.update({} if task["goes_on"] else {"attempt": task["attempt"] + 1, "error": None})
                    task.update(status="running", token=task["token"] + 1, worker=worker, due=self.now + lease, goes_on=False)
                    given.append(((execution["id"], index, task["token"]), task["attempt"], task["steps"]))
        return given

    def live(self) -> set[Lease]:
        rows = ((execution["id"], place) for execution in self.executions.values() for place in enumerate(execution["tasks"]))
        return {(id, index, task["token"]) for id, (index, task) in rows if task["status"] == "running"}

    def tell(self, lease: Lease, kind: str, **report: Any) -> Row:
        if lease not in self.live():
            raise Refused("lease_lost")
        execution, answer = self.executions[lease[0]], Row()
        task = execution["tasks"][lease[1]]
        if kind == "completed":
            task.update(report)
            self._end(execution, [task], "completed")
        elif kind == "released":
            task.update(BACK, goes_on=True)
        elif kind == "stepped":
            task["steps"].setdefault(report["name"], {"kind": "value", "value": report["value"]})
        elif kind != "noted":
            answer = getattr(self, f"_{kind}")(execution, task, **report) or {}
        self._settle(execution)
        return {"stop": execution["paused"] and task["status"] == "running"} | answer

    def beat(self, leases: list[Lease], seconds: float) -> tuple[set[Lease], set[Lease]]:
        live = set(leases) & self.live()
        for id, index, _ in live:
            self.executions[id]["tasks"][index]["due"] = self.now + seconds
        return set(leases) - live, {lease for lease in live if self.executions[lease[0]]["paused"]}

    def tick(self, dead: str | None = None) -> int:
        """Leases that are over, or of dead workers, are lost; waits that are over end; executions out of time fail."""
        rows = [(execution, task) for execution in self.executions.values() for task in execution["tasks"]]
        waited = [task for of, task in rows if task["status"] == "pending" and not of["paused"] and task["due"] <= self.now]
        running = sorted([row for row in rows if row[1]["status"] == "running"], key=lambda row: row[1]["due"])
        gone = [row for row in running if row[1]["due"] <= self.now or row[1]["worker"].startswith(dead or "nobody")]
        lost = [self._lose(*row) for row in gone if row[1]["status"] == "running"]  # the failure of one may end another
        for task in [task for task in waited if task["status"] == "pending"]:
            task.update(why=None, due=inf, awaiting=None)
        for execution in self.executions.values():
            if execution["deadline"] <= self.now:
                self._end(execution, execution["tasks"], "failed", "timeout")
        return len(lost)

    def delete(self, id: str, force: bool) -> None:
        if status(self.executions[id]) in OPEN and not force:
            raise Refused("illegal_transition")
        del self.executions[id]

    def send(self, id: str, name: str, payload: Any, event_id: str) -> str:
        execution = self.executions[id]
        if any(signal["id"] == event_id for signal in execution["signals"]):
            return "existing"
        if status(execution) in ENDED:
            raise Refused("illegal_transition")
        resting = [task for task in execution["tasks"] if task["goes_on"] and task["why"] in ("time", "event")]
        waiting = [task for task in resting if task["steps"].get(name, {}).get("kind") == "wait"]
        execution["signals"].append({"id": event_id, "name": name, "payload": payload, "taken": bool(waiting)})
        for task in sorted(waiting, key=lambda task: task["steps"][name]["at"])[:1]:
            task["steps"][name] = {"kind": "event", "value": payload}
            task.update(why=None, due=inf, awaiting=None)
        return "taken" if waiting else "kept"

    def steer(self, id: str, verb: str) -> None:
        execution = self.executions[id]
        if status(execution) not in {"retry": ("failed",), "cancel": (*OPEN, "cancelled")}.get(verb, OPEN):
            raise Refused("illegal_transition")
        if verb == "start" and not execution["paused"] and execution["tasks"][0]["why"] == "start":
            self._release(execution)
        elif verb == "pause" and not execution["paused"]:
            execution.update(paused=True, left=max(0.0, execution["deadline"] - self.now), deadline=inf)
        elif verb == "resume" and execution["paused"]:
            execution.update(paused=False, deadline=self.now + execution["left"], left=inf)
        elif verb == "cancel":
            execution["cancelled"] = True
            self._end(execution, execution["tasks"], "cancelled")
        elif verb == "retry":
            again = [task for task in execution["tasks"] if task["status"] != "completed"]
            execution.update(error=None, deadline=self.now + execution["timeout"] / 1000, retried=execution["retried"] + len(again))
            for task in again:
                task.update(status="pending", errors=0, losses=0, goes_on=False)
        self._settle(execution)

    def _failed(self, execution: Row, task: Row, error: str, retry_after: float | None) -> None:
        task["errors"] += error == "error"
        if error != "error" or task["errors"] > execution["retries"]:
            return self._end(execution, [task], "failed", error)
        execution["retried"] += 1
        due = self.now + (execution["retry_delay"] / 1000 if retry_after is None else retry_after)
        return task.update(BACK, why="retry", due=due, error=error)

    def _slept(self, execution: Row, task: Row, name: str, seconds: float, in_place: float) -> Row | None:
        step = task["steps"].setdefault(name, {"kind": "sleep", "due": self.now + seconds})
        remaining = max(0.0, step["due"] - self.now)
        if remaining <= in_place:
            return {"kind": "sleep", "remaining": remaining}
        return task.update(BACK, goes_on=True, why="time", due=self._next_rest(task)) or {"suspended": True}

    def _awaited(self, execution: Row, task: Row, name: str, timeout: float | None, suspends: bool) -> Row | None:
        until = self.now + (inf if timeout is None else timeout)
        step = task["steps"].setdefault(name, {"kind": "wait", "due": until, "at": self.now})
        sent = [signal for signal in execution["signals"] if signal["name"] == name and not signal["taken"]]
        if step["kind"] == "wait" and sent:
            sent[0]["taken"] = True
            step = task["steps"][name] = {"kind": "event", "value": sent[0]["payload"]}
        elif step["kind"] == "wait" and step["due"] <= self.now:
            step = task["steps"][name] = {"kind": "timeout"}
        elif step["kind"] == "wait" and not suspends:
            return {"remaining": 0.0 if step["due"] == inf else step["due"] - self.now}
        elif step["kind"] == "wait":
            return task.update(BACK, goes_on=True, why="event", due=self._next_rest(task), awaiting=name) or {"suspended": True}
        return {"kind": step["kind"], "value": step.get("value")}

    def _next_rest(self, task: Row) -> float:
        rests = [each["due"] for each in task["steps"].values() if each["kind"] in ("sleep", "wait")]
        return min((due for due in rests if due > self.now), default=inf)

    def _lose(self, execution: Row, task: Row) -> None:
        task["losses"] += 1
        execution["lost"].append(task["worker"])
        if task["losses"] <= self.max_recoveries:
            return task.update(BACK) or self._settle(execution)
        return self._end(execution, [task], "failed", "worker_lost")

    def _end(self, execution: Row, tasks: list[Row], how: str, error: str | None = None) -> None:
        for task in tasks:
            if task["status"] in OPEN:
                task.update(status=how, why=None, due=inf, awaiting=None, error=error or task["error"])
                execution["error"] = execution["error"] or error
        self._settle(execution)

    def _settle(self, execution: Row) -> None:
        if execution["fail_fast"] and status(execution) in OPEN and any(task["status"] == "failed" for task in execution["tasks"]):
            self._end(execution, execution["tasks"], "cancelled")
        if status(execution) in ENDED:
            execution.update(slot=False, paused=False, deadline=inf, left=inf)
        elif execution["paused"] and all(task["status"] != "running" for task in execution["tasks"]):
            execution["slot"] = False

    def _new(self, id: str, job: str, tasks: int, said: Row, batch: str | None) -> Row:
        task = {**BACK, "why": "start", "awaiting": None, "worker": "", "goes_on": False, "result": None, "error": None}
        task.update(dict.fromkeys(("attempt", "errors", "losses", "token"), 0))
        execution: Row = {
            "id": id, "job": job, "batch": batch, "body": (tasks, said), "key": said.get("concurrencyKey"), "retried": 0,
            "run_at": self.now + said.get("delayMs", 0) / 1000, "fail_fast": said.get("failFast", False), "paused": False,
            "cancelled": False, "slot": False, "started": False, "bound": False, "deadline": inf, "left": inf, "error": None,
            "rank": RANKS[said.get("priority") or self.jobs.get(job, {}).get("priority", "medium")], "signals": [], "lost": [],
            "tasks": [{**task, "steps": {}} for _ in range(tasks)],
            "own": {OPTIONS[name][0]: said[name] for name in said if name in OPTIONS},
        }  # fmt: skip
        self._bind(execution)
        if said.get("autoStart", True):
            self._release(execution)
        return execution

    def _bind(self, execution: Row) -> None:
        """The defaults of a job's definition freeze in its executions when they are created, or with their first claim."""
        if not execution["bound"]:
            execution.update(
                {**dict(OPTIONS.values()), **self.jobs.get(execution["job"], {}).get("defaults", {}), **execution["own"]}
            )
            execution["bound"] = execution["job"] in self.jobs

    def _release(self, execution: Row) -> None:
        later = execution["run_at"] > self.now
        for task in execution["tasks"]:
            task.update(why="time" if later else None, due=execution["run_at"] if later else inf)

    def _in_line(self, job: str) -> int:
        """How many of a job get a slot of it as soon as somebody asks; those behind a full key do not."""
        ready: Row = {}
        for each in self.executions.values():
            now = {task["status"] for task in each["tasks"] if task["status"] != "pending" or task["why"] is None}
            if each["job"] == job and not (each["slot"] or each["paused"] or "running" in now) and "pending" in now:
                ready[each["key"]] = ready.get(each["key"], 0) + 1
        room = {key: self.jobs.get(job, {}).get("per_key", 1) - len(self._having(job, key)) for key in ready if key is not None}
        return sum(number if key is None else min(number, max(0, room[key])) for key, number in ready.items())

    def _having(self, job: str, key: str) -> list[Row]:
        return [each for each in self.executions.values() if each["slot"] and each["job"] == job and each["key"] == key]

    def _limits(self, execution: Row) -> list[tuple[bool, int, list[Row]]]:
        """(of the key, limit, who has a slot) for its job and for its key."""
        job, key = self.jobs.get(execution["job"], {}), execution["key"]
        having = [each for each in self.executions.values() if each["slot"] and each["job"] == execution["job"]]
        limits = [(False, job["concurrency"], having)] if job.get("concurrency") else []
        return limits if key is None else [*limits, (True, job.get("per_key", 1), self._having(execution["job"], key))]


def status(execution: Row) -> str:
    """It follows from the tasks: running while one runs or some have ended; but pause and cancel have the last word."""
    tasks = [task["status"] for task in execution["tasks"]]
    if {*OPEN} & {*tasks}:
        return "paused" if execution["paused"] else "running" if {"running", *ENDED} & {*tasks} else "pending"
    return "cancelled" if execution["cancelled"] else "failed" if "failed" in tasks else "completed"
