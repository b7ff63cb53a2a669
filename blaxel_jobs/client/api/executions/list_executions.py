from http import HTTPStatus
from typing import Any

import httpx

from ...client import AuthenticatedClient, Client
from ...models.job_execution_list import JobExecutionList
from ...models.problem import Problem
from ...types import UNSET, Response, Unset


def _get_kwargs(
    *,
    job: str | Unset = UNSET,
    status: str | Unset = UNSET,
    batch: str | Unset = UNSET,
    limit: int | Unset = UNSET,
    cursor: str | Unset = UNSET,
    offset: int | Unset = UNSET,
) -> dict[str, Any]:

    params: dict[str, Any] = {}

    params["job"] = job

    params["status"] = status

    params["batch"] = batch

    params["limit"] = limit

    params["cursor"] = cursor

    params["offset"] = offset

    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/executions",
        "params": params,
    }

    return _kwargs


def _parse_response(*, client: AuthenticatedClient | Client, response: httpx.Response) -> JobExecutionList | Problem:
    if response.status_code == 200:
        response_200 = JobExecutionList.from_dict(response.json())

        return response_200

    response_default = Problem.from_dict(response.json())

    return response_default


def _build_response(*, client: AuthenticatedClient | Client, response: httpx.Response) -> Response[JobExecutionList | Problem]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(client=client, response=response),
    )


def sync_detailed(
    *,
    client: AuthenticatedClient | Client,
    job: str | Unset = UNSET,
    status: str | Unset = UNSET,
    batch: str | Unset = UNSET,
    limit: int | Unset = UNSET,
    cursor: str | Unset = UNSET,
    offset: int | Unset = UNSET,
) -> Response[JobExecutionList | Problem]:
    """List the executions of all jobs

     The newest first, in pages, as the list of one job. The filters are all to hold.

    Args:
        job (str | Unset):
        status (str | Unset):
        batch (str | Unset):
        limit (int | Unset):
        cursor (str | Unset):
        offset (int | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[JobExecutionList | Problem]
    """

    kwargs = _get_kwargs(
        job=job,
        status=status,
        batch=batch,
        limit=limit,
        cursor=cursor,
        offset=offset,
    )

    response = client.get_httpx_client().request(
        **kwargs,
    )

    return _build_response(client=client, response=response)


def sync(
    *,
    client: AuthenticatedClient | Client,
    job: str | Unset = UNSET,
    status: str | Unset = UNSET,
    batch: str | Unset = UNSET,
    limit: int | Unset = UNSET,
    cursor: str | Unset = UNSET,
    offset: int | Unset = UNSET,
) -> JobExecutionList | Problem | None:
    """List the executions of all jobs

     The newest first, in pages, as the list of one job. The filters are all to hold.

    Args:
        job (str | Unset):
        status (str | Unset):
        batch (str | Unset):
        limit (int | Unset):
        cursor (str | Unset):
        offset (int | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        JobExecutionList | Problem
    """

    return sync_detailed(
        client=client,
        job=job,
        status=status,
        batch=batch,
        limit=limit,
        cursor=cursor,
        offset=offset,
    ).parsed


async def asyncio_detailed(
    *,
    client: AuthenticatedClient | Client,
    job: str | Unset = UNSET,
    status: str | Unset = UNSET,
    batch: str | Unset = UNSET,
    limit: int | Unset = UNSET,
    cursor: str | Unset = UNSET,
    offset: int | Unset = UNSET,
) -> Response[JobExecutionList | Problem]:
    """List the executions of all jobs

     The newest first, in pages, as the list of one job. The filters are all to hold.

    Args:
        job (str | Unset):
        status (str | Unset):
        batch (str | Unset):
        limit (int | Unset):
        cursor (str | Unset):
        offset (int | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[JobExecutionList | Problem]
    """

    kwargs = _get_kwargs(
        job=job,
        status=status,
        batch=batch,
        limit=limit,
        cursor=cursor,
        offset=offset,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    *,
    client: AuthenticatedClient | Client,
    job: str | Unset = UNSET,
    status: str | Unset = UNSET,
    batch: str | Unset = UNSET,
    limit: int | Unset = UNSET,
    cursor: str | Unset = UNSET,
    offset: int | Unset = UNSET,
) -> JobExecutionList | Problem | None:
    """List the executions of all jobs

     The newest first, in pages, as the list of one job. The filters are all to hold.

    Args:
        job (str | Unset):
        status (str | Unset):
        batch (str | Unset):
        limit (int | Unset):
        cursor (str | Unset):
        offset (int | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        JobExecutionList | Problem
    """

    return (
        await asyncio_detailed(
            client=client,
            job=job,
            status=status,
            batch=batch,
            limit=limit,
            cursor=cursor,
            offset=offset,
        )
    ).parsed
