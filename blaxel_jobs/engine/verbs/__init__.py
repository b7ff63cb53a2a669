"""The operations of the contract as the engine does them: generators that yield what they need, like the SDK's flows.

A verb yields `Commit` (write this, durably), `Read` (ask the store), `Until` (wait for an execution to end) and the like, and
returns the view that the contract shows. `Engine.call` and `Engine.acall` drive it, for a thread and for an event loop. Nothing
here knows of HTTP.
"""

from collections.abc import Callable, Mapping
from typing import Final

from . import batches, documents, executions, jobs, leases, sorting, stats, steering
from .asking import Commit, CommitAll, Read, Until, Verb

__all__ = ["OPERATIONS", "Commit", "CommitAll", "Read", "Until", "Verb"]

OPERATIONS: Final[Mapping[str, Callable[..., Verb]]] = {
    verb.__name__: verb
    for verb in (
        executions.create_job_execution,
        executions.get_job_execution,
        executions.get_job_execution_status,
        executions.list_job_executions,
        executions.list_job_execution_tasks,
        executions.list_job_execution_events,
        executions.get_execution,
        executions.get_execution_statuses,
        executions.list_executions,
        executions.list_execution_steps,
        executions.rerun_execution,
        executions.get_runner_tasks,
        executions.get_data_url,
        steering.cancel_job_execution,
        steering.delete_execution,
        steering.send_execution_event,
        jobs.get_job,
        jobs.list_jobs,
        jobs.put_job,
        documents.get_job_document,
        documents.list_job_documents,
        documents.put_job_document,
        documents.remove_job,
        sorting.list_sorted_executions,
        sorting.list_sorted_tasks,
        batches.create_batch,
        batches.get_batch,
        leases.claim_leases,
        leases.extend_leases,
        leases.report_leases,
        stats.get_metrics,
        stats.get_stats,
    )
} | steering.VERBS
"""By operation id, in snake case. `documents` and `sorting` are the platform's dialect's: our own contract has no such routes."""
