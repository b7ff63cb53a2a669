from http import HTTPStatus
from typing import Any

import httpx

from ...client import AuthenticatedClient, Client
from ...models.problem import Problem
from ...models.runner_tasks import RunnerTasks
from ...types import UNSET, Response


def _get_kwargs(
    *,
    execution_id: str,
    workspace: str,
    secret: str,
) -> dict[str, Any]:

    params: dict[str, Any] = {}

    params["executionId"] = execution_id

    params["workspace"] = workspace

    params["secret"] = secret

    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/runner/tasks",
        "params": params,
    }

    return _kwargs


def _parse_response(*, client: AuthenticatedClient | Client, response: httpx.Response) -> Problem | RunnerTasks:
    if response.status_code == 200:
        response_200 = RunnerTasks.from_dict(response.json())

        return response_200

    response_default = Problem.from_dict(response.json())

    return response_default


def _build_response(*, client: AuthenticatedClient | Client, response: httpx.Response) -> Response[Problem | RunnerTasks]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(client=client, response=response),
    )


def sync_detailed(
    *,
    client: AuthenticatedClient | Client,
    execution_id: str,
    workspace: str,
    secret: str,
) -> Response[Problem | RunnerTasks]:
    """Get the inputs of an execution by its data URL

     The secret in the URL takes the place of a key. 403 for another one, 404 when the execution is no
    more. A refusal has
    `tasks: null`: published runners that do not look at the status then fail, and do not run with
    nothing.

    Args:
        execution_id (str):
        workspace (str):
        secret (str):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[Problem | RunnerTasks]
    """

    kwargs = _get_kwargs(
        execution_id=execution_id,
        workspace=workspace,
        secret=secret,
    )

    response = client.get_httpx_client().request(
        **kwargs,
    )

    return _build_response(client=client, response=response)


def sync(
    *,
    client: AuthenticatedClient | Client,
    execution_id: str,
    workspace: str,
    secret: str,
) -> Problem | RunnerTasks | None:
    """Get the inputs of an execution by its data URL

     The secret in the URL takes the place of a key. 403 for another one, 404 when the execution is no
    more. A refusal has
    `tasks: null`: published runners that do not look at the status then fail, and do not run with
    nothing.

    Args:
        execution_id (str):
        workspace (str):
        secret (str):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Problem | RunnerTasks
    """

    return sync_detailed(
        client=client,
        execution_id=execution_id,
        workspace=workspace,
        secret=secret,
    ).parsed


async def asyncio_detailed(
    *,
    client: AuthenticatedClient | Client,
    execution_id: str,
    workspace: str,
    secret: str,
) -> Response[Problem | RunnerTasks]:
    """Get the inputs of an execution by its data URL

     The secret in the URL takes the place of a key. 403 for another one, 404 when the execution is no
    more. A refusal has
    `tasks: null`: published runners that do not look at the status then fail, and do not run with
    nothing.

    Args:
        execution_id (str):
        workspace (str):
        secret (str):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[Problem | RunnerTasks]
    """

    kwargs = _get_kwargs(
        execution_id=execution_id,
        workspace=workspace,
        secret=secret,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    *,
    client: AuthenticatedClient | Client,
    execution_id: str,
    workspace: str,
    secret: str,
) -> Problem | RunnerTasks | None:
    """Get the inputs of an execution by its data URL

     The secret in the URL takes the place of a key. 403 for another one, 404 when the execution is no
    more. A refusal has
    `tasks: null`: published runners that do not look at the status then fail, and do not run with
    nothing.

    Args:
        execution_id (str):
        workspace (str):
        secret (str):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Problem | RunnerTasks
    """

    return (
        await asyncio_detailed(
            client=client,
            execution_id=execution_id,
            workspace=workspace,
            secret=secret,
        )
    ).parsed
