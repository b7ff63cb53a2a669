"""Which resource a path names. Paths are matched as they were sent, so `%2F` in an id does not separate."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final
from urllib.parse import unquote

from .asgi import Receive
from .exchange import Exchange

Handler = Callable[[Exchange, Receive], Awaitable[Any]]
"""Answers one method of a path with a view."""

_ANY: Final = "{}"


class Resource:
    """A path template such as `/v0/jobs/{job}`, with a handler for each of its methods."""

    def __init__(self, template: str, handlers: Mapping[str, Handler]) -> None:
        self.steps = [_ANY if step.startswith("{") else step for step in template.split("/")]
        self.names = [step[1:-1] for step in template.split("/") if step.startswith("{")]
        self.handlers = dict(handlers)
        if "GET" in handlers:
            self.handlers["HEAD"] = handlers["GET"]
        self.allow = ", ".join(sorted([*self.handlers, "OPTIONS"]))


class Routes:
    """All resources, as a tree of their steps: finding one takes as long as its path, however many there are."""

    def __init__(self) -> None:
        self._root: dict[str, Any] = {}

    def add(self, resource: Resource) -> None:
        node = self._root
        for step in resource.steps:
            node = node.setdefault(step, {})
        node[""] = resource

    def find(self, path: str) -> tuple[Resource, dict[str, str]] | None:
        """The resource of a path and the values of its template's names, decoded; None where there is none."""
        node, values = self._root, []
        for step in path.split("/"):
            child = node.get(step)
            if child is None:
                if step == "" or (child := node.get(_ANY)) is None:
                    return None
                values.append(unquote(step) if "%" in step else step)
            node = child
        resource = node.get("")
        return (resource, dict(zip(resource.names, values, strict=True))) if resource else None
