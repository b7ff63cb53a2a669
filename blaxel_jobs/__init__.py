"""Jobs: long-running executions of tasks, created, waited for and cancelled.

    from blaxel_jobs import bl_job, CreateJobExecutionRequest

    job = bl_job("my-job")
    execution_id = job.create_execution(CreateJobExecutionRequest(tasks=[{"duration": 1}]))
    print(job.wait_for_execution(execution_id).status)

Each name is loaded when it is first asked for.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .client.models.create_job_execution_request import CreateJobExecutionRequest
    from .config import Settings, configure
    from .define import JobDef, define_job
    from .errors import (
        ConfigError,
        Conflict,
        ConnectionFailed,
        ContractError,
        ExecutionFailed,
        Forbidden,
        IdempotencyConflict,
        IllegalTransition,
        InvalidRequest,
        JobsError,
        LeaseLost,
        MalformedRequest,
        MethodNotAllowed,
        Misdirected,
        MockStuck,
        NotFinished,
        NotFound,
        NotLoaded,
        NotSerializable,
        RequestError,
        RequestTimeout,
        RequestTooSlow,
        ServerError,
        StoreBusy,
        StoreError,
        StoreTooNew,
        TooLarge,
        TooManyRequests,
        Unauthorized,
        Unavailable,
        UnknownJob,
        UnsupportedMedia,
        WaitTimeoutError,
        WouldDeadlock,
    )
    from .execution import Execution
    from .jobs import ExecutionList, Job, Jobs, JobsClient, bl_job
    from .manager import JobManager
    from .watch import Update
    from .words import JobPriority, JobStatus
    from .worker.context import TaskContext

__version__ = "0.1.0"

_NAMES = {
    "client.models.create_job_execution_request": "CreateJobExecutionRequest",
    "config": "Settings configure",
    "define": "JobDef define_job",
    "errors": (
        "ConfigError Conflict ConnectionFailed ContractError ExecutionFailed Forbidden IdempotencyConflict IllegalTransition "
        "InvalidRequest JobsError LeaseLost MalformedRequest MethodNotAllowed Misdirected MockStuck NotFinished NotFound NotLoaded "
        "NotSerializable RequestError RequestTimeout RequestTooSlow ServerError StoreBusy StoreError StoreTooNew TooLarge "
        "TooManyRequests Unauthorized Unavailable UnknownJob UnsupportedMedia WaitTimeoutError WouldDeadlock"
    ),
    "execution": "Execution",
    "jobs": "ExecutionList Job Jobs JobsClient bl_job",
    "manager": "JobManager",
    "watch": "Update",
    "words": "JobPriority JobStatus",
    "worker.context": "TaskContext",
}
_MODULES = {name: module for module, names in _NAMES.items() for name in names.split()}

__all__ = [
    "ConfigError",
    "Conflict",
    "ConnectionFailed",
    "ContractError",
    "CreateJobExecutionRequest",
    "Execution",
    "ExecutionFailed",
    "ExecutionList",
    "Forbidden",
    "IdempotencyConflict",
    "IllegalTransition",
    "InvalidRequest",
    "Job",
    "JobDef",
    "JobManager",
    "JobPriority",
    "JobStatus",
    "Jobs",
    "JobsClient",
    "JobsError",
    "LeaseLost",
    "MalformedRequest",
    "MethodNotAllowed",
    "Misdirected",
    "MockStuck",
    "NotFinished",
    "NotFound",
    "NotLoaded",
    "NotSerializable",
    "RequestError",
    "RequestTimeout",
    "RequestTooSlow",
    "ServerError",
    "Settings",
    "StoreBusy",
    "StoreError",
    "StoreTooNew",
    "TaskContext",
    "TooLarge",
    "TooManyRequests",
    "Unauthorized",
    "Unavailable",
    "UnknownJob",
    "UnsupportedMedia",
    "Update",
    "WaitTimeoutError",
    "WouldDeadlock",
    "__version__",
    "bl_job",
    "configure",
    "define_job",
]


def __getattr__(name: str) -> Any:
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(f".{module}", __name__), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
