from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import httpx

from ...client import AuthenticatedClient, Client
from ...models.data_url import DataUrl
from ...models.problem import Problem
from ...types import UNSET, Response, Unset


def _get_kwargs(
    execution_id: str,
    *,
    job: str | Unset = UNSET,
) -> dict[str, Any]:

    params: dict[str, Any] = {}

    params["job"] = job

    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/executions/{execution_id}/data-url".format(
            execution_id=quote(str(execution_id), safe=""),
        ),
        "params": params,
    }

    return _kwargs


def _parse_response(*, client: AuthenticatedClient | Client, response: httpx.Response) -> DataUrl | Problem:
    if response.status_code == 200:
        response_200 = DataUrl.from_dict(response.json())

        return response_200

    response_default = Problem.from_dict(response.json())

    return response_default


def _build_response(*, client: AuthenticatedClient | Client, response: httpx.Response) -> Response[DataUrl | Problem]:
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
    job: str | Unset = UNSET,
) -> Response[DataUrl | Problem]:
    """Get a URL that answers an execution's inputs without a key

     For BL_EXECUTION_DATA_URL of a runner in a container. Whoever has the URL can read the inputs of
    this execution, and nothing
    else; it holds for as long as the execution is there and the server keeps its secret.

    Args:
        execution_id (str):
        job (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[DataUrl | Problem]
    """

    kwargs = _get_kwargs(
        execution_id=execution_id,
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
    job: str | Unset = UNSET,
) -> DataUrl | Problem | None:
    """Get a URL that answers an execution's inputs without a key

     For BL_EXECUTION_DATA_URL of a runner in a container. Whoever has the URL can read the inputs of
    this execution, and nothing
    else; it holds for as long as the execution is there and the server keeps its secret.

    Args:
        execution_id (str):
        job (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        DataUrl | Problem
    """

    return sync_detailed(
        execution_id=execution_id,
        client=client,
        job=job,
    ).parsed


async def asyncio_detailed(
    execution_id: str,
    *,
    client: AuthenticatedClient | Client,
    job: str | Unset = UNSET,
) -> Response[DataUrl | Problem]:
    """Get a URL that answers an execution's inputs without a key

     For BL_EXECUTION_DATA_URL of a runner in a container. Whoever has the URL can read the inputs of
    this execution, and nothing
    else; it holds for as long as the execution is there and the server keeps its secret.

    Args:
        execution_id (str):
        job (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[DataUrl | Problem]
    """

    kwargs = _get_kwargs(
        execution_id=execution_id,
        job=job,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    execution_id: str,
    *,
    client: AuthenticatedClient | Client,
    job: str | Unset = UNSET,
) -> DataUrl | Problem | None:
    """Get a URL that answers an execution's inputs without a key

     For BL_EXECUTION_DATA_URL of a runner in a container. Whoever has the URL can read the inputs of
    this execution, and nothing
    else; it holds for as long as the execution is there and the server keeps its secret.

    Args:
        execution_id (str):
        job (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        DataUrl | Problem
    """

    return (
        await asyncio_detailed(
            execution_id=execution_id,
            client=client,
            job=job,
        )
    ).parsed
