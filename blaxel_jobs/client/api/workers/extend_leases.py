from http import HTTPStatus
from typing import Any

import httpx

from ...client import AuthenticatedClient, Client
from ...models.extend_leases_output import ExtendLeasesOutput
from ...models.extend_leases_request import ExtendLeasesRequest
from ...models.problem import Problem
from ...types import Response


def _get_kwargs(
    *,
    body: ExtendLeasesRequest,
) -> dict[str, Any]:
    headers: dict[str, Any] = {}

    _kwargs: dict[str, Any] = {
        "method": "post",
        "url": "/leases/heartbeat",
    }

    _kwargs["json"] = body.to_dict()

    headers["Content-Type"] = "application/json"

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(*, client: AuthenticatedClient | Client, response: httpx.Response) -> ExtendLeasesOutput | Problem:
    if response.status_code == 200:
        response_200 = ExtendLeasesOutput.from_dict(response.json())

        return response_200

    response_default = Problem.from_dict(response.json())

    return response_default


def _build_response(*, client: AuthenticatedClient | Client, response: httpx.Response) -> Response[ExtendLeasesOutput | Problem]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(client=client, response=response),
    )


def sync_detailed(
    *,
    client: AuthenticatedClient | Client,
    body: ExtendLeasesRequest,
) -> Response[ExtendLeasesOutput | Problem]:
    """Hold leases for another while

     Each lease that is still the worker's lasts `leaseMs` from now. Those that are lost are named, and
    change nothing from then
    on; those whose task is to stop, because its execution is paused, are named too.

    Args:
        body (ExtendLeasesRequest):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[ExtendLeasesOutput | Problem]
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
    body: ExtendLeasesRequest,
) -> ExtendLeasesOutput | Problem | None:
    """Hold leases for another while

     Each lease that is still the worker's lasts `leaseMs` from now. Those that are lost are named, and
    change nothing from then
    on; those whose task is to stop, because its execution is paused, are named too.

    Args:
        body (ExtendLeasesRequest):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        ExtendLeasesOutput | Problem
    """

    return sync_detailed(
        client=client,
        body=body,
    ).parsed


async def asyncio_detailed(
    *,
    client: AuthenticatedClient | Client,
    body: ExtendLeasesRequest,
) -> Response[ExtendLeasesOutput | Problem]:
    """Hold leases for another while

     Each lease that is still the worker's lasts `leaseMs` from now. Those that are lost are named, and
    change nothing from then
    on; those whose task is to stop, because its execution is paused, are named too.

    Args:
        body (ExtendLeasesRequest):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[ExtendLeasesOutput | Problem]
    """

    kwargs = _get_kwargs(
        body=body,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    *,
    client: AuthenticatedClient | Client,
    body: ExtendLeasesRequest,
) -> ExtendLeasesOutput | Problem | None:
    """Hold leases for another while

     Each lease that is still the worker's lasts `leaseMs` from now. Those that are lost are named, and
    change nothing from then
    on; those whose task is to stop, because its execution is paused, are named too.

    Args:
        body (ExtendLeasesRequest):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        ExtendLeasesOutput | Problem
    """

    return (
        await asyncio_detailed(
            client=client,
            body=body,
        )
    ).parsed
