from http import HTTPStatus
from typing import Any

import httpx

from ...client import AuthenticatedClient, Client
from ...models.claim_leases_output import ClaimLeasesOutput
from ...models.claim_leases_request import ClaimLeasesRequest
from ...models.problem import Problem
from ...types import Response


def _get_kwargs(
    *,
    body: ClaimLeasesRequest,
) -> dict[str, Any]:
    headers: dict[str, Any] = {}

    _kwargs: dict[str, Any] = {
        "method": "post",
        "url": "/leases/claim",
    }

    _kwargs["json"] = body.to_dict()

    headers["Content-Type"] = "application/json"

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(*, client: AuthenticatedClient | Client, response: httpx.Response) -> ClaimLeasesOutput | Problem:
    if response.status_code == 200:
        response_200 = ClaimLeasesOutput.from_dict(response.json())

        return response_200

    response_default = Problem.from_dict(response.json())

    return response_default


def _build_response(*, client: AuthenticatedClient | Client, response: httpx.Response) -> Response[ClaimLeasesOutput | Problem]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(client=client, response=response),
    )


def sync_detailed(
    *,
    client: AuthenticatedClient | Client,
    body: ClaimLeasesRequest,
) -> Response[ClaimLeasesOutput | Problem]:
    """Take tasks to run

     The most urgent tasks of these jobs, each under a lease that lasts `leaseMs` unless it is extended.
    `waitMs` makes it a long
    poll: the answer comes when there is a task, or after that time with none. With `executionId` only
    the tasks of that
    execution are taken.

    Args:
        body (ClaimLeasesRequest):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[ClaimLeasesOutput | Problem]
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
    body: ClaimLeasesRequest,
) -> ClaimLeasesOutput | Problem | None:
    """Take tasks to run

     The most urgent tasks of these jobs, each under a lease that lasts `leaseMs` unless it is extended.
    `waitMs` makes it a long
    poll: the answer comes when there is a task, or after that time with none. With `executionId` only
    the tasks of that
    execution are taken.

    Args:
        body (ClaimLeasesRequest):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        ClaimLeasesOutput | Problem
    """

    return sync_detailed(
        client=client,
        body=body,
    ).parsed


async def asyncio_detailed(
    *,
    client: AuthenticatedClient | Client,
    body: ClaimLeasesRequest,
) -> Response[ClaimLeasesOutput | Problem]:
    """Take tasks to run

     The most urgent tasks of these jobs, each under a lease that lasts `leaseMs` unless it is extended.
    `waitMs` makes it a long
    poll: the answer comes when there is a task, or after that time with none. With `executionId` only
    the tasks of that
    execution are taken.

    Args:
        body (ClaimLeasesRequest):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[ClaimLeasesOutput | Problem]
    """

    kwargs = _get_kwargs(
        body=body,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    *,
    client: AuthenticatedClient | Client,
    body: ClaimLeasesRequest,
) -> ClaimLeasesOutput | Problem | None:
    """Take tasks to run

     The most urgent tasks of these jobs, each under a lease that lasts `leaseMs` unless it is extended.
    `waitMs` makes it a long
    poll: the answer comes when there is a task, or after that time with none. With `executionId` only
    the tasks of that
    execution are taken.

    Args:
        body (ClaimLeasesRequest):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        ClaimLeasesOutput | Problem
    """

    return (
        await asyncio_detailed(
            client=client,
            body=body,
        )
    ).parsed
