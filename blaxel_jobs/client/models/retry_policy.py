from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, TypeVar

from attrs import define as _attrs_define

from ..types import UNSET, Unset

T = TypeVar("T", bound="RetryPolicy")


@_attrs_define
class RetryPolicy:
    """How long a failed task waits for its next try: `initialMs` before the first retry, `factor` times more before each
    next one,
    `maxMs` at most. With full jitter that is the bound of a random wait.

        Attributes:
            initial_ms (int | Unset):
            factor (float | Unset):
            max_ms (int | Unset):
            jitter (str | Unset):
    """

    initial_ms: int | Unset = UNSET
    factor: float | Unset = UNSET
    max_ms: int | Unset = UNSET
    jitter: str | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        initial_ms = self.initial_ms

        factor = self.factor

        max_ms = self.max_ms

        jitter = self.jitter

        field_dict: dict[str, Any] = {}

        field_dict.update({})
        if initial_ms is not UNSET:
            field_dict["initialMs"] = initial_ms
        if factor is not UNSET:
            field_dict["factor"] = factor
        if max_ms is not UNSET:
            field_dict["maxMs"] = max_ms
        if jitter is not UNSET:
            field_dict["jitter"] = jitter

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        d = dict(src_dict)
        initial_ms = d.pop("initialMs", UNSET)

        factor = d.pop("factor", UNSET)

        max_ms = d.pop("maxMs", UNSET)

        jitter = d.pop("jitter", UNSET)

        retry_policy = cls(
            initial_ms=initial_ms,
            factor=factor,
            max_ms=max_ms,
            jitter=jitter,
        )

        return retry_policy
