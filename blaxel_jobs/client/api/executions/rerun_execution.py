from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import httpx

from ...client import AuthenticatedClient, Client
from ...models.create_job_execution_output import CreateJobExecutionOutput
from ...models.problem import Problem
from ...models.rerun_execution_request import RerunExecutionRequest
from ...types import UNSET, Response, Unset


def _get_kwargs(
    execution_id: str,
    *,
    body: RerunExecutionRequest,
    job: str | Unset = UNSET,
    idempotency_key: str | Unset = UNSET,
) -> dict[str, Any]:
    headers: dict[str, Any] = {}
    if not isinstance(idempotency_key, Unset):
        headers["Idempotency-Key"] = idempotency_key

    params: dict[str, Any] = {}

    params["job"] = job

    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}

    _kwargs: dict[str, Any] = {
        "method": "post",
        "url": "/executions/{execution_id}/rerun".format(
            execution_id=quote(str(execution_id), safe=""),
        ),
        "params": params,
    }

    _kwargs["json"] = body.to_dict()

    headers["Content-Type"] = "application/json"

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(*, client: AuthenticatedClient | Client, response: httpx.Response) -> CreateJobExecutionOutput | Problem:
    if response.status_code == 200:
        response_200 = CreateJobExecutionOutput.from_dict(response.json())

        return response_200

    response_default = Problem.from_dict(response.json())

    return response_default


def _build_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> Response[CreateJobExecutionOutput | Problem]:
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
    body: RerunExecutionRequest,
    job: str | Unset = UNSET,
    idempotency_key: str | Unset = UNSET,
) -> Response[CreateJobExecutionOutput | Problem]:
    """Create a new execution of the same work

     With the inputs and the options of this one, whatever its status, but for its id, its idempotency
    key, its times, and what
    the body says.

    Args:
        execution_id (str):
        job (str | Unset):
        idempotency_key (str | Unset):
        body (RerunExecutionRequest): The options of the new execution that are to be others than
            those of the old one.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[CreateJobExecutionOutput | Problem]
    """

    kwargs = _get_kwargs(
        execution_id=execution_id,
        body=body,
        job=job,
        idempotency_key=idempotency_key,
    )

    response = client.get_httpx_client().request(
        **kwargs,
    )

    return _build_response(client=client, response=response)


def sync(
    execution_id: str,
    *,
    client: AuthenticatedClient | Client,
    body: RerunExecutionRequest,
    job: str | Unset = UNSET,
    idempotency_key: str | Unset = UNSET,
) -> CreateJobExecutionOutput | Problem | None:
    """Create a new execution of the same work

     With the inputs and the options of this one, whatever its status, but for its id, its idempotency
    key, its times, and what
    the body says.

    Args:
        execution_id (str):
        job (str | Unset):
        idempotency_key (str | Unset):
        body (RerunExecutionRequest): The options of the new execution that are to be others than
            those of the old one.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        CreateJobExecutionOutput | Problem
    """

    return sync_detailed(
        execution_id=execution_id,
        client=client,
        body=body,
        job=job,
        idempotency_key=idempotency_key,
    ).parsed


async def asyncio_detailed(
    execution_id: str,
    *,
    client: AuthenticatedClient | Client,
    body: RerunExecutionRequest,
    job: str | Unset = UNSET,
    idempotency_key: str | Unset = UNSET,
) -> Response[CreateJobExecutionOutput | Problem]:
    """Create a new execution of the same work

     With the inputs and the options of this one, whatever its status, but for its id, its idempotency
    key, its times, and what
    the body says.

    Args:
        execution_id (str):
        job (str | Unset):
        idempotency_key (str | Unset):
        body (RerunExecutionRequest): The options of the new execution that are to be others than
            those of the old one.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[CreateJobExecutionOutput | Problem]
    """

    kwargs = _get_kwargs(
        execution_id=execution_id,
        body=body,
        job=job,
        idempotency_key=idempotency_key,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    execution_id: str,
    *,
    client: AuthenticatedClient | Client,
    body: RerunExecutionRequest,
    job: str | Unset = UNSET,
    idempotency_key: str | Unset = UNSET,
) -> CreateJobExecutionOutput | Problem | None:
    """Create a new execution of the same work

     With the inputs and the options of this one, whatever its status, but for its id, its idempotency
    key, its times, and what
    the body says.

    Args:
        execution_id (str):
        job (str | Unset):
        idempotency_key (str | Unset):
        body (RerunExecutionRequest): The options of the new execution that are to be others than
            those of the old one.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        CreateJobExecutionOutput | Problem
    """

    return (
        await asyncio_detailed(
            execution_id=execution_id,
            client=client,
            body=body,
            job=job,
            idempotency_key=idempotency_key,
        )
    ).parsed
