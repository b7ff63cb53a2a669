from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import httpx

from ...client import AuthenticatedClient, Client
from ...models.execution_step_list import ExecutionStepList
from ...models.problem import Problem
from ...types import UNSET, Response, Unset


def _get_kwargs(
    execution_id: str,
    *,
    limit: int | Unset = UNSET,
    cursor: str | Unset = UNSET,
    job: str | Unset = UNSET,
) -> dict[str, Any]:

    params: dict[str, Any] = {}

    params["limit"] = limit

    params["cursor"] = cursor

    params["job"] = job

    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/executions/{execution_id}/steps".format(
            execution_id=quote(str(execution_id), safe=""),
        ),
        "params": params,
    }

    return _kwargs


def _parse_response(*, client: AuthenticatedClient | Client, response: httpx.Response) -> ExecutionStepList | Problem:
    if response.status_code == 200:
        response_200 = ExecutionStepList.from_dict(response.json())

        return response_200

    response_default = Problem.from_dict(response.json())

    return response_default


def _build_response(*, client: AuthenticatedClient | Client, response: httpx.Response) -> Response[ExecutionStepList | Problem]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(client=client, response=response),
    )


def sync_detailed(
    execution_id: str,
    *,
    client: AuthenticatedClient | Client,
    limit: int | Unset = UNSET,
    cursor: str | Unset = UNSET,
    job: str | Unset = UNSET,
) -> Response[ExecutionStepList | Problem]:
    """List the steps that an execution has stored

     In the order in which they were stored, without their values.

    Args:
        execution_id (str):
        limit (int | Unset):
        cursor (str | Unset):
        job (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[ExecutionStepList | Problem]
    """

    kwargs = _get_kwargs(
        execution_id=execution_id,
        limit=limit,
        cursor=cursor,
        job=job,
    )

    response = client.get_httpx_client().request(
        **kwargs,
    )

    return _build_response(client=client, response=response)


def sync(
    execution_id: str,
    *,
    client: AuthenticatedClient | Client,
    limit: int | Unset = UNSET,
    cursor: str | Unset = UNSET,
    job: str | Unset = UNSET,
) -> ExecutionStepList | Problem | None:
    """List the steps that an execution has stored

     In the order in which they were stored, without their values.

    Args:
        execution_id (str):
        limit (int | Unset):
        cursor (str | Unset):
        job (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        ExecutionStepList | Problem
    """

    return sync_detailed(
        execution_id=execution_id,
        client=client,
        limit=limit,
        cursor=cursor,
        job=job,
    ).parsed


async def asyncio_detailed(
    execution_id: str,
    *,
    client: AuthenticatedClient | Client,
    limit: int | Unset = UNSET,
    cursor: str | Unset = UNSET,
    job: str | Unset = UNSET,
) -> Response[ExecutionStepList | Problem]:
    """List the steps that an execution has stored

     In the order in which they were stored, without their values.

    Args:
        execution_id (str):
        limit (int | Unset):
        cursor (str | Unset):
        job (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[ExecutionStepList | Problem]
    """

    kwargs = _get_kwargs(
        execution_id=execution_id,
        limit=limit,
        cursor=cursor,
        job=job,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    execution_id: str,
    *,
    client: AuthenticatedClient | Client,
    limit: int | Unset = UNSET,
    cursor: str | Unset = UNSET,
    job: str | Unset = UNSET,
) -> ExecutionStepList | Problem | None:
    """List the steps that an execution has stored

     In the order in which they were stored, without their values.

    Args:
        execution_id (str):
        limit (int | Unset):
        cursor (str | Unset):
        job (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        ExecutionStepList | Problem
    """

    return (
        await asyncio_detailed(
            execution_id=execution_id,
            client=client,
            limit=limit,
            cursor=cursor,
            job=job,
        )
    ).parsed
