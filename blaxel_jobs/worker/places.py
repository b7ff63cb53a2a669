"""Where a handler is defined, as text that another process can import."""

import importlib
import sys
from typing import Any

from ..define import JobDef
from ..errors import ConfigError


def place_of(job: JobDef[Any, Any]) -> str:
    """`module:name` of a definition, or of the handler where that says it all. Raises ConfigError when another process could not
    import it."""
    handler = job.run
    module, name = getattr(handler, "__module__", None), getattr(handler, "__qualname__", None)
    if module is None or name is None:
        raise _not_importable(job, f"a {type(handler).__qualname__} has no name to be imported by")
    places = [f"{module}:{name}"] + [
        f"{module}:{name}" for name, value in vars(sys.modules.get(module)).items() if value is job
    ]  # fmt: skip
    for place in places:
        found = _find(place)
        if found is job or (found is handler and job.input is None and job.output is None):
            return place
    if "<locals>" in name or "<lambda>" in name:
        raise _not_importable(job, f"{name} is no function at the top level of a module")
    raise _not_importable(job, f"its definition is no name at the top level of {module}, where its handler is")


def load(place: str, name: str) -> JobDef[Any, Any]:
    """The definition at a place; of a handler alone one of this name. Raises ImportError, AttributeError."""
    module, _, path = place.partition(":")
    found: Any = importlib.import_module(module)
    for part in path.split("."):
        found = getattr(found, part)
    return found if isinstance(found, JobDef) else JobDef(name, found)


def _find(place: str) -> Any:
    module, _, path = place.partition(":")
    found: Any = sys.modules.get(module)
    for part in path.split("."):
        found = getattr(found, part, None)
    return found


def _not_importable(job: JobDef[Any, Any], why: str) -> ConfigError:
    return ConfigError(f"job {job.name!r} runs in another process, which cannot import its handler: {why}")
