"""What a request asks for: its operation in the contract, and the job and the execution that it is about."""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final
from urllib.parse import parse_qsl, unquote

from msgspec import Struct

from blaxel_jobs.server.operations import OPERATIONS, Operation

PREFIX: Final = "/v0"


class Asked(Struct, frozen=True, gc=False):
    """A request, read."""

    method: str
    path: str
    """As it was sent."""
    query: str
    operation: str | None = None
    """Its operationId in snake case; None for what is not in the contract."""
    job: str | None = None
    execution: str | None = None


def read_asked(method: str, path: str, query: str, job_of: Callable[[str], str | None]) -> Asked:
    """`job_of` tells the job of an execution."""
    steps = path.split("/")
    for template, operation in _TEMPLATES.get((len(steps), "GET" if method == "HEAD" else method), ()):
        values = _values(template, steps)
        if values is not None:
            execution = values.get("{execution_id}")
            job = values.get("{job}") or (dict(parse_qsl(query)).get("job") if query else None)
            if job is None and execution is not None:
                job = job_of(execution)
            return Asked(method, path, query, operation.id, job, execution)
    return Asked(method, path, query)


@lru_cache(maxsize=256)
def path_pattern(path: str) -> re.Pattern[str]:
    """Paths that are meant by one with `*` (or a `{name}`) for any one segment, and `**` for any number of them."""
    parts = re.split(r"(\*\*|\*|\{\w*\})", path)
    text = "".join(".*" if part == "**" else "[^/]+" if part == "*" or part.startswith("{") else re.escape(part) for part in parts)
    return re.compile(text if path.startswith(PREFIX) else f"(?:{PREFIX})?{text}")


def _values(template: list[str], steps: list[str]) -> dict[str, str] | None:
    """What a path has for the names in a template, if it is of that form."""
    values = {}
    for wanted, step in zip(template, steps, strict=True):
        if wanted[:1] == "{" and step:
            values[wanted] = unquote(step)
        elif wanted != step:
            return None
    return values


_TEMPLATES: Final[dict[tuple[int, str], list[tuple[list[str], Operation]]]] = {}
"""By how many steps they have, and method; what is spelt out comes before what has a name in its place."""
for _operation in sorted(OPERATIONS, key=lambda operation: operation.path.count("{")):
    _steps = _operation.path.split("/")
    _TEMPLATES.setdefault((len(_steps), _operation.method), []).append((_steps, _operation))
