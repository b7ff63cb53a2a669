"""Seed 003, the queue service: jobs are enqueued with a type, a payload, metadata and a time, and are executed."""

import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from blaxel_jobs import InvalidRequest, JobManager, JobsClient, bl_job, define_job
from mock_server import MockServer
from tests.pace import PATIENCE, scaled, within
from tests.serving import serving


@define_job("note")
def note(step: Any, payload: dict[str, str]) -> float:
    """Writes a line to the file that its payload names; returns when."""
    with Path(payload["file"]).open("a") as file:
        file.write(f"{payload['line']}\n")
    return time.time()


def queued(name: str, queue: str | None = None) -> Any:
    return define_job(name, run=lambda step, payload: [name, payload], queue=queue)


@pytest.mark.row("S3-27")
def test_s3_01_a_worker_takes_only_the_jobs_of_its_queues(store: str) -> None:
    with JobManager(store, worker=False) as manager:
        image, thumbnail, mail = manager.register(queued("image", "image"), queued("thumbnail", "image"), queued("mail"))
        runs = [job.trigger(n) for n, job in enumerate((image, mail, thumbnail, image))]
        assert manager.work(queues=["other"], until_idle=True) == 0
        assert manager.work(queues=["image"], until_idle=True) == 3
        assert [run.refresh().status for run in runs] == ["completed", "pending", "completed", "completed"]
        assert (manager.stats("image").queue, manager.stats("mail").queue) == ("image", "default")
        assert manager.work(queues=["default"], until_idle=True) == 1
        assert [run.refresh().result for run in runs] == [["image", 0], ["mail", 1], ["thumbnail", 2], ["image", 3]]


