"""Every model of the contract. Each is loaded when it is first asked for."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .create_job_execution_output import CreateJobExecutionOutput
    from .create_job_execution_request import CreateJobExecutionRequest
    from .execution_ids import ExecutionIds
    from .execution_update import ExecutionUpdate
    from .execution_update_list import ExecutionUpdateList
    from .failure import Failure
    from .health import Health
    from .job import Job
    from .job_execution import JobExecution
    from .job_execution_event import JobExecutionEvent
    from .job_execution_event_list import JobExecutionEventList
    from .job_execution_list import JobExecutionList
    from .job_execution_metadata import JobExecutionMetadata
    from .job_execution_spec import JobExecutionSpec
    from .job_execution_stats import JobExecutionStats
    from .job_execution_status import JobExecutionStatus
    from .job_execution_task import JobExecutionTask
    from .job_execution_task_list import JobExecutionTaskList
    from .job_execution_task_metadata import JobExecutionTaskMetadata
    from .job_metadata import JobMetadata
    from .page_meta import PageMeta
    from .problem import Problem
    from .recovery import Recovery

_MODULES = {
    "CreateJobExecutionOutput": "create_job_execution_output",
    "CreateJobExecutionRequest": "create_job_execution_request",
    "ExecutionIds": "execution_ids",
    "ExecutionUpdate": "execution_update",
    "ExecutionUpdateList": "execution_update_list",
    "Failure": "failure",
    "Health": "health",
    "Job": "job",
    "JobExecution": "job_execution",
    "JobExecutionEvent": "job_execution_event",
    "JobExecutionEventList": "job_execution_event_list",
    "JobExecutionList": "job_execution_list",
    "JobExecutionMetadata": "job_execution_metadata",
    "JobExecutionSpec": "job_execution_spec",
    "JobExecutionStats": "job_execution_stats",
    "JobExecutionStatus": "job_execution_status",
    "JobExecutionTask": "job_execution_task",
    "JobExecutionTaskList": "job_execution_task_list",
    "JobExecutionTaskMetadata": "job_execution_task_metadata",
    "JobMetadata": "job_metadata",
    "PageMeta": "page_meta",
    "Problem": "problem",
    "Recovery": "recovery",
}

__all__ = (
    "CreateJobExecutionOutput",
    "CreateJobExecutionRequest",
    "ExecutionIds",
    "ExecutionUpdate",
    "ExecutionUpdateList",
    "Failure",
    "Health",
    "Job",
    "JobExecution",
    "JobExecutionEvent",
    "JobExecutionEventList",
    "JobExecutionList",
    "JobExecutionMetadata",
    "JobExecutionSpec",
    "JobExecutionStats",
    "JobExecutionStatus",
    "JobExecutionTask",
    "JobExecutionTaskList",
    "JobExecutionTaskMetadata",
    "JobMetadata",
    "PageMeta",
    "Problem",
    "Recovery",
)


def __getattr__(name: str) -> Any:
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(f".{module}", __name__), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
