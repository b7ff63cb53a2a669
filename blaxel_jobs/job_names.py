"""What a job may be called. On its own, so that who only calls jobs need not load what defines them."""

import re
from typing import Final

JOB_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


def check_job_name(name: object) -> str:
    """The name itself, or ValueError saying what a job name may be."""
    if not isinstance(name, str) or not JOB_NAME.fullmatch(name):
        raise ValueError(
            f"{name!r} is not a job name: it takes letters, digits, '.', '_' and '-', starts with a letter or digit, "
            "and has at most 128 characters"
        )
    return name
