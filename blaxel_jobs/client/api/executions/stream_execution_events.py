from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import httpx

from ...client import AuthenticatedClient, Client
from ...models.problem import Problem
from ...types import UNSET, Response, Unset


def _get_kwargs(
    execution_id: str,
    *,
    after: int | Unset = UNSET,
    job: str | Unset = UNSET,
    last_event_id: str | Unset = UNSET,
) -> dict[str, Any]:
    headers: dict[str, Any] = {}
    if not isinstance(last_event_id, Unset):
        headers["Last-Event-ID"] = last_event_id

    params: dict[str, Any] = {}

    params["after"] = after

    params["job"] = job

    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/executions/{execution_id}/events/stream".format(
            execution_id=quote(str(execution_id), safe=""),
        ),
        "params": params,
    }

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
    execution_id: str,
    *,
    client: AuthenticatedClient | Client,
    after: int | Unset = UNSET,
    job: str | Unset = UNSET,
    last_event_id: str | Unset = UNSET,
) -> Response[Problem | str]:
    """Follow what happens to an execution

     A stream of server-sent events. Each `update` event carries a JobExecutionEvent, with its id as the
    `id:`: first those that
    there are, then each as it is committed. An `end` event, with an empty object, closes the stream
    when the execution has
    ended. A comment comes at least every 15 seconds. A stream that breaks, or that the server ends
    without `end`, is opened
    again after the last id that was seen.

    Args:
        execution_id (str):
        after (int | Unset):
        job (str | Unset):
        last_event_id (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[Problem | str]
    """

    kwargs = _get_kwargs(
        execution_id=execution_id,
        after=after,
        job=job,
        last_event_id=last_event_id,
    )

    response = client.get_httpx_client().request(
        **kwargs,
    )

    return _build_response(client=client, response=response)


def sync(
    execution_id: str,
    *,
    client: AuthenticatedClient | Client,
    after: int | Unset = UNSET,
    job: str | Unset = UNSET,
    last_event_id: str | Unset = UNSET,
) -> Problem | str | None:
    """Follow what happens to an execution

     A stream of server-sent events. Each `update` event carries a JobExecutionEvent, with its id as the
    `id:`: first those that
    there are, then each as it is committed. An `end` event, with an empty object, closes the stream
    when the execution has
    ended. A comment comes at least every 15 seconds. A stream that breaks, or that the server ends
    without `end`, is opened
    again after the last id that was seen.

    Args:
        execution_id (str):
        after (int | Unset):
        job (str | Unset):
        last_event_id (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Problem | str
    """

    return sync_detailed(
        execution_id=execution_id,
        client=client,
        after=after,
        job=job,
        last_event_id=last_event_id,
    ).parsed


async def asyncio_detailed(
    execution_id: str,
    *,
    client: AuthenticatedClient | Client,
    after: int | Unset = UNSET,
    job: str | Unset = UNSET,
    last_event_id: str | Unset = UNSET,
) -> Response[Problem | str]:
    """Follow what happens to an execution

     A stream of server-sent events. Each `update` event carries a JobExecutionEvent, with its id as the
    `id:`: first those that
    there are, then each as it is committed. An `end` event, with an empty object, closes the stream
    when the execution has
    ended. A comment comes at least every 15 seconds. A stream that breaks, or that the server ends
    without `end`, is opened
    again after the last id that was seen.

    Args:
        execution_id (str):
        after (int | Unset):
        job (str | Unset):
        last_event_id (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[Problem | str]
    """

    kwargs = _get_kwargs(
        execution_id=execution_id,
        after=after,
        job=job,
        last_event_id=last_event_id,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    execution_id: str,
    *,
    client: AuthenticatedClient | Client,
    after: int | Unset = UNSET,
    job: str | Unset = UNSET,
    last_event_id: str | Unset = UNSET,
) -> Problem | str | None:
    """Follow what happens to an execution

     A stream of server-sent events. Each `update` event carries a JobExecutionEvent, with its id as the
    `id:`: first those that
    there are, then each as it is committed. An `end` event, with an empty object, closes the stream
    when the execution has
    ended. A comment comes at least every 15 seconds. A stream that breaks, or that the server ends
    without `end`, is opened
    again after the last id that was seen.

    Args:
        execution_id (str):
        after (int | Unset):
        job (str | Unset):
        last_event_id (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Problem | str
    """

    return (
        await asyncio_detailed(
            execution_id=execution_id,
            client=client,
            after=after,
            job=job,
            last_event_id=last_event_id,
        )
    ).parsed
