"""Job definitions from the modules that `--worker` names."""

import importlib
import sys
import traceback
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from ..define import JobDef
from ..errors import ConfigError

_PACKAGE: Final = str(Path(__file__).parent.parent)


def load_jobs(modules: Iterable[str]) -> list[JobDef[Any]]:
    """Every job that these modules define. They are looked for in the current directory too. Raises ConfigError."""
    found: dict[str, tuple[JobDef[Any], str]] = {}
    for module in modules:
        for job in _jobs_of(module):
            known, where = found.setdefault(job.name, (job, module))
            if known is not job:
                place = module if where == module else f"{where} and {module}"
                raise ConfigError(f"the job {job.name!r} is defined twice, in {place}: give one of them another name")
    return [job for job, _ in found.values()]


def _jobs_of(name: str) -> list[JobDef[Any]]:
    jobs = [value for value in vars(_import(name)).values() if isinstance(value, JobDef)]
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
        raise ConfigError(_why(name, error)) from error
    except (ValueError, TypeError) as error:
        if not name or name.startswith("."):
            raise ConfigError(f"{name!r} is not a module's name") from None
        raise ConfigError(_why(name, error)) from error
    except (Exception, SystemExit) as error:
        raise ConfigError(_why(name, error)) from error


def _why(name: str, error: BaseException) -> str:
    """What a module raised while it was imported, and the last place in the user's code that it came from."""
    if isinstance(error, SyntaxError):
        return f"the module {name!r} has a syntax error in line {error.lineno} of {error.filename}: {error.msg}"
    last = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith(_PACKAGE)][-1]
    text = " ".join(str(error).split())
    return f"the module {name!r} cannot be imported: {type(error).__name__}: {text} (line {last.lineno} of {last.filename})"
