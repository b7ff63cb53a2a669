"""Jobs: long-running executions of tasks, created, waited for and cancelled.

    from blaxel_jobs import bl_job, CreateJobExecutionRequest

    job = bl_job("my-job")
    execution_id = job.create_execution(CreateJobExecutionRequest(tasks=[{"duration": 1}]))
    print(job.wait_for_execution(execution_id).status)

Each name is loaded when it is first asked for.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .batch import Batch
    from .client.models.create_job_execution_request import CreateJobExecutionRequest
    from .config import Settings, configure
    from .define import JobDef, define_job
    from .errors import (
        ConfigError,
        Conflict,
        ConnectionFailed,
        ContextUnavailable,
        ContractError,
        DuplicateStep,
        ExecutionFailed,
        Forbidden,
        IdempotencyConflict,
        IllegalTransition,
        InvalidOutput,
        InvalidRequest,
        JobsError,
        KeyInUse,
        LeaseHeld,
        LeaseLost,
        MalformedRequest,
        MethodNotAllowed,
        Misdirected,
        MockStuck,
        NotFinished,
        NotFound,
        NotLoaded,
        NotSerializable,
        PermanentError,
        RequestError,
        RequestTimeout,
        RequestTooSlow,
        RetryAfter,
        ServerError,
        StepTimeout,
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
    from .events import LogLine
    from .execution import Execution
    from .figures import Figures
    from .jobs import ExecutionList, Job, Jobs, JobsClient, bl_job
    from .manager import JobManager
    from .policy import RetryPolicy
    from .runner import bl_start_job
    from .watch import Update
    from .words import JobPriority, JobStatus
    from .worker.context import AsyncTaskContext, TaskContext

__version__ = "0.1.0"

_NAMES = {
    "batch": "Batch",
    "client.models.create_job_execution_request": "CreateJobExecutionRequest",
    "config": "Settings configure",
    "define": "JobDef define_job",
    "errors": (
        "ConfigError Conflict ConnectionFailed ContextUnavailable ContractError DuplicateStep ExecutionFailed Forbidden "
        "IdempotencyConflict IllegalTransition InvalidOutput InvalidRequest JobsError KeyInUse LeaseHeld LeaseLost "
        "MalformedRequest MethodNotAllowed Misdirected MockStuck NotFinished NotFound NotLoaded NotSerializable "
        "PermanentError RequestError RequestTimeout RequestTooSlow RetryAfter ServerError StepTimeout StoreBusy StoreError "
        "StoreTooNew TooLarge TooManyRequests Unauthorized Unavailable UnknownJob UnsupportedMedia WaitTimeoutError "
        "WouldDeadlock"
    ),
    "events": "LogLine",
    "execution": "Execution",
    "figures": "Figures",
    "jobs": "ExecutionList Job Jobs JobsClient bl_job",
    "manager": "JobManager",
    "policy": "RetryPolicy",
    "watch": "Update",
    "words": "JobPriority JobStatus",
    "runner": "bl_start_job",
    "worker.context": "AsyncTaskContext TaskContext",
}
_MODULES = {name: module for module, names in _NAMES.items() for name in names.split()}

__all__ = [
    "AsyncTaskContext",
    "Batch",
    "ConfigError",
    "Conflict",
    "ConnectionFailed",
    "ContextUnavailable",
    "ContractError",
    "CreateJobExecutionRequest",
    "DuplicateStep",
    "Execution",
    "ExecutionFailed",
    "ExecutionList",
    "Figures",
    "Forbidden",
    "IdempotencyConflict",
    "IllegalTransition",
    "InvalidOutput",
    "InvalidRequest",
    "Job",
    "JobDef",
    "JobManager",
    "JobPriority",
    "JobStatus",
    "Jobs",
    "JobsClient",
    "JobsError",
    "KeyInUse",
    "LeaseHeld",
    "LeaseLost",
    "LogLine",
    "MalformedRequest",
    "MethodNotAllowed",
    "Misdirected",
    "MockStuck",
    "NotFinished",
    "NotFound",
    "NotLoaded",
    "NotSerializable",
    "PermanentError",
    "RequestError",
    "RequestTimeout",
    "RequestTooSlow",
    "RetryAfter",
    "RetryPolicy",
    "ServerError",
    "Settings",
    "StepTimeout",
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
    "bl_start_job",
    "configure",
    "define_job",
]


def _imported_late(package: str, modules: dict[str, str]) -> Callable[[str], Any]:
    """The `__getattr__` of a package: imports the module that has a name when it is first asked for."""

    def find(name: str) -> Any:
        module = modules.get(name)
        if module is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        from importlib import import_module

        value = getattr(import_module(f".{module}", package), name)
        setattr(import_module(package), name, value)
        return value

    return find


if not TYPE_CHECKING:  # which would take any name for one of this package
    __getattr__ = _imported_late(__name__, _MODULES)


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
