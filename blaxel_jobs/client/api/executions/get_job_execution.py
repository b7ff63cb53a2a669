from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import httpx

from ...client import AuthenticatedClient, Client
from ...models.job_execution import JobExecution
from ...models.problem import Problem
from ...types import UNSET, Response, Unset


def _get_kwargs(
    job: str,
    execution_id: str,
    *,
    prefer: str | Unset = UNSET,
) -> dict[str, Any]:
    headers: dict[str, Any] = {}
    if not isinstance(prefer, Unset):
        headers["Prefer"] = prefer

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/jobs/{job}/executions/{execution_id}".format(
            job=quote(str(job), safe=""),
            execution_id=quote(str(execution_id), safe=""),
        ),
    }

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(*, client: AuthenticatedClient | Client, response: httpx.Response) -> JobExecution | Problem:
    if response.status_code == 200:
        response_200 = JobExecution.from_dict(response.json())

        return response_200

    response_default = Problem.from_dict(response.json())

    return response_default


def _build_response(*, client: AuthenticatedClient | Client, response: httpx.Response) -> Response[JobExecution | Problem]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(client=client, response=response),
    )


def sync_detailed(
    job: str,
    execution_id: str,
    *,
    client: AuthenticatedClient | Client,
    prefer: str | Unset = UNSET,
) -> Response[JobExecution | Problem]:
    """Get an execution

     With its first 100 tasks, and with its results, as far as 8 MB of inputs and results go; the rest by
    the tasks route.
    `Prefer: wait=N` makes it a long poll: the answer comes when `done` is true, or after min(N, 30)
    seconds.

    Args:
        job (str):
        execution_id (str):
        prefer (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[JobExecution | Problem]
    """

    kwargs = _get_kwargs(
        job=job,
        execution_id=execution_id,
        prefer=prefer,
    )

    response = client.get_httpx_client().request(
        **kwargs,
    )

    return _build_response(client=client, response=response)


def sync(
    job: str,
    execution_id: str,
    *,
    client: AuthenticatedClient | Client,
    prefer: str | Unset = UNSET,
) -> JobExecution | Problem | None:
    """Get an execution

     With its first 100 tasks, and with its results, as far as 8 MB of inputs and results go; the rest by
    the tasks route.
    `Prefer: wait=N` makes it a long poll: the answer comes when `done` is true, or after min(N, 30)
    seconds.

    Args:
        job (str):
        execution_id (str):
        prefer (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        JobExecution | Problem
    """

    return sync_detailed(
        job=job,
        execution_id=execution_id,
        client=client,
        prefer=prefer,
    ).parsed


async def asyncio_detailed(
    job: str,
    execution_id: str,
    *,
    client: AuthenticatedClient | Client,
    prefer: str | Unset = UNSET,
) -> Response[JobExecution | Problem]:
    """Get an execution

     With its first 100 tasks, and with its results, as far as 8 MB of inputs and results go; the rest by
    the tasks route.
    `Prefer: wait=N` makes it a long poll: the answer comes when `done` is true, or after min(N, 30)
    seconds.

    Args:
        job (str):
        execution_id (str):
        prefer (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[JobExecution | Problem]
    """

    kwargs = _get_kwargs(
        job=job,
        execution_id=execution_id,
        prefer=prefer,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    job: str,
    execution_id: str,
    *,
    client: AuthenticatedClient | Client,
    prefer: str | Unset = UNSET,
) -> JobExecution | Problem | None:
    """Get an execution

     With its first 100 tasks, and with its results, as far as 8 MB of inputs and results go; the rest by
    the tasks route.
    `Prefer: wait=N` makes it a long poll: the answer comes when `done` is true, or after min(N, 30)
    seconds.

    Args:
        job (str):
        execution_id (str):
        prefer (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        JobExecution | Problem
    """

    return (
        await asyncio_detailed(
            job=job,
            execution_id=execution_id,
            client=client,
            prefer=prefer,
        )
    ).parsed
