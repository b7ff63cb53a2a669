"""What may be said of a new execution: Python's units become the contract's, and what is wrong is named before it is sent."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from blaxel_jobs import CreateJobExecutionRequest, InvalidRequest, RetryPolicy
from blaxel_jobs.words import OnConflict
from tests.sdk.fakes import Echo, created_view
from tests.sdk.platform import Platform

AT = datetime(2026, 1, 31, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    ("options", "sent"),
    [
        ({"delay": 1.5}, {"delayMs": 1500}),
        ({"delay": 0}, {"delayMs": 0}),
        ({"timeout": 0.0001}, {"timeoutMs": 1}),
        ({"timeout": 0.1 + 0.2}, {"timeoutMs": 300}),
        ({"max_retries": 3, "retry_delay": 60}, {"maxRetries": 3, "retryDelayMs": 60_000}),
        (
            {"retry_policy": RetryPolicy(initial=0.5, max=60)},
            {"retryPolicy": {"initialMs": 500, "factor": 2.0, "maxMs": 60_000, "jitter": "full"}},
        ),
        ({"retry_policy": {"initial": 2, "jitter": "none"}}, {"retryPolicy": {"initialMs": 2000, "jitter": "none"}}),
        ({"run_at": AT}, {"runAt": "2026-01-31T08:00:00+00:00"}),
        ({"run_at": AT.replace(tzinfo=None)}, {"runAt": "2026-01-31T08:00:00+00:00"}),
        ({"run_at": AT.astimezone(timezone(timedelta(hours=2)))}, {"runAt": "2026-01-31T10:00:00+02:00"}),
        ({"run_at": "2026-01-31T08:00:00Z"}, {"runAt": "2026-01-31T08:00:00+00:00"}),
        ({"run_at": "2026-01-31T08:00"}, {"runAt": "2026-01-31T08:00:00+00:00"}),
        (
            {"auto_start": False, "fail_fast": True, "allow_queue": False},
            {"autoStart": False, "failFast": True, "allowQueue": False},
        ),
        ({"concurrency_key": "u", "on_conflict": OnConflict.REJECT}, {"concurrencyKey": "u", "onConflict": "reject"}),
        ({"delay": None, "run_at": None, "retry_policy": None, "timeout": None}, {}),
    ],
)
def test_options_are_sent_in_the_contracts_units(options: dict[str, Any], sent: dict[str, Any]):
    echo = Echo(created_view())
    echo.job().trigger(1, **options)
    assert echo.body == {"input": 1, **sent}


@pytest.mark.parametrize(
    ("options", "path"),
    [
        ({"delay": -1}, "delay"),
        ({"delay": "1"}, "delay"),
        ({"delay": True}, "delay"),
        ({"timeout": float("nan")}, "timeout"),
        ({"timeout": float("inf")}, "timeout"),
        ({"retry_delay": timedelta(seconds=1)}, "retry_delay"),
        ({"run_at": "soon"}, "run_at"),
        ({"run_at": 5}, "run_at"),
        ({"retry_policy": {"initialMs": 5}}, "retry_policy.initialMs"),
        ({"retry_policy": {"initial": -1}}, "retry_policy.initial"),
        ({"retry_policy": 5}, "retry_policy"),
    ],
)
def test_what_is_no_duration_and_no_time_is_named_and_not_sent(options: dict[str, Any], path: str):
    echo = Echo(created_view())
    with pytest.raises(InvalidRequest) as caught:
        echo.job().trigger(1, **options)
    assert caught.value.path == path
    assert not echo.requests


def test_a_request_has_the_contracts_names_and_units():
    echo = Echo(created_view())
    job = echo.job()
    job.create_execution({"tasks": [{}], "delayMs": 5, "runAt": "2026-01-31T08:00:00Z", "retryPolicy": {"initialMs": 5}})
    assert echo.body == {
        "tasks": [{}], "delayMs": 5, "runAt": "2026-01-31T08:00:00+00:00", "retryPolicy": {"initialMs": 5},
    }  # fmt: skip
    job.create_execution(CreateJobExecutionRequest(tasks=[{}], run_at=AT.replace(tzinfo=None), timeout_ms=7), timeout=1)
    assert echo.body == {"tasks": [{}], "runAt": "2026-01-31T08:00:00+00:00", "timeoutMs": 1000}
    for wrong in ({"runAt": "soon"}, {"retryPolicy": 5}):
        with pytest.raises(InvalidRequest) as caught:
            job.create_execution({"tasks": [{}], **wrong})
        assert caught.value.path == next(iter(wrong))
    with pytest.raises(TypeError, match="no option 'colour'"):
        job.trigger(1, colour="red")  # type: ignore[call-arg]


@pytest.mark.parametrize(
    "options",
    [
        {"delay": 1}, {"run_at": AT}, {"auto_start": False}, {"max_retries": 1}, {"retry_delay": 1}, {"retry_policy": {}},
        {"timeout": 1}, {"fail_fast": True}, {"concurrency_key": "k"}, {"on_conflict": "reject"},
    ],
)  # fmt: skip
def test_the_platform_is_asked_for_nothing_that_it_does_not_know(options: dict[str, Any]):
    platform = Platform()
    job = platform.job()
    job.run([{"a": 1}])
    with pytest.raises(InvalidRequest, match="the Blaxel platform knows no") as caught:
        job.create_execution({"tasks": [{}]}, **options)
    assert caught.value.path == next(iter(options))
    assert len(platform.executions) == 1
    doubtful = platform.job(base_url="https://api.blaxel.ai/v0", api_key="k")
    with pytest.raises(InvalidRequest, match="the Blaxel platform knows no"):
        doubtful.create_execution({"tasks": [{}]}, **options)
    assert len(platform.executions) == 1