def test_s3_02_27_a_job_is_enqueued_by_its_type_and_executed_with_its_payload(manager: JobManager) -> None:
    manager.register(queued("image"), queued("import"))
    payloads: list[Any] = [None, 5, 1.5, "text", [], {}, {"deep": [{"ä": None}]}, [[1], [2, "\u2028"]]]
    runs = [manager.trigger(kind, payload) for payload in payloads for kind in ("image", "import")]
    for index, run in enumerate(runs):
        kind, payload = ("image", "import")[index % 2], payloads[index // 2]
        assert run.job == kind
        assert run.get_result(PATIENCE) == [kind, payload]
        assert run.input == payload
    with pytest.raises(InvalidRequest, match="'export'"):
        manager.trigger("export", {})


def test_s3_02_the_oldest_of_a_priority_is_executed_first(store: str) -> None:
    order: list[Any] = []
    with JobManager(store, worker=False, slots=1) as manager:
        job = manager.register(define_job("ordered", run=lambda step, payload: order.append(payload)))
        for n in range(3):
            for priority in ("low", "critical", "medium", "high"):
                job.trigger([priority, n], priority=priority)
        manager.work(slots=1, until_idle=True)
    assert order == [[priority, n] for priority in ("critical", "high", "medium", "low") for n in range(3)]


METADATA: dict[str, Any] = {
    **{f"key-{n}": f"value {n}" for n in range(12)},
    "number": 5, "float": 1.5, "true": True, "none": None, "list": [1, "two", None], "deep": {"a": {"b": [{}]}},
    "schlüssel": "größe \u2028", "empty": "",
}  # fmt: skip


def test_s3_03_metadata_come_back_as_they_were_given(manager: JobManager) -> None:
    assert len(METADATA) == 20
    seen: list[Any] = []
    job = manager.register(define_job("job", run=lambda step: seen.append(step.metadata)))
    run = job.trigger(metadata=METADATA, tags=["a", "b"], name="Name", description="Text")
    run.get_result(PATIENCE)
    assert seen == [METADATA]
    read = manager.get_execution(run.id)
    assert read.metadata.custom == METADATA
    assert (read.tags, read.name, read.description) == (["a", "b"], "Name", "Text")
    (listed,) = job.list_executions()
    assert listed.metadata.custom == METADATA
    assert read.to_dict()["metadata"]["custom"] == METADATA


def test_s3_04_a_delay_is_exact_in_virtual_time(jobs_mock: MockServer) -> None:
    run = bl_job("job").trigger({"duration": 1}, delay=2)
    jobs_mock.advance(1.999)
    assert (jobs_mock.executions[0].status, jobs_mock.executions[0].waiting_for) == ("pending", "time")
    assert run.refresh() is run
    done = run.wait_done()
    assert done.started_at is not None
    assert done.ended_at is not None
    assert done.started_at - done.created_at == timedelta(seconds=2)
    assert done.ended_at - done.created_at == timedelta(seconds=3)
    assert jobs_mock.monotonic() == pytest.approx(3)


def test_s3_04_run_at_is_a_time_that_is_said(jobs_mock: MockServer) -> None:
    start = jobs_mock.now
    when = {
        "datetime": start + timedelta(hours=5),
        "text": (start + timedelta(hours=7)).isoformat(),
        "past": start - timedelta(days=1),
    }
    runs = {name: bl_job("job").trigger({}, run_at=time) for name, time in when.items()}
    with pytest.raises(InvalidRequest):
        bl_job("job").trigger({}, run_at=when["datetime"], delay=5)
    begun = {name: run.wait_done(max_wait=86_400).started_at for name, run in runs.items()}
    assert begun == {"datetime": start + timedelta(hours=5), "text": start + timedelta(hours=7), "past": start}


def test_s3_04_a_delay_of_two_seconds_on_a_real_clock(tmp_path: Path) -> None:
    with JobManager(f"sqlite:///{tmp_path}/jobs.db") as manager:
        job = manager.register(note)
        job.trigger({"file": str(tmp_path / "warm"), "line": "warm"}).get_result(PATIENCE)

        def attempt() -> float:
            begin = time.time()
            run = job.trigger({"file": str(tmp_path / "notes"), "line": "late"}, delay=2)
            assert run.refresh().waiting_for == "time"
            ran = run.get_result(PATIENCE)
            assert run.started_at is not None
            assert run.started_at - run.created_at >= timedelta(seconds=2)
            return float(ran) - begin

        assert within(2.2, attempt, tries=5) >= 2.0


@pytest.mark.slow
def test_s3_08_a_delayed_job_survives_kills_and_is_executed_once(tmp_path: Path) -> None:
    scaled(lambda delay: survive_kills(delay, tmp_path / str(delay)), 1.5, 10.0)


def survive_kills(delay: float, folder: Path) -> None:
    folder.mkdir()
    store, notes = f"sqlite:///{folder}/jobs.db", folder / "notes"
    with serving(folder, store, "--worker", __name__) as first, JobsClient(first.url) as client:
        due = datetime.now(UTC) + timedelta(seconds=delay)
        ids = [client.trigger("note", {"file": str(notes), "line": str(n)}, run_at=due).id for n in range(5)]
        assert [client.get_execution(id).waiting_for for id in ids] == ["time"] * 5
        first.kill()
    assert not notes.exists()
    with serving(folder, store, "--worker", __name__) as second, JobsClient(second.url) as client:
        runs = client.wait_for_executions(ids, max_wait=PATIENCE)
        for run in runs:
            run.refresh()
            assert run.started_at is not None
            assert (run.status, run.attempts) == ("completed", 1)
            assert run.started_at >= due
        second.kill()
    with serving(folder, store, "--worker", __name__) as third, JobsClient(third.url) as client:
        client.trigger("note", {"file": str(notes), "line": "last"}).wait_done(PATIENCE)
    assert sorted(notes.read_text().split()) == ["0", "1", "2", "3", "4", "last"]


def test_s3_08_what_came_due_while_nobody_was_there_is_executed_at_once(tmp_path: Path) -> None:
    store, ran = f"sqlite:///{tmp_path}/jobs.db", []
    job = define_job("job", run=lambda step, payload: ran.append(payload))
    with JobManager(store, worker=False) as manager:
        run = manager.register(job).trigger("once", delay=0.2)
        threading.Event().wait(0.25)
    for _ in range(2):
        with JobManager(store) as manager:
            manager.register(job)
            assert manager.wait_for_execution(run.id, PATIENCE).status == "completed"
    assert ran == ["once"]
