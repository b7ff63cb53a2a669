"""What the commands of a client have in common: their arguments, and the job that these name."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import ConfigError
from .output import Output

if TYPE_CHECKING:
    from ..jobs import Job, JobsClient

JobName = Annotated[str, typer.Argument(metavar="JOB", help="The job's name.", show_default=False)]
Id = Annotated[str, typer.Argument(metavar="ID", help="The execution's id.", show_default=False)]
Form = Annotated[Output, typer.Option("--output", "-o", help="How stdout is written.")]
Url = Annotated[
    str | None,
    typer.Option(
        help="The server's URL. Else BL_API_URL, else the platform if there is a key, else http://127.0.0.1:8080.",
        show_default=False,
    ),
]
ApiKey = Annotated[
    str | None, typer.Option(help="The API key. Better in BL_API_KEY: others can read a command line.", show_default=False)
]
MaxWait = Annotated[
    float | None, typer.Option(help="Seconds to wait at most. Exit code 124 when they are over.", show_default=False)
]


@contextmanager
def open_client(url: str | None, api_key: str | None) -> "Iterator[JobsClient]":
    """A client of the server that the options, or the settings, name. Raises ConfigError."""
    from ..jobs import JobsClient

    try:
        client = JobsClient(url, api_key=api_key)
    except ConfigError as error:
        text = error.message.replace("base_url (argument)", "--url").replace("api_key (argument)", "--api-key")
        raise ConfigError(text) from None
    with client:
        yield client


@contextmanager
def open_job(name: str, url: str | None, api_key: str | None) -> "Iterator[Job[Any, Any]]":
    """The job of that name there. Raises ConfigError."""
    with open_client(url, api_key) as client:
        try:
            job = client.job(name)
        except ValueError as error:
            raise ConfigError(str(error)) from None
        yield job
