"""Every model of the contract. Each is loaded when it is first asked for."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .artifact import Artifact
    from .awaited_report import AwaitedReport
    from .backlog import Backlog
    from .batch import Batch
    from .batch_item import BatchItem
    from .batch_metadata import BatchMetadata
    from .batch_stats import BatchStats
    from .claim_leases_output import ClaimLeasesOutput
    from .claim_leases_request import ClaimLeasesRequest
    from .completed_report import CompletedReport
    from .crashed_report import CrashedReport
    from .create_batch_request import CreateBatchRequest
    from .create_job_execution_output import CreateJobExecutionOutput
    from .create_job_execution_request import CreateJobExecutionRequest
    from .data_url import DataUrl
    from .delete_execution_request import DeleteExecutionRequest
    from .distribution import Distribution
    from .execution_ids import ExecutionIds
    from .execution_step import ExecutionStep
    from .execution_step_list import ExecutionStepList
    from .execution_update import ExecutionUpdate
    from .execution_update_list import ExecutionUpdateList
    from .extend_leases_output import ExtendLeasesOutput
    from .extend_leases_request import ExtendLeasesRequest
    from .failed_report import FailedReport
    from .failure import Failure
    from .health import Health
    from .job import Job
    from .job_definition import JobDefinition
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
    from .job_list import JobList
    from .job_metadata import JobMetadata
    from .job_stats import JobStats
    from .job_stats_throughput import JobStatsThroughput
    from .lease import Lease
    from .lease_ref import LeaseRef
    from .log_line import LogLine
    from .noted_report import NotedReport
    from .page_meta import PageMeta
    from .problem import Problem
    from .progress import Progress
    from .recovery import Recovery
    from .released_report import ReleasedReport
    from .report_answer import ReportAnswer
    from .report_leases_output import ReportLeasesOutput
    from .report_leases_request import ReportLeasesRequest
    from .reported_failure import ReportedFailure
    from .rerun_execution_request import RerunExecutionRequest
    from .retry_policy import RetryPolicy
    from .runner_tasks import RunnerTasks
    from .send_execution_event_output import SendExecutionEventOutput
    from .send_execution_event_request import SendExecutionEventRequest
    from .slept_report import SleptReport
    from .stats import Stats
    from .stats_jobs import StatsJobs
    from .stepped_report import SteppedReport
    from .stored_step import StoredStep
    from .task_attempt import TaskAttempt

_MODULES = {
    "Artifact": "artifact",
    "AwaitedReport": "awaited_report",
    "Backlog": "backlog",
    "Batch": "batch",
    "BatchItem": "batch_item",
    "BatchMetadata": "batch_metadata",
    "BatchStats": "batch_stats",
    "ClaimLeasesOutput": "claim_leases_output",
    "ClaimLeasesRequest": "claim_leases_request",
    "CompletedReport": "completed_report",
    "CrashedReport": "crashed_report",
    "CreateBatchRequest": "create_batch_request",
    "CreateJobExecutionOutput": "create_job_execution_output",
    "CreateJobExecutionRequest": "create_job_execution_request",
    "DataUrl": "data_url",
    "DeleteExecutionRequest": "delete_execution_request",
    "Distribution": "distribution",
    "ExecutionIds": "execution_ids",
    "ExecutionStep": "execution_step",
    "ExecutionStepList": "execution_step_list",
    "ExecutionUpdate": "execution_update",
    "ExecutionUpdateList": "execution_update_list",
    "ExtendLeasesOutput": "extend_leases_output",
    "ExtendLeasesRequest": "extend_leases_request",
    "FailedReport": "failed_report",
    "Failure": "failure",
    "Health": "health",
    "Job": "job",
    "JobDefinition": "job_definition",
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
    "JobList": "job_list",
    "JobMetadata": "job_metadata",
    "JobStats": "job_stats",
    "JobStatsThroughput": "job_stats_throughput",
    "Lease": "lease",
    "LeaseRef": "lease_ref",
    "LogLine": "log_line",
    "NotedReport": "noted_report",
    "PageMeta": "page_meta",
    "Problem": "problem",
    "Progress": "progress",
    "Recovery": "recovery",
    "ReleasedReport": "released_report",
    "ReportAnswer": "report_answer",
    "ReportLeasesOutput": "report_leases_output",
    "ReportLeasesRequest": "report_leases_request",
    "ReportedFailure": "reported_failure",
    "RerunExecutionRequest": "rerun_execution_request",
    "RetryPolicy": "retry_policy",
    "RunnerTasks": "runner_tasks",
    "SendExecutionEventOutput": "send_execution_event_output",
    "SendExecutionEventRequest": "send_execution_event_request",
    "SleptReport": "slept_report",
    "Stats": "stats",
    "StatsJobs": "stats_jobs",
    "SteppedReport": "stepped_report",
    "StoredStep": "stored_step",
    "TaskAttempt": "task_attempt",
}

__all__ = (
    "Artifact",
    "AwaitedReport",
    "Backlog",
    "Batch",
    "BatchItem",
    "BatchMetadata",
    "BatchStats",
    "ClaimLeasesOutput",
    "ClaimLeasesRequest",
    "CompletedReport",
    "CrashedReport",
    "CreateBatchRequest",
    "CreateJobExecutionOutput",
    "CreateJobExecutionRequest",
    "DataUrl",
    "DeleteExecutionRequest",
    "Distribution",
    "ExecutionIds",
    "ExecutionStep",
    "ExecutionStepList",
    "ExecutionUpdate",
    "ExecutionUpdateList",
    "ExtendLeasesOutput",
    "ExtendLeasesRequest",
    "FailedReport",
    "Failure",
    "Health",
    "Job",
    "JobDefinition",
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
    "JobList",
    "JobMetadata",
    "JobStats",
    "JobStatsThroughput",
    "Lease",
    "LeaseRef",
    "LogLine",
    "NotedReport",
    "PageMeta",
    "Problem",
    "Progress",
    "Recovery",
    "ReleasedReport",
    "ReportAnswer",
    "ReportLeasesOutput",
    "ReportLeasesRequest",
    "ReportedFailure",
    "RerunExecutionRequest",
    "RetryPolicy",
    "RunnerTasks",
    "SendExecutionEventOutput",
    "SendExecutionEventRequest",
    "SleptReport",
    "Stats",
    "StatsJobs",
    "SteppedReport",
    "StoredStep",
    "TaskAttempt",
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
