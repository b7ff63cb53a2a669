"""What `run` sends: the tasks, the input or the whole request that its options give."""

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from ..errors import ConfigError

_NAME: Final = re.compile(r"(?:^|\s+)([A-Za-z_][A-Za-z0-9_.-]*)=")


def read_request(tasks: Sequence[str], file: str | None, input: str | None) -> dict[str, Any]:
    """The body of a create, with the contract's names. Without any of the three the job is given null.

    Raises ConfigError.
    """
    if (len(tasks) > 0) + (file is not None) + (input is not None) > 1:
        raise ConfigError("--task, --file and --input each say what to run: give one of them")
    if tasks:
        return {"tasks": [read_task(text) for text in tasks]}
    if file is not None:
        return _read_file(file)
    return {"input": None if input is None else _parse(input, "--input")}


def read_task(text: str) -> dict[str, Any]:
    """One task: a JSON object, or `NAME=VALUE` pairs. A value runs to the next NAME=; it is JSON if it parses, else text.

    Raises ConfigError.
    """
    if text.lstrip().startswith("{"):
        task = _parse(text, "--task")
        assert isinstance(task, dict)
        return task
    pieces = _NAME.split(text)
    if len(pieces) < 3 or pieces[0].strip():
        raise ConfigError(f"--task takes NAME=VALUE pairs or a JSON object ('{{}}' for an empty one), not {text!r}")
    names = pieces[1::2]
    if len(set(names)) < len(names):
        raise ConfigError(f"--task {text!r} names a field twice")
    return dict(zip(names, map(_value, pieces[2::2]), strict=True))


def read_env(pairs: Sequence[str]) -> dict[str, str] | None:
    """Environment variables from `NAME=VALUE` texts. Raises ConfigError."""
    env: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise ConfigError(f"--env takes NAME=VALUE, not {pair!r}")
        env[name] = value
    return env or None


def _read_file(name: str) -> dict[str, Any]:
    place = "standard input" if name == "-" else f"the file {name}"
    try:
        text = sys.stdin.buffer.read().decode() if name == "-" else Path(name).read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{place} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{place} is not UTF-8 text") from None
    document = _parse(text, place)
    if isinstance(document, dict):
        if "tasks" not in document and "input" not in document:
            raise ConfigError(
                f"{place} has an object without `tasks` and without `input`; a task alone is written in a list: [{{...}}]"
            )
        return document
    if not isinstance(document, list):
        raise ConfigError(f"{place} has neither a list of tasks nor an object that is a request")
    for index, task in enumerate(document):
        if not isinstance(task, dict):
            raise ConfigError(f"{place} has a list of tasks, but its item {index} is not an object")
    return {"tasks": document}


def _parse(text: str, place: str) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        hint = """; text is written in quotes: '"text"'""" if place == "--input" else ""
        raise ConfigError(f"{place} is not JSON: {error}{hint}") from None


def _value(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return text


def _refuse_constant(name: str) -> None:
    raise ValueError(f"JSON has no {name}")
