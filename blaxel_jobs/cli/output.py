"""What goes to stdout: a table, a JSON document or ids. Everything else goes to stderr, a line at a time."""

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from io import StringIO
from typing import TYPE_CHECKING, Any, Final

from ..words import JobStatus, WaitingFor

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from ..client.models import Failure, JobExecutionEvent, JobExecutionTask, Progress
    from ..events import LogLine
    from ..execution import Execution
    from ..figures import Figures, Spread

UNLIMITED: Final = 100_000
"""Columns of a table that no terminal shows: nothing in it is cut."""
GAP: Final = 2
"""Columns between two columns of a table."""
NARROWEST: Final = 10
"""A column that has less room is left out, unless it needs no more."""
SHOWN_TEXT: Final = 500
"""Characters of a result or an error that a table shows."""
_COLOURS: Final = {
    JobStatus.COMPLETED: "green", JobStatus.FAILED: "red", JobStatus.CANCELLED: "yellow", JobStatus.RUNNING: "cyan",
}  # fmt: skip


class Output(StrEnum):
    """How data is written."""

    TABLE = "table"
    JSON = "json"
    ID = "id"


def say(message: str) -> None:
    """One line on stderr."""
    try:
        print(f"blaxel-jobs: {printable(message)}", file=sys.stderr, flush=True)
    except OSError:
        _mute(sys.stderr)


def emit(text: str) -> bool:
    """Write to stdout at once. False when nobody reads it any more, which is no error: `| head` has had enough."""
    try:
        sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        _mute(sys.stdout)
        return False
    return True


def _mute(stream: Any) -> None:
    """Python writes what is left in the buffer when it ends, and would fail again."""
    with open(os.devnull, "wb") as nothing:
        os.dup2(nothing.fileno(), stream.fileno())


def emit_json(document: Any) -> bool:
    """One JSON document. It is ASCII where stdout cannot show more."""
    unicode = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    return emit(json.dumps(document, indent=2, ensure_ascii=not unicode))


def show_execution(execution: "Execution", output: Output) -> None:
    """One execution, which was read whole."""
    if output is Output.ID:
        emit(execution.id)
    elif output is Output.JSON:
        emit_json(document(execution))
    else:
        emit(_details(execution))
        if execution.spec.task_count > 1:
            emit("\n" + _tasks(execution.tasks))
            if len(execution.tasks) < execution.spec.task_count:
                say(f"these are the first {len(execution.tasks)} of {execution.spec.task_count} tasks")


def show_executions(executions: "Sequence[Execution]", cursor: str | None, output: Output) -> None:
    """Rows of a list. `cursor` leads to the rows that follow, if there are any."""
    if output is Output.ID:
        emit_each(executions, lambda execution: execution.id)
    elif output is Output.JSON:
        emit_json(_page([document(execution) for execution in executions], cursor))
    else:
        emit(_executions(executions))


def show_events(events: "Sequence[JobExecutionEvent]", output: Output) -> None:
    """What happened to an execution."""
    if output is Output.ID:
        emit_each(events, lambda event: str(event.id))
    elif output is Output.JSON:
        emit_json(_page([event.to_dict() for event in events], None))
    else:
        emit(_events(events))


def follow_events(events: "Iterable[JobExecutionEvent]", output: Output) -> None:
    """What happens to an execution, a line at a time; with JSON a document a line."""
    for event in events:
        if output is Output.ID:
            line = str(event.id)
        elif output is Output.JSON:
            line = _line(event.to_dict())
        else:
            told = [_instant(event.at), event.type, event.task or "", event.status, because(event.error) if event.error else ""]
            line = printable(" ".join(word for word in told if word))
        if not emit(line):
            return


def show_logs(lines: "Sequence[LogLine]", output: Output) -> None:
    """What handlers have logged."""
    if output is Output.JSON:
        emit_json(_page([_log_document(line) for line in lines], None))
    else:
        emit_each(lines, _log)


def follow_logs(events: "Iterable[JobExecutionEvent]", output: Output) -> None:
    """What handlers log, a line at a time; with JSON a document a line."""
    from ..events import read_log

    lines = (line for line in map(read_log, events) if line is not None)
    emit_each(lines, _log if output is Output.TABLE else lambda line: _line(_log_document(line)))


