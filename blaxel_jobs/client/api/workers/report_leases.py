from http import HTTPStatus
from typing import Any

import httpx

from ...client import AuthenticatedClient, Client
from ...models.problem import Problem
from ...models.report_leases_output import ReportLeasesOutput
from ...models.report_leases_request import ReportLeasesRequest
from ...types import Response


def _get_kwargs(
    *,
    body: ReportLeasesRequest,
) -> dict[str, Any]:
    headers: dict[str, Any] = {}

    _kwargs: dict[str, Any] = {
        "method": "post",
        "url": "/leases/report",
    }

    _kwargs["json"] = body.to_dict()

    headers["Content-Type"] = "application/json"

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(*, client: AuthenticatedClient | Client, response: httpx.Response) -> Problem | ReportLeasesOutput:
    if response.status_code == 200:
        response_200 = ReportLeasesOutput.from_dict(response.json())

        return response_200

    response_default = Problem.from_dict(response.json())

    return response_default


def _build_response(*, client: AuthenticatedClient | Client, response: httpx.Response) -> Response[Problem | ReportLeasesOutput]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(client=client, response=response),
    )


def sync_detailed(
    *,
    client: AuthenticatedClient | Client,
    body: ReportLeasesRequest,
) -> Response[Problem | ReportLeasesOutput]:
    """Say what became of tasks

     Each report names its lease. One that is stale is answered `lease_lost`, and one with a result, or a
    step's value, of more
    than 1 MB `too_large`: they change nothing, and the others count all the same. Of long errors the
    first text is kept.
    Answered once all are committed. Sending a report again after its answer was lost does no harm: a
    `completed` or `failed`
    that was taken is answered as it was, as long as nobody else has leased the task since; any other
    one that ended its lease
    is then answered `lease_lost`.

    Args:
        body (ReportLeasesRequest):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[Problem | ReportLeasesOutput]
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
    body: ReportLeasesRequest,
) -> Problem | ReportLeasesOutput | None:
    """Say what became of tasks

     Each report names its lease. One that is stale is answered `lease_lost`, and one with a result, or a
    step's value, of more
    than 1 MB `too_large`: they change nothing, and the others count all the same. Of long errors the
    first text is kept.
    Answered once all are committed. Sending a report again after its answer was lost does no harm: a
    `completed` or `failed`
    that was taken is answered as it was, as long as nobody else has leased the task since; any other
    one that ended its lease
    is then answered `lease_lost`.

    Args:
        body (ReportLeasesRequest):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Problem | ReportLeasesOutput
    """

    return sync_detailed(
        client=client,
        body=body,
    ).parsed


async def asyncio_detailed(
    *,
    client: AuthenticatedClient | Client,
    body: ReportLeasesRequest,
) -> Response[Problem | ReportLeasesOutput]:
    """Say what became of tasks

     Each report names its lease. One that is stale is answered `lease_lost`, and one with a result, or a
    step's value, of more
    than 1 MB `too_large`: they change nothing, and the others count all the same. Of long errors the
    first text is kept.
    Answered once all are committed. Sending a report again after its answer was lost does no harm: a
    `completed` or `failed`
    that was taken is answered as it was, as long as nobody else has leased the task since; any other
    one that ended its lease
    is then answered `lease_lost`.

    Args:
        body (ReportLeasesRequest):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[Problem | ReportLeasesOutput]
    """

    kwargs = _get_kwargs(
        body=body,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    *,
    client: AuthenticatedClient | Client,
    body: ReportLeasesRequest,
) -> Problem | ReportLeasesOutput | None:
    """Say what became of tasks

     Each report names its lease. One that is stale is answered `lease_lost`, and one with a result, or a
    step's value, of more
    than 1 MB `too_large`: they change nothing, and the others count all the same. Of long errors the
    first text is kept.
    Answered once all are committed. Sending a report again after its answer was lost does no harm: a
    `completed` or `failed`
    that was taken is answered as it was, as long as nobody else has leased the task since; any other
    one that ended its lease
    is then answered `lease_lost`.

    Args:
        body (ReportLeasesRequest):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Problem | ReportLeasesOutput
    """

    return (
        await asyncio_detailed(
            client=client,
            body=body,
        )
    ).parsed
