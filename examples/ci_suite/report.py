"""A user's program: has a report rendered, page by page. `python report.py 3` renders three pages."""

import sys
from typing import Any

from blaxel_jobs import ExecutionFailed, WaitTimeoutError, bl_job, define_job


@define_job("render-page")
def render_page(context: Any, page: dict[str, Any]) -> str:
    """What a worker runs for each page."""
    if page["number"] > 500:
        raise ValueError(f"page {page['number']} has no source")
    return f"{page['title']}, page {page['number']}"


def render(title: str, pages: int, max_wait: float = 600) -> list[str]:
    """Every page's text. Raises RuntimeError with a message for people."""
    job = bl_job("render-page")
    # `duration` is what a page takes where tasks are simulated.
    tasks = [{"title": title, "number": number, "duration": 20} for number in range(1, pages + 1)]
    execution_id = job.create_execution({"tasks": tasks})
    try:
        rendered = job.wait_for_execution(execution_id, max_wait=max_wait, raise_on_failure=True)
    except WaitTimeoutError:
        job.cancel_execution(execution_id)
        raise RuntimeError(f"{title!r} was not rendered within {max_wait:g} s") from None
    except ExecutionFailed as error:
        raise RuntimeError(f"{title!r} cannot be rendered: {error}") from error
    return list(rendered.results)


if __name__ == "__main__":
    print("\n".join(render("Report", int(sys.argv[1]))))
