from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.stored_step import StoredStep


T = TypeVar("T", bound="Lease")


@_attrs_define
class Lease:
    """A task to run, and all that it takes.

    Attributes:
        task (int): Names the lease, together with `token`.
        token (int): Another one for each claim of the task.
        job (str):
        execution_id (str):
        task_id (str):
        index (int): The place of the task in its execution.
        attempt (int): Counts the tries of the task from 1.
        input (Any): What the handler is given.
        metadata (Any): The user's own fields of the execution.
        env (Any): The environment variables of the execution.
        steps (list[StoredStep]): What the task has stored, in the order in which it did.
        timeout_ms (int | Unset): How much time the execution has left. Left out when it has no timeout.
    """

    task: int
    token: int
    job: str
    execution_id: str
    task_id: str
    index: int
    attempt: int
    input: Any
    metadata: Any
    env: Any
    steps: list[StoredStep]
    timeout_ms: int | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        task = self.task

        token = self.token

        job = self.job

        execution_id = self.execution_id

        task_id = self.task_id

        index = self.index

        attempt = self.attempt

        input = self.input

        metadata = self.metadata

        env = self.env

        steps = []
        for steps_item_data in self.steps:
            steps_item = steps_item_data.to_dict()
            steps.append(steps_item)

        timeout_ms = self.timeout_ms

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "task": task,
                "token": token,
                "job": job,
                "executionId": execution_id,
                "taskId": task_id,
                "index": index,
                "attempt": attempt,
                "input": input,
                "metadata": metadata,
                "env": env,
                "steps": steps,
            }
        )
        if timeout_ms is not UNSET:
            field_dict["timeoutMs"] = timeout_ms

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        from ..models.stored_step import StoredStep

        d = dict(src_dict)
        task = d.pop("task")

        token = d.pop("token")

        job = d.pop("job")

        execution_id = d.pop("executionId")

        task_id = d.pop("taskId")

        index = d.pop("index")

        attempt = d.pop("attempt")

        input = d.pop("input")

        metadata = d.pop("metadata")

        env = d.pop("env")

        steps = []
        _steps = d.pop("steps")
        for steps_item_data in _steps:
            steps_item = StoredStep.from_dict(steps_item_data)

            steps.append(steps_item)

        timeout_ms = d.pop("timeoutMs", UNSET)

        lease = cls(
            task=task,
            token=token,
            job=job,
            execution_id=execution_id,
            task_id=task_id,
            index=index,
            attempt=attempt,
            input=input,
            metadata=metadata,
            env=env,
            steps=steps,
            timeout_ms=timeout_ms,
        )

        lease.additional_properties = d
        return lease

    @property
    def additional_keys(self) -> list[str]:
        return list(self.additional_properties.keys())

    def __getitem__(self, key: str) -> Any:
        return self.additional_properties[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.additional_properties[key] = value

    def __delitem__(self, key: str) -> None:
        del self.additional_properties[key]

    def __contains__(self, key: str) -> bool:
        return key in self.additional_properties
