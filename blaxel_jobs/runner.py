"""The runner in a container: one process that runs one task of an execution, as the Blaxel platform starts it.

    from blaxel_jobs.jobs import bl_start_job

    def process(name: str, size: int = 1) -> None: ...

    bl_start_job.start(process)

The task's fields are the function's keyword arguments. They come from the URL in BL_EXECUTION_DATA_URL, which answers
`{"tasks": [...]}`; the variable that BL_TASK_KEY names (TASK_INDEX unless set) says which of them is this one's. Without that URL
they come from the command line, as `--name value`.
"""

import asyncio
import inspect
import logging
import os
import sys
from collections.abc import Callable
from typing import Any, Final

from .errors import ConfigError, ContractError

log = logging.getLogger("blaxel_jobs.runner")

DATA_URL: Final = "BL_EXECUTION_DATA_URL"
TASK_KEY: Final = "BL_TASK_KEY"


class StartJob:
    """Runs the task that this process was started for."""

    @property
    def index_key(self) -> str:
        """The name of the variable that says which task this is."""
        return os.environ.get(TASK_KEY) or "TASK_INDEX"

    @property
    def index(self) -> int:
        """The task's place in its execution, from 0. Raises ConfigError for what is no number."""
        text = os.environ.get(self.index_key) or "0"
        if not (text.isascii() and text.isdigit()):
            raise ConfigError(f"{self.index_key} is a whole number, not {text!r}")
        return int(text)

    def get_arguments(self) -> dict[str, Any]:
        """The task's fields. Raises ConfigError, ConnectionFailed, ContractError and the RequestError of the answer's status."""
        url = os.environ.get(DATA_URL)
        return self._fetch(url) if url else _from_command_line(sys.argv[1:])

    def start(self, func: Callable[..., Any]) -> None:
        """Call `func`, sync or async, with the task's fields. An error is logged, and ends the process with exit code 1."""
        try:
            outcome = func(**self.get_arguments())
            if inspect.isawaitable(outcome):
                asyncio.run(_awaited(outcome))
        except Exception as error:
            log.exception("the job failed")
            raise SystemExit(1) from error

    def _fetch(self, url: str) -> dict[str, Any]:
        from .transport.download import get_json

        index = self.index
        data = get_json(url)
        tasks = data.get("tasks") if isinstance(data, dict) else None
        if tasks is None:
            tasks = []
        if not isinstance(tasks, list):
            raise ContractError(f"the answer of {DATA_URL} has no list of tasks")
        if not tasks:
            return {}
        if index >= len(tasks):
            raise ConfigError(f"{self.index_key} is {index}, and there are {len(tasks)} tasks, counted from 0")
        task = tasks[index]
        if not isinstance(task, dict):
            raise ContractError(f"task {index} is no object, and so has no fields to call a function with")
        return task


async def _awaited(outcome: Any) -> Any:
    return await outcome


def _from_command_line(words: list[str]) -> dict[str, Any]:
    """`--name value`, and `--name=value`. All values are text."""
    arguments: dict[str, Any] = {}
    rest = iter(words)
    for word in rest:
        name, equals, value = word.partition("=")
        if not (word.startswith("-") and equals):
            following = next(rest, None)
            if following is None:
                log.warning("%s has no value, and is left out", word)
                continue
            name, value = word, following
        arguments[name.lstrip("-")] = value
    return arguments


bl_start_job: Final = StartJob()
