from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import httpx

from ...client import AuthenticatedClient, Client
from ...models.job_execution_status import JobExecutionStatus
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
        "url": "/jobs/{job}/executions/{execution_id}/status".format(
            job=quote(str(job), safe=""),
            execution_id=quote(str(execution_id), safe=""),
        ),
    }

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(*, client: AuthenticatedClient | Client, response: httpx.Response) -> JobExecutionStatus | Problem:
    if response.status_code == 200:
        response_200 = JobExecutionStatus.from_dict(response.json())

        return response_200

    response_default = Problem.from_dict(response.json())

    return response_default


def _build_response(*, client: AuthenticatedClient | Client, response: httpx.Response) -> Response[JobExecutionStatus | Problem]:
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
) -> Response[JobExecutionStatus | Problem]:
    """Get just the status of an execution

     Faster than the execution itself, whatever the number of its tasks. `Prefer` works as it does there.

    Args:
        job (str):
        execution_id (str):
        prefer (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[JobExecutionStatus | Problem]
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
) -> JobExecutionStatus | Problem | None:
    """Get just the status of an execution

     Faster than the execution itself, whatever the number of its tasks. `Prefer` works as it does there.

    Args:
        job (str):
        execution_id (str):
        prefer (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        JobExecutionStatus | Problem
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
) -> Response[JobExecutionStatus | Problem]:
    """Get just the status of an execution

     Faster than the execution itself, whatever the number of its tasks. `Prefer` works as it does there.

    Args:
        job (str):
        execution_id (str):
        prefer (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[JobExecutionStatus | Problem]
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
) -> JobExecutionStatus | Problem | None:
    """Get just the status of an execution

     Faster than the execution itself, whatever the number of its tasks. `Prefer` works as it does there.

    Args:
        job (str):
        execution_id (str):
        prefer (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        JobExecutionStatus | Problem
    """

    return (
        await asyncio_detailed(
            job=job,
            execution_id=execution_id,
            client=client,
            prefer=prefer,
        )
    ).parsed
