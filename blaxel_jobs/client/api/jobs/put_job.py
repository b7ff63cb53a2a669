from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import httpx

from ...client import AuthenticatedClient, Client
from ...models.job import Job
from ...models.job_definition import JobDefinition
from ...models.problem import Problem
from ...types import Response


def _get_kwargs(
    job: str,
    *,
    body: JobDefinition,
) -> dict[str, Any]:
    headers: dict[str, Any] = {}

    _kwargs: dict[str, Any] = {
        "method": "put",
        "url": "/jobs/{job}".format(
            job=quote(str(job), safe=""),
        ),
    }

    _kwargs["json"] = body.to_dict()

    headers["Content-Type"] = "application/json"

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(*, client: AuthenticatedClient | Client, response: httpx.Response) -> Job | Problem:
    if response.status_code == 200:
        response_200 = Job.from_dict(response.json())

        return response_200

    response_default = Problem.from_dict(response.json())

    return response_default


def _build_response(*, client: AuthenticatedClient | Client, response: httpx.Response) -> Response[Job | Problem]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(client=client, response=response),
    )


def sync_detailed(
    job: str,
    *,
    client: AuthenticatedClient | Client,
    body: JobDefinition,
) -> Response[Job | Problem]:
    """Define a job

     Workers do this when they start. The last one wins. What it says holds for executions that are
    created from then on, and for
    those before it that were created while the job had no definition; the limits hold at once.

    Args:
        job (str):
        body (JobDefinition): What a worker knows of a job: the defaults of its executions, and
            its limits. The schemas are those of its inputs and
            results (JSON Schema), for people and tools; the server does not validate against them.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[Job | Problem]
    """

    kwargs = _get_kwargs(
        job=job,
        body=body,
    )

    response = client.get_httpx_client().request(
        **kwargs,
    )

    return _build_response(client=client, response=response)


def sync(
    job: str,
    *,
    client: AuthenticatedClient | Client,
    body: JobDefinition,
) -> Job | Problem | None:
    """Define a job

     Workers do this when they start. The last one wins. What it says holds for executions that are
    created from then on, and for
    those before it that were created while the job had no definition; the limits hold at once.

    Args:
        job (str):
        body (JobDefinition): What a worker knows of a job: the defaults of its executions, and
            its limits. The schemas are those of its inputs and
            results (JSON Schema), for people and tools; the server does not validate against them.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Job | Problem
    """

    return sync_detailed(
        job=job,
        client=client,
        body=body,
    ).parsed


async def asyncio_detailed(
    job: str,
    *,
    client: AuthenticatedClient | Client,
    body: JobDefinition,
) -> Response[Job | Problem]:
    """Define a job

     Workers do this when they start. The last one wins. What it says holds for executions that are
    created from then on, and for
    those before it that were created while the job had no definition; the limits hold at once.

    Args:
        job (str):
        body (JobDefinition): What a worker knows of a job: the defaults of its executions, and
            its limits. The schemas are those of its inputs and
            results (JSON Schema), for people and tools; the server does not validate against them.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[Job | Problem]
    """

    kwargs = _get_kwargs(
        job=job,
        body=body,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    job: str,
    *,
    client: AuthenticatedClient | Client,
    body: JobDefinition,
) -> Job | Problem | None:
    """Define a job

     Workers do this when they start. The last one wins. What it says holds for executions that are
    created from then on, and for
    those before it that were created while the job had no definition; the limits hold at once.

    Args:
        job (str):
        body (JobDefinition): What a worker knows of a job: the defaults of its executions, and
            its limits. The schemas are those of its inputs and
            results (JSON Schema), for people and tools; the server does not validate against them.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Job | Problem
    """

    return (
        await asyncio_detailed(
            job=job,
            client=client,
            body=body,
        )
    ).parsed
