from http import HTTPStatus
from io import BytesIO
from typing import Any
from urllib.parse import quote

import httpx

from ...client import AuthenticatedClient, Client
from ...models.problem import Problem
from ...types import File, Response


def _get_kwargs(
    execution_id: str,
    artifact_id: str,
) -> dict[str, Any]:

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/executions/{execution_id}/artifacts/{artifact_id}".format(
            execution_id=quote(str(execution_id), safe=""),
            artifact_id=quote(str(artifact_id), safe=""),
        ),
    }

    return _kwargs


def _parse_response(*, client: AuthenticatedClient | Client, response: httpx.Response) -> File | Problem:
    if response.status_code == 200:
        response_200 = File(payload=BytesIO(response.content))

        return response_200

    response_default = Problem.from_dict(response.json())

    return response_default


def _build_response(*, client: AuthenticatedClient | Client, response: httpx.Response) -> Response[File | Problem]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(client=client, response=response),
    )


def sync_detailed(
    execution_id: str,
    artifact_id: str,
    *,
    client: AuthenticatedClient | Client,
) -> Response[File | Problem]:
    """Get data that was kept beside an execution

     Streamed. 404 for one that there is not. For workers, as they put it: who only reads executions is
    given what a handler
    returns, not what it keeps. The Content-Type is what it was put with, application/octet-stream
    unless that said another.

    Args:
        execution_id (str):
        artifact_id (str):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[File | Problem]
    """

    kwargs = _get_kwargs(
        execution_id=execution_id,
        artifact_id=artifact_id,
    )

    response = client.get_httpx_client().request(
        **kwargs,
    )

    return _build_response(client=client, response=response)


def sync(
    execution_id: str,
    artifact_id: str,
    *,
    client: AuthenticatedClient | Client,
) -> File | Problem | None:
    """Get data that was kept beside an execution

     Streamed. 404 for one that there is not. For workers, as they put it: who only reads executions is
    given what a handler
    returns, not what it keeps. The Content-Type is what it was put with, application/octet-stream
    unless that said another.

    Args:
        execution_id (str):
        artifact_id (str):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        File | Problem
    """

    return sync_detailed(
        execution_id=execution_id,
        artifact_id=artifact_id,
        client=client,
    ).parsed


async def asyncio_detailed(
    execution_id: str,
    artifact_id: str,
    *,
    client: AuthenticatedClient | Client,
) -> Response[File | Problem]:
    """Get data that was kept beside an execution

     Streamed. 404 for one that there is not. For workers, as they put it: who only reads executions is
    given what a handler
    returns, not what it keeps. The Content-Type is what it was put with, application/octet-stream
    unless that said another.

    Args:
        execution_id (str):
        artifact_id (str):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[File | Problem]
    """

    kwargs = _get_kwargs(
        execution_id=execution_id,
        artifact_id=artifact_id,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    execution_id: str,
    artifact_id: str,
    *,
    client: AuthenticatedClient | Client,
) -> File | Problem | None:
    """Get data that was kept beside an execution

     Streamed. 404 for one that there is not. For workers, as they put it: who only reads executions is
    given what a handler
    returns, not what it keeps. The Content-Type is what it was put with, application/octet-stream
    unless that said another.

    Args:
        execution_id (str):
        artifact_id (str):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        File | Problem
    """

    return (
        await asyncio_detailed(
            execution_id=execution_id,
            artifact_id=artifact_id,
            client=client,
        )
    ).parsed
