"""One call of a handler: its input decoded, its output encoded."""

from typing import Any

from .. import values
from ..core.records import Json
from ..define import JobDef
from ..errors import InvalidRequest
from .context import check_awaited
from .failures import InvalidInput


def invoke(job: JobDef[Any, Any], context: Any, input: Json) -> Json:
    """The result of a `def` handler. Raises what it raises, InvalidInput, InvalidOutput and NotSerializable."""
    return values.encode_output(job.returns, job.run(*_arguments(job, context, input)))


async def ainvoke(job: JobDef[Any, Any], context: Any, input: Json) -> Json:
    """The result of an `async def` handler. Raises as `invoke`, and PermanentError when it has forgotten to await a verb."""
    arguments = _arguments(job, context, input)
    try:
        output = await job.run(*arguments)
    except (TypeError, AttributeError) as error:
        if "coroutine" in str(error):  # it has taken a verb's for the verb's value
            check_awaited(context)
        raise
    check_awaited(context)
    return values.encode_output(job.returns, output)


def _arguments(job: JobDef[Any, Any], context: Any, input: Json) -> tuple[Any, ...]:
    try:
        context.payload = values.decode_input(job.accepts, input)
    except InvalidRequest as error:
        raise InvalidInput(error.message) from None
    return (context, context.payload)[: job.takes]