def show_figures(figures: "Mapping[str, Figures]", output: Output) -> None:
    """Figures of jobs."""
    import attrs

    if output is Output.ID:
        emit_each(figures, str)
    elif output is Output.JSON:
        emit_json({name: attrs.asdict(each) for name, each in figures.items()})
    else:
        rows = [
            (name, *[str(count) for count in (each.completed, each.failed, each.cancelled, each.pending, each.running, each.paused,
             each.retried, each.recovered)], f"{each.per_second:.3g}", _spread(each.wait_ms), _spread(each.run_ms), each.queue)
            for name, each in figures.items()
        ]  # fmt: skip
        headers = (
            "JOB", "COMPLETED", "FAILED", "CANCELLED", "PENDING", "RUNNING", "PAUSED", "RETRIED", "RECOVERED", "PER SECOND",
            "WAIT P50/P95", "RUN P50/P95", "QUEUE",
        )  # fmt: skip
        emit(_columns(headers, rows))


def emit_each(rows: Iterable[Any], read: Callable[[Any], str]) -> bool:
    """A line for each row, as they come. False when nobody reads any more."""
    return all(emit(read(row)) for row in rows)


def document(execution: "Execution") -> dict[str, Any]:
    """The execution as it is on the wire."""
    return {name: value for name, value in execution.to_dict().items() if name != "id"}


def _page(rows: list[dict[str, Any]], cursor: str | None) -> dict[str, Any]:
    meta = {"hasMore": cursor is not None} if cursor is None else {"hasMore": True, "nextCursor": cursor}
    return {"data": rows, "meta": meta}


