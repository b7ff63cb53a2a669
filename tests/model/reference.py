"""The words of design and contract done the slow way, apart from the code: plain dicts, every question a look at everything."""

from math import inf
from typing import Any

Row = dict[str, Any]
Lease = tuple[str, int, int]  # execution id, index of the task, token
OPEN, ENDED = ("pending", "running", "paused"), ("completed", "failed", "cancelled")
RANKS = ("critical", "high", "medium", "low")
BACK: Row = {"status": "pending", "why": None, "due": inf, "awaiting": None}
NEW: Row = {**BACK, "goes_on": False, "attempt": 0, "errors": 0, "losses": 0, "token": 0, "result": None, "error": None}
OPTIONS: Row = {"maxRetries": ("retries", 0), "retryDelayMs": ("retry_delay", 1000), "timeoutMs": ("timeout", inf)}


class Refused(Exception):
    """The word of the error that is answered."""


def refuse(word: str, if_so: bool) -> None:
    if if_so:
        raise Refused(word)


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
        full = [of_key for of_key, room in self._room(job, execution["key"]).items() if room <= ahead[of_key]]
        if said.get("onConflict") == "coalesce" and waiting:
            return "coalesced", waiting[0]["id"]
        refuse("key_in_use", said.get("onConflict") == "reject" and True in full)
        refuse("too_many_requests", not said.get("allowQueue", True) and bool(full))
        self.executions[id] = execution
        if said.get("autoStart", True):
            self.steer(id, "start")
        return "created", id  # the disposition, and of which

    def create_batch(self, batch: str, items: list[tuple[str, int, Row]]) -> str:
        """All of (job, tasks, options), or none; the disposition of all. Their ids follow from the batch's."""
        before, self.executions = self.executions, dict(self.executions)
        keys = [(job, said["idempotencyKey"]) for job, _, said in items if "idempotencyKey" in said]
        try:
            made = [self.create(f"{batch}-{place}", *item, batch) for place, item in enumerate(items) if len({*keys}) == len(keys)]
            ids = [f"{batch}-{place}" for place in range(len(items))]
            refuse("conflict", [id for _, id in made] != ids or len({said for said, _ in made}) > 1)
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
                room = self._room(execution["job"], execution["key"])
                under_way = any(each["status"] == "running" for each in execution["tasks"])
                may = execution["slot"] or under_way or all(free > 0 for free in room.values())
                if may and len(given) < limit and task["status"] == "pending" and task["why"] is None:
                    execution["slot"] = execution["slot"] or (bool(room) and not under_way)
                    if not execution["started"]:
                        self._bind(execution)
                        execution.update(started=True, deadline=self.now + execution["timeout"] / 1000)
                    task.update({} if task["goes_on"] else {"attempt": task["attempt"] + 1, "error": None})
                    task.update(status="running", token=task["token"] + 1, worker=worker, due=self.now + lease, goes_on=False)
                    given.append(((execution["id"], index, task["token"]), task["attempt"], task["steps"]))
        return given

    def live(self) -> set[Lease]:
        rows = ((id, index, task) for id, each in self.executions.items() for index, task in enumerate(each["tasks"]))
        return {(id, index, task["token"]) for id, index, task in rows if task["status"] == "running"}

    def tell(self, lease: Lease, kind: str, **report: Any) -> Row:
        execution = self.executions.get(lease[0], {"tasks": {lease[1]: NEW}})
        task, answer = execution["tasks"][lease[1]], Row()
        if lease not in self.live():  # its outcome may be told again under its last lease
            said = (lease[2], report.get("result"), report.get("error"))
            refuse("lease_lost", kind not in ("completed", "failed") or said != (task["token"], task["result"], task["error"]))
            return {"stop": False}
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
        running = sorted([row for row in rows if row[1]["status"] == "running"], key=lambda row: row[1]["due"])
        gone = [row for row in running if row[1]["due"] <= self.now or row[1]["worker"].startswith(dead or "nobody")]
        lost = [self._lose(*row) for row in gone if row[1]["status"] == "running"]  # the failure of one may end another
        for task in [task for of, task in rows if task["status"] == "pending" and not of["paused"] and task["due"] <= self.now]:
            task.update(BACK)
        for execution in [each for each in self.executions.values() if each["deadline"] <= self.now]:
            self._end(execution, execution["tasks"], "failed", "timeout")
        return len(lost)

    def delete(self, id: str, force: bool) -> None:
        refuse("illegal_transition", status(self.executions[id]) in OPEN and not force)
        del self.executions[id]

    def send(self, id: str, name: str, payload: Any, event_id: str) -> str:
        execution = self.executions[id]
        if any(signal["id"] == event_id for signal in execution["signals"]):
            return "existing"
        refuse("illegal_transition", status(execution) in ENDED)
        resting = [task for task in execution["tasks"] if task["goes_on"] and task["why"] in ("time", "event")]
        waiting = [task for task in resting if task["steps"].get(name, {}).get("kind") == "wait"]
        execution["signals"].append({"id": event_id, "name": name, "payload": payload, "taken": bool(waiting)})
        for task in sorted(waiting, key=lambda task: task["steps"][name]["at"])[:1]:
            task["steps"][name] = {"kind": "event", "value": payload}
            task.update(BACK)
        return "taken" if waiting else "kept"

    def steer(self, id: str, verb: str) -> None:
        execution = self.executions[id]
        refuse(
            "illegal_transition", status(execution) not in {"retry": ("failed",), "cancel": (*OPEN, "cancelled")}.get(verb, OPEN)
        )
        if verb == "start" and not execution["paused"] and execution["tasks"][0]["why"] == "start":
            later = execution["run_at"] > self.now
            for task in execution["tasks"]:
                task.update(why="time" if later else None, due=execution["run_at"] if later else inf)
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
        delay = execution["retry_delay"] / 1000 if retry_after is None else retry_after
        return task.update(BACK, why="retry", due=self.now + delay, error=error)

    def _slept(self, execution: Row, task: Row, name: str, seconds: float, in_place: float) -> Row | None:
        step = task["steps"].setdefault(name, {"kind": "sleep", "due": self.now + seconds})
        remaining = max(0.0, step["due"] - self.now)
        return {"kind": "sleep", "remaining": remaining} if remaining <= in_place else self._rest(task, why="time")

    def _awaited(self, execution: Row, task: Row, name: str, timeout: float | None, suspends: bool) -> Row | None:
        until = self.now + (inf if timeout is None else timeout)
        step = task["steps"].setdefault(name, {"kind": "wait", "due": until, "at": self.now})
        sent = [signal for signal in execution["signals"] if signal["name"] == name and not signal["taken"]]
        if step["kind"] == "wait" and sent:
            sent[0]["taken"] = True
            step = task["steps"][name] = {"kind": "event", "value": sent[0]["payload"]}
        elif step["kind"] == "wait" and step["due"] <= self.now:
            step = task["steps"][name] = {"kind": "timeout"}
        elif step["kind"] == "wait":
            left = 0.0 if step["due"] == inf else step["due"] - self.now
            return self._rest(task, why="event", awaiting=name) if suspends else {"remaining": left}
        return {"kind": step["kind"], "value": step.get("value")}

    def _rest(self, task: Row, **why: str) -> Row:
        rests = [each["due"] for each in task["steps"].values() if each["kind"] in ("sleep", "wait")]
        task.update(BACK, goes_on=True, due=min((due for due in rests if due > self.now), default=inf), **why)
        return {"suspended": True}

    def _lose(self, execution: Row, task: Row) -> None:
        task.update(BACK, losses=task["losses"] + 1)
        execution["lost"].append(task["worker"])
        self._end(execution, [task] if task["losses"] > self.max_recoveries else [], "failed", "worker_lost")

    def _end(self, execution: Row, tasks: list[Row], how: str, error: str | None = None) -> None:
        for task in [task for task in tasks if task["status"] in OPEN]:
            task.update(BACK, status=how, error=error or task["error"])
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
        return self._bind({
            "id": id, "job": job, "batch": batch, "body": (tasks, said), "key": said.get("concurrencyKey"), "retried": 0,
            "run_at": self.now + said.get("delayMs", 0) / 1000, "fail_fast": said.get("failFast", False), "error": None,
            **dict.fromkeys(("paused", "cancelled", "slot", "started", "bound"), False), "deadline": inf, "left": inf,
            "rank": RANKS.index(said.get("priority") or self.jobs.get(job, {}).get("priority", "medium")),
            "tasks": [{**NEW, "why": "start", "steps": {}} for _ in range(tasks)], "signals": [], "lost": [],
            "own": {OPTIONS[name][0]: said[name] for name in said if name in OPTIONS},
        })  # fmt: skip

    def _bind(self, execution: Row) -> Row:
        """The defaults of a job's definition freeze in its executions when they are created, or with their first claim."""
        if not execution["bound"]:
            defaults = self.jobs.get(execution["job"], {}).get("defaults", {})
            execution.update({**dict(OPTIONS.values()), **defaults, **execution["own"]}, bound=execution["job"] in self.jobs)
        return execution

    def _in_line(self, job: str) -> int:
        """How many of a job get a slot of it as soon as somebody asks; those behind a full key do not."""
        mine = [each for each in self.executions.values() if each["job"] == job and not (each["slot"] or each["paused"])]
        seen = [(each["key"], {(task["status"], task["why"]) for task in each["tasks"]}) for each in mine]
        keys = [key for key, tasks in seen if ("pending", None) in tasks and ("running", None) not in tasks]
        return sum(min(keys.count(key), max(0, self._room(job, key).get(True, len(keys)))) for key in {*keys})

    def _room(self, job: str, key: str | None) -> dict[bool, int]:
        """How many slots are free of a key, and of its job, as far as there is a limit, by whether it is the key's."""
        said = self.jobs.get(job, {})
        keys = [each["key"] for each in self.executions.values() if each["slot"] and each["job"] == job]
        of_job = {False: said["concurrency"] - len(keys)} if said.get("concurrency") else {}
        return of_job if key is None else {**of_job, True: said.get("per_key", 1) - keys.count(key)}


def status(execution: Row) -> str:
    """It follows from the tasks: running while one runs or some have ended; but pause and cancel have the last word."""
    tasks = [task["status"] for task in execution["tasks"]]
    if {*OPEN} & {*tasks}:
        return "paused" if execution["paused"] else "running" if {"running", *ENDED} & {*tasks} else "pending"
    return "cancelled" if execution["cancelled"] else "failed" if "failed" in tasks else "completed"
