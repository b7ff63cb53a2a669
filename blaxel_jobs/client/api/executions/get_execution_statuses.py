from http import HTTPStatus
from typing import Any

import httpx

from ...client import AuthenticatedClient, Client
from ...models.execution_ids import ExecutionIds
from ...models.execution_update_list import ExecutionUpdateList
from ...models.problem import Problem
from ...types import Response


def _get_kwargs(
    *,
    body: ExecutionIds,
) -> dict[str, Any]:
    headers: dict[str, Any] = {}

    _kwargs: dict[str, Any] = {
        "method": "post",
        "url": "/statuses",
    }

    _kwargs["json"] = body.to_dict()

    headers["Content-Type"] = "application/json"

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(*, client: AuthenticatedClient | Client, response: httpx.Response) -> ExecutionUpdateList | Problem:
    if response.status_code == 200:
        response_200 = ExecutionUpdateList.from_dict(response.json())

        return response_200

    response_default = Problem.from_dict(response.json())

    return response_default


def _build_response(*, client: AuthenticatedClient | Client, response: httpx.Response) -> Response[ExecutionUpdateList | Problem]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(client=client, response=response),
    )


def sync_detailed(
    *,
    client: AuthenticatedClient | Client,
    body: ExecutionIds,
) -> Response[ExecutionUpdateList | Problem]:
    """Get the status of many executions

     Of any jobs, in the order of the ids. An id that there is not has the status `unknown`, and is done.

    Args:
        body (ExecutionIds):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[ExecutionUpdateList | Problem]
    """

    kwargs = _get_kwargs(
        body=body,
    )

    response = client.get_httpx_client().request(
        **kwargs,
    )

    return _build_response(client=client, response=response)


def sync(
    *,
    client: AuthenticatedClient | Client,
    body: ExecutionIds,
) -> ExecutionUpdateList | Problem | None:
    """Get the status of many executions

     Of any jobs, in the order of the ids. An id that there is not has the status `unknown`, and is done.

    Args:
        body (ExecutionIds):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        ExecutionUpdateList | Problem
    """

    return sync_detailed(
        client=client,
        body=body,
    ).parsed


async def asyncio_detailed(
    *,
    client: AuthenticatedClient | Client,
    body: ExecutionIds,
) -> Response[ExecutionUpdateList | Problem]:
    """Get the status of many executions

     Of any jobs, in the order of the ids. An id that there is not has the status `unknown`, and is done.

    Args:
        body (ExecutionIds):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[ExecutionUpdateList | Problem]
    """

    kwargs = _get_kwargs(
        body=body,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    *,
    client: AuthenticatedClient | Client,
    body: ExecutionIds,
) -> ExecutionUpdateList | Problem | None:
    """Get the status of many executions

     Of any jobs, in the order of the ids. An id that there is not has the status `unknown`, and is done.

    Args:
        body (ExecutionIds):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        ExecutionUpdateList | Problem
    """

    return (
        await asyncio_detailed(
            client=client,
            body=body,
        )
    ).parsed
