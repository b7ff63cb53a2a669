"""Job definitions from modules that are named on a command line, and from installed packages."""

import importlib
import sys
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

from ..define import JobDef
from ..errors import ConfigError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

ENTRY_POINTS: Final = "blaxel_jobs"
"""The group of entry points by which an installed package offers a module of jobs, or one job."""
_PACKAGE: Final = str(Path(__file__).parent.parent)


def load_jobs(modules: Iterable[str]) -> list[JobDef[Any, Any]]:
    """Every job that these modules define. They are looked for in the current directory too. Raises ConfigError."""
    return _distinct((job, module) for module in modules for job in _jobs_in(_import(module), module))


def installed_jobs() -> list[JobDef[Any, Any]]:
    """Every job that installed packages offer. Raises ConfigError."""
    from importlib.metadata import entry_points  # only here: it takes a while to load

    return _distinct(
        (job, f"the entry point {point.name!r}")
        for point in sorted(entry_points(group=ENTRY_POINTS), key=lambda point: point.name)
        for job in _jobs_of_point(point)
    )


def _distinct(found: Iterable[tuple[JobDef[Any, Any], str]]) -> list[JobDef[Any, Any]]:
    jobs: dict[str, tuple[JobDef[Any, Any], str]] = {}
    for job, where in found:
        known, first = jobs.setdefault(job.name, (job, where))
        if known is not job:
            place = where if first == where else f"{first} and {where}"
            raise ConfigError(f"the job {job.name!r} is defined twice, in {place}: give one of them another name")
    return [job for job, _ in jobs.values()]


def _jobs_of_point(point: "EntryPoint") -> Iterator[JobDef[Any, Any]]:
    try:
        value = point.load()
    except (Exception, SystemExit) as error:
        raise ConfigError(_why(f"entry point {point.name!r}", error)) from error
    if isinstance(value, JobDef):
        yield value
    elif isinstance(value, ModuleType):
        yield from _jobs_in(value, point.value)
    else:
        raise ConfigError(f"the entry point {point.name!r} ({point.value}) is neither a job nor a module of jobs")


def _jobs_in(module: ModuleType, name: str) -> list[JobDef[Any, Any]]:
    jobs = [value for value in vars(module).values() if isinstance(value, JobDef)]
    if not jobs:
        raise ConfigError(f"the module {name!r} defines no job: put @define_job('name') above a handler")
    return jobs


def _import(name: str) -> ModuleType:
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            hint = f"; a module is named without its .py: {name[:-3]}" if name.endswith(".py") else ""
            raise ConfigError(f"there is no module {name!r} in {here} or on the Python path{hint}") from None
        raise ConfigError(_why(f"module {name!r}", error)) from error
    except (ValueError, TypeError) as error:
        if not name or name.startswith("."):
            raise ConfigError(f"{name!r} is not a module's name") from None
        raise ConfigError(_why(f"module {name!r}", error)) from error
    except (Exception, SystemExit) as error:
        raise ConfigError(_why(f"module {name!r}", error)) from error


def _why(what: str, error: BaseException) -> str:
    """What a module raised while it was imported, and the last place in the user's code that it came from."""
    if isinstance(error, SyntaxError):
        return f"the {what} has a syntax error in line {error.lineno} of {error.filename}: {error.msg}"
    text = " ".join(str(error).split())
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith(_PACKAGE)]
    place = f" (line {frames[-1].lineno} of {frames[-1].filename})" if frames else ""
    return f"the {what} cannot be imported: {type(error).__name__}: {text}{place}"
