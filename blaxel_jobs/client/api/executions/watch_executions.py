from http import HTTPStatus
from typing import Any

import httpx

from ...client import AuthenticatedClient, Client
from ...models.execution_ids import ExecutionIds
from ...models.problem import Problem
from ...types import Response


def _get_kwargs(
    *,
    body: ExecutionIds,
) -> dict[str, Any]:
    headers: dict[str, Any] = {}

    _kwargs: dict[str, Any] = {
        "method": "post",
        "url": "/watch",
    }

    _kwargs["json"] = body.to_dict()

    headers["Content-Type"] = "application/json"

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(*, client: AuthenticatedClient | Client, response: httpx.Response) -> Problem | str:
    if response.status_code == 200:
        response_200 = response.text
        return response_200

    response_default = Problem.from_dict(response.json())

    return response_default


def _build_response(*, client: AuthenticatedClient | Client, response: httpx.Response) -> Response[Problem | str]:
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
) -> Response[Problem | str]:
    """Follow many executions until they have ended

     A stream of server-sent events. Each `update` event carries an ExecutionUpdate: first one for every
    id as it is, then one
    for each change. An `end` event, with an empty object, closes the stream once all are done. A
    comment comes at least every
    15 seconds. A stream that breaks, or that the server ends without `end`, is opened again with the
    ids that are left.

    Args:
        body (ExecutionIds):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[Problem | str]
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
) -> Problem | str | None:
    """Follow many executions until they have ended

     A stream of server-sent events. Each `update` event carries an ExecutionUpdate: first one for every
    id as it is, then one
    for each change. An `end` event, with an empty object, closes the stream once all are done. A
    comment comes at least every
    15 seconds. A stream that breaks, or that the server ends without `end`, is opened again with the
    ids that are left.

    Args:
        body (ExecutionIds):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Problem | str
    """

    return sync_detailed(
        client=client,
        body=body,
    ).parsed


async def asyncio_detailed(
    *,
    client: AuthenticatedClient | Client,
    body: ExecutionIds,
) -> Response[Problem | str]:
    """Follow many executions until they have ended

     A stream of server-sent events. Each `update` event carries an ExecutionUpdate: first one for every
    id as it is, then one
    for each change. An `end` event, with an empty object, closes the stream once all are done. A
    comment comes at least every
    15 seconds. A stream that breaks, or that the server ends without `end`, is opened again with the
    ids that are left.

    Args:
        body (ExecutionIds):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[Problem | str]
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
) -> Problem | str | None:
    """Follow many executions until they have ended

     A stream of server-sent events. Each `update` event carries an ExecutionUpdate: first one for every
    id as it is, then one
    for each change. An `end` event, with an empty object, closes the stream once all are done. A
    comment comes at least every
    15 seconds. A stream that breaks, or that the server ends without `end`, is opened again with the
    ids that are left.

    Args:
        body (ExecutionIds):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Problem | str
    """

    return (
        await asyncio_detailed(
            client=client,
            body=body,
        )
    ).parsed
