"""One call of a handler: its input decoded, its output encoded."""

from typing import Any

from .. import values
from ..core.records import Json
from ..define import JobDef
from ..errors import InvalidRequest
from .failures import InvalidInput


def invoke(job: JobDef[Any, Any], context: Any, input: Json) -> Json:
    """The result of a `def` handler. Raises what it raises, InvalidInput, InvalidOutput and NotSerializable."""
    return values.encode_output(job.returns, job.run(*_arguments(job, context, input)))


async def ainvoke(job: JobDef[Any, Any], context: Any, input: Json) -> Json:
    """The result of an `async def` handler. Raises as `invoke`."""
    return values.encode_output(job.returns, await job.run(*_arguments(job, context, input)))


def _arguments(job: JobDef[Any, Any], context: Any, input: Json) -> tuple[Any, ...]:
    try:
        context.payload = values.decode_input(job.accepts, input)
    except InvalidRequest as error:
        raise InvalidInput(error.message) from None
    return (context, context.payload)[: job.takes]
