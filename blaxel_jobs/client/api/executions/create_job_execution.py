from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import httpx

from ...client import AuthenticatedClient, Client
from ...models.create_job_execution_output import CreateJobExecutionOutput
from ...models.create_job_execution_request import CreateJobExecutionRequest
from ...models.problem import Problem
from ...types import UNSET, Response, Unset


def _get_kwargs(
    job: str,
    *,
    body: CreateJobExecutionRequest,
    idempotency_key: str | Unset = UNSET,
) -> dict[str, Any]:
    headers: dict[str, Any] = {}
    if not isinstance(idempotency_key, Unset):
        headers["Idempotency-Key"] = idempotency_key

    _kwargs: dict[str, Any] = {
        "method": "post",
        "url": "/jobs/{job}/executions".format(
            job=quote(str(job), safe=""),
        ),
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
    job: str,
    *,
    client: AuthenticatedClient | Client,
    body: CreateJobExecutionRequest,
    idempotency_key: str | Unset = UNSET,
) -> Response[CreateJobExecutionOutput | Problem]:
    """Create an execution

     Answered once the execution is committed. Send `input` (any JSON value: one task) or `tasks` (one
    task for each item, run
    in parallel): exactly one of them. An idempotency key or `executionId` that was seen before answers
    the existing execution
    (`disposition: existing`) when the body is the same, and 409 when it is another. An `executionId`
    that exists decides,
    whatever the key; a key that was seen before with another `executionId` is 409.

    What the create does not say is taken from the job's definition, and stays as it is then.

    Args:
        job (str):
        idempotency_key (str | Unset):
        body (CreateJobExecutionRequest):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[CreateJobExecutionOutput | Problem]
    """

    kwargs = _get_kwargs(
        job=job,
        body=body,
        idempotency_key=idempotency_key,
    )

    response = client.get_httpx_client().request(
        **kwargs,
    )

    return _build_response(client=client, response=response)


def sync(
    job: str,
    *,
    client: AuthenticatedClient | Client,
    body: CreateJobExecutionRequest,
    idempotency_key: str | Unset = UNSET,
) -> CreateJobExecutionOutput | Problem | None:
    """Create an execution

     Answered once the execution is committed. Send `input` (any JSON value: one task) or `tasks` (one
    task for each item, run
    in parallel): exactly one of them. An idempotency key or `executionId` that was seen before answers
    the existing execution
    (`disposition: existing`) when the body is the same, and 409 when it is another. An `executionId`
    that exists decides,
    whatever the key; a key that was seen before with another `executionId` is 409.

    What the create does not say is taken from the job's definition, and stays as it is then.

    Args:
        job (str):
        idempotency_key (str | Unset):
        body (CreateJobExecutionRequest):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        CreateJobExecutionOutput | Problem
    """

    return sync_detailed(
        job=job,
        client=client,
        body=body,
        idempotency_key=idempotency_key,
    ).parsed


async def asyncio_detailed(
    job: str,
    *,
    client: AuthenticatedClient | Client,
    body: CreateJobExecutionRequest,
    idempotency_key: str | Unset = UNSET,
) -> Response[CreateJobExecutionOutput | Problem]:
    """Create an execution

     Answered once the execution is committed. Send `input` (any JSON value: one task) or `tasks` (one
    task for each item, run
    in parallel): exactly one of them. An idempotency key or `executionId` that was seen before answers
    the existing execution
    (`disposition: existing`) when the body is the same, and 409 when it is another. An `executionId`
    that exists decides,
    whatever the key; a key that was seen before with another `executionId` is 409.

    What the create does not say is taken from the job's definition, and stays as it is then.

    Args:
        job (str):
        idempotency_key (str | Unset):
        body (CreateJobExecutionRequest):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[CreateJobExecutionOutput | Problem]
    """

    kwargs = _get_kwargs(
        job=job,
        body=body,
        idempotency_key=idempotency_key,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    job: str,
    *,
    client: AuthenticatedClient | Client,
    body: CreateJobExecutionRequest,
    idempotency_key: str | Unset = UNSET,
) -> CreateJobExecutionOutput | Problem | None:
    """Create an execution

     Answered once the execution is committed. Send `input` (any JSON value: one task) or `tasks` (one
    task for each item, run
    in parallel): exactly one of them. An idempotency key or `executionId` that was seen before answers
    the existing execution
    (`disposition: existing`) when the body is the same, and 409 when it is another. An `executionId`
    that exists decides,
    whatever the key; a key that was seen before with another `executionId` is 409.

    What the create does not say is taken from the job's definition, and stays as it is then.

    Args:
        job (str):
        idempotency_key (str | Unset):
        body (CreateJobExecutionRequest):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        CreateJobExecutionOutput | Problem
    """

    return (
        await asyncio_detailed(
            job=job,
            client=client,
            body=body,
            idempotency_key=idempotency_key,
        )
    ).parsed
