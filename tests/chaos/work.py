"""The handlers that are killed: each writes down that it runs, takes its time, and answers what can be checked."""

import asyncio
import contextlib
import os
import time
from pathlib import Path
from typing import Any

from blaxel_jobs import define_job
from blaxel_jobs.worker import TaskContext

RUNS = Path("runs.log")
"""One line for each run: execution id, task id, attempt. In the working directory."""
GATE = Path("gate")
"""Handlers that wait for it go on once it is there."""

LONG = 600.0
"""Seconds that no test waits for."""
PATIENT_ATTEMPTS = 3
"""Later attempts do not pause, so that nothing is lost with its worker again and again by mere chance."""


def _note(context: TaskContext) -> bool:
    """Whether the task runs for the first time. Written at once, so that lines of several threads and processes never mix."""
    first = f"{context.execution_id} {context.task_id} " not in (RUNS.read_text() if RUNS.exists() else "")
    file = os.open(RUNS, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(file, f"{context.execution_id} {context.task_id} {context.attempt}\n".encode())
    finally:
        os.close(file)
    return first


def _pause(context: TaskContext, payload: dict[str, Any]) -> float:
    return float(payload.get("pause", 0)) if context.attempt <= PATIENT_ATTEMPTS else 0.0


def answer(payload: dict[str, Any]) -> Any:
    """What a run of this payload returns. Raises ValueError where it is to fail."""
    if payload.get("fail"):
        raise ValueError(f"{payload['n']} fails")
    return {"n": payload["n"], "square": payload["n"] ** 2}


@define_job("in-loop")
async def in_loop(context: TaskContext, payload: dict[str, Any]) -> Any:
    _note(context)
    await asyncio.sleep(_pause(context, payload))
    return answer(payload)


@define_job("in-thread")
def in_thread(context: TaskContext, payload: dict[str, Any]) -> Any:
    _note(context)
    time.sleep(_pause(context, payload))
    return answer(payload)


@define_job("gated")
def gated(context: TaskContext) -> Any:
    """The first run waits for the gate; the others do not."""
    first = _note(context)
    while first and not GATE.exists():
        time.sleep(0.005)
    return {"attempt": context.attempt}


@define_job("patient")
async def patient(context: TaskContext) -> Any:
    """The first run never ends; the others do at once."""
    if _note(context):
        await asyncio.Event().wait()
    return {"attempt": context.attempt}


@define_job("blocking")
async def blocking(context: TaskContext) -> Any:
    """The first run blocks the worker's loop."""
    if _note(context):
        time.sleep(LONG)
    return {"attempt": context.attempt}


@define_job("deaf")
async def deaf(context: TaskContext) -> Any:
    """The first run does not let itself be cancelled."""
    first = _note(context)
    end = time.monotonic() + LONG
    while first and time.monotonic() < end:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(LONG)
    return {"attempt": context.attempt}


JOBS = (in_loop, in_thread, gated, patient)