def printable(text: str) -> str:
    """One line without what a terminal would obey."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in " ".join(text.split()))


def counts(execution: "Execution") -> tuple[int, int]:
    """How many of its tasks have ended, and how many there are."""
    stats = execution.stats
    return sum(stats.get(name, 0) for name in ("success", "failure", "cancelled")), execution.spec.task_count


def progress_of(execution: "Execution") -> str:
    """How far it is, in words."""
    stats = execution.stats
    words = ["{} of {} done".format(*counts(execution))]
    words += [f"{stats[name]} {word}" for name, word in (("running", "running"), ("failure", "failed")) if stats.get(name)]
    return ", ".join(words)


def because(error: "Failure") -> str:
    """Why it failed, in a line."""
    return _short(f"{error.type}: {error.message} ({error.kind})")


def _details(execution: "Execution") -> str:
    from ..waiting import said

    rows: list[tuple[str, str | Text | None]] = [
        ("Execution", execution.id),
        ("Job", execution.job),
        ("Name", execution.name),
        ("Description", execution.description),
        ("Status", _status(execution.status, execution.waiting_for)),
        ("Tasks", progress_of(execution)),
        ("Priority", execution.priority),
        ("Tags", ", ".join(execution.tags)),
        ("Progress", _progress(execution.progress) if execution.progress and execution.spec.task_count == 1 else None),
        ("Waits for", said(WaitingFor.WORKER) if execution.waiting_for == WaitingFor.WORKER else None),
        ("Waits until", _time(execution.wait_until)),
        ("Batch", execution.batch_id),
        ("Created", _time(execution.created_at)),
        ("Started", _time(execution.started_at)),
        ("Ended", _time(execution.ended_at)),
        ("Took", _took(execution.started_at, execution.ended_at)),
        ("Error", because(execution.error) if execution.error else None),
        ("Recoveries", str(len(execution.recoveries)) if execution.recoveries else None),
    ]
    if execution.spec.task_count == 1 and execution.tasks and execution.status == JobStatus.COMPLETED:
        rows.append(("Result", _json(execution.tasks[0].result)))
    table = _grid(show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows:
        if value:
            table.add_row(name, _cell(value))
    return _render(table, _width())


def _progress(progress: "Progress") -> str:
    of = f" of {progress.total:g}" if isinstance(progress.total, int | float) else ""
    return f"{progress.current:g}{of}" + (f": {progress.message}" if progress.message else "")


def _executions(executions: "Sequence[Execution]") -> str:
    rows = [
        (execution.id, _status(execution.status, execution.waiting_for), "{}/{}".format(*counts(execution)), execution.name or "",
         _time(execution.created_at), _took(execution.started_at, execution.ended_at))
        for execution in executions
    ]  # fmt: skip
    return _columns(("ID", "STATUS", "TASKS", "NAME", "CREATED", "TOOK"), rows)


def _tasks(tasks: "Sequence[JobExecutionTask]") -> str:
    rows = [
        (task.metadata.id, _status(task.status, task.waiting_for or None), str(task.attempts),
         _took(task.metadata.started_at or None, task.metadata.completed_at or None),
         because(task.error) if task.error else _json(task.result))
        for task in tasks
    ]  # fmt: skip
    return _columns(("TASK", "STATUS", "ATTEMPTS", "TOOK", "RESULT"), rows)


def _events(events: "Sequence[JobExecutionEvent]") -> str:
    rows = [
        (str(event.id), _instant(event.at), event.type, event.task or "",
         _status(event.status, None), because(event.error) if event.error else "", event.worker or "")
        for event in events
    ]  # fmt: skip
    return _columns(("#", "AT", "EVENT", "TASK", "STATUS", "ERROR", "WORKER"), rows)


def _log(line: "LogLine") -> str:
    fields = " ".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in line.fields.items())
    words = [_instant(line.at), line.level.upper(), f"{line.task}:" if line.task else "", line.message, fields]
    return printable(" ".join(word for word in words if word))


def _log_document(line: "LogLine") -> dict[str, Any]:
    return {"at": _instant(line.at), "level": line.level, "message": line.message, "fields": line.fields, "task": line.task}


def _line(document: Any) -> str:
    return json.dumps(document, ensure_ascii=True)


def _spread(spread: "Spread") -> str:
    return "" if spread.p50 is None or spread.p95 is None else f"{_span(spread.p50 / 1000)}/{_span(spread.p95 / 1000)}"


def _columns(headers: Sequence[str], rows: "Sequence[Sequence[str | Text]]") -> str:
    """A line for each row. On a narrow terminal the last columns are cut, then left out."""
    cells = [[_cell(value) for value in row] for row in rows]
    wide = [max(len(header), *(row[place].cell_len for row in cells), 0) for place, header in enumerate(headers)]
    width = _width()
    table = _grid(show_header=True)
    left = width
    shown = 0
    for header, wanted in zip(headers, wide, strict=True):
        if shown and left < min(wanted, NARROWEST):
            break
        table.add_column(header, no_wrap=shown > 0, overflow="ellipsis" if shown else "fold", width=min(wanted, left))
        left -= wanted + GAP
        shown += 1
    for row in cells:
        table.add_row(*row[:shown])
    return _render(table, width)


def _cell(value: "str | Text") -> "Text":
    from rich.text import Text

    return value if isinstance(value, Text) else Text(printable(value))


def _grid(*, show_header: bool) -> "Table":
    from rich.table import Table

    return Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), show_header=show_header, header_style="bold")


def _width() -> int:
    """As wide as the terminal; as wide as it likes where there is none."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else UNLIMITED


def _render(table: "Table", width: int) -> str:
    """Colours only where they are wanted."""
    from rich.console import Console

    colours = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    file = StringIO()
    console = Console(
        file=file, width=width, force_terminal=colours, color_system="standard" if colours else None,
        markup=False, highlight=False, emoji=False,
    )  # fmt: skip
    console.print(table)
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines())


def _status(status: str, waiting_for: str | None) -> "Text":
    from rich.text import Text

    text = Text(printable(status), style=_COLOURS.get(status, ""))  # type: ignore[call-overload]
    return text.append(f" ({printable(waiting_for)})", style="yellow") if waiting_for else text


def _time(instant: datetime | None) -> str:
    return instant.isoformat(timespec="seconds").replace("+00:00", "Z") if instant else ""


def _instant(instant: datetime) -> str:
    return instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _took(start: datetime | None, end: datetime | None) -> str:
    if start is None or end is None:
        return ""
    return _span((end - start).total_seconds())


def _span(seconds: float) -> str:
    if seconds < 1:
        return f"{1000 * seconds:.3g} ms"
    return f"{seconds:.3g} s" if seconds < 100 else str(timedelta(seconds=round(seconds)))


def _json(value: Any) -> str:
    from ..client.types import Unset

    return "" if isinstance(value, Unset) else _short(json.dumps(value, ensure_ascii=False))


def _short(text: str) -> str:
    text = printable(text)
    return text if len(text) <= SHOWN_TEXT else f"{text[:SHOWN_TEXT]}..."
