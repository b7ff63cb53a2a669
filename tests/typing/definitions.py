"""The types of definitions. Read by mypy --strict and pyright --strict, here and by test_types.py, never run."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypedDict, assert_type

import attrs

from blaxel_jobs.define import JobDef, RetryPolicy, define_job


@attrs.frozen
class Order:
    id: str


@dataclass
class Receipt:
    id: str


class Draft(TypedDict):
    id: str


def nothing() -> Receipt:
    return Receipt("")


def context_only(context: object) -> Receipt:
    return Receipt("")


def both(context: object, payload: Order) -> Receipt:
    return Receipt("")


async def async_nothing() -> Receipt:
    return Receipt("")


async def async_context_only(context: object) -> Receipt:
    return Receipt("")


async def async_both(context: object, payload: Order) -> Receipt:
    return Receipt("")


def untyped(context: Any, payload: Any) -> Any:
    return payload


def optional(context: object, payload: Order | None = None) -> None: ...


def read_order(value: Any) -> Order:
    return Order(value["id"])


# By the handler's annotations, call form.
assert_type(define_job("job", run=nothing), JobDef[Any, Receipt])
assert_type(define_job("job", run=context_only), JobDef[Any, Receipt])
assert_type(define_job("job", run=both), JobDef[Order, Receipt])
assert_type(define_job("job", run=async_nothing), JobDef[Any, Receipt])
assert_type(define_job("job", run=async_context_only), JobDef[Any, Receipt])
assert_type(define_job("job", run=async_both, max_retries=3, timeout=60), JobDef[Order, Receipt])
assert_type(define_job("job", run=untyped), JobDef[Any, Any])
assert_type(define_job("job", run=optional), JobDef[Order | None, None])
assert_type(define_job("job", run=lambda: 1), JobDef[Any, int])
assert_type(define_job("job", run=lambda context, payload: "x"), JobDef[Any, str])

# As a decorator.
assert_type(define_job("job")(nothing), JobDef[Any, Receipt])
assert_type(define_job("job")(context_only), JobDef[Any, Receipt])
assert_type(define_job("job")(both), JobDef[Order, Receipt])
assert_type(define_job("job")(async_both), JobDef[Order, Receipt])
assert_type(define_job("job", queue="images")(async_nothing), JobDef[Any, Receipt])

# By input= and output=.
assert_type(define_job("job", run=nothing, input=Order), JobDef[Order, Receipt])
assert_type(define_job("job", run=async_context_only, input=Draft), JobDef[Draft, Receipt])
assert_type(define_job("job", run=async_both, input=Order, output=Receipt), JobDef[Order, Receipt])
assert_type(define_job("job", run=async_both, output=Receipt), JobDef[Order, Receipt])
assert_type(define_job("job", run=async_nothing, output=Receipt), JobDef[Any, Receipt])
assert_type(define_job("job", run=async_both, input=read_order), JobDef[Order, Receipt])
assert_type(define_job("job", run=nothing, input=dict[str, list[Order]]), JobDef[dict[str, list[Order]], Receipt])
assert_type(define_job("job", input=Order)(async_both), JobDef[Order, Receipt])
assert_type(define_job("job", input=Order)(context_only), JobDef[Order, Receipt])
assert_type(define_job("job", output=Receipt)(both), JobDef[Order, Receipt])
assert_type(define_job("job", output=Receipt)(async_nothing), JobDef[Any, Receipt])
assert_type(define_job("job", input=Order, output=Receipt)(untyped), JobDef[Order, Receipt])
assert_type(define_job("job", input=Order)(untyped), JobDef[Order, Any])
assert_type(define_job("job", output=Receipt)(untyped), JobDef[Any, Receipt])
assert_type(define_job("job", input=list[int], output=Receipt)(nothing), JobDef[list[int], Receipt])


@define_job("word-count", max_retries=3, retry_policy=RetryPolicy(initial=0.5), priority="high")
async def word_count(context: object, payload: Mapping[str, str]) -> dict[str, int]:
    return {"words": len(payload["text"].split())}


@define_job("checkout", input=Order, output=Receipt)
def checkout(context: object, order: Order) -> Receipt:
    return Receipt(order.id)


def typed_by_its_definition(job: JobDef[Order, Receipt], any_result: JobDef[Order]) -> None:
    assert_type(any_result, JobDef[Order, Any])


assert_type(word_count, JobDef[Mapping[str, str], dict[str, int]])
assert_type(checkout, JobDef[Order, Receipt])
assert_type(checkout.timeout, float | None)
typed_by_its_definition(checkout, checkout)
