from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, TypeVar, cast

from attrs import define as _attrs_define

from ..types import UNSET, Unset

T = TypeVar("T", bound="CreateJobExecutionRequest")


@_attrs_define
class CreateJobExecutionRequest:
    """
    Attributes:
        input (Any | Unset): Any JSON value. The execution has one task, and `result` is its value.
        tasks (list[Any] | Unset): One free-form input for each task. They run in parallel, and `results` keeps their
            order.
        execution_id (str | Unset): The execution's id, chosen by the caller. One of the server's own if left out.
        idempotency_key (str | Unset): Two creates of one job with the same key make one execution. No control
            characters.
        name (str | Unset): Free text in one line, without control characters.
        description (str | Unset): Free text in any number of lines. Tabs and line breaks are its only control
            characters.
        tags (list[str] | Unset): Labels to filter by, without control characters.
        metadata (Any | Unset): The user's own fields. They come back as `metadata.custom`.
        priority (str | Unset): Which execution is taken first.
        env (Any | Unset): Environment variables for the tasks. Their values never come back.
        memory (int | Unset): Memory for each task in MB, for runners that can limit it.
        allow_queue (bool | Unset): False answers 429 instead of queueing when the job is at its limit.
        id (str | Unset): Accepted from the platform's SDKs and ignored.
        job_id (str | Unset): Accepted from the platform's SDKs and ignored; the path names the job.
        workspace_id (str | Unset): Accepted from the platform's SDKs and ignored; the key names the workspace.
    """

    input: Any | Unset = UNSET
    tasks: list[Any] | Unset = UNSET
    execution_id: str | Unset = UNSET
    idempotency_key: str | Unset = UNSET
    name: str | Unset = UNSET
    description: str | Unset = UNSET
    tags: list[str] | Unset = UNSET
    metadata: Any | Unset = UNSET
    priority: str | Unset = UNSET
    env: Any | Unset = UNSET
    memory: int | Unset = UNSET
    allow_queue: bool | Unset = UNSET
    id: str | Unset = UNSET
    job_id: str | Unset = UNSET
    workspace_id: str | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        input = self.input

        tasks: list[Any] | Unset = UNSET
        if not isinstance(self.tasks, Unset):
            tasks = self.tasks

        execution_id = self.execution_id

        idempotency_key = self.idempotency_key

        name = self.name

        description = self.description

        tags: list[str] | Unset = UNSET
        if not isinstance(self.tags, Unset):
            tags = self.tags

        metadata = self.metadata

        priority = self.priority

        env = self.env

        memory = self.memory

        allow_queue = self.allow_queue

        id = self.id

        job_id = self.job_id

        workspace_id = self.workspace_id

        field_dict: dict[str, Any] = {}

        field_dict.update({})
        if input is not UNSET:
            field_dict["input"] = input
        if tasks is not UNSET:
            field_dict["tasks"] = tasks
        if execution_id is not UNSET:
            field_dict["executionId"] = execution_id
        if idempotency_key is not UNSET:
            field_dict["idempotencyKey"] = idempotency_key
        if name is not UNSET:
            field_dict["name"] = name
        if description is not UNSET:
            field_dict["description"] = description
        if tags is not UNSET:
            field_dict["tags"] = tags
        if metadata is not UNSET:
            field_dict["metadata"] = metadata
        if priority is not UNSET:
            field_dict["priority"] = priority
        if env is not UNSET:
            field_dict["env"] = env
        if memory is not UNSET:
            field_dict["memory"] = memory
        if allow_queue is not UNSET:
            field_dict["allowQueue"] = allow_queue
        if id is not UNSET:
            field_dict["id"] = id
        if job_id is not UNSET:
            field_dict["jobId"] = job_id
        if workspace_id is not UNSET:
            field_dict["workspaceId"] = workspace_id

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        d = dict(src_dict)
        input = d.pop("input", UNSET)

        tasks = cast(list[Any], d.pop("tasks", UNSET))

        execution_id = d.pop("executionId", UNSET)

        idempotency_key = d.pop("idempotencyKey", UNSET)

        name = d.pop("name", UNSET)

        description = d.pop("description", UNSET)

        tags = cast(list[str], d.pop("tags", UNSET))

        metadata = d.pop("metadata", UNSET)

        priority = d.pop("priority", UNSET)

        env = d.pop("env", UNSET)

        memory = d.pop("memory", UNSET)

        allow_queue = d.pop("allowQueue", UNSET)

        id = d.pop("id", UNSET)

        job_id = d.pop("jobId", UNSET)

        workspace_id = d.pop("workspaceId", UNSET)

        create_job_execution_request = cls(
            input=input,
            tasks=tasks,
            execution_id=execution_id,
            idempotency_key=idempotency_key,
            name=name,
            description=description,
            tags=tags,
            metadata=metadata,
            priority=priority,
            env=env,
            memory=memory,
            allow_queue=allow_queue,
            id=id,
            job_id=job_id,
            workspace_id=workspace_id,
        )

        return create_job_execution_request
