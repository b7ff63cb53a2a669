from http import HTTPStatus
from typing import Any, cast
from urllib.parse import quote

import httpx

from ...client import AuthenticatedClient, Client
from ...models.delete_execution_request import DeleteExecutionRequest
from ...models.problem import Problem
from ...types import UNSET, Response, Unset


def _get_kwargs(
    execution_id: str,
    *,
    body: DeleteExecutionRequest,
    job: str | Unset = UNSET,
) -> dict[str, Any]:
    headers: dict[str, Any] = {}

    params: dict[str, Any] = {}

    params["job"] = job

    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}

    _kwargs: dict[str, Any] = {
        "method": "post",
        "url": "/executions/{execution_id}/delete".format(
            execution_id=quote(str(execution_id), safe=""),
        ),
        "params": params,
    }

    _kwargs["json"] = body.to_dict()

    headers["Content-Type"] = "application/json"

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(*, client: AuthenticatedClient | Client, response: httpx.Response) -> Any | Problem:
    if response.status_code == 204:
        response_204 = cast(Any, None)
        return response_204

    response_default = Problem.from_dict(response.json())

    return response_default


def _build_response(*, client: AuthenticatedClient | Client, response: httpx.Response) -> Response[Any | Problem]:
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
    body: DeleteExecutionRequest,
    job: str | Unset = UNSET,
) -> Response[Any | Problem]:
    """Delete an execution

     With its tasks, steps, events and artifacts. Its id and its key can be used again. 409 for one that
    has not ended, unless it
    is forced: then it is cancelled first.

    Args:
        execution_id (str):
        job (str | Unset):
        body (DeleteExecutionRequest):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[Any | Problem]
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
    body: DeleteExecutionRequest,
    job: str | Unset = UNSET,
) -> Any | Problem | None:
    """Delete an execution

     With its tasks, steps, events and artifacts. Its id and its key can be used again. 409 for one that
    has not ended, unless it
    is forced: then it is cancelled first.

    Args:
        execution_id (str):
        job (str | Unset):
        body (DeleteExecutionRequest):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Any | Problem
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
    body: DeleteExecutionRequest,
    job: str | Unset = UNSET,
) -> Response[Any | Problem]:
    """Delete an execution

     With its tasks, steps, events and artifacts. Its id and its key can be used again. 409 for one that
    has not ended, unless it
    is forced: then it is cancelled first.

    Args:
        execution_id (str):
        job (str | Unset):
        body (DeleteExecutionRequest):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[Any | Problem]
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
    body: DeleteExecutionRequest,
    job: str | Unset = UNSET,
) -> Any | Problem | None:
    """Delete an execution

     With its tasks, steps, events and artifacts. Its id and its key can be used again. 409 for one that
    has not ended, unless it
    is forced: then it is cancelled first.

    Args:
        execution_id (str):
        job (str | Unset):
        body (DeleteExecutionRequest):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Any | Problem
    """

    return (
        await asyncio_detailed(
            execution_id=execution_id,
            client=client,
            body=body,
            job=job,
        )
    ).parsed
