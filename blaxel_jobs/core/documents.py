"""A Job as the Blaxel platform's API describes it: a document that clients write, and that is kept to be shown again."""

from typing import Any, Final

from msgspec.structs import replace

from ..errors import InvalidRequest
from .bodies import MAX_RETRIES
from .reading import MAX_MS, check_job, read_json
from .records import BOUND, Definition, Policy
from .views import View

_GIVEN: Final = frozenset({"name", "workspace", "createdAt", "updatedAt"})
"""What the server says of a job's metadata, whatever a document says."""
_OWN: Final = frozenset({"status", "events"})
_MAX_SECONDS: Final = MAX_MS // 1000


def read_document(body: Any, job: str | None = None) -> tuple[str, dict[str, Any]]:
    """The job's name and its document, from a request's body: JSON text, or the value that it stands for.

    Raises InvalidRequest, also for another name than `job`.
    """
    value = read_json(body) if isinstance(body, bytes) else body
    if not isinstance(value, dict):
        raise InvalidRequest("the body is a JSON object with metadata and spec", path="")
    metadata, spec = _object(value, "metadata"), _object(value, "spec")
    name = metadata.get("name") or job
    if not isinstance(name, str):
        raise InvalidRequest("metadata.name is the name of the job", path="metadata.name")
    if job is not None and name != job:
        raise InvalidRequest(f"a job keeps its name: this one is {job!r}", path="metadata.name")
    kept = {key: each for key, each in metadata.items() if key not in _GIVEN}
    document = {**{key: each for key, each in value.items() if key not in _OWN}, "metadata": kept, "spec": spec}
    policy_of(document)
    return check_job(name), document


def policy_of(document: dict[str, Any]) -> Policy:
    """What its `spec.runtime` says of retries and of time (`timeout`, seconds). Raises InvalidRequest."""
    runtime = _object(document["spec"], "runtime", "spec.runtime")
    retries, timeout = runtime.get("maxRetries"), runtime.get("timeout")
    if retries is not None and not (type(retries) is int and 0 <= retries <= MAX_RETRIES):
        raise InvalidRequest(f"spec.runtime.maxRetries is 0 to {MAX_RETRIES}, not {retries!r}", path="spec.runtime.maxRetries")
    if timeout is not None and not (type(timeout) in (int, float) and 0 <= timeout <= _MAX_SECONDS):
        raise InvalidRequest(f"spec.runtime.timeout is a number of seconds, not {timeout!r}", path="spec.runtime.timeout")
    return Policy(bound=True, max_retries=retries, timeout=float(timeout) if timeout else None)


def beside(definition: Definition, known: Definition | None) -> Definition:
    """A definition that a worker registers, together with the document that there is of the job: the worker's word comes first."""
    if known is None or known.document is None:
        return definition
    policy = definition.policy.over(policy_of(known.document))
    return replace(definition, document=known.document, created_at=known.created_at, policy=policy, registered=definition.policy)


def described(document: dict[str, Any], known: Definition | None, definition: Definition) -> Definition:
    """A new document of a job, together with what a worker has registered; `definition` is what there is without one."""
    base, now = known or definition, definition.updated_at
    registered = base.policy if base.document is None else base.registered or BOUND
    policy = registered.over(policy_of(document))
    created_at = base.created_at or now
    return replace(base, document=document, policy=policy, registered=registered, created_at=created_at, updated_at=now)


def document_view(definition: Definition) -> View:
    """What is known of a job, for a dialect to show: times are seconds since 1970, `timeout` seconds."""
    return {
        "name": definition.job, "workspace": definition.workspace, "createdAt": definition.created_at or definition.updated_at,
        "updatedAt": definition.updated_at, "maxRetries": definition.policy.max_retries, "timeout": definition.policy.timeout,
        "document": definition.document or {},
    }  # fmt: skip


def _object(value: dict[str, Any], name: str, path: str | None = None) -> dict[str, Any]:
    found = value.get(name)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise InvalidRequest(f"{path or name} is a JSON object", path=path or name)
    return found
