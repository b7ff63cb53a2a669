from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import httpx

from ...client import AuthenticatedClient, Client
from ...models.problem import Problem
from ...models.send_execution_event_output import SendExecutionEventOutput
from ...models.send_execution_event_request import SendExecutionEventRequest
from ...types import UNSET, Response, Unset


def _get_kwargs(
    execution_id: str,
    *,
    body: SendExecutionEventRequest,
    job: str | Unset = UNSET,
) -> dict[str, Any]:
    headers: dict[str, Any] = {}

    params: dict[str, Any] = {}

    params["job"] = job

    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}

    _kwargs: dict[str, Any] = {
        "method": "post",
        "url": "/executions/{execution_id}/events".format(
            execution_id=quote(str(execution_id), safe=""),
        ),
        "params": params,
    }

    _kwargs["json"] = body.to_dict()

    headers["Content-Type"] = "application/json"

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(*, client: AuthenticatedClient | Client, response: httpx.Response) -> Problem | SendExecutionEventOutput:
    if response.status_code == 200:
        response_200 = SendExecutionEventOutput.from_dict(response.json())

        return response_200

    response_default = Problem.from_dict(response.json())

    return response_default


def _build_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> Response[Problem | SendExecutionEventOutput]:
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
    body: SendExecutionEventRequest,
    job: str | Unset = UNSET,
) -> Response[Problem | SendExecutionEventOutput]:
    """Send an event to an execution

     The first wait for this name takes it, also one that comes later. The same `id` again is answered
    `existing` and changes
    nothing. 409 once the execution has ended.

    Args:
        execution_id (str):
        job (str | Unset):
        body (SendExecutionEventRequest):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[Problem | SendExecutionEventOutput]
    """

    kwargs = _get_kwargs(
        execution_id=execution_id,
        body=body,
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
    body: SendExecutionEventRequest,
    job: str | Unset = UNSET,
) -> Problem | SendExecutionEventOutput | None:
    """Send an event to an execution

     The first wait for this name takes it, also one that comes later. The same `id` again is answered
    `existing` and changes
    nothing. 409 once the execution has ended.

    Args:
        execution_id (str):
        job (str | Unset):
        body (SendExecutionEventRequest):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Problem | SendExecutionEventOutput
    """

    return sync_detailed(
        execution_id=execution_id,
        client=client,
        body=body,
        job=job,
    ).parsed


async def asyncio_detailed(
    execution_id: str,
    *,
    client: AuthenticatedClient | Client,
    body: SendExecutionEventRequest,
    job: str | Unset = UNSET,
) -> Response[Problem | SendExecutionEventOutput]:
    """Send an event to an execution

     The first wait for this name takes it, also one that comes later. The same `id` again is answered
    `existing` and changes
    nothing. 409 once the execution has ended.

    Args:
        execution_id (str):
        job (str | Unset):
        body (SendExecutionEventRequest):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[Problem | SendExecutionEventOutput]
    """

    kwargs = _get_kwargs(
        execution_id=execution_id,
        body=body,
        job=job,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    execution_id: str,
    *,
    client: AuthenticatedClient | Client,
    body: SendExecutionEventRequest,
    job: str | Unset = UNSET,
) -> Problem | SendExecutionEventOutput | None:
    """Send an event to an execution

     The first wait for this name takes it, also one that comes later. The same `id` again is answered
    `existing` and changes
    nothing. 409 once the execution has ended.

    Args:
        execution_id (str):
        job (str | Unset):
        body (SendExecutionEventRequest):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Problem | SendExecutionEventOutput
    """

    return (
        await asyncio_detailed(
            execution_id=execution_id,
            client=client,
            body=body,
            job=job,
        )
    ).parsed
