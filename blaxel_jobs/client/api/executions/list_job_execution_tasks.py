from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import httpx

from ...client import AuthenticatedClient, Client
from ...models.job_execution_task_list import JobExecutionTaskList
from ...models.problem import Problem
from ...types import UNSET, Response, Unset


def _get_kwargs(
    job: str,
    execution_id: str,
    *,
    limit: int | Unset = UNSET,
    cursor: str | Unset = UNSET,
) -> dict[str, Any]:

    params: dict[str, Any] = {}

    params["limit"] = limit

    params["cursor"] = cursor

    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/jobs/{job}/executions/{execution_id}/tasks".format(
            job=quote(str(job), safe=""),
            execution_id=quote(str(execution_id), safe=""),
        ),
        "params": params,
    }

    return _kwargs


def _parse_response(*, client: AuthenticatedClient | Client, response: httpx.Response) -> JobExecutionTaskList | Problem:
    if response.status_code == 200:
        response_200 = JobExecutionTaskList.from_dict(response.json())

        return response_200

    response_default = Problem.from_dict(response.json())

    return response_default


def _build_response(*, client: AuthenticatedClient | Client, response: httpx.Response) -> Response[JobExecutionTaskList | Problem]:
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
    limit: int | Unset = UNSET,
    cursor: str | Unset = UNSET,
) -> Response[JobExecutionTaskList | Problem]:
    """List the tasks of an execution

     In the order they were given, with inputs, results and errors. A page ends early, but not without a
    task, where its inputs
    and results would be more than 8 MB: follow `meta.nextCursor`.

    Args:
        job (str):
        execution_id (str):
        limit (int | Unset):
        cursor (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[JobExecutionTaskList | Problem]
    """

    kwargs = _get_kwargs(
        job=job,
        execution_id=execution_id,
        limit=limit,
        cursor=cursor,
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
    limit: int | Unset = UNSET,
    cursor: str | Unset = UNSET,
) -> JobExecutionTaskList | Problem | None:
    """List the tasks of an execution

     In the order they were given, with inputs, results and errors. A page ends early, but not without a
    task, where its inputs
    and results would be more than 8 MB: follow `meta.nextCursor`.

    Args:
        job (str):
        execution_id (str):
        limit (int | Unset):
        cursor (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        JobExecutionTaskList | Problem
    """

    return sync_detailed(
        job=job,
        execution_id=execution_id,
        client=client,
        limit=limit,
        cursor=cursor,
    ).parsed


async def asyncio_detailed(
    job: str,
    execution_id: str,
    *,
    client: AuthenticatedClient | Client,
    limit: int | Unset = UNSET,
    cursor: str | Unset = UNSET,
) -> Response[JobExecutionTaskList | Problem]:
    """List the tasks of an execution

     In the order they were given, with inputs, results and errors. A page ends early, but not without a
    task, where its inputs
    and results would be more than 8 MB: follow `meta.nextCursor`.

    Args:
        job (str):
        execution_id (str):
        limit (int | Unset):
        cursor (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[JobExecutionTaskList | Problem]
    """

    kwargs = _get_kwargs(
        job=job,
        execution_id=execution_id,
        limit=limit,
        cursor=cursor,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    job: str,
    execution_id: str,
    *,
    client: AuthenticatedClient | Client,
    limit: int | Unset = UNSET,
    cursor: str | Unset = UNSET,
) -> JobExecutionTaskList | Problem | None:
    """List the tasks of an execution

     In the order they were given, with inputs, results and errors. A page ends early, but not without a
    task, where its inputs
    and results would be more than 8 MB: follow `meta.nextCursor`.

    Args:
        job (str):
        execution_id (str):
        limit (int | Unset):
        cursor (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        JobExecutionTaskList | Problem
    """

    return (
        await asyncio_detailed(
            job=job,
            execution_id=execution_id,
            client=client,
            limit=limit,
            cursor=cursor,
        )
    ).parsed
