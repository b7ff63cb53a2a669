"""`python -m blaxel_jobs.worker MODULE...`: serve the jobs of these modules for a server. Needs no extra."""

import argparse
import logging
import math
import sys
from pathlib import Path
from typing import Any, Final

from .. import __version__
from ..define import JobDef
from ..errors import ConfigError, JobsError
from ..remote import run_worker
from .modules import ENTRY_POINTS, installed_jobs, load_jobs
from .worker import DEFAULT_GRACE, DEFAULT_SLOTS

_LEVELS: Final = ("debug", "info", "warning", "error", "critical")


def main(arguments: list[str] | None = None) -> int:
    """The exit code: 0 after a signal, 2 for a user's mistake, 1 when the server refuses the worker."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=options.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # It tells of every request, which is every second line of this process.
    logging.getLogger("httpx").setLevel(max(logging.WARNING, logging.getLogger().level))
    try:
        run_worker(
            _jobs(options.modules), base_url=options.url, api_key=_key(options.api_key, options.api_key_file), slots=options.slots,
            queues=options.queues, grace=options.grace, name=options.name, ready_file=options.ready_file, say=_say,
        )  # fmt: skip
    except ConfigError as error:
        return _complain(error, 2)
    except JobsError as error:
        return _complain(error, 1)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        allow_abbrev=False,
        prog="python -m blaxel_jobs.worker", description="Serve the jobs that these modules define, for a server.",
        epilog="The first SIGTERM or SIGINT ends it in good order, the second one at once.",
    )  # fmt: skip
    add = parser.add_argument
    add(
        "modules", nargs="*", metavar="MODULE",
        help=f"import path of a module that defines jobs (default: those of installed packages, entry points {ENTRY_POINTS!r})",
    )  # fmt: skip
    add("--url", help="where the server is (default: BL_API_URL, the settings file, http://127.0.0.1:8080)")
    add("--slots", type=_slots, default=DEFAULT_SLOTS, help="how many tasks it runs at once (default: %(default)s)")
    add("--queues", type=_names, metavar="A,B", help="serve only the jobs of these queues (default: all that are defined)")
    add("--api-key", metavar="KEY", help="the server's key; others see it in the list of processes (default: BL_API_KEY)")
    add("--api-key-file", type=Path, metavar="FILE", help="a file whose first line begins with the key")
    add("--name", help="what the worker's id begins with (default: the machine's name)")
    add("--grace", type=_seconds, default=DEFAULT_GRACE, help="seconds that tasks get to end (default: %(default)s)")
    add("--ready-file", type=Path, metavar="FILE", help="a file that is there while the worker takes work")
    add("--log-level", choices=_LEVELS, default="info", help="(default: %(default)s)")
    add("--version", action="version", version=f"blaxel-jobs {__version__}")
    return parser


def _jobs(modules: list[str]) -> list[JobDef[Any, Any]]:
    jobs = load_jobs(modules) if modules else installed_jobs()
    if not jobs:
        raise ConfigError(f"name a module that defines jobs: no installed package offers any (entry points {ENTRY_POINTS!r})")
    return jobs


def _key(key: str | None, file: Path | None) -> str | None:
    if file is None:
        return key
    if key is not None:
        raise ConfigError("--api-key and --api-key-file: give one of them")
    try:
        words = [line.split() for line in file.read_text(encoding="utf-8").splitlines() if line.split("#", 1)[0].strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the key file {file} cannot be read: {getattr(error, 'strerror', None) or 'it is not UTF-8'}") from None
    if not words:
        raise ConfigError(f"the key file {file} has no key")
    return words[0][0]


def _slots(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 100_000):
        raise argparse.ArgumentTypeError(f"a whole number from 1 to 100000, not {text!r}")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= 86_400:
        raise argparse.ArgumentTypeError(f"a number of seconds from 0 to 86400, not {text!r}")
    return seconds


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise argparse.ArgumentTypeError("one or more names, with commas between them")
    return names


def _say(line: str) -> None:
    print(f"blaxel-jobs {__version__}: {line}", flush=True)  # noqa: T201  a command line prints


def _complain(error: JobsError, code: int) -> int:
    print(f"blaxel-jobs worker: {error}", file=sys.stderr)  # noqa: T201
    return code


if __name__ == "__main__":
    sys.exit(main())
