from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import httpx

from ...client import AuthenticatedClient, Client
from ...models.job_execution import JobExecution
from ...models.problem import Problem
from ...types import Response


def _get_kwargs(
    job: str,
    execution_id: str,
) -> dict[str, Any]:

    _kwargs: dict[str, Any] = {
        "method": "delete",
        "url": "/jobs/{job}/executions/{execution_id}".format(
            job=quote(str(job), safe=""),
            execution_id=quote(str(execution_id), safe=""),
        ),
    }

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
) -> Response[JobExecution | Problem]:
    """Cancel an execution

     Final: no task of it starts any more, and what a running one still reports is refused. Cancelling a
    cancelled execution
    answers 200 and changes nothing; a completed or failed one answers 409.

    Args:
        job (str):
        execution_id (str):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[JobExecution | Problem]
    """

    kwargs = _get_kwargs(
        job=job,
        execution_id=execution_id,
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
) -> JobExecution | Problem | None:
    """Cancel an execution

     Final: no task of it starts any more, and what a running one still reports is refused. Cancelling a
    cancelled execution
    answers 200 and changes nothing; a completed or failed one answers 409.

    Args:
        job (str):
        execution_id (str):

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
    ).parsed


async def asyncio_detailed(
    job: str,
    execution_id: str,
    *,
    client: AuthenticatedClient | Client,
) -> Response[JobExecution | Problem]:
    """Cancel an execution

     Final: no task of it starts any more, and what a running one still reports is refused. Cancelling a
    cancelled execution
    answers 200 and changes nothing; a completed or failed one answers 409.

    Args:
        job (str):
        execution_id (str):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[JobExecution | Problem]
    """

    kwargs = _get_kwargs(
        job=job,
        execution_id=execution_id,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    job: str,
    execution_id: str,
    *,
    client: AuthenticatedClient | Client,
) -> JobExecution | Problem | None:
    """Cancel an execution

     Final: no task of it starts any more, and what a running one still reports is refused. Cancelling a
    cancelled execution
    answers 200 and changes nothing; a completed or failed one answers 409.

    Args:
        job (str):
        execution_id (str):

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
        )
    ).parsed
