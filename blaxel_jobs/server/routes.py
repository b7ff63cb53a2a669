"""Which resource a path names. Paths are matched as they were sent, so that `%2F` in an id does not separate."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import unquote

import msgspec

from .asgi import Receive
from .exchange import Exchange

Handler = Callable[[Exchange, Receive], Awaitable[Any]]
"""Answers one method of a path with a view."""


class Resource:
    """A path template such as `/v0/jobs/{job}`, with a handler for each of its methods."""

    def __init__(self, template: str, handlers: Mapping[str, Handler]) -> None:
        self.steps = template.split("/")
        self.handlers = dict(handlers)
        if "GET" in handlers:
            self.handlers["HEAD"] = handlers["GET"]
        self.allow = ", ".join(sorted([*self.handlers, "OPTIONS"]))


class _Node(msgspec.Struct):
    children: dict[str, "_Node"] = msgspec.field(default_factory=dict)
    any: "_Node | None" = None
    name: str = ""
    """What stands in a template for a step to `any`."""
    resource: Resource | None = None


class Routes:
    """All resources as a tree: finding one takes as long as its path, however many there are."""

    def __init__(self) -> None:
        self._root = _Node()

    def add(self, resource: Resource) -> None:
        node = self._root
        for step in resource.steps:
            if step.startswith("{"):
                assert node.name in ("", step[1:-1]), f"{step} is {node.name} in another template"
                node.name, node.any = step[1:-1], node.any or _Node()
                node = node.any
            else:
                node = node.children.setdefault(step, _Node())
        node.resource = resource

    def find(self, path: str) -> tuple[Resource, dict[str, str]] | None:
        """The resource that a path names, and the values of the names in its template, decoded. None where there is none."""
        node = self._root
        values: dict[str, str] = {}
        for step in path.split("/"):
            child = node.children.get(step)
            if child is None:
                child = node.any
                if child is None or not step:
                    return None
                values[node.name] = unquote(step) if "%" in step else step
            node = child
        resource = node.resource
        return None if resource is None else (resource, values)
