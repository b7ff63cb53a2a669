"""The jobs of typescript/tests/worker.js, in Python."""

from typing import Any

from blaxel_jobs import define_job
from tests.remote.jobs import no_op, note, through_the_gate, two_steps

__all__ = ["no_op", "two_steps", "who"]


@define_job("who")
async def who(context: Any) -> str:
    note("python works")
    await through_the_gate()
    return "python"
